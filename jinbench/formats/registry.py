"""FORMATS: how each corpus format is read, written and recognised.

A new one is one entry.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinbench.core import files
from jinbench.core.errors import DataError, fail
from jinbench.formats import brat, cluener, conll, doccano, jinbench, labelstudio, spacy
from jinbench.formats.base import Document, Row

HEAD_BYTES = 2**16  # at the beginning of a file, by which it is recognised
SAMPLE_ROWS = 20  # of these bytes

_JSON_OPTIONS = ("group", "offsets", "crlf")

Reader = Callable[..., Iterator[Document]]
Writer = Callable[..., Iterator[Any]]


@dataclass(frozen=True)
class Format:
    """Reader, writer and recognition of a corpus format.

    Attributes:
        name: as in `--from` and `--to`.
        summary: one line for messages.
        read: called as `read(path, log, **options)`; yields documents.
        write: called as `write(documents, log, **options)`; yields the bytes of a file piece by piece, or of a folder
            (name, contents) of its files.
        suffix: of a file.
        is_folder: whether it is a folder.
        has_splits: whether the folder holds all splits.
        options: those that its reader takes.
        matches_row: whether an object of JSON is a text of this format.
        matches_path: whether a file or folder is of this format, from its path and the text at its beginning.
    """

    name: str
    summary: str
    read: Reader
    write: Writer
    suffix: str = ""
    is_folder: bool = False
    has_splits: bool = False
    options: tuple[str, ...] = ()
    matches_row: Callable[[Row], bool] | None = None
    matches_path: Callable[[Path, str], bool] | None = None


FORMATS = {
    format.name: format
    for format in (
        Format("conll", "columns of tokens and tags: BIO, BIOES, BMES or BILOU, by --scheme", conll.read, conll.write,
               ".txt", options=("scheme", "repair", "join"), matches_path=conll.is_conll),
        Format("cluener", "JSON Lines with surfaces, the end inclusive", cluener.read, cluener.write, ".jsonl",
               options=_JSON_OPTIONS, matches_row=cluener.is_row),
        Format("labelstudio", "an export of any project as JSON or JSON_MIN; tasks to import", labelstudio.read,
               labelstudio.write, ".json", options=(*_JSON_OPTIONS, "text"), matches_row=labelstudio.is_row),
        Format("doccano", "JSON Lines with label, or with entities and cats; offsets in UTF-16 units", doccano.read,
               doccano.write, ".jsonl", options=_JSON_OPTIONS, matches_row=doccano.is_row),
        Format("brat", "a folder of .txt and .ann", brat.read, brat.write, is_folder=True, options=("offsets", "crlf"),
               matches_path=lambda path, head: path.is_dir() and brat.is_brat_folder(path)),
        Format("spacy", "a DocBin (.spacy), or what Doc.to_json gives (.json, .jsonl)", spacy.read, spacy.write,
               ".spacy", options=_JSON_OPTIONS, matches_row=spacy.is_row,
               matches_path=lambda path, head: path.suffix == ".spacy"),
        Format("jinbench", "a benchmark: dataset/, labels, splits, manifest", jinbench.read_benchmark,
               jinbench.write_benchmark, is_folder=True, has_splits=True, options=("passages",),
               matches_path=lambda path, head: jinbench.is_benchmark(path)),
    )
}  # fmt: skip


def get_format(name: str, location: str) -> Format:
    """Return a format by name. Raise :class:`DataError` (format-unknown)."""
    if name not in FORMATS:
        expected = f"one of {', '.join(FORMATS)}"
        fail("format-unknown", location, expected=expected, found=repr(name), fix="correct the name")
    return FORMATS[name]


def detect_format(path: Path) -> Format:
    """Return the one format that a file or folder can be.

    Raise :class:`DataError` (file-missing, format-unknown).
    """
    names = match_formats(path)
    if len(names) != 1:
        summaries = "; ".join(f"{format.name}: {format.summary}" for format in FORMATS.values())
        found = f"what could be {' or '.join(names)}" if names else "none of them with certainty"
        fix = "name its format: --from FORMAT"
        fix = f"name the files in it (train=FILE test=FILE), or {fix}" if path.is_dir() else fix
        expected = f"a known format ({summaries})"
        fail("format-unknown", files.display_path(path), expected=expected, found=found, fix=fix)
    return FORMATS[names[0]]


def match_formats(path: Path) -> list[str]:
    """Return the names of the formats that a file or folder looks like.

    Raise :class:`DataError` (file-missing).
    """
    head = ""
    if not path.is_dir():
        try:
            with files.open_file(path) as file:
                head = file.read(HEAD_BYTES).decode("utf-8-sig", "ignore")
        except OSError as error:
            raise DataError(files.unreadable_problem(path, error)) from None
        head = head if "\n" in head else head.replace("\r", "\n")
    rows = _read_sample(path, head)

    def matches(format: Format) -> bool:
        has_content = path.is_dir() or head or path.suffix == format.suffix
        if format.matches_path and has_content and format.matches_path(path, head):
            return True
        return format.matches_row is not None and bool(rows) and all(map(format.matches_row, rows))

    return [format.name for format in FORMATS.values() if matches(format)]


def _read_sample(path: Path, head: str) -> list[Row]:
    """Return some objects at the beginning of a JSON file; none if it is not JSON."""
    if head.lstrip().startswith("["):
        try:
            values = json.loads(path.read_text(encoding="utf-8-sig"))[:SAMPLE_ROWS]
        except (ValueError, RecursionError, OSError):
            return []
        return [value for value in values if isinstance(value, dict)]
    rows = []
    for line in head.split("\n")[: SAMPLE_ROWS if head.count("\n") > 1 else None]:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            rows.append(value)
    return rows
