"""Choose the answer of a reply among the values in it; of both tasks the parsers are based on it."""

import html
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jinbench.llm import align
from jinbench.llm.align import Quote
from jinbench.llm.json_values import JsonValue, KeyValuePairs, find_values, unpack_strings
from jinbench.llm.lines import TYPE
from jinbench.llm.report import ParseReport
from jinbench.scoring.gold import LabelKey

# What tells JSON that may be an answer from brackets in prose.
_QUOTED = re.compile(r"[\"'“”「\uff02]|\{[^{}]*[:\uff1a]")
_NEW_ANSWER = re.compile(r"[.!?。\uff01\uff1f]\s*\w|最终|答案|修正|更正|final|answer|correct", re.IGNORECASE)
# In what is left of broken JSON: what is between its parts, before and behind a list, and the key of a type.
_BROKEN_LIST = re.compile(r"""(?=.*[,\]}])[\s,"'\]}]+""", re.DOTALL)
_KEY_BEFORE = re.compile(r"""["'”]\s*[:\uff1a]\s*\Z""")
_END = re.compile(r"""\s*(?:[,}\]]|\w+["'”])""")
_TYPE_KEY = re.compile(rf"""["'“{{,]\s*({"|".join(TYPE)})["'”]?\s*(?:[:\uff1a=]|["'“{{}}])""", re.IGNORECASE)
_STRING = re.compile(r"""(?<=["'“”])[^"'“”\n]{1,60}(?=["'”])""")
_STRAY_END = re.compile(r"""["'”]\s*[\]}]""")
_REMARK = re.compile(r"[(\uff08][^()\uff08\uff09\n]*\Z")  # such as “(others: []”
_MAX_BETWEEN = 10  # letters between two labels of one answer, such as “Entity 2:”


def normalize_name(name: str) -> str:
    """Fold width, white space and letter case, so that names can be compared."""
    return align.fold_text(name).text.casefold()


@dataclass
class LabelList:
    """Labels of an answer; None stands for an element that is no label."""

    labels: list[Quote | None]
    single: bool = False  # one label on its own, not a list of them
    source: JsonValue | None = None
    from_markup: bool = False


class ReplyParser:
    """Parses the reply to one item. `aliases` maps normalized names to those of labels."""

    def __init__(
        self, id: str, text: str, names: Sequence[str], aliases: Mapping[str, str], report: ParseReport
    ) -> None:
        self.id, self.text, self.names, self.aliases, self.report = id, text, names, aliases, report

    def resolve(self, name: str) -> str | None:
        return name.strip() if name.strip() in self.names else self.aliases.get(normalize_name(name))

    def is_label(self, name: str) -> bool:
        return self.resolve(name) is not None

    def parse(self, reply: str, truncated: bool = False) -> frozenset[LabelKey] | None:
        """Return the labels in a reply, or None if it cannot be used. The last answer counts.

        Labels that are alone make one answer together. Of JSON that has labels, only what is broken may come behind it;
        else lines and markup count. Nothing is an answer only if no JSON beside it was left unread.
        """
        reply = html.unescape(reply) if "&quot;" in reply else reply
        answers, unread = self.find_answers(reply)
        usable = [answer for answer in answers if not answer.labels or self.has_known_label(answer.labels)] or answers
        chosen = usable[-1] if usable else None
        source = chosen.source if chosen else None
        end = source.end if source else 0
        behind = [value for value in unread if value.start >= end]
        if chosen and chosen.labels:
            self.report.notes["several"] += any(answer.labels != chosen.labels for answer in usable)
            chosen = None if any(value.repaired for value in behind) else chosen
        else:
            other = self.parse_unstructured(_blank_out(reply, behind, end))
            if other and (other.labels or not unread):
                chosen, source = other, None
            elif behind or any(value.repaired or not _is_flat(value.value) for value in unread):
                chosen = None
        breaks_off = truncated or (source and source.truncated) or any(value.truncated for value in behind)
        if chosen is None or (breaks_off and not self.has_known_label(chosen.labels)):
            self.report.leave_out("truncated" if breaks_off else "unreadable", self.id, reply.strip())
            return None
        if source and chosen.labels:
            read = [answer.source for answer in answers if answer.source and answer.source is not source]
            read += [value for value in unread if not value.repaired]
            lost = self.count_lost(reply, read, source, len(chosen.labels))
            chosen.labels += [None] * lost
            breaks_off = breaks_off or lost > 0 or (source.repaired and None in chosen.labels)
        self.report.notes["salvaged"] += bool(breaks_off)
        return self.accept(chosen)

    def find_answers(self, reply: str) -> tuple[list[LabelList], list[JsonValue]]:
        """Return the answers in JSON, and the JSON that may be an answer and cannot be read."""
        answers: list[LabelList] = []
        unread: list[JsonValue] = []
        for value in _join_mappings(find_values(reply), reply):
            written = reply[value.start : value.end]
            is_quoted = bool(_QUOTED.search(written))
            answer = self.read_value(unpack_strings(value.value))
            has_label = answer is not None and self.has_known_label(answer.labels)
            if (
                answer is None
                or (value.truncated and (answer.single or not has_label))
                or (value.repaired and answer.labels and not self.fits_text(answer.labels))
            ):
                if (is_quoted and not _is_metadata(value)) or (value.truncated and not written.strip("[{ \n")):
                    unread.append(value)
            elif not answer.labels and _is_fragment(reply, value):
                unread.append(value)
            elif not answer.labels and (_is_remark(reply, value) if answers else _is_braces(reply, value)):
                continue
            elif is_quoted or has_label or not answer.labels:
                last = answers[-1] if answers and answers[-1].labels and answer.labels else None
                between = reply[last.source.end : value.start] if last and last.source else ""
                is_single = answer.single and last is not None and last.single
                is_broken = _BROKEN_LIST.fullmatch(between) or (answer.single and not between.strip(" "))
                if last and last.source and (is_broken or (is_single and _is_same_answer(between))):
                    answer = LabelList([*last.labels, *answer.labels], is_single)
                    value = value._replace(start=last.source.start, repaired=value.repaired or last.source.repaired)
                    answers.pop()
                answer.source = value
                answers.append(answer)
        return answers, unread

    def count_lost(self, reply: str, others: Sequence[JsonValue], source: JsonValue, labels: int) -> int:
        """Return how many labels seem to be written in broken JSON beyond those that were read from `source`."""
        stray = _blank_out(reply, sorted([*others, source], key=lambda value: value.start))
        written = stray + reply[source.start : source.end] * source.repaired
        types = sum(self.is_label(name) for name in _STRING.findall(written))
        keys = max(Counter(_TYPE_KEY.findall(written)).values(), default=0)
        return max(max(types, keys) - labels * source.repaired, bool(_STRAY_END.search(stray)))

    def has_known_label(self, labels: Iterable[Quote | None]) -> bool:
        return any(label is not None and self.is_label(label.type) for label in labels)

    def fits_text(self, labels: Iterable[Quote | None]) -> bool:
        """Return whether one of the labels can be one of the item."""
        return self.has_known_label(labels)

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

    def read_value(self, value: object) -> LabelList | None:
        """Read a JSON value; None if it has no labels and is not an empty list of them."""
        raise NotImplementedError

    def accept(self, answer: LabelList) -> frozenset[LabelKey]:
        """Return the labels that can be used, and report the others."""
        raise NotImplementedError

    def parse_unstructured(self, reply: str) -> LabelList | None:
        """Return the labels in a reply outside of JSON."""
        raise NotImplementedError


