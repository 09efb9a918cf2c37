from .crf.estimator import CrfTagger
from .text_classifier import MultiLabelTextClassifier

__all__ = ["CrfTagger", "MultiLabelTextClassifier"]
