"""Run a recipe in an isolated subprocess: the parent side. `worker` is the child side, `reader` reads what it is given.

No process holds the gold of what is predicted while a recipe runs: that is read when its last fit has ended. It keeps a
recipe honest that searches memory. It is no security boundary: a recipe can read and write its user's files.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NoReturn

from jinbench.baselines import worker
from jinbench.baselines.recipe import Recipe, list_imports, require_recipe_packages
from jinbench.baselines.worker import HEADER_BYTES, Message, RecipeFile, Row
from jinbench.core import environment, files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, JinbenchError, Problem, fail, raise_if_any
from jinbench.core.types import Step
from jinbench.scoring import predictions
from jinbench.scoring.gold import LabelKey

# One thread and one hash seed, so that a recipe gives the same predictions everywhere. Variables that are set stay.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
MAX_PROBLEMS = 5  # shown for one fit
SHARED_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")
MAX_MESSAGE_BYTES = 1 << 28  # that a recipe may answer
ENVIRONMENT = {**dict.fromkeys(THREAD_VARIABLES, "1"), "PYTHONHASHSEED": "0", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class FitResult:
    """Predictions of one fit by id, batch by batch, and its costs, which are measured from outside.

    `fit_seconds` is the time until it asks for the first batch; memory is the resident set in MB, (before the fit, at
    its peak). `left` names what it left where a later fit can find it.
    """

    split: str
    characters: int
    predictions: list[dict[str, frozenset[LabelKey]]]
    fit_seconds: float
    predict_seconds: float
    cpu_seconds: float
    memory_mb: tuple[float, float]
    left: frozenset[str]


@dataclass(frozen=True)
class Limits:
    """Limits of a fit with its predictions: `timeout` in seconds, `memory` in MB of address space; None for none."""

    timeout: float | None = None
    memory: int | None = None


NO_LIMITS = Limits()


def run_rounds(
    benchmark: Benchmark, recipe: Recipe, splits: Sequence[str], limits: Limits, step: Step, *, curve: bool = False
) -> list[FitResult]:
    """Fit a recipe and predict, for each round of its run or, with `curve`, of its learning curve.

    Raises DataError [package-missing], [recipe-broken], [unknown-label] and the other checks of a submission, and what
    `read_experiment` raises; JinbenchError if this system has no fork.
    """
    fits: list[FitResult] = []
    total = 1
    name = f"{recipe.name}, learning curve" if curve else recipe.name
    with Sandbox(benchmark, recipe, splits, limits, curve) as box:
        box.start()
        while len(fits) < total:
            with tempfile.TemporaryDirectory(prefix="jinbench-recipe-", ignore_cleanup_errors=True) as folder:
                round = box.read_round(len(fits), folder)
                total = round["total"]
                step(name, len(fits), total)
                fits.append(box.fit_predict(round, folder))
    step(name, total, total)
    return fits


class Sandbox:
    """Context manager for the two subprocesses of a run, `reader` and `worker`, which fork once for every fit."""

    def __init__(
        self, benchmark: Benchmark, recipe: Recipe, splits: Sequence[str], limits: Limits, curve: bool
    ) -> None:
        require_recipe_packages(recipe)
        if not hasattr(os, "fork"):
            raise JinbenchError("Recipes run in forks, which this system does not have. Use Linux, macOS or WSL.")
        self.recipe, self.limits = recipe, limits
        self.shown_path, self.source = files.display_path(recipe.path), recipe.path.read_bytes()
        self.label_names: Sequence[str] = ()
        path = os.pathsep.join(entry for entry in sys.path if entry)
        variables = ENVIRONMENT | environment.without_secrets() | {"PYTHONPATH": path}
        # Sockets, which nothing can open through /proc; sessions of their own, so that all children end with them.
        self.control, control = socket.socketpair()
        self.requests, requests = socket.socketpair()
        with control, requests:
            self.worker, self.reader = (
                subprocess.Popen(
                    [sys.executable, "-P", "-m", f"jinbench.baselines.{module}", str(far.fileno()), *arguments],
                    stdin=subprocess.DEVNULL, stdout=2, pass_fds=(far.fileno(),), start_new_session=True, env=variables,
                )
                for module, far, arguments in (
                    ("worker", control, [",".join(list_imports(recipe))]),
                    ("reader", requests, [*map(os.path.realpath, (benchmark.root, recipe.path)), "x" * curve, *splits]),
                )
            )  # fmt: skip

    def __enter__(self) -> "Sandbox":
        return self

    def start(self) -> None:
        """Wait until the worker has imported packages, and send it the recipe."""
        recipe = self.recipe
        file = RecipeFile(recipe.name, self.shown_path, recipe.task, recipe.seed, self.limits.memory or 0)
        try:
            worker.receive_message(self.control.fileno())  # that it is ready
        except (OSError, EOFError):
            self._fail("no answer came")
        worker.send_message(self.control.fileno(), asdict(file))

    def __exit__(self, *_: object) -> None:
        self.control.close()
        self.requests.close()
        for process in (self.worker, self.reader):
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it is gone; macOS says the latter
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def read_round(self, number: int, folder: str) -> Message:
        """Have the rows and labels of a round written into a folder; return what is to be predicted."""
        round: Message
        try:
            worker.send_message(self.requests.fileno(), [number, folder])
            round, _ = (worker.receive_message(self.requests.fileno()) for _ in range(2))
        except (OSError, EOFError):
            raise JinbenchError("The dataset cannot be read: what went wrong stands above.") from None
        if "problems" in round:
            raise DataError([Problem(**problem) for problem in round["problems"]])
        self.label_names = round["label_names"] or self.label_names
        return round

    def fit_predict(self, round: Message, folder: str) -> FitResult:
        """Fit on the rows that `folder` has, and predict each batch of `round`."""
        # A copy: what the recipe puts beside itself, or writes into itself, goes with the folder.
        Path(folder, f"{self.recipe.name}.py").write_bytes(self.source)
        before = list_shared_files(self.recipe.path.parent)
        channel, far_channel = socket.socketpair()
        output, far_output = os.pipe()
        relay = threading.Thread(target=_relay_output, args=(output,), daemon=True)
        relay.start()
        reply: Message = {}
        failure, request = "", worker.KILL
        deadline = time.monotonic() + self.limits.timeout if self.limits.timeout else None
        try:
            with contextlib.suppress(OSError):  # the worker is gone, as the channel will show
                socket.send_fds(self.control, [folder.encode()], [far_channel.fileno(), far_output])
            far_channel.close()
            os.close(far_output)
            memory = float(self._receive(channel, deadline)["memory"])
            channel.sendall(worker.pack_message({}))
            marks = [time.perf_counter()]
            for batch in [*round["batches"], None]:
                reply = self._receive(channel, deadline)
                marks.append(time.perf_counter())
                if batch is None or "next" not in reply:
                    break
                channel.sendall(worker.pack_message(batch))
            predicted = self._check_answer(reply, round["batches"])
            request = worker.END
        except TimeoutError:
            failure = f"no answer in {self.limits.timeout:g} s (--timeout)"
        except (EOFError, ConnectionError):
            failure, request = "it closed its channel", worker.END
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            failure = "it wrote something else than an answer to its channel"
        finally:
            channel.close()
            report = self._end_fit(request)
            relay.join()
        if failure:
            self._fail(report["how"] or failure if request == worker.END else failure)
        return FitResult(
            round["split"],
            sum(len(row["text"]) for batch in round["batches"] for row in batch),
            predicted,
            marks[1] - marks[0],
            marks[-1] - marks[1],
            report["cpu"],
            (memory, report["peak"]),
            list_shared_files(self.recipe.path.parent) - before,
        )

    def _receive(self, channel: socket.socket, deadline: float | None) -> Message:
        """Receive a message of a fit. Raises EOFError if none will come, TimeoutError, ValueError for what is none."""
        poll = select.poll()
        poll.register(channel, select.POLLIN)
        poll.register(self.control, select.POLLIN)  # the report of the worker that the fit has ended
        data, size = bytearray(), HEADER_BYTES
        while len(data) < size:
            remaining = None if deadline is None else max(deadline - time.monotonic(), 0.001)
            channel.settimeout(remaining)
            ready = dict(poll.poll(remaining and remaining * 1000))
            if not ready:
                raise TimeoutError
            chunk = channel.recv(1 << 20) if channel.fileno() in ready else b""
            if not chunk:
                raise EOFError
            data += chunk
            if size == HEADER_BYTES <= len(data):
                size += int.from_bytes(data[:HEADER_BYTES], "big")
                if size > MAX_MESSAGE_BYTES:
                    raise ValueError
        message: Message = json.loads(data[HEADER_BYTES:])  # what follows the message makes it none
        return message

    def _end_fit(self, request: bytes) -> Message:
        """Have the fit and what it left ended, and return the worker's report."""
        try:
            self.control.sendall(request)
            report: Message = worker.receive_message(self.control.fileno())
        except (OSError, EOFError):
            return {"how": "no answer came"}
        return report

    def _fail(self, how: str) -> NoReturn:
        fail(
            "recipe-broken",
            self.shown_path,
            expected="a recipe that gives its predictions",
            found=f"its process ended: {how}",
            fix="remove what ends it; SIGKILL is often a lack of memory",
        )

    def _check_answer(self, answer: Message, batches: Sequence[Sequence[Row]]) -> list[dict[str, frozenset[LabelKey]]]:
        """Return the predictions of an answer by id, batch by batch. Raises DataError with the problems that it has."""
        if "problems" in answer:
            raise DataError(_truncate([Problem(**problem) for problem in answer["problems"]]))
        problems: list[Problem] = []
        predicted = [
            {row["id"]: self._check(row, values, problems) for row, values in zip(rows, answers, strict=True)}
            for rows, answers in zip(batches, answer["batches"], strict=True)
        ]
        raise_if_any(_truncate(problems))
        return predicted

    def _check(self, row: Row, values: list[object], problems: list[Problem]) -> frozenset[LabelKey]:
        location = f"{self.shown_path} {row['id']}"
        return predictions.check_labels(self.recipe.task, values, row["text"], self.label_names, location, problems)


