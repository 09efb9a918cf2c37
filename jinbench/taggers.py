"""A sequence tagger as a scikit-learn estimator: a linear classifier per character, then the best valid path."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from scipy.special import log_expit
from sklearn.base import BaseEstimator
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import SGDClassifier

from jinbench import tagging
from jinbench.records import Span

_PAD = "\u2402"


def _kind(char: str) -> str:
    """The class of a character: digit, Latin, Han or the mark itself."""
    if char.isdigit():
        return "0"
    if char.isascii() and char.isalpha():
        return "a"
    return "汉" if char.isalpha() else char


def _features(text: str) -> list[list[str]]:
    """For each character: its neighbours from -2 to +2, their pairs and their classes."""
    padded = _PAD * 2 + text + _PAD * 2
    kinds = "".join(_kind(char) for char in padded)
    found = []
    for i in range(2, len(padded) - 2):
        row = [f"{k}={padded[i + k]}" for k in (-2, -1, 0, 1, 2)]
        row += [f"{k},{k + 1}={padded[i + k : i + k + 2]}" for k in (-2, -1, 0, 1)]
        row += [
            f"-1,1={padded[i - 1]}{padded[i + 1]}",
            f"kinds={kinds[i - 1 : i + 2]}",
            f"kinds5={kinds[i - 2 : i + 3]}",
        ]
        found.append(row)
    return found


def texts_of(X: Iterable[str | Mapping[str, Any]]) -> list[str]:
    """Texts, from texts or from rows of the dataset."""
    return [x if isinstance(x, str) else x["text"] for x in X]


class CharTagger(BaseEstimator):  # type: ignore[misc]
    """Logistic regression per character, decoded with learnt transitions over valid BIO sequences.

    Parameters
    ----------
    alpha : strength of the regularisation.
    epochs : passes over the training characters; the weights are averaged over all of them.
    n_features : width of the hashed feature space.
    random_state : seed of the order in which the characters are seen.
    """

    def __init__(
        self, alpha: float = 3e-5, epochs: int = 15, n_features: int = 2**16, random_state: int | None = 0
    ) -> None:
        self.alpha = alpha
        self.epochs = epochs
        self.n_features = n_features
        self.random_state = random_state

    def _vectors(self, texts: Sequence[str]) -> Any:
        hasher = FeatureHasher(self.n_features, input_type="string", alternate_sign=False)
        return hasher.transform(row for text in texts for row in _features(text))

    def fit(self, X: Iterable[str | Mapping[str, Any]], y: Iterable[Iterable[Span]]) -> Self:
        """X: texts or rows. y: for each, its spans."""
        texts = texts_of(X)
        tags = [tagging.to_bio(len(text), spans) for text, spans in zip(texts, y, strict=True)]
        self.classifier_ = SGDClassifier(
            loss="log_loss",
            alpha=self.alpha,
            max_iter=self.epochs,
            tol=None,
            average=True,
            random_state=self.random_state,
        )
        self.classifier_.fit(self._vectors(texts), [tag for row in tags for tag in row])
        self.classes_ = self.classifier_.classes_
        number = {tag: i for i, tag in enumerate(self.classes_)}
        n = len(self.classes_)
        follows = np.ones((n, n))
        starts = np.ones(n)
        for row in tags:
            if row:
                starts[number[row[0]]] += 1
            for before, after in itertools.pairwise(row):
                follows[number[before], number[after]] += 1
        valid = np.array([[_may_follow(a, b) for b in self.classes_] for a in self.classes_])
        # The classifier has seen the neighbours already: what is left for the transitions is p(b | a) / p(b).
        prior = np.bincount([number[tag] for row in tags for tag in row], minlength=n) / sum(map(len, tags))
        self.transitions_ = np.where(valid, np.log(follows / follows.sum(1, keepdims=True) / prior), -np.inf)
        may_start = np.array([_may_follow("O", tag) for tag in self.classes_])
        self.starts_ = np.where(may_start, np.log(starts / starts.sum() / prior), -np.inf)
        return self

    def predict(self, X: Iterable[str | Mapping[str, Any]]) -> list[list[str]]:
        """BIO tags, one for each character of each text; always valid."""
        texts = texts_of(X)
        if not any(texts):
            return [[] for _ in texts]
        scores = log_expit(self.classifier_.decision_function(self._vectors(texts)))  # one-vs-rest
        ends = np.cumsum([len(text) for text in texts])
        return [
            [str(self.classes_[i]) for i in self._best_path(scores[end - len(text) : end])]
            for text, end in zip(texts, ends, strict=True)
        ]

    def predict_spans(self, X: Iterable[str | Mapping[str, Any]]) -> list[list[Span]]:
        """The spans of each text."""
        texts = texts_of(X)
        return [tagging.from_bio(tags, text) for tags, text in zip(self.predict(texts), texts, strict=True)]

    def _best_path(self, scores: np.ndarray[Any, Any]) -> list[int]:
        """Viterbi over an array (characters, tags) of log scores."""
        if not len(scores):
            return []
        best = scores[0] + self.starts_
        back = []
        for row in scores[1:]:
            paths = best[:, None] + self.transitions_
            back.append(paths.argmax(axis=0))
            best = paths.max(axis=0) + row
        path = [int(best.argmax())]
        for pointers in reversed(back):
            path.append(int(pointers[path[-1]]))
        return path[::-1]


def _may_follow(before: str, after: str) -> bool:
    """I-X only after B-X or I-X."""
    return not after.startswith("I-") or before[2:] == after[2:]
