"""Labels from one reply: read from JSON, markup or a line of names, and aligned to the text of the item."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jinbench.llm import align
from jinbench.llm.align import FoldedText, Quote
from jinbench.llm.json_values import KeyValuePairs, find_values
from jinbench.llm.report import ParseReport
from jinbench.scoring.gold import LabelKey

_SURFACE = ("surface", "mention", "span", "word", "text", "原文", "文字", "实体", "entity", "name")
_TYPE = ("type", "label", "category", "tag", "class", "entity_type", "entity_group", "类型", "类别", "标签", "sector")
_LEFT = ("left", "before", "left_context")
_FIELDS = {*_SURFACE, *_TYPE, *_LEFT}
_START, _END = ("start", "start_offset", "begin"), ("end", "end_offset")

_THOUGHT = re.compile(r"<(think|thinking|thought|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_THOUGHT_END = re.compile(r"\A.*</(?:think|thinking|thought|reasoning)>", re.DOTALL | re.IGNORECASE)
_SQUARE = re.compile(r"\[(?P<surface>[^\[\]|\uff5c]*)[|\uff5c](?P<type>[^\[\]|\uff5c]*)\]")
_TAGGED = re.compile(r"<(?P<type>[^<>/\s]{1,40})>(?P<surface>[^<>]*)</(?P=type)>")
_LIST = (
    *_TYPE, "sectors", "labels", "categories", "tags", "classes", "answer", "answers", "result", "results", "output",
    "prediction", "predictions", "产业", "行业", "领域", "分类", "答案", "结果", "输出",
)  # fmt: skip
_SEPARATOR = re.compile(r"\s*[,\uff0c、;\uff1b][\s,\uff0c、;\uff1b]*")
_MAX_COMMAS = 9  # looked at for the end of a name
_TRIMMED = " \t\r\n\"'“”‘’`*\u3000"
_BULLET = re.compile(r"(?:>\s*)*(?:[-+*•·–]\s+|[-•·–]|[(\uff08]?\d{1,2}(?:[.、]|[)\uff09])\s*)?")
_LEAD = re.compile(
    rf"(?:the\s+)?(?:final\s+|最终|所属)?(?:{'|'.join(sorted(_LIST, key=len, reverse=True))})(?:类别|标签)?"
    r"[*\"'`”’]*\s*[:\uff1a]",
    re.IGNORECASE,
)


def normalize_name(name: str) -> str:
    """Fold width, white space and letter case, so that names can be compared."""
    return align.fold_text(name).text.casefold()


def strip_thoughts(reply: str) -> str:
    """Remove what is between <think> and </think>, one of which may be missing."""
    return _THOUGHT_END.sub("", _THOUGHT.sub("", reply))


@dataclass
class _LabelList:
    """Labels read from one JSON value; None stands for an element that is no label."""

    labels: list[Quote | None]
    single: bool = False  # one label on its own, not a list of them


class _ReplyParser:
    """Parses the reply to one item. `aliases` maps normalized names to those of labels."""

    def __init__(
        self, id: str, text: str, names: Sequence[str], aliases: Mapping[str, str], report: ParseReport
    ) -> None:
        self.id, self.text, self.names, self.aliases, self.report = id, text, names, aliases, report

    def resolve(self, name: str) -> str | None:
        return name.strip() if name.strip() in self.names else self.aliases.get(normalize_name(name))

    def parse(self, reply: str) -> frozenset[LabelKey] | None:
        """Return the labels in a reply, or None if it cannot be used.

        In this order: the last whole list that has a known label; all labels that are alone or in a broken list; the
        last whole list with anything in it; markup; an empty list.
        """
        values = find_values(reply)
        truncated = any(value.truncated for value in values)
        lists: list[list[Quote | None]] = []
        loose: list[Quote | None] = []
        for value in values:
            answer = self.read_value(value.value)
            if answer and not value.truncated and not answer.single:
                lists.append(answer.labels)
                loose = loose if answer.labels else []  # what came before “[]” was talk
            elif answer and not (value.truncated and answer.single):
                loose += answer.labels
        with_labels = [labels for labels in lists if self.has_known_label(labels)]
        chosen: list[Quote | None] | None = None
        if with_labels:
            chosen = with_labels[-1]
            self.report.notes["several"] += any(labels != chosen for labels in with_labels)
        elif any(loose):
            chosen = loose
            self.report.notes["salvaged"] += truncated
        elif filled := [labels for labels in lists if labels]:
            chosen = filled[-1]
        if chosen is not None:
            return self.accept(chosen)
        if (unstructured := self.parse_unstructured(reply)) is not None:
            return unstructured
        if lists and not truncated:
            return self.accept([])
        self.report.leave_out("truncated" if truncated else "unreadable", self.id, reply.strip())
        return None

    def has_known_label(self, labels: Iterable[Quote | None]) -> bool:
        return any(label is not None and self.resolve(label.type) is not None for label in labels)

    def resolve_types(self, labels: Sequence[Quote | None]) -> list[Quote]:
        """Return the labels whose type exists, with its name; report the others."""
        resolved = []
        self.report.labels += len(labels)
        for label in labels:
            if label is None:
                self.report.leave_out("shapeless", self.id)
            elif (name := self.resolve(label.type)) is None:
                self.report.leave_out("unknown-type", self.id, " ".join(filter(None, (label.surface, label.type))))
            else:
                if name != label.type.strip():
                    self.report.mapped[label.type.strip(), name] += 1
                resolved.append(label._replace(type=name))
        return resolved

    def read_value(self, value: object) -> _LabelList | None:
        """Read a JSON value; None if it has no labels and is not an empty list of them."""
        raise NotImplementedError

    def accept(self, labels: Sequence[Quote | None]) -> frozenset[LabelKey]:
        """Return the labels that can be used, and report the others."""
        raise NotImplementedError

    def parse_unstructured(self, reply: str) -> frozenset[LabelKey] | None:
        """Return the labels in a reply without usable JSON."""
        raise NotImplementedError


class NerParser(_ReplyParser):
    """Parses replies with entities."""

    def accept(self, labels: Sequence[Quote | None], from_markup: bool = False) -> frozenset[LabelKey]:
        quotes = self.resolve_types(labels)
        spans = []
        for quote, alignment in zip(quotes, align.align_quotes(self.text, quotes), strict=True):
            if isinstance(alignment, str):
                self.report.leave_out(alignment, self.id, quote.surface)
                continue
            spans.append((alignment.start, alignment.end, quote.type))
            method = alignment.method
            self.report.methods["markup" if from_markup else method] += 1
            self.report.ambiguous += alignment.ambiguous
            has_offsets = quote.start is not None or quote.end is not None
            self.report.notes["offsets-ignored"] += has_offsets and method != align.OFFSETS
            self.report.notes["left-ignored"] += bool(quote.left) and method not in (align.OFFSETS, align.LEFT)
        self.report.accepted += len(spans)
        return frozenset(spans)

    def read_value(self, value: object) -> _LabelList | None:
        if isinstance(value, KeyValuePairs):
            label = self.read_record(value)
            return _LabelList([label], single=True) if label else self.read_mapping(value)
        if isinstance(value, list):
            pair = self.read_pair(value)
            if pair and self.resolve(pair.type) is not None:
                return _LabelList([pair], single=True)
            parts = [self.read_element(part) for part in value]
            if not value or any(part is not None for part in parts):
                return _LabelList([label for part in parts for label in (part or [None])])
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
        surfaces = [key for key in _SURFACE if isinstance(table.get(key), str)]
        types = [key for key in _TYPE if isinstance(table.get(key), str)]
        if not types and len(surfaces) > 1 and "entity" in surfaces:  # {"word": …, "entity": TYPE}
            types = ["entity"]
            surfaces.remove("entity")
        if not surfaces or not (types or label):
            return None
        left = next((table[key] for key in _LEFT if isinstance(table.get(key), str)), None)
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
        swapped = self.resolve(words[1]) is None and self.resolve(words[0]) is not None
        surface, label = reversed(words) if swapped else words
        return Quote(surface, label, None, *(numbers or (None, None)))

    def read_mapping(self, value: KeyValuePairs) -> _LabelList | None:
        """Read {TYPE: [surface, …]}, {surface: TYPE}, or a mapping around one of the forms of a list."""
        is_flat = not any(isinstance(part, list) for _, part in value)
        labels: list[Quote | None] = []
        has_list = False
        for key, part in value:
            is_type = self.resolve(key) is not None
            words = [part] if isinstance(part, str) else part
            if not isinstance(words, list):
                continue
            if all(isinstance(word, str) for word in words):
                if part is not words and (key.casefold() in _FIELDS if is_flat else not is_type):
                    continue
                names_type = len(words) == 1 and self.resolve(words[0]) is not None
                swapped = names_type or not is_type if is_flat else names_type and not is_type
                labels += [Quote(key, word) if swapped else Quote(word, key) for word in words]
                has_list |= not words
            elif is_type and not isinstance(part, KeyValuePairs):
                for element in part:
                    record = self.read_record(element, key) if isinstance(element, KeyValuePairs) else None
                    labels.append(Quote(element, key) if isinstance(element, str) else record)
            elif inner := self.read_value(part):
                labels += inner.labels
                has_list = True
        fits = self.has_known_label(labels) or not value if is_flat else labels or has_list
        return _LabelList(labels) if fits else None

    def parse_unstructured(self, reply: str) -> frozenset[LabelKey] | None:
        """Parse markup: along the text if the reply repeats it, else as surfaces in order."""
        forms = [list(pattern.finditer(reply)) for pattern in (_SQUARE, _TAGGED)]
        marks = max(forms, key=lambda form: sum(self.resolve(mark["type"]) is not None for mark in form))
        quotes = [Quote(mark["surface"], mark["type"]) for mark in marks]
        if not self.has_known_label(quotes):
            marks, quotes = [], []
        plain, spans = _strip_marks(reply, marks)
        page, folded = align.fold_text(self.text), align.fold_text(plain)
        folded_spans = [tuple(bisect_left(folded.offsets, offset) for offset in span) for span in spans]
        begin = _find_copy(page.text, plain, folded, folded_spans)
        if begin is None:
            self.report.notes["altered"] += bool(quotes)
            return self.accept(quotes) if quotes else None
        located = []
        for quote, (start, end) in zip(quotes, folded_spans, strict=True):
            first, last = start - begin, end - begin
            if 0 <= first < last <= len(page.text):
                span = page.offsets[first], page.offsets[last - 1] + 1
                located.append(Quote(self.text[slice(*span)], quote.type, None, *span))
            elif 0 <= first == last <= len(page.text):
                located.append(quote)
            else:
                self.report.notes["outside"] += 1
        self.report.notes["unmarked"] += not located
        return self.accept(located, from_markup=True)


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


class SectorParser(_ReplyParser):
    """Parses replies with sectors."""

    def accept(self, labels: Sequence[Quote | None]) -> frozenset[LabelKey]:
        names = [label.type for label in self.resolve_types(labels)]
        self.report.notes["twice"] += len(names) - len(set(names))
        self.report.accepted += len(names)
        return frozenset((name,) for name in names)

    def read_value(self, value: object) -> _LabelList | None:
        if isinstance(value, KeyValuePairs):
            return self.read_mapping(value)
        if isinstance(value, list):
            labels: list[Quote | None] = []
            for part in value:
                inner = self.read_value(part) if isinstance(part, list) else None
                labels += [Quote("", part)] if isinstance(part, str) else inner.labels if inner else [None]
            return _LabelList(labels) if any(labels) or None not in labels else None
        return None

    def read_mapping(self, value: KeyValuePairs) -> _LabelList | None:
        """Read {sector: true or false}, or what is under a key that means the list; other keys are ignored.

        Two such keys with different labels leave the answer open.
        """
        if value and all(self.resolve(key) is not None and _is_boolean(part) for key, part in value):
            return _LabelList([Quote("", key) for key, part in value if part])
        answers: dict[str, _LabelList] = {}
        for key, part in value:
            name = key.strip().casefold()
            if name not in _LIST:
                continue
            inner = self.read_value(part) if isinstance(part, list) else self.read_string(part, name in _TYPE)
            if inner:
                labels = [*answers[name].labels, *inner.labels] if name in answers else inner.labels
                answers[name] = _LabelList(labels, inner.single)
        if not answers:
            return None if value else _LabelList([])
        first, *others = answers.values()
        return first if all(other.labels == first.labels for other in others) else None

    def read_string(self, part: object, single: bool) -> _LabelList | None:
        """Read the names in a string; one that is not a list of known names is a label that may not exist."""
        if not isinstance(part, str):
            return None
        if names := self.read_line(part):
            return _LabelList([*names], single=single and len(names) == 1)
        return _LabelList([Quote("", part)], single=True) if single else None

    def parse_unstructured(self, reply: str) -> frozenset[LabelKey] | None:
        """Parse the last line outside of JSON that is nothing but known names, with such lines just before it.

        A line with anything else may as well deny what it names, so that none of it is taken.
        """
        outside, end = [], 0
        for value in find_values(reply):
            outside += [reply[end : value.start], "\N{OBJECT REPLACEMENT CHARACTER}"]
            end = value.end
        labels: list[Quote | None] = []
        for line in reversed("".join([*outside, reply[end:]]).splitlines()):
            if not line.strip():
                continue
            names = self.read_line(line)
            if labels and not names:
                break
            labels = [*names, *labels]
        return self.accept(labels) if labels else None

    def read_line(self, text: str) -> list[Quote]:
        """Read the names in a line; none at all if anything in it is no name.

        A bullet, quotation marks, a word such as “sectors:” and a full stop do not count. Names may have commas in
        them: the longest that fits is taken first.
        """
        text = _LEAD.sub("", _BULLET.sub("", text.strip()).strip(_TRIMMED), count=1).strip(_TRIMMED)
        text = re.sub(r"[.\u3002]\Z", "", text).strip(_TRIMMED)
        names: list[Quote] = []
        longest = 2 * max(map(len, self.aliases), default=0) + 20  # with the white space that is not in the keys
        start = 0
        while start < len(text):
            cuts = [match.start() for match in _SEPARATOR.finditer(text, start, start + longest)][:_MAX_COMMAS]
            cuts += [len(text)] if len(text) <= start + longest and len(cuts) < _MAX_COMMAS else []
            pieces = [(text[start:cut].strip(_TRIMMED), cut) for cut in cuts]
            fitting = [(piece, cut) for piece, cut in pieces if self.resolve(piece) is not None]
            if not fitting:
                return []
            names.append(Quote("", fitting[-1][0]))
            match = _SEPARATOR.match(text, fitting[-1][1])
            start = match.end() if match else len(text)
        return names


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool) or (type(value) is int and value in (0, 1))
