"""The leaderboard page: text of submitters does nothing."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jinbench.leaderboard import page
from jinbench.leaderboard.board import Board, SystemInfo, safe_link
from tests.helpers.browser import Browser, browser
from tests.helpers.leaderboard_page import change_view, describe_systems, listed_systems, write_page

__all__ = ["browser"]


EVIL = [
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 1</script>",
    "\"><img src=x onerror='window.hacked = 1'>",
    "{{ 7 * 7 }}{% raw %}<!-- --> &lt;b&gt; ]]> </style><svg onload=window.hacked=1>",
    "\u202eright to left\u2028\x00\ud800",
]


@pytest.mark.parametrize("evil", EVIL)
def test_text_of_submitters_is_not_interpreted(browser: Browser, small: Board, tmp_path: Path, evil: str) -> None:
    about = SystemInfo("entry", evil, evil, "javascript:window.hacked=1", evil, "unknown", evil, (evil,), model=evil)
    about = replace(about, parameters=evil, date=evil)
    rows = tuple(replace(row, about=about, system=f"{evil}{n}", ties=()) for n, row in enumerate(small.rows))
    path = write_page(tmp_path, replace(small, rows=rows, pairs=()))
    shown = evil.replace("\x00", "\ufffd").replace("\ud800", "?")
    for scripts in (True, False):
        browser.open(path, scripts=scripts)
        if scripts:
            change_view(browser, lambda: browser.driver.find_element("id", "open-1").click())
            named = browser.run("return document.getElementById('system-name').textContent")
            assert named in (shown, evil.replace("\ud800", "?"))
            assert browser.run("return [document.querySelectorAll('#system a').length, window.hacked ?? null]") == [
                0,
                None,
            ]
            assert browser.run("return document.getElementById('about-link').innerText") == "javascript:window.hacked=1"
            change_view(browser, lambda: browser.driver.find_element("id", "close").click())
        assert browser.run("return document.querySelectorAll('img, iframe, a, script[src], object').length") == 0
        assert browser.run("return document.scripts.length") == 2
        assert browser.complaints == []


def test_policy_allows_only_the_own_script(browser: Browser, small: Board, tmp_path: Path) -> None:
    """Even if something slipped through: the policy stops it."""
    path = write_page(tmp_path, small)
    slipped = path.read_text().replace(
        '<div id="app">', "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'><div id=\"app\">"
    )
    path.write_text(slipped)
    browser.open(path)
    assert browser.run("return window.hacked ?? null") is None
    assert listed_systems(browser)
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
    assert safe_link(given) == (given if safe else "")


def test_a_safe_link_is_a_link(browser: Browser, small: Board, tmp_path: Path) -> None:
    board = describe_systems(small, SystemInfo("entry", "a", "b", "https://example.org/x"))
    browser.open(write_page(tmp_path, board), f"system={board.rows[0].system}")
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


@settings(max_examples=40)
@given(st.tuples(*[HOSTILE] * 6))
def test_arbitrary_text_adds_no_element(small: Board, texts: tuple[str, ...]) -> None:
    name, who, link, trained, note, model = texts
    model += "x"  # a model is a column
    plain = page.render_page(
        [describe_systems(small, SystemInfo("entry", "n", "w", "", "t", "no", "x", model="m"))], "t"
    )
    shown = page.render_page(
        [describe_systems(small, SystemInfo("entry", name, who, link, trained, "no", note, model=model))], "t"
    )
    assert Tags(shown).found == Tags(plain).found
