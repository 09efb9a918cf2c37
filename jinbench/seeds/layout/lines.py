"""Lines of a page, and the repairs that it needs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jinbench.seeds.repairs import HAN, apply_repairs, convert_script, strip_chars, to_chars, to_text

_REFERENCE = (
    r"[（(【\[]\s*(?:上接|下转|下轉|紧接|緊接|转接|轉接|接|转|轉)[^）)】\]]{0,10}[版页頁面][^）)】\]]{0,6}[）)】\]]"
)

_REFERENCE_FIRST, _REFERENCE_LAST = re.compile(rf"\s*{_REFERENCE}"), re.compile(rf"{_REFERENCE}\s*\Z")

_PINYIN = re.compile(r"[\u3400-\u9fff]\([a-zü]*[āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ][a-zü]*\)")

_SPACED = re.compile(r"[\u3400-\u9fff] +[0-9A-Za-z\"]|[0-9A-Za-z\"] +[\u3400-\u9fff]")

_CLOSE = re.compile(r"[\u3400-\u9fff][0-9A-Za-z\"]|[0-9A-Za-z\"][\u3400-\u9fff]")


@dataclass(frozen=True)
class Line:
    """A line of a page, or the part of it before or after a continuation line ("continued from page 1").

    `ref`: the line as articles.toml refers to it. `text`: what the repairs of the page leave. `blank_before`: number of
    blank lines between it and the line before. `is_continuation`: it is a continuation line itself;
    `follows_continuation`: it is the part of its line after one.
    """

    number: int
    ref: str
    text: str
    blank_before: int
    is_continuation: bool = False
    follows_continuation: bool = False


def split_lines(page: str, repairs: Sequence[str] = ()) -> tuple[list[Line], list[int]]:
    """Return the lines of `page` that are not blank, and the numbers of those that the repairs leave empty."""
    lines: list[Line] = []
    emptied: list[int] = []
    blank = 0
    for number, raw in enumerate(page.split("\n"), start=1):
        if not raw.strip():
            blank += 1
            continue
        parts = _split_line(number, raw, repairs, blank)
        lines += parts
        if not parts:
            emptied.append(number)
        blank = 0
    return lines, emptied


def _split_line(number: int, raw: str, repairs: Sequence[str], blank_before: int) -> list[Line]:
    first, last = _REFERENCE_FIRST.match(raw), _REFERENCE_LAST.search(raw)
    start = first.end() if first else 0
    end = last.start() if last and last.start() >= start else len(raw)
    spans = [(0, start, True), (start, end, False), (end, len(raw), True)]
    spans = [(a, b, is_reference) for a, b, is_reference in spans if raw[a:b].strip()]
    if len(spans) == 1 or not all(repair_line(raw[a:b], repairs) for a, b, _ in spans):
        text = repair_line(raw, repairs)
        return [Line(number, str(number), text, blank_before, spans[0][2] and len(spans) == 1)] if text else []
    width = len(raw)
    return [
        Line(number, f"{number}[{a or ''}:{b if b < width else ''}]", repair_line(raw[a:b], repairs),
             blank_before if i == 0 else 0, is_reference, not is_reference and i > 0)
        for i, (a, b, is_reference) in enumerate(spans)
    ]  # fmt: skip


def repair_line(text: str, repairs: Sequence[str]) -> str:
    """Return `text` as `read_seeds` reads it: after the repairs, without white space at either end."""
    return to_text(strip_chars(apply_repairs(to_chars(text), repairs)))


def detect_repairs(page: str) -> tuple[str, ...]:
    """Return the repairs that a page needs: pinyin left behind, spaces around Latin, straight quotes, script."""
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
        # A single one in brackets may be meant for the reader, unless the script was converted too.
        "pinyin": len(_PINYIN.findall(page)) >= (1 if script else 3),
        "spacing": spaced >= 3 and spaced > len(_CLOSE.findall(page)),
        "quotes": straight >= 2 and straight > page.count("“") + page.count("”"),
        f"script:{best}": script,
    }
    return tuple(name for name, is_needed in needed.items() if is_needed)
