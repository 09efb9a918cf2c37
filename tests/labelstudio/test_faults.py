"""Broken exchanges, killed clients and servers, two at once, a full disk: nothing is lost, and nothing is doubled.

`benchmarks/faults.py` does the same at random, some hundreds of times.
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from jinbench.annotation import exports
from jinbench.core.errors import ServerError
from jinbench.labelstudio import annotations, projects, push
from jinbench.labelstudio.server import client as server_client
from jinbench.labelstudio.server.client import call, connect
from jinbench.labelstudio.server.process import Server, start_server
from tests.helpers.faults import COMMANDS, People, Trial
from tests.helpers.labelstudio import AnnotationProject
from tests.helpers.proxy import KINDS, Proxy, proxy_to

pytestmark = pytest.mark.server


def killed_after(project: AnnotationProject, command: list[str], enough: Any) -> None:
    """Run a jinbench command with batches of ten, and kill -9 it as soon as `enough()` holds."""
    code = "import jinbench.labelstudio.projects as p; p.BATCH = 10; from jinbench.cli.app import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--root", str(project.benchmark.root), *command],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not enough():
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()


def annotated(project: AnnotationProject) -> int:
    return sum(task.total_annotations for task in project.tasks())


def test_client_killed_in_a_push(large_project: AnnotationProject) -> None:
    killed_after(
        large_project, ["annotate", "push", "-a", large_project.annotator], lambda: len(large_project.tasks()) >= 20
    )
    count = len(large_project.tasks())
    assert 20 <= count < 142
    assert large_project.push().created == 142 - count
    large_project.assert_one_task_per_passage(annotations=0)


def test_client_killed_in_a_submission(large_project: AnnotationProject) -> None:
    large_project.push()
    export = exports.export_path(large_project.benchmark, "annotator-a")
    killed_after(
        large_project,
        ["annotate", "import", str(export), "-a", large_project.annotator],
        lambda: annotated(large_project) >= 10,
    )
    count = annotated(large_project)
    assert 10 <= count < 142
    assert large_project.submit(large_project.labels()) == (142 - count, count)
    large_project.assert_one_task_per_passage(annotations=1)


@pytest.fixture
def killer(server: Server) -> Iterator[Any]:
    """Kills the server with -9 when a condition holds, then starts it again on the same port, in the background."""
    threads = []

    def kill_when(enough: Any) -> None:
        def act() -> None:
            while not enough():
                time.sleep(0.02)
            os.kill(server.pid, signal.SIGKILL)
            start_server()

        threads.append(threading.Thread(target=act))
        threads[-1].start()

    yield kill_when
    for thread in threads:
        thread.join(timeout=120)
        assert not thread.is_alive()


def test_server_killed_in_a_push(
    large_project: AnnotationProject, killer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The push waits until the server is back, reads what is there, and goes on."""
    monkeypatch.setattr(projects, "BATCH", 10)
    seen: list[int] = []
    killer(lambda: len(seen) >= 4)
    pushed = push.push_passages(large_project.client, large_project.workspace, large_project.annotator, slowly(seen))
    assert pushed.unchanged >= 0
    large_project.assert_one_task_per_passage(annotations=0)
    assert large_project.push().created == 0


def test_server_killed_in_a_submission(large_project: AnnotationProject, killer: Any) -> None:
    large_project.push()
    seen: list[int] = []
    killer(lambda: len(seen) >= 30)
    entered, unchanged = annotations.submit_labels(
        large_project.client, large_project.workspace, large_project.annotator, large_project.labels(), slowly(seen)
    )
    assert entered + unchanged == 142
    large_project.assert_one_task_per_passage(annotations=1)
    assert large_project.pull()[0] == 142


def slowly(seen: list[int]) -> Any:
    """A progress that notes what it is told and leaves the killer time."""

    def progress(done: int) -> None:
        seen.append(done)
        time.sleep(0.05)

    return progress


@pytest.fixture(scope="module")
def people(server_home: Path) -> People:
    return People(start_server())


