"""Whether two parts of a corpus know of each other: sentences that nearly repeat, and names seen before."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

SHINGLE = 3  # characters
MIN_SHARED = 20  # shingles that two sentences must share at least, and
MIN_CONTAINMENT = 0.4  # the part of the shorter one's shingles that these must be, for a near duplicate
SHORT = 10  # characters: below that a text that repeats is a stock phrase
_BLOCK = 4096  # sentences compared with all others at a time


class TextPair(NamedTuple):
    """Texts `first` and `second` (positions) share `shared` shingles, `part` of those of the shorter one."""

    first: int
    second: int
    shared: int
    part: float


def find_near_duplicates(texts: Sequence[str], groups: Sequence[Any]) -> list[TextPair]:
    """The pairs of texts of different groups that nearly repeat each other. Exact: every pair is compared.

    Two texts are near duplicates if they have `SHARED` character shingles in common and these are `CONTAINED` of the
    shingles of the shorter one (containment: Broder 1997, "On the resemblance and containment of documents"). Texts
    that are the same are near duplicates from `SHORT` characters on.
    """
    same = (pair for pair in find_repeated_texts(texts, groups) if len(texts[pair.first]) >= SHORT)
    return sorted({*same, *_resembling(texts, groups)})


def find_repeated_texts(texts: Sequence[str], groups: Sequence[Any]) -> Iterator[TextPair]:
    """Each text that stands in several groups: its first place, and the first in each other group."""
    seen: dict[str, dict[Any, int]] = defaultdict(dict)
    for i, (text, group) in enumerate(zip(texts, groups, strict=True)):
        seen[text].setdefault(group, i)
    for text, places in seen.items():
        first, *others = places.values()
        yield from (TextPair(first, other, max(len(text) - SHINGLE + 1, 0), 1.0) for other in others)


def _resembling(texts: Sequence[str], groups: Sequence[Any]) -> Iterator[TextPair]:
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer

    long = [i for i, text in enumerate(texts) if len(text) >= MIN_SHARED + SHINGLE - 1]
    if len({groups[i] for i in long}) < 2:
        return
    shingles = CountVectorizer(
        analyzer="char", ngram_range=(SHINGLE, SHINGLE), binary=True, lowercase=False, dtype=np.int32
    ).fit_transform([texts[i] for i in long])
    sizes = np.asarray(shingles.sum(axis=1)).ravel()
    for start in range(0, len(long), _BLOCK):
        common = (shingles[start : start + _BLOCK] @ shingles.T).tocoo()
        part = common.data / np.minimum(sizes[common.row + start], sizes[common.col])
        kept = (common.data >= MIN_SHARED) & (part >= MIN_CONTAINMENT) & (common.row + start < common.col)
        for a, b, shared, share in zip(
            common.row[kept] + start, common.col[kept], common.data[kept], part[kept], strict=True
        ):
            i, j = long[a], long[b]
            if groups[i] != groups[j] and texts[i] != texts[j]:
                yield TextPair(i, j, int(shared), float(share))


def connect_groups(groups: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The name of the family of each group, where the groups of a pair belong to one: the first of their names."""
    family = {group: group for group in groups}

    def head(group: str) -> str:
        while family[group] != group:
            family[group] = group = family[family[group]]
        return group

    for a, b in pairs:
        first, second = sorted((head(a), head(b)))
        family[second] = first
    return {group: head(group) for group in family}


def count_entity_overlap(
    seen: Iterable[Mapping[str, Any]], met: Iterable[Mapping[str, Any]], names: Iterable[str]
) -> dict[str, dict[str, int]]:
    """How many mentions of the rows `met` have a surface that the rows `seen` have too; by type, and in all.

    Parameters: rows with `spans`, a list of {"type", "surface"}; `names` the types, in order;
    a mention of another type is left out.
    Returns for each type, and for "all": `mentions`, `same` (seen with this type), `other` (seen, but only with
    another type), `both` (those of `same` that were also seen with another type).
    """
    types: dict[str, set[str]] = defaultdict(set)
    for row in seen:
        for span in row["spans"]:
            types[span["surface"]].add(span["type"])
    counts = {name: {"mentions": 0, "same": 0, "both": 0, "other": 0} for name in ("all", *names)}
    for row in met:
        for span in row["spans"]:
            if span["type"] not in counts:
                continue
            known = types.get(span["surface"], set())
            for count in (counts["all"], counts[span["type"]]):
                count["mentions"] += 1
                count["same"] += span["type"] in known
                count["both"] += span["type"] in known and len(known) > 1
                count["other"] += bool(known) and span["type"] not in known
    return counts
