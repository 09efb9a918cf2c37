"""Which line goes on in which other: where a column broke in mid-sentence, evidence for every possible continuation."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from jinbench.seeds.layout.features import SENTENCE_END
from jinbench.seeds.layout.lines import Line
from jinbench.seeds.layout.model import Linear

if TYPE_CHECKING:
    from jinbench.seeds.layout.features import Array

WINDOW = 80  # lines: a continuation further away is not looked for
_REACH = 4  # characters on either side of a join that are looked at
_NEVER_FIRST = "，。、；：！？,;!?）)》」』”’%％"
_FRESH = re.compile(
    r"[“「]|本报|据[了悉介]|[^，。]{0,8}(?:表示|说|认为|介绍)|今年|去年|近年|目前|当前|此外|同时|随后|未来|活动|日前|近日|昨"
)
_UNIT = re.compile(r"[年月日号时点分秒个名家项条件台辆座万亿千百十米吨元倍%％.]")


@dataclass(frozen=True)
class Join:
    """Line `first` goes on in line `second`, by their places in the list of lines. `margin`: how far ahead of the best
    other use of either line, in units of log-odds.
    """

    first: int
    second: int
    margin: float


def candidates(lines: Sequence[Line], texts: Sequence[int]) -> tuple[list[int], list[tuple[int, int]]]:
    """Of the lines `texts` that are running text: those that end in mid-sentence, and every pair that may be a join.

    What stands behind a page reference goes on from another page, and so from no line of this one.
    """
    torn = [i for i in texts if not SENTENCE_END.search(lines[i].text)]
    seconds = [j for j in texts if not (lines[j].follows_continuation or (j > 0 and lines[j - 1].is_continuation))]
    return torn, [(i, j) for i in torn for j in seconds if j != i and abs(j - i) <= WINDOW]


class Evidence:
    """What the words of a page say for a join: how often the characters across it stand together elsewhere.

    Counted are the page's own lines and a list of words, never what was learned from other pages; with `own` false,
    the list of words alone.
    """

    def __init__(self, lines: Sequence[Line], own: bool = True) -> None:
        self.counts: Counter[str] = Counter()
        if own:
            for line in lines:
                for size in (1, 2, 3, 4):
                    self.counts.update(line.text[i : i + size] for i in range(len(line.text) - size + 1))
        self.total = max(1, sum(n for gram, n in self.counts.items() if len(gram) == 1))

    def across(self, first: str, second: str) -> dict[str, float]:
        """Evidence of n-grams that begin in the last characters of `first` and end in the first of `second`."""
        from math import log

        found = dict.fromkeys(("two together", "three together", "four together", "a word", "surprise"), 0.0)
        left, right = first[-_REACH:], second[:_REACH]
        joined, at = left + right, len(left)
        for size, name in ((2, "two together"), (3, "three together"), (4, "four together")):
            times = [self.counts[joined[i : i + size]] for i in range(max(0, at - size + 1), at)]
            found[name] = log(1 + max(times, default=0))
            if size > 1 and any(joined[i : i + size] in words() for i in range(max(0, at - size + 1), at)):
                found["a word"] = 1.0
        pair, a, b = self.counts[joined[at - 1 : at + 1]], self.counts[left[-1:]], self.counts[right[:1]]
        found["surprise"] = max(-3.0, min(3.0, log((pair + 0.2) * self.total / ((a + 1) * (b + 1))) / 2)) if a else 0.0
        return found


@cache
def words() -> frozenset[str]:
    """Words of two to four characters, from the dictionary that pypinyin brings."""
    from pypinyin.constants import PHRASES_DICT

    return frozenset(word for word in PHRASES_DICT if 2 <= len(word) <= 4)


def _open(text: str) -> tuple[bool, bool]:
    """Whether a quotation or a bracket is left open at the end, and whether one is closed that was not opened."""
    depth, closed = 0, False
    for char in text:
        if char in "“（(《「":
            depth += 1
        elif char in "”）)》」":
            closed |= depth == 0
            depth = max(0, depth - 1)
    return depth > 0, closed


def features(
    lines: Sequence[Line], texts: Sequence[int], pairs: Sequence[tuple[int, int]], evidence: Evidence
) -> tuple[list[str], "Array"]:
    """The names of the features, and a matrix with a row for every pair."""
    import numpy as np

    place = {i: n for n, i in enumerate(texts)}
    opened = {i: _open(lines[i].text) for i in texts}
    complete = {i: bool(SENTENCE_END.search(lines[i].text)) for i in texts}
    rows = []
    for i, j in pairs:
        first, second = lines[i].text, lines[j].text
        steps = place[j] - place[i]
        above = place[j] - 1
        adjacent = above >= 0 and texts[above] == j - 1  # nothing but running text directly above
        row = {
            **evidence.across(first, second),
            "next of the text": float(steps == 1),
            "next line": float(j == i + 1),
            "one heading between": float(steps == 1 and j > i + 1),
            "backward": float(steps < 0),
            "distance": min(3.0, float(np.log(abs(steps)))),
            "second follows a finished line": float(adjacent and complete[texts[above]]),
            "second follows an unfinished line": float(adjacent and not complete[texts[above]] and texts[above] != i),
            "second follows a heading": float(not adjacent),
            "second cannot begin a sentence": float(second[:1] in _NEVER_FIRST),
            "second begins like a paragraph": float(bool(_FRESH.match(second))),
            "left open, and closed": float(opened[i][0] and opened[j][1]),
            "left open, not closed": float(opened[i][0] and not opened[j][1]),
            "closed, not left open": float(opened[j][1] and not opened[i][0]),
            "number, and what is counted": float(first[-1:].isdigit() and bool(_UNIT.match(second))),
            "number without what is counted": float(first[-1:].isdigit() and not _UNIT.match(second)),
            "first ends with a mark": float(first[-1:] in "，、；,;"),
        }
        rows.append(row)
    names = list(rows[0]) if rows else []
    return names, np.array([[row[name] for name in names] for row in rows], dtype=np.float64).reshape(
        len(rows), len(names)
    )


def solve(torn: Sequence[int], pairs: Sequence[tuple[int, int]], scores: "Array") -> list[Join]:
    """The joins that are likeliest together: each line at most once as first and at most once as second.

    A line may also stay torn, at a score of 0 (as likely as not). A pair that closes a circle is given up.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    if not pairs:
        return []
    rows = {i: n for n, i in enumerate(torn)}
    seconds = sorted({j for _, j in pairs})
    columns = {j: n for n, j in enumerate(seconds)}
    never = -1e6
    table = np.full((len(rows), len(columns) + len(rows)), never)
    for (i, j), score in zip(pairs, scores, strict=True):
        table[rows[i], columns[j]] = score
    for n in range(len(rows)):
        table[n, len(columns) + n] = 0.0
    chosen = [(int(r), int(c)) for r, c in zip(*linear_sum_assignment(table, maximize=True), strict=True)]
    found = []
    for r, c in chosen:
        if c >= len(columns) or table[r, c] <= 0:
            continue
        best_other = max(np.delete(table[r, : len(columns)], c).max(initial=0.0), 0.0)
        best_user = max(np.delete(table[:, c], r).max(initial=0.0), 0.0)
        margin = min(table[r, c] - best_other, table[r, c] - best_user)
        found.append(Join(torn[r], seconds[c], float(margin)))
    return _without_circles(found)


def _without_circles(joins: list[Join]) -> list[Join]:
    kept: dict[int, Join] = {}
    for join in sorted(joins, key=lambda join: (-join.margin, join.first)):
        at = join.second
        while at in kept and at != join.first:
            at = kept[at].second
        if at != join.first:
            kept[join.first] = join
    return sorted(kept.values(), key=lambda join: join.first)


def find(lines: Sequence[Line], texts: Sequence[int], linear: Linear, own: bool = True) -> list[Join]:
    """The joins of a page. `texts`: the lines that are running text, in the order of the page."""
    torn, pairs = candidates(lines, texts)
    if not pairs:
        return []
    _, matrix = features(lines, texts, pairs, Evidence(lines, own))
    return solve(torn, pairs, linear.scores(matrix)[:, 0])
