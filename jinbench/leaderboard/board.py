"""Records of a leaderboard table: systems, ranks, scores, paired differences."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from jinbench.core.errors import fail
from jinbench.core.text import escape_markdown
from jinbench.core.types import JsonObject
from jinbench.scoring.compare import Difference
from jinbench.scoring.error_analysis import ErrorAnalysis
from jinbench.scoring.gold import FOLDS, NOISY
from jinbench.scoring.html import html_table
from jinbench.scoring.results import Score, count_articles, round_floats
from jinbench.scoring.significance import MIN_ARTICLES_TEST

if TYPE_CHECKING:
    import pandas as pd

OPTIONAL_COLUMNS = ("model", "parameters", "date", "link", "missing")  # printed where a row has a value
SCORE_COLUMNS = ("micro-F1 [95 % confidence interval]", "macro-F1 (labels scored)")  # their text is no submitter's
REMARKS = {
    "few": "{articles} articles are too few for any difference to be significant: no ranks.",
    "ties": "A rank such as 2–4 is the range of ranks that these articles leave open: "
    "the system is not significantly different from those named beside it.",
    "oracle": "A system with gold labels as oracle input has no rank.",
    "saw": "A system that saw the test articles has no rank.",
    "crosswalk": "Systems for all labels were trained on all labels, and their predictions were mapped. "
    "A system for the coarse labels alone may have been trained elsewhere: its recipe says where.",
    "detectable": "Minimum detectable difference (80 % power) with {articles} articles: about {difference}; "
    "now and then a smaller one is significant too.",
}
ANNOTATORS = "Annotators ({who}): no rank and no ceiling, because the gold is made from labels like theirs."
WHO = {"person": "people", "language model": "a language model", "mixed": "people and language models"}
_LINK = re.compile(r"https?://[^\s\"'<>\\]+", re.IGNORECASE)


class Remark(NamedTuple):
    """A sentence below a table; `kind` is a key of `REMARKS`, so that it can be translated."""

    kind: str
    values: dict[str, str]

    def __str__(self) -> str:
        return REMARKS[self.kind].format(**self.values)


@dataclass(frozen=True)
class SystemInfo:
    """Description of a system.

    Attributes:
        kind: "baseline", "entry", or the kind of an annotator ("person", "language model").
        saw_test_articles: "no", "yes" or "unknown".
        oracle_inputs: Names of gold labels that the system has as input.
        annotator: Whether it is an annotator of the benchmark.
        model: Pretrained model that it builds on.
        parameters: Their number, as "7B".
        date: ISO date of its predictions.
    """

    kind: str
    name: str
    who: str = ""
    link: str = ""
    trained_on: str = ""
    saw_test_articles: str = "no"
    note: str = ""
    oracle_inputs: tuple[str, ...] = ()
    annotator: bool = False
    model: str = ""
    parameters: str = ""
    date: str = ""

    @property
    def unranked_reason(self) -> str:
        """Why it has no rank; empty if it may have one."""
        if self.annotator:
            return self.kind
        if self.oracle_inputs:
            return f"oracle input: gold {' and '.join(self.oracle_inputs)}"
        return "saw the test articles" if self.saw_test_articles == "yes" else ""

    @property
    def display_name(self) -> str:
        """The name, with the reason if it has no rank."""
        reason = self.unranked_reason
        if self.saw_test_articles == "unknown" and not reason:
            reason = "may have seen the test articles"
        return f"{self.name} ({reason})" if reason else self.name


@dataclass(frozen=True)
class BoardRow:
    """A system in a leaderboard table.

    Systems without ranks are annotators (the gold is made from labels like theirs), systems with oracle input, systems
    that saw the test articles, and all systems where there are fewer than `MIN_ARTICLES_TEST` articles.

    Attributes:
        rank: One more than the number of significantly better systems; None without a rank.
        worst_rank: The number of systems that are not significantly worse, itself included; None without a rank.
        ties: Ids of the systems that it is not significantly different from.
        system: Id of the system.
        mistakes: Its errors by class, and the items with most errors.
        copies: Other systems with the same predictions, by id.
    """

    rank: int | None
    worst_rank: int | None
    ties: tuple[str, ...]
    system: str
    about: SystemInfo
    score: Score
    mistakes: ErrorAnalysis
    copies: dict[str, SystemInfo] = field(default_factory=dict)

    @property
    def display_name(self) -> str:
        """The name, with the reason if it has no rank, and who has the same predictions."""
        same = ", ".join(copy.display_name for copy in self.copies.values())
        return self.about.display_name + (f"; same predictions as {same}" if same else "")

    @property
    def rank_range(self) -> str:
        """The ranks that the articles leave open, as "2" or "2–4"; a dash without a rank."""
        if self.rank is None:
            return "–"
        return str(self.rank) if self.rank == self.worst_rank else f"{self.rank}–{self.worst_rank}"


@dataclass(frozen=True)
class PairedDifference:
    """Two systems of a table and their difference, its p-value adjusted for the comparisons of a family."""

    a: str
    b: str
    difference: Difference


@dataclass(frozen=True)
class Board:
    """Leaderboard table of one task and split: systems best first, then annotators; `str()` gives Markdown.

    Attributes:
        task: "ner" or "sector".
        split: "folds", "test" or "noisy".
        rows: One per system and annotator.
        minimum_detectable: Minimum detectable difference in micro-F1 (80 % power), from the systems' own predictions;
            None with fewer than two ranked systems.
        crosswalk: Name of the crosswalk to coarse labels; empty for the whole label set.
        labels: Names of the labels that are scored.
        pairs: Every two of the ranked systems.

    Raises:
        DataError: [wrong-version] if rows are scored on different gold.
    """

    task: str
    split: str
    rows: tuple[BoardRow, ...]
    minimum_detectable: float | None
    crosswalk: str = ""
    labels: tuple[str, ...] = ()
    pairs: tuple[PairedDifference, ...] = field(default=())

    def __post_init__(self) -> None:
        signatures = sorted({row.score.signature_text for row in self.rows})
        if len(signatures) > 1:
            fix = "score all of them on one gold: jinbench rank"
            others = ", ".join(signatures[1:])
            fail("wrong-version", "a table of scores", expected=signatures[0], found=others, fix=fix)

    @property
    def key(self) -> str:
        """Task, crosswalk and split in one word."""
        return "-".join(filter(None, (self.task, self.crosswalk, self.split)))

    @property
    def title(self) -> str:
        """Task, labels and split for a heading."""
        names = {FOLDS: "cross-validation over all articles", NOISY: "test split under noise"}
        coarse = f"coarse ({', '.join(self.labels)}), " if self.crosswalk else ""
        return f"{self.task}, {coarse}{names.get(self.split, f'{self.split} split')}"

    def describe_place(self, system: str) -> str:
        """Return in words which rank a system has, or why none, and which systems are not different from it."""
        row = next(row for row in self.rows if system in (row.system, *row.copies))
        ranked = [row for row in self.rows if row.rank is not None]
        if row.rank is None or row.worst_rank is None:
            return f"no rank: {row.about.unranked_reason or f'{count_articles(self.articles)} are too few for any'}"
        place = " to ".join(map(_to_ordinal, dict.fromkeys((row.rank, row.worst_rank))))
        names = [other.about.name for other in ranked if other.system in row.ties]
        different = f", not significantly different from {', '.join(names)}" if names else ""
        if not names and len(ranked) > 1:
            different = ", significantly different from all others"
        copies = ", ".join(info.name for id, info in {row.system: row.about, **row.copies}.items() if id != system)
        return f"{place} of {len(ranked)}{f', the same predictions as {copies}' if copies else ''}{different}"

    @property
    def articles(self) -> int:
        """Number of articles that the scores are computed on."""
        return self.rows[0].score.articles if self.rows else 0

    def to_dict(self) -> JsonObject:
        """Return the record that is stored: everything except example items of error analyses."""
        record: JsonObject = round_floats(asdict(self))
        for row in record["rows"]:
            del row["mistakes"]["examples"]
        for pair, stored in zip(self.pairs, record["pairs"], strict=True):
            stored["difference"] = pair.difference.to_dict()
        return record

    def to_pandas(self) -> "pd.DataFrame":
        """Return a `pandas.DataFrame` with a row per system."""
        import pandas

        rows = [
            {
                "rank": row.rank,
                "worst_rank": row.worst_rank,
                "system": row.system,
                "kind": row.about.kind,
                "micro_f1": row.score.micro.f1,
                "low": row.score.micro.low,
                "high": row.score.micro.high,
                "macro_f1": row.score.macro.f1,
                "missing": row.score.missing,
                "tied_with": ", ".join(row.ties),
                "same_predictions": ", ".join(row.copies),
            }
            for row in self.rows
        ]
        return pandas.DataFrame(rows)

    @property
    def systems(self) -> list[BoardRow]:
        """The rows of systems."""
        return [row for row in self.rows if not row.about.annotator]

    @property
    def annotators(self) -> list[BoardRow]:
        """The rows of annotators."""
        return [row for row in self.rows if row.about.annotator]

    @property
    def annotator_kind(self) -> str:
        """The kind of all its annotators, or "mixed"; empty if it has none."""
        return combine_kinds(row.about.kind for row in self.annotators)

    @property
    def optional_columns(self) -> list[str]:
        """The columns that not every table has, and this one has."""
        return [name for name in OPTIONAL_COLUMNS if any(name in row for row in self.table + self.annotator_table)]

    @property
    def table(self) -> list[dict[str, str]]:
        """The cells of the printed table by column title, a row per system."""
        names = {row.system: row.about.name for row in self.rows}
        return _drop_empty_columns(
            {
                "rank": row.rank_range,
                "system": row.display_name,
                "model": row.about.model,
                "parameters": row.about.parameters,
                "date": row.about.date,
                "link": safe_link(row.about.link),
                **_score_cells(row),
                "not significantly different from": ", ".join(names.get(tie, tie) for tie in row.ties),
                "missing": str(row.score.missing),
            }
            for row in self.systems
        )

    @property
    def annotator_table(self) -> list[dict[str, str]]:
        """The cells of the annotators' table by column title, a row per annotator."""
        rows = self.annotators
        return _drop_empty_columns(
            {"annotator": row.about.name, **_score_cells(row), "missing": str(row.score.missing)} for row in rows
        )

    @property
    def remarks(self) -> list[Remark]:
        """The remarks that apply to the table."""
        difference = "" if self.minimum_detectable is None else f"{self.minimum_detectable:.3f}"
        applies = {
            "few": self.articles < MIN_ARTICLES_TEST,
            "ties": any(row.ties for row in self.rows),
            "oracle": any(row.about.oracle_inputs for row in self.rows),
            "saw": any(row.about.saw_test_articles == "yes" for row in self.rows),
            "crosswalk": bool(self.crosswalk),
            "detectable": bool(difference),
        }
        values = {"articles": str(self.articles), "difference": difference}
        return [
            Remark(kind, {key: value for key, value in values.items() if f"{{{key}}}" in REMARKS[kind]})
            for kind, is_true in applies.items()
            if is_true
        ]

    def __str__(self) -> str:
        lines = [f"**{self.title}**", "", *_markdown_table(self.table)]
        if self.annotators:
            lines += ["", self._annotators_title, "", *_markdown_table(self.annotator_table)]
        if self.rows:
            lines += ["", f"`{self.rows[0].score.signature_text}`", *map(str, self.remarks)]
        return "\n".join(lines) + "\n"

    @property
    def _annotators_title(self) -> str:
        return ANNOTATORS.format(who=WHO.get(self.annotator_kind, self.annotator_kind))

    def __repr__(self) -> str:
        ranked = next((row for row in self.rows if row.rank is not None), None)
        best = f", best: {ranked.about.name} {ranked.score.micro.formatted}" if ranked else ""
        return f"<Board {self.title}: {len(self.rows)} systems, {self.articles} articles{best}>"

    def _repr_html_(self) -> str:
        notes = [row.score.signature_text for row in self.rows[:1]] + list(map(str, self.remarks))
        annotators = html_table(self.annotator_table, self._annotators_title) if self.annotators else ""
        return html_table(self.table, self.title, notes) + annotators


