"""Client and server killed in the middle of a push or an enter: never a task or an annotation lost or doubled."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from jinbench import annotation, exports, labelstudio, projects
from tests.desk import Desk

pytestmark = pytest.mark.server


def killed_after(desk: Desk, command: list[str], enough: Any) -> None:
    """Run a jinbench command with batches of ten, and kill -9 it as soon as `enough()` holds."""
    code = "import jinbench.projects as p; p.BATCH = 10; from jinbench.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--root", str(desk.where.root), *command],
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


def annotated(desk: Desk) -> int:
    return sum(task.total_annotations for task in desk.tasks())


def test_client_killed_in_a_push(big_desk: Desk) -> None:
    killed_after(big_desk, ["annotate", "push", "-a", big_desk.annotator], lambda: len(big_desk.tasks()) >= 20)
    there = len(big_desk.tasks())
    assert 20 <= there < 142
    assert big_desk.push().created == 142 - there
    big_desk.assert_one_task_per_passage(annotations=0)


def test_client_killed_in_an_enter(big_desk: Desk) -> None:
    big_desk.push()
    export = exports.path_of(big_desk.where, "annotator-a")
    killed_after(
        big_desk, ["annotate", "enter", str(export), "-a", big_desk.annotator], lambda: annotated(big_desk) >= 10
    )
    there = annotated(big_desk)
    assert 10 <= there < 142
    assert big_desk.enter(big_desk.labels()) == (142 - there, there)
    big_desk.assert_one_task_per_passage(annotations=1)


@pytest.fixture
def killer(server: labelstudio.Server) -> Iterator[Any]:
    """Kills the server with -9 when a condition holds, then starts it again on the same port, in the background."""
    threads = []

    def kill_when(enough: Any) -> None:
        def act() -> None:
            while not enough():
                time.sleep(0.02)
            os.kill(server.pid, signal.SIGKILL)
            labelstudio.start()

        threads.append(threading.Thread(target=act))
        threads[-1].start()

    yield kill_when
    for thread in threads:
        thread.join(timeout=120)
        assert not thread.is_alive()


def test_server_killed_in_a_push(big_desk: Desk, killer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The push waits until the server is back, reads what is there, and goes on."""
    monkeypatch.setattr(projects, "BATCH", 10)
    seen: list[int] = []
    killer(lambda: len(seen) >= 4)
    pushed = projects.push(
        big_desk.client, big_desk.where, big_desk.seed, big_desk.label_set, big_desk.annotator, slowly(seen)
    )
    assert pushed.unchanged >= 0
    big_desk.assert_one_task_per_passage(annotations=0)
    assert big_desk.push().created == 0


def test_server_killed_in_an_enter(big_desk: Desk, killer: Any) -> None:
    big_desk.push()
    seen: list[int] = []
    killer(lambda: len(seen) >= 30)
    entered, there = annotation.enter(
        big_desk.client, big_desk.seed, big_desk.label_set, big_desk.annotator, big_desk.labels(), slowly(seen)
    )
    assert entered + there == 142
    big_desk.assert_one_task_per_passage(annotations=1)
    assert big_desk.pull()[0] == 142


def slowly(seen: list[int]) -> Any:
    """A progress that notes what it is told and leaves the killer time."""

    def progress(done: int) -> None:
        seen.append(done)
        time.sleep(0.05)

    return progress
