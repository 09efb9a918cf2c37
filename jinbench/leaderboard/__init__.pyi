from .board import Board
from .entries import read_entry
from .page import render_page
from .ranking import build_board, build_boards, rank_systems
from .submission import submit

__all__ = ["Board", "build_board", "build_boards", "rank_systems", "read_entry", "render_page", "submit"]
