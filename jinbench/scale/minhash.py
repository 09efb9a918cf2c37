"""MinHash signatures and LSH bands: near-duplicate candidates in linear time.

The resemblance of two texts is the Jaccard index of their sets of character shingles, |A ∩ B| / |A ∪ B|. A random
order of all shingles gives two texts the same first shingle with just that probability (Broder 1997, "On the
resemblance and containment of documents"). Of `BANDS` * `ROWS` such minima, those of a band are hashed together; two
texts are candidates if they have a band in common, which for resemblance s has the probability
1 - (1 - s^ROWS)^BANDS (Leskovec, Rajaraman & Ullman, Mining of Massive Datasets, section 3.4.2): 0.99 at 0.7, 0.55 at
0.5, 3 in 10^9 at 0.01, which is what two unrelated passages have. Candidates
are then compared exactly.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jinbench.dataset.duplicates import SHINGLE, SHORT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]

BANDS, ROWS = 25, 5
_BATCH = 8192  # characters whose hashes stay in the processor's cache
_GOLDEN = 0x9E3779B97F4A7C15


def candidate_probability(similarity: float) -> float:
    """Return the probability that two texts of this Jaccard index become candidates."""
    return 1 - (1 - similarity**ROWS) ** BANDS


def mix_bits(values: "Hashes") -> "Hashes":
    """Mix the bits of 64-bit numbers, so that each bit depends on all.

    The finaliser of SplitMix64: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
    """
    import numpy as np

    values = values + np.uint64(_GOLDEN)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def pack_shingles(texts: Sequence[str]) -> "Hashes":
    """Return the shingle at each character of joined texts, packed 3 * 21 bits."""
    import numpy as np

    codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    codes = np.concatenate([codes, np.zeros(SHINGLE - 1, dtype=np.uint64)])
    return (codes[:-2] << np.uint64(42)) | (codes[1:-1] << np.uint64(21)) | codes[2:]


def hash_bands(texts: Sequence[str]) -> "Hashes":
    """Return the band hashes of each text, (n_texts, BANDS) uint64.

    Each text must have `SHORT` characters or more.

    The minima are over (a * h + b) mod 2^64 with odd a, of which the upper half is taken (Dietzfelbinger et al. 1997,
    "A reliable randomized algorithm for the closest-pair problem"), where h is the mixed shingle.
    """
    import numpy as np

    assert SHINGLE == 3
    constants = mix_bits(np.arange(2 * BANDS * ROWS, dtype=np.uint64))
    factors, summands = constants[::2] | np.uint64(1), constants[1::2]
    hashes = np.empty((len(texts), BANDS), dtype=np.uint64)
    begin = 0
    while begin < len(texts):
        stop, chars = begin, 0
        while stop < len(texts) and (stop == begin or chars + len(texts[stop]) <= _BATCH):
            assert len(texts[stop]) >= SHORT
            chars += len(texts[stop])
            stop += 1
        part = texts[begin:stop]
        lengths = np.array([len(text) for text in part])
        ends = lengths.cumsum()
        borders = np.stack([ends - lengths, ends - (SHINGLE - 1)], 1).ravel()  # without those that go over an end
        mixed: Any = mix_bits(pack_shingles(part))
        minima = np.empty((BANDS * ROWS, len(part)), dtype=np.uint64)
        for i in range(BANDS * ROWS):
            minima[i] = np.minimum.reduceat(mixed * factors[i] + summands[i] >> np.uint64(32), borders)[::2]
        for band in range(BANDS):
            value: Any = np.full(len(part), band, dtype=np.uint64)
            for row in range(ROWS):
                value = mix_bits(value ^ minima[band * ROWS + row])
            hashes[begin:stop, band] = value
        begin = stop
    return hashes


def split_shingles(text: str) -> set[str]:
    return {text[i : i + SHINGLE] for i in range(len(text) - SHINGLE + 1)}


def jaccard_index(first: set[str], second: set[str]) -> float:
    """Return the Jaccard index of two sets of shingles."""
    common = len(first & second)
    return common / (len(first) + len(second) - common)


class LabelledTexts:
    """Index of labelled texts, to find those that new texts nearly repeat."""

    def __init__(self, ids: Sequence[str], texts: Sequence[str], threshold: float) -> None:
        rows = [(id, text) for id, text in zip(ids, texts, strict=True) if len(text) >= SHORT]
        self.threshold = threshold
        self.ids = [id for id, _ in rows]
        self.sets = [split_shingles(text) for _, text in rows]
        self.by_band: dict[int, list[int]] = {}
        for i, bands in enumerate(hash_bands([text for _, text in rows]).tolist()):
            for value in bands:
                self.by_band.setdefault(value, []).append(i)

    def find_nearest(self, texts: Sequence[str], hashes: "Hashes") -> list[str | None]:
        """Return the id of the most similar labelled text of each text, or None."""
        import numpy as np

        shared = np.isin(hashes, np.fromiter(self.by_band, dtype=np.uint64, count=len(self.by_band)))
        nearest: list[str | None] = [None] * len(texts)
        for i in np.flatnonzero(shared.any(1)).tolist():
            own = split_shingles(texts[i])
            candidates = {j for value in hashes[i][shared[i]].tolist() for j in self.by_band[value]}
            best = max((jaccard_index(own, self.sets[j]), -j) for j in candidates)
            nearest[i] = self.ids[-best[1]] if best[0] >= self.threshold else None
        return nearest


def hash_text(text: str) -> int:
    """Return a 32-bit hash; equal hashes in a band are taken for copies of a text."""
    import zlib

    return zlib.crc32(text.encode("utf-8", "surrogatepass"))
