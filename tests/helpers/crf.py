"""Test helpers: crf."""

import functools
from collections.abc import Sequence

import numpy as np

from jinbench.models.crf.inference import Array


def names(types: int, single: Sequence[int] | None = None) -> list[tuple[str, int]]:
    """What each state is, in the order that `States` promises."""
    of_types = {kind: [(kind, k) for k in range(types)] for kind in "BEI"}
    of_types["S"] = [("S", k) for k in (range(types) if single is None else single)]
    return [*of_types["B"], ("O", -1), *of_types["S"], *of_types["E"], *of_types["I"]]


def may_follow(before: tuple[str, int], after: tuple[str, int]) -> bool:
    """BIOES as it is defined."""
    if before[0] in "OSE":
        return after[0] in "OSB"
    return after[0] in "IE" and before[1] == after[1]


@functools.cache
def valid_paths(types: int, length: int) -> Array:
    """Every valid path (paths, length)."""
    states = names(types)
    paths = [[i] for i, state in enumerate(states) if state[0] in "OSB"]
    for _ in range(length - 1):
        paths = [[*p, i] for p in paths for i, state in enumerate(states) if may_follow(states[p[-1]], state)]
    return np.array([p for p in paths if states[p[-1]][0] in "OSE"])


def scores_of(paths: Array, scores: Array, transitions: Array, edges: Array) -> Array:
    """What each path (paths, length) through a sentence counts, for scores (length, states)."""
    found = edges[0][paths[:, 0]] + edges[1][paths[:, -1]]
    for t in range(paths.shape[1]):
        found = found + scores[t][paths[:, t]]
    for t in range(1, paths.shape[1]):
        found = found + transitions[paths[:, t - 1], paths[:, t]]
    return found
