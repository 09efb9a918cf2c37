"""What language models reply, turned into predictions: labels are found in the reply, words are found in the text.

A reply that cannot be read gives no prediction, so that its item is counted as missing; one that says that there is
nothing gives an empty one. Whatever is left out is left out with a reason, and counted.
"""

import json
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinbench import aligning, files, labels, tolerant
from jinbench.aligning import Folded, Quoted
from jinbench.problems import Problem, raise_if_any, shorten
from jinbench.rooms import Rooms
from jinbench.submissions import Gold, Label
from jinbench.tolerant import Pairs

# Why a whole reply gives no prediction, and why a label of a reply is left out.
UNUSABLE = {
    "empty-reply": "the reply is empty",
    "refused": "the model, or the service that runs it, refused",
    "unreadable": "no JSON and no markup found",
    "truncated": "the reply breaks off before its first label is whole",
    "no-reply": "the item has no reply",
}
DROPPED = {
    aligning.ABSENT: "the surface is not in the text",
    aligning.REPEATED: "the surface is given more often than it occurs",
    aligning.OVERLAP: "it overlaps another label",
    aligning.EMPTY: "the surface is empty",
    "unknown-type": "the label does not exist",
    "shapeless": "an element without surface and type",
}
NOTES = {
    "salvaged": "replies that break off or are broken, read as far as they are whole",
    "several": "replies with several lists, of which the last was taken",
    "altered": "marked-up texts that differ from the item's, whose marks were aligned in order",
    "outside": "marks outside of the text, in what the model says about it",
    "unmarked": "texts given back without a mark, taken as: no labels",
    "offsets-ignored": "labels whose offsets do not point at their surface, aligned without them",
    "left-ignored": "labels whose left context is not there, aligned without it",
    "twice": "labels of a passage given twice, counted once",
}

_SURFACE = ("surface", "mention", "span", "word", "text", "原文", "文字", "实体", "entity", "name")
_TYPE = ("type", "label", "category", "tag", "class", "entity_type", "entity_group", "类型", "类别", "标签", "sector")
_LEFT = ("left", "before", "left_context")
_START, _END = ("start", "start_offset", "begin"), ("end", "end_offset")

_THOUGHT = re.compile(r"<(think|thinking|thought|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_THOUGHT_END = re.compile(r"\A.*</(?:think|thinking|thought|reasoning)>", re.DOTALL | re.IGNORECASE)
_SQUARE = re.compile(r"\[(?P<surface>[^\[\]|\uff5c]*)[|\uff5c](?P<type>[^\[\]|\uff5c]*)\]")
_TAGGED = re.compile(r"<(?P<type>[^<>/\s]{1,40})>(?P<surface>[^<>]*)</(?P=type)>")
_SEPARATOR = re.compile(r"[\s,\uff0c、;\uff1b/|]+")
_WORDS = 9  # how many words the name of a sector may have
_TRIMMED = " \t\r\n\"'“”‘’`*.。-•[]{}()\uff08\uff09"

Resolve = Callable[[str], str | None]  # the name of a label, from what a reply calls it


@dataclass
class Report:
    """What became of the replies. `where[reason]` lists (id, what) for everything that was left out."""

    task: str
    split: str
    items: int
    replies: int = 0
    used: int = 0
    labels: int = 0
    kept: int = 0
    how: Counter[str] = field(default_factory=Counter)
    ambiguous: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    mapped: Counter[tuple[str, str]] = field(default_factory=Counter)
    where: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))

    def leave_out(self, reason: str, id: str, what: str = "") -> None:
        self.where[reason].append((id, shorten(what, 60) if what else ""))

    def to_dict(self) -> dict[str, Any]:
        def reasons(table: Mapping[str, str]) -> dict[str, Any]:
            return {
                reason: {"why": why, "count": len(found), "where": [{"id": id, "what": what} for id, what in found]}
                for reason, why in table.items()
                if (found := self.where.get(reason))
            }

        return {
            "task": self.task,
            "split": self.split,
            "items": self.items,
            "replies": self.replies,
            "used": self.used,
            "unusable": reasons(UNUSABLE),
            "labels": self.labels,
            "kept": self.kept,
            "aligned": dict(sorted(self.how.items())),
            "ambiguous": self.ambiguous,
            "dropped": reasons(DROPPED),
            "notes": {note: self.notes[note] for note in NOTES if self.notes[note]},
            "mapped": [{"from": said, "to": name, "count": n} for (said, name), n in sorted(self.mapped.items())],
        }

    def __str__(self) -> str:
        lines = [f"{self.task}/{self.split}: {self.items} items, {self.replies} replies, {self.used} could be used"]
        lines += self._reasons(UNUSABLE)
        how = ", ".join(f"{count} {name}" for name, count in sorted(self.how.items()))
        lines.append(f"{self.labels} labels in them, {self.kept} kept" + (f": {how}" if how else ""))
        if self.ambiguous:
            lines.append(
                f"  {self.ambiguous} of them ambiguous: the words stand elsewhere too; the first place was taken"
            )
        lines += self._reasons(DROPPED)
        lines += [f"  {self.notes[note]:>6}  {what}" for note, what in NOTES.items() if self.notes[note]]
        lines += [f"  {count:>6}  {said!r} read as {name}" for (said, name), count in sorted(self.mapped.items())]
        return "\n".join(lines)

    def _reasons(self, table: Mapping[str, str], examples: int = 3) -> list[str]:
        lines = []
        for reason, why in table.items():
            found = self.where.get(reason, [])
            if found:
                shown = "; ".join(f"{id} {what}".strip() for id, what in found[:examples])
                lines.append(f"  {len(found):>6}  {why} ({reason}): {shown}{'; …' * (len(found) > examples)}")
        return lines


