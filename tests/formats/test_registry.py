"""Each format: a round trip of what it can say, other libraries' reading of it, what others write, recognition."""

import json
import re
import string
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jinbench.core.errors import DataError
from jinbench.core.types import Span
from jinbench.formats import conll, registry
from jinbench.formats.base import ConversionLog, Document, sort_spans
from jinbench.formats.convert import CorpusSource, convert_corpus
from jinbench.scoring import schemes
from tests.helpers.corpora import GOOD, write

# Astral characters, an emoji of several code points, combining marks, white space of all kinds, traps for columns.
PIECES = ["天", "津", "港", "\U00020bb7", "\U0001f600", "\U0001f468\u200d\U0001f469", "e\u0301", "\t", "\n", "\r", " ",
          "\u3000", "\u2028", "\x85", "\x1c", "#", "O", "1", "\ufeff", "B-X", '"', "\\", ";", "\u200b"]  # fmt: skip
TYPES = ["PER", "地点", "a-b", "X Y"]


@st.composite
def documents(draw: st.DrawFn, nested: bool = True, grouped: bool = False) -> Document:
    text = "".join(draw(st.lists(st.sampled_from(PIECES), max_size=12)))
    spans = set()
    for _ in range(draw(st.integers(0, 4)) if text else 0):
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, len(text)))
        spans.add(Span(start, end, draw(st.sampled_from(TYPES)), text[start:end]))
    ordered = sort_spans(sorted(spans)) if nested else drop_overlaps(sort_spans(sorted(spans)))
    classes = tuple(draw(st.lists(st.sampled_from(["财经", "sport"]), unique=True)))
    id = draw(st.none() | st.text(string.ascii_letters + "-/.天", min_size=1, max_size=5))
    return Document(text, tuple(ordered), classes, id, draw(st.sampled_from(["d1", "d2"])) if grouped else None)


def drop_overlaps(spans: Sequence[Span]) -> list[Span]:
    """An independent implementation of the rule: by character, the first to begin, then the longest."""
    taken: dict[int, Span] = {}
    for span in sorted(spans, key=lambda s: (s.start, -s.end)):
        if not any(i in taken for i in range(span.start, span.end)):
            taken |= dict.fromkeys(range(span.start, span.end), span)
    return sorted(set(taken.values()))


corpora = st.lists(documents(), min_size=1, max_size=5)


def round_trip(
    name: str, corpus: Sequence[Document], folder: Path, **options: Any
) -> tuple[list[Document], ConversionLog]:
    """Write and read a corpus; return what was read, and the log of the writer."""
    format, log, scheme = registry.FORMATS[name], ConversionLog(), options.get("scheme", "BIO")
    path = folder / f"x{options.get('suffix', format.suffix)}"
    pieces = format.write(iter(corpus), log, **{"suffix": format.suffix, "scheme": scheme} | options)
    if format.is_folder:
        path.mkdir()
        for file, data in pieces:
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_bytes(data)
    else:
        path.write_bytes(b"".join(pieces))
    reading = ConversionLog()
    wanted = {key: value for key, value in options.items() if key in format.options}
    back = list(format.read(path, reading, **wanted))
    assert not reading.counts, [str(problem) for problem in (*reading.fatal, *reading.problems)]
    assert not reading.losses
    return back, log


def count_losses(log: ConversionLog) -> dict[str, int]:
    return {code: loss.count for code, loss in log.losses.items()}


def expect_losses(**counts: int) -> dict[str, int]:
    return {name.replace("_", "-"): count for name, count in counts.items() if count}


