"""Whether two systems can be told apart, and what it takes to tell them apart."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from jinbench import uncertainty
from jinbench.golds import FOLDS, Gold
from jinbench.scores import rounded
from jinbench.scoring import Predicted, articles, counts, sizes
from jinbench.uncertainty import ENOUGH, LEVEL, PERMUTATIONS, f1

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

    `p` is that of swapping the two article by article; `adjusted` the same after Holm, where several pairs were tested.
    `folds` is there where the predictions are those of a cross-validation.
    """

    value: float
    low: float
    high: float
    p: float
    adjusted: float
    articles: int
    folds: AcrossFolds | None = None

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves out 0 and swapping says so too. Over fewer than `ENOUGH` articles nothing is."""
        return self.articles >= ENOUGH and (self.low > 0 or self.high < 0) and self.adjusted <= LEVEL

    @property
    def verdict(self) -> str:
        if self.articles < ENOUGH:
            return f"{self.articles} articles are too few to tell systems apart"
        return "they can be told apart" if self.told_apart else "they cannot be told apart on this gold"

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = rounded(asdict(self))
        return record | {"told_apart": self.told_apart}

    def to_pandas(self) -> Any:
        """One row."""
        import pandas

        return pandas.json_normalize(self.to_dict())

    def __str__(self) -> str:
        text = (
            f"{self.value:+.3f} micro-F1, 95 % interval {self.low:+.3f} to {self.high:+.3f}, "
            f"p = {self.p:.4f} over {self.articles} articles: {self.verdict}"
        )
        if self.folds:
            text += (
                f"\nfrom fold to fold {self.folds.value:+.3f}, {self.folds.low:+.3f} to {self.folds.high:+.3f}, "
                f"p = {self.folds.p:.4f} over {self.folds.folds} folds: "
                "what to expect if both were trained again on other articles"
            )
        return text


def compare(gold: Gold, a: Predicted, b: Predicted) -> Difference:
    """The difference of two systems: both see the same resampled articles."""
    return compare_all(gold, {"a": a, "b": b})["a", "b"]


def change(a: tuple[Gold, Predicted], b: tuple[Gold, Predicted]) -> Difference:
    """The difference between two golds, each with what is predicted for it, over the same articles."""
    first, second = (articles(gold, counts(gold, predicted).sum(1)) for gold, predicted in (a, b))
    return difference(first, second)


def difference(a: "np.ndarray[Any, Any]", b: "np.ndarray[Any, Any]", times: int = PERMUTATIONS) -> Difference:
    """The same from the sums (articles, 3) of each."""
    import numpy as np

    value = float(np.nan_to_num(f1(a.sum(0))) - np.nan_to_num(f1(b.sum(0))))
    drawn = np.nan_to_num(f1(uncertainty.resample(a))) - np.nan_to_num(f1(uncertainty.resample(b)))
    low, high = uncertainty.interval(drawn, float(uncertainty.effective(sizes(a) + sizes(b))))
    p = uncertainty.swap_test(a, b, times)
    return Difference(value, low, high, p, p, len(a))


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
    return AcrossFolds(*uncertainty.corrected_t(differences), len(numbers))


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
    times = max(PERMUTATIONS, 200 * len(both))  # p can get so small that it is still small times the number of pairs
    found = {pair: difference(sums[pair[0]], sums[pair[1]], times) for pair in both}
    adjusted = uncertainty.holm([each.p for each in found.values()])
    return {pair: replace(each, adjusted=p) for (pair, each), p in zip(found.items(), adjusted, strict=True)}


def smallest_gap(sums: Mapping[str, "np.ndarray[Any, Any]"]) -> float | None:
    """The smallest difference in micro-F1 that these articles separate in four of five cases.

    From the systems' own predictions: `sums` (articles, 3) of each, in order of rank. The standard error is the median
    over neighbours, by the bootstrap. None with fewer than two systems, or too few articles.
    """
    import numpy as np

    found = list(sums.values())
    if len(found) < 2 or len(found[0]) < ENOUGH:
        return None
    drawn = [np.nan_to_num(f1(uncertainty.resample(each))) for each in found]
    error = float(np.median([np.std(a - b) for a, b in pairwise(drawn)]))
    fewest = min(float(uncertainty.effective(sizes(each))) for each in found)
    return uncertainty.gap(error, fewest)
