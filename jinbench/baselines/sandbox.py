"""Run a recipe in an isolated subprocess: the parent side. `worker` is the child side.

The subprocess gets rows, and the labels of the training rows only; the gold of what is predicted stays in the parent.
That keeps a recipe honest that searches its memory. It is no security boundary: a recipe can read its user's files.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from jinbench.baselines import worker
from jinbench.baselines.recipe import ORACLE_INPUTS, Recipe, list_imports, require_recipe_packages
from jinbench.baselines.worker import Message, Row
from jinbench.core import environment, files
from jinbench.core.errors import DataError, JinbenchError, Problem, fail, raise_if_any
from jinbench.scoring import predictions
from jinbench.scoring.gold import LabelKey

# The fields of a row that a recipe gets, if the row has them.
VISIBLE_FIELDS = ("id", "text", "tokens", "title", "passage_id", "article_id", "layout", *ORACLE_INPUTS["sector"])
# One thread and one hash seed, so that a recipe gives the same predictions everywhere. Variables that are set stay.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
MAX_PROBLEMS = 5  # shown for one fit
ENVIRONMENT = {**dict.fromkeys(THREAD_VARIABLES, "1"), "PYTHONHASHSEED": "0", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class FitResult:
    """Predictions of one fit by id, batch by batch, and its costs.

    Seconds are (wall, CPU); memory is the resident set in MB, (before the fit, at its peak).
    """

    predictions: list[dict[str, frozenset[LabelKey]]]
    fit_seconds: tuple[float, float]
    predict_seconds: tuple[float, float]
    memory_mb: tuple[float, float]


@dataclass(frozen=True)
class Limits:
    """Limits of a fit with its predictions: `timeout` in seconds, `memory` in MB of address space; None for none."""

    timeout: float | None = None
    memory: int | None = None


NO_LIMITS = Limits()


class Sandbox:
    """Context manager that runs a recipe in a subprocess, which forks once for every fit.

    Args:
        recipe: The recipe to run.
        label_names: Labels that it may predict.
        limits: Limits of a fit with its predictions.

    Raises:
        DataError: [package-missing].
        JinbenchError: This system has no fork.
    """

    def __init__(self, recipe: Recipe, label_names: Sequence[str], limits: Limits = NO_LIMITS) -> None:
        require_recipe_packages(recipe)
        if not hasattr(os, "fork"):
            raise JinbenchError("Recipes run in forks, which this system does not have. Use Linux, macOS or WSL.")
        self.recipe, self.label_names, self.limits = recipe, label_names, limits
        self.is_ready = False

    def __enter__(self) -> "Sandbox":
        child_jobs, self.jobs = os.pipe()
        self.replies, child_replies = os.pipe()
        recipe = self.recipe
        file, shown_path = str(recipe.path.resolve()), files.display_path(recipe.path)
        limits = [str(self.limits.timeout or 0), str(self.limits.memory or 0)]
        arguments = [file, shown_path, recipe.task, str(recipe.seed), *limits, ",".join(list_imports(recipe))]
        path = os.pathsep.join(entry for entry in sys.path if entry)
        try:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "jinbench.baselines.worker",
                    *arguments,
                    str(child_jobs),
                    str(child_replies),
                ],
                stdin=subprocess.DEVNULL,
                stdout=2,  # what a recipe prints is no result
                pass_fds=(child_jobs, child_replies),
                start_new_session=True,  # so that all its children end with it, however this process ends
                env=ENVIRONMENT | environment.without_secrets() | {"PYTHONPATH": path},
            )
        except BaseException:
            self._close()
            raise
        finally:
            os.close(child_jobs)
            os.close(child_replies)
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it is gone; macOS says the latter
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _close(self) -> None:
        os.close(self.jobs)
        os.close(self.replies)

    def fit_predict(self, train: Sequence[Row], labels: Sequence[object], *batches: Sequence[Row]) -> FitResult:
        """Fit on `train` with its `labels`, and predict each of `batches`.

        Raises DataError [recipe-broken], [unknown-label] and the other checks of a submission.
        """
        if not self.is_ready:
            self._receive()
            self.is_ready = True
        job = {"rows": [select_visible(row) for row in train], "labels": labels, "batches": len(batches)}
        waiting = iter(batches)
        with contextlib.suppress(BrokenPipeError):  # then the reply says why
            os.write(self.jobs, b"!")
            worker.send_message(self.jobs, job)
        while "next" in (reply := self._receive()):
            with contextlib.suppress(BrokenPipeError):
                worker.send_message(self.jobs, [select_visible(row) for row in next(waiting)])
        if "ended" not in self._read_reply():
            self._fail("it answered twice")
        problems: list[Problem] = []
        predicted = [
            {row["id"]: self._check(row, values, problems) for row, values in zip(rows, answers, strict=True)}
            for rows, answers in zip(batches, reply["batches"], strict=True)
        ]
        raise_if_any(_truncate(problems))
        fit, predict, memory = ((float(a), float(b)) for a, b in (reply["fit"], reply["predict"], reply["memory"]))
        return FitResult(predicted, fit, predict, memory)

    def _receive(self) -> Message:
        reply = self._read_reply()
        if "problems" in reply:
            self._read_reply()  # that the fit has ended
            raise DataError(_truncate([Problem(**problem) for problem in reply["problems"]]))
        if "ended" in reply:
            self._fail(str(reply["ended"]))
        return reply

    def _read_reply(self) -> Message:
        try:
            reply: Message = worker.receive_message(self.replies)
        except (EOFError, ValueError):
            self._fail("no answer came")
        return reply

    def _fail(self, how: str) -> NoReturn:
        fail(
            "recipe-broken",
            files.display_path(self.recipe.path),
            expected="a recipe that gives its predictions",
            found=f"its process ended: {how}",
            fix="remove what ends it; SIGKILL is often a lack of memory",
        )

    def _check(self, row: Row, values: list[object], problems: list[Problem]) -> frozenset[LabelKey]:
        location = f"{files.display_path(self.recipe.path)} {row['id']}"
        return predictions.check_labels(self.recipe.task, values, row["text"], self.label_names, location, problems)


def _truncate(problems: list[Problem]) -> list[Problem]:
    """Return the first problems: one mistake is often made on every row."""
    if len(problems) <= MAX_PROBLEMS:
        return problems
    last = problems[MAX_PROBLEMS - 1]
    more = replace(last, fix=f"{last.fix} ({len(problems) - MAX_PROBLEMS} more problems are not shown)")
    return [*problems[: MAX_PROBLEMS - 1], more]


def select_visible(row: Row) -> Row:
    """Return the fields of a row that a recipe may see."""
    return {field: row[field] for field in VISIBLE_FIELDS if field in row}
