from .api import compare, info, load, rank, score, verify
from .core.types import Span
from .core.version import __version__
from .scoring.sequences import compute_metrics

__all__ = ["Span", "__version__", "compare", "compute_metrics", "info", "load", "rank", "score", "verify"]
