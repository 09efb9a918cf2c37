"""What the CRF learns from a batch: its gradient against finite differences of the likelihood over all paths."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from jinbench import chains, learning
from jinbench.chains import States
from jinbench.learning import Model, Settings
from tests.test_chains import scores_of, valid_paths


class Problem:
    """A tiny CRF: random weights, sentences of 1 to 4 characters, and their likelihood path by path."""

    lengths = np.array([3, 1, 4, 2])
    decay = 0.7

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.states = States(1)
        size, total = self.states.size, self.lengths.sum()
        self.offsets = np.cumsum(self.lengths) - self.lengths
        self.rows = rng.integers(0, 6, (total, 3)).astype(np.int32)  # row 0 is nothing; some rows come twice
        self.wide_rows = rng.integers(0, 5, (total, 2)).astype(np.int32)
        self.shapes = [(6, size), (5, 2 * size), (size, size), (2, size)]
        self.tables = [rng.normal(size=shape) for shape in self.shapes]
        for table in self.tables[:2]:
            table[0] = 0
        for table, allowed in zip(self.tables[2:], self.states.allowed(), strict=True):
            table[~allowed] = chains.FORBIDDEN
        choose = [valid_paths(1, n) for n in self.lengths]
        self.path = np.concatenate([paths[rng.integers(len(paths))] for paths in choose])

    def loss(self, cost: float = 0) -> float:
        """The negative log-likelihood; `cost`: what "O" gets more where it is wrong."""
        near, wide, transitions, edges = self.tables
        size, found = self.states.size, 0.0
        for start, length in zip(self.offsets.tolist(), self.lengths.tolist(), strict=True):
            here = range(start, start + length)
            scores = np.array([near[self.rows[t]].sum(0) for t in here])
            for t, u in itertools.permutations(here, 2):
                around = wide[self.wide_rows[u]].sum(0) * self.decay ** abs(t - u)
                scores[t - start] += around[:size] if u < t else around[size:]
            gold = self.path[start : start + length]
            scores[gold != self.states.outside, self.states.outside] += cost
            paths = valid_paths(1, length)
            found += np.logaddexp.reduce(scores_of(paths, scores, transitions, edges))
            found -= scores_of(gold[None], scores, transitions, edges)[0]
        return float(found)

    def differences(self, cost: float) -> Iterator[tuple[int, tuple[int, ...], float]]:
        """The gradient by central differences, weight by weight."""
        for number, table in enumerate(self.tables):
            for at in np.ndindex(table.shape):
                kept, step = table[at], 1e-5
                table[at] = kept + step
                above = self.loss(cost)
                table[at] = kept - step
                below = self.loss(cost)
                table[at] = kept
                yield number, at, (above - below) / (2 * step)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cost", [0, 0.9])
def test_an_update_follows_the_gradient_of_the_likelihood(seed: int, cost: float) -> None:
    """AdaGrad's first step is rate · gradient / its norm, and the square of the norm is kept: the gradient is found."""
    problem = Problem(seed)
    rates = (0.3, 0.4, 0.3, 0.3)
    model = Model(Settings(rates[0], rates[1], 0, problem.decay, cost), problem.shapes, problem.states)
    for table, start in zip(model.tables, problem.tables, strict=True):
        table[:, :-1] = start
    packed = chains.pack(problem.lengths, problem.offsets)
    batch = learning.batch(packed, problem.rows, problem.wide_rows, problem.path)
    model.update(batch, np.random.RandomState(0))
    moved = [table[:, :-1] - start for table, start in zip(model.tables, problem.tables, strict=True)]
    gradients = [
        -change * np.sqrt(table[:, -1:]) / rate for change, table, rate in zip(moved, model.tables, rates, strict=True)
    ]
    pairs, edges = problem.states.allowed()
    largest = 0.0
    for number, at, expected in problem.differences(cost):
        learnt = at[0] > 0 if number < 2 else (pairs, edges)[number - 2][at]
        if learnt:
            assert gradients[number][at] == pytest.approx(expected, abs=2e-4, rel=2e-3), (number, at)
            largest = max(largest, abs(expected))
        else:
            assert moved[number][at] == 0  # nothing is learnt of nothing, and what is forbidden stays so
    assert largest > 0.5


def test_dropout_keeps_sums_on_average() -> None:
    cells = np.array([[0, 1, 2, -1]] * 20_000, dtype=np.int32)
    kept = learning._dropped(cells, 3, 0.4, np.random.RandomState(0))
    assert kept.shape == (20_000, 3)
    assert np.asarray(kept.mean(0)).ravel() == pytest.approx([1, 1, 1], abs=0.03)
    assert set(kept.data.tolist()) == {np.float32(1 / 0.6)}
