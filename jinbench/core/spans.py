"""Validate spans and classes against a text and a label set."""

import itertools
from collections.abc import Sequence
from typing import Any

from jinbench.core.errors import Problem, shorten
from jinbench.core.types import Span


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
        problems.append(
            Problem(
                "span-outside-text",
                location=where,
                expected=expected,
                found=found,
                fix=f"write 3, not 3.0 or '3'; {hint}",
            )
        )
        return None
    if not 0 <= start < end <= len(text):
        found += ", which is empty" if start == end else ""
        problems.append(
            Problem(
                "span-outside-text", location=where, expected=f"0 <= start < end <= {len(text)}", found=found, fix=hint
            )
        )
        return None
    if surface not in (None, text[start:end]):
        hint = "take the offsets and the surface from the same text"
        place = f"{where} [{start}, {end})"
        problems.append(
            Problem(
                "span-text-differs", location=place, expected=repr(text[start:end]), found=shorten(surface), fix=hint
            )
        )
        return None
    return Span(start, end, type, text[start:end])


def check_overlaps(spans: Sequence[Span], where: str, problems: list[Problem]) -> None:
    """Report spans, in their order, that overlap."""
    for before, after in itertools.pairwise(spans):
        if after.start < before.end:
            found = f"{tuple(before)} and {tuple(after)}"
            problems.append(
                Problem(
                    "spans-overlap",
                    location=where,
                    expected="spans that do not overlap",
                    found=found,
                    fix="keep one of the two",
                )
            )


def validate_sectors(found: Sequence[Any], names: Sequence[str], where: str, problems: list[Problem]) -> None:
    """Report sectors that do not exist."""
    problems += [_unknown(names, name, where) for name in found if name not in names]


def _unknown(names: Sequence[str], found: Any, where: str) -> Problem:
    hint = "use a label of this set; a new one goes into labels.toml first"
    return Problem(
        "unknown-label", location=where, expected=f"one of {', '.join(names)}", found=shorten(found), fix=hint
    )
