"""Submission: entries are copied whole or not at all."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jinbench.cli import common
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import IN_TERMINAL, MANY, DataError, Problem
from jinbench.dataset import load
from jinbench.dataset.gold import read_task_gold
from jinbench.leaderboard import board, entries, submission
from jinbench.scoring import predictions
from jinbench.scoring.gold import TASKS
from tests.helpers.commands import contents, run
from tests.helpers.entries import (
    DATE,
    FIRST,
    GOOD,
    line_with,
    system_with,
    write_entry,
)
from tests.helpers.paths import ROOT


def submit(benchmark: Benchmark, made: Path, *more: str) -> int:
    return run(["--root", str(benchmark.root), "submit", str(made), *more])


def test_submitted_entry_is_copied_and_ranked(
    world: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = write_entry(tmp_path / "in", predictions__jsonl=GOOD, scores__json="{}", curve__json="{}", notes__txt="…")
    before = contents(world.root)
    assert submit(world, made, "--dry-run") == 0
    assert "would go to" in (output := capsys.readouterr().out)
    assert "Not read and not copied: notes.txt" in output
    assert "scores.json" not in output
    assert contents(world.root) == before

    assert submit(world, made) == 0
    output = capsys.readouterr().out
    assert "Copied to" in output
    assert "ner:micro-F1 = 0.800" in output
    assert "Next: jinbench rank" in output
    target = world.leaderboard / "entries" / "mine"
    assert sorted(path.name for path in target.iterdir()) == ["predictions.jsonl", "system.toml"]
    (entry,) = entries.read_all_entries(world)
    assert (entry.system.name, entry.system.saw_test_articles) == ("Mine", "no")
    assert entry.files == {("ner", "test", ""): target / "predictions.jsonl"}

    present = contents(world.root)
    for again, says in ((made, "Nothing to do"), (target, "is in order")):
        assert submit(world, again) == 0
        assert says in capsys.readouterr().out
    assert contents(world.root) == present

    (made / "predictions.jsonl").write_text(files.dump_jsonl([FIRST]))
    assert submit(world, made) == 1
    assert "--replace" in capsys.readouterr().err
    assert submit(world, made, "--replace", "--dry-run") == 0
    assert "would replace" in capsys.readouterr().out
    assert contents(world.root) == present
    assert submit(world, made, "--replace") == 0
    output = capsys.readouterr().out
    assert "Replaced" in output
    assert "2 of 3 items have no prediction: each of their mentions counts as missed" in output
    assert (target / "predictions.jsonl").read_text() == files.dump_jsonl([FIRST])
    assert sorted(os.listdir(target.parent)) == ["mine"]


@pytest.mark.parametrize("task", TASKS)
def test_empty_prediction_file_counts_all_items_as_missing(
    task: str, world: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = write_entry(tmp_path / "in", system=system_with("task", f'"{task}"'), predictions__jsonl="")
    assert submit(world, made) == 0
    output = capsys.readouterr().out
    number, labels = {"ner": (3, "mentions"), "sector": (2, "sectors")}[task]
    assert f"{number} of {number} items have no prediction: each of their {labels} counts as missed" in output
    assert f"{task}:micro-F1 = 0.000" in output
    assert submit(world, made, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    (part,) = record["files"]
    assert (part["items"], part["predicted"], part["missing"]) == (number, 0, number)
    assert part["score"]["missing"] == number
    assert (record["state"], record["written"]) == ("the same", False)


@pytest.mark.parametrize("name", ["", "system.toml", "predictions.jsonl", "scores.json", "notes", "loop"])
def test_links_are_refused_and_what_they_lead_to_is_not_quoted(
    name: str, world: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root:x:0:0\n")
    made = write_entry(tmp_path / "in")
    link = made / name if name else tmp_path / "mine"
    link.unlink(missing_ok=True)
    link.symlink_to(made if not name else link if name == "loop" else secret)
    target = entries.entries_dir(world) / "mine"
    assert submit(world, made if name else link) == 1
    said = capsys.readouterr().err
    assert "found    a link" in said
    assert "root:" not in said
    assert not target.exists()
    target.parent.mkdir()
    subprocess.run(["cp", "-a", str(made if name else link), str(target)], check=True)  # as a pull request brings it
    with pytest.raises(DataError, match="a link"):
        entries.read_all_entries(world)


@pytest.mark.parametrize("name", [".git/config", "notes.txt", "data/predictions.jsonl", "predictions.txt"])
def test_other_files_are_not_replaced(name: str, world: Benchmark, tmp_path: Path) -> None:
    made = write_entry(tmp_path / "in")
    submission.submit(world, made)
    (made / "predictions.jsonl").write_text(line_with((0, 3, "PLACE")))
    files.write_bytes(entries.entries_dir(world) / "mine" / name, b"mine")
    before = contents(world.root)
    assert submit(world, made, "--replace") == 1
    assert contents(world.root) == before


def test_what_is_checked_is_what_is_written(world: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files change while they are looked at, right behind every time that one is opened."""
    made, open_file = write_entry(tmp_path / "in"), files.open_file
    whole = contents(made)

    def swap(path: Path) -> Any:
        file = open_file(path)
        if path.parent == made:
            data = file.read()
            path.unlink()
            path.write_bytes(b"garbage")
            return io.BytesIO(data)
        return file

    monkeypatch.setattr(files, "open_file", swap)
    submission.submit(world, made)
    assert contents(entries.entries_dir(world) / "mine") == whole


