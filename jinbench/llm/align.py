"""Locate quoted surfaces in a text: exactly, or with widths folded; never by similarity.

Two surfaces are the same here if they differ in nothing but the width of characters (U+FF21 and A), the shape of
quotation marks (U+201C and U+0022) and white space. There is no edit distance and no case folding: what is not found in
this way is not in the text.
"""

import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from jinbench.core.types import Span

_QUOTES = dict.fromkeys("“”„‟「」『』", '"') | dict.fromkeys("‘’‚‛", "'")

# Why a quote is not located.
EMPTY, ABSENT, REPEATED, OVERLAP = "empty", "absent", "repeated", "overlap"
# How a quote was located.
OFFSETS, LEFT, EXACT, FOLDED = "offsets", "left", "exact", "folded"


class FoldedText(NamedTuple):
    """A text with widths folded and without white space; `offsets[i]` is the original offset of its character i."""

    text: str
    offsets: tuple[int, ...]


def fold_text(text: str) -> FoldedText:
    """Fold each character to one or none, so that offsets can be traced back.

    Folded are the characters that Unicode decomposes as <wide> or <narrow> (as NFKC does), and quotation marks.
    """
    characters = [(offset, _fold_character(char)) for offset, char in enumerate(text) if not char.isspace()]
    return FoldedText("".join(char for _, char in characters), tuple(offset for offset, _ in characters))


def _fold_character(char: str) -> str:
    if unicodedata.decomposition(char).startswith(("<wide>", "<narrow>")):
        char = unicodedata.normalize("NFKC", char)
    return _QUOTES.get(char, char)


class Quote(NamedTuple):
    """A surface quoted from a text with its type; `left` are the characters just before it."""

    surface: str
    type: str
    left: str | None = None
    start: int | None = None
    end: int | None = None


class Alignment(NamedTuple):
    """The location of a quote and the method that found it; `ambiguous` if the surface also occurs unquoted."""

    start: int
    end: int
    method: str
    ambiguous: bool = False


class _AlignedText:
    """A text with the locations that are taken."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.folded = fold_text(text)
        self.taken: list[tuple[int, int, str]] = []  # start, end, folded surface

    def find_exact(self, surface: str) -> list[tuple[int, int]]:
        return [(start, start + len(surface)) for start in _find_all(self.text, surface)]

    def find_folded(self, surface: str, left: str = "") -> list[tuple[int, int]]:
        """Return where the folded `surface` occurs with `left` before it."""
        text, offsets = self.folded
        starts = (start for start in _find_all(text, surface) if text.endswith(left, 0, start))
        return [(offsets[start], offsets[start + len(surface) - 1] + 1) for start in starts]

    def select_free(self, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        return [(s, e) for s, e in spans if all(e <= start or end <= s for start, end, _ in self.taken)]

    def is_taken_by(self, surface: str, spans: Sequence[tuple[int, int]]) -> bool:
        """Return whether nothing but the folded `surface` has taken `spans`."""
        return all(name == surface for s, e in spans for start, end, name in self.taken if start < e and s < end)


def _find_all(text: str, words: str) -> list[int]:
    """Return all start offsets of `words` in `text`, overlapping ones too."""
    starts, start = [], text.find(words) if words else -1
    while start >= 0:
        starts.append(start)
        start = text.find(words, start + 1)
    return starts


def align_quotes(text: str, quotes: Sequence[Quote]) -> list[Alignment | str]:
    """Return for each quote its location in `text`, or why it has none: empty, absent, repeated or overlap.

    No two locations overlap. Quotes that say more about their location come first: those with correct offsets, then
    those with a correct `left`. The others come longest first, since labels are maximal: a short surface does not take
    a place inside a long one. Each gets the first free place from the left, an exact one before a folded one, so that a
    surface quoted several times is located in order. Wrong offsets and a wrong `left` are ignored.
    """
    page = _AlignedText(text)
    surfaces = [quote.surface.strip() for quote in quotes]
    keys = [fold_text(surface).text for surface in surfaces]
    lefts = [fold_text(quote.left or "").text for quote in quotes]
    results: list[Alignment | str] = [EMPTY if not key else ABSENT for key in keys]

    def take(number: int, span: tuple[int, int], method: str, ambiguous: bool = False) -> None:
        results[number] = Alignment(*span, method, ambiguous)
        page.taken.append((*span, keys[number]))

    waiting = [number for number, key in enumerate(keys) if key]
    for number in list(waiting):
        span = _match_offsets(text, quotes[number], keys[number])
        if span and page.select_free([span]):
            take(number, span, OFFSETS)
            waiting.remove(number)
    for number in list(waiting):
        has_left = quotes[number].left is not None
        free = page.select_free(page.find_folded(keys[number], lefts[number])) if has_left else []
        if lefts[number] and free:
            take(number, free[0], LEFT)
            waiting.remove(number)
    remaining = Counter(keys[number] for number in waiting)
    for number in sorted(waiting, key=lambda number: -len(keys[number])):
        key = keys[number]
        everywhere = page.find_folded(key)
        free = page.select_free(everywhere)
        # An empty `left` that is given means the beginning of the text: the first place, however it is written.
        exact = page.select_free(page.find_exact(surfaces[number])) if quotes[number].left is None else []
        if free:
            span = exact[0] if exact else free[0]
            method = EXACT if text[slice(*span)] == surfaces[number] else FOLDED
            take(number, span, method, len(free) > remaining[key])
        elif everywhere:
            results[number] = REPEATED if page.is_taken_by(key, everywhere) else OVERLAP
        remaining[key] -= 1
    return results


def _match_offsets(text: str, quote: Quote, key: str) -> tuple[int, int] | None:
    start, end = quote.start, quote.end
    if start is None or end is None or not 0 <= start < end <= len(text):
        return None
    folded = fold_text(text[start:end])
    if folded.text != key:
        return None
    return start + folded.offsets[0], start + folded.offsets[-1] + 1


def make_quotes(text: str, spans: Sequence[Span]) -> list[Quote]:
    """Quote spans so that :func:`align_quotes` locates each again, also when widths were changed.

    As a rule surfaces are enough. If one also occurs where it is no span, those of its spans that would be misplaced,
    and all others of the same surface, get `left`: the few characters before them that tell them from the rest.
    """
    bare = [Quote(span.surface, span.type) for span in spans]
    folded = [Quote(fold_text(quote.surface).text, quote.type) for quote in bare]
    if all(_are_located(align_quotes(text, quotes), spans) for quotes in (bare, folded)):
        return bare
    page = fold_text(text)
    return [
        quote._replace(left=_shortest_left(text, page, span))
        if len(_find_all(page.text, fold_text(span.surface).text)) > 1
        else quote
        for quote, span in zip(bare, spans, strict=True)
    ]


def _are_located(alignments: Sequence[Alignment | str], spans: Sequence[Span]) -> bool:
    return all(isinstance(a, Alignment) and a[:2] == span[:2] for a, span in zip(alignments, spans, strict=True))


def _shortest_left(text: str, page: FoldedText, span: Span, least: int = 2) -> str:
    """Return the shortest left context that is unique to the span: at least two characters, at most all before it.

    All that is before it may end what is before a later place, never before an earlier one: first from the left, the
    span is located in any case.
    """
    starts = _find_all(page.text, fold_text(span.surface).text)
    own = bisect_left(page.offsets, span.start)
    for length in range(min(least, span.start), span.start + 1):
        left = text[span.start - length : span.start]
        folded = fold_text(left).text
        if folded and [start for start in starts if page.text.endswith(folded, 0, start)] == [own]:
            return left
    return text[: span.start]
