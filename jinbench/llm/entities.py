"""Entities from one reply: read from JSON, markup, lines or tables, and aligned to the text of the item."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from jinbench.llm import align
from jinbench.llm.align import FoldedText, Quote
from jinbench.llm.json_values import KeyValuePairs
from jinbench.llm.lines import LEFT, SURFACE, TYPE, LineReader
from jinbench.llm.parser import LabelList, ReplyParser
from jinbench.scoring.gold import LabelKey

_FIELDS = {*SURFACE, *TYPE, *LEFT}
_START, _END = ("start", "start_offset", "begin"), ("end", "end_offset")

_SQUARE = re.compile(r"\[(?P<surface>[^\[\]|\uff5c]*)[|\uff5c](?P<type>[^\[\]|\uff5c]*)\]")
_TAGGED = re.compile(r"<(?P<type>[^<>/\s]{1,40})>(?P<surface>[^<>]*)</(?P=type)>")
_ANSWER_SIGN = re.compile(r"[\[{<|\"\N{OBJECT REPLACEMENT CHARACTER}]")
_TYPED = re.compile(
    r"""<(?P<tag>\w{1,40})\s+(?:type|label|class|category)=["']?(?P<type>[^"'<>]*)["']?>(?P<surface>[^<>]*)</(?P=tag)>"""
)


class NerParser(ReplyParser):
    """Parses replies with entities."""

    def accept(self, answer: LabelList) -> frozenset[LabelKey]:
        quotes = self.resolve_types(answer.labels)
        spans = []
        for quote, alignment in zip(quotes, align.align_quotes(self.text, quotes), strict=True):
            if isinstance(alignment, str):
                self.report.leave_out(alignment, self.id, quote.surface)
                continue
            spans.append((alignment.start, alignment.end, quote.type))
            method = alignment.method
            self.report.methods["markup" if answer.from_markup else method] += 1
            self.report.ambiguous += alignment.ambiguous
            has_offsets = quote.start is not None or quote.end is not None
            self.report.notes["offsets-ignored"] += has_offsets and method != align.OFFSETS
            self.report.notes["left-ignored"] += bool(quote.left) and method not in (align.OFFSETS, align.LEFT)
        self.report.accepted += len(spans)
        return frozenset(spans)

    def read_value(self, value: object) -> LabelList | None:
        if isinstance(value, KeyValuePairs):
            label = self.read_record(value)
            mapping = None if label and self.is_label(label.type) else self.read_mapping(value)
            return mapping or (LabelList([label], single=True) if label else None)
        if isinstance(value, list):
            pair = self.read_pair(value)
            if pair and self.is_label(pair.type):
                return LabelList([pair], single=True)
            parts = [self.read_element(part) for part in value]
            if not value or any(part is not None for part in parts):
                return LabelList([label for part in parts for label in (part or [None])])
        return None

    def read_element(self, value: object) -> list[Quote | None] | None:
        """Read the labels in one element of a list; None if it has none."""
        if not isinstance(value, list):
            return None
        if not isinstance(value, KeyValuePairs) and (pair := self.read_pair(value)):
            return [pair]
        answer = self.read_value(value)
        return answer.labels if answer and answer.labels else None

    def read_record(self, value: KeyValuePairs, label: str | None = None) -> Quote | None:
        """Read a label that is a mapping with names for its parts."""
        table = {key.strip().casefold(): part for key, part in reversed(value)}  # of two, the first one counts
        surfaces = [key for key in SURFACE if isinstance(table.get(key), str)]
        types = [key for key in TYPE if isinstance(table.get(key), str)]
        if not types and len(surfaces) > 1 and "entity" in surfaces:  # {"word": …, "entity": TYPE}
            types = ["entity"]
            surfaces.remove("entity")
        if not surfaces or not (types or label):
            return None
        left = next((table[key] for key in LEFT if isinstance(table.get(key), str)), None)
        start, end = (
            next((table[key] for key in keys if type(table.get(key)) is int), None) for keys in (_START, _END)
        )
        return Quote(table[surfaces[0]], table[types[0]] if types else str(label), left, start, end)

    def read_pair(self, value: Sequence[object]) -> Quote | None:
        """Read a label that is a list of surface and type, in either order, with or without offsets."""
        words = [part for part in value if isinstance(part, str)]
        numbers = [part for part in value if type(part) is int]
        if len(words) != 2 or len(words) + len(numbers) != len(value) or len(numbers) not in (0, 2):
            return None
        swapped = not self.is_label(words[1]) and self.is_label(words[0])
        surface, label = reversed(words) if swapped else words
        return Quote(surface, label, None, *(numbers or (None, None)))

    def read_mapping(self, value: KeyValuePairs) -> LabelList | None:
        """Read {TYPE: [surface, …]}, {surface: TYPE}, or a mapping around one of the forms of a list."""
        is_flat = not any(isinstance(part, list) for _, part in value)
        labels: list[Quote | None] = []
        has_list = has_record = is_unread = False
        for key, part in value:
            is_type = self.is_label(key)
            words = [part] if isinstance(part, str) else part
            if not isinstance(words, list):
                continue
            if all(isinstance(word, str) for word in words):
                if part is not words and (key.casefold() in _FIELDS if is_flat else not is_type):
                    continue
                names_type = len(words) == 1 and self.is_label(words[0])
                swapped = names_type or not is_type if is_flat else names_type and not is_type
                labels += [Quote(key, word) if swapped else Quote(word, key) for word in words]
                has_list |= not words
            elif is_type and not isinstance(part, KeyValuePairs):
                for element in part:
                    record = self.read_record(element, key) if isinstance(element, KeyValuePairs) else None
                    labels.append(Quote(element, key) if isinstance(element, str) else record)
            elif inner := self.read_value(part):
                labels += inner.labels
                has_record |= bool(inner.labels)
                has_list = True
            else:
                is_unread = True
        fits = self.fits_text(labels) if is_flat else self.has_known_label(labels) or has_record
        if fits or (has_list and not labels and not is_unread):
            return LabelList(labels)
        return None if value else LabelList([])

    def parse_unstructured(self, reply: str) -> LabelList | None:
        """Parse markup: along the text if the reply repeats it, else as surfaces in order; or lines."""
        forms = [list(pattern.finditer(reply)) for pattern in (_SQUARE, _TAGGED, _TYPED)]
        marks = max(forms, key=lambda form: sum(self.is_label(mark["type"]) for mark in form))
        quotes = [Quote(mark["surface"], mark["type"]) for mark in marks]
        if not self.has_known_label(quotes):
            if (lines := self.parse_lines(reply)) is not None:
                return LabelList([*lines])
            marks, quotes = [], []
        plain, spans = _strip_marks(reply, marks)
        page, folded = align.fold_text(self.text), align.fold_text(plain)
        folded_spans = [tuple(bisect_left(folded.offsets, offset) for offset in span) for span in spans]
        begin = _find_copy(page.text, plain, folded, folded_spans)
        if begin is None:
            self.report.notes["altered"] += bool(quotes)
            return LabelList([*quotes]) if quotes else None
        located: list[Quote | None] = []
        for quote, (start, end) in zip(quotes, folded_spans, strict=True):
            first, last = start - begin, end - begin
            if 0 <= first < last <= len(page.text):
                span = page.offsets[first], page.offsets[last - 1] + 1
                located.append(Quote(self.text[slice(*span)], quote.type, None, *span))
            elif 0 <= first == last <= len(page.text):
                located.append(quote)
            else:
                self.report.notes["outside"] += 1
        rest = folded.text[begin + len(page.text) :]
        if not located and (_ANSWER_SIGN.search(rest) or any(name in rest.casefold() for name in self.aliases)):
            return None  # more is said about the text than that it has no labels
        self.report.notes["unmarked"] += not located
        return LabelList(located, from_markup=True)

    def occurs(self, surface: str) -> bool:
        folded = align.fold_text(surface).text
        return bool(folded) and folded in align.fold_text(self.text).text

    def fits_text(self, labels: Iterable[Quote | None]) -> bool:
        """Return whether one of the labels exists and has a surface of the text."""
        return any(label and self.is_label(label.type) and self.occurs(label.surface) for label in labels)

    def parse_lines(self, reply: str) -> list[Quote] | None:
        """Return the labels of the last lines that name entities in the text, or say that there are none."""
        runs = [
            run for run in LineReader(self.is_label, self.occurs).find_runs(reply) if not run or self.fits_text(run)
        ]
        self.report.notes["several"] += any(run != runs[-1] for run in runs)
        return runs[-1] if runs else None


def _find_copy(text: str, reply: str, folded: FoldedText, marks: Sequence[tuple[int, ...]]) -> int | None:
    """Return where the folded reply repeats the folded text: the last copy with marks, else the last without.

    A copy that fills its lines goes before one inside a line. One without marks must fill them: else the text is only
    talked about.
    """
    best: tuple[bool, bool, int] | None = None
    begin = folded.text.find(text) if text else -1
    while begin >= 0:
        end = begin + len(text)
        marked = any(begin <= first and last <= end for first, last in marks)
        fills_lines = _fills_lines(reply, folded.offsets[begin], folded.offsets[end - 1] + 1)
        if marked or fills_lines:
            copy = (marked, fills_lines, begin)
            best = max(best or copy, copy)
        begin = folded.text.find(text, begin + 1)
    return best[-1] if best else None


def _fills_lines(reply: str, start: int, end: int) -> bool:
    before, after = reply[max(0, start - 99) : start].rstrip(" \t"), reply[end : end + 99].lstrip(" \t\r")
    return (not before or before.endswith("\n")) and (not after or after.startswith("\n"))


def _strip_marks(reply: str, marks: Sequence[re.Match[str]]) -> tuple[str, list[tuple[int, int]]]:
    """Return the reply without its marks, and the spans of their surfaces in it."""
    parts, spans, end, length = [], [], 0, 0
    for mark in marks:
        parts += [reply[end : mark.start()], mark["surface"]]
        length += len(parts[-2]) + len(parts[-1])
        spans.append((length - len(parts[-1]), length))
        end = mark.end()
    return "".join([*parts, reply[end:]]), spans
