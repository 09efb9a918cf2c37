"""The page of the leaderboard, in a real browser: opened from a file, without a network."""

import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from selenium.webdriver.common.keys import Keys

from jinbench.annotation.annotators import Annotator, Annotators
from jinbench.core.benchmark import Benchmark
from jinbench.leaderboard import page, ranking
from jinbench.leaderboard.board import Board, SystemInfo
from jinbench.leaderboard.systems import SystemPredictions
from jinbench.scoring.error_analysis import Example
from jinbench.scoring.results import MIN_GOLD_MENTIONS
from tests.helpers.browser import Browser, browser
from tests.helpers.paths import ROOT
from tests.helpers.scoring import X, Y, gold_of, guesses

__all__ = ["browser"]

REAL = ROOT / "leaderboard" / page.PAGE_FILE
EVIL = [
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 1</script>",
    "\"><img src=x onerror='window.hacked = 1'>",
    "{{ 7 * 7 }}{% raw %}<!-- --> &lt;b&gt; ]]> </style><svg onload=window.hacked=1>",
    "\u202eright to left\u2028\x00\ud800",
]
ROWS = "return [...document.querySelectorAll('.ranking tbody tr')]"


@pytest.fixture(scope="module")
def boards(real: Benchmark) -> dict[str, Any]:
    """The records of leaderboard.json, by key of the board."""
    found = json.loads((real.leaderboard / "leaderboard.json").read_text())
    return {"-".join(filter(None, (each["task"], each["crosswalk"], each["split"]))): each for each in found}


@pytest.fixture(scope="module")
def small() -> Board:
    """Thirty articles of one entity each: `all` finds them, `half` and `most` differ by chance, `none` is wrong."""
    gold = gold_of([{X}] * 30)
    told = {
        "all": guesses(*[{X}] * 30),
        "half": guesses(*({X} if place % 2 else set() for place in range(30))),
        "most": guesses(*({X} if place % 2 == 0 or place < 3 else set() for place in range(30))),
        "none": guesses(*[{Y}] * 30),
    }
    return ranking.rank_systems(gold, SystemPredictions(told, {}))


def written(tmp_path: Path, *boards: Board) -> Path:
    path = tmp_path / page.PAGE_FILE
    path.write_text(page.render_page(boards, "A title", "language model"), encoding="utf-8")
    return path


def with_about(board: Board, about: SystemInfo) -> Board:
    """Every system of a board, described like that."""
    return replace(board, rows=tuple(replace(row, about=about) for row in board.rows))


def texts(browser: Browser, column: str) -> list[str]:
    return list(browser.run(f"{ROWS}.map(row => row.querySelector(arguments[0]).innerText.trim())", f".{column}"))


def names(browser: Browser) -> list[str]:
    return list(browser.run(f"{ROWS}.map(row => row.dataset.system)"))


def press(browser: Browser, id: str, *keys: str) -> None:
    browser.run("document.getElementById(arguments[0]).focus()", id)
    browser.driver.switch_to.active_element.send_keys(*keys)


def go(browser: Browser, fragment: str) -> None:
    """To another view, by its link; done when the page shows it."""
    if browser.run("return location.hash") == f"#{fragment}":
        return
    mark = "document.querySelector('#app main').dataset.old = 1; location.hash = arguments[0]"
    browser.run(mark, f"#{fragment}")
    browser.wait("return !document.querySelector('#app main').dataset.old")


def after(browser: Browser, action: Any) -> None:
    """Do something that changes the view, and wait until it has."""
    browser.run("document.querySelector('#app main').dataset.old = 1")
    action()
    browser.wait("return !document.querySelector('#app main').dataset.old")


def test_page_opens_from_a_file_and_requests_nothing(browser: Browser) -> None:
    browser.size(1280)
    browser.open(REAL)
    assert names(browser)
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


