"""TF-IDF: characters and pairs of characters of title and text, one linear classifier per sector.

Shows what the words of a passage say about its sector. A passage in which no classifier fires gets the likeliest one.
"""

from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer

TASK = "sector"
SEED = 0  # the solver is deterministic


def title_and_text(row):
    return f"{row['title']}\n{row['text']}"


class TfidfSectors(BaseEstimator):
    def __init__(self, C=10.0, threshold=0.35):
        self.C = C
        self.threshold = threshold

    def fit(self, X, y):
        self.sectors_ = MultiLabelBinarizer()
        self.model_ = make_pipeline(
            TfidfVectorizer(analyzer="char", ngram_range=(1, 2), preprocessor=title_and_text, sublinear_tf=True),
            OneVsRestClassifier(LogisticRegression(C=self.C, class_weight="balanced")),
        )
        self.model_.fit(X, self.sectors_.fit_transform(y))
        return self

    def predict(self, X):
        likely = self.model_.predict_proba(X)
        chosen = (likely >= self.threshold) | (likely == likely.max(axis=1, keepdims=True))
        return [list(sectors) for sectors in self.sectors_.inverse_transform(chosen.astype(int))]


def make():
    return TfidfSectors()