def names(where: Rooms, gold: Gold) -> dict[str, str]:
    """What a reply may call each label: its name, and its Chinese or English one, in lower case."""
    found: dict[str, set[str]] = defaultdict(set)
    for name in gold.names:
        found[_key(name)].add(name)
    if where.labels.is_file():
        label_set = labels.read(where)
        for label in label_set.entities if gold.task == "ner" else label_set.sectors:
            if label.name in gold.names:
                found[_key(label.zh)].add(label.name)
                found[_key(label.en)].add(label.name)
    return {key: next(iter(meant)) for key, meant in found.items() if len(meant) == 1}


def _key(name: str) -> str:
    return aligning.fold(name).text.casefold()


# --- the file ---


def read(path: Path, gold: Gold) -> dict[str, tuple[str, bool]]:
    """Replies by id, each with whether it was refused, from JSON Lines in one of the forms that `jinbench parse` takes.

    Raises :class:`DataError` (file-missing, not-utf8, broken-json, wrong-shape, unknown-id, duplicate-id) with every
    problem of the file and its line number.
    """
    known = set(gold.ids)
    problems: list[Problem] = []
    found: dict[str, tuple[str, bool]] = {}
    lines: dict[str, int] = {}
    for number, row in files.read_jsonl(path):
        where = f"{files.shown(path)}:{number}"
        id = row.get("id") if "custom_id" not in row else row["custom_id"]
        if not isinstance(id, str) or id not in known:
            hint = "give each reply the id of its prompt"
            expected = f"the id of an item of {gold.task}/{gold.split}"
            problems.append(Problem("unknown-id", where, expected, shorten(repr(id)), hint))
        elif id in lines:
            found_twice, hint = f"{id} also on line {lines[id]}", "keep one of the two lines"
            problems.append(Problem("duplicate-id", where, "each id once", found_twice, hint))
        elif (said := _said(row)) is None:
            expected = '{"id", "reply"}, {"id", "messages"}, or a line of a batch service'
            hint = "see: jinbench parse --help"
            problems.append(Problem("wrong-shape", where, expected, shorten(", ".join(sorted(row)), 80), hint))
        else:
            found[id] = said
        if isinstance(id, str):
            lines.setdefault(id, number)
    raise_if_any(problems)
    return found


