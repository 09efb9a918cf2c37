"""What works without the extras, and that a missing one is named."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jinbench.core.environment import EXTRAS
from tests.helpers.paths import ROOT

HIDDEN = sorted(EXTRAS.keys() - {"httpx", "filelock", "spacy"})  # datasets looks for these itself
PREDICTIONS = [str(ROOT / "baselines" / name / "predictions-ner-test.jsonl") for name in ("rules", "tagger")]


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def without_extras(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A function that runs a command on a copy of the benchmark as if no extra of jinbench were installed."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "sitecustomize.py").write_text(f"import sys; sys.modules.update(dict.fromkeys({HIDDEN!r}))")
    for room in ("annotation", "baselines", "dataset", "leaderboard", "seeds"):
        shutil.copytree(ROOT / room, folder / room)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
        command = [sys.executable, *(("-m", "jinbench", *arguments) if arguments[0] != "-c" else arguments)]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    return run


@pytest.mark.parametrize(
    "command",
    [
        ["-c", "import jinbench; assert len(jinbench.load('ner')) == 3; assert jinbench.score('P0').micro.f1"],
        ["score", "P0"], ["compare", "P0", "P1"], ["rank"], ["verify"], ["verify", "--info"],
        ["convert", "dataset/..", "--from", "jinbench", "--to", "conll", "--out", "out"],
        ["submit", "--template"], ["prompt", "--shots", "1"], ["init", "other"],
    ],
    ids=lambda command: command[0],
)  # fmt: skip
def test_what_needs_no_extra(command: list[str], without_extras: Run) -> None:
    done = without_extras(*(part.replace("P0", PREDICTIONS[0]).replace("P1", PREDICTIONS[1]) for part in command))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("build", "build"), ("seeds check", "build"), ("annotate check", "build"),
        ("run baselines/tagger.py", "models"),
        ("labelstudio start", "annotate"), ("process x", "scale"),
        ("parse replies.jsonl", "llm"),
    ],
)  # fmt: skip
def test_a_missing_extra_is_named(command: str, extra: str, without_extras: Run, tmp_path: Path) -> None:
    item = json.loads((ROOT / "baselines/rules/predictions-ner-test.jsonl").read_text().splitlines()[0])
    replies = tmp_path / "replies.jsonl"
    replies.write_text(json.dumps({"id": item["id"], "reply": '["a'}) + "\n")
    arguments = [str(replies) if part == "replies.jsonl" else part for part in command.split()]
    done = without_extras(*arguments, *(["--out", str(tmp_path / "out")] if command == "process x" else []))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"pip install 'jinbench[{extra}]'" in done.stderr
