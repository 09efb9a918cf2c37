"""Character n-grams, gazetteer and PMI features, hashed.

Every feature is a 64-bit hash, made for all characters of all texts at once; 0 is "no feature". A `Vocabulary` turns
hashes into rows of a table of weights.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from jinbench.models.crf.inference import BoolArray, IntArray, SpanTriple

GAP = 0x2402  # padding around every text; no text of a newspaper has it
# Offsets of the characters that a feature looks at, then of their classes.
WINDOWS = ((0,), (-2,), (-1,), (1,), (2,), (-2, -1), (-1, 0), (0, 1), (1, 2), (-1, 1))
CLASSES = ((0,), (-1, 0, 1), (-2, -1, 0, 1, 2))
CONTEXT = ((0,), (0, 1), (0, 1, 2))  # of the characters whose decayed sums make up the wider context

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: Knuth's multiplicative hashing
_SHIFT = np.uint64(29)

FeatureFunction = Callable[[str], Sequence[Sequence[str]]]


class TextBatch:
    """Texts as one array of code points, with `gap` characters of padding around each.

    `codes[positions + k]` is the k-th neighbour of each character, for |k| <= gap.
    """

    def __init__(self, texts: Sequence[str], gap: int) -> None:
        between = chr(GAP) * gap
        joined = between + between.join(texts) + between
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.int64)
        wide = (codes >= 0xFF01) & (codes <= 0xFF5E)  # full-width letters, digits and marks read as half-width ones
        self.codes: IntArray = np.where(wide, codes - 0xFEE0, codes)
        self.lengths: IntArray = np.array([len(text) for text in texts], dtype=np.int64)
        self.offsets: IntArray = np.cumsum(self.lengths) - self.lengths
        self.text_indices: IntArray = np.repeat(np.arange(len(texts)), self.lengths)
        self.positions: IntArray = np.arange(len(self.text_indices)) + gap * (self.text_indices + 1)

    def remaining_lengths(self) -> IntArray:
        """Return for each character how many of its text are left from it on: 1 for the last."""
        ends = self.offsets + self.lengths
        return ends[self.text_indices] - np.arange(len(self.text_indices))


def mix_hash(hashes: IntArray, values: IntArray) -> IntArray:
    """Mix values into hashes, element by element."""
    mixed = (hashes ^ values.astype(np.uint64)) * _MULTIPLIER
    return mixed ^ (mixed >> _SHIFT)


def _character_class(code: int) -> int:
    """Classify a code point: digits, small and capital Latin, other letters, spaces; a mark is its own class."""
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


def _hash_template(batch: TextBatch, codes: IntArray, template: Sequence[int], number: int) -> IntArray:
    hashes: IntArray = np.full(len(batch.positions), number, dtype=np.uint64) * _MULTIPLIER
    for offset in template:
        hashes = mix_hash(hashes, codes[batch.positions + offset])
    return hashes


def hash_windows(texts: Sequence[str]) -> list[IntArray]:
    """Hash the characters around each character, their pairs and their classes."""
    batch = TextBatch(texts, gap=2)
    distinct, inverse = np.unique(batch.codes, return_inverse=True)
    classes = np.array([_character_class(int(code)) for code in distinct], dtype=np.int64)[inverse]
    columns = [_hash_template(batch, batch.codes, template, i) for i, template in enumerate(WINDOWS, 1)]
    return columns + [_hash_template(batch, classes, template, i) for i, template in enumerate(CLASSES, 101)]


def hash_context(texts: Sequence[str]) -> list[IntArray]:
    """Hash each character and the n-grams that begin with it, over which the wider context is summed."""
    batch = TextBatch(texts, gap=2)
    return [_hash_template(batch, batch.codes, template, i) for i, template in enumerate(CONTEXT, 1)]


def hash_custom_features(texts: Sequence[str], features: FeatureFunction) -> list[IntArray]:
    """Hash the strings that `features` gives for each character of a text; an empty string is no feature.

    Raises ValueError if it gives another number of rows than characters, or rows of different lengths.
    """
    rows: list[Sequence[str]] = []
    for text in texts:
        text_rows = features(text)
        if len(text_rows) != len(text):
            raise ValueError(f"features: expected one row for each of {len(text)} characters, found {len(text_rows)}")
        rows.extend(text_rows)
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise ValueError(f"features: expected as many strings for each character, found {sorted(widths)}")
    codes: dict[str, int] = {"": 0}
    for row in rows:
        for value in row:
            if value not in codes:
                codes[value] = zlib.crc32(value.encode("utf-8", "surrogatepass")) + 1
    columns = np.array([[codes[value] for value in row] for row in rows], dtype=np.uint64).reshape(len(rows), -1)
    return [_hash_values(column, 301 + i) for i, column in enumerate(columns.T)]


def _hash_values(values: IntArray, number: int) -> IntArray:
    """Hash the values of one feature; 0 stays "no feature"."""
    hashes = mix_hash(np.full(len(values), number, dtype=np.uint64) * _MULTIPLIER, values)
    return np.where(values == 0, np.uint64(0), hashes)


class PairPmi:
    """Pointwise mutual information of a character and the next, counted in the training texts.

    While fitting, an occurrence is left out of its own count: a pair seen once looks as new as one in a new text.
    """

    def fit_columns(self, texts: Sequence[str]) -> list[IntArray]:
        batch = TextBatch(texts, gap=2)
        self.pairs_, self.pair_counts_ = np.unique(self._pairs(batch), return_counts=True)
        self.char_counts_ = np.bincount(batch.codes[batch.positions], minlength=GAP + 1)
        return self._columns(batch, own=1)

    def columns(self, texts: Sequence[str]) -> list[IntArray]:
        return self._columns(TextBatch(texts, gap=2), own=0)

    def _pairs(self, batch: TextBatch) -> IntArray:
        # Code points have 21 bits.
        return batch.codes[batch.positions] * 2**21 + batch.codes[batch.positions + 1]

    def _columns(self, batch: TextBatch, own: int) -> list[IntArray]:
        pairs = np.maximum(_look_up_counts(self.pairs_, self.pair_counts_, self._pairs(batch)) - own, 0)
        in_table = batch.codes < len(self.char_counts_)
        counts = np.where(in_table, self.char_counts_[np.where(in_table, batch.codes, 0)], 0)
        first, second = (np.maximum(counts[batch.positions + k] - own, 0) for k in (0, 1))
        total = max(int(self.char_counts_.sum()), 1)
        information = np.log((pairs + 0.1) * total / ((first + 1.0) * (second + 1.0)))
        after = np.clip(np.floor(information), -4, 9).astype(np.int64) + 10
        after[batch.codes[batch.positions + 1] == GAP] = 0
        before = np.concatenate([[0], after[:-1]])[: len(after)]
        often, rare = (np.log2(frequency + 1).astype(np.int64) for frequency in (pairs, first))
        columns = (after * 32 + before + 1, after * 32 + np.minimum(often, 6) + 1, np.minimum(rare, 9) + 1)
        return [_hash_values(column, 201 + i) for i, column in enumerate(columns)]


def _look_up_counts(keys: IntArray, counts: IntArray, wanted: IntArray) -> IntArray:
    """Return the counts of `wanted` among sorted `keys`; 0 for what is missing."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=np.int64)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, counts[places], 0)