@pytest.mark.parametrize("key", ["rank", "system", "figure", "precision", "recall", "right", "ties", "missing"])
def test_every_column_sorts_by_click_and_by_key(browser: Browser, boards: dict[str, Any], key: str) -> None:
    def value(row: dict[str, Any]) -> Any:
        micro = row["score"]["micro"]
        return {
            "rank": row["rank"], "system": row["about"]["name"], "figure": micro["f1"], "right": micro["correct"],
            "precision": micro["precision"], "recall": micro["recall"], "ties": len(row["ties"]),
            "missing": row["score"]["missing"],
        }[key]  # fmt: skip

    rows = boards["ner-folds"]["rows"]
    known = {row["system"]: value(row) for row in rows}
    browser.size(1280)
    browser.open(REAL, "sort=system&order=up" if key != "system" else "")
    for action in (
        lambda: browser.driver.find_element("id", f"sort-{key}").click(),
        lambda: press(browser, f"sort-{key}", Keys.ENTER),
        lambda: press(browser, f"sort-{key}", Keys.SPACE),
    ):
        after(browser, action)
        direction = browser.run(f"return document.querySelector('.head.{key}').getAttribute('aria-sort')")
        found = [known[name] for name in names(browser)]
        there = [each for each in found if each is not None]
        assert direction in ("ascending", "descending")
        assert there == sorted(there, reverse=direction == "descending")
        assert found[: len(there)] == there, "what has no value stands last"
        assert len(found) == len(rows)
        assert browser.run("return document.activeElement.id") == f"sort-{key}"
        assert browser.run("return document.querySelectorAll('[aria-sort]:not([aria-sort=none])').length") == 1


def expected(row: dict[str, Any], show: str) -> str:
    """The figure that a row must show, from leaderboard.json."""
    group, _, name = show.partition(":")
    score = row["score"]
    if not name and group != "micro":
        mean = score[group]
        value = mean["f1"] if group == "macro" else mean["value"]
        return "–" if value is None else f"{value:.3f} {worth(mean)}"
    groups = {"label": score["labels"], "relaxed": score["relaxed"], "coarse": score["coarse"], **score["parts"]}
    (cell,) = [score["micro"]] if group == "micro" else [each for each in groups[group] if each["name"] == name]
    if cell["gold"] < MIN_GOLD_MENTIONS:
        return "counts only"
    return f"{cell['f1']:.3f} {worth(cell)}"


def worth(found: dict[str, Any]) -> str:
    return "no interval" if found["low"] is None else f"[{found['low']:.3f}, {found['high']:.3f}]"


# Every choice of what to show, one after the other: for each row its name, figure and rank.
EVERY = """
const [board, done] = arguments, found = {};
const shows = [...document.querySelectorAll('#show option')].map((each) => each.value);
const next = (at) => {
  if (at === shows.length) return done(found);
  addEventListener('hashchange', () => {
    found[shows[at]] = [...document.querySelectorAll('.ranking tbody tr')].map((row) =>
      [row.dataset.system, row.querySelector('.figure').innerText.trim(), row.querySelector('.rank').innerText.trim()]);
    next(at + 1);
  }, { once: true });
  location.hash = `#board=${board}&show=${shows[at]}`;
};
next(0);
"""


def place_of(row: dict[str, Any]) -> str:
    if row["rank"] is None:
        return "–"
    return str(row["rank"]) if row["rank"] == row["worst_rank"] else f"{row['rank']}–{row['worst_rank']}"


def test_every_board_shows_every_figure(browser: Browser, boards: dict[str, Any]) -> None:
    browser.size(1280)
    seen = 0
    for key, board in boards.items():
        browser.open(REAL, f"board={key}")
        rows = {row["system"]: row for row in board["rows"]}
        places = {name: place_of(row) for name, row in rows.items()}
        found = browser.driver.execute_async_script(EVERY, key)
        parts = {part for part, cells in board["rows"][0]["score"]["parts"].items() if cells}
        assert parts | {"micro", "exact"} <= {show.partition(":")[0] for show in found}
        for show, shown in found.items():
            assert {name: place for name, _, place in shown} == places, "the rank stays that of micro-F1"
            for name, text, _ in shown:
                assert text.startswith(expected(rows[name], show)), (key, show, name)
                seen += 1
    assert seen > 1000
    assert browser.complaints == []