@given(corpora, st.booleans())
def test_cluener_says_all_but_classes(corpus: list[Document], grouped: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        corpus = [Document(d.text, d.spans, d.classes, d.id, "g" if grouped else None) for d in corpus]
        back, log = round_trip("cluener", corpus, Path(folder), group="article_id" if grouped else None)
    assert [(d.text, set(d.spans), d.id, d.group) for d in back] == [
        (d.text, set(d.spans), d.id, d.group) for d in corpus
    ]
    assert count_losses(log) == expect_losses(classes=sum(len(d.classes) for d in corpus))


@given(corpora)
def test_label_studio_says_all(corpus: list[Document]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        back, log = round_trip("labelstudio", corpus, Path(folder))
        rows = json.loads((Path(folder) / "x.json").read_text(encoding="utf-8"))
    assert [(d.text, set(d.spans), d.classes, d.id) for d in back] == [
        (d.text, set(d.spans), d.classes, d.id) for d in corpus
    ]
    assert not log.losses
    for row, document in zip(rows, corpus, strict=True):  # read as anyone would
        values = [result["value"] for result in row["annotations"][0]["result"] if result["type"] == "labels"]
        assert {(v["labels"][0], row["data"]["text"][v["start"] : v["end"]]) for v in values} == {
            (span.type, span.surface) for span in document.spans
        }


@given(corpora)
def test_doccano_says_all_and_counts_as_a_browser_does(corpus: list[Document]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        back, log = round_trip("doccano", corpus, Path(folder))
        rows = [json.loads(line) for line in (Path(folder) / "x.jsonl").read_bytes().split(b"\n") if line]
    both = bool(corpus[0].classes)
    expected = [d.classes if both or not d.spans else () for d in corpus]
    assert [(d.text, set(d.spans), d.classes, d.id) for d in back] == [
        (d.text, set(d.spans), classes, d.id) for d, classes in zip(corpus, expected, strict=True)
    ]
    assert count_losses(log) == expect_losses(classes=sum(len(d.classes) for d in corpus) - sum(map(len, expected)))
    for row, document in zip(rows, corpus, strict=True):
        units = row["text"].encode("utf-16-le")
        spans = [entry for entry in row.get("entities", row.get("label")) if isinstance(entry, list)]
        assert {(type, units[2 * a : 2 * b].decode("utf-16-le")) for a, b, type in spans} == {
            (span.type, span.surface) for span in document.spans
        }


@given(corpora)
def test_brat_says_all_but_classes_and_groups(corpus: list[Document]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        back, log = round_trip("brat", corpus, Path(folder))
        anns = sorted((Path(folder) / "x").rglob("*.ann"))
        for ann in anns:  # what brat asks for: the surface is what its pieces point at
            text = ann.with_suffix(".txt").read_bytes().decode("utf-8-sig")
            for line in filter(None, ann.read_bytes().decode().split("\n")):
                _, offsets, surface = line.split("\t")
                pieces = [tuple(map(int, pair.split())) for pair in offsets.partition(" ")[2].split(";")]
                assert len(surface) == sum(b - a for a, b in pieces) + len(pieces) - 1
                joined = " ".join(text[a:b] for a, b in pieces)
                assert re.sub(r"[\n\r\t]", " ", joined) == surface
    assert len(back) == len(anns) == len(corpus)
    names = {span.type for d in corpus for span in d.spans}

    def expected(d: Document) -> tuple[Any, ...]:
        return d.text, tuple(sorted({(s.start, s.end, s.type.replace(" ", "_")) for s in d.spans}))

    assert sorted(map(expected, back)) == sorted(map(expected, corpus))
    losses = count_losses(log)
    assert losses.pop("classes", 0) == sum(len(d.classes) for d in corpus)
    assert ("names" in losses) >= ("X Y" in names)
    assert losses.keys() <= {"names", "ids"}  # ids where two are one for a file system


@given(corpora, st.sampled_from([*schemes.SCHEMES]))
def test_columns_say_flat_spans_and_no_white_space(corpus: list[Document], scheme: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        back, log = round_trip("conll", corpus, Path(folder), scheme=scheme)
    non_empty = [d for d in corpus if d.text]
    texts = ["".join("\u2423" if c.isspace() or c == "\ufeff" else c for c in d.text) for d in non_empty]
    spans = [{(s.start, s.end, s.type.replace(" ", "_")) for s in drop_overlaps(d.spans)} for d in non_empty]
    assert [d.text for d in back] == texts
    assert [{span[:3] for span in d.spans} for d in back] == spans
    assert count_losses(log) == expect_losses(
        empty=len(corpus) - len(non_empty),
        overlaps=sum(len(d.spans) - len(drop_overlaps(d.spans)) for d in non_empty),
        ids=sum(d.id is not None for d in non_empty),
        classes=sum(len(d.classes) for d in non_empty),
        white_space=sum(
            a != b for d, text in zip(non_empty, texts, strict=True) for a, b in zip(d.text, text, strict=True)
        ),
        names=sum(s.type == "X Y" for d in non_empty for s in drop_overlaps(d.spans)),
    )


@given(corpora, st.sampled_from(["BIO", "BIOES", "BILOU"]))
def test_seqeval_reads_our_columns(corpus: list[Document], scheme: str) -> None:
    from seqeval.scheme import BILOU, IOB2, IOBES, Entities

    data = b"".join(conll.write(iter(corpus), ConversionLog(), scheme=scheme)).decode()
    blocks = [[line.split() for line in block.split("\n")] for block in data.split("\n\n") if block]
    theirs = {"BIO": IOB2, "BIOES": IOBES, "BILOU": BILOU}[scheme]
    entities = Entities([[tag for _, tag in block] for block in blocks], theirs)
    expected = [{(s.start, s.end, s.type.replace(" ", "_")) for s in drop_overlaps(d.spans)} for d in corpus if d.text]
    assert [{(e.start, e.end, e.tag) for e in sentence} for sentence in entities.entities] == expected


def aligned(document: Document) -> list[Span]:
    """The spans whose ends are no white space next to white space, nor a space behind another character."""
    text = document.text
    words = re.finditer(r"(?P<c>\S) ?|\s+", text)
    tokens = [(m.start(), m.start() + 1) if m["c"] else m.span() for m in words]
    starts, ends = {a for a, _ in tokens}, {b for _, b in tokens}
    return [span for span in document.spans if span.start in starts and span.end in ends]


@given(st.lists(documents(grouped=True), min_size=1, max_size=4), st.sampled_from([".spacy", ".json", ".jsonl"]))
def test_spacy_says_all(corpus: list[Document], suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        back, log = round_trip("spacy", corpus, Path(folder), suffix=suffix, group="article_id")
    expected = [d.spans if suffix == ".spacy" else aligned(d) for d in corpus]
    assert [(d.text, set(d.spans), set(d.classes), d.id, d.group) for d in back] == [
        (d.text, set(spans), set(d.classes), d.id, d.group) for d, spans in zip(corpus, expected, strict=True)
    ]
    assert count_losses(log) == expect_losses(alignment=sum(len(d.spans) for d in corpus) - sum(map(len, expected)))


@given(corpora)
def test_spacy_itself_reads_what_we_write(corpus: list[Document]) -> None:
    import spacy
    from spacy.tokens import Doc, DocBin

    from jinbench.formats import spacy as spacy_format

    data = b"".join(spacy_format.write(iter(corpus), ConversionLog()))
    of_bin = list(DocBin().from_bytes(data).get_docs(spacy.blank("zh").vocab))
    rows = json.loads(b"".join(spacy_format.write(iter(corpus), ConversionLog(), suffix=".json")))
    of_json = [Doc(spacy.blank("zh").vocab).from_json(row) for row in rows]
    for docs, spans_of in ((of_bin, lambda d: d.spans), (of_json, aligned)):
        for doc, document in zip(docs, corpus, strict=True):
            assert doc.text == document.text
            ents = {(e.start_char, e.end_char, e.label_) for e in doc.ents}
            assert ents == {span[:3] for span in drop_overlaps(spans_of(document))}
            every = {(s.start_char, s.end_char, s.label_) for spans in doc.spans.values() for s in spans}
            assert every | ents == {span[:3] for span in spans_of(document)}
            assert set(doc.cats) == set(document.classes)


def test_label_studio_of_any_project(tmp_path: Path) -> None:
    """Names of controls, several regions, a line break, a cancelled annotation, relations, JSON_MIN."""
    regions = [
        {"from_name": "ner", "to_name": "doc", "type": "labels", "id": "a",
         "value": {"start": 0, "end": 3, "text": "天\\n津", "labels": ["LOC", "CITY"]}},
        {"from_name": "what", "to_name": "doc", "type": "choices", "value": {"choices": ["news"]}},
        {"type": "relation", "from_id": "a", "to_id": "a", "direction": "right"},
        {"type": "rating", "value": {"rating": 3}},
    ]  # fmt: skip
    tasks = [
        {"id": 7, "data": {"title": "A long title that nobody labelled", "doc": "天\n津"},
         "annotations": [{"was_cancelled": True, "result": []}, {"result": regions}, {"result": []}]},
        {"id": 8, "data": {"doc": "𠮷港"}, "annotations": []},
    ]  # fmt: skip
    (tmp_path / "x.json").write_text(json.dumps(tasks), encoding="utf-8")
    log = ConversionLog()
    (first,) = registry.FORMATS["labelstudio"].read(tmp_path / "x.json", log)
    assert (first.id, first.text, first.classes) == ("7", "天\n津", ("news",))
    assert set(first.spans) == {Span(0, 3, "LOC", "天\n津"), Span(0, 3, "CITY", "天\n津")}
    assert count_losses(log) == {"relations": 1, "regions": 1, "annotations": 1, "unlabelled": 1, "fields": 1}


def test_doccano_in_all_its_forms(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "text": "😀天津", "label": [[2, 4, "LOC"]]},
        {"id": 2, "text": "😀天津", "entities": [{"id": 5, "label": "LOC", "start_offset": 2, "end_offset": 4}],
         "relations": [{"id": 1}], "Comments": []},
        {"id": 3, "text": "天津", "label": ["news", "local"]},
        {"id": 4, "text": "天津", "entities": [[0, 2, "LOC"]], "cats": ["news"]},
    ]  # fmt: skip
    path = write(tmp_path / "x.jsonl", *map(json.dumps, rows))
    log = ConversionLog()
    corpus = list(registry.FORMATS["doccano"].read(path, log))
    assert [[span.surface for span in d.spans] for d in corpus] == [["天津"], ["天津"], [], ["天津"]]
    assert [d.classes for d in corpus] == [(), (), ("news", "local"), ("news",)]
    assert count_losses(log) == {"relations": 1}
    assert "x.jsonl:1 and 1 more: a character outside the basic plane" in log.remarks[0]
    points = list(registry.FORMATS["doccano"].read(path, ConversionLog(), offsets="code-points"))
    assert [span.surface for span in points[0].spans] == []  # 2 to 4 is beyond the three code points


def test_brat_with_what_cannot_be_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("天津港\n很大", encoding="utf-8")
    lines = ["T1\tLOC 0 3\t天津港", "T2\tLOC 0 1;2 3\t天 港", "T3\tX 2 3;4 5\t港 很", "R1\tin Arg1:T1 Arg2:T3",
             "A1\tBig T1", "#1\tAnnotatorNotes T1\tfine", "*\tEquiv T1 T3"]  # fmt: skip
    (tmp_path / "a.ann").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("无", encoding="utf-8")
    log = ConversionLog()
    (document,) = registry.FORMATS["brat"].read(tmp_path, log)
    assert set(document.spans) == {Span(0, 3, "LOC", "天津港"), Span(2, 5, "X", "港\n很")}
    assert count_losses(log) == {"discontinuous": 1, "relations": 2, "attributes": 2, "unlabelled": 1}


def test_columns_of_others(tmp_path: Path) -> None:
    """Four columns, documents, comments, words, CRLF, a space as a token, numbers behind characters."""
    path = tmp_path / "x.txt"
    path.write_bytes(
        b"-DOCSTART- -X- O O\r\n\r\n# id = 1\r\nBig NN B-NP B-LOC\r\nBen NN I-NP I-LOC\r\n\r\nx X X O\r\n\r\n"
        b"-DOCSTART- -X- O O\r\n\r\ny X X S-LOC\r\n"
    )
    with pytest.raises(DataError, match="wrong-tags"):
        convert_corpus([CorpusSource(path)], "cluener", tmp_path / "y.jsonl")
    path.write_bytes(path.read_bytes().replace(b"S-LOC", b"B-LOC"))
    log = ConversionLog()
    corpus = list(conll.read(path, log, join=" "))
    assert [(d.text, d.group) for d in corpus] == [("Big Ben", "x.txt-D1"), ("x", "x.txt-D1"), ("y", "x.txt-D2")]
    assert corpus[0].spans == (Span(0, 7, "LOC", "Big Ben"),)
    assert count_losses(log) == {"comments": 1, "fields": 8}
    assert [what for _, what in log.losses["fields"].examples] == ["column 2: 'NN'", "column 3: 'B-NP'"]
    path.write_text("天0 B-LOC\n津1 I-LOC\n\n", encoding="utf-8")
    log = ConversionLog()
    assert [d.text for d in conll.read(path, log)] == ["天津"]
    assert count_losses(log) == {"numbers": 2}
    path.write_text("天 B-LOC\n  O\n\u3000 O\n", encoding="utf-8")
    assert [d.text for d in conll.read(path, ConversionLog())] == ["天 \u3000"]


def test_offsets_of_a_browser(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", '{"text": "😀天津", "label": {"LOC": {"天津": [[2, 3]]}}}')
    report = convert_corpus([CorpusSource(path)], "conll", tmp_path / "y.txt", reader_options={"offsets": "utf-16"})
    assert (report.counts, report.spans) == ({}, 1)
    half = write(tmp_path / "x.jsonl", '{"text": "😀天津", "label": {"LOC": {"?": [[1, 3]]}}}')
    assert convert_corpus(
        [CorpusSource(half)], "conll", tmp_path / "y.txt", reader_options={"offsets": "utf-16"}
    ).counts == {"span-outside-text": 1}


@pytest.mark.parametrize("name", [name for name in registry.FORMATS if name != "jinbench"])
def test_every_format_is_recognised(name: str, tmp_path: Path) -> None:
    good = write(tmp_path / "x.jsonl", GOOD, GOOD)
    format = registry.FORMATS[name]
    out = tmp_path / f"y{format.suffix}"
    convert_corpus([CorpusSource(good)], name, out)
    assert registry.detect_format(out).name == name
    back = convert_corpus([CorpusSource(out)], "cluener", tmp_path / "z.jsonl")
    assert (back.read, back.spans) == (name, 2)


def test_no_text_of_brat_is_laid_over_another(tmp_path: Path) -> None:
    """An id that is the number of another text."""
    rows = ['{"id": "000002", "text": "one", "label": []}', '{"text": "two", "label": []}']
    report = convert_corpus([CorpusSource(write(tmp_path / "x.jsonl", *rows))], "brat", tmp_path / "out")
    assert report.files == ("000002.ann", "000002.txt", "000002_.ann", "000002_.txt")
    assert {(tmp_path / "out" / name).read_text() for name in report.files} == {"one", "two", ""}
    assert not report.losses


def test_only_what_has_a_number_loses_it(tmp_path: Path) -> None:
    """After a whole batch of characters with numbers, a word without one."""
    lines = ["天0 O\n\n"] * conll.BATCH + ["abc O\n津12 O\n\n"]
    (tmp_path / "x.txt").write_text("".join(lines), encoding="utf-8")
    log = ConversionLog()
    assert list(conll.read(tmp_path / "x.txt", log))[-1].text == "abc津"
    assert count_losses(log) == {"numbers": conll.BATCH + 1}
