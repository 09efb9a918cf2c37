"""CoNLL columns: a token and its tag on each line, an empty line after a sentence.

Written, a token is a character.
"""

import itertools
import re
from collections import Counter
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
    is_spaced,
    log_unsupported,
    remove_overlaps,
    replace_characters,
)
from jinbench.scoring import schemes

BATCH = 512  # sentences whose tags are decoded at once
HEAD = 2000  # lines from which the columns are known
TAGS_SHOWN = 12  # of an invalid sequence
DOCSTART = "-DOCSTART-"  # the token before each document where a corpus has documents
TAG = re.compile(r"O|[A-Z]-\S+")
_NEW_DOCUMENT = re.compile(r"#\s*newdoc\b")  # the same in CoNLL-U
_NOTHING = ("_", "-", "-X-")  # a cell that says nothing
_NUMBERED = re.compile(r".\d+", re.DOTALL)
_IN_TAG = re.compile(r"\S")

Line: TypeAlias = tuple[int, str, str]  # number, token, tag
TokenSpan: TypeAlias = tuple[int, int, str]  # first token, token behind the last, type


def is_conll(path: Path, head: str) -> bool:
    """Return whether the beginning of a file is columns, the last one of tags."""
    lines = [line.split() for line in head.split("\n")[:200][: -1 if head.count("\n") < 200 else None] if line.strip()]
    lines = lines or [line.split() for line in head.split("\n") if line.strip()]
    rows = [line for line in lines if line[0] != DOCSTART and not line[0].startswith("#")]
    tagged = [len(row) > 1 and bool(TAG.fullmatch(row[-1])) for row in rows]
    return any(tagged) and all(tagged[1:])  # the first may be one of titles


def read(path: Path, log: ConversionLog, scheme: str = "BIO", repair: str | None = None, join: str | None = None,
         name: str | None = None, column: int = -1, **_: object) -> Iterator[Document]:  # fmt: skip
    """Read the sentences of a file, with `join` between tokens; documents are named by `name`.

    The first column is the token, or its number, and the second the token; the last is the tag, or `column`, counted
    from the end.

    Tags that the scheme forbids are problems (wrong-tags) that end the conversion, unless a repair is named.
    """
    schemes.check_scheme(scheme, repair)
    decoder = _TagDecoder(files.display_path(path), scheme, repair, log)
    numbered, glue = None, join or ""
    sentences = _read_sentences(path, log, column)
    while grouped := list(itertools.islice(sentences, BATCH)):
        if numbered is None:  # Weibo NER writes the place in the word behind each character
            numbered = all(_is_numbered(token) for _, lines in grouped for _, token, _ in lines)
        decoded = decoder.decode([lines for _, lines in grouped])
        for (group, lines), token_spans in zip(grouped, decoded, strict=True):
            location = decoder.location(lines[0])
            tokens = [token for _, token, _ in lines]
            if numbered:
                log.log_loss("numbers", location, tokens[0], sum(map(_is_numbered, tokens)))
                tokens = [token[0] if _is_numbered(token) else token for token in tokens]
            if join is None and any(
                len(a + b) > 2 and is_spaced(a[-1]) and is_spaced(b[0]) for a, b in itertools.pairwise(tokens)
            ):
                log.log_remark("words were joined without a space; for one between tokens: --join ' '", location)
            starts = list(itertools.accumulate((len(token) + len(glue) for token in tokens), initial=0))
            text = glue.join(tokens)
            offsets = ((starts[a], starts[b] - len(glue), type) for a, b, type in token_spans)
            spans = tuple(Span(start, end, type, text[start:end]) for start, end, type in offsets)
            document = f"{name or path.name}-D{group}" if group else None
            yield Document(text, spans, group=document, location=location)


def _is_numbered(token: str) -> bool:
    return _NUMBERED.fullmatch(token) is not None


