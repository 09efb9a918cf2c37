"""Entries: what is taken, what is refused and how that is said, and that nothing is ever half in its place."""

import gzip
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from jinbench.cli import common
from jinbench.core import files, jsonl, schemas
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import IN_TERMINAL, MANY, DataError, Problem, shorten
from jinbench.dataset import load
from jinbench.dataset.gold import read_task_gold
from jinbench.leaderboard import entries, entry_format, submission
from jinbench.scoring import predictions, score
from jinbench.scoring.gold import LEADERBOARD_SPLITS, TASKS
from tests.helpers.benchmarks import create_mini_benchmark
from tests.helpers.commands import contents, run
from tests.helpers.paths import ROOT
from tests.helpers.recipes import add_crosswalk

SYSTEM = """
name = "Mine"
who = "Somebody"
link = "https://example.org/mine"
trained_on = "train"
saw_test_articles = "no"
data = "1.0.0"
task = "ner"
split = "test"
"""
FIRST = {"id": "b-L3-S1", "spans": [{"start": 3, "end": 5, "type": "DATE", "surface": "今年"}]}
SECOND = {"id": "b-L5-S1", "spans": [{"start": 0, "end": 3, "type": "PLACE", "surface": "天津港"}]}
THIRD: dict[str, Any] = {"id": "b-L5-S2", "spans": []}  # its first character lies outside the basic plane
GOOD = files.dump_jsonl([FIRST, SECOND, THIRD])


