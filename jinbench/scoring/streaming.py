"""Score tagged sentences in batches, in constant memory. NumPy only.

A few sums are kept, and how many articles have which counts; intervals come from these as from the articles themselves.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from jinbench.core.errors import ErrorList, fail, shorten
from jinbench.scoring.counts import CORRECT, GOLD, PREDICTED, LabelTable, count_labels, sum_counts
from jinbench.scoring.html import html_table
from jinbench.scoring.inputs import check_same_items, list_articles, read_labels
from jinbench.scoring.results import HEADER, Cell, count_articles, precision_recall, round_floats
from jinbench.scoring.significance import RESAMPLES, f1, reliable_interval, resample_patterns, resample_weights

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class StreamingReport:
    """Micro-F1 and F1 by label, each with its counts and its 95 % confidence interval.

    `exact` is the number of items that are an exact match. `grouped` is false if an item was added without its article:
    then each counts as an article of its own.
    """

    micro: Cell
    labels: tuple[Cell, ...]
    items: int
    exact: int
    articles: int
    grouped: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a record, floats rounded to six places."""
        record: dict[str, Any] = round_floats(asdict(self))
        return record

    def to_pandas(self) -> "pd.DataFrame":
        """Return a table with a row for micro-F1 and one per label."""
        import pandas as pd

        return pd.DataFrame([asdict(cell) for cell in (self.micro, *self.labels)])

    @property
    def _exact_text(self) -> str:
        return f"{self.exact} of {self.items} items are exact matches; {count_articles(self.articles)}"

    def __repr__(self) -> str:
        articles = count_articles(self.articles)
        return f"<StreamingReport micro-F1 = {self.micro.formatted}, {self.items} items of {articles}>"

    def _repr_html_(self) -> str:
        notes = [self._exact_text]
        return html_table([cell.table_row for cell in (self.micro, *self.labels)], "micro-F1 and F1 by label", notes)

    def __str__(self) -> str:
        width = 2 + max(len(cell.name) for cell in (self.micro, *self.labels))
        lines = [" " * width + HEADER, *(cell.format_row(width) for cell in (self.micro, *self.labels))]
        lines += ["", self._exact_text]
        if self.articles and not self.grouped:
            lines.append("each item counts as an article of its own: the interval is too narrow where items are alike")
        return "\n".join(lines)


