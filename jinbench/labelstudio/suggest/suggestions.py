"""What our tagger suggests for passages, learnt from the labels that there are, and in which order they teach it most.

A passage is never suggested by a model that learnt from its own story: what an annotator sees holds nothing of what
others have said about it.
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
    """Taggers that know together which of them may speak about which article.

    `models`: each with the articles whose labels it did not learn from, None where nothing is labelled but those;
    `rest`: the one for the stories of which nothing is labelled. `version` names what it comes from: tagger, version
    of the package, and the beginning of the sha256 of what was learnt.
    """

    suggester_version: str
    models: tuple[tuple[frozenset[str], "CrfTagger | None"], ...]
    rest: "CrfTagger"

    def suggest(self, passages: Iterable[Passage]) -> dict[str, Suggestion]:
        """For each passage its suggestion, by id. Left out are those about which no model may speak."""
        listed = list(passages)
        of = {article: tagger for articles, tagger in self.models for article in articles}
        found: dict[str, Suggestion] = {}
        for tagger in (*(tagger for _, tagger in self.models), self.rest):
            if tagger is not None:
                found |= _suggest(tagger, [p for p in listed if of.get(p.article_id, self.rest) is tagger])
        return {passage.id: found[passage.id] for passage in listed if passage.id in found}


def train_suggester(articles: Sequence[Article], known: Sequence[PassageLabels], *, folds: int = FOLDS) -> Suggester:
    """A suggester from the labels that are `known` on passages of `articles`. The same input gives the same.

    Labelled stories are put in folds, and those of a fold are spoken about by a model that learnt from the others.
    `folds=0` makes one model of everything for everything: only where each suggestion goes to the one whose labels
    they are. Raises :class:`DataError` (passage-unlabelled) if nothing is known.
    """
    story = {article.id: article.story for article in articles}
    passages, examples = _examples(articles, known)
    if not examples:
        raise no_labels_error("labels")
    name, rest = suggester_version(articles, known, folds), _fit(examples, passages)
    if not folds:
        return Suggester(name, (), rest)
    stories = sorted({story[passages[entry.passage_id].article_id] for entry in examples})
    members = {each: frozenset(id for id, of in story.items() if of == each) for each in stories}
    random.Random(0).shuffle(stories)
    models: list[tuple[frozenset[str], CrfTagger | None]] = []
    for fold in range(min(folds, len(stories))):
        held = frozenset[str]().union(*(members[each] for each in stories[fold::folds]))
        others = [entry for entry in examples if passages[entry.passage_id].article_id not in held]
        models.append((held, _fit(others, passages) if others else None))
    return Suggester(name, tuple(models), rest)


def suggester_version(articles: Sequence[Article], known: Sequence[PassageLabels], folds: int = FOLDS) -> str:
    """The version that :func:`learn` gives to what it makes of the same, without learning."""
    passages, examples = _examples(articles, known)
    learnt = [[e.passage_id, passages[e.passage_id].text, [list(span) for span in e.spans]] for e in examples]
    hash = files.sha256(json.dumps([learnt, folds], ensure_ascii=False).encode())
    return f"{MODEL_PREFIX} {metadata.version('jinbench')} {hash[:8]}"


def _examples(
    articles: Sequence[Article], known: Sequence[PassageLabels]
) -> tuple[dict[str, Passage], list[PassageLabels]]:
    """All passages by id, and the labels on them in one order, whatever order they came in."""
    passages = {passage.id: passage for article in articles for passage in article.passages}
    examples = [entry for entry in known if entry.passage_id in passages]
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
    """As the items of `ner` are made: no entity goes over the end of a sentence."""
    return [
        (sentence.start, sentence.end, passage.text[sentence.start : sentence.end]) for sentence in passage.sentences
    ]


def _suggest(tagger: "CrfTagger", passages: Sequence[Passage]) -> dict[str, Suggestion]:
    cut = [_sentences(passage) for passage in passages]
    scored = iter(tagger.predict_with_confidence([text for sentences in cut for _, _, text in sentences]))
    found = {}
    for passage, sentences in zip(passages, cut, strict=True):
        said = [(start, next(scored)) for start, _, _ in sentences]
        spans = tuple(span.relative_to(-start) for start, each in said for span in each.spans)
        chances = tuple(chance for _, each in said for chance in each.probabilities)
        found[passage.id] = Suggestion(spans, chances, sequence_confidence([each for _, each in said]))
    return found