@pytest.fixture(scope="session")
def stable(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """The three-page world with crosswalks and its dataset. Tests only read it."""
    return add_crosswalk(create_mini_benchmark(tmp_path_factory.mktemp("stable") / "mini"))


def folder(tmp_path: Path, name: str = "mine", system: str = SYSTEM, **written: str | bytes) -> Path:
    """A folder to enter; `written` are files, with a double underscore for a dot and single ones for dashes."""
    made = tmp_path / name
    made.mkdir(parents=True)
    (made / "system.toml").write_text(system)
    for key, text in (written or {"predictions__jsonl": GOOD}).items():
        path = made / key.replace("__", ".").replace("_", "-")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return made


def problems(benchmark: Benchmark, made: Path) -> list[Problem]:
    with pytest.raises(DataError) as caught:
        submission.check_entry(benchmark, made)
    return list(caught.value.problems)


def with_field(field: str, value: str) -> str:
    """The system.toml with a field as given, or without it."""
    kept = [line for line in SYSTEM.splitlines() if not line.startswith(f"{field} ")]
    return "\n".join([*kept, f"{field} = {value}" if value else ""])


def spans(*found: tuple[Any, Any, Any], id: str = "b-L5-S1", **more: Any) -> str:
    rows = [{"start": start, "end": end, "type": type} for start, end, type in found]
    return json.dumps({"id": id, "spans": rows, **more}) + "\n"


# ---- what is wrong with a file of predictions -----------------------------------------------------------------

DATE = (3, 5, "DATE")
BAD: list[tuple[str, str | bytes, str, list[str]]] = [
    ("duplicate id", spans(DATE) + spans(DATE), "duplicate-id", [":2", "b-L5-S1 also at ", "keep one"]),
    ("unknown id", spans(DATE, id="nobody"), "unknown-id", [":1", "'nobody'", "items of ner/test"]),
    ("no id", '{"spans": []}', "unknown-id", ["no id"]),
    ("an id that is a number", '{"id": 5, "spans": []}', "unknown-id", ["found    5"]),
    ("an id of another split", spans(DATE, id="a-L5-S1"), "unknown-id", ["'a-L5-S1', an item of ner/train", "folds"]),
    ("an id of another task", spans(DATE, id="b-L3"), "unknown-id", ["an item of sector/test", "the task sector?"]),
    ("an id of another config", spans(id="b-L3-S1@width-1"), "unknown-id", ["an item of ner_noisy/test"]),
    ("another task", '{"id": "b-L3", "sectors": ["port"]}', "wrong-task", ["fields 'id, sectors'", "the other task?"]),
    ("two tasks", spans(DATE, sectors=[]), "wrong-task", ["no 'sectors'"]),
    ("tags under an unknown id", '{"id": "nobody", "tags": ["O"]}', "unknown-id", ["'nobody'"]),
    ("tags and spans", spans(DATE, tags=["O"] * 25), "wrong-shape", ["one of the two", "'tags' and 'spans'"]),
    ("tags and sectors", '{"id": "b-L5-S1", "tags": ["O"], "sectors": []}', "wrong-task", ["no 'sectors'"]),
    ("labels that are no list", '{"id": "b-L3-S1", "spans": {}}', "wrong-task", ["'spans': {}"]),
    ("out of range", spans((21, 26, "DATE")), "span-outside-text", ["0 <= start < end <= 25", "[21, 26)"]),
    ("negative", spans((-2, 2, "DATE")), "span-outside-text", ["[-2, 2)", "from 0"]),
    ("empty", spans((2, 2, "DATE")), "span-outside-text", ["[2, 2), which is empty"]),
    ("backwards", spans((5, 3, "DATE")), "span-outside-text", ["[5, 3)"]),
    ("fractions", spans((3.0, 5.0, "DATE")), "span-outside-text", ["[3.0, 5.0)", "write 3, not 3.0"]),
    ("words for numbers", spans(("3", "5", "DATE")), "span-outside-text", ["whole numbers", "['3', '5')"]),
    ("truth for numbers", spans((False, True, "DATE")), "span-outside-text", ["[False, True)"]),
    ("too large for a float", spans((0, 1, "DATE")).replace('"end": 1', '"end": 1e999'), "span-outside-text", ["inf"]),
    ("overlapping", spans((3, 5, "DATE"), (4, 6, "DATE")), "spans-overlap", ["(3, 5, ", "keep one of the two"]),
    ("twice", spans(DATE, DATE), "spans-overlap", ["each span once", "more than once"]),
    ("more spans than characters", spans(*[DATE] * 26), "spans-overlap", ["25 spans or fewer", "26 spans"]),
    ("unknown label", spans((3, 5, "PLANET")), "unknown-label", ["one of PLACE, DATE, QUANTITY", "use one of these"]),
    ("a label in a list", spans((3, 5, ["DATE"])), "unknown-label", ["['DATE']"]),
    ("spans as triples", '{"id": "b-L5-S1", "spans": [[3, 5, "DATE"]]}', "wrong-shape", ["give each span its start"]),
    ("NaN", spans(DATE, score=float("nan")), "broken-json", [":1", "NaN, which JSON does not have", "finite"]),
    ("infinity", spans(DATE, score=float("-inf")), "broken-json", ["-Infinity, which JSON"]),
    ("a field twice", '{"id": "b-L5-S1", "spans": [], "spans": []}', "broken-json", ["'spans' twice"]),
    ("broken lines", "{]\n" + spans(DATE) + "{]\n", "broken-json", [":1", ":3"]),
    ("a thousand digits", spans(DATE).replace("3,", "3" * 5000 + ","), "broken-json", ["one JSON object"]),
    ("layers", '{"id": "b-L5-S1", "spans": ' + "[" * 100_000, "broken-json", ["one JSON object"]),
    ("an array", json.dumps([FIRST, SECOND]), "broken-json", ["a JSON array", "json.load(sys.stdin)", "lines.jsonl"]),
    ("indented", json.dumps(FIRST, indent=1), "broken-json", ["goes on over several lines", "on a line of its own"]),
    ("comma-separated", "id,start,end\n" + "b-L3-S1,3,5\n" * 5, "broken-json", [":2", ":6", "write one JSON object"]),
    ("random bytes", random.Random(0).randbytes(5000), "file-binary", ["looks binary", "write it as text"]),
    ("a pickle", pickle.dumps([FIRST]), "file-binary", ["a pickle: the file looks binary"]),
    ("packed", gzip.compress(GOOD.encode()), "file-binary", ["a gzip file", "unpack it first: gunzip predictions"]),
    ("a NUL byte", GOOD.encode() + b"\0", "file-binary", [":4", "a NUL byte"]),
    ("UTF-16", GOOD.encode("utf-16"), "file-binary", ["text in UTF-16", "iconv -f UTF-16"]),
    ("GB 18030", spans(DATE, note="天津港").encode() + '{"天津'.encode("gb18030"), "not-utf8", [":2", "iconv -f GB"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "says"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_what_is_wrong_is_named(
    text: str | bytes, code: str, says: list[str], stable: Benchmark, tmp_path: Path
) -> None:
    found = problems(stable, folder(tmp_path, predictions__jsonl=text))
    assert {problem.code for problem in found} == {code}
    said = "\n".join(map(str, found))
    assert "predictions.jsonl" in said
    for part in says:
        assert part in said, said


def test_a_zip_archive(stable: Benchmark, tmp_path: Path) -> None:
    made = folder(tmp_path)
    with zipfile.ZipFile(made / "predictions.jsonl", "w") as archive:
        archive.writestr("predictions.jsonl", GOOD)
    (found,) = problems(stable, made)
    assert (found.code, found.fix) == ("file-binary", "unpack it first: unzip predictions.jsonl")


@pytest.mark.parametrize("name", ["predictions.jsonl", "system.toml"])
def test_ten_gigabytes_are_refused_unread(name: str, stable: Benchmark, tmp_path: Path) -> None:
    made = folder(tmp_path)
    os.truncate(made / name, 10 * 2**30)
    start = time.monotonic()
    (found,) = problems(stable, made)
    assert time.monotonic() - start < 5
    assert (found.code, found.found) == ("file-too-big", "10,737,418,240 bytes")


def test_what_has_no_size_is_read_up_to_the_limit(tmp_path: Path) -> None:
    """A pipe that never ends."""
    os.mkfifo(tmp_path / "endless")
    writer = subprocess.Popen(["sh", "-c", f"exec yes > '{tmp_path}/endless'"])
    found: list[Problem] = []
    try:
        rows = list(jsonl.stream_rows(tmp_path / "endless", found, limit=1000))
    finally:
        writer.kill()
        writer.wait()
    assert rows == []
    assert (found[-1].code, found[-1].expected) == ("file-too-big", "1,000 bytes or fewer")


def test_the_limit_is_far_from_any_sane_submission(real: Benchmark) -> None:
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
def test_what_editors_do_to_a_file_is_taken(text: bytes, stable: Benchmark, tmp_path: Path) -> None:
    (part,) = submission.check_entry(stable, folder(tmp_path, predictions__jsonl=text)).files
    assert part.missing == 0
    assert part.predictions == predictions.read_predictions(folder(tmp_path, "other") / "predictions.jsonl", part.gold)
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
    found = []
    for span in row["spans"]:
        ends = {key: count(text[: span[key]]) for key in ("start", "end")}
        found.append(span | ends | ({"surface": text[span["start"] : span["end"]]} if surface else {}))
    return {"id": row["id"], "spans": found}


@pytest.mark.parametrize("surface", [True, False])
@pytest.mark.parametrize(
    ("name", "count", "given"),
    [("bytes of UTF-8", OF_BYTES, [LATE]), ("UTF-16 units", OF_UTF_16, [LATE, LAST])],
)
def test_offsets_that_count_something_else(
    name: str, count: Any, given: list[dict[str, Any]], surface: bool, stable: Benchmark, tmp_path: Path
) -> None:
    rows = [counted(stable, row, count, surface) for row in given]
    found = problems(stable, folder(tmp_path, predictions__jsonl=files.dump_jsonl(rows)))
    assert all(f"offsets count {name}: " in problem.fix for problem in found), found
    rows[0]["spans"][0]["end"] = 99  # one span that is not so, and nothing is known
    found = problems(stable, folder(tmp_path, "other", predictions__jsonl=files.dump_jsonl(rows)))
    assert not any("every span of the file" in problem.fix for problem in found)


@pytest.mark.parametrize(
    ("name", "move"),
    [
        ("code points with the end inclusive", (0, -1)),
        ("code points from 1", (1, 1)),
        ("code points from 1 with the end inclusive", (1, 0)),
    ],
)
def test_offsets_that_begin_or_end_elsewhere(
    name: str, move: tuple[int, int], stable: Benchmark, tmp_path: Path
) -> None:
    row = counted(stable, LATE)
    for span in row["spans"]:
        span["start"], span["end"] = span["start"] + move[0], span["end"] + move[1]
    found = problems(stable, folder(tmp_path, predictions__jsonl=files.dump_jsonl([row])))
    assert {problem.code for problem in found} == {"span-text-differs"}
    assert all(f"offsets count {name}: " in problem.fix for problem in found)


def test_a_span_without_surface_could_begin_anywhere(stable: Benchmark, tmp_path: Path) -> None:
    """One past the end would fit if offsets began at 1: that says nothing."""
    (found,) = problems(stable, folder(tmp_path, predictions__jsonl=spans((24, 26, "DATE"))))
    assert found.fix == "offsets count Unicode code points of the text from 0, the end is exclusive"


SECTORS = with_field("task", '"sector"')
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
def test_what_is_wrong_with_sectors(fields: str, code: str, says: str, stable: Benchmark, tmp_path: Path) -> None:
    found = problems(stable, folder(tmp_path, system=SECTORS, predictions__jsonl=f'{{"id": "b-L3", {fields}}}'))
    assert [problem.code for problem in found] == [code]
    assert says in str(found[0])


def test_scores_of_sectors_go_along(stable: Benchmark, tmp_path: Path) -> None:
    text = '{"id": "b-L3", "sectors": [], "scores": {"port": 0.5, "water": 2}}\n{"id": "b-L5", "sectors": ["port"]}'
    (part,) = submission.check_entry(stable, folder(tmp_path, system=SECTORS, predictions__jsonl=text)).files
    assert part.predictions == {"b-L3": frozenset(), "b-L5": {("port",)}}
    assert part.predictions.scores == {"b-L3": {"port": 0.5, "water": 2.0}}


def test_reading_ends_after_very_many_problems(stable: Benchmark, tmp_path: Path) -> None:
    found = problems(stable, folder(tmp_path, predictions__jsonl="{}\n" * (jsonl.MAX_PROBLEMS + 500)))
    assert len(found) == jsonl.MAX_PROBLEMS + 1
    assert found[-1].location.endswith(f":{jsonl.MAX_PROBLEMS}")
    assert "was not read" in found[-1].fix


# ---- what is wrong with the folder ----------------------------------------------------------------------------

BAD_SYSTEMS = [
    ("name", '""', "wrong-shape", "in one line"),
    ("name", '"  "', "wrong-shape", "in one line"),
    ("name", '"a\\nb"', "wrong-shape", "in one line"),
    ("name", '"a\\n"', "wrong-shape", "in one line"),
    ("name", '"a\\u001b[31mb"', "wrong-shape", "in one line"),
    ("name", '"a\\u202eb"', "wrong-shape", "in one line"),
    ("name", '"' + "n" * 81 + '"', "wrong-shape", "80"),
    ("name", "3", "wrong-shape", "string"),
    ("who", "", "wrong-shape", "who"),
    ("link", '"javascript:alert(1)"', "wrong-shape", "an http or https address"),
    ("link", '"https://x.org/\\"><script>"', "wrong-shape", "an http or https address"),
    ("link", '"https://x.org\\n"', "wrong-shape", "an http or https address"),
    ("trained_on", '" "', "wrong-shape", "all that it learnt from"),
    ("saw_test_articles", "true", "wrong-shape", "one of no, yes, unknown\n  found    True"),
    ("data", "", "wrong-shape", "system.toml data: wrong-shape\n  expected the version of the dataset"),
    ("data", '"1.0"', "wrong-shape", "jinbench info"),
    ("data", '"1.1.0"', "wrong-version", 'data = "1.0.0"'),
    ("data", '"2.0.0"', "wrong-version", "1.0.…, as the data at hand (1.0.0)"),
    ("task", '"translation"', "wrong-shape", "sector"),
    ("task", "", "wrong-shape", "which task predictions.jsonl is for"),
    ("split", "", "wrong-shape", "which split predictions.jsonl is for: folds, test, noisy"),
    ("split", '"train"', "unknown-id", "a split that ner has a board for: folds, test, noisy"),
    ("crosswalk", '"conll"', "declaration-unknown", "a crosswalk of"),
    ("rank", "1", "wrong-shape", "system.toml rank: wrong-shape\n  expected no field of this name\n  found    1"),
    ("rank", "1", "wrong-shape", "try      correct its name, or take rank out"),
]


@pytest.mark.parametrize(("field", "value", "code", "says"), BAD_SYSTEMS)
def test_what_is_wrong_with_system_toml(
    field: str, value: str, code: str, says: str, stable: Benchmark, tmp_path: Path
) -> None:
    found = problems(stable, folder(tmp_path, system=with_field(field, value)))
    assert code in {problem.code for problem in found}
    assert says in "\n".join(map(str, found)), found
    assert not any(part in str(found) for part in ("(?=", '{"', "additionalProperties"))
    assert all("system.toml" in problem.location for problem in found)


@pytest.mark.parametrize("data", ["1.0.0", "1.0.7"])
def test_predictions_outlive_errata(data: str, stable: Benchmark, tmp_path: Path) -> None:
    assert submission.check_entry(stable, folder(tmp_path, system=with_field("data", f'"{data}"'))).files


@pytest.mark.parametrize("text", ["", "name =", "\0", "x = " + "[" * 10_000])
def test_a_system_toml_that_is_none(text: str, stable: Benchmark, tmp_path: Path) -> None:
    (found, *_) = problems(stable, folder(tmp_path, system=text))
    assert found.code in ("broken-toml", "wrong-shape")


@pytest.mark.parametrize("name", ["Mine", "mine!", ".mine", "-mine", "my system", "n" * 65, "天津"])
def test_a_name_that_no_entry_can_have(name: str, stable: Benchmark, tmp_path: Path) -> None:
    (found,) = problems(stable, folder(tmp_path, name))
    assert (found.code, found.fix[:17]) == ("wrong-shape", "rename the folder")


@pytest.mark.parametrize("name", ["m", "my-system_2.1", "0", "n" * 64])
def test_a_name_that_an_entry_can_have(name: str, stable: Benchmark, tmp_path: Path) -> None:
    assert submission.check_entry(stable, folder(tmp_path, name)).entry.system.id == name


@pytest.mark.parametrize(
    ("name", "whose"), [("rules", "a baseline"), ("kept", "a baseline"), ("annotator-a", "an annotator")]
)
def test_a_name_that_is_taken(name: str, whose: str, world: Benchmark, tmp_path: Path) -> None:
    files.write_text(world.baselines / "rules.py", "")
    (world.baselines / "kept").mkdir()
    (found,) = problems(world, folder(tmp_path / "in", name))
    assert (found.code, found.found) == ("duplicate-id", f"that of {whose}")


def test_a_folder_that_is_none(stable: Benchmark, tmp_path: Path) -> None:
    made = folder(tmp_path)
    for path, what in ((made / "predictions.jsonl", "a file"), (tmp_path / "nowhere", "nothing")):
        (found,) = problems(stable, path)
        assert (found.code, found.expected, found.found) == ("file-missing", "a folder", what)


def test_files_that_are_not_there(stable: Benchmark, tmp_path: Path) -> None:
    made = folder(tmp_path, predictions__jsonl__gz=b"\x1f\x8b")
    (found,) = problems(stable, made)
    assert (found.code, found.found) == ("file-missing", "'predictions.jsonl.gz'")
    (made / "predictions.jsonl").mkdir()
    (found,) = problems(stable, made)
    assert (found.code, found.found) == ("file-missing", "a folder")
    (made / "system.toml").unlink()
    (found,) = problems(stable, made)
    assert found.location.endswith("system.toml")
    assert "jinbench format system" in found.fix


def test_a_pipe_is_no_file(stable: Benchmark, tmp_path: Path) -> None:
    made = folder(tmp_path)
    (made / "predictions.jsonl").unlink()
    os.mkfifo(made / "predictions.jsonl")
    (found,) = problems(stable, made)
    assert (found.code, found.found) == ("file-missing", "something that cannot be copied")


def test_names_of_files_say_the_board(stable: Benchmark, tmp_path: Path) -> None:
    """Without task and split; coarse labels are read with the names of the crosswalk."""
    system = with_field("task", "").replace('split = "test"', "")
    coarse = spans((0, 3, "LOC"))
    made = folder(tmp_path, system=system, predictions_ner_test__jsonl=GOOD, predictions_ner_folds__jsonl=GOOD,
                  predictions_ner_msra_folds__jsonl=coarse, predictions_sector_test__jsonl="")  # fmt: skip
    checked = submission.check_entry(stable, made)
    assert [(part.board, part.items, part.predicted, part.missing) for part in checked.files] == [
        (("ner", "folds", ""), 12, 3, 9),
        (("ner", "test", ""), 3, 3, 0),
        (("sector", "test", ""), 2, 0, 2),
        (("ner", "folds", "msra"), 12, 1, 11),
    ]
    assert checked.files[-1].gold.names == ("LOC", "TIME")


def test_a_misspelt_name_is_not_passed_over(stable: Benchmark, tmp_path: Path) -> None:
    made = folder(tmp_path, predictions_ner_tset__jsonl=GOOD, predictions_ner_train__jsonl=GOOD)
    found = problems(stable, made)
    assert [problem.code for problem in found] == ["unknown-id", "unknown-id"]
    assert "rename it to predictions-ner-test.jsonl" in found[1].fix


def test_two_files_for_one_board(stable: Benchmark, tmp_path: Path) -> None:
    (found,) = problems(stable, folder(tmp_path, predictions__jsonl=GOOD, predictions_ner_test__jsonl=GOOD))
    assert (found.code, found.found) == ("duplicate-id", "two for ner/test")


def test_all_problems_of_all_files_at_once(stable: Benchmark, tmp_path: Path) -> None:
    made = folder(
        tmp_path, predictions_ner_test__jsonl="{]\n" + spans((9, 99, "DATE")), predictions_sector_folds__jsonl="5"
    )
    found = problems(stable, made)
    assert [(Path(p.location).name, p.code) for p in found] == [
        ("predictions-ner-test.jsonl:1", "broken-json"),
        ("predictions-ner-test.jsonl:2", "span-outside-text"),
        ("predictions-sector-folds.jsonl:1", "broken-json"),
    ]


def test_what_was_given_of_the_gold_is_no_entry(stable: Benchmark, tmp_path: Path) -> None:
    made = folder(tmp_path, predictions__jsonl=GOOD, scores__json='{"given": ["entities"]}')
    assert [problem.code for problem in problems(stable, made)] == ["declaration-unknown"]
    (made / "scores.json").write_text("[broken")
    assert submission.check_entry(stable, made).entry.ignored == ()


# ---- no input brings a traceback ------------------------------------------------------------------------------

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


def either(benchmark: Benchmark, task: str, path: Path) -> predictions.Predictions | None:
    """What is read, or None where it is refused in words that a terminal and a file can take."""
    gold = read_task_gold(benchmark, task, "test")
    try:
        return predictions.read_predictions(path, gold, partial(load.locate_ids, benchmark))
    except DataError as error:
        said = common.told(error.problems)
        common.problems_as_json(error.problems).encode()
    assert "expected " in said
    return None


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=300), task=st.sampled_from(TASKS))
def test_any_bytes(data: bytes, task: str, stable: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any-bytes.jsonl"
    path.write_bytes(data)
    either(stable, task, path)
    with pytest.raises(DataError):
        entries.read_entry(stable, folder(tmp_path_factory.mktemp("any"), system=data.decode("utf-8", "replace")))


@settings(max_examples=300, deadline=None)
@given(rows=st.lists(LINE | PLAIN, max_size=4), task=st.sampled_from(TASKS))
def test_any_json(rows: list[Any], task: str, stable: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Either it is refused, or every line of it is what the schema allows, and it can be scored."""
    path = tmp_path_factory.getbasetemp() / "any-json.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = either(stable, task, path)
    if found is None:
        return
    validator = Draft202012Validator(entry_format.build_schema(stable, task))
    for row in rows:
        assert list(validator.iter_errors(row)) == []
    assert score.score_predictions(read_task_gold(stable, task, "test"), found).items - len(found) >= 0


def test_values_that_cannot_be_written_are_named() -> None:
    layers: list[Any] = []
    for _ in range(100_000):
        layers = [layers]
    assert shorten(layers) == "a list in many layers"
    said = common.problems_as_json([Problem("unknown-id", location="\udcff.jsonl", expected="x", found="y", fix="z")])
    assert json.loads(said.encode())["problems"][0]["location"] == "\udcff.jsonl"


def test_half_a_surrogate_pair_is_no_traceback(stable: Benchmark, tmp_path: Path) -> None:
    made = folder(tmp_path, predictions__jsonl='{"id": "\\ud800", "spans": []}\n{"\\udfff": 1}')
    done = subprocess.run(
        [sys.executable, "-m", "jinbench", "--root", str(stable.root), "submit", str(made), "--dry-run", "--json"],
        capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8:strict"},
    )  # fmt: skip
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert len(json.loads(done.stdout)["problems"]) == 2


# ---- what it looks like ---------------------------------------------------------------------------------------


def filled(template: str) -> str:
    for field in ("name", "who", "trained_on"):
        assert f'\n{field} = ""\n' in template
        template = template.replace(f'\n{field} = ""\n', f'\n{field} = "something"\n')
    return template


def test_the_template_claims_nothing(stable: Benchmark, tmp_path: Path) -> None:
    """As `jinbench format system` prints it, it is refused, and the fields to fill in are named."""
    found = problems(stable, folder(tmp_path, system=entry_format.describe_format(stable, "system")))
    hints = [problem.fix.partition(";")[0] for problem in found]
    assert hints == ["fill in name", "fill in who", "fill in trained_on"]
    assert {problem.found for problem in found} == {"nothing"}


@pytest.mark.parametrize("task", TASKS)
def test_the_example_is_an_entry(task: str, stable: Benchmark, tmp_path: Path) -> None:
    """What `jinbench format` prints is taken once its empty fields are filled in, and its example is right."""
    text = filled(entry_format.describe_format(stable, "system")).replace('task = "ner"', f'task = "{task}"')
    line = entry_format.describe_format(stable, task).splitlines()[2]
    (part,) = submission.check_entry(stable, folder(tmp_path, system=text, predictions__jsonl=line)).files
    ((id, labels),) = part.predictions.items()
    assert labels == part.gold.labels[part.gold.ids.index(id)]
    assert labels
    assert list(Draft202012Validator(entry_format.build_schema(stable, task)).iter_errors(json.loads(line))) == []
    assert list(Draft202012Validator(schemas.read_schema("prediction")).iter_errors(json.loads(line))) == []
    assert set(tomllib.loads(text)) <= set(schemas.read_schema("system")["properties"])


def test_the_example_has_a_label(real: Benchmark) -> None:
    """Though the shortest sentence of the test split has none."""
    gold = read_task_gold(real, "ner", "test")
    assert not gold.labels[min(range(len(gold.ids)), key=lambda i: len(gold.texts[i]))]
    assert json.loads(entry_format.describe_format(real, "ner").splitlines()[2])["spans"]


def test_what_is_stored_fits_the_schema(real: Benchmark) -> None:
    validators = {task: Draft202012Validator(entry_format.build_schema(real, task)) for task in TASKS}
    for task, validator in validators.items():
        paths = list(real.baselines.glob(f"*/predictions-{task}-test.jsonl"))
        assert paths
        for path in paths:
            for _, row in jsonl.read_rows(path):
                assert list(validator.iter_errors(row)) == []
                assert list(Draft202012Validator(schemas.read_schema("prediction")).iter_errors(row)) == []
                other = next(other for other in validators if other != task)
                assert list(validators[other].iter_errors(row))


def test_format_prints(stable: Benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    root = ["--root", str(stable.root)]
    assert run([*root, "format"]) == 0
    said = capsys.readouterr().out
    for part in ('"id": "b-', "PLACE, DATE, QUANTITY", "port, water, general", "load_dataset(", 'data = "1.0.0"'):
        assert part in said
    assert run([*root, "format", "sector", "--json"]) == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(schema)
    assert schema["properties"]["sectors"]["items"]["enum"] == ["port", "water", "general"]
    assert run([*root, "format", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(entry_format.KINDS)
    assert run([*root, "format", "poem"]) == 2


# ---- the way into the room ------------------------------------------------------------------------------------


def submit(benchmark: Benchmark, made: Path, *more: str) -> int:
    return run(["--root", str(benchmark.root), "submit", str(made), *more])


def test_an_entry_comes_in(world: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = folder(tmp_path / "in", predictions__jsonl=GOOD, scores__json="{}", curve__json="{}", notes__txt="…")
    before = contents(world.root)
    assert submit(world, made, "--dry-run") == 0
    assert "would go to" in (said := capsys.readouterr().out)
    assert "Not read and not copied: notes.txt" in said
    assert "scores.json" not in said
    assert contents(world.root) == before

    assert submit(world, made) == 0
    said = capsys.readouterr().out
    assert "Copied to" in said
    assert "ner:micro-F1 = 0.800" in said
    assert "Next: jinbench leaderboard" in said
    target = world.leaderboard / "entries" / "mine"
    assert sorted(path.name for path in target.iterdir()) == ["predictions.jsonl", "system.toml"]
    (entry,) = entries.read_all_entries(world)
    assert (entry.system.name, entry.system.saw_test_articles) == ("Mine", "no")
    assert entry.files == {("ner", "test", ""): target / "predictions.jsonl"}

    there = contents(world.root)
    for again, says in ((made, "Nothing to do"), (target, "is in order")):
        assert submit(world, again) == 0
        assert says in capsys.readouterr().out
    assert contents(world.root) == there

    (made / "predictions.jsonl").write_text(files.dump_jsonl([FIRST]))
    assert submit(world, made) == 1
    assert "--replace" in capsys.readouterr().err
    assert submit(world, made, "--replace", "--dry-run") == 0
    assert "would replace" in capsys.readouterr().out
    assert contents(world.root) == there
    assert submit(world, made, "--replace") == 0
    said = capsys.readouterr().out
    assert "Replaced" in said
    assert "2 of 3 items have no prediction: each of their mentions counts as missed" in said
    assert (target / "predictions.jsonl").read_text() == files.dump_jsonl([FIRST])
    assert sorted(os.listdir(target.parent)) == ["mine"]


@pytest.mark.parametrize("task", TASKS)
def test_an_empty_submission(task: str, world: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = folder(tmp_path / "in", system=with_field("task", f'"{task}"'), predictions__jsonl="")
    assert submit(world, made) == 0
    said = capsys.readouterr().out
    number, labels = {"ner": (3, "mentions"), "sector": (2, "sectors")}[task]
    assert f"{number} of {number} items have no prediction: each of their {labels} counts as missed" in said
    assert f"{task}:micro-F1 = 0.000" in said
    assert submit(world, made, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    (part,) = record["files"]
    assert (part["items"], part["predicted"], part["missing"]) == (number, 0, number)
    assert part["score"]["missing"] == number
    assert (record["state"], record["written"]) == ("the same", False)


def test_a_link_is_followed_and_keeps_its_name(world: Benchmark, tmp_path: Path) -> None:
    folder(tmp_path / "in", "Results 7")
    (tmp_path / "in" / "mine").symlink_to("Results 7")
    assert submit(world, tmp_path / "in" / "mine") == 0
    assert not (world.leaderboard / "entries" / "mine").is_symlink()
    assert [entry.system.id for entry in entries.read_all_entries(world)] == ["mine"]


def test_nothing_that_is_wrong_comes_in(world: Benchmark, tmp_path: Path) -> None:
    before = contents(world.root)
    assert submit(world, folder(tmp_path / "in", predictions__jsonl="{]"), "--replace") == 1
    assert contents(world.root) == before


class Stop(BaseException):
    pass


@pytest.mark.parametrize("at", range(1, 8))
@pytest.mark.parametrize("there", [False, True])
def test_a_copy_that_is_cut_off(
    at: int, there: bool, world: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted at any of its moves: what was there before, or the whole of what is new, and nothing beside it."""
    made = folder(tmp_path / "in")
    target = entries.entries_dir(world) / "mine"
    if there:
        submission.submit(world, made)
    before = contents(target) if there else {}
    new = spans((0, 3, "PLACE"))
    (made / "predictions.jsonl").write_text(new)
    moves = 0

    def counted(original: Any) -> Any:
        def move(*arguments: Any, **named: Any) -> Any:
            nonlocal moves
            moves += 1
            if moves == at:
                raise Stop
            done = original(*arguments, **named)
            if moves == at - 1 and original is rename:
                moves += 1
                raise Stop  # right behind it
            return done

        return move

    rename = Path.rename
    monkeypatch.setattr(Path, "rename", counted(rename))
    monkeypatch.setattr(os, "fsync", counted(os.fsync))
    stopped = False
    try:
        submission.submit(world, made, replace=True)
    except Stop:
        stopped = True
    monkeypatch.undo()
    found = contents(target) if target.exists() else {}
    whole = {"system.toml": SYSTEM.encode(), "predictions.jsonl": new.encode()}
    assert found in ([before, whole] if stopped else [whole])
    assert os.listdir(target.parent) == (["mine"] if found else [])
    assert [entry.system.id for entry in entries.read_all_entries(world)] == (["mine"] if found else [])
    assert stopped == (at <= (5 if there else 4))


def test_a_copy_that_is_killed(world: Benchmark, tmp_path: Path) -> None:
    """Nobody cleans up: what is left has a hidden name, is no entry, and is in nobody's way."""
    made = folder(tmp_path / "in")
    code = (
        "import os, signal; from jinbench.cli.app import main; "
        "os.fsync = lambda *_: os.kill(os.getpid(), signal.SIGKILL); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--root", str(world.root), "submit", str(made)],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    left = os.listdir(entries.entries_dir(world))
    assert len(left) == 1
    assert left[0].startswith(".mine.")
    assert entries.read_all_entries(world) == ()
    assert submit(world, made) == 0
    assert [entry.system.id for entry in entries.read_all_entries(world)] == ["mine"]


def test_who_comes_second_does_not_overwrite(world: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another entry of the same id lands while ours is being written."""
    made = folder(tmp_path / "in")
    target, fsync = entries.entries_dir(world) / "mine", os.fsync

    def meanwhile(handle: int) -> None:
        fsync(handle)
        target.mkdir(exist_ok=True)
        (target / "system.toml").write_text("theirs")

    monkeypatch.setattr(os, "fsync", meanwhile)
    with pytest.raises(DataError, match="one that came just now"):
        submission.submit(world, made)
    assert contents(target) == {"system.toml": b"theirs"}
    assert os.listdir(target.parent) == ["mine"]


def test_a_room_with_problems_tells_all_of_them(world: Benchmark) -> None:
    assert entries.read_all_entries(world) == ()
    home = entries.entries_dir(world)
    folder(home, "good")
    (home / "bare").mkdir()
    folder(home, "other", system=with_field("data", '"3.0.0"'))
    (home / ".hidden").mkdir()
    (home / ".gitkeep").touch()
    with pytest.raises(DataError) as caught:
        entries.read_all_entries(world)
    assert [problem.code for problem in caught.value.problems] == ["file-missing", "wrong-version"]


def test_with_the_package_alone_an_entry_can_be_checked(
    stable: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("jinbench.core.benchmark._PACKAGE", tmp_path)
    shutil.copytree(stable.root, tmp_path / "_rooms")
    root = ["--root", str(tmp_path / "_rooms")]
    made = folder(tmp_path / "in")
    assert run([*root, "submit", str(made)]) == 1
    assert "a benchmark" in capsys.readouterr().err
    assert run([*root, "submit", str(made), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "It is in order; nothing was written.\n" in said
    assert f"in a checkout of the benchmark, jinbench submit {made}" in said
    assert "_rooms" not in said
    assert run([*root, "submit", str(made), "--dry-run", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["folder"], record["written"]) == (None, False)


# ---- what may be meant otherwise ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "more", "narrower"),
    [("folds", "", "test"), ("folds", spans(id="a-L5-S1"), ""), ("test", "", "")],
)
def test_items_of_one_split_may_be_meant_for_it(
    split: str, more: str, narrower: str, stable: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = folder(tmp_path, system=with_field("split", f'"{split}"'), predictions__jsonl=GOOD + more)
    assert submit(stable, made, "--dry-run") == 0
    said = capsys.readouterr().out
    assert ("All of them are items of the split test: is the file for that?" in said) == bool(narrower)
    assert submit(stable, made, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["all_of_split"] == narrower


@pytest.mark.parametrize(("scheme", "repair"), [("IOB1", None), ("BIO", "guess")])
def test_a_scheme_that_does_not_exist_is_refused_though_nothing_needs_it(
    scheme: str, repair: str | None, stable: Benchmark
) -> None:
    gold = read_task_gold(stable, "ner", "test")
    with pytest.raises(DataError) as caught:
        predictions.parse_predictions([("a row", FIRST)], gold, partial(load.locate_ids, stable), scheme, repair)
    assert [problem.code for problem in caught.value.problems] == ["wrong-scheme"]


def test_sectors_have_no_crosswalk(stable: Benchmark) -> None:
    assert read_task_gold(stable, "ner", "test", crosswalk="msra").names
    with pytest.raises(DataError) as caught:
        read_task_gold(stable, "sector", "test", crosswalk="msra")
    assert [(problem.code, problem.expected) for problem in caught.value.problems] == [
        ("wrong-task", "no crosswalk: sectors have none")
    ]


# ---- very many problems ---------------------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path: Path) -> Path:
    return folder(tmp_path, predictions__jsonl=spans((0, 99, "DATE")) + spans(DATE, id="nobody") * 1234)


def test_of_very_many_problems_the_first_are_printed(
    many: Path, stable: Benchmark, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit(stable, many, "--dry-run") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count(": unknown-id\n") == IN_TERMINAL
    assert f"predictions.jsonl: unknown-id, {1234 - IN_TERMINAL:,} more" in said.err
    assert ": span-outside-text\n" in said.err
    assert "1,235 problems." in said.err
    assert submit(stable, many, "--dry-run", "--json") == 1
    found = json.loads(capsys.readouterr().out)["problems"]
    assert len(found) == 1235
    assert set(found[0]) == {"code", "location", "expected", "found", "fix"}


@pytest.mark.parametrize("number", [1, MANY, MANY + 1])
def test_few_problems_are_all_printed(number: int) -> None:
    said = common.told(
        [Problem("unknown-id", location=f"a file:{i}", expected="x", found="y", fix="z") for i in range(number)]
    )
    assert said.count(": unknown-id\n") == (number if number <= MANY else IN_TERMINAL)
    assert ("a file: unknown-id, 31 more" in said) == (number > MANY)
    said = common.told(
        [
            Problem("passage-unlabelled", location=f"a.json task {i}", expected="x", found="y", fix="z")
            for i in range(number)
        ]
    )
    assert ("a.json: passage-unlabelled, 31 more" in said) == (number > MANY)
