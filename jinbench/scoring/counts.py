"""Per-item counts of gold, predicted and correct labels: every score is a sum of them. NumPy only.

Labels of many items stand side by side as columns: `schemes` makes them of tags.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Number = TypeVar("Number", np.int64, np.float64)

GOLD, PREDICTED, CORRECT = 0, 1, 2
# What makes a predicted span correct. The types must be the same for the first two; the boundaries for 1 and 3.
EXACT, TYPE, BOUNDARY, OVERLAP = "exact", "type", "boundary", "overlap"


@dataclass(frozen=True)
class LabelTable:
    """The labels of `items` items: four integer arrays (labels,), in the order item, start, end, type, no label twice.

    A label without a place in the text, such as a sector, stands at [0, 0). `tokens` (items,) says how many tokens each
    item has, where the labels come from tags.
    """

    items: int
    item: "NDArray[np.int64]"
    start: "NDArray[np.int64]"
    end: "NDArray[np.int64]"
    type: "NDArray[np.int64]"
    tokens: "NDArray[np.int64] | None" = None

    def __len__(self) -> int:
        return len(self.item)

    def select(self, mask: "NDArray[np.bool_] | NDArray[np.intp]") -> "LabelTable":
        """Return the labels that `mask` (labels,), booleans or indices, selects."""
        return LabelTable(self.items, self.item[mask], self.start[mask], self.end[mask], self.type[mask], self.tokens)

    def without_types(self) -> "LabelTable":
        """Return the places alone, as if there were one type."""
        return _sort(replace(self, type=self.type * 0))

    def map_types(self, types: Sequence[int]) -> "LabelTable":
        """Return the labels with type i as `types[i]`, without those whose type becomes -1."""
        import numpy as np

        table = replace(self, type=np.asarray(types, dtype=np.int64)[self.type])
        return _sort(table.select(table.type >= 0))

    def reorder(self, order: "NDArray[np.int64]") -> "LabelTable":
        """Return the labels with item `order[i]` as item i; `order` (items,) names each item once."""
        import numpy as np

        rank = np.empty(self.items, dtype=np.int64)
        rank[order] = np.arange(self.items)
        tokens = None if self.tokens is None else self.tokens[order]
        return _sort(replace(self, item=rank[self.item], tokens=tokens))


def _make_keys(*tables: LabelTable) -> list["NDArray[np.int64]"]:
    """Return one number per label, equal for equal labels, in the order of the columns."""
    import numpy as np

    width = 1 + max((int(table.end.max(initial=0)) for table in tables), default=0)
    types = 1 + max((int(table.type.max(initial=0)) for table in tables), default=0)
    items = max(table.items for table in tables)
    if items * width * width * types < 2**62:
        return [((table.item * width + table.start) * width + table.end) * types + table.type for table in tables]
    rows = [np.stack([table.item, table.start, table.end, table.type], axis=1) for table in tables]
    _, keys = np.unique(np.concatenate(rows), axis=0, return_inverse=True)
    return list(np.split(keys.ravel(), np.cumsum([len(table) for table in tables])[:-1]))


def _sort(table: LabelTable) -> LabelTable:
    import numpy as np

    (keys,) = _make_keys(table)
    return table.select(np.unique(keys, return_index=True)[1])


def labels_to_table(labels: Sequence[Iterable[tuple[Any, ...]]], names: Sequence[str]) -> LabelTable:
    """Convert the (start, end, type) or (sector,) of each item; types are numbered by `names`."""
    import numpy as np

    number = {name: i for i, name in enumerate(names)}
    rows = [
        (item, *(label[:2] if len(label) > 1 else (0, 0)), number[label[-1]])
        for item, item_labels in enumerate(labels)
        for label in item_labels
    ]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    return _sort(LabelTable(len(labels), *columns))


def count_labels(gold: LabelTable, predicted: LabelTable, types: int, match: str = EXACT) -> "NDArray[np.int64]":
    """Count gold, predicted and correct labels of each type in each item: (items, types, 3) int64.

    Without types (boundary, overlap) the second dimension is 1.
    """
    import numpy as np

    if match in (BOUNDARY, OVERLAP):
        gold, predicted, types = gold.without_types(), predicted.without_types(), 1
    correct = _match_exactly(gold, predicted)[0] if match in (EXACT, BOUNDARY) else _match_overlaps(gold, predicted)
    counts = np.zeros((gold.items * types, 3), dtype=np.int64)
    for kind, table in ((GOLD, gold), (PREDICTED, predicted), (CORRECT, gold.select(correct))):
        counts[:, kind] = np.bincount(table.item * types + table.type, minlength=len(counts))
    return counts.reshape(gold.items, types, 3)


def sum_counts(gold: LabelTable, predicted: LabelTable, types: int) -> tuple["NDArray[np.int64]", int]:
    """Return the exact counts (types, 3) of all items, and how many items are exact."""
    import numpy as np

    predicted_gold, gold_predicted = _match_exactly(gold, predicted)
    kinds = {GOLD: gold.type, PREDICTED: predicted.type, CORRECT: gold.type[predicted_gold]}
    sums = np.stack([np.bincount(kinds[kind], minlength=types) for kind in sorted(kinds)], axis=1)
    wrong = np.zeros(gold.items, dtype=bool)
    wrong[gold.item[~predicted_gold]] = wrong[predicted.item[~gold_predicted]] = True
    return sums, gold.items - int(wrong.sum())


def _match_exactly(gold: LabelTable, predicted: LabelTable) -> tuple["NDArray[np.bool_]", "NDArray[np.bool_]"]:
    """Return which gold labels are predicted, and which predicted labels are gold."""
    import numpy as np

    gold_keys, predicted_keys = _make_keys(gold, predicted)
    right = np.zeros(len(predicted_keys), dtype=bool)
    if not len(predicted_keys):
        return np.zeros(len(gold_keys), dtype=bool), right
    place = np.minimum(np.searchsorted(predicted_keys, gold_keys), len(predicted_keys) - 1)
    correct = predicted_keys[place] == gold_keys
    right[place[correct]] = True
    return correct, right


def _match_overlaps(gold: LabelTable, predicted: LabelTable) -> "NDArray[np.bool_]":
    """Return which gold spans are paired with an overlapping prediction of their type.

    Whatever ends first takes, of what it meets on the other side, the one that ends first: everything else that could
    have that one meets the others too.
    """
    import numpy as np

    correct: NDArray[np.bool_] = np.zeros(len(gold), dtype=bool)
    right: NDArray[np.bool_] = np.zeros(len(predicted), dtype=bool)
    if _is_flat(gold) and _is_flat(predicted):  # the same span on both sides meets no other: no need to look for it
        correct, right = _match_exactly(gold, predicted)
    pending: dict[tuple[int, int], tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]] = {}
    for side, (table, done) in enumerate(((gold, correct), (predicted, right))):
        rows = np.flatnonzero(~done)
        columns = (column[rows].tolist() for column in (table.item, table.type, table.end, table.start))
        for item, type, end, start, row in zip(*columns, rows.tolist(), strict=True):
            pending.setdefault((item, type), ([], []))[side].append((end, start, row))
    for gold_spans, predicted_spans in pending.values():
        gold_spans.sort()
        predicted_spans.sort()
        while gold_spans and predicted_spans:
            gold_first = gold_spans[0] <= predicted_spans[0]
            first, other = (gold_spans, predicted_spans) if gold_first else (predicted_spans, gold_spans)
            end, start, _ = first[0]
            partner = next((i for i, (stop, begin, _) in enumerate(other) if begin < end and start < stop), None)
            if partner is not None:
                taken = other.pop(partner)
                correct[(first[0] if gold_first else taken)[2]] = True
            del first[0]
    return correct


def _is_flat(table: LabelTable) -> bool:
    """Return whether no two spans of an item overlap."""
    later = table.start[1:] >= table.end[:-1]
    return bool((later | (table.item[1:] != table.item[:-1])).all())


def sum_by_group(values: "NDArray[Number]", groups: Sequence[object]) -> "NDArray[Number]":
    """Sum counts or shares (items, …) by group: (groups, …), groups in order of their ids."""
    return sum_by_index(values, index_groups(groups))


def index_groups(groups: Sequence[object]) -> "NDArray[np.int64]":
    """Return the rank (items,) of the group of each item in the order of their ids."""
    import numpy as np

    index: NDArray[np.int64] = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)[1]
    return index


def sum_by_index(values: "NDArray[Number]", index: "NDArray[np.int64]") -> "NDArray[Number]":
    """Sum counts or shares (items, …) by group: (groups, …); `index` (items,) is the group of each item."""
    import numpy as np

    kind = np.result_type(values.dtype, np.int64)  # what is not a count, such as a share, stays what it is
    sums = np.zeros((int(index.max(initial=-1)) + 1, *values.shape[1:]), dtype=kind)
    np.add.at(sums, index, values)
    return sums
