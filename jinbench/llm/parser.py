"""The labels in one reply: found in JSON, in markup or in a line, and brought to the text that they are about."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinbench.llm import align, lenient_json
from jinbench.llm.align import Folded, Quoted
from jinbench.llm.lenient_json import Pairs
from jinbench.llm.report import ParseReport
from jinbench.scoring.gold import LabelKey

_SURFACE = ("surface", "mention", "span", "word", "text", "原文", "文字", "实体", "entity", "name")
_TYPE = ("type", "label", "category", "tag", "class", "entity_type", "entity_group", "类型", "类别", "标签", "sector")
_LEFT = ("left", "before", "left_context")
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
_WORDS = 9  # how many commas are looked at for the end of a name
_TRIMMED = " \t\r\n\"'“”‘’`*\u3000"
_BULLET = re.compile(r"(?:>\s*)*(?:[-+*•·–]\s+|[-•·–]|[(\uff08]?\d{1,2}(?:[.、]|[)\uff09])\s*)?")
_LEAD = re.compile(
    rf"(?:the\s+)?(?:final\s+|最终|所属)?(?:{'|'.join(sorted(_LIST, key=len, reverse=True))})(?:类别|标签)?"
    r"[*\"'`”’]*\s*[:\uff1a]",
    re.IGNORECASE,
)


def key(name: str) -> str:
    """A name as it is compared: width, white space and letter case make no difference."""
    return align.fold(name).text.casefold()


def without_thought(reply: str) -> str:
    """The reply without what stands between <think> and </think>, one of which may be missing."""
    reply = _THOUGHT.sub("", reply)
    return _THOUGHT_END.sub("", reply)


@dataclass
class _Reading:
    """A list of labels that was found in a reply; None stands for an element that is none."""

    labels: list[Quoted | None]
    single: bool = False  # one label on its own, not a list of them


class _Reader:
    """Reads the reply to one item."""

    def __init__(self, id: str, text: str, names: Sequence[str], known: Mapping[str, str], report: ParseReport) -> None:
        self.id, self.text, self.names, self.known, self.report = id, text, names, known, report

    def resolve(self, said: str) -> str | None:
        return said.strip() if said.strip() in self.names else self.known.get(key(said))

    def read(self, reply: str) -> frozenset[LabelKey] | None:
        """The labels in a reply, or None if it cannot be used.

        In this order: the last whole list that has a known label; the labels that stand alone or in a broken list,
        all of them; the last whole list with anything; markup; an empty list.
        """
        found = lenient_json.values(reply)
        lists: list[list[Quoted | None]] = []
        loose: list[Quoted | None] = []
        for each in found:
            reading = self.reading(each.value)
            if reading and each.whole and not reading.single:
                lists.append(reading.labels)
                loose = loose if reading.labels else []  # what stood before “[]” was talk
            elif reading and (each.whole or not reading.single):
                loose += reading.labels
        good = [one for one in lists if self.any_known(one)]
        chosen: list[Quoted | None] | None = None
        if good:
            chosen = good[-1]
            self.report.notes["several"] += any(one != chosen for one in good)
        elif any(loose):
            chosen = loose
            self.report.notes["salvaged"] += any(not each.whole for each in found)
        elif filled := [one for one in lists if one]:
            chosen = filled[-1]
        if chosen is not None:
            return self.labels(chosen)
        if (marked := self.unstructured(reply)) is not None:
            return marked
        truncated = any(each.truncated for each in found)
        if lists and not truncated:
            return self.labels([])
        self.report.leave_out("truncated" if truncated else "unreadable", self.id, reply.strip())
        return None

    def any_known(self, found: Iterable[Quoted | None]) -> bool:
        return any(label is not None and self.resolve(label.type) is not None for label in found)

    def accepted(self, found: Sequence[Quoted | None]) -> list[Quoted]:
        """The labels that exist, under their names."""
        kept = []
        self.report.labels += len(found)
        for label in found:
            if label is None:
                self.report.leave_out("shapeless", self.id)
            elif (name := self.resolve(label.type)) is None:
                self.report.leave_out("unknown-type", self.id, " ".join(filter(None, (label.surface, label.type))))
            else:
                if name != label.type.strip():
                    self.report.mapped[label.type.strip(), name] += 1
                kept.append(label._replace(type=name))
        return kept

    def reading(self, value: Any) -> _Reading | None:
        raise NotImplementedError

    def labels(self, found: Sequence[Quoted | None]) -> frozenset[LabelKey]:
        raise NotImplementedError

    def unstructured(self, reply: str) -> frozenset[LabelKey] | None:
        raise NotImplementedError


class NerParser(_Reader):
    def labels(self, found: Sequence[Quoted | None], walked: bool = False) -> frozenset[LabelKey]:
        quoted = self.accepted(found)
        spans = []
        for entry, place in zip(quoted, align.align_quotes(self.text, quoted), strict=True):
            if isinstance(place, str):
                self.report.leave_out(place, self.id, entry.surface)
                continue
            spans.append((place.start, place.end, entry.type))
            self.report.how["markup" if walked else place.how] += 1
            self.report.ambiguous += place.ambiguous
            offsets = entry.start is not None or entry.end is not None
            self.report.notes["offsets-ignored"] += offsets and place.how != align.OFFSETS
            self.report.notes["left-ignored"] += bool(entry.left) and place.how not in (align.OFFSETS, align.LEFT)
        self.report.kept += len(spans)
        return frozenset(spans)

    def reading(self, value: Any) -> _Reading | None:
        if isinstance(value, Pairs):
            label = self.record(value)
            return _Reading([label], single=True) if label else self.mapping(value)
        if isinstance(value, list):
            pair = self.pair(value)
            if pair and self.resolve(pair.type) is not None:
                return _Reading([pair], single=True)
            parts = [self.element(part) for part in value]
            if not value or any(part is not None for part in parts):
                return _Reading([label for part in parts for label in (part or [None])])
        return None

    def element(self, value: Any) -> list[Quoted | None] | None:
        """The labels in one element of a list; None if it has none."""
        if not isinstance(value, list):
            return None
        if not isinstance(value, Pairs) and (pair := self.pair(value)):
            return [pair]
        found = self.reading(value)
        return found.labels if found and found.labels else None

    def record(self, value: Pairs, label: str | None = None) -> Quoted | None:
        """A label as a mapping with names for its parts."""
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
        return Quoted(table[surfaces[0]], table[types[0]] if types else str(label), left, start, end)

    def pair(self, value: Sequence[Any]) -> Quoted | None:
        """A label as a list of surface and type, in one order or the other, with or without offsets."""
        words = [part for part in value if isinstance(part, str)]
        numbers = [part for part in value if type(part) is int]
        if len(words) != 2 or len(words) + len(numbers) != len(value) or len(numbers) not in (0, 2):
            return None
        swapped = self.resolve(words[1]) is None and self.resolve(words[0]) is not None
        surface, label = reversed(words) if swapped else words
        return Quoted(surface, label, None, *(numbers or (None, None)))

    def mapping(self, value: Pairs) -> _Reading | None:
        """{TYPE: [surface, …]}, {surface: TYPE}, or something around one of the forms of a list."""
        if not any(isinstance(part, list) for _, part in value):
            fields = {*_SURFACE, *_TYPE, *_LEFT}
            said = [(key, part) for key, part in value if isinstance(part, str) and key.casefold() not in fields]
            found = [self.told(key, part) for key, part in said]
            return _Reading(list(found)) if self.any_known(found) or not value else None
        labels: list[Quoted | None] = []
        empty = False
        for key, part in value:
            if not isinstance(part, list):
                if isinstance(part, str) and self.resolve(key) is not None:
                    labels.append(Quoted(part, key))
                continue
            words = [word for word in part if isinstance(word, str)]
            if not part:
                empty = True
            elif len(words) == len(part):
                if len(words) == 1 and self.resolve(key) is None and self.resolve(words[0]) is not None:
                    labels.append(Quoted(key, words[0]))
                else:
                    labels += [Quoted(word, key) for word in words]
            elif self.resolve(key) is not None and not isinstance(part, Pairs):
                records = [self.record(each, key) if isinstance(each, Pairs) else None for each in part]
                labels += [Quoted(e, key) if isinstance(e, str) else r for e, r in zip(part, records, strict=True)]
            elif inside := self.reading(part):
                labels += inside.labels
                empty = True
        return _Reading(labels) if labels or empty else None

    def told(self, key: str, part: str) -> Quoted:
        swapped = self.resolve(part) is None and self.resolve(key) is not None
        return Quoted(part, key) if swapped else Quoted(key, part)

    def unstructured(self, reply: str) -> frozenset[LabelKey] | None:
        """Markup: walked along the text if that is the item's, else its surfaces in order."""
        forms = [list(pattern.finditer(reply)) for pattern in (_SQUARE, _TAGGED)]
        marks = max(forms, key=lambda found: sum(self.resolve(mark["type"]) is not None for mark in found))
        quoted = [Quoted(mark["surface"], mark["type"]) for mark in marks]
        if not self.any_known(quoted):
            marks, quoted = [], []
        plain, spans = _without(reply, marks)
        page, said = align.fold(self.text), align.fold(plain)
        inside = [tuple(bisect_left(said.at, place) for place in span) for span in spans]  # of the folded reply
        begin = _copy(page.text, plain, said, inside)
        if begin is None:
            self.report.notes["altered"] += bool(quoted)
            return self.labels(quoted) if quoted else None
        walked = []
        for entry, (start, end) in zip(quoted, inside, strict=True):
            first, last = start - begin, end - begin
            if 0 <= first < last <= len(page.text):
                begins, ends = page.at[first], page.at[last - 1] + 1
                walked.append(Quoted(self.text[begins:ends], entry.type, None, begins, ends))
            elif 0 <= first == last <= len(page.text):
                walked.append(entry)
            else:
                self.report.notes["outside"] += 1
        self.report.notes["unmarked"] += not walked
        return self.labels(walked, walked=True)


