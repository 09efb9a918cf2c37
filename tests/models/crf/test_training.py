"""An update of the CRF: its gradient against finite differences of the likelihood over all paths."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from jinbench.models.crf import inference, training
from jinbench.models.crf.inference import States
from jinbench.models.crf.training import ModelEnsemble, TrainingSettings
from tests.helpers.crf import score_paths, valid_paths


class TinyCrf:
    """A tiny CRF: random weights, sentences of 1 to 4 characters, and their likelihood path by path."""

    lengths = np.array([3, 1, 4, 2])
    decay = 0.7

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.states = States(1)
        size, total = self.states.size, self.lengths.sum()
        self.offsets = np.cumsum(self.lengths) - self.lengths
        self.rows = rng.integers(0, 6, (total, 3)).astype(np.int32)  # row 0 is no feature; some rows come twice
        self.wide_rows = rng.integers(0, 5, (total, 2)).astype(np.int32)
        self.shapes = [(6, size), (5, 2 * size), (size, size), (2, size)]
        self.tables = [rng.normal(size=shape) for shape in self.shapes]
        for table in self.tables[:2]:
            table[0] = 0
        for table, allowed in zip(self.tables[2:], self.states.allowed_transitions(), strict=True):
            table[~allowed] = inference.FORBIDDEN
        choose = [valid_paths(1, n) for n in self.lengths]
        self.path = np.concatenate([paths[rng.integers(len(paths))] for paths in choose])

    def loss(self, cost: float = 0) -> float:
        """Return the negative log-likelihood; `cost`: added to the score of "O" where it is wrong."""
        near, wide, transitions, edges = self.tables
        size, loss = self.states.size, 0.0
        for start, length in zip(self.offsets.tolist(), self.lengths.tolist(), strict=True):
            positions = range(start, start + length)
            scores = np.array([near[self.rows[t]].sum(0) for t in positions])
            for t, u in itertools.permutations(positions, 2):
                around = wide[self.wide_rows[u]].sum(0) * self.decay ** abs(t - u)
                scores[t - start] += around[:size] if u < t else around[size:]
            gold = self.path[start : start + length]
            scores[gold != self.states.outside, self.states.outside] += cost
            paths = valid_paths(1, length)
            loss += np.logaddexp.reduce(score_paths(paths, scores, transitions, edges))
            loss -= score_paths(gold[None], scores, transitions, edges)[0]
        return float(loss)

    def differences(self, cost: float) -> Iterator[tuple[int, tuple[int, ...], float]]:
        """Yield the gradient by central differences, weight by weight."""
        for number, table in enumerate(self.tables):
            for at in np.ndindex(table.shape):
                original, step = table[at], 1e-5
                table[at] = original + step
                above = self.loss(cost)
                table[at] = original - step
                below = self.loss(cost)
                table[at] = original
                yield number, at, (above - below) / (2 * step)


@pytest.mark.parametrize("copies", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cost", [0, 0.9])
def test_an_update_follows_the_gradient_of_the_likelihood(seed: int, cost: float, copies: int) -> None:
    """AdaGrad's first step is rate · gradient / its norm, and the square of the norm is stored: the gradient follows.

    Every model has its own weights and learns from its own likelihood; transitions and edges learn from all.
    """
    tiny = TinyCrf(seed)
    rng = np.random.default_rng(seed + 100)
    own = [tiny.tables[:2]] + [[rng.normal(size=table.shape) for table in tiny.tables[:2]] for _ in range(1, copies)]
    for table in itertools.chain(*own):
        table[0] = 0
    starts = [np.concatenate(tables) for tables in zip(*own, strict=True)] + [t.copy() for t in tiny.tables[2:]]
    rates = (0.3, 0.4, 0.3, 0.3)
    models = ModelEnsemble(TrainingSettings(rates[0], rates[1], 0, tiny.decay, cost), tiny.shapes, tiny.states, copies)
    for table, start in zip(models.tables, starts, strict=True):
        table[:] = start
    batch = training.make_batch(tiny.lengths, tiny.offsets, tiny.rows, tiny.wide_rows, tiny.path, tiny.states, copies)
    models.update(batch, np.random.RandomState(0))
    moved = [table - start for table, start in zip(models.tables, starts, strict=True)]
    gradients = [
        -change * np.sqrt(squares)[:, None] / rate
        for change, squares, rate in zip(moved, models.squares, rates, strict=True)
    ]
    pairs, edges = tiny.states.allowed_transitions()
    largest, shared = 0.0, [np.zeros_like(pairs, dtype=float), np.zeros_like(edges, dtype=float)]
    for copy, tables in enumerate(own):
        tiny.tables[:2] = tables
        for number, at, expected in tiny.differences(cost):
            if number >= 2:
                shared[number - 2][at] += expected
                continue
            place = at[0] + copy * len(tables[number]), at[1]
            if at[0] > 0:
                assert gradients[number][place] == pytest.approx(expected, abs=2e-4, rel=2e-3), (copy, number, at)
                largest = max(largest, abs(expected))
            else:
                assert moved[number][place] == 0  # no feature has no weight
    for number, (allowed, expected) in enumerate(zip((pairs, edges), shared, strict=True), 2):
        np.testing.assert_allclose(gradients[number][allowed], expected[allowed], atol=4e-4, rtol=2e-3)
        assert not moved[number][~allowed].any()  # what is forbidden stays forbidden
    assert largest > 0.5


@pytest.mark.parametrize("distinct", [2**15 - 1, 2**15 + 5])
def test_any_number_of_rows_is_renumbered(distinct: int) -> None:
    rows = np.random.default_rng(0).permutation(np.repeat(3 * np.arange(distinct, dtype=np.int32), 2)).reshape(-1, 2)
    used, cells = training._renumber(rows)
    assert used.tolist() == (3 * np.arange(distinct)).tolist()
    assert (cells[rows == 0] == -1).all()
    assert np.array_equal(used[cells[rows != 0]], rows[rows != 0])


def test_the_mean_of_all_models_is_added() -> None:
    states = States(1)
    shapes = [(2, 5), (3, 10), (5, 5), (2, 5)]
    models = ModelEnsemble(TrainingSettings(0.1, 0.1, 0, 0.9, 0), shapes, states, 2)
    for number, table in enumerate(models.tables[:2]):
        table[: len(table) // 2] = 1 + number
        table[len(table) // 2 :] = 3 + number
    for table in models.tables[2:]:
        table[:] = 7
    sums = [np.ones(shape, dtype=np.float32) for shape in shapes]
    models.add_mean_to(sums)
    assert [np.unique(table).tolist() for table in sums] == [[3], [4], [8], [8]]


def test_models_drop_different_features_and_preserve_sums_on_average() -> None:
    models = ModelEnsemble(TrainingSettings(0.1, 0.1, 0.4, 0.9, 0), [(9, 5), (1, 10), (5, 5), (2, 5)], States(1), 3)
    cells = np.array([[0, 1, 2, -1]] * 20_000, dtype=np.int32)
    used = np.array([0, 4, 8])
    features, rows = models._drop_features(cells, used, len(models.tables[0]), np.random.RandomState(0))
    assert features.shape == (60_000, 9)  # the copies of a character stand one behind the other
    assert rows.tolist() == [*used, *(used + 9), *(used + 18)]
    assert set(features.data.tolist()) == {np.float32(1 / 0.6)}
    for copy in range(3):
        own = np.asarray(features[copy::3].mean(0)).ravel().reshape(3, 3)
        assert own[copy] == pytest.approx([1, 1, 1], abs=0.03)
        assert not np.delete(own, copy, axis=0).any()
    assert (features[0::3] != features[1::3][:, [3, 4, 5, 0, 1, 2, 6, 7, 8]]).nnz > 20_000


def test_rows_without_a_feature_left_are_not_looked_up() -> None:
    """Of 40 features that occur once, those that are dropped are not looked up."""
    models = ModelEnsemble(TrainingSettings(0.1, 0.1, 0.5, 0.9, 0), [(41, 5), (1, 10), (5, 5), (2, 5)], States(1), 2)
    cells = np.arange(40, dtype=np.int32)[:, None]
    features, rows = models._drop_features(cells, np.arange(1, 41), len(models.tables[0]), np.random.RandomState(0))
    assert 20 < len(rows) < 60
    assert features.shape == (80, len(rows))
    for row in range(80):
        character, copy = divmod(row, 2)
        assert [rows[i] for i in features[[row]].indices] in ([], [character + 1 + 41 * copy])
