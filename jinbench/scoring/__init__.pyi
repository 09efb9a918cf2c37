from .compare import Difference, compare_systems
from .gold import Gold
from .predictions import read_predictions
from .results import Score
from .score import score_predictions
from .sequences import compute_metrics, score_sequences
from .streaming import StreamingScorer

__all__ = [
    "Difference",
    "Gold",
    "Score",
    "StreamingScorer",
    "compare_systems",
    "compute_metrics",
    "read_predictions",
    "score_predictions",
    "score_sequences",
]
