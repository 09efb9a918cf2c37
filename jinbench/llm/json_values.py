"""Find JSON in the replies of language models, and repair what is broken."""

import json
import re
from itertools import accumulate, count
from typing import Any, NamedTuple

MAX_DEPTH = 40  # levels of nesting; labels need three
_MAX_REPAIRED, _MIN_REPAIRED = 20_000, 100  # characters of a reply, and of each value; time grows with their square

_OPENING = re.compile(r"""[\[{](?<!\[(?=[^\[\]{}|\uff5c]*[|\uff5c][^\[\]{}|\uff5c"',:]+\]))""")  # not of [surface|TYPE]
_TOO_DEEP = re.compile(rf"(?:[\[{{(][^\[\]{{}}()]*){{{MAX_DEPTH}}}")
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}
_MARK = "\U0010ff00"  # for private use: in no reply
_CUT = f"cut{_MARK}:0"  # an element of a list, a key and its value in a mapping, the rest of a string
# A string ends with a quotation mark that JSON may go on after; what else is in it must not look like JSON.
_AFTER = r"\s*(?:[\]}),\uff0c:\uff1a]|\Z)"
_STRINGS = [
    re.compile(
        rf"(?<=[\s\[{{(,\uff0c:\uff1a]){left}((?:[^{right}\\]|\\.|{right}(?!{_AFTER}))*)({right}|\\?\Z)", re.DOTALL
    )
    for left, right in ('""', "''", "“”", "””", "‘’", "\uff02\uff02")
]
_HIDDEN = dict(zip(map(ord, "[]{}(),:'\"“”/#\uff0c\uff1a"), range(0x10FF01, 0x10FFFF), strict=False))
_ESCAPE = "\U0010ff80"  # in place of a backslash, so that the length stays
_SHOWN: dict[int, int | None] = {hidden: shown for shown, hidden in _HIDDEN.items()} | {ord(_ESCAPE): None}
_KEY_END = re.compile(r"""(?<=[^\s"'])(?=["']?\s*:)""")
_HALF_WIDTH = {0xFF0C: ",", 0xFF1A: ":"}
_KEY_MARK = re.compile(rf"{_MARK}\d+{_MARK}")


class KeyValuePairs(list[tuple[str, Any]]):
    """A mapping as it was written, in which a key may be repeated."""


class JsonValue(NamedTuple):
    """A list or `KeyValuePairs` in a text. If it breaks off, `value` has its complete elements only."""

    value: list[Any]
    truncated: bool
    start: int
    end: int


_DECODER = json.JSONDecoder(object_pairs_hook=KeyValuePairs, strict=False)


def find_values(text: str) -> list[JsonValue]:
    """Return every outermost list and mapping in `text`, in order. Never raises."""
    values: list[JsonValue] = []
    offset, budget = 0, _MAX_REPAIRED
    while budget > 0 and (match := _OPENING.search(text, offset)):
        start = match.start()
        offset = start + 1
        if _TOO_DEEP.match(text, start):
            continue
        try:
            value, end = _DECODER.raw_decode(text, start)
            truncated = False
        except (ValueError, RecursionError):
            value, length, truncated = _repair(text[start : start + budget])
            budget -= max(_MIN_REPAIRED, length)
            end = len(text) if truncated and value else start + length
        offset = max(offset, end)
        if max(accumulate(_STEPS.get(char, 0) for char in text[start:offset])) <= MAX_DEPTH:
            values.append(JsonValue(value, truncated, start, offset))
    return values


def _repair(text: str) -> tuple[list[Any], int, bool]:
    """Return the value at the start of `text`, its length, and whether it breaks off.

    So that nothing is lost or completed in silence, keys are told apart by number, and the end of the text is marked.
    """
    from json_repair.json_parser import JSONParser

    numbers = count()
    marked = text
    for pattern in _STRINGS:
        marked = pattern.sub(_hide_string, marked)
    marked = _KEY_END.sub(lambda _: f"{_MARK}{next(numbers)}{_MARK}", marked.translate(_HALF_WIDTH))
    parser = JSONParser(marked + _CUT, None, False)
    try:
        value = _to_pairs(parser.parse_json())
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list):
        return [], 0, True
    if parser.index > len(marked):
        return _drop_cut(value), len(text), True
    return value, len(_KEY_MARK.sub("", marked[: parser.index])), False


def _hide_string(match: re.Match[str]) -> str:
    return '"' + match[1].replace('\\"', _ESCAPE + '"').translate(_HIDDEN) + '"' * (match[2] not in ("", "\\"))


def _to_pairs(value: object) -> Any:
    if isinstance(value, dict):
        return KeyValuePairs((_to_pairs(key), _to_pairs(part)) for key, part in value.items())
    if isinstance(value, list):
        return [_to_pairs(part) for part in value]
    if isinstance(value, str):  # with surrogates written as escapes put together
        return _KEY_MARK.sub("", value).translate(_SHOWN).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _drop_cut(value: list[Any]) -> list[Any]:
    """Remove what the end is in: the last part of the innermost container, and the innermost container in a list."""
    containers = [value]
    while containers[-1]:
        last = containers[-1][-1]
        inner = last[1] if isinstance(last, tuple) else last
        if not isinstance(inner, list):
            break
        containers.append(inner)
    if not containers[-1] or _MARK not in json.dumps(containers[-1].pop(), ensure_ascii=False):
        return []
    for outer in reversed(containers[:-1]):
        if not isinstance(outer, KeyValuePairs):
            outer.pop()
            break
    return value
