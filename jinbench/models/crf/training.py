"""Training of the linear-chain CRF: AdaGrad on the log-likelihood of batches, with feature dropout."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from jinbench.models.crf.inference import (
    FORBIDDEN,
    FloatArray,
    IntArray,
    PackedSentences,
    States,
    add_edges,
    forward_backward,
    pack_sentences,
    sum_after,
    sum_before,
)


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of :class:`jinbench.models.crf.estimator.CrfTagger`; `cost`: of a missed label, in units of score."""

    rate: float
    wide_rate: float
    dropout: float
    decay: float
    cost: float


@dataclass
class Batch:
    """Sentences of one update, `copies` times each: once for every model.

    `packed` and `path` have the copies of a character one behind the other, `moves` how often one state follows another
    in `path`; the cells have a character once. `used`, `wide_used`: the rows of the tables that the sentences need;
    `cells`, `wide_cells`: for each character and feature the index of its row among those, -1 for no feature.
    """

    packed: PackedSentences
    path: IntArray
    moves: FloatArray
    used: IntArray
    cells: IntArray
    wide_used: IntArray
    wide_cells: IntArray


def make_batch(
    lengths: IntArray,
    offsets: IntArray,
    rows: IntArray,
    wide_rows: IntArray,
    path: IntArray,
    states: States,
    copies: int,
) -> Batch:
    """Make a batch of the sentences of `lengths`, each at its offset in `rows`, `wide_rows` and `path`."""
    packed = pack_sentences(np.repeat(lengths, copies), np.repeat(offsets, copies))
    once, packed_path = packed.positions[::copies], path[packed.positions]
    moves: FloatArray = np.zeros((states.size, states.size), dtype=np.float32)
    np.add.at(moves, (packed_path[packed.previous_rows], packed_path[packed.n_sentences :]), 1)
    return Batch(packed, packed_path, moves, *_renumber(rows[once]), *_renumber(wide_rows[once]))


class ModelEnsemble:
    """Models that learn side by side, from the same batches but with different features dropped.

    Each has its own tables of weights for features and for the wider context (before, after), concatenated in
    `tables`; transitions and edges are shared. `squares` are AdaGrad's sums of squared gradients, one per row.
    """

    def __init__(
        self, settings: TrainingSettings, shapes: Sequence[tuple[int, int]], states: States, copies: int
    ) -> None:
        self.settings = settings
        self.states = states
        self.copies = copies
        own = [(copies * rows, width) for rows, width in shapes[:2]]
        self.tables: list[FloatArray] = [np.zeros(shape, dtype=np.float32) for shape in (*own, *shapes[2:])]
        self.squares: list[FloatArray] = [np.zeros(len(table), dtype=np.float32) for table in self.tables]
        self.allowed = states.allowed_transitions()
        for table, allowed in zip(self.tables[2:], self.allowed, strict=True):
            table[~allowed] = FORBIDDEN

    def add_mean_to(self, sums: Sequence[FloatArray]) -> None:
        """Add the mean of all models to tables of the shapes of one model, in place."""
        for total, table in zip(sums, self.tables, strict=True):
            for own in (parts := table.reshape(-1, *total.shape)):
                total += own / np.float32(len(parts))

    def update(self, batch: Batch, rng: np.random.RandomState) -> None:
        """Take one step of AdaGrad on the negative log-likelihood of a batch."""
        settings, packed, path, size = self.settings, batch.packed, batch.path, self.states.size
        near, rows = self._drop_features(batch.cells, batch.used, len(self.tables[0]), rng)
        wide, wide_rows = self._drop_features(batch.wide_cells, batch.wide_used, len(self.tables[1]), rng)
        weights, wide_weights = self.tables[0].take(rows, axis=0), self.tables[1].take(wide_rows, axis=0)
        transitions, edges = self.tables[2:]
        around = wide @ wide_weights
        scores = near @ weights
        scores += sum_before(around[:, :size], packed, settings.decay)
        scores += sum_after(around[:, size:], packed, settings.decay)
        scores[:, self.states.outside] += np.float32(settings.cost) * (path != self.states.outside)
        add_edges(scores, edges, packed)
        gradient, moves, _ = forward_backward(scores, transitions, packed)
        gradient[np.arange(len(path)), path] -= 1
        moves -= batch.moves
        ends = np.stack([gradient[: packed.n_sentences].sum(0), gradient[packed.last_rows].sum(0)])
        # The weights that a character adds to the scores after it get the gradients after it.
        after = sum_after(gradient, packed, settings.decay)
        before = sum_before(gradient, packed, settings.decay)
        self._step(0, rows, weights, near.T @ gradient, settings.rate)
        self._step(1, wide_rows, wide_weights, wide.T @ np.hstack([after, before]), settings.wide_rate)
        for i, (change, allowed) in enumerate(zip((moves, ends), self.allowed, strict=True), 2):
            self._step(i, slice(None), self.tables[i], change * allowed, settings.rate)

    def _drop_features(
        self, cells: IntArray, used: IntArray, size: int, rng: np.random.RandomState
    ) -> tuple[Any, IntArray]:
        """Drop features at random.

        Returns a sparse matrix (copies of characters, rows) of those that are left, scaled so that their sum stays the
        same on average, and the rows, of a table of `size`, that are left with them.
        """
        shape = len(cells), self.copies, cells.shape[1]
        model = np.arange(self.copies, dtype=np.int32)[:, None]
        draws = np.frombuffer(rng.bytes(2 * math.prod(shape)), dtype="<u2").reshape(shape)
        left = ((draws >= round(self.settings.dropout * 2**16)) & (cells >= 0)[:, None]).ravel()
        columns = (cells[:, None] + len(used) * model).ravel().take(np.flatnonzero(left))
        present = np.zeros((self.copies, len(used)), dtype=bool)
        present.ravel()[columns] = True
        number = np.cumsum(present, dtype=np.int32) - 1
        rows = (used + size // self.copies * model)[present]
        ends = np.zeros(len(cells) * self.copies + 1, dtype=np.int32)
        np.cumsum(np.add.reduceat(left, np.arange(0, len(left), shape[2]), dtype=np.int32), out=ends[1:])
        values = np.full(len(columns), 1 / (1 - self.settings.dropout), dtype=np.float32)
        return sparse.csr_matrix((values, number.take(columns), ends), shape=(len(ends) - 1, len(rows))), rows

    def _step(
        self, number: int, rows: IntArray | slice, weights: FloatArray, gradient: FloatArray, rate: float
    ) -> None:
        """Take a step on some rows of a table, of which these are the weights; one step size per row."""
        squares = self.squares[number][rows]
        squares += np.einsum("ij,ij->i", gradient, gradient)
        gradient *= (np.float32(rate) / (np.sqrt(squares) + np.float32(1e-6)))[:, None]
        weights -= gradient
        self.tables[number][rows] = weights
        self.squares[number][rows] = squares


def _renumber(rows: IntArray) -> tuple[IntArray, IntArray]:
    """Return the distinct rows, and for each cell the index of its row among them; -1 for row 0, no feature."""
    used, cells = np.unique(rows, return_inverse=True)
    small = np.int16 if len(used) < 2**15 else np.int32  # cells are the largest thing that a batch has
    return used, np.where(rows == 0, -1, cells.reshape(rows.shape)).astype(small)
