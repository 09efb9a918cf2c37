"""Decode BIO, BIOES, BMES and BILOU tags. NumPy only.

What a scheme forbids is refused, or corrected by a named repair. Tags that are integers, as in Arrow, are fastest.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from jinbench.core.errors import DataError, Problem, fail
from jinbench.scoring.counts import LabelTable

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    CodeArray = NDArray[np.integer]

# The letters of each scheme, with their names in BIOES; a scheme with E and S must close each span.
SCHEMES = {
    "BIO": {"B": "B", "I": "I"},
    "BIOES": {"B": "B", "I": "I", "E": "E", "S": "S"},
    "BMES": {"B": "B", "M": "I", "E": "E", "S": "S"},
    "BILOU": {"B": "B", "I": "I", "L": "E", "U": "S"},
}
REPAIRS = {
    "begin": "a tag that continues no span begins one; a span ends with its tags (conlleval, seqeval's default)",
    "drop": "a span that breaks the scheme is left out (seqeval's strict mode)",
}
_OUTSIDE, _BEGIN, _INSIDE, _END, _SINGLE = range(5)
_NUMBER = {"B": _BEGIN, "I": _INSIDE, "E": _END, "S": _SINGLE}


def encode_tags(tags: Sequence[Sequence[str]]) -> tuple["CodeArray", "NDArray[np.int64]", list[str]]:
    """Return the tags of all items as numbers, the length of each item, and the tag names.

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
        codes: CodeArray = np.frombuffer(bytes(map(code.__getitem__, chain.from_iterable(tags))), np.uint8)
    except (ValueError, TypeError):  # more than 256 tags, or one that is no key
        try:
            codes = np.fromiter(map(code.__getitem__, chain.from_iterable(tags)), np.int64, int(lengths.sum()))
        except TypeError:
            code = Codes({"": 0})
    if not all(isinstance(tag, str) and tag for tag in code):
        rows = ((i, j, tag) for i, row in enumerate(tags) for j, tag in enumerate(row))
        i, j, tag = next(row for row in rows if not isinstance(row[2], str) or not row[2])
        fail(
            "wrong-tags", f"item {i}, tag {j}", expected="a tag, such as O or B-X", found=repr(tag),
            fix="write tags as strings",
        )  # fmt: skip
    return codes, lengths, list(code)


def list_types(tag_names: Iterable[str]) -> list[str]:
    """Return the types that tags name, in order of the alphabet."""
    return sorted({tag.partition("-")[2] for tag in tag_names} - {""})


def tags_to_table(
    tags: Sequence[Sequence[str]], names: Sequence[str], scheme: str = "BIO", repair: str | None = None
) -> LabelTable:
    """Decode one tag per token of each item, such as B-X.

    Raises :class:`DataError` (wrong-scheme, wrong-tags): an invalid sequence is refused, unless a repair is named.
    """
    codes, lengths, tag_names = encode_tags(tags)
    return codes_to_table(codes, lengths, tag_names, names, scheme, repair)


def arrow_to_table(
    column: "pa.Array | pa.ChunkedArray", tag_names: Sequence[str], names: Sequence[str], scheme: str = "BIO",
    repair: str | None = None,
) -> LabelTable:  # fmt: skip
    """Decode an Arrow list array of class labels (indices into `tag_names`) or of tags.

    Raises :class:`DataError` (wrong-scheme, wrong-tags).
    """
    import numpy as np

    if hasattr(column, "combine_chunks"):
        column = column.combine_chunks()
        if hasattr(column, "chunks"):  # without a chunk it stays chunked
            column = column.chunk(0) if column.num_chunks else None
    if column is None:
        return tags_to_table([], names, scheme, repair)
    values, lengths = column.flatten(), column.value_lengths().to_numpy(zero_copy_only=False)
    if values.null_count or column.null_count:
        fix = "leave out items that have none"
        fail("wrong-tags", "an Arrow column", expected="a tag for each token", found="a null", fix=fix)
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
        fail("wrong-tags", "an Arrow column", expected=expected, found=str(wrong), fix="name all tags, in their order")
    return codes_to_table(codes, np.asarray(lengths), tag_names, names, scheme, repair)


