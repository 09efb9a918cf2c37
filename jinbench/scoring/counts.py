"""Gold, predicted and correct, per item and label: the counts of which every score is a sum. Numpy only.

Labels of many items stand side by side as columns: `schemes` makes them of tags.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

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
    item: "np.ndarray[Any, Any]"
    start: "np.ndarray[Any, Any]"
    end: "np.ndarray[Any, Any]"
    type: "np.ndarray[Any, Any]"
    tokens: "np.ndarray[Any, Any] | None" = None

    def __len__(self) -> int:
        return len(self.item)

    def where(self, kept: "np.ndarray[Any, Any]") -> "LabelTable":
        """Those labels of which `kept` (labels,) is true."""
        return LabelTable(self.items, self.item[kept], self.start[kept], self.end[kept], self.type[kept], self.tokens)

    def untyped(self) -> "LabelTable":
        """The places alone, as if there were one type."""
        return _sorted(replace(self, type=self.type * 0))

    def mapped(self, types: Sequence[int]) -> "LabelTable":
        """With type i as `types[i]`; a label whose type becomes -1 is left out."""
        import numpy as np

        found = replace(self, type=np.asarray(types, dtype=np.int64)[self.type])
        return _sorted(found.where(found.type >= 0))

    def reordered(self, order: "np.ndarray[Any, Any]") -> "LabelTable":
        """With item `order[i]` as item i; `order` (items,) names each item once."""
        import numpy as np

        place = np.empty(self.items, dtype=np.int64)
        place[order] = np.arange(self.items)
        tokens = None if self.tokens is None else self.tokens[order]
        return _sorted(replace(self, item=place[self.item], tokens=tokens))


def _keys(*sides: LabelTable) -> list["np.ndarray[Any, Any]"]:
    """One number per label, the same for the same label on every side, and in the order of the columns."""
    import numpy as np

    width = 1 + max((int(side.end.max(initial=0)) for side in sides), default=0)
    types = 1 + max((int(side.type.max(initial=0)) for side in sides), default=0)
    items = max(side.items for side in sides)
    if items * width * width * types < 2**62:
        return [((side.item * width + side.start) * width + side.end) * types + side.type for side in sides]
    rows = [np.stack([side.item, side.start, side.end, side.type], axis=1) for side in sides]
    _, found = np.unique(np.concatenate(rows), axis=0, return_inverse=True)
    return list(np.split(found.ravel(), np.cumsum([len(side) for side in sides])[:-1]))


def _sorted(columns: LabelTable) -> LabelTable:
    import numpy as np

    (keys,) = _keys(columns)
    _, kept = np.unique(keys, return_index=True)
    return columns.where(kept)


def of_labels(found: Sequence[Iterable[Sequence[Any]]], names: Sequence[str]) -> LabelTable:
    """From a collection of (start, end, type) or (sector,) for each item. `names` gives each type its number."""
    import numpy as np

    number = {name: i for i, name in enumerate(names)}
    rows = [
        (item, *(label[:2] if len(label) > 1 else (0, 0)), number[label[-1]])
        for item, labels in enumerate(found)
        for label in labels
    ]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    return _sorted(LabelTable(len(found), *columns))


def count(gold: LabelTable, predicted: LabelTable, types: int, match: str = EXACT) -> "np.ndarray[Any, Any]":
    """Integers (items, types, 3): gold, predicted and correct labels of each type in each item.

    Without types (boundary, overlap) the second dimension is 1.
    """
    import numpy as np

    if match in (BOUNDARY, OVERLAP):
        gold, predicted, types = gold.untyped(), predicted.untyped(), 1
    correct = _exact(gold, predicted)[0] if match in (EXACT, BOUNDARY) else _overlapping(gold, predicted)
    table = np.zeros((gold.items * types, 3), dtype=np.int64)
    for kind, side in ((GOLD, gold), (PREDICTED, predicted), (CORRECT, gold.where(correct))):
        table[:, kind] = np.bincount(side.item * types + side.type, minlength=len(table))
    return table.reshape(gold.items, types, 3)


def totals(gold: LabelTable, predicted: LabelTable, types: int) -> tuple["np.ndarray[Any, Any]", int]:
    """The sums (types, 3) of what :func:`count` gives under the exact rule, and how many items are wholly right."""
    import numpy as np

    found, others = _exact(gold, predicted)
    kinds = {GOLD: gold.type, PREDICTED: predicted.type, CORRECT: gold.type[found]}
    sums = np.stack([np.bincount(kinds[kind], minlength=types) for kind in sorted(kinds)], axis=1)
    wrong = np.zeros(gold.items, dtype=bool)
    wrong[gold.item[~found]] = wrong[predicted.item[~others]] = True
    return sums, gold.items - int(wrong.sum())


def _exact(gold: LabelTable, predicted: LabelTable) -> tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]:
    """Which gold labels are predicted, and which predicted labels are gold."""
    import numpy as np

    ours, theirs = _keys(gold, predicted)
    right = np.zeros(len(theirs), dtype=bool)
    if not len(theirs):
        return np.zeros(len(ours), dtype=bool), right
    place = np.minimum(np.searchsorted(theirs, ours), len(theirs) - 1)
    found: np.ndarray[Any, Any] = theirs[place] == ours
    right[place[found]] = True
    return found, right


def _overlapping(gold: LabelTable, predicted: LabelTable) -> "np.ndarray[Any, Any]":
    """Which gold spans have a predicted span of their type to themselves that overlaps them, as many as possible.

    Whatever ends first takes, of what it meets on the other side, the one that ends first: everything else that could
    have that one meets the others too.
    """
    import numpy as np

    correct, others = np.zeros(len(gold), dtype=bool), np.zeros(len(predicted), dtype=bool)
    if _flat(gold) and _flat(predicted):  # the same span on both sides meets no other: no need to look for it
        correct, others = _exact(gold, predicted)
    pending: dict[tuple[int, int], tuple[list[Any], list[Any]]] = {}
    for which, (side, done) in enumerate(((gold, correct), (predicted, others))):
        rows = np.flatnonzero(~done)
        columns = (column[rows].tolist() for column in (side.item, side.type, side.end, side.start))
        for item, type, end, start, i in zip(*columns, rows.tolist(), strict=True):
            pending.setdefault((item, type), ([], []))[which].append((end, start, i))
    for ours, theirs in pending.values():
        ours.sort()
        theirs.sort()
        while ours and theirs:
            first, other = (ours, theirs) if ours[0] <= theirs[0] else (theirs, ours)
            end, start, _ = first[0]
            partner = next((i for i, (stop, begin, _) in enumerate(other) if begin < end and start < stop), None)
            if partner is not None:
                taken = other.pop(partner)
                correct[(first[0] if first is ours else taken)[2]] = True
            del first[0]
    return correct


def _flat(columns: LabelTable) -> bool:
    """Whether no two spans of an item overlap."""
    later = columns.start[1:] >= columns.end[:-1]
    return bool((later | (columns.item[1:] != columns.item[:-1])).all())


def by_article(table: "np.ndarray[Any, Any]", groups: Sequence[Any]) -> "np.ndarray[Any, Any]":
    """The sums (articles, …) of counts or shares (items, …), articles in order of their ids."""
    import numpy as np

    _, article = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    kind = np.result_type(table.dtype, np.int64)  # what is not a count, such as a share, stays what it is
    sums = np.zeros((int(article.max(initial=-1)) + 1, *table.shape[1:]), dtype=kind)
    np.add.at(sums, article, table)
    return sums
