"""Columns: a token and its tag on each line, an empty line behind each sentence. Here a token is a character."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from jinbench.core import files
from jinbench.core.errors import DataError, Problem
from jinbench.core.types import Span
from jinbench.formats.base import BLANK, ConversionLog, Document, flat, named, without
from jinbench.scoring import schemes

BATCH = 512  # sentences whose tags are read at once
SHOWN = 12  # tags of an invalid sequence that are shown
DOCUMENT = "-DOCSTART-"  # what stands before each document where a corpus has documents
TAG = re.compile(r"O|[A-Z]-\S+")
_NUMBERED = re.compile(r".\d+", re.DOTALL)
_IN_TAG = re.compile(r"\S")

Line = tuple[int, str, str]  # its number, the token, the tag


def looks(path: Path, head: str) -> bool:
    """Whether the beginning of a file is columns, the last of tags."""
    lines = [line.split() for line in head.split("\n")[:200][: -1 if head.count("\n") < 200 else None] if line.strip()]
    lines = lines or [line.split() for line in head.split("\n") if line.strip()]
    return bool(lines) and all(len(line) > 1 and TAG.fullmatch(line[-1]) for line in lines if line[0] != "#")


def read(path: Path, notes: ConversionLog, scheme: str = "BIO", repair: str | None = None, join: str = "",
         **_: object) -> Iterator[Document]:  # fmt: skip
    """The sentences of a file, `join` between their tokens. Of the columns the first is the token, the last the tag.

    Tags that the scheme forbids are problems (wrong-tags) that end the conversion, unless a repair is named.
    """
    schemes.check(scheme, repair)
    shown, group, number, numbered = files.shown(path), None, 0, None
    prefixes: set[str] = set()
    sentences = _sentences(path, notes)
    while batch := list(itertools.islice(sentences, BATCH)):
        if numbered is None:  # Weibo NER writes the place in the word behind each character
            numbered = all(_is_numbered(token) for rows in batch for _, token, _ in rows if token != DOCUMENT)
        kept: list[tuple[list[Line], str | None]] = []
        for rows in batch:
            if rows[0][1] == DOCUMENT:
                number += 1
                group = f"{path.stem}-D{number}"
                rows = rows[1:]
            if rows:
                kept.append((rows, group))
        prefixes |= {tag.partition("-")[0] for rows, _ in kept for _, _, tag in rows}
        for (rows, of), spans in zip(kept, _spans([r for r, _ in kept], scheme, repair, shown, prefixes, notes),
                                     strict=True):  # fmt: skip
            tokens = [token for _, token, _ in rows]
            if numbered:
                notes.log_loss("numbers", f"{shown}:{rows[0][0]}", tokens[0], sum(map(_is_numbered, tokens)))
                tokens = [token[0] if _is_numbered(token) else token for token in tokens]
            starts = list(itertools.accumulate((len(token) + len(join) for token in tokens), initial=0))
            text = join.join(tokens)
            found = tuple(
                Span(starts[a], starts[b] - len(join), type, text[starts[a] : starts[b] - len(join)])
                for a, b, type in spans
            )
            yield Document(text, found, group=of, place=f"{shown}:{rows[0][0]}")


def _is_numbered(token: str) -> bool:
    return _NUMBERED.fullmatch(token) is not None


def _sentences(path: Path, notes: ConversionLog) -> Iterator[list[Line]]:
    """The lines of each sentence. One whose lines are not all alike is left out, and a problem."""
    shown, columns = files.shown(path), 0
    try:
        with path.open("rb") as file:
            rows: list[Line] = []
            whole = True
            for number, line in _decoded(path, file, notes):
                if not line.strip(" \t"):
                    if rows and whole:
                        yield rows
                    rows, whole = [], True
                    continue
                cells = re.split(r"[ \t]+", line.rstrip(" \t"))
                cells[0] = cells[0] or line[0]  # a space or a tab is the token
                if line.startswith("# ") and not TAG.fullmatch(cells[-1]):
                    notes.log_loss("comments", f"{shown}:{number}", line)
                    continue
                columns = columns or len(cells)
                if cells[0] == DOCUMENT:
                    cells = [DOCUMENT, "O"]
                elif len(cells) != columns or columns < 2:
                    whole = False
                    expected = f"{max(columns, 2)} columns, the first a token, the last its tag, as above"
                    hint = "mend the line; its sentence is left out. Is the file of another format?"
                    found = f"{len(cells)}: {line[:40]!r}"
                    notes.add(
                        Problem("wrong-shape", location=f"{shown}:{number}", expected=expected, found=found, fix=hint)
                    )
                rows.append((number, cells[0], cells[-1]))
            if rows and whole:
                yield rows
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        notes.problem("file-missing", shown, "a readable file", reason, "check the path")


def _decoded(path: Path, file: BinaryIO, notes: ConversionLog) -> Iterator[tuple[int, str]]:
    at = 0
    for number, raw in enumerate(file, 1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            notes.add(files.not_utf8(path, number, raw[error.start], at + error.start))
            return
        if "\0" in line:
            hint = "is the file packed or binary?"
            notes.problem("file-binary", f"{files.shown(path)}:{number}", "text", "a NUL character", hint)
            return
        at += len(raw)
        yield number, line.removesuffix("\n").removesuffix("\r")


def _spans(
    sentences: Sequence[list[Line]],
    scheme: str,
    repair: str | None,
    shown: str,
    prefixes: set[str],
    notes: ConversionLog,
) -> list[list[tuple[int, int, str]]]:
    """(first token, token behind the last, type) of each span of each sentence."""
    tags = [[tag for _, _, tag in rows] for rows in sentences]
    names = schemes.types_of({tag for row in tags for tag in row})
    try:
        return _decode(tags, names, scheme, None)
    except DataError:
        pass
    found = []
    for rows, row in zip(sentences, tags, strict=True):
        try:
            spans = _decode([row], names, scheme, None)[0]
        except DataError as error:
            first = re.findall(r"\d+", error.problems[0].location.partition(",")[2])
            a, b = int(first[0]), int(first[-1])
            place, sequence = f"{shown}:{rows[a][0]}", " ".join(row[max(a - 1, 0) : b + 2][:SHOWN])
            try:
                spans = _decode([row], names, scheme, repair)[0] if repair else []
            except DataError:
                repair_helps = False
            else:
                repair_helps = repair is not None
            if repair_helps:
                notes.log_loss("repaired", place, sequence)
            else:
                expected = error.problems[0].expected
                notes.problem("wrong-tags", place, expected, sequence, _advice(prefixes, scheme))
                spans = []
        found.append(spans)
    return found


def _decode(
    tags: Sequence[Sequence[str]], names: Sequence[str], scheme: str, repair: str | None
) -> list[list[tuple[int, int, str]]]:
    columns = schemes.of_tags(tags, names, scheme, repair)
    found: list[list[tuple[int, int, str]]] = [[] for _ in tags]
    parts = (columns.item.tolist(), columns.start.tolist(), columns.end.tolist(), columns.type.tolist())
    for item, start, end, type in zip(*parts, strict=True):
        found[item].append((start, end, names[type]))
    return found


def _advice(prefixes: set[str], scheme: str) -> str:
    used = prefixes - {"O"}
    fits = [name for name, letters in schemes.SCHEMES.items() if used <= letters.keys()]
    if fits and scheme not in fits:
        return f"the tags look like {fits[0]}: --scheme {fits[0]}"
    repairs = "; ".join(f"{name}: {what}" for name, what in schemes.REPAIRS.items())
    return f"mend the tags, or name a repair: --repair; {repairs}"


def write(documents: Iterable[Document], notes: ConversionLog, scheme: str = "BIO", **_: object) -> Iterator[bytes]:
    """One character and its tag on each line, a space between them; of spans that overlap, one.

    Raises :class:`DataError` (wrong-scheme).
    """
    schemes.check(scheme)
    for document in documents:
        if not without(document, notes, ids=True, groups=True, classes=True, empty=True):
            continue
        spans = [span._replace(type=named(span.type, _IN_TAG, document.place, notes)) for span in flat(document, notes)]
        lines = []
        for i, (c, tag) in enumerate(zip(document.text, to_tags(len(document.text), spans, scheme), strict=True)):
            if c.isspace() or c in "\0\ufeff":
                notes.log_loss("white-space", document.place, f"U+{ord(c):04X} at {i}")
                c = BLANK
            lines.append(f"{c} {tag}\n")
        yield ("".join(lines) + "\n").encode()


def to_tags(length: int, spans: Iterable[Span], scheme: str) -> list[str]:
    """One tag for each of `length` tokens, in a scheme of `jinbench.scoring.schemes`. The spans must not overlap."""
    letter = {meaning: letter for letter, meaning in schemes.SCHEMES[scheme].items()}
    tags = ["O"] * length
    for span in spans:
        inside = [letter["B"], *letter["I"] * (span.end - span.start - 1)]
        if "E" in letter:
            inside[-1] = letter["E"] if len(inside) > 1 else letter["S"]
        tags[span.start : span.end] = [f"{each}-{span.type}" for each in inside]
    return tags
