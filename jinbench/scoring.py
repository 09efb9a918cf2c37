"""Scores that say what they are worth. Counts per item first; every score, interval and table comes from their sums.

A missing prediction counts as wrong, an unknown id is an error. What is resampled is the article: sentences of one
article are alike, and an interval that ignores it is too narrow.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from jinbench.submissions import Gold, Label

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 2000
SEED = 0
# Articles: with fewer, the bootstrap takes chance for a difference far too often. Simulated with articles as uneven as
# those of a newspaper, at a level of 5 %: in 13 of 100 cases over 10 articles, in 9 over 20.
ENOUGH = 20
FEW = 30  # below this number of gold mentions a table shows counts, not scores

GOLD, PREDICTED, CORRECT = 0, 1, 2
EXACT, OVERLAP = "exact", "overlap"  # what makes a predicted span correct, its type being right


def _overlapping(true: frozenset[Label], guess: frozenset[Label]) -> list[Label]:
    """The gold spans that have a predicted span of their type to themselves which overlaps them.

    One to one, and as many as possible: spans of one side do not overlap each other, so of two that meet, the one that
    ends first has no later partner, and pairing them loses nothing.
    """
    found: list[Label] = []
    for type in {label[-1] for label in true}:
        ours, theirs = (sorted(label for label in side if label[-1] == type) for side in (true, guess))
        while ours and theirs:
            a, b = ours[0], theirs[0]
            if a[0] < b[1] and b[0] < a[1]:
                found.append(a)
                del ours[0], theirs[0]
            elif a[1] <= b[0]:
                del ours[0]
            else:
                del theirs[0]
    return found


def counts(gold: Gold, predicted: Mapping[str, frozenset[Label]], match: str = EXACT) -> "np.ndarray[Any, Any]":
    """An integer array (items, labels, 3): gold, predicted and correct mentions of each label in each item."""
    import numpy as np

    column = {name: i for i, name in enumerate(gold.names)}
    table = np.zeros((len(gold.ids), len(gold.names), 3), dtype=np.int64)
    for i, (id, true) in enumerate(zip(gold.ids, gold.labels, strict=True)):
        guess = predicted.get(id, frozenset())
        correct = _overlapping(true, guess) if match == OVERLAP else true & guess
        for kind, found in ((GOLD, true), (PREDICTED, guess), (CORRECT, correct)):
            for label in found:
                table[i, column[label[-1]], kind] += 1
    return table


def f1(sums: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """F1 from sums (…, 3). 0 where nothing is correct; NaN where there is neither gold nor prediction."""
    import numpy as np

    total = sums[..., GOLD] + sums[..., PREDICTED]
    return np.where(total == 0, np.nan, 2 * sums[..., CORRECT] / np.maximum(total, 1))


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def clusters(gold: Gold, table: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """The sums (articles, …) of counts (items, …), articles in order of their ids."""
    import numpy as np

    row = {group: i for i, group in enumerate(sorted(set(gold.groups)))}
    sums = np.zeros((len(row), *table.shape[1:]), dtype=np.int64)
    np.add.at(sums, [row[group] for group in gold.groups], table)
    return sums


@cache
def draws(articles: int, times: int = RESAMPLES, seed: int = SEED) -> "np.ndarray[Any, Any]":
    """How often each article is drawn in each resample: an array (times, articles)."""
    import numpy as np

    return np.random.default_rng(seed).multinomial(articles, [1 / articles] * articles, size=times)


def resample(sums: "np.ndarray[Any, Any]", times: int = RESAMPLES, seed: int = SEED) -> "np.ndarray[Any, Any]":
    """Sums (times, …) over articles drawn with replacement from `sums` (articles, …): the cluster bootstrap.

    Two systems get the same draws, so that their difference is paired.
    """
    import numpy as np

    drawn: np.ndarray[Any, Any] = np.tensordot(draws(len(sums), times, seed), sums, axes=1)
    return drawn


def interval(drawn: "np.ndarray[Any, Any]") -> tuple[float, float]:
    """The 95 % percentile interval of resampled values."""
    import numpy as np

    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def drawn_f1(gold: Gold, table: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Micro-F1 in each resample, for counts (items, labels, 3)."""
    return f1(resample(clusters(gold, table.sum(1))))


