"""Prediction files of an entry: what is accepted, what is refused, and with which message."""

import gzip
import json
import os
import pickle
import random
import subprocess
import sys
import time
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from jinbench.cli import common
from jinbench.core import files, jsonl
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem, shorten
from jinbench.dataset import load
from jinbench.dataset.gold import read_task_gold
from jinbench.leaderboard import entries, entry_format, submission
from jinbench.scoring import predictions, score
from jinbench.scoring.gold import LEADERBOARD_SPLITS, TASKS
from tests.helpers.entries import (
    DATE,
    FIRST,
    GOOD,
    SECOND,
    THIRD,
    entry_problems,
    line_with,
    system_with,
    write_entry,
)
from tests.helpers.paths import ROOT

BAD: list[tuple[str, str | bytes, str, list[str]]] = [
    ("duplicate id", line_with(DATE) + line_with(DATE), "duplicate-id", [":2", "b-L5-S1 also at ", "keep one"]),
    ("unknown id", line_with(DATE, id="nobody"), "unknown-id", [":1", "'nobody'", "items of ner/test"]),
    ("no id", '{"spans": []}', "unknown-id", ["no id"]),
    ("an id that is a number", '{"id": 5, "spans": []}', "unknown-id", ["found    5"]),
    (
        "an id of another split",
        line_with(DATE, id="a-L5-S1"),
        "unknown-id",
        ["'a-L5-S1', an item of ner/train", "folds"],
    ),
    ("an id of another task", line_with(DATE, id="b-L3"), "unknown-id", ["an item of sector/test", "the task sector?"]),
    ("an id of another config", line_with(id="b-L3-S1@width-1"), "unknown-id", ["an item of ner_noisy/test"]),
    ("another task", '{"id": "b-L3", "sectors": ["port"]}', "wrong-task", ["fields 'id, sectors'", "the other task?"]),
    ("two tasks", line_with(DATE, sectors=[]), "wrong-task", ["no 'sectors'"]),
    ("tags under an unknown id", '{"id": "nobody", "tags": ["O"]}', "unknown-id", ["'nobody'"]),
    ("tags and spans", line_with(DATE, tags=["O"] * 25), "wrong-shape", ["one of the two", "'tags' and 'spans'"]),
    ("tags and sectors", '{"id": "b-L5-S1", "tags": ["O"], "sectors": []}', "wrong-task", ["no 'sectors'"]),
    ("labels that are no list", '{"id": "b-L3-S1", "spans": {}}', "wrong-task", ["'spans': {}"]),
    ("out of range", line_with((21, 26, "DATE")), "span-outside-text", ["0 <= start < end <= 25", "[21, 26)"]),
    ("negative", line_with((-2, 2, "DATE")), "span-outside-text", ["[-2, 2)", "from 0"]),
    ("empty", line_with((2, 2, "DATE")), "span-outside-text", ["[2, 2), which is empty"]),
    ("backwards", line_with((5, 3, "DATE")), "span-outside-text", ["[5, 3)"]),
    ("fractions", line_with((3.0, 5.0, "DATE")), "span-outside-text", ["[3.0, 5.0)", "write 3, not 3.0"]),
    ("words for numbers", line_with(("3", "5", "DATE")), "span-outside-text", ["whole numbers", "['3', '5')"]),
    ("truth for numbers", line_with((False, True, "DATE")), "span-outside-text", ["[False, True)"]),
    (
        "too large for a float",
        line_with((0, 1, "DATE")).replace('"end": 1', '"end": 1e999'),
        "span-outside-text",
        ["inf"],
    ),
    ("overlapping", line_with((3, 5, "DATE"), (4, 6, "DATE")), "spans-overlap", ["(3, 5, ", "keep one of the two"]),
    ("twice", line_with(DATE, DATE), "spans-overlap", ["each span once", "more than once"]),
    ("more spans than characters", line_with(*[DATE] * 26), "spans-overlap", ["25 spans or fewer", "26 spans"]),
    (
        "unknown label",
        line_with((3, 5, "PLANET")),
        "unknown-label",
        ["one of PLACE, DATE, QUANTITY", "use one of these"],
    ),
    ("a label in a list", line_with((3, 5, ["DATE"])), "unknown-label", ["['DATE']"]),
    ("spans as triples", '{"id": "b-L5-S1", "spans": [[3, 5, "DATE"]]}', "wrong-shape", ["give each span its start"]),
    ("NaN", line_with(DATE, score=float("nan")), "broken-json", [":1", "NaN, which JSON does not have", "finite"]),
    ("infinity", line_with(DATE, score=float("-inf")), "broken-json", ["-Infinity, which JSON"]),
    ("a field twice", '{"id": "b-L5-S1", "spans": [], "spans": []}', "broken-json", ["'spans' twice"]),
    ("broken lines", "{]\n" + line_with(DATE) + "{]\n", "broken-json", [":1", ":3"]),
    ("a thousand digits", line_with(DATE).replace("3,", "3" * 5000 + ","), "broken-json", ["one JSON object"]),
    ("layers", '{"id": "b-L5-S1", "spans": ' + "[" * 100_000, "broken-json", ["one JSON object"]),
    ("an array", json.dumps([FIRST, SECOND]), "broken-json", ["a JSON array", "json.load(sys.stdin)", "lines.jsonl"]),
    (
        "indented",
        json.dumps(FIRST, indent=1),
        "broken-json",
        ["a JSON object over several lines", "on a line of its own"],
    ),
    ("comma-separated", "id,start,end\n" + "b-L3-S1,3,5\n" * 5, "broken-json", [":2", ":6", "write one JSON object"]),
    ("random bytes", random.Random(0).randbytes(5000), "file-binary", ["looks binary", "write it as text"]),
    ("a pickle", pickle.dumps([FIRST]), "file-binary", ["a pickle: the file looks binary"]),
    ("packed", gzip.compress(GOOD.encode()), "file-binary", ["a gzip file", "unpack it first: gunzip predictions"]),
    ("a NUL byte", GOOD.encode() + b"\0", "file-binary", [":4", "a NUL byte"]),
    ("UTF-16", GOOD.encode("utf-16"), "file-binary", ["text in UTF-16", "iconv -f UTF-16"]),
    (
        "GB 18030",
        line_with(DATE, note="天津港").encode() + '{"天津'.encode("gb18030"),
        "not-utf8",
        [":2", "iconv -f GB"],
    ),
]


