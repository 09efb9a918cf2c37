"""Suggestions: chances against every path written out, folds that let no gold through, an order that holds."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from jinbench.taggers import CrfTagger

TEXTS = [
    "\u6d25\u95e8\u5927\u6865",
    "\u5f20\u4e09\u5728\u6d25",
    "\u5728\u6d25\u95e8",
    "\u6865",
]  # four, four, three characters, one
SPANS = [[(0, 2, "P"), (2, 4, "F")], [(0, 2, "N"), (3, 4, "P")], [(1, 3, "P")], []]


@pytest.fixture(scope="module", params=[0.0, 1.0])
def tagger(request: pytest.FixtureRequest) -> CrfTagger:
    options: dict[str, Any] = {"models": 1, "epochs": 2, "min_updates": 6, "min_count": 1, "miss_cost": request.param}
    return CrfTagger(**options).fit(TEXTS * 3, SPANS * 3)


def every_path(tagger: CrfTagger, text: str) -> tuple[list[tuple[int, ...]], np.ndarray[Any, Any]]:
    """All paths, valid or not, and the probability of each, from scores and transitions alone."""
    (chunk,) = tagger._chunks([text])
    scores = np.empty_like(chunk.scores, dtype=float)
    scores[chunk.packed.rows] = chunk.scores
    paths = list(itertools.product(range(chunk.states.size), repeat=len(text)))
    totals = np.array([
        sum(scores[t, state] for t, state in enumerate(path))
        + sum(float(tagger.transitions_[a, b]) for a, b in itertools.pairwise(path))
        for path in paths
    ])  # fmt: skip
    weights = np.exp(totals - totals.max())
    return paths, weights / weights.sum()


@pytest.mark.parametrize("text", ["\u6d25\u95e8\u6865", "\u5f20\u4e09\u6d25", "\u6865", "\u5728\u6d25"])
def test_chances_are_those_of_all_paths_written_out(tagger: CrfTagger, text: str) -> None:
    scored = tagger.predict_scored(["\u5728\u6d25\u95e8\u5927\u6865\u5f20", text, ""])[
        1
    ]  # not alone: packed with another
    paths, chance = every_path(tagger, text)
    number = {type: i for i, type in enumerate(tagger.classes_.tolist())}
    (chunk,) = tagger._chunks([text])
    for span, said in zip(scored.spans, scored.chances, strict=True):
        states = chunk.states.path(len(text), [(span.start, span.end, number[span.type])])[span.start : span.end]
        having = [path[span.start : span.end] == tuple(states.tolist()) for path in paths]
        assert said == pytest.approx(chance[having].sum(), abs=1e-6)
    by_state = np.zeros((len(text), chunk.states.size))
    for path, p in zip(paths, chance, strict=True):
        by_state[np.arange(len(text)), path] += p
    assert scored.sure == pytest.approx(by_state.max(1), abs=1e-6)
    assert scored.best == pytest.approx(chance.max(), abs=1e-6)


def test_what_is_scored_is_what_is_predicted(tagger: CrfTagger) -> None:
    texts = [*TEXTS, "", "\u5f20\u4e09\U00020bb7\u5728\u6d25\u95e8\u5927\u6865" * 20]
    scored = tagger.predict_scored(texts)
    assert [entry.spans for entry in scored] == tagger.predict_spans(texts)
    assert sum(len(entry.spans) for entry in scored) > 3
    assert [len(entry.sure) for entry in scored] == list(map(len, texts))
    assert all(0 < chance <= 1 for entry in scored for chance in entry.chances)
    assert scored[4] == ([], [], pytest.approx([]), 1.0)


def test_scores_too_far_apart_are_no_certainty(tagger: CrfTagger) -> None:
    from sklearn.base import clone

    wild = clone(tagger).fit(TEXTS * 3, SPANS * 3)
    wild.weights_ = wild.weights_ * 1e6
    for entry in wild.predict_scored(TEXTS):
        assert all(math.isfinite(value) and 0 <= value <= 1 for value in [*entry.chances, *entry.sure, entry.best])
