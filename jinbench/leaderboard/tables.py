"""Leaderboard tables as Markdown and JSON."""

from collections.abc import Iterable

from jinbench.core.files import dump_json
from jinbench.leaderboard.board import Board


def format_markdown(boards: Iterable[Board]) -> str:
    """Return leaderboard tables as Markdown with their signatures and remarks."""
    return "\n".join(map(str, boards))


def format_board_files(boards: Iterable[Board]) -> dict[str, str]:
    """Return the generated tables of `leaderboard/` by file name."""
    boards = list(boards)
    return {
        "leaderboard.json": dump_json([board.to_dict() for board in boards]),
        "leaderboard.md": format_markdown(boards),
    }
