"""A person at the annotation page: the real Label Studio in a real browser, worked with mouse and keys."""

import base64
import contextlib
import os
import time
from pathlib import Path
from typing import Any

from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver import ActionChains
from selenium.webdriver.support.ui import WebDriverWait

from jinbench.annotation.annotators import account_email
from jinbench.labelstudio.server import accounts, process
from tests.helpers.browser import Browser
from tests.helpers.paths import ROOT

WIDTH, HEIGHT = 1280, 800
PICTURES = "JINBENCH_PICTURES"  # where it is set, the screenshots go into docs/images

# Start and end of a part of the passage, as points of the window. Lines of a text are elements of their own, without
# the line break between them.
STRETCH = """
const [needle, nth] = arguments, nodes = [];
let text = "";
for (const line of document.querySelectorAll(".passage .lsf-richtext__line")) {
  if (nodes.length) text += "\\n";
  const walk = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) { nodes.push([walk.currentNode, text.length]); text += walk.currentNode.data; }
}
let start = -1;
for (let i = 0; i <= nth; i++) start = text.indexOf(needle, start + 1);
if (start < 0) return null;
const place = at => { const [node, from] = nodes.findLast(([, from]) => from <= at); return [node, at - from]; };
const range = document.createRange(), [last, before] = place(start + needle.length - 1);
range.setStart(...place(start));
range.setEnd(last, before + 1);
const boxes = [...range.getClientRects()].filter(box => box.width > 0), first = boxes[0], end = boxes.at(-1);
return [first.left + 0.5, (first.top + first.bottom) / 2, end.right - 0.5, (end.top + end.bottom) / 2];
"""
REGIONS = (
    """return [...document.querySelectorAll(".passage [data-label]")].map(each => each.dataset.label.split(":")[1])"""
)
# Needed elements that are not wholly visible, and elements that can be scrolled.
UNSEEN = """
const outside = arguments[0].filter(selector => !document.querySelector(selector));
for (const each of document.querySelectorAll(arguments[0].join())) {
  const box = each.getBoundingClientRect();
  const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  const inside = box.width && box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight;
  if (!inside || !top || !(each.contains(top) || top.contains(each))) outside.push(each.textContent);
}
for (let each = document.querySelector(".jinbench"); each; each = each.parentElement)
  if (each.scrollHeight > each.clientHeight + 1 && getComputedStyle(each).overflowY !== "visible"
      || each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).overflowX !== "visible")
    outside.push("scrolls: " + (each.className || each.tagName));
return outside;
"""
# Text and background colours of labels and hotkeys.
WRITTEN = """
return [...document.querySelectorAll(".jinbench .lsf-label__text, .jinbench .lsf-label__hotkey")].map(each =>
  [getComputedStyle(each).color, getComputedStyle(each.closest(".lsf-label")).backgroundColor]);
"""
NEEDED = [
    ".jinbench h3",
    ".jinbench .lsf-label",
    ".jinbench .lsf-label__hotkey",
    ".jinbench .lsf-choice",
    ".jinbench .lsf-hint",
    ".passage",
    ".context .lsf-richtext__line:not(:empty)",
    "button[name=submit]",
]


