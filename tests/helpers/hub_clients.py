"""Clients of the stand-in Hub, each in a process."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from jinbench.core.benchmark import Benchmark
from jinbench.dataset import build
from jinbench.publish import card
from tests.helpers.benchmarks import create_mini_benchmark
from tests.helpers.hub import Hub
from tests.helpers.hub_store import is_large
from tests.helpers.paths import ROOT

REPO = "owner/mini"
OLD, NEW = "v1.0.0", "v1.1.0"
MANY = 10**6
# The client sends by hf-xet whenever that is installed, whatever the server answers, and there is no stand-in for that
# protocol. Without it, it sends by Git LFS. Reading needs no such switch: there the server's answer decides.
BY_LFS = {"HF_HUB_DISABLE_XET": "1", "PYTHONPATH": str(ROOT)}
OFFLINE = {"HF_HUB_OFFLINE": "1"}
COMMAND = "from jinbench.cli.app import main; main()"
# `jinbench publish` without the verification of folder and card, which takes longer than the rest.
PUBLISH = """
import pathlib, sys
from jinbench.cli import app
from jinbench.publish import hub
from jinbench.core.errors import JinbenchError

try:
    print(hub.publish_dataset(pathlib.Path(sys.argv[2], "dataset"), sys.argv[-1], step=lambda *_: None))
except JinbenchError as error:
    app.exit_with_error(error)
"""
IMPATIENT = "import time; time.sleep = lambda seconds: None\n"  # the client tries again at once
# Without the interpreter's clean-up: in one run of twenty a thread of Arrow's, still closing a file of the Hub, aborts
# there on Python 3.11, after the rows have been read.
LEAVE = "\nimport os; sys.stdout.flush(); os._exit(0)"

LOAD = (
    """
import json, sys
from datasets import load_dataset

results = []
for job in json.loads(sys.argv[1]):
    try:
        splits = load_dataset(**job)
        results.append({split: list(rows) for split, rows in splits.items()})
    except Exception as error:
        results.append(f"{type(error).__name__}: {error}")
print(json.dumps(results))
"""
    + LEAVE
)

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def build_benchmark(root: Path, head: str) -> Benchmark:
    """Build the three-page benchmark, with a card that has the configs of the real one."""
    benchmark = create_mini_benchmark(root)
    benchmark.card.write_text(f"---\n{head}---\n\n# Mini\n")
    (root / "docs" / "dataset.md").unlink()  # its tables want agreement.json
    build.write_dataset(build.build_dataset(benchmark), benchmark.dataset)
    card.write_card(benchmark)
    return benchmark


def load(server: Hub, home: Path, *jobs: dict[str, Any], **env: str) -> list[Any]:
    """Run `load_dataset` for each job, all in one process; return its rows, or the text of its error."""
    done = subprocess.run(
        [sys.executable, "-c", IMPATIENT + LOAD, json.dumps([{"path": REPO} | job for job in jobs])],
        env=server.environment(home) | env, capture_output=True, text=True, cwd=home,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def read_local(benchmark: Benchmark, config: str = "ner") -> dict[str, list[dict[str, Any]]]:
    return {path.stem: pq.read_table(path).to_pylist() for path in (benchmark.dataset / config).glob("*.parquet")}


def read_config_names(benchmark: Benchmark) -> list[str]:
    head = yaml.safe_load(benchmark.card.read_text().split("---\n")[1])
    return [config["config_name"] for config in head["configs"]]


def list_large_files(benchmark: Benchmark) -> list[Path]:
    """Return the files that go by Git LFS."""
    return [path for path in benchmark.dataset.rglob("*") if is_large(path.name)]


def list_writes(server: Hub) -> list[str]:
    return server.requests("POST") + server.requests("PUT")
