"""Test helpers: scale."""

import contextlib
import itertools
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jinbench.core.benchmark import Benchmark
from jinbench.dataset import load
from jinbench.scale import Settings, pipeline
from jinbench.scale.dedup import WORK
from tests.helpers.paths import ROOT

PLAIN = Settings(tagging=False, block=20_000)

ENV = {**os.environ, "PYTHONPATH": str(ROOT)}

PATIENCE = 600  # seconds after which something hangs; no machine is so slow


def read_contents(folder: Path) -> dict[str, bytes]:
    """Every file, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "jinbench", "--root", str(ROOT), "process", *map(str, arguments)]


@pytest.fixture(scope="module")
def sentences(real: Benchmark) -> list[str]:
    return [row["text"] for row in load.read_rows(real, "ner") if len(row["text"]) > 15]


def read_passages(out: Path) -> list[dict[str, Any]]:
    return [row for path in sorted((out / "data").iterdir()) for row in pq.read_table(path).to_pylist()]


def list_descendants(process: int) -> list[int]:
    processes = [process]
    for parent in processes:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                processes += [int(child) for child in (task / "children").read_text().split()]
    return processes[1:]


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


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers, each with its nanny, as somebody else may have started them."""
    with pipeline._connect(2, None) as client:
        yield client.cluster


Process = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def process(cluster: Any, real: Benchmark) -> Process:
    def run(source: Path, out: Path, settings: Settings = PLAIN, **options: Any) -> dict[str, Any]:
        return pipeline.process([source], out, real, settings, scheduler=cluster.scheduler_address, **options)

    return run


@pytest.fixture(scope="module")
def articles(sentences: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("articles") / "many.jsonl", make_articles(sentences, 120))


@pytest.fixture(scope="module")
def plain(articles: Path, process: Process, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run without tagging that nothing interrupted."""
    out = tmp_path_factory.mktemp("plain") / "out"
    process(articles, out)
    return out


@pytest.fixture(scope="module")
def tagged(articles: Path, process: Process, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tagged") / "out"
    process(articles, out, Settings(select=20, block=20_000))
    return out


def brute_force(texts: Sequence[str], least: float) -> dict[tuple[int, int], float]:
    sets = [{text[i : i + 3] for i in range(len(text) - 2)} for text in texts]
    pairs = {(i, j): len(sets[i] & sets[j]) / len(sets[i] | sets[j])
             for i, j in itertools.combinations(range(len(texts)), 2)
             if min(len(texts[i]), len(texts[j])) >= 10}  # fmt: skip
    return {pair: similarity for pair, similarity in pairs.items() if similarity >= least}


HOLD = """
import os, sys, time

finished = []

def wait_with_the_second_shard(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith(".arrow"):
        while finished and not os.path.exists(os.environ["RELEASED"]):
            time.sleep(0.05)
        finished.append(arguments)

sys.addaudithook(wait_with_the_second_shard)
"""


@contextlib.contextmanager
def held_run(words: list[str], out: Path, folder: Path) -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    """The command at work, with its processes: a worker waits with its second shard, until `released` is there."""
    (folder / "sitecustomize.py").write_text(HOLD)
    env = {
        **ENV,
        "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
        "RELEASED": str(folder / "released"),
        "TMPDIR": str(folder),
    }
    run = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           start_new_session=True)  # fmt: skip
    try:
        while run.poll() is None and len(list((out / WORK).glob("0*.arrow"))) < 1:
            time.sleep(0.05)
        yield run, list_descendants(run.pid)
    finally:
        (folder / "released").touch()
        run.kill()
        run.communicate(timeout=PATIENCE)


MEASURED = """
import sys
from pathlib import Path
from jinbench.baselines.worker import peak_memory_mb
from jinbench.scale import Settings, batch, readers
source, out = map(Path, sys.argv[1:])
settings = Settings(tagging=False, block=2**18)
for number, shard in enumerate(readers.plan_shards(settings, [source])[1]):
    batch.process_shard(number, shard, folder=out, settings=settings, tagger=None)
print(number + 1, peak_memory_mb())
"""


def measure_memory(source: Path, out: Path) -> tuple[int, float]:
    """Shards, and MB of a process that plans and does them all."""
    words = [sys.executable, "-c", MEASURED, str(source), str(out)]
    shards, peak = subprocess.run(words, env=ENV, check=True, capture_output=True, text=True).stdout.split()
    return int(shards), float(peak)
