"""Validate the labels of a passage."""

from collections.abc import Iterable, Sequence

from jinbench.annotation.labels import LabelSet
from jinbench.core.errors import ErrorList
from jinbench.core.spans import check_overlaps, validate_sectors, validate_span
from jinbench.core.types import Passage, Span


class LabelValidator:
    """Checks labels of one file, passage by passage, and collects every problem.

    `location` names the file in errors; the methods take the `place` within it.
    """

    def __init__(self, location: str, label_set: LabelSet) -> None:
        self.location = location
        self.label_set = label_set
        self.problems = ErrorList()

    def add(self, code: str, place: str, *, expected: str, found: str, fix: str) -> None:
        self.problems.add(code, f"{self.location} {place}", expected=expected, found=found, fix=fix)

    def check_span(
        self, passage: Passage, start: object, end: object, type: str, surface: object, place: str
    ) -> Span | None:
        """Return a span of the passage, or None if it is invalid."""
        names, location = self.label_set.entity_names, f"{self.location} {place}"
        return validate_span(passage.text, names, (start, end, type, surface), location, self.problems)

    def check_spans(self, passage: Passage, spans: Iterable[Span], place: str) -> tuple[Span, ...]:
        """Return spans in order; overlaps and spans across sentences are problems."""
        ordered = tuple(sorted(spans))
        check_overlaps(ordered, f"{self.location} {place}", self.problems)
        for span in ordered:
            if not any(s.start <= span.start and span.end <= s.end for s in passage.sentences):
                expected, fix = "a span inside one sentence", "shorten it, or split it in two"
                self.add("span-crosses-sentence", place, expected=expected, found=str(tuple(span)), fix=fix)
        return ordered

    def check_sectors(self, sectors: Sequence[str], place: str) -> tuple[str, ...]:
        """Return sectors in the order of the label set; one that stands alone beside others is a problem."""
        names = self.label_set.sector_names
        validate_sectors(sectors, names, f"{self.location} {place}", self.problems)
        lone = self.label_set.lone_sectors.intersection(sectors)
        if lone and len(set(sectors)) > 1:
            expected, found = f"{', '.join(lone)} alone", ", ".join(sorted(sectors))
            self.add("general-not-alone", place, expected=expected, found=found, fix="remove one of them")
        return tuple(name for name in names if name in sectors)
