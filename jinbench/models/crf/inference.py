"""Linear-chain arithmetic over many sentences at once: states, forward-backward, the best paths, decayed sums.

Sentences are packed by time, the longest first: all first characters, then all second ones. Step t is then one block of
rows, and the sentences that go on are its first ones; no padding, and one matrix product per step for all of them.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

FORBIDDEN = -1e4  # a score that no path takes; finite, so that sums of it stay numbers
LARGEST = 2**25 - 2**13  # bytes: the largest block from which glibc learns


def keep_freed_memory() -> None:
    """Allocate a large block and free it, untouched.

    From then on glibc's malloc keeps what is freed for the next array. Otherwise it gives the arrays of every batch
    back to the system and takes them again, page by page, which can cost half as much as the arithmetic. Its limit
    follows the largest block that was ever freed, up to 32 MB (mallopt(3), M_MMAP_THRESHOLD). Nothing depends on it.
    """
    np.empty(LARGEST, dtype=np.uint8)


class States:
    """The states of a chain over entity types: B, I, E of spans of several characters, S of one, and O.

    They stand in the order B…, O, S…, E…, I…, so that what begins a span or stands outside (`fresh`), what may stand
    before that (`closed`), and what goes on with a span, are ranges. Only some types have an S: those in `single`, by
    number and in ascending order, which is all of them unless told otherwise. Few types have spans of one character,
    and every state costs time and memory.
    """

    def __init__(self, types: int, single: Sequence[int] | None = None) -> None:
        self.types = types
        self.single = list(range(types) if single is None else single)
        self.outside = types
        self.ends = types + 1 + len(self.single)  # the first E
        self.inside = self.ends + types  # the first I
        self.size = self.inside + types
        self.fresh = slice(0, self.ends)
        self.closed = slice(types, self.inside)
        self.alone = {type: types + 1 + i for i, type in enumerate(self.single)}

    def allowed(self) -> tuple[Array, Array]:
        """Booleans (from, to); and (2, states): which states a sentence may begin and end with."""
        n, numbers = self.types, np.arange(self.size)
        pairs = np.zeros((self.size, self.size), dtype=bool)
        pairs[self.closed, self.fresh] = True
        for before in (numbers[:n], numbers[self.inside :]):  # after B and I of a type, E and I of the same
            pairs[before, numbers[self.ends : self.inside]] = pairs[before, numbers[self.inside :]] = True
        edges = np.zeros((2, self.size), dtype=bool)
        edges[0, self.fresh] = edges[1, self.closed] = True
        return pairs, edges

    def path(self, length: int, spans: Iterable[tuple[int, int, int]]) -> Array:
        """The states of a text, from spans (start, end, number of the type) that do not overlap.

        Raises KeyError for a span of one character whose type is not in `single`.
        """
        found = np.full(length, self.outside, dtype=np.int32)
        for start, end, type in spans:
            if end - start == 1:
                found[start] = self.alone[type]
            else:
                found[start:end] = self.inside + type
                found[start], found[end - 1] = type, self.ends + type
        return found

    def spans(self, path: Array) -> list[tuple[int, int, int]]:
        """The whole spans (start, end, number of the type) of a path, or of several, one behind the other: each S, and
        each B with the E that follows it over nothing but I, all of one type. What is not whole is left out."""
        at = np.arange(len(path))
        broken = np.zeros(len(path), dtype=np.int64)
        broken[1:] = np.cumsum(~self.allowed()[0][path[:-1], path[1:]])
        starts = np.maximum.accumulate(np.where((path < self.ends) & (path != self.outside), at, -1))
        ends = np.flatnonzero((path > self.outside) & (path < self.inside))
        starts = starts[ends]
        whole = (starts >= 0) & (broken[starts] == broken[ends])
        starts, ends = starts[whole], ends[whole] + 1
        types = np.array([*range(self.types), self.outside, *self.single])[path[starts]]
        return list(zip(starts.tolist(), ends.tolist(), types.tolist(), strict=True))


@dataclass(frozen=True)
class Packed:
    """`rows`: for each packed row, the position in the concatenated sentences. `before`: for each row but those of step
    0, the packed row of the character before it. `last`: the packed rows that end a sentence. `blocks[t]`: the rows of
    step t; `staying[t]`: those of them whose sentences go on, so that `staying[t - 1]` and `blocks[t]` belong together.
    """

    rows: Array
    before: Array
    last: Array
    blocks: list[slice]
    staying: list[slice]

    @property
    def first(self) -> int:
        """How many sentences there are: the size of step 0."""
        return int(self.blocks[0].stop) if self.blocks else 0


def pack(lengths: Array, offsets: Array) -> Packed:
    """Pack sentences of `lengths` (none of them 0), each beginning at its offset in the concatenated text."""
    order = np.argsort(-lengths, kind="stable")
    longest_first, offsets = lengths[order], offsets[order]
    steps = int(longest_first[0]) if len(order) else 0
    sizes = np.searchsorted(-longest_first, -np.arange(steps), side="left")  # sentences longer than t
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    step = np.repeat(np.arange(steps), sizes)
    place = np.arange(len(step)) - starts[step]  # which sentence, longest first
    bounds = starts.tolist()
    blocks = [slice(a, b) for a, b in itertools.pairwise(bounds)]
    staying = [slice(a, a + size) for a, size in zip(bounds, [*sizes[1:].tolist(), 0], strict=False)]
    before = (starts[step - 1] + place)[len(order) :]
    last = starts[longest_first - 1] + np.arange(len(order))
    rows = offsets[place] + step
    return Packed(rows.astype(np.int32), before.astype(np.int32), last, blocks, staying[:steps])


def add_edges(scores: Array, edges: Array, packed: Packed) -> None:
    """Add to scores (rows, states), in place, what it counts to begin and to end with each state (2, states)."""
    scores[: packed.first] += edges[0]
    scores[packed.last] += edges[1]


def forward_backward(scores: Array, transitions: Array, packed: Packed) -> tuple[Array, Array, float]:
    """Marginals (rows, states), expected transitions (states, states) and the sum of log Z, for scores with edges.

    Scaled as in Rabiner (1989), A tutorial on hidden Markov models, section V.A.
    """
    moves = np.exp(transitions)
    forward, backward, ahead, scale = _recursions(scores, moves, packed)
    pairs = (forward[packed.before].T @ ahead[packed.first :]) * moves
    return forward * backward, pairs, float(scale.sum(dtype=np.float64))


def marginals(scores: Array, transitions: Array, packed: Packed) -> Array:
    """The probability of each state (rows, states), for scores with edges."""
    forward, backward, _, _ = _recursions(scores, np.exp(transitions), packed)
    forward *= backward
    return forward


class Sureness:
    """How likely states, stretches of states and whole paths are, for scores (rows, states) with edges.

    In 64 bits: the products over a stretch are long. What it returns is in the order of the concatenated sentences; 0,
    or -inf as a logarithm, where the arithmetic fails.
    """

    def __init__(self, scores: Array, transitions: Array, packed: Packed) -> None:
        self.scores, self.transitions = scores.astype(np.float64), transitions.astype(np.float64)
        self.packed = packed
        with np.errstate(all="ignore"):
            self.forward, self.backward, _, self.norms = _recursions(self.scores, np.exp(self.transitions), packed)

    def likeliest(self) -> Array:
        """The probability of the likeliest state of each character."""
        with np.errstate(all="ignore"):
            chances = (self.forward * self.backward).max(1)
        return self._in_order(np.nan_to_num(chances, nan=0.0, posinf=0.0))

    def steps(self, path: Array) -> Array:
        """For each character the logarithm of what its step on a path (packed rows,) multiplies the probability of the
        path by: the move into its state times what is emitted, over the scale. Over a sentence they add up to log p."""
        steps: Array = np.take_along_axis(self.scores, path[:, None], 1)[:, 0] - self.norms[:, 0]
        steps[self.packed.first :] += self.transitions[path[self.packed.before], path[self.packed.first :]]
        return self._in_order(np.nan_to_num(steps, nan=-math.inf, posinf=-math.inf))

    def along(self, path: Array) -> Callable[[int, int], float]:
        """A function (start, end) that gives the probability that the characters [start, end) of the concatenated
        sentences, all of one sentence, are in the states that a path (packed rows,) has there."""
        steps, at = self.steps(path), path[:, None]
        with np.errstate(all="ignore"):
            begin, end = (
                self._in_order(np.log(np.take_along_axis(table, at, 1)[:, 0]))
                for table in (self.forward, self.backward)
            )

        def chance(start: int, stop: int) -> float:
            found = float(begin[start] + steps[start + 1 : stop].sum() + end[stop - 1])
            return 0.0 if math.isnan(found) else math.exp(min(0.0, found))

        return chance

    def _in_order(self, values: Array) -> Array:
        found = np.empty_like(values)
        found[self.packed.rows] = values
        return found


def _recursions(scores: Array, moves: Array, packed: Packed) -> tuple[Array, Array, Array, Array]:
    """Scaled forward and backward variables (rows, states), the latter also times what is emitted; the logarithms of
    the scales, whose sum is log Z."""
    peak = np.ascontiguousarray(scores.T).max(0)[:, None]  # along the long axis: faster than along a short one
    emitted = scores - peak
    np.exp(emitted, out=emitted)
    forward, ahead = np.empty_like(scores), np.empty_like(scores)
    scale = np.empty((len(scores), 1), scores.dtype)
    ones = np.ones((scores.shape[1], 1), scores.dtype)
    for t, here in enumerate(packed.blocks):
        reached = (forward[packed.staying[t - 1]] @ moves) * emitted[here] if t else emitted[here]
        np.matmul(reached, ones, out=scale[here])  # the sum of each row
        np.divide(reached, scale[here], out=forward[here])
    backward = np.ones_like(scores)
    emitted /= scale
    for t in range(len(packed.blocks) - 1, 0, -1):
        here = packed.blocks[t]
        np.multiply(backward[here], emitted[here], out=ahead[here])
        np.matmul(ahead[here], moves.T, out=backward[packed.staying[t - 1]])
    return forward, backward, ahead, np.log(scale) + peak


def best_paths(scores: Array, transitions: Array, packed: Packed, states: States) -> Array:
    """Viterbi: the states (rows,) of the best valid path of each sentence, for scores (rows, states) with edges."""
    n, fresh, closed = states.types, states.fresh, states.closed
    begin, inside = slice(0, n), slice(states.inside, None)
    between = np.ascontiguousarray(transitions[closed, fresh].T)[:, :, None]  # (to, from, 1)
    # E and I, in this order, come from B or I of their type alone: (2, types) each.
    starts, goes_on = (
        np.stack([np.diag(transitions[way, to]) for to in (slice(states.ends, states.inside), inside)])
        for way in (begin, inside)
    )
    best = scores.copy()
    for t in range(1, len(packed.blocks)):
        before, here = best[packed.staying[t - 1]], best[packed.blocks[t]]
        # Sentences innermost: the longest of the three axes runs fastest.
        here[:, fresh] += (between + np.ascontiguousarray(before[:, closed].T)).max(1).T
        going = here[:, states.ends :].reshape(len(here), 2, n)
        going += np.maximum(before[:, None, begin] + starts, before[:, None, inside] + goes_on)
    # Where the best path came from is asked on that path alone, not kept for all.
    path = np.zeros(len(scores), dtype=np.int64)
    path[packed.last] = best[packed.last].argmax(1)
    into = np.ascontiguousarray(transitions.T)
    for t in range(len(packed.blocks) - 2, -1, -1):
        staying = packed.staying[t]
        path[staying] = (best[staying] + into[path[packed.blocks[t + 1]]]).argmax(1)
    return path


def sums_before(values: Array, packed: Packed, decay: float) -> Array:
    """For each row, the values (rows, n) before it in its sentence, each weighted by decay ** distance, summed."""
    sums = np.zeros_like(values)
    for staying, here in zip(packed.staying, packed.blocks[1:], strict=False):
        np.multiply(sums[staying] + values[staying], decay, out=sums[here])
    return sums


def sums_after(values: Array, packed: Packed, decay: float) -> Array:
    """The same for the values after it."""
    sums = np.zeros_like(values)
    for t in range(len(packed.blocks) - 2, -1, -1):
        after = packed.blocks[t + 1]
        np.multiply(sums[after] + values[after], decay, out=sums[packed.staying[t]])
    return sums
