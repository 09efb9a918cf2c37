"""Learning of the layout models from pages that were assembled by hand; layout.py measures and writes them."""

import itertools
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from jinbench.core.benchmark import find_benchmark
from jinbench.seeds.articles import read_seeds
from jinbench.seeds.layout.features import (
    BOILERPLATE,
    HEADLINE_KINDS,
    SENTENCE_END,
    extract_headline_features,
    extract_line_features,
    extract_start_features,
    find_start_candidates,
    to_line_class,
)
from jinbench.seeds.layout.joins import JoinEvidence, extract_join_features, find_join_candidates, select_joins
from jinbench.seeds.layout.lines import Line, split_lines
from jinbench.seeds.layout.model import LayoutModel, LinearModel
from jinbench.seeds.layout.propose import find_displaced_lines

STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # scikit-learn's C, the inverse of the regularisation
DIGITS = 3
COPIES = 6  # of every page, cut up at random
COPIES_WEIGHT = 0.3  # of all copies of a line together
COUNT_PAGE = True  # whether words of the page itself are evidence for its joins


@dataclass(frozen=True, eq=False)
class AssembledPage:
    """A page as assembled by hand.

    `articles`: of each line, or "" for boilerplate and lines of no article; `ranks`: the place of each line in the
    reading order of the page.
    """

    page: str
    lines: list[Line]
    kinds: list[str]
    articles: list[str]
    ranks: list[int]
    joins: set[tuple[int, int]]

    @property
    def line_classes(self) -> list[str]:
        return [to_line_class(kind) for kind in self.kinds]

    @property
    def body(self) -> list[int]:
        return [i for i, kind in enumerate(self.kinds) if kind == "body"]

    @property
    def starts(self) -> list[bool]:
        """For each line, whether it belongs to another article than the last line before it that belongs to one."""
        starts, previous = [], None
        for article in self.articles:
            starts.append(bool(article) and article != previous)
            previous = article or previous
        return starts


def read_assembled_pages(root: Path) -> list[AssembledPage]:
    """Read the pages of a benchmark with the kinds, articles and joins of articles.toml."""
    seeds = read_seeds(find_benchmark(root))
    pages = []
    for page in seeds.pages:
        lines, _ = split_lines(page.text, page.repairs)
        indices: dict[int, list[int]] = {}
        for i, line in enumerate(lines):
            indices.setdefault(line.number, []).append(i)
        kinds = [BOILERPLATE] * len(lines)
        articles, ranks, joins = [""] * len(lines), [0] * len(lines), set()
        counter = itertools.count(1)
        pieces = [(a.id, piece) for a in seeds.articles if a.page_id == page.id for piece in a.pieces]
        pieces += [("", piece) for piece in seeds.unassigned[page.id]]
        for id, piece in pieces:
            chain = []
            for number in piece.lines:
                for i in indices[number]:
                    if len(indices[number]) == 1 or lines[i].is_continuation == (piece.kind == "jump"):
                        kinds[i], articles[i], ranks[i] = piece.kind, id, next(counter)
                        chain.append(i)
            if piece.kind == "body":
                joins |= set(itertools.pairwise(chain))
        pages.append(AssembledPage(page.id, lines, kinds, articles, ranks, joins))
    return pages


def _fit_logistic(matrix: Any, labels: Sequence[Any], strength: float, weights: Sequence[float] | None = None) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=5000, tol=1e-8).fit(matrix, labels, sample_weight=weights)


def _to_linear_model(fitted: Any, names: Sequence[str], classes: Sequence[str]) -> LinearModel:
    weights = np.hstack([fitted.coef_, fitted.intercept_[:, None]])
    rounded = tuple(tuple(round(float(w), DIGITS) for w in row) for row in weights)
    return LinearModel(tuple(classes), tuple(names), rounded)


@cache
def _line_matrix(page: AssembledPage) -> tuple[list[str], Any]:
    return extract_line_features(page.lines)


def learn_line_classes(pages: Sequence[AssembledPage], strength: float) -> LinearModel:
    parts = [_line_matrix(page) for page in pages]
    copies = [copy for page in pages for copy in _make_copies(page)]
    labels = [name for page in pages for name in page.line_classes] + [f for copy in copies for f in copy.line_classes]
    weights = [1.0] * sum(len(page.line_classes) for page in pages)
    weights += [COPIES_WEIGHT / COPIES] * (len(labels) - len(weights))
    matrix = np.vstack([matrix for _, matrix in parts] + [copy.matrix for copy in copies])
    fitted = _fit_logistic(matrix, labels, strength, weights)
    return _to_linear_model(fitted, parts[0][0], [str(name) for name in fitted.classes_])


