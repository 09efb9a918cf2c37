"""How a linear-chain CRF learns: batches of texts, features dropped at random, a step of AdaGrad on the likelihood."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from jinbench.models.crf import inference
from jinbench.models.crf.inference import Array, Packed, States


@dataclass(frozen=True)
class Settings:
    """See :class:`jinbench.models.crf.estimator.CrfTagger`; `cost` is what a missed label costs, in units of score."""

    rate: float
    wide_rate: float
    dropout: float
    decay: float
    cost: float


@dataclass
class Batch:
    """Sentences that are learnt from at once, `copies` times each: once for every model.

    `packed` and `path` hold the copies of a character one behind the other, `moves` how often one state follows another
    in `path`; the cells hold a character once. `used`, `wide_used`: the rows of the tables that the sentences need;
    `cells`, `wide_cells`: for each character and feature the number of its row among those, -1 for nothing.
    """

    packed: Packed
    path: Array
    moves: Array
    used: Array
    cells: Array
    wide_used: Array
    wide_cells: Array


def batch(
    lengths: Array, offsets: Array, rows: Array, wide_rows: Array, path: Array, states: States, copies: int
) -> Batch:
    """The sentences of `lengths`, each beginning at its offset in `rows`, `wide_rows` and `path`."""
    packed = inference.pack(np.repeat(lengths, copies), np.repeat(offsets, copies))
    once, here = packed.rows[::copies], path[packed.rows]
    moves = np.zeros((states.size, states.size), dtype=np.float32)
    np.add.at(moves, (here[packed.before], here[packed.first :]), 1)
    return Batch(packed, here, moves, *_numbered(rows[once]), *_numbered(wide_rows[once]))


class Models:
    """Several models that learn side by side, from the same batches but with other features dropped.

    Each has tables of weights of its own for features and for the wider context (before, after); in `tables` one
    stands behind the other. Transitions and edges they share. `squares` are AdaGrad's sums of squared gradients, one
    for each row.
    """

    def __init__(self, settings: Settings, shapes: Sequence[tuple[int, int]], states: States, copies: int) -> None:
        self.settings = settings
        self.states = states
        self.copies = copies
        own = [(copies * rows, width) for rows, width in shapes[:2]]
        self.tables = [np.zeros(shape, dtype=np.float32) for shape in (*own, *shapes[2:])]
        self.squares = [np.zeros(len(table), dtype=np.float32) for table in self.tables]
        self.allowed = states.allowed()
        for table, allowed in zip(self.tables[2:], self.allowed, strict=True):
            table[~allowed] = inference.FORBIDDEN

    def add_to(self, sums: Sequence[Array]) -> None:
        """Add to tables of the shapes of one model, in place, the mean of all models."""
        for total, table in zip(sums, self.tables, strict=True):
            for own in (parts := table.reshape(-1, *total.shape)):
                total += own / np.float32(len(parts))

    def update(self, batch: Batch, rng: np.random.RandomState) -> None:
        """One step of AdaGrad on the negative log-likelihood of a batch."""
        given, packed, path, size = self.settings, batch.packed, batch.path, self.states.size
        near, rows = self._dropped(batch.cells, batch.used, len(self.tables[0]), rng)
        wide, wide_rows = self._dropped(batch.wide_cells, batch.wide_used, len(self.tables[1]), rng)
        weights, wide_weights = self.tables[0].take(rows, axis=0), self.tables[1].take(wide_rows, axis=0)
        transitions, edges = self.tables[2:]
        around = wide @ wide_weights
        scores = near @ weights
        scores += inference.sums_before(around[:, :size], packed, given.decay)
        scores += inference.sums_after(around[:, size:], packed, given.decay)
        scores[:, self.states.outside] += np.float32(given.cost) * (path != self.states.outside)
        inference.add_edges(scores, edges, packed)
        gradient, moves, _ = inference.forward_backward(scores, transitions, packed)
        gradient[np.arange(len(path)), path] -= 1
        moves -= batch.moves
        ends = np.stack([gradient[: packed.first].sum(0), gradient[packed.last].sum(0)])
        # What a character adds to the scores after it, it learns from the gradients after it.
        after = inference.sums_after(gradient, packed, given.decay)
        before = inference.sums_before(gradient, packed, given.decay)
        self._step(0, rows, weights, near.T @ gradient, given.rate)
        self._step(1, wide_rows, wide_weights, wide.T @ np.hstack([after, before]), given.wide_rate)
        for i, (change, allowed) in enumerate(zip((moves, ends), self.allowed, strict=True), 2):
            self._step(i, slice(None), self.tables[i], change * allowed, given.rate)

    def _dropped(self, cells: Array, used: Array, size: int, rng: np.random.RandomState) -> tuple[Any, Array]:
        """A matrix (copies of characters, rows) of the features that are left, scaled so that their sum is kept on
        average; and the rows, of a table of `size`, that are left with them."""
        shape = len(cells), self.copies, cells.shape[1]
        model = np.arange(self.copies, dtype=np.int32)[:, None]
        chance = np.frombuffer(rng.bytes(2 * math.prod(shape)), dtype="<u2").reshape(shape)
        left = ((chance >= round(self.settings.dropout * 2**16)) & (cells >= 0)[:, None]).ravel()
        columns = (cells[:, None] + len(used) * model).ravel().take(np.flatnonzero(left))
        present = np.zeros((self.copies, len(used)), dtype=bool)
        present.ravel()[columns] = True
        number = np.cumsum(present, dtype=np.int32) - 1
        rows = (used + size // self.copies * model)[present]
        ends = np.zeros(len(cells) * self.copies + 1, dtype=np.int32)
        np.cumsum(np.add.reduceat(left, np.arange(0, len(left), shape[2]), dtype=np.int32), out=ends[1:])
        values = np.full(len(columns), 1 / (1 - self.settings.dropout), dtype=np.float32)
        return sparse.csr_matrix((values, number.take(columns), ends), shape=(len(ends) - 1, len(rows))), rows

    def _step(self, number: int, rows: Array | slice, weights: Array, gradient: Array, rate: float) -> None:
        """A step on some rows of a table, of which these are the weights; one step size per row."""
        squares = self.squares[number][rows]
        squares += np.einsum("ij,ij->i", gradient, gradient)
        gradient *= (np.float32(rate) / (np.sqrt(squares) + np.float32(1e-6)))[:, None]
        weights -= gradient
        self.tables[number][rows] = weights
        self.squares[number][rows] = squares


def _numbered(rows: Array) -> tuple[Array, Array]:
    """The distinct rows, and for each cell the number of its row among them; -1 for row 0, which is nothing."""
    used, cells = np.unique(rows, return_inverse=True)
    small = np.int16 if len(used) < 2**15 else np.int32  # cells are the largest thing that a batch has
    return used, np.where(rows == 0, -1, cells.reshape(rows.shape)).astype(small)
