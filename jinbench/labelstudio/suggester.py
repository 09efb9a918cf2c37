"""Pre-annotations from a tagger trained on the labels of other stories.

No passage gets suggestions from a model that learnt from its own story, so they hold nothing of what other annotators
labelled in it.
"""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from jinbench.annotation.gold import no_labels_error
from jinbench.core import files
from jinbench.core.types import Article, Passage, PassageLabels, Span, Suggestion, slice_spans
from jinbench.models.active_learning import MODEL_PREFIX, sequence_confidence

if TYPE_CHECKING:
    from jinbench.models.crf.estimator import CrfTagger

FOLDS = 5


@dataclass(frozen=True)
class Suggester:
    """Cross-trained taggers.

    `version`: tagger, version of the package, and the beginning of the sha256 of the training data. `models`: the
    articles of a fold with the model trained on the other folds, None if these have no labels. `general`: the model
    trained on all labels, for stories without any.
    """

    version: str
    models: tuple[tuple[frozenset[str], "CrfTagger | None"], ...]
    general: "CrfTagger"

    def suggest(self, passages: Iterable[Passage]) -> dict[str, Suggestion]:
        """Return the suggestions by passage id, without the passages that no model may predict."""
        passages = list(passages)
        taggers = {article: tagger for articles, tagger in self.models for article in articles}
        suggestions: dict[str, Suggestion] = {}
        for tagger in (*(tagger for _, tagger in self.models), self.general):
            if tagger is not None:
                selected = [p for p in passages if taggers.get(p.article_id, self.general) is tagger]
                suggestions |= _suggest(tagger, selected)
        return {passage.id: suggestions[passage.id] for passage in passages if passage.id in suggestions}


def train_suggester(articles: Sequence[Article], labels: Sequence[PassageLabels], *, folds: int = FOLDS) -> Suggester:
    """Train a suggester on `labels` of passages of `articles`, deterministically.

    Labelled stories are put into folds; those of a fold are predicted by the model trained on the others. `folds=0`
    trains one model for all passages: only for suggestions to the annotator whose labels they are.
    Raises :class:`DataError` (passage-unlabelled) if nothing is labelled.
    """
    stories = {article.id: article.story for article in articles}
    passages, examples = _select_examples(articles, labels)
    if not examples:
        raise no_labels_error("labels")
    version, general = suggester_version(articles, labels, folds), _fit(examples, passages)
    if not folds:
        return Suggester(version, (), general)
    labelled_stories = sorted({stories[passages[entry.passage_id].article_id] for entry in examples})
    members = {story: frozenset(id for id, of in stories.items() if of == story) for story in labelled_stories}
    random.Random(0).shuffle(labelled_stories)
    models: list[tuple[frozenset[str], CrfTagger | None]] = []
    for fold in range(min(folds, len(labelled_stories))):
        held_out = frozenset[str]().union(*(members[story] for story in labelled_stories[fold::folds]))
        others = [entry for entry in examples if passages[entry.passage_id].article_id not in held_out]
        models.append((held_out, _fit(others, passages) if others else None))
    return Suggester(version, tuple(models), general)


def suggester_version(articles: Sequence[Article], labels: Sequence[PassageLabels], folds: int = FOLDS) -> str:
    """Return the version of the suggester that :func:`train_suggester` would make of the same."""
    passages, examples = _select_examples(articles, labels)
    data = [[e.passage_id, passages[e.passage_id].text, [list(span) for span in e.spans]] for e in examples]
    digest = files.sha256(json.dumps([data, folds], ensure_ascii=False).encode())
    return f"{MODEL_PREFIX} {metadata.version('jinbench')} {digest[:8]}"


def _select_examples(
    articles: Sequence[Article], labels: Sequence[PassageLabels]
) -> tuple[dict[str, Passage], list[PassageLabels]]:
    """Return the passages by id, and the labels on them in a fixed order."""
    passages = {passage.id: passage for article in articles for passage in article.passages}
    examples = [entry for entry in labels if entry.passage_id in passages]
    return passages, sorted(examples, key=lambda entry: (entry.passage_id, entry.annotator))


def _fit(examples: Sequence[PassageLabels], passages: Mapping[str, Passage]) -> "CrfTagger":
    from jinbench.models.crf.estimator import CrfTagger

    texts: list[str] = []
    spans: list[list[Span]] = []
    for entry in examples:
        for start, end, text in _sentences(passages[entry.passage_id]):
            texts.append(text)
            spans.append(slice_spans(entry.spans, start, end))
    return CrfTagger().fit(texts, spans)


def _sentences(passage: Passage) -> list[tuple[int, int, str]]:
    """Return start, end and text of the sentences, which are the items of task `ner`."""
    return [
        (sentence.start, sentence.end, passage.text[sentence.start : sentence.end]) for sentence in passage.sentences
    ]


def _suggest(tagger: "CrfTagger", passages: Sequence[Passage]) -> dict[str, Suggestion]:
    sentences_of = [_sentences(passage) for passage in passages]
    results = iter(tagger.predict_with_confidence([text for sentences in sentences_of for _, _, text in sentences]))
    suggestions = {}
    for passage, sentences in zip(passages, sentences_of, strict=True):
        tagged = [(start, next(results)) for start, _, _ in sentences]
        spans = tuple(span.relative_to(-start) for start, result in tagged for span in result.spans)
        probabilities = tuple(probability for _, result in tagged for probability in result.probabilities)
        confidence = sequence_confidence([result for _, result in tagged])
        suggestions[passage.id] = Suggestion(spans, probabilities, confidence)
    return suggestions
