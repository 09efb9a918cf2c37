"""Run a recipe in an isolated subprocess: the child side, which never holds a label of what is to be predicted.

`main` imports packages and then forks once for every fit. The fork alone loads the recipe and reads the rows and
training labels of the fit, in a folder of its own that is gone after it, and takes all that with it: nothing of a fit
is left to the next in memory, in the working, home or temporary folder, or in a process. `sandbox` is the parent side.
"""

import contextlib
import ctypes
import importlib.util
import json
import math
import operator
import os
import random
import reprlib
import resource
import select
import signal
import socket
import struct
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
END, KILL, GRACE = b"e", b"k", 2.0  # requests to end a fit: by itself within so many seconds, or at once
JOB_FILE = "job.json"  # in the folder of a fit: its rows and labels
FOLDER_VARIABLES = ("HOME", "TMPDIR", "TEMP", "TMP")  # and those of the next line: folders where programs keep things
XDG_VARIABLES = tuple(f"XDG_{kind}" for kind in ("CACHE_HOME", "CONFIG_HOME", "DATA_HOME", "STATE_HOME", "RUNTIME_DIR"))
MAX_ERROR_CHARACTERS = 300  # of a recipe's own error that are shown
# Of Linux: orphans become children of this process; no rights beyond those it has; Landlock's system calls and values.
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
LANDLOCK_GET_VERSION, LANDLOCK_MAKE_BLOCK_DEVICE, LANDLOCK_SOCKETS_AND_SIGNALS = 1, 1 << 11, 3


def pack_message(message: object) -> bytes:
    data = json.dumps(message).encode()
    return len(data).to_bytes(HEADER_BYTES, "big") + data


def send_message(pipe: int, message: object) -> None:
    rest = memoryview(pack_message(message))
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
class RecipeFile:
    """A recipe as a fit sees it."""

    name: str
    shown_path: str  # as messages name it
    task: str
    seed: int
    memory: int  # MB of address space that it may have; 0 for any number


def main(control: socket.socket, imports: Iterable[str]) -> NoReturn:
    """Import packages and report that this is done; fork for each folder that comes, with its channel and output."""
    warnings.simplefilter("ignore")
    before = _list_shared()
    for name in imports:
        with contextlib.suppress(Exception):  # the recipe meets the same error, and reports it
            module, _, attribute = name.partition(":")
            loaded = importlib.import_module(module)
            if attribute:
                getattr(loaded, attribute)
    if _list_shared() != before:  # then a fit could leave something in it: each imports for itself
        _kill_descendants()
        os.execv(sys.executable, [*sys.orig_argv[:-1], ""])
    with contextlib.suppress(OSError, AttributeError):  # elsewhere than on Linux
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with contextlib.suppress(OSError, EOFError):  # nobody is waiting any more
        send_message(control.fileno(), {"ready": True})
        recipe = RecipeFile(**receive_message(control.fileno()))
        while message := socket.recv_fds(control, 1 << 12, 2):
            if not message[0]:
                break
            child = os.fork()
            if not child:
                control.close()
                _run_in_fork(recipe, message[0].decode(), *message[1])
            for descriptor in message[1]:
                os.close(descriptor)
            _wait_for_fork(child, control)
    os.killpg(0, signal.SIGKILL)  # with whatever is left in this session
    sys.exit()


def _list_shared() -> list[str]:
    """Return what all forks of this process share: its descriptors, shared memory and child processes."""
    with contextlib.suppress(OSError), open("/proc/self/maps", encoding="utf-8") as maps:
        shared = [line for line in maps if " rw-s " in line]
        return [*sorted(os.listdir("/proc/self/fd")), *shared, *map(str, _list_children())]
    return []


def _wait_for_fork(child: int, control: socket.socket) -> None:
    """Wait for the end of the fork, or for a byte that asks for it; kill what it left; report how it ended, its costs.

    Costs are what the system counted of it and its descendants.
    """
    poll, pause, deadline = select.poll(), 1.0, math.inf
    poll.register(control, select.POLLIN)
    pid, request = 0, None
    while not pid and time.monotonic() < deadline:
        pid, status, usage = os.wait4(child, os.WNOHANG | os.WUNTRACED)
        if request:
            time.sleep(0.001)
        elif not pid and poll.poll(pause):
            request = control.recv(1)
            deadline = time.monotonic() + (GRACE if request == END else 0)
        pause = min(2 * pause, 50.0)
    if not pid or os.WIFSTOPPED(status):
        how = f"stopped by {_name_signal(os.WSTOPSIG(status))}" if pid else ""
        os.kill(child, signal.SIGKILL)
        _, _, usage = os.wait4(child, 0)
    else:
        code = os.waitstatus_to_exitcode(status)
        how = f"signal {_name_signal(-code)}" if code < 0 else f"exit code {code}"
    usages = [usage, *_kill_descendants()]
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    peak = max(_to_mb(usage.ru_maxrss) for usage in usages)
    send_message(control.fileno(), {"how": how, "cpu": cpu, "peak": peak})
    if request is None:
        control.recv(1)


def _name_signal(number: int) -> str:
    return next((known.name for known in signal.Signals if known == number), str(number))


def _list_children() -> list[int]:
    with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return [int(pid) for pid in file.read().split()]
    return []  # not Linux: what is in the session ends with this process


def _kill_descendants() -> list[resource.struct_rusage]:
    """Kill every process that a fork has left, also one in a session of its own; return what they used."""
    usages = []
    while children := _list_children():
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                usages.append(os.wait4(pid, 0)[2])
    return usages


def has_landlock() -> bool:
    return sys.platform == "linux" and _landlock_version() > 0


