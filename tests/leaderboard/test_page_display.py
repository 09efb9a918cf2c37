"""The leaderboard page: widths, contrast, languages, no scripts."""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from jinbench.annotation.annotators import Annotator, Annotators
from jinbench.core.benchmark import Benchmark
from jinbench.core.version import __version__
from jinbench.dataset import load
from jinbench.leaderboard import page, ranking
from jinbench.leaderboard.board import Board, SystemInfo, combine_kinds
from tests.helpers.browser import Browser, browser
from tests.helpers.leaderboard_page import (
    REAL,
    change_view,
    describe_systems,
    expected_figure,
    go,
    press,
    write_page,
)
from tests.helpers.paths import ROOT

__all__ = ["browser"]


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
        wide, present = browser.run(OVERFLOW)
        assert wide <= present, fragment
    go(browser, "system=tagger")
    inside = browser.run(
        "const box = document.querySelector('.inside'), edge = box.getBoundingClientRect().right;"
        "const all = [...box.querySelectorAll('table, mark, dl')];"
        "return all.filter(each => each.getBoundingClientRect().right > edge + 1).length"
    )
    assert inside == 0
    browser.size(1280)


@pytest.mark.parametrize("width", [375, 1025, 1280])
def test_long_description_does_not_overflow(browser: Browser, small: Board, tmp_path: Path, width: int) -> None:
    browser.size(width)
    about = SystemInfo("entry", "x" * 300, "y" * 300)
    for described in (
        about,
        replace(about, model="z" * 80, parameters="0.125B", date="2026-11-22", link="https://a.b"),
    ):
        rows = describe_systems(small, described).rows
        rows = tuple(replace(row, score=replace(row.score, missing=30)) for row in rows)
        browser.open(write_page(tmp_path, replace(small, rows=rows)))
        wide, present = browser.run(OVERFLOW)
        assert wide <= present
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
        result = browser.run(CONTRAST, "#app *")
        go(browser, "board=sector-folds&system=entities")
        result += browser.run(CONTRAST, "#system *")
        paper = browser.run("return getComputedStyle(document.documentElement).backgroundColor")
    finally:
        browser.media("light")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    assert len(result) > 200
    assert [item for item in result if item[0] < 4.5] == []


def test_both_languages_have_all_texts(browser: Browser) -> None:
    strings = page.read_strings()
    own = {key for key in strings["zh"] if key not in strings["en"]}
    assert set(strings["en"]) - set(strings["zh"]) <= {"part.column_break"}
    assert {key.partition(".")[0] for key in own} <= {"part"}, "names of the data, glossed"
    for key in strings["en"].keys() & strings["zh"].keys():
        assert set(re.findall(r"{\w+}", strings["en"][key])) == set(re.findall(r"{\w+}", strings["zh"][key])), key
    used = set(
        re.findall(r'(?:say|both)\("([a-z_.]+)"', "".join(path.read_text() for path in page._TEMPLATES.iterdir()))
    )
    assert used
    assert used <= set(strings["en"]) | {"kind.", "by.", "remark.", "fact.", "column."}


def test_language_is_kept_in_the_address(browser: Browser) -> None:
    browser.open(REAL)
    assert "Rank" in browser.run("return document.getElementById('sort-rank').innerText")
    change_view(browser, lambda: press(browser, "lang-zh", Keys.ENTER))
    assert browser.run("return [document.documentElement.lang, document.getElementById('sort-rank').innerText]") == [
        "zh-Hans", "名次"
    ]  # fmt: skip
    assert browser.run("return location.hash") == "#lang=zh"
    assert "语言模型" in browser.run("return document.querySelector('.honest').innerText")
    left = browser.run("return document.querySelector('.remarks').innerText")
    assert not re.search("[a-z]{4,}", left)
    assert browser.complaints == []


