"""What a score is: the numbers of a table, each with the counts behind it and its interval. `scoring` makes them."""

from dataclasses import asdict, dataclass
from typing import Any

FEW = 30  # below this number of gold mentions a table shows counts, not scores
TITLES = {
    "relaxed": "were it enough to get right only",
    "coarse": "through a crosswalk to coarser labels",
    "layout": "by what the page did to the article",
    "sector": "by sector of the passage",
    "familiarity": "mentions whose words were labelled in training, and others",
    "noise": "by kind and level of noise",
}


def with_interval(value: float, low: float | None, high: float | None) -> str:
    """A number with its interval: never without a word on it."""
    if low is None or high is None:
        return f"{value:.3f} (no interval)"
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


@dataclass(frozen=True)
class Cell:
    """One number of a table with the counts behind it and its 95 % interval.

    `articles` is how many have any gold or prediction of it. `f1` is None where there is neither; `low` and `high` are
    None where resampling says nothing: with fewer than five articles, or where nothing varies among them.
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
    articles: int

    @property
    def formatted(self) -> str:
        return "–" if self.f1 is None else with_interval(self.f1, self.low, self.high)

    def line(self, width: int, digits: int = 6) -> str:
        """A row of a table: the name in `width` columns, each count in `digits`."""
        start = f"{self.name:{width}}{self.gold:{digits}}{self.predicted:{digits}}{self.correct:{digits}}"
        if self.gold < FEW:
            return f"{start}   (fewer than {FEW} in gold: counts only)"
        return f"{start}      {self.precision:.3f}   {self.recall:.3f}    {self.formatted}"


def shares(gold: int, predicted: int, correct: int) -> tuple[float, float]:
    """Precision and recall; 0 where there is nothing to take a share of."""
    return correct / predicted if predicted else 0.0, correct / gold if gold else 0.0


@dataclass(frozen=True)
class Mean:
    """A mean with its interval, and over how many of what it is taken. None where there is nothing to take it of."""

    value: float | None
    low: float | None
    high: float | None
    of: int

    def __str__(self) -> str:
        return "–" if self.value is None else with_interval(self.value, self.low, self.high)


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
            return f"– (no label of {self.of} has {FEW} in gold)"
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


def signature_text(signature: dict[str, str]) -> str:
    """A signature as it stands behind a number."""
    return f"[{'|'.join(f'{key}:{value}' for key, value in signature.items())}]"


@dataclass(frozen=True)
class Score:
    """A score with everything it depends on. `str()` gives the table, `to_dict()` the record that is stored.

    `relaxed`: micro-F1 if boundaries, types, or overlap alone counted. `coarse`: micro-F1 through each crosswalk of the
    label set. `parts`: micro-F1 of the items or mentions that share something, such as the layout of their page.
    `documents`: the mean over articles of their F1. `exact`: the share of items that are wholly right; for sectors that
    is the subset accuracy. `ranking`: label-ranking average precision, where a system gave scores for sectors.
    """

    task: str
    micro: Cell
    macro: Macro
    documents: Mean
    exact: Mean
    ranking: Mean | None
    labels: tuple[Cell, ...]
    relaxed: tuple[Cell, ...]
    coarse: tuple[Cell, ...]
    parts: dict[str, tuple[Cell, ...]]
    items: int
    missing: int
    articles: int
    manifest: str
    signature: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = rounded(asdict(self))
        return record

    def to_pandas(self) -> Any:
        """A table with a row per cell: `part` says of what, `name` which one."""
        import pandas

        rows = [{"part": part, **asdict(cell)} for part, cells in self.cells.items() for cell in cells]
        return pandas.DataFrame(rows)

    @property
    def cells(self) -> dict[str, tuple[Cell, ...]]:
        """Every cell, by what it is a part of."""
        whole = {"all": (self.micro,), "label": self.labels, "relaxed": self.relaxed, "coarse": self.coarse}
        return {name: cells for name, cells in (whole | self.parts).items() if cells}

    @property
    def signed(self) -> str:
        """The signature in square brackets."""
        return signature_text(self.signature)

    @property
    def headline(self) -> str:
        """One line: the score, what it is worth, and its signature."""
        return f"{self.task}:micro-F1 = {self.micro.formatted} {self.signed}"

    def __str__(self) -> str:
        width = 2 + max(len(cell.name) for cells in self.cells.values() for cell in cells)
        lines = [self.headline, ""]
        lines += [f"{'':{width}}{'gold':>6}{'pred':>6}{'right':>6}   precision  recall   F1 [95 % interval]"]
        lines += [cell.line(width) for cell in (self.micro, *self.labels)]
        for part, cells in self.cells.items():
            if part not in ("all", "label"):
                lines += ["", f"{TITLES.get(part, part)}:", *(cell.line(width) for cell in cells)]
        lines += [
            "",
            f"macro-F1 {self.macro}" + (f" labels with {FEW} in gold or more" if self.macro.f1 is not None else ""),
            f"mean of the articles' F1 {self.documents}; items wholly right {self.exact}",
            f"{self.items} items of {self.articles} articles",
            "no interval: fewer than five articles have any, or nothing varies among them",
        ]
        if self.ranking:
            lines += [f"label-ranking average precision {self.ranking}"]
        if self.missing:
            lines += [f"{self.missing} items have no prediction: each of their mentions counts as missed"]
        return "\n".join(lines)