class AnnotatorBrowser:
    """An annotator at the browser."""

    def __init__(self, browser: Browser, server: process.Server) -> None:
        self.browser, self.server = browser, server
        browser.size(WIDTH, HEIGHT)

    def log_in(self, name: str) -> None:
        """Through the form, as the person `name`."""
        browser, account = self.browser, accounts.accounts_by_name()[name]
        browser.driver.delete_all_cookies()
        browser.go(f"{self.server.url}/user/login/")
        self.enter_login(account_email(name), account.password)

    def enter_login(self, login: str, password: str) -> None:
        """Into the form that is there."""
        browser = self.browser
        browser.wait("return document.querySelector('input[name=email]')").send_keys(login)
        browser.run("return document.querySelector('input[name=password]')").send_keys(password + "\n")
        browser.wait("return !location.pathname.startsWith('/user/login') && document.body")

    def open_project(self, title: str) -> None:
        """From the list of projects."""
        self.browser.driver.get(f"{self.server.url}/projects/")
        find = (
            "return [...document.querySelectorAll('a[href*=projects]')].find(a => a.textContent.includes(arguments[0]))"
        )
        self.click(find, title)
        self.browser.wait("return document.querySelector('.lsf-data-view-dm, .lsf-table, [class*=table]')")

    def label_all(self) -> str:
        """Into the stream of tasks. Returns the instructions that come up, as HTML, and closes them."""
        self.button("Label All Tasks")
        instructions = str(self.browser.wait("return document.querySelector('.lsf-modal-ls__body')?.innerHTML"))
        for _ in range(50):  # it slides in, and a click may miss it
            with contextlib.suppress(WebDriverException):
                button = self.browser.run("return document.querySelector('.lsf-modal-ls__header button')")
                if button is None:
                    break
                ActionChains(self.browser.driver, duration=0).click(button).perform()
            time.sleep(0.1)
        self.browser.wait("return !document.querySelector('.lsf-modal-ls')")
        return instructions

    def at(self, text: str) -> None:
        """Until the passage is there to be worked on."""
        lines = (
            "return [...document.querySelectorAll('.passage .lsf-richtext__line')].map(e => e.textContent).join('\\n')"
        )
        self.browser.wait(f"return (() => {{ {lines} }})() === arguments[0]", text)

    def click(self, script: str, *arguments: Any) -> None:
        """With the mouse, on the element that `script` returns."""
        ActionChains(self.browser.driver, duration=0).click(self.browser.wait(script, *arguments)).perform()

    def button(self, text: str) -> None:
        self.click(
            "return [...document.querySelectorAll('button')]"
            ".find(b => b.innerText.trim() === arguments[0] && !b.disabled && b.dataset.waiting !== 'true')",
            text,
        )

    def press(self, keys: str) -> None:
        ActionChains(self.browser.driver, duration=0).send_keys(keys).perform()

    def pick(self, hotkey: str) -> None:
        """A type, by its key."""
        self.press(hotkey)
        script = "return document.querySelector('.lsf-label_selected .lsf-label__hotkey')?.textContent === arguments[0]"
        self.browser.wait(script, hotkey)

    def drag(self, needle: str, nth: int = 0) -> None:
        """The mouse over the characters of `needle`, where it stands for the nth time."""
        left, top, right, bottom = map(round, self.browser.run(STRETCH, needle, nth))
        actions = ActionChains(self.browser.driver, duration=0)
        pointer = actions.w3c_actions.pointer_action
        pointer.move_to_location(left, top).pointer_down().move_to_location(right, bottom).pointer_up()
        actions.perform()

    def mark(self, hotkey: str, needle: str, nth: int = 0) -> None:
        """A type by its key, then the mouse over the characters, until the region is there."""
        count = len(self.browser.run(REGIONS))
        self.pick(hotkey)
        self.drag(needle, nth)
        self.browser.wait(f"return (() => {{ {REGIONS} }})().length === arguments[0]", count + 1)

    def ticked(self) -> list[str]:
        names: list[str] = self.browser.run(
            "return [...document.querySelectorAll('.jinbench input:checked')].map(i => i.name)"
        )
        return names

    def tick(self, name: str) -> None:
        """A sector, with the mouse."""
        self.click(
            "return [...document.querySelectorAll('.lsf-choice input')].find(i => i.name === arguments[0])", name
        )

    def submit(self) -> None:
        self.browser.run("document.querySelector('.passage').dataset.before = 'here'")
        self.button("Submit")
        self.browser.wait("return !document.querySelector('.passage[data-before]')")

    def tabs(self, count: int) -> list[str]:
        """The names on the tabs above a passage, once there are so many."""
        script = """
        const tabs = [...document.querySelectorAll(".lsf-annotation-button")];
        const names = tabs.map(tab => tab.innerText.split("\\n").find(line => line.length > 2));
        return names.length === arguments[0] && names.every(Boolean) && names;
        """
        labels: list[str] = self.browser.wait(script, count)
        return labels

    def open_tab(self, number: int, marks: list[str]) -> None:
        """A click on a tab, until the passage has these types on it: a tab may come before it answers."""

        def opened(_: Any) -> bool:
            self.click("return document.querySelectorAll('.lsf-annotation-button')[arguments[0]]", number)
            return sorted(self.browser.run(REGIONS)) == sorted(marks)

        WebDriverWait(self.browser.driver, 30, 0.2, [StaleElementReferenceException]).until(opened)

    def unseen(self, *more: str) -> list[str]:
        """Return the needed elements that are not wholly in the window, and those that would have to be scrolled."""
        hidden: list[str] = self.browser.run(UNSEEN, [*NEEDED, *more])
        return hidden

    def picture(self, name: str, folder: Path) -> Path:
        """Take a screenshot of the window."""
        if os.environ.get(PICTURES):
            folder = ROOT / "docs" / "images"
        folder.mkdir(exist_ok=True)
        image = self.browser.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
        (folder / name).write_bytes(base64.b64decode(image["data"]))
        return folder / name