def _to_ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number // 10 % 10 != 1 else 0, "th")
    return f"{number}{ending}"


def combine_kinds(kinds: Iterable[str]) -> str:
    """Return the one kind of all annotators, or "mixed"; empty without annotators."""
    distinct = set(kinds)
    return "mixed" if len(distinct) > 1 else "".join(distinct)


def safe_link(text: str) -> str:
    """Return `text` if it is an address that may be followed, else an empty text."""
    return text if _LINK.fullmatch(text) else ""


def _score_cells(row: BoardRow) -> dict[str, str]:
    return dict(zip(SCORE_COLUMNS, (row.score.micro.formatted, str(row.score.macro)), strict=True))


def _drop_empty_columns(rows: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Leave out the optional columns that have no value, or only 0."""
    rows = list(rows)
    empty = {name for name in OPTIONAL_COLUMNS if all(row.get(name, "") in ("", "0") for row in rows)}
    return [{name: text for name, text in row.items() if name not in empty} for row in rows]


def _markdown_table(rows: list[dict[str, str]]) -> list[str]:
    if not rows:
        return ["No systems yet."]
    return [_line(rows[0]), "|---" * len(rows[0]) + "|"] + [
        _line(_format_cell(name, text) for name, text in row.items()) for row in rows
    ]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _format_cell(name: str, text: str) -> str:
    if name == "link" and text:
        return f"<{text.replace('|', '%7C')}>"
    return text if name in SCORE_COLUMNS else escape_markdown(text)
