"""Gold, predicted and correct, per item and label: the counts of which every score is a sum. Numpy only.

Labels of many items stand side by side as columns. Whoever has tags has most of that already, and whoever has them as
integers, as Arrow does, has all of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from jinbench.problems import DataError, Problem

if TYPE_CHECKING:
    import numpy as np

GOLD, PREDICTED, CORRECT = 0, 1, 2
# What makes a predicted span correct. The types must be the same for the first two; the boundaries for 1 and 3.
EXACT, TYPE, BOUNDARY, OVERLAP = "exact", "type", "boundary", "overlap"
# The letters of each scheme, as what they are called in BIOES; a scheme with E and S must close each span.
SCHEMES = {
    "BIO": {"B": "B", "I": "I"},
    "BIOES": {"B": "B", "I": "I", "E": "E", "S": "S"},
    "BMES": {"B": "B", "M": "I", "E": "E", "S": "S"},
    "BILOU": {"B": "B", "I": "I", "L": "E", "U": "S"},
}
REPAIRS = {
    "begin": "what goes on with nothing begins a span; a span ends where its tags end (conlleval, seqeval's default)",
    "drop": "a span that is not tagged as the scheme says is left out (seqeval's strict mode)",
}
_OUTSIDE, _BEGIN, _INSIDE, _END, _SINGLE = range(5)
_NUMBER = {"B": _BEGIN, "I": _INSIDE, "E": _END, "S": _SINGLE}


@dataclass(frozen=True)
class Columns:
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

    def where(self, kept: "np.ndarray[Any, Any]") -> "Columns":
        """Those labels of which `kept` (labels,) is true."""
        return Columns(self.items, self.item[kept], self.start[kept], self.end[kept], self.type[kept], self.tokens)

    def untyped(self) -> "Columns":
        """The places alone, as if there were one type."""
        return _sorted(replace(self, type=self.type * 0))

    def mapped(self, types: Sequence[int]) -> "Columns":
        """With type i as `types[i]`; a label whose type becomes -1 is left out."""
        import numpy as np

        found = replace(self, type=np.asarray(types, dtype=np.int64)[self.type])
        return _sorted(found.where(found.type >= 0))


def _keys(*sides: Columns) -> list["np.ndarray[Any, Any]"]:
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


def _sorted(columns: Columns) -> Columns:
    import numpy as np

    (keys,) = _keys(columns)
    _, kept = np.unique(keys, return_index=True)
    return columns.where(kept)


def of_labels(found: Sequence[Iterable[Sequence[Any]]], names: Sequence[str]) -> Columns:
    """From a collection of (start, end, type) or (sector,) for each item. `names` gives each type its number."""
    import numpy as np

    number = {name: i for i, name in enumerate(names)}
    rows = [
        (item, *(label[:2] if len(label) > 1 else (0, 0)), number[label[-1]])
        for item, labels in enumerate(found)
        for label in labels
    ]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    return _sorted(Columns(len(found), *columns))


def encode(tags: Sequence[Sequence[str]]) -> tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]", list[str]]:
    """Tags as numbers: those of all items one after the other, how many each item has, and what each number means.

    Raises :class:`DataError` (wrong-tags) for what is not a string.
    """
    import numpy as np

    class Codes(dict[str, int]):
        def __missing__(self, tag: str) -> int:
            self[tag] = number = len(self)
            return number

    code = Codes()
    lengths = np.fromiter(map(len, tags), np.int64, len(tags))
    try:
        codes: np.ndarray[Any, Any] = np.frombuffer(bytes(map(code.__getitem__, chain.from_iterable(tags))), np.uint8)
    except (ValueError, TypeError):  # more than 256 tags, or one that is no key
        try:
            codes = np.fromiter(map(code.__getitem__, chain.from_iterable(tags)), np.int64, int(lengths.sum()))
        except TypeError:
            code = Codes({"": 0})
    if not all(isinstance(tag, str) and tag for tag in code):
        rows = ((i, j, tag) for i, row in enumerate(tags) for j, tag in enumerate(row))
        i, j, tag = next(row for row in rows if not isinstance(row[2], str) or not row[2])
        raise DataError(
            Problem("wrong-tags", f"item {i}, tag {j}", "a tag, such as O or B-X", repr(tag), "write tags as strings")
        )
    return codes, lengths, list(code)


def types_of(tag_names: Iterable[str]) -> list[str]:
    """The types that tags name, in order of the alphabet."""
    return sorted({tag.partition("-")[2] for tag in tag_names} - {""})


def of_tags(
    tags: Sequence[Sequence[str]], names: Sequence[str], scheme: str = "BIO", repair: str | None = None
) -> Columns:
    """From one tag per token of each item, such as B-X.

    Raises :class:`DataError` (wrong-scheme, wrong-tags): an invalid sequence is refused, unless a repair is named.
    """
    codes, lengths, tag_names = encode(tags)
    return of_codes(codes, lengths, tag_names, names, scheme, repair)


def of_arrow(
    column: Any, tag_names: Sequence[str], names: Sequence[str], scheme: str = "BIO", repair: str | None = None
) -> Columns:
    """From an Arrow list array, chunked or not, of class labels (indices into `tag_names`) or of tags as strings.

    Raises :class:`DataError` (wrong-scheme, wrong-tags).
    """
    import numpy as np

    if hasattr(column, "combine_chunks"):
        column = column.combine_chunks()
        if hasattr(column, "chunks"):  # without a chunk it stays chunked
            column = column.chunk(0) if column.num_chunks else None
    if column is None:
        return of_tags([], names, scheme, repair)
    values, lengths = column.flatten(), column.value_lengths().to_numpy(zero_copy_only=False)
    if values.null_count or column.null_count:
        expected, hint = "a tag for each token", "leave out items that have none"
        raise DataError(Problem("wrong-tags", "an Arrow column", expected, "a null", hint))
    if not str(values.type).startswith(("int", "uint")):
        encoded = values if str(values.type).startswith("dictionary") else values.dictionary_encode()
        values, tag_names = encoded.indices, encoded.dictionary.to_pylist()
    codes = values.to_numpy(zero_copy_only=False)
    # No number is larger than all of them with their bits together, which takes but one look at each.
    if (
        len(codes)
        and not 0 <= np.bitwise_or.reduce(codes) < len(tag_names)
        and not (0 <= codes.min() <= codes.max() < len(tag_names))
    ):
        expected = f"numbers of tags, 0 to {len(tag_names) - 1}"
        wrong = int(codes.min()) if codes.min() < 0 else int(codes.max())
        raise DataError(Problem("wrong-tags", "an Arrow column", expected, str(wrong), "name all tags, in their order"))
    return of_codes(codes, np.asarray(lengths), tag_names, names, scheme, repair)


def _scheme(scheme: str) -> str:
    if scheme not in SCHEMES:
        expected = f"one of {', '.join(SCHEMES)}"
        raise DataError(Problem("wrong-scheme", "scheme", expected, repr(scheme), "name the scheme of your tags"))
    return scheme


def of_codes(
    codes: "np.ndarray[Any, Any]", lengths: "np.ndarray[Any, Any]", tag_names: Sequence[str], names: Sequence[str],
    scheme: str = "BIO", repair: str | None = None,
) -> Columns:  # fmt: skip
    """From the tags of all items one after the other as integers (tokens,), each an index into `tag_names`.

    `lengths` (items,) says how many tokens each item has. This is what an Arrow list of class labels holds.
    Raises :class:`DataError` (wrong-scheme, wrong-tags).
    """
    import numpy as np

    letters = SCHEMES[_scheme(scheme)]
    if repair is not None and repair not in REPAIRS:
        expected = f"one of {', '.join(REPAIRS)}, or none"
        raise DataError(Problem("wrong-scheme", "repair", expected, repr(repair), "correct the name"))
    ends = np.cumsum(lengths)
    small = np.uint8 if len(names) <= 32 else np.uint32
    table = np.asarray(_tag_table(codes, ends, tag_names, names, scheme), dtype=small)
    tags: np.ndarray[Any, Any] = table.take(codes)
    # conlleval's rules (Tjong Kim Sang and Buchholz 2000): what begins a span if one takes tags as they come. I and E
    # go on with a B or an I of their type; since B, I, E are 1, 2, 3, that is a tag one less, or the same, or two less.
    before, now = tags[:-1], tags[1:]
    what: Any = now & 7
    step: Any = now - before  # of numbers without a sign: one that falls becomes large
    goes_on = np.zeros(len(tags) + 1, dtype=bool)  # one more: what runs until the end of all ends there
    goes_on[1:-1] = (what == _INSIDE) & (step <= 1)
    if "E" in letters.values():
        goes_on[1:-1] |= (what == _END) & ((step == 1) | (step == 2))
    goes_on[ends - lengths] = False  # nothing goes on from one item to the next
    inside, breaks = tags != _OUTSIDE, ~goes_on
    begins = np.flatnonzero(inside & breaks[:-1])
    last = np.flatnonzero(inside & breaks[1:]) + 1  # as many, in the same order: each span ends before the next
    opened, closed = tags[begins] & 7, tags[last - 1] & 7
    if "E" in letters.values():
        single = last - begins == 1
        valid = np.where(single, opened == _SINGLE, (opened == _BEGIN) & (closed == _END))
    else:
        valid = opened == _BEGIN
    item = np.repeat(np.arange(len(ends)), np.diff(np.searchsorted(begins, ends), prepend=0))
    offset = (ends - lengths)[item]
    columns = Columns(len(lengths), item, begins - offset, last - offset, (tags[begins] >> 3).astype(np.int64), lengths)
    if repair == "begin" or valid.all():
        return columns
    if repair is None:
        raise _invalid(columns, int(np.flatnonzero(~valid)[0]), codes[begins], tag_names, scheme)
    return columns.where(valid)


def _tag_table(
    codes: "np.ndarray[Any, Any]", ends: "np.ndarray[Any, Any]", tag_names: Sequence[str], names: Sequence[str],
    scheme: str,
) -> list[int]:  # fmt: skip
    """For each tag 8 × type + what it does, 0 for outside. A tag that the scheme or `names` lacks must not be used."""
    import numpy as np

    number, letters = {name: i for i, name in enumerate(names)}, SCHEMES[scheme]
    table = []
    for code, tag in enumerate(tag_names):
        prefix, _, name = tag.partition("-")
        if tag == "O":
            table.append(0)
        elif prefix in letters and name in number:
            table.append(8 * number[name] + _NUMBER[letters[prefix]])
        elif not (places := np.flatnonzero(codes == code)).size:
            table.append(0)
        else:
            item = int(np.searchsorted(ends, places[0], side="right"))
            place = int(places[0] - (ends[item - 1] if item else 0))
            prefixes = ", ".join(f"{letter}-" for letter in letters)
            expected = f"a tag of {scheme}: O, or {prefixes} and one of {', '.join(names)}"
            hint = f"name the scheme of your tags, one of {', '.join(SCHEMES)}, and all of your types"
            raise DataError(Problem("wrong-tags", f"item {item}, tag {place}", expected, repr(tag), hint))
    return table


def _invalid(
    columns: Columns, i: int, codes: "np.ndarray[Any, Any]", tag_names: Sequence[str], scheme: str
) -> DataError:
    place = f"item {columns.item[i]}, tags {columns.start[i]} to {columns.end[i] - 1}"
    closed = ", the last E, or S alone" if "E" in SCHEMES[scheme].values() else ""
    expected = f"a valid span of {scheme}: the first tag is B{closed}"
    hint = f"write valid tags, or name a repair: {'; '.join(f'{name}: {what}' for name, what in REPAIRS.items())}"
    return DataError(Problem("wrong-tags", place, expected, f"a span that begins with {tag_names[codes[i]]}", hint))


def count(gold: Columns, predicted: Columns, types: int, match: str = EXACT) -> "np.ndarray[Any, Any]":
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


def totals(gold: Columns, predicted: Columns, types: int) -> tuple["np.ndarray[Any, Any]", int]:
    """The sums (types, 3) of what :func:`count` gives under the exact rule, and how many items are wholly right."""
    import numpy as np

    found, others = _exact(gold, predicted)
    kinds = {GOLD: gold.type, PREDICTED: predicted.type, CORRECT: gold.type[found]}
    sums = np.stack([np.bincount(kinds[kind], minlength=types) for kind in sorted(kinds)], axis=1)
    wrong = np.zeros(gold.items, dtype=bool)
    wrong[gold.item[~found]] = wrong[predicted.item[~others]] = True
    return sums, gold.items - int(wrong.sum())


def _exact(gold: Columns, predicted: Columns) -> tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]:
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


def _overlapping(gold: Columns, predicted: Columns) -> "np.ndarray[Any, Any]":
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


def _flat(columns: Columns) -> bool:
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
