"""Run a recipe in an isolated subprocess: the child side, which never holds a label of what is to be predicted.

`main` imports packages and then forks once for every fit. The fork alone loads the recipe and reads the rows and
training labels of the fit, in an empty folder that is gone after it, and takes all that with it: nothing of a fit is
left to the next in memory, in the working, home or temporary folder, or in a process. `sandbox` is the parent side.
"""

import contextlib
import ctypes
import importlib.util
import json
import operator
import os
import random
import reprlib
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from jinbench.core import tags
from jinbench.core.environment import EXTRAS, extra_install_command
from jinbench.core.errors import DataError, ErrorList, Problem
from jinbench.core.types import JsonObject, Span

Row = JsonObject
Message = JsonObject

HEADER_BYTES = 8  # the length of a message
PR_SET_CHILD_SUBREAPER = 36  # of Linux: processes that lose their parent become children of this one
MAX_ERROR_CHARACTERS = 300  # of a recipe's own error that are shown


def send_message(pipe: int, message: object) -> None:
    data = json.dumps(message).encode()
    rest = memoryview(len(data).to_bytes(HEADER_BYTES, "big") + data)
    while rest:
        rest = rest[os.write(pipe, rest) :]


def receive_message(pipe: int) -> Any:
    """Read a message. Raises EOFError if the other side has gone."""
    return json.loads(_read_exactly(pipe, int.from_bytes(_read_exactly(pipe, HEADER_BYTES), "big")))


def _read_exactly(pipe: int, size: int) -> bytes:
    chunks = []
    while size:
        chunk = os.read(pipe, min(size, 1 << 20))
        if not chunk:
            raise EOFError
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


class Estimator(Protocol):
    """The object that the `make` of a recipe returns."""

    def fit(self, rows: list[Row], labels: list[object], /) -> object: ...

    def predict(self, rows: list[Row], /) -> Iterable[object]: ...


@dataclass(frozen=True)
class _RecipeFile:
    path: Path
    shown_path: str  # as messages name it
    task: str
    seed: int
    timeout: float  # seconds of a fit with its predictions; 0 for any number
    memory: int  # MB of address space; 0 for any number


def main(recipe: _RecipeFile, imports: Iterable[str], jobs: int, replies: int) -> None:
    """Import the packages of the recipe, report that this is done, and fork for each byte on the pipe `jobs`.

    After each fork, whatever it left running is killed, and the reply {"ended": how} is sent.
    """
    warnings.simplefilter("ignore")
    for name in imports:
        with contextlib.suppress(Exception):  # the recipe meets the same error, and reports it
            module, _, attribute = name.partition(":")
            loaded = importlib.import_module(module)
            if attribute:
                getattr(loaded, attribute)
    with contextlib.suppress(OSError, AttributeError):  # elsewhere than on Linux
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with contextlib.suppress(BrokenPipeError):  # nobody is waiting any more
        send_message(replies, {"ready": True})
        while os.read(jobs, 1):
            with tempfile.TemporaryDirectory(prefix="jinbench-recipe-", ignore_cleanup_errors=True) as folder:
                child = os.fork()
                if not child:
                    _run_in_fork(recipe, folder, jobs, replies)
                how = _wait_for_fork(child, recipe.timeout, replies)
                _kill_descendants()
            send_message(replies, {"ended": how})


def _wait_for_fork(child: int, timeout: float, replies: int) -> str:
    """Return how the fork ended. If the parent has gone before, kill everything in this process group."""
    poll, deadline = select.poll(), time.monotonic() + timeout
    poll.register(replies, 0)  # hangs up when nobody reads any more
    pause = 1.0  # milliseconds
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        if poll.poll(pause):
            _kill_descendants()
            os.killpg(0, signal.SIGKILL)
        if timeout and time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f"no answer in {timeout:g} s (--timeout)"
        pause = min(2 * pause, 50.0)


def _kill_descendants() -> None:
    """Kill every process that a fork has left, also one in a session of its own."""
    while True:
        try:
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
                children = [int(pid) for pid in file.read().split()]
        except OSError:  # not Linux: what is in the process group ends with this process
            return
        if not children:
            return
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _run_in_fork(recipe: _RecipeFile, folder: str, jobs: int, replies: int) -> NoReturn:
    """Load the recipe, fit and predict; end the fork, so that it never goes on with the work of its parent."""
    with contextlib.suppress(BrokenPipeError, EOFError):  # nobody is waiting any more
        os.chdir(folder)
        os.environ.setdefault("HF_HOME", str(Path.home() / ".cache" / "huggingface"))  # models that are there already
        os.environ |= {"HOME": folder, "TMPDIR": folder}
        tempfile.tempdir = folder
        if recipe.memory:
            limit = recipe.memory * 2**20
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        send_message(replies, _fit_predict(recipe, jobs, replies))
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)