def _read_sentences(path: Path, log: ConversionLog, column: int) -> Iterator[tuple[int, list[Line]]]:
    """Yield the number of the document of each sentence, 0 if the file has none, and its lines.

    One whose lines are not as most in the file is left out, and a problem.
    """
    file_location, documents = files.display_path(path), 0
    lines: list[Line] = []
    valid = True
    try:
        with files.open_file(path) as file:
            width, token, titles = _find_columns(itertools.islice(_decode_lines(path, file, ConversionLog()), HEAD))
        least = token + 1 - column
        if token:
            log.log_remark("the first column numbers the tokens, which are in the second", file_location)
        with files.open_file(path) as file:
            for number, line in itertools.chain(_decode_lines(path, file, log), [(0, "")]):
                location, cells = f"{file_location}:{number}", _split(line)
                is_document = cells[0] == DOCSTART or _NEW_DOCUMENT.match(line)
                if is_document or not line.strip(" \t"):
                    if lines and valid:
                        yield documents, lines
                    lines, valid, documents = [], True, documents + bool(is_document)
                elif number == titles or _is_comment(cells, width) or (token and not cells[0].isdecimal()):
                    log.log_loss("comments", location, line)
                elif len(cells) != width or width < least or not cells[token]:
                    valid = False
                    log.log_problem(
                        "wrong-shape", location, found=f"{len(cells)}: {line[:40]!r}",
                        expected=f"{max(width, least)} columns, the first a token, the last its tag, as in most lines",
                        fix="correct the line (its sentence is left out), or name another format: --from FORMAT",
                    )  # fmt: skip
                else:
                    lines.append((number, cells[token], cells[column]))
                    unread = enumerate(cells[token + 1 : column], token + 2)
                    log.log_fields({f"column {n}": cell for n, cell in unread if cell not in _NOTHING}, (), location)
    except OSError as error:
        log.add(files.unreadable_problem(path, error))


def _split(line: str) -> list[str]:
    first, *others = re.split(r"[ \t]+", line.rstrip(" \t"))
    return [first or line[:1].strip("\t"), *others]  # a space is a token


def _is_comment(cells: Sequence[str], width: int) -> bool:
    is_row = len(cells) == width and (cells[0] != "#" or TAG.fullmatch(cells[-1]) is not None)
    return cells[0].startswith("#") and not is_row


def _find_columns(head: Iterable[tuple[int, str]]) -> tuple[int, int, int]:
    """Return the number of columns of most rows, the index of that of tokens, and the line of titles, 0 for none."""
    rows = [(number, _split(line)) for number, line in head if line.strip(" \t")]
    widths = Counter(len(cells) for _, cells in rows if TAG.fullmatch(cells[-1])) or Counter(len(c) for _, c in rows)
    width = max(widths, key=widths.__getitem__, default=0)
    rows = [(n, cells) for n, cells in rows if cells[0] != DOCSTART and not _is_comment(cells, width)]
    titles, lasts = 0, [cells[-1] for _, cells in rows]
    if (
        any(map(TAG.fullmatch, lasts))
        and len(rows[0][1]) > 1 == lasts.count(lasts[0])
        and not re.match(r"O\Z|[A-Z][-_]", lasts[0])
    ):
        titles = rows.pop(0)[0]
    numbers = [int(cells[0]) for _, cells in rows if cells[0].isdecimal()]
    is_index = (
        width > 2
        and all(re.fullmatch(r"\d+([-.]\d+)?", cells[0]) for _, cells in rows)
        and all(after in (0, 1, before + 1) for before, after in itertools.pairwise([-1, *numbers]))
        and max(numbers, default=0) > 1
    )
    return width, int(is_index), titles


def _decode_lines(path: Path, file: BinaryIO, log: ConversionLog) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line, up to the first that is no text."""
    position = 0
    first = file.readline()  # of a file whose lines end in CR alone, all of it
    lines = first.splitlines(keepends=True) if first.find(b"\r") >= 0 and b"\n" not in first else [first]
    for number, raw in enumerate(itertools.chain(lines, file), 1):
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
        self.is_iob1 = True  # the tags so far may be

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
            pairs = (pair for row in tags for pair in itertools.pairwise(["O", *row]))
            self.is_iob1 &= all(tag[:2] != "B-" or before[2:] == tag[2:] for before, tag in pairs)
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
        if self.is_iob1 and self.scheme in matching:
            return "the tags look like IOB1, in which B- stands only between two spans of a type: --repair begin"
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
