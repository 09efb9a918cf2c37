"""CoNLL columns: a token and its tag on each line, an empty line after a sentence.

Written, a token is a character.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias

from jinbench.core import files
from jinbench.core.errors import DataError
from jinbench.core.types import Span
from jinbench.formats.base import (
    BLANK,
    ConversionLog,
    Document,
    log_unsupported,
    remove_overlaps,
    replace_characters,
)
from jinbench.scoring import schemes

BATCH = 512  # sentences whose tags are decoded at once
TAGS_SHOWN = 12  # of an invalid sequence
DOCSTART = "-DOCSTART-"  # the token before each document where a corpus has documents
TAG = re.compile(r"O|[A-Z]-\S+")
_NUMBERED = re.compile(r".\d+", re.DOTALL)
_IN_TAG = re.compile(r"\S")

Line: TypeAlias = tuple[int, str, str]  # number, token, tag
TokenSpan: TypeAlias = tuple[int, int, str]  # first token, token behind the last, type


def is_conll(path: Path, head: str) -> bool:
    """Return whether the beginning of a file is columns, the last one of tags."""
    lines = [line.split() for line in head.split("\n")[:200][: -1 if head.count("\n") < 200 else None] if line.strip()]
    lines = lines or [line.split() for line in head.split("\n") if line.strip()]
    return bool(lines) and all(len(line) > 1 and TAG.fullmatch(line[-1]) for line in lines if line[0] != "#")


def read(path: Path, log: ConversionLog, scheme: str = "BIO", repair: str | None = None, join: str = "",
         column: int = -1, **_: object) -> Iterator[Document]:  # fmt: skip
    """Read the sentences of a file, with `join` between tokens.

    The first column is the token, the last the tag; or `column`, counted from the end.

    Tags that the scheme forbids are problems (wrong-tags) that end the conversion, unless a repair is named.
    """
    schemes.check_scheme(scheme, repair)
    decoder = _TagDecoder(files.display_path(path), scheme, repair, log)
    group, documents, numbered = None, 0, None
    sentences = _read_sentences(path, log, column)
    while batch := list(itertools.islice(sentences, BATCH)):
        if numbered is None:  # Weibo NER writes the place in the word behind each character
            numbered = all(_is_numbered(token) for lines in batch for _, token, _ in lines if token != DOCSTART)
        grouped: list[tuple[list[Line], str | None]] = []
        for lines in batch:
            if lines[0][1] == DOCSTART:
                documents += 1
                group = f"{path.stem}-D{documents}"
                lines = lines[1:]
            if lines:
                grouped.append((lines, group))
        decoded = decoder.decode([lines for lines, _ in grouped])
        for (lines, sentence_group), token_spans in zip(grouped, decoded, strict=True):
            location = decoder.location(lines[0])
            tokens = [token for _, token, _ in lines]
            if numbered:
                log.log_loss("numbers", location, tokens[0], sum(map(_is_numbered, tokens)))
                tokens = [token[0] if _is_numbered(token) else token for token in tokens]
            starts = list(itertools.accumulate((len(token) + len(join) for token in tokens), initial=0))
            text = join.join(tokens)
            offsets = ((starts[a], starts[b] - len(join), type) for a, b, type in token_spans)
            spans = tuple(Span(start, end, type, text[start:end]) for start, end, type in offsets)
            yield Document(text, spans, group=sentence_group, location=location)


def _is_numbered(token: str) -> bool:
    return _NUMBERED.fullmatch(token) is not None


def _read_sentences(path: Path, log: ConversionLog, column: int) -> Iterator[list[Line]]:
    """Yield the lines of each sentence.

    One whose lines are not all alike is left out, and a problem.
    """
    file_location, columns, least = files.display_path(path), 0, 1 - column
    try:
        with files.open_file(path) as file:
            lines: list[Line] = []
            valid = True
            for number, line in _decode_lines(path, file, log):
                location = f"{file_location}:{number}"
                if not line.strip(" \t"):
                    if lines and valid:
                        yield lines
                    lines, valid = [], True
                    continue
                cells = re.split(r"[ \t]+", line.rstrip(" \t"))
                cells[0] = cells[0] or line[0]  # a space or a tab is the token
                if line.startswith("# ") and not TAG.fullmatch(cells[-1]):
                    log.log_loss("comments", location, line)
                    continue
                columns = columns or len(cells)
                if cells[0] == DOCSTART:
                    cells = [DOCSTART, *["O"] * -column]
                elif len(cells) != columns or columns < least:
                    valid = False
                    log.log_problem(
                        "wrong-shape", location, found=f"{len(cells)}: {line[:40]!r}",
                        expected=f"{max(columns, least)} columns, the first a token, the last its tag, as above",
                        fix="correct the line (its sentence is left out), or name another format: --from FORMAT",
                    )  # fmt: skip
                lines.append((number, cells[0], cells[column] if len(cells) >= least else "O"))
            if lines and valid:
                yield lines
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        log.log_problem("file-missing", file_location, expected="a readable file", found=reason, fix="check the path")


def _decode_lines(path: Path, file: BinaryIO, log: ConversionLog) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line, up to the first that is no text."""
    position = 0
    for number, raw in enumerate(file, 1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            log.add(files.not_utf8_problem(path, number, raw[error.start], position + error.start))
            return
        if "\0" in line:
            log.log_problem("file-binary", f"{files.display_path(path)}:{number}", expected="text",
                            found="a NUL character", fix="unpack the file, or convert it to text")  # fmt: skip
            return
        position += len(raw)
        yield number, line.removesuffix("\n").removesuffix("\r")


class _TagDecoder:
    """Decodes the tags of one file; repairs or logs invalid sequences."""

    def __init__(self, path: str, scheme: str, repair: str | None, log: ConversionLog) -> None:
        self.path, self.scheme, self.repair, self.log = path, scheme, repair, log
        self.prefixes: set[str] = set()  # of all tags so far

    def location(self, line: Line) -> str:
        return f"{self.path}:{line[0]}"

    def decode(self, sentences: Sequence[list[Line]]) -> list[list[TokenSpan]]:
        """Return the spans of each sentence."""
        tags = [[tag for _, _, tag in lines] for lines in sentences]
        self.prefixes |= {tag.partition("-")[0] for sentence_tags in tags for tag in sentence_tags}
        types = schemes.list_types({tag for sentence_tags in tags for tag in sentence_tags})
        try:
            return _decode(tags, types, self.scheme)
        except DataError:
            return [self._decode_sentence(lines, tags, types) for lines, tags in zip(sentences, tags, strict=True)]

    def _decode_sentence(self, lines: list[Line], tags: list[str], types: Sequence[str]) -> list[TokenSpan]:
        try:
            return _decode([tags], types, self.scheme)[0]
        except DataError as error:
            (problem, *_) = error.problems
        numbers = re.findall(r"\d+", problem.location.partition(",")[2])
        first, last = int(numbers[0]), int(numbers[-1])
        location, sequence = self.location(lines[first]), " ".join(tags[max(first - 1, 0) : last + 2][:TAGS_SHOWN])
        if self.repair:
            try:
                spans = _decode([tags], types, self.scheme, self.repair)[0]
            except DataError:
                pass
            else:
                self.log.log_loss("repaired", location, sequence)
                return spans
        self.log.log_problem("wrong-tags", location, expected=problem.expected, found=sequence, fix=self._fix())
        return []

    def _fix(self) -> str:
        used = self.prefixes - {"O"}
        matching = [name for name, letters in schemes.SCHEMES.items() if used <= letters.keys()]
        if matching and self.scheme not in matching:
            return f"the tags look like {matching[0]}: --scheme {matching[0]}"
        repairs = "; ".join(f"{name}: {description}" for name, description in schemes.REPAIRS.items())
        return f"correct the tags, or name a repair: --repair; {repairs}"


def _decode(
    tags: Sequence[Sequence[str]], types: Sequence[str], scheme: str, repair: str | None = None
) -> list[list[TokenSpan]]:
    table = schemes.tags_to_table(tags, types, scheme, repair)
    spans: list[list[TokenSpan]] = [[] for _ in tags]
    columns = (table.item.tolist(), table.start.tolist(), table.end.tolist(), table.type.tolist())
    for item, start, end, type in zip(*columns, strict=True):
        spans[item].append((start, end, types[type]))
    return spans


def write(documents: Iterable[Document], log: ConversionLog, scheme: str = "BIO", **_: object) -> Iterator[bytes]:
    """Yield one character and its tag on each line; of spans that overlap, one.

    Raise :class:`DataError` (wrong-scheme).
    """
    schemes.check_scheme(scheme)
    for document in documents:
        if not log_unsupported(document, log, ids=True, groups=True, classes=True, empty=True):
            continue
        spans = [
            span._replace(type=replace_characters(span.type, _IN_TAG, document.location, log))
            for span in remove_overlaps(document, log)
        ]
        lines = []
        for i, (c, tag) in enumerate(zip(document.text, to_tags(len(document.text), spans, scheme), strict=True)):
            if c.isspace() or c in "\0\ufeff":
                log.log_loss("white-space", document.location, f"U+{ord(c):04X} at {i}")
                c = BLANK
            lines.append(f"{c} {tag}\n")
        yield ("".join(lines) + "\n").encode()


def to_tags(length: int, spans: Iterable[Span], scheme: str) -> list[str]:
    """Return one tag for each of `length` tokens. The spans must not overlap."""
    letters = {meaning: letter for letter, meaning in schemes.SCHEMES[scheme].items()}
    tags = ["O"] * length
    for span in spans:
        prefixes = [letters["B"], *letters["I"] * (span.end - span.start - 1)]
        if "E" in letters:
            prefixes[-1] = letters["E"] if len(prefixes) > 1 else letters["S"]
        tags[span.start : span.end] = [f"{prefix}-{span.type}" for prefix in prefixes]
    return tags
