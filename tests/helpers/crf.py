"""A linear chain written out path by path, to compare the fast arithmetic with."""

import functools
from collections.abc import Sequence

import numpy as np

from jinbench.models.crf.inference import FloatArray, IntArray


def state_names(n_types: int, single_types: Sequence[int] | None = None) -> list[tuple[str, int]]:
    """Return the kind and type of each state, in the order that `States` documents."""
    of_types = {kind: [(kind, k) for k in range(n_types)] for kind in "BEI"}
    of_types["S"] = [("S", k) for k in (range(n_types) if single_types is None else single_types)]
    return [*of_types["B"], ("O", -1), *of_types["S"], *of_types["E"], *of_types["I"]]


def may_follow(before: tuple[str, int], after: tuple[str, int]) -> bool:
    """Return whether BIOES allows a state after another."""
    if before[0] in "OSE":
        return after[0] in "OSB"
    return after[0] in "IE" and before[1] == after[1]


@functools.cache
def valid_paths(n_types: int, length: int) -> IntArray:
    """Return every valid path (paths, length)."""
    states = state_names(n_types)
    paths = [[i] for i, state in enumerate(states) if state[0] in "OSB"]
    for _ in range(length - 1):
        paths = [[*p, i] for p in paths for i, state in enumerate(states) if may_follow(states[p[-1]], state)]
    return np.array([p for p in paths if states[p[-1]][0] in "OSE"])


def score_paths(paths: IntArray, scores: FloatArray, transitions: FloatArray, edges: FloatArray) -> FloatArray:
    """Return the score of each path (paths, length) through a sentence, for scores (length, states)."""
    totals: FloatArray = edges[0][paths[:, 0]] + edges[1][paths[:, -1]]
    for t in range(paths.shape[1]):
        totals = totals + scores[t][paths[:, t]]
    for t in range(1, paths.shape[1]):
        totals = totals + transitions[paths[:, t - 1], paths[:, t]]
    return totals
