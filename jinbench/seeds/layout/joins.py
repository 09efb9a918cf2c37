"""Joins: which line continues in which other, where a column broke in mid-sentence."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import log
from typing import TYPE_CHECKING

from jinbench.core.environment import require_packages
from jinbench.seeds.layout.features import SENTENCE_END, to_matrix
from jinbench.seeds.layout.lines import Line
from jinbench.seeds.layout.model import LinearModel

if TYPE_CHECKING:
    from jinbench.seeds.layout.model import FloatArray

WINDOW = 80  # lines: continuations further away are not considered
_REACH = 4  # characters on either side of a join that are considered
_NEVER_FIRST = "，。、；：？！,;!?）)》」』”’%％"
_PARAGRAPH_START = re.compile(
    r"[“「]|本报|据[了悉介]|[^，。]{0,8}(?:表示|说|认为|介绍)|今年|去年|近年|目前|当前|此外|同时|随后|未来|活动|日前|近日|昨"
)
_UNIT = re.compile(r"[年月日号时点分秒个名家项条件台辆座万亿千百十米吨元倍%％.]")


@dataclass(frozen=True)
class Join:
    """Line `first` continues in line `second`, by their indices in the list of lines.

    `margin`: the lead over the best other use of either line, in units of log-odds.
    """

    first: int
    second: int
    margin: float


def find_join_candidates(lines: Sequence[Line], body: Sequence[int]) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the body lines that end in mid-sentence, and every pair that may be a join.

    `body`: the indices of the body lines. The text after a continuation line ("continued from page 1") continues
    another page, and so no line of this one.
    """
    unfinished = [i for i in body if not SENTENCE_END.search(lines[i].text)]
    seconds = [j for j in body if not (lines[j].follows_continuation or (j > 0 and lines[j - 1].is_continuation))]
    return unfinished, [(i, j) for i in unfinished for j in seconds if j != i and abs(j - i) <= WINDOW]


class JoinEvidence:
    """Evidence of words for a join: how often the characters across it occur together elsewhere.

    Counted are the page's own lines and a list of words, never other pages; with `count_page` false, the words alone.
    """

    def __init__(self, lines: Sequence[Line], count_page: bool = True) -> None:
        self.counts: Counter[str] = Counter()
        if count_page:
            for line in lines:
                for size in (1, 2, 3, 4):
                    self.counts.update(line.text[i : i + size] for i in range(len(line.text) - size + 1))
        self.total = max(1, sum(n for gram, n in self.counts.items() if len(gram) == 1))

    def score(self, first: str, second: str) -> dict[str, float]:
        """Return features of the n-grams that begin at the end of `first` and end at the start of `second`."""
        features = dict.fromkeys(("two together", "three together", "four together", "a word", "surprise"), 0.0)
        left, right = first[-_REACH:], second[:_REACH]
        joined, middle = left + right, len(left)
        for size, name in ((2, "two together"), (3, "three together"), (4, "four together")):
            grams = [joined[i : i + size] for i in range(max(0, middle - size + 1), middle)]
            features[name] = log(1 + max((self.counts[gram] for gram in grams), default=0))
            if any(gram in read_words() for gram in grams):
                features["a word"] = 1.0
        pair, a, b = self.counts[joined[middle - 1 : middle + 1]], self.counts[left[-1:]], self.counts[right[:1]]
        if a:
            features["surprise"] = max(-3.0, min(3.0, log((pair + 0.2) * self.total / ((a + 1) * (b + 1))) / 2))
        return features


@cache
def read_words() -> frozenset[str]:
    """Return the words of two to four characters in the dictionary of pypinyin."""
    require_packages("pypinyin")
    from pypinyin.constants import PHRASES_DICT

    return frozenset(word for word in PHRASES_DICT if 2 <= len(word) <= 4)


def _unbalanced(text: str) -> tuple[bool, bool]:
    """Return whether a quotation or bracket is left open at the end, and whether one is closed but not opened."""
    depth, closed = 0, False
    for char in text:
        if char in "“（(《「":
            depth += 1
        elif char in "”）)》」":
            closed |= depth == 0
            depth = max(0, depth - 1)
    return depth > 0, closed


