"""Proposal of line kinds, articles and reading order for a page.

A proposal is a draft for a person to correct. Every part of it has a confidence, the probability that it is right.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING

from jinbench.seeds.layout.features import (
    BOILERPLATE,
    HEADING,
    HEADLINE_KINDS,
    extract_headline_features,
    extract_line_features,
    extract_start_features,
    find_start_candidates,
    has_author,
    is_sentence,
    is_web_boilerplate,
)
from jinbench.seeds.layout.joins import Join, predict_joins
from jinbench.seeds.layout.lines import Line
from jinbench.seeds.layout.model import LayoutModel, load_model

if TYPE_CHECKING:
    from jinbench.seeds.layout.model import FloatArray

DOUBTFUL = 0.7  # a confidence below it is marked
_MAX_WITHOUT_BODY = 8  # neighbouring lines
_RULE_CONFIDENCE = 0.6  # of a rule that was never measured
JoinConfidences = dict[tuple[int, int], float]


@dataclass(frozen=True)
class DraftPiece:
    """A proposed piece of an article. `lines`: indices into the lines of the page.

    `confidence`: of its kind, the least of its lines; `joins`: of every line after the first, that it continues there.
    """

    kind: str
    lines: tuple[int, ...]
    confidence: float
    joins: tuple[float, ...] = ()

    @property
    def doubtful(self) -> bool:
        return min((self.confidence, *self.joins)) < DOUBTFUL


@dataclass(frozen=True)
class DraftArticle:
    """A proposed article, in reading order. `confidence`: that an article begins where this one begins."""

    pieces: tuple[DraftPiece, ...]
    confidence: float

    @property
    def lines(self) -> tuple[int, ...]:
        return tuple(line for piece in self.pieces for line in piece.lines)


@dataclass(frozen=True)
class PageProposal:
    """The proposal for a page: its `lines` in order, with `kinds`, `confidences` and `start_probabilities` of each.

    The other fields have indices into `lines`; `joins`: (first, second, confidence).
    """

    lines: tuple[Line, ...]
    kinds: tuple[str, ...]
    confidences: tuple[float, ...]
    start_probabilities: tuple[float, ...]
    articles: tuple[DraftArticle, ...]
    boilerplate: tuple[int, ...]
    joins: tuple[tuple[int, int, float], ...]


def propose_articles(
    lines: Sequence[Line],
    model: LayoutModel | None = None,
    *,
    count_page: bool = True,
    single_article: bool = False,
    title_lines: int = 0,
) -> PageProposal:
    """Propose articles for the lines of a page.

    `single_article`: they are one article; `title_lines`: number of lines at the start that are its headline. With
    `count_page` false, how often words occur on the page itself is no evidence for joins.
    """
    model = model or load_model()
    if not lines:
        return PageProposal((), (), (), (), (), (), ())
    _, matrix = extract_line_features(lines)
    probabilities = model.line_classes.probabilities(matrix)
    classes, class_confidences = _classify_lines(
        lines, probabilities, model.line_classes.classes, title_lines, single_article
    )
    body = [i for i, line_class in enumerate(classes) if line_class == "body"]
    joins = predict_joins(lines, body, model.joins, count_page)
    if single_article:
        candidates = [list(range(title_lines))] if title_lines else []
        start_probabilities = {0: 1.0}
    else:
        candidates = find_start_candidates(lines, classes)
        start_probabilities = _predict_starts(lines, classes, candidates, joins, model)
    starts = {i for i, p in start_probabilities.items() if p >= model.start_threshold} | {_first_line(classes)}
    headings = _Headings(candidates, starts, start_probabilities, title_lines)
    kinds, confidences = headings.assign_kinds(lines, classes, class_confidences, model)
    by_line = [start_probabilities.get(i, 0.0) for i in range(len(lines))]
    blocks = _split_blocks(kinds, starts if single_article else headings.find_cuts(kinds, joins))
    slope, constant = model.join_calibration
    join_confidences = {(join.first, join.second): _sigmoid(slope * join.margin + constant) for join in joins}
    articles = [
        _draft_article(
            [blocks[n] for n in group], kinds, confidences, by_line, join_confidences, 1.0 if single_article else None
        )
        for group in _group_blocks(blocks, kinds, joins)
    ]
    if not articles and not single_article:  # all of it boilerplate: the page was added for what is in it
        return propose_articles(lines, model, count_page=count_page, single_article=True, title_lines=title_lines)
    boilerplate = tuple(i for i, kind in enumerate(kinds) if kind == BOILERPLATE)
    return PageProposal(
        tuple(lines), tuple(kinds), tuple(confidences), tuple(by_line), tuple(articles), boilerplate,
        tuple((first, second, confidence) for (first, second), confidence in sorted(join_confidences.items())),
    )  # fmt: skip


def _sigmoid(score: float) -> float:
    return 1 / (1 + exp(-max(-30.0, min(30.0, score))))


def _classify_lines(
    lines: Sequence[Line], probabilities: "FloatArray", classes: tuple[str, ...], title_lines: int, single_article: bool
) -> tuple[list[str], list[float]]:
    """Return the class of every line and its confidence: the most likely of the classes that it can have.

    A continuation line is certain. A sentence is no heading, and a byline has a word for who did what. A line is
    boilerplate, which nobody looks at again, only without doubt, and never in a single article, which always has body
    text.
    """
    line_classes, confidences = [], []
    for i, line in enumerate(lines):
        if line.is_continuation or i < title_lines:
            line_classes.append("jump" if line.is_continuation else HEADING)
            confidences.append(1.0)
            continue
        barred = {"jump"}
        if is_sentence(line.text):
            barred |= {HEADING, "byline", BOILERPLATE}
        if not has_author(line.text):
            barred.add("byline")
        if single_article:
            barred |= {BOILERPLATE, "caption"}
        allowed = {name: float(probabilities[i, n]) for n, name in enumerate(classes) if name not in barred}
        if allowed.get(BOILERPLATE, 1.0) < DOUBTFUL and not is_web_boilerplate(line.text):
            del allowed[BOILERPLATE]
        total = sum(allowed.values()) or 1.0
        best = max(allowed, key=lambda name: allowed[name])
        line_classes.append(best)
        confidences.append(allowed[best] / total)
    if not single_article:
        _mark_web_boilerplate(lines, line_classes, confidences)
    elif "body" not in line_classes and len(lines) > title_lines:
        longest = max(range(title_lines, len(lines)), key=lambda i: (not lines[i].is_continuation, len(lines[i].text)))
        line_classes[longest], confidences[longest] = "body", float(probabilities[longest, classes.index("body")])
    return line_classes, confidences


def _mark_web_boilerplate(lines: Sequence[Line], classes: list[str], confidences: list[float]) -> None:
    """Mark more than `_MAX_WITHOUT_BODY` neighbouring lines without body text as boilerplate of a web page.

    The last of them that may be a heading is kept.
    """
    run: list[int] = []
    for i in range(len(lines) + 1):
        if i < len(lines) and (classes[i] != "body" or is_web_boilerplate(lines[i].text)):
            run.append(i)
            continue
        if len(run) > _MAX_WITHOUT_BODY:
            headings = [n for n in run if classes[n] == HEADING and not is_web_boilerplate(lines[n].text)]
            for n in run:
                if n not in headings[-1:] or i == len(lines):
                    classes[n], confidences[n] = BOILERPLATE, _RULE_CONFIDENCE
        run = []


def _predict_starts(
    lines: Sequence[Line],
    classes: Sequence[str],
    candidates: Sequence[Sequence[int]],
    joins: Sequence[Join],
    model: LayoutModel,
) -> dict[int, float]:
    """Return the probability that an article begins at each candidate, by its first line."""
    if not candidates:
        return {}
    displaced = find_displaced_lines(classes, [(join.first, join.second) for join in joins])
    _, matrix = extract_start_features(lines, classes, candidates, displaced)
    probabilities = model.article_starts.probabilities(matrix)[:, 0]
    return {candidate[0]: float(p) for candidate, p in zip(candidates, probabilities, strict=True)}


def find_displaced_lines(classes: Sequence[str], joins: Sequence[tuple[int, int]]) -> set[int]:
    """Return the lines that continue another line than the body line before them."""
    body = [i for i, line_class in enumerate(classes) if line_class == "body"]
    before = dict(zip(body[1:], body, strict=False))
    return {second for first, second in joins if before.get(second) != first}


def _first_line(classes: Sequence[str]) -> int:
    """Return the first line that is no boilerplate."""
    return next((i for i, line_class in enumerate(classes) if line_class != BOILERPLATE), 0)


@dataclass(frozen=True)
class _Headings:
    """Places where an article may begin, those where one does, and the probability of each."""

    candidates: Sequence[Sequence[int]]
    starts: set[int]
    probabilities: dict[int, float]
    title_lines: int

    def assign_kinds(
        self, lines: Sequence[Line], classes: Sequence[str], class_confidences: Sequence[float], model: LayoutModel
    ) -> tuple[list[str], list[float]]:
        """Return the kind of every line and its confidence; at most one heading of an article is its headline."""
        kinds = [line_class if line_class != HEADING else "crosshead" for line_class in classes]
        confidences = list(class_confidences)
        has_headline = False  # the current article
        for candidate in self.candidates:
            heads = [i for i in candidate if classes[i] == HEADING]
            p = self.probabilities.get(candidate[0], 1.0)
            if candidate[0] in self.starts:
                has_headline = False
            if not heads:
                continue
            if candidate[0] not in self.starts and has_headline:
                for i in heads:
                    confidences[i] *= 1 - p
                continue
            has_headline = True
            _, matrix = extract_headline_features([lines[i].text for i in heads])
            headline_probabilities = model.headlines.probabilities(matrix)[:, 0]
            best = 0 if self.title_lines else int(headline_probabilities.argmax())
            for n, i in enumerate(heads):
                other = "label" if len(lines[i].text) <= 6 and n < best else "subheadline"
                kinds[i] = "headline" if n == best else other
                if i >= self.title_lines:
                    confidences[i] *= max(p, 0.0) * (1.0 if len(heads) == 1 else float(headline_probabilities[best]))
        return kinds, confidences

    def find_cuts(self, kinds: Sequence[str], joins: Sequence[Join]) -> set[int]:
        """Return where the page is cut: at the starts of articles, and where body text continues elsewhere."""
        cuts = set(self.starts)
        heads = {
            i for candidate in self.candidates if candidate[0] in self.starts for i in candidate if kinds[i] != "body"
        }
        comes_from = {join.second: join.first for join in joins}
        goes_to = {join.first: join.second for join in joins}
        body = [i for i, kind in enumerate(kinds) if kind == "body"]
        for before, i in itertools.pairwise(body):
            if (comes_from.get(i, before) != before or goes_to.get(before, i) != i) and i - 1 not in heads:
                cuts.add(i)
        return cuts


def _split_blocks(kinds: Sequence[str], cuts: set[int]) -> list[list[int]]:
    blocks: list[list[int]] = []
    for i, kind in enumerate(kinds):
        if kind == BOILERPLATE:
            continue
        if i in cuts or not blocks:
            blocks.append([])
        blocks[-1].append(i)
    return blocks


def _group_blocks(blocks: Sequence[list[int]], kinds: Sequence[str], joins: Sequence[Join]) -> list[list[int]]:
    """Group the blocks of an article, in reading order: joined blocks, and a heading with the text next to it."""
    block_of = {line: n for n, block in enumerate(blocks) for line in block}
    group_of = list(range(len(blocks)))

    def merge(a: int, b: int) -> None:
        old, new = max(group_of[a], group_of[b]), min(group_of[a], group_of[b])
        group_of[:] = [new if group == old else group for group in group_of]

    def has(n: int, *wanted: str) -> bool:
        members = (block for m, block in enumerate(blocks) if group_of[m] == group_of[n])
        return any(kinds[line] in wanted for block in members for line in block)

    for join in joins:
        merge(block_of[join.first], block_of[join.second])
    for n in range(len(blocks)):
        if has(n, "body"):
            continue
        before, after = n - 1, n + 1
        if after < len(blocks) and has(after, "body") and not has(after, "headline"):
            merge(n, after)  # the text below has no heading of its own
        elif before >= 0 and has(before, "body") and not (has(before, "headline") and has(n, *HEADLINE_KINDS)):
            merge(n, before)  # a heading below its text; a caption behind an article
        elif after < len(blocks):
            merge(n, after)
        elif before >= 0:
            merge(n, before)
    groups: dict[int, list[int]] = {}
    for n, group in enumerate(group_of):
        groups.setdefault(group, []).append(n)
    pairs = ((block_of[join.second], block_of[join.first]) for join in joins)
    previous = {second: first for second, first in pairs if first != second}
    return [_order_blocks(members, previous) for members in groups.values()]


def _order_blocks(members: Sequence[int], previous: dict[int, int]) -> list[int]:
    """Return blocks in the order of the page, but each behind the one that it continues."""
    ordered: list[int] = []

    def place(n: int, waiting: tuple[int, ...]) -> None:
        if n in ordered or n in waiting:
            return
        if n in previous:
            place(previous[n], (*waiting, n))
        ordered.append(n)

    for n in members:
        place(n, ())
    return ordered


def _draft_article(
    blocks: Sequence[list[int]],
    kinds: Sequence[str],
    confidences: Sequence[float],
    start_probabilities: Sequence[float],
    joins: JoinConfidences,
    confidence: float | None,
) -> DraftArticle:
    """Draft an article of its blocks: headings first, wherever they are, then the text with its joins."""
    order = [i for block in blocks for i in _reorder_block(block, joins, start_probabilities)]
    goes_to = dict(joins.keys())
    joined = {second for _, second in joins}
    heads = [i for i in order if kinds[i] in HEADLINE_KINDS]
    first_body = next((n for n, i in enumerate(order) if kinds[i] == "body"), len(order))
    heads = sorted(heads + [i for i in order[:first_body] if kinds[i] == "byline" and set(heads) & {i - 1, i + 1}])
    pieces = []
    for i in heads + [i for i in order if i not in heads]:
        if i in joined:
            continue
        chain = [i]
        while chain[-1] in goes_to:
            chain.append(goes_to[chain[-1]])
        join_confidences = tuple(joins[pair] for pair in itertools.pairwise(chain))
        pieces.append(DraftPiece(kinds[i], tuple(chain), min(confidences[n] for n in chain), join_confidences))
    start = min(i for block in blocks for i in block)
    if confidence is None:
        firsts = [*heads, *(block[0] for block in blocks)]
        confidence = 1.0 if start == 0 else max(start_probabilities[i] for i in firsts)
    return DraftArticle(tuple(pieces), confidence)


def _reorder_block(block: list[int], joins: JoinConfidences, start_probabilities: Sequence[float]) -> list[int]:
    """Reorder a block whose end continues above: the part where an article most likely begins moves to the front."""
    for first, second in sorted(joins):
        if first in block and second in block and block.index(second) < block.index(first):
            a, b = block.index(second), block.index(first)
            cut = max(range(a + 1, b + 1), key=lambda n: (float(start_probabilities[block[n]]), n))
            return [*block[:a], *block[cut : b + 1], *block[a:cut], *block[b + 1 :]]
    return block
