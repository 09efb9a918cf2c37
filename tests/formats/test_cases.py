"""Input as real tools leave it: each row is a file, and what it must come to."""

import json
from pathlib import Path
from typing import Any

import pytest

from jinbench.core.errors import DataError
from jinbench.formats.convert import ConversionReport, CorpusSource, convert_corpus

LS = {"from_name": "l", "to_name": "text", "origin": "manual"}


def label(start: int, end: int, surface: str | None = None, type: str = "LOC", **region: Any) -> dict[str, Any]:
    value = {"start": start, "end": end, "labels": [type]} | ({"text": surface} if surface else {})
    return LS | {"id": f"r{start}", "type": "labels", "value": value} | region


def result(type: str, value: Any, **region: Any) -> dict[str, Any]:
    return LS | {"id": "x", "type": type, "value": {type.replace("textarea", "text"): value}} | region


def task(text: str, *results: Any, **fields: Any) -> dict[str, Any]:
    return {"id": 1, "data": {"text": text}, "annotations": [{"result": list(results), "completed_by": 1}]} | fields


def minimal(id: int, text: str, **fields: Any) -> dict[str, Any]:
    return {"text": text, "id": id, **fields, "annotator": "a@x.invalid", "annotation_id": 7, "lead_time": 2.5}


def convert(path: Path, origin: str, **options: Any) -> tuple[list[dict[str, Any]], ConversionReport]:
    out = path.parent / "out.jsonl"
    report = convert_corpus([CorpusSource(path)], "doccano", out, origin, reader_options={"offsets": None} | options)
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()], report


def read_labels(row: dict[str, Any]) -> tuple[list[str], list[str]]:
    spans = [entry for entry in row.get("entities", row.get("label", [])) if isinstance(entry, list)]
    names = [entry for entry in row.get("label", []) if isinstance(entry, str)] + row.get("cats", [])
    units = row["text"].encode("utf-16-le")
    return [f"{units[2 * start : 2 * end].decode('utf-16-le')}/{type}" for start, end, type in spans], names


def check(
    path: Path, origin: str, options: dict[str, Any], texts: list[Any], losses: dict[str, int], part: str
) -> None:
    """Compare the texts, each with its surfaces and classes, the losses and problems, and a part of the report."""
    rows, report = convert(path, origin, **options)
    assert [(row["text"], *read_labels(row)) for row in rows] == texts, str(report)
    counts = {code: loss["count"] for code, loss in report.losses.items()} | report.counts
    assert counts == losses, str(report)
    assert part in str(report)
    if losses:
        with pytest.raises(DataError):
            convert_corpus([CorpusSource(path)], "doccano", path.parent / "no", origin, True, options)


