"""A labelled text as every format of corpora has it, and the account of what a conversion could not take along."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from jinbench.core.errors import DataError, Problem, raise_if_any, shorten
from jinbench.core.types import Span

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
BLANK = "\u2423"  # what stands for a white-space character where a column cannot hold one
EXAMPLES = 3  # of each loss that are shown
KEPT = 1000  # problems that are kept; of more only the number is told
# What makes the rest of a file unsure: nothing is converted then.
FATAL = frozenset({"file-missing", "file-binary", "file-too-big", "not-utf8", "wrong-tags", "package-missing"})


@dataclass(frozen=True)
class Document:
    """A text with its labels: spans in order of their beginnings, longer ones first, and classes of the whole text.

    `id`, `group` (the document that it is a part of) and `split` are None where the source says nothing of them.
    `place` is where it stood, for messages. Offsets are half-open, in code points.
    """

    text: str
    spans: tuple[Span, ...] = ()
    classes: tuple[str, ...] = ()
    id: str | None = None
    group: str | None = None
    split: str | None = None
    place: str = field(default="", compare=False)


@dataclass
class Loss:
    """How often something was lost, and the first places with what it was."""

    count: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)


class ConversionLog:
    """What went wrong or got lost on the way. Readers and writers add to it; nothing is dropped without a note."""

    def __init__(self) -> None:
        self.losses: dict[str, Loss] = {}
        self.problems: list[Problem] = []
        self.counts: Counter[str] = Counter()  # of problems, by code
        self.fatal: list[Problem] = []
        self.remarks: list[str] = []  # what whoever uses the result must know

    def log_loss(self, code: str, place: str, what: str, times: int = 1) -> None:
        """Note a loss; `code` is one of :data:`LOSSES`."""
        if code not in LOSSES:
            raise KeyError(f"unregistered loss {code!r}")
        loss = self.losses.setdefault(code, Loss())
        loss.count += times
        if len(loss.examples) < EXAMPLES:
            loss.examples.append((place, what))

    def problem(self, code: str, place: str, expected: str, found: str, hint: str) -> None:
        """Note what is wrong with the input. It is left out, and the rest is converted, unless its code is fatal."""
        self.add(Problem(code, location=place, expected=expected, found=found, fix=hint))

    def add(self, problem: Problem) -> None:
        self.counts[problem.code] += 1
        kept = self.fatal if problem.code in FATAL else self.problems
        if len(kept) < KEPT:
            kept.append(problem)

    def raise_fatal(self) -> None:
        """Raises :class:`DataError` if a file cannot be relied on."""
        raise_if_any(self.fatal)

    def all(self) -> DataError:
        return DataError([*self.fatal, *self.problems])


def spans_in(
    text: str, found: Iterable[tuple[Any, Any, Any, Any]], place: str, notes: ConversionLog, unit: str = "code-points"
) -> tuple[Span, ...]:
    """Spans of a text from (start, end, type, surface or None); each once, in order.

    One that does not fit its text is a problem and left out (wrong-shape, span-outside-text, span-text-differs).
    `unit` is what offsets count: code-points or utf-16.
    """
    table = _units(text) if unit == "utf-16" else None
    limit = len(text) if table is None else max(table)
    spans: dict[tuple[int, int, str], Span] = {}
    for start, end, type, surface in found:
        said = f"[{shorten(start)}, {shorten(end)}) {shorten(type)}"
        if not isinstance(type, str) or any(isinstance(n, bool) or not isinstance(n, int) for n in (start, end)):
            expected, hint = "whole numbers for start and end, and the name of a type", "correct the span"
            notes.problem("wrong-shape", place, expected, said, hint)
            continue
        if not type.strip():
            notes.log_loss("empty-types", place, said)
            continue
        if not 0 <= start < end <= limit:
            hint = _outside(text, start, end, unit)
            notes.problem("span-outside-text", place, f"0 <= start < end <= {limit}", said, hint)
            continue
        if table is not None:
            if start not in table or end not in table:
                expected, hint = "offsets between characters", "is --offsets utf-16 right?"
                notes.problem("span-outside-text", place, expected, said, hint)
                continue
            start, end = table[start], table[end]
        stands = text[start:end]
        if surface is not None and surface != stands:
            hint = _differs(text, start, end, surface)
            found_there = f"{shorten(surface)} for {said}"
            notes.problem("span-text-differs", place, shorten(stands), found_there, hint)
            continue
        spans.setdefault((start, end, type), Span(start, end, type, stands))
    return ordered(spans.values())


def ordered(spans: Iterable[Span]) -> tuple[Span, ...]:
    """By their beginnings, longer ones first; of the same stretch, as they came."""
    return tuple(sorted(spans, key=lambda span: (span.start, -span.end)))


def _places(text: str) -> list[int]:
    """The UTF-16 unit at which each character begins; and the end."""
    return list(accumulate((2 if ord(c) > 0xFFFF else 1 for c in text), initial=0))


def _units(text: str) -> dict[int, int]:
    """The code point at which each UTF-16 unit that begins a character stands; and the end."""
    return {unit: i for i, unit in enumerate(_places(text))}


def to_units(text: str, offsets: Sequence[int]) -> list[int]:
    """Offsets in code points as UTF-16 units."""
    places = _places(text)
    return [places[offset] for offset in offsets]


def _outside(text: str, start: int, end: int, unit: str) -> str:
    if start == end:
        return "the end is exclusive; if ends are inclusive here, it is a file as CLUENER's: --from cluener"
    if unit == "code-points" and any(ord(c) > 0xFFFF for c in text):
        return "the text has characters outside the basic plane: if a tool counted UTF-16 units, --offsets utf-16"
    return "take offsets and text from the same place"


def _differs(text: str, start: int, end: int, surface: Any) -> str:
    if surface == text[start : end - 1]:
        return "the ends seem to be exclusive, where this format has inclusive ones"
    if surface == text[start : end + 1]:
        return "the ends seem to be inclusive, where this format has exclusive ones"
    if any(ord(c) > 0xFFFF for c in text):
        return "the text has characters outside the basic plane: if a tool counted UTF-16 units, --offsets utf-16"
    return "take the offsets and the surface from the same text"


def flat(document: Document, notes: ConversionLog) -> tuple[Span, ...]:
    """The spans without those that overlap a kept one: the one that begins first is kept, and the longer of two that
    begin together; of the same stretch, the type that came first. So the outer one of nested spans stays.
    """
    kept: list[Span] = []
    for span in document.spans:
        if kept and span.start < kept[-1].end:
            said = f"{_said(span)} within or across {_said(kept[-1])}"
            notes.log_loss("overlaps", document.place, said)
        else:
            kept.append(span)
    return tuple(kept)


def _said(span: Span) -> str:
    return f"[{span.start}, {span.end}) {span.type} {shorten(span.surface, 20)}"


def without(document: Document, notes: ConversionLog, *, ids: bool = False, groups: bool = False, classes: bool = False,
            empty: bool = False) -> bool:  # fmt: skip
    """Note what a format that lacks these things loses of a document. Returns whether it can be written at all."""
    if empty and not document.text:
        notes.log_loss("empty", document.place, "an empty text")
        return False
    if ids and document.id is not None:
        notes.log_loss("ids", document.place, document.id)
    if groups and document.group is not None:
        notes.log_loss("groups", document.place, document.group)
    if classes and document.classes:
        notes.log_loss("classes", document.place, ", ".join(document.classes), len(document.classes))
    return True


def named(name: str, allowed: "Any", place: str, notes: ConversionLog) -> str:
    """`name` with "_" for each character that the pattern `allowed` does not match; noted if that changes it."""
    found = "".join(c if allowed.match(c) else "_" for c in name)
    if found != name:
        notes.log_loss("names", place, f"{name!r} became {found!r}")
    return found


def text_of(value: Any, place: str, notes: ConversionLog) -> str | None:
    """A text that can be written anywhere, or None and a problem (wrong-shape)."""
    if not isinstance(value, str):
        found = "nothing" if value is None else shorten(value)
        notes.problem("wrong-shape", place, 'a text under "text"', found, "is it a file of another format?")
        return None
    return value if storable(value, place, notes) else None


def storable(value: str, place: str, notes: ConversionLog) -> bool:
    """Whether UTF-8 has all of a text; if not, a problem (wrong-shape)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        notes.problem("wrong-shape", place, "text that UTF-8 has", "half a surrogate pair", "take that character out")
        return False
    return True


def names_of(document: Document) -> str:
    """All that a document says beside its text, one behind the other."""
    said = (document.id or "", document.group or "", *document.classes, *(span.type for span in document.spans))
    return "\n".join(said)


def identified(
    row: dict[str, Any], group: str | None, place: str, notes: ConversionLog
) -> tuple[str | None, str | None]:
    """The id of a row of JSON, and what its field `group` says. A missing field is a problem (wrong-shape)."""
    id = row.get("id")
    if group is None:
        return None if id is None else str(id), None
    if row.get(group) is None:
        expected, hint = f"the field {group!r} of --group", f"fields here: {', '.join(map(str, row))}"
        notes.problem("wrong-shape", place, expected, "nothing", hint)
        return None if id is None else str(id), None
    return None if id is None else str(id), str(row[group])
