from .crf.char_tagger import CharTagger
from .crf.estimator import CrfTagger
from .text_classifier import MultiLabelTextClassifier

__all__ = ["CharTagger", "CrfTagger", "MultiLabelTextClassifier"]