class Gazetteer:
    """Surfaces labelled in training: for each character they cover the type, the place in the surface and how often.

    While fitting, a text sees only what was labelled in other blocks of texts: otherwise every surface would be in the
    gazetteer, and the tagger would learn to trust a memory that new texts do not fill. Blocks are runs of consecutive
    texts, because neighbours are often of one document, which repeats its names.
    """

    min_length, max_length = 2, 12
    n_blocks = 10

    def fit_columns(self, texts: Sequence[str], spans: Sequence[Sequence[SpanTriple]]) -> list[IntArray]:
        """Store the surfaces of `spans` (one list per text), and return the columns of the training texts."""
        batch = TextBatch(texts, self.max_length)
        self.types_ = 1 + max((type for row in spans for _, _, type in row), default=0)
        rows: list[tuple[int, ...]] = [
            (batch.offsets[i] + a, b - a, type, i) for i, row in enumerate(spans) for a, b, type in row
        ]
        labelled: IntArray = np.array(rows, dtype=np.int64).reshape(-1, 4)
        self.entries_: dict[int, tuple[IntArray, IntArray, IntArray]] = {}  # by length: hashes, counts, occurrences
        self.filter_: BoolArray = np.zeros(2**16, dtype=bool)  # most hashes are of no surface: seen without a search
        covered: IntArray = np.zeros(len(batch.positions), dtype=np.int64)
        block = np.arange(len(texts)) * min(self.n_blocks, len(texts)) // max(len(texts), 1)
        for n, hashes, positions in self._grams(batch):
            of_length = labelled[labelled[:, 1] == n]
            if not len(of_length):
                continue
            keys, which = np.unique(hashes[of_length[:, 0]], return_inverse=True)
            counts: IntArray = np.zeros((len(keys), self.types_), dtype=np.int64)
            np.add.at(counts, (which, of_length[:, 2]), 1)
            self.filter_[_slot(keys)] = True
            positions, key = self._hits(keys, hashes, positions)
            self.entries_[n] = keys, counts, np.bincount(key, minlength=len(keys))
            # Subtract what the block itself contributes to the counts of a surface.
            both, inverse, times = np.unique(
                block[batch.text_indices[positions]] * len(keys) + key, return_inverse=True, return_counts=True
            )
            own: IntArray = np.zeros((len(both), self.types_), dtype=np.int64)
            np.add.at(own, (np.searchsorted(both, block[of_length[:, 3]] * len(keys) + which), of_length[:, 2]), 1)
            occurrences = self.entries_[n][2][key] - times[inverse]
            self._cover(covered, n, positions, counts[key] - own[inverse], occurrences)
        return self._columns(batch, covered)

    def columns(self, texts: Sequence[str]) -> list[IntArray]:
        batch = TextBatch(texts, self.max_length)
        covered: IntArray = np.zeros(len(batch.positions), dtype=np.int64)
        for n, hashes, positions in self._grams(batch):
            if n in self.entries_:
                keys, counts, occurrences = self.entries_[n]
                positions, key = self._hits(keys, hashes, positions)
                self._cover(covered, n, positions, counts[key], occurrences[key])
        return self._columns(batch, covered)

    def _grams(self, batch: TextBatch) -> Iterator[tuple[int, IntArray, IntArray]]:
        """Yield n, the hash of the n characters from each character on, and the characters that have as many left."""
        hashes: IntArray = np.zeros(len(batch.positions), dtype=np.uint64)
        left = batch.remaining_lengths()
        for n in range(1, self.max_length + 1):
            hashes = mix_hash(hashes, batch.codes[batch.positions + n - 1])
            if n >= self.min_length:
                yield n, hashes, np.flatnonzero(left >= n)

    def _hits(self, keys: IntArray, hashes: IntArray, positions: IntArray) -> tuple[IntArray, IntArray]:
        """Return the positions whose hash is among sorted `keys`, and the index of the key."""
        positions = positions[self.filter_[_slot(hashes[positions])]]
        places = np.minimum(np.searchsorted(keys, hashes[positions]), len(keys) - 1)
        hit = keys[places] == hashes[positions]
        return positions[hit], places[hit]

    def _cover(self, covered: IntArray, n: int, positions: IntArray, labelled: IntArray, occurrences: IntArray) -> None:
        """Write the features of the surfaces of n characters that begin at `positions`; longer ones overwrite them."""
        times = labelled.sum(1)
        seen = times > 0
        positions, labelled, times, occurrences = positions[seen], labelled[seen], times[seen], occurrences[seen]
        share = times / np.maximum(occurrences, 1)
        trust = (share > 0.3).astype(np.int64) + (share > 0.75) + (share > 0.95) * (times > 1)
        type_and_trust = labelled.argmax(1) * 4 + trust
        for i in range(n):
            place = 0 if i == 0 else 2 if i == n - 1 else 1
            covered[positions + i] = 1 + (type_and_trust * 3 + place) * 3 + min(n, 4) - 2

    def _columns(self, batch: TextBatch, covered: IntArray) -> list[IntArray]:
        """Hash what covers each character, alone and with its neighbours."""
        padded = np.zeros(len(batch.codes), dtype=np.int64)
        padded[batch.positions] = covered
        before, after = padded[batch.positions - 1], padded[batch.positions + 1]
        width = 1 + self.types_ * 4 * 3 * 3
        columns = (covered, before * width + covered, covered * width + after)
        return [_hash_values(column, 211 + i) for i, column in enumerate(columns)]