def _copy(text: str, reply: str, said: Folded, marks: Sequence[tuple[int, ...]]) -> int | None:
    """Where in the folded reply the folded text begins: the last copy with marks in it, else the last without.

    One that fills its lines goes before one that stands in the middle of something. One without marks must fill them:
    else the text is only talked about.
    """
    best: tuple[bool, bool, int] | None = None
    begin = said.text.find(text) if text else -1
    while begin >= 0:
        end = begin + len(text)
        marked = any(begin <= first and last <= end for first, last in marks)
        alone = _alone(reply, said.at[begin], said.at[end - 1] + 1)
        if marked or alone:
            best = max(best or (marked, alone, begin), (marked, alone, begin))
        begin = said.text.find(text, begin + 1)
    return best[-1] if best else None


def _alone(reply: str, start: int, end: int) -> bool:
    """Whether what stands there fills its lines."""
    before, after = reply[max(0, start - 99) : start].rstrip(" \t"), reply[end : end + 99].lstrip(" \t\r")
    return (not before or before.endswith("\n")) and (not after or after.startswith("\n"))


def _without(reply: str, marks: Sequence[re.Match[str]]) -> tuple[str, list[tuple[int, int]]]:
    """The reply without its marks, and where their surfaces stand in it."""
    parts, spans, end, length = [], [], 0, 0
    for mark in marks:
        parts += [reply[end : mark.start()], mark["surface"]]
        length += len(parts[-2]) + len(parts[-1])
        spans.append((length - len(parts[-1]), length))
        end = mark.end()
    return "".join([*parts, reply[end:]]), spans


