"""Batched forward-backward and Viterbi over a linear chain of BIOES states.

Sentences are packed by time, the longest first: all first characters, then all second ones. Step t is then one block of
rows, and the sentences that continue are its first ones; no padding, and one matrix product per step for all of them.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.integer]
FloatArray = NDArray[np.floating]
BoolArray = NDArray[np.bool_]
SpanTriple = tuple[int, int, int]  # start, end, number of the type

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

    Their order is B…, O, S…, E…, I…, so that the states a sentence may begin with (`initial`), those it may end with
    (`final`) and those inside a span are ranges. Any initial state may follow any final one. Only the types in
    `single_types` (ascending numbers; all by default) have an S: few types have spans of one character, and every state
    costs time and memory.
    """

    def __init__(self, n_types: int, single_types: Sequence[int] | None = None) -> None:
        self.n_types = n_types
        self.single_types = list(range(n_types) if single_types is None else single_types)
        self.outside = n_types
        self.first_end = n_types + 1 + len(self.single_types)  # the first E
        self.first_inside = self.first_end + n_types  # the first I
        self.size = self.first_inside + n_types
        self.initial = slice(0, self.first_end)
        self.final = slice(n_types, self.first_inside)
        self.single_states = {type: n_types + 1 + i for i, type in enumerate(self.single_types)}

    def allowed_transitions(self) -> tuple[BoolArray, BoolArray]:
        """Return which state may follow which (from, to), and which may begin and end a sentence (2, states)."""
        n, numbers = self.n_types, np.arange(self.size)
        pairs = np.zeros((self.size, self.size), dtype=bool)
        pairs[self.final, self.initial] = True
        for before in (numbers[:n], numbers[self.first_inside :]):  # after B and I of a type, E and I of the same
            for first in (self.first_end, self.first_inside):
                pairs[before, numbers[first : first + n]] = True
        edges = np.zeros((2, self.size), dtype=bool)
        edges[0, self.initial] = edges[1, self.final] = True
        return pairs, edges

    def to_path(self, length: int, spans: Iterable[SpanTriple]) -> IntArray:
        """Convert the spans of a text of `length` characters, which do not overlap, to its states.

        Raises KeyError for a span of one character whose type is not in `single_types`.
        """
        path = np.full(length, self.outside, dtype=np.int32)
        for start, end, type in spans:
            if end - start == 1:
                path[start] = self.single_states[type]
            else:
                path[start:end] = self.first_inside + type
                path[start], path[end - 1] = type, self.first_end + type
        return path

    def to_spans(self, path: IntArray) -> list[SpanTriple]:
        """Convert the states of one or several concatenated texts to their whole spans.

        A whole span is an S, or a B with the E that follows it over nothing but I, all of one type. Others are dropped.
        """
        positions = np.arange(len(path))
        broken = np.zeros(len(path), dtype=np.int64)
        broken[1:] = np.cumsum(~self.allowed_transitions()[0][path[:-1], path[1:]])
        starts = np.maximum.accumulate(np.where((path < self.first_end) & (path != self.outside), positions, -1))
        ends = np.flatnonzero((path > self.outside) & (path < self.first_inside))
        starts = starts[ends]
        whole = (starts >= 0) & (broken[starts] == broken[ends])
        starts, ends = starts[whole], ends[whole] + 1
        types = np.array([*range(self.n_types), self.outside, *self.single_types])[path[starts]]
        return list(zip(starts.tolist(), ends.tolist(), types.tolist(), strict=True))


@dataclass(frozen=True)
class PackedSentences:
    """Sentences packed by time.

    `positions`: of each packed row, its position in the concatenated sentences. `previous_rows`: of each row but those
    of step 0, the row of the character before it. `last_rows`: the rows that end a sentence. `steps[t]`: the rows of
    step t; `continuing[t]`: those of them whose sentences continue, so that `continuing[t - 1]` matches `steps[t]`.
    """

    positions: IntArray
    previous_rows: IntArray
    last_rows: IntArray
    steps: list[slice]
    continuing: list[slice]

    @property
    def n_sentences(self) -> int:
        """The number of sentences, which is the size of step 0."""
        return int(self.steps[0].stop) if self.steps else 0


