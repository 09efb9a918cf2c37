"""Result records and their text tables: each number with the counts behind it and its interval."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from jinbench.scoring.html import format_bounds, html_table
from jinbench.scoring.significance import MIN_ARTICLES_INTERVAL

if TYPE_CHECKING:
    import pandas as pd

MIN_GOLD_MENTIONS = 30  # a label with fewer gold mentions is in no macro-F1; the page and the card show its counts
TITLES = {
    "relaxed": "relaxed matching, only this must be correct",
    "coarse": "coarser labels, after a crosswalk",
    "layout": "by layout of the article on its page",
    "sector": "by sector of the passage",
    "seen_unseen": "seen entities (surface labelled in training) and unseen ones",
    "noise": "by kind and level of noise",
}


def format_interval(value: float, low: float | None, high: float | None) -> str:
    """Format a number with its interval, or say that it has none."""
    if low is None or high is None:
        return f"{value:.3f} (no interval)"
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def count_articles(number: int) -> str:
    return f"{number} article{'s' * (number != 1)}"


HEADER = f"{'gold':>8}{'pred':>8}{'correct':>8}   precision  recall   F1 [95 % confidence interval]"


@dataclass(frozen=True)
class Cell:
    """One number of a table with the counts behind it and its 95 % confidence interval.

    `articles` is the number of articles with any gold or prediction of it. `f1` is None where there is neither; `low`
    and `high` are None where resampling says nothing: with fewer than five articles, or without variance among them.
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
        return "–" if self.f1 is None else format_interval(self.f1, self.low, self.high)

    @property
    def table_row(self) -> dict[str, str]:
        """The cells of an HTML table by column title."""
        row = {
            "name": self.name,
            "gold": str(self.gold),
            "predicted": str(self.predicted),
            "correct": str(self.correct),
        }
        titles = ("precision", "recall", "F1", "95 % confidence interval")
        if self.f1 is None:
            return row | dict.fromkeys(titles, "–")
        values = (f"{self.precision:.3f}", f"{self.recall:.3f}", f"{self.f1:.3f}", format_bounds(self.low, self.high))
        return row | dict(zip(titles, values, strict=True))

    def format_row(self, width: int) -> str:
        """Format a row below :data:`HEADER`, with the name in `width` columns."""
        start = f"{self.name:{width}}{self.gold:8}{self.predicted:8}{self.correct:8}"
        if self.f1 is None:
            return f"{start}   (neither in gold nor predicted)"
        interval = self.formatted.replace("no interval", f"no interval: {self._interval_obstacle}")
        return f"{start}      {self.precision:.3f}   {self.recall:.3f}    {interval}"

    @property
    def _interval_obstacle(self) -> str:
        """Why there is no interval: too few articles have any of it, or all of them are alike."""
        if self.articles >= MIN_ARTICLES_INTERVAL:
            return "no variance among the articles, or none asked for"
        return f"{count_articles(self.articles)} of {MIN_ARTICLES_INTERVAL} that it takes"


def precision_recall(gold: int, predicted: int, correct: int) -> tuple[float, float]:
    """Return precision and recall, 0 for a share of nothing."""
    return correct / predicted if predicted else 0.0, correct / gold if gold else 0.0


@dataclass(frozen=True)
class Mean:
    """A mean over `of` values with its 95 % confidence interval; None without values."""

    value: float | None
    low: float | None
    high: float | None
    of: int

    def __str__(self) -> str:
        return "–" if self.value is None else format_interval(self.value, self.low, self.high)


@dataclass(frozen=True)
class Macro:
    """Mean F1 of the labels, of all `of`, that have enough gold mentions."""

    labels: int
    of: int
    f1: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.f1 is None:
            return f"– (no label of {self.of} has {MIN_GOLD_MENTIONS} in gold)"
        return f"{format_interval(self.f1, self.low, self.high)} ({self.labels} of {self.of})"


