"""Helpers of the JSON Lines formats."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinbench.core import files, jsonl
from jinbench.core.errors import Problem
from jinbench.formats import base
from jinbench.formats.base import ConversionLog, Document

GROUP = "article_id"  # the field under which a document's group is written in every format of JSON


def rows_of(path: Path, notes: ConversionLog) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object) of every line. What is no object is a problem; too many of them end the conversion."""
    problems: list[Problem] = []
    shown = files.shown(path)
    for number, row in jsonl.stream(path, problems):
        yield f"{shown}:{number}", row
    for problem in problems:
        notes.add(problem)
    if len(problems) >= jsonl.MOST:
        notes.fatal.append(problems[-1])


def counted(text: str, start: int, end: int, offsets: str | None) -> tuple[int, int]:
    """Offsets in the unit asked for."""
    if offsets != "utf-16":
        return start, end
    first, last = base.to_units(text, [start, end])
    return first, last


def named(document: Document) -> dict[str, Any]:
    """The fields of a row that say which one it is."""
    row: dict[str, Any] = {} if document.id is None else {"id": document.id}
    return row if document.group is None else row | {GROUP: document.group}


def line(row: dict[str, Any]) -> bytes:
    return (json.dumps(row, ensure_ascii=False) + "\n").encode()