@pytest.mark.parametrize(("language", "who"), [("en", "a language model"), ("zh", "语言模型")])
def test_annotators_stand_in_a_band_below_the_systems(
    browser: Browser, boards: dict[str, Any], language: str, who: str
) -> None:
    for key in ("ner-folds", "sector-test", "ner-noisy"):
        browser.open(REAL, f"board={key}&lang={language}")
        bands = browser.run(
            "return [...document.querySelectorAll('.ranking tbody')]"
            ".map(body => [body.querySelector('.group')?.innerText,"
            "[...body.querySelectorAll('[data-system]')].map(row => row.dataset.system)])"
        )
        annotators = [row["system"] for row in boards[key]["rows"] if row["about"]["annotator"]]
        systems = [row["system"] for row in boards[key]["rows"] if not row["about"]["annotator"]]
        assert bands[0] == [None, systems]
        assert [names for _, names in bands[1:]] == ([annotators] if annotators else [])
        assert all(f"({who})" in title or f"（{who}）" in title for title, _ in bands[1:])


@pytest.mark.parametrize("language", page.LANGUAGES)
def test_head_and_legend(browser: Browser, real: Benchmark, language: str) -> None:
    browser.open(REAL, f"lang={language}")
    head = browser.run("return document.querySelector('.facts').innerText")
    for fact in (
        load.read_manifest(real)["version"],
        "2026-11-22",
        f"jinbench {__version__}",
        "DATASET_CARD.md",
        "jinbench submit DIR --dry-run",
        "leaderboard/README.md",
    ):
        assert fact in head
    assert real.card.is_file()
    assert (real.leaderboard / "README.md").is_file()
    strings = page.read_strings()[language]
    legend = browser.run("return document.querySelector('.ranking').previousElementSibling.textContent")
    example = browser.run("return document.querySelector('.ranking').innerText.match(/\\d+–\\d+/)[0]")
    assert legend.split("≈") == [f"{example}{strings['legend.range']} ", strings["legend.tied"]]


@pytest.mark.parametrize("language", page.LANGUAGES)
def test_first_system_is_on_the_first_screen_of_a_phone(
    browser: Browser, boards: dict[str, Any], language: str
) -> None:
    browser.size(390, 844)
    for key in boards:
        browser.open(REAL, f"board={key}&lang={language}")
        end = browser.run("return document.querySelector('.ranking [data-system]').getBoundingClientRect().bottom")
        assert end <= 844, key
    browser.size(1280)


def test_page_without_sectors_does_not_mention_them(real: Benchmark) -> None:
    boards = [board for board in ranking.build_boards(real) if board.split == "test" and not board.crosswalk]
    both, names = (page.render_page(result, "x") for result in (boards, [b for b in boards if b.task == "ner"]))
    strings = page.read_strings()
    for language in page.LANGUAGES:
        intro, names_alone = strings[language]["intro"], strings[language]["intro_names"]
        assert (both.count(intro) > 0, both.count(names_alone)) == (True, 0)
        assert (names.count(intro), names.count(names_alone) > 0) == (0, True)


def test_annotator_kind_is_stated(boards: dict[str, Any], real: Benchmark) -> None:
    by = {row["about"]["kind"] for board in boards.values() for row in board["rows"] if row["about"]["annotator"]}
    assert by == {"language model"}
    assert page.read_strings()["en"]["by.language model"] in REAL.read_text()

    def labelled(*kinds: str) -> str:
        entries = tuple(Annotator(kind, kind, "how", "1.0.0", "2026-11-22", ()) for kind in kinds)
        adjudicated = Annotators(kinds[0], (replace(entries[0], adjudicates=kinds[1:]), *entries[1:]))
        return combine_kinds(adjudicated.kinds)

    assert [labelled("person"), labelled("person", "language model")] == ["person", "mixed"]


def test_all_boards_are_shown_without_scripts(browser: Browser, boards: dict[str, Any]) -> None:
    browser.open(REAL, scripts=False)
    for key, board in boards.items():
        text = browser.driver.find_element("id", key).text
        for row in board["rows"]:
            assert row["about"]["name"] in text
            assert expected_figure(row, "micro") in text
            assert all(tie in text for tie in row["ties"])
        assert f"about {board['minimum_detectable']:.3f}" in text
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
