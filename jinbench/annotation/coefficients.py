"""Chance-corrected agreement of two annotators: Cohen's kappa, Krippendorff's alpha, each with an interval."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from jinbench.core.tags import to_bio
from jinbench.core.types import Span
from jinbench.scoring import significance
from jinbench.scoring.gold import Gold, LabelKey
from jinbench.scoring.results import format_interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Tables = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A coefficient of agreement with its 95 % confidence interval.

    1 is perfect agreement, 0 what chance gives, below 0 worse than chance. `value` is None where it is not defined:
    both annotators used one label throughout.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.value is None:
            return "– (one value throughout)"
        return format_interval(self.value, self.low, self.high)


def cohen_kappa(a: Gold, b: Gold, tag_names: Sequence[str]) -> Estimate:
    """Return Cohen's kappa over BIO tags, one per character.

    (observed - expected) / (1 - expected) agreement: Cohen 1960, Educational and Psychological Measurement 20:37.
    """
    import numpy as np

    tag_ids = {tag: i for i, tag in enumerate(tag_names)}
    tables = np.zeros((len(a.ids), len(tag_ids), len(tag_ids)))
    for i, text in enumerate(a.texts):
        tags = [
            to_bio(len(text), [Span(start, end, type, text[start:end]) for start, end, type in side.labels[i]])
            for side in (a, b)
        ]
        for first, second in zip(*tags, strict=True):
            tables[i, tag_ids[first], tag_ids[second]] += 1

    def kappa(tables: "Tables") -> "Tables":
        shares = tables / tables.sum((1, 2), keepdims=True)
        observed = np.trace(shares, axis1=1, axis2=2)
        expected = (shares.sum(1) * shares.sum(2)).sum(1)
        coefficients: Tables = (observed - expected) / (1 - expected)
        return coefficients

    return _estimate("kappa", a, tables, kappa)


def krippendorff_alphas(a: Gold, b: Gold) -> tuple[Estimate, Estimate, tuple[Estimate, ...]]:
    """Return Krippendorff's alpha of the sets of sectors (MASI distance), of all decisions, and of each sector.

    A decision is a passage and a sector, yes or no. Krippendorff 2011, "Computing Krippendorff's alpha-reliability".
    """
    import numpy as np

    sets = sorted({*a.labels, *b.labels}, key=sorted)
    set_ids = {labels: i for i, labels in enumerate(sets)}
    distances = np.array([[masi_distance(one, other) for other in sets] for one in sets])
    chosen = np.zeros((len(a.ids), len(sets)))
    for side in (a, b):
        for i, labels in enumerate(side.labels):
            chosen[i, set_ids[labels]] += 1
    selected = np.array(
        [[sum((name,) in side.labels[i] for side in (a, b)) for name in a.names] for i in range(len(a.ids))]
    )
    decisions = np.stack([2.0 - selected, selected], axis=-1)  # (passages, sectors, no or yes)
    by_sector = _coincidences(decisions)
    return (
        _estimate("alpha", a, _coincidences(chosen), partial(krippendorff_alpha, distances=distances)),
        _estimate("alpha of decisions", a, by_sector.sum(1), krippendorff_alpha),
        tuple(_estimate(name, a, by_sector[:, i], krippendorff_alpha) for i, name in enumerate(a.names)),
    )


def _coincidences(counts: "Tables") -> "Tables":
    """Return the coincidences of each unit (…, values, values), of how many of two annotators gave each value."""
    import numpy as np

    coincidences: Tables = counts[..., :, None] * counts[..., None, :] - counts[..., None] * np.eye(counts.shape[-1])
    return coincidences


def krippendorff_alpha(coincidences: "Tables", distances: "Tables | None" = None) -> "Tables":
    """Return Krippendorff's alpha of each table of coincidences.

    Args:
        coincidences: (n, values, values), summed over units.
        distances: (values, values) squared distances of values; by default 1 between different ones.

    Returns:
        (n,) coefficients; NaN where only one value was given.

    References:
        Krippendorff 2011, "Computing Krippendorff's alpha-reliability", sections B and C.
    """
    import numpy as np

    size = coincidences.shape[-1]
    differences = 1 - np.eye(size) if distances is None else distances
    totals = coincidences.sum(2)
    expected = totals[:, :, None] * totals[:, None, :] - totals[:, :, None] * np.eye(size)
    expected /= totals.sum(1)[:, None, None] - 1
    alphas: Tables = 1 - (coincidences * differences).sum((1, 2)) / (expected * differences).sum((1, 2))
    return alphas


def masi_distance(first: frozenset[LabelKey], second: frozenset[LabelKey]) -> float:
    """Return the MASI distance: 1 - Jaccard × (1 equal, 2/3 nested, 1/3 crossing, 0 disjoint).

    Passonneau 2006, "Measuring agreement on set-valued items (MASI)", LREC.
    """
    if first == second:
        return 0.0
    if not first & second:
        return 1.0
    nested = first <= second or second <= first
    return 1 - len(first & second) / len(first | second) * (2 / 3 if nested else 1 / 3)


def _estimate(name: str, gold: Gold, tables: "Tables", coefficient: "Callable[[Tables], Tables]") -> Estimate:
    """Return the coefficient of `tables` (items, values, values), and its interval over resampled articles."""
    import numpy as np

    articles, item_articles = np.unique(gold.groups, return_inverse=True)
    by_article = np.zeros((len(articles), *tables.shape[1:]))
    np.add.at(by_article, item_articles, tables)
    with np.errstate(divide="ignore", invalid="ignore"):  # NaN where it is not defined
        value = float(coefficient(by_article.sum(0, keepdims=True))[0])
        if not np.isfinite(value):
            return Estimate(name, None, None, None)
        values = significance.resample(by_article, coefficient)
    weights = significance.resample_weights(len(articles))
    low, high = significance.reliable_interval(values, np.bincount(item_articles), weights)
    bounds = (None, None) if low is None or high is None else (round(low, 6), round(high, 6))
    return Estimate(name, round(value, 6), *bounds)
