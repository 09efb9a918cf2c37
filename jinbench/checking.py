"""The checks that every label goes through, wherever it comes from."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jinbench import pages
from jinbench.labels import LabelSet
from jinbench.problems import DataError, Problem, shorten
from jinbench.records import Passage, Span

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def validate_span(
    text: str, names: Sequence[str], start: Any, end: Any, type: Any, surface: Any, where: str, problems: list[Problem]
) -> Span | None:
    """A span that lies in `text`, has a known type and, unless `surface` is None, says what stands there."""
    if type not in names:
        problems.append(_unknown(names, type, where))
        return None
    hint = "offsets count Unicode code points of the text from 0, the end is exclusive"
    found = f"[{shorten(start)}, {shorten(end)})"
    if not all(isinstance(offset, int) and not isinstance(offset, bool) for offset in (start, end)):
        expected = f"whole numbers, 0 <= start < end <= {len(text)}"
        problems.append(Problem("span-outside-text", where, expected, found, f"write 3, not 3.0 or '3'; {hint}"))
        return None
    if not 0 <= start < end <= len(text):
        found += ", which is empty" if start == end else ""
        problems.append(Problem("span-outside-text", where, f"0 <= start < end <= {len(text)}", found, hint))
        return None
    if surface not in (None, text[start:end]):
        hint = "take the offsets and the surface from the same text"
        place = f"{where} [{start}, {end})"
        problems.append(Problem("span-text-differs", place, repr(text[start:end]), shorten(surface), hint))
        return None
    return Span(start, end, type, text[start:end])


def check_overlaps(spans: Sequence[Span], where: str, problems: list[Problem]) -> None:
    """Report spans, in their order, that overlap."""
    for before, after in itertools.pairwise(spans):
        if after.start < before.end:
            found = f"{tuple(before)} and {tuple(after)}"
            problems.append(Problem("spans-overlap", where, "spans that do not overlap", found, "keep one of the two"))


def validate_sectors(found: Sequence[Any], names: Sequence[str], where: str, problems: list[Problem]) -> None:
    """Report sectors that do not exist."""
    problems += [_unknown(names, name, where) for name in found if name not in names]


def _unknown(names: Sequence[str], found: Any, where: str) -> Problem:
    hint = "use a label of this set; a new one goes into labels.toml first"
    return Problem("unknown-label", where, f"one of {', '.join(names)}", shorten(found), hint)


def check_storable(value: Any, where: str) -> None:
    """Raise :class:`DataError` (wrong-shape) for a text in `value` that a database refuses, or gives back to nobody:
    with a NUL, or with half a surrogate pair.
    """
    if isinstance(value, str):
        found = _UNSTORABLE.search(value)
        if found:
            hint = "take that character out"
            raise DataError(Problem("wrong-shape", where, "text that can be stored", repr(found[0]), hint))
    elif isinstance(value, Mapping):
        for name, each in value.items():
            check_storable(each, f"{where} {name}")
    elif isinstance(value, list | tuple):
        for each in value:
            check_storable(each, where)


class Checker:
    """The checks on what an annotator left, of a passage at a time; collects every problem on the way."""

    def __init__(self, where: str, label_set: LabelSet) -> None:
        self.where = where
        self.label_set = label_set
        self.problems: list[Problem] = []

    def problem(self, code: str, place: str, expected: str, found: str, hint: str) -> None:
        self.problems.append(Problem(code, f"{self.where} {place}", expected, found, hint))

    def span(self, passage: Passage, start: Any, end: Any, type: str, surface: str | None, place: str) -> Span | None:
        names = self.label_set.entity_names
        return validate_span(passage.text, names, start, end, type, surface, f"{self.where} {place}", self.problems)

    def spans(self, passage: Passage, found: Iterable[Span], place: str) -> tuple[Span, ...]:
        """In order, without overlap, none across a sentence boundary."""
        spans = sorted(found)
        check_overlaps(spans, f"{self.where} {place}", self.problems)
        sentences = pages.split_sentences(passage.id, passage.text)
        for span in spans:
            if not any(s.start <= span.start and span.end <= s.end for s in sentences):
                self.problem(
                    "span-crosses-sentence",
                    place,
                    "a span inside one sentence",
                    str(tuple(span)),
                    "shorten it, or split it in two",
                )
        return tuple(spans)

    def sectors(self, found: Sequence[str], place: str) -> tuple[str, ...]:
        known = self.label_set.sector_names
        validate_sectors(found, known, f"{self.where} {place}", self.problems)
        lone = self.label_set.lone_sectors.intersection(found)
        if lone and len(set(found)) > 1:
            self.problem(
                "general-not-alone",
                place,
                f"{', '.join(lone)} alone",
                ", ".join(sorted(found)),
                "take one of them away",
            )
        return tuple(name for name in known if name in found)
