"""What scripts call: the scores, comparisons and tables of the command line, as records.

Each record has `to_dict()`, `to_pandas()`, and a table as its text.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench.core.benchmark import find_benchmark
from jinbench.core.errors import DataError, Problem, shorten
from jinbench.dataset import load
from jinbench.dataset.gold import read_task_gold
from jinbench.leaderboard import ranking
from jinbench.leaderboard.ranking import Board
from jinbench.scoring import compare as comparing
from jinbench.scoring import counts
from jinbench.scoring import score as scoring
from jinbench.scoring.compare import Difference
from jinbench.scoring.gold import Gold
from jinbench.scoring.predictions import KEYS, Predictions, parse_predictions, read_predictions
from jinbench.scoring.results import Score
from jinbench.scoring.sequences import TagNames, _as_row, _columns, _together
from jinbench.scoring.streaming import StreamingReport, StreamingScorer

if TYPE_CHECKING:
    pass


def score(
    predictions: Any, gold: Any = None, *, task: str = "ner", split: str = "test", crosswalk: str = "",
    articles: Iterable[Any] | None = None, names: Sequence[str] = (), scheme: str = "BIO", repair: str | None = None,
    tag_names: TagNames = (), root: str | os.PathLike[str] | None = None,
) -> Score | StreamingReport:  # fmt: skip
    """Score predictions.

    Without `gold`, on an item set of the benchmark at `root` (by default the one around the current folder, or the one
    that came with the package): `predictions` is a path, rows as in such a file, or labels by id, where labels are a
    list of (start, end, type), of spans of the dataset, of tags, or of sectors. Returns a :class:`Score`.

    With `gold`, on anything else: both have one entry per item, of tags, of class labels, or of spans, as lists or
    whatever can be gone through, or as Arrow columns of tags or class labels; `articles` says which article each item
    is from, in whatever order, for the intervals. Returns a :class:`Report`.

    `scheme` (BIO, BIOES, BMES, BILOU) is that of tags; an invalid sequence is refused unless `repair` is named: begin
    (what conlleval makes of it) or drop. `tag_names` says what the numbers of class labels mean, e.g.
    `features["ner_tags"].feature.names`. `names` gives the types and their order; without it they are those of
    `tag_names`, or else those that are found, in order of the alphabet.
    Raises :class:`DataError` with everything that is wrong with either.
    """
    if gold is None:
        true, (found,) = _held_against(task, split, crosswalk, root, scheme, repair, predictions)
        return scoring.score_predictions(true, found, scores=found.scores)
    sides = {"gold": gold, "predictions": predictions}
    (ours, theirs), known, groups = _columns(sides, articles, names, scheme, repair, tag_names)
    if groups is not None:  # a tally wants the items of an article one after the other
        order = _together(groups)
        ours, theirs, groups = ours.reordered(order), theirs.reordered(order), [groups[i] for i in order]
    return StreamingScorer(known).add(ours, theirs, groups).report()


def compare(
    a: Any, b: Any, gold: Any = None, *, task: str = "ner", split: str = "test", crosswalk: str = "",
    articles: Iterable[Any] | None = None, names: Sequence[str] = (), scheme: str = "BIO", repair: str | None = None,
    tag_names: TagNames = (), root: str | os.PathLike[str] | None = None,
) -> Difference:  # fmt: skip
    """How much better `a` is than `b` in micro-F1, and whether that can be told. The arguments are those of `score`."""
    if gold is None:
        true, found = _held_against(task, split, crosswalk, root, scheme, repair, a, b)
        return comparing.compare_systems(true, *found)
    sides = {"gold": gold, "a": a, "b": b}
    (ours, *theirs), known, groups = _columns(sides, articles, names, scheme, repair, tag_names)
    if not ours.items:
        hint = "give what both systems are held against"
        raise DataError(
            Problem(
                "wrong-shape",
                location="gold",
                expected="an item or more to compare systems on",
                found="no items",
                fix=hint,
            )
        )
    same: dict[Any, str] = {}  # what is equal is one article, as in a score; 1 and "1" are two
    keys = [same.setdefault(group, repr(group)) for group in (range(ours.items) if groups is None else groups)]
    first, second = (counts.by_article(counts.count(ours, side, len(known)).sum(1), keys) for side in theirs)
    return comparing.difference(first, second)


def rank(
    task: str = "ner", split: str = "folds", crosswalk: str = "", *, root: str | os.PathLike[str] | None = None
) -> Board:
    """A table of the leaderboard: every system of the benchmark at `root`, scored anew, with ranks and ties."""
    return ranking.build_board(find_benchmark(root), task, split, crosswalk)


def _held_against(
    task: str, split: str, crosswalk: str, root: str | os.PathLike[str] | None, scheme: str, repair: str | None,
    *systems: Any,
) -> tuple[Gold, list[Predictions]]:  # fmt: skip
    benchmark = find_benchmark(root)
    gold = read_task_gold(benchmark, task, split, crosswalk)
    locate = partial(load.locate_ids, benchmark)
    found = []
    for given in systems:
        if isinstance(given, str | os.PathLike):
            found.append(read_predictions(Path(given), gold, locate, scheme, repair))
        else:
            problems: list[Problem] = []
            found.append(parse_predictions(_rows(given, task, problems), gold, locate, scheme, repair, problems))
    return gold, found


def _rows(given: Any, task: str, problems: list[Problem]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Rows of a submission, each with its place, from rows or from labels by id. What is neither is a problem."""
    key, hint = KEYS[task], "give rows, a path, or labels by id; or gold too"
    if isinstance(given, Mapping):
        for id, labels in given.items():
            place = f"predictions[{shorten(id)}]"
            if isinstance(labels, str | bytes | Mapping) or not isinstance(labels, Iterable):
                example = "[]" if task != "ner" else "[(0, 2, '…')]"
                expected = f"a list of labels, such as {example}; an empty one if there are none"
                problems.append(
                    Problem("wrong-shape", location=place, expected=expected, found=shorten(labels), fix=hint)
                )
                continue
            values = list(labels)
            tagged = task == "ner" and bool(values) and isinstance(values[0], str)
            spans = values if tagged or task != "ner" else list(map(_as_row, values))
            yield place, {"id": id, "tags" if tagged else key: spans}
        return
    expected = f"a row: {{'id': …, {key!r}: […]}}"
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        problems.append(
            Problem(
                "wrong-shape",
                location="predictions",
                expected="rows, a path, or labels by id",
                found=shorten(given),
                fix=hint,
            )
        )
        return
    for i, row in enumerate(given):
        place = f"predictions[{i}]"
        if isinstance(row, Mapping) and all(isinstance(name, str) for name in row):
            yield place, dict(row)
        else:
            problems.append(Problem("wrong-shape", location=place, expected=expected, found=shorten(row), fix=hint))
