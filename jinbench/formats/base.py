"""Documents of any corpus format, and the log of what a conversion loses."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeAlias

from jinbench.core.errors import Problem, raise_if_any, shorten
from jinbench.core.spans import RawSpan, is_integer
from jinbench.core.types import JsonObject, Span

Row: TypeAlias = JsonObject  # an object of a JSON file

# What one format says and another cannot. A code never changes.
LOSSES = {
    "ids": "the id of a text: the format has none",
    "groups": "which document a text is from",
    "classes": "the classes of a text",
    "overlaps": "a span that overlaps one that begins before it, or begins with it and is longer: that one was kept",
    "discontinuous": "a span in several pieces",
    "relations": "a relation, an event or an equivalence between spans",
    "attributes": "an attribute of a span, a note or a normalization",
    "regions": "an annotation that is neither a span nor a class",
    "annotations": "another annotation of the same text: the first one was taken",
    "unlabelled": "a text without an annotation, which is no text without labels",
    "white-space": "a white-space character, which no column can hold: it became U+2423",
    "empty": "a text without a character",
    "empty-types": "a type or class without a name",
    "names": "the name of a type, class or file, which had to be written otherwise",
    "numbers": "the place in its word behind each character",
    "comments": "a line of comment",
    "alignment": "a span that begins or ends within white space, where Doc.from_json has no token: a DocBin has",
    "repaired": "a sequence of tags that its scheme forbids, repaired by the rule asked for",
}
BLANK = "\u2423"  # replaces a white-space character where a column cannot hold one
MAX_EXAMPLES = 3  # of each loss
MAX_PROBLEMS = 1000  # that are stored; the rest are only counted
# After one of these the rest of a file cannot be relied on: nothing is converted.
FATAL_CODES = frozenset({"file-missing", "file-binary", "file-too-big", "not-utf8", "wrong-tags", "package-missing"})
OTHER_FORMAT = "check whether the file is in another format: --from FORMAT"
UTF16_FIX = "the text has characters outside the basic plane: if a tool counted UTF-16 units, --offsets utf-16"


@dataclass(frozen=True)
class Document:
    """A text with its labels, as any corpus format has it.

    Attributes:
        text: the whole text.
        spans: by start, longer ones first; half-open offsets in code points.
        classes: classes of the whole text.
        id: None if the source has none.
        group: the document that the text is a part of; None if the source has none.
        split: train, validation or test; None if the source has none.
        location: where the text was read, for messages; not compared.
    """

    text: str
    spans: tuple[Span, ...] = ()
    classes: tuple[str, ...] = ()
    id: str | None = None
    group: str | None = None
    split: str | None = None
    location: str = field(default="", compare=False)


@dataclass
class Loss:
    """Number of losses of a kind, and the first (location, description) pairs."""

    count: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)


class ConversionLog:
    """Problems, losses and remarks of one conversion.

    Readers and writers add to it; nothing is dropped silently.
    """

    def __init__(self) -> None:
        self.losses: dict[str, Loss] = {}
        self.problems: list[Problem] = []
        self.counts: Counter[str] = Counter()  # of problems, by code
        self.fatal: list[Problem] = []
        self.remarks: list[str] = []  # what users of the result must know

    def log_loss(self, code: str, location: str, description: str, count: int = 1) -> None:
        """Record a loss; `code` is one of :data:`LOSSES`."""
        if code not in LOSSES:
            raise KeyError(f"unregistered loss {code!r}")
        loss = self.losses.setdefault(code, Loss())
        loss.count += count
        if len(loss.examples) < MAX_EXAMPLES:
            loss.examples.append((location, description))

    def log_problem(self, code: str, location: str, *, expected: str, found: str, fix: str) -> None:
        """Record invalid input.

        It is left out and the rest is converted, unless its code is fatal.
        """
        self.add(Problem(code, location=location, expected=expected, found=found, fix=fix))

    def add(self, *problems: Problem) -> None:
        for problem in problems:
            self.counts[problem.code] += 1
            stored = self.fatal if problem.code in FATAL_CODES else self.problems
            if len(stored) < MAX_PROBLEMS:
                stored.append(problem)

    def raise_fatal(self) -> None:
        """Raise :class:`DataError` if a file cannot be relied on."""
        raise_if_any(self.fatal)


def validate_spans(
    text: str, raw_spans: Iterable[RawSpan], location: str, log: ConversionLog, unit: str = "code-points"
) -> tuple[Span, ...]:
    """Return the valid spans of a text, each once, in order; log the others.

    Logs wrong-shape, span-outside-text or span-text-differs. `unit` of the offsets is code-points or utf-16.
    """
    code_points = {offset: i for i, offset in enumerate(_utf16_offsets(text))} if unit == "utf-16" else None
    limit = len(text) if code_points is None else max(code_points)
    spans: dict[tuple[int, int, str], Span] = {}
    for start, end, type, surface in raw_spans:
        found = f"[{shorten(start)}, {shorten(end)}) {shorten(type)}"
        if not isinstance(type, str) or not is_integer(start) or not is_integer(end):
            expected = "whole numbers for start and end, and the name of a type"
            log.log_problem("wrong-shape", location, expected=expected, found=found, fix="correct the span")
            continue
        if not type.strip():
            log.log_loss("empty-types", location, found)
            continue
        if not 0 <= start < end <= limit:
            fix = _fix_outside(text, start, end, unit)
            expected = f"0 <= start < end <= {limit}"
            log.log_problem("span-outside-text", location, expected=expected, found=found, fix=fix)
            continue
        if code_points is not None:
            if start not in code_points or end not in code_points:
                fix = "check whether --offsets utf-16 is right"
                log.log_problem(
                    "span-outside-text", location, expected="offsets between characters", found=found, fix=fix
                )
                continue
            start, end = code_points[start], code_points[end]
        text_surface = text[start:end]
        if surface is not None and surface != text_surface:
            found, fix = f"{shorten(surface)} for {found}", _fix_surface(text, start, end, surface)
            log.log_problem("span-text-differs", location, expected=shorten(text_surface), found=found, fix=fix)
            continue
        spans.setdefault((start, end, type), Span(start, end, type, text_surface))
    return sort_spans(spans.values())


def sort_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Sort by start, longer ones first; stable for equal offsets."""
    return tuple(sorted(spans, key=lambda span: (span.start, -span.end)))


