"""CLUENER's JSON Lines, with inclusive ends.

{"text", "label": {type: {surface: [[start, end], …]}}}
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from jinbench.core.errors import shorten
from jinbench.core.spans import RawSpan, to_integer
from jinbench.formats.base import (
    OTHER_FORMAT,
    ConversionLog,
    Document,
    Row,
    log_unsupported,
    read_id_and_group,
    validate_spans,
    validate_text,
)
from jinbench.formats.jsonl import convert_offsets, read_rows, to_id_fields, to_line


def is_row(row: Row) -> bool:
    label = row.get("label")
    return "text" in row and isinstance(label, dict) and all(isinstance(mentions, dict) for mentions in label.values())


def read(path: Path, log: ConversionLog, group: str | None = None, offsets: str | None = None,
         crlf: str | None = None, **_: object) -> Iterator[Document]:  # fmt: skip
    """Read the lines of a file.

    A span whose surface is not at its offsets is left out, and a problem.
    """
    for location, row in read_rows(path, log):
        text = validate_text(row.get("text"), location, log)
        if text is None:
            continue
        if "label" not in row:
            log.log_loss("unlabelled", location, "no label, as in a test set without gold")
            continue
        if not is_row(row):
            expected = '"label": {type: {surface: [[start, end], …]}}'
            log.log_problem("wrong-shape", location, expected=expected, found=shorten(row["label"]), fix=OTHER_FORMAT)
            continue
        id, group_id = read_id_and_group(row, group, location, log)
        log.log_fields(row, {"text", "label", "id", group}, location)
        spans = validate_spans(text, _iterate_spans(row["label"], location, log), location, log, offsets, crlf)
        yield Document(text, spans, (), id, group_id, location=location)


def _iterate_spans(label: Row, location: str, log: ConversionLog) -> Iterator[RawSpan]:
    for type, mentions in label.items():
        for surface, offsets in mentions.items():
            for pair in offsets if isinstance(offsets, list) else [offsets]:
                if not isinstance(pair, list) or len(pair) != 2:
                    log.log_problem("wrong-shape", location, expected="[[start, end], …] of each surface",
                                    found=shorten(pair), fix="correct the line")  # fmt: skip
                    continue
                start, end = pair
                last = to_integer(end)
                yield start, end if last is None else last + 1, type, surface


def write(
    documents: Iterable[Document], log: ConversionLog, offsets: str | None = None, **_: object
) -> Iterator[bytes]:
    """Yield a line for each document, with id and group where it has them."""
    for document in documents:
        log_unsupported(document, log, classes=True)
        label: dict[str, dict[str, list[list[int]]]] = {}
        for span in document.spans:
            start, end = convert_offsets(document.text, span.start, span.end, offsets)
            label.setdefault(span.type, {}).setdefault(span.surface, []).append([start, end - 1])
        yield to_line(to_id_fields(document) | {"text": document.text, "label": label})
