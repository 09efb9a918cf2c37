"""Sequence taggers as scikit-learn estimators: a linear-chain CRF, and a classifier per character to hold against it.

X is texts, or rows of the dataset; y is for each text its spans, or one BIO tag per character. Features come from
`features`, what the CRF learns from `training`, what follows from scores from `inference`,
where a span is a run of BIOES states. Spans of one character are found of those types that had one in training.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import sparse
from scipy.special import log_expit
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from jinbench.core.tags import to_bio
from jinbench.core.types import Span
from jinbench.models import inputs
from jinbench.models.crf import inference, training
from jinbench.models.crf.features import Cohesion, Features, Layout, Surfaces, Vocabulary, context, given, windows
from jinbench.models.crf.inference import Array, Packed, States
from jinbench.models.crf.training import Models, Settings

CHUNK = 20_000  # characters that are tagged at once
NEVER = -30.0  # the log-odds of a state that training did not have
POOL = 4  # batches among which texts are sorted by length
Labels = list[list[tuple[int, int, int]]]  # for each text: start, end, number of the type


class Chunk(NamedTuple):
    """Texts that are tagged at once: their numbers, and the scores (packed rows, states) of their characters."""

    numbers: list[int]
    layout: Layout
    packed: Packed
    scores: Array
    states: States

    def place(self, start: int, end: int) -> tuple[int, int, int]:
        """The number of the text in which a stretch of the joined texts lies, and where it begins and ends there."""
        text = self.layout.text_of[start]
        offset = int(self.layout.offsets[text])
        return self.numbers[text], start - offset, end - offset


class Scored(NamedTuple):
    """What a tagger says about a text and how sure it is of it.

    `chances`: for each span, the probability that the text has a span of this type with these borders. `sure`: for
    each character, the probability of its likeliest state. `best`: that of the best path through the whole text.
    """

    spans: list[Span]
    chances: list[float]
    sure: Array
    best: float


class Tagger(BaseEstimator):  # type: ignore[misc]
    """What both taggers share: from texts and labels to numbers and back."""

    def _columns(self, texts: Sequence[str]) -> list[Array]:
        """The hashed features of every character."""
        raise NotImplementedError

    def _learn_columns(self, texts: Sequence[str], labels: Labels) -> list[Array]:
        """The same for the training texts, and whatever is to be known of them later."""
        return self._columns(texts)

    def _learn(
        self, texts: Sequence[str], rows: Array, path: Array, states: States, rng: np.random.RandomState
    ) -> None:
        """Learn from table rows (characters, features) and the state of each character."""
        raise NotImplementedError

    def _scores(self, texts: Sequence[str], rows: Array, packed: Packed) -> Array:
        """Scores (packed rows, states)."""
        raise NotImplementedError

    def _path(self, scores: Array, packed: Packed, states: States) -> Array:
        """The state of each packed row, from scores with edges."""
        return inference.best_paths(scores, self.transitions_, packed, states)

    def fit(self, X: Iterable[str | Mapping[str, Any]], y: Iterable[Any]) -> Self:
        """X: texts or rows. y: for each its spans, or one BIO tag per character.

        Raises ValueError or TypeError if they do not go together, :class:`DataError` (wrong-shape) if tags are not BIO.
        """
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        texts = inputs.texts_of(X)
        spans = inputs.spans_of(texts, y)
        if not any(texts):
            raise ValueError("X: expected at least one text with a character in it, found none")
        inference.keep_freed_memory()
        self.classes_ = np.array(sorted({span.type for row in spans for span in row}), dtype=str)
        number = {type: i for i, type in enumerate(self.classes_.tolist())}
        labels = [[(span.start, span.end, number[span.type]) for span in row] for row in spans]
        self.single_ = sorted({type for row in labels for start, end, type in row if end - start == 1})
        states = inference.States(len(self.classes_), self.single_)
        path = np.concatenate([states.path(len(text), row) for text, row in zip(texts, labels, strict=True)])
        self._learn(texts, self._learn_rows(texts, labels), path, states, check_random_state(self.random_state))
        return self

    def _learn_rows(self, texts: Sequence[str], labels: Labels) -> Array:
        """Rows of the table of weights (characters, features); what they are made of is gone then."""
        columns = self._learn_columns(texts, labels)
        self.vocabulary_ = Vocabulary(columns, self.min_count)
        return self.vocabulary_.rows(columns)

    def predict(self, X: Iterable[str | Mapping[str, Any]]) -> list[list[str]]:
        """BIO tags, one for each character of each text; always valid."""
        texts = inputs.texts_of(X)
        return [to_bio(len(text), row) for text, row in zip(texts, self.predict_spans(texts), strict=True)]

    def predict_spans(self, X: Iterable[str | Mapping[str, Any]]) -> list[list[Span]]:
        """The spans of each text."""
        check_is_fitted(self)
        texts = inputs.texts_of(X)
        found: list[list[Span]] = [[] for _ in texts]
        for chunk in self._chunks(texts):
            self._tag(chunk, texts, found)
        return found

    def _tag(self, chunk: Chunk, texts: Sequence[str], found: Sequence[list[Span]]) -> None:
        """Add to `found` the spans of the texts of a chunk."""
        types = self.classes_.tolist()
        path = np.empty(len(chunk.scores), dtype=np.int64)
        path[chunk.packed.rows] = self._path(chunk.scores, chunk.packed, chunk.states)
        for start, end, type in chunk.states.spans(path):  # of all texts of the chunk, one behind the other
            number, a, b = chunk.place(start, end)
            found[number].append(Span(a, b, types[type], texts[number][a:b]))

    def _chunks(self, texts: Sequence[str]) -> Iterator[Chunk]:
        """The texts that have a character, some at a time, the shortest first: alike ones together."""
        inference.keep_freed_memory()
        states = inference.States(len(self.classes_), self.single_)
        order = [i for i in sorted(range(len(texts)), key=lambda i: len(texts[i])) if texts[i]]
        while order:
            taken = chars = 0
            while taken < len(order) and (not taken or chars < CHUNK):
                chars += len(texts[order[taken]])
                taken += 1
            numbers, order = order[:taken], order[taken:]
            some = [texts[i] for i in numbers]
            layout = Layout(some, gap=0)
            packed = inference.pack(layout.lengths, layout.offsets)
            scores = self._scores(some, self.vocabulary_.rows(self._columns(some)), packed)
            inference.add_edges(scores, self.edges_, packed)
            yield Chunk(numbers, layout, packed, scores, states)

    def score(self, X: Iterable[str | Mapping[str, Any]], y: Iterable[Any]) -> float:
        """Strict micro-F1 over spans; 1 where there are none to find and none were found."""
        texts = inputs.texts_of(X)
        gold = inputs.spans_of(texts, y)
        predicted = self.predict_spans(texts)
        right = sum(len(set(a) & set(b)) for a, b in zip(gold, predicted, strict=True))
        total = sum(map(len, gold)) + sum(map(len, predicted))
        return 2 * right / total if total else 1.0

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.target_tags.required = True
        tags.target_tags.one_d_labels = False
        tags.non_deterministic = False
        return tags


def _summed(weights: Array, rows: Array) -> Array:
    """The sum of the weights (table, tags) of each character's rows (characters, features)."""
    scores: Array = weights[rows[:, 0]]
    taken = np.empty_like(scores)
    for column in rows.T[1:]:
        scores += weights.take(column, axis=0, out=taken, mode="clip")
    return scores


class CharTagger(Tagger):
    """Logistic regression per character, decoded with learnt transitions over valid BIO sequences.

    Parameters
    ----------
    alpha : strength of the regularisation.
    epochs : passes over the training characters; the weights are averaged over all of them.
    min_count : how often a feature must be seen to get a weight.
    random_state : seed of the order in which the characters are seen.
    """

    def __init__(self, alpha: float = 3e-5, epochs: int = 15, min_count: int = 1, random_state: int | None = 0) -> None:
        self.alpha = alpha
        self.epochs = epochs
        self.min_count = min_count
        self.random_state = random_state

    def _columns(self, texts: Sequence[str]) -> list[Array]:
        return windows(texts)

    def _learn(
        self, texts: Sequence[str], rows: Array, path: Array, states: States, rng: np.random.RandomState
    ) -> None:
        from sklearn.linear_model import SGDClassifier

        seen = np.unique(path)
        self.weights_ = np.zeros((self.vocabulary_.size, states.size), dtype=np.float32)
        self.bias_ = np.full(states.size, NEVER, dtype=np.float32)
        if len(seen) == 1:
            self.bias_[seen] = 0
        else:
            ends = np.arange(0, rows.size + 1, rows.shape[1])
            shape = len(rows), self.vocabulary_.size
            features = sparse.csr_matrix((np.ones(rows.size), rows.ravel(), ends), shape=shape)
            classifier = SGDClassifier(
                loss="log_loss", alpha=self.alpha, max_iter=self.epochs, tol=None, average=True, random_state=rng
            )
            classifier.fit(features, path)
            coefficients, intercepts = classifier.coef_.T, classifier.intercept_
            if len(seen) == 2:  # scikit-learn keeps one column then
                coefficients, intercepts = np.hstack([-coefficients, coefficients]), np.append(-intercepts, intercepts)
            self.weights_[:, seen] = coefficients
            self.weights_[0] = 0
            self.bias_[seen] = intercepts
        lengths = np.array([len(text) for text in texts if text])
        starts = np.cumsum(lengths) - lengths
        goes_on = np.ones(len(path), dtype=bool)
        goes_on[starts] = False
        joined = goes_on[1:]
        follows, edges = np.ones((states.size, states.size)), np.ones((2, states.size))
        np.add.at(follows, (path[:-1][joined], path[1:][joined]), 1)
        np.add.at(edges[0], path[starts], 1)
        np.add.at(edges[1], path[starts + lengths - 1], 1)
        # The classifier has seen the neighbours already: what is left for the transitions is p(b | a) / p(b).
        prior = (np.bincount(path, minlength=states.size) + 0.5) / (len(path) + 0.5 * states.size)
        pairs, allowed = states.allowed()
        moves = np.log(follows / follows.sum(1, keepdims=True) / prior)
        ends_with = np.log(edges / edges.sum(1, keepdims=True) / prior)
        self.transitions_ = np.where(pairs, moves, inference.FORBIDDEN).astype(np.float32)
        self.edges_ = np.where(allowed, ends_with, inference.FORBIDDEN).astype(np.float32)

    def _scores(self, texts: Sequence[str], rows: Array, packed: Packed) -> Array:
        scores: Array = log_expit(_summed(self.weights_, rows[packed.rows]) + self.bias_)  # one against the rest
        return scores


