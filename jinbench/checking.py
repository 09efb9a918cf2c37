"""The checks that every label goes through, wherever it comes from."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jinbench.core.errors import DataError, Problem
from jinbench.core.spans import check_overlaps, validate_sectors, validate_span
from jinbench.core.text import split_sentences
from jinbench.core.types import Passage, Span
from jinbench.labels import LabelSet

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


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


class LabelValidator:
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
        sentences = split_sentences(passage.id, passage.text)
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
