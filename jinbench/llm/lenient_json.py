"""Lenient JSON: find it in the replies of language models, and read it although it is not quite JSON.

Read are: trailing, missing and full-width commas and colons; strings in single or typographic quotation marks, with
line breaks or unescaped quotation marks inside; Python's tuples and constants; names without quotation marks; comments;
and the complete elements of what breaks off. Nothing is evaluated.
"""

import re
from dataclasses import dataclass
from typing import Any, NoReturn

MAX_DEPTH = 40  # levels of nesting; labels need three
_MAX_COMMENT = 500  # characters between /* and */
_ATTEMPTS = 16  # brackets that may fail at the end of the text; bounds the time that hostile text costs

_CLOSING = {"[": "]", "{": "}", "(": ")"}
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "”": "”", "\uff02": "\uff02"}
_COMMAS, _COLONS = ",\uff0c\u3001;\uff1b", ":\uff1a="
_SPACE = re.compile(r"(?:\s|//[^\n]*|#[^\n]*|\.\.\.|…)*")
_WORD = re.compile(r"[A-Za-z_][\w-]*|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_AFTER = re.compile(r"\s*(?:[\]}),:\uff0c\uff1a]|//|#|$)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_CONSTANTS = {"true": True, "false": False, "null": None, "none": None, "nan": None}


class KeyValuePairs(list[tuple[str, Any]]):
    """A mapping as it was written, in which a key may be repeated."""


@dataclass(frozen=True)
class JsonValue:
    """A list or :class:`KeyValuePairs` in a text. Unless `whole`, `value` has its complete elements only."""

    value: object
    whole: bool
    truncated: bool  # not closed before the end of the text
    start: int
    end: int


def find_values(text: str) -> list[JsonValue]:
    """Return every outermost list and mapping in `text`, in order. Never raises."""
    values: list[JsonValue] = []
    offset = attempts = 0
    while attempts < _ATTEMPTS and (match := re.compile(r"[\[{]").search(text, offset)):
        reader = _JsonReader(text, match.start())
        try:
            value = reader.read_value()
        except _BrokenError:
            value = reader.salvage()
            truncated = reader.offset >= len(text)
            attempts += truncated
            if value or truncated:
                values.append(JsonValue(value, False, truncated, match.start(), reader.offset))
            if value and truncated:
                break
            offset = reader.offset if value else match.start() + 1
        else:
            values.append(JsonValue(value, True, False, match.start(), reader.offset))
            offset = reader.offset
    return values


class _BrokenError(Exception):
    pass


class _JsonReader:
    """Reads one value from `offset` on; containers are filled while they are read, so that a broken one can be used."""

    def __init__(self, text: str, offset: int) -> None:
        self.text = text
        self.offset = offset
        self.key = ""
        self.open: list[list[Any]] = []  # the containers that are not closed yet, outermost first
        self.root: object = None

    def read_value(self) -> object:
        char = self.text[self.offset : self.offset + 1]
        if char in _QUOTES:
            return self.read_string()
        if char in _CLOSING and char:
            return self.read_container(char)
        return self.read_word()

    def read_container(self, opening: str) -> list[Any]:
        if len(self.open) >= MAX_DEPTH:
            self.fail()
        container: list[Any] = KeyValuePairs() if opening == "{" else []
        if self.root is None:
            self.root = container
        else:
            self.open[-1].append((self.key, container) if isinstance(self.open[-1], KeyValuePairs) else container)
        self.open.append(container)
        self.offset += 1
        while self.skip_to_token(_COMMAS) != _CLOSING[opening]:
            self.read_pair(container) if isinstance(container, KeyValuePairs) else self.read_element(container)
        self.offset += 1
        self.open.pop()
        return container

    def read_element(self, container: list[Any]) -> None:
        value = self.read_value()
        if not isinstance(value, list):  # containers add themselves
            container.append(value)

    def read_pair(self, pairs: KeyValuePairs) -> None:
        key = self.read_value()
        if not isinstance(key, str) or self.skip_to_token("") not in _COLONS:
            self.fail()
        self.offset += 1
        self.skip_to_token("")
        self.key = key
        value = self.read_value()
        if not isinstance(value, list):
            pairs.append((key, value))

    def skip_to_token(self, also: str) -> str:
        """Skip white space, comments and characters of `also`, and return the next character; fails at the end."""
        while True:
            match = _SPACE.match(self.text, self.offset)
            self.offset = match.end() if match else self.offset
            if self.offset >= len(self.text):
                self.fail()
            if self.text.startswith("/*", self.offset):
                end = self.text.find("*/", self.offset, self.offset + _MAX_COMMENT)
                if end < 0:
                    self.fail()
                self.offset = end + 2
            elif self.text[self.offset] not in also:
                return self.text[self.offset]
            else:
                self.offset += 1

    def read_word(self) -> object:
        match = _WORD.match(self.text, self.offset)
        if match is None:
            self.fail()
        self.offset = match.end()
        if self.offset >= len(self.text):
            self.fail()
        word = match[0]
        if word.lower() in _CONSTANTS:
            return _CONSTANTS[word.lower()]
        if word[0].isdigit() or word[0] == "-":
            return int(word) if word.lstrip("-").isdigit() and len(word) < 20 else float(word)
        return word

    def read_string(self) -> str:
        """Read up to the first quotation mark after which JSON goes on; others belong to the string."""
        closing = {_QUOTES[self.text[self.offset]], self.text[self.offset]}
        if closing & {"“", "”"}:
            closing |= {'"'}
        parts: list[str] = []
        offset = self.offset + 1
        while True:
            if offset >= len(self.text):
                self.offset = offset
                self.fail()
            char = self.text[offset]
            if char == "\\" and offset + 1 < len(self.text):
                piece, offset = _read_escape(self.text, offset + 1)
                parts.append(piece)
                continue
            if char in closing and _AFTER.match(self.text, offset + 1):
                self.offset = offset + 1
                return "".join(parts)
            parts.append(char)
            offset += 1

    def salvage(self) -> object:
        """Return what was read completely, without a last element that is a container still open."""
        for container, inner in zip(reversed(self.open[:-1]), reversed(self.open[1:]), strict=True):
            if not isinstance(container, KeyValuePairs) and container and container[-1] is inner:
                container.pop()
                break
        return self.root

    def fail(self) -> NoReturn:
        raise _BrokenError


def _read_escape(text: str, offset: int) -> tuple[str, int]:
    """Return the character that an escape stands for, and the offset after it."""
    char = text[offset]
    if char != "u":
        return _ESCAPES.get(char, char), offset + 1
    units, end = "", offset
    while (match := re.compile(r"u([0-9a-fA-F]{4})").match(text, end)) and len(units) < 2:
        units += chr(int(match[1], 16))
        end = match.end()
        if not "\ud800" <= units[0] <= "\udbff" or len(units) == 2 or text[end : end + 2] != "\\u":
            break
        end += 1
    if not units:
        return "u", offset + 1
    return units.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), end
