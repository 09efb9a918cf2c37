"""JSON as language models write it: found among chatter, and read although it is not quite JSON.

Read are: trailing, missing and full-width commas and colons; strings in single or typographic quotation marks, with
line breaks or unescaped quotation marks inside; Python's tuples and constants; names without quotation marks; comments;
and of what breaks off, the elements that are whole. Nothing is evaluated.
"""

import re
from dataclasses import dataclass
from typing import Any, NoReturn

DEEPEST = 40  # levels of nesting; labels need three
_COMMENT = 500  # how long a comment between /* and */ may be
_ATTEMPTS = 16  # openings that may run to the end of the text in vain, so that hostile text costs no square time

_CLOSING = {"[": "]", "{": "}", "(": ")"}
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "”": "”", "\uff02": "\uff02"}
_COMMAS, _COLONS = ",\uff0c\u3001;\uff1b", ":\uff1a="
_SPACE = re.compile(r"(?:\s|//[^\n]*|#[^\n]*|\.\.\.|…)*")
_WORD = re.compile(r"[A-Za-z_][\w-]*|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_AFTER = re.compile(r"\s*(?:[\]}),:\uff0c\uff1a]|//|#|$)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_CONSTANTS = {"true": True, "false": False, "null": None, "none": None, "nan": None}


class Pairs(list[tuple[str, Any]]):
    """A mapping as it was written: a key may stand in it twice."""


@dataclass(frozen=True)
class Found:
    """A list, or a mapping as :class:`Pairs`, in a text. Unless `whole`, `value` has those of its elements that are."""

    value: Any
    whole: bool
    truncated: bool  # it reaches to the end of the text, and is not closed there
    start: int  # where it begins in the text
    end: int


def values(text: str) -> list[Found]:
    """Every outermost list and mapping in `text`, in order. Never raises."""
    found: list[Found] = []
    place = attempts = 0
    while attempts < _ATTEMPTS and (match := re.compile(r"[\[{]").search(text, place)):
        reader = _Reader(text, match.start())
        try:
            value = reader.value()
        except _BrokenError:
            value = reader.salvage()
            truncated = reader.place >= len(text)
            attempts += truncated
            if value or truncated:
                found.append(Found(value, False, truncated, match.start(), reader.place))
            if value and truncated:
                break
            place = reader.place if value else match.start() + 1
        else:
            found.append(Found(value, True, False, match.start(), reader.place))
            place = reader.place
    return found


class _BrokenError(Exception):
    pass


class _Reader:
    """Reads one value from `place` on; containers are filled as they are read, so that a broken one can be used."""

    def __init__(self, text: str, place: int) -> None:
        self.text = text
        self.place = place
        self.key = ""
        self.open: list[list[Any]] = []  # the containers that are not closed yet, outermost first
        self.root: Any = None

    def value(self) -> Any:
        char = self.text[self.place : self.place + 1]
        if char in _QUOTES:
            return self.string()
        if char in _CLOSING and char:
            return self.container(char)
        return self.word()

    def container(self, opening: str) -> list[Any]:
        if len(self.open) >= DEEPEST:
            self.broken()
        made: list[Any] = Pairs() if opening == "{" else []
        if self.root is None:
            self.root = made
        else:
            self.open[-1].append((self.key, made) if isinstance(self.open[-1], Pairs) else made)
        self.open.append(made)
        self.place += 1
        while self.skip(_COMMAS) != _CLOSING[opening]:
            self.pair(made) if isinstance(made, Pairs) else self.element(made)
        self.place += 1
        self.open.pop()
        return made

    def element(self, made: list[Any]) -> None:
        value = self.value()
        if not isinstance(value, list):  # containers have entered themselves
            made.append(value)

    def pair(self, made: Pairs) -> None:
        key = self.value()
        if not isinstance(key, str) or self.skip("") not in _COLONS:
            self.broken()
        self.place += 1
        self.skip("")
        self.key = key
        value = self.value()
        if not isinstance(value, list):
            made.append((key, value))

    def skip(self, also: str) -> str:
        """Move over white space, comments and characters of `also`; returns the character there. Breaks at the end."""
        while True:
            match = _SPACE.match(self.text, self.place)
            self.place = match.end() if match else self.place
            if self.place >= len(self.text):
                self.broken()
            if self.text.startswith("/*", self.place):
                end = self.text.find("*/", self.place, self.place + _COMMENT)
                if end < 0:
                    self.broken()
                self.place = end + 2
            elif self.text[self.place] not in also:
                return self.text[self.place]
            else:
                self.place += 1

    def word(self) -> Any:
        match = _WORD.match(self.text, self.place)
        if match is None:
            self.broken()
        self.place = match.end()
        if self.place >= len(self.text):
            self.broken()
        word = match[0]
        if word.lower() in _CONSTANTS:
            return _CONSTANTS[word.lower()]
        if word[0].isdigit() or word[0] == "-":
            return int(word) if word.lstrip("-").isdigit() and len(word) < 20 else float(word)
        return word

    def string(self) -> str:
        """Up to the first quotation mark behind which JSON goes on; others belong to the string."""
        closing = {_QUOTES[self.text[self.place]], self.text[self.place]}
        if closing & {"“", "”"}:
            closing |= {'"'}
        parts: list[str] = []
        place = self.place + 1
        while True:
            if place >= len(self.text):
                self.place = place
                self.broken()
            char = self.text[place]
            if char == "\\" and place + 1 < len(self.text):
                piece, place = _escaped(self.text, place + 1)
                parts.append(piece)
                continue
            if char in closing and _AFTER.match(self.text, place + 1):
                self.place = place + 1
                return "".join(parts)
            parts.append(char)
            place += 1

    def salvage(self) -> Any:
        """What was read whole: the last element is taken away if it is a container that was being read."""
        for container, inner in zip(reversed(self.open[:-1]), reversed(self.open[1:]), strict=True):
            if not isinstance(container, Pairs) and container and container[-1] is inner:
                container.pop()
                break
        return self.root

    def broken(self) -> NoReturn:
        raise _BrokenError


def _escaped(text: str, place: int) -> tuple[str, int]:
    """The character that an escape stands for, and where the text goes on."""
    char = text[place]
    if char != "u":
        return _ESCAPES.get(char, char), place + 1
    units, end = "", place
    while (match := re.compile(r"u([0-9a-fA-F]{4})").match(text, end)) and len(units) < 2:
        units += chr(int(match[1], 16))
        end = match.end()
        if not "\ud800" <= units[0] <= "\udbff" or len(units) == 2 or text[end : end + 2] != "\\u":
            break
        end += 1
    if not units:
        return "u", place + 1
    return units.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), end
