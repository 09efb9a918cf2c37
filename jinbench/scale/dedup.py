"""Which passages nearly repeat each other, among any number of them: candidates, pairs, families.

Band hashes, and after them pairs, are dealt to partitions by ranges of 64-bit hashes. A partition is small enough for
the memory of one process whatever the whole comes to, unless one text stands in it very often: its copies have the same
hashes. Each partition is a job of its own. Every block's hashes lie sorted in a file, so that a partition reads its own
stretch of each.
"""

import heapq
import itertools
import json
import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench.scale import minhash
from jinbench.scale.stages import Job, id_rows, save_array, whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.uint64]

NEIGHBOURS = 20  # texts before it, in one band, with which a text is compared at most
EXAMPLES = 20  # places of ids that occur twice
_CHUNK = 100_000  # pairs that are in memory at once
DIGITS = 6  # of a resemblance


@dataclass(frozen=True)
class Partition:
    """Partition `number` of `parts`; `files`: how many files it reads from."""

    number: int
    parts: int
    files: int


def partitions(rows: int, most: int) -> int:
    """How many partitions so many rows need. It depends on nothing else."""
    return max(1, -(-rows // most))


def _stretches(job: Job, kind: str, part: Partition) -> Iterator[tuple[int, Any]]:
    """From each file of a kind the rows whose hash belongs to the partition, with the number of the file."""
    import numpy as np

    low, high = ((i << 64) // part.parts for i in (part.number, part.number + 1))
    for number in range(part.files):
        rows = np.load(job.work(kind, number), mmap_mode="r")
        if len(rows):
            begin = np.searchsorted(rows["hash"], np.uint64(low))
            end = len(rows) if high >> 64 else np.searchsorted(rows["hash"], np.uint64(high))
            if begin < end:
                yield number, np.array(rows[begin:end])


def pair_rows() -> Any:
    """The type of a row of candidates: the passages (block * 2^32 + row), and a hash of both."""
    import numpy as np

    return np.dtype([("hash", np.uint64), ("first", np.uint64), ("second", np.uint64)])


def find_candidates(job: Job, part: Partition) -> int:
    """The candidates of a partition of band hashes, and how many given ids occur again. Returns its number.

    Passages with a band in common are candidates. Copies of a text are paired with the first of them, which stands
    for them in all other pairs; of different texts in a band each is paired with the `NEIGHBOURS` before it. So what a
    boilerplate costs is linear in its number.
    """
    import numpy as np

    path = job.work("repeats", part.number, "json")
    if path.is_file():
        return part.number
    dtype = np.dtype([("hash", np.uint64), ("place", np.uint64), ("text", np.uint32)])
    parts = []
    for number, found in _stretches(job, "bands", part):
        rows = np.empty(len(found), dtype=dtype)
        rows["hash"], rows["text"] = found["hash"], found["text"]
        rows["place"] = found["row"].astype(np.uint64) + np.uint64(number << 32)
        parts.append(rows)
    joined: Any = np.concatenate(parts) if parts else np.empty(0, dtype=dtype)
    del parts
    rows = joined[np.argsort(joined["hash"], kind="stable")]  # places are in order within a hash: files were
    same = rows["hash"][1:] == rows["hash"][:-1]
    borders = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    pairs = array("Q")  # first, second, first, second, …: a tenth of what tuples take
    dense = 0
    for begin, end in borders.reshape(-1, 2).tolist():
        bucket = rows[begin : end + 1]
        firsts: dict[int, int] = {}
        for place, text in zip(bucket["place"].tolist(), bucket["text"].tolist(), strict=True):
            if firsts.setdefault(text, place) != place:
                pairs.extend((firsts[text], place))
        others = list(firsts.values())
        dense += len(others) > NEIGHBOURS + 1
        for i, place in enumerate(others):
            for earlier in others[max(0, i - NEIGHBOURS) : i]:
                pairs.extend((earlier, place))
    ends = np.frombuffer(pairs, dtype=np.uint64).reshape(-1, 2) if pairs else np.empty((0, 2), dtype=np.uint64)
    candidates: Any = np.empty(len(ends), dtype=pair_rows())
    candidates["first"], candidates["second"] = ends.T
    candidates["hash"] = minhash.mixed(minhash.mixed(candidates["first"]) ^ candidates["second"])
    candidates = np.unique(candidates)
    save_array(job.folder, job.work("candidates", part.number), candidates)
    count, examples = _repeated_ids(job, part)
    with whole(job.folder, path) as name:
        said = {"dense": dense, "candidates": len(candidates), "repeated": count, "examples": examples}
        name.write_text(json.dumps(said, sort_keys=True), encoding="utf-8")
    return part.number


def _repeated_ids(job: Job, part: Partition) -> tuple[int, list[tuple[int, int]]]:
    """How many articles have a given id that an earlier one has, and block and place of the first of them."""
    import numpy as np

    dtype = np.dtype([*id_rows().descr, ("block", np.uint32)])
    parts = []
    for number, found in _stretches(job, "ids", part):
        rows = np.empty(len(found), dtype=dtype)
        rows["hash"], rows["at"], rows["block"] = found["hash"], found["at"], number
        parts.append(rows)
    if not parts:
        return 0, []
    joined: Any = np.concatenate(parts)
    rows = joined[np.argsort(joined["hash"], kind="stable")]
    again = rows[1:][rows["hash"][1:] == rows["hash"][:-1]]
    first = heapq.nsmallest(EXAMPLES, zip(again["block"].tolist(), again["at"].tolist(), strict=True))
    return len(again), first


class Texts:
    """The texts of passages by number, read where they lie. A few files are open at a time."""

    OPEN = 64

    def __init__(self, job: Job) -> None:
        self.job = job
        self.open: dict[int, tuple[int, Any]] = {}

    def __getitem__(self, place: int) -> str:
        import numpy as np

        block, row = place >> 32, place & 0xFFFFFFFF
        if block not in self.open:
            if len(self.open) >= self.OPEN:
                self._close(next(iter(self.open)))
            handle = os.open(self.job.work("texts", block, "txt"), os.O_RDONLY)
            self.open[block] = handle, np.load(self.job.work("ends", block), mmap_mode="r")
        handle, ends = self.open[block]
        begin, end = ends[row : row + 2].tolist()
        return os.pread(handle, end - begin, begin).decode()

    def _close(self, block: int) -> None:
        os.close(self.open.pop(block)[0])

    def __enter__(self) -> "Texts":
        return self

    def __exit__(self, *_: object) -> None:
        for block in list(self.open):
            self._close(block)


def verify(job: Job, part: Partition) -> int:
    """Compare the candidates of a partition of pairs, exactly. Returns its number.

    What is kept: pairs of a resemblance of `similar` or more, in order.
    """
    import numpy as np

    path = job.work("pairs", part.number)
    if path.is_file():
        return part.number
    parts = [rows for _, rows in _stretches(job, "candidates", part)]
    pairs: Any = np.unique(np.concatenate(parts)) if parts else np.empty(0, dtype=pair_rows())
    del parts
    pairs = pairs[np.lexsort([pairs["second"], pairs["first"]])]
    similar = np.empty(len(pairs))
    last, own = -1, set[str]()
    with Texts(job) as texts:
        for begin in range(0, len(pairs), _CHUNK):
            chunk = pairs[begin : begin + _CHUNK]
            for i, (_, first, second) in enumerate(chunk.tolist(), begin):
                if first != last:
                    last, own = first, minhash.shingles(texts[first])
                similar[i] = minhash.resemblance(own, minhash.shingles(texts[second]))
    kept = similar >= job.settings.similar
    found = np.empty(int(kept.sum()), dtype=[("first", np.uint64), ("second", np.uint64), ("similar", np.float64)])
    found["first"], found["second"] = pairs["first"][kept], pairs["second"][kept]
    found["similar"] = similar[kept].round(DIGITS)
    save_array(job.folder, path, found)
    return part.number


class Components:
    """Passages that pairs lead to from each other, by union-find (Galler & Fischer 1964, "An improved equivalence
    algorithm") with path halving. In memory are the passages that stand in a pair, and no others.

    `members`: their numbers, in order; `heads`: for each the index of the first of its family.
    """

    def __init__(self, pairs: Sequence[Path]) -> None:
        import numpy as np

        self.pairs = waiting = 0
        members: Numbers = np.empty(0, dtype=np.uint64)
        new: list[Numbers] = []
        for chunk in chunks(pairs):
            self.pairs += len(chunk)
            new += [chunk["first"], chunk["second"]]
            waiting += 2 * len(chunk)
            if waiting >= len(members):  # so all are sorted as often as their number doubles, not for every chunk
                members, new, waiting = np.unique(np.concatenate([members, *new])), [], 0
        members = np.unique(np.concatenate([members, *new]))
        parent = array("q", range(len(members)))

        def head(i: int) -> int:
            while parent[i] != i:
                parent[i] = i = parent[parent[i]]
            return i

        for chunk in chunks(pairs):
            ends = (np.searchsorted(members, chunk[name]).tolist() for name in ("first", "second"))
            for a, b in zip(*ends, strict=True):
                first, second = head(a), head(b)
                parent[max(first, second)] = min(first, second)
        for i in range(len(parent)):  # the head is the first: everyone's parent comes before
            parent[i] = parent[parent[i]]
        self.members = members
        self.heads = np.frombuffer(parent, dtype=np.int64) if parent else np.empty(0, dtype=np.int64)

    @property
    def sizes(self) -> list[int]:
        import numpy as np

        found: list[int] = np.unique(self.heads, return_counts=True)[1].tolist()
        return found

    def of(self, places: Any) -> Any:
        """The number of the first passage of each one's family: its own if nothing repeats it."""
        import numpy as np

        if not len(self.members):
            return places
        at = np.minimum(np.searchsorted(self.members, places), len(self.members) - 1)
        return np.where(self.members[at] == places, self.members[self.heads[at]], places)


def chunks(paths: Sequence[Path]) -> Iterator[Any]:
    """The rows of arrays, some at a time."""
    import numpy as np

    for path in paths:
        rows = np.load(path, mmap_mode="r")
        for begin in range(0, len(rows), _CHUNK):
            yield np.array(rows[begin : begin + _CHUNK])


def least_certain(job: Job, count: int, parts: int, families: Components) -> list[tuple[float, int]]:
    """Certainty and number of the `count` passages of which the tagger is least certain, of each family one at most.

    One pass over the certainties of all blocks: what is kept is the least certain of the best `count` families so far,
    and another family can only come in with a passage that is still to be read.
    """
    import numpy as np

    pool: Any = np.empty(0, dtype=[("certainty", np.float64), ("place", np.uint64), ("family", np.uint64)])
    for number in range(parts) if count else ():
        values = np.load(job.work("certain", number))
        rows = np.flatnonzero(~np.isnan(values))
        new = np.empty(len(rows), dtype=pool.dtype)
        new["certainty"] = values[rows]
        new["place"] = rows.astype(np.uint64) + np.uint64(number << 32)
        new["family"] = families.of(new["place"])
        pool = np.sort(np.concatenate([pool, new]), order=["certainty", "place"])
        _, firsts = np.unique(pool["family"], return_index=True)
        pool = pool[np.sort(firsts)[:count]]
    return [(float(certainty), int(place)) for certainty, place, _ in pool.tolist()]


def place_of(number: int) -> tuple[int, int]:
    """Block and row of a passage."""
    return number >> 32, number & 0xFFFFFFFF


def grouped(picked: Sequence[tuple[float, int]]) -> Iterator[tuple[int, list[int]]]:
    """The rows that are picked of each block."""
    places = sorted(place_of(number) for _, number in picked)
    for block, group in itertools.groupby(places, key=lambda each: each[0]):
        yield block, [row for _, row in group]
