"""Tagged sentences scored as a stream: what is kept does not grow with their number. Numpy only.

Kept are a few sums, and how many articles have which counts; intervals come from these as from the articles themselves.
"""

import os
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from jinbench.core.errors import DataError, Problem, raise_if_any, shorten
from jinbench.scoring import schemes, significance
from jinbench.scoring.counts import CORRECT, GOLD, PREDICTED, LabelTable, count, totals
from jinbench.scoring.results import Cell, rounded, shares
from jinbench.scoring.significance import f1

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class StreamingReport:
    """Micro-F1 and F1 by label, each with its counts and its interval over so many articles."""

    micro: Cell
    labels: tuple[Cell, ...]
    items: int
    exact: int  # items that are wholly right
    articles: int
    grouped: bool  # whether it was said which article each item is from; if not, each counts as one

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
        lines += ["", f"{self.exact} of {self.items} items wholly right; {self.articles} articles"]
        return "\n".join(lines if self.grouped or not self.articles else [*lines, _ALONE])


_ALONE = "each item is taken for an article of its own: too narrow an interval where items are alike"
_LABELS = "write one list for each item, of tags such as B-X or of spans (start, end, type)"


def is_arrow(side: Any) -> bool:
    """Whether these are lists in an Arrow array, chunked or not, of strings or whole numbers."""
    if type(side).__module__.partition(".")[0] != "pyarrow":
        return False
    import pyarrow as pa

    is_type = pa.types
    lists = isinstance(side, pa.Array | pa.ChunkedArray) and (
        is_type.is_list(side.type) or is_type.is_large_list(side.type)
    )
    return bool(lists) and any(
        fits(side.type.value_type) for fits in (is_type.is_integer, is_type.is_string, is_type.is_large_string)
    )


def listed(side: Any, place: str) -> list[Sequence[Any]]:
    """The labels of each item as a list, from whatever can be gone through once.

    Raises :class:`DataError` (wrong-shape) that names `place` and the item.
    """
    if type(side).__module__.partition(".")[0] == "pyarrow" and hasattr(side, "to_pylist"):
        side = side.to_pylist()
    if not _is_many(side):
        raise DataError(
            Problem(
                "wrong-shape",
                location=place,
                expected="a list with one entry per item",
                found=shorten(side),
                fix=_LABELS,
            )
        )
    rows = list(side)
    expected = "the labels of an item: a list of tags or of spans"
    raise_if_any(
        Problem("wrong-shape", location=f"{place}[{i}]", expected=expected, found=shorten(row), fix=_LABELS)
        for i, row in enumerate(rows)
        if not isinstance(row, list | tuple) and not _is_many(row)
    )
    return [row if isinstance(row, list | tuple) else list(row) for row in rows]


def _is_many(value: Any) -> bool:
    """Whether it can be gone through, and is neither a text, nor a path, nor values by name."""
    if isinstance(value, str | bytes | os.PathLike | Mapping):
        return False
    try:
        iter(value)
    except TypeError:
        return False
    return True


def check(gold: LabelTable, predicted: LabelTable, place: str = "predictions") -> None:
    """Refuse predictions for fewer or more items, or with fewer or more tags, than gold has.

    Raises :class:`DataError` (wrong-shape).
    """
    import numpy as np

    if gold.items != predicted.items:
        expected, hint = f"{gold.items} items, as in the gold", "predict each item, with no label if there is none"
        raise DataError(
            Problem("wrong-shape", location=place, expected=expected, found=f"{predicted.items} items", fix=hint)
        )
    if gold.tokens is not None and predicted.tokens is not None and (differs := gold.tokens != predicted.tokens).any():
        i = int(np.flatnonzero(differs)[0])
        expected, hint = f"{gold.tokens[i]} tags, as in the gold", "predict a tag for each token"
        raise DataError(
            Problem(
                "wrong-shape", location=f"{place}[{i}]", expected=expected, found=f"{predicted.tokens[i]}", fix=hint
            )
        )


def groups(articles: Any, items: int) -> list[Any]:
    """The article of each of `items` items, as a list. Raises :class:`DataError` (wrong-shape)."""
    expected = f"the article of each of {items} items"
    if not _is_many(articles):
        raise DataError(
            Problem(
                "wrong-shape",
                location="articles",
                expected=expected,
                found=shorten(articles),
                fix="name one for each item",
            )
        )
    found = articles.tolist() if hasattr(articles, "tolist") else list(articles)
    if len(found) != items:
        raise DataError(
            Problem(
                "wrong-shape",
                location="articles",
                expected=expected,
                found=f"{len(found)}",
                fix="name one for each item",
            )
        )
    for i, article in enumerate(found):
        try:
            hash(article)
        except TypeError:
            where, hint = f"articles[{i}]", "name articles by strings or whole numbers"
            raise DataError(
                Problem(
                    "wrong-shape", location=where, expected="the id of an article", found=shorten(article), fix=hint
                )
            ) from None
    return found


