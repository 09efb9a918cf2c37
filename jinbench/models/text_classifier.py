"""Multi-label text classifier over character n-grams, with one threshold per label."""

from collections.abc import Callable, Iterable, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MultiLabelBinarizer
from sklearn.svm import LinearSVC

from jinbench.core.types import JsonObject

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.integer]
BoolArray = NDArray[np.bool_]
Rows = Sequence[JsonObject]
_Model = tuple[FeatureUnion, FloatArray, FloatArray]

_BATCH_SIZE = 2**12  # texts whose n-grams are counted together: few enough for the processor's cache
_UNREACHABLE = 1e6  # a threshold above every score
_LABEL_RATIOS = np.arange(0.5, 3.01, 0.1)  # how many labels to predict, as a multiple of those in training


class CharNgrams(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Counts of character n-grams, as CountVectorizer(analyzer="char") makes them, and much faster.

    An n-gram is identified by its hash, so that NumPy finds the columns of all n-grams at once; two n-grams with the
    same hash share a column. Those not seen in training are left out. White space counts as it stands.

    Args:
        max_n: Longest n-gram, in characters; all from 1 on are counted.
        bits: Width of the hash.
    """

    def __init__(self, max_n: int = 2, bits: int = 22) -> None:
        self.max_n = max_n
        self.bits = bits

    def fit(self, X: Sequence[str], y: object = None) -> Self:
        """Store the n-grams of the texts `X`."""
        seen = np.zeros(2**self.bits, dtype=bool)
        for start in range(0, len(X), _BATCH_SIZE):
            hashes, inside = self._hashes(X[start : start + _BATCH_SIZE])[:2]
            seen[hashes[inside]] = True
        seen[0] |= not seen.any()  # most estimators cannot bear a matrix without columns
        self.columns_ = np.where(seen, np.cumsum(seen) - 1, -1).astype(np.int32)
        return self

    def transform(self, X: Sequence[str]) -> csr_matrix:
        """Return a sparse matrix (texts, n-grams) of counts."""
        width = int(self.columns_.max()) + 1
        blocks = [self._counts(X[start : start + _BATCH_SIZE], width) for start in range(0, len(X), _BATCH_SIZE)]
        return vstack(blocks, format="csr") if blocks else csr_matrix((0, width))

    def _counts(self, texts: Sequence[str], width: int) -> csr_matrix:
        hashes, inside, ends = self._hashes(texts)
        rows = np.repeat(np.arange(len(texts)), np.diff(ends, prepend=0))
        columns = self.columns_[hashes]
        cells = (rows[:, None] * width + columns)[inside & (columns >= 0)]
        cells.sort()  # one number for row and column: much faster than scipy's sorting row by row
        firsts = np.flatnonzero(np.diff(cells, prepend=-1))
        counts = np.diff(firsts, append=len(cells)).astype(float)
        rows, columns = np.divmod(cells[firsts], width)
        pointers = np.searchsorted(rows, np.arange(len(texts) + 1))
        return csr_matrix((counts, columns.astype(np.int32), pointers), shape=(len(texts), width))

    def _hashes(self, texts: Sequence[str]) -> tuple[IntArray, BoolArray, IntArray]:
        """Return hashes (characters, n-grams that begin there), which lie inside their text, and the ends of texts."""
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        chars = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), "<u4")
        ends = np.cumsum(lengths)
        left = np.repeat(ends, lengths) - np.arange(len(chars))  # characters up to the end of the text
        hashes = np.zeros((len(chars), self.max_n), np.uint32)
        ngram: NDArray[np.uint32] = np.zeros(len(chars), np.uint32)
        for n in range(self.max_n):
            ngram = ngram * np.uint32(0x01000193)
            ngram[: len(chars) - n] += chars[n:] + np.uint32(1)
            hashes[:, n] = (ngram * np.uint32(0x9E3779B1)) >> np.uint32(32 - self.bits)
        return hashes, left[:, None] > np.arange(self.max_n), ends


class MultiLabelTextClassifier(BaseEstimator):  # type: ignore[misc]
    """Multi-label text classifier: a linear SVM over character n-grams for each label, with one threshold per label.

    The threshold of a label is the score that it exceeds `c` times as often as it has training rows, on scores from
    cross-validation within the training rows, whole articles held out. `c` is one number for all labels, the one with
    the best micro-F1 there: a dozen rows of a label are too few to choose a threshold from alone. The label that is
    furthest above its threshold, or least below, is always predicted; and the label `alone`, once predicted, replaces
    the others.

    Args:
        extractors: Functions from rows to one text per row; each gets features of its own.
        weights: Weight of each extractor's features; all the same by default.
        max_n: Longest n-gram, in characters.
        C: Inverse strength of the regularisation.
        alone: The label that excludes all others, or None.
        folds: Number of folds for choosing the thresholds; with 1 there are none, and every row gets one label.
        random_state: Seed of the order in which the solver visits the rows.

    Example:
        >>> from jinbench.models import MultiLabelTextClassifier
        >>> rows = [{"text": text, "article_id": str(i)} for i, text in enumerate(["码头货船", "医院药品"] * 3)]
        >>> def read_texts(rows):
        ...     return [row["text"] for row in rows]
        >>> classifier = MultiLabelTextClassifier([read_texts], folds=3).fit(rows, [["port"], ["health"]] * 3)
        >>> classifier.predict([{"text": "货船到了码头"}])
        [['port']]
    """

    def __init__(
        self,
        extractors: Sequence[Callable[[Rows], Iterable[str]]],
        weights: Sequence[float] | None = None,
        max_n: int = 2,
        C: float = 1.0,
        alone: str | None = None,
        folds: int = 5,
        random_state: int | None = 0,
    ) -> None:
        self.extractors = extractors
        self.weights = weights
        self.max_n = max_n
        self.C = C
        self.alone = alone
        self.folds = folds
        self.random_state = random_state

    def fit(self, X: Rows, y: Iterable[Iterable[str]]) -> Self:
        """Learn from labelled rows.

        Args:
            X: Rows; those with the same `article_id` are held out together.
            y: The labels of each row.
        """
        self.labels_ = MultiLabelBinarizer()
        truth = self.labels_.fit_transform(y)
        self.classes_ = self.labels_.classes_
        self.model_ = self._fit_model(X, truth)
        self.thresholds_ = self._fit_thresholds(X, truth)
        return self

    def predict(self, X: Rows) -> list[list[str]]:
        """Predict.

        Args:
            X: Rows, as in :meth:`fit`.

        Returns:
            The labels of each row, at least one.
        """
        if not len(X):
            return []
        chosen = self._choose(self.decision_function(X))
        labels: list[list[str]] = [[] for _ in X]
        for row, label in zip(*(indices.tolist() for indices in np.nonzero(chosen)), strict=True):
            labels[row].append(str(self.classes_[label]))
        return labels

    def decision_function(self, X: Rows) -> FloatArray:
        """Score every label.

        Args:
            X: Rows, as in :meth:`fit`.

        Returns:
            How far each score is above its threshold: (rows, labels) float, in the order of `classes_`.
        """
        return self._scores(self.model_, X) - self.thresholds_

    def _fit_model(self, X: Rows, truth: IntArray) -> "_Model":
        """Return what `_scores` needs: here the features, and a column of weights and a bias for each label."""
        names = [str(number) for number in range(len(self.extractors))]
        steps = [
            make_pipeline(FunctionTransformer(extractor), CharNgrams(self.max_n), TfidfTransformer(sublinear_tf=True))
            for extractor in self.extractors
        ]
        feature_weights = dict(zip(names, self.weights or [1.0] * len(names), strict=True))
        features = FeatureUnion(list(zip(names, steps, strict=True)), transformer_weights=feature_weights)
        vectors = features.fit_transform(X)
        weights, biases = np.zeros((vectors.shape[1], truth.shape[1])), np.where(truth.all(axis=0), 1.0, -1.0)
        for label in np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0)):
            classifier = LinearSVC(C=self.C, class_weight="balanced", random_state=self.random_state)
            classifier.fit(vectors, truth[:, label])
            weights[:, label], biases[label] = classifier.coef_[0], classifier.intercept_[0]
        return features, weights, biases

    def _scores(self, model: "_Model", X: Rows) -> FloatArray:
        """Return scores (rows, labels)."""
        features, weights, biases = model
        scores: FloatArray = features.transform(X) @ weights + biases  # all labels at once, which is fast
        return scores

    def _fit_thresholds(self, X: Rows, truth: IntArray) -> FloatArray:
        articles = [row["article_id"] for row in X] if self.folds > 1 else []
        folds = min(self.folds, len(set(articles)))
        if folds < 2:
            return np.full(truth.shape[1], _UNREACHABLE)
        scores = np.zeros(truth.shape)
        for train, held_out in GroupKFold(folds).split(articles, groups=articles):
            model = self._fit_model([X[i] for i in train], truth[train])
            fold_scores = self._scores(model, [X[i] for i in held_out])
            fold_scores[:, ~truth[train].any(axis=0)] = fold_scores.min()  # labels without a training row
            scores[held_out] = fold_scores
        candidates = [_thresholds_at(scores, ratio * truth.sum(axis=0)) for ratio in _LABEL_RATIOS]
        return max(candidates, key=lambda thresholds: _micro_f1(truth, self._choose(scores - thresholds)))

    def _choose(self, margins: FloatArray) -> IntArray:
        """Return which labels are predicted, (rows, labels) of 0 and 1."""
        chosen = margins >= 0
        chosen[np.arange(len(chosen)), margins.argmax(axis=1)] = True
        alone = self.classes_ == self.alone
        return np.where(chosen[:, alone].any(axis=1, keepdims=True), alone, chosen).astype(int)


def _thresholds_at(scores: FloatArray, counts: FloatArray) -> FloatArray:
    """Return for each label the threshold that `counts` of its scores exceed: halfway to the next score."""
    ordered = -np.sort(-scores, axis=0)
    last = np.clip(np.rint(counts).astype(int), 1, len(scores) - 1)
    labels = np.arange(scores.shape[1])
    thresholds: FloatArray = (ordered[last - 1, labels] + ordered[last, labels]) / 2
    return thresholds


def _micro_f1(truth: IntArray, chosen: IntArray) -> float:
    return float(2 * (truth & chosen).sum() / (truth.sum() + chosen.sum()))