def test_boards_switch_by_keyboard_and_back_button(browser: Browser, boards: dict[str, Any]) -> None:
    browser.open(REAL)
    after(browser, lambda: press(browser, "task-ner", Keys.ARROW_RIGHT))
    assert set(names(browser)) == {row["system"] for row in boards["sector-folds"]["rows"]}
    assert browser.run("return document.activeElement.id") == "task-sector"
    after(browser, lambda: press(browser, "split-folds", Keys.ARROW_RIGHT))
    assert browser.run("return location.hash") == "#board=sector-test"
    after(browser, browser.driver.back)
    after(browser, browser.driver.back)
    assert set(names(browser)) == {row["system"] for row in boards["ner-folds"]["rows"]}
    show = "const s = document.getElementById('show'); s.value = 'label:DATE'; s.dispatchEvent(new Event('change'))"
    after(browser, lambda: browser.run(show))
    assert "label%3ADATE" in browser.run("return location.hash")


def test_tied_systems_are_marked(browser: Browser, small: Board, tmp_path: Path) -> None:
    browser.open(written(tmp_path, small))
    assert dict(zip(names(browser), texts(browser, "rank"), strict=True)) == {
        "all": "1", "half": "2–3", "most": "2–3", "none": "4"
    }  # fmt: skip
    assert dict(zip(names(browser), texts(browser, "ties"), strict=True))["half"] == "most"
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
    for name, (left, right, low, high) in zip(names(browser), browser.run(script), strict=True):
        assert (left, right) == pytest.approx((0, 1), abs=0.02)
        assert (low, high) == pytest.approx((rows[name]["low"], rows[name]["high"]), abs=0.02)


