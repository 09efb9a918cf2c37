"""Test helpers: entries of the leaderboard."""

import json
from pathlib import Path
from typing import Any

import pytest

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem
from jinbench.leaderboard import submission

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
DATE = (3, 5, "DATE")  # of SECOND's text
GOOD = files.dump_jsonl([FIRST, SECOND, THIRD])


def write_entry(tmp_path: Path, name: str = "mine", system: str = SYSTEM, **written: str | bytes) -> Path:
    """Write the folder of an entry; in names of `written`, a double underscore is a dot and a single one a dash."""
    folder = tmp_path / name
    folder.mkdir(parents=True)
    (folder / "system.toml").write_text(system)
    for key, text in (written or {"predictions__jsonl": GOOD}).items():
        path = folder / key.replace("__", ".").replace("_", "-")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def entry_problems(benchmark: Benchmark, folder: Path) -> list[Problem]:
    """Return the problems of an invalid entry."""
    with pytest.raises(DataError) as caught:
        submission.check_entry(benchmark, folder)
    return list(caught.value.problems)


def system_with(field: str, value: str) -> str:
    """Return a system.toml with one field changed, or without it."""
    lines = [line for line in SYSTEM.splitlines() if not line.startswith(f"{field} ")]
    return "\n".join([*lines, f"{field} = {value}" if value else ""])


def line_with(*spans: tuple[Any, Any, Any], id: str = "b-L5-S1", **more: Any) -> str:
    """Return a line of predictions."""
    rows = [{"start": start, "end": end, "type": type} for start, end, type in spans]
    return json.dumps({"id": id, "spans": rows, **more}) + "\n"
