"""Leaderboard tables as Markdown and JSON, and the remarks below them."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from jinbench.core.files import dump_json
from jinbench.leaderboard.board import COLUMNS, NAME_COLUMNS, Board
from jinbench.scoring.significance import MIN_ARTICLES_TEST

REMARKS = {
    "few": "{articles} articles are too few for any difference to be significant: no ranks.",
    "ties": "A rank such as 2–4 is the range of ranks that these articles leave open: "
    "the system is not significantly different from those named beside it.",
    "annotators": "Annotators have no rank: the gold is made from labels like theirs.",
    "oracle": "A system with gold labels as oracle input has no rank.",
    "saw": "A system that saw the test articles has no rank.",
    "crosswalk": "Systems for all labels were trained on all labels, and their predictions were mapped. "
    "A system for the coarse labels alone may have been trained elsewhere: its recipe says where.",
    "detectable": "Minimum detectable difference (80 % power) with {articles} articles: about {difference}; "
    "now and then a smaller one is significant too.",
}


class Remark(NamedTuple):
    """A sentence below a table; `kind` is a key of `REMARKS`, so that it can be translated."""

    kind: str
    values: dict[str, str]

    def __str__(self) -> str:
        return REMARKS[self.kind].format(**self.values)


def list_remarks(board: Board) -> list[Remark]:
    """Return the remarks that apply to a leaderboard table."""
    difference = "" if board.minimum_detectable is None else f"{board.minimum_detectable:.3f}"
    applies = {
        "few": board.articles < MIN_ARTICLES_TEST,
        "ties": any(row.ties for row in board.rows),
        "annotators": any(row.about.annotator for row in board.rows),
        "oracle": any(row.about.oracle_inputs for row in board.rows),
        "saw": any(row.about.saw_test_articles == "yes" for row in board.rows),
        "crosswalk": bool(board.crosswalk),
        "detectable": bool(difference),
    }
    values = {"articles": str(board.articles), "difference": difference}
    return [
        Remark(kind, {key: value for key, value in values.items() if f"{{{key}}}" in REMARKS[kind]})
        for kind, is_true in applies.items()
        if is_true
    ]


def format_markdown(boards: Iterable[Board]) -> str:
    """Return leaderboard tables as Markdown with their signatures and remarks."""
    lines = []
    for board in boards:
        lines += [f"**{board.title}**", "", _line(COLUMNS), "|---" * len(COLUMNS) + "|"]
        lines += [
            _line(_escape(text) if name in NAME_COLUMNS else text for name, text in row.items()) for row in board.table
        ]
        lines.append("")
        if board.rows:
            lines += [f"`{board.rows[0].score.signature_text}`", *map(str, list_remarks(board))]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def format_board_files(boards: Iterable[Board]) -> dict[str, str]:
    """Return the generated tables of `leaderboard/` by file name."""
    boards = list(boards)
    return {
        "leaderboard.json": dump_json([board.to_dict() for board in boards]),
        "leaderboard.md": format_markdown(boards),
    }


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    """Escape text of a submitter for a Markdown cell: no markup, link or picture."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("://", "&#58;//")
    return re.sub(r"([\\`*\[\]|!])", r"\\\1", text)
