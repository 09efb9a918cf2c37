"""Conversion of corpora: round trips, logged losses, and other tools reading our files."""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jinbench.core.errors import DataError
from jinbench.formats import convert, registry
from jinbench.formats.base import LOSSES
from jinbench.formats.convert import ConversionReport, CorpusSource, convert_corpus
from tests.helpers.commands import run
from tests.helpers.corpora import GOOD, write
from tests.helpers.paths import ROOT

KEYS = ["text", "label", "data", "annotations", "result", "value", "type", "start", "end", "labels", "choices", "ents",
        "spans", "cats", "entities", "relations", "id", "tokens", "天津", "LOC", "was_cancelled"]  # fmt: skip
COLUMNS = ["天 B-LOC", "津 E-LOC", "", "港 S-LOC", ""]
# What is read, as which format, with what options: the code, and what the message says.
BAD = [
    (["天 B-LOC", "港 I-ORG"], "conll", {}, "wrong-tags", ["x.txt:2", "B-LOC I-ORG", "--repair", "begin", "drop"]),
    (["天 I-LOC"], "conll", {}, "wrong-tags", ["x.txt:1", "I-LOC"]),
    (COLUMNS, "conll", {}, "wrong-tags", ["E-LOC", "look like BIOES", "--scheme BIOES"]),
    (["天 B-LOC", "津 M-LOC", "港 E-LOC"], "conll", {}, "wrong-tags", ["--scheme BMES"]),
    (["天 B-LOC", "津 I-LOC", "港 O"], "conll", {"scheme": "BMES"}, "wrong-tags", ["look like BIO", "--scheme BIO"]),
    (["天 B_LOC"], "conll", {}, "wrong-tags", ["B_LOC", "O, or B-, I-"]),
    (["天 B-LOC"], "conll", {"scheme": "IOB9"}, "wrong-scheme", ["IOB9", "BMES"]),
    (["天 B-LOC"], "conll", {"repair": "guess"}, "wrong-scheme", ["guess", "begin"]),
    (["天 X O", "津 O", "", ""], "conll", {}, "wrong-shape", ["x.txt:2", "3 columns", "correct the line"]),
    (["天", "津"], "conll", {}, "wrong-shape", ["x.txt:1", "2 columns"]),
    ([], "conll", {}, "wrong-shape", ["an empty file"]),
    ([], "cluener", {}, "wrong-shape", ["an empty file"]),
    ([GOOD], "conll", {}, "wrong-shape", ["it looks like cluener", "--from cluener"]),
    (COLUMNS, "cluener", {}, "broken-json", ["x.txt:1", "it looks like conll"]),
    ([GOOD.replace("1]", "2]")], "doccano", {}, "wrong-shape", ["--from cluener"]),
    (['{"text": "天津", "label": [[0, 2, "LOC"]]}'], "cluener", {}, "wrong-shape", ["it looks like doccano"]),
    (["[", "]"], "cluener", {}, "broken-json", ["a JSON array"]),
    (["[]"], "labelstudio", {}, "wrong-shape", ["labels in the format labelstudio"]),
    (["{}"], "labelstudio", {}, "wrong-shape", ["a list of tasks", "export the project as JSON"]),
    (["{"], "labelstudio", {}, "broken-json", ["x.txt:2"]),
    ([GOOD], "spacy", {}, "wrong-shape", ["unlabelled", "it looks like cluener"]),
    ([GOOD], "cluener", {"group": "page"}, "wrong-shape", ["--group", "'page'", "fields here: text, label"]),
    (COLUMNS, "conll", {"group": "page"}, "format-unknown", ["--group", "a format that has it", "conll"]),
    ([GOOD], "cluener", {"scheme": "BMES"}, "format-unknown", ["--scheme", "--out-scheme"]),
    ([GOOD], "zip", {}, "format-unknown", ["--from", "cluener", "correct the name"]),
    (["text"], None, {}, "format-unknown", ["none of them with certainty", "--from FORMAT"]),
    ([GOOD], "brat", {}, "file-missing", ["a folder, as brat is"]),
]


@pytest.mark.parametrize(("lines", "origin", "options", "code", "parts"), BAD)
def test_bad_input_is_named(
    lines: list[str], origin: str | None, options: dict[str, str], code: str, parts: list[str], tmp_path: Path
) -> None:
    path = write(tmp_path / "x.txt", *lines)
    with pytest.raises(DataError) as caught:
        convert_corpus([CorpusSource(path)], "conll", tmp_path / "out", origin, True, options)
    assert code in [problem.code for problem in caught.value.problems], str(caught.value)
    for part in parts:
        assert part in str(caught.value), str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.txt"]


