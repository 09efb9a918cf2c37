"""Validate spans and classes against a text and a label set."""

import itertools
import operator
import re
from collections.abc import Sequence
from typing import Any, TypeAlias

from jinbench.core.errors import Problem, shorten
from jinbench.core.types import Span

RawSpan: TypeAlias = tuple[object, object, object, object]  # start, end, type, surface or None; not validated


def to_integer(value: Any) -> int | None:
    """Return a whole number of Python, NumPy, Arrow or PyTorch as an int; None for anything else."""
    if type(value) is int:
        return value
    if "bool" in f"{type(value).__name__} {getattr(value, 'dtype', '')}":
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def displays_as(text: str, surface: object) -> bool:
    """Return whether a page displays `text` as `surface`.

    Pages collapse white space, and that of Label Studio spells a line break as backslash and n.
    """
    if surface == text or not isinstance(surface, str):
        return surface == text
    spellings = ({re.sub(r"\s+", " ", form) for form in (side, side.replace("\\n", "\n"))} for side in (text, surface))
    return not set.isdisjoint(*spellings)


def validate_span(
    text: str, names: Sequence[str], raw_span: RawSpan, location: str, problems: list[Problem]
) -> Span | None:
    """Return the span if it lies in `text` with one of `names` and the right surface.

    Otherwise a problem is added (unknown-label, span-outside-text, span-text-differs).
    """
    raw_start, raw_end, type, surface = raw_span
    if not isinstance(type, str) or type not in names:
        problems.append(_unknown_label(names, type, location))
        return None
    code, expected, found = (
        "span-outside-text",
        f"0 <= start < end <= {len(text)}",
        f"[{shorten(raw_start)}, {shorten(raw_end)})",
    )
    fix = "offsets count Unicode code points of the text from 0, the end is exclusive"
    start, end = to_integer(raw_start), to_integer(raw_end)
    if start is None or end is None:
        expected, fix = f"whole numbers, {expected}", f"write 3, not 3.0 or '3'; {fix}"
    elif not 0 <= start < end <= len(text):
        found += ", which is empty" if start == end else ""
    elif surface is not None and not displays_as(text[start:end], surface):
        code, location = "span-text-differs", f"{location} [{start}, {end})"
        expected, found = repr(text[start:end]), shorten(surface)
        fix = "take the offsets and the surface from the same text"
    else:
        return Span(start, end, type, text[start:end])
    problems.append(Problem(code, location=location, expected=expected, found=found, fix=fix))
    return None


def check_overlaps(spans: Sequence[Span], location: str, problems: list[Problem]) -> None:
    """Report spans, in their order, that overlap."""
    expected, fix = "spans that do not overlap", "keep one of the two"
    for before, after in itertools.pairwise(spans):
        if after.start < before.end:
            found = f"{tuple(before)} and {tuple(after)}"
            problems.append(Problem("spans-overlap", location=location, expected=expected, found=found, fix=fix))


def validate_sectors(sectors: Sequence[object], names: Sequence[str], location: str, problems: list[Problem]) -> None:
    """Report sectors that do not exist (unknown-label)."""
    problems += [_unknown_label(names, sector, location) for sector in sectors if sector not in names]


def _unknown_label(names: Sequence[str], label: object, location: str) -> Problem:
    expected, fix = f"one of {', '.join(names)}", "use a label of this set; a new one goes into labels.toml first"
    return Problem("unknown-label", location=location, expected=expected, found=shorten(label), fix=fix)
