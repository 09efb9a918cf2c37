"""Find JSON in the replies of language models, and repair what is broken."""

import json
import re
from itertools import accumulate, count
from typing import Any, NamedTuple

MAX_DEPTH = 40  # levels of nesting; labels need three
_MAX_REPAIRED, _MIN_REPAIRED = 20_000, 100  # characters of a reply, and of each value; time grows with their square
_IN_VAIN = 400  # characters that a value counts for of which nothing can be read

_OPENING = re.compile(r"""[\[{](?<!\[(?=[^\[\]{}|\uff5c]*[|\uff5c][^\[\]{}|\uff5c"',:]+\]))""")  # not of [surface|TYPE]
_TOO_DEEP = re.compile(rf"(?:[\[{{(][^\[\]{{}}()]*){{{MAX_DEPTH}}}")
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}
_MARK = "\U0010ff00"  # for private use: in no reply
_CUT = f"cut{_MARK}:0"  # an element of a list, a key and its value in a mapping, the rest of a string
# A string ends with a quotation mark that JSON may go on after; what else is in it must not look like JSON.
_KEY = r"[\"'“]?[\w-]{1,30}[\"'”]?\s*[:\uff1a]"
_AFTER = rf"(?:\s*(?:[\]}}),\uff0c:\uff1a=]|\Z|{_KEY})|\s+[\"'“])"
_STRINGS = [
    re.compile(
        rf"(?<=[\s\[{{(,\uff0c:\uff1a]){left}((?:[^{right}\\]|\\.|{right}(?!{_AFTER}))*)({right}|\\?\Z)", re.DOTALL
    )
    for left, right in ('""', "''", "“”", "””", "‘’", "\uff02\uff02", "「」", "『』")
]
_HIDDEN = dict(zip(map(ord, "[]{}(),:'\"“”/#\uff0c\uff1a"), range(0x10FF01, 0x10FFFF), strict=False))
_ESCAPE = "\U0010ff80"  # in place of a backslash, so that the length stays
_SHOWN: dict[int, int | None] = {hidden: shown for shown, hidden in _HIDDEN.items()} | {ord(_ESCAPE): None}
_KEY_END = re.compile(r"""(?<=[^\s"'])(?=["']?\s*:)""")
_HALF_WIDTH = {0xFF0C: ",", 0xFF1A: ":"}
_FULL_WIDTH = str.maketrans("\uff3b\uff3d\uff5b\uff5d\uff1a\uff0c\uff02【】", '[]{}:,"[]')
# Lists without anything that can be read, such as [...], which are not empty.
_PLACEHOLDER = re.compile(r"\[(?:\s*(?=[)}])|(?=[^\w\s])[^\w\"'“\[\]{}()/#]*\])")
_OBJECT = re.compile(r"\{[^{}]*\}|\{[^{}\[\]]*,(?=\s*\{)")  # innermost; also one whose bracket is missing
_OPEN_KEY = re.compile(r"""(\{\s*"\w+)(\s*[:\uff1a]\s*)(?=[\[{])""")  # a key without its end, before a list
_ESCAPED = re.compile(r"""[\[{][^"]*?\\"(?:[^"\\]|\\.)*""", re.DOTALL)  # JSON in a string of JSON
_SLIPS = [  # in an object: two colons, a key without its end, a value without its end, a key without a colon
    (re.compile(r"""(?<=")\s*[:\uff1a]{2,}(?=\s*")"""), ":"),
    (re.compile(r"""([{,]\s*")(\w+)(\s*[:\uff1a]\s*")(?!\s*[,}\]])"""), r'\1\2"\3'),
    (re.compile(r"""([:\uff1a]\s*"[^"{}]+?)(\s*[,\uff0c]\s*"\w+"\s*[:\uff1a])"""), r'\1"\2'),
    (
        re.compile(
            r"([{,]\s*)(\w+)\s*[:\uff1a]\s*(?![-\d]|true|false|null)([^\s\"'“”{}\[\],\uff0c:\uff1a][^\"'“”{}\[\],\uff0c:\uff1a]*?)\s*(?=[,\uff0c}])"
        ),
        r'\1"\2": "\3"',
    ),
    (re.compile(r"""([{,]\s*"\w+")\s*=?>?\s*(?=")"""), r"\1:"),
]
_WHOLE = re.compile(r"""\s*(?:\{|\[\s*[\[{"\]])""")
_KEY_MARK = re.compile(rf"{_MARK}\d+{_MARK}")


class KeyValuePairs(list[tuple[str, Any]]):
    """A mapping as it was written, in which a key may be repeated."""