class StreamingScorer:
    """Counts of tagged sentences that come in batches.

    `names` are the types; `scheme` and `repair` as in `jinbench.scoring.schemes`; `tag_names` what numbers of class
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
        self._grouped = True  # so far: whether each batch said its articles

    def _columns(self, side: Any, place: str) -> LabelTable:
        if isinstance(side, LabelTable):
            return side
        if is_arrow(side):
            return schemes.of_arrow(side, self.tag_names, self.names, self.scheme, self.repair)
        return schemes.of_tags(listed(side, place), self.names, self.scheme, self.repair)

    def add(self, gold: Any, predicted: Any, articles: Iterable[Any] | None = None) -> "StreamingScorer":
        """Count a batch: a list of tags per item, Arrow columns of them, or :class:`Columns`, in the same order.

        `articles` says of each item which article it is from; without it each item stands for itself. The items of an
        article must come one after the other, but may go on in the next batch. One that comes back within a batch is
        refused; one that comes back in a later batch cannot be seen, since no ids are kept, and counts as two.
        Raises :class:`DataError` (wrong-scheme, wrong-tags, wrong-shape); nothing of the batch is counted then.
        """
        ours, theirs = self._columns(gold, "gold"), self._columns(predicted, "predictions")
        check(ours, theirs)
        ids = None if articles is None else groups(articles, ours.items)
        starts = [] if ids is None else _starts(ids)
        sums, exact = totals(ours, theirs, len(self.names))
        table = count(ours, theirs, len(self.names)) if self.intervals and ours.items else None
        self._sums += sums
        self._items += ours.items
        self._exact += exact
        self._grouped &= ids is not None or not ours.items
        if table is not None:
            self._note_items(table, ids, starts)
        return self

    def _note_items(self, table: "np.ndarray[Any, Any]", ids: list[Any] | None, starts: list[int]) -> None:
        """Take in the counts (items, labels, 3) of a batch, of which each article begins at one of `starts`."""
        import numpy as np

        if ids is None:
            self._close()
            self._note(table)
            return
        sums = np.add.reduceat(table, starts, axis=0)
        if self._open and self._open[0] == ids[0]:
            sums[0] += self._open[1]
        else:
            self._close()
        self._note(sums[:-1])
        self._open = ids[-1], sums[-1]

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

    def report(self, times: int = significance.RESAMPLES, labels: bool = True) -> StreamingReport:
        """What has been counted so far, with intervals from `times` resamples, those of each label only with `labels`.

        It can go on afterwards, but an article that was not whole then counts as two.
        """
        self._close()
        whole = self._cell("micro", self._sums.sum(0), self._patterns[0], times)
        rows = zip(self.names, self._sums, self._patterns[1:], strict=True)
        cells = tuple(self._cell(name, sums, patterns, times * labels) for name, sums, patterns in rows)
        return StreamingReport(
            whole, cells, self._items, self._exact, self._articles, self._grouped and self._items > 0
        )

    def _cell(self, name: str, sums: "np.ndarray[Any, Any]", patterns: Counter[int], times: int) -> Cell:
        import numpy as np

        low = high = None
        if patterns.total() and times:
            rest = self._articles - patterns.total()
            counts = dict(patterns) | ({0: rest} if rest else {})
            keys, each = np.array(sorted(counts.items()), dtype=np.int64).T  # in an order that batches do not change
            both = np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1)
            drawn = significance.resample_patterns(both, each, times)
            found = np.where(drawn[:, 0] == 0, np.nan, 2 * drawn[:, 1] / np.maximum(drawn[:, 0], 1))
            low, high = significance.bounds(found, np.repeat(both[:, 0], each))
        true, guessed, right = (int(sums[kind]) for kind in (GOLD, PREDICTED, CORRECT))
        value = float(f1(sums)) if true + guessed else None
        return Cell(name, true, guessed, right, *shares(true, guessed, right), value, low, high, patterns.total())


def _starts(ids: Sequence[Hashable]) -> list[int]:
    """Where each article begins. Raises :class:`DataError` (wrong-shape) for one that comes back."""
    starts = [i for i, id in enumerate(ids) if i == 0 or id != ids[i - 1]]
    seen: set[Hashable] = set()
    for i in starts:
        if ids[i] in seen:
            expected = "items of an article that come one after the other"
            hint = "sort items, and what is predicted for them, by article"
            raise DataError(
                Problem(
                    "wrong-shape",
                    location=f"articles[{i}]",
                    expected=expected,
                    found=f"{shorten(ids[i])} once more",
                    fix=hint,
                )
            )
        seen.add(ids[i])
    return starts