def _utf16_offsets(text: str) -> list[int]:
    """Return the UTF-16 offset of each character, and of the end."""
    return list(accumulate((2 if ord(c) > 0xFFFF else 1 for c in text), initial=0))


def to_utf16_offsets(text: str, offsets: Sequence[int]) -> list[int]:
    """Convert offsets in code points to UTF-16 units."""
    utf16_offsets = _utf16_offsets(text)
    return [utf16_offsets[offset] for offset in offsets]


def has_astral(text: str) -> bool:
    """Return whether UTF-16 units and code points of a text differ."""
    return any(ord(c) > 0xFFFF for c in text)


def _fix_outside(text: str, start: int, end: int, unit: str) -> str:
    if start == end:
        return "the end is exclusive; if ends are inclusive here, it is a file as CLUENER's: --from cluener"
    return UTF16_FIX if unit == "code-points" and has_astral(text) else "take offsets and text from the same source"


def _fix_surface(text: str, start: int, end: int, surface: object) -> str:
    if surface == text[start : end - 1]:
        return "the ends seem to be exclusive, where this format has inclusive ones"
    if surface == text[start : end + 1]:
        return "the ends seem to be inclusive, where this format has exclusive ones"
    return UTF16_FIX if has_astral(text) else "take the offsets and the surface from the same text"


def remove_overlaps(document: Document, log: ConversionLog) -> tuple[Span, ...]:
    """Return the spans without those that overlap an earlier one, and log these.

    The span that begins first stays, and the longer of two that begin together; with equal offsets, the type that came
    first. So the outer one of nested spans stays.
    """
    flat: list[Span] = []
    for span in document.spans:
        if flat and span.start < flat[-1].end:
            log.log_loss("overlaps", document.location, f"{_describe(span)} within or across {_describe(flat[-1])}")
        else:
            flat.append(span)
    return tuple(flat)


def _describe(span: Span) -> str:
    return f"[{span.start}, {span.end}) {span.type} {shorten(span.surface, 20)}"


def log_unsupported(document: Document, log: ConversionLog, *, ids: bool = False, groups: bool = False,
                    classes: bool = False, empty: bool = False) -> bool:  # fmt: skip
    """Log what a format that lacks these features loses of a document.

    Return whether it can be written at all.
    """
    if empty and not document.text:
        log.log_loss("empty", document.location, "an empty text")
        return False
    if ids and document.id is not None:
        log.log_loss("ids", document.location, document.id)
    if groups and document.group is not None:
        log.log_loss("groups", document.location, document.group)
    if classes and document.classes:
        log.log_loss("classes", document.location, ", ".join(document.classes), len(document.classes))
    return True


def replace_characters(name: str, allowed: re.Pattern[str], location: str, log: ConversionLog) -> str:
    """Replace characters that `allowed` does not match by "_"; log a changed name."""
    replaced = "".join(c if allowed.match(c) else "_" for c in name)
    if replaced != name:
        log.log_loss("names", location, f"{name!r} became {replaced!r}")
    return replaced


def validate_text(value: object, location: str, log: ConversionLog) -> str | None:
    """Return an encodable text; otherwise log a problem (wrong-shape) and return None."""
    if not isinstance(value, str):
        found = "nothing" if value is None else shorten(value)
        log.log_problem("wrong-shape", location, expected='a text under "text"', found=found, fix=OTHER_FORMAT)
        return None
    return value if is_encodable(value, location, log) else None


def is_encodable(value: str, location: str, log: ConversionLog) -> bool:
    """Return whether UTF-8 can encode a text; if not, log a problem (wrong-shape)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        log.log_problem("wrong-shape", location, expected="text that UTF-8 can encode", found="half a surrogate pair",
                        fix="remove that character")  # fmt: skip
        return False
    return True


def join_names(document: Document) -> str:
    """Join id, group, classes and types of a document."""
    types = (span.type for span in document.spans)
    return "\n".join((document.id or "", document.group or "", *document.classes, *types))


def read_id_and_group(
    row: Row, group_field: str | None, location: str, log: ConversionLog
) -> tuple[str | None, str | None]:
    """Return the id of a JSON row and its field `group_field`.

    A missing field is a problem (wrong-shape).
    """
    id = None if row.get("id") is None else str(row["id"])
    if group_field is None:
        return id, None
    if row.get(group_field) is None:
        log.log_problem("wrong-shape", location, expected=f"the field {group_field!r} of --group", found="nothing",
                        fix=f"name one of the fields here: {', '.join(map(str, row))}")  # fmt: skip
        return id, None
    return id, str(row[group_field])