class StreamingScorer:
    """Scorer of tagged sentences that come in batches.

    Args:
        names: the types.
        scheme: scheme of tags: `BIO`, `BIOES`, `BMES` or `BILOU`.
        repair: how to read tags that the scheme forbids: `begin` (as conlleval) or `drop`; None refuses them.
        tag_names: the tags that numbers of class labels stand for, as in an Arrow column of the dataset.
        intervals: whether to compute confidence intervals; without them it takes half the time.

    Example:
        >>> scorer = StreamingScorer(["X"])
        >>> scorer.add([["B-X", "I-X"]], [["B-X", "I-X"]]).add([["B-X"]], [["O"]]).report().micro.recall
        0.5
    """

    def __init__(
        self, names: Sequence[str], scheme: str = "BIO", repair: str | None = None, tag_names: Sequence[str] = (),
        intervals: bool = True,
    ) -> None:  # fmt: skip
        import numpy as np

        self.names, self.scheme, self.repair, self.intervals = tuple(names), scheme, repair, intervals
        self.tag_names = tuple(tag_names) or ("O", *(f"{letter}-{name}" for name in names for letter in "BI"))
        self._open: tuple[Any, NDArray[np.int64]] | None = None  # the article that may go on in the next batch
        self._patterns: list[Counter[int]] = [Counter() for _ in range(len(self.names) + 1)]  # the first is of all
        self._sums = np.zeros((len(self.names), 3), dtype=np.int64)
        self._items = self._exact = self._articles = 0
        self._grouped = True  # whether all batches so far had articles

    def _to_table(self, side: Any, location: str) -> LabelTable:
        if isinstance(side, LabelTable):
            return side
        problems = ErrorList()
        labels = read_labels(side, location, self.tag_names, problems)
        labels.check_types(self.names, problems)
        problems.raise_if_any()
        return labels.to_table(self.names, self.scheme, self.repair)

    def add(self, gold: Any, predicted: Any, articles: Iterable[Any] | None = None) -> "StreamingScorer":
        """Count a batch.

        Args:
            gold: a list of tags, class labels or spans (start, end, type) per item, an Arrow column of tags or class
                labels, or a :class:`LabelTable`.
            predicted: the same for the predictions, in the same order.
            articles: the article of each item; without it each item stands for itself. The items of an article must be
                adjacent, but may continue in the next batch. An article that comes back within a batch is refused;
                one that comes back in a later batch cannot be seen, since no ids are kept, and counts as two.

        Returns:
            The scorer itself.

        Raises:
            DataError: [wrong-scheme, wrong-tags, wrong-shape]; nothing of the batch is counted then.
        """
        gold_table, predicted_table = self._to_table(gold, "gold"), self._to_table(predicted, "predictions")
        check_same_items(gold_table, predicted_table)
        items, types = gold_table.items, len(self.names)
        ids = None if articles is None else list_articles(articles, items)
        starts = [] if ids is None else _find_starts(ids)
        sums, exact = sum_counts(gold_table, predicted_table, types)
        counts = count_labels(gold_table, predicted_table, types) if self.intervals and items else None
        self._sums += sums
        self._items += items
        self._exact += exact
        self._grouped &= ids is not None or not items
        if counts is not None:
            self._add_items(counts, ids, starts)
        return self

    def _add_items(self, counts: "NDArray[np.int64]", ids: list[Any] | None, starts: list[int]) -> None:
        """Add the counts (items, labels, 3) of a batch, of which each article begins at one of `starts`."""
        import numpy as np

        if ids is None:
            self._close()
            self._add_articles(counts)
            return
        sums = np.add.reduceat(counts, starts, axis=0)
        if self._open and self._open[0] == ids[0]:
            sums[0] += self._open[1]
        else:
            self._close()
        self._add_articles(sums[:-1])
        self._open = ids[-1], sums[-1]

    def _close(self) -> None:
        if self._open:
            self._add_articles(self._open[1][None])
            self._open = None

    def _add_articles(self, sums: "NDArray[np.int64]") -> None:
        """Add the counts (articles, labels, 3) of whole articles."""
        import numpy as np

        self._articles += len(sums)
        packed = (sums[..., GOLD] + sums[..., PREDICTED] << 32) + sums[..., CORRECT]
        for patterns, column in zip(self._patterns, (packed.sum(1), *packed.T), strict=True):
            values, frequencies = np.unique(column[column > 0], return_counts=True)
            patterns.update(dict(zip(values.tolist(), frequencies.tolist(), strict=True)))

    def report(self, times: int = RESAMPLES, labels: bool = True) -> StreamingReport:
        """Return the scores so far.

        Batches can be added afterwards, but an article that continues then counts as two.

        Args:
            times: number of resamples over more than 1,000 articles; 0 for no intervals.
            labels: whether to compute the intervals of each label.

        Returns:
            Micro-F1 and F1 by label.
        """
        self._close()
        micro = self._make_cell("micro", self._sums.sum(0), self._patterns[0], times)
        rows = zip(self.names, self._sums, self._patterns[1:], strict=True)
        cells = tuple(self._make_cell(name, sums, patterns, times * labels) for name, sums, patterns in rows)
        return StreamingReport(
            micro, cells, self._items, self._exact, self._articles, self._grouped and self._items > 0
        )

    def _make_cell(self, name: str, sums: "NDArray[np.int64]", patterns: Counter[int], times: int) -> Cell:
        import numpy as np

        low = high = None
        if patterns.total() and times:
            rest = self._articles - patterns.total()
            counts = dict(patterns) | ({0: rest} if rest else {})
            keys, frequencies = np.array(
                sorted(counts.items()), dtype=np.int64
            ).T  # an order that batches do not change
            pairs = np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1)
            totals, hits = resample_patterns(pairs, frequencies, times).T
            values = np.where(totals == 0, np.nan, 2 * hits / np.maximum(totals, 1))
            sizes = np.repeat(pairs[:, 0], frequencies)
            low, high = reliable_interval(values, sizes, resample_weights(len(sizes)))
        gold, predicted, correct = (int(sums[kind]) for kind in (GOLD, PREDICTED, CORRECT))
        value = float(f1(sums)) if gold + predicted else None
        precision, recall = precision_recall(gold, predicted, correct)
        return Cell(name, gold, predicted, correct, precision, recall, value, low, high, patterns.total())


def _find_starts(ids: Sequence[Hashable]) -> list[int]:
    """Return the first item of each article; one that comes back is (wrong-shape)."""
    starts = [i for i, id in enumerate(ids) if i == 0 or id != ids[i - 1]]
    seen: set[Hashable] = set()
    for i in starts:
        if ids[i] in seen:
            expected, fix = "adjacent items of an article", "sort items, and their predictions, by article"
            fail("wrong-shape", f"articles[{i}]", expected=expected, found=f"{shorten(ids[i])} once more", fix=fix)
        seen.add(ids[i])
    return starts
