"""brat's standoff: a folder of texts (.txt) with their annotations beside them (.ann). Offsets count code points."""

import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from jinbench.core import files
from jinbench.core.errors import DataError, shorten
from jinbench.core.types import Span
from jinbench.formats.base import ConversionLog, Document, named, spans_in, text_of, without

_KINDS = {"R": "relations", "E": "relations", "*": "relations", "A": "attributes", "M": "attributes",
          "N": "attributes", "#": "attributes"}  # fmt: skip
_TYPE = re.compile(r"[^\s;]")
_FILE = re.compile(r"[\w\-.@+ ]")
_PIECES = re.compile(r"(?P<type>\S+) (?P<pieces>[0-9]{1,9} [0-9]{1,9}(?:;[0-9]{1,9} [0-9]{1,9})*)")


def looks(folder: Path) -> bool:
    return any(folder.rglob("*.ann"))


def read(path: Path, notes: ConversionLog, offsets: str | None = None, **_: object) -> Iterator[Document]:
    """Every text of a folder, and of those below it, in order of their names; the id is the name.

    An annotation without its text is a problem (file-missing), which ends the conversion.
    """
    texts = {file.with_suffix("") for file in path.rglob("*.txt")}
    for stem in sorted(texts | {file.with_suffix("") for file in path.rglob("*.ann")}):
        text_file, ann_file = stem.with_name(f"{stem.name}.txt"), stem.with_name(f"{stem.name}.ann")
        shown = files.shown(ann_file)
        if not text_file.is_file():
            expected, hint = f"its text beside it: {text_file.name}", "put the text there, or take the .ann away"
            notes.problem("file-missing", shown, expected, "none", hint)
            continue
        if not ann_file.is_file():
            notes.log_loss("unlabelled", files.shown(text_file), "no .ann beside it")
            continue
        try:
            text = text_of(files.read_text(text_file), files.shown(text_file), notes)
            annotations = files.read_text(ann_file)
        except DataError as error:
            for problem in error.problems:
                notes.add(problem)
            continue
        if text is None:
            continue
        spans: list[Span] = []
        for number, line in enumerate(annotations.split("\n"), 1):
            line, place = line.removesuffix("\r"), f"{shown}:{number}"
            if not line.strip():
                continue
            if line[0] in _KINDS:
                notes.log_loss(_KINDS[line[0]], place, line[:60])
                continue
            cells = line.split("\t")
            match = _PIECES.fullmatch(cells[1]) if len(cells) > 1 else None
            if line[0] != "T" or match is None:
                expected, hint = "T1<tab>Type start end<tab>surface", "mend the line"
                notes.problem("wrong-shape", place, expected, shorten(line), hint)
                continue
            pieces = [tuple(map(int, piece.split())) for piece in match["pieces"].split(";")]
            if any(text[a[1] : b[0]].strip() or a[1] >= b[0] for a, b in itertools.pairwise(pieces)):
                notes.log_loss("discontinuous", place, line[:60])
                continue
            surface = cells[2] if len(cells) > 2 else None
            start, end = pieces[0][0], pieces[-1][1]
            # brat writes a span over a line break in pieces, with a space between them in its surface
            here = " ".join(text[a:b] for a, b in pieces)
            same = surface is not None and re.sub(r"\s", " ", here) == re.sub(r"\s", " ", surface)
            spans += spans_in(text, [(start, end, match["type"], None if same else surface)], place, notes,
                              offsets or "code-points")  # fmt: skip
        unique = sorted(dict.fromkeys(spans), key=lambda span: (span.start, -span.end))
        yield Document(text, tuple(unique), id=stem.relative_to(path).as_posix(), place=files.shown(text_file))


def write(found: Iterable[Document], notes: ConversionLog, offsets: str | None = None,
          **_: object) -> Iterator[tuple[str, bytes]]:  # fmt: skip
    """(name, contents) of the two files of each document, named by its id or by its number."""
    used: set[str] = set()
    for number, document in enumerate(found, 1):
        without(document, notes, groups=True, classes=True)
        name = f"{number:06d}" if document.id is None else "/".join(
            named(part, _FILE, document.place, notes).strip(". ") or "_" for part in document.id.split("/")
        )  # fmt: skip
        if name.casefold() in used or len(name.encode()) > 200:
            name = next(each for n in itertools.count() if (each := f"{number:06d}{'_' * n}") not in used)
            if document.id is not None:
                notes.log_loss("ids", document.place, f"{document.id} became {name}")
        used.add(name.casefold())
        lines = []
        for i, span in enumerate(document.spans, 1):
            type = named(span.type, _TYPE, document.place, notes)
            pieces = [(m.start() + span.start, m.end() + span.start) for m in re.finditer(r"[^\n]+", span.surface)]
            whole = not pieces or (pieces[0][0], pieces[-1][1]) != (span.start, span.end)
            pieces = [(span.start, span.end)] if whole else pieces
            surface = re.sub(r"[\n\r\t]", " ", " ".join(document.text[a:b] for a, b in pieces))
            lines.append(f"T{i}\t{type} {';'.join(f'{a} {b}' for a, b in pieces)}\t{surface}\n")
        yield f"{name}.txt", document.text.encode()
        yield f"{name}.ann", "".join(lines).encode()
