"""A text classifier as a scikit-learn estimator: counts of characters made quickly, then one threshold per label."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_matrix, vstack
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MultiLabelBinarizer
from sklearn.svm import LinearSVC

Array = np.ndarray[Any, Any]
Rows = Sequence[Mapping[str, Any]]

_AT_ONCE = 2**12  # texts whose runs are counted together: few enough for the processor's cache
_NEVER = 1e6  # a threshold that no score passes
_OFTEN = np.arange(0.5, 3.01, 0.1)  # how many labels to give, as a multiple of how many the training rows have


class CharNgrams(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Counts runs of neighbouring characters, as CountVectorizer(analyzer="char") does, and a good deal quicker.

    A run is known by its hash, so that numpy finds the columns of all runs at once; two runs with the same hash share
    a column. Runs that were not seen in training are left out. White space counts as it stands.

    Parameters
    ----------
    longest : runs of 1 to so many characters.
    bits : width of the hash.
    """

    def __init__(self, longest: int = 2, bits: int = 22) -> None:
        self.longest = longest
        self.bits = bits

    def fit(self, X: Sequence[str], y: Any = None) -> Self:
        """X: texts."""
        seen = np.zeros(2**self.bits, dtype=bool)
        for start in range(0, len(X), _AT_ONCE):
            hashes, there = self._hashes(X[start : start + _AT_ONCE])[:2]
            seen[hashes[there]] = True
        seen[0] |= not seen.any()  # a matrix without columns is more than most estimators can bear
        self.columns_ = np.where(seen, np.cumsum(seen) - 1, -1).astype(np.int32)
        return self

    def transform(self, X: Sequence[str]) -> csr_matrix:
        """A sparse matrix (texts, runs) of counts."""
        width = int(self.columns_.max()) + 1
        blocks = [self._counts(X[start : start + _AT_ONCE], width) for start in range(0, len(X), _AT_ONCE)]
        return vstack(blocks, format="csr") if blocks else csr_matrix((0, width))

    def _counts(self, texts: Sequence[str], width: int) -> csr_matrix:
        hashes, there, lasts = self._hashes(texts)
        rows = np.repeat(np.arange(len(texts)), np.diff(lasts, prepend=0))
        columns = self.columns_[hashes]
        cells = (rows[:, None] * width + columns)[there & (columns >= 0)]
        cells.sort()  # one number for row and column: much quicker than scipy's sorting row by row
        firsts = np.flatnonzero(np.diff(cells, prepend=-1))
        counts = np.diff(firsts, append=len(cells)).astype(float)
        rows, columns = np.divmod(cells[firsts], width)
        ends = np.searchsorted(rows, np.arange(len(texts) + 1))
        return csr_matrix((counts, columns.astype(np.int32), ends), shape=(len(texts), width))

    def _hashes(self, texts: Sequence[str]) -> tuple[Array, Array, Array]:
        """For each character of all texts the hashes of the runs that begin there, which of them lie within their
        text, and where each text ends."""
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        chars = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), "<u4")
        lasts = np.cumsum(lengths)
        left = np.repeat(lasts, lengths) - np.arange(len(chars))  # characters from here to the end of the text
        hashes = np.zeros((len(chars), self.longest), np.uint32)
        run: Array = np.zeros(len(chars), np.uint32)
        for n in range(self.longest):
            run = run * np.uint32(0x01000193)
            run[: len(chars) - n] += chars[n:] + np.uint32(1)
            hashes[:, n] = (run * np.uint32(0x9E3779B1)) >> np.uint32(32 - self.bits)
        return hashes, left[:, None] > np.arange(self.longest), lasts


class SectorClassifier(BaseEstimator):  # type: ignore[misc]
    """A linear classifier for each label over the characters of a row, with a threshold per label.

    The threshold of a label is the score that it passes `c` times as often as it has training rows, on scores that
    were made by cross-validation within the training rows, whole articles held out. `c` is one number for all labels,
    the one that gives the best micro-F1 there: a dozen rows of a label are too few to choose a threshold from alone.
    The label that is furthest above its threshold, or least below, is always given; and the label `alone`, once given,
    takes the place of the others.

    Parameters
    ----------
    parts : functions from rows to a text for each; every part gets features of its own.
    weights : how much each part counts; without it, all the same.
    longest : runs of 1 to so many characters.
    C : inverse strength of the regularisation.
    alone : the label that stands alone, or None.
    folds : into how many parts the training rows are split to choose the thresholds; with 1 there are none, and every
        row gets one label.
    random_state : seed of the order in which the solver visits the rows.
    """

    def __init__(
        self,
        parts: Sequence[Callable[[Rows], Iterable[str]]],
        weights: Sequence[float] | None = None,
        longest: int = 2,
        C: float = 1.0,
        alone: str | None = None,
        folds: int = 5,
        random_state: int | None = 0,
    ) -> None:
        self.parts = parts
        self.weights = weights
        self.longest = longest
        self.C = C
        self.alone = alone
        self.folds = folds
        self.random_state = random_state

    def fit(self, X: Rows, y: Iterable[Iterable[str]]) -> Self:
        """X: rows; those with the same `article_id` are held out together. y: the labels of each."""
        self.labels_ = MultiLabelBinarizer()
        truth = self.labels_.fit_transform(y)
        self.classes_ = self.labels_.classes_
        self.model_ = self._fitted(X, truth)
        self.thresholds_ = self._thresholds(X, truth)
        return self

    def predict(self, X: Rows) -> list[list[str]]:
        """The labels of each row, at least one."""
        if not len(X):
            return []
        chosen = self._choose(self.decision_function(X))
        found: list[list[str]] = [[] for _ in X]
        for row, label in zip(*(places.tolist() for places in np.nonzero(chosen)), strict=True):
            found[row].append(str(self.classes_[label]))
        return found

    def decision_function(self, X: Rows) -> Array:
        """How far each score is above its threshold: an array (rows, labels) in the order of `classes_`."""
        margins: Array = self._scores(self.model_, X) - self.thresholds_
        return margins

    def _fitted(self, X: Rows, truth: Array) -> Any:
        """Whatever `_scores` needs: here the features, and a column of weights and a bias for each label."""
        names = [str(number) for number in range(len(self.parts))]
        steps = [
            make_pipeline(FunctionTransformer(part), CharNgrams(self.longest), TfidfTransformer(sublinear_tf=True))
            for part in self.parts
        ]
        each = dict(zip(names, self.weights or [1.0] * len(names), strict=True))
        features = FeatureUnion(list(zip(names, steps, strict=True)), transformer_weights=each)
        vectors = features.fit_transform(X)
        weights, biases = np.zeros((vectors.shape[1], truth.shape[1])), np.where(truth.all(axis=0), 1.0, -1.0)
        for label in np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0)):
            classifier = LinearSVC(C=self.C, class_weight="balanced", random_state=self.random_state)
            classifier.fit(vectors, truth[:, label])
            weights[:, label], biases[label] = classifier.coef_[0], classifier.intercept_[0]
        return features, weights, biases

    def _scores(self, model: Any, X: Rows) -> Array:
        """An array (rows, labels)."""
        features, weights, biases = model
        scores: Array = features.transform(X) @ weights + biases  # all labels at once, which is quick
        return scores

    def _thresholds(self, X: Rows, truth: Array) -> Array:
        articles = [row["article_id"] for row in X] if self.folds > 1 else []
        folds = min(self.folds, len(set(articles)))
        if folds < 2:
            return np.full(truth.shape[1], _NEVER)
        scores = np.zeros(truth.shape)
        for seen, held_out in GroupKFold(folds).split(articles, groups=articles):
            model = self._fitted([X[i] for i in seen], truth[seen])
            found = self._scores(model, [X[i] for i in held_out])
            found[:, ~truth[seen].any(axis=0)] = found.min()  # a label of which nothing was seen
            scores[held_out] = found
        tried = [_passed_as_often(scores, often * truth.sum(axis=0)) for often in _OFTEN]
        return max(tried, key=lambda thresholds: _micro_f1(truth, self._choose(scores - thresholds)))

    def _choose(self, margins: Array) -> Array:
        """An array of 0 and 1 (rows, labels)."""
        chosen = margins >= 0
        chosen[np.arange(len(chosen)), margins.argmax(axis=1)] = True
        alone = self.classes_ == self.alone
        return np.where(chosen[:, alone].any(axis=1, keepdims=True), alone, chosen).astype(int)


def _passed_as_often(scores: Array, counts: Array) -> Array:
    """For each label the threshold that so many of its scores pass: halfway to the next score."""
    ordered = -np.sort(-scores, axis=0)
    last = np.clip(np.rint(counts).astype(int), 1, len(scores) - 1)
    labels = np.arange(scores.shape[1])
    thresholds: Array = (ordered[last - 1, labels] + ordered[last, labels]) / 2
    return thresholds


def _micro_f1(truth: Array, chosen: Array) -> float:
    return float(2 * (truth & chosen).sum() / (truth.sum() + chosen.sum()))