def test_details_open_by_keyboard_with_figures_by_type(browser: Browser, boards: dict[str, Any]) -> None:
    browser.open(REAL)
    row = next(row for row in boards["ner-folds"]["rows"] if row["system"] == "lexicon")
    place = boards["ner-folds"]["rows"].index(row)
    after(browser, lambda: press(browser, f"open-{place}", Keys.ENTER))
    assert browser.run("return document.getElementById('system').open")
    script = (
        "return [...document.querySelectorAll('[data-group=label] [data-name]')].map(row => "
        "[row.dataset.name, ...['figure', 'precision', 'recall', 'right', 'predicted']"
        ".map(key => row.querySelector('.' + key).innerText.trim())])"
    )
    found = {name: cells for name, *cells in browser.run(script)}
    assert list(found) == boards["ner-folds"]["labels"]
    for cell in row["score"]["labels"]:
        assert found[cell["name"]] == [
            expected(row, f"label:{cell['name']}"), f"{cell['precision']:.3f}", f"{cell['recall']:.3f}",
            f"{cell['correct']} / {cell['gold']}", str(cell["predicted"]),
        ]  # fmt: skip
    kinds = (
        "return [...document.querySelectorAll('[data-kind]')].map(row => [row.dataset.kind, +row.cells[1].innerText])"
    )
    assert dict(browser.run(kinds)) == row["mistakes"]["kinds"]
    after(browser, lambda: browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE))
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
    browser.open(REAL, f"board={key}&system={system}")
    script = (
        "const marks = (item, side) => [...item.querySelectorAll(`.${side} .mark`)].map(mark =>"
        "[mark.classList[1], mark.querySelector('.stretch').textContent,"
        "mark.querySelector('small')?.textContent ?? null]);"
        "return [...document.querySelectorAll('.example')].map(item => [item.dataset.id,"
        "marks(item, 'gold'), marks(item, 'predicted'), item.querySelector('.gold p').textContent,"
        "item.querySelector('.text')?.textContent ?? null])"
    )
    found = browser.run(script)
    assert [each[0] for each in found] == [example.id for example in row.mistakes.examples]
    for (_, gold, predicted, line, whole), example in zip(found, row.mistakes.examples, strict=True):
        sides = {
            "gold": [("correct", label) for label in example.correct]
            + [(each.kind, each.gold) for each in example.mistakes if each.gold],
            "predicted": [("correct", label) for label in example.correct]
            + [(each.kind, each.predicted) for each in example.mistakes if each.predicted],
        }
        for marks, side in ((gold, sides["gold"]), (predicted, sides["predicted"])):
            wanted = [
                [kind, example.text[label[0] : label[1]], label[2]] if len(label) > 1 else [kind, label[0], None]
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
    browser.open(written(tmp_path, board), f"system={row.system}")
    assert browser.run("return document.querySelector('.mark.correct .stretch + small').textContent") == "A"
    marked = "return [...document.querySelectorAll('.side .stretch')].map(each => each.textContent)"
    assert browser.run(marked) == ["\u5929\u6d25"] * 2


def test_comparison_shows_the_stored_difference(browser: Browser, boards: dict[str, Any]) -> None:
    board = boards["ner-folds"]
    browser.size(1280)
    browser.open(REAL)
    for system in ("rules", "lexicon"):
        place = [row["system"] for row in board["rows"]].index(system)
        after(browser, lambda place=place: press(browser, f"pick-{place}", Keys.SPACE))
    (pair,) = [each for each in board["pairs"] if {each["a"], each["b"]} == {"rules", "lexicon"}]
    known = pair["difference"]
    sign = 1 if pair["a"] == "rules" else -1

    def said(value: float) -> str:
        return f"{value:+.3f}".replace("-", "\u2212")

    low, high = sorted((sign * known["low"], sign * known["high"]))
    text = browser.run("return document.getElementById('difference').innerText.split('\\n')[0].trim()")
    assert text == f"{said(sign * known['value'])} [{said(low)}, {said(high)}]"
    assert browser.run("return document.getElementById('adjusted').innerText") == f"{known['adjusted']:.4f}"
    verdict = browser.run("return document.getElementById('verdict').innerText")
    assert ("cannot" in verdict) != known["significant"]
    rows = {row["system"]: row for row in board["rows"]}
    cells = (
        "return [...document.querySelectorAll('.sides [data-key]')].map(row => [row.dataset.key, "
        "...[...row.querySelectorAll('.figure')].map(cell => cell.innerText.trim())])"
    )
    compared = browser.run(cells)
    assert {key.partition(":")[0] for key, *_ in compared} >= {"micro", "label", "layout", "familiarity"}
    for key, first, second in compared:
        for system, text in (("rules", first), ("lexicon", second)):
            figure = expected(rows[system], key)
            assert text == figure or (figure == "counts only" and " / " in text), (key, system)
    go(browser, "a=annotator-a&b=rules")
    assert "Not tested" in browser.run("return document.getElementById('verdict').innerText")


@pytest.mark.parametrize("evil", EVIL)
def test_text_of_submitters_is_not_interpreted(browser: Browser, small: Board, tmp_path: Path, evil: str) -> None:
    about = SystemInfo("entry", evil, evil, "javascript:window.hacked=1", evil, "unknown", evil, (evil,))
    rows = tuple(replace(row, about=about, system=f"{evil}{n}", ties=()) for n, row in enumerate(small.rows))
    path = written(tmp_path, replace(small, rows=rows, pairs=()))
    shown = evil.replace("\x00", "\ufffd").replace("\ud800", "?")
    for scripts in (True, False):
        browser.open(path, scripts=scripts)
        if scripts:
            after(browser, lambda: browser.driver.find_element("id", "open-1").click())
            named = browser.run("return document.getElementById('system-name').textContent")
            assert named in (shown, evil.replace("\ud800", "?"))
            assert browser.run("return [document.querySelectorAll('#system a').length, window.hacked ?? null]") == [
                0,
                None,
            ]
            assert browser.run("return document.getElementById('about-link').innerText") == "javascript:window.hacked=1"
            after(browser, lambda: browser.driver.find_element("id", "close").click())
        assert browser.run("return document.querySelectorAll('img, iframe, a, script[src], object').length") == 0
        assert browser.run("return document.scripts.length") == 2
        assert browser.complaints == []


def test_policy_allows_only_the_own_script(browser: Browser, small: Board, tmp_path: Path) -> None:
    """Even if something slipped through: the policy stops it."""
    path = written(tmp_path, small)
    slipped = path.read_text().replace(
        '<div id="app">', "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'><div id=\"app\">"
    )
    path.write_text(slipped)
    browser.open(path)
    assert browser.run("return window.hacked ?? null") is None
    assert names(browser)
    assert "Content Security Policy" in "".join(browser.complaints)


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("https://example.org/a?b=c#d", True), ("HTTP://example.org", True), ("javascript:alert(1)", False),
        ("", False), ("data:text/html,x", False), (" https://example.org", False),
        ("https://a\"onclick='x", False), ("//a.org", False),
    ],
)  # fmt: skip
def test_only_http_links_are_safe(given: str, safe: bool) -> None:
    assert page.link(given) == (given if safe else "")


