"""Find entities that a reply names in lines and tables instead of JSON or markup."""

import re
from collections.abc import Callable, Iterator, Sequence

from jinbench.llm.align import Quote

SURFACE = ("surface", "mention", "span", "word", "text", "原文", "文字", "实体", "实体名称", "名称", "entity", "name")
TYPE = (
    "type", "label", "category", "tag", "class", "entity_type", "entity_group", "类型", "实体类型", "类别", "标签",
    "sector",
)  # fmt: skip
LEFT = ("left", "before", "left_context")
BULLET = re.compile(r"(?:>\s*)*(?:[-+*•·–]\s+|[-•·–]|[(\uff08]?\d{1,2}(?:[.、]|[)\uff09])\s*)?")
TRIMMED = " \t\r\n\"'“”‘’`*\u3000"

_MAX_LINE, _MAX_TYPE = 2000, 60  # characters
_LINK = re.compile(r"\s*(?:[-=]+>|[:\uff1a=|→⇒~–—,\uff0c-])\s*|\s+")
_COLON = re.compile(r"\s*(?:[-=]+>|[:\uff1a=→⇒]|\s[–—-]\s)\s*")
_COMMA = re.compile(r"\s*[、;\uff1b,\uff0c|]\s*(?![^()\uff08\uff09]*[)\uff09])")
_TUPLE = re.compile(r"[(\uff08](?P<surface>[^()\uff08\uff09]*?)[,\uff0c](?P<type>[^()\uff08\uff09,\uff0c]*)[)\uff09]")
_IN_BRACKETS = re.compile(r"(?P<surface>.+?)\s*[(\uff08\[【](?P<type>[^()\uff08\uff09\[\]【】]+)[)\uff09\]】]")
_RULE = re.compile(r"[\s|:+=`~-]*(?:```\w*)?\s*")
_LEAD = re.compile(
    r"(?:(?:命名)?实体|识别结果|结果|答案|输出)(?:如下)?\s*[:\uff1a]|"
    r"(?:named )?(?:entit(?:y|ies)|results?|answer|output)\s*:",
    re.IGNORECASE,
)
_NOTHING = {"", "none", "null", "n/a", "无", "没有", "空", "未提及", "/", "-", "—", "[]"}


class LineReader:
    """Reads lines such as “name: TYPE” and “TYPE: name; name”; `is_type` and `occurs` say what may stand in them."""

    def __init__(self, is_type: Callable[[str], bool], occurs: Callable[[str], bool]) -> None:
        self.is_type, self.occurs = is_type, occurs
        self.start_run()

    def start_run(self) -> None:
        self.labels: list[Quote] = []
        self.heading = ""
        self.columns: list[str] = []
        self.record: dict[str, str] = {}
        self.is_open = self.says_nothing = False  # a heading without a name yet; a type with “none”

    def find_runs(self, reply: str) -> Iterator[list[Quote]]:
        """Yield the labels of every run of lines that hold nothing else; none if the lines say that there are none."""
        for line in [*reply.splitlines(), "."]:
            if line.strip() and not _RULE.fullmatch(line) and not (len(line) <= _MAX_LINE and self.read_line(line)):
                if self.labels or (self.says_nothing and not self.is_open):
                    yield self.labels
                self.start_run()

    def read_line(self, line: str) -> bool:
        """Read the labels in a line; return False if it has anything else in it."""
        text = line.strip().replace("**", "").replace("`", "").lstrip("#").strip("|" + TRIMMED)
        cells = [cell.strip(TRIMMED) for cell in re.split(r"[|\t]", text)]
        names = [cell.casefold() for cell in cells]
        if not set(SURFACE).isdisjoint(names) and not set(TYPE).isdisjoint(names):
            self.columns = names
            return True
        if self.columns and len(cells) == len(self.columns):
            return self.add_fields(list(zip(self.columns, cells, strict=True)))
        if self.columns and line.strip().startswith("|"):
            self.labels.append(Quote(text, ""))  # a row that breaks off, to be reported
            return True
        text = BULLET.sub("", text, count=1).strip(TRIMMED)
        text = text if self.occurs(text) else text.rstrip("。.")
        fields = [_split_colon(part) for part in _COMMA.split(text)]
        if all(value and key.casefold() in (*SURFACE, *TYPE, *LEFT) for key, value in fields):
            return self.add_fields(fields)
        text = _LEAD.sub("", text, count=1).strip()
        parts = _COMMA.split(text)
        return self.add_of_type(text) or self.add_pairs(parts) or self.add_pairs([text]) or self.add_unknown(text)

    def add_fields(self, fields: Sequence[tuple[str, str]]) -> bool:
        """Add the labels whose surface and type are given by name, in one line or several."""
        for key, value in [*fields, ("", "")]:
            surface, label, left = (
                next((self.record[name] for name in names if name in self.record), None)
                for names in (SURFACE, TYPE, LEFT)
            )
            if surface is not None and label is not None and (not key or key.casefold() in self.record):
                self.labels.append(Quote(surface, label, left))
                self.record = {}
            self.record[key.casefold()] = value
        return True

    def add_of_type(self, text: str) -> bool:
        """Add the names after a type, or below a line with a type."""
        key, names = _split_colon(text)
        bare = _IN_BRACKETS.fullmatch(key) if names else None
        types = [name for name in (key, *(bare.groups() if bare else ())) if self.is_type(name)]
        if types:
            self.heading, self.is_open = types[0], not names
        elif self.heading and text and (self.occurs(text) or text.casefold() in _NOTHING):
            names, self.is_open = text, False
        else:
            return False
        for name in [names] if self.occurs(names) else _COMMA.split(names):
            name = name.strip(TRIMMED)
            if name.casefold().strip("()\uff08\uff09") in _NOTHING:
                self.says_nothing |= bool(names)
            else:
                self.labels.append(Quote(name, self.heading))
        return True

    def add_pairs(self, pieces: Sequence[str]) -> bool:
        """Add the labels of pieces that are name and type."""
        pairs = [self.read_pair(piece) for piece in pieces]
        self.labels += [pair for pair in pairs if pair and all(pairs)]
        return all(pairs)

    def add_unknown(self, text: str) -> bool:
        """Add a name with a type that does not exist, among others, so that it is reported."""
        name, label = _split_colon(text)
        if label and self.occurs(name):
            self.labels.append(Quote(name, label))
            return True
        return False

    def read_pair(self, text: str) -> Quote | None:
        if match := _TUPLE.fullmatch(text) or _IN_BRACKETS.fullmatch(text):
            pairs = [(match["surface"], match["type"])]
        else:
            pairs = [(text[: link.start()], text[link.end() :]) for link in _LINK.finditer(text)]
        for pair in pairs:
            surface, label = (part.strip(TRIMMED) for part in pair)
            if len(label) <= _MAX_TYPE and self.is_type(label):
                return Quote(surface, label)
            if match and self.is_type(surface):
                return Quote(label, surface)
        return None


def _split_colon(text: str) -> tuple[str, str]:
    key, _, value = text.partition(match[0]) if (match := _COLON.search(text)) else (text, "", "")
    return key.strip(TRIMMED), value.strip(TRIMMED)
