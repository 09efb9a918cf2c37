"""A recipe in a process of its own: started, given its rounds, and ended. `rounds` is what runs in there.

The process gets rows, and the labels of the training rows; the gold of what is predicted stays on this side. That is
what keeps a recipe honest that looks about in its memory. It is no prison: a file can read what its user can read.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from jinbench.baselines import worker
from jinbench.baselines.recipe import GIVEABLE, Recipe, require
from jinbench.core import environment, files
from jinbench.core.errors import DataError, JinbenchError, Problem, raise_if_any
from jinbench.scoring import predictions
from jinbench.scoring.gold import LabelKey

# The fields of a row that a recipe gets, if the row has them.
SEEN = ("id", "text", "tokens", "title", "passage_id", "article_id", "layout", *GIVEABLE["sector"])
# One thread and one order of sets, so that the same recipe gives the same predictions everywhere. Who sets these
# variables himself is left alone.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
SHOWN = 5  # problems of a round that are shown
SETTINGS = {**dict.fromkeys(THREADS, "1"), "PYTHONHASHSEED": "0", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class Reply:
    """What a round gave: by id what is predicted, batch by batch, and what it cost.

    Seconds are (wall, CPU). `memory` is the resident set in MB: when the round began, and at its peak.
    """

    batches: list[dict[str, frozenset[LabelKey]]]
    fit: tuple[float, float]
    predict: tuple[float, float]
    memory: tuple[float, float]


class Running:
    """A context in which a recipe runs. Raises :class:`DataError` (package-missing, recipe-broken) when it is used."""

    def __init__(self, recipe: Recipe, names: Sequence[str]) -> None:
        """`names` are the labels that it may predict."""
        require(recipe)
        if not hasattr(os, "fork"):
            raise JinbenchError("Recipes run in forks, which this system does not have. Use Linux, macOS or WSL.")
        self.recipe, self.names = recipe, names
        self.greeted = False

    def __enter__(self) -> "Running":
        their_jobs, self.jobs = os.pipe()
        self.replies, their_replies = os.pipe()
        recipe = self.recipe
        file, shown = str(recipe.path.resolve()), files.shown(recipe.path)
        arguments = [file, shown, recipe.task, str(recipe.seed), str(their_jobs), str(their_replies)]
        path = os.pathsep.join(entry for entry in sys.path if entry)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "jinbench.baselines.worker", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=2,  # what a recipe prints is no result
                pass_fds=(their_jobs, their_replies),
                start_new_session=True,  # when this process ends, however it does, that one and all of its own end too
                env=SETTINGS | environment.without_secrets() | {"PYTHONPATH": path},
            )
        except BaseException:
            self._close()
            raise
        finally:
            os.close(their_jobs)
            os.close(their_replies)
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it is gone; macOS says the latter
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _close(self) -> None:
        os.close(self.jobs)
        os.close(self.replies)

    def round(
        self, train: Sequence[dict[str, Any]], labels: Sequence[Any], *batches: Sequence[dict[str, Any]]
    ) -> Reply:
        """Fit on `train`, whose labels are `labels`, and predict each of `batches`.

        Raises :class:`DataError` (recipe-broken, unknown-label and the other checks of a submission).
        """
        if not self.greeted:
            self._answer()
            self.greeted = True
        job = {"rows": [seen(row) for row in train], "labels": labels, "batches": len(batches)}
        waiting = iter(batches)
        with contextlib.suppress(BrokenPipeError):  # then the answer says why
            os.write(self.jobs, b"!")
            worker.send(self.jobs, job)
        while "next" in (reply := self._answer()):
            with contextlib.suppress(BrokenPipeError):
                worker.send(self.jobs, [seen(row) for row in next(waiting)])
        problems: list[Problem] = []
        found = [
            {row["id"]: self._checked(row, values, problems) for row, values in zip(rows, answers, strict=True)}
            for rows, answers in zip(batches, reply["batches"], strict=True)
        ]
        raise_if_any(_first(problems))
        fit, predict, memory = ((float(a), float(b)) for a, b in (reply["fit"], reply["predict"], reply["memory"]))
        return Reply(found, fit, predict, memory)

    def _answer(self) -> dict[str, Any]:
        try:
            reply: dict[str, Any] = worker.receive(self.replies)
        except (EOFError, ValueError):
            raise self._ended("no answer came") from None
        if "problems" in reply:
            raise DataError(_first([Problem(**problem) for problem in reply["problems"]]))
        if "ended" in reply:
            code = int(reply["ended"])
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code} before it answered"
            raise self._ended(how)
        return reply

    def _ended(self, how: str) -> DataError:
        place, hint = files.shown(self.recipe.path), "take out what ends it; SIGKILL is often a lack of memory"
        expected = "a recipe that gives its predictions"
        return DataError(
            Problem("recipe-broken", location=place, expected=expected, found=f"its process ended: {how}", fix=hint)
        )

    def _checked(self, row: dict[str, Any], values: list[Any], problems: list[Problem]) -> frozenset[LabelKey]:
        where = f"{files.shown(self.recipe.path)} {row['id']}"
        return predictions.check(self.recipe.task, values, row["text"], self.names, where, problems)


def _first(problems: list[Problem]) -> list[Problem]:
    """The first of many: one mistake is often made on every row."""
    if len(problems) <= SHOWN:
        return problems
    last = problems[SHOWN - 1]
    more = replace(last, fix=f"{last.fix} ({len(problems) - SHOWN} more problems are not shown)")
    return [*problems[: SHOWN - 1], more]


def seen(row: dict[str, Any]) -> dict[str, Any]:
    """The part of a row that a recipe gets."""
    return {key: row[key] for key in SEEN if key in row}