@pytest.fixture
def proxy(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setattr(server_client, "SETTLE_SECONDS", 0.05)
    with proxy_to(server.url) as proxy:
        yield proxy


@pytest.mark.parametrize("command", COMMANDS)
def test_every_request_is_broken_once(command: str, people: People, proxy: Proxy, tmp_path: Path) -> None:
    """The n-th request of a whole command, for every n, each in one of the ways, what was committed before all."""
    trial = Trial(tmp_path, people, command)
    assert trial.run_through(proxy.url) is None
    trial.check()
    ways = ["dropped after", "502 after", "dropped meanwhile", "cut answer", "dropped before", "502 before"]
    for n in range(1, proxy.number + 1):
        trial = Trial(tmp_path, people, command)
        proxy.reset(lambda k, n=n: ways[n % len(ways)] if k == n else None)
        message = trial.run_through(proxy.url)
        assert proxy.broken == 1
        proxy.reset()
        assert message is None or trial.run_through(proxy.url) is None
        trial.check()


A_STEP = some.tuples(
    some.sampled_from(["push", "enter", "pull"]), some.sampled_from(sorted(KINDS)), some.integers(1, 15)
)


def test_a_gateway_that_fails_at_the_token(people: People, proxy: Proxy, tmp_path: Path) -> None:
    """The SDK reads the page of a gateway as JSON; the command goes on by itself."""
    trial = Trial(tmp_path, people, "push")
    proxy.reset(lambda n: "502 after" if n == 2 else None)  # the first asks what answers there
    assert trial.run_through(proxy.url) is None
    trial.check()


@settings(max_examples=4)
@given(some.lists(A_STEP, min_size=2, max_size=4))
def test_any_order_of_commands_and_faults(
    people: People, proxy: Proxy, tmp_path: Path, steps: list[tuple[str, str, int]]
) -> None:
    trial = Trial(tmp_path, people, "push")
    for command, kind, at in [*steps, ("push", "", 0), ("enter", "", 0), ("pull", "", 0)]:
        trial.command = command
        proxy.reset(lambda k, at=at, kind=kind: kind if k == at else None)
        message = trial.run_through(proxy.url)
        assert kind or message is None
    trial.check()


@pytest.mark.parametrize("machines", [1, 2])
@pytest.mark.parametrize("command", ["push", "enter"])
def test_two_at_once(
    command: str, machines: int, people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When neither project exists yet, too. Two machines have no lock in common."""
    trial = Trial(tmp_path, people, command)
    if machines == 2:
        monkeypatch.setattr(push, "write_lock", contextlib.nullcontext)
        monkeypatch.setattr(annotations, "write_lock", contextlib.nullcontext)
    errors: list[Exception] = []
    barrier = threading.Barrier(2)

    def run() -> None:
        client = connect()
        barrier.wait()
        try:
            trial.run(client)
        except ServerError as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        trial.run(trial.client)
    trial.check()


def test_two_projects_of_one_title_are_merged(people: People, tmp_path: Path) -> None:
    """The one that somebody has worked in stays; if there are two of those, a person must choose."""
    trial = Trial(tmp_path, people, "push")
    title = projects.project_title(trial.label_set, trial.name)
    call(trial.client, "POST", "api/projects/", json={"title": title})
    trial.push(trial.client)
    worked = call(trial.client, "POST", "api/projects/", json={"title": title, "label_config": "<View></View>"})["id"]
    data = projects.build_task_data(trial.seeds)[0]
    path = f"api/projects/{worked}/import"
    task = call(trial.client, "POST", path, params={"return_task_ids": "true"}, json=[{"data": data}])["task_ids"][0]
    call(trial.client, "POST", f"api/tasks/{task}/drafts", json={"result": []})
    trial.push(trial.client)
    assert len(trial.tasks) == 8
    assert trial.project == worked
    other = call(trial.client, "POST", "api/projects/", json={"title": title})["id"]
    call(trial.client, "POST", f"api/projects/{other}/import", json=[{"data": {"text": "by hand"}}])
    with pytest.raises(ServerError, match=rf"Projects {worked} and {other} are both called"):
        trial.push(trial.client)


def test_a_full_disk_leaves_the_export_as_it_was(people: People, tmp_path: Path, server: Server) -> None:
    """By the command itself: one sentence, no traceback, nothing half there; with room it gets through."""
    trial = Trial(tmp_path, people, "pull")
    trial.run(trial.client)
    trial.path.write_bytes(b"[]\n")
    for room in (100, 3000):  # too little for what is put together, and for the export
        done = pull(trial, room)
        assert (done.returncode, trial.path.read_bytes()) == (1, b"[]\n"), done.stderr
        assert done.stderr.strip().count("\n") == 0
        assert "file too large" in done.stderr
    assert [path.name for path in trial.path.parent.iterdir() if path.name.startswith(".")] == []


def pull(trial: Trial, room: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "jinbench", "--root", str(trial.benchmark.root)]
    return subprocess.run(
        [*command, "annotate", "pull", "-a", trial.name, "--json"], capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )  # fmt: skip
