"""Features of lines and headings, for the linear layout models.

Nothing here names a place, a person or a newspaper. `benchmarks/layout.py --write` learns the coefficients from pages
that were assembled by hand.
"""

import itertools
import re
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from math import sqrt
from typing import TYPE_CHECKING

from jinbench.seeds.articles import KINDS
from jinbench.seeds.layout.lines import Line
from jinbench.seeds.repairs import HAN

if TYPE_CHECKING:
    from jinbench.seeds.layout.model import FloatArray

BOILERPLATE = "furniture"
ALL_KINDS = (*KINDS, BOILERPLATE)
HEADLINE_KINDS = ("headline", "subheadline", "label")
HEADING = "heading"  # any of the three, or a crosshead: the lines around it decide which
LINE_CLASSES = (HEADING, "byline", "body", "caption", "jump", "notice", BOILERPLATE)

SENTENCE_END = re.compile(
    r"(?:[。！？!?：:]|…)[”’」』）)》\"]*\Z"
)  # as in `jinbench.seeds.articles`, and straight quotes
_DATELINE = re.compile(
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
_WEB_BOILERPLATE = re.compile(
    r"发布时间|点击|浏览|阅读量|当前位置|首页|上一篇|下一篇|分享到|版权|[Cc]opyright|公众号|^\W*$|^\d+$|[>＞]"
)
_MARKS = re.compile(r"[，。、；：？！,;:?!“”‘’（）()《》—…]")
_STOP = re.compile(r"[。！？!?]")
_HALVES = re.compile(r"\S[ \u3000]\S")
_SHORT = 32  # characters; longer lines are hardly ever a heading, a byline or a caption


def _line_features(text: str) -> dict[str, float]:
    """Return the features of a line by itself, each from 0 to 1."""
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
        "dateline": float(bool(_DATELINE.match(text))),
        "byline": float(length <= _SHORT and bool(_BYLINE.search(text))),
        "signature": float(bool(_SIGNED.fullmatch(text))),
        "around a text": float(length <= 90 and bool(_WEB_BOILERPLATE.search(text))),
        "ends with photographer": float(length <= _SHORT and text.endswith("摄")),
        "bullet": float(text[:1] in "■●□◆▲◎"),
        "caption": float(bool(_CAPTION.match(text))),
        "contact": float(length <= 90 and bool(_CONTACT.search(text))),
        "quotation first": float(text[:1] in "“「"),
        "colon inside": float(length <= _SHORT and bool(re.search("[：:]", text[:-1]))),
    }


_OF_NEIGHBOURS = ("longer than 8", "longer than 16", f"longer than {_SHORT}", "longer than 100", "ends its sentence",
                  "dateline", "signature", "ends with photographer")  # fmt: skip


def extract_line_features(lines: Sequence[Line]) -> tuple[list[str], "FloatArray"]:
    """Return the names of the features and a matrix (lines, features)."""
    own = [_line_features(line.text) for line in lines]
    short = [len(line.text) <= _SHORT for line in lines]
    rows = []
    for i, line in enumerate(lines):
        row = dict(own[i])
        for name, j in (("before", i - 1), ("after", i + 1), ("two before", i - 2), ("two after", i + 2)):
            exists = 0 <= j < len(lines)
            row[f"{name}: there"] = float(exists)
            for feature in _OF_NEIGHBOURS:
                row[f"{name}: {feature}"] = own[j][feature] if exists else 0.0
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
    return to_matrix(rows)


def to_matrix(rows: Sequence[dict[str, float]]) -> tuple[list[str], "FloatArray"]:
    """Return the names of the features of `rows` and a matrix (rows, features)."""
    import numpy as np

    names = list(rows[0]) if rows else []
    values = np.array([[row[name] for name in names] for row in rows], dtype=np.float64)
    return names, values.reshape(len(rows), len(names))


def is_web_boilerplate(text: str) -> bool:
    """Return whether a line reads like navigation, dates or credits around a text on a web page."""
    is_listed = _WEB_BOILERPLATE.search(text) or _CONTACT.search(text)
    return len(text) <= 90 and not SENTENCE_END.search(text) and bool(is_listed)


def is_sentence(text: str) -> bool:
    """Return whether a line ends as a sentence ends."""
    return bool(re.search(r"[。！？!?…][”’」』）)》\"]*\Z", text))


def has_author(text: str) -> bool:
    """Return whether a line has a word for who wrote, photographed or sent something."""
    return bool(_BYLINE.search(text) or _SIGNED.fullmatch(text))


