"""The formats of corpora, in a table: how each is read, written and recognised. A new one is one entry."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinbench.core import files
from jinbench.core.errors import DataError, Problem
from jinbench.formats import brat, cluener, conll, doccano, jinbench, labelstudio, spacy
from jinbench.formats.base import Document

HEAD = 2**16  # bytes at the beginning of a file by which it is recognised
SAMPLE = 20  # lines of it

_FIELDS = ("group", "offsets")  # what readers of JSON take

Reader = Callable[..., Iterator[Document]]
Writer = Callable[..., Iterator[Any]]


@dataclass(frozen=True)
class Format:
    """How a format is read and written. `read(path, notes, **options)` gives documents; `write(documents, notes,
    **options)` the bytes of a file piece by piece, or of a `folder` the names and contents of its files.

    `row` says whether an object of JSON is a text of this format, `file` whether a file or folder is one, from its path
    and the text at its beginning. `whole`: the folder holds all splits. `suffix` is that of a file, `options` are those
    that its reader takes.
    """

    name: str
    summary: str
    read: Reader
    write: Writer
    suffix: str = ""
    folder: bool = False
    whole: bool = False
    options: tuple[str, ...] = ()
    row: Callable[[dict[str, Any]], bool] | None = None
    file: Callable[[Path, str], bool] | None = None


FORMATS = {
    each.name: each
    for each in (
        Format("conll", "columns of tokens and tags: BIO, BIOES, BMES or BILOU, by --scheme", conll.read, conll.write,
               ".txt", options=("scheme", "repair", "join"), file=conll.looks),
        Format("cluener", "JSON Lines with surfaces, the end inclusive", cluener.read, cluener.write, ".jsonl",
               options=_FIELDS, row=cluener.is_row),
        Format("labelstudio", "an export of any project as JSON or JSON_MIN; tasks to import", labelstudio.read,
               labelstudio.write, ".json", options=_FIELDS, row=labelstudio.is_row),
        Format("doccano", "JSON Lines with label, or with entities and cats; offsets in UTF-16 units", doccano.read,
               doccano.write, ".jsonl", options=_FIELDS, row=doccano.is_row),
        Format("brat", "a folder of .txt and .ann", brat.read, brat.write, folder=True,
               options=("offsets",), file=lambda path, head: path.is_dir() and brat.looks(path)),
        Format("spacy", "a DocBin (.spacy), or what Doc.to_json gives (.json, .jsonl)", spacy.read, spacy.write,
               ".spacy", options=_FIELDS, row=spacy.is_row, file=lambda path, head: path.suffix == ".spacy"),
        Format("spacy-json", "the same, written as JSON where a folder is written", spacy.read, spacy.write,
               ".json", options=_FIELDS),
        Format("jinbench", "a benchmark: dataset/, labels, splits, manifest", jinbench.read_benchmark,
               jinbench.write_benchmark, folder=True, whole=True, options=("passages",),
               file=lambda path, head: jinbench.is_benchmark(path)),
    )
}  # fmt: skip


def get_format(name: str, place: str) -> Format:
    """Raises :class:`DataError` (format-unknown)."""
    if name not in FORMATS:
        expected = f"one of {', '.join(FORMATS)}"
        raise DataError(
            Problem("format-unknown", location=place, expected=expected, found=repr(name), fix="correct the name")
        )
    return FORMATS[name]


def detect(path: Path) -> Format:
    """The one format that a file or folder can be. Raises :class:`DataError` (file-missing, format-unknown)."""
    found = looks(path)
    if len(found) == 1:
        return FORMATS[found[0]]
    listed = "; ".join(f"{each.name}: {each.summary}" for each in FORMATS.values())
    said = f"what could be {' or '.join(found)}" if found else "none of them for sure"
    hint = "say which it is: --from FORMAT"
    if path.is_dir():
        hint = "name the files in it (train=FILE test=FILE), or say which it is: --from FORMAT"
    raise DataError(
        Problem(
            "format-unknown",
            location=files.shown(path),
            expected=f"a format that is known ({listed})",
            found=said,
            fix=hint,
        )
    )


def looks(path: Path) -> list[str]:
    """The names of the formats that a file or folder looks like. Raises :class:`DataError` (file-missing)."""
    if not path.exists():
        raise DataError(
            Problem(
                "file-missing",
                location=files.shown(path),
                expected="a file or a folder",
                found="nothing",
                fix="check the path",
            )
        )
    head = ""
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(HEAD).decode("utf-8-sig", "ignore")
    rows = _rows(path, head)
    return [
        each.name
        for each in FORMATS.values()
        if (each.file is not None and (path.is_dir() or head or path.suffix == each.suffix) and each.file(path, head))
        or (each.row is not None and rows and all(map(each.row, rows)))
    ]


def _rows(path: Path, head: str) -> list[dict[str, Any]]:
    """Some objects at the beginning of a file of JSON; none if it is no JSON."""
    if head.lstrip().startswith("["):
        try:
            found = json.loads(path.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError, OSError):
            return []
        return [row for row in found[:SAMPLE] if isinstance(row, dict)]
    rows = []
    for line in head.split("\n")[: SAMPLE if head.count("\n") > 1 else None]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows
