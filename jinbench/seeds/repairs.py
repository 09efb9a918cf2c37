"""Text repairs with alignment to the page.

A text is a list of (character, page offset). A repair may drop characters or replace one by one; it never adds any, so
that each character that is left still has its offset.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

from jinbench.core.environment import require_packages
from jinbench.core.text import INVISIBLE
from jinbench.core.types import AlignmentRun, CharacterChange


class Char(NamedTuple):
    """A character of a text, and the offset on the page that it comes from."""

    text: str
    page_offset: int


Repair = Callable[[list[Char]], list[Char]]

# A syllable with a tone mark, in brackets: what a converter left behind a character it had looked up.
_PINYIN = re.compile(r"\([a-zü]*[āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ][a-zü]*\)")
HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def to_chars(text: str, page_offset: int = 0) -> list[Char]:
    """Return the characters of a part of a page that a reader sees, without white space at both ends."""
    invisible = {i for match in INVISIBLE.finditer(text) for i in range(*match.span())}
    return strip_chars([Char(char, page_offset + i) for i, char in enumerate(text) if i not in invisible])


def to_text(chars: Sequence[Char]) -> str:
    return "".join(char.text for char in chars)


def strip_chars(chars: list[Char]) -> list[Char]:
    """Strip white space at both ends."""
    text = to_text(chars)
    start = len(text) - len(text.lstrip())
    return chars[start : max(start, len(text.rstrip()))]


def _drop_pinyin(chars: list[Char]) -> list[Char]:
    dropped = {i for match in _PINYIN.finditer(to_text(chars)) for i in range(*match.span())}
    return [char for i, char in enumerate(chars) if i not in dropped]


def _close_up_spaces(chars: list[Char]) -> list[Char]:
    """Drop spaces inside straight quotation marks and between Han characters and Latin ones.

    A space between two Han characters stays: it separates the halves of a title or motto.
    """
    text = to_text(chars)

    def belongs(i: int) -> bool:
        if text[i] != " ":
            return True
        before, after = text[i - 1 : i], text[i + 1 : i + 2]
        if '"' in (before, after):
            return False
        return bool(HAN.match(before)) == bool(HAN.match(after))

    return [char for i, char in enumerate(chars) if belongs(i)]


def _curl_quotes(chars: list[Char]) -> list[Char]:
    """Turn straight quotation marks into “ and ” by turns."""
    repaired = []
    opening = True
    for char in chars:
        if char.text == '"':
            char = char._replace(text="“" if opening else "”")
            opening = not opening
        repaired.append(char)
    return repaired


@cache
def _converter(config: str) -> Callable[[str], str]:
    require_packages("opencc")
    import opencc

    convert: Callable[[str], str] = opencc.OpenCC(config).convert
    return convert


def convert_script(text: str, config: str) -> str:
    """Convert `text` to the other script by an OpenCC configuration such as "t2s"."""
    return _converter(config)(text)


def _script_repair(config: str) -> Repair:
    def repair(chars: list[Char]) -> list[Char]:
        text = convert_script(to_text(chars), config)
        if len(text) != len(chars):  # a phrase rule fired: fall back to one character at a time
            text = "".join(convert_script(char.text, config)[:1] or char.text for char in chars)
        return [char._replace(text=new) for char, new in zip(chars, text, strict=True)]

    return repair


def find_repair(name: str) -> Repair | None:
    """Return the repair called `name`, or None. `script:CONFIG` takes the name of an OpenCC configuration."""
    if name in REPAIRS:
        return REPAIRS[name]
    if name.startswith("script:") and name.removeprefix("script:") in SCRIPTS:
        return _script_repair(name.removeprefix("script:"))
    return None


def apply_repairs(chars: list[Char], names: Iterable[str]) -> list[Char]:
    """Apply the repairs of these names, one after the other; unknown names are ignored."""
    for name in names:
        repair = find_repair(name)
        chars = repair(chars) if repair is not None else chars
    return chars


REPAIRS: dict[str, Repair] = {"pinyin": _drop_pinyin, "spacing": _close_up_spaces, "quotes": _curl_quotes}
SCRIPTS = ("t2s", "tw2s", "hk2s", "s2t", "s2tw", "s2hk")
REPAIR_NAMES = (*REPAIRS, *(f"script:{name}" for name in SCRIPTS))


def align_to_page(chars: Sequence[Char], page: str) -> tuple[tuple[AlignmentRun, ...], tuple[CharacterChange, ...]]:
    """Return the runs and changes that lead from `chars` back to `page`."""
    runs: list[AlignmentRun] = []
    changes = []
    for i, char in enumerate(chars):
        if runs and runs[-1].page_start + runs[-1].length == char.page_offset:
            runs[-1] = runs[-1]._replace(length=runs[-1].length + 1)
        else:
            runs.append(AlignmentRun(i, char.page_offset, 1))
        if page[char.page_offset] != char.text:
            changes.append(CharacterChange(i, page[char.page_offset]))
    return tuple(runs), tuple(changes)