class SectorParser(_Reader):
    def labels(self, found: Sequence[Quoted | None]) -> frozenset[LabelKey]:
        names = [label.type for label in self.accepted(found)]
        self.report.notes["twice"] += len(names) - len(set(names))
        self.report.kept += len(names)
        return frozenset((name,) for name in names)

    def reading(self, value: Any) -> _Reading | None:
        if isinstance(value, Pairs):
            return self.mapping(value)
        if isinstance(value, list):
            labels: list[Quoted | None] = []
            for part in value:
                inside = self.reading(part) if isinstance(part, list) else None
                labels += [Quoted("", part)] if isinstance(part, str) else inside.labels if inside else [None]
            return _Reading(labels) if any(labels) or None not in labels else None
        return None

    def mapping(self, value: Pairs) -> _Reading | None:
        """{sector: true or false}, or what stands under a key that means the list; other keys say nothing.

        Two such keys that say different things leave it open what the answer is.
        """
        if value and all(self.resolve(key) is not None and _yes_or_no(part) for key, part in value):
            return _Reading([Quoted("", key) for key, part in value if part])
        found: dict[str, _Reading] = {}
        for key, part in value:
            name = key.strip().casefold()
            if name not in _LIST:
                continue
            inside = self.reading(part) if isinstance(part, list) else self.told(part, name in _TYPE)
            if inside:
                labels = [*found[name].labels, *inside.labels] if name in found else inside.labels
                found[name] = _Reading(labels, inside.single)
        if not found:
            return None if value else _Reading([])
        first, *others = found.values()
        return first if all(other.labels == first.labels for other in others) else None

    def told(self, part: Any, single: bool) -> _Reading | None:
        """The names in a string; one that is not a list of known names is a label that may not exist."""
        if not isinstance(part, str):
            return None
        if names := self.line(part):
            return _Reading([*names], single=single and len(names) == 1)
        return _Reading([Quoted("", part)], single=True) if single else None

    def unstructured(self, reply: str) -> frozenset[LabelKey] | None:
        """The last line outside of JSON that is nothing but known names, with the lines just before it that are.

        A line that says anything else may as well deny what it names, so that none of it is taken.
        """
        outside, end = [], 0
        for each in lenient_json.values(reply):
            outside += [reply[end : each.start], "\N{OBJECT REPLACEMENT CHARACTER}"]
            end = each.end
        found: list[Quoted | None] = []
        for line in reversed("".join([*outside, reply[end:]]).splitlines()):
            if not line.strip():
                continue
            named = self.line(line)
            if found and not named:
                break
            found = [*named, *found]
        return self.labels(found) if found else None

    def line(self, text: str) -> list[Quoted]:
        """The names in a line; none at all if anything in it is no name.

        A bullet, quotation marks, a word such as “sectors:” and a full stop do not count. Names may have commas in
        them: the longest that fits is taken first.
        """
        text = _LEAD.sub("", _BULLET.sub("", text.strip()).strip(_TRIMMED), count=1).strip(_TRIMMED)
        text = re.sub(r"[.\u3002]\Z", "", text).strip(_TRIMMED)
        found: list[Quoted] = []
        longest = 2 * max(map(len, self.known), default=0) + 20  # with the white space that is not in the keys
        place = 0
        while place < len(text):
            cuts = [match.start() for match in _SEPARATOR.finditer(text, place, place + longest)][:_WORDS]
            cuts += [len(text)] if len(text) <= place + longest and len(cuts) < _WORDS else []
            pieces = [(text[place:cut].strip(_TRIMMED), cut) for cut in cuts]
            fitting = [(piece, cut) for piece, cut in pieces if self.resolve(piece) is not None]
            if not fitting:
                return []
            found.append(Quoted("", fitting[-1][0]))
            match = _SEPARATOR.match(text, fitting[-1][1])
            place = match.end() if match else len(text)
        return found


def _yes_or_no(value: Any) -> bool:
    return isinstance(value, bool) or (type(value) is int and value in (0, 1))
