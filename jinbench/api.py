"""Public functions: load, describe and verify a dataset; score, compare and rank systems.

Each takes `root`, the folder of a benchmark. Without it they all mean the same benchmark: the one around the current
folder (or named by the environment variable JINBENCH_ROOT), else the one that came with the package.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, overload

from jinbench.core.benchmark import find_benchmark
from jinbench.dataset.load import DatasetInfo, describe_dataset, load_configs
from jinbench.dataset.verify import verify_loaded
from jinbench.scoring.compare import Difference, compare_systems
from jinbench.scoring.gold import Gold
from jinbench.scoring.predictions import Predictions, TagOptions
from jinbench.scoring.results import Score
from jinbench.scoring.score import score_predictions
from jinbench.scoring.sequences import TagNames, compare_sequences, score_sequences
from jinbench.scoring.streaming import StreamingReport

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from jinbench.leaderboard.board import Board

Root: TypeAlias = str | os.PathLike[str] | None
Task: TypeAlias = Literal["ner", "sector"]
Split: TypeAlias = Literal["train", "validation", "dev", "test", "folds", "noisy"]
Config: TypeAlias = Literal["ner", "sector", "articles", "annotations", "ner_noisy"]
Scheme: TypeAlias = Literal["BIO", "BIOES", "BMES", "BILOU"]
Repair: TypeAlias = Literal["begin", "drop"]
Unit: TypeAlias = Literal["character", "word"]
# A path to JSON Lines, the name of a stored system, rows as in such a file, or labels by id of the item.
SystemOutput: TypeAlias = str | os.PathLike[str] | Iterable[Mapping[str, object]] | Mapping[str, Iterable[object]]
# One entry per item: tags, class labels or spans.
LabelSequences: TypeAlias = Iterable[Iterable[object]]


@overload
def load(config: Config = ..., split: None = None, *, root: Root = None) -> "DatasetDict": ...
@overload
def load(config: Config, split: str, *, root: Root = None) -> "Dataset": ...
def load(config: Config = "ner", split: str | None = None, *, root: Root = None) -> "Dataset | DatasetDict":
    """Load the dataset of a benchmark into memory, without network or cache.

    Args:
        config: "ner", "sector", "articles", "annotations" or "ner_noisy".
        split: "train", "validation" (or "dev") or "test" (ner_noisy: "test" alone); without it, all splits.
        root: Folder of the benchmark; by default the one around the current folder, else the packaged one.

    Returns:
        A `datasets.DatasetDict`, or with `split` a `datasets.Dataset`.

    Raises:
        DataError: [unknown-id] for another config or split; [file-missing, file-changed] if a file is not the one
            that manifest.json lists.

    Example:
        >>> import jinbench
        >>> test = jinbench.load("ner", "test")
        >>> test.column_names[:3]
        ['id', 'text', 'tokens']
    """
    return load_configs(find_benchmark(root), config, split)


def info(root: Root = None) -> DatasetInfo:
    """Describe the dataset of a benchmark: version, hash, and counts by split.

    Args:
        root: Folder of the benchmark; by default the one around the current folder, else the packaged one.

    Returns:
        Version, hash and counts of the dataset.

    Raises:
        DataError: [file-missing, broken-json, wrong-shape].
    """
    return describe_dataset(find_benchmark(root))


def verify(rows: "Dataset | DatasetDict", root: Root = None) -> int:
    """Verify rows that came from a Hub, a cache or a file: each must be the one that manifest.json lists.

    A cache may hold another version than the one that was asked for.

    Args:
        rows: A whole `datasets.DatasetDict` of one config, or a `datasets.Dataset`, whole or in part, with the columns
            as published.
        root: Folder of the benchmark; by default the one around the current folder, else the packaged one.

    Returns:
        The number of rows.

    Raises:
        DataError: [wrong-version, duplicate-id, wrong-shape].

    Example:
        >>> import jinbench
        >>> test = jinbench.load("sector", "test")
        >>> jinbench.verify(test) == len(test)
        True
    """
    return verify_loaded(find_benchmark(root), rows)


@overload
def score(
    predictions: SystemOutput, *, task: Task = "ner", split: Split = "test", crosswalk: str = "",
    scheme: Scheme = "BIO", repair: Repair | None = None, unit: Unit = "character", root: Root = None,
) -> Score: ...  # fmt: skip
@overload
def score(
    *, predictions: LabelSequences, gold: LabelSequences, articles: Iterable[object] | None = None,
    names: Sequence[str] = (), scheme: Scheme = "BIO", repair: Repair | None = None, tag_names: TagNames = (),
) -> StreamingReport: ...  # fmt: skip
def score(
    predictions: object, *, gold: LabelSequences | None = None, task: Task = "ner", split: Split = "test",
    crosswalk: str = "", articles: Iterable[object] | None = None, names: Sequence[str] = (), scheme: Scheme = "BIO",
    repair: Repair | None = None, unit: Unit = "character", tag_names: TagNames = (), root: Root = None,
) -> Score | StreamingReport:  # fmt: skip
    """Score predictions, with 95 % confidence intervals.

    Without `gold`: predictions for items of a benchmark, by id. With `gold`: any sequences, item by item.

    Args:
        predictions: Without `gold` a path to JSON Lines, the name of a stored system, rows, or labels by id: a list of
            (start, end, type), of :class:`jinbench.Span`, of tags, or of sectors. With `gold` one entry per item:
            tags, class labels or spans, as lists, other iterables, or Arrow columns of tags or class labels.
        gold: The gold, one entry per item in the order of `predictions`.
        task: "ner" or "sector" of the benchmark.
        split: "test", "validation", "train", "folds" (all items), or of ner "noisy".
        crosswalk: Name of a crosswalk of labels.toml, if the predictions have its coarse labels.
        articles: With `gold`, the article of each item, in any order; items of one article are resampled together.
        names: With `gold`, the types in their order; by default those of `tag_names`, else those that occur, sorted.
        scheme: Scheme of tags: "BIO", "BIOES", "BMES" or "BILOU".
        repair: How to read tags that the scheme forbids: "begin" (a span begins there, as in conlleval) or "drop";
            by default they are refused.
        unit: Without `gold`, what a tag is for: a "character", or a "word", of `tokens` in its row or between spaces.
        tag_names: With `gold`, names of the class labels, e.g. `features["ner_tags"].feature.names`.
        root: Folder of the benchmark; by default the one around the current folder, else the packaged one.

    Returns:
        A `Score`, or with `gold` a `StreamingReport`.

    Raises:
        DataError: With all problems of predictions and gold, such as [wrong-shape, wrong-tags, unknown-id].

    Example:
        >>> import jinbench
        >>> report = jinbench.score(predictions=[["B-X", "O"], ["O"]], gold=[["B-X", "O"], ["B-X"]])
        >>> report.micro.precision, report.micro.recall
        (1.0, 0.5)
    """
    if gold is None:
        benchmark_gold, (system,) = _read_systems(
            task, split, crosswalk, root, TagOptions(scheme, repair, unit), predictions
        )
        return score_predictions(benchmark_gold, system, scores=system.scores)
    return score_sequences(
        predictions, gold, articles=articles, names=names, scheme=scheme, repair=repair, tag_names=tag_names
    )


@overload
def compare(
    a: SystemOutput, b: SystemOutput, *, task: Task = "ner", split: Split = "test", crosswalk: str = "",
    scheme: Scheme = "BIO", repair: Repair | None = None, unit: Unit = "character", root: Root = None,
) -> Difference: ...  # fmt: skip
@overload
def compare(
    a: LabelSequences, b: LabelSequences, *, gold: LabelSequences, articles: Iterable[object] | None = None,
    names: Sequence[str] = (), scheme: Scheme = "BIO", repair: Repair | None = None, tag_names: TagNames = (),
) -> Difference: ...  # fmt: skip
def compare(
    a: object, b: object, *, gold: LabelSequences | None = None, task: Task = "ner", split: Split = "test",
    crosswalk: str = "", articles: Iterable[object] | None = None, names: Sequence[str] = (), scheme: Scheme = "BIO",
    repair: Repair | None = None, unit: Unit = "character", tag_names: TagNames = (), root: Root = None,
) -> Difference:  # fmt: skip
    """Compare two systems: the difference in micro-F1, a minus b, and whether it is significant.

    Args:
        a: Predictions of the first system, see :func:`score`.
        b: Predictions of the second system on the same items.
        gold: Gold of your own; without it, that of the benchmark.
        task: "ner" or "sector".
        split: The items of the benchmark: a split, "folds" or "noisy".
        crosswalk: The name of coarse labels, which the predictions have.
        articles: With `gold`, the article of each item, the unit of resampling.
        names: With `gold`, the labels to score.
        scheme: Of tags: BIO, BIOES, BMES or BILOU.
        repair: Of invalid tags: "begin" or "drop"; refused without it.
        unit: Of tags: "character" or "word".
        tag_names: Of tags as numbers, their names.
        root: The folder of a benchmark.

    Returns:
        The difference in micro-F1 with its interval, p-values and verdict.

    Raises:
        DataError: With all problems of both systems, see :func:`score`.

    Example:
        >>> import jinbench
        >>> gold = [["B-X", "I-X", "O"]] * 30
        >>> jinbench.compare(gold, [["O", "O", "O"]] * 30, gold=gold).significant
        True
    """
    if gold is None:
        benchmark_gold, systems = _read_systems(task, split, crosswalk, root, TagOptions(scheme, repair, unit), a, b)
        return compare_systems(benchmark_gold, *systems)
    return compare_sequences(
        a, b, gold, articles=articles, names=names, scheme=scheme, repair=repair, tag_names=tag_names
    )


def rank(
    task: Task = "ner", split: Literal["folds", "test", "noisy"] = "folds", crosswalk: str = "", *,
    extra: Mapping[str, SystemOutput] | None = None, root: Root = None,
) -> "Board":  # fmt: skip
    """Score and rank every system of a benchmark: one leaderboard table.

    Args:
        task: "ner" or "sector".
        split: "folds" (cross-validation over all items), "test", or of ner "noisy".
        crosswalk: Name of a crosswalk of labels.toml, for coarse labels.
        extra: Systems to rank with those that are stored: predictions by name, see :func:`score`.
        root: Folder of the benchmark; by default the one around the current folder, else the packaged one.

    Returns:
        The leaderboard table: a row per system with score, rank range and ties.

    Raises:
        DataError: With the problems of all prediction files.
    """
    from jinbench.leaderboard.ranking import build_board

    return build_board(find_benchmark(root), task, split, crosswalk, extra=extra)


def _read_systems(
    task: str, split: str, crosswalk: str, root: Root, options: TagOptions, *outputs: object
) -> tuple[Gold, list[Predictions]]:
    from jinbench.leaderboard.outputs import read_outputs
    from jinbench.leaderboard.systems import Systems

    systems = Systems(find_benchmark(root))
    gold = systems.reader.gold(task, split, crosswalk)
    return gold, read_outputs(systems, gold, outputs, options)