def test_invalid_entry_is_not_copied(world: Benchmark, tmp_path: Path) -> None:
    before = contents(world.root)
    assert submit(world, write_entry(tmp_path / "in", predictions__jsonl="{]"), "--replace") == 1
    assert contents(world.root) == before


def test_killed_copy_leaves_no_entry(world: Benchmark, tmp_path: Path) -> None:
    """Nobody cleans up: what is left has a hidden name, is no entry, and is in nobody's way."""
    made = write_entry(tmp_path / "in")
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
    assert left[0].startswith(files.UNFINISHED)
    assert entries.read_all_entries(world) == ()
    assert submit(world, made) == 0
    assert os.listdir(entries.entries_dir(world)) == ["mine"]
    assert [entry.system.id for entry in entries.read_all_entries(world)] == ["mine"]


def test_concurrent_submission_is_not_overwritten(
    world: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another entry of the same id lands while ours is being written."""
    made = write_entry(tmp_path / "in")
    target, fsync = entries.entries_dir(world) / "mine", os.fsync

    def meanwhile(handle: int) -> None:
        fsync(handle)
        target.mkdir(exist_ok=True)
        (target / "system.toml").write_text("theirs")

    monkeypatch.setattr(os, "fsync", meanwhile)
    with pytest.raises(DataError, match="found    other files in it"):
        submission.submit(world, made)
    assert contents(target) == {"system.toml": b"theirs"}
    assert os.listdir(target.parent) == ["mine"]


def test_problems_of_all_entries_are_raised_at_once(world: Benchmark) -> None:
    assert entries.read_all_entries(world) == ()
    home = entries.entries_dir(world)
    write_entry(home, "good")
    (home / "bare").mkdir()
    write_entry(home, "other", system=system_with("data", '"3.0.0"'))
    (home / ".hidden").mkdir()
    (home / ".gitkeep").touch()
    with pytest.raises(DataError) as caught:
        entries.read_all_entries(world)
    assert [problem.code for problem in caught.value.problems] == ["file-missing", "wrong-version"]


def test_entry_can_be_checked_with_the_installed_package_alone(
    stable: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("jinbench.core.benchmark._PACKAGE", tmp_path)
    shutil.copytree(stable.root, tmp_path / "_rooms")
    root = ["--root", str(tmp_path / "_rooms")]
    made = write_entry(tmp_path / "in")
    assert run([*root, "submit", str(made)]) == 1
    assert "a benchmark" in capsys.readouterr().err
    assert run([*root, "submit", str(made), "--dry-run"]) == 0
    output = capsys.readouterr().out
    assert "It is in order; nothing was written.\n" in output
    assert f"in a checkout of the benchmark, jinbench submit {made}" in output
    assert "_rooms" not in output
    assert run([*root, "submit", str(made), "--dry-run", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["folder"], record["written"]) == (None, False)


@pytest.mark.parametrize(
    ("split", "more", "narrower"),
    [("folds", "", "test"), ("folds", line_with(id="a-L5-S1"), ""), ("test", "", "")],
)
def test_predictions_of_a_single_split_are_noted(
    split: str, more: str, narrower: str, stable: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = write_entry(tmp_path, system=system_with("split", f'"{split}"'), predictions__jsonl=GOOD + more)
    assert submit(stable, made, "--dry-run") == 0
    output = capsys.readouterr().out
    assert ("All of them are items of the split test: is the file for that?" in output) == bool(narrower)
    assert submit(stable, made, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["all_of_split"] == narrower


@pytest.mark.parametrize(("scheme", "repair"), [("IOB1", None), ("BIO", "guess")])
def test_unknown_scheme_is_refused_even_if_unused(scheme: str, repair: str | None, stable: Benchmark) -> None:
    gold = read_task_gold(stable, "ner", "test")
    with pytest.raises(DataError) as caught:
        predictions.parse_predictions(
            [("a row", FIRST)], gold, partial(load.locate_ids, stable), predictions.TagOptions(scheme, repair)
        )
    assert [problem.code for problem in caught.value.problems] == ["wrong-scheme"]


def test_crosswalk_for_sectors_is_refused(stable: Benchmark) -> None:
    assert read_task_gold(stable, "ner", "test", crosswalk="msra").names
    with pytest.raises(DataError) as caught:
        read_task_gold(stable, "sector", "test", crosswalk="msra")
    assert [(problem.code, problem.expected) for problem in caught.value.problems] == [
        ("wrong-task", "no crosswalk: sectors have none")
    ]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    return write_entry(tmp_path, predictions__jsonl=line_with((0, 99, "DATE")) + line_with(DATE, id="nobody") * 1234)


def test_many_problems_are_abridged(many: Path, stable: Benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    assert submit(stable, many, "--dry-run") == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count(": unknown-id\n") == IN_TERMINAL
    assert f"predictions.jsonl: unknown-id, {1234 - IN_TERMINAL:,} more" in output.err
    assert ": span-outside-text\n" in output.err
    assert "1,235 problems." in output.err
    assert submit(stable, many, "--dry-run", "--json") == 1
    result = json.loads(capsys.readouterr().out)["problems"]
    assert len(result) == 1235
    assert set(result[0]) == {"code", "location", "expected", "found", "fix"}


@pytest.mark.parametrize("number", [1, MANY, MANY + 1])
def test_few_problems_are_printed_in_full(number: int) -> None:
    output = common.format_problems(
        [Problem("unknown-id", location=f"a file:{i}", expected="x", found="y", fix="z") for i in range(number)]
    )
    assert output.count(": unknown-id\n") == (number if number <= MANY else IN_TERMINAL)
    assert ("a file: unknown-id, 31 more" in output) == (number > MANY)
    output = common.format_problems(
        [
            Problem("passage-unlabelled", location=f"a.json task {i}", expected="x", found="y", fix="z")
            for i in range(number)
        ]
    )
    assert ("a.json: passage-unlabelled, 31 more" in output) == (number > MANY)


@pytest.mark.parametrize(
    ("options", "stored"),
    [
        ((), None),
        (("--repair", "begin"), [FIRST["id"]]),
        (("--repair", "drop"), []),
        (("--repair", "guess"), None),
    ],
)
def test_repaired_tags_are_stored_as_spans(
    options: tuple[str, ...], stored: list[str] | None, world: Benchmark, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    gold = read_task_gold(world, "ner", "test")
    tags = ["O"] * len(gold.texts[gold.ids.index(FIRST["id"])])
    tags[3:5] = ["I-DATE", "I-DATE"]
    made = write_entry(tmp_path, predictions__jsonl=files.dump_jsonl([{"id": FIRST["id"], "tags": tags}]))
    assert submit(world, made, *options) == (stored is None)
    assert ("wrong-tags" in capsys.readouterr().err) == (not options)
    target = world.leaderboard / "entries" / "mine"
    if stored is None:
        assert not target.exists()
        return
    (row,) = map(json.loads, (target / "predictions.jsonl").read_text().splitlines())
    spans = [{"start": 3, "end": 5, "type": "DATE"}] if stored else []
    assert row == {"id": FIRST["id"], "spans": spans}
    assert submit(world, target, *options) == 0
    assert run(["--root", str(world.root), "rank"]) == 0


def test_dry_run_says_the_rank_that_it_would_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = (ROOT / "baselines" / "rules" / "predictions-ner-test.jsonl").read_text()
    version = json.loads((ROOT / "dataset" / "manifest.json").read_text())["version"]
    made = write_entry(tmp_path, system=system_with("data", f'"{version}"'), predictions__jsonl=data)
    assert run(["--root", str(ROOT), "submit", str(made), "--dry-run"]) == 0
    output = capsys.readouterr().out
    assert "It would be 1st to 4th of 4, the same predictions as rules, not significantly different from" in output
    made.joinpath("predictions.jsonl").write_text(data.partition("\n")[2])
    assert run(["--root", str(ROOT), "submit", str(made), "--dry-run"]) == 0
    output = capsys.readouterr().out
    assert re.search(r"It would be 1st to 5th of 5, not significantly different from .*rules", output)
    unranked = system_with("data", f'"{version}"').replace('saw_test_articles = "no"', 'saw_test_articles = "yes"')
    made = write_entry(tmp_path / "other", system=unranked, predictions__jsonl=data)
    assert run(["--root", str(ROOT), "submit", str(made), "--dry-run"]) == 0
    assert "It would have no rank: saw the test articles." in capsys.readouterr().out


def test_ranks_in_words() -> None:
    numbers = (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)
    words = "1st 2nd 3rd 4th 11th 12th 13th 21st 102nd 111th"
    assert " ".join(map(board._to_ordinal, numbers)) == words