def pack_sentences(lengths: IntArray, offsets: IntArray) -> PackedSentences:
    """Pack sentences of `lengths` (none of them 0), each beginning at its offset in the concatenated text."""
    order = np.argsort(-lengths, kind="stable")
    longest_first, offsets = lengths[order], offsets[order]
    n_steps = int(longest_first[0]) if len(order) else 0
    sizes = np.searchsorted(-longest_first, -np.arange(n_steps), side="left")  # sentences longer than t
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    step = np.repeat(np.arange(n_steps), sizes)
    sentence = np.arange(len(step)) - starts[step]  # longest first
    bounds = starts.tolist()
    steps = [slice(a, b) for a, b in itertools.pairwise(bounds)]
    continuing = [slice(a, a + size) for a, size in zip(bounds, [*sizes[1:].tolist(), 0], strict=False)]
    previous_rows = (starts[step - 1] + sentence)[len(order) :]
    last_rows = starts[longest_first - 1] + np.arange(len(order))
    positions = offsets[sentence] + step
    return PackedSentences(
        positions.astype(np.int32), previous_rows.astype(np.int32), last_rows, steps, continuing[:n_steps]
    )


def add_edges(scores: FloatArray, edges: FloatArray, packed: PackedSentences) -> None:
    """Add the scores of beginning and ending with each state (2, states) to scores (rows, states), in place."""
    scores[: packed.n_sentences] += edges[0]
    scores[packed.last_rows] += edges[1]


def forward_backward(
    scores: FloatArray, transitions: FloatArray, packed: PackedSentences
) -> tuple[FloatArray, FloatArray, float]:
    """Return marginals (rows, states), expected transitions (states, states) and the sum of log Z.

    Args:
        scores: (rows, states), edges added.
        transitions: (from, to) scores.
        packed: The sentences.

    References:
        Scaling as in Rabiner (1989), A tutorial on hidden Markov models, section V.A.
    """
    moves = np.exp(transitions)
    forward, backward, ahead, log_scales = _recursions(scores, moves, packed)
    pairs = (forward[packed.previous_rows].T @ ahead[packed.n_sentences :]) * moves
    return forward * backward, pairs, float(log_scales.sum(dtype=np.float64))


def compute_marginals(scores: FloatArray, transitions: FloatArray, packed: PackedSentences) -> FloatArray:
    """Return the probability of each state (rows, states), for scores with edges."""
    forward, backward, _, _ = _recursions(scores, np.exp(transitions), packed)
    forward *= backward
    return forward


class Confidence:
    """Probabilities of states, spans and whole paths, for scores (rows, states) with edges.

    In 64 bits: the products over a span are long. Results are in the order of the concatenated sentences; 0, or -inf as
    a logarithm, where the arithmetic fails.
    """

    def __init__(self, scores: FloatArray, transitions: FloatArray, packed: PackedSentences) -> None:
        self.scores, self.transitions = scores.astype(np.float64), transitions.astype(np.float64)
        self.packed = packed
        with np.errstate(all="ignore"):
            self.forward, self.backward, _, self.log_scales = _recursions(self.scores, np.exp(self.transitions), packed)

    def state_confidence(self) -> FloatArray:
        """Return the probability of the most likely state of each character."""
        with np.errstate(all="ignore"):
            probabilities = (self.forward * self.backward).max(1)
        return self._to_text_order(np.nan_to_num(probabilities, nan=0.0, posinf=0.0))

    def log_step_probabilities(self, path: IntArray) -> FloatArray:
        """Return the logarithm of the factor that each character contributes to the probability of a path.

        The factor is the move into its state times the emission, over the scale. Over a sentence the logarithms add up
        to log p. `path`: (packed rows,).
        """
        steps = np.take_along_axis(self.scores, path[:, None], 1)[:, 0] - self.log_scales[:, 0]
        n = self.packed.n_sentences
        steps[n:] += self.transitions[path[self.packed.previous_rows], path[n:]]
        return self._to_text_order(np.nan_to_num(steps, nan=-math.inf, posinf=-math.inf))

    def span_probability(self, path: IntArray) -> Callable[[int, int], float]:
        """Return a function (start, end) → the probability that these characters are in the states of `path`.

        The characters [start, end) of the concatenated sentences must all be of one sentence. `path`: (packed rows,).
        """
        steps, states = self.log_step_probabilities(path), path[:, None]
        with np.errstate(all="ignore"):
            begin, end = (
                self._to_text_order(np.log(np.take_along_axis(table, states, 1)[:, 0]))
                for table in (self.forward, self.backward)
            )

        def probability(start: int, stop: int) -> float:
            log_probability = float(begin[start] + steps[start + 1 : stop].sum() + end[stop - 1])
            return 0.0 if math.isnan(log_probability) else math.exp(min(0.0, log_probability))

        return probability

    def _to_text_order(self, values: FloatArray) -> FloatArray:
        ordered = np.empty_like(values)
        ordered[self.packed.positions] = values
        return ordered


