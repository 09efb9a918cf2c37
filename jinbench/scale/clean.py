"""Texts as strangers' files hold them, made into passages: control characters, white space, repairs, lines."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jinbench.core.text import split_sentences
from jinbench.seeds.repairs import Char, repaired, strip, text_of

LONGEST = 20_000  # characters of a passage: a longer line becomes several

# What no reader sees and no file should hold; half a surrogate pair cannot even be written.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u200b\u2060\ufeff\ud800-\udfff]")
_WHITE = re.compile(r"\s+")


class Paragraph(NamedTuple):
    """A passage in the making; `[start, end)`: the stretch of the article's own text that it was made from.

    `cut`: the line goes on in the next one.
    """

    start: int
    end: int
    text: str
    cut: bool = False


def paragraphs(text: str, repairs: Sequence[str] = ()) -> Iterator[Paragraph]:
    """The lines of a text that have something in them, cleaned.

    Control characters are dropped, white space becomes one space, then each repair of `restoring` is made on the line
    alone. A line of more than `LONGEST` characters is cut behind the last sentence that ends before, or right there.
    """
    at = 0
    for line in text.splitlines(keepends=True):
        for start, end, cut in _pieces(line):
            cleaned = clean(line[start:end], repairs)
            if cleaned:
                yield Paragraph(at + start, at + end, cleaned, cut)
        at += len(line)


def _pieces(line: str) -> Iterator[tuple[int, int, bool]]:
    """Stretches of a line without the white space at its ends, none longer than `LONGEST`."""
    start, end = len(line) - len(line.lstrip()), len(line.rstrip())
    while end - start > LONGEST:
        ends = [each.end for each in split_sentences("", line[start : start + LONGEST])[:-1]]
        stop = start + (ends[-1] if ends else LONGEST)
        yield start, stop, True
        start = stop
    if start < end:
        yield start, end, False


def clean(text: str, repairs: Sequence[str] = ()) -> str:
    """A text on one line. The names of the repairs must be known: see `restoring.REPAIR_NAMES`."""
    text = _WHITE.sub(" ", _CONTROL.sub("", text)).strip()
    if not repairs or not text:
        return text
    chars = repaired([Char(char, i) for i, char in enumerate(text)], repairs)
    return text_of(strip(chars))
