"""doccano's JSON Lines.

{"text", "label": [[start, end, type], …]}, or "entities", and "cats" or names for classes.

doccano itself runs in a browser and counts UTF-16 units (its issue 2290), so this is the default unit of offsets.
"""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from jinbench.core.errors import shorten
from jinbench.core.spans import RawSpan
from jinbench.formats.base import (
    ConversionLog,
    Document,
    Row,
    has_astral,
    read_classes,
    read_id_and_group,
    validate_spans,
    validate_text,
)
from jinbench.formats.jsonl import convert_offsets, read_rows, to_id_fields, to_line

_SPANS = ("label", "labels", "entities")


def is_row(row: Row) -> bool:
    return "text" in row and "ents" not in row and any(isinstance(row.get(key), list) for key in (*_SPANS, "cats"))


def read(path: Path, log: ConversionLog, group: str | None = None, offsets: str | None = None,
         crlf: str | None = None, **_: object) -> Iterator[Document]:  # fmt: skip
    """Read the lines of a file, of a project for sequences, for classes, or for both."""
    for location, row in read_rows(path, log):
        text = validate_text(row.get("text", row.get("data")), location, log)
        if text is None:
            continue
        if not any(key in row for key in (*_SPANS, "cats")):
            log.log_loss("unlabelled", location, "neither label, entities nor cats")
            continue
        entries = [entry for key in _SPANS if key in row for entry in _read_list(row[key], key, location, log)]
        names = [entry for entry in entries if isinstance(entry, str)]
        classes = read_classes([*names, *_read_list(row.get("cats", []), "cats", location, log)], location, log)
        if relations := row.get("relations"):
            count = len(relations) if isinstance(relations, list) else 1
            log.log_loss("relations", location, shorten(relations, 60), count)
        text_field = "text" if "text" in row else "data"
        log.log_fields(row, {*_SPANS, text_field, "cats", "relations", "id", group}, location)
        raw_spans = (_read_span(entry, location, log) for entry in entries if not isinstance(entry, str))
        spans = validate_spans(text, filter(None, raw_spans), location, log, offsets or "utf-16", crlf)
        id, group_id = read_id_and_group(row, group, location, log)
        if spans and offsets is None and has_astral(text):
            log.log_remark(
                "a character outside the basic plane: offsets were taken for UTF-16 units, as doccano's are; if they "
                "are code points: --offsets code-points",
                location,
            )
        yield Document(text, spans, classes, id, group_id, location=location)


def _read_list(value: object, key: str, location: str, log: ConversionLog) -> list[object]:
    if isinstance(value, list):
        return value
    log.log_problem("wrong-shape", location, expected=f"{key!r}: [[start, end, type], …] or names",
                    found=shorten(value), fix="is it CLUENER's, with an object there? --from cluener")  # fmt: skip
    return []


def _read_span(entry: object, location: str, log: ConversionLog) -> RawSpan | None:
    if isinstance(entry, list) and len(entry) == 3:
        return entry[0], entry[1], entry[2], None
    if isinstance(entry, dict) and {"start_offset", "end_offset", "label"} <= entry.keys():
        log.log_fields(entry, {"id", "label", "start_offset", "end_offset"}, location, "entity ")
        return entry["start_offset"], entry["end_offset"], entry["label"], None
    expected = '[start, end, type], or {"label", "start_offset", "end_offset"}'
    log.log_problem("wrong-shape", location, expected=expected, found=shorten(entry), fix="correct the line")
    return None


def write(
    documents: Iterable[Document], log: ConversionLog, offsets: str | None = None, **_: object
) -> Iterator[bytes]:
    """Yield a line for each document.

    If the first has classes, all have entities and cats, as a project for both.
    """
    documents = iter(documents)
    first = next(documents, None)
    both = first is not None and bool(first.classes)
    for document in itertools.chain([first] if first else [], documents):
        spans = [[*convert_offsets(document.text, s.start, s.end, offsets or "utf-16"), s.type] for s in document.spans]
        row: Row = {"text": document.text}
        if both:
            row |= {"entities": spans, "cats": list(document.classes)}
        elif document.classes and not spans:
            row |= {"label": list(document.classes)}
        else:
            row |= {"label": spans}
            if document.classes:
                description = f"{', '.join(document.classes)}: the first text had none"
                log.log_loss("classes", document.location, description, len(document.classes))
        yield to_line(to_id_fields(document) | row)