class JsonValue(NamedTuple):
    """A list or `KeyValuePairs` in a text. If it breaks off, `value` has its complete elements only."""

    value: list[Any]
    truncated: bool
    start: int
    end: int
    repaired: bool = False


_DECODER = json.JSONDecoder(object_pairs_hook=KeyValuePairs, strict=False)


def find_values(text: str) -> list[JsonValue]:
    """Return every outermost list and mapping in `text`, in order. Never raises."""
    if not _OPENING.search(text):
        text = text.translate(_FULL_WIDTH)
    values: list[JsonValue] = []
    offset, budget = 0, _MAX_REPAIRED
    while budget > 0 and (match := _OPENING.search(text, offset)):
        start = match.start()
        offset = start + 1
        if _TOO_DEEP.match(text, start):
            continue
        repaired = truncated = False
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            if escaped := _ESCAPED.match(text, start):
                inner = find_values(escaped[0].replace('\\"', '"').replace("\\\\", "\\").replace("\\n", "\n"))
                values += [found._replace(start=start, end=escaped.end()) for found in inner]
                offset = escaped.end()
                continue
            repaired = True
            innermost = _OBJECT.match(text, start, start + budget)
            value, length, truncated = _repair(innermost[0]) if innermost else ([], 0, True)
            if truncated:
                value, length, truncated = _repair(text[start : start + budget])
            budget -= max(_MIN_REPAIRED, length) if length else _IN_VAIN
            end = len(text) if truncated and value else start + length
        offset = max(offset, end)
        if max(accumulate(_STEPS.get(char, 0) for char in text[start:offset])) <= MAX_DEPTH:
            values.append(JsonValue(value, truncated, start, offset, repaired))
    return values


def unpack_strings(value: Any) -> Any:
    """Return a value with what stands in strings that are JSON themselves."""
    if isinstance(value, str) and _WHOLE.match(value):
        inner = find_values(value)
        whole = len(inner) == 1 and not inner[0].truncated and inner[0].end >= len(value.rstrip())
        return unpack_strings(inner[0].value) if whole else value
    if isinstance(value, KeyValuePairs):
        return KeyValuePairs((key, unpack_strings(part)) for key, part in value)
    return [unpack_strings(part) for part in value] if isinstance(value, list) else value


def _repair(text: str) -> tuple[list[Any], int, bool]:
    """Return the value at the start of `text`, its length, and whether it breaks off.

    Innermost objects are repaired one by one, so that one that cannot be read does not take others with it.
    """
    pieces, ends, start = [], [(0, 0)], 0
    while (brace := text.find("{", start)) >= 0:
        match = None
        try:
            end = _DECODER.raw_decode(text, brace)[1]
        except (ValueError, RecursionError):
            match = _OPEN_KEY.match(text, brace) or _OBJECT.match(text, brace)
            end = match.end() if match else brace + 1
        repaired = match.expand(r'\1"\2') if match and match.re is _OPEN_KEY else match and _repair_object(match[0])
        pieces.append(text[start:brace] + (repaired or text[brace:end]))
        start = end
        ends.append((ends[-1][0] + len(pieces[-1]), start))
    plain = "".join([*pieces, text[start:]])
    try:
        value, length = _DECODER.raw_decode(plain)
        truncated = False
    except (ValueError, RecursionError):
        value, length, truncated = _parse_broken(plain)
    new, old = max(pair for pair in ends if pair[0] <= length)
    return value, old + length - new, truncated


def _repair_object(text: str) -> str:
    if text.endswith(","):
        return _repair_object(text[:-1] + "}") + ","
    try:
        json.loads(text, strict=False)
        return text
    except (ValueError, RecursionError):
        written = text
    for pattern, correction in _SLIPS:
        written = pattern.sub(correction, written)
    value, length, truncated = _parse_broken(written)
    if not isinstance(value, KeyValuePairs) or not value:
        return text
    if truncated or length < len(written):
        return "null"
    return "{" + ", ".join(f"{_dump(key)}: {_dump(part)}" for key, part in value) + "}"


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _parse_broken(text: str) -> tuple[list[Any], int, bool]:
    """Parse `text` by json-repair.

    So that nothing is lost or completed in silence, keys are told apart by number, and the end of the text is marked.
    """
    from json_repair.json_parser import JSONParser

    numbers = count()
    marked = text if "”" in text else text.replace("“", "”")
    for pattern in _STRINGS:
        marked = pattern.sub(_hide_string, marked)
    marked = _PLACEHOLDER.sub("[null]", marked.translate(_HALF_WIDTH))
    marked = _KEY_END.sub(lambda _: f"{_MARK}{next(numbers)}{_MARK}", marked)
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
