from .base import Document
from .convert import ConversionReport, CorpusSource, convert_corpus
from .registry import FORMATS

__all__ = ["FORMATS", "ConversionReport", "CorpusSource", "Document", "convert_corpus"]
