"""Who is ahead, and whether that can be told: all systems scored again on one gold, ranked with ties."""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinbench import files, scoring, submissions
from jinbench.baselines import COARSE, SCORES
from jinbench.problems import DataError, Problem
from jinbench.rooms import Rooms
from jinbench.scoring import ENOUGH, Score, rounded
from jinbench.submissions import FOLDS, Gold, Label

BOARDS = tuple((task, split) for task in submissions.TASKS for split in (FOLDS, "test"))
POWER = 1.96 + 0.8416  # two-sided 5 % level, 80 % power, in standard errors of a difference


@dataclass(frozen=True)
class Row:
    """`rank`: one more than the number of systems that are better beyond chance; equal ranks are ties.

    None where nothing is ranked: with fewer than `ENOUGH` articles, for an annotator, because the gold is made from
    labels like theirs, and for a system that was given some of the gold. `annotator` says what labelled (person,
    language model); None for a system.
    """

    rank: int | None
    tied: bool
    system: str
    annotator: str | None
    score: Score
    given: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The name, and behind it why there is no rank."""
        if self.given:
            return f"{self.system} (given the gold {' and '.join(self.given)})"
        return f"{self.system} ({self.annotator})" if self.annotator else self.system


class Predicted(dict[str, Mapping[str, frozenset[Label]]]):
    """What each system predicts. What some were given of the gold goes with it, so that nobody ranks them unawares."""

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, tuple[str, ...]] = {}


@dataclass(frozen=True)
class Board:
    """One task on one split, with coarse labels if there is a `crosswalk`: `labels` are then what it leads to.

    `gap`: the smallest difference in micro-F1 that this gold separates in four of five cases, from the systems' own
    predictions; None if there are fewer than two systems, or too few articles to rank them.
    """

    task: str
    split: str
    rows: tuple[Row, ...]
    gap: float | None
    crosswalk: str = ""
    labels: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        name = "cross-validation over all articles" if self.split == FOLDS else f"{self.split} split"
        coarse = f"coarse ({', '.join(self.labels)}), " if self.crosswalk else ""
        return f"{self.task}, {coarse}{name}"

    def __post_init__(self) -> None:
        """Raises :class:`DataError` (wrong-version): scores of different gold never stand in one table."""
        signed = sorted({row.score.signed for row in self.rows})
        if len(signed) > 1:
            hint = "score all of them on one gold: jinbench leaderboard, or jinbench rescore"
            raise DataError(Problem("wrong-version", "a table of scores", signed[0], ", ".join(signed[1:]), hint))

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = rounded(asdict(self))
        return record


def systems(where: Rooms, task: str, split: str, crosswalk: str = "") -> dict[str, Path]:
    """The predictions that lie in `baselines/` and `leaderboard/entries/`, by system.

    Raises :class:`DataError` (duplicate-id) if an entry has the name of a baseline.
    """
    found: dict[str, Path] = {}
    for room in (where.baselines, where.leaderboard / "entries"):
        for path in sorted(room.glob(f"*/{submissions.file_name(task, split, crosswalk)}")):
            name = path.parent.name
            if name in found:
                other = files.shown(found[name].parent)
                raise DataError(
                    Problem("duplicate-id", files.shown(path.parent), "a name of its own", other, "rename the entry")
                )
            found[name] = path
    return found


def board(where: Rooms, task: str, split: str, crosswalk: str = "") -> Board:
    """Score every system on `task` and `split`, and the annotators with them.

    Raises :class:`DataError` with what is wrong in any of them.
    """
    gold = submissions.gold(where, task, split, crosswalk)
    return rank(gold, predictions(where, gold), submissions.readings(where, gold))


def predictions(where: Rooms, gold: Gold) -> Predicted:
    """What every system predicts for the items of `gold`. On a coarse one, those for the whole label set take part too.

    Raises :class:`DataError` with what is wrong in any.
    """
    problems: list[Problem] = []
    predicted = Predicted()

    def take(gold: Gold, convert: Callable[[frozenset[Label]], frozenset[Label]]) -> None:
        for system, path in systems(where, gold.task, gold.split, gold.crosswalk).items():
            try:
                found = submissions.read_predictions(path, gold)
                predicted[system] = {id: convert(labels) for id, labels in found.items()}
                if given := _given(path.parent / SCORES):
                    predicted.given[system] = given
            except DataError as error:
                problems.extend(error.problems)

    if gold.crosswalk:
        fine = submissions.gold(where, gold.task, gold.split)
        take(fine, submissions.through(submissions.types(where, gold.crosswalk)))
    take(gold, lambda labels: labels)
    if problems:
        raise DataError(problems)
    return predicted


def _given(path: Path) -> tuple[str, ...]:
    """What a system was given of the gold, by its record."""
    record = files.read_json(path) if path.is_file() else {}
    given = record.get("given", ()) if isinstance(record, dict) else ()
    return tuple(map(str, given)) if isinstance(given, list) else ()


def rank(
    gold: Gold,
    predicted: Mapping[str, Mapping[str, frozenset[Label]]],
    annotators: Mapping[tuple[str, str], Mapping[str, frozenset[Label]]] | None = None,
) -> Board:
    """The table of systems, best first, with the annotators among them, who have no rank."""
    import numpy as np

    given = predicted.given if isinstance(predicted, Predicted) else {}
    scores = {system: scoring.score(gold, found) for system, found in predicted.items()}
    order = sorted(scores, key=lambda system: (-(scores[system].micro.f1 or 0.0), system))
    enough = len(set(gold.groups)) >= ENOUGH
    ranked = [system for system in order if enough and system not in given]
    drawn = {system: scoring.drawn_f1(gold, scoring.counts(gold, predicted[system])) for system in ranked}
    ranks = {s: 1 + sum(scoring.interval(drawn[other] - drawn[s])[0] > 0 for other in ranked) for s in ranked}
    times = Counter(ranks.values())
    rows = [
        Row(ranks.get(s), times[ranks[s]] > 1 if s in ranks else False, s, None, scores[s], given.get(s, ()))
        for s in order
    ]
    for (name, kind), found in (annotators or {}).items():
        rows.append(Row(None, False, name, kind, scoring.score(gold, found)))
    rows.sort(key=lambda row: -(row.score.micro.f1 or 0.0))
    errors = [float(np.nanstd(drawn[a] - drawn[b])) for a, b in itertools.pairwise(ranked)]
    gap = POWER * float(np.median(errors)) if errors else None
    return Board(gold.task, gold.split, tuple(rows), gap, gold.crosswalk, gold.names)


def markdown(boards: list[Board]) -> str:
    """The boards as Markdown tables."""
    lines = []
    for found in boards:
        lines += [
            f"**{found.title}**",
            "",
            "| rank | system | micro-F1 [95 % interval] | macro-F1 (labels with enough mentions) | missing |",
            "|---|---|---|---|---|",
        ]
        for row in found.rows:
            cells = _place(row), _escape(row.shown), row.score.micro.shown, row.score.macro, row.score.missing
            lines.append(f"| {' | '.join(map(str, cells))} |")
        lines.append("")
        if found.rows:
            lines.append(f"`{found.rows[0].score.signed}`")
            articles = found.rows[0].score.articles
            if articles < ENOUGH:
                lines.append(f"{articles} articles are too few to tell systems apart: no ranks.")
            else:
                lines.append("Systems with the same rank cannot be told apart.")
            if any(row.annotator for row in found.rows):
                lines.append("Annotators have no rank: the gold is made from labels like theirs.")
            if any(row.given for row in found.rows):
                lines.append("A system that is given some of the gold has no rank.")
            if found.crosswalk:
                lines.append(
                    "Systems for the whole label set learnt that, and their predictions were mapped. "
                    "One for the coarse labels alone may have learnt elsewhere: its recipe says where."
                )
            if found.gap is not None:
                gap = f"about {found.gap:.3f}; now and then a smaller one too"
                lines.append(f"Smallest gap that {articles} articles separate in four of five cases: {gap}.")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _place(row: Row) -> str:
    """The rank, with a sign for a tie; a dash where nothing is ranked."""
    return "–" if row.rank is None else f"{row.rank}{'=' if row.tied else ''}"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def build(where: Rooms) -> tuple[list[Board], dict[str, str]]:
    """All boards, and the generated files of `leaderboard/` by name."""
    boards = [board(where, task, split) for task, split in BOARDS]
    coarse = [
        board(where, "ner", FOLDS, name)
        for name in submissions.crosswalks(where)
        if name == COARSE or systems(where, "ner", FOLDS, name)
    ]
    boards = [*(b for b in boards if b.task == "ner"), *coarse, *(b for b in boards if b.task != "ner")]
    return boards, {
        "leaderboard.json": files.dump_json([found.to_dict() for found in boards]),
        "leaderboard.md": markdown(boards),
    }
