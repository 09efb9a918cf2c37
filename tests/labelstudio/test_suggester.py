"""Suggestions: probabilities against all paths, folds without leaks, a stable order."""

import itertools
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from jinbench.annotation import exports
from jinbench.annotation.annotators import read_annotators
from jinbench.annotation.gold import read_training_labels
from jinbench.annotation.workspace import Workspace
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.core.types import PassageLabels, Span, Suggestion
from jinbench.labelstudio.suggester import Suggester, train_suggester
from jinbench.models import active_learning
from jinbench.models.crf import inference
from jinbench.models.crf.estimator import CrfTagger
from jinbench.seeds.articles import Seeds

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


def list_paths(tagger: CrfTagger, text: str) -> tuple[list[tuple[int, ...]], np.ndarray[Any, Any]]:
    """All paths, valid or not, and the probability of each, from scores and transitions alone."""
    (chunk,) = tagger._chunks([text])
    scores = np.empty_like(chunk.scores, dtype=float)
    scores[chunk.packed.positions] = chunk.scores
    paths = list(itertools.product(range(chunk.states.size), repeat=len(text)))
    totals = np.array([
        sum(scores[t, state] for t, state in enumerate(path))
        + sum(float(tagger.transitions_[a, b]) for a, b in itertools.pairwise(path))
        for path in paths
    ])  # fmt: skip
    weights = np.exp(totals - totals.max())
    return paths, weights / weights.sum()


@pytest.mark.parametrize("text", ["\u6d25\u95e8\u6865", "\u5f20\u4e09\u6d25", "\u6865", "\u5728\u6d25"])
def test_probabilities_are_those_of_all_paths(tagger: CrfTagger, text: str) -> None:
    scored = tagger.predict_with_confidence(["\u5728\u6d25\u95e8\u5927\u6865\u5f20", text, ""])[
        1
    ]  # packed with another
    paths, chance = list_paths(tagger, text)
    number = {type: i for i, type in enumerate(tagger.classes_.tolist())}
    (chunk,) = tagger._chunks([text])
    for span, probability in zip(scored.spans, scored.probabilities, strict=True):
        states = chunk.states.to_path(len(text), [(span.start, span.end, number[span.type])])[span.start : span.end]
        having = [path[span.start : span.end] == tuple(states.tolist()) for path in paths]
        assert probability == pytest.approx(chance[having].sum(), abs=1e-6)
    by_state = np.zeros((len(text), chunk.states.size))
    for path, p in zip(paths, chance, strict=True):
        by_state[np.arange(len(text)), path] += p
    assert scored.character_confidence == pytest.approx(by_state.max(1), abs=1e-6)
    assert scored.path_probability == pytest.approx(chance.max(), abs=1e-6)


def test_scored_spans_are_the_predicted_ones(tagger: CrfTagger) -> None:
    texts = [*TEXTS, "", "\u5f20\u4e09\U00020bb7\u5728\u6d25\u95e8\u5927\u6865" * 20]
    scored = tagger.predict_with_confidence(texts)
    assert [entry.spans for entry in scored] == tagger.predict_spans(texts)
    assert sum(len(entry.spans) for entry in scored) > 3
    assert [len(entry.character_confidence) for entry in scored] == list(map(len, texts))
    assert all(0 < chance <= 1 for entry in scored for chance in entry.probabilities)
    assert scored[4] == ([], [], pytest.approx([]), 1.0)


def test_extreme_scores_give_finite_confidence(tagger: CrfTagger) -> None:
    """O and then E, each so much likelier than all else that nothing of any valid path is left in 64 bits."""
    states = inference.States(1)
    scores = np.full((2, states.size), -2000.0)
    scores[0, states.outside] = scores[1, states.first_end] = 0
    moves = np.where(states.allowed_transitions()[0], 0, inference.FORBIDDEN)
    sureness = inference.Confidence(scores, moves, inference.pack_sentences(np.array([2]), np.array([0])))
    path = np.array([0, states.first_end])  # B and E
    assert sureness.span_probability(path)(0, 2) == sureness.span_probability(path)(1, 2) == 0
    assert sureness.state_confidence()[1] == 0
    assert sureness.log_step_probabilities(path).sum() == -math.inf
    wild = clone(tagger).fit(TEXTS * 3, SPANS * 3)
    wild.weights_ = wild.weights_ * 1e6
    for entry in wild.predict_with_confidence(TEXTS):
        assert all(
            math.isfinite(value) and 0 <= value <= 1
            for value in [*entry.probabilities, *entry.character_confidence, entry.path_probability]
        )


def read_training_data(benchmark: Benchmark) -> tuple[Seeds, list[PassageLabels]]:
    workspace = Workspace(benchmark)
    return workspace.seeds, read_training_labels(workspace)


