"""What the lines of a page look like: their features, and how likely each is to be of which kind.

The models are linear: `layouts.json` holds their coefficients, which `benchmarks/layout.py --write` learns from pages
that were put together by hand. Nothing here knows a name of a place, a person or a newspaper.
"""

import itertools
import re
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any

from jinbench.seeds.articles import KINDS
from jinbench.seeds.layout.lines import Line
from jinbench.seeds.repairs import HAN

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

BOILERPLATE = "furniture"
ALL_KINDS = (*KINDS, BOILERPLATE)
HEADLINE_KINDS = ("headline", "subheadline", "label")
HEADING = "heading"  # any of the three, or a crosshead: which one, what stands around it has to say
LINE_CLASSES = (HEADING, "byline", "body", "caption", "jump", "notice", BOILERPLATE)

SENTENCE_END = re.compile(
    r"(?:[。！？!?：:]|…)[”’」』）)》\"]*\Z"
)  # as `jinbench seeds check` sees it, and straight quotes
_OPENER = re.compile(
    r"本[报刊台网社市][^，。,]{0,6}[讯电(（]|[^，。,]{2,12}[社网报][^，。,]{0,16}[日讯]?电[(（ ]"
    r"|[^，。,]{0,4}[讯電][(（]"
)
_BYLINE = re.compile(r"记者|通讯员|摄影?\b|摄$|编辑|责编|来源|作者|供图|图片|[文图]\s*[/／]|^[■●□]|提供$|供稿|撰文")
_CAPTION = re.compile(r"^[▲△▼↑↓←→]|^[左右上下]?图(?:为|①|1|一|[：:])|资料图|效果图")
_CONTACT = re.compile(
    r"\d{3,4}-?\d{7,8}|\d{3}-\d{3,4}-\d{4}|@|https?:|www\.|热线|传真|邮箱|电话[:：]|联系(?:人|方式|我们)|请于|报名"
)
_SIGNED = re.compile(
    r"[■●□]?\s*(?:本[报刊台]|实习)?(?:记者|通讯员)\s*[\u4e00-\u9fff]{2,4}(?:[\s、][\u4e00-\u9fff]{2,4})*\s*(?:[文图/／]*摄|报道|文|[文图/／]+)?"
)
_AROUND = re.compile(
    r"发布时间|点击|浏览|阅读量|当前位置|首页|上一篇|下一篇|分享到|版权|[Cc]opyright|公众号|^\W*$|^\d+$|[>＞]"
)
_MARKS = re.compile(r"[，。、；：？！,;:?!“”‘’（）()《》—…]")
_STOP = re.compile(r"[。！？!?]")
_HALVES = re.compile(r"\S[ \u3000]\S")
_SHORT = 32  # characters; what is longer is hardly ever a heading, a byline or a caption


# One line by itself. Every value lies between 0 and 1.
def _own(text: str) -> dict[str, float]:
    length = len(text)
    halves = bool(_HALVES.search(text))
    return {
        **{f"longer than {n}": float(length > n) for n in (4, 8, 12, 16, 24, _SHORT, 48, 100)},
        "ends its sentence": float(bool(SENTENCE_END.search(text))),
        "ends with a comma": float(text[-1:] in "，,、；;"),
        "a full stop inside": float(bool(_STOP.search(text[:-1]))),
        "marks per character": min(1.0, 5 * len(_MARKS.findall(text)) / max(length, 1)),
        "a comma inside": float(bool(re.search("[，,；]", text))),
        "halves": float(halves and length <= _SHORT),
        "digits": min(1.0, 3 * sum(char.isdigit() for char in text) / max(length, 1)),
        "Latin": min(1.0, 3 * len(re.findall(r"[A-Za-z]", text)) / max(length, 1)),
        "dateline": float(bool(_OPENER.match(text))),
        "byline": float(length <= _SHORT and bool(_BYLINE.search(text))),
        "signature": float(bool(_SIGNED.fullmatch(text))),
        "around a text": float(length <= 90 and bool(_AROUND.search(text))),
        "ends with photographer": float(length <= _SHORT and text.endswith("摄")),
        "bullet": float(text[:1] in "■●□◆▲◎"),
        "caption": float(bool(_CAPTION.match(text))),
        "contact": float(length <= 90 and bool(_CONTACT.search(text))),
        "quotation first": float(text[:1] in "“「"),
        "colon inside": float(length <= _SHORT and bool(re.search("[：:]", text[:-1]))),
    }


_NEAR = ("longer than 8", "longer than 16", f"longer than {_SHORT}", "longer than 100", "ends its sentence", "dateline",
         "signature", "ends with photographer")  # fmt: skip


def features(lines: Sequence[Line]) -> tuple[list[str], "Array"]:
    """The names of the features, and a matrix: a row for every line, a column for every feature."""
    import numpy as np

    own = [_own(line.text) for line in lines]
    short = [len(line.text) <= _SHORT for line in lines]
    rows = []
    for i, line in enumerate(lines):
        row = dict(own[i])
        for name, j in (("before", i - 1), ("after", i + 1), ("two before", i - 2), ("two after", i + 2)):
            there = 0 <= j < len(lines)
            row[f"{name}: there"] = float(there)
            for feature in _NEAR:
                row[f"{name}: {feature}"] = own[j][feature] if there else 0.0
        row["page reference"] = float(line.is_continuation)
        row["after a reference"] = float(line.follows_continuation)
        row["close to the line before"] = float(i > 0 and line.blank_before == 0)
        row["far from the line before"] = float(line.blank_before > 1)
        row["short, first of short ones"] = float(short[i] and (i == 0 or not short[i - 1]))
        row["short, last of short ones"] = float(short[i] and (i + 1 == len(lines) or not short[i + 1]))
        row["short between long ones"] = row["short, first of short ones"] * row["short, last of short ones"]
        unfinished = float(short[i] and i > 0 and not short[i - 1] and not own[i - 1]["ends its sentence"])
        row["short, after an unfinished line, finished"] = unfinished * own[i]["ends its sentence"]
        row["short, after an unfinished line, unfinished"] = unfinished * (1 - own[i]["ends its sentence"])
        row["first third of the page"] = float(3 * i < len(lines))
        row["repeats the line before"] = float(i > 0 and short[i] and line.text in lines[i - 1].text)
        rows.append(row)
    names = list(rows[0]) if rows else []
    return names, np.array([[row[name] for name in names] for row in rows], dtype=np.float64).reshape(
        len(rows), len(names)
    )


