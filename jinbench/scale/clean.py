"""Clean texts into paragraphs: control characters, white space, repairs, lines."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jinbench.core.text import split_sentences
from jinbench.seeds.repairs import Char, apply_repairs, strip_chars, to_text

MAX_CHARACTERS = 20_000  # of a passage: a longer line becomes several

# What no reader sees and no file should hold; half a surrogate pair cannot even be written.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u200b\u2060\ufeff\ud800-\udfff]")
_WHITE = re.compile(r"\s+")


class Paragraph(NamedTuple):
    """A cleaned line, and the range `[start, end)` of the article's text behind it.

    `cut`: the line goes on in the next one.
    """

    start: int
    end: int
    text: str
    cut: bool = False


def split_paragraphs(text: str, repairs: Sequence[str] = ()) -> Iterator[Paragraph]:
    """Yield the cleaned lines of a text that are not empty.

    A line of more than `MAX_CHARACTERS` is cut behind the last sentence that ends before, or else right there.
    """
    offset = 0
    for line in text.splitlines(keepends=True):
        for start, end, cut in _cut_line(line):
            cleaned = clean_text(line[start:end], repairs)
            if cleaned:
                yield Paragraph(offset + start, offset + end, cleaned, cut)
        offset += len(line)


def _cut_line(line: str) -> Iterator[tuple[int, int, bool]]:
    """Yield ranges of a stripped line, none longer than `MAX_CHARACTERS`."""
    start, end = len(line) - len(line.lstrip()), len(line.rstrip())
    while end - start > MAX_CHARACTERS:
        ends = [sentence.end for sentence in split_sentences("", line[start : start + MAX_CHARACTERS])[:-1]]
        stop = start + (ends[-1] if ends else MAX_CHARACTERS)
        yield start, stop, True
        start = stop
    if start < end:
        yield start, end, False


def clean_text(text: str, repairs: Sequence[str] = ()) -> str:
    """Return a cleaned and repaired text on one line.

    Control characters are removed, white space becomes one space, then repairs are made. The repairs must be valid
    names: see `jinbench.seeds.repairs.REPAIR_NAMES`.
    """
    text = _WHITE.sub(" ", _CONTROL.sub("", text)).strip()
    if not repairs or not text:
        return text
    chars = apply_repairs([Char(char, i) for i, char in enumerate(text)], repairs)
    return to_text(strip_chars(chars))
