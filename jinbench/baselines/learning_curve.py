"""F1 over the number of training articles: a recipe fitted on ever more of them, always predicting the same folds.

Each step doubles the articles. Which come first is drawn three times, and each time the articles of a step contain
those of the step before. The last step has all of them: it is the cross-validation itself.
"""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jinbench.baselines.recipe import Recipe
from jinbench.baselines.run import (
    SPLITS,
    Experiment,
    Record,
    Round,
    RunResult,
    read_experiment,
    score_fits,
    write_result,
)
from jinbench.baselines.sandbox import NO_LIMITS, FitResult, Limits, run_rounds
from jinbench.baselines.worker import Row
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import fail
from jinbench.core.types import Step
from jinbench.dataset import load
from jinbench.dataset.gold import FOLD_COLUMN
from jinbench.scoring import score, significance
from jinbench.scoring.gold import FOLDS, LabelKey
from jinbench.scoring.results import round_floats
from jinbench.scoring.significance import MIN_ARTICLES_TEST

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CURVE_FILE = "curve.json"
SEED, REPEATS = 0, 3
FRACTIONS = (1 / 8, 1 / 4, 1 / 2, 1.0)  # of the training articles of a fold


@dataclass(frozen=True)
class CurvePoint:
    """A size of training set, averaged over folds and repeats, and its micro-F1 over all folds.

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
class CurveGain:
    """The difference between two points, paired by predicted article, and that of each repeat."""

    articles: tuple[float, float]
    f1: float
    low: float
    high: float
    repeats: tuple[float, ...]


@dataclass(frozen=True)
class LearningCurve:
    """The learning curve of a recipe, as curve.json stores it."""

    recipe: str
    task: str
    points: tuple[CurvePoint, ...]
    gains: tuple[CurveGain, ...]
    tested: int  # number of articles that are predicted
    manifest: str
    signature: dict[str, str]

    def to_dict(self) -> Record:
        record: Record = round_floats(asdict(self))
        return record

    @property
    def verdict(self) -> str:
        """A sentence on whether more pages would help."""
        before, last = (self.gains[-2] if len(self.gains) > 1 else None), self.gains[-1]
        few, many = last.articles
        sign = f"{last.f1:+.3f} [{last.low:+.3f}, {last.high:+.3f}]"
        change = (
            f"`{self.recipe}` ({self.task}): from {few:.0f} to {many:.0f} training articles, micro-F1 moved by {sign}"
        )
        if before:
            change += f"; the doubling before that, from {before.articles[0]:.0f} to {before.articles[1]:.0f}, by "
            change += f"{before.f1:+.3f} [{before.low:+.3f}, {before.high:+.3f}]"
        if self.tested < MIN_ARTICLES_TEST:
            return f"{change}. {self.tested} articles are too few to say whether more pages would help."
        if last.low > 0 and min(last.repeats) > 0:
            return f"{change}. The curve has not flattened: more pages of this kind would probably help this system."
        if last.high < 0 and max(last.repeats) < 0:
            return f"{change}. The curve falls at its end: more pages of this kind did not help this system."
        reason = "is not significantly different from 0" if last.low <= 0 <= last.high else "has repeats that disagree"
        return f"{change}. The last step {reason}: whether more pages would help this system is open."


def list_rounds(experiment: Experiment) -> list[Round]:
    """Return the rounds of a curve but for its last step, which is the cross-validation."""
    folds = list(experiment.cross_validation)
    return [
        Round(FOLDS, _select_first_articles(fold, step, repeat), fold.batches)
        for step in FRACTIONS[:-1]
        for repeat in range(REPEATS)
        for fold in folds
    ]


def measure_curve(benchmark: Benchmark, result: RunResult, fits: Sequence[FitResult]) -> LearningCurve:
    """Measure the learning curve of a recipe whose cross-validation is `result`, from the fits of `list_rounds`."""
    experiment = read_experiment(benchmark, result.recipe, (FOLDS,))
    gold = experiment.read_golds()[FOLDS]
    folds = list(experiment.cross_validation)
    keys = [(step, repeat) for step in FRACTIONS[:-1] for repeat in range(REPEATS) for _ in folds]
    predicted: dict[tuple[float, int], dict[str, frozenset[LabelKey]]] = {(1.0, 0): dict(result.predictions[FOLDS])}
    for key, fit in zip(keys, fits, strict=True):
        predicted.setdefault(key, {}).update(fit.predictions[0])

    sums = {
        key: score.sum_by_article(gold, score.count_predictions(gold, labels).sum(1))
        for key, labels in predicted.items()
    }
    resampled = {
        step: _mean([significance.resample(sums[key], significance.f1) for key in sums if key[0] == step])
        for step in FRACTIONS
    }
    sizes = score.article_sizes(sums[1.0, 0])
    interval = partial(
        significance.percentile_interval,
        articles=float(significance.effective_size(sizes)),
        weights=significance.resample_weights(len(sizes)),
    )
    points = []
    for step in FRACTIONS:
        repeats = tuple(float(significance.f1(sums[key].sum(0))) for key in sums if key[0] == step)
        trained = [_select_first_articles(fold, step, repeat) for fold in folds for repeat in range(len(repeats))]
        low, high = interval(resampled[step])
        points.append(
            CurvePoint(
                sum(len({row["article_id"] for row in rows}) for rows in trained) / len(trained),
                sum(map(len, trained)) / len(trained),
                sum(len(labels) for rows in trained for labels in experiment.training_labels(rows)) / len(trained),
                sum(repeats) / len(repeats),
                low,
                high,
                repeats,
            )
        )
    gains = []
    for (step_before, before), (step_after, after) in itertools.pairwise(zip(FRACTIONS, points, strict=True)):
        gain = (
            after.f1 - before.f1,
            *interval(resampled[step_after] - resampled[step_before]),
        )
        f1, low, high = (round(value, 9) + 0.0 for value in gain)  # a mean of equal numbers is not always one of them
        # The last point has a single repeat, which is paired with each of the point before.
        repeats = tuple(b - a for a, b in zip(before.repeats, itertools.cycle(after.repeats), strict=False))
        gains.append(CurveGain((before.articles, after.articles), f1, low, high, repeats))
    whole, recipe = result.scores[FOLDS], result.recipe
    signature = whole.signature | {"column": FOLD_COLUMN, "repeats": str(REPEATS), "order": f"sha256 {SEED}"}
    return LearningCurve(
        recipe.name, recipe.task, tuple(points), tuple(gains), whole.articles, whole.manifest, signature
    )


def _select_first_articles(fold: Round, fraction: float, repeat: int) -> list[Row]:
    """Return the training rows of the first articles, in their order. Which come first depends on their ids alone."""
    articles = sorted({row["article_id"] for row in fold.train}, key=lambda id: _hash_article(repeat, id))
    chosen = set(articles[: max(1, round(fraction * len(articles)))])
    return [row for row in fold.train if row["article_id"] in chosen]


def _hash_article(repeat: int, article: str) -> str:
    return hashlib.sha256(f"{SEED}|{repeat}|{article}".encode()).hexdigest()


def _mean(arrays: "Sequence[NDArray[np.float64]]") -> "NDArray[np.float64]":
    import numpy as np

    mean: NDArray[np.float64] = np.mean(arrays, axis=0)
    return mean


def run_and_store(
    benchmark: Benchmark,
    recipe: Recipe,
    folder: Path,
    step: Step,
    *,
    splits: Sequence[str] = SPLITS,
    limits: Limits = NO_LIMITS,
    curve: bool = False,
) -> tuple[RunResult, LearningCurve | None]:
    """Run a recipe, with `curve` measure its learning curve, and write both into a folder when all is done."""
    fits = run_rounds(benchmark, recipe, splits, limits, step)
    curve_fits = run_rounds(benchmark, recipe, splits, limits, step, curve=True) if curve else []
    result = score_fits(benchmark, recipe, splits, fits)
    measured = measure_curve(benchmark, result, curve_fits) if curve else None
    write_result(result, folder)
    if measured:
        write_curve(measured, folder)
    return result, measured


def write_curve(curve: LearningCurve, folder: Path) -> None:
    files.write_text(folder / CURVE_FILE, files.dump_json(curve.to_dict()))


def read_curves(benchmark: Benchmark) -> list[LearningCurve]:
    """Read the stored curves, sorted by recipe.

    Raises DataError [broken-json], [wrong-shape], or [wrong-version] for a curve on other data.
    """
    manifest = load.read_manifest(benchmark)["sha256"]
    curves = []
    for path in sorted(benchmark.baselines.glob(f"*/{CURVE_FILE}")):
        location, record = files.display_path(path), files.read_json(path)
        try:
            points = tuple(CurvePoint(**point | {"repeats": tuple(point["repeats"])}) for point in record.pop("points"))
            gains = tuple(
                CurveGain(**gain | {key: tuple(gain[key]) for key in ("articles", "repeats")})
                for gain in record.pop("gains")
            )
            curve = LearningCurve(**record, points=points, gains=gains)
        except (AttributeError, KeyError, TypeError) as error:
            fix = f"jinbench run {files.display_path(path.parent)}.py --curve"
            fail("wrong-shape", location, expected="a learning curve", found=f"{error}", fix=fix)
        if curve.manifest != manifest:
            expected = f"a curve on the data {manifest[:8]}"
            fail("wrong-version", location, expected=expected, found=curve.manifest[:8], fix="jinbench run")
        curves.append(curve)
    return curves
