"""Rank systems, with ties where differences are not significant."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import fail, shorten
from jinbench.dataset.gold import GoldReader
from jinbench.leaderboard.board import Board, BoardRow, PairedDifference, SystemInfo
from jinbench.leaderboard.names import fold_name
from jinbench.leaderboard.outputs import read_outputs
from jinbench.leaderboard.systems import Labels, SystemPredictions, Systems
from jinbench.scoring.compare import compare_pairs, median_detectable_difference
from jinbench.scoring.error_analysis import analyze_errors
from jinbench.scoring.gold import FOLDS, Gold
from jinbench.scoring.score import score_with_sums
from jinbench.scoring.significance import MIN_ARTICLES_TEST

EXAMPLES = 8  # items with most errors that a row keeps


def build_board(
    benchmark: Benchmark, task: str, split: str, crosswalk: str = "", systems: Systems | None = None,
    extra: Mapping[str, object] | None = None,
) -> Board:  # fmt: skip
    """Score and rank every system, with the annotators below them.

    Args:
        benchmark: The benchmark.
        task: "ner" or "sector".
        split: A split of that task that has a board: "folds", "test", or of ner "noisy".
        crosswalk: Name of a crosswalk of labels.toml, for coarse labels.
        systems: The systems of the benchmark, if they are loaded already.
        extra: By name, the output of systems that are not stored: a path, rows, or labels by id.

    Returns:
        The table of one task and split.

    Raises:
        DataError: With the problems of the gold, or of all prediction files; [duplicate-id] if a stored system or an
            annotator has a name of `extra`.
    """
    systems = systems or Systems(benchmark)
    gold = systems.reader.gold(task, split, crosswalk)
    predictions, annotators = systems.predictions(gold), systems.reader.annotator_predictions(gold)
    taken = [*predictions.labels, *(name for name, _ in annotators)]
    extra = extra or {}
    for name in extra:
        if name in taken:
            expected = f"a name that none of these has: {', '.join(taken)}"
            fail("duplicate-id", "extra", expected=expected, found=shorten(name), fix="give it a name of its own")
    for name, labels in zip(extra, read_outputs(systems, gold, extra.values()), strict=True):
        predictions.add(name, SystemInfo("entry", name), labels)
    return rank_systems(gold, predictions, annotators)


def build_boards(benchmark: Benchmark) -> list[Board]:
    """Return all leaderboard tables that have a row: of the label set, and coarse ones if there is a system for them.

    The first crosswalk has a cross-validated table in any case: fine and coarse systems are in it together.

    Args:
        benchmark: The benchmark with its dataset and the predictions of its systems.

    Returns:
        The tables, those of the whole label set first in each task.

    Raises:
        DataError: As :func:`build_board`.
    """
    systems = Systems(benchmark)
    reader: GoldReader = systems.reader
    boards = []
    for task, splits in reader.board_splits.items():
        boards += [build_board(benchmark, task, split, systems=systems) for split in splits]
        for crosswalk in reader.crosswalks if task == "ner" else ():
            main = crosswalk == next(iter(reader.crosswalks))
            boards += [
                build_board(benchmark, task, split, crosswalk, systems)
                for split in splits
                if (main and split == FOLDS) or systems.files(task, split, crosswalk)
            ]
    return [board for board in boards if board.rows]


def rank_systems(
    gold: Gold, predictions: SystemPredictions, annotators: Mapping[tuple[str, str], Labels] | None = None
) -> Board:
    """Score systems on one gold and rank them by micro-F1.

    Args:
        gold: The gold.
        predictions: Predictions of each system.
        annotators: By name and kind of an annotator, the labels by item; annotators have no rank.

    Returns:
        The board, best system first, annotators after all systems.
    """
    about = {system: predictions.about.get(system, SystemInfo("entry", system)) for system in predictions.labels}
    copies = _find_copies(predictions, about)
    labels: dict[str, Labels] = {system: predictions.labels[system] for system in copies}
    for (name, kind), annotated in (annotators or {}).items():
        labels[name], about[name] = annotated, SystemInfo(kind, name, annotator=True)
    about = _tell_apart(about)
    scores, sums = {}, {}
    for system, predicted in labels.items():
        scores[system], sums[system] = score_with_sums(gold, predicted, scores=predictions.scores.get(system))
    order = sorted(scores, key=lambda system: (about[system].annotator, -(scores[system].micro.f1 or 0.0), system))
    enough = len(set(gold.groups)) >= MIN_ARTICLES_TEST
    ranked = [system for system in order if enough and not about[system].unranked_reason]
    differences = compare_pairs({system: sums[system] for system in ranked})
    rank, worst_rank = dict.fromkeys(ranked, 1), dict.fromkeys(ranked, len(ranked))
    ties: dict[str, list[str]] = {system: [] for system in ranked}
    for (a, b), difference in differences.items():
        if difference.significant:
            better, worse = (a, b) if difference.value > 0 else (b, a)
            rank[worse] += 1
            worst_rank[better] -= 1
        else:
            ties[a].append(b)
            ties[b].append(a)
    rows = tuple(
        BoardRow(
            rank.get(system),
            worst_rank.get(system),
            tuple(ties.get(system, ())),
            system,
            about[system],
            scores[system],
            analyze_errors(gold, labels[system], EXAMPLES),
            {copy: about[copy] for copy in copies.get(system, ())},
        )
        for system in order
    )
    paired = tuple(PairedDifference(a, b, difference) for (a, b), difference in differences.items())
    # Of the baselines alone, so that it does not depend on who enters; of all systems where there are no two baselines.
    baselines = {
        pair: value for pair, value in differences.items() if {about[name].kind for name in pair} == {"baseline"}
    }
    detectable = median_detectable_difference(baselines or differences)
    return Board(gold.task, gold.split, rows, detectable, gold.crosswalk, gold.names, paired)


def _find_copies(predictions: SystemPredictions, about: Mapping[str, SystemInfo]) -> dict[str, list[str]]:
    """Return the systems by id, each with its copies: baselines first, then by date.

    Of two with the same predictions none is a copy if one has no rank.
    """
    same: dict[object, list[str]] = {}
    order = ((about[system].kind != "baseline", about[system].date or "9999", system) for system in predictions.labels)
    for _, _, system in sorted(order):
        scores = predictions.scores.get(system) or {}
        confidence = frozenset((id, frozenset(values.items())) for id, values in scores.items())
        key = about[system].unranked_reason, frozenset(predictions.labels[system].items()), confidence
        same.setdefault(key, []).append(system)
    return {first: others for first, *others in same.values()}


def _tell_apart(about: Mapping[str, SystemInfo]) -> dict[str, SystemInfo]:
    """Return the descriptions, with the id beside each name that looks like another."""
    times = Counter(fold_name(info.name) for info in about.values())
    return {
        system: info if times[fold_name(info.name)] == 1 or info.name == system
        else replace(info, name=f"{info.name} [{system}]")
        for system, info in about.items()
    }  # fmt: skip
