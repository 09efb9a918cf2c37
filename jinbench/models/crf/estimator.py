"""CrfTagger: a linear-chain CRF as a scikit-learn estimator.

X is texts, or rows of the dataset; y is for each text its spans, or one BIO tag per character. A span is a run of BIOES
states. Spans of one character are predicted of those types that had one in training.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from jinbench.core.tags import to_bio
from jinbench.core.types import Span
from jinbench.models.crf.features import (
    FeatureFunction,
    Gazetteer,
    PairPmi,
    TextBatch,
    Vocabulary,
    hash_context,
    hash_custom_features,
    hash_windows,
)
from jinbench.models.crf.inference import (
    Confidence,
    FloatArray,
    IntArray,
    PackedSentences,
    SpanTriple,
    States,
    add_edges,
    compute_marginals,
    decode_viterbi,
    keep_freed_memory,
    pack_sentences,
    sum_after,
    sum_before,
)
from jinbench.models.crf.training import ModelEnsemble, TrainingSettings, make_batch
from jinbench.models.inputs import LabelInput, TextInput, to_spans, to_texts

POOL = 4  # batches among which texts are sorted by length
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


class TaggedText(NamedTuple):
    """The spans of a text and the probabilities of what the tagger says about it.

    `probabilities`: for each span, that the text has a span of this type with these borders. `character_confidence`:
    (n_characters,) float64, of the most likely state of each character. `path_probability`: of the best path through
    the whole text.
    """

    spans: list[Span]
    probabilities: list[float]
    character_confidence: FloatArray
    path_probability: float


class CrfTagger(BaseEstimator):  # type: ignore[misc]
    """Linear-chain conditional random field, made for little data and one processor.

    It sees windows of characters; the pointwise mutual information of neighbours; surfaces labelled in other texts; and
    the wider context, as sums over the characters before and after that decay with distance. It learns by AdaGrad, with
    one step size per feature, on texts from which features are dropped at random. Several models with different
    dropout learn side by side and are averaged weight by weight, which costs nothing in prediction. A missed label
    costs more than a spurious one (`miss_cost`, recall-oriented softmax-margin): without it a tagger that meets mostly
    new names says "O" too often. In prediction each character gets the state that is most likely over all paths, and
    states that make no whole span are dropped: where two borders are about as likely, F1 counts a wrong one twice, as
    missed and as spurious, and none only once.

    Args:
        features: Function of a text that returns, for each of its characters, the same number of strings: additional
            features, such as those of a lexicon. It must be importable if the tagger is to be pickled.
        models: Number of models that are averaged.
        epochs: Passes over the training texts; the weights are averaged over the second half of them.
        min_updates: Smallest number of updates for each model: little data gets more passes.
        batch_size: Texts per update.
        rate: Step size of AdaGrad.
        wide_rate: Step size for the wider context.
        dropout: Share of the features that each character loses while learning.
        decay: Weight of the next character in the wider context; that of the one after it is the square, and so on.
        miss_cost: While learning, this times the surprise of an entity, -log of the share of characters in one, is
            added to the score of "O" on such characters: the rarer entities are, the more a missed one costs.
        min_count: How often a feature must be seen to get a weight.
        random_state: Seed of order and dropout.

    References:
        Lafferty, McCallum & Pereira (2001), Conditional random fields.
        Duchi, Hazan & Singer (2011), Adaptive subgradient methods (AdaGrad).
        Mohit et al. (2012), Recall-oriented learning of named entities in Arabic Wikipedia (softmax-margin).

    Example:
        >>> from jinbench.models import CrfTagger
        >>> texts = ["张明在上海", "李红去上海", "上海的张明", "李红来了"]
        >>> y = [[(0, 2, "PER"), (3, 5, "LOC")], [(0, 2, "PER"), (3, 5, "LOC")],
        ...      [(0, 2, "LOC"), (3, 5, "PER")], [(0, 2, "PER")]]
        >>> tagger = CrfTagger(models=1, min_updates=50, min_count=1).fit(texts, y)
        >>> [tuple(span) for span in tagger.predict_spans(["张明去上海"])[0]]
        [(0, 2, 'PER', '张明'), (3, 5, 'LOC', '上海')]
        >>> tagger.predict(["张明去上海"])
        [['B-PER', 'I-PER', 'O', 'B-LOC', 'I-LOC']]
    """

    def __init__(
        self,
        features: FeatureFunction | None = None,
        models: int = 4,
        epochs: int = 4,
        min_updates: int = 250,
        batch_size: int = 32,
        rate: float = 0.2,
        wide_rate: float = 0.07,
        dropout: float = 0.5,
        decay: float = 0.95,
        miss_cost: float = 1.0,
        min_count: int = 2,
        random_state: int | None = 0,
    ) -> None:
        self.features = features
        self.models = models
        self.epochs = epochs
        self.min_updates = min_updates
        self.batch_size = batch_size
        self.rate = rate
        self.wide_rate = wide_rate
        self.dropout = dropout
        self.decay = decay
        self.miss_cost = miss_cost
        self.min_count = min_count
        self.random_state = random_state

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

    def _columns(self, texts: Sequence[str]) -> list[IntArray]:
        return self._window_columns(texts) + self.pmi_.columns(texts) + self.gazetteer_.columns(texts)

    def _fit_columns(self, texts: Sequence[str], labels: SpanTriples) -> list[IntArray]:
        self.pmi_, self.gazetteer_ = PairPmi(), Gazetteer()
        return self._window_columns(texts) + self.pmi_.fit_columns(texts) + self.gazetteer_.fit_columns(texts, labels)

    def _window_columns(self, texts: Sequence[str]) -> list[IntArray]:
        columns = hash_windows(texts)
        return columns if self.features is None else columns + hash_custom_features(texts, self.features)

    def _fit_weights(
        self, texts: Sequence[str], rows: IntArray, path: IntArray, states: States, rng: np.random.RandomState
    ) -> None:
        self._check_parameters()
        wide = hash_context(texts)
        self.wide_vocabulary_ = Vocabulary(wide, self.min_count)
        wide_rows = self.wide_vocabulary_.to_rows(wide)
        del wide
        batch = TextBatch([text for text in texts if text], gap=0)
        shapes = [
            (self.vocabulary_.size, states.size),
            (self.wide_vocabulary_.size, 2 * states.size),
            (states.size, states.size),
            (2, states.size),
        ]
        inside = float(np.mean(path != states.outside))
        cost = self.miss_cost * -math.log(inside) if inside else 0.0
        settings = TrainingSettings(self.rate, self.wide_rate, self.dropout, self.decay, cost)
        batches = [
            make_batch(batch.lengths[part], batch.offsets[part], rows, wide_rows, path, states, self.models)
            for part in self._draw_batches(batch.lengths, rng)
        ]
        del rows, wide_rows  # large; the batches have what they need
        ensemble = ModelEnsemble(settings, shapes, states, self.models)
        sums = [np.zeros(shape, dtype=np.float32) for shape in shapes]
        epochs = max(self.epochs, math.ceil(self.min_updates / len(batches)))
        for epoch in range(epochs):
            for i in rng.permutation(len(batches)):
                ensemble.update(batches[i], rng)
            if epoch >= epochs // 2:
                ensemble.add_mean_to(sums)
        for total in sums:
            total /= epochs - epochs // 2
            if not np.isfinite(total).all():
                raise ValueError("the weights grew beyond all numbers: lower rate and wide_rate")
        self.weights_, self.wide_, self.transitions_, self.edges_ = sums

    def _check_parameters(self) -> None:
        """Raise ValueError if a parameter is out of range."""
        minima = {"models": 1, "batch_size": 1, "epochs": 1, "min_updates": 0, "min_count": 1}
        for name, minimum in minima.items():
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or value < minimum:
                raise ValueError(f"{name}: expected a whole number of {minimum} or more, found {value!r}")
        unbounded = ("rate", "wide_rate", "miss_cost")
        for name, limit in {**dict.fromkeys(unbounded, math.inf), "dropout": 1, "decay": 1}.items():
            value = getattr(self, name)
            if not 0 <= value < limit:
                raise ValueError(f"{name}: expected a number from 0 to below {limit}, found {value!r}")

    def _draw_batches(self, lengths: IntArray, rng: np.random.RandomState) -> list[IntArray]:
        """Draw random batches of texts of similar lengths: the cost of a step is that of the longest."""
        order = rng.permutation(len(lengths))
        pools = [order[i : i + POOL * self.batch_size] for i in range(0, len(order), POOL * self.batch_size)]
        order = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
        return [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]

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

    def _scores(self, texts: Sequence[str], rows: IntArray, packed: PackedSentences) -> FloatArray:
        wide = self.wide_vocabulary_.to_rows(hash_context(texts))[packed.positions]
        around = sum_weights(self.wide_, wide)
        scores = sum_weights(self.weights_, rows[packed.positions])
        size = scores.shape[1]
        scores += sum_before(around[:, :size], packed, self.decay)
        scores += sum_after(around[:, size:], packed, self.decay)
        return scores

    def predict_with_confidence(self, X: TextInput) -> list[TaggedText]:
        """Return the spans of :meth:`predict_spans` with their probabilities.

        Where the arithmetic fails (scores too far apart for 64-bit numbers) probabilities are 0. Costs about three
        times as much as `predict_spans`. With a `miss_cost` the model is biased towards entities.

        Args:
            X: Texts, or rows of the dataset.

        Returns:
            One :class:`TaggedText` per text. The probability of a span is that of its states, summed over all paths
            around it.

        References:
            Culotta & McCallum (2004), Confidence estimation for information extraction.
        """
        check_is_fitted(self)
        texts = to_texts(X)
        spans: list[list[Span]] = [[] for _ in texts]
        tagged = [TaggedText(row, [], np.ones(0), 1.0) for row in spans]  # final for an empty text
        numbers = {type: i for i, type in enumerate(self.classes_.tolist())}
        for chunk in self._chunks(texts):
            states, packed = chunk.states, chunk.packed
            self._tag(chunk, texts, spans)
            rows = [[(s.start, s.end, numbers[s.type]) for s in spans[i]] for i in chunk.indices]
            lengths, offsets = chunk.batch.lengths.tolist(), chunk.batch.offsets.tolist()
            path = np.concatenate([states.to_path(n, row) for n, row in zip(lengths, rows, strict=True)])
            best_path = decode_viterbi(chunk.scores, self.transitions_, packed, states)
            confidence = Confidence(chunk.scores, self.transitions_, packed)
            characters, steps = confidence.state_confidence(), confidence.log_step_probabilities(best_path)
            span_probability = confidence.span_probability(path[packed.positions])
            for i, row, offset, length in zip(chunk.indices, rows, offsets, lengths, strict=True):
                whole = math.exp(min(0.0, float(steps[offset : offset + length].sum())))
                probabilities = [span_probability(offset + start, offset + end) for start, end, _ in row]
                tagged[i] = TaggedText(spans[i], probabilities, characters[offset : offset + length], whole)
        return tagged

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

    def _decode(self, scores: FloatArray, packed: PackedSentences, states: States) -> IntArray:
        with np.errstate(all="ignore"):
            marginals = compute_marginals(scores, self.transitions_, packed)
        path: IntArray = marginals.argmax(1)
        failed = np.isnan(marginals.sum(1))
        if failed.any():  # scores of a sentence are too far apart for their exponentials: take its best path
            path[failed] = decode_viterbi(scores, self.transitions_, packed, states)[failed]
        return path


def sum_weights(weights: FloatArray, rows: IntArray) -> FloatArray:
    """Return the sum of the weights (table, states) of each character's rows (characters, features)."""
    scores = weights[rows[:, 0]]
    column_weights = np.empty_like(scores)
    for column in rows.T[1:]:
        scores += weights.take(column, axis=0, out=column_weights, mode="clip")
    return scores
