"""Every check has an input that breaks it, and says what, where and what to do; nothing is written."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from jinbench.core.errors import CODES
from tests.helpers.benchmarks import create_mini_benchmark
from tests.helpers.commands import contents, run
from tests.helpers.hub import run_hub, set_up_hub
from tests.helpers.paths import ROOT
from tests.helpers.recipes import PREDICTING_RECIPE

CASES = ROOT / "tests" / "bad"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three-page world, built."""
    world = tmp_path_factory.mktemp("built") / "mini"
    create_mini_benchmark(world)
    assert run(["--root", str(world), "build"]) == 0
    for document in ("README.md", "DATASET_CARD.md", "docs/dataset.md"):  # what is not there is not stale
        (world / document).unlink()
    return world


def spoil(world: Path, case: dict[str, Any]) -> None:
    for edit in case.get("edit", ()):
        path = world / edit["file"]
        old = edit["old"].encode()
        new = bytes.fromhex(edit["new_hex"]) if "new_hex" in edit else edit["new"].encode()
        data = path.read_bytes()
        assert old in data, f"{edit['old']!r} does not stand in {edit['file']}"
        path.write_bytes(data.replace(old, new, 1))
    for write in case.get("write", ()):
        (world / write["file"]).parent.mkdir(parents=True, exist_ok=True)
        (world / write["file"]).write_text(write["text"])
    for copy in case.get("copy", ()):
        shutil.copyfile(world / copy["file"], world / copy["to"])
    for sparse in case.get("sparse", ()):
        (world / sparse["file"]).touch()
        os.truncate(world / sparse["file"], sparse["bytes"])
    for name in case.get("delete", ()):
        (world / name).unlink()


def against_hub(case: dict[str, Any], home: Path) -> str:
    """What the command says in a process of its own, with a Hub that is as the case has it."""
    with run_hub() as hub:
        token = set_up_hub(hub, case["hub"], Path("dataset"))
        done = subprocess.run(
            [sys.executable, "-m", "jinbench", *case["command"].split()],
            env=hub.environment(home, token) | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == case.get("exit", 1), done.stderr
    return done.stderr


def test_codes_and_cases_belong_together() -> None:
    assert {path.stem for path in CASES.glob("*.toml")} == set(CODES)


@pytest.mark.parametrize("code", sorted(CODES))
def test_bad_input(
    code: str, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = tomllib.loads((CASES / f"{code}.toml").read_text())
    world = tmp_path / "mini"
    shutil.copytree(built, world)
    spoil(world, case)
    sparse = {entry["file"] for entry in case.get("sparse", ())}
    before = contents(world, sparse)
    monkeypatch.chdir(world)
    capsys.readouterr()
    if "hub" in case:
        output = against_hub(case, tmp_path / "home")
    else:
        assert run(case["command"].split()) == 1
        output = capsys.readouterr().err
    assert f": {code}\n" in output
    for part in ("expected ", "found ", "try ", *case["says"]):
        assert part in output, output
    assert "Traceback" not in output
    assert contents(world, sparse) == before


def test_all_problems_are_reported_at_once(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.jsonl").write_text('{"id": "x", "spans": []}\n{"id": "y", "spans": []}\n')
    assert run(["--root", str(built), "score", str(tmp_path / "bad.jsonl")]) == 1
    output = capsys.readouterr().err
    assert "bad.jsonl:1: unknown-id" in output
    assert "bad.jsonl:2: unknown-id" in output
    assert "2 problems." in output


def test_usage_errors_are_told_from_data_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["no-such-command"]) == 2
    assert run(["--root", "/no/such/folder", "verify", "--info"]) == 2


SHAPES = [
    ("seeds check", "seeds/articles.toml", "page = 3\n"),
    ("seeds check", "seeds/articles.toml", 'page = ["x"]\narticle = ["y"]\n'),
    ("labels config", "annotation/labels.toml", 'entity = "x"\n'),
    ("build", "annotation/annotators.toml", "gold = 3\n"),
    ("build", "annotation/labels.toml", f"version = {'9' * 5000}\n"),
    ("build", "annotation/exports/adjudicator.json", "3"),
    ("build", "annotation/exports/adjudicator.json", '[{"data": {}, "annotations": [null]}]'),
    ("build", "dataset/splits.csv", "a,b\n1,2\n"),
    ("verify --info", "dataset/manifest.json", "[]"),
    ("verify --info", "dataset/stats.json", "{}"),
    ("score x", "x", "[" * 100_000),
    ("score x", "x", '{"id": "b-L3-S1", "spans": [{"start": 1, "end": ' + "9" * 5000 + "}]}"),
    ("score x", "x", '{"id": "b-L3-S1", "spans": [{"start": NaN, "end": 2, "type": "DATE"}]}'),
    ("score x", "x", '{"id": "b-L3-S1", "spans": [{"start": 1, "end": 2, "type": ["DATE"]}]}'),
    ("score x --task sector", "x", '{"id": "b-L3", "sectors": [["port"]]}'),
    ("score x --task translation", "x", ""),
    ("score x --split tomorrow", "x", ""),
    ("annotate import x.jsonl -a a --dry-run", "x.jsonl", '{"id": "b-L3", "marked": 5, "sectors": null}'),
    ("run x.py", "x.py", 'TASK, SEED = "ner", "zero"\ndef make(): ...\n'),
    ("run x.py", "x.py", 'TASK, SEED = "ner", 0\ndef make(): return 3\n'),
    ("run x.py", "x.py", "import sys\nsys.exit(0)\n"),
    ("run .", "x", ""),
    ("score .", "x", ""),
]


@pytest.mark.parametrize(("command", "file", "text"), SHAPES)
def test_no_shape_of_input_brings_a_traceback(
    command: str, file: str, text: str, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    world = tmp_path / "mini"
    shutil.copytree(built, world)
    (world / file).write_text(text)
    before = contents(world)
    monkeypatch.chdir(world)
    assert run(command.split()) == 1
    assert "expected " in capsys.readouterr().err
    assert contents(world) == before


ANSWERS = [
    "None",
    "3",
    "[None for _ in X]",
    "[[(0, 1)] for _ in X]",
    "[[('a', 1, 'DATE')] for _ in X]",
    "[[(0, 0.7, 'DATE')] for _ in X]",
    "[[(0, 999, 'DATE')] for _ in X]",
    "[[(0, 1, 'PLANET')] for _ in X]",
    "[[(0, 3, 'DATE'), (1, 2, 'DATE')] for _ in X]",
    "[['I-DATE'] * len(x['text']) for x in X]",
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_no_answer_of_a_recipe_brings_a_traceback(answer: str, built: Path, tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(PREDICTING_RECIPE.replace("WHAT", answer))
    assert run(["--root", str(built), "run", str(tmp_path / "m.py")]) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "m.py"]
