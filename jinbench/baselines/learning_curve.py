"""Would more pages help? A recipe fitted on ever more of the training articles, always predicting the same folds.

Each step doubles the articles. Which come first is drawn three times, and each time the articles of a step contain
those of the step before. The last step has all of them: it is the cross-validation itself.
"""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench.baselines import run
from jinbench.baselines.run import Fold, Result
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem
from jinbench.core.types import Step
from jinbench.dataset import load
from jinbench.dataset.gold import FOLD
from jinbench.scoring import score as scoring
from jinbench.scoring import significance
from jinbench.scoring.gold import FOLDS
from jinbench.scoring.results import rounded
from jinbench.scoring.significance import ENOUGH

if TYPE_CHECKING:
    import numpy as np

NAME = "curve.json"
SEED, REPEATS = 0, 3
STEPS = (1 / 8, 1 / 4, 1 / 2, 1.0)  # of the training articles of a fold


@dataclass(frozen=True)
class Point:
    """A size of training set, averaged over folds and repeats, and the micro-F1 that it gives over all folds.

    `articles` is the mean over the folds. The interval is a bootstrap over the articles that are predicted, of the mean
    over the repeats; `repeats` has the F1 of each, which shows how much depends on which articles were drawn.
    """

    articles: float
    items: float
    labels: float
    f1: float
    low: float
    high: float
    repeats: tuple[float, ...]


@dataclass(frozen=True)
class Gain:
    """What a step brought: the difference between two points, paired by predicted article; and that of each repeat."""

    articles: tuple[float, float]
    f1: float
    low: float
    high: float
    repeats: tuple[float, ...]


@dataclass(frozen=True)
class Curve:
    recipe: str
    task: str
    points: tuple[Point, ...]
    gains: tuple[Gain, ...]
    tested: int  # articles that are predicted
    manifest: str
    signature: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = rounded(asdict(self))
        return record

    @property
    def verdict(self) -> str:
        """Whether more pages would help, as far as the last step tells."""
        before, last = (self.gains[-2] if len(self.gains) > 1 else None), self.gains[-1]
        few, many = last.articles
        sign = f"{last.f1:+.3f} [{last.low:+.3f}, {last.high:+.3f}]"
        said = (
            f"`{self.recipe}` ({self.task}): from {few:.0f} to {many:.0f} training articles, micro-F1 moved by {sign}"
        )
        if before:
            said += f"; the doubling before that, from {before.articles[0]:.0f} to {before.articles[1]:.0f}, by "
            said += f"{before.f1:+.3f} [{before.low:+.3f}, {before.high:+.3f}]"
        if self.tested < ENOUGH:
            return f"{said}. {self.tested} articles are too few to say whether more pages would help."
        if last.low > 0 and min(last.repeats) > 0:
            return f"{said}. The curve has not flattened: more pages of this kind would probably help this system."
        if last.high < 0 and max(last.repeats) < 0:
            return f"{said}. The curve falls at its end: more pages of this kind did not help this system."
        return f"{said}. That cannot be told from 0: whether more pages would help this system is open."


