"""JinBench (津): an annotated benchmark of newspaper pages about Tianjin's industry, and the tools that made it.

The modules, in reading order (each imports only earlier ones): problems, records, rooms, files, labels, annotators,
restoring, pages, seeds, checking, exports, markup, disagreements, linting, errata, accounts, labelstudio, projects,
annotation, adjudication, tagging, splitting, items, dataset, taggers, submissions, scoring, agreement, baselines,
leaderboard, rescoring, verifying, card, reproduce, console, desk, review, cli.
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
