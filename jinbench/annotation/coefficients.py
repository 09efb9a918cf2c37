"""Chance-corrected agreement of two annotators: Cohen's kappa, Krippendorff's alpha, each with an interval."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinbench.core.tags import to_bio
from jinbench.core.types import Span
from jinbench.scoring import significance
from jinbench.scoring.gold import Gold, LabelKey
from jinbench.scoring.results import format_interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Units = NDArray[np.float64] | NDArray[np.int64]


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

    def kappa(units: "Units") -> float:
        share = units.sum(0) / units.sum()
        expected = share.sum(0) @ share.sum(1)
        return float((np.trace(share) - expected) / (1 - expected)) if expected < 1 else float("nan")

    return _estimate("kappa", a, tables, kappa)


def krippendorff_alphas(a: Gold, b: Gold) -> tuple[Estimate, Estimate, tuple[Estimate, ...]]:
    """Return Krippendorff's alpha of the sets of sectors (MASI distance), of all decisions, and of each sector.

    A decision is a passage and a sector, yes or no. Krippendorff 2011, "Computing Krippendorff's alpha-reliability".
    """
    import numpy as np

    sets = sorted({*a.labels, *b.labels}, key=sorted)
    set_ids = {labels: i for i, labels in enumerate(sets)}
    distances = np.array([[masi_distance(one, other) for other in sets] for one in sets])
    chosen = np.zeros((len(a.ids), len(sets)), dtype=int)
    for side in (a, b):
        for i, labels in enumerate(side.labels):
            chosen[i, set_ids[labels]] += 1
    selected = np.array(
        [[sum((name,) in side.labels[i] for side in (a, b)) for name in a.names] for i in range(len(a.ids))]
    )
    decisions = np.stack([2 - selected, selected], axis=-1)  # (passages, sectors, no or yes)

    def by_set(units: "Units") -> float:
        return _alpha(units, lambda v1, v2, i1, i2, n_v, dtype: distances[i1, i2])

    def nominal(units: "Units") -> float:
        return _alpha(units.reshape(-1, units.shape[-1]), "nominal")

    return (
        _estimate("alpha", a, chosen, by_set),
        _estimate("alpha of decisions", a, decisions, nominal),
        tuple(_estimate(name, a, decisions[:, i], nominal) for i, name in enumerate(a.names)),
    )


def _alpha(units: "Units", level: Any) -> float:
    """Return alpha of `units` (units, values): how many annotators gave each value."""
    import krippendorff

    if (units.sum(0) > 0).sum() < 2:
        return float("nan")
    return float(krippendorff.alpha(value_counts=units, level_of_measurement=level))


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


def _estimate(name: str, gold: Gold, units: "Units", coefficient: "Callable[[Units], float]") -> Estimate:
    """Return the coefficient of `units` (items, …), and its interval over resampled articles."""
    import numpy as np

    value = coefficient(units)
    if np.isnan(value):
        return Estimate(name, None, None, None)
    articles = sorted(set(gold.groups))
    rows = [np.flatnonzero([group == article for group in gold.groups]) for article in articles]
    sizes = np.array([len(indices) for indices in rows])
    values = []
    for draw in significance.draw_articles(len(articles)):
        sample = np.concatenate([np.tile(indices, times) for indices, times in zip(rows, draw, strict=True)])
        values.append(coefficient(units[sample]))
    low, high = significance.reliable_interval(np.array(values), sizes)
    bounds = (None, None) if low is None or high is None else (round(low, 6), round(high, 6))
    return Estimate(name, round(float(value), 6), *bounds)
