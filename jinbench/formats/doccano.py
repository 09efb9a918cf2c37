"""doccano's JSON Lines: {"text", "label": [[start, end, type], …]}, or "entities", and "cats" or names for classes.

doccano itself runs in a browser and counts UTF-16 units (its issue 2290), so that is what offsets are taken for.
"""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jinbench.core import files
from jinbench.core.errors import shorten
from jinbench.formats.base import ConversionLog, Document, identified, spans_in, text_of
from jinbench.formats.jsonl import counted, line, named, rows_of

_SPANS, _CLASSES = ("label", "labels", "entities"), ("label", "labels", "cats")


def is_row(row: dict[str, Any]) -> bool:
    return "text" in row and "ents" not in row and any(isinstance(row.get(key), list) for key in (*_SPANS, "cats"))


def read(path: Path, notes: ConversionLog, group: str | None = None, offsets: str | None = None,
         **_: object) -> Iterator[Document]:  # fmt: skip
    """The lines of a file, of a project for sequences, for classes, or for both."""
    beyond = 0
    for place, row in rows_of(path, notes):
        text = text_of(row.get("text", row.get("data")), place, notes)
        if text is None:
            continue
        if not any(key in row for key in (*_SPANS, "cats")):
            notes.log_loss("unlabelled", place, "neither label, entities nor cats")
            continue
        entries = [entry for key in _SPANS if key in row for entry in _list(row[key], key, place, notes)]
        classes = [entry for entry in entries if isinstance(entry, str)]
        classes += [str(entry) for entry in _list(row.get("cats", []), "cats", place, notes)]
        for name in ("relations", "Relations"):
            if row.get(name):
                notes.log_loss("relations", place, shorten(row[name], 60), len(row[name]))
        found = (_span(entry, place, notes) for entry in entries if not isinstance(entry, str))
        spans = spans_in(text, (span for span in found if span), place, notes, offsets or "utf-16")
        id, of = identified(row, group, place, notes)
        beyond += bool(spans) and offsets is None and any(ord(c) > 0xFFFF for c in text)
        yield Document(text, spans, tuple(dict.fromkeys(filter(str.strip, classes))), id, of, place=place)
    if beyond:
        notes.remarks.append(
            f"{files.shown(path)}: {beyond} labelled texts have characters outside the basic plane. Their offsets were "
            "taken for UTF-16 units, as doccano's are; if they are code points: --offsets code-points"
        )


def _list(value: Any, key: str, place: str, notes: ConversionLog) -> list[Any]:
    if isinstance(value, list):
        return value
    hint = "is it a file of another format? CLUENER has an object there: --from cluener"
    notes.problem("wrong-shape", place, f"{key!r}: [[start, end, type], …] or names", shorten(value), hint)
    return []


def _span(entry: Any, place: str, notes: ConversionLog) -> tuple[Any, Any, Any, Any] | None:
    if isinstance(entry, list) and len(entry) == 3:
        return entry[0], entry[1], entry[2], None
    if isinstance(entry, dict) and {"start_offset", "end_offset", "label"} <= entry.keys():
        return entry["start_offset"], entry["end_offset"], entry["label"], None
    expected = '[start, end, type], or {"label", "start_offset", "end_offset"}'
    notes.problem("wrong-shape", place, expected, shorten(entry), "correct the line")
    return None


def write(found: Iterable[Document], notes: ConversionLog, offsets: str | None = None, **_: object) -> Iterator[bytes]:
    """A line for each document. Where the first one has classes, all are as in a project for both: entities, cats."""
    found = iter(found)
    first = next(found, None)
    both = first is not None and bool(first.classes)
    for document in itertools.chain([first] if first else [], found):
        spans = [[*counted(document.text, s.start, s.end, offsets or "utf-16"), s.type] for s in document.spans]
        row: dict[str, Any] = {"text": document.text}
        if both:
            row |= {"entities": spans, "cats": list(document.classes)}
        elif document.classes and not spans:
            row |= {"label": list(document.classes)}
        else:
            row |= {"label": spans}
            if document.classes:
                said = ", ".join(document.classes)
                notes.log_loss("classes", document.place, f"{said}: the first text had none", len(document.classes))
        yield line(named(document) | row)
