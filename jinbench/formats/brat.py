"""brat standoff: a folder of texts (.txt) with annotations beside them (.ann).

Offsets count code points.
"""

import codecs
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from jinbench.core import files
from jinbench.core.errors import DataError, shorten
from jinbench.core.spans import RawSpan
from jinbench.core.text import is_file_name
from jinbench.core.types import Span
from jinbench.formats.base import (
    ConversionLog,
    Document,
    index_offsets,
    log_unsupported,
    replace_characters,
    sort_spans,
    validate_spans,
    validate_text,
)

_LOST = {"R": "relations", "E": "relations", "*": "relations", "A": "attributes", "M": "attributes",
         "N": "attributes", "#": "attributes"}  # fmt: skip
_IN_TYPE = re.compile(r"[^\s;]")
_IN_FILE_NAME = re.compile(r"[\w\-.@+ ]")
_PIECES = re.compile(r"(?P<type>\S+) (?P<pieces>[0-9]{1,9} [0-9]{1,9}(?:;[0-9]{1,9} [0-9]{1,9})*)")

# Location, line, pieces, and what is from the first piece to the last.
_TextBound: TypeAlias = tuple[str, str, list[tuple[int, int]], RawSpan]


def is_brat_folder(folder: Path) -> bool:
    return any(folder.rglob("*.ann"))


def read(path: Path, log: ConversionLog, offsets: str | None = None, crlf: str | None = None,
         **_: object) -> Iterator[Document]:  # fmt: skip
    """Read every text of a folder and of those below it, by name; the id is the name.

    An annotation without its text is a problem (file-missing), which ends the conversion.
    """
    stems = {file.with_suffix("") for suffix in ("txt", "ann") for file in path.rglob(f"*.{suffix}")}
    for stem in sorted(stems):
        text_file, ann_file = stem.with_name(f"{stem.name}.txt"), stem.with_name(f"{stem.name}.ann")
        text_location, ann_location = files.display_path(text_file), files.display_path(ann_file)
        if not text_file.is_file():
            log.log_problem("file-missing", ann_location, expected=f"its text beside it: {text_file.name}",
                            found="none", fix="put the text beside it, or remove the .ann")  # fmt: skip
            continue
        if not ann_file.is_file():
            log.log_loss("unlabelled", text_location, "no .ann beside it")
            continue
        try:
            text = validate_text(files.read_text(text_file), text_location, log)
            lines = re.split("\r\n?|\n", files.read_text(ann_file))
        except DataError as error:
            log.add(*error.problems)
            continue
        if text is None:
            continue
        annotations = [
            annotation
            for number, line in enumerate(lines, 1)
            if line.strip() and (annotation := _read_line(line, f"{ann_location}:{number}", log))
        ]
        raw_spans = [raw_span for *_, raw_span in annotations]
        bom = files.read_bytes(text_file).startswith(codecs.BOM_UTF8)
        index = index_offsets(text, raw_spans, text_location, log, offsets, crlf, bom)
        spans, known = list[Span](), set(index)
        for location, line, pieces, raw_span in annotations:
            gaps = [text[index[a] : index[b]] for (_, a), (b, _) in itertools.pairwise(pieces) if {a, b} <= known]
            if len(gaps) < len(pieces) - 1 or any(not gap or gap.strip() for gap in gaps):
                log.log_loss("discontinuous", location, line[:60])  # line breaks alone divide a span
            else:
                spans += validate_spans(text, [raw_span], location, log, offsets, index=index)
        unique = sort_spans(dict.fromkeys(spans))
        yield Document(text, unique, id=stem.relative_to(path).as_posix(), location=text_location)


def _read_line(line: str, location: str, log: ConversionLog) -> _TextBound | None:
    """Return the annotation of a line; otherwise log why there is none."""
    if line[0] in _LOST:
        log.log_loss(_LOST[line[0]], location, line[:60])
        return None
    cells = line.split("\t")
    match = _PIECES.fullmatch(cells[1]) if len(cells) > 1 else None
    if line[0] != "T" or match is None:
        log.log_problem("wrong-shape", location, expected="T1<tab>Type start end<tab>surface", found=shorten(line),
                        fix="correct the line")  # fmt: skip
        return None
    pairs = (piece.split() for piece in match["pieces"].split(";"))
    pieces = [(int(start), int(end)) for start, end in pairs]
    surface = cells[2] if len(cells) > 2 else None
    return location, line, pieces, (pieces[0][0], pieces[-1][1], match["type"], surface)


def write(documents: Iterable[Document], log: ConversionLog, **_: object) -> Iterator[tuple[str, bytes]]:
    """Yield (name, contents) of both files of each document, named by id or number."""
    written: set[str] = set()
    parents: set[str] = set()  # the folders that they are in
    for number, document in enumerate(documents, 1):
        log_unsupported(document, log, groups=True, classes=True)
        name = f"{number:06d}" if document.id is None else "/".join(
            replace_characters(part, _IN_FILE_NAME, document.location, log).strip(". ") or "_"
            for part in document.id.split("/")
        )  # fmt: skip
        pair, folders = _list_paths(name)
        is_free = not (pair & (written | parents) or folders & written)
        if not is_free or len(name.encode()) > 200 or not is_file_name(f"{name}.txt"):
            numbered = (f"{number:06d}{'_' * n}" for n in itertools.count())
            name = next(name for name in numbered if not _list_paths(name)[0] & (written | parents))
            pair, folders = _list_paths(name)
            if document.id is not None:
                log.log_loss("ids", document.location, f"{document.id} became {name}")
        written |= pair
        parents |= folders
        lines = []
        for i, span in enumerate(document.spans, 1):
            type = replace_characters(span.type, _IN_TYPE, document.location, log)
            pieces = [(m.start() + span.start, m.end() + span.start) for m in re.finditer(r"[^\n]+", span.surface)]
            if not pieces or (pieces[0][0], pieces[-1][1]) != (span.start, span.end):
                pieces = [(span.start, span.end)]
            surface = re.sub(r"[\n\r\t]", " ", " ".join(document.text[a:b] for a, b in pieces))
            lines.append(f"T{i}\t{type} {';'.join(f'{a} {b}' for a, b in pieces)}\t{surface}\n")
        # A character that would be taken for a byte order mark gets one before it.
        yield f"{name}.txt", document.text.encode("utf-8-sig" if document.text.startswith("\ufeff") else "utf-8")
        yield f"{name}.ann", "".join(lines).encode()


def _list_paths(name: str) -> tuple[set[str], set[str]]:
    """Return the files of a document and the folders that they are in, in lower case as some disks compare them."""
    name = name.casefold()
    parts = name.split("/")
    return {f"{name}.txt", f"{name}.ann"}, {"/".join(parts[:n]) for n in range(1, len(parts))}