def _load_make(path: Path) -> Callable[[], Estimator]:
    spec = importlib.util.spec_from_file_location(f"recipe_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    make: Callable[[], Estimator] = module.make
    return make


def _to_problems(recipe: _RecipeFile, error: BaseException) -> tuple[Problem, ...]:
    """Name the line of the recipe that failed, and the foreign line that raised, without a traceback."""
    if isinstance(error, DataError):
        return error.problems
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(recipe.path)]
    try:
        message = str(error)
    except Exception:
        message = "(its message cannot be read)"
    if len(message) > MAX_ERROR_CHARACTERS:
        message = message[:MAX_ERROR_CHARACTERS] + " …"
    found = f"{type(error).__name__}: {message}"
    if frames and lines and frames[-1].filename != str(recipe.path):
        found += f" (in {'/'.join(Path(frames[-1].filename).parts[-3:])}:{frames[-1].lineno})"
    fix = "correct the recipe"
    if isinstance(error, ModuleNotFoundError):
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        declare = 'a recipe is one file; declare the packages that it needs, NEEDS = ("name",), and install them'
        fix = extra_install_command(extra) if extra else declare
    location = f"{recipe.shown_path}:{lines[-1]}" if lines else recipe.shown_path
    return (Problem("recipe-broken", location=location, expected="a recipe that runs", found=found, fix=fix),)


def _fit_predict(recipe: _RecipeFile, jobs: int, replies: int) -> Message:
    """Load the recipe, fit on the rows of a job and predict its batches, asking for one batch after the other."""
    before, process = peak_memory_mb(), os.getpid()
    job = receive_message(jobs)
    rows, n_batches = [_parse_row(row) for row in job["rows"]], job["batches"]
    labels = job["labels"]
    if recipe.task == "ner":
        labels = [[Span(*label) for label in item] for item in labels]
    batches: list[list[object]] = []
    problems = ErrorList()
    predict_seconds = [0.0, 0.0]
    try:
        make = _load_make(recipe.path)
        random.seed(recipe.seed)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(recipe.seed % 2**32)
        timer = _Timer()
        estimator = make()
        estimator.fit(rows, labels)
        fit_seconds = timer.read()
        predict = getattr(estimator, "predict_spans", None) or estimator.predict
        for _ in range(n_batches):
            _exit_if_forked(process)
            send_message(replies, {"next": True})
            held_out = receive_message(jobs)
            items = [(row["id"], row["text"]) for row in held_out]  # the recipe may change its rows
            timer = _Timer()
            predictions = list(predict([_parse_row(row) for row in held_out]))
            predict_seconds = [a + b for a, b in zip(predict_seconds, timer.read(), strict=True)]
            batches.append(_convert_predictions(recipe, items, predictions, problems))
        json.dumps(batches)  # an integer too long to write is the recipe's fault
    except (BrokenPipeError, EOFError):
        raise
    except BaseException as error:
        problems = ErrorList(_to_problems(recipe, error))
    _exit_if_forked(process)
    if problems:
        return {"problems": [vars(problem) for problem in problems]}
    return {"batches": batches, "fit": fit_seconds, "predict": predict_seconds, "memory": [before, peak_memory_mb()]}


def _exit_if_forked(process: int) -> None:
    """End a fork that the recipe itself made and that came back out of it: a fit has one reply."""
    if os.getpid() != process:
        os._exit(0)


class _Timer:
    """Seconds since it was made: [wall, CPU]."""

    def __init__(self) -> None:
        self.start = self._now()

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def read(self) -> list[float]:
        return [now - start for now, start in zip(self._now(), self.start, strict=True)]


def peak_memory_mb() -> float:
    """Return the largest resident set of this process so far, in MB; in a new fork, that of its parent now.

    Linux counts what a process was before exec into `ru_maxrss`, but not into `VmHWM`.
    """
    with contextlib.suppress(OSError, StopIteration), open("/proc/self/status", encoding="utf-8") as lines:
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes on macOS, kilobytes elsewhere


def _parse_row(row: Row) -> Row:
    return row | {"entities": [Span(*span) for span in row["entities"]]} if "entities" in row else row


def _convert_predictions(
    recipe: _RecipeFile, items: list[tuple[str, str]], predictions: list[object], problems: ErrorList
) -> list[object]:
    """Convert the predictions for `items`, (id, text), to values of a submission; add what is wrong to `problems`."""
    if len(predictions) != len(items):
        expected, fix = f"{len(items)} predictions, one per row", "return one list for each row, empty if none"
        problems.add("recipe-broken", recipe.shown_path, expected=expected, found=str(len(predictions)), fix=fix)
        return []
    values: list[object] = []
    for (id, text), prediction in zip(items, predictions, strict=True):
        location = f"{recipe.shown_path} {id}"
        try:
            values.append(_convert_labels(recipe.task, text, prediction, location))
        except DataError as error:
            problems += error.problems
        except Exception:  # whatever a foreign object raises when it is taken apart
            problems.add(
                "recipe-broken",
                location,
                expected="a list of labels",
                found=reprlib.repr(prediction),
                fix="for ner (start, end, type) or one BIO tag per character, for sector names",
            )
    return values


def _convert_labels(task: str, text: str, labels: object, location: str) -> list[object]:
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise TypeError
    values = list(labels)
    if task == "sector":
        return [str(name) for name in values]
    if len(values) == len(text) and all(isinstance(tag, str) for tag in values):
        values = tags.from_bio(values, text, location)
    return [{"start": operator.index(span[0]), "end": operator.index(span[1]), "type": str(span[2])} for span in values]


if __name__ == "__main__":
    path, shown_path, task, seed, timeout, memory, imports, *pipes = sys.argv[1:]
    recipe = _RecipeFile(Path(path), shown_path, task, int(seed), float(timeout), int(memory))
    main(recipe, filter(None, imports.split(",")), *map(int, pipes))