def measure_curve(benchmark: Benchmark, result: Result, progress: Step = lambda name, done, of: None) -> Curve:
    """The learning curve of a recipe whose cross-validation is `result`.

    Raises :class:`DataError` (what :func:`baselines.run` raises).
    """
    on = run.read_experiment(benchmark, result.recipe)
    gold = on.held_against[FOLDS]
    folds = list(on.folds)
    jobs = [(step, repeat, fold) for step in STEPS[:-1] for repeat in range(REPEATS) for fold in folds]
    predicted: dict[tuple[float, int], dict[str, Any]] = {(1.0, 0): dict(result.predictions[FOLDS])}
    with on.running() as process:
        for done, (step, repeat, fold) in enumerate(jobs):
            progress(f"{result.recipe.name}, learning curve", done, len(jobs))
            train = _first(fold, step, repeat)
            reply = process.round(train, on.labels(train), fold.held_out)
            predicted.setdefault((step, repeat), {}).update(reply.batches[0])
    progress(f"{result.recipe.name}, learning curve", len(jobs), len(jobs))

    sums = {key: scoring.articles(gold, scoring.counts(gold, found).sum(1)) for key, found in predicted.items()}
    drawn = {
        step: _mean([significance.f1(significance.resample(sums[key])) for key in sums if key[0] == step])
        for step in STEPS
    }
    weight = float(significance.effective(scoring.sizes(sums[1.0, 0])))
    points = []
    for step in STEPS:
        repeats = tuple(float(significance.f1(sums[key].sum(0))) for key in sums if key[0] == step)
        rows = [_first(fold, step, repeat) for fold in folds for repeat in range(len(repeats))]
        low, high = significance.interval(drawn[step], weight)
        points.append(
            Point(
                sum(len({row["article_id"] for row in part}) for part in rows) / len(rows),
                sum(map(len, rows)) / len(rows),
                sum(len(found) for part in rows for found in on.labels(part)) / len(rows),
                sum(repeats) / len(repeats),
                low,
                high,
                repeats,
            )
        )
    gains = []
    for i in range(1, len(STEPS)):
        drift = points[i].f1 - points[i - 1].f1, *significance.interval(drawn[STEPS[i]] - drawn[STEPS[i - 1]], weight)
        value, low, high = (round(part, 9) + 0.0 for part in drift)  # a mean of equal numbers is not always one of them
        before, after = points[i - 1].repeats, points[i].repeats
        each = tuple(b - a for a, b in zip(before, itertools.cycle(after), strict=False))  # the last point has but one
        gains.append(Gain((points[i - 1].articles, points[i].articles), value, low, high, each))
    score = result.scores[FOLDS]
    signature = score.signature | {"column": FOLD, "repeats": str(REPEATS), "order": f"sha256 {SEED}"}
    recipe = result.recipe
    return Curve(recipe.name, recipe.task, tuple(points), tuple(gains), score.articles, score.manifest, signature)


def _first(fold: Fold, step: float, repeat: int) -> list[dict[str, Any]]:
    """The training rows of the first articles, in their usual order. Which come first depends on nothing but names."""
    articles = sorted({row["article_id"] for row in fold.train}, key=lambda id: _place(repeat, id))
    chosen = set(articles[: max(1, round(step * len(articles)))])
    return [row for row in fold.train if row["article_id"] in chosen]


def _place(repeat: int, article: str) -> str:
    return hashlib.sha256(f"{SEED}|{repeat}|{article}".encode()).hexdigest()


def _mean(parts: "Sequence[np.ndarray[Any, Any]]") -> "np.ndarray[Any, Any]":
    import numpy as np

    mean: np.ndarray[Any, Any] = np.mean(parts, axis=0)
    return mean


def write_curve(curve: Curve, folder: Path) -> None:
    files.write_text(folder / NAME, files.dump_json(curve.to_dict()))


def read_curve(benchmark: Benchmark) -> list[Curve]:
    """The stored curves, by the names of their recipes.

    Raises :class:`DataError` (broken-json, wrong-shape, wrong-version) if one is of other data than the dataset's.
    """
    manifest = load.read_manifest(benchmark)["sha256"]
    found = []
    for path in sorted(benchmark.baselines.glob(f"*/{NAME}")):
        record = files.read_json(path)
        try:
            points = tuple(Point(**point | {"repeats": tuple(point["repeats"])}) for point in record.pop("points"))
            gains = tuple(
                Gain(**gain | {key: tuple(gain[key]) for key in ("articles", "repeats")})
                for gain in record.pop("gains")
            )
            curve = Curve(**record, points=points, gains=gains)
        except (AttributeError, KeyError, TypeError) as error:
            place, hint = files.shown(path), f"jinbench run {files.shown(path.parent)}.py --curve"
            raise DataError(
                Problem("wrong-shape", location=place, expected="a learning curve", found=f"{error}", fix=hint)
            ) from None
        if curve.manifest != manifest:
            expected, hint = f"a curve on the data {manifest[:8]}", "jinbench run"
            raise DataError(
                Problem(
                    "wrong-version", location=files.shown(path), expected=expected, found=curve.manifest[:8], fix=hint
                )
            )
        found.append(curve)
    return found
