"""The leaderboard page in a real browser, opened from a file, without a network."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from jinbench.annotation.labels import read_label_set
from jinbench.core.benchmark import Benchmark
from jinbench.leaderboard import page, ranking
from jinbench.leaderboard.board import Board, SystemInfo
from jinbench.scoring.error_analysis import Example
from tests.helpers.browser import Browser, browser
from tests.helpers.leaderboard_page import (
    REAL,
    ROWS,
    change_view,
    column_texts,
    expected_figure,
    go,
    listed_systems,
    press,
    write_page,
)

__all__ = ["browser"]

ABOUT = ["model", "parameters", "date", "link"]
LINK = "https://example.org/"
ANNOTATOR = SystemInfo("language model", "x", annotator=True)
SIZES = {"": None, "900K": 9e5, "110M": 1.1e8, "7B": 7e9}


def test_page_opens_from_a_file_and_requests_nothing(browser: Browser) -> None:
    browser.size(1280)
    browser.open(REAL)
    assert listed_systems(browser)
    assert browser.requests == [f"{REAL.resolve().as_uri()}#"[:-1]]
    assert browser.complaints == []
    assert REAL.stat().st_size < 1_500_000


def test_requests_of_a_page_are_detected(browser: Browser, tmp_path: Path) -> None:
    """What the test above rests on: a page that does ask for something is caught."""
    (tmp_path / "asks.html").write_text("<!doctype html><img src='http://example.com/a.png'>")
    browser.open(tmp_path / "asks.html")
    assert "http://example.com/a.png" in browser.requests
    assert browser.complaints


def test_same_boards_give_the_same_page(small: Board) -> None:
    assert page.render_page([small], "t") == page.render_page([small], "t")


@pytest.fixture(scope="module")
def full(small: Board) -> Board:
    """Every system described but one, predictions missing, and an annotator that is better than all but one system."""
    about = [
        SystemInfo(
            "entry", f"the {name}", model=f"m{name}", parameters=size, date=f"2026-0{n + 1}-01", link=LINK + name
        )
        for n, (name, size) in enumerate([("all", "110M"), ("half", "7B"), ("most", "900K")])
    ] + [SystemInfo("baseline", "none")]
    rows = [
        replace(row, about=info, score=replace(row.score, missing=n))
        for n, (row, info) in enumerate(zip(small.rows, about, strict=True))
    ]
    annotator = replace(rows[1], system="x", rank=None, worst_rank=None, ties=(), about=ANNOTATOR)
    return replace(small, rows=(*rows, annotator))


@pytest.mark.parametrize("key", ["rank", "system", "figure", "precision", "recall", "right", "ties", "missing", *ABOUT])
def test_every_column_sorts_by_click_and_by_key(browser: Browser, full: Board, tmp_path: Path, key: str) -> None:
    def value(row: dict[str, Any]) -> Any:
        micro = row["score"]["micro"]
        return {
            "rank": row["rank"], "system": row["about"]["name"], "figure": micro["f1"], "right": micro["correct"],
            "precision": micro["precision"], "recall": micro["recall"], "ties": len(row["ties"]),
            "missing": row["score"]["missing"], "parameters": SIZES[row["about"]["parameters"]],
        }.get(key) if key not in ("model", "date", "link") else row["about"][key] or None  # fmt: skip

    if key not in ABOUT:  # which take the room of precision, recall and counts
        bare = {"model": "", "parameters": "", "date": "", "link": ""}
        full = replace(full, rows=tuple(replace(row, about=replace(row.about, **bare)) for row in full.rows))
    rows = full.to_dict()["rows"]
    known = {row["system"]: value(row) for row in rows if not row["about"]["annotator"]}
    browser.size(1920)
    browser.open(write_page(tmp_path, full), "sort=system&order=up" if key != "system" else "")
    for action in (
        lambda: browser.driver.find_element("id", f"sort-{key}").click(),
        lambda: press(browser, f"sort-{key}", Keys.ENTER),
        lambda: press(browser, f"sort-{key}", Keys.SPACE),
    ):
        change_view(browser, action)
        direction = browser.run(f"return document.querySelector('.head.{key}').getAttribute('aria-sort')")
        *systems, last = listed_systems(browser)
        assert last == "x", "annotators stand below, however the systems are sorted"
        result = [known[name] for name in systems]
        present = [item for item in result if item is not None]
        assert direction in ("ascending", "descending")
        assert present == sorted(present, reverse=direction == "descending")
        assert result[: len(present)] == present, "what has no value stands last"
        assert len(result) == len(rows) - 1
        assert browser.run("return document.activeElement.id") == f"sort-{key}"
        assert browser.run("return document.querySelectorAll('[aria-sort]:not([aria-sort=none])').length") == 1


# Every choice of what to show, one after the other: for each row its name, figure and rank.
EVERY_FIGURE = """
const [board, done] = arguments, found = {};
const shows = [...document.querySelectorAll('#show option')].map((each) => each.value);
const next = (at) => {
  if (at === shows.length) return done(found);
  addEventListener('hashchange', () => {
    found[shows[at]] = [...document.querySelectorAll('.ranking [data-system]')].map((row) =>
      [row.dataset.system, row.querySelector('.figure').innerText.trim(), row.querySelector('.rank').innerText.trim()]);
    next(at + 1);
  }, { once: true });
  location.hash = `#board=${board}&show=${shows[at]}`;
};
next(0);
"""


def rank_range(row: dict[str, Any]) -> str:
    if row["rank"] is None:
        return "–"
    return str(row["rank"]) if row["rank"] == row["worst_rank"] else f"{row['rank']}–{row['worst_rank']}"


def test_every_board_shows_every_figure(browser: Browser, boards: dict[str, Any]) -> None:
    browser.size(1280)
    seen = 0
    for key, board in boards.items():
        browser.open(REAL, f"board={key}")
        rows = {row["system"]: row for row in board["rows"]}
        places = {name: rank_range(row) for name, row in rows.items()}
        result = browser.driver.execute_async_script(EVERY_FIGURE, key)
        parts = {part for part, cells in board["rows"][0]["score"]["parts"].items() if cells}
        assert parts | {"micro", "exact"} <= {show.partition(":")[0] for show in result}
        for show, shown in result.items():
            assert {name: place for name, _, place in shown} == places, "the rank stays that of micro-F1"
            for name, text, _ in shown:
                assert text.startswith(expected_figure(rows[name], show)), (key, show, name)
                seen += 1
    assert seen > 1000
    assert browser.complaints == []


def test_boards_switch_by_keyboard_and_back_button(browser: Browser, boards: dict[str, Any]) -> None:
    browser.open(REAL)
    change_view(browser, lambda: press(browser, "task-ner", Keys.ARROW_RIGHT))
    assert set(listed_systems(browser)) == {row["system"] for row in boards["sector-folds"]["rows"]}
    assert browser.run("return document.activeElement.id") == "task-sector"
    change_view(browser, lambda: press(browser, "split-folds", Keys.ARROW_RIGHT))
    assert browser.run("return location.hash") == "#board=sector-test"
    change_view(browser, browser.driver.back)
    change_view(browser, browser.driver.back)
    assert set(listed_systems(browser)) == {row["system"] for row in boards["ner-folds"]["rows"]}
    show = "const s = document.getElementById('show'); s.value = 'label:DATE'; s.dispatchEvent(new Event('change'))"
    change_view(browser, lambda: browser.run(show))
    assert "label%3ADATE" in browser.run("return location.hash")


def test_tied_systems_are_marked(browser: Browser, small: Board, tmp_path: Path) -> None:
    browser.open(write_page(tmp_path, small))
    assert dict(zip(listed_systems(browser), column_texts(browser, "rank"), strict=True)) == {
        "all": "1", "half": "2–3", "most": "2–3", "none": "4"
    }  # fmt: skip
    assert dict(zip(listed_systems(browser), column_texts(browser, "ties"), strict=True))["half"] == "most"
    place = [row.system for row in small.rows].index("half")
    browser.run("document.getElementById(arguments[0]).focus()", f"open-{place}")
    marked = f"{ROWS}.filter(row => row.classList.contains('tied')).map(row => row.dataset.system)"
    assert browser.run(marked) == ["most"]
    ruler = browser.run(
        "const r = document.querySelector('.measure'); return r.offsetWidth / r.closest('.axis').offsetWidth"
    )
    assert small.minimum_detectable == pytest.approx(ruler, abs=0.02)


def test_intervals_are_drawn_at_their_values(browser: Browser, boards: dict[str, Any]) -> None:
    browser.size(1280)
    browser.open(REAL)
    script = (
        f"{ROWS}.map(row => {{const svg = row.querySelector('svg').getBoundingClientRect();"
        "return ['.grid', '.line'].map(p => row.querySelector(p).getBoundingClientRect())"
        ".flatMap(box => [(box.left - svg.left) / svg.width, (box.right - svg.left) / svg.width])})"
    )
    rows = {row["system"]: row["score"]["micro"] for row in boards["ner-folds"]["rows"]}
    for name, (left, right, low, high) in zip(listed_systems(browser), browser.run(script), strict=True):
        assert (left, right) == pytest.approx((0, 1), abs=0.02)
        assert (low, high) == pytest.approx((rows[name]["low"], rows[name]["high"]), abs=0.02)


def test_details_open_by_keyboard_with_figures_by_type(browser: Browser, boards: dict[str, Any]) -> None:
    browser.open(REAL)
    row = next(row for row in boards["ner-folds"]["rows"] if row["system"] == "lexicon")
    place = boards["ner-folds"]["rows"].index(row)
    change_view(browser, lambda: press(browser, f"open-{place}", Keys.ENTER))
    assert browser.run("return document.getElementById('system').open")
    script = (
        "return [...document.querySelectorAll('[data-group=label] [data-name]')].map(row => "
        "[row.dataset.name, ...['figure', 'precision', 'recall', 'right', 'predicted']"
        ".map(key => row.querySelector('.' + key).innerText.trim())])"
    )
    result = {name: cells for name, *cells in browser.run(script)}
    assert list(result) == boards["ner-folds"]["labels"]
    for cell in row["score"]["labels"]:
        assert result[cell["name"]] == [
            expected_figure(row, f"label:{cell['name']}"), f"{cell['precision']:.3f}", f"{cell['recall']:.3f}",
            f"{cell['correct']} / {cell['gold']}", str(cell["predicted"]),
        ]  # fmt: skip
    kinds = (
        "return [...document.querySelectorAll('[data-kind]')].map(row => [row.dataset.kind, +row.cells[1].innerText])"
    )
    assert dict(browser.run(kinds)) == row["mistakes"]["kinds"]
    change_view(browser, lambda: browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE))
    assert not browser.run("return document.getElementById('system').open")
    assert browser.run("return document.activeElement.id") == f"open-{place}"
    assert browser.run("return location.hash") == ""


@pytest.mark.parametrize(
    ("key", "system"), [("ner-folds", "tagger"), ("ner-noisy", "rules"), ("sector-folds", "tfidf")]
)
def test_errors_are_marked_in_context(browser: Browser, real: Benchmark, key: str, system: str) -> None:
    """Both readings of each item are the whole text, with exactly the stretches that were labelled marked in it."""
    task, split = key.split("-")
    (row,) = (row for row in ranking.build_board(real, task, split).rows if row.system == system)
    names = {sector.name: sector.en for sector in read_label_set(real).sectors}
    browser.open(REAL, f"board={key}&system={system}")
    script = (
        "const marks = (item, side) => [...item.querySelectorAll(`.${side} .mark`)].map(mark =>"
        "[mark.classList[1], mark.querySelector('.stretch').textContent,"
        "mark.querySelector('small')?.textContent ?? null]);"
        "return [...document.querySelectorAll('.example')].map(item => [item.dataset.id,"
        "marks(item, 'gold'), marks(item, 'predicted'), item.querySelector('.gold p').textContent,"
        "item.querySelector('.text')?.textContent ?? null])"
    )
    result = browser.run(script)
    assert [item[0] for item in result] == [example.id for example in row.mistakes.examples]
    for (_, gold, predicted, line, whole), example in zip(result, row.mistakes.examples, strict=True):
        sides = {
            "gold": [("correct", label) for label in example.correct]
            + [(item.kind, item.gold) for item in example.mistakes if item.gold],
            "predicted": [("correct", label) for label in example.correct]
            + [(item.kind, item.predicted) for item in example.mistakes if item.predicted],
        }
        for marks, side in ((gold, sides["gold"]), (predicted, sides["predicted"])):
            wanted = [
                [kind, example.text[label[0] : label[1]], label[2]] if len(label) > 1 else [kind, names[label[0]], None]
                for kind, label in side
            ]
            assert sorted(map(str, marks)) == sorted(map(str, wanted))
        if whole is None:
            bare = re.sub("[\u2713\u2260\u2194\u2212+]|(?:[A-Z]+)", "", line)
            assert bare == re.sub("[\u2713\u2260\u2194\u2212+]|(?:[A-Z]+)", "", example.text)
        else:
            assert whole == example.text


def test_offsets_count_code_points(browser: Browser, small: Board, tmp_path: Path) -> None:
    """A character beyond the first 65536 is one for Python, and two for JavaScript."""
    row = small.rows[0]
    example = Example("x", "\U00020bb7\U00020bb7\u5929\u6d25\u6e2f", ((2, 4, "A"),), (), True)
    board = replace(small, rows=(replace(row, mistakes=replace(row.mistakes, examples=(example,))),), pairs=())
    browser.open(write_page(tmp_path, board), f"system={row.system}")
    assert browser.run("return document.querySelector('.mark.correct .stretch + small').textContent") == "A"
    marked = "return [...document.querySelectorAll('.side .stretch')].map(each => each.textContent)"
    assert browser.run(marked) == ["\u5929\u6d25"] * 2


def test_comparison_shows_the_stored_difference(browser: Browser, boards: dict[str, Any]) -> None:
    board = boards["ner-folds"]
    browser.size(1280)
    browser.open(REAL)
    for system in ("rules", "lexicon"):
        place = [row["system"] for row in board["rows"]].index(system)
        change_view(browser, lambda place=place: press(browser, f"pick-{place}", Keys.SPACE))
    (pair,) = [item for item in board["pairs"] if {item["a"], item["b"]} == {"rules", "lexicon"}]
    known = pair["difference"]
    sign = 1 if pair["a"] == "rules" else -1

    def signed(value: float) -> str:
        return f"{value:+.3f}".replace("-", "\u2212")

    low, high = sorted((sign * known["low"], sign * known["high"]))
    text = browser.run("return document.getElementById('difference').innerText.split('\\n')[0].trim()")
    assert text == f"{signed(sign * known['value'])} [{signed(low)}, {signed(high)}]"
    assert browser.run("return document.getElementById('adjusted').innerText") == f"{known['adjusted']:.4f}"
    verdict = browser.run("return document.getElementById('verdict').innerText")
    assert ("Not significantly" in verdict) != known["significant"]
    rows = {row["system"]: row for row in board["rows"]}
    cells = (
        "return [...document.querySelectorAll('.sides [data-key]')].map(row => [row.dataset.key, "
        "...[...row.querySelectorAll('.figure')].map(cell => cell.innerText.trim())])"
    )
    compared = browser.run(cells)
    assert {key.partition(":")[0] for key, *_ in compared} >= {"micro", "label", "layout", "seen_unseen"}
    for key, first, second in compared:
        for system, text in (("rules", first), ("lexicon", second)):
            figure = expected_figure(rows[system], key)
            assert text == figure or (figure == "counts only" and " / " in text), (key, system)
    go(browser, "a=annotator-a&b=rules")
    assert "Not tested" in browser.run("return document.getElementById('verdict').innerText")


def test_optional_columns_are_those_with_a_value(browser: Browser, full: Board, small: Board, tmp_path: Path) -> None:
    heads = "return [...document.querySelectorAll('.ranking [id^=sort-]')].map(each => each.id.slice(5))"
    browser.size(1920)
    for board, optional in ((full, [*ABOUT, "missing"]), (small, [])):
        path = write_page(tmp_path, board)
        browser.open(path)
        assert [name for name in browser.run(heads) if name in (*ABOUT, "missing")] == optional
        lines = str(board).splitlines()
        assert [name for name in lines[2].split(" | ") if name.strip(" |") in (*ABOUT, "missing")] == [
            f"{name} |" if name == "missing" else name for name in optional
        ]
    browser.open(write_page(tmp_path, full))
    shown = {key: column_texts(browser, f"{key}:is(td)") for key in (*ABOUT, "missing")}
    assert shown["model"] == ["mall", "mhalf", "mmost", "", ""]
    assert shown["parameters"] == ["110M", "7B", "900K", "", ""]
    assert shown["link"] == ["Link"] * 3 + [""] * 2
    assert shown["missing"] == ["0", "1", "2", "3", "1"]
    links = "return [...document.querySelectorAll('td.link a')].map(a => [a.href, a.rel])"
    assert browser.run(links)[0] == [f"{LINK}all", "noopener noreferrer nofollow"]
    browser.open(tmp_path / page.PAGE_FILE, scripts=False)
    assert [LINK in item for item in browser.run(links.replace("td.link", "td"))[0]] == [True, False]
    assert browser.complaints == []


@pytest.mark.parametrize("language", page.LANGUAGES)
def test_names_of_labels_are_in_the_language_of_the_page(browser: Browser, real: Benchmark, language: str) -> None:
    label_set = read_label_set(real)
    shown = "return [...document.querySelectorAll('[data-group=label] [data-name] .label')].map(e => e.textContent)"
    options = "return [...document.querySelectorAll('#show option')].map(each => each.textContent)"
    for task, labels in (("ner", label_set.entities), ("sector", label_set.sectors)):
        browser.open(REAL, f"board={task}-folds&lang={language}&system={'rules' if task == 'ner' else 'tfidf'}")
        names = [f"{getattr(label, language)} ({label.name})" for label in labels]
        assert browser.run(shown) == names
        assert set(names) <= set(browser.run(options))
