"""Gold and predictions in every form: tags, class labels, spans, Arrow columns. NumPy only."""

import operator
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from jinbench.core.errors import DataError, ErrorList, Problem, fail, raise_if_any, shorten
from jinbench.core.spans import to_integer
from jinbench.scoring import schemes
from jinbench.scoring.counts import LabelTable, labels_to_table

_LABELS = "write one list for each item, of tags such as B-X or of spans (start, end, type)"


@dataclass(frozen=True)
class SideLabels:
    """Labels of one side, the gold or a system; `kind` is arrow, tags, codes (class labels) or spans."""

    location: str
    kind: str
    rows: Any
    tag_names: Sequence[str]

    def list_types(self) -> set[str]:
        """Return the types that occur, but for those of class labels, which `tag_names` has."""
        if self.kind == "spans":
            return {type for row in self.rows for _, _, type in row}
        has_codes = self.kind == "codes" or (self.kind == "arrow" and "int" in str(self.rows.type.value_type))
        rows = () if has_codes else self.rows.to_pylist() if self.kind == "arrow" else self.rows
        return set(schemes.list_types({tag for row in rows for tag in row or () if isinstance(tag, str)}))

    def check_types(self, types: Sequence[str], problems: ErrorList) -> None:
        """Add spans of other types to `problems`; other tags are refused as they are decoded."""
        expected = f"a span with a type that is one of {', '.join(types)}" if types else "no span: there are no types"
        for i, row in enumerate(self.rows if self.kind == "spans" else ()):
            for _, _, type in row:
                if type not in types:
                    location, fix = f"{self.location}[{i}]", "name all of your types"
                    problems.add("wrong-shape", location, expected=expected, found=shorten(type), fix=fix)

    def to_table(self, types: Sequence[str], scheme: str, repair: str | None) -> LabelTable:
        """Convert to a table. Raises :class:`DataError` (wrong-scheme, wrong-tags)."""
        if self.kind == "spans":
            return labels_to_table(self.rows, types)
        try:
            if self.kind == "arrow":
                return schemes.arrow_to_table(self.rows, self.tag_names, types, scheme, repair)
            rows = _decode(self.rows, self.tag_names) if self.kind == "codes" else self.rows
            return schemes.tags_to_table(rows, types, scheme, repair)
        except DataError as error:
            raise DataError(
                replace(problem, location=_locate(problem.location, self.location)) for problem in error.problems
            ) from None


def read_labels(side: Any, location: str, tag_names: Sequence[str], problems: ErrorList) -> SideLabels:
    """Find out in which form the labels of a side are; errors in spans are added to `problems`.

    Raises :class:`DataError` (wrong-shape).
    """
    if is_arrow(side):
        if "int" in str(side.type.value_type) and not tag_names:
            _fail_unnamed(location, f"an Arrow column of {side.type}")
        return SideLabels(location, "arrow", side, tag_names)
    rows = to_lists(side, location)
    first, i = next(((row[0], i) for i, row in enumerate(rows) if len(row)), (None, 0))
    if isinstance(first, str):
        return SideLabels(location, "tags", rows, tag_names)
    if to_integer(first) is not None:
        if not tag_names:
            _fail_unnamed(f"{location}[{i}]", shorten(rows[i]))
        return SideLabels(location, "codes", rows, tag_names)
    spans = [
        [span for label in row if (span := _read_span(label, f"{location}[{i}]", problems))]
        for i, row in enumerate(rows)
    ]
    return SideLabels(location, "spans", spans, tag_names)


def _fail_unnamed(location: str, found: str) -> NoReturn:
    fix = "give tag_names, the tags that the numbers stand for, e.g. features['ner_tags'].feature.names"
    fix += "; or, if these are spans, a list of them for each item"
    fail("wrong-shape", location, expected="tags, spans, or class labels with tag_names", found=found, fix=fix)


def _read_span(label: Any, location: str, problems: ErrorList) -> tuple[int, int, str] | None:
    """Return a span as (start, end, type), or add to `problems`."""
    parts: Sequence[Any] = ()
    if isinstance(label, Mapping):
        parts = [label.get("start"), label.get("end"), label.get("type", label.get("label"))]
    elif isinstance(label, list | tuple) and len(label) in (3, 4):  # a span of the dataset has its surface too
        parts = label[:3]
    if len(parts) == 3 and isinstance(parts[2], str) and parts[2]:
        start, end = to_integer(parts[0]), to_integer(parts[1])
        if start is not None and end is not None and 0 <= start < end <= sys.maxsize:
            return start, end, str(parts[2])
    expected = "a span (start, end, type): whole numbers, 0 <= start < end, and the name of a type"
    fix = "write 3, not 3.0 or '3'; offsets count from 0, the end is exclusive"
    problems.add("wrong-shape", location, expected=expected, found=shorten(label), fix=fix)
    return None


