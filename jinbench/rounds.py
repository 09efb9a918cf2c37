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
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinbench import files, tagging
from jinbench.problems import DataError, Problem
from jinbench.records import Span

SIZE = 8  # bytes that say how long a message is


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


def main(path: str, task: str, seed: int, jobs: int, replies: int) -> None:
    """Load the recipe, say so, and fork for each byte that arrives on the pipe `jobs`."""
    warnings.simplefilter("ignore")
    recipe = Path(path)
    try:
        make = _load(recipe)
    except (Exception, SystemExit) as error:
        send(replies, {"problems": [vars(problem) for problem in _broken(recipe, error).problems]})
        return
    send(replies, {"ready": True})
    while os.read(jobs, 1):
        child = os.fork()
        if not child:
            _in_fork(lambda: send(replies, _round(recipe, make, task, seed, jobs, replies)))
        _, status = os.waitpid(child, 0)
        if status:
            send(replies, {"ended": os.waitstatus_to_exitcode(status)})
            return  # what is left on the pipe belongs to no round


def _in_fork(do: Callable[[], None]) -> None:
    """What a fork does instead of going on with the work of its parent."""
    code = 1
    try:
        do()
        code = 0
    except (BrokenPipeError, EOFError):
        pass  # nobody is waiting any more
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _load(path: Path) -> Callable[[], Any]:
    spec = importlib.util.spec_from_file_location(f"recipe_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    make: Callable[[], Any] = module.make
    return make


def _broken(path: Path, error: BaseException) -> DataError:
    """The line of the recipe that failed, without a traceback."""
    if isinstance(error, DataError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    where = f"{files.shown(path)}:{lines[-1]}" if lines else files.shown(path)
    found, hint = f"{type(error).__name__}: {error}", "mend the recipe, or run it on its own to see more"
    return DataError(Problem("recipe-broken", where, "a recipe that runs", found, hint))


def _round(path: Path, make: Callable[[], Any], task: str, seed: int, jobs: int, replies: int) -> dict[str, Any]:
    """Fit on the rows of a job and predict its batches, each of which it asks for when its turn comes."""
    before = peak_mb()
    job = receive(jobs)
    rows, count = [_row(row) for row in job["rows"]], job["batches"]
    labels = [[Span(*label) for label in found] if task == "ner" else found for found in job["labels"]]
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
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
            send(replies, {"next": True})
            held_out = [_row(row) for row in receive(jobs)]
            clock = _Clock()
            found = list(predict(held_out))
            predicted = [a + b for a, b in zip(predicted, clock.read(), strict=True)]
            answers.append(_answers(path, task, held_out, found, problems))
    except (Exception, SystemExit) as error:
        problems = [*_broken(path, error).problems]
    if problems:
        return {"problems": [vars(problem) for problem in problems]}
    return {"batches": answers, "fit": fitted, "predict": predicted, "memory": [before, peak_mb()]}


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
    """The largest resident set of this process so far; in a new fork, what its parent has in memory."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes there, kilobytes elsewhere


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"entities": [Span(*span) for span in row["entities"]]} if "entities" in row else row


def _answers(
    path: Path, task: str, rows: list[dict[str, Any]], found: list[Any], problems: list[Problem]
) -> list[list[Any]]:
    """What the recipe gave for the rows, as the values of a submission."""
    where = files.shown(path)
    if len(found) != len(rows):
        expected, hint = f"{len(rows)} predictions, one per row", "return one list for each row, empty if none"
        problems.append(Problem("recipe-broken", where, expected, str(len(found)), hint))
        return []
    answers = []
    for row, values in zip(rows, found, strict=True):
        try:
            answers.append(_values(task, row, values, f"{where} {row['id']}"))
        except DataError as error:
            problems += error.problems
        except Exception:  # whatever a foreign object does when it is taken apart
            hint = "for ner (start, end, type) or one BIO tag per character, for sector names"
            problems.append(
                Problem("recipe-broken", f"{where} {row['id']}", "a list of labels", repr(values)[:80], hint)
            )
    return answers


def _values(task: str, row: dict[str, Any], found: Any, where: str) -> list[Any]:
    found = list(found)
    if task == "sector":
        return [str(name) for name in found]
    if len(found) == len(row["text"]) and all(isinstance(tag, str) for tag in found):
        found = tagging.from_bio(found, row["text"], where)
    return [{"start": operator.index(span[0]), "end": operator.index(span[1]), "type": str(span[2])} for span in found]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