def test_a_safe_link_is_a_link(browser: Browser, small: Board, tmp_path: Path) -> None:
    board = with_about(small, SystemInfo("entry", "a", "b", "https://example.org/x"))
    browser.open(written(tmp_path, board), f"system={board.rows[0].system}")
    link = browser.run("const a = document.querySelector('#about-link a'); return [a.href, a.rel]")
    assert link == ["https://example.org/x", "noopener noreferrer nofollow"]


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.found.append((f"/{tag}", ()))

    def handle_comment(self, data: str) -> None:
        self.found.append(("comment", (data,)))


HOSTILE = st.text() | st.lists(
    st.sampled_from(["<", ">", "/", "script", "'", '"', "&", "!--", "--", "{{", "}}", "{0}", "style", "x"])
).map("".join)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(*[HOSTILE] * 5))
def test_arbitrary_text_adds_no_element(small: Board, texts: tuple[str, ...]) -> None:
    name, who, link, trained, note = texts
    plain = page.render_page([with_about(small, SystemInfo("entry", "n", "w", "", "t", "no", "x"))], "t")
    told = page.render_page([with_about(small, SystemInfo("entry", name, who, link, trained, "no", note))], "t")
    assert Tags(told).found == Tags(plain).found


OVERFLOW = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"


@pytest.mark.parametrize("width", [320, 375, 600, 800, 1025, 1280, 1920])
def test_no_width_scrolls_sideways(browser: Browser, boards: dict[str, Any], width: int) -> None:
    browser.size(width)
    browser.open(REAL)
    for fragment in (
        *(f"board={key}&lang=en" for key in boards),
        "a=rules&b=tagger&lang=zh",
        "board=sector-folds&lang=zh",
    ):
        go(browser, fragment)
        wide, there = browser.run(OVERFLOW)
        assert wide <= there, fragment
    go(browser, "system=tagger")
    inside = browser.run(
        "const box = document.querySelector('.inside'), edge = box.getBoundingClientRect().right;"
        "const all = [...box.querySelectorAll('table, mark, dl')];"
        "return all.filter(each => each.getBoundingClientRect().right > edge + 1).length"
    )
    assert inside == 0
    browser.size(1280)


def test_long_name_does_not_overflow(browser: Browser, small: Board, tmp_path: Path) -> None:
    browser.size(375)
    browser.open(written(tmp_path, with_about(small, SystemInfo("entry", "x" * 300, "y" * 300))))
    wide, there = browser.run(OVERFLOW)
    assert wide <= there
    browser.size(1280)


