"""Sequence confidence; least-confident order."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jinbench.core.types import Suggestion

if TYPE_CHECKING:
    from jinbench.models.crf.estimator import Scored


FAMILY = "tagger"  # how the names of all its versions begin

LEAST = 1e-300  # a probability of which there is still a logarithm


def certainty(scored: Sequence["Scored"]) -> float:
    """How sure a tagger is of a passage: the probability of the best path through each of its sentences, as a geometric
    mean over characters (Shen et al., 2018, Deep active learning for named entity recognition, section 4, there as a
    logarithm). Of the measures that `benchmarks/selection.py` compares it saved most."""
    characters = sum(len(entry.sure) for entry in scored)
    if not characters:
        return 1.0
    return math.exp(sum(math.log(max(entry.best, LEAST)) for entry in scored) / characters)


def order(suggestions: Mapping[str, Suggestion]) -> list[str]:
    """The ids of passages, the least certain first; ties by id."""
    return sorted(suggestions, key=lambda id: (suggestions[id].certainty, id))
