"""Who is ahead, and whether that can be told: all systems scored again on one gold, ranked with ties."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from jinbench.baselines.recipe import load_recipe
from jinbench.baselines.run import SCORES
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem, raise_if_any
from jinbench.dataset import load
from jinbench.dataset.gold import (
    annotator_predictions,
    board_splits,
    crosswalk_types,
    main_crosswalk,
    read_crosswalks,
    read_task_gold,
)
from jinbench.leaderboard import entries
from jinbench.scoring import compare, error_analysis
from jinbench.scoring import score as scoring
from jinbench.scoring.compare import Difference
from jinbench.scoring.error_analysis import ErrorAnalysis
from jinbench.scoring.gold import FOLDS, NOISY, Gold, LabelKey, apply_crosswalk
from jinbench.scoring.predictions import file_name, read_predictions
from jinbench.scoring.results import Score, rounded
from jinbench.scoring.significance import ENOUGH

EXAMPLES = 8  # items shown of each system's mistakes


@dataclass(frozen=True)
class About:
    """What is known of a system. `kind`: baseline, entry, or what labelled (person, language model) for an annotator.

    `given`: what it was given of the gold. `saw_test_articles`: no, yes, or unknown.
    """

    kind: str
    name: str
    who: str = ""
    link: str = ""
    trained_on: str = ""
    saw_test_articles: str = "no"
    note: str = ""
    given: tuple[str, ...] = ()
    annotator: bool = False

    @property
    def unranked(self) -> str:
        """Why it has no rank; empty if it may have one."""
        if self.annotator:
            return self.kind
        if self.given:
            return f"given the gold {' and '.join(self.given)}"
        return "saw the test articles" if self.saw_test_articles == "yes" else ""


@dataclass(frozen=True)
class Row:
    """`rank`: one more than the number of systems that are better beyond chance; `worst`: the place behind all that are
    not worse beyond chance. Between them lie the places that the articles leave open. `ties`: the ids of those that are
    not told apart from it.

    The ranks are None where nothing is ranked: with fewer than `ENOUGH` articles, for an annotator, because the gold is
    made from labels like theirs, and for a system that was given some of the gold, or saw the articles of the test.
    """

    rank: int | None
    worst: int | None
    ties: tuple[str, ...]
    system: str
    about: About
    score: Score
    mistakes: ErrorAnalysis

    @property
    def shown(self) -> str:
        """The name, and behind it why there is no rank."""
        why = self.about.unranked
        unsure = " (may have seen the test articles)" if self.about.saw_test_articles == "unknown" else ""
        return f"{self.about.name} ({why})" if why else f"{self.about.name}{unsure}"

    @property
    def place(self) -> str:
        """The places that it may have, as 2 or 2–4; a dash where nothing is ranked."""
        if self.rank is None:
            return "–"
        return str(self.rank) if self.rank == self.worst else f"{self.rank}–{self.worst}"


@dataclass
class Predicted:
    """What systems predict, by name; and what is known of each, so that nobody ranks unawares what must not be."""

    labels: dict[str, Mapping[str, frozenset[LabelKey]]] = field(default_factory=dict)
    about: dict[str, About] = field(default_factory=dict)
    # Of sectors, where there are any.
    scores: dict[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """Two systems of a board, and what tells them apart. p is adjusted for all pairs of the board."""

    a: str
    b: str
    difference: Difference


@dataclass(frozen=True)
class Board:
    """One task on one split, with coarse labels if there is a `crosswalk`: `labels` are then what it leads to.

    `gap`: the smallest difference in micro-F1 that this gold separates in four of five cases, from the systems' own
    predictions; None if there are fewer than two systems, or too few articles to rank them. `pairs`: every two of the
    systems that have a rank.
    """

    task: str
    split: str
    rows: tuple[Row, ...]
    gap: float | None
    crosswalk: str = ""
    labels: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()

    @property
    def key(self) -> str:
        return "-".join(filter(None, (self.task, self.crosswalk, self.split)))

    @property
    def title(self) -> str:
        names = {FOLDS: "cross-validation over all articles", NOISY: "test split under noise"}
        coarse = f"coarse ({', '.join(self.labels)}), " if self.crosswalk else ""
        return f"{self.task}, {coarse}{names.get(self.split, f'{self.split} split')}"

    @property
    def articles(self) -> int:
        return self.rows[0].score.articles if self.rows else 0

    def __post_init__(self) -> None:
        """Raises :class:`DataError` (wrong-version): scores of different gold never stand in one table."""
        signed = sorted({row.score.signed for row in self.rows})
        if len(signed) > 1:
            hint = "score all of them on one gold: jinbench leaderboard, or jinbench rescore"
            raise DataError(
                Problem(
                    "wrong-version",
                    location="a table of scores",
                    expected=signed[0],
                    found=", ".join(signed[1:]),
                    fix=hint,
                )
            )

    def to_dict(self) -> dict[str, Any]:
        """The record that is kept: all but the examples of mistakes."""
        record: dict[str, Any] = rounded(asdict(self))
        for row in record["rows"]:
            del row["mistakes"]["examples"]
        for pair, kept in zip(self.pairs, record["pairs"], strict=True):
            kept["difference"] = pair.difference.to_dict()
        return record

    def to_pandas(self) -> Any:
        """A table with a row per system."""
        import pandas

        rows = [
            {
                "rank": row.rank,
                "worst_rank": row.worst,
                "system": row.system,
                "kind": row.about.kind,
                "micro_f1": row.score.micro.f1,
                "low": row.score.micro.low,
                "high": row.score.micro.high,
                "macro_f1": row.score.macro.f1,
                "missing": row.score.missing,
                "tied_with": ", ".join(row.ties),
            }
            for row in self.rows
        ]
        return pandas.DataFrame(rows)

    def __str__(self) -> str:
        return markdown([self])


def build_board(benchmark: Benchmark, task: str, split: str, crosswalk: str = "") -> Board:
    """Score every system on `task` and `split`, and the annotators with them.

    Raises :class:`DataError` with what is wrong in any of them.
    """
    gold = read_task_gold(benchmark, task, split, crosswalk)
    return rank_systems(gold, predictions(benchmark, gold), annotator_predictions(benchmark, gold))


def predictions(benchmark: Benchmark, gold: Gold) -> Predicted:
    """What every system predicts for the items of `gold`. On a coarse one, those for the whole label set take part too.

    Raises :class:`DataError` with what is wrong in any.
    """
    problems: list[Problem] = []
    predicted = Predicted()

    def take(gold: Gold, convert: Callable[[frozenset[LabelKey]], frozenset[LabelKey]]) -> None:
        for system, (about, path) in _systems(benchmark, gold.task, gold.split, gold.crosswalk).items():
            try:
                found = read_predictions(path, gold, partial(load.locate_ids, benchmark))
            except DataError as error:
                problems.extend(error.problems)
                continue
            predicted.labels[system] = {id: convert(labels) for id, labels in found.items()}
            predicted.about[system], predicted.scores[system] = about, found.scores

    if gold.crosswalk:
        fine = read_task_gold(benchmark, gold.task, gold.split)
        take(fine, apply_crosswalk(crosswalk_types(benchmark, gold.crosswalk)))
    take(gold, lambda labels: labels)
    raise_if_any(problems)
    return predicted


def _systems(benchmark: Benchmark, task: str, split: str, crosswalk: str = "") -> dict[str, tuple[About, Path]]:
    """What lies in `baselines/` and `leaderboard/entries/` for a board, by system.

    Raises :class:`DataError` with what is wrong with any entry.
    """
    name = file_name(task, split, crosswalk)
    found = {path.parent.name: (_recipe(path.parent), path) for path in sorted(benchmark.baselines.glob(f"*/{name}"))}
    for entry in entries.read_all_entries(benchmark):
        if path := entry.files.get((task, split, crosswalk)):
            system = entry.system
            about = About(
                "entry",
                system.name,
                system.who,
                system.link,
                system.trained_on,
                system.saw_test_articles,
                system.note,
            )
            found[system.id] = about, path
    return found


def _recipe(folder: Path) -> About:
    """What is known of a recipe from its file, or else from its results."""
    path = folder.with_suffix(".py")
    if path.is_file():
        recipe = load_recipe(path)
        return About("baseline", recipe.name, note=recipe.summary, given=recipe.given)
    record = files.read_json(folder / SCORES) if (folder / SCORES).is_file() else {}
    given = record.get("given", ()) if isinstance(record, dict) else ()
    return About("baseline", folder.name, given=tuple(map(str, given)) if isinstance(given, list) else ())


def rank_systems(
    gold: Gold,
    predicted: Predicted,
    annotators: Mapping[tuple[str, str], Mapping[str, frozenset[LabelKey]]] | None = None,
) -> Board:
    """The table of systems, best first, with the annotators among them, who have no rank."""
    about = {system: predicted.about.get(system, About("entry", system)) for system in predicted.labels}
    labels = dict(predicted.labels)
    for (name, kind), found in (annotators or {}).items():
        labels[name], about[name] = found, About(kind, name, annotator=True)
    scores = {
        system: scoring.score_predictions(gold, found, scores=predicted.scores.get(system))
        for system, found in labels.items()
    }
    order = sorted(scores, key=lambda system: (-(scores[system].micro.f1 or 0.0), system))
    sums = {
        system: scoring.articles(gold, scoring.counts(gold, labels[system]).sum(1))
        for system in order
        if not about[system].unranked and len(set(gold.groups)) >= ENOUGH
    }
    pairs = compare.pairs(sums)
    best, worst = dict.fromkeys(sums, 1), dict.fromkeys(sums, len(sums))
    ties: dict[str, list[str]] = {system: [] for system in sums}
    for (first, second), difference in pairs.items():
        if difference.significant:
            ahead, behind = (first, second) if difference.value > 0 else (second, first)
            best[behind] += 1
            worst[ahead] -= 1
        else:
            ties[first].append(second)
            ties[second].append(first)
    rows = tuple(
        Row(
            best.get(system),
            worst.get(system),
            tuple(ties.get(system, ())),
            system,
            about[system],
            scores[system],
            error_analysis.analyze_errors(gold, labels[system], EXAMPLES),
        )
        for system in order
    )
    found_pairs = tuple(Pair(a, b, difference) for (a, b), difference in pairs.items())
    gap = compare.minimum_detectable_difference(pairs)
    return Board(gold.task, gold.split, rows, gap, gold.crosswalk, gold.names, found_pairs)


def markdown(boards: Iterable[Board]) -> str:
    """The boards as Markdown tables."""
    lines = []
    for found in boards:
        lines += [
            f"**{found.title}**",
            "",
            "| rank | system | micro-F1 [95 % interval] | macro-F1 (labels scored) | not told apart from | missing |",
            "|---|---|---|---|---|---|",
        ]
        names = {row.system: row.about.name for row in found.rows}
        for row in found.rows:
            score, ties = row.score, ", ".join(names.get(tie, tie) for tie in row.ties)
            cells = row.place, _escape(row.shown), score.micro.formatted, score.macro, _escape(ties), score.missing
            lines.append(f"| {' | '.join(map(str, cells))} |")
        lines.append("")
        if found.rows:
            lines += [f"`{found.rows[0].score.signed}`", *map(str, remarks(found))]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


REMARKS = {
    "few": "{articles} articles are too few to tell systems apart: no ranks.",
    "ties": "A rank such as 2–4 names the best and the worst place that these articles leave open: "
    "the system is not told apart from those named beside it.",
    "annotators": "Annotators have no rank: the gold is made from labels like theirs.",
    "given": "A system that is given some of the gold has no rank.",
    "saw": "A system that saw the articles of the test has no rank.",
    "crosswalk": "Systems for the whole label set learnt that, and their predictions were mapped. "
    "One for the coarse labels alone may have learnt elsewhere: its recipe says where.",
    "gap": "Smallest gap that {articles} articles separate in four of five cases: about {gap}; "
    "now and then a smaller one too.",
}


class Remark(NamedTuple):
    """A sentence below a table. `kind` is that of `REMARKS`, so that it can be said in another language too."""

    kind: str
    values: dict[str, str]

    def __str__(self) -> str:
        return REMARKS[self.kind].format(**self.values)


def remarks(found: Board) -> list[Remark]:
    """What a reader of a table must know, a sentence each."""
    gap = "" if found.gap is None else f"{found.gap:.3f}"
    said = {
        "few": found.articles < ENOUGH,
        "ties": any(row.ties for row in found.rows),
        "annotators": any(row.about.annotator for row in found.rows),
        "given": any(row.about.given for row in found.rows),
        "saw": any(row.about.saw_test_articles == "yes" for row in found.rows),
        "crosswalk": bool(found.crosswalk),
        "gap": bool(gap),
    }
    values = {"articles": str(found.articles), "gap": gap}
    return [
        Remark(kind, {key: value for key, value in values.items() if f"{{{key}}}" in REMARKS[kind]})
        for kind, holds in said.items()
        if holds
    ]


def _escape(text: str) -> str:
    """Text of an entrant for a cell: no markup, no link and no picture comes of it."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("://", "&#58;//")
    return re.sub(r"([\\`*\[\]|!])", r"\\\1", text)


def build_boards(benchmark: Benchmark) -> list[Board]:
    """All boards: those of the label set, and coarse ones where there is something for them."""
    boards = []
    for task, splits in board_splits(benchmark).items():
        boards += [build_board(benchmark, task, split) for split in splits]
        for crosswalk in read_crosswalks(benchmark) if task == "ner" else ():
            boards += [
                build_board(benchmark, task, split, crosswalk)
                for split in splits
                if (crosswalk, split) == (main_crosswalk(benchmark), FOLDS)
                or _systems(benchmark, task, split, crosswalk)
            ]
    return [found for found in boards if found.rows]


def markdown_tables(boards: Iterable[Board]) -> dict[str, str]:
    """The generated tables of `leaderboard/`, by name of the file."""
    boards = list(boards)
    return {
        "leaderboard.json": files.dump_json([found.to_dict() for found in boards]),
        "leaderboard.md": markdown(boards),
    }
