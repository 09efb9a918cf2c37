"""Two versions of a benchmark, a stand-in Hub, and commands that run against it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jinbench.core.benchmark import Benchmark
from jinbench.dataset import build
from jinbench.publish import card
from tests.helpers.hub import Hub, run_hub
from tests.helpers.hub_clients import (
    BY_LFS,
    COMMAND,
    IMPATIENT,
    PUBLISH,
    REPO,
    Run,
    build_benchmark,
)
from tests.helpers.hub_store import OWNER_TOKEN


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory, real: Benchmark) -> tuple[Benchmark, Benchmark]:
    """The same data in two versions: the newer one differs in one label."""
    root = tmp_path_factory.mktemp("hub")
    head = real.card.read_text().split("---\n")[1]
    old, new = build_benchmark(root / "old", head), build_benchmark(root / "new", head)
    new.labels.write_text(new.labels.read_text().replace('version = "1.0.0"', 'version = "1.1.0"'))
    export = new.exports / "adjudicator.json"
    export.write_text(export.read_text().replace('"PLACE"', '"DATE"', 1))
    build.write_dataset(build.build_dataset(new), new.dataset)
    card.write_card(new)
    return old, new


@pytest.fixture
def old(versions: tuple[Benchmark, Benchmark]) -> Benchmark:
    return versions[0]


@pytest.fixture
def new(versions: tuple[Benchmark, Benchmark]) -> Benchmark:
    return versions[1]


@pytest.fixture
def copy(old: Benchmark, tmp_path: Path) -> Benchmark:
    """The older version, to be changed."""
    shutil.copytree(old.root, tmp_path / "copy")
    return Benchmark(tmp_path / "copy")


@pytest.fixture
def server() -> Iterator[Hub]:
    with run_hub() as hub_server:
        yield hub_server


@pytest.fixture
def run(server: Hub, tmp_path: Path) -> Run:
    """`jinbench --root WHERE ARGUMENTS` against the stand-in; `says` must stand in what it prints."""

    def run(
        benchmark: Benchmark, *arguments: str, exit: int = 0, says: str = "", token: str | None = OWNER_TOKEN,
        code: str = COMMAND,
        **env: str,
    ) -> Any:  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", IMPATIENT + code, "--root", str(benchmark.root), *arguments],
            env=server.environment(tmp_path, token) | BY_LFS | env, capture_output=True, text=True, cwd=tmp_path,
        )  # fmt: skip
        output = done.stdout + done.stderr
        assert done.returncode == exit, output
        assert says in output
        assert "Traceback" not in output
        assert token is None or token not in output
        return done

    return run


@pytest.fixture
def publish(run: Run) -> Run:
    """The library's part of `jinbench publish --to REPO`, with the same messages and exit codes."""

    def publish(benchmark: Benchmark, repo_id: str = REPO, **options: Any) -> Any:
        return run(benchmark, repo_id, code=PUBLISH, **options)

    return publish
