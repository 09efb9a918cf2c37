"""The checks that every label goes through, wherever it comes from."""

from collections.abc import Iterable, Sequence
from typing import Any

from jinbench.annotation.labels import LabelSet
from jinbench.core.errors import Problem
from jinbench.core.spans import check_overlaps, validate_sectors, validate_span
from jinbench.core.text import split_sentences
from jinbench.core.types import Passage, Span


class LabelValidator:
    """The checks on what an annotator left, of a passage at a time; collects every problem on the way."""

    def __init__(self, where: str, label_set: LabelSet) -> None:
        self.where = where
        self.label_set = label_set
        self.problems: list[Problem] = []

    def problem(self, code: str, place: str, expected: str, found: str, hint: str) -> None:
        self.problems.append(Problem(code, location=f"{self.where} {place}", expected=expected, found=found, fix=hint))

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
