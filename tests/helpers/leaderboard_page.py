"""Test helpers: the page of the leaderboard in a browser."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from jinbench.leaderboard import page
from jinbench.leaderboard.board import Board, SystemInfo
from jinbench.scoring.results import MIN_GOLD_MENTIONS
from tests.helpers.browser import Browser
from tests.helpers.paths import ROOT

REAL = ROOT / "leaderboard" / page.PAGE_FILE
ROWS = "return [...document.querySelectorAll('.ranking [data-system]')]"


def write_page(tmp_path: Path, *boards: Board) -> Path:
    path = tmp_path / page.PAGE_FILE
    path.write_text(page.render_page(boards, "A title", "language model"), encoding="utf-8")
    return path


def describe_systems(board: Board, about: SystemInfo) -> Board:
    """Return the board with the same description of every system."""
    return replace(board, rows=tuple(replace(row, about=about) for row in board.rows))


def column_texts(browser: Browser, column: str) -> list[str]:
    return list(browser.run(f"{ROWS}.map(row => row.querySelector(arguments[0]).innerText.trim())", f".{column}"))


def listed_systems(browser: Browser) -> list[str]:
    return list(browser.run(f"{ROWS}.map(row => row.dataset.system)"))


def press(browser: Browser, id: str, *keys: str) -> None:
    browser.run("document.getElementById(arguments[0]).focus()", id)
    browser.driver.switch_to.active_element.send_keys(*keys)


def go(browser: Browser, fragment: str) -> None:
    """Open another view by its link, and wait until the page shows it."""
    if browser.run("return location.hash") == f"#{fragment}":
        return
    mark = "document.querySelector('#app main').dataset.old = 1; location.hash = arguments[0]"
    browser.run(mark, f"#{fragment}")
    browser.wait("return !document.querySelector('#app main').dataset.old")


def change_view(browser: Browser, action: Any) -> None:
    """Do something that changes the view, and wait until it has."""
    browser.run("document.querySelector('#app main').dataset.old = 1")
    action()
    browser.wait("return !document.querySelector('#app main').dataset.old")


def expected_figure(row: dict[str, Any], show: str) -> str:
    """Return the text of the figure that a row must show, from leaderboard.json."""
    group, _, name = show.partition(":")
    score = row["score"]
    if not name and group != "micro":
        mean = score[group]
        value = mean["f1"] if group == "macro" else mean["value"]
        return "–" if value is None else f"{value:.3f} {interval_text(mean)}"
    groups = {"label": score["labels"], "relaxed": score["relaxed"], "coarse": score["coarse"], **score["parts"]}
    (cell,) = [score["micro"]] if group == "micro" else [cell for cell in groups[group] if cell["name"] == name]
    if cell["gold"] < MIN_GOLD_MENTIONS:
        return "counts only"
    return f"{cell['f1']:.3f} {interval_text(cell)}"


def interval_text(figure: dict[str, Any]) -> str:
    return "no interval" if figure["low"] is None else f"[{figure['low']:.3f}, {figure['high']:.3f}]"