def _landlock_version() -> int:
    return int(ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_GET_VERSION))


def _confine() -> None:
    """Shut this process and its descendants off from the memory, descriptors and signals of all others."""
    if not has_landlock():
        return
    libc = ctypes.CDLL(None)
    scope = LANDLOCK_SOCKETS_AND_SIGNALS if _landlock_version() >= 6 else 0
    rules = struct.pack("QQQ", LANDLOCK_MAKE_BLOCK_DEVICE, 0, scope)  # a ruleset must forbid something
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    ruleset = libc.syscall(LANDLOCK_CREATE_RULESET, rules, len(rules), 0)
    libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _run_in_fork(recipe: RecipeFile, folder: str, channel: int, output: int) -> NoReturn:
    """Load the recipe, fit and predict; end the fork, so that it never goes on with the work of its parent."""
    process = os.getpid()
    path = Path(folder, f"{recipe.name}.py")
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # its own: flags of that of the parent would last
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        os.close(output)
        os.set_inheritable(channel, False)  # what comes through a socket is not by itself
        os.chdir(folder)
        os.environ.setdefault("HF_HOME", str(Path.home() / ".cache" / "huggingface"))  # models that are there already
        os.environ |= dict.fromkeys((*FOLDER_VARIABLES, *XDG_VARIABLES), folder)
        tempfile.tempdir = folder
        _confine()
        if recipe.memory:
            limit = recipe.memory * 2**20
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        send_message(channel, {"memory": peak_memory_mb()})  # before anything of the recipe has run
        receive_message(channel)
        try:
            answer = _fit_predict(recipe, path, channel)
        except (BrokenPipeError, EOFError):
            raise
        except BaseException as error:
            answer = {"problems": [vars(problem) for problem in _to_problems(recipe, path, error)]}
        _exit_if_forked(process)
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        send_message(channel, answer)
    finally:
        os._exit(1)


def _load_make(path: Path) -> Callable[[], Estimator]:
    spec = importlib.util.spec_from_file_location(f"recipe_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    make: Callable[[], Estimator] = module.make
    return make


def _to_problems(recipe: RecipeFile, path: Path, error: BaseException) -> tuple[Problem, ...]:
    """Name the line of the recipe that failed, and the foreign line that raised, without a traceback."""
    if isinstance(error, DataError):
        return error.problems
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    try:
        message = str(error)
    except Exception:
        message = "(its message cannot be read)"
    if len(message) > MAX_ERROR_CHARACTERS:
        message = message[:MAX_ERROR_CHARACTERS] + " …"
    found = f"{type(error).__name__}: {message}"
    if frames and lines and frames[-1].filename != str(path):
        found += f" (in {'/'.join(Path(frames[-1].filename).parts[-3:])}:{frames[-1].lineno})"
    fix = "correct the recipe"
    if isinstance(error, ModuleNotFoundError):
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        declare = 'a recipe is one file; declare the packages that it needs, NEEDS = ("name",), and install them'
        fix = extra_install_command(extra) if extra else declare
    location = f"{recipe.shown_path}:{lines[-1]}" if lines else recipe.shown_path
    return (Problem("recipe-broken", location=location, expected="a recipe that runs", found=found, fix=fix),)


def _fit_predict(recipe: RecipeFile, path: Path, channel: int) -> Message:
    """Load the recipe, fit on the rows of the job and predict its batches, asking for one batch after the other."""
    process, job_file = os.getpid(), path.with_name(JOB_FILE)
    job = json.loads(job_file.read_bytes())
    job_file.unlink()
    rows, labels = [_parse_row(row) for row in job["rows"]], job["labels"]
    if recipe.task == "ner":
        labels = [[Span(*label) for label in item] for item in labels]
    batches: list[list[object]] = []
    problems = ErrorList()
    make = _load_make(path)
    random.seed(recipe.seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(recipe.seed % 2**32)
    estimator = make()
    estimator.fit(rows, labels)
    predict = getattr(estimator, "predict_spans", None) or estimator.predict
    for _ in range(job["batches"]):
        _exit_if_forked(process)
        send_message(channel, {"next": True})
        held_out = receive_message(channel)
        items = [(row["id"], row["text"]) for row in held_out]  # the recipe may change its rows
        predictions = list(predict([_parse_row(row) for row in held_out]))
        batches.append(_convert_predictions(recipe, items, predictions, problems))
    problems.raise_if_any()
    json.dumps(batches)  # an integer too long to write is the recipe's fault
    return {"batches": batches}


def _exit_if_forked(process: int) -> None:
    """End a fork that the recipe itself made and that came back out of it: a fit has one reply."""
    if os.getpid() != process:
        os._exit(0)


def peak_memory_mb() -> float:
    """Return the largest resident set of this process so far, in MB; in a new fork, that of now.

    Linux counts what a process was before exec into `ru_maxrss`, but not into `VmHWM`.
    """
    with contextlib.suppress(OSError, StopIteration), open("/proc/self/status", encoding="utf-8") as lines:
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 2**10
    return _to_mb(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _to_mb(maxrss: int) -> float:
    return maxrss / 2**20 if sys.platform == "darwin" else maxrss / 2**10  # bytes on macOS, kilobytes elsewhere


def _parse_row(row: Row) -> Row:
    return row | {"entities": [Span(*span) for span in row["entities"]]} if "entities" in row else row


def _convert_predictions(
    recipe: RecipeFile, items: list[tuple[str, str]], predictions: list[object], problems: ErrorList
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
    main(socket.socket(fileno=int(sys.argv[1])), filter(None, sys.argv[2].split(",")))