@cache
def _start_matrix(page: AssembledPage) -> tuple[list[str], Any, list[bool]]:
    """Return the features of the places where an article may begin, and whether one does."""
    candidates = find_start_candidates(page.lines, page.line_classes)
    displaced = find_displaced_lines(page.line_classes, list(page.joins))
    names, matrix = extract_start_features(page.lines, page.line_classes, candidates, displaced)
    return names, matrix, [page.starts[candidate[0]] for candidate in candidates]


def learn_starts(pages: Sequence[AssembledPage], strength: float) -> LinearModel:
    parts = [_start_matrix(page) for page in pages]
    labels = [label for *_, page_labels in parts for label in page_labels]
    fitted = _fit_logistic(np.vstack([matrix for _, matrix, _ in parts]), labels, strength)
    return _to_linear_model(fitted, parts[0][0], ["begins"])


def learn_headlines(pages: Sequence[AssembledPage]) -> LinearModel:
    """Learn which of neighbouring headings is the headline. Too few to choose the regularisation."""
    matrices, labels, names = [], [], []
    for page in pages:
        for candidate in find_start_candidates(page.lines, page.line_classes):
            heads = [i for i in candidate if page.kinds[i] in HEADLINE_KINDS]
            if len(heads) > 1:
                names, matrix = extract_headline_features([page.lines[i].text for i in heads])
                matrices.append(matrix)
                labels += [page.kinds[i] == "headline" for i in heads]
    return _to_linear_model(_fit_logistic(np.vstack(matrices), labels, 1.0), names, ["headline"])


@dataclass(frozen=True)
class JoinMatrix:
    """The join candidates of a page with their features, and the joins that are right."""

    unfinished: list[int]
    pairs: list[tuple[int, int]]
    names: list[str]
    matrix: Any
    joins: set[tuple[int, int]]


def _make_join_matrix(lines: Sequence[Line], body: Sequence[int], joins: set[tuple[int, int]]) -> JoinMatrix:
    unfinished, pairs = find_join_candidates(lines, body)
    names, matrix = extract_join_features(lines, body, pairs, JoinEvidence(lines, COUNT_PAGE))
    return JoinMatrix(unfinished, pairs, names, matrix, joins)


@cache
def _join_matrices(page: AssembledPage) -> list[JoinMatrix]:
    """Return the candidates of the page, and of its cut-up copies, which have many more joins."""
    own = _make_join_matrix(page.lines, page.body, page.joins)
    return [own, *(copy.candidates for copy in _make_copies(page))]


def learn_joins(pages: Sequence[AssembledPage], strength: float, shift: float = 0.0) -> LinearModel:
    """Learn from the joins of the pages and of their cut-up copies; `shift` is added to the constant."""
    parts = [part for page in pages for part in _join_matrices(page) if part.pairs]
    labels = [pair in part.joins for part in parts for pair in part.pairs]
    fitted = _fit_logistic(np.vstack([part.matrix for part in parts]), labels, strength)
    linear = _to_linear_model(fitted, parts[0].names, ["joins"])
    row = linear.weights[0]
    return LinearModel(linear.classes, linear.features, ((*row[:-1], round(row[-1] + shift, DIGITS)),))


@dataclass(frozen=True, eq=False)
class TornCopy:
    """A cut-up page: classes and features of its lines, and its join candidates."""

    line_classes: list[str]
    matrix: Any
    candidates: JoinMatrix


@cache
def _make_copies(page: AssembledPage) -> list[TornCopy]:
    copies = []
    for seed in range(COPIES):
        lines, line_classes, joins = tear_up(page, random.Random(f"{page.page} {seed}"))
        body = [i for i, line_class in enumerate(line_classes) if line_class == "body"]
        candidates = _make_join_matrix(lines, body, joins)
        copies.append(TornCopy(line_classes, extract_line_features(lines)[1], candidates))
    return copies


