"""Whether two systems can be told apart, and what it takes to tell them apart."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from jinbench.scoring import significance
from jinbench.scoring.gold import FOLDS, Gold
from jinbench.scoring.results import rounded
from jinbench.scoring.score import Predicted, articles, counts, sizes
from jinbench.scoring.significance import ENOUGH, LEVEL, PERMUTATIONS, f1

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class AcrossFolds:
    """The mean over folds of the difference in micro-F1, its interval and p, as if both were trained again elsewhere.

    The corrected t-test of Nadeau and Bengio (2003) over so many folds.
    """

    value: float
    low: float
    high: float
    p: float
    folds: int


@dataclass(frozen=True)
class Difference:
    """How much better `a` is than `b` in micro-F1, paired by article, with its 95 % interval.

    `error` is its standard error by the bootstrap, and `effective` how many articles of one size it rests on. `p` goes
    by these; `adjusted` is the same after Holm, where several pairs were tested. `swapped` is the p-value of swapping
    the two article by article. `gap`: the smallest difference that these articles would separate in four of five cases.
    `folds` is there where the predictions are those of a cross-validation.
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
        """Whether interval, adjusted p and swapping all say so. Over fewer than `ENOUGH` articles nothing is told."""
        apart = self.low > 0 or self.high < 0
        return self.articles >= ENOUGH and apart and self.adjusted <= LEVEL and self.randomization_p <= LEVEL

    @property
    def verdict(self) -> str:
        if self.articles < ENOUGH:
            return f"{self.articles} articles are too few to tell systems apart"
        return "they can be told apart" if self.significant else "they cannot be told apart on this gold"

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = rounded(asdict(self))
        return record | {"significant": self.significant}

    def to_pandas(self) -> Any:
        """One row."""
        import pandas

        return pandas.json_normalize(self.to_dict())

    def __str__(self) -> str:
        several = " after Holm" if self.adjusted != self.p else ""
        text = (
            f"{self.value:+.3f} micro-F1, 95 % interval {self.low:+.3f} to {self.high:+.3f}, p = {self.adjusted:.4f}"
            f"{several}, {self.randomization_p:.4f} by swapping, over {self.articles} articles: {self.verdict}"
        )
        if self.articles >= ENOUGH and self.minimum_detectable > 0:
            text += f"\nminimum detectable difference (80 % power): about {self.minimum_detectable:.3f}"
        if self.folds:
            text += (
                f"\nfrom fold to fold {self.folds.value:+.3f}, {self.folds.low:+.3f} to {self.folds.high:+.3f}, "
                f"p = {self.folds.p:.4f} over {self.folds.folds} folds: "
                "what to expect if both were trained again on other articles"
            )
        return text


def compare_systems(gold: Gold, a: Predicted, b: Predicted) -> Difference:
    """The difference of two systems: both see the same resampled articles."""
    return compare_all(gold, {"a": a, "b": b})["a", "b"]


def change(a: tuple[Gold, Predicted], b: tuple[Gold, Predicted]) -> Difference:
    """The difference between two golds, each with what is predicted for it, over the same articles."""
    first, second = (articles(gold, counts(gold, predicted).sum(1)) for gold, predicted in (a, b))
    return difference(first, second)


def difference(a: "np.ndarray[Any, Any]", b: "np.ndarray[Any, Any]", times: int = PERMUTATIONS) -> Difference:
    """The same from the sums (articles, 3) of each; they are swapped so many times."""
    return _difference(a, b, _drawn(a) - _drawn(b), times)


def _drawn(sums: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Micro-F1 in each resample; 0 where there is neither gold nor prediction."""
    import numpy as np

    return np.nan_to_num(f1(significance.resample(sums)))


def _difference(
    a: "np.ndarray[Any, Any]", b: "np.ndarray[Any, Any]", drawn: "np.ndarray[Any, Any]", times: int = PERMUTATIONS
) -> Difference:
    """`drawn` is the difference in each resample."""
    import numpy as np

    value = float(np.nan_to_num(f1(a.sum(0))) - np.nan_to_num(f1(b.sum(0))))
    articles, error = float(significance.effective(sizes(a) + sizes(b))), float(np.std(drawn))
    low, high = significance.interval(drawn, articles)
    p = significance.wald_test(value, error, articles)
    swapped, gap = (
        significance.randomization_test(a, b, times),
        significance.minimum_detectable_difference(error, articles),
    )
    return Difference(value, low, high, error, articles, p, p, swapped, gap, len(a))


def _across_folds(folds: Iterable[int], a: "np.ndarray[Any, Any]", b: "np.ndarray[Any, Any]") -> AcrossFolds | None:
    """From counts (items, 3) of each. None with fewer than two folds."""
    import numpy as np

    fold = np.array(list(folds))
    numbers = sorted(set(fold.tolist()))
    if len(numbers) < 2:
        return None
    differences = [
        float(np.nan_to_num(f1(a[fold == number].sum(0))) - np.nan_to_num(f1(b[fold == number].sum(0))))
        for number in numbers
    ]
    return AcrossFolds(*significance.corrected_t(differences), len(numbers))


def compare_all(gold: Gold, predicted: Mapping[str, Predicted]) -> dict[tuple[str, str], Difference]:
    """Every pair of systems, p adjusted after Holm, with the test over folds where the gold is that of all folds."""
    tables = {name: counts(gold, found).sum(1) for name, found in predicted.items()}
    found = pairs({name: articles(gold, table) for name, table in tables.items()})
    if gold.split != FOLDS:
        return found
    return {
        (a, b): replace(each, folds=_across_folds(gold.folds, tables[a], tables[b])) for (a, b), each in found.items()
    }


def pairs(sums: Mapping[str, "np.ndarray[Any, Any]"]) -> dict[tuple[str, str], Difference]:
    """Every pair of systems from their sums (articles, 3), p adjusted after Holm for that they are so many."""
    names = list(sums)
    both = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    drawn = {name: _drawn(found) for name, found in sums.items()}
    found = {(a, b): _difference(sums[a], sums[b], drawn[a] - drawn[b]) for a, b in both}
    adjusted = significance.holm([each.p for each in found.values()])
    detectable = [
        significance.minimum_detectable_difference(each.error, each.effective, len(both)) for each in found.values()
    ]
    return {
        pair: replace(difference, adjusted=p, minimum_detectable=size)
        for (pair, difference), p, size in zip(found.items(), adjusted, detectable, strict=True)
    }


def minimum_detectable_difference(found: Mapping[tuple[str, str], Difference]) -> float | None:
    """The smallest difference in micro-F1 that these articles separate in four of five cases, in a table of all pairs.

    From the systems' own predictions: the median over all pairs that differ at all. None without such a pair, or with
    too few articles.
    """
    gaps = [each.minimum_detectable for each in found.values() if each.error > 0 and each.articles >= ENOUGH]
    return median(gaps) if gaps else None