BEN = ("BigBen", ["BigBen/LOC"], [])
BIG_BEN = "Big B-LOC\nBen I-LOC\n"
COLUMNS: list[tuple[str, dict[str, Any], list[Any], dict[str, int], str]] = [
    # text, options, texts read, losses, part of the report
    ("-DOCSTART- -X- O\nBig -X- _ B-LOC\nBen -X- _ I-LOC\n", {}, [BEN], {}, "joined without a space"),
    (f"-DOCSTART-\n\n{BIG_BEN}\n-DOCSTART-\n\nx O\n", {}, [BEN, ("x", [], [])], {}, ""),
    (f"{BIG_BEN}-DOCSTART- O\n\nx O\n", {}, [BEN, ("x", [], [])], {}, ""),
    (f"#newdoc id = a\n{BIG_BEN}# newdoc\nx O\n", {}, [BEN, ("x", [], [])], {}, ""),
    (f"# a comment\twith a tab\n#sent_id=1\n{BIG_BEN}", {}, [BEN], {"comments": 2}, "with a tab"),
    (f"# tags are B-LOC\n{BIG_BEN}# O\n", {}, [("BigBen#", *BEN[1:])], {"comments": 1}, ""),
    (f"token tag\n{BIG_BEN}", {}, [BEN], {"comments": 1}, "token tag"),
    (f"word pos ner_tags\n\n{BIG_BEN}", {}, [BEN], {"comments": 1}, ""),
    ("Big NN B-LOC\nBen _ I-LOC\n", {}, [BEN], {"fields": 1}, "column 2: 'NN'"),
    ("1\tBig\tB-LOC\n2\tBen\tI-LOC\n\n1\tx\tO\n", {}, [BEN, ("x", [], [])], {}, "numbers the tokens"),
    ("0 Big _ B-LOC\n1 Ben _ I-LOC\n2 x _ O\n", {}, [("BigBenx", *BEN[1:])], {}, "numbers the tokens"),
    ("1-2 Ben _ O\n1 Big _ B-LOC\n2 Ben _ I-LOC\n", {}, [BEN], {"comments": 1}, "1-2 Ben"),
    ("1 CD B-LOC\n9 CD I-LOC\n", {}, [("19", ["19/LOC"], [])], {"fields": 2}, ""),
    (BIG_BEN.replace("\n", "\r"), {}, [BEN], {}, ""),
    (f"\ufeff{BIG_BEN}".replace("\n", "\r\n"), {}, [BEN], {}, ""),
    (f"\tO\nx O\n\n{BIG_BEN}", {}, [BEN], {"wrong-shape": 1}, "a token"),
    (BIG_BEN, {"join": " "}, [("Big Ben", ["Big Ben/LOC"], [])], {}, "Nothing was lost."),
    (BIG_BEN, {"join": ""}, [BEN], {}, "jsonl\nNothing was lost."),
    ("天津 B-LOC\n港口 I-LOC\n", {}, [("天津港口", ["天津港口/LOC"], [])], {}, "Nothing was lost."),
    ("Big I-LOC\nx O\n", {"repair": "begin"}, [("Bigx", ["Big/LOC"], [])], {"repaired": 1}, ""),
]  # fmt: skip


