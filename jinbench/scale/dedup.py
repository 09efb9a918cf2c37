"""Near duplicates: candidates, verified pairs, connected components.

Band hashes, and after them pairs, are divided into partitions by ranges of 64-bit hashes. A partition fits into the
memory of one process whatever the size of the input, unless one text is in it very often: its copies have the same
hashes. Each partition is a job. The hashes of each shard are sorted in a file, so a partition reads its own range of
each.
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
from jinbench.scale.stages import Job, id_dtype, save_array, write_atomically

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.uint64]

NEIGHBOURS = 20  # texts before it, in one band, with which a text is compared at most
MAX_EXAMPLES = 20  # of ids that occur twice
_CHUNK = 100_000  # pairs that are in memory at once
DIGITS = 6  # of a Jaccard index


@dataclass(frozen=True)
class Partition:
    """Partition `number` of `parts`; it reads from `files` files."""

    number: int
    parts: int
    files: int


def count_partitions(rows: int, limit: int) -> int:
    """Return how many partitions so many rows need; it depends on nothing else."""
    return max(1, -(-rows // limit))


def _read_partition(job: Job, kind: str, part: Partition) -> Iterator[tuple[int, Any]]:
    """Yield number and rows of each file of a kind whose hashes are in the partition."""
    import numpy as np

    low, high = ((i << 64) // part.parts for i in (part.number, part.number + 1))
    for number in range(part.files):
        rows = np.load(job.work_path(kind, number), mmap_mode="r")
        if len(rows):
            begin = np.searchsorted(rows["hash"], np.uint64(low))
            end = len(rows) if high >> 64 else np.searchsorted(rows["hash"], np.uint64(high))
            if begin < end:
                yield number, np.array(rows[begin:end])


def pair_dtype() -> Any:
    """Return the type of a candidate: two passages (shard * 2^32 + row), and a hash."""
    import numpy as np

    return np.dtype([("hash", np.uint64), ("first", np.uint64), ("second", np.uint64)])


def find_candidates(job: Job, part: Partition) -> int:
    """Write the candidates of a partition of band hashes. Return its number.

    Repeated given ids are counted. Passages with a band in common are candidates. Copies of a text are paired with the
    first of them, which represents them in all other pairs; of different texts in a band each is paired with the
    `NEIGHBOURS` before it. So the cost of boilerplate is linear in its number.
    """
    import numpy as np

    path = job.work_path("repeats", part.number, "json")
    if path.is_file():
        return part.number
    dtype = np.dtype([("hash", np.uint64), ("place", np.uint64), ("text", np.uint32)])
    parts = []
    for number, bands in _read_partition(job, "bands", part):
        rows = np.empty(len(bands), dtype=dtype)
        rows["hash"], rows["text"] = bands["hash"], bands["text"]
        rows["place"] = bands["row"].astype(np.uint64) + np.uint64(number << 32)
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
    candidates: Any = np.empty(len(ends), dtype=pair_dtype())
    candidates["first"], candidates["second"] = ends.T
    candidates["hash"] = minhash.mix_bits(minhash.mix_bits(candidates["first"]) ^ candidates["second"])
    candidates = np.unique(candidates)
    save_array(job.folder, job.work_path("candidates", part.number), candidates)
    count, examples = _count_repeated_ids(job, part)
    with write_atomically(job.folder, path) as name:
        report = {"dense": dense, "candidates": len(candidates), "repeated": count, "examples": examples}
        name.write_text(json.dumps(report, sort_keys=True), encoding="utf-8")
    return part.number


def _count_repeated_ids(job: Job, part: Partition) -> tuple[int, list[tuple[int, int]]]:
    """Count articles with the given id of an earlier one; return the first of them too.

    They are (shard, position).
    """
    import numpy as np

    dtype = np.dtype([*id_dtype().descr, ("block", np.uint32)])
    parts = []
    for number, ids in _read_partition(job, "ids", part):
        rows = np.empty(len(ids), dtype=dtype)
        rows["hash"], rows["at"], rows["block"] = ids["hash"], ids["at"], number
        parts.append(rows)
    if not parts:
        return 0, []
    joined: Any = np.concatenate(parts)
    rows = joined[np.argsort(joined["hash"], kind="stable")]
    again = rows[1:][rows["hash"][1:] == rows["hash"][:-1]]
    first = heapq.nsmallest(MAX_EXAMPLES, zip(again["block"].tolist(), again["at"].tolist(), strict=True))
    return len(again), first


class PassageTexts:
    """Texts of passages by number, read from files of which a few are open at a time."""

    MAX_OPEN = 64

    def __init__(self, job: Job) -> None:
        self.job = job
        self.open: dict[int, tuple[int, Any]] = {}

    def __getitem__(self, place: int) -> str:
        import numpy as np

        block, row = place >> 32, place & 0xFFFFFFFF
        if block not in self.open:
            if len(self.open) >= self.MAX_OPEN:
                self._close(next(iter(self.open)))
            handle = os.open(self.job.work_path("texts", block, "txt"), os.O_RDONLY)
            self.open[block] = handle, np.load(self.job.work_path("ends", block), mmap_mode="r")
        handle, ends = self.open[block]
        begin, end = ends[row : row + 2].tolist()
        return os.pread(handle, end - begin, begin).decode()

    def _close(self, block: int) -> None:
        os.close(self.open.pop(block)[0])

    def __enter__(self) -> "PassageTexts":
        return self

    def __exit__(self, *_: object) -> None:
        for block in list(self.open):
            self._close(block)


def verify_candidates(job: Job, part: Partition) -> int:
    """Compare the candidates of a partition of pairs exactly. Return its number.

    Written are pairs with a Jaccard index of `similar` or more, in order.
    """
    import numpy as np

    path = job.work_path("pairs", part.number)
    if path.is_file():
        return part.number
    parts = [rows for _, rows in _read_partition(job, "candidates", part)]
    pairs: Any = np.unique(np.concatenate(parts)) if parts else np.empty(0, dtype=pair_dtype())
    del parts
    pairs = pairs[np.lexsort([pairs["second"], pairs["first"]])]
    similar = np.empty(len(pairs))
    last, own = -1, set[str]()
    with PassageTexts(job) as texts:
        for begin in range(0, len(pairs), _CHUNK):
            chunk = pairs[begin : begin + _CHUNK]
            for i, (_, first, second) in enumerate(chunk.tolist(), begin):
                if first != last:
                    last, own = first, minhash.split_shingles(texts[first])
                similar[i] = minhash.jaccard_index(own, minhash.split_shingles(texts[second]))
    mask = similar >= job.settings.similar
    dtype = [("first", np.uint64), ("second", np.uint64), ("similar", np.float64)]
    verified = np.empty(int(mask.sum()), dtype=dtype)
    verified["first"], verified["second"] = pairs["first"][mask], pairs["second"][mask]
    verified["similar"] = similar[mask].round(DIGITS)
    save_array(job.folder, path, verified)
    return part.number


class Components:
    """Connected components of the pairs; only paired passages are in memory.

    Union-find with path halving: Galler & Fischer 1964, "An improved equivalence algorithm".

    `members`: numbers of the passages, in order; `heads`: for each the index of the first of its component.
    """

    def __init__(self, pairs: Sequence[Path]) -> None:
        import numpy as np

        self.pairs = waiting = 0
        members: Numbers = np.empty(0, dtype=np.uint64)
        new: list[Numbers] = []
        for chunk in read_chunks(pairs):
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

        for chunk in read_chunks(pairs):
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

        sizes: list[int] = np.unique(self.heads, return_counts=True)[1].tolist()
        return sizes

    def find_heads(self, places: Any) -> Any:
        """Return the number of the first passage of each passage's component."""
        import numpy as np

        if not len(self.members):
            return places
        at = np.minimum(np.searchsorted(self.members, places), len(self.members) - 1)
        return np.where(self.members[at] == places, self.members[self.heads[at]], places)