# Of each element with text of its own: the contrast of its colour with the first solid colour behind it (WCAG 2.2).
CONTRAST = """
const light = (c) => c.map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; })
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const behind = (node) => { for (; node; node = node.parentElement) {
  const c = parse(getComputedStyle(node).backgroundColor);
  if (c.length < 4 || c[3] === 1) return c.slice(0, 3); } return [255, 255, 255]; };
const own = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
const seen = [...document.querySelectorAll(arguments[0])].filter((node) => own(node) && node.getClientRects().length);
return seen.map((node) => {
  const [a, b] = [light(parse(getComputedStyle(node).color).slice(0, 3)), light(behind(node))];
  return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.outerHTML.slice(0, 80)]; });
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_sufficient_in_light_and_dark(browser: Browser, scheme: str) -> None:
    browser.media(scheme)
    try:
        browser.open(REAL, "a=rules&b=tagger")
        browser.run("document.getElementById('open-5').focus()")  # with rows marked as tied
        found = browser.run(CONTRAST, "#app *")
        go(browser, "board=sector-folds&system=entities")
        found += browser.run(CONTRAST, "#system *")
        paper = browser.run("return getComputedStyle(document.documentElement).backgroundColor")
    finally:
        browser.media("light")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    assert len(found) > 200
    assert [each for each in found if each[0] < 4.5] == []


def test_both_languages_have_all_texts(browser: Browser) -> None:
    said = page.strings()
    own = {key for key in said["zh"] if key not in said["en"]}
    assert set(said["en"]) - set(said["zh"]) <= {"part.column_break"}
    assert {key.partition(".")[0] for key in own} <= {"part"}, "names of the data, glossed"
    for key in said["en"].keys() & said["zh"].keys():
        assert set(re.findall(r"{\w+}", said["en"][key])) == set(re.findall(r"{\w+}", said["zh"][key])), key
    used = set(
        re.findall(r'(?:say|both)\("([a-z_.]+)"', "".join(path.read_text() for path in page._TEMPLATES.iterdir()))
    )
    assert used
    assert used <= set(said["en"]) | {"kind.", "by.", "remark."}


def test_language_is_kept_in_the_address(browser: Browser) -> None:
    browser.open(REAL)
    assert "Rank" in browser.run("return document.getElementById('sort-rank').innerText")
    after(browser, lambda: press(browser, "lang-zh", Keys.ENTER))
    assert browser.run("return [document.documentElement.lang, document.getElementById('sort-rank').innerText]") == [
        "zh-Hans", "名次"
    ]  # fmt: skip
    assert browser.run("return location.hash") == "#lang=zh"
    assert "语言模型" in browser.run("return document.querySelector('.honest').innerText")
    left = browser.run("return document.querySelector('.remarks').innerText")
    assert not re.search("[a-z]{4,}", left)
    assert browser.complaints == []


def test_page_without_sectors_does_not_mention_them(real: Benchmark) -> None:
    boards = [board for board in ranking.build_boards(real) if board.split == "test" and not board.crosswalk]
    both, names = (page.render_page(found, "x") for found in (boards, [b for b in boards if b.task == "ner"]))
    said = page.strings()
    for language in page.LANGUAGES:
        intro, names_alone = said[language]["intro"], said[language]["intro_names"]
        assert (both.count(intro) > 0, both.count(names_alone)) == (True, 0)
        assert (names.count(intro), names.count(names_alone) > 0) == (0, True)


def test_annotator_kind_is_stated(boards: dict[str, Any], real: Benchmark) -> None:
    by = {row["about"]["kind"] for board in boards.values() for row in board["rows"] if row["about"]["annotator"]}
    assert by == {"language model"}
    assert page.strings()["en"]["by.language model"] in REAL.read_text()

    def labelled(*kinds: str) -> str:
        entries = tuple(Annotator(kind, kind, "how", "1.0.0", "2026-11-22", ()) for kind in kinds)
        return page.labelled(Annotators(kinds[0], (replace(entries[0], adjudicates=kinds[1:]), *entries[1:])))

    assert [labelled("person"), labelled("person", "language model")] == ["person", "mixed"]


def test_all_boards_are_shown_without_scripts(browser: Browser, boards: dict[str, Any]) -> None:
    browser.open(REAL, scripts=False)
    for key, board in boards.items():
        text = browser.driver.find_element("id", key).text
        for row in board["rows"]:
            assert row["about"]["name"] in text
            assert expected(row, "micro") in text
            assert all(tie in text for tie in row["ties"])
        assert f"about {board['gap']:.3f}" in text
    assert browser.run(OVERFLOW)[0] <= browser.run(OVERFLOW)[1]


def test_screenshots(browser: Browser, tmp_path: Path) -> None:
    """To be looked at by whoever changes the page: with SCREENSHOTS=1 they go to build/screenshots/."""
    folder = ROOT / "build" / "screenshots" if os.environ.get("SCREENSHOTS") else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    views = {
        "desktop": (1280, "light", ""), "dark": (1280, "dark", "a=lexicon"), "phone": (375, "light", ""),
        "details": (1280, "light", "system=lexicon"), "details-phone": (375, "dark", "system=lexicon"),
        "compare": (1280, "light", "a=lexicon&b=rules"), "chinese": (1280, "light", "lang=zh&board=sector-folds"),
        "noise": (1280, "light", "board=ner-noisy&show=noise:pinyin-3"),
    }  # fmt: skip
    for name, (width, scheme, fragment) in views.items():
        browser.media(scheme)
        browser.size(width)
        browser.open(REAL, fragment)
        browser.size(width, 2600 if "details" in name else browser.run("return document.documentElement.scrollHeight"))
        assert browser.driver.save_screenshot(str(folder / f"{name}.png"))
    browser.media("light")
    browser.size(1280)
