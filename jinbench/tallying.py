"""Tagged sentences scored as a stream: what is kept does not grow with their number. Numpy only.

Kept are a few sums, and how many articles have which counts; intervals come from these as from the articles themselves.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from jinbench import counting, schemes, uncertainty
from jinbench.counting import CORRECT, GOLD, PREDICTED, Columns
from jinbench.problems import DataError, Problem
from jinbench.scores import Cell, rounded, shares
from jinbench.uncertainty import f1

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Report:
    """Micro-F1 and F1 by label, each with its counts and its interval over so many articles."""

    micro: Cell
    labels: tuple[Cell, ...]
    items: int
    exact: int  # items that are wholly right
    articles: int

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = rounded(asdict(self))
        return record

    def to_pandas(self) -> Any:
        """A row per label, and one for all."""
        import pandas

        return pandas.DataFrame([asdict(cell) for cell in (self.micro, *self.labels)])

    def __str__(self) -> str:
        width = 2 + max(len(cell.name) for cell in (self.micro, *self.labels))
        lines = [f"{'':{width}}{'gold':>8}{'pred':>8}{'right':>8}   precision  recall   F1 [95 % interval]"]
        lines += [cell.line(width, 8) for cell in (self.micro, *self.labels)]
        return "\n".join([*lines, "", f"{self.exact} of {self.items} items wholly right; {self.articles} articles"])


class Tally:
    """Counts of tagged sentences that come in batches.

    `names` are the types; `scheme` and `repair` as in :mod:`jinbench.schemes`; `tag_names` what the numbers of class
    labels mean, as in an Arrow column of the dataset. Without `intervals` there are none, and it takes half the time.
    """

    def __init__(
        self, names: Sequence[str], scheme: str = "BIO", repair: str | None = None, tag_names: Sequence[str] = (),
        intervals: bool = True,
    ) -> None:  # fmt: skip
        import numpy as np

        self.names, self.scheme, self.repair, self.intervals = tuple(names), scheme, repair, intervals
        self.tag_names = tuple(tag_names) or ("O", *(f"{letter}-{name}" for name in names for letter in "BI"))
        self._open: tuple[Any, np.ndarray[Any, Any]] | None = None  # the article that may go on in the next batch
        self._patterns: list[Counter[int]] = [Counter() for _ in range(len(self.names) + 1)]  # the first is of all
        self._sums = np.zeros((len(self.names), 3), dtype=np.int64)
        self._items = self._exact = self._articles = 0

    def _columns(self, side: Any) -> Columns:
        if hasattr(side, "value_lengths") or hasattr(side, "combine_chunks"):
            return schemes.of_arrow(side, self.tag_names, self.names, self.scheme, self.repair)
        if isinstance(side, Columns):
            return side
        return schemes.of_tags(side, self.names, self.scheme, self.repair)

    def add(self, gold: Any, predicted: Any, articles: Iterable[Any] | None = None) -> "Tally":
        """Count a batch: lists of tags, Arrow columns of them, or :class:`Columns`, one per item, in the same order.

        `articles` says of each item which article it is from; without it each item stands for itself. The items of an
        article must come one after the other, but may go on in the next batch.
        Raises :class:`DataError` (wrong-scheme, wrong-tags, wrong-shape).
        """
        import numpy as np

        ours, theirs = self._columns(gold), self._columns(predicted)
        if ours.items != theirs.items:
            expected, hint = f"{ours.items} items, as in the gold", "predict each item, with no label if there is none"
            raise DataError(Problem("wrong-shape", "predictions", expected, f"{theirs.items} items", hint))
        if ours.tokens is not None and theirs.tokens is not None and (differs := ours.tokens != theirs.tokens).any():
            i = int(np.flatnonzero(differs)[0])
            expected, hint = f"{ours.tokens[i]} tags, as in the gold", "predict a tag for each token"
            raise DataError(Problem("wrong-shape", f"item {i}", expected, f"{theirs.tokens[i]}", hint))
        sums, exact = counting.totals(ours, theirs, len(self.names))
        self._sums += sums
        self._items += ours.items
        self._exact += exact
        groups = None if articles is None else list(articles)
        if groups is not None and len(groups) != ours.items:
            expected = f"the article of each of {ours.items} items"
            raise DataError(Problem("wrong-shape", "articles", expected, f"{len(groups)}", "name one for each item"))
        if self.intervals and ours.items:
            self._note_items(counting.count(ours, theirs, len(self.names)), groups)
        return self

    def _note_items(self, table: "np.ndarray[Any, Any]", groups: list[Any] | None) -> None:
        """Take in the counts (items, labels, 3) of a batch."""
        import numpy as np

        if groups is None:
            self._close()
            self._note(table)
            return
        starts = [i for i, group in enumerate(groups) if i == 0 or group != groups[i - 1]]
        sums = np.add.reduceat(table, starts, axis=0)
        if self._open and self._open[0] == groups[0]:
            sums[0] += self._open[1]
        else:
            self._close()
        self._note(sums[:-1])
        self._open = groups[-1], sums[-1]

    def _close(self) -> None:
        if self._open:
            self._note(self._open[1][None])
            self._open = None

    def _note(self, sums: "np.ndarray[Any, Any]") -> None:
        """Take in the counts (articles, labels, 3) of whole articles."""
        import numpy as np

        self._articles += len(sums)
        packed = (sums[..., GOLD] + sums[..., PREDICTED] << 32) + sums[..., CORRECT]
        for patterns, column in zip(self._patterns, (packed.sum(1), *packed.T), strict=True):
            found, times = np.unique(column[column > 0], return_counts=True)
            patterns.update(dict(zip(found.tolist(), times.tolist(), strict=True)))

    def report(self, times: int = uncertainty.RESAMPLES, labels: bool = True) -> Report:
        """What has been counted so far, with intervals from `times` resamples, those of each label only with `labels`.

        It can go on afterwards, but an article that was not whole then counts as two.
        """
        self._close()
        whole = self._cell("micro", self._sums.sum(0), self._patterns[0], times)
        rows = zip(self.names, self._sums, self._patterns[1:], strict=True)
        cells = tuple(self._cell(name, sums, patterns, times * labels) for name, sums, patterns in rows)
        return Report(whole, cells, self._items, self._exact, self._articles)

    def _cell(self, name: str, sums: "np.ndarray[Any, Any]", patterns: Counter[int], times: int) -> Cell:
        import numpy as np

        low = high = None
        if patterns.total() and times:
            rest = self._articles - patterns.total()
            counts = dict(patterns) | ({0: rest} if rest else {})
            keys, each = np.array(sorted(counts.items()), dtype=np.int64).T  # in an order that batches do not change
            both = np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1)
            drawn = uncertainty.resample_patterns(both, each, times)
            found = np.where(drawn[:, 0] == 0, np.nan, 2 * drawn[:, 1] / np.maximum(drawn[:, 0], 1))
            low, high = uncertainty.bounds(found, np.repeat(both[:, 0], each))
        true, guessed, right = (int(sums[kind]) for kind in (GOLD, PREDICTED, CORRECT))
        value = float(f1(sums)) if true + guessed else None
        return Cell(name, true, guessed, right, *shares(true, guessed, right), value, low, high, patterns.total())
