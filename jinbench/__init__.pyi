from .core.types import Span
from .dataset import info, load
from .evaluation import compare, leaderboard, score
from .scoring.sequences import compute_metrics
from .verifying import verify as verify

__all__ = ["Span", "compare", "compute_metrics", "info", "leaderboard", "load", "score", "verify"]
