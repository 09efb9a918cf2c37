"""Test helpers: a run that is killed at one of its steps on the disk."""

import os
import sys
from collections.abc import Callable, Iterator

EVENTS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "shutil.rmtree", "ctypes.dlsym")


def kill_at_each_step(action: Callable[[], object], prepare: Callable[[], None]) -> Iterator[int]:
    """Run an action in a process that ends at its first step, then at its second, …, at last after all of them.

    Each time `prepare` comes before, and the number of the step is yielded after it.
    """
    step, killed = 0, True
    while killed:
        prepare()
        pid = os.fork()
        if not pid:
            _run(action, step)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status in (0, 9)
        yield step
        step, killed = step + 1, status == 9


def _run(action: Callable[[], object], last: int) -> None:
    steps = 0

    def count(event: str, _: object) -> None:
        nonlocal steps
        if event in EVENTS:
            if steps == last:
                os._exit(9)
            steps += 1

    sys.addaudithook(count)
    try:
        action()
        os._exit(0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
