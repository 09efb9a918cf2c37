"""Executors, with a real Dask cluster: the same bytes as in one process, also when a worker is killed."""

import contextlib
import itertools
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest

from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, JinbenchError
from jinbench.scale import executors, pipeline
from jinbench.scale.stages import WORK, Settings
from tests.helpers.scale import ENV, command, make_articles, quiet, read_contents, wait_until_gone, write_rows
from tests.helpers.scale import sentences as sentences

SETTINGS = Settings(tagging=False, block=int(0.02 * 2**20), rows=2000)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two workers, each with its nanny, as somebody else may have started them."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0",
        local_directory=str(tmp_path_factory.mktemp("dask")), silence_logs=logging.CRITICAL,
    ) as local_cluster:  # fmt: skip
        yield local_cluster


@pytest.fixture(scope="module")
def articles(sentences: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("articles") / "many.jsonl", make_articles(sentences, 600))


@pytest.fixture(scope="module")
def plain(articles: Path, real: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("plain") / "out"
    pipeline.process([articles], out, real, SETTINGS, executors.serial_executor(), quiet)
    return out


def test_a_worker_that_is_killed_costs_nothing(
    cluster: Any, articles: Path, plain: Path, real: Benchmark, tmp_path: Path
) -> None:
    """Its jobs go to the other one, a new one comes up, and the bytes are those of one process."""
    killed: list[int] = []

    def step(what: str, done: int, total: int) -> None:
        if (what, done) == ("blocks", 4):
            killed.append(next(iter(cluster.workers.values())).pid)
            os.kill(killed[0], signal.SIGKILL)

    engine = executors.dask_executor(2, cluster.scheduler_address)
    pipeline.process([articles], tmp_path / "out", real, SETTINGS, engine, step)
    assert len(killed) == 1
    assert read_contents(tmp_path / "out") == read_contents(plain)
    assert killed[0] not in [worker.pid for worker in cluster.workers.values()]


def list_descendants(root: int) -> list[int]:
    processes = [root]
    for parent in processes:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                processes += [int(child) for child in (task / "children").read_text().split()]
    return processes[1:]


def test_a_cluster_of_our_own_goes_on_without_a_worker_and_leaves_nothing(
    articles: Path, plain: Path, tmp_path: Path
) -> None:
    """The command itself, in an empty folder; a worker is killed by its id as soon as there are blocks."""
    empty, out, temporary = tmp_path / "here", tmp_path / "out", tmp_path / "tmp"
    empty.mkdir()
    temporary.mkdir()
    words = command(articles, "--out", out, "--engine", "dask", "--workers", 2, "--no-tagging",
                    "--block", 0.02, "--memory", 1)  # fmt: skip
    run = subprocess.Popen(words, env=ENV | {"TMPDIR": str(temporary)}, cwd=empty, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)  # fmt: skip
    while run.poll() is None and not list((out / WORK / "blocks").glob("*.json")):
        time.sleep(0.01)
    started = list_descendants(run.pid)
    workers = [process for process in started if b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()]
    assert len(workers) >= 2
    os.kill(workers[-1], signal.SIGKILL)
    output = run.communicate(timeout=60)
    assert run.returncode == 0, output[1]
    assert "Traceback" not in output[1]
    assert "distributed" not in output[1]
    assert json.loads((out / "summary.json").read_text())["articles"] == 600
    data = {name: value for name, value in read_contents(plain).items() if name.startswith("data/")}
    assert {name: value for name, value in read_contents(out).items() if name.startswith("data/")} == data
    assert not list(empty.iterdir())
    assert not list(temporary.iterdir())
    assert wait_until_gone(started)


def test_what_a_job_cannot_write_is_said(cluster: Any, articles: Path, real: Benchmark, tmp_path: Path) -> None:
    """A folder that no worker can write into: the error is that of the system, and nothing hangs."""
    out = tmp_path / "out"
    blocked: list[str] = []

    def step(what: str, done: int, total: int) -> None:
        if what == "blocks" and not blocked:
            blocked.append(what)
            (out / "data").write_text("a file where a folder should be")

    with pytest.raises(OSError):  # noqa: PT011
        pipeline.process([articles], out, real, SETTINGS, executors.dask_executor(2, cluster.scheduler_address), step)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_job_that_kills_every_worker_is_given_up(cluster: Any) -> None:
    with (
        executors.dask_executor(2, cluster.scheduler_address) as run,
        pytest.raises(JinbenchError, match="Dask gave up a job"),
    ):
        list(run(die, [()]))


def test_a_scheduler_that_is_not_there_is_said() -> None:
    begin = time.perf_counter()
    with (
        pytest.raises(JinbenchError, match=r"answers at tcp://127\.0\.0\.1:9"),
        executors.dask_executor(2, "tcp://127.0.0.1:9"),
    ):
        pass
    assert time.perf_counter() - begin < 15
    with (
        pytest.raises(JinbenchError, match="No Dask scheduler answers at nonsense"),
        executors.dask_executor(2, "nonsense"),
    ):
        pass


def test_without_dask_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors.importlib.util, "find_spec", lambda name: None)  # type: ignore[attr-defined]
    with pytest.raises(DataError) as raised, executors.dask_executor(2):
        pass
    (problem,) = raised.value.problems
    assert (problem.code, problem.fix) == ("package-missing", "pip install 'jinbench[cluster]'")