def _decode(rows: Sequence[Sequence[Any]], tag_names: Sequence[str]) -> list[list[str]]:
    """Convert class labels to tags."""
    expected, fix = f"numbers of tags, 0 to {len(tag_names) - 1}", "name all tags, in their order"
    raise_if_any(
        Problem("wrong-tags", location=f"item {i}, tag {j}", expected=expected, found=shorten(code), fix=fix)
        for i, row in enumerate(rows)
        for j, code in enumerate(row)
        if (number := to_integer(code)) is None or not 0 <= number < len(tag_names)
    )
    return [[tag_names[operator.index(code)] for code in row] for row in rows]


def _locate(location: str, side: str) -> str:
    """Return the location of a problem with tags, with the name of the side that they are on."""
    if location.startswith("item "):
        item, comma, rest = location.removeprefix("item ").partition(",")
        return f"{side}[{item}]{comma}{rest}"
    return side if location == "an Arrow column" else location


def is_arrow(side: Any) -> bool:
    """Return whether `side` is an Arrow array, chunked or not, of lists of strings or whole numbers."""
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


def to_lists(side: Any, location: str) -> list[Sequence[Any]]:
    """Return the labels of each item as a list, from any iterable.

    Raises :class:`DataError` (wrong-shape) that names `location` and the item.
    """
    if type(side).__module__.partition(".")[0] == "pyarrow" and hasattr(side, "to_pylist"):
        side = side.to_pylist()
    if not _is_collection(side):
        fail("wrong-shape", location, expected="a list with one entry per item", found=shorten(side), fix=_LABELS)
    rows = list(side)
    expected = "the labels of an item: a list of tags or of spans"
    raise_if_any(
        Problem("wrong-shape", location=f"{location}[{i}]", expected=expected, found=shorten(row), fix=_LABELS)
        for i, row in enumerate(rows)
        if not isinstance(row, list | tuple) and not _is_collection(row)
    )
    return [row if isinstance(row, list | tuple) else list(row) for row in rows]


def _is_collection(value: Any) -> bool:
    """Return whether `value` is an iterable, but no text, path or mapping."""
    if isinstance(value, str | bytes | os.PathLike | Mapping):
        return False
    try:
        iter(value)
    except TypeError:
        return False
    return True


def check_same_items(gold: LabelTable, predicted: LabelTable, location: str = "predictions") -> None:
    """Check that predictions have as many items as gold, and as many tags in each.

    Raises :class:`DataError` (wrong-shape).
    """
    import numpy as np

    if gold.items != predicted.items:
        expected, fix = f"{gold.items} items, as in the gold", "predict each item, with no label if there is none"
        fail("wrong-shape", location, expected=expected, found=f"{predicted.items} items", fix=fix)
    if gold.tokens is not None and predicted.tokens is not None and (differs := gold.tokens != predicted.tokens).any():
        i = int(np.flatnonzero(differs)[0])
        expected, fix = f"{gold.tokens[i]} tags, as in the gold", "predict a tag for each token"
        fail("wrong-shape", f"{location}[{i}]", expected=expected, found=f"{predicted.tokens[i]}", fix=fix)


def list_articles(articles: Any, items: int) -> list[Any]:
    """Return the article of each of `items` items as a list. Raises :class:`DataError` (wrong-shape)."""
    expected, fix = f"the article of each of {items} items", "name one for each item"
    if not _is_collection(articles):
        fail("wrong-shape", "articles", expected=expected, found=shorten(articles), fix=fix)
    ids = articles.tolist() if hasattr(articles, "tolist") else list(articles)
    if len(ids) != items:
        fail("wrong-shape", "articles", expected=expected, found=f"{len(ids)}", fix=fix)
    for i, article in enumerate(ids):
        try:
            hash(article)
        except TypeError:
            fix = "name articles by strings or whole numbers"
            fail("wrong-shape", f"articles[{i}]", expected="the id of an article", found=shorten(article), fix=fix)
    return ids