def round_floats(record: Mapping[str, object]) -> dict[str, object]:
    """Round floats to six places, in lists too: enough for any score, and the same on every machine."""
    return {key: _round(value) for key, value in record.items()}


def _round(value: object) -> object:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return round_floats(value)
    return [_round(entry) for entry in value] if isinstance(value, list | tuple) else value


def format_signature(signature: dict[str, str]) -> str:
    """Format a signature as it is printed behind a number."""
    return f"[{'|'.join(f'{key}:{value}' for key, value in signature.items())}]"


@dataclass(frozen=True)
class Score:
    """A score with everything it depends on. `str()` gives the table, `to_dict()` the record that is stored.

    Args:
        task: `ner` or `sector`.
        micro: micro-F1.
        macro: macro-F1 over the labels with enough gold mentions.
        documents: mean over articles of their F1.
        exact: share of items that are an exact match; for sectors that is the subset accuracy.
        ranking: label-ranking average precision, where a system gave scores for sectors.
        labels: F1 of each label.
        relaxed: micro-F1 under relaxed matching: boundaries, types, or overlap alone.
        coarse: micro-F1 after each crosswalk of the label set.
        parts: micro-F1 of the items or mentions that share something, by facet, such as the layout of their page.
        items: number of items.
        missing: number of items without a prediction.
        articles: number of articles.
        manifest: hash of the dataset.
        signature: everything that the numbers depend on, except the predictions.
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

    def to_dict(self) -> dict[str, object]:
        """Return the record that is stored, floats rounded to six places."""
        return round_floats(asdict(self))

    def to_pandas(self) -> "pd.DataFrame":
        """Return a table with a row per cell: `part` is a key of `cells`, `name` the name of the cell."""
        import pandas

        rows = [{"part": part, **asdict(cell)} for part, cells in self.cells.items() for cell in cells]
        return pandas.DataFrame(rows)

    @property
    def cells(self) -> dict[str, tuple[Cell, ...]]:
        """All cells: `all`, `label`, `relaxed`, `coarse`, and the facets in `parts`."""
        whole = {"all": (self.micro,), "label": self.labels, "relaxed": self.relaxed, "coarse": self.coarse}
        return {name: cells for name, cells in (whole | self.parts).items() if cells}

    @property
    def signature_text(self) -> str:
        """The signature in square brackets."""
        return format_signature(self.signature)

    @property
    def headline(self) -> str:
        """One line: the score, its interval, and its signature."""
        return f"{self.task}:micro-F1 = {self.micro.formatted} {self.signature_text}"

    def __repr__(self) -> str:
        return f"<Score {self.headline}>"

    def _repr_html_(self) -> str:
        rows = [{"part": part, **cell.table_row} for part, cells in self.cells.items() for cell in cells]
        notes = (f"macro-F1 {self.macro}", f"{self.items} items of {self.articles} articles, {self.missing} missing")
        return html_table(rows, self.headline, notes)

    def __str__(self) -> str:
        width = 2 + max(len(cell.name) for cells in self.cells.values() for cell in cells)
        lines = [self.headline, "", " " * width + HEADER]
        lines += [cell.format_row(width) for cell in (self.micro, *self.labels)]
        for part, cells in self.cells.items():
            if part not in ("all", "label"):
                lines += ["", f"{TITLES.get(part, part)}:", *(cell.format_row(width) for cell in cells)]
        lines += [
            "",
            f"macro-F1 {self.macro}"
            + (f" labels with {MIN_GOLD_MENTIONS} in gold or more" if self.macro.f1 is not None else ""),
            f"mean F1 of the articles {self.documents}; exact matches {self.exact} of the items",
            f"{self.items} items of {self.articles} articles",
        ]
        if self.ranking:
            lines += [f"label-ranking average precision {self.ranking}"]
        if self.missing:
            lines += [f"{self.missing} items have no prediction: all of their mentions count as missed"]
        return "\n".join(lines)