def extract_join_features(
    lines: Sequence[Line], body: Sequence[int], pairs: Sequence[tuple[int, int]], evidence: JoinEvidence
) -> tuple[list[str], "FloatArray"]:
    """Return the names of the features and a matrix (pairs, features)."""
    import numpy as np

    place = {i: n for n, i in enumerate(body)}
    unbalanced = {i: _unbalanced(lines[i].text) for i in body}
    complete = {i: bool(SENTENCE_END.search(lines[i].text)) for i in body}
    rows = []
    for i, j in pairs:
        first, second = lines[i].text, lines[j].text
        steps = place[j] - place[i]
        above = place[j] - 1
        adjacent = above >= 0 and body[above] == j - 1  # nothing but body text directly above
        row = {
            **evidence.score(first, second),
            "next of the text": float(steps == 1),
            "next line": float(j == i + 1),
            "one heading between": float(steps == 1 and j > i + 1),
            "backward": float(steps < 0),
            "distance": min(3.0, float(np.log(abs(steps)))),
            "second follows a finished line": float(adjacent and complete[body[above]]),
            "second follows an unfinished line": float(adjacent and not complete[body[above]] and body[above] != i),
            "second follows a heading": float(not adjacent),
            "second cannot begin a sentence": float(second[:1] in _NEVER_FIRST),
            "second begins like a paragraph": float(bool(_PARAGRAPH_START.match(second))),
            "left open, and closed": float(unbalanced[i][0] and unbalanced[j][1]),
            "left open, not closed": float(unbalanced[i][0] and not unbalanced[j][1]),
            "closed, not left open": float(unbalanced[j][1] and not unbalanced[i][0]),
            "number, and what is counted": float(first[-1:].isdigit() and bool(_UNIT.match(second))),
            "number without what is counted": float(first[-1:].isdigit() and not _UNIT.match(second)),
            "first ends with a mark": float(first[-1:] in "，、；,;"),
        }
        rows.append(row)
    return to_matrix(rows)


def select_joins(unfinished: Sequence[int], pairs: Sequence[tuple[int, int]], scores: "FloatArray") -> list[Join]:
    """Return the most likely set of joins: each line at most once as first and at most once as second.

    A line may also stay unfinished, at a score of 0 (as likely as not). A pair that closes a circle is dropped.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    if not pairs:
        return []
    rows = {i: n for n, i in enumerate(unfinished)}
    seconds = sorted({j for _, j in pairs})
    columns = {j: n for n, j in enumerate(seconds)}
    never = -1e6
    table = np.full((len(rows), len(columns) + len(rows)), never)
    for (i, j), score in zip(pairs, scores, strict=True):
        table[rows[i], columns[j]] = score
    for n in range(len(rows)):
        table[n, len(columns) + n] = 0.0
    joins = []
    for r, c in zip(*(axis.tolist() for axis in linear_sum_assignment(table, maximize=True)), strict=True):
        if c >= len(columns) or table[r, c] <= 0:
            continue
        best_second = max(np.delete(table[r, : len(columns)], c).max(initial=0.0), 0.0)
        best_first = max(np.delete(table[:, c], r).max(initial=0.0), 0.0)
        margin = min(table[r, c] - best_second, table[r, c] - best_first)
        joins.append(Join(unfinished[r], seconds[c], float(margin)))
    return _drop_circles(joins)


def _drop_circles(joins: list[Join]) -> list[Join]:
    by_first: dict[int, Join] = {}
    for join in sorted(joins, key=lambda join: (-join.margin, join.first)):
        end = join.second
        while end in by_first and end != join.first:
            end = by_first[end].second
        if end != join.first:
            by_first[join.first] = join
    return sorted(by_first.values(), key=lambda join: join.first)


def predict_joins(
    lines: Sequence[Line], body: Sequence[int], model: LinearModel, count_page: bool = True
) -> list[Join]:
    """Return the joins of a page. `body`: the indices of its body lines, in the order of the page."""
    unfinished, pairs = find_join_candidates(lines, body)
    if not pairs:
        return []
    _, matrix = extract_join_features(lines, body, pairs, JoinEvidence(lines, count_page))
    return select_joins(unfinished, pairs, model.scores(matrix)[:, 0])