@pytest.mark.parametrize("origin", ["conll", "cluener", "doccano", "labelstudio", "spacy"])
def test_gb18030_is_named_for_every_file(origin: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes("天津 港口\n".encode("gb18030") * 3)
    with pytest.raises(DataError, match="iconv -f GB18030"):
        convert_corpus([CorpusSource(tmp_path / "x.json")], "conll", tmp_path / "out", origin)


def test_an_annotation_without_its_text(tmp_path: Path) -> None:
    write(tmp_path / "in.txt").parent.joinpath("in").mkdir()
    write(tmp_path / "in" / "a.ann", "T1\tLOC 0 2\t天津")
    with pytest.raises(DataError, match=r"a\.ann: file-missing\n  expected its text beside it: a\.txt"):
        convert_corpus([CorpusSource(tmp_path / "in")], "conll", tmp_path / "out")


def test_a_damaged_docbin(tmp_path: Path) -> None:
    (tmp_path / "x.spacy").write_bytes(b"x\x9cnothing")
    with pytest.raises(DataError, match="file-binary"):
        convert_corpus([CorpusSource(tmp_path / "x.spacy")], "conll", tmp_path / "out")


FAULTS = [
    ('{"text": "天津港", "label": {"LOC": {"天津": [[0, 2]]}}}', "span-text-differs", "seem to be exclusive"),
    ('{"text": "天津港", "label": {"LOC": {"天津": [[0, 5]]}}}', "span-outside-text", "0 <= start < end <= 3"),
    ('{"text": "天津港", "label": {"LOC": {"天津": [["0", 1]]}}}', "wrong-shape", "whole numbers"),
    ('{"text": "天津港", "label": {"LOC": {"天津": [3]}}}', "wrong-shape", "[[start, end], …]"),
    ('{"text": "\\ud800", "label": {}}', "wrong-shape", "half a surrogate pair"),
    ('{"text": "天津", "label": {}, "id": "\\ud800"}', "wrong-shape", "half a surrogate pair"),
    ('{"text": "天津", "label": {"\\ud800": {"天津": [[0, 1]]}}}', "wrong-shape", "half a surrogate pair"),
    ('{"text": 3, "label": {}}', "wrong-shape", "a text under"),
    ("{", "broken-json", "one JSON object"),
    ('{"text": "😀天津", "label": {"LOC": {"天津": [[2, 3]]}}}', "span-outside-text", "--offsets utf-16"),
]


@pytest.mark.parametrize(("line", "code", "part"), FAULTS)
def test_one_fault_is_told_and_the_rest_is_done(line: str, code: str, part: str, tmp_path: Path) -> None:
    path, out = write(tmp_path / "x.jsonl", GOOD, line, GOOD), tmp_path / "y.txt"
    with pytest.raises(DataError) as caught:
        convert_corpus([CorpusSource(path)], "conll", out, strict=True)
    assert (caught.value.problems[0].code, "x.jsonl:2" in caught.value.problems[0].location) == (code, True)
    assert not out.exists()
    report = convert_corpus([CorpusSource(path)], "conll", out)
    assert report.counts == {code: 1}
    assert part in str(report)
    assert "x.jsonl:2" in str(report)
    assert out.read_text(encoding="utf-8").count("天 B-LOC\n津 I-LOC\n港 O\n\n") == 2
    assert json.loads(json.dumps(report.to_dict()))["counts"] == {code: 1}


def test_the_losses_are_in_the_report(tmp_path: Path) -> None:
    row = {"id": 4, "text": "天津 港", "label": {"LOC": {"天津": [[0, 1]]}, "ORG": {"天津 港": [[0, 3]]}}}
    path = write(tmp_path / "x.jsonl", json.dumps(row, ensure_ascii=False), '{"text": "", "label": {}}')
    report = convert_corpus([CorpusSource(path)], "conll", tmp_path / "y.txt")
    assert {code: loss["count"] for code, loss in report.losses.items()} == {
        "empty": 1, "ids": 1, "overlaps": 1, "white-space": 1
    }  # fmt: skip
    for part in ("x.jsonl:1", "[0, 2) LOC", "[0, 4) ORG", "U+0020 at 2"):
        assert part in str(report)
    assert (report.texts, report.spans) == (2, 2)
    with pytest.raises(DataError) as caught:
        convert_corpus([CorpusSource(path)], "conll", tmp_path / "z.txt", strict=True)
    assert {problem.code for problem in caught.value.problems} == {"conversion-loses"}
    assert not (tmp_path / "z.txt").exists()


def test_repairs_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "x.txt", "天 O", "津 I-LOC", "港 I-LOC", "", "大 B-LOC", "")
    for repair, spans in (("begin", 2), ("drop", 1)):
        report = convert_corpus(
            [CorpusSource(path)], "cluener", tmp_path / "y.jsonl", reader_options={"repair": repair}
        )
        assert (report.spans, report.losses["repaired"]["count"]) == (spans, 1)
        assert "x.txt:2: O I-LOC I-LOC" in str(report)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 9)
    | st.floats()
    | st.sampled_from(["天津", "LOC", "", "labels", "choices"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
SOUND: dict[str, Any] = {
    "cluener": {"text": "天津港", "id": 1, "label": {"LOC": {"天津": [[0, 1]]}}},
    "doccano": {"text": "天津港", "label": [[0, 2, "LOC"], "news"], "cats": ["x"], "relations": [{}],
                "entities": [{"label": "LOC", "start_offset": 0, "end_offset": 2}]},
    "labelstudio": {"id": 1, "data": {"text": "天津港"}, "annotations": [{"was_cancelled": False, "result": [
        {"to_name": "text", "type": "labels", "value": {"start": 0, "end": 2, "text": "天津", "labels": ["LOC"]}},
        {"type": "hypertextlabels", "value": {"globalOffsets": {"start": 0}, "end": 2, "hypertextlabels": ["LOC"]}},
        {"type": "choices", "value": {"choices": ["news"]}}]}]},
    "spacy": {"text": "天津港", "ents": [{"start": 0, "end": 2, "label": "LOC"}], "cats": {"news": 1.0},
              "spans": {"sc": [{"start": 0, "end": 2, "label": "X", "kb_id": ""}]}},
}  # fmt: skip


def list_key_paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of keys to every value inside a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [prefix, *(path for key, item in inner for path in list_key_paths(item, (*prefix, key)))]


@settings(max_examples=400)
@given(st.sampled_from([*SOUND]), st.data(), VALUES, st.booleans())
def test_no_shape_of_json_brings_a_traceback(name: str, data: st.DataObject, value: Any, array: bool) -> None:
    """A sound text, and one in which something is something else."""
    spoiled = [json.loads(json.dumps(SOUND[name]))]
    inside: Any = spoiled
    *path, last = data.draw(st.sampled_from(list_key_paths(spoiled)[1:]))
    for key in path:
        inside = inside[key]
    inside[last] = value
    rows = [SOUND[name], *spoiled]
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "x.json", Path(folder) / "y.json"
        file.write_text(json.dumps(rows) if array else "\n".join(map(json.dumps, rows)), encoding="utf-8")
        for origin in (name, None):
            try:
                report = convert_corpus([CorpusSource(file)], "labelstudio", out, origin)
            except DataError:  # an array where lines are wanted, or the other way round; or detection is not sure
                continue
            assert 1 <= report.texts == len(json.loads(out.read_text(encoding="utf-8")))


def test_splits_become_a_folder_with_a_file_each(tmp_path: Path) -> None:
    good, other = write(tmp_path / "x.jsonl", GOOD, GOOD), write(tmp_path / "dev=1.jsonl", GOOD)
    named = [convert.parse_source(f"test={other}"), convert.parse_source(f"train={good}")]
    report = convert_corpus(named, "conll", tmp_path / "out")
    assert report.files == ("test.txt", "train.txt")
    assert (tmp_path / "out" / "train.txt").read_text(encoding="utf-8").count("\n\n") == 2
    assert convert_corpus(named, "brat", tmp_path / "b").files == tuple(
        f"{name}.{suffix}" for name in ("test/000001", "train/000001", "train/000002") for suffix in ("ann", "txt")
    )
    with pytest.raises(DataError, match="folder-taken"):
        convert_corpus(named, "conll", tmp_path / "out")
    with pytest.raises(DataError, match="split-mismatch"):
        convert_corpus([CorpusSource(good), *named], "conll", tmp_path / "other")
    assert convert.parse_source(str(other)) == CorpusSource(other)


def test_the_corpus_that_is_read_is_not_written_over(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", GOOD)
    (tmp_path / "link.jsonl").symlink_to(path)
    for out in (path, tmp_path / "link.jsonl"):
        with pytest.raises(DataError, match="the corpus that is read"):
            convert_corpus([CorpusSource(path)], "doccano", out)
    assert path.read_text(encoding="utf-8") == f"{GOOD}\n"
    convert_corpus([CorpusSource(path)], "doccano", tmp_path / "y.jsonl")
    convert_corpus([CorpusSource(path)], "doccano", tmp_path / "y.jsonl")  # what was made before is made again


def test_a_corpus_that_lost_all_its_labels_is_not_converted(tmp_path: Path) -> None:
    cluener = write(tmp_path / "x.jsonl", GOOD, GOOD)
    with pytest.raises(DataError, match="it looks like cluener: --from cluener"):
        convert_corpus([CorpusSource(cluener)], "conll", tmp_path / "out", "doccano")
    assert not (tmp_path / "out").exists()
    row = {"text": "天津", "label": [[0, 9, "LOC"]]}
    one = write(tmp_path / "y.jsonl", json.dumps(row), json.dumps(row | {"label": [[0, 2, "LOC"]]}))
    assert convert_corpus([CorpusSource(one)], "conll", tmp_path / "out", "doccano").spans == 1
    none = write(tmp_path / "z.jsonl", json.dumps(row | {"label": []}))  # that nothing is in it is said, too
    assert convert_corpus([CorpusSource(none)], "conll", tmp_path / "out", "doccano").texts == 1


def test_what_was_named_wrongly_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", GOOD)
    for arguments, message in (
        (([convert.parse_source(f"tset={path}")], "conll", tmp_path / "o"), "'tset' meant for a split"),
        (([CorpusSource(tmp_path)], "conll", tmp_path / "o"), "name the files in it"),
        (([CorpusSource(path)], "brat", path), "found    a file"),
    ):
        with pytest.raises(DataError, match=message):
            convert_corpus(*arguments)


def test_a_benchmark_made_says_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = write(tmp_path / "x.jsonl", *[GOOD] * 30), tmp_path / "my bench"
    code = run(["convert", str(path), "--from", "cluener", "--to", "jinbench", "--out", str(out)])
    output = capsys.readouterr().out
    assert code == 0
    assert f"Next: jinbench --root '{out}' verify" in output
    assert f"--out '{out}/baselines'" in output
    assert run(["--root", str(out), "verify"]) == 0
    assert run(["--root", str(out), "seeds", "check"]) == 1
    assert "made of a corpus (jinbench convert) has no pages" in capsys.readouterr().err


@pytest.mark.slow
def test_memory_does_not_grow_with_a_file_of_lines(tmp_path: Path) -> None:
    import tracemalloc

    peaks = []
    for copies in (10, 1_000, 5_000):  # the first imports what is used
        path = write(tmp_path / "x.jsonl", *[GOOD] * copies)
        tracemalloc.start()
        convert_corpus([CorpusSource(path)], "conll", tmp_path / "y.txt")
        convert_corpus([CorpusSource(tmp_path / "y.txt")], "doccano", tmp_path / "z.jsonl")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.2 * peaks[1] + 100_000


def test_a_report_says_when_nothing_is_lost(tmp_path: Path) -> None:
    report: ConversionReport = convert_corpus(
        [CorpusSource(write(tmp_path / "x.jsonl", GOOD))], "doccano", tmp_path / "y.jsonl"
    )
    assert str(report).endswith("Nothing was lost.")
    convert_corpus([CorpusSource(tmp_path / "y.jsonl")], "cluener", tmp_path / "z.jsonl", strict=True)
    assert (tmp_path / "z.jsonl").read_text(encoding="utf-8") == f"{GOOD}\n"


def test_every_loss_is_in_the_manual() -> None:
    manual = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([\w-]+)` \| ([^|]+) \|$", manual, re.MULTILINE) == [*LOSSES.items()]
    listed = re.findall(r"^\| `(\w+)` \|(?: [^|]*\|){5}$", manual, re.MULTILINE)
    assert listed == list(registry.FORMATS)


def test_two_benchmarks_are_not_laid_over_each_other(tmp_path: Path) -> None:
    """Each has a train of its own, for which there would be one file."""
    with pytest.raises(DataError, match="one benchmark, which has splits of its own"):
        convert_corpus([CorpusSource(ROOT), CorpusSource(ROOT / "dataset")], "conll", tmp_path / "out")
    both = convert_corpus(
        [CorpusSource(ROOT, "train"), CorpusSource(ROOT / "dataset", "test")], "conll", tmp_path / "out"
    )
    assert both.texts == 2 * 364
    written = [(tmp_path / "out" / name).read_bytes() for name in both.files]
    assert written[0] == written[1]


def test_an_empty_folder_that_is_there_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current one too, and one behind a link: they stay the folders that they are."""
    path, current, real = write(tmp_path / "x.jsonl", GOOD), tmp_path / "here", tmp_path / "real"
    current.mkdir()
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    monkeypatch.chdir(current)
    for out in (Path(), tmp_path / "link"):
        convert_corpus([CorpusSource(path)], "brat", out)
    names = ["000001.ann", "000001.txt"]
    assert [sorted(entry.name for entry in folder.iterdir()) for folder in (current, real)] == [names, names]


def test_numbers_without_end_are_no_offsets(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.txt", "hello")
    write(tmp_path / "in" / "a.ann", f"T1\tX 0 {'9' * 5000}\thello")
    assert convert_corpus([CorpusSource(tmp_path / "in")], "conll", tmp_path / "x.txt").counts == {"wrong-shape": 1}
