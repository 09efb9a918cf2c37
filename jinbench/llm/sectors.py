"""Sectors from one reply: read from JSON, or from a line of names."""

import re

from jinbench.llm.align import Quote
from jinbench.llm.json_values import KeyValuePairs
from jinbench.llm.lines import BULLET, TRIMMED, TYPE
from jinbench.llm.parser import LabelList, ReplyParser
from jinbench.scoring.gold import LabelKey

_LIST = (
    *TYPE, "sectors", "labels", "categories", "tags", "classes", "answer", "answers", "result", "results", "output",
    "prediction", "predictions", "产业", "行业", "领域", "分类", "答案", "结果", "输出",
)  # fmt: skip
_SEPARATOR = re.compile(r"\s*[,\uff0c、;\uff1b][\s,\uff0c、;\uff1b]*")
_MAX_COMMAS = 9  # looked at for the end of a name
_LEAD = re.compile(
    rf"(?:the\s+)?(?:final\s+|最终|所属)?(?:{'|'.join(sorted(_LIST, key=len, reverse=True))})(?:类别|标签)?"
    r"[*\"'`”’]*\s*[:\uff1a]",
    re.IGNORECASE,
)


class SectorParser(ReplyParser):
    """Parses replies with sectors."""

    def accept(self, answer: LabelList) -> frozenset[LabelKey]:
        names = [label.type for label in self.resolve_types(answer.labels)]
        self.report.notes["twice"] += len(names) - len(set(names))
        self.report.accepted += len(names)
        return frozenset((name,) for name in names)

    def read_value(self, value: object) -> LabelList | None:
        if isinstance(value, KeyValuePairs):
            return self.read_mapping(value)
        if isinstance(value, list):
            labels: list[Quote | None] = []
            for part in value:
                inner = self.read_value(part) if isinstance(part, list) else None
                name = part.strip() if isinstance(part, str) else ""
                labels += [Quote("", name)] if name else inner.labels if inner and inner.labels else [None]
            return LabelList(labels) if any(labels) or not value else None
        return None

    def read_mapping(self, value: KeyValuePairs) -> LabelList | None:
        """Read {sector: true or false}, or what is under a key that means the list; other keys are ignored.

        Two such keys with different labels leave the answer open.
        """
        if value and all(self.is_label(key) and _is_boolean(part) for key, part in value):
            return LabelList([Quote("", key) for key, part in value if part])
        answers: dict[str, LabelList] = {}
        for key, part in value:
            name = key.strip().casefold()
            if name not in _LIST:
                continue
            inner = self.read_value(part) if isinstance(part, list) else self.read_string(part, name in TYPE)
            if inner:
                labels = [*answers[name].labels, *inner.labels] if name in answers else inner.labels
                answers[name] = LabelList(labels, inner.single)
        if not answers:
            return None if value else LabelList([])
        first, *others = answers.values()
        return first if all(other.labels == first.labels for other in others) else None

    def read_string(self, part: object, single: bool) -> LabelList | None:
        """Read the names in a string; one that is not a list of known names is a label that may not exist."""
        if not isinstance(part, str):
            return None
        if names := self.read_line(part):
            return LabelList([*names], single=single and len(names) == 1)
        return LabelList([Quote("", part)], single=True) if single else None

    def parse_unstructured(self, reply: str) -> LabelList | None:
        """Parse the last line outside of JSON that is nothing but known names, with such lines just before it.

        A line with anything else may as well deny what it names, so that none of it is taken.
        """
        labels: list[Quote | None] = []
        for line in reversed(reply.splitlines()):
            names = self.read_line(line)
            if labels and line.strip() and not names:
                break
            labels = [*names, *labels]
        return LabelList(labels) if labels else None

    def read_line(self, text: str) -> list[Quote]:
        """Read the names in a line; none at all if anything in it is no name.

        A bullet, quotation marks, a word such as “sectors:” and a full stop do not count. Names may have commas in
        them: the longest that fits is taken first.
        """
        text = _LEAD.sub("", BULLET.sub("", text.strip()).strip(TRIMMED), count=1).strip(TRIMMED)
        text = re.sub(r"[.\u3002]\Z", "", text).strip(TRIMMED)
        names: list[Quote] = []
        longest = 2 * max(map(len, self.aliases), default=0) + 20  # with the white space that is not in the keys
        start = 0
        while start < len(text):
            cuts = [match.start() for match in _SEPARATOR.finditer(text, start, start + longest)][:_MAX_COMMAS]
            cuts += [len(text)] if len(text) <= start + longest and len(cuts) < _MAX_COMMAS else []
            pieces = [(text[start:cut].strip(TRIMMED), cut) for cut in cuts]
            fitting = [(piece, cut) for piece, cut in pieces if self.is_label(piece)]
            if not fitting:
                return []
            names.append(Quote("", fitting[-1][0]))
            match = _SEPARATOR.match(text, fitting[-1][1])
            start = match.end() if match else len(text)
        return names


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool) or (type(value) is int and value in (0, 1))
