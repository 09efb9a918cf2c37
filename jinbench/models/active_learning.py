"""Sequence confidence, and the least-confident order."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jinbench.core.types import Suggestion

if TYPE_CHECKING:
    from jinbench.models.crf.estimator import TaggedText


MODEL_PREFIX = "tagger"  # of the names of all model versions

MIN_PROBABILITY = 1e-300  # has a logarithm in 64 bits


def sequence_confidence(sentences: Sequence["TaggedText"]) -> float:
    """Return the confidence of a tagger in a passage, the geometric mean over characters of its path probabilities.

    Of the measures that `benchmarks/selection.py` compares it saved most.

    References:
        Shen et al. (2018), Deep active learning for named entity recognition, section 4 (there as a logarithm).
    """
    characters = sum(len(sentence.character_confidence) for sentence in sentences)
    if not characters:
        return 1.0
    log_probability = sum(math.log(max(sentence.path_probability, MIN_PROBABILITY)) for sentence in sentences)
    return math.exp(log_probability / characters)


def order_by_confidence(suggestions: Mapping[str, Suggestion]) -> list[str]:
    """Return the ids of passages, the least confident first; ties by id."""
    return sorted(suggestions, key=lambda id: (suggestions[id].confidence, id))
