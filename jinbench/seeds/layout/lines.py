"""Split a page into lines; detect needed repairs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jinbench.seeds import repairs as restoring
from jinbench.seeds.repairs import HAN, Char, convert_script, strip_chars, to_text

_REFERENCE = (
    r"[（(【\[]\s*(?:上接|下转|下轉|紧接|緊接|转接|轉接|接|转|轉)[^）)】\]]{0,10}[版页頁面][^）)】\]]{0,6}[）)】\]]"
)

_JUMP_FIRST, _JUMP_LAST = re.compile(rf"\s*{_REFERENCE}"), re.compile(rf"{_REFERENCE}\s*\Z")

_PINYIN = re.compile(r"[\u3400-\u9fff]\([a-zü]*[āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ][a-zü]*\)")

_SPACED = re.compile(r"[\u3400-\u9fff] +[0-9A-Za-z\"]|[0-9A-Za-z\"] +[\u3400-\u9fff]")

_CLOSE = re.compile(r"[\u3400-\u9fff][0-9A-Za-z\"]|[0-9A-Za-z\"][\u3400-\u9fff]")


@dataclass(frozen=True)
class Line:
    """A line of a page, or the part of it before or after a page reference. `ref` is how articles.toml names it.

    `text` is what is left after the repairs of the page; `above`: the blank lines between it and the line before.
    """

    number: int
    ref: str
    text: str
    blank_before: int
    is_continuation: bool = False
    follows_continuation: bool = False


def split_lines(page: str, repairs: Sequence[str] = ()) -> tuple[list[Line], list[int]]:
    """The lines of `page` that are not blank, and the numbers of those of which the repairs leave nothing."""
    found: list[Line] = []
    emptied: list[int] = []
    blank = 0
    for number, raw in enumerate(page.split("\n"), start=1):
        if not raw.strip():
            blank += 1
            continue
        parts = _parts(number, raw, repairs, blank)
        found += parts
        if not parts:
            emptied.append(number)
        blank = 0
    return found, emptied


def _parts(number: int, raw: str, repairs: Sequence[str], above: int) -> list[Line]:
    first, last = _JUMP_FIRST.match(raw), _JUMP_LAST.search(raw)
    start = first.end() if first else 0
    end = last.start() if last and last.start() >= start else len(raw)
    spans = [(0, start, True), (start, end, False), (end, len(raw), True)]
    spans = [(a, b, jump) for a, b, jump in spans if raw[a:b].strip()]
    if len(spans) == 1 or not all(repair_line(raw[a:b], repairs) for a, b, _ in spans):
        text = repair_line(raw, repairs)
        return [Line(number, str(number), text, above, spans[0][2] and len(spans) == 1)] if text else []
    width = len(raw)
    return [
        Line(number, f"{number}[{a or ''}:{b if b < width else ''}]", repair_line(raw[a:b], repairs),
             above if i == 0 else 0, jump, not jump and i > 0)
        for i, (a, b, jump) in enumerate(spans)
    ]  # fmt: skip


def repair_line(text: str, repairs: Sequence[str]) -> str:
    """`text` as `jinbench seeds` reads it: after the repairs, without white space at either end."""
    chars = strip_chars([Char(char, i) for i, char in enumerate(text)])
    return to_text(strip_chars(restoring.apply_repairs(chars, repairs)))


def detect_repairs(page: str) -> tuple[str, ...]:
    """The repairs that a page shows the need of: pinyin left behind, spaces around Latin, straight quotes, script."""
    han = len(HAN.findall(page))
    if han * 4 < sum(not char.isspace() for char in page):
        return ()  # mostly another script: these repairs are for Chinese
    spaced = len(_SPACED.findall(page))
    straight = page.count('"')
    distinct = sorted(set(HAN.findall(page)))
    changed = {}
    for config in ("t2s", "tw2s", "hk2s"):
        other = {char for char in distinct if convert_script(char, config) != char}
        changed[config] = sum(char in other for char in page)
    best = max(changed, key=lambda config: changed[config])  # the first of equals: plain t2s
    script = changed[best] * 20 > han
    needed = {
        # One in brackets may be there for the reader; where the script was turned over too, it is not.
        "pinyin": len(_PINYIN.findall(page)) >= (1 if script else 3),
        "spacing": spaced >= 3 and spaced > len(_CLOSE.findall(page)),
        "quotes": straight >= 2 and straight > page.count("“") + page.count("”"),
        f"script:{best}": script,
    }
    return tuple(name for name, yes in needed.items() if yes)