def is_around(text: str) -> bool:
    """Whether a line reads like what stands around a text on a web page."""
    return len(text) <= 90 and not SENTENCE_END.search(text) and bool(_AROUND.search(text) or _CONTACT.search(text))


def is_sentence(text: str) -> bool:
    """Whether a line ends as a sentence ends."""
    return bool(re.search(r"[。！？!?…][”’」』）)》\"]*\Z", text))


def names_author(text: str) -> bool:
    """Whether a line has a word for who wrote, photographed or sent something."""
    return bool(_BYLINE.search(text) or _SIGNED.fullmatch(text))


def form_of(kind: str) -> str:
    """What a line of that kind looks like by itself."""
    return HEADING if kind in (*HEADLINE_KINDS, "crosshead") else kind


def units(lines: Sequence[Line], forms: Sequence[str]) -> list[list[int]]:
    """Where an article may begin: headings that stand together, with a byline between or behind them, or one with a
    bullet before them; a dateline or a page reference that no heading stands before; and the first line of all.
    """
    found: list[list[int]] = []
    run: list[int] = []
    first = True
    for i, form in enumerate(forms):
        if form == BOILERPLATE:
            continue
        bullet = form == "byline" and lines[i].text[:1] in "■●□◆" and forms[i + 1 : i + 2] in (["byline"], [HEADING])
        if form == HEADING or bullet or (run and form in ("byline", "jump")):
            run = [*run, i]
        else:
            if run:
                found.append(run)
            elif first or form == "jump" or (form == "body" and _OPENER.match(lines[i].text)):
                found.append([i])
            run = []
        first = False
    return [*found, run] if run else found


def unit_features(
    lines: Sequence[Line], forms: Sequence[str], found: Sequence[Sequence[int]], elsewhere: Container[int]
) -> tuple[list[str], "Array"]:
    """Of every unit. `elsewhere`: lines that go on from another line than the one of running text before them."""
    import numpy as np

    rows = []
    for unit in found:
        before, after = unit[0] - 1, unit[-1] + 1
        heads = [i for i in unit if forms[i] == HEADING]
        longest = max((len(lines[i].text) for i in heads), default=0)
        headed = bool(heads)
        there = after < len(lines)
        above = _grams(lines[i].text for i in range(max(0, unit[0] - _SPAN), unit[0]) if forms[i] == "body")
        below = _grams(lines[i].text for i in range(after, min(len(lines), after + _SPAN)) if forms[i] == "body")
        own = _grams(lines[i].text for i in heads)
        both = headed and above and below
        rows.append({
            "headings, text above like text below": 5 * _alike(above, below) if both else 0.0,
            "headings, closer to the text above": _share(own, above) - _share(own, below) if both else 0.0,
            "first of the page": float(all(form == BOILERPLATE for form in forms[: unit[0]])),
            "headings": float(headed),
            "a dateline": float(not headed and forms[unit[0]] == "body"),
            "a page reference": float(not headed and lines[unit[0]].is_continuation),
            "headings, with a byline, a page reference or a dateline": float(
                headed and (len(heads) < len(unit) or (there and bool(_OPENER.match(lines[after].text))))
            ),
            "headings, behind what ends an article": float(
                headed and before >= 0 and forms[before] in ("byline", "caption", "notice", BOILERPLATE)
            ),
            "headings, behind an unfinished line": float(
                headed and before >= 0 and forms[before] == "body" and not SENTENCE_END.search(lines[before].text)
            ),
            "headings, before what goes on from elsewhere": float(headed and there and after in elsewhere),
            "headings, length": min(1.0, longest / 24),
        })  # fmt: skip
    names = list(rows[0]) if rows else []
    return names, np.array([[row[name] for name in names] for row in rows], dtype=np.float64).reshape(
        len(rows), len(names)
    )


_SPAN = 6  # lines on either side of a heading whose words are compared


def _grams(texts: Iterable[str]) -> Counter[str]:
    return Counter(pair for text in texts for a, b in itertools.pairwise(text) if HAN.match(pair := a + b))


def _alike(first: Counter[str], second: Counter[str]) -> float:
    """The cosine of how often pairs of characters stand in both, by their square roots: no one pair decides."""
    shared = sum(sqrt(first[pair] * second[pair]) for pair in sorted(first.keys() & second.keys()))
    return shared / sqrt(max(1, first.total()) * max(1, second.total()))


def _share(some: Counter[str], text: Counter[str]) -> float:
    return sum(pair in text for pair in some) / max(1, len(some))


def main_features(texts: Sequence[str]) -> tuple[list[str], "Array"]:
    """Of the headings that stand together: what tells the headline from those above and below it."""
    import numpy as np

    longest = max(map(len, texts))
    rows = [
        {
            "first": float(n == 0),
            "halves": float(bool(_HALVES.search(text))),
            "longest": float(len(text) == longest),
            "at most 6": float(len(text) <= 6),
        }
        for n, text in enumerate(texts)
    ]
    return list(rows[0]), np.array([list(row.values()) for row in rows])