@pytest.mark.parametrize("row", COLUMNS, ids=lambda row: repr(row[0])[:30])
def test_columns(row: tuple[Any, ...], tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(row[0].encode())
    check(tmp_path / "x.txt", "conll", *row[1:])


TANG, NEWS = ("天津港", ["天津/LOC"], []), ["news"]
CRLF = {"data": {"text": "天津港。\r\n在塘沽。\r\n天津"}}
NAMED = label(0, 2, "天津")
TASKS: list[tuple[list[Any], dict[str, Any], list[Any], dict[str, int], str]] = [
    # tasks, options, texts read, losses, part of the report
    ([task("天津港", NAMED)], {}, [TANG], {}, "the server notes for itself"),
    ([task("天津港", NAMED, NAMED | {"type": "choices", "value": {"choices": ["bad"]}})], {}, [TANG],
     {"attributes": 1}, "choices of a region: {'choices': ['bad']}"),
    ([task("天津港", NAMED, result("rating", 3, id="r0"), result("textarea", ["x"]), result("number", 4),
           result("taxonomy", [["a", "b"]]), result("pairwise", "left"))], {}, [TANG],
     {"attributes": 1, "regions": 4}, "taxonomy {'taxonomy': [['a', 'b']]}"),
    ([task("天津港", label(0, 2, type="x") | {"value": {"start": 0, "end": 2, "labels": []}})], {},
     [("天津港", [], [])], {"empty-types": 1}, "[0, 2)"),
    ([task("天津港", NAMED | {"score": 0.5, "meta": {"text": ["sure?"]}})], {}, [TANG], {"fields": 2}, "region meta"),
    ([task("天津港", NAMED, drafts=[{}], predictions=[{}], meta={"a": 1})], {}, [TANG], {"fields": 3}, "meta: {'a"),
    ([task("天津港", annotations=[{"result": [NAMED], "was_cancelled": True}, {"result": [NAMED]}, {"result": []}])],
     {}, [TANG], {"annotations": 2}, "3 annotations"),
    ([task("天津港", result("choices", ["news", "", "news"]))], {}, [("天津港", [], NEWS)], {"empty-types": 1}, ""),
    ([task("天津港", NAMED), task("天津港", predictions=[{"result": [NAMED]}], annotations=[], id=2)], {}, [TANG],
     {"unlabelled": 1}, "task 2"),
    ([task("在天津\n港口", label(0, 5, "天津\\n港口"))], {}, [("在天津\n港口", [], [])], {"span-text-differs": 1}, ""),
    ([task("在天津\n港口", label(1, 6, "天津\\n港口"))], {}, [("在天津\n港口", ["天津\n港口/LOC"], [])], {}, ""),
    ([task("在Tang  Gu港", label(1, 10, "Tang Gu港"))], {}, [("在Tang  Gu港", ["Tang  Gu港/LOC"], [])], {}, ""),
    ([task("a\\new天津", label(5, 7, "天津"), label(0, 5, "a\\new"))], {},
     [("a\\new天津", ["a\\new/LOC", "天津/LOC"], [])], {}, ""),
    ([task("", NAMED, data={"body": "天津港", "url": "https://a.invalid/天津"}),
      task("", data={"body": "无", "url": "https://b.invalid"}, id=2)], {}, [TANG, ("无", [], [])], {"fields": 2}, ""),
    ([task("", NAMED, data={"body": "天津港", "text": "a title"})], {}, [TANG], {"fields": 1}, "text: 'a title'"),
    ([task("", data={"body": "天津港", "html": "<p>天津港</p>"})], {"text": "body"}, [("天津港", [], [])],
     {"fields": 1}, "html"),
    ([task("", label(6, 8, "塘沽"), label(10, 12, "天津"), **CRLF)], {},
     [(CRLF["data"]["text"], ["塘沽/LOC", "天津/LOC"], [])], {}, "CR LF as one"),
    ([task("", label(7, 9, "塘沽"), label(12, 14, "天津"), **CRLF)], {},
     [(CRLF["data"]["text"], ["塘沽/LOC", "天津/LOC"], [])], {}, "1 texts"),
    ([minimal(1, "天津港", ner=[NAMED["value"]], topic="news")], {}, [("天津港", ["天津/LOC"], NEWS)], {},
     "'topic' were taken for classes"),
    ([minimal(1, "天津港", topic="news"), minimal(1, "天津港", topic="other"), minimal(2, "无")], {},
     [("天津港", [], NEWS), ("无", [], [])], {"annotations": 1}, "2 annotations"),
    ([minimal(1, "甲", topic={"choices": ["a", "b"]}), minimal(2, "乙", topic="news")], {},
     [("甲", [], ["a", "b"]), ("乙", [], NEWS)], {}, ""),
    ([minimal(1, "甲", stars=[{"rating": 3}], n=[{"number": 5}], note="她说:“今天天气很好。”", per=["a", "b"],
              way=[{"taxonomy": [["a"]]}])], {}, [("甲", [], [])], {"fields": 5}, "note: '她说"),
    ([{"id": 1, "text": "甲", "topic": "news", "annotation_id": 3}], {}, [("甲", [], NEWS)], {}, ""),
]  # fmt: skip


@pytest.mark.parametrize("row", TASKS, ids=lambda row: json.dumps(row[0], ensure_ascii=False)[10:50])
def test_tasks(row: tuple[Any, ...], tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("\ufeff" + json.dumps(row[0]), encoding="utf-8")
    check(tmp_path / "x.json", "labelstudio", *row[1:])


def test_the_field_of_the_text_is_not_guessed(tmp_path: Path) -> None:
    tasks = [task("", data={"body": "天津港", "title": "一个更长的标题,比正文还长"})]
    (tmp_path / "x.json").write_text(json.dumps(tasks), encoding="utf-8")
    with pytest.raises(DataError, match="found    body, title\n  try      name it: --text FIELD"):
        convert(tmp_path / "x.json", "labelstudio")


ROWS: list[tuple[str, dict[str, Any], dict[str, Any], list[Any], dict[str, int], str]] = [
    # format, row, options, texts read, losses, part of the report
    ("doccano", {"text": "天津港", "label": [[0, 2, "LOC"]], "Comments": ["?"]}, {}, [TANG], {"fields": 1}, "Comments"),
    ("doccano", {"text": "天津港", "label": [[0, 2, "LOC"]], "Comments": [], "meta": {}}, {}, [TANG], {}, "Nothing"),
    ("doccano", {"data": "天津港", "label": [[0, 2, "LOC"]], "source": "a"}, {}, [TANG], {"fields": 1}, "source: 'a'"),
    ("doccano", {"text": "天津港", "entities": [{"label": "LOC", "start_offset": 0, "end_offset": 2, "note": 1}],
                 "relations": [{"id": 1}]}, {}, [TANG], {"fields": 1, "relations": 1}, "entity note"),
    ("doccano", {"text": "天津港", "label": ["news", " "]}, {}, [("天津港", [], NEWS)], {"empty-types": 1}, ""),
    ("doccano", {"text": "天津港", "entities": [], "cats": ["news", None]}, {}, [("天津港", [], NEWS)],
     {"wrong-shape": 1}, ""),
    ("doccano", {"text": "天津。\r\n在塘沽。", "label": [[5, 7, "LOC"]]}, {},
     [("天津。\r\n在塘沽。", ["在塘/LOC"], [])], {}, "--crlf one"),
    ("doccano", {"text": "天津。\r\n在塘沽。", "label": [[5, 7, "LOC"]]}, {"crlf": "one"},
     [("天津。\r\n在塘沽。", ["塘沽/LOC"], [])], {}, "Nothing"),
    ("doccano", {"text": "天津。\r\n塘沽。", "label": [[4, 6, "LOC"]]}, {},
     [("天津。\r\n塘沽。", ["塘沽/LOC"], [])], {}, "CR LF as one"),
    ("doccano", {"text": "𠮷\r\nBig Ben", "label": [[3, 10, "LOC"]]}, {}, [("𠮷\r\nBig Ben", ["Big Ben/LOC"], [])], {},
     "CR LF as one"),
    ("cluener", {"text": "天津港", "label": {"LOC": {"天津": [[0, 1]]}}, "page": 3}, {}, [TANG], {"fields": 1}, "page"),
    ("cluener", {"text": "\r\n天津", "label": {"LOC": {"天津": [[1, 2]]}}}, {}, [("\r\n天津", ["天津/LOC"], [])], {},
     "CR LF as one"),
    ("spacy", {"text": "天津港", "ents": [{"start": 0, "end": 2, "label": "LOC", "kb_id": "Q1"}],
               "tokens": [{"id": 0, "start": 0, "end": 3, "pos": "X"}], "_": {"a": 1}, "cats": {"news": 0.7, "no": 0}},
     {}, [("天津港", ["天津/LOC"], NEWS)], {"fields": 4}, "span kb_id: 'Q1'"),
    ("spacy", {"text": "\r\nBig Ben", "ents": [{"start": 1, "end": 8, "label": "LOC"}]}, {},
     [("\r\nBig Ben", ["Big Ben/LOC"], [])], {}, "CR LF as one"),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: json.dumps(row[:2], ensure_ascii=False)[:60])
def test_rows(row: tuple[Any, ...], tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("\ufeff" + json.dumps(row[1]) + "\r\n", encoding="utf-8")
    check(tmp_path / "x.jsonl", row[0], *row[2:])


ANN = "T1\tLOC 3 5\t天津\nT2\tORG 7 9\t港口\n"
STANDOFF: list[tuple[str, str, list[str], dict[str, int], str]] = [
    # text, annotations, surfaces, losses, part of the report
    ("说是在天津\n和港口", ANN, ["天津/LOC", "港口/ORG"], {}, "Nothing"),
    ("说是在天津\r\n和港口", ANN, ["天津/LOC", "港口/ORG"], {}, "CR LF as one"),
    ("说是在天津\r\n和港口", ANN.replace("7 9", "8 10"), ["天津/LOC", "港口/ORG"], {}, "Nothing"),
    ("\ufeff说是在天津\n和港口", ANN.replace("\n", "\r"), ["天津/LOC", "港口/ORG"], {}, "Nothing"),
    ("\ufeff说是在天津\r\n和港口", f"\ufeff{ANN.replace('3 5', '4 6').replace('7 9', '8 10')}",
     ["天津/LOC", "港口/ORG"], {}, "count the byte order mark"),
    ("说是在天津\r\n和港口", "T1\tLOC 3 5;6 7\t天津 和\nT2\tORG 0 1;3 5\t说 天津\n", ["天津\r\n和/LOC"],
     {"discontinuous": 1}, "说 天津"),
    ("说是在天津\n和港口", ANN + "R1\tin Arg1:T1 Arg2:T2\nE1\tORG:T2\nA1\tOld T1\nM1\tOld T1\nN1\tReference T1 W:1\n"
     "#1\tAnnotatorNotes T1\tsure?\n*\tEquiv T1 T2\n", ["天津/LOC", "港口/ORG"], {"relations": 3, "attributes": 4}, ""),
]  # fmt: skip


@pytest.mark.parametrize("row", STANDOFF, ids=lambda row: repr(row[:2])[:50])
def test_standoff(row: tuple[Any, ...], tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    for suffix, text in zip(("txt", "ann"), row, strict=False):
        (tmp_path / "x" / f"a.{suffix}").write_bytes(text.encode())
    check(tmp_path / "x", "brat", {}, [(row[0].removeprefix("\ufeff"), row[2], [])], *row[3:])


def test_a_docbin_without_annotations_is_no_docbin_without_entities(tmp_path: Path) -> None:
    import spacy
    from spacy.tokens import Doc, DocBin, Span

    nlp, docs = spacy.blank("zh"), DocBin(store_user_data=True)
    whole, part, none, classes = (nlp(text) for text in ("天津港", "塘沽与港口", "无人标注", "新闻"))
    whole.set_ents([Span(whole, 0, 2, label="LOC", kb_id="Q1")])
    whole.user_data |= {"source": "a", "text": "b", "ents": 1}
    part.set_ents([Span(part, 0, 2, label="LOC")], missing=[part[3:5]])
    classes.cats = {"news": 1.0}
    tagged = Doc(nlp.vocab, words=["天", "津"], spaces=[False] * 2, tags=["NR", "NR"], ents=["O", "O"])
    for doc in (whole, part, none, classes, tagged):
        docs.add(doc)
    docs.to_disk(tmp_path / "x.spacy")
    texts = [TANG, ("新闻", [], NEWS), ("天津", [], [])]
    check(tmp_path / "x.spacy", "spacy", {}, texts, {"unlabelled": 2, "fields": 5}, "2 of 5 tokens, first at 3")
    (tmp_path / "y.json").write_text("\ufeff" + json.dumps([doc.to_json() for doc in (none, tagged)]), encoding="utf-8")
    check(tmp_path / "y.json", "spacy", {}, texts[2:], {"unlabelled": 1, "fields": 2}, "token tag: 'NR'")


def test_the_first_tags_of_conll_name_their_scheme(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("Big I-LOC\nBen I-LOC\nx O\n\na I-LOC\nb B-LOC\n")
    for target in ("doccano", "jinbench"):
        with pytest.raises(DataError, match=r"look like IOB1.*--repair begin"):
            convert_corpus([CorpusSource(tmp_path / "x.txt")], target, tmp_path / "out")


def test_documents_of_files_with_one_stem_are_apart(tmp_path: Path) -> None:
    for name in ("eng.train", "eng.testa", "b/eng.train"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"-DOCSTART- -X- O\n\n{BIG_BEN}", encoding="utf-8")
    sources = [CorpusSource(tmp_path / name) for name in ("eng.train", "eng.testa", "b/eng.train")]
    convert_corpus(sources, "doccano", tmp_path / "out.jsonl")
    rows = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert [row["article_id"] for row in rows] == ["eng.train-D1", "eng.testa-D1", "b/eng.train-D1"]


@pytest.mark.parametrize("origin", ["cluener", "doccano", "spacy", "labelstudio"])
def test_lines_that_end_in_cr_alone_are_read_or_named(origin: str, tmp_path: Path) -> None:
    row = {"text": "天津港", "ents": [], "label": {} if origin == "cluener" else [], "annotation_id": 1}
    lines = [json.dumps([row], indent=1)] if origin == "labelstudio" else [json.dumps(row)] * 2
    (tmp_path / "x.json").write_bytes("\n".join(lines).replace("\n", "\r").encode())
    if origin == "labelstudio":
        assert convert(tmp_path / "x.json", origin)[1].texts == 1
    else:
        with pytest.raises(DataError, match="lines that end in CR alone"):
            convert(tmp_path / "x.json", origin)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
@pytest.mark.parametrize("origin", ["conll", "cluener", "labelstudio"])
def test_utf16_is_named(origin: str, encoding: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes("\ufeff天 O\n".encode(encoding))
    with pytest.raises(DataError, match="iconv -f UTF-16"):
        convert(tmp_path / "x.json", origin)


CONFIG = """<View><Text name="text" value="$text"/><Labels name="label" toName="text"><Label value="LOC"/></Labels>
<Choices name="topic" toName="text"><Choice value="news"/></Choices><Rating name="stars" toName="text"/>
<TextArea name="note" toName="text"/><Taxonomy name="way" toName="text"/><Number name="n" toName="text"/></View>"""


def test_what_label_studios_own_exporter_writes(tmp_path: Path) -> None:
    """Its JSON, JSON_MIN and CoNLL of two tasks: the labels are those of the tasks, and every other field is named."""
    from label_studio_sdk.converter import Converter

    results = [label(0, 3, "Big", from_name="label"), result("choices", ["news"], from_name="topic"),
               result("rating", 3, from_name="stars"), result("textarea", ["Really. Sure."], from_name="note"),
               result("number", 5, from_name="n"), result("taxonomy", [["a", "b"]], from_name="way")]  # fmt: skip
    notes = {"id": 3, "completed_by": {"id": 1, "email": "a@x.invalid"}, "created_at": "2026", "updated_at": "2026",
             "lead_time": 2.0, "was_cancelled": False, "ground_truth": False}  # fmt: skip
    tasks = [
        {"id": 1, "data": {"text": "Big Ben", "url": "a"}, "annotations": [notes | {"result": results}]},
        {"id": 2, "data": {"text": "x", "url": "b"}, "annotations": [notes | {"result": []}]},
    ]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks), encoding="utf-8")
    converter = Converter(CONFIG, None)
    fields = {"JSON": {"fields": 2, "regions": 4}, "JSON_MIN": {"fields": 6}}
    for name in fields:
        converter.convert(str(tmp_path / "tasks.json"), str(tmp_path / name), name, is_dir=False)
        texts = [("Big Ben", ["Big/LOC"], NEWS), ("x", [], [])]
        check(tmp_path / name / "result.json", "labelstudio", {}, texts, fields[name], "url: 'a'")
    converter.convert(str(tmp_path / "tasks.json"), str(tmp_path / "c"), "CONLL2003", is_dir=False)
    rows, _ = convert(tmp_path / "c" / "result.conll", "conll", join=" ")
    assert [(row["text"], read_labels(row)[0]) for row in rows] == [("Big Ben", ["Big/LOC"]), ("x", [])]
