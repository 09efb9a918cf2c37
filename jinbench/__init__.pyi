from .api import compare, rank, score
from .core.types import Span
from .dataset.load import info, load
from .dataset.verify import verify
from .scoring.sequences import compute_metrics

__all__ = ["Span", "compare", "compute_metrics", "info", "load", "rank", "score", "verify"]
