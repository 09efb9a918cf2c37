"""Who is ahead, and whether that can be told: all systems scored again on one gold, ranked with ties."""

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinbench import files, scoring, submissions
from jinbench.problems import DataError, Problem
from jinbench.rooms import Rooms
from jinbench.scoring import ENOUGH, Score, rounded
from jinbench.submissions import FOLDS, Gold, Label

BOARDS = tuple((task, split) for task in submissions.TASKS for split in (FOLDS, "test"))
POWER = 1.96 + 0.8416  # two-sided 5 % level, 80 % power, in standard errors of a difference


@dataclass(frozen=True)
class Row:
    """`rank`: one more than the number of systems that are better beyond chance; equal ranks are ties.

    None where nothing is ranked: with fewer than `ENOUGH` articles, and for an annotator, because the gold is made
    from labels like theirs. `annotator` says what labelled (person, language model); None for a system.
    """

    rank: int | None
    tied: bool
    system: str
    annotator: str | None
    score: Score


@dataclass(frozen=True)
class Board:
    """One task on one split. `gap`: the smallest difference in micro-F1 that this gold separates in four of five cases,
    from the systems' own predictions; None if there are fewer than two systems, or too few articles to rank them."""

    task: str
    split: str
    rows: tuple[Row, ...]
    gap: float | None

    def __post_init__(self) -> None:
        """Raises :class:`DataError` (wrong-version): scores of different gold never stand in one table."""
        signed = sorted({row.score.signed for row in self.rows})
        if len(signed) > 1:
            hint = "score all of them on one gold: jinbench leaderboard, or jinbench rescore"
            raise DataError(Problem("wrong-version", "a table of scores", signed[0], ", ".join(signed[1:]), hint))

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = rounded(asdict(self))
        return record


def systems(where: Rooms, task: str, split: str) -> dict[str, Path]:
    """The predictions that lie in `baselines/` and `leaderboard/entries/`, by system.

    Raises :class:`DataError` (duplicate-id) if an entry has the name of a baseline.
    """
    found: dict[str, Path] = {}
    for room in (where.baselines, where.leaderboard / "entries"):
        for path in sorted(room.glob(f"*/predictions-{task}-{split}.jsonl")):
            name = path.parent.name
            if name in found:
                other = files.shown(found[name].parent)
                raise DataError(
                    Problem("duplicate-id", files.shown(path.parent), "a name of its own", other, "rename the entry")
                )
            found[name] = path
    return found


def board(where: Rooms, task: str, split: str) -> Board:
    """Score every system on `task` and `split`, and the annotators with them.

    Raises :class:`DataError` with what is wrong in any of them.
    """
    gold = submissions.gold(where, task, split)
    return rank(gold, predictions(where, gold), submissions.readings(where, gold))


def predictions(where: Rooms, gold: Gold) -> dict[str, dict[str, frozenset[Label]]]:
    """What every system predicts for the items of `gold`. Raises :class:`DataError` with what is wrong in any."""
    problems: list[Problem] = []
    predicted = {}
    for system, path in systems(where, gold.task, gold.split).items():
        try:
            predicted[system] = submissions.read_predictions(path, gold)
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return predicted


def rank(
    gold: Gold,
    predicted: Mapping[str, Mapping[str, frozenset[Label]]],
    annotators: Mapping[tuple[str, str], Mapping[str, frozenset[Label]]] | None = None,
) -> Board:
    """The table of systems, best first, with the annotators among them, who have no rank."""
    import numpy as np

    scores = {system: scoring.score(gold, found) for system, found in predicted.items()}
    order = sorted(scores, key=lambda system: (-(scores[system].micro.f1 or 0.0), system))
    enough = len(set(gold.groups)) >= ENOUGH
    drawn = {
        system: scoring.drawn_f1(gold, scoring.counts(gold, predicted[system])) for system in (order if enough else ())
    }
    better = {system: sum(scoring.interval(drawn[other] - drawn[system])[0] > 0 for other in drawn) for system in order}
    ranks = [better[system] + 1 if enough else None for system in order]
    rows = [Row(r, enough and ranks.count(r) > 1, s, None, scores[s]) for r, s in zip(ranks, order, strict=True)]
    for (name, kind), found in (annotators or {}).items():
        rows.append(Row(None, False, name, kind, scoring.score(gold, found)))
    rows.sort(key=lambda row: -(row.score.micro.f1 or 0.0))
    errors = [float(np.nanstd(drawn[a] - drawn[b])) for a, b in itertools.pairwise(order) if drawn]
    return Board(gold.task, gold.split, tuple(rows), POWER * float(np.median(errors)) if errors else None)


def markdown(boards: list[Board]) -> str:
    """The boards as Markdown tables."""
    lines = []
    for found in boards:
        name = "cross-validation over all articles" if found.split == FOLDS else f"{found.split} split"
        lines += [
            f"**{found.task}, {name}**",
            "",
            "| rank | system | micro-F1 [95 % interval] | macro-F1 (labels with enough mentions) | missing |",
            "|---|---|---|---|---|",
        ]
        for row in found.rows:
            name = _escape(f"{row.system} ({row.annotator})" if row.annotator else row.system)
            lines.append(
                f"| {_place(row)} | {name} | {row.score.micro.shown} | {row.score.macro} | {row.score.missing} |"
            )
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
    return boards, {
        "leaderboard.json": files.dump_json([found.to_dict() for found in boards]),
        "leaderboard.md": markdown(boards),
    }