def read_chunks(paths: Sequence[Path]) -> Iterator[Any]:
    """Yield the rows of arrays in chunks."""
    import numpy as np

    for path in paths:
        rows = np.load(path, mmap_mode="r")
        for begin in range(0, len(rows), _CHUNK):
            yield np.array(rows[begin : begin + _CHUNK])


def select_least_certain(job: Job, count: int, shards: int, components: Components) -> list[tuple[float, int]]:
    """Return (confidence, number) of the `count` least confident passages.

    At most one of each component is selected. One pass over the confidences of all shards suffices: the pool has the
    least confident passage of the `count` first components so far, and another component can only enter with a passage
    that is still to be read.
    """
    import numpy as np

    pool: Any = np.empty(0, dtype=[("certainty", np.float64), ("place", np.uint64), ("family", np.uint64)])
    for number in range(shards) if count else ():
        values = np.load(job.work_path("certain", number))
        rows = np.flatnonzero(~np.isnan(values))
        new = np.empty(len(rows), dtype=pool.dtype)
        new["certainty"] = values[rows]
        new["place"] = rows.astype(np.uint64) + np.uint64(number << 32)
        new["family"] = components.find_heads(new["place"])
        pool = np.sort(np.concatenate([pool, new]), order=["certainty", "place"])
        _, firsts = np.unique(pool["family"], return_index=True)
        pool = pool[np.sort(firsts)[:count]]
    return [(float(certainty), int(place)) for certainty, place, _ in pool.tolist()]


def to_shard_and_row(number: int) -> tuple[int, int]:
    """Return shard and row of a passage."""
    return number >> 32, number & 0xFFFFFFFF


def group_by_shard(selected: Sequence[tuple[float, int]]) -> Iterator[tuple[int, list[int]]]:
    """Yield each shard with its selected rows."""
    places = sorted(to_shard_and_row(number) for _, number in selected)
    for shard, group in itertools.groupby(places, key=lambda place: place[0]):
        yield shard, [row for _, row in group]
