"""What scripts call: the scores, comparisons and tables of the command line, as records.

Each record has `to_dict()`, `to_pandas()`, and a table as its text.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench import comparing, counting, golds, ranking, rooms, schemes, scoring, submissions
from jinbench.comparing import Difference
from jinbench.counting import Columns
from jinbench.golds import Gold
from jinbench.problems import DataError, Problem, shorten
from jinbench.ranking import Board
from jinbench.scores import Score
from jinbench.submissions import KEYS, Predictions
from jinbench.tallying import Report, Tally

if TYPE_CHECKING:
    from transformers import EvalPrediction

IGNORED = -100  # what a model that is fine-tuned has as the label of a token that does not count


def score(
    predictions: Any, gold: Any = None, *, task: str = "ner", split: str = "test", crosswalk: str = "",
    articles: Iterable[Any] | None = None, names: Sequence[str] = (), scheme: str = "BIO", repair: str | None = None,
    root: str | os.PathLike[str] | None = None,
) -> Score | Report:  # fmt: skip
    """Score predictions.

    Without `gold`, on an item set of the benchmark at `root` (by default the one around the current folder, or the one
    that came with the package): `predictions` is a path, rows as in such a file, or labels by id, where labels are a
    list of (start, end, type), of spans of the dataset, of tags, or of sectors. Returns a :class:`Score`.

    With `gold`, on anything else: both are lists with one entry per item, of tags or of spans, or Arrow columns of
    tags; `articles` says which article each item is from, for the intervals. Returns a :class:`Report`.

    `scheme` (BIO, BIOES, BMES, BILOU) is that of tags; an invalid sequence is refused unless `repair` is named: begin
    (what conlleval makes of it) or drop. `names` gives the types and their order.
    Raises :class:`DataError` with everything that is wrong with either.
    """
    if gold is None:
        true, (found,) = _held_against(task, split, crosswalk, root, scheme, repair, predictions)
        return scoring.score(true, found, scores=found.scores)
    (ours, theirs), known = _columns([gold, predictions], names, scheme, repair)
    return Tally(known).add(ours, theirs, articles).report()


def compare(
    a: Any, b: Any, gold: Any = None, *, task: str = "ner", split: str = "test", crosswalk: str = "",
    articles: Iterable[Any] | None = None, names: Sequence[str] = (), scheme: str = "BIO", repair: str | None = None,
    root: str | os.PathLike[str] | None = None,
) -> Difference:  # fmt: skip
    """How much better `a` is than `b` in micro-F1, and whether that can be told. The arguments are those of `score`."""
    if gold is None:
        true, found = _held_against(task, split, crosswalk, root, scheme, repair, a, b)
        return comparing.compare(true, *found)
    (ours, *theirs), known = _columns([gold, a, b], names, scheme, repair)
    groups = list(range(ours.items) if articles is None else articles)
    first, second = (counting.by_article(counting.count(ours, side, len(known)).sum(1), groups) for side in theirs)
    return comparing.difference(first, second)


def leaderboard(
    task: str = "ner", split: str = "folds", crosswalk: str = "", *, root: str | os.PathLike[str] | None = None
) -> Board:
    """A table of the leaderboard: every system of the benchmark at `root`, scored anew, with ranks and ties."""
    return ranking.board(rooms.find(root), task, split, crosswalk)


def _held_against(
    task: str, split: str, crosswalk: str, root: str | os.PathLike[str] | None, scheme: str, repair: str | None,
    *systems: Any,
) -> tuple[Gold, list[Predictions]]:  # fmt: skip
    where = rooms.find(root)
    gold = golds.read(where, task, split, crosswalk)
    found = []
    for given in systems:
        if isinstance(given, str | os.PathLike):
            found.append(submissions.read_predictions(Path(given), gold, where, scheme, repair))
        else:
            found.append(submissions.take(_rows(given, task), gold, where, scheme, repair))
    return gold, found


def _rows(given: Any, task: str) -> Iterable[tuple[str, dict[str, Any]]]:
    """Rows of a submission, each with its place, from rows or from labels by id."""
    if isinstance(given, Mapping):
        for id, labels in given.items():
            values = list(labels)
            tagged = task == "ner" and bool(values) and isinstance(values[0], str)
            key = "tags" if tagged else KEYS[task]
            yield f"predictions[{id!r}]", {"id": id, key: values if tagged or task != "ner" else _spans(values)}
        return
    for i, row in enumerate(given):
        if not isinstance(row, Mapping):
            expected, hint = "a row: {'id': …, 'spans': […]}", "give rows, a path, or labels by id; or gold too"
            raise DataError(Problem("wrong-shape", f"predictions[{i}]", expected, shorten(row), hint))
        yield f"predictions[{i}]", dict(row)


def _spans(values: Iterable[Any]) -> list[Any]:
    keys = ("start", "end", "type")
    return [value if isinstance(value, Mapping) else dict(zip(keys, list(value)[:3], strict=False)) for value in values]


def _columns(
    sides: Sequence[Any], names: Sequence[str], scheme: str, repair: str | None
) -> tuple[list[Columns], tuple[str, ...]]:
    """Gold and systems in columns over one list of types."""
    known = set(names)
    if not names:
        known.update(*(schemes.types_of(_named(side)) for side in sides))
    order = tuple(names) or tuple(sorted(known))
    return [_side(side, order, scheme, repair) for side in sides], order


def _is_arrow(side: Any) -> bool:
    return hasattr(side, "value_lengths") or hasattr(side, "combine_chunks")


def _is_tags(side: Any) -> bool:
    return isinstance(next((row[0] for row in side if len(row)), None), str)


def _named(side: Any) -> Iterable[str]:
    """Tags, or something like them, with all types of a side."""
    if _is_arrow(side):
        return set(chain.from_iterable(side.to_pylist()))
    if _is_tags(side):
        return set().union(*side)
    return {f"B-{_triple(label)[2]}" for row in side for label in row}


def _triple(label: Any) -> tuple[Any, ...]:
    return (label["start"], label["end"], label["type"]) if isinstance(label, Mapping) else tuple(label)[:3]


def _side(side: Any, names: tuple[str, ...], scheme: str, repair: str | None) -> Columns:
    if _is_arrow(side):
        return schemes.of_arrow(side, (), names, scheme, repair)
    if _is_tags(side):
        return schemes.of_tags(side, names, scheme, repair)
    return counting.of_labels([[_triple(label) for label in row] for row in side], names)


def compute_metrics(
    tag_names: Sequence[str], scheme: str = "BIO", repair: str | None = "begin"
) -> Callable[["EvalPrediction"], dict[str, float]]:
    """A function for the `compute_metrics` of `transformers.Trainer`, for token classification.

    `tag_names` are the names of the labels, such as `dataset.features["ner_tags"].feature.names`. Tokens with the label
    -100 are left out. A model tags token by token and may break the scheme, so that by default spans begin where tags
    do; `repair=None` refuses such tags. Returns precision, recall and f1 (micro, exact), and f1 by type.
    """
    names = schemes.types_of(tag_names)

    def compute(found: "EvalPrediction") -> dict[str, float]:
        import numpy as np

        logits, labels = (np.asarray(side[0] if isinstance(side, tuple) else side) for side in (found[0], found[1]))
        predicted = logits.argmax(-1) if logits.ndim == labels.ndim + 1 else logits
        counted = labels != IGNORED
        true, guess = (
            schemes.of_codes(side[counted], counted.sum(1), tag_names, names, scheme, rule)
            for side, rule in ((labels, None), (predicted, repair))
        )
        report = Tally(names, intervals=False).add(true, guess).report()
        scores = {"precision": report.micro.precision, "recall": report.micro.recall, "f1": report.micro.f1 or 0.0}
        return scores | {f"f1_{cell.name}": cell.f1 for cell in report.labels if cell.f1 is not None}

    return compute
