"""CharTagger: logistic regression per character."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.special import log_expit

from jinbench.models.crf.features import hash_windows
from jinbench.models.crf.inference import FORBIDDEN, FloatArray, IntArray, PackedSentences, States
from jinbench.models.crf.sequence_tagger import SequenceTagger, sum_weights

UNSEEN_SCORE = -30.0  # the log-odds of a state that training did not have


class CharTagger(SequenceTagger):
    """Logistic regression per character, decoded with learnt transitions to valid BIO.

    Args:
        alpha: Strength of the regularisation.
        epochs: Passes over the training characters; the weights are averaged over all of them.
        min_count: How often a feature must be seen to get a weight.
        random_state: Seed of the order in which the characters are seen.

    Example:
        >>> from jinbench.models import CharTagger
        >>> texts = ["张明在天津", "李红去天津", "天津的张明", "李红来了"]
        >>> y = [[(0, 2, "PER"), (3, 5, "LOC")], [(0, 2, "PER"), (3, 5, "LOC")],
        ...      [(0, 2, "LOC"), (3, 5, "PER")], [(0, 2, "PER")]]
        >>> [tuple(span) for span in CharTagger().fit(texts, y).predict_spans(["张明去天津"])[0]]
        [(0, 2, 'PER', '张明'), (3, 5, 'LOC', '天津')]
    """

    def __init__(self, alpha: float = 3e-5, epochs: int = 15, min_count: int = 1, random_state: int | None = 0) -> None:
        self.alpha = alpha
        self.epochs = epochs
        self.min_count = min_count
        self.random_state = random_state

    def _columns(self, texts: Sequence[str]) -> list[IntArray]:
        return hash_windows(texts)

    def _fit_weights(
        self, texts: Sequence[str], rows: IntArray, path: IntArray, states: States, rng: np.random.RandomState
    ) -> None:
        from sklearn.linear_model import SGDClassifier

        seen = np.unique(path)
        self.weights_ = np.zeros((self.vocabulary_.size, states.size), dtype=np.float32)
        self.bias_ = np.full(states.size, UNSEEN_SCORE, dtype=np.float32)
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
        has_previous = np.ones(len(path), dtype=bool)
        has_previous[starts] = False
        joined = has_previous[1:]
        pair_counts, edge_counts = np.ones((states.size, states.size)), np.ones((2, states.size))
        np.add.at(pair_counts, (path[:-1][joined], path[1:][joined]), 1)
        np.add.at(edge_counts[0], path[starts], 1)
        np.add.at(edge_counts[1], path[starts + lengths - 1], 1)
        # The classifier has seen the neighbours already: what is left for the transitions is p(b | a) / p(b).
        prior = (np.bincount(path, minlength=states.size) + 0.5) / (len(path) + 0.5 * states.size)
        pairs, edges = states.allowed_transitions()
        pair_scores = np.log(pair_counts / pair_counts.sum(1, keepdims=True) / prior)
        edge_scores = np.log(edge_counts / edge_counts.sum(1, keepdims=True) / prior)
        self.transitions_ = np.where(pairs, pair_scores, FORBIDDEN).astype(np.float32)
        self.edges_ = np.where(edges, edge_scores, FORBIDDEN).astype(np.float32)

    def _scores(self, texts: Sequence[str], rows: IntArray, packed: PackedSentences) -> FloatArray:
        scores: FloatArray = log_expit(sum_weights(self.weights_, rows[packed.positions]) + self.bias_)  # one v. rest
        return scores
