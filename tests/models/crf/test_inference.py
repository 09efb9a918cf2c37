"""Inference on chains against every valid path, written out one by one."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jinbench.models.crf import inference
from jinbench.models.crf.inference import FORBIDDEN, FloatArray, IntArray, PackedSentences, States
from tests.helpers.crf import may_follow, score_paths, state_names, valid_paths

TOLERANCE = {np.float64: 1e-9, np.float32: 2e-4}
SEEDS = pytest.mark.parametrize("seed", range(6))
PRECISIONS = pytest.mark.parametrize("dtype", [np.float64, np.float32])
lengths_of_sentences = st.lists(st.integers(1, 9), min_size=1, max_size=7)


class Case:
    """Random sentences of 1 to 5 characters, and random scores for them."""

    def __init__(self, seed: int, spread: float = 2, n_types: int = 2, lengths: tuple[int, ...] = (3, 1, 5, 4, 1, 2)):
        rng = np.random.default_rng(seed)
        self.lengths = np.array(lengths)
        self.offsets = np.cumsum(self.lengths) - self.lengths
        self.states = States(n_types)
        size = self.states.size
        pairs, edges = self.states.allowed_transitions()
        self.scores = rng.normal(0, spread, (self.lengths.sum(), size))
        self.transitions = np.where(pairs, rng.normal(0, spread, (size, size)), FORBIDDEN)
        self.edges = np.where(edges, rng.normal(0, spread, (2, size)), FORBIDDEN)
        self.packed = inference.pack_sentences(self.lengths, self.offsets)

    def with_edges(self, dtype: type) -> tuple[FloatArray, FloatArray]:
        """Return packed scores with edges, and transitions."""
        scores = self.scores[self.packed.positions].astype(dtype)
        inference.add_edges(scores, self.edges.astype(dtype), self.packed)
        return scores, self.transitions.astype(dtype)

    def sentences(self) -> list[tuple[int, IntArray, FloatArray]]:
        """Return for each sentence its offset, its valid paths, and their scores."""
        sentences = []
        for start, length in zip(self.offsets.tolist(), self.lengths.tolist(), strict=True):
            paths = valid_paths(self.states.n_types, length)
            path_scores = score_paths(paths, self.scores[start : start + length], self.transitions, self.edges)
            sentences.append((start, paths, path_scores))
        return sentences


# ---- states -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_types", "single_types"), [(0, None), (1, None), (2, None), (5, None), (2, []), (3, [1]), (5, [0, 3])]
)
def test_allowed_transitions_are_those_of_bioes(n_types: int, single_types: list[int] | None) -> None:
    pairs, edges = States(n_types, single_types).allowed_transitions()
    states = state_names(n_types, single_types)
    assert len(states) == States(n_types, single_types).size
    assert pairs.tolist() == [[may_follow(a, b) for b in states] for a in states]
    assert edges.tolist() == [[state[0] in kinds for state in states] for kinds in ("OSB", "OSE")]


@st.composite
def spans_in_a_text(draw: st.DrawFn) -> tuple[int, list[tuple[int, int, int]]]:
    length = draw(st.integers(1, 25))
    cuts = sorted(draw(st.sets(st.integers(0, length))))
    pairs = [pair for pair in itertools.pairwise(cuts) if draw(st.booleans())]
    return length, [(a, b, draw(st.integers(0, 2))) for a, b in pairs]


@given(spans_in_a_text())
def test_spans_to_states_and_back(case: tuple[int, list[tuple[int, int, int]]]) -> None:
    length, spans = case
    states = States(3)
    path = states.to_path(length, spans)
    assert states.to_spans(path) == spans
    pairs, edges = states.allowed_transitions()
    assert pairs[path[:-1], path[1:]].all()
    assert edges[0, path[0]]
    assert edges[1, path[-1]]


@pytest.mark.parametrize(
    ("length", "spans", "written"),
    [
        (5, [], "OOOOO"),
        (1, [(0, 1, 1)], "S"),
        (6, [(0, 2, 0), (2, 5, 0), (5, 6, 0)], "BEBIES"),  # neighbours of one type stay apart
        (4, [(1, 2, 1), (2, 3, 0)], "OSSO"),
    ],
)
def test_states_by_hand(length: int, spans: list[tuple[int, int, int]], written: str) -> None:
    path = States(2).to_path(length, spans)
    assert "".join(state_names(2)[state][0] for state in path) == written
    assert States(2).to_spans(path) == spans


def test_only_single_types_have_a_state_for_one_character() -> None:
    spans = [(0, 1, 1), (1, 3, 0), (3, 4, 4), (4, 6, 2)]
    states = States(5, [1, 4])
    assert states.size == States(5).size - 3
    assert states.to_spans(states.to_path(7, spans)) == spans
    with pytest.raises(KeyError):
        states.to_path(3, [(0, 1, 2)])


def whole_spans(states: list[tuple[str, int]]) -> list[tuple[int, int, int]]:
    """Do the same as `States.to_spans`, character by character."""
    spans: list[tuple[int, int, int]] = []
    start = None
    for i, (kind, type) in enumerate(states):
        if start is not None and not (kind in "IE" and states[start][1] == type):
            start = None
        if kind == "S":
            spans.append((i, i + 1, type))
        elif kind == "B":
            start = i
        elif kind == "E" and start is not None:
            spans.append((start, i + 1, type))
            start = None
    return spans


@given(st.lists(st.integers(0, 10), max_size=30))
def test_only_whole_spans_are_decoded(path: list[int]) -> None:
    states = States(3, [2])
    assert states.size == 11
    expected = whole_spans([state_names(3, [2])[state] for state in path])
    assert states.to_spans(np.array(path, dtype=np.int64)) == expected


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_every_valid_path_has_different_spans(length: int) -> None:
    states = States(2)
    paths = valid_paths(2, length)
    assert [states.to_path(length, states.to_spans(path)).tolist() for path in paths] == paths.tolist()


@given(spans_in_a_text(), spans_in_a_text())
def test_concatenated_paths_have_the_spans_of_each(
    one: tuple[int, list[tuple[int, int, int]]], other: tuple[int, list[tuple[int, int, int]]]
) -> None:
    states = States(3)
    both = np.concatenate([states.to_path(*one), states.to_path(*other)])
    assert states.to_spans(both) == [*one[1], *((a + one[0], b + one[0], type) for a, b, type in other[1])]


# ---- packing ----------------------------------------------------------------------------------------------------


def check_packed(packed: PackedSentences, lengths: list[int], offsets: list[int]) -> None:
    """Check every field against its definition."""
    places = {start + t: (i, t) for i, (start, n) in enumerate(zip(offsets, lengths, strict=True)) for t in range(n)}
    rows = packed.positions.tolist()
    assert sorted(rows) == sorted(places)  # every position once
    assert packed.n_sentences == len(lengths)
    assert sorted(rows[at] for at in packed.last_rows) == sorted(
        a + n - 1 for a, n in zip(offsets, lengths, strict=True)
    )
    assert len(packed.previous_rows) == len(rows) - packed.n_sentences
    for row, before in zip(range(packed.n_sentences, len(rows)), packed.previous_rows.tolist(), strict=True):
        assert rows[before] == rows[row] - 1
        assert before < row
    covered = [row for block in packed.steps for row in range(block.start, block.stop)]
    assert covered == list(range(len(rows)))
    assert len(packed.steps) == len(packed.continuing) == max(lengths, default=0)
    for t, (block, continuing) in enumerate(zip(packed.steps, packed.continuing, strict=True)):
        assert sorted(places[rows[row]] for row in range(block.start, block.stop)) == [
            (i, t) for i, n in enumerate(lengths) if n > t
        ]
        following = range(packed.steps[t + 1].start, packed.steps[t + 1].stop) if t + 1 < len(packed.steps) else []
        assert continuing.start == block.start
        assert [rows[row] + 1 for row in range(continuing.start, continuing.stop)] == [rows[row] for row in following]


@given(lengths_of_sentences)
def test_every_position_is_packed_once_with_its_predecessor(lengths: list[int]) -> None:
    offsets = np.cumsum(lengths) - lengths
    check_packed(inference.pack_sentences(np.array(lengths), offsets), lengths, offsets.tolist())


@given(lengths_of_sentences, st.randoms(use_true_random=False))
def test_sentences_of_a_longer_text_are_packed_in_any_order(lengths: list[int], rng: random.Random) -> None:
    offsets = np.cumsum(lengths) - lengths
    chosen = list(range(len(lengths)))
    rng.shuffle(chosen)
    chosen = chosen[: max(1, len(chosen) // 2)]
    packed = inference.pack_sentences(np.array(lengths)[chosen], offsets[chosen])
    check_packed(packed, [lengths[i] for i in chosen], [int(offsets[i]) for i in chosen])


def test_no_sentence_packs_to_nothing() -> None:
    empty = np.zeros(0, dtype=np.int64)
    check_packed(inference.pack_sentences(empty, empty), [], [])


# ---- all paths --------------------------------------------------------------------------------------------------


@SEEDS
@PRECISIONS
def test_forward_backward_sums_over_every_valid_path(seed: int, dtype: type) -> None:
    case = Case(seed)
    marginals, moves, log_z = inference.forward_backward(*case.with_edges(dtype), case.packed)
    by_position = np.empty_like(marginals)
    by_position[case.packed.positions] = marginals
    expected, expected_moves, expected_log_z = np.zeros(by_position.shape), np.zeros(moves.shape), 0.0
    for start, paths, path_scores in case.sentences():
        z = np.logaddexp.reduce(path_scores)
        shares = np.exp(path_scores - z)
        expected_log_z += z
        for t in range(paths.shape[1]):
            np.add.at(expected[start + t], paths[:, t], shares)
            if t:
                np.add.at(expected_moves, (paths[:, t - 1], paths[:, t]), shares)
    tolerance = TOLERANCE[dtype]
    assert log_z == pytest.approx(expected_log_z, rel=tolerance)
    np.testing.assert_allclose(by_position, expected, atol=tolerance)
    np.testing.assert_allclose(moves, expected_moves, atol=tolerance)
    assert (marginals.dtype, moves.dtype) == (dtype, dtype)


@SEEDS
@PRECISIONS
def test_marginals_equal_those_of_forward_backward(seed: int, dtype: type) -> None:
    case = Case(seed)
    arguments = *case.with_edges(dtype), case.packed
    assert np.array_equal(inference.compute_marginals(*arguments), inference.forward_backward(*arguments)[0])


@PRECISIONS
def test_log_z_of_a_batch_is_the_sum_over_its_sentences(dtype: type) -> None:
    together = Case(0)
    log_z = inference.forward_backward(*together.with_edges(dtype), together.packed)[2]
    alone = 0.0
    for start, length in zip(together.offsets.tolist(), together.lengths.tolist(), strict=True):
        case = Case(0, lengths=(length,))
        case.scores = together.scores[start : start + length]
        case.transitions, case.edges = together.transitions, together.edges
        alone += inference.forward_backward(*case.with_edges(dtype), case.packed)[2]
    assert log_z == pytest.approx(alone, rel=TOLERANCE[dtype])


@PRECISIONS
def test_long_sentences_and_large_scores_stay_numbers(dtype: type) -> None:
    case = Case(1, spread=8, lengths=(3000, 1, 70))
    marginals, moves, log_z = inference.forward_backward(*case.with_edges(dtype), case.packed)
    assert np.isfinite(log_z)
    np.testing.assert_allclose(marginals.sum(1), 1, atol=50 * TOLERANCE[dtype])
    assert moves.sum() == pytest.approx(len(case.packed.previous_rows), rel=TOLERANCE[dtype])


@SEEDS
@PRECISIONS
@pytest.mark.parametrize("spread", [0.5, 4])
def test_no_valid_path_is_better_than_the_best_path(seed: int, dtype: type, spread: float) -> None:
    case = Case(seed, spread, lengths=(3, 1, 5, 4, 1, 2) + (5,) * 40)
    case.transitions[case.states.allowed_transitions()[0]] *= 0.2
    scores, transitions = case.with_edges(dtype)
    original = scores.copy()
    best = inference.decode_viterbi(scores, transitions, case.packed, case.states)
    assert (scores == original).all()
    path = np.empty_like(best)
    path[case.packed.positions] = best
    assert (path > 3 * case.states.n_types).any()  # spans of three characters and more are among them
    for start, paths, path_scores in case.sentences():
        chosen = path[start : start + paths.shape[1]]
        which = np.flatnonzero((paths == chosen).all(1))
        assert len(which) == 1, f"{chosen} is not a valid path"
        assert path_scores[which[0]] == pytest.approx(path_scores.max(), abs=TOLERANCE[dtype])


@pytest.mark.parametrize("seed", range(3))
def test_the_best_path_is_valid_whatever_the_scores_are(seed: int) -> None:
    """Long sentences, scores that all agree, and scores that ask for the impossible."""
    for spread in (0.0, 1.0, 100.0):
        case = Case(seed, spread, n_types=3, lengths=(400, 1, 2, 77))
        case.scores[:, case.states.initial] -= 50 * spread
        best = inference.decode_viterbi(*case.with_edges(np.float32), case.packed, case.states)
        path = np.empty_like(best)
        path[case.packed.positions] = best
        pairs, edges = case.states.allowed_transitions()
        for start, length in zip(case.offsets.tolist(), case.lengths.tolist(), strict=True):
            one = path[start : start + length]
            assert pairs[one[:-1], one[1:]].all()
            assert edges[0, one[0]]
            assert edges[1, one[-1]]


def test_without_types_everything_is_outside() -> None:
    case = Case(0, n_types=0)
    assert not inference.decode_viterbi(*case.with_edges(np.float64), case.packed, case.states).any()
    marginals, _, log_z = inference.forward_backward(*case.with_edges(np.float64), case.packed)
    np.testing.assert_allclose(marginals, 1)
    assert log_z == pytest.approx(sum(path_scores.item() for _, _, path_scores in case.sentences()))


# ---- sums that decay --------------------------------------------------------------------------------------------


@given(lengths_of_sentences, st.floats(0, 1), st.integers(0, 1000))
def test_sums_decay_with_distance_and_end_with_the_sentence(lengths: list[int], decay: float, seed: int) -> None:
    offsets = np.cumsum(lengths) - lengths
    packed = inference.pack_sentences(np.array(lengths), offsets)
    values = np.random.default_rng(seed).normal(size=(sum(lengths), 2))
    before, after = np.zeros_like(values), np.zeros_like(values)
    for start, length in zip(offsets, lengths, strict=True):
        for i, j in itertools.permutations(range(length), 2):
            side = before if j < i else after
            side[start + i] += values[start + j] * decay ** abs(i - j)
    np.testing.assert_allclose(
        inference.sum_before(values[packed.positions], packed, decay), before[packed.positions], atol=1e-9
    )
    np.testing.assert_allclose(
        inference.sum_after(values[packed.positions], packed, decay), after[packed.positions], atol=1e-9
    )
