"""Paired comparison of systems; minimum detectable difference."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from statistics import median
from typing import TYPE_CHECKING

from jinbench.scoring.gold import FOLDS, Gold
from jinbench.scoring.html import format_bounds, html_table
from jinbench.scoring.results import count_articles, round_floats
from jinbench.scoring.score import Predicted, article_sizes, count_predictions, sum_by_article
from jinbench.scoring.significance import (
    FAMILY,
    LEVEL,
    MIN_ARTICLES_TEST,
    PERMUTATIONS,
    corrected_t_test,
    effective_size,
    f1,
    minimum_detectable_difference,
    percentile_interval,
    randomization_test,
    resample,
    resample_weights,
    wald_p_value,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class AcrossFolds:
    """Mean difference in micro-F1 over folds: what to expect of training both again.

    The corrected t-test of Nadeau and Bengio (2003) over `folds` folds.
    """

    value: float
    low: float
    high: float
    p: float
    folds: int


@dataclass(frozen=True)
class Difference:
    """The difference of two systems in micro-F1, a minus b, paired by article.

    Args:
        value: difference in micro-F1, -1 to 1.
        low: lower end of its 95 % confidence interval.
        high: upper end.
        error: standard error by the bootstrap.
        effective: effective number of articles: so many of one size would be worth as much.
        p: two-sided p-value by standard error and effective articles.
        adjusted: `p` times the number of comparisons in the family that it is one of, at most 1.
        randomization_p: p-value of the approximate randomization test by article.
        minimum_detectable: minimum detectable difference (80 % power) of these articles.
        articles: number of articles.
        folds: the test over folds, where the predictions are those of a cross-validation.
    """

    value: float
    low: float
    high: float
    error: float
    effective: float
    p: float
    adjusted: float
    randomization_p: float
    minimum_detectable: float
    articles: int
    folds: AcrossFolds | None = None

    @property
    def significant(self) -> bool:
        """True if interval, adjusted p and randomization p all say so, over enough articles."""
        excludes_zero = self.low > 0 or self.high < 0
        enough = self.articles >= MIN_ARTICLES_TEST
        return enough and excludes_zero and self.adjusted <= LEVEL and self.randomization_p <= LEVEL

    @property
    def verdict(self) -> str:
        if self.articles < MIN_ARTICLES_TEST:
            return f"{count_articles(self.articles)}: too few for an interval or a significance test"
        return "significantly different" if self.significant else "not significantly different on this gold"

    def to_dict(self) -> dict[str, object]:
        """Return the record that is stored, floats rounded to six places."""
        return round_floats(asdict(self)) | {"significant": self.significant}

    def to_pandas(self) -> "pd.DataFrame":
        """Return a table of one row."""
        import pandas as pd

        return pd.json_normalize(self.to_dict())

    def __repr__(self) -> str:
        if self.articles < MIN_ARTICLES_TEST:
            return f"<Difference {self.value:+.3f} micro-F1: {self.verdict}>"
        interval = format_bounds(self.low, self.high, "+")
        return f"<Difference {self.value:+.3f} micro-F1 {interval}, p = {self.adjusted:.4f}: {self.verdict}>"

    def _repr_html_(self) -> str:
        row = {"micro-F1": f"{self.value:+.3f}", "articles": str(self.articles)}
        if self.articles >= MIN_ARTICLES_TEST:
            row |= {
                "95 % confidence interval": format_bounds(self.low, self.high, "+"),
                "p": f"{self.adjusted:.4f}",
                "p (approximate randomization test)": f"{self.randomization_p:.4f}",
                "minimum detectable difference (80 % power)": f"{self.minimum_detectable:.3f}",
            }
        return html_table([row], "Difference in micro-F1", [self.verdict])

    def __str__(self) -> str:
        if self.articles < MIN_ARTICLES_TEST:
            return f"{self.value:+.3f} micro-F1: {self.verdict}"
        family = f" after correction for {FAMILY} comparisons" if self.adjusted != self.p else ""
        text = (
            f"{self.value:+.3f} micro-F1, 95 % confidence interval {self.low:+.3f} to {self.high:+.3f}, "
            f"p = {self.adjusted:.4f}{family}, {self.randomization_p:.4f} by approximate randomization test, "
            f"over {self.articles} articles: {self.verdict}"
        )
        if self.minimum_detectable > 0:
            text += f"\nminimum detectable difference (80 % power): about {self.minimum_detectable:.3f}"
        if self.folds:
            text += (
                f"\nfrom fold to fold {self.folds.value:+.3f}, {self.folds.low:+.3f} to {self.folds.high:+.3f}, "
                f"p = {self.folds.p:.4f} over {self.folds.folds} folds: "
                "what to expect if both were trained again on other articles"
            )
        return text


def compare_systems(gold: Gold, a: Predicted, b: Predicted) -> Difference:
    """Compare two systems in micro-F1, paired by article.

    Args:
        gold: the items.
        a: labels by id of the first system.
        b: labels by id of the second system.

    Returns:
        The difference a minus b, with the test over folds where the gold is that of all folds.

    References:
        Cluster bootstrap over articles; approximate randomization test (Noreen 1989; Yeh 2000); corrected resampled
        t-test (Nadeau and Bengio 2003, Machine Learning 52:239).

    Example:
        >>> items = [(f"s{i}", "上海下雨", f"a{i}", frozenset({(0, 2, "PLACE")})) for i in range(8)]
        >>> gold = Gold.from_labels("ner", ["PLACE"], items)
        >>> right = {id: frozenset({(0, 2, "PLACE")}) for id in gold.ids}
        >>> difference = compare_systems(gold, right, {})
        >>> difference.value, difference.significant
        (1.0, True)
    """
    return compare_all(gold, {"a": a, "b": b})["a", "b"]


def compare_golds(a: tuple[Gold, Predicted], b: tuple[Gold, Predicted]) -> Difference:
    """Return the difference between two golds over the same articles, each with the predictions for it."""
    first, second = (sum_by_article(gold, count_predictions(gold, predicted).sum(1)) for gold, predicted in (a, b))
    return compare_sums(first, second)


def compare_sums(a: "NDArray[np.int64]", b: "NDArray[np.int64]", times: int = PERMUTATIONS) -> Difference:
    """Compare two systems by their sums (articles, 3), with `times` permutations."""
    return _compare_resampled(a, b, _resample_f1(a) - _resample_f1(b), times)


def _resample_f1(sums: "NDArray[np.int64]") -> "NDArray[np.float64]":
    """Return micro-F1 in each resample; 0 where there is neither gold nor prediction."""
    import numpy as np

    return np.nan_to_num(resample(sums, f1))


def _subtract_f1(a: "NDArray[np.int64]", b: "NDArray[np.int64]") -> float:
    """Return the difference in micro-F1 from counts (…, 3) of each."""
    import numpy as np

    return float(np.nan_to_num(f1(a.sum(0))) - np.nan_to_num(f1(b.sum(0))))


def _compare_resampled(
    a: "NDArray[np.int64]", b: "NDArray[np.int64]", differences: "NDArray[np.float64]", times: int = PERMUTATIONS,
    family: int = 1,
) -> Difference:  # fmt: skip
    """Return the difference; `differences` is that in each resample."""
    import numpy as np

    weights = resample_weights(len(a))
    value, error = _subtract_f1(a, b), math.sqrt(float(np.cov(differences, aweights=weights, ddof=0)))
    articles = float(effective_size(article_sizes(a) + article_sizes(b)))
    low, high = percentile_interval(differences, articles, weights)
    p = wald_p_value(value, error, articles)
    randomization_p = randomization_test(a, b, times)
    detectable = minimum_detectable_difference(error, articles, family)
    adjusted = min(1.0, family * p)
    return Difference(value, low, high, error, articles, p, adjusted, randomization_p, detectable, len(a))


def _compare_across_folds(folds: Iterable[int], a: "NDArray[np.int64]", b: "NDArray[np.int64]") -> AcrossFolds | None:
    """Return the test over folds from counts (items, 3) of each; None with fewer than two folds."""
    import numpy as np

    fold = np.array(list(folds))
    numbers = sorted(set(fold.tolist()))
    if len(numbers) < 2:
        return None
    differences = [_subtract_f1(a[fold == number], b[fold == number]) for number in numbers]
    return AcrossFolds(*corrected_t_test(differences), len(numbers))


def compare_all(gold: Gold, predicted: Mapping[str, Predicted]) -> dict[tuple[str, str], Difference]:
    """Compare every pair of systems, more than two as in a leaderboard table; over folds too, if there are."""
    counts = {name: count_predictions(gold, labels).sum(1) for name, labels in predicted.items()}
    sums = {name: sum_by_article(gold, item_counts) for name, item_counts in counts.items()}
    differences = compare_pairs(sums, 1 if len(sums) == 2 else FAMILY)
    if gold.split != FOLDS:
        return differences
    return {
        (a, b): replace(difference, folds=_compare_across_folds(gold.folds, counts[a], counts[b]))
        for (a, b), difference in differences.items()
    }


def compare_pairs(sums: Mapping[str, "NDArray[np.int64]"], family: int = FAMILY) -> dict[tuple[str, str], Difference]:
    """Compare every pair of systems from their sums (articles, 3), each as one of `family` comparisons.

    What is said of two systems does not depend on the others.
    """
    resampled = {name: _resample_f1(system_sums) for name, system_sums in sums.items()}
    return {
        (a, b): _compare_resampled(sums[a], sums[b], resampled[a] - resampled[b], family=family)
        for a, b in combinations(sums, 2)
    }


def median_detectable_difference(differences: Mapping[tuple[str, str], Difference]) -> float | None:
    """Return the median minimum detectable difference of all pairs that differ at all.

    None without such a pair, or with too few articles.
    """
    detectable = [
        difference.minimum_detectable
        for difference in differences.values()
        if difference.error > 0 and difference.articles >= MIN_ARTICLES_TEST
    ]
    return median(detectable) if detectable else None