def _join_mappings(values: Iterable[JsonValue], reply: str) -> list[JsonValue]:
    """Return the values with mappings that follow each other as one, unless they have a key in common."""
    joined: list[JsonValue] = []
    for value in values:
        last = joined[-1] if joined else None
        if (
            last
            and isinstance(last.value, KeyValuePairs)
            and isinstance(value.value, KeyValuePairs)
            and not reply[last.end : value.start].strip(" \t\r\n,\uff0c")
            and {key for key, _ in last.value}.isdisjoint(key for key, _ in value.value)
        ):
            repaired = last.repaired or value.repaired
            pairs = KeyValuePairs([*last.value, *value.value])
            joined[-1] = value._replace(value=pairs, start=last.start, repaired=repaired)
        else:
            joined.append(value)
    return joined


def _is_fragment(reply: str, value: JsonValue) -> bool:
    """Return whether a list stands in what is left of broken JSON."""
    return bool(_KEY_BEFORE.search(reply[max(0, value.start - 9) : value.start])) or bool(_END.match(reply, value.end))


def _is_remark(reply: str, value: JsonValue) -> bool:
    return bool(_REMARK.search(reply, max(0, value.start - 20), value.start))


def _is_braces(reply: str, value: JsonValue) -> bool:
    """Return whether a value is {} within a text, which says nothing."""
    whole = reply.strip("` \n").removeprefix("json").strip()
    return reply[value.start : value.end] == "{}" != whole


def _is_same_answer(between: str) -> bool:
    return len(re.sub(r"[\W\d_]+", "", between)) <= _MAX_BETWEEN and not _NEW_ANSWER.search(between)


def _is_flat(value: Sequence[object]) -> bool:
    return not isinstance(value, KeyValuePairs) and not any(isinstance(part, list) for part in value)


def _is_metadata(value: JsonValue) -> bool:
    """Return whether a mapping has nothing that could be a label, such as {"count": 0}."""
    is_mapping = isinstance(value.value, KeyValuePairs) and not value.repaired
    return is_mapping and not any(isinstance(part, str | list) for _, part in value.value)


def _blank_out(reply: str, values: Iterable[JsonValue], start: int = 0) -> str:
    """Return what follows `start`, with a character in place of each of the values."""
    pieces = []
    for value in values:
        pieces += [reply[start : value.start], "\N{OBJECT REPLACEMENT CHARACTER}"]
        start = value.end
    return "".join([*pieces, reply[start:]])
