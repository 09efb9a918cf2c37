"""Helpers of the JSON Lines formats."""

import json
from collections.abc import Iterator
from pathlib import Path

from jinbench.core import files, jsonl
from jinbench.core.errors import Problem
from jinbench.formats.base import ConversionLog, Document, Row

GROUP_FIELD = "article_id"  # the field under which every JSON format writes a document's group


def read_rows(path: Path, log: ConversionLog) -> Iterator[tuple[str, Row]]:
    """Yield location and object of every line.

    Other lines are problems; too many of them end the conversion.
    """
    problems: list[Problem] = []
    for number, row in jsonl.stream_rows(path, problems):
        yield f"{files.display_path(path)}:{number}", row
    log.add(*problems)
    if len(problems) >= jsonl.MAX_PROBLEMS:
        log.fatal.append(problems[-1])


def convert_offsets(text: str, start: int, end: int, unit: str | None) -> tuple[int, int]:
    """Convert offsets in code points to `unit`, if it is utf-16."""
    if unit != "utf-16":
        return start, end
    first, last = (offset + sum(ord(c) > 0xFFFF for c in text[:offset]) for offset in (start, end))
    return first, last


def to_id_fields(document: Document) -> Row:
    """Return the fields id and group of a row, where the document has them."""
    row = {"id": document.id, GROUP_FIELD: document.group}
    return {name: value for name, value in row.items() if value is not None}


def to_line(row: Row) -> bytes:
    return (json.dumps(row, ensure_ascii=False) + "\n").encode()
