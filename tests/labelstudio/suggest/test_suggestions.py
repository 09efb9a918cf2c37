"""Suggestions: chances against every path written out, folds that let no gold through, an order that holds."""

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
from jinbench.labelstudio.suggest import suggestions
from jinbench.labelstudio.suggest.suggestions import Suggester
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


def every_path(tagger: CrfTagger, text: str) -> tuple[list[tuple[int, ...]], np.ndarray[Any, Any]]:
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
def test_chances_are_those_of_all_paths_written_out(tagger: CrfTagger, text: str) -> None:
    scored = tagger.predict_with_confidence(["\u5728\u6d25\u95e8\u5927\u6865\u5f20", text, ""])[
        1
    ]  # not alone: packed with another
    paths, chance = every_path(tagger, text)
    number = {type: i for i, type in enumerate(tagger.classes_.tolist())}
    (chunk,) = tagger._chunks([text])
    for span, said in zip(scored.spans, scored.probabilities, strict=True):
        states = chunk.states.to_path(len(text), [(span.start, span.end, number[span.type])])[span.start : span.end]
        having = [path[span.start : span.end] == tuple(states.tolist()) for path in paths]
        assert said == pytest.approx(chance[having].sum(), abs=1e-6)
    by_state = np.zeros((len(text), chunk.states.size))
    for path, p in zip(paths, chance, strict=True):
        by_state[np.arange(len(text)), path] += p
    assert scored.character_confidence == pytest.approx(by_state.max(1), abs=1e-6)
    assert scored.path_probability == pytest.approx(chance.max(), abs=1e-6)


def test_what_is_scored_is_what_is_predicted(tagger: CrfTagger) -> None:
    texts = [*TEXTS, "", "\u5f20\u4e09\U00020bb7\u5728\u6d25\u95e8\u5927\u6865" * 20]
    scored = tagger.predict_with_confidence(texts)
    assert [entry.spans for entry in scored] == tagger.predict_spans(texts)
    assert sum(len(entry.spans) for entry in scored) > 3
    assert [len(entry.character_confidence) for entry in scored] == list(map(len, texts))
    assert all(0 < chance <= 1 for entry in scored for chance in entry.probabilities)
    assert scored[4] == ([], [], pytest.approx([]), 1.0)


def test_scores_too_far_apart_are_no_certainty(tagger: CrfTagger) -> None:
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
    for entry in wild.predict_scored(TEXTS):
        assert all(math.isfinite(value) and 0 <= value <= 1 for value in [*entry.chances, *entry.sure, entry.best])


def world(benchmark: Benchmark) -> tuple[Seeds, list[PassageLabels]]:
    workspace = Workspace(benchmark)
    return workspace.seeds, read_training_labels(workspace)


def as_text(suggester: Suggester, seed: Seeds) -> str:
    return repr(suggester.suggest(seed.passages()))


def test_suggestions_are_whole_and_the_same_every_time(mini: Benchmark) -> None:
    seed, known = world(mini)
    first = suggestions.train_suggester(seed.articles, known)
    found = first.suggest(seed.passages())
    texts = {passage.id: passage.text for passage in seed.passages()}
    assert list(found) == list(texts)
    assert sum(len(each.spans) for each in found.values()) > 0
    for id, each in found.items():
        assert len(each.spans) == len(each.probabilities)
        assert 0 <= each.confidence <= 1
        assert all(texts[id][span.start : span.end] == span.surface for span in each.spans)
    again = suggestions.train_suggester(seed.articles, known[::-1])
    assert (again.version, as_text(again, seed)) == (first.version, as_text(first, seed))
    assert re.fullmatch(r"tagger \d+\.\d+\.\d+\S* [0-9a-f]{8}", first.version)


def test_no_suggestion_holds_what_was_labelled_in_its_own_story(mini: Benchmark) -> None:
    """Labels of a story that are turned upside down change nothing that is suggested for it, and much elsewhere."""
    seed, known = world(mini)
    before = suggestions.train_suggester(seed.articles, known)
    suggested = before.suggest(seed.passages())
    changed = 0
    for name in sorted({article.story for article in seed.articles}):
        inside = {p.id for article in seed.articles if article.story == name for p in article.passages}
        other = [replace(entry, spans=()) if entry.passage_id in inside else entry for entry in known]
        after = suggestions.train_suggester(seed.articles, other)
        found = after.suggest(seed.passages())
        assert {id: found[id] for id in inside} == {id: suggested[id] for id in inside}
        changed += any(found[id] != suggested[id] for id in found.keys() - inside)
        assert after.version != before.version
    assert changed


def test_a_story_alone_says_nothing_about_itself(mini: Benchmark) -> None:
    seed, known = world(mini)
    name = seed.articles[0].story
    inside = {p.id for article in seed.articles if article.story == name for p in article.passages}
    alone = suggestions.train_suggester(seed.articles, [entry for entry in known if entry.passage_id in inside])
    assert alone.suggest(seed.passages()).keys() == {p.id for p in seed.passages()} - inside
    own = suggestions.train_suggester(seed.articles, [entry for entry in known if entry.passage_id in inside], folds=0)
    assert own.suggest(seed.passages()).keys() == {p.id for p in seed.passages()}


def test_it_learns_from_gold_then_from_annotators_then_from_nothing(mini: Benchmark) -> None:
    listed = read_annotators(mini)
    _, known = world(mini)
    assert {entry.annotator for entry in known} == {listed.gold}
    exports.export_path(mini, listed.gold).unlink()
    _, known = world(mini)
    assert {entry.annotator for entry in known} == {entry.name for entry in listed.independent}
    for path in mini.exports.glob("*.json"):
        path.unlink()
    with pytest.raises(DataError, match="passage-unlabelled") as error:
        world(mini)
    assert "jinbench annotate pull" in str(error.value)


def test_labels_without_a_span_can_be_learnt_from(mini: Benchmark) -> None:
    seed, known = world(mini)
    empty = suggestions.train_suggester(seed.articles, [replace(entry, spans=()) for entry in known], folds=0)
    assert all(not each.spans for each in empty.suggest(seed.passages()).values())


def test_the_least_certain_comes_first() -> None:
    said = {id: Suggestion((), (), certainty) for id, certainty in (("c", 0.5), ("a", 0.9), ("b", 0.5), ("d", 0.1))}
    assert active_learning.order_by_confidence(said) == ["d", "b", "c", "a"]


def test_regions_of_a_suggestion_have_ids_of_their_own_and_scores() -> None:
    spans = (Span(0, 2, "LOCATION", "\u6d25\u95e8"), Span(2, 4, "LOCATION", "\u6d25\u95e8"))
    found = exports.to_suggested_regions(Suggestion(spans, (0.25, 0.123456), 0.5))
    assert [(region["value"]["start"], region["score"]) for region in found] == [(0, 0.25), (2, 0.1235)]
    assert len({region["id"] for region in found}) == 2
    assert found[0]["value"] == {"start": 0, "end": 2, "text": "\u6d25\u95e8", "labels": ["LOCATION"]}