@pytest.mark.parametrize(("text", "code", "says"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_invalid_prediction_files_are_refused_with_code_and_place(
    text: str | bytes, code: str, says: list[str], stable: Benchmark, tmp_path: Path
) -> None:
    result = entry_problems(stable, write_entry(tmp_path, predictions__jsonl=text))
    assert {problem.code for problem in result} == {code}
    output = "\n".join(map(str, result))
    assert "predictions.jsonl" in output
    for part in says:
        assert part in output, output


def test_zip_archive_is_refused(stable: Benchmark, tmp_path: Path) -> None:
    made = write_entry(tmp_path)
    with zipfile.ZipFile(made / "predictions.jsonl", "w") as archive:
        archive.writestr("predictions.jsonl", GOOD)
    (result,) = entry_problems(stable, made)
    assert (result.code, result.fix) == ("file-binary", "unpack it first: unzip predictions.jsonl")


@pytest.mark.parametrize("name", ["predictions.jsonl", "system.toml"])
def test_huge_file_is_refused_without_reading_it(name: str, stable: Benchmark, tmp_path: Path) -> None:
    made = write_entry(tmp_path)
    os.truncate(made / name, 10 * 2**30)
    start = time.process_time()
    (result,) = entry_problems(stable, made)
    assert time.process_time() - start < 5
    assert (result.code, result.found) == ("file-too-big", "10,737,418,240 bytes")


def test_size_limit_is_far_above_real_predictions(real: Benchmark) -> None:
    for task, splits in LEADERBOARD_SPLITS.items():
        for split in splits:
            gold = read_task_gold(real, task, split)
            rows = predictions.to_rows(task, zip(gold.ids, gold.labels, strict=True))
            talkative = [row | {"text": text, "tokens": list(text)} for row, text in zip(rows, gold.texts, strict=True)]
            assert 10 * len(json.dumps(talkative)) < predictions.size_limit(gold) < 2**27


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        b"\n \n" + GOOD.replace("\n", "\n\n").encode(),
        GOOD.rstrip().encode(),
        json.dumps(FIRST).encode() + b"\n" + files.dump_jsonl([SECOND | {"model": "x"}, THIRD]).encode(),
    ],
    ids=["a byte order mark", "line ends of Windows", "blank lines", "no end of line", "escapes, and a field more"],
)
def test_byte_order_mark_line_ends_and_blank_lines_are_accepted(text: bytes, stable: Benchmark, tmp_path: Path) -> None:
    (part,) = submission.check_entry(stable, write_entry(tmp_path, predictions__jsonl=text)).files
    assert part.missing == 0
    assert part.predictions == predictions.read_predictions(
        write_entry(tmp_path, "other") / "predictions.jsonl", part.gold
    )
    assert part.predictions["b-L5-S1"] == {(0, 3, "PLACE")}