def as_text(suggester: Suggester, seeds: Seeds) -> str:
    return repr(suggester.suggest(seeds.passages()))


def test_suggestions_are_complete_and_deterministic(mini: Benchmark) -> None:
    seeds, labels = read_training_data(mini)
    first = train_suggester(seeds.articles, labels)
    suggestions = first.suggest(seeds.passages())
    texts = {passage.id: passage.text for passage in seeds.passages()}
    assert list(suggestions) == list(texts)
    assert sum(len(suggestion.spans) for suggestion in suggestions.values()) > 0
    for id, suggestion in suggestions.items():
        assert len(suggestion.spans) == len(suggestion.probabilities)
        assert 0 <= suggestion.confidence <= 1
        assert all(texts[id][span.start : span.end] == span.surface for span in suggestion.spans)
    again = train_suggester(seeds.articles, labels[::-1])
    assert (again.version, as_text(again, seeds)) == (first.version, as_text(first, seeds))
    assert re.fullmatch(r"tagger \d+\.\d+\.\d+\S* [0-9a-f]{8}", first.version)


@pytest.mark.slow
def test_suggestions_do_not_depend_on_labels_of_their_story(mini: Benchmark) -> None:
    """Removing the labels of a story changes no suggestion for it, and many for others."""
    seeds, labels = read_training_data(mini)
    before = train_suggester(seeds.articles, labels)
    suggested = before.suggest(seeds.passages())
    changed = 0
    for name in sorted({article.story for article in seeds.articles}):
        inside = {p.id for article in seeds.articles if article.story == name for p in article.passages}
        other = [replace(entry, spans=()) if entry.passage_id in inside else entry for entry in labels]
        after = train_suggester(seeds.articles, other)
        suggestions = after.suggest(seeds.passages())
        assert {id: suggestions[id] for id in inside} == {id: suggested[id] for id in inside}
        changed += any(suggestions[id] != suggested[id] for id in suggestions.keys() - inside)
        assert after.version != before.version
    assert changed


def test_a_single_labelled_story_gets_no_suggestions(mini: Benchmark) -> None:
    seeds, labels = read_training_data(mini)
    name = seeds.articles[0].story
    inside = {p.id for article in seeds.articles if article.story == name for p in article.passages}
    alone = train_suggester(seeds.articles, [entry for entry in labels if entry.passage_id in inside])
    assert alone.suggest(seeds.passages()).keys() == {p.id for p in seeds.passages()} - inside
    own = train_suggester(seeds.articles, [entry for entry in labels if entry.passage_id in inside], folds=0)
    assert own.suggest(seeds.passages()).keys() == {p.id for p in seeds.passages()}


def test_training_labels_are_gold_else_annotators(mini: Benchmark) -> None:
    listed = read_annotators(mini)
    _, labels = read_training_data(mini)
    assert {entry.annotator for entry in labels} == {listed.gold}
    exports.export_path(mini, listed.gold).unlink()
    _, labels = read_training_data(mini)
    assert {entry.annotator for entry in labels} == {entry.name for entry in listed.independent}
    for path in mini.exports.glob("*.json"):
        path.unlink()
    with pytest.raises(DataError, match="passage-unlabelled") as error:
        read_training_data(mini)
    assert "jinbench annotate pull" in str(error.value)


def test_labels_without_spans_can_be_trained_on(mini: Benchmark) -> None:
    seeds, labels = read_training_data(mini)
    empty = train_suggester(seeds.articles, [replace(entry, spans=()) for entry in labels], folds=0)
    assert all(not suggestion.spans for suggestion in empty.suggest(seeds.passages()).values())


def test_the_least_confident_comes_first() -> None:
    confidences = {"c": 0.5, "a": 0.9, "b": 0.5, "d": 0.1}
    suggestions = {id: Suggestion((), (), confidence) for id, confidence in confidences.items()}
    assert active_learning.order_by_confidence(suggestions) == ["d", "b", "c", "a"]


def test_regions_of_a_suggestion_have_unique_ids_and_scores() -> None:
    spans = (Span(0, 2, "LOCATION", "\u6d25\u95e8"), Span(2, 4, "LOCATION", "\u6d25\u95e8"))
    regions = exports.to_suggested_regions(Suggestion(spans, (0.25, 0.123456), 0.5))
    assert [(region["value"]["start"], region["score"]) for region in regions] == [(0, 0.25), (2, 0.1235)]
    assert len({region["id"] for region in regions}) == 2
    assert regions[0]["value"] == {"start": 0, "end": 2, "text": "\u6d25\u95e8", "labels": ["LOCATION"]}
