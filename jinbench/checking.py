"""The checks that every label goes through, wherever it comes from."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from jinbench import pages
from jinbench.labels import LabelSet
from jinbench.problems import Problem
from jinbench.records import Passage, Span


class Checker:
    """Turns what an annotator left into :class:`Labels`, collecting every problem on the way."""

    def __init__(self, where: str, label_set: LabelSet) -> None:
        self.where = where
        self.label_set = label_set
        self.problems: list[Problem] = []

    def problem(self, code: str, place: str, expected: str, found: str, hint: str) -> None:
        self.problems.append(Problem(code, f"{self.where} {place}", expected, found, hint))

    def span(self, passage: Passage, start: Any, end: Any, type: str, surface: str | None, place: str) -> Span | None:
        """A span that lies in the text, has a known type and, if a surface was given, the right one."""
        if type not in self.label_set.entity_names:
            self.problem(
                "unknown-label",
                place,
                f"one of {', '.join(self.label_set.entity_names)}",
                repr(type),
                "correct the label, or add it to labels.toml",
            )
            return None
        if not (
            isinstance(start, int)
            and isinstance(end, int)
            and not isinstance(start, bool)
            and 0 <= start < end <= len(passage.text)
        ):
            self.problem(
                "span-outside-text",
                place,
                f"0 <= start < end <= {len(passage.text)}",
                f"[{start}, {end})",
                "offsets count Unicode code points from 0, the end is exclusive",
            )
            return None
        text = passage.text[start:end]
        # Label Studio writes a line break inside a surface as backslash-n.
        if surface is not None and surface.replace("\\n", "\n") != text:
            self.problem(
                "span-text-differs",
                f"{place} [{start}, {end})",
                repr(text),
                repr(surface),
                "the offsets and the text of the span must come from the same text",
            )
            return None
        return Span(start, end, type, text)

    def spans(self, passage: Passage, found: Iterable[Span], place: str) -> tuple[Span, ...]:
        """In order, without overlap, none across a sentence boundary."""
        spans = sorted(found)
        for before, after in itertools.pairwise(spans):
            if after.start < before.end:
                self.problem(
                    "spans-overlap", place, "spans that do not overlap", f"{before} and {after}", "keep the longer one"
                )
        sentences = pages.sentences(passage.id, passage.text)
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
        for name in found:
            if name not in known:
                self.problem(
                    "unknown-label",
                    place,
                    f"one of {', '.join(known)}",
                    repr(name),
                    "correct the sector, or add it to labels.toml",
                )
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
