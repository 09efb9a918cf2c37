"""What a sequence tagger sees of a character: hashed windows, what is known of surfaces, how characters hold together.

Every feature is a 64-bit number, made for all characters of all texts at once; 0 is "nothing to say". A `Vocabulary`
turns numbers into rows of a table of weights.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from jinbench.models.crf.inference import Array

GAP = 0x2402  # stands around every text; no text of a newspaper has it
# Offsets of the characters that a feature looks at, then of their classes.
WINDOWS = ((0,), (-2,), (-1,), (1,), (2,), (-2, -1), (-1, 0), (0, 1), (1, 2), (-1, 1))
CLASSES = ((0,), (-1, 0, 1), (-2, -1, 0, 1, 2))
CONTEXT = ((0,), (0, 1), (0, 1, 2))  # of the characters whose decayed sums make up the wider context

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: Knuth's multiplicative hashing
_SHIFT = np.uint64(29)

Features = Callable[[str], Sequence[Sequence[str]]]


class Layout:
    """Texts as one array of code points. `codes[at + k]` is the k-th neighbour of each character, for |k| <= gap."""

    def __init__(self, texts: Sequence[str], gap: int) -> None:
        between = chr(GAP) * gap
        joined = between + between.join(texts) + between
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.int64)
        wide = (codes >= 0xFF01) & (codes <= 0xFF5E)  # full-width letters, digits and marks read as half-width ones
        self.codes = np.where(wide, codes - 0xFEE0, codes)
        self.lengths = np.array([len(text) for text in texts], dtype=np.int64)
        self.offsets = np.cumsum(self.lengths) - self.lengths
        self.text_of = np.repeat(np.arange(len(texts)), self.lengths)
        self.at = np.arange(len(self.text_of)) + gap * (self.text_of + 1)

    def left(self) -> Array:
        """How many characters of its text begin at each character: 1 for the last."""
        ends = self.offsets + self.lengths
        return ends[self.text_of] - np.arange(len(self.text_of))


def mix(number: Array, value: Array) -> Array:
    """Mix a value into a hash, element by element."""
    number = (number ^ value.astype(np.uint64)) * _MULTIPLIER
    mixed: Array = number ^ (number >> _SHIFT)
    return mixed


def _kind(code: int) -> int:
    """The class of a code point: digits, small and capital Latin, other letters, spaces; a mark is its own class."""
    char = chr(code)
    if code == GAP:
        return 1
    if char.isdigit():
        return 2
    if char.isascii() and char.isalpha():
        return 3 if char.islower() else 4
    if char.isalpha():
        return 5
    if char.isspace():
        return 6
    return 7 + code


def _hashed(layout: Layout, codes: Array, template: Sequence[int], number: int) -> Array:
    found = np.full(len(layout.at), number, dtype=np.uint64) * _MULTIPLIER
    for offset in template:
        found = mix(found, codes[layout.at + offset])
    return found


def windows(texts: Sequence[str]) -> list[Array]:
    """The characters around each character, their pairs and their classes."""
    layout = Layout(texts, gap=2)
    distinct, inverse = np.unique(layout.codes, return_inverse=True)
    kinds = np.array([_kind(int(code)) for code in distinct], dtype=np.int64)[inverse]
    found = [_hashed(layout, layout.codes, template, i) for i, template in enumerate(WINDOWS, 1)]
    return found + [_hashed(layout, kinds, template, i) for i, template in enumerate(CLASSES, 101)]


def context(texts: Sequence[str]) -> list[Array]:
    """The character itself and the n-grams that begin with it: what the wider context is summed over."""
    layout = Layout(texts, gap=2)
    return [_hashed(layout, layout.codes, template, i) for i, template in enumerate(CONTEXT, 1)]


def given(texts: Sequence[str], features: Features) -> list[Array]:
    """What a function says of each character of a text: as many strings for each, an empty one for nothing.

    Raises ValueError if it does not.
    """
    rows: list[Sequence[str]] = []
    for text in texts:
        described = features(text)
        if len(described) != len(text):
            raise ValueError(f"features: expected one row for each of {len(text)} characters, found {len(described)}")
        rows.extend(described)
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise ValueError(f"features: expected as many strings for each character, found {sorted(widths)}")
    known: dict[str, int] = {"": 0}
    for row in rows:
        for value in row:
            if value not in known:
                known[value] = zlib.crc32(value.encode("utf-8", "surrogatepass")) + 1
    columns = np.array([[known[value] for value in row] for row in rows], dtype=np.uint64).reshape(len(rows), -1)
    return [_labelled(column, 301 + i) for i, column in enumerate(columns.T)]


def _labelled(values: Array, number: int) -> Array:
    """Values of one feature as hashes; 0 stays nothing."""
    hashes = mix(np.full(len(values), number, dtype=np.uint64) * _MULTIPLIER, values)
    return np.where(values == 0, np.uint64(0), hashes)


class Cohesion:
    """How strongly a character and the next hold together: pointwise mutual information in the training texts.

    While fitting, an occurrence is left out of its own count: a pair seen once looks as new as one in a new text.
    """

    def fit_columns(self, texts: Sequence[str]) -> list[Array]:
        layout = Layout(texts, gap=2)
        self.pairs_, self.pair_counts_ = np.unique(self._pairs(layout), return_counts=True)
        self.char_counts_ = np.bincount(layout.codes[layout.at], minlength=GAP + 1)
        return self._columns(layout, own=1)

    def columns(self, texts: Sequence[str]) -> list[Array]:
        return self._columns(Layout(texts, gap=2), own=0)

    def _pairs(self, layout: Layout) -> Array:
        pairs: Array = layout.codes[layout.at] * 2**21 + layout.codes[layout.at + 1]  # code points have 21 bits
        return pairs

    def _columns(self, layout: Layout, own: int) -> list[Array]:
        pairs = np.maximum(_count(self.pairs_, self.pair_counts_, self._pairs(layout)) - own, 0)
        known = layout.codes < len(self.char_counts_)
        counts = np.where(known, self.char_counts_[np.where(known, layout.codes, 0)], 0)
        first, second = (np.maximum(counts[layout.at + k] - own, 0) for k in (0, 1))
        total = max(int(self.char_counts_.sum()), 1)
        information = np.log((pairs + 0.1) * total / ((first + 1.0) * (second + 1.0)))
        after = np.clip(np.floor(information), -4, 9).astype(np.int64) + 10
        after[layout.codes[layout.at + 1] == GAP] = 0
        before = np.concatenate([[0], after[:-1]])[: len(after)]
        often, rare = (np.log2(found + 1).astype(np.int64) for found in (pairs, first))
        columns = (after * 32 + before + 1, after * 32 + np.minimum(often, 6) + 1, np.minimum(rare, 9) + 1)
        return [_labelled(column, 201 + i) for i, column in enumerate(columns)]


def _count(known: Array, counts: Array, wanted: Array) -> Array:
    """The counts of `wanted` among sorted `known`; 0 for what is not there."""
    if not len(known):
        return np.zeros(len(wanted), dtype=np.int64)
    found = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[found] == wanted, counts[found], 0)


class Surfaces:
    """Which characters a surface covers that was labelled before: its type, its place in it, how often it was labelled.

    While fitting, a text knows only what was labelled in other blocks of texts: otherwise every surface would be known,
    and the tagger would learn to trust a memory that new texts do not fill. Blocks are runs of texts as they stand,
    because neighbours are often of one document, which repeats its names.
    """

    shortest, longest = 2, 12
    blocks = 10

    def fit_columns(self, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int, int]]]) -> list[Array]:
        """`spans`: for each text (start, end, number of the type)."""
        layout = Layout(texts, self.longest)
        self.types_ = 1 + max((type for row in spans for _, _, type in row), default=0)
        rows: list[tuple[int, ...]] = [
            (layout.offsets[i] + a, b - a, type, i) for i, row in enumerate(spans) for a, b, type in row
        ]
        labelled = np.array(rows, dtype=np.int64).reshape(-1, 4)
        self.known_: dict[int, tuple[Array, Array, Array]] = {}
        self.sieve_ = np.zeros(2**16, dtype=bool)  # most hashes are of no surface: seen without a search
        covered = np.zeros(len(layout.at), dtype=np.int64)
        block = np.arange(len(texts)) * min(self.blocks, len(texts)) // max(len(texts), 1)
        for n, hashes, at in self._grams(layout):
            here = labelled[labelled[:, 1] == n]
            if not len(here):
                continue
            keys, which = np.unique(hashes[here[:, 0]], return_inverse=True)
            counts = np.zeros((len(keys), self.types_), dtype=np.int64)
            np.add.at(counts, (which, here[:, 2]), 1)
            self.sieve_[_slot(keys)] = True
            at, key = self._hits(keys, hashes, at)
            self.known_[n] = keys, counts, np.bincount(key, minlength=len(keys))
            # What the block itself contributes to the counts of a surface goes.
            both, inverse, times = np.unique(
                block[layout.text_of[at]] * len(keys) + key, return_inverse=True, return_counts=True
            )
            own = np.zeros((len(both), self.types_), dtype=np.int64)
            np.add.at(own, (np.searchsorted(both, block[here[:, 3]] * len(keys) + which), here[:, 2]), 1)
            self._cover(covered, n, at, counts[key] - own[inverse], self.known_[n][2][key] - times[inverse])
        return self._columns(layout, covered)

    def columns(self, texts: Sequence[str]) -> list[Array]:
        layout = Layout(texts, self.longest)
        covered = np.zeros(len(layout.at), dtype=np.int64)
        for n, hashes, at in self._grams(layout):
            if n in self.known_:
                keys, counts, occurrences = self.known_[n]
                at, key = self._hits(keys, hashes, at)
                self._cover(covered, n, at, counts[key], occurrences[key])
        return self._columns(layout, covered)

    def _grams(self, layout: Layout) -> Iterator[tuple[int, Array, Array]]:
        """(n, the hash of the n characters from each character on, the characters where as many are left)."""
        hashes = np.zeros(len(layout.at), dtype=np.uint64)
        left = layout.left()
        for n in range(1, self.longest + 1):
            hashes = mix(hashes, layout.codes[layout.at + n - 1])
            if n >= self.shortest:
                yield n, hashes, np.flatnonzero(left >= n)

    def _hits(self, keys: Array, hashes: Array, at: Array) -> tuple[Array, Array]:
        """Of the characters `at`, those whose hash is among sorted `keys`, and which key it is."""
        at = at[self.sieve_[_slot(hashes[at])]]
        found = np.minimum(np.searchsorted(keys, hashes[at]), len(keys) - 1)
        hit = keys[found] == hashes[at]
        return at[hit], found[hit]

    def _cover(self, covered: Array, n: int, at: Array, labelled: Array, occurrences: Array) -> None:
        """Write what is known of the surfaces of n characters that begin `at`; longer ones come later and stay."""
        times = labelled.sum(1)
        known = times > 0
        at, labelled, times, occurrences = at[known], labelled[known], times[known], occurrences[known]
        share = times / np.maximum(occurrences, 1)
        trust = (share > 0.3).astype(np.int64) + (share > 0.75) + (share > 0.95) * (times > 1)
        said = labelled.argmax(1) * 4 + trust
        for i in range(n):
            place = 0 if i == 0 else 2 if i == n - 1 else 1
            covered[at + i] = 1 + (said * 3 + place) * 3 + min(n, 4) - 2

    def _columns(self, layout: Layout, covered: Array) -> list[Array]:
        """What covers the character, and that with its neighbours."""
        beside = np.zeros(len(layout.codes), dtype=np.int64)
        beside[layout.at] = covered
        before, after = beside[layout.at - 1], beside[layout.at + 1]
        width = 1 + self.types_ * 4 * 3 * 3
        columns = (covered, before * width + covered, covered * width + after)
        return [_labelled(column, 211 + i) for i, column in enumerate(columns)]


def _slot(hashes: Array) -> Array:
    """16 bits of each hash."""
    return (hashes >> np.uint64(48)).astype(np.int64)


class Vocabulary:
    """Rows of a table of weights for hashed features; row 0 is for what was seen too seldom, or never.

    Hashes are cut to a few bits more than the features need: a feature that was never seen takes the row of another in
    one case of `spare` at most.
    """

    spare = 8

    def __init__(self, columns: Sequence[Array], min_count: int) -> None:
        found = [np.unique(column, return_counts=True) for column in columns]
        kept = np.concatenate([seen[(counts >= min_count) & (seen != 0)] for seen, counts in found])
        self.bits = max(10, int(np.ceil(np.log2(self.spare * max(len(kept), 1)))))
        slots = np.unique(self._slots(kept))
        self.table = np.zeros(2**self.bits, dtype=np.int32)
        self.table[slots] = np.arange(1, len(slots) + 1)
        self.size = len(slots) + 1

    def _slots(self, hashes: Array) -> Array:
        slots: Array = (hashes * _MULTIPLIER) >> np.uint64(64 - self.bits)
        return slots.astype(np.int64)

    def rows(self, columns: Sequence[Array]) -> Array:
        """int32 (characters, features)."""
        found = np.empty((len(columns[0]), len(columns)), dtype=np.int32)
        for i, column in enumerate(columns):
            found[:, i] = np.where(column == 0, 0, self.table[self._slots(column)])
        return found
