"""The side of a recipe: the process in which it runs, and which never holds a label of what it is to predict.

`main` loads the recipe and then forks once for every round. The rows and the training labels of a round are read by
the fork alone, and go with it: no round leaves anything in memory to the next. `running` is the other side.
"""

import contextlib
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
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinbench.core import tags
from jinbench.core.errors import DataError, Problem
from jinbench.core.types import Span

SIZE = 8  # bytes that say how long a message is
ANSWERED = 77  # the exit code of a fork that has sent its answer; a recipe that ends its process gives another
LONGEST = 300  # characters of a foreign error that are shown


def send(pipe: int, message: Any) -> None:
    """Write a message, all of it."""
    data = json.dumps(message).encode()
    rest = memoryview(len(data).to_bytes(SIZE, "big") + data)
    while rest:
        rest = rest[os.write(pipe, rest) :]


def receive(pipe: int) -> Any:
    """Read a message. Raises EOFError if the other side is gone."""
    return json.loads(_exactly(pipe, int.from_bytes(_exactly(pipe, SIZE), "big")))


def _exactly(pipe: int, size: int) -> bytes:
    parts = []
    while size:
        part = os.read(pipe, min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def main(path: str, shown: str, task: str, seed: int, jobs: int, replies: int) -> None:
    """Load the recipe, say so, and fork for each byte on the pipe `jobs`. `shown` is its path in messages."""
    warnings.simplefilter("ignore")
    recipe = _Recipe(Path(path), shown, task, seed)
    try:
        make = _load(recipe.path)
    except BaseException as error:
        send(replies, {"problems": [vars(problem) for problem in _broken(recipe, error).problems]})
        return
    with contextlib.suppress(BrokenPipeError):  # nobody is waiting any more
        send(replies, {"ready": True})
        while os.read(jobs, 1):
            ended, in_fork = os.pipe()
            child = os.fork()
            if not child:
                _in_fork(lambda: send(replies, _round(recipe, make, jobs, replies)))
            os.close(in_fork)
            status = _wait(child, ended, replies)
            os.close(ended)
            if status != ANSWERED:
                send(replies, {"ended": status})
                return  # what is left on the pipe belongs to no round


def _wait(child: int, ended: int, replies: int) -> int:
    """The exit code of the fork. If the other side is gone before it ends, everything here ends."""
    watch = select.poll()
    watch.register(ended, 0)  # hangs up when the fork has gone, and whatever it started
    watch.register(replies, 0)  # hangs up when nobody reads any more
    while True:
        gone = {found for found, _ in watch.poll(500)}
        if replies in gone:
            os.killpg(0, signal.SIGKILL)
        pid, status = os.waitpid(child, os.WNOHANG if ended not in gone else 0)
        if pid:
            return os.waitstatus_to_exitcode(status)


def _in_fork(do: Callable[[], None]) -> None:
    """What a fork does instead of going on with the work of its parent."""
    code = 1
    try:
        do()
        code = ANSWERED
    except (BrokenPipeError, EOFError):
        pass  # nobody is waiting any more
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


@dataclass(frozen=True)
class _Recipe:
    path: Path
    shown: str
    task: str
    seed: int


def _load(path: Path) -> Callable[[], Any]:
    spec = importlib.util.spec_from_file_location(f"recipe_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    make: Callable[[], Any] = module.make
    return make


def _broken(recipe: _Recipe, error: BaseException) -> DataError:
    """The line of the recipe that failed, and where in whose code, without a traceback."""
    if isinstance(error, DataError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(recipe.path)]
    where = f"{recipe.shown}:{lines[-1]}" if lines else recipe.shown
    try:
        said = str(error)
    except Exception:
        said = "(it cannot say what)"
    found = f"{type(error).__name__}: {said if len(said) <= LONGEST else said[:LONGEST] + ' …'}"
    if frames and lines and frames[-1].filename != str(recipe.path):
        found += f" (in {'/'.join(Path(frames[-1].filename).parts[-3:])}:{frames[-1].lineno})"
    hint = "mend the recipe"
    if isinstance(error, ModuleNotFoundError):
        hint = 'a recipe is one file; declare the packages that it needs, NEEDS = ("name",), and install them'
    return DataError(Problem("recipe-broken", location=where, expected="a recipe that runs", found=found, fix=hint))


def _round(recipe: _Recipe, make: Callable[[], Any], jobs: int, replies: int) -> dict[str, Any]:
    """Fit on the rows of a job and predict its batches, each of which it asks for when its turn comes."""
    before, mine = peak_mb(), os.getpid()
    job = receive(jobs)
    rows, count = [_row(row) for row in job["rows"]], job["batches"]
    labels = [[Span(*label) for label in found] if recipe.task == "ner" else found for found in job["labels"]]
    random.seed(recipe.seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(recipe.seed % 2**32)
    answers: list[list[Any]] = []
    problems: list[Problem] = []
    predicted = [0.0, 0.0]
    try:
        clock = _Clock()
        estimator = make()
        estimator.fit(rows, labels)
        fitted = clock.read()
        predict = getattr(estimator, "predict_spans", None) or estimator.predict
        for _ in range(count):
            _only(mine)
            send(replies, {"next": True})
            held_out = receive(jobs)
            asked = [(row["id"], row["text"]) for row in held_out]  # the recipe may change its rows
            clock = _Clock()
            found = list(predict([_row(row) for row in held_out]))
            predicted = [a + b for a, b in zip(predicted, clock.read(), strict=True)]
            answers.append(_answers(recipe, asked, found, problems))
        json.dumps(answers)  # a number that has no end is the recipe's fault, not ours
    except (BrokenPipeError, EOFError):
        raise
    except BaseException as error:
        problems = [*_broken(recipe, error).problems]
    _only(mine)
    if problems:
        return {"problems": [vars(problem) for problem in problems]}
    return {"batches": answers, "fit": fitted, "predict": predicted, "memory": [before, peak_mb()]}


def _only(process: int) -> None:
    """A fork of the recipe's own, which came back out of it, ends here: a round has one answer."""
    if os.getpid() != process:
        os._exit(0)


class _Clock:
    """Seconds since it was made: on the wall, and of all processors."""

    def __init__(self) -> None:
        self.start = self._now()

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def read(self) -> list[float]:
        return [now - then for now, then in zip(self._now(), self.start, strict=True)]


def peak_mb() -> float:
    """The largest resident set of this process so far, in MB; in a new fork, what its parent has in memory.

    Linux counts what a process was before it became another program into `ru_maxrss`, but not into `VmHWM`.
    """
    with contextlib.suppress(OSError, StopIteration), open("/proc/self/status", encoding="utf-8") as lines:
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes there, kilobytes elsewhere


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"entities": [Span(*span) for span in row["entities"]]} if "entities" in row else row


def _answers(
    recipe: _Recipe, rows: list[tuple[str, str]], found: list[Any], problems: list[Problem]
) -> list[list[Any]]:
    """What the recipe gave for rows (id, text), as the values of a submission."""
    where = recipe.shown
    if len(found) != len(rows):
        expected, hint = f"{len(rows)} predictions, one per row", "return one list for each row, empty if none"
        problems.append(Problem("recipe-broken", location=where, expected=expected, found=str(len(found)), fix=hint))
        return []
    answers = []
    for (id, text), values in zip(rows, found, strict=True):
        try:
            answers.append(_values(recipe.task, text, values, f"{where} {id}"))
        except DataError as error:
            problems += error.problems
        except Exception:  # whatever a foreign object does when it is taken apart
            hint = "for ner (start, end, type) or one BIO tag per character, for sector names"
            problems.append(
                Problem(
                    "recipe-broken",
                    location=f"{where} {id}",
                    expected="a list of labels",
                    found=reprlib.repr(values),
                    fix=hint,
                )
            )
    return answers


def _values(task: str, text: str, found: Any, where: str) -> list[Any]:
    if isinstance(found, str):
        raise TypeError
    found = list(found)
    if task == "sector":
        return [str(name) for name in found]
    if len(found) == len(text) and all(isinstance(tag, str) for tag in found):
        found = tags.from_bio(found, text, where)
    return [{"start": operator.index(span[0]), "end": operator.index(span[1]), "type": str(span[2])} for span in found]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6]))
