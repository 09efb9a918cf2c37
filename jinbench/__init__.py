"""JinBench: annotated benchmarks made from newspaper pages, from the page to the leaderboard."""

from typing import TYPE_CHECKING, Any

from jinbench.core.types import Span

if TYPE_CHECKING:
    from jinbench.dataset import info, load
    from jinbench.evaluation import compare, compute_metrics, leaderboard, score
    from jinbench.verifying import verify_loaded as verify

__all__ = ["Span", "compare", "compute_metrics", "info", "leaderboard", "load", "score", "verify"]

_LAZY = {
    "info": ("dataset", "info"),
    "load": ("dataset", "load"),
    "score": ("evaluation", "score"),
    "compare": ("evaluation", "compare"),
    "leaderboard": ("evaluation", "leaderboard"),
    "compute_metrics": ("evaluation", "compute_metrics"),
    "verify": ("verifying", "verify_loaded"),
}


def __getattr__(name: str) -> Any:
    """What brings pyarrow and numpy along comes only when it is asked for."""
    if name in _LAZY:
        from importlib import import_module

        module, function = _LAZY[name]
        return getattr(import_module(f"jinbench.{module}"), function)
    raise AttributeError(f"module 'jinbench' has no attribute {name!r}")