def _slot(hashes: IntArray) -> IntArray:
    """Return the upper 16 bits of each hash."""
    return (hashes >> np.uint64(48)).astype(np.int64)


class Vocabulary:
    """Rows of a table of weights for hashed features; row 0 is for what was seen too seldom, or never.

    Hashes are cut to a few bits more than the features need: a feature that was never seen takes the row of another in
    one case of `spare` at most.
    """

    spare = 8

    def __init__(self, columns: Sequence[IntArray], min_count: int) -> None:
        counted = [np.unique(column, return_counts=True) for column in columns]
        frequent = np.concatenate([hashes[(counts >= min_count) & (hashes != 0)] for hashes, counts in counted])
        self.bits = max(10, int(np.ceil(np.log2(self.spare * max(len(frequent), 1)))))
        slots = np.unique(self._slots(frequent))
        self.table: IntArray = np.zeros(2**self.bits, dtype=np.int32)
        self.table[slots] = np.arange(1, len(slots) + 1)
        self.size = len(slots) + 1

    def _slots(self, hashes: IntArray) -> IntArray:
        return ((hashes * _MULTIPLIER) >> np.uint64(64 - self.bits)).astype(np.int64)

    def to_rows(self, columns: Sequence[IntArray]) -> IntArray:
        """Convert columns of hashes to rows of the table, (characters, features) int32."""
        rows: IntArray = np.empty((len(columns[0]), len(columns)), dtype=np.int32)
        for i, column in enumerate(columns):
            rows[:, i] = np.where(column == 0, 0, self.table[self._slots(column)])
        return rows
