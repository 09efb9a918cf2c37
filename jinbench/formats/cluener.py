"""CLUENER's JSON Lines: {"text", "label": {type: {surface: [[start, end], …]}}}, the end inclusive."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jinbench.core.errors import shorten
from jinbench.formats.base import ConversionLog, Document, identified, spans_in, text_of, without
from jinbench.formats.jsonl import counted, line, named, rows_of


def is_row(row: dict[str, Any]) -> bool:
    label = row.get("label")
    return "text" in row and isinstance(label, dict) and all(isinstance(each, dict) for each in label.values())


def read(path: Path, notes: ConversionLog, group: str | None = None, offsets: str | None = None,
         **_: object) -> Iterator[Document]:  # fmt: skip
    """The lines of a file. A span whose surface does not stand where it points is left out, and a problem."""
    for place, row in rows_of(path, notes):
        text = text_of(row.get("text"), place, notes)
        if text is None:
            continue
        if "label" not in row:
            notes.log_loss("unlabelled", place, "no label, as in a test set without gold")
            continue
        if not is_row(row):
            expected, hint = '"label": {type: {surface: [[start, end], …]}}', "is it a file of another format?"
            notes.problem("wrong-shape", place, expected, shorten(row["label"]), hint)
            continue
        id, of = identified(row, group, place, notes)
        found = _spans(row["label"], place, notes)
        yield Document(text, spans_in(text, found, place, notes, offsets or "code-points"), (), id, of, place=place)


def _spans(label: dict[str, Any], place: str, notes: ConversionLog) -> Iterator[tuple[Any, Any, Any, Any]]:
    for type, mentions in label.items():
        for surface, places in mentions.items():
            for pair in places if isinstance(places, list) else [places]:
                if not isinstance(pair, list) or len(pair) != 2:
                    expected, hint = "[[start, end], …] of each surface", "correct the line"
                    notes.problem("wrong-shape", place, expected, shorten(pair), hint)
                    continue
                start, end = pair
                yield start, end + 1 if isinstance(end, int) and not isinstance(end, bool) else end, type, surface


def write(found: Iterable[Document], notes: ConversionLog, offsets: str | None = None, **_: object) -> Iterator[bytes]:
    """A line for each document, with its id and group where it has them."""
    for document in found:
        without(document, notes, classes=True)
        label: dict[str, dict[str, list[list[int]]]] = {}
        for span in document.spans:
            start, end = counted(document.text, span.start, span.end, offsets)
            label.setdefault(span.type, {}).setdefault(span.surface, []).append([start, end - 1])
        yield line(named(document) | {"text": document.text, "label": label})