LATE = {"id": "b-L5-S1", "spans": [{"start": 0, "end": 3, "type": "PLACE"}, {"start": 21, "end": 24, "type": "DATE"}]}
LAST = {
    "id": "b-L5-S2",
    "spans": [{"start": 4, "end": 8, "type": "QUANTITY"}, {"start": 11, "end": 12, "type": "DATE"}],
}
OF_BYTES, OF_UTF_16 = (lambda text: len(text.encode())), (lambda text: len(text.encode("utf-16-le")) // 2)


def counted(benchmark: Benchmark, row: dict[str, Any], count: Any = len, surface: bool = True) -> dict[str, Any]:
    """A line of predictions whose offsets count something else."""
    gold = read_task_gold(benchmark, "ner", "test")
    text = gold.texts[gold.ids.index(row["id"])]
    result = []
    for span in row["spans"]:
        ends = {key: count(text[: span[key]]) for key in ("start", "end")}
        result.append(span | ends | ({"surface": text[span["start"] : span["end"]]} if surface else {}))
    return {"id": row["id"], "spans": result}


@pytest.mark.parametrize("surface", [True, False])
@pytest.mark.parametrize(
    ("name", "count", "given"),
    [("bytes of UTF-8", OF_BYTES, [LATE]), ("UTF-16 units", OF_UTF_16, [LATE, LAST])],
)
def test_offsets_in_other_units_are_recognised(
    name: str, count: Any, given: list[dict[str, Any]], surface: bool, stable: Benchmark, tmp_path: Path
) -> None:
    rows = [counted(stable, row, count, surface) for row in given]
    result = entry_problems(stable, write_entry(tmp_path, predictions__jsonl=files.dump_jsonl(rows)))
    assert all(f"offsets count {name}: " in problem.fix for problem in result), result
    rows[0]["spans"][0]["end"] = 99  # one span that is not so, and nothing is known
    result = entry_problems(stable, write_entry(tmp_path, "other", predictions__jsonl=files.dump_jsonl(rows)))
    assert not any("every span of the file" in problem.fix for problem in result)


@pytest.mark.parametrize(
    ("name", "move"),
    [
        ("code points with the end inclusive", (0, -1)),
        ("code points from 1", (1, 1)),
        ("code points from 1 with the end inclusive", (1, 0)),
    ],
)
def test_offsets_from_one_or_with_inclusive_end_are_recognised(
    name: str, move: tuple[int, int], stable: Benchmark, tmp_path: Path
) -> None:
    row = counted(stable, LATE)
    for span in row["spans"]:
        span["start"], span["end"] = span["start"] + move[0], span["end"] + move[1]
    result = entry_problems(stable, write_entry(tmp_path, predictions__jsonl=files.dump_jsonl([row])))
    assert {problem.code for problem in result} == {"span-text-differs"}
    assert all(f"offsets count {name}: " in problem.fix for problem in result)


def test_offset_shift_is_not_guessed_without_surfaces(stable: Benchmark, tmp_path: Path) -> None:
    """One past the end would fit if offsets began at 1: that says nothing."""
    (result,) = entry_problems(stable, write_entry(tmp_path, predictions__jsonl=line_with((24, 26, "DATE"))))
    assert result.fix == "offsets count Unicode code points of the text from 0, the end is exclusive"


SECTORS = system_with("task", '"sector"')
BAD_SECTORS = [
    ('"sectors": ["port", "port"]', "wrong-shape", "each sector once"),
    ('"sectors": ["port", "water", "general", "port"]', "wrong-shape", "3 sectors or fewer"),
    ('"sectors": ["space"]', "unknown-label", "one of port, water, general"),
    ('"sectors": ["space"]', "unknown-label", "try      use one of these labels"),
    ('"sectors": [], "scores": {"space": 1}', "unknown-label", "try      use one of these labels"),
    ('"sectors": [["port"]]', "unknown-label", "['port']"),
    ('"sectors": [], "scores": {"port": NaN}', "broken-json", "NaN"),
    ('"sectors": [], "scores": {"port": 1e999}', "wrong-shape", "a finite number for 'port'"),
    ('"sectors": [], "scores": {"port": ' + "9" * 400 + "}", "wrong-shape", "a finite number for 'port'"),
    ('"sectors": [], "scores": {"port": "0.5"}', "wrong-shape", "'0.5'"),
    ('"sectors": [], "scores": {"port": true}', "wrong-shape", "True"),
    ('"sectors": [], "scores": {"space": 0.5}', "unknown-label", "'space'"),
    ('"sectors": [], "scores": [0.5]', "wrong-shape", "give a number for each sector"),
    ('"spans": []', "wrong-task", "a list 'sectors'"),
]


@pytest.mark.parametrize(("fields", "code", "says"), BAD_SECTORS)
def test_invalid_sectors_are_refused(fields: str, code: str, says: str, stable: Benchmark, tmp_path: Path) -> None:
    result = entry_problems(
        stable, write_entry(tmp_path, system=SECTORS, predictions__jsonl=f'{{"id": "b-L3", {fields}}}')
    )
    assert [problem.code for problem in result] == [code]
    assert says in str(result[0])


def test_scores_of_sectors_are_read(stable: Benchmark, tmp_path: Path) -> None:
    text = '{"id": "b-L3", "sectors": [], "scores": {"port": 0.5, "water": 2}}\n{"id": "b-L5", "sectors": ["port"]}'
    (part,) = submission.check_entry(stable, write_entry(tmp_path, system=SECTORS, predictions__jsonl=text)).files
    assert part.predictions == {"b-L3": frozenset(), "b-L5": {("port",)}}
    assert part.predictions.scores == {"b-L3": {"port": 0.5, "water": 2.0}}


def test_reading_ends_after_the_maximum_of_problems(stable: Benchmark, tmp_path: Path) -> None:
    result = entry_problems(stable, write_entry(tmp_path, predictions__jsonl="{}\n" * (jsonl.MAX_PROBLEMS + 500)))
    assert len(result) == jsonl.MAX_PROBLEMS + 1
    assert result[-1].location.endswith(f":{jsonl.MAX_PROBLEMS}")
    assert "were not read" in result[-1].fix


# ---- arbitrary input ------------------------------------------------------------------------------------------

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OFFSETS = st.integers(-2, 30) | PLAIN
SPAN = st.fixed_dictionaries(
    {"start": OFFSETS, "end": OFFSETS, "type": st.sampled_from(["PLACE", "DATE"]) | PLAIN},
    optional={"surface": st.text(max_size=3) | PLAIN},
)
LINE = st.fixed_dictionaries(
    {"id": st.sampled_from(["b-L3-S1", "b-L5-S1", "b-L5-S2", "b-L3", "a-L5-S1"]) | PLAIN},
    optional={
        "spans": st.lists(SPAN | PLAIN, max_size=4) | PLAIN,
        "sectors": st.lists(st.sampled_from(["port", "water"]) | PLAIN, max_size=4) | PLAIN,
        "scores": st.dictionaries(st.sampled_from(["port", "water"]) | st.text(max_size=3), PLAIN, max_size=3) | PLAIN,
    },
)


def read_or_refuse(benchmark: Benchmark, task: str, path: Path) -> predictions.Predictions | None:
    """What is read, or None where it is refused in words that a terminal and a file can take."""
    gold = read_task_gold(benchmark, task, "test")
    try:
        return predictions.read_predictions(path, gold, partial(load.locate_ids, benchmark))
    except DataError as error:
        output = common.format_problems(error.problems)
        common.problems_as_json(error.problems).encode()
    assert "expected " in output
    return None


@settings(max_examples=150)
@given(data=st.binary(max_size=300), task=st.sampled_from(TASKS))
def test_arbitrary_bytes_are_read_or_refused(
    data: bytes, task: str, stable: Benchmark, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-bytes.jsonl"
    path.write_bytes(data)
    read_or_refuse(stable, task, path)
    with pytest.raises(DataError):
        entries.read_entry(stable, write_entry(tmp_path_factory.mktemp("any"), system=data.decode("utf-8", "replace")))


@pytest.mark.slow
@settings(max_examples=300)
@given(rows=st.lists(LINE | PLAIN, max_size=4), task=st.sampled_from(TASKS))
def test_arbitrary_json_is_read_or_refused(
    rows: list[Any], task: str, stable: Benchmark, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Either it is refused, or every line of it is what the schema allows, and it can be scored."""
    path = tmp_path_factory.getbasetemp() / "any-json.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = read_or_refuse(stable, task, path)
    if result is None:
        return
    validator = Draft202012Validator(entry_format.build_schema(stable, task))
    for row in rows:
        assert list(validator.iter_errors(row)) == []
    assert score.score_predictions(read_task_gold(stable, task, "test"), result).items - len(result) >= 0


def test_values_without_a_repr_are_abbreviated() -> None:
    layers: list[Any] = []
    for _ in range(100_000):
        layers = [layers]
    assert shorten(layers) == "a list in many layers"
    output = common.problems_as_json([Problem("unknown-id", location="\udcff.jsonl", expected="x", found="y", fix="z")])
    assert json.loads(output.encode())["problems"][0]["location"] == "\udcff.jsonl"


def test_lone_surrogate_is_refused_without_traceback(stable: Benchmark, tmp_path: Path) -> None:
    made = write_entry(tmp_path, predictions__jsonl='{"id": "\\ud800", "spans": []}\n{"\\udfff": 1}')
    done = subprocess.run(
        [sys.executable, "-m", "jinbench", "--root", str(stable.root), "submit", str(made), "--dry-run", "--json"],
        capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8:strict"},
    )  # fmt: skip
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert len(json.loads(done.stdout)["problems"]) == 2
