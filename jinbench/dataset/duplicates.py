"""Near-duplicates and entity overlap between parts of a corpus."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from jinbench.core.types import JsonObject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHINGLE = 3  # characters
MIN_SHARED = 20  # shingles that two near-duplicates share at least, and
MIN_CONTAINMENT = 0.4  # the part of the shorter one's shingles that these must be
SHORT = 10  # characters: below that a text that repeats is a stock phrase


class TextPair(NamedTuple):
    """Texts `first` and `second` (positions) share `shared` shingles, `containment` of those of the shorter one."""

    first: int
    second: int
    shared: int
    containment: float


def find_near_duplicates(texts: Sequence[str], groups: Sequence[Hashable]) -> list[TextPair]:
    """Return the pairs of texts of different groups that nearly repeat each other. Exact: every pair is compared.

    Two texts are near-duplicates if they have `MIN_SHARED` character shingles in common and these are `MIN_CONTAINMENT`
    of the shingles of the shorter one (containment: Broder 1997, "On the resemblance and containment of documents").
    Identical texts are near-duplicates from `SHORT` characters on.
    """
    identical = (pair for pair in find_repeated_texts(texts, groups) if len(texts[pair.first]) >= SHORT)
    return sorted({*identical, *_find_similar(texts, groups)})


def find_repeated_texts(texts: Sequence[str], groups: Sequence[Hashable]) -> Iterator[TextPair]:
    """Yield for each text that occurs in several groups its first position with the first in each other group."""
    positions: dict[str, dict[Hashable, int]] = defaultdict(dict)
    for i, (text, group) in enumerate(zip(texts, groups, strict=True)):
        positions[text].setdefault(group, i)
    for text, by_group in positions.items():
        first, *others = by_group.values()
        yield from (TextPair(first, other, max(len(text) - SHINGLE + 1, 0), 1.0) for other in others)


def _find_similar(texts: Sequence[str], groups: Sequence[Hashable]) -> Iterator[TextPair]:
    import numpy as np

    long = [i for i, text in enumerate(texts) if len(text) >= MIN_SHARED + SHINGLE - 1]
    if len({groups[i] for i in long}) < 2:
        return
    shingles = [_pack_shingles(texts[i]) for i in long]
    sizes = np.array([len(codes) for codes in shingles])
    ids = np.unique(np.concatenate(shingles), return_inverse=True)[1]
    # For each shingle the texts that have it: `holders[starts[id] : starts[id + 1]]`.
    holders = np.repeat(np.arange(len(long)), sizes)[np.argsort(ids, kind="stable")]
    starts = np.concatenate([[0], np.cumsum(np.bincount(ids))]).tolist()
    for a, own in enumerate(np.split(ids, np.cumsum(sizes)[:-1])):
        shared = np.bincount(np.concatenate([holders[starts[id] : starts[id + 1]] for id in own.tolist()]))
        for b in (np.flatnonzero(shared[a + 1 :] >= MIN_SHARED) + a + 1).tolist():
            i, j, containment = long[a], long[b], shared[b] / min(sizes[a], sizes[b])
            if containment >= MIN_CONTAINMENT and groups[i] != groups[j] and texts[i] != texts[j]:
                yield TextPair(i, j, int(shared[b]), float(containment))


def _pack_shingles(text: str) -> "NDArray[np.int64]":
    """Return the different shingles of a text, three characters of 21 bits in a number."""
    import numpy as np

    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64)
    codes: NDArray[np.int64] = np.unique(points[:-2] << 42 | points[1:-1] << 21 | points[2:])
    return codes


def connect_groups(groups: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return for each group its connected component under `pairs`, named after the first of its groups."""
    parent = {group: group for group in groups}

    def find_root(group: str) -> str:
        while parent[group] != group:
            parent[group] = group = parent[parent[group]]
        return group

    for a, b in pairs:
        first, second = sorted((find_root(a), find_root(b)))
        parent[second] = first
    return {group: find_root(group) for group in parent}


def count_entity_overlap(
    train: Iterable[JsonObject], test: Iterable[JsonObject], names: Iterable[str]
) -> dict[str, dict[str, int]]:
    """Count the mentions of `test` with a surface that `train` has too, by type and in all.

    Args:
        train: Rows with `spans`, a list of {"type", "surface"}.
        test: Rows of the same form.
        names: The types, in order; a mention of another type is left out.

    Returns:
        For "all" and each type: `mentions`, `same` (seen with this type), `other` (seen, but only with another type),
        `both` (those of `same` that were also seen with another type).
    """
    types: dict[str, set[str]] = defaultdict(set)
    for row in train:
        for span in row["spans"]:
            types[span["surface"]].add(span["type"])
    counts = {name: {"mentions": 0, "same": 0, "both": 0, "other": 0} for name in ("all", *names)}
    for row in test:
        for span in row["spans"]:
            if span["type"] not in counts:
                continue
            seen = types.get(span["surface"], set())
            for count in (counts["all"], counts[span["type"]]):
                count["mentions"] += 1
                count["same"] += span["type"] in seen
                count["both"] += span["type"] in seen and len(seen) > 1
                count["other"] += bool(seen) and span["type"] not in seen
    return counts
