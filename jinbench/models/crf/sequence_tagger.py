"""SequenceTagger: common base of the taggers, from texts and labels to state paths and back.

X is texts, or rows of the dataset; y is for each text its spans, or one BIO tag per character. A span is a run of BIOES
states. Spans of one character are predicted of those types that had one in training.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from jinbench.core.tags import to_bio
from jinbench.core.types import Span
from jinbench.models.crf.features import TextBatch, Vocabulary
from jinbench.models.crf.inference import (
    FloatArray,
    IntArray,
    PackedSentences,
    SpanTriple,
    States,
    add_edges,
    decode_viterbi,
    keep_freed_memory,
    pack_sentences,
)
from jinbench.models.inputs import LabelInput, TextInput, to_spans, to_texts

CHUNK = 20_000  # characters that are tagged at once
SpanTriples = list[list[SpanTriple]]  # one list per text


class TextChunk(NamedTuple):
    """Texts that are tagged at once: their indices, and the scores (packed rows, states) of their characters."""

    indices: list[int]
    batch: TextBatch
    packed: PackedSentences
    scores: FloatArray
    states: States

    def locate(self, start: int, end: int) -> SpanTriple:
        """Return the index of the text of a span of the concatenated texts, and its start and end there."""
        text = self.batch.text_indices[start]
        offset = int(self.batch.offsets[text])
        return self.indices[text], start - offset, end - offset


class SequenceTagger(BaseEstimator):  # type: ignore[misc]
    """Base class of the taggers: a scikit-learn estimator from texts to spans."""

    min_count: int
    random_state: int | None

    def _columns(self, texts: Sequence[str]) -> list[IntArray]:
        """Return the hashed features of every character."""
        raise NotImplementedError

    def _fit_columns(self, texts: Sequence[str], labels: SpanTriples) -> list[IntArray]:
        """Return the same for the training texts, and store what later calls need."""
        return self._columns(texts)

    def _fit_weights(
        self, texts: Sequence[str], rows: IntArray, path: IntArray, states: States, rng: np.random.RandomState
    ) -> None:
        """Learn from table rows (characters, features) and the state of each character."""
        raise NotImplementedError

    def _scores(self, texts: Sequence[str], rows: IntArray, packed: PackedSentences) -> FloatArray:
        """Return scores (packed rows, states)."""
        raise NotImplementedError

    def _decode(self, scores: FloatArray, packed: PackedSentences, states: States) -> IntArray:
        """Return the state of each packed row, from scores with edges."""
        return decode_viterbi(scores, self.transitions_, packed, states)

    def fit(self, X: TextInput, y: LabelInput) -> Self:
        """Learn from labelled texts.

        Args:
            X: Texts, or rows of the dataset.
            y: For each text its spans (start, end, type, …), or one BIO tag per character.

        Raises:
            ValueError: X and y do not match, or a parameter is out of range.
            TypeError: X or y is something else.
            DataError: Tags are not BIO [wrong-shape].
        """
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        texts = to_texts(X)
        spans = to_spans(texts, y)
        if not any(texts):
            raise ValueError("X: expected at least one text with a character in it, found none")
        keep_freed_memory()
        self.classes_ = np.array(sorted({span.type for row in spans for span in row}), dtype=str)
        numbers = {type: i for i, type in enumerate(self.classes_.tolist())}
        labels = [[(span.start, span.end, numbers[span.type]) for span in row] for row in spans]
        self.single_ = sorted({type for row in labels for start, end, type in row if end - start == 1})
        states = States(len(self.classes_), self.single_)
        path = np.concatenate([states.to_path(len(text), row) for text, row in zip(texts, labels, strict=True)])
        self._fit_weights(texts, self._fit_rows(texts, labels), path, states, check_random_state(self.random_state))
        return self

    def _fit_rows(self, texts: Sequence[str], labels: SpanTriples) -> IntArray:
        """Return rows of the table of weights (characters, features); the hashes are freed on return."""
        columns = self._fit_columns(texts, labels)
        self.vocabulary_ = Vocabulary(columns, self.min_count)
        return self.vocabulary_.to_rows(columns)

    def predict(self, X: TextInput) -> list[list[str]]:
        """Return BIO tags, one for each character of each text; always valid."""
        texts = to_texts(X)
        return [to_bio(len(text), row) for text, row in zip(texts, self.predict_spans(texts), strict=True)]

    def predict_spans(self, X: TextInput) -> list[list[Span]]:
        """Return the spans of each text."""
        check_is_fitted(self)
        texts = to_texts(X)
        spans: list[list[Span]] = [[] for _ in texts]
        for chunk in self._chunks(texts):
            self._tag(chunk, texts, spans)
        return spans

    def _tag(self, chunk: TextChunk, texts: Sequence[str], spans: Sequence[list[Span]]) -> None:
        """Add the spans of the texts of a chunk to `spans`, one list per text."""
        types = self.classes_.tolist()
        path = np.empty(len(chunk.scores), dtype=np.int64)
        path[chunk.packed.positions] = self._decode(chunk.scores, chunk.packed, chunk.states)
        for start, end, type in chunk.states.to_spans(path):  # of all texts of the chunk, one behind the other
            index, a, b = chunk.locate(start, end)
            spans[index].append(Span(a, b, types[type], texts[index][a:b]))

    def _chunks(self, texts: Sequence[str]) -> Iterator[TextChunk]:
        """Yield the texts that have a character, some at a time, the shortest first: alike ones together."""
        keep_freed_memory()
        states = States(len(self.classes_), self.single_)
        order = [i for i in sorted(range(len(texts)), key=lambda i: len(texts[i])) if texts[i]]
        while order:
            taken = chars = 0
            while taken < len(order) and (not taken or chars < CHUNK):
                chars += len(texts[order[taken]])
                taken += 1
            indices, order = order[:taken], order[taken:]
            chunk_texts = [texts[i] for i in indices]
            batch = TextBatch(chunk_texts, gap=0)
            packed = pack_sentences(batch.lengths, batch.offsets)
            scores = self._scores(chunk_texts, self.vocabulary_.to_rows(self._columns(chunk_texts)), packed)
            add_edges(scores, self.edges_, packed)
            yield TextChunk(indices, batch, packed, scores, states)

    def score(self, X: TextInput, y: LabelInput) -> float:
        """Return strict micro-F1 over spans; 1 if neither gold nor predictions have any."""
        texts = to_texts(X)
        gold = to_spans(texts, y)
        predicted = self.predict_spans(texts)
        correct = sum(len(set(a) & set(b)) for a, b in zip(gold, predicted, strict=True))
        total = sum(map(len, gold)) + sum(map(len, predicted))
        return 2 * correct / total if total else 1.0

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.target_tags.required = True
        tags.target_tags.one_d_labels = False
        tags.non_deterministic = False
        return tags


def sum_weights(weights: FloatArray, rows: IntArray) -> FloatArray:
    """Return the sum of the weights (table, states) of each character's rows (characters, features)."""
    scores = weights[rows[:, 0]]
    column_weights = np.empty_like(scores)
    for column in rows.T[1:]:
        scores += weights.take(column, axis=0, out=column_weights, mode="clip")
    return scores