class CrfTagger(Tagger):
    """A linear-chain conditional random field (Lafferty et al., 2001) that is made for little data and one processor.

    It sees windows of characters; how strongly neighbours hold together; which surfaces were labelled in other texts;
    and the wider context, as sums over the characters before and after that decay with distance. It learns by AdaGrad
    (Duchi et al., 2011), with one step size per feature, on texts from which features are dropped at random. Several
    models, each losing other features, learn side by side and are averaged weight by weight, which costs nothing in
    prediction. To miss a label costs more than to give one too many (`miss_cost`, the recall-oriented softmax-margin of
    Mohit et al., 2012): without it a tagger that meets mostly new names says "O" too often. In prediction each
    character gets the state that is likeliest over all paths, and what makes no whole span is left out: where two
    borders are about as likely, F1 counts a wrong one twice, as missed and as spurious, and none only once.

    Parameters
    ----------
    features : function of a text that gives, for each of its characters, the same number of strings: more features,
        such as what a lexicon says. It must be importable if the tagger is to be pickled.
    models : how many are averaged.
    epochs : passes over the training texts; the weights are averaged over the second half of them.
    min_updates : smallest number of updates for each model: little data gets more passes.
    batch_size : texts in an update.
    rate, wide_rate : step size of AdaGrad, and that for the wider context.
    dropout : share of the features that each character loses while learning.
    decay : weight of the next character in the wider context; that of the one after it is the square, and so on.
    miss_cost : while learning, this times the surprise of an entity, -log of the share of characters in one, is added
        to the score of "O" on such characters: the rarer entities are, the more a missed one costs.
    min_count : how often a feature must be seen to get a weight.
    random_state : seed of order and dropout.
    """

    def __init__(
        self,
        features: Features | None = None,
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

    def _columns(self, texts: Sequence[str]) -> list[Array]:
        return self._given(texts) + self.cohesion_.columns(texts) + self.surfaces_.columns(texts)

    def _learn_columns(self, texts: Sequence[str], labels: Labels) -> list[Array]:
        self.cohesion_, self.surfaces_ = Cohesion(), Surfaces()
        return self._given(texts) + self.cohesion_.fit_columns(texts) + self.surfaces_.fit_columns(texts, labels)

    def _given(self, texts: Sequence[str]) -> list[Array]:
        columns = windows(texts)
        return columns if self.features is None else columns + given(texts, self.features)

    def _learn(
        self, texts: Sequence[str], rows: Array, path: Array, states: States, rng: np.random.RandomState
    ) -> None:
        self._check()
        wide = context(texts)
        self.wide_vocabulary_ = Vocabulary(wide, self.min_count)
        wide_rows = self.wide_vocabulary_.rows(wide)
        del wide
        layout = Layout([text for text in texts if text], gap=0)
        shapes = [
            (self.vocabulary_.size, states.size),
            (self.wide_vocabulary_.size, 2 * states.size),
            (states.size, states.size),
            (2, states.size),
        ]
        inside = float(np.mean(path != states.outside))
        cost = self.miss_cost * -math.log(inside) if inside else 0.0
        settings = Settings(self.rate, self.wide_rate, self.dropout, self.decay, cost)
        batches = [
            training.batch(layout.lengths[part], layout.offsets[part], rows, wide_rows, path, states, self.models)
            for part in self._parts(layout.lengths, rng)
        ]
        del rows, wide_rows  # large; the batches have what they need
        models = Models(settings, shapes, states, self.models)
        sums = [np.zeros(shape, dtype=np.float32) for shape in shapes]
        epochs = max(self.epochs, math.ceil(self.min_updates / len(batches)))
        for epoch in range(epochs):
            for i in rng.permutation(len(batches)):
                models.update(batches[i], rng)
            if epoch >= epochs // 2:
                models.add_to(sums)
        for total in sums:
            total /= epochs - epochs // 2
            if not np.isfinite(total).all():
                raise ValueError("the weights grew beyond all numbers: lower rate and wide_rate")
        self.weights_, self.wide_, self.transitions_, self.edges_ = sums

    def _check(self) -> None:
        """Raises ValueError if a parameter is outside of what makes sense."""
        whole = {"models": 1, "batch_size": 1, "epochs": 1, "min_updates": 0, "min_count": 1}
        for name, least in whole.items():
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"{name}: expected a whole number of {least} or more, found {value!r}")
        for name, most in {
            "rate": math.inf,
            "wide_rate": math.inf,
            "miss_cost": math.inf,
            "dropout": 1,
            "decay": 1,
        }.items():
            value = getattr(self, name)
            if not 0 <= value < most:
                raise ValueError(f"{name}: expected a number from 0 to below {most}, found {value!r}")

    def _parts(self, lengths: Array, rng: np.random.RandomState) -> list[Array]:
        """Random batches of texts of like lengths: what a step costs is the longest."""
        order = rng.permutation(len(lengths))
        pools = [order[i : i + POOL * self.batch_size] for i in range(0, len(order), POOL * self.batch_size)]
        order = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
        return [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]

    def _scores(self, texts: Sequence[str], rows: Array, packed: Packed) -> Array:
        wide = self.wide_vocabulary_.rows(context(texts))[packed.rows]
        around = _summed(self.wide_, wide)
        scores = _summed(self.weights_, rows[packed.rows])
        size = scores.shape[1]
        scores += inference.sums_before(around[:, :size], packed, self.decay)
        scores += inference.sums_after(around[:, size:], packed, self.decay)
        return scores

    def predict_scored(self, X: Iterable[str | Mapping[str, Any]]) -> list[Scored]:
        """The spans of each text, those of :meth:`predict_spans`, and how sure the model is of them.

        The chance of a span is the exact probability of its stretch of states, summed over all paths around it
        (Culotta & McCallum, 2004, Confidence estimation for information extraction). It is that of the model as it
        learnt: with a `miss_cost` it is too ready to see entities. Where the arithmetic fails (scores too far apart for
        64-bit numbers) chances and sureness are 0. Costs some three times as much as `predict_spans`.
        """
        check_is_fitted(self)
        texts = inputs.texts_of(X)
        predicted: list[list[Span]] = [[] for _ in texts]
        found = [Scored(spans, [], np.ones(0), 1.0) for spans in predicted]  # as it stays for an empty text
        number = {type: i for i, type in enumerate(self.classes_.tolist())}
        for chunk in self._chunks(texts):
            states, packed = chunk.states, chunk.packed
            self._tag(chunk, texts, predicted)
            rows = [[(s.start, s.end, number[s.type]) for s in found[i].spans] for i in chunk.numbers]
            lengths, offsets = chunk.layout.lengths.tolist(), chunk.layout.offsets.tolist()
            path = np.concatenate([states.path(n, row) for n, row in zip(lengths, rows, strict=True)])
            best = inference.best_paths(chunk.scores, self.transitions_, packed, states)
            sureness = inference.Sureness(chunk.scores, self.transitions_, packed)
            likeliest, steps = sureness.likeliest(), sureness.steps(best)
            along = sureness.along(path[packed.rows])
            for i, row, offset, length in zip(chunk.numbers, rows, offsets, lengths, strict=True):
                whole = math.exp(min(0.0, float(steps[offset : offset + length].sum())))
                chances = [along(offset + start, offset + end) for start, end, _ in row]
                found[i] = Scored(found[i].spans, chances, likeliest[offset : offset + length], whole)
        return found

    def _path(self, scores: Array, packed: Packed, states: States) -> Array:
        with np.errstate(all="ignore"):
            chances = inference.marginals(scores, self.transitions_, packed)
        likeliest: Array = chances.argmax(1)
        lost = np.isnan(chances.sum(1))
        if lost.any():  # scores of a sentence lie too far apart for their exponentials: its best path is left
            likeliest[lost] = super()._path(scores, packed, states)[lost]
        return likeliest