def tear_up(page: AssembledPage, rng: random.Random) -> tuple[list[Line], list[str], set[tuple[int, int]]]:
    """Set the articles of a page anew; return the lines, their classes, and the joins.

    Up to two paragraphs of each article break, and the halves of neighbouring articles follow each other or interleave.
    """
    follows = dict(page.joins)
    joined = {second for _, second in page.joins}
    columns: list[list[list[tuple[str, str, int]]]] = []
    broken = 0
    for name in dict.fromkeys(a for a in page.articles if a):
        order = sorted(
            (i for i, a in enumerate(page.articles) if a == name and i not in joined), key=lambda i: page.ranks[i]
        )
        halves: list[list[tuple[str, str, int]]] = [[]]  # (class, text, the break behind it or before it)
        breaks = 0
        for i in order:
            text = page.lines[i].text
            last = i
            while last in follows:
                last = follows[last]
                text += page.lines[last].text
            places = [n for n in range(15, len(text) - 8) if not SENTENCE_END.search(text[:n])]
            if page.line_classes[i] == "body" and places and breaks < 2 and rng.random() < 0.4:
                cut, breaks, broken = rng.choice(places), breaks + 1, broken + 1
                halves[-1].append(("body", text[:cut], -broken))
                halves.append([("body", text[cut:], broken)])
            elif page.line_classes[i] != BOILERPLATE:
                halves[-1].append((page.line_classes[i], text, 0))
        columns.append(halves)
    flow: list[tuple[str, str, int]] = []
    while columns:
        group = [columns.pop(0) for _ in range(min(len(columns), rng.choice((1, 1, 2, 3))))]
        for row in itertools.zip_longest(*group, fillvalue=[]):
            for part in row:
                flow += part
    lines = [Line(n, str(n), text, 1, name == "jump") for n, (name, text, _) in enumerate(flow, start=1)]
    line_classes = [name for name, _, _ in flow]
    ends = {-number: n for n, (_, _, number) in enumerate(flow) if number < 0}
    return lines, line_classes, {(ends[number], n) for n, (_, _, number) in enumerate(flow) if number > 0}


def leave_one_out(pages: Sequence[AssembledPage]) -> Iterable[tuple[AssembledPage, list[AssembledPage]]]:
    """Yield each page with all others."""
    for page in pages:
        yield page, [other for other in pages if other is not page]


def learn_model(pages: Sequence[AssembledPage]) -> LayoutModel:
    """Learn coefficients from all of `pages`, and the settings of learning by leaving out each of them in turn."""

    def line_class_loss(strength: float) -> float:
        loss = 0.0
        for page, others in leave_one_out(pages):
            linear = learn_line_classes(others, strength)
            table = linear.probabilities(_line_matrix(page)[1])
            for i, name in enumerate(page.line_classes):
                probability = table[i, linear.classes.index(name)] if name in linear.classes else 0.0
                loss -= math.log(max(float(probability), 0.01))
        return loss

    def predict_starts(strength: float) -> list[tuple[float, bool]]:
        starts: list[tuple[float, bool]] = []
        for page, others in leave_one_out(pages):
            _, matrix, labels = _start_matrix(page)
            probabilities = learn_starts(others, strength).probabilities(matrix)[:, 0]
            starts += [(float(p), label) for p, label in zip(probabilities, labels, strict=True)]
        return starts

    def start_loss(strength: float) -> float:
        return -sum(math.log(max(p if label else 1 - p, 0.01)) for p, label in predict_starts(strength))

    def score_joins(strength: float, shift: float) -> tuple[float, list[tuple[float, bool]]]:
        n_proposed, n_correct, n_gold, margins = 0, 0, 0, []
        for page, others in leave_one_out(pages):
            linear = learn_joins(others, strength, shift)
            for part in _join_matrices(page):
                scores = linear.scores(part.matrix)[:, 0] if part.pairs else np.zeros(0)
                for join in select_joins(part.unfinished, part.pairs, scores):
                    is_right = (join.first, join.second) in part.joins
                    n_proposed, n_correct = n_proposed + 1, n_correct + is_right
                    margins.append((join.margin, is_right))
                n_gold += len(part.joins)
        return 2 * n_correct / max(n_proposed + n_gold, 1), margins

    line_class_strength = min(STRENGTHS, key=line_class_loss)
    start_strength = min(STRENGTHS, key=start_loss)
    starts = predict_starts(start_strength)

    def start_f1(threshold: float) -> float:
        correct = sum(label and p >= threshold for p, label in starts)
        return 2 * correct / max(sum(p >= threshold for p, _ in starts) + sum(label for _, label in starts), 1)

    threshold = max((0.3, 0.35, 0.4, 0.45, 0.5), key=start_f1)
    grid = [(strength, shift) for strength in STRENGTHS for shift in (0.0, 1.0, 2.0, 3.0)]
    join_settings = max(grid, key=lambda settings: score_joins(*settings)[0])
    return LayoutModel(
        learn_line_classes(pages, line_class_strength), learn_starts(pages, start_strength), learn_headlines(pages),
        learn_joins(pages, *join_settings), _calibrate_joins(score_joins(*join_settings)[1]), threshold,
    )  # fmt: skip


def _calibrate_joins(margins: Sequence[tuple[float, bool]]) -> tuple[float, float]:
    """Return (slope, constant) from the margin of a join to its log-odds.

    Two made-up joins, a right and a wrong one at margin 0, hold it back.
    """
    points = [*margins, (0.0, True), (0.0, False)]
    fitted = _fit_logistic(np.array([[margin] for margin, _ in points]), [is_right for _, is_right in points], 1.0)
    slope, constant = max(0.0, float(fitted.coef_[0, 0])), float(fitted.intercept_[0])
    return round(slope, DIGITS), round(constant, DIGITS)
