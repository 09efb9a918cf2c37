"""How a linear-chain CRF learns: batches of texts, features dropped at random, a step of AdaGrad on the likelihood."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from jinbench import chains
from jinbench.chains import Array, Packed, States


@dataclass(frozen=True)
class Settings:
    """See :class:`jinbench.taggers.CrfTagger`; `cost` is what a missed label costs, in units of score."""

    rate: float
    wide_rate: float
    dropout: float
    decay: float
    cost: float


@dataclass
class Batch:
    """Sentences that are learnt from at once. `used`, `wide_used`: the rows of the tables that they need; `cells`,
    `wide_cells`: for each character and feature the number of its row among those."""

    packed: Packed
    path: Array
    used: Array
    cells: Array
    wide_used: Array
    wide_cells: Array


def batch(packed: Packed, rows: Array, wide_rows: Array, path: Array) -> Batch:
    return Batch(packed, path[packed.rows], *_numbered(rows[packed.rows]), *_numbered(wide_rows[packed.rows]))


class Model:
    """One model while it learns.

    Its tables are for features, for the wider context (before, after), for transitions and for edges. A row has weights
    and, behind them, AdaGrad's sum of squared gradients, so that one look-up gets both.
    """

    def __init__(self, settings: Settings, shapes: Sequence[tuple[int, int]], states: States) -> None:
        self.settings = settings
        self.states = states
        self.tables = [np.zeros((rows, width + 1), dtype=np.float32) for rows, width in shapes]
        self.allowed = states.allowed()
        for table, allowed in zip(self.tables[2:], self.allowed, strict=True):
            weights_of(table)[~allowed] = chains.FORBIDDEN

    def update(self, batch: Batch, rng: np.random.RandomState) -> None:
        """One step of AdaGrad on the negative log-likelihood of a batch."""
        given, packed, path, size = self.settings, batch.packed, batch.path, self.states.size
        used, wide_used = self.tables[0][batch.used], self.tables[1][batch.wide_used]
        near = _dropped(batch.cells, len(used), given.dropout, rng)
        wide = _dropped(batch.wide_cells, len(wide_used), given.dropout, rng)
        around = wide @ weights_of(wide_used)
        scores = near @ weights_of(used)
        scores += chains.sums_before(around[:, :size], packed, given.decay)
        scores += chains.sums_after(around[:, size:], packed, given.decay)
        scores[:, self.states.outside] += np.float32(given.cost) * (path != self.states.outside)
        chains.add_edges(scores, weights_of(self.tables[3]), packed)
        gradient, moves, _ = chains.forward_backward(scores, weights_of(self.tables[2]), packed)
        gradient[np.arange(len(path)), path] -= 1
        np.subtract.at(moves, (path[packed.before], path[packed.first :]), 1)
        edges = np.stack([gradient[: packed.first].sum(0), gradient[packed.last].sum(0)])
        # What a character adds to the scores after it, it learns from the gradients after it.
        after = chains.sums_after(gradient, packed, given.decay)
        before = chains.sums_before(gradient, packed, given.decay)
        self.tables[0][batch.used] = _step(used, near.T @ gradient, given.rate)
        self.tables[1][batch.wide_used] = _step(wide_used, wide.T @ np.hstack([after, before]), given.wide_rate)
        for table, change, allowed in zip(self.tables[2:], (moves, edges), self.allowed, strict=True):
            _step(table, change * allowed, given.rate)


def _numbered(rows: Array) -> tuple[Array, Array]:
    """The distinct rows, and for each cell the number of its row among them; -1 for row 0, which is nothing."""
    used, cells = np.unique(rows, return_inverse=True)
    return used, np.where(rows == 0, -1, cells.reshape(rows.shape)).astype(np.int32)


def _dropped(cells: Array, width: int, dropout: float, rng: np.random.RandomState) -> Any:
    """A matrix (characters, rows in use) of the features that are left, scaled so that their sum is kept on average."""
    left = (rng.random_sample(cells.shape) >= dropout) & (cells >= 0)
    ends = np.concatenate([[0], np.cumsum(np.count_nonzero(left, axis=1))])
    columns = cells[left]
    values = np.full(len(columns), 1 / (1 - dropout), dtype=np.float32)
    return sparse.csr_matrix((values, columns, ends), shape=(len(cells), width))


def weights_of(rows: Array) -> Array:
    """The weights in rows of weights and a sum of squared gradients."""
    return rows[:, :-1]


def _step(rows: Array, gradient: Array, rate: float) -> Array:
    """AdaGrad with one step size per row, in place."""
    rows[:, -1] += np.einsum("ij,ij->i", gradient, gradient)
    gradient *= np.float32(rate) / (np.sqrt(rows[:, -1:]) + np.float32(1e-6))
    rows[:, :-1] -= gradient
    return rows