def to_line_class(kind: str) -> str:
    """Return the class of a line of that kind."""
    return HEADING if kind in (*HEADLINE_KINDS, "crosshead") else kind


def find_start_candidates(lines: Sequence[Line], classes: Sequence[str]) -> list[list[int]]:
    """Return the places where an article may begin, each as a list of lines.

    They are neighbouring headings, with a byline between or after them or one with a bullet before them; a dateline or
    a continuation line without a heading before it; and the first line of the page.
    """
    candidates: list[list[int]] = []
    run: list[int] = []
    first = True
    for i, line_class in enumerate(classes):
        if line_class == BOILERPLATE:
            continue
        is_bullet = line_class == "byline" and lines[i].text[:1] in "■●□◆"
        bullet = is_bullet and classes[i + 1 : i + 2] in (["byline"], [HEADING])
        if line_class == HEADING or bullet or (run and line_class in ("byline", "jump")):
            run = [*run, i]
        else:
            if run:
                candidates.append(run)
            elif first or line_class == "jump" or (line_class == "body" and _DATELINE.match(lines[i].text)):
                candidates.append([i])
            run = []
        first = False
    return [*candidates, run] if run else candidates


def extract_start_features(
    lines: Sequence[Line], classes: Sequence[str], candidates: Sequence[Sequence[int]], displaced: Container[int]
) -> tuple[list[str], "FloatArray"]:
    """Return the names of the features and a matrix (candidates, features).

    `displaced`: the lines that continue another line than the body line before them.
    """
    rows = []
    for unit in candidates:
        before, after = unit[0] - 1, unit[-1] + 1
        heads = [i for i in unit if classes[i] == HEADING]
        longest = max((len(lines[i].text) for i in heads), default=0)
        headed = bool(heads)
        has_next = after < len(lines)
        above = _bigrams(lines[i].text for i in range(max(0, unit[0] - _WINDOW), unit[0]) if classes[i] == "body")
        below = _bigrams(lines[i].text for i in range(after, min(len(lines), after + _WINDOW)) if classes[i] == "body")
        own = _bigrams(lines[i].text for i in heads)
        both = headed and above and below
        rows.append({
            "headings, text above like text below": 5 * _cosine(above, below) if both else 0.0,
            "headings, closer to the text above": _share(own, above) - _share(own, below) if both else 0.0,
            "first of the page": float(all(line_class == BOILERPLATE for line_class in classes[: unit[0]])),
            "headings": float(headed),
            "a dateline": float(not headed and classes[unit[0]] == "body"),
            "a page reference": float(not headed and lines[unit[0]].is_continuation),
            "headings, with a byline, a page reference or a dateline": float(
                headed and (len(heads) < len(unit) or (has_next and bool(_DATELINE.match(lines[after].text))))
            ),
            "headings, behind what ends an article": float(
                headed and before >= 0 and classes[before] in ("byline", "caption", "notice", BOILERPLATE)
            ),
            "headings, behind an unfinished line": float(
                headed and before >= 0 and classes[before] == "body" and not SENTENCE_END.search(lines[before].text)
            ),
            "headings, before what goes on from elsewhere": float(headed and has_next and after in displaced),
            "headings, length": min(1.0, longest / 24),
        })  # fmt: skip
    return to_matrix(rows)


_WINDOW = 6  # lines on either side of a heading whose words are compared


def _bigrams(texts: Iterable[str]) -> Counter[str]:
    return Counter(pair for text in texts for a, b in itertools.pairwise(text) if HAN.match(pair := a + b))


def _cosine(first: Counter[str], second: Counter[str]) -> float:
    """Return the cosine of the square roots of the counts, so that no single pair dominates."""
    shared = sum(sqrt(first[pair] * second[pair]) for pair in sorted(first.keys() & second.keys()))
    return shared / sqrt(max(1, first.total()) * max(1, second.total()))


def _share(some: Counter[str], text: Counter[str]) -> float:
    return sum(pair in text for pair in some) / max(1, len(some))


def extract_headline_features(texts: Sequence[str]) -> tuple[list[str], "FloatArray"]:
    """Return the names of the features and a matrix (headings, features) of neighbouring headings."""
    longest = max(map(len, texts))
    return to_matrix(
        [
            {
                "first": float(n == 0),
                "halves": float(bool(_HALVES.search(text))),
                "longest": float(len(text) == longest),
                "at most 6": float(len(text) <= 6),
            }
            for n, text in enumerate(texts)
        ]
    )
