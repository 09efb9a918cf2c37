"""Perturb sentences as pages do; project spans: six kinds of noise at three levels.

Which characters are hit depends on nothing but the sentence's id, the kind and the place: the same sentence is always
hit in the same places, and what a level hits, the next level hits too. A clean character becomes one character, or
none, and may have something put behind it; so each character that is left knows where it came from.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from jinbench.core import files
from jinbench.core.environment import require_packages
from jinbench.core.errors import fail
from jinbench.core.types import Span
from jinbench.seeds import repairs

_TABLE = Path(__file__).with_name("lookalikes.tsv")
PUNCTUATION = frozenset(",;:?!\"'()[]<>\uff0c\u3002\u3001\uff1b\uff1a\uff1f\uff01“”‘’\uff08\uff09《》【】「」『』—…·")
_WIDTH = 0xFEE0  # from an ASCII character to its full-width form


class Replacement(NamedTuple):
    """Replacement of a character: `text` in its place ("" if it is lost), and text inserted `behind` it."""

    text: str
    behind: str = ""


# Of a character, the next one ("" at the end), and a number in [0, 1) to choose by; None if it cannot be hit.
Perturbation = Callable[[str, str, float], Replacement | None]


@dataclass(frozen=True)
class NoiseKind:
    """One kind of noise. `levels`: the part of the characters that it can hit which are hit, lowest first."""

    name: str
    levels: tuple[float, float, float]
    description: str
    perturb: Perturbation


class NoiseTier(NamedTuple):
    """A kind of noise at a level, from 1."""

    kind: str
    level: int


def _traditional(char: str, *_: object) -> Replacement | None:
    changed = repairs.convert_script(char, "s2t")
    return Replacement(changed) if changed != char and len(changed) == 1 else None


def _pinyin(char: str, *_: object) -> Replacement | None:
    """Insert pinyin with its tone, as machine-converted pages do behind characters that the conversion changes."""
    if _traditional(char) is None:
        return None
    syllable = _syllable(char)
    return None if syllable.isascii() else Replacement(char, f"({syllable})")


@cache
def _syllable(char: str) -> str:
    require_packages("pypinyin")
    from pypinyin import Style, pinyin

    return str(pinyin(char, style=Style.TONE)[0][0])


def _width(char: str, *_: object) -> Replacement | None:
    if "!" <= char <= "~":
        return Replacement(chr(ord(char) + _WIDTH))
    if "!" <= chr(max(ord(char) - _WIDTH, 0)) <= "~":
        return Replacement(chr(ord(char) - _WIDTH))
    return None


def _lost(char: str, *_: object) -> Replacement | None:
    return Replacement("") if char in PUNCTUATION else None


def _lookalike(char: str, _: str, choice: float) -> Replacement | None:
    similar = read_lookalikes().get(char)
    return Replacement(similar[int(choice * len(similar))]) if similar else None


def _broken(char: str, next: str, _: float) -> Replacement | None:
    """Break in running text only: beside punctuation a break splits no word."""
    return Replacement(char, "\n") if char.isalnum() and next.isalnum() else None


KINDS = (
    NoiseKind("traditional", (0.25, 0.5, 1.0), "characters in traditional script, converted one by one", _traditional),
    NoiseKind(
        "pinyin",
        (0.25, 0.5, 1.0),
        "pinyin in brackets with its tone left behind characters that have a traditional form",
        _pinyin,
    ),
    NoiseKind(
        "column_break",
        (1 / 40, 1 / 20, 1 / 10),
        "line breaks between two letters, digits or characters, so in words and names",
        _broken,
    ),
    NoiseKind("width", (0.1, 0.25, 0.5), "Latin letters, digits and punctuation in the other width", _width),
    NoiseKind("punctuation", (0.25, 0.5, 1.0), "punctuation lost", _lost),
    NoiseKind(
        "lookalike", (0.05, 0.15, 0.5), "characters that look alike, of those that have a look-alike", _lookalike
    ),
)
KIND_NAMES = tuple(kind.name for kind in KINDS)
TIERS = tuple(NoiseTier(kind.name, level) for kind in KINDS for level in range(1, len(kind.levels) + 1))


@cache
def read_lookalikes() -> dict[str, str]:
    """Return for a character those that look like it, most similar first; see `tools/make_lookalikes.py`."""
    rows = (line.partition("\t") for line in files.read_text(_TABLE).splitlines())
    return {char: similar for char, _, similar in rows}


@dataclass(frozen=True)
class NoisyText:
    """A text under noise. `spans[i]` is clean span i at its new offsets; `hits` the number of characters hit."""

    text: str
    spans: tuple[Span, ...]
    hits: int


def apply_noise(id: str, text: str, spans: Sequence[Span], tier: NoiseTier) -> NoisyText:
    """Return the sentence `id` under the noise of `tier`; it depends on nothing else.

    A span begins with the first of its characters that is left and ends with the last: what is put in between lies
    within it, what is put behind it outside. A span never loses all of its characters.
    Raises :class:`DataError` (unknown-label) for a tier that does not exist.
    """
    kind = next((kind for kind in KINDS if kind.name == tier.kind), None)
    if kind is None or not 1 <= tier.level <= len(kind.levels):
        expected = f"a kind of {', '.join(KIND_NAMES)}, a level from 1 to {len(KINDS[0].levels)}"
        found = f"{tier.kind}, {tier.level}"
        fail("unknown-label", "noise", expected=expected, found=found, fix="correct the name")
    pieces = [Replacement(char) for char in text]
    hits = 0
    for i, char in enumerate(text):
        if _hash_to_unit(id, kind.name, i) >= kind.levels[tier.level - 1]:
            continue
        hit = kind.perturb(char, text[i + 1 : i + 2], _hash_to_unit(id, kind.name, i, "choice"))
        if hit:
            pieces[i] = hit
            hits += 1
    for span in spans:
        if not any(pieces[i].text for i in range(span.start, span.end)):
            pieces[span.start] = Replacement(text[span.start])
            hits -= 1
    starts = [0]
    for piece in pieces:
        starts.append(starts[-1] + len(piece.text) + len(piece.behind))
    noisy = "".join(piece.text + piece.behind for piece in pieces)
    return NoisyText(noisy, tuple(_project_span(span, pieces, starts, noisy) for span in spans), hits)


def _project_span(span: Span, pieces: Sequence[Replacement], starts: Sequence[int], noisy: str) -> Span:
    left = [i for i in range(span.start, span.end) if pieces[i].text]
    start, end = starts[left[0]], starts[left[-1]] + len(pieces[left[-1]].text)
    return Span(start, end, span.type, noisy[start:end])


def _hash_to_unit(*parts: str | int) -> float:
    """Return a number in [0, 1) that depends on `parts` alone."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
