"""Documents of any corpus format, and the log of what a conversion loses."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeAlias

from jinbench.core.errors import Problem, raise_if_any, shorten
from jinbench.core.spans import RawSpan, displays_as, to_integer
from jinbench.core.types import JsonObject, Span

Row: TypeAlias = JsonObject  # an object of a JSON file
Index: TypeAlias = Mapping[int, int] | range  # the character of a text at each offset

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
    "unlabelled": "a text without an annotation, or with one of a part of it, which is no text without labels",
    "white-space": "a white-space character, which no column can hold: it became U+2423",
    "empty": "a text without a character",
    "empty-types": "a type or class without a name, a span without a type",
    "fields": "a field, a column or a value that has no place here",
    "names": "the name of a type, class or file, which had to be written otherwise",
    "numbers": "the place in its word behind each character",
    "comments": "a line of comment, or of titles of columns",
    "alignment": "a span that begins or ends within white space, where Doc.from_json has no token: a DocBin has",
    "repaired": "a sequence of tags that its scheme forbids, repaired by the rule asked for",
}
BLANK = "\u2423"  # replaces a white-space character where a column cannot hold one
MAX_EXAMPLES, MAX_FIELDS = 3, 50  # of each loss; of fields, one of each name
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
    """Number of losses of a kind, and the first (location, description) pairs; of fields, the names so far."""

    count: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)
    fields: set[str] = field(default_factory=set)


class ConversionLog:
    """Problems, losses and remarks of one conversion.

    Readers and writers add to it; nothing is dropped silently.
    """

    def __init__(self) -> None:
        self.losses: dict[str, Loss] = {}
        self.problems: list[Problem] = []
        self.counts: Counter[str] = Counter()  # of problems, by code
        self.fatal: list[Problem] = []
        self._remarks: dict[str, Loss] = {}

    def log_loss(self, code: str, location: str, description: str, count: int = 1) -> None:
        """Record a loss; `code` is one of :data:`LOSSES`."""
        if code not in LOSSES:
            raise KeyError(f"unregistered loss {code!r}")
        loss = self.losses.setdefault(code, Loss())
        loss.count += count
        if len(loss.examples) < MAX_EXAMPLES:
            loss.examples.append((location, description))

    def log_fields(
        self, row: Mapping[str, object], read: Collection[str | None], location: str, prefix: str = ""
    ) -> None:
        """Record the loss of the fields of `row` that hold something and are not in `read`."""
        for name, value in row.items():
            if name in read or value in (None, False, "", [], {}):
                continue
            loss, name = self.losses.setdefault("fields", Loss()), f"{prefix}{name}"
            loss.count += 1
            if name not in loss.fields and len(loss.fields) < MAX_FIELDS:
                loss.fields.add(name)
                loss.examples.append((location, f"{name}: {shorten(value)}"))

    def log_remark(self, remark: str, location: str = "") -> None:
        """Record what users of the result must know, of one text or of all."""
        loss = self._remarks.setdefault(remark, Loss())
        loss.count += 1
        loss.examples = loss.examples or [(location, "")]

    @property
    def remarks(self) -> list[str]:
        """The remarks, each with its first place and the number of the others."""
        places = {remark: (loss.examples[0][0], loss.count - 1) for remark, loss in self._remarks.items()}
        return [
            f"{place}{f' and {more:,} more' if more else ''}: {remark}" if place else remark
            for remark, (place, more) in places.items()
        ]

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
    text: str, raw_spans: Iterable[RawSpan], location: str, log: ConversionLog, unit: str | None = None,
    crlf: str | None = None, index: Index | None = None,
) -> tuple[Span, ...]:  # fmt: skip
    """Return the valid spans of a text, each once, in order; log the others.

    Logs wrong-shape, span-outside-text or span-text-differs. `unit` of the offsets is code-points or utf-16; `crlf`:
    see :func:`index_offsets`, which finds `index`.
    """
    raw_spans = list(raw_spans)
    index = index_offsets(text, raw_spans, location, log, unit, crlf) if index is None else index
    limit = max(index)
    spans: dict[tuple[int, int, str], Span] = {}
    for raw_start, raw_end, type, surface in raw_spans:
        found = f"[{shorten(raw_start)}, {shorten(raw_end)}) {shorten(type)}"
        start, end = to_integer(raw_start), to_integer(raw_end)
        if not isinstance(type, str) or start is None or end is None:
            expected = "whole numbers for start and end, and the name of a type"
            log.log_problem("wrong-shape", location, expected=expected, found=found, fix="correct the span")
        elif not type.strip():
            log.log_loss("empty-types", location, found)
        elif not 0 <= start < end <= limit:
            expected, fix = f"0 <= start < end <= {limit}", _fix_outside(text, start, end, unit)
            log.log_problem("span-outside-text", location, expected=expected, found=found, fix=fix)
        elif start not in index or end not in index:
            log.log_problem("span-outside-text", location, expected="offsets between characters", found=found,
                            fix="check whether --offsets utf-16 is right")  # fmt: skip
        elif surface is not None and not displays_as(stretch := text[index[start] : index[end]], surface):
            fix = _fix_surface(text, index[start], index[end], surface)
            log.log_problem("span-text-differs", location, expected=shorten(stretch),
                            found=f"{shorten(surface)} for {found}", fix=fix)  # fmt: skip
        else:
            key = index[start], index[end], type
            spans.setdefault(key, Span(*key, text[index[start] : index[end]]))
    return sort_spans(spans.values())


def index_offsets(
    text: str, raw_spans: Sequence[RawSpan], location: str, log: ConversionLog, unit: str | None = None,
    crlf: str | None = None, bom: bool = False,
) -> Index:  # fmt: skip
    """Return the character at each offset.

    `crlf`: a line break of CR and LF is one character for some tools, "one", or "two". Unless it is named, that is
    taken in which more surfaces are right, or, where there are none, more spans end with words. A byte order mark
    before the text, `bom`, is counted or not in the same way. A remark says what was taken.
    """
    breaks = ("two", "one") if crlf is None and "\r\n" in text else (crlf,)
    readings = [(way, mark) for mark in (False, True)[: 1 + bom] for way in breaks]
    if readings == [(None, False)] and unit != "utf-16":
        return range(len(text) + 1)
    indexes = [_index_characters(text, unit == "utf-16", way == "one", mark) for way, mark in readings]
    fits = [sum(_fits(text, raw_span, index) for raw_span in raw_spans) for index in indexes]
    best = fits.index(max(fits))
    way, mark = readings[best]
    if way == "one" and crlf is None:
        log.log_remark("offsets count CR LF as one character, as the spans show: so they were read", location)
    elif way == "two" and fits[0] == fits[1] and any(
        raw_span[3] is None and _locate(raw_span, indexes[0]) != _locate(raw_span, indexes[1]) for raw_span in raw_spans
    ):  # fmt: skip
        log.log_remark("a text with CR LF, and no surfaces: if offsets count it as one character, --crlf one", location)
    if mark:
        log.log_remark("offsets count the byte order mark, as the spans show: so they were read", location)
    return indexes[best]


def _index_characters(text: str, utf16: bool, crlf_is_one: bool, bom: bool) -> dict[int, int]:
    widths = [2 if utf16 and ord(c) > 0xFFFF else 1 for c in text]
    for match in re.finditer("\r\n", text) if crlf_is_one else ():
        widths[match.start()] = 0
    offsets = accumulate(widths, initial=int(bom))
    return {offset: i for i, offset in reversed(list(enumerate(offsets)))}  # of two at one offset the first


def _locate(raw_span: RawSpan, index: Mapping[int, int]) -> tuple[int, int]:
    """Return where a span begins and ends in its text, -1 for an offset that there is not."""
    start, end = (index.get(-1 if (offset := to_integer(raw)) is None else offset, -1) for raw in raw_span[:2])
    return start, end


def _fits(text: str, raw_span: RawSpan, index: Mapping[int, int]) -> bool:
    """Return whether the surface of a span is right, or, if it has none, whether it begins and ends with words."""
    start, end = _locate(raw_span, index)
    if not 0 <= start < end:
        return False
    if raw_span[3] is not None:
        return displays_as(text[start:end], raw_span[3])
    cuts = any(is_spaced(text[i - 1 : i]) and is_spaced(text[i : i + 1]) for i in (start, end))
    return not cuts and not any(unicodedata.category(text[i])[0] in "PZC" for i in (start, end - 1))


def is_spaced(character: str) -> bool:
    """Return whether a character is a letter of a script that writes spaces between words; false for none."""
    return character.isalpha() and (character < "\u0e00" or "\uac00" <= character <= "\ud7a3")


def sort_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Sort by start, longer ones first; stable for equal offsets."""
    return tuple(sorted(spans, key=lambda span: (span.start, -span.end)))


def has_astral(text: str) -> bool:
    """Return whether UTF-16 units and code points of a text differ."""
    return any(ord(c) > 0xFFFF for c in text)


def _fix_outside(text: str, start: int, end: int, unit: str | None) -> str:
    if start == end:
        return "the end is exclusive; if ends are inclusive here, it is a file as CLUENER's: --from cluener"
    return UTF16_FIX if unit != "utf-16" and has_astral(text) else "take offsets and text from the same source"


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


def read_classes(values: Iterable[object], location: str, log: ConversionLog) -> tuple[str, ...]:
    """Return the names of classes, each once; log what is none."""
    classes: list[str] = []
    for value in values:
        if not isinstance(value, str):
            log.log_problem("wrong-shape", location, expected="the name of a class", found=shorten(value),
                            fix="correct the class")  # fmt: skip
        elif value.strip():
            classes.append(value)
        else:
            log.log_loss("empty-types", location, "a class without a name")
    return tuple(dict.fromkeys(classes))


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