def _truncate(problems: list[Problem]) -> list[Problem]:
    """Return the first problems: one mistake is often made on every row."""
    if len(problems) <= MAX_PROBLEMS:
        return problems
    last = problems[MAX_PROBLEMS - 1]
    more = replace(last, fix=f"{last.fix} ({len(problems) - MAX_PROBLEMS} more problems are not shown)")
    return [*problems[: MAX_PROBLEMS - 1], more]


def _relay_output(source: int) -> None:
    """Copy what a fit prints to standard error: it gets no descriptor of ours, which a later fit would get too."""
    with open(source, "rb", buffering=0) as pipe:
        while chunk := pipe.read(1 << 16):
            with contextlib.suppress(OSError):
                os.write(2, chunk)


def list_shared_files(folder: Path) -> frozenset[str]:
    """Return what this user has in `folder` and in other places which a fit can reach and which outlive it."""
    found: set[str] = set()
    for place in {folder, Path.cwd(), Path.home(), Path(tempfile.gettempdir()), *map(Path, SHARED_FOLDERS)}:
        with contextlib.suppress(OSError):
            found |= {
                entry.path for entry in os.scandir(place) if entry.stat(follow_symlinks=False).st_uid == os.getuid()
            }
    for kind in ("sysvipc/shm", "sysvipc/sem", "sysvipc/msg", "keys"):
        with contextlib.suppress(OSError):
            lines = Path("/proc", kind).read_text().splitlines()
            found |= {f"/proc/{kind} {' '.join(line.split()[:2])}" for line in lines}
    return frozenset(found)