def _said(row: Mapping[str, Any]) -> tuple[str, bool] | None:
    """The text of a reply and whether it was refused; None if the row has none of the forms."""
    if "reply" in row:  # a list or mapping: somebody has read the JSON already
        reply = row["reply"]
        said = json.dumps(reply, ensure_ascii=False) if isinstance(reply, list | dict) else _content(reply)
        return None if said is None else (said, False)
    if isinstance(row.get("messages"), list):
        answers = [m for m in row["messages"] if isinstance(m, dict) and m.get("role") == "assistant"]
        return _message(answers[-1]) if answers else None
    if isinstance(row.get("result"), dict):  # a batch of messages: succeeded, errored, canceled, expired
        return _message(row["result"].get("message")) if row["result"].get("type") == "succeeded" else ("", True)
    if row.get("error") and not row.get("response"):
        return "", True
    try:
        choice = row["response"]["body"]["choices"][0]
    except (KeyError, IndexError, TypeError):
        return ("", True) if _dig(row, "response", "body", "error") else None
    return _message(_dig(choice, "message"), _dig(choice, "finish_reason") == "content_filter")


def _dig(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _message(message: Any, refused: bool = False) -> tuple[str, bool] | None:
    if not isinstance(message, dict):
        return None
    refused = refused or bool(message.get("refusal")) or message.get("stop_reason") == "refusal"
    said = _content(message.get("content"))
    return None if said is None else (said, refused)


def _content(value: Any) -> str | None:
    """A text, or the texts of a list of parts; nothing at all is an empty text."""
    if isinstance(value, list) and all(isinstance(part, dict) and "type" in part for part in value):
        value = "".join(str(part.get("text", "")) for part in value if part["type"] in ("text", "output_text"))
    return "" if value is None else value if isinstance(value, str) else None


# --- all of it ---


def parse(
    gold: Gold, said: Mapping[str, tuple[str, bool]], known: Mapping[str, str]
) -> tuple[dict[str, frozenset[Label]], Report]:
    """Predictions by id, for the items whose reply could be used, and what became of everything.

    `said` is as :func:`read` gives it, `known` as :func:`names`. Of `gold` only ids, texts and names are looked at.
    """
    report = Report(gold.task, gold.split, len(gold.ids), len(said))
    found: dict[str, frozenset[Label]] = {}
    reader = _Ner if gold.task == "ner" else _Sector
    for id, text in zip(gold.ids, gold.texts, strict=True):
        if id not in said:
            report.leave_out("no-reply", id)
            continue
        reply, refused = said[id]
        if refused:
            report.leave_out("refused", id, reply)
        elif not reply.strip():
            report.leave_out("empty-reply", id)
        elif not (answer := without_thought(reply)).strip():
            report.leave_out("truncated", id, reply)
        elif (predicted := reader(id, text, gold.names, known, report).read(answer)) is not None:
            found[id] = predicted
    report.used = len(found)
    return found, report


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

    def __init__(self, id: str, text: str, names: Sequence[str], known: Mapping[str, str], report: Report) -> None:
        self.id, self.text, self.names, self.known, self.report = id, text, names, known, report

    def resolve(self, said: str) -> str | None:
        return said.strip() if said.strip() in self.names else self.known.get(_key(said))

    def read(self, reply: str) -> frozenset[Label] | None:
        """The labels in a reply, or None if it cannot be used.

        In this order: the last whole list that has a known label; the labels that stand alone or in a broken list,
        all of them; the last whole list with anything; markup; an empty list.
        """
        found = tolerant.values(reply)
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
                self.report.mapped[label.type.strip(), name] += name != label.type.strip()
                kept.append(label._replace(type=name))
        return kept

    def reading(self, value: Any) -> _Reading | None:
        raise NotImplementedError

    def labels(self, found: Sequence[Quoted | None]) -> frozenset[Label]:
        raise NotImplementedError

    def unstructured(self, reply: str) -> frozenset[Label] | None:
        raise NotImplementedError


class _Ner(_Reader):
    def labels(self, found: Sequence[Quoted | None], walked: bool = False) -> frozenset[Label]:
        quoted = self.accepted(found)
        spans = []
        for entry, place in zip(quoted, aligning.align(self.text, quoted), strict=True):
            if isinstance(place, str):
                self.report.leave_out(place, self.id, entry.surface)
                continue
            spans.append((place.start, place.end, entry.type))
            self.report.how["markup" if walked else place.how] += 1
            self.report.ambiguous += place.ambiguous
            offsets = entry.start is not None or entry.end is not None
            self.report.notes["offsets-ignored"] += offsets and place.how != aligning.OFFSETS
            self.report.notes["left-ignored"] += bool(entry.left) and place.how not in (aligning.OFFSETS, aligning.LEFT)
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

    def unstructured(self, reply: str) -> frozenset[Label] | None:
        """Markup: walked along the text if that is the item's, else its surfaces in order."""
        forms = [list(pattern.finditer(reply)) for pattern in (_SQUARE, _TAGGED)]
        marks = max(forms, key=lambda found: sum(self.resolve(mark["type"]) is not None for mark in found))
        quoted = [Quoted(mark["surface"], mark["type"]) for mark in marks]
        if not self.any_known(quoted):
            marks, quoted = [], []
        plain, spans = _without(reply, marks)
        page, said = aligning.fold(self.text), aligning.fold(plain)
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


class _Sector(_Reader):
    def labels(self, found: Sequence[Quoted | None]) -> frozenset[Label]:
        names = [label.type for label in self.accepted(found)]
        self.report.notes["twice"] += len(names) - len(set(names))
        self.report.kept += len(names)
        return frozenset((name,) for name in names)

    def reading(self, value: Any) -> _Reading | None:
        if isinstance(value, Pairs):
            if value and all(isinstance(part, bool) for _, part in value):  # {"port": true, "water": false}
                return _Reading([Quoted("", key) for key, part in value if part])
            named = [part for key, part in value if key.strip().casefold() in _TYPE and isinstance(part, str)]
            if named:
                return _Reading([Quoted("", name) for name in named], single=True)
            parts = [part for _, part in value if isinstance(part, list)]
            words = [label for _, part in value if isinstance(part, str) for label in self.line(part)]
            inner = [inside for part in parts if (inside := self.reading(part)) is not None]
            if inner or not value:
                return _Reading([label for inside in inner for label in inside.labels])
            return _Reading(words) if self.any_known(words) else None
        if isinstance(value, list):
            labels: list[Quoted | None] = []
            for part in value:
                inside = self.reading(part) if isinstance(part, list) else None
                labels += [Quoted("", part)] if isinstance(part, str) else inside.labels if inside else [None]
            return _Reading(labels) if not value or any(labels) else None
        return None

    def unstructured(self, reply: str) -> frozenset[Label] | None:
        """The last line that has a known name between commas and the like, with the lines just before it that have.

        Of a line with a colon, what stands behind it counts if it has a known name, else what stands before it.
        """
        found: list[Quoted | None] = []
        for line in reversed(reply.splitlines()):
            sides = [self.line(side) for side in reversed(re.split(r"[:\uff1a]", line, maxsplit=1))]
            named = next((side for side in sides if self.any_known(side)), [])
            if found and not named:
                break
            found = named + found
        return self.labels(found) if found else None

    def line(self, text: str) -> list[Quoted | None]:
        """The names in a line. Names may have commas in them: the longest that fits is taken first."""
        found: list[Quoted | None] = []
        longest = 2 * max(map(len, self.known), default=0) + 20  # with the white space that is not in the keys
        place = 0
        while place < len(text):
            cuts = [match.start() for match in _SEPARATOR.finditer(text, place, place + longest)][:_WORDS]
            cuts += [len(text)] if len(text) <= place + longest and len(cuts) < _WORDS else []
            fitting = [cut for cut in cuts if self.resolve(text[place:cut].strip(_TRIMMED)) is not None]
            cut = fitting[-1] if fitting else cuts[0] if cuts else place + longest
            if piece := text[place:cut].strip(_TRIMMED):
                found.append(Quoted("", piece))
            match = _SEPARATOR.match(text, cut)
            place = match.end() if match else cut
        return found
