"""JinBench: annotated benchmarks made from newspaper pages, from the page to the leaderboard.

The modules, in reading order (each imports only earlier ones): problems, records, rooms, files, colours, lines,
labels, annotators, starting, restoring, pages, seeds, layouts, joining, proposing, extracting, adding, shares,
enlisting, checking, exports, markup, disagreements, linting, errata, accounts, addresses, installing, databases,
members, labelstudio, clients, exchange, projects, pushing, annotation, adjudication, moving, tagging, leaks,
splitting, searching, noise, items, dataset, chains, characters, learning, taggers, suggesting, queueing, teaching,
backend, assist, classifiers, golds, counting, schemes, documents, conll, cluener, doccano, brat, studio, docbins,
founding, formats, converting, submissions, aligning, prompts, tolerant, reports, answers, replies, uncertainty,
scores, tallying, scoring, comparing, mistakes, agreement, overview, recipes, rounds, running, conditions, baselines,
curves, entries, forms, ranking, page, evaluation, rescoring, verifying, refusals, hub, fields, prose, rai, croissant,
standoff, plots, card, reproduce, blocks, cleaning, sketches, processing, families, engines, milling, console, sources,
hosting, desk, review, helping, team, contest, entrants, bulk, release, corpora, cli.
"""

from typing import TYPE_CHECKING, Any

from jinbench.records import Span

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
