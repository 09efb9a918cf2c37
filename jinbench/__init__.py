"""JinBench (津): an annotated benchmark of newspaper pages about Tianjin's industry, and the tools that made it.

The modules, in reading order (each imports only earlier ones): problems, records, rooms, files, labels, annotators,
restoring, pages, seeds, checking, exports, markup, accounts, labelstudio, projects, annotation, tagging, splitting,
dataset, taggers, submissions, scoring, baselines, leaderboard, card, reproduce, console, desk, cli.
"""

from typing import TYPE_CHECKING, Any

from jinbench.records import Span

if TYPE_CHECKING:
    from jinbench.dataset import load

__all__ = ["Span", "load"]


def __getattr__(name: str) -> Any:
    """`load` brings pyarrow and numpy: only when it is asked for."""
    if name == "load":
        from jinbench.dataset import load

        return load
    raise AttributeError(f"module 'jinbench' has no attribute {name!r}")
