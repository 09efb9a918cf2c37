"""Where the words that somebody quotes stand in a text: exactly, or with widths folded; never by likeness.

Two writings are the same here if they differ in nothing but the width of characters (U+FF21 and A), the shape of
quotation marks (U+201C and U+0022) and white space. There is no edit distance and no other letter case: what is not
found in this way is not in the text.
"""

import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from jinbench.core.types import Span

_QUOTES = dict.fromkeys("“”„‟「」『』", '"') | dict.fromkeys("‘’‚‛", "'")

# Why a quotation has no place.
EMPTY, ABSENT, REPEATED, OVERLAP = "empty", "absent", "repeated", "overlap"
# How it got one.
OFFSETS, LEFT, EXACT, FOLDED = "offsets", "left", "exact", "folded"


class Folded(NamedTuple):
    """A text with widths folded and without white space; `at[i]` is where its character i stands in the original."""

    text: str
    at: tuple[int, ...]


def fold(text: str) -> Folded:
    """Every character becomes one or none, so that each can be traced back.

    Folded are the characters that Unicode decomposes as <wide> or <narrow> (as NFKC does), and quotation marks.
    """
    kept = [(place, _folded(char)) for place, char in enumerate(text) if not char.isspace()]
    return Folded("".join(char for _, char in kept), tuple(place for place, _ in kept))


def _folded(char: str) -> str:
    if unicodedata.decomposition(char).startswith(("<wide>", "<narrow>")):
        char = unicodedata.normalize("NFKC", char)
    return _QUOTES.get(char, char)


class Quoted(NamedTuple):
    """Words quoted from a text, with what is said about their place: `left` are the characters just before them."""

    surface: str
    type: str
    left: str | None = None
    start: int | None = None
    end: int | None = None


class Placed(NamedTuple):
    """Where quoted words stand, and how that was found. `ambiguous`: they stood elsewhere too, unquoted there."""

    start: int
    end: int
    how: str
    ambiguous: bool = False


class _Text:
    """A text, and what of it is taken."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.folded = fold(text)
        self.taken: list[tuple[int, int, str]] = []  # start, end, folded surface

    def exact(self, surface: str) -> list[tuple[int, int]]:
        return [(place, place + len(surface)) for place in _places(self.text, surface)]

    def loose(self, surface: str, left: str = "") -> list[tuple[int, int]]:
        """The places of `surface`, folded, that have `left` before them."""
        text, at = self.folded
        found = _places(text, surface)
        return [(at[p], at[p + len(surface) - 1] + 1) for p in found if text.endswith(left, 0, p)]

    def free(self, places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        return [(s, e) for s, e in places if all(e <= start or end <= s for start, end, _ in self.taken)]


def _places(text: str, words: str) -> list[int]:
    """Every place where `words` begin in `text`, from the left; they may overlap."""
    found, place = [], text.find(words) if words else -1
    while place >= 0:
        found.append(place)
        place = text.find(words, place + 1)
    return found


def align_quotes(text: str, quoted: Sequence[Quoted]) -> list[Placed | str]:
    """For each quotation its place in `text`, or why it has none: empty, absent, repeated or overlap.

    No two places overlap. Who says more about the place is served first: offsets that hold, then `left` that holds.
    Of the others the longest is served first, since labels are maximal: the short one does not take a place inside the
    long one. Each gets the first free place from the left, an exact one before one that is only the same when folded;
    so words that are quoted several times are placed in order. Offsets and `left` that do not hold are ignored.
    """
    page = _Text(text)
    surfaces = [entry.surface.strip() for entry in quoted]
    keys = [fold(surface).text for surface in surfaces]
    lefts = [fold(entry.left or "").text for entry in quoted]
    found: list[Placed | str] = [EMPTY if not key else ABSENT for key in keys]

    def hold(number: int, place: tuple[int, int], how: str, ambiguous: bool = False) -> None:
        found[number] = Placed(*place, how, ambiguous)
        page.taken.append((*place, keys[number]))

    waiting = [number for number, key in enumerate(keys) if key]
    for number in list(waiting):
        place = _offsets(text, quoted[number], keys[number])
        if place and page.free([place]):
            hold(number, place, OFFSETS)
            waiting.remove(number)
    for number in list(waiting):
        free = page.free(page.loose(keys[number], lefts[number])) if quoted[number].left is not None else []
        if lefts[number] and free:
            hold(number, free[0], LEFT)
            waiting.remove(number)
    open_ = Counter(keys[number] for number in waiting)
    for number in sorted(waiting, key=lambda number: -len(keys[number])):
        key = keys[number]
        everywhere = page.loose(key)
        free = page.free(everywhere)
        # A `left` that is given and empty speaks of the beginning of the text: the first place, however it is written.
        exact = page.free(page.exact(surfaces[number])) if quoted[number].left is None else []
        if free:
            place = exact[0] if exact else free[0]
            how = EXACT if text[slice(*place)] == surfaces[number] else FOLDED
            hold(number, place, how, len(free) > open_[key])
        elif everywhere:
            found[number] = REPEATED if _only(page, everywhere, key) else OVERLAP
        open_[key] -= 1
    return found


def _offsets(text: str, entry: Quoted, key: str) -> tuple[int, int] | None:
    start, end = entry.start, entry.end
    if start is None or end is None or not 0 <= start < end <= len(text):
        return None
    folded = fold(text[start:end])
    if folded.text != key:
        return None
    return start + folded.at[0], start + folded.at[-1] + 1


def _only(page: _Text, places: Sequence[tuple[int, int]], key: str) -> bool:
    """Whether nothing but the same words has taken `places`."""
    return all(name == key for s, e in places for start, end, name in page.taken if start < e and s < end)


def quote(text: str, spans: Sequence[Span]) -> list[Quoted]:
    """The spans as quotations from which :func:`align` finds each again, also when their widths were changed.

    As a rule the words are enough. If they stand elsewhere too, where they are no span, those of their spans that
    would go astray, and all others of the same words, have `left`: the few characters before them that tell them
    from the rest.
    """
    bare = [Quoted(span.surface, span.type) for span in spans]
    folded = [Quoted(fold(entry.surface).text, entry.type) for entry in bare]
    if all(_same(align_quotes(text, entries), spans) for entries in (bare, folded)):
        return bare
    page = fold(text)
    return [
        entry._replace(left=_left(text, page, span)) if len(_places(page.text, fold(span.surface).text)) > 1 else entry
        for entry, span in zip(bare, spans, strict=True)
    ]


def _same(places: Sequence[Placed | str], spans: Sequence[Span]) -> bool:
    return all(isinstance(p, Placed) and p[:2] == span[:2] for p, span in zip(places, spans, strict=True))


def _left(text: str, page: Folded, span: Span, least: int = 2) -> str:
    """The least that tells the span from its words elsewhere: at least two characters, at most all before it.

    All that stands before it may end what stands before a later place, never before an earlier one: first from the
    left, the span is found in any case.
    """
    places = _places(page.text, fold(span.surface).text)
    here = bisect_left(page.at, span.start)
    for length in range(min(least, span.start), span.start + 1):
        left = text[span.start - length : span.start]
        folded = fold(left).text
        if folded and [p for p in places if page.text.endswith(folded, 0, p)] == [here]:
            return left
    return text[: span.start]