def _recursions(
    scores: FloatArray, moves: FloatArray, packed: PackedSentences
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return scaled forward and backward variables (rows, states), the latter also times the emissions, and log scales.

    The log scales sum to log Z.
    """
    peak = np.ascontiguousarray(scores.T).max(0)[:, None]  # along the long axis: faster than along a short one
    emitted = scores - peak
    np.exp(emitted, out=emitted)
    forward, ahead = np.empty_like(scores), np.empty_like(scores)
    scale = np.empty((len(scores), 1), scores.dtype)
    ones = np.ones((scores.shape[1], 1), scores.dtype)
    for t, step in enumerate(packed.steps):
        reached = (forward[packed.continuing[t - 1]] @ moves) * emitted[step] if t else emitted[step]
        np.matmul(reached, ones, out=scale[step])  # the sum of each row
        np.divide(reached, scale[step], out=forward[step])
    backward = np.ones_like(scores)
    emitted /= scale
    for t in range(len(packed.steps) - 1, 0, -1):
        step = packed.steps[t]
        np.multiply(backward[step], emitted[step], out=ahead[step])
        np.matmul(ahead[step], moves.T, out=backward[packed.continuing[t - 1]])
    return forward, backward, ahead, np.log(scale) + peak


def decode_viterbi(
    scores: FloatArray, transitions: FloatArray, packed: PackedSentences, states: States
) -> NDArray[np.int64]:
    """Return the states (rows,) of the best valid path of each sentence, for scores (rows, states) with edges."""
    n, initial, final = states.n_types, states.initial, states.final
    begin, inside = slice(0, n), slice(states.first_inside, None)
    between = np.ascontiguousarray(transitions[final, initial].T)[:, :, None]  # (to, from, 1)
    # E and I, in this order, come from B or I of their type alone: (2, types) each.
    from_begin, from_inside = (
        np.stack([np.diag(transitions[way, to]) for to in (slice(states.first_end, states.first_inside), inside)])
        for way in (begin, inside)
    )
    best = scores.copy()
    for t in range(1, len(packed.steps)):
        before, current = best[packed.continuing[t - 1]], best[packed.steps[t]]
        # Sentences innermost: the longest of the three axes runs fastest.
        current[:, initial] += (between + np.ascontiguousarray(before[:, final].T)).max(1).T
        within_spans = current[:, states.first_end :].reshape(len(current), 2, n)
        within_spans += np.maximum(before[:, None, begin] + from_begin, before[:, None, inside] + from_inside)
    # The best predecessor is computed on the best path alone, not stored for all states.
    path = np.zeros(len(scores), dtype=np.int64)
    path[packed.last_rows] = best[packed.last_rows].argmax(1)
    into = np.ascontiguousarray(transitions.T)
    for t in range(len(packed.steps) - 2, -1, -1):
        continuing = packed.continuing[t]
        path[continuing] = (best[continuing] + into[path[packed.steps[t + 1]]]).argmax(1)
    return path


def sum_before(values: FloatArray, packed: PackedSentences, decay: float) -> FloatArray:
    """Return for each row the sum of the values (rows, n) before it in its sentence, weighted by decay ** distance."""
    sums = np.zeros_like(values)
    for continuing, step in zip(packed.continuing, packed.steps[1:], strict=False):
        np.multiply(sums[continuing] + values[continuing], decay, out=sums[step])
    return sums


def sum_after(values: FloatArray, packed: PackedSentences, decay: float) -> FloatArray:
    """Return the same sums over the values after each row."""
    sums = np.zeros_like(values)
    for t in range(len(packed.steps) - 2, -1, -1):
        after = packed.steps[t + 1]
        np.multiply(sums[after] + values[after], decay, out=sums[packed.continuing[t]])
    return sums
