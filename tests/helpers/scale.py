"""Test helpers: scale."""

import json
import os
import random
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from jinbench.core.benchmark import Benchmark
from jinbench.dataset import load
from jinbench.scale import executors, pipeline
from jinbench.scale.stages import Settings
from tests.helpers.paths import ROOT

PLAIN_SETTINGS = Settings(tagging=False, block=20_000, rows=2000)

ENV = {**os.environ, "PYTHONPATH": str(ROOT)}

PATIENCE = 600  # seconds after which something hangs; no machine is so slow


def quiet(what: str, done: int, total: int) -> None:
    pass


def process(
    paths: Sequence[Path], out: Path, benchmark: Benchmark, settings: Settings = PLAIN_SETTINGS, strict: bool = False
) -> Any:
    return pipeline.process(paths, out, benchmark, settings, executors.serial_executor(), quiet, strict)


def read_contents(folder: Path) -> dict[str, bytes]:
    """Every file, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "jinbench", "--root", str(ROOT), "process", *map(str, arguments)]


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    from jinbench.core.benchmark import find_benchmark

    rows = load.read_rows(find_benchmark(ROOT), "ner")
    return [row["text"] for row in rows if len(row["text"]) > 15]


def make_articles(sentences: Sequence[str], count: int, seed: int = 0, passages: int = 3) -> list[dict[str, Any]]:
    """Make articles of shuffled, changed sentences. Every tenth has a passage that an earlier one has,
    with a character changed in it, or as it is."""
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        lines = [
            re.sub(r"[\u4e00-\u9fff]", lambda m: m[0] if rng.random() > 0.1 else chr(rng.randrange(0x4E00, 0x9FFF)),
                   "".join(rng.sample(sentences, 2)))
            for _ in range(passages)
        ]  # fmt: skip
        if number % 10 == 9:
            old = rng.choice(rows)["text"].split("\n")[0]
            lines[0] = old if number % 20 == 9 else old[:5] + "\u7532" + old[6:]
        rows.append({"id": f"x{number}", "title": f"\u6807\u9898 {number}", "text": "\n".join(lines)})
    return rows


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def wait_until_gone(processes: Sequence[int]) -> bool:
    """Return whether all processes end in time; zombies count as ended."""
    end = time.time() + PATIENCE
    while time.time() < end:
        states = [
            path.read_text().rsplit(")", 1)[1].split()[0]
            for process in processes
            if (path := Path(f"/proc/{process}/stat")).exists()
        ]
        if set(states) <= {"Z"}:
            return True
        time.sleep(0.05)
    return False
