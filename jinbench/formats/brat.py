"""brat standoff: a folder of texts (.txt) with annotations beside them (.ann).

Offsets count code points.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from jinbench.core import files
from jinbench.core.errors import DataError, shorten
from jinbench.core.text import is_file_name
from jinbench.core.types import Span
from jinbench.formats.base import (
    ConversionLog,
    Document,
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


def is_brat_folder(folder: Path) -> bool:
    return any(folder.rglob("*.ann"))


def read(path: Path, log: ConversionLog, offsets: str | None = None, **_: object) -> Iterator[Document]:
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
            annotations = files.read_text(ann_file)
        except DataError as error:
            log.add(*error.problems)
            continue
        if text is None:
            continue
        spans: list[Span] = []
        for number, line in enumerate(annotations.split("\n"), 1):
            spans += _read_line(line.removesuffix("\r"), text, f"{ann_location}:{number}", log, offsets)
        unique = sort_spans(dict.fromkeys(spans))
        yield Document(text, unique, id=stem.relative_to(path).as_posix(), location=text_location)


def _read_line(line: str, text: str, location: str, log: ConversionLog, offsets: str | None) -> tuple[Span, ...]:
    """Return the span of a line; otherwise log why there is none."""
    if not line.strip():
        return ()
    if line[0] in _LOST:
        log.log_loss(_LOST[line[0]], location, line[:60])
        return ()
    cells = line.split("\t")
    match = _PIECES.fullmatch(cells[1]) if len(cells) > 1 else None
    if line[0] != "T" or match is None:
        log.log_problem("wrong-shape", location, expected="T1<tab>Type start end<tab>surface", found=shorten(line),
                        fix="correct the line")  # fmt: skip
        return ()
    pieces = [tuple(map(int, piece.split())) for piece in match["pieces"].split(";")]
    if any(text[a[1] : b[0]].strip() or a[1] >= b[0] for a, b in itertools.pairwise(pieces)):
        log.log_loss("discontinuous", location, line[:60])
        return ()
    surface = cells[2] if len(cells) > 2 else None
    # brat writes a span over a line break in pieces, with a space between them in its surface
    joined = " ".join(text[a:b] for a, b in pieces)
    if surface is not None and re.sub(r"\s", " ", joined) == re.sub(r"\s", " ", surface):
        surface = None
    raw_span = (pieces[0][0], pieces[-1][1], match["type"], surface)
    return validate_spans(text, [raw_span], location, log, offsets or "code-points")


def write(documents: Iterable[Document], log: ConversionLog, **_: object) -> Iterator[tuple[str, bytes]]:
    """Yield (name, contents) of both files of each document, named by id or number."""
    used: set[str] = set()
    for number, document in enumerate(documents, 1):
        log_unsupported(document, log, groups=True, classes=True)
        name = f"{number:06d}" if document.id is None else "/".join(
            replace_characters(part, _IN_FILE_NAME, document.location, log).strip(". ") or "_"
            for part in document.id.split("/")
        )  # fmt: skip
        if name.casefold() in used or len(name.encode()) > 200 or not is_file_name(f"{name}.txt"):
            candidates = (f"{number:06d}{'_' * n}" for n in itertools.count())
            name = next(candidate for candidate in candidates if candidate not in used)
            if document.id is not None:
                log.log_loss("ids", document.location, f"{document.id} became {name}")
        used.add(name.casefold())
        lines = []
        for i, span in enumerate(document.spans, 1):
            type = replace_characters(span.type, _IN_TYPE, document.location, log)
            pieces = [(m.start() + span.start, m.end() + span.start) for m in re.finditer(r"[^\n]+", span.surface)]
            if not pieces or (pieces[0][0], pieces[-1][1]) != (span.start, span.end):
                pieces = [(span.start, span.end)]
            surface = re.sub(r"[\n\r\t]", " ", " ".join(document.text[a:b] for a, b in pieces))
            lines.append(f"T{i}\t{type} {';'.join(f'{a} {b}' for a, b in pieces)}\t{surface}\n")
        yield f"{name}.txt", document.text.encode()
        yield f"{name}.ann", "".join(lines).encode()