def test_workers_of_another_version_are_refused(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors.metadata, "version", lambda name: "9.9.9")
    with pytest.raises(DataError) as raised, executors.dask_executor(2, cluster.scheduler_address):
        pass
    assert {problem.code for problem in raised.value.problems} == {"wrong-version"}


WORKER = """
import sys

class Nowhere:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "jinbench":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

if sys.argv.pop() == "bare":
    sys.meta_path.insert(0, Nowhere())
from distributed.cli.dask_worker import main
main()
"""


@contextlib.contextmanager
def scheduler_and_worker(kind: str, folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A scheduler and a worker as they are started by hand; a `bare` worker has no jinbench."""
    noted = folder / "scheduler.json"
    options = ["--no-dashboard", "--scheduler-file", str(noted)]
    words = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *options]
    with contextlib.ExitStack() as stack:
        started = []
        for arguments in (words, [sys.executable, "-c", WORKER, "--no-nanny", "--nthreads", "1", *options, kind]):
            started.append(
                stack.enter_context(subprocess.Popen(arguments, env=ENV, cwd=folder, stderr=subprocess.DEVNULL))
            )
            stack.callback(started[-1].kill)
        while not noted.is_file() or not noted.read_text():
            time.sleep(0.05)
        address = json.loads(noted.read_text())["address"]
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=20)
        yield address, started[0]


def test_a_worker_without_the_package_is_named(tmp_path: Path) -> None:
    with (
        scheduler_and_worker("bare", tmp_path) as (address, _),
        pytest.raises(DataError) as raised,
        executors.dask_executor(1, address),
    ):
        pass
    assert [problem.code for problem in raised.value.problems] == ["package-missing"]
    assert "install it there" in raised.value.problems[0].fix


def test_a_scheduler_that_ends_is_said(tmp_path: Path) -> None:
    done = []
    with scheduler_and_worker("whole", tmp_path) as (address, scheduler), executors.dask_executor(1, address) as run:
        results = run(time.sleep, ((0.05,) for _ in range(1000)))
        done += itertools.islice(results, 5)
        scheduler.kill()
        with pytest.raises(JinbenchError, match=r"connection to the Dask scheduler is lost\. What is finished is kept"):
            done += results
    assert 5 <= len(done) < 1000


def test_jobs_are_handed_out_as_they_are_done() -> None:
    """Never many more than there are workers for: a list of a million is not taken at once."""
    taken, lock = [0], threading.Lock()

    def jobs() -> Iterator[tuple[int]]:
        for number in range(200):
            with lock:
                taken[0] += 1
            yield (number,)

    with executors.process_executor(2) as run:
        done = []
        for result in run(abs, jobs()):
            done.append(result)
            assert taken[0] <= len(done) + 3 * executors.JOBS_PER_WORKER * 2
    assert sorted(done) == list(range(200))


def test_usage(tmp_path: Path) -> None:
    for words in (["--engine", "spark"], ["--scheduler", "tcp://x:1"]):
        done = subprocess.run(
            [sys.executable, "-m", "jinbench", "process", "x.jsonl", "--out", str(tmp_path / "o"), *words],
            env=ENV, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 2
        assert words[0] in done.stderr