def check_scheme(scheme: str, repair: str | None = None) -> None:
    """Raise :class:`DataError` (wrong-scheme) for a scheme or a repair that does not exist."""
    if scheme not in SCHEMES:
        expected = f"one of {', '.join(SCHEMES)}"
        fail("wrong-scheme", "scheme", expected=expected, found=repr(scheme), fix="name the scheme of your tags")
    if repair is not None and repair not in REPAIRS:
        expected = f"one of {', '.join(REPAIRS)}, or none"
        fail("wrong-scheme", "repair", expected=expected, found=repr(repair), fix="correct the name")


def codes_to_table(
    codes: "CodeArray", lengths: "NDArray[np.int64]", tag_names: Sequence[str], names: Sequence[str],
    scheme: str = "BIO", repair: str | None = None,
) -> LabelTable:  # fmt: skip
    """Decode the tags of all items in a row as integers (tokens,), each an index into `tag_names`.

    `lengths` (items,) is the number of tokens of each item. This is what an Arrow list of class labels holds.
    Raises :class:`DataError` (wrong-scheme, wrong-tags).
    """
    import numpy as np

    check_scheme(scheme, repair)
    letters = SCHEMES[scheme]
    ends = np.cumsum(lengths)
    small = np.uint8 if len(names) <= 32 else np.uint32
    table = np.asarray(_tag_table(codes, ends, tag_names, names, scheme), dtype=small)
    tags: CodeArray = np.asarray(table.take(codes))
    # conlleval's rules (Tjong Kim Sang and Buchholz 2000): what begins a span if one takes tags as they come. I and E
    # go on with a B or an I of their type; since B, I, E are 1, 2, 3, that is a tag one less, or the same, or two less.
    before, now = tags[:-1], tags[1:]
    role = now & 7
    step = now - before  # of numbers without a sign: one that falls becomes large
    continues = np.zeros(len(tags) + 1, dtype=bool)  # one more: what runs until the end of all ends there
    continues[1:-1] = (role == _INSIDE) & (step <= 1)
    if "E" in letters.values():
        continues[1:-1] |= (role == _END) & ((step == 1) | (step == 2))
    continues[ends - lengths] = False  # nothing goes on from one item to the next
    inside, breaks = tags != _OUTSIDE, ~continues
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
    columns = LabelTable(
        len(lengths), item, begins - offset, last - offset, (tags[begins] >> 3).astype(np.int64), lengths
    )
    if repair == "begin" or valid.all():
        return columns
    if repair is None:
        raise _invalid_span(columns, int(np.flatnonzero(~valid)[0]), codes[begins], tag_names, scheme)
    return columns.select(valid)


def _tag_table(
    codes: "CodeArray", ends: "NDArray[np.int64]", tag_names: Sequence[str], names: Sequence[str],
    scheme: str,
) -> list[int]:  # fmt: skip
    """Return for each tag 8 × type + role, 0 for outside."""
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
            fix = f"name the scheme of your tags, one of {', '.join(SCHEMES)}, and all of your types"
            fail("wrong-tags", f"item {item}, tag {place}", expected=expected, found=repr(tag), fix=fix)
    return table


def _invalid_span(columns: LabelTable, i: int, codes: "CodeArray", tag_names: Sequence[str], scheme: str) -> DataError:
    closed = ", the last E, or S alone" if "E" in SCHEMES[scheme].values() else ""
    return DataError(
        Problem(
            "wrong-tags",
            location=f"item {columns.item[i]}, tags {columns.start[i]} to {columns.end[i] - 1}",
            expected=f"a valid span of {scheme}: the first tag is B{closed}",
            found=f"a span that begins with {tag_names[codes[i]]}",
            fix=f"write valid tags, or name a repair: {'; '.join(map(': '.join, REPAIRS.items()))}",
        )
    )