def with_interval(value: float, low: float | None, high: float | None) -> str:
    """A number with its interval: never without."""
    if low is None or high is None:
        return f"{value:.3f} (one article: no interval)"
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


@dataclass(frozen=True)
class Cell:
    """One number of a table with the counts behind it and its 95 % interval.

    `f1` is None where there is neither gold nor prediction; `low` and `high` are None where fewer than two articles
    have any, so that resampling them says nothing.
    """

    name: str
    gold: int
    predicted: int
    correct: int
    precision: float
    recall: float
    f1: float | None
    low: float | None
    high: float | None

    @property
    def shown(self) -> str:
        return "–" if self.f1 is None else with_interval(self.f1, self.low, self.high)


@dataclass(frozen=True)
class Macro:
    """The mean F1 of the labels with enough gold mentions to be scored, how many those are, and its interval."""

    labels: int
    of: int
    f1: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.f1 is None:
            return f"– (no label of {self.of} has {FEW} mentions)"
        return f"{with_interval(self.f1, self.low, self.high)} ({self.labels} of {self.of})"


def rounded(value: Any) -> Any:
    """Floats to six places: enough for any score, and the same on every machine."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry) for entry in value]
    return value


@dataclass(frozen=True)
class Score:
    """A score with everything it depends on. `str()` gives the table, `to_dict()` the record that is stored."""

    task: str
    micro: Cell
    macro: Macro
    labels: tuple[Cell, ...]
    layouts: tuple[Cell, ...]
    exact: float
    items: int
    missing: int
    articles: int
    manifest: str
    signature: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = rounded(asdict(self))
        return record

    @property
    def signed(self) -> str:
        """The signature in square brackets."""
        return f"[{'|'.join(f'{key}:{value}' for key, value in self.signature.items())}]"

    @property
    def headline(self) -> str:
        """One line: the score, what it is worth, and its signature."""
        return f"{self.task}:micro-F1 = {self.micro.shown} {self.signed}"

    def __str__(self) -> str:
        lines = [self.headline, ""]
        lines += [f"{'':24}{'gold':>6}{'pred':>6}{'right':>6}   precision  recall   F1 [95 % interval]"]
        lines += [_line(cell) for cell in (self.micro, *self.labels)]
        lines += ["", *(_line(cell) for cell in self.layouts), ""]
        lines += [
            (
                f"macro-F1 {self.macro} labels with {FEW} mentions or more; {self.exact:.1%} of items wholly right; "
                f"{self.items} items of {self.articles} articles"
            )
        ]
        if self.missing:
            lines += [f"{self.missing} items have no prediction: each of their mentions counts as missed"]
        return "\n".join(lines)


def _line(cell: Cell) -> str:
    start = f"{cell.name:24}{cell.gold:6}{cell.predicted:6}{cell.correct:6}"
    if cell.gold < FEW:
        return f"{start}   (fewer than {FEW} in gold: counts only)"
    return f"{start}      {cell.precision:.3f}   {cell.recall:.3f}    {cell.shown}"


def score(gold: Gold, predicted: Mapping[str, frozenset[Label]], match: str = EXACT) -> Score:
    """Score predictions by id against `gold`. Every number has an interval from the same resampled articles.

    `match` is what makes a span correct: exact (the same boundaries) or overlap (any common character, one to one).
    """
    import numpy as np

    table = counts(gold, predicted, match)
    cells = tuple(_cell(name, clusters(gold, table[:, i])) for i, name in enumerate(gold.names))
    layouts = []
    for layout in sorted(set(gold.layouts)):
        here = np.array([found == layout for found in gold.layouts])
        layouts.append(_cell(f"layout {layout}", clusters(gold, table.sum(1) * here[:, None])))
    exact = np.all(table[..., GOLD] == table[..., CORRECT], axis=1) & np.all(
        table[..., PREDICTED] == table[..., CORRECT], axis=1
    )
    return Score(
        gold.task,
        _cell("micro", clusters(gold, table.sum(1))),
        _macro(gold, table),
        cells,
        tuple(layouts),
        float(exact.mean()),
        len(gold.ids),
        len(set(gold.ids) - predicted.keys()),
        len(set(gold.groups)),
        gold.manifest,
        {
            "task": gold.task,
            "data": gold.version,
            "gold": gold.sha256[:8],
            "split": gold.split,
            "match": match,
            "boot": str(RESAMPLES),
            "seed": str(SEED),
            "jinbench": version("jinbench"),
        }
        | ({"crosswalk": gold.crosswalk} if gold.crosswalk else {}),
    )


def part(
    name: str, gold: Gold, predicted: Mapping[str, frozenset[Label]], belongs: Callable[[str, Label], bool]
) -> Cell:
    """The cell of some of the mentions: those of gold and predictions of which `belongs(id, label)` is true."""
    ours = {id: frozenset(label for label in found if belongs(id, label)) for id, found in predicted.items()}
    pairs = zip(gold.ids, gold.labels, strict=True)
    true = tuple(frozenset(label for label in found if belongs(id, label)) for id, found in pairs)
    return _cell(name, clusters(gold, counts(replace(gold, labels=true), ours).sum(1)))


def micro(gold: Gold, predicted: Mapping[str, frozenset[Label]]) -> Cell:
    """The micro-F1 alone."""
    return _cell("micro", clusters(gold, counts(gold, predicted).sum(1)))


def _macro(gold: Gold, table: "np.ndarray[Any, Any]") -> Macro:
    import numpy as np

    enough = table[..., GOLD].sum(0) >= FEW
    sums = clusters(gold, table)[:, enough]
    number, of = int(enough.sum()), len(gold.names)
    if not number:
        return Macro(0, of, None, None, None)
    value = float(np.mean(f1(sums.sum(0))))
    if len(sums) < 2:
        return Macro(number, of, value, None, None)
    low, high = interval(np.nanmean(f1(resample(sums)), axis=1))
    return Macro(number, of, value, low, high)


def _cell(name: str, sums: "np.ndarray[Any, Any]") -> Cell:
    """The cell of counts (articles, 3)."""
    total = sums.sum(0)
    right, guessed, true = int(total[CORRECT]), int(total[PREDICTED]), int(total[GOLD])
    low, high = None, None
    if (sums[:, [GOLD, PREDICTED]].sum(1) > 0).sum() >= 2:
        low, high = interval(f1(resample(sums)))
    value = float(f1(total)) if true + guessed else None
    return Cell(name, true, guessed, right, _share(right, guessed), _share(right, true), value, low, high)


@dataclass(frozen=True)
class Difference:
    """How much better `a` is than `b` in micro-F1, paired by article, with its 95 % interval."""

    value: float
    low: float
    high: float
    articles: int

    @property
    def told_apart(self) -> bool:
        """Whether 0 lies outside the interval, which says nothing over fewer than `ENOUGH` articles."""
        return self.articles >= ENOUGH and (self.low > 0 or self.high < 0)


def compare(gold: Gold, a: Mapping[str, frozenset[Label]], b: Mapping[str, frozenset[Label]]) -> Difference:
    """The difference of two systems with its 95 % interval: both see the same resampled articles."""
    return change((gold, a), (gold, b))


def change(
    a: tuple[Gold, Mapping[str, frozenset[Label]]], b: tuple[Gold, Mapping[str, frozenset[Label]]]
) -> Difference:
    """The difference between two golds, each with what is predicted for it, over the same articles."""
    tables = [(gold, counts(gold, predicted)) for gold, predicted in (a, b)]
    low, high = interval(drawn_f1(*tables[0]) - drawn_f1(*tables[1]))
    first, second = (float(f1(table.sum((0, 1)))) for _, table in tables)
    return Difference(first - second, low, high, len(set(a[0].groups)))
