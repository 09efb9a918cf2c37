"""How good the proposal of `jinbench seeds add` is, on pages that were put together by hand, each held out in turn.

    python benchmarks/layout.py                     # each of the five pages, by what the other four teach
    python benchmarks/layout.py --write             # learns from all five, and writes its layouts.json
    python benchmarks/layout.py --check             # says whether layouts.json is what the pages teach

For a page, everything is learnt from the others: the coefficients of the three models (kinds of lines, where an
article begins, what a torn line goes on in), and, by leaving out each of these others in turn once more, how strongly
the coefficients are held back, the two thresholds, and the line from the margin of a join to its confidence. How often
words stand on the page itself, in its own lines, is evidence for its joins: it is what a page brings along, and has no
labels; `--without-own` leaves that out too. The features, the rules that make articles of lines, and their
constants (MADE_UP here among them) were written by somebody who knew all five pages: of that nothing can be held out.
"""

import itertools
import json
import math
import random
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from jinbench.core import files
from jinbench.core.benchmark import find_benchmark
from jinbench.seeds import articles
from jinbench.seeds.layout import features as layouts
from jinbench.seeds.layout import propose
from jinbench.seeds.layout.joins import Evidence, candidates, features, solve
from jinbench.seeds.layout.lines import Line, split_lines
from jinbench.seeds.layout.model import Linear, Model
from jinbench.seeds.layout.propose import Proposal

ROOT = Path(__file__).resolve().parent.parent
STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # scikit-learn's C: the larger, the freer
DIGITS = 3


@dataclass(frozen=True, eq=False)
class Truth:
    """A page as put together by hand. `article`: of each line, or "" for furniture and what belongs to none;
    `rank`: its place in the reading order of the page; `parts`: the same as the lines, with their kinds.
    """

    page: str
    lines: list[Line]
    kinds: list[str]
    article: list[str]
    rank: list[int]
    joins: set[tuple[int, int]]

    @property
    def forms(self) -> list[str]:
        return [layouts.form_of(kind) for kind in self.kinds]

    @property
    def texts(self) -> list[int]:
        return [i for i, kind in enumerate(self.kinds) if kind == "body"]

    @property
    def begins(self) -> list[bool]:
        """Whether a line belongs to another article than the line before it that belongs to one."""
        found, previous = [], None
        for article in self.article:
            found.append(bool(article) and article != previous)
            previous = article or previous
        return found


def read(root: Path) -> list[Truth]:
    """The pages of a benchmark, with what articles.toml says of their lines."""
    where = find_benchmark(root)
    seed, found = articles.read_seeds(where), []
    for page in seed.pages:
        lines, _ = split_lines(page.text, page.repairs)
        places: dict[int, list[int]] = {}
        for i, line in enumerate(lines):
            places.setdefault(line.number, []).append(i)
        kinds = [layouts.BOILERPLATE] * len(lines)
        article, rank, joins = [""] * len(lines), [0] * len(lines), set()
        counter = itertools.count(1)
        pieces = [(a.id, piece) for a in seed.articles if a.page_id == page.id for piece in a.pieces]
        pieces += [("", piece) for piece in seed.unassigned[page.id]]
        for id, piece in pieces:
            chain = []
            for number in piece.lines:
                for i in places[number]:
                    if len(places[number]) == 1 or lines[i].is_continuation == (piece.kind == "jump"):
                        kinds[i], article[i], rank[i] = piece.kind, id, next(counter)
                        chain.append(i)
            if piece.kind == "body":
                joins |= set(itertools.pairwise(chain))
        found.append(Truth(page.id, lines, kinds, article, rank, joins))
    return found


# Learning


def _logistic(matrix: Any, labels: Sequence[Any], strength: float, weights: Sequence[float] | None = None) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=5000, tol=1e-8).fit(matrix, labels, sample_weight=weights)


def _linear(fitted: Any, names: Sequence[str], classes: Sequence[str]) -> Linear:
    weights = np.hstack([fitted.coef_, fitted.intercept_[:, None]])
    return Linear(tuple(classes), tuple(names), tuple(tuple(round(float(w), DIGITS) for w in row) for row in weights))


@cache
def _matrix(page: Truth) -> tuple[list[str], Any]:
    return layouts.features(page.lines)


def learn_forms(pages: Sequence[Truth], strength: float) -> Linear:
    parts = [_matrix(page) for page in pages]
    made = [found for page in pages for found in _made_up(page)]
    labels = [f for page in pages for f in page.forms] + [f for found in made for f in found.forms]
    weights = [1.0] * sum(len(page.forms) for page in pages)
    weights += [MADE_UP / COPIES] * (len(labels) - len(weights))
    matrix = np.vstack([m for _, m in parts] + [found.matrix for found in made])
    fitted = _logistic(matrix, labels, strength, weights)
    return _linear(fitted, parts[0][0], [str(name) for name in fitted.classes_])


@cache
def _units(page: Truth) -> tuple[list[str], Any, list[bool]]:
    """Where an article may begin, and whether one does: a line of another article than that of the line before."""
    units = layouts.units(page.lines, page.forms)
    names, matrix = layouts.unit_features(page.lines, page.forms, units, propose.elsewhere(page.forms, page.joins))
    return names, matrix, [page.begins[unit[0]] for unit in units]


def learn_begins(pages: Sequence[Truth], strength: float) -> Linear:
    parts = [_units(page) for page in pages]
    labels = [yes for *_, found in parts for yes in found]
    return _linear(_logistic(np.vstack([m for _, m, _ in parts]), labels, strength), parts[0][0], ["begins"])


def learn_main(pages: Sequence[Truth]) -> Linear:
    """Of headings that stand together, the headline. Too few to steer how strongly the coefficients are held back."""
    matrices, labels, names = [], [], []
    for page in pages:
        for unit in layouts.units(page.lines, page.forms):
            heads = [i for i in unit if page.kinds[i] in layouts.HEADLINE_KINDS]
            if len(heads) > 1:
                names, matrix = layouts.main_features([page.lines[i].text for i in heads])
                matrices.append(matrix)
                labels += [page.kinds[i] == "headline" for i in heads]
    return _linear(_logistic(np.vstack(matrices), labels, 1.0), names, ["headline"])


@cache
def _pairs(page: Truth) -> tuple[list[int], list[tuple[int, int]], list[str], Any]:
    torn, pairs = candidates(page.lines, page.texts)
    names, matrix = features(page.lines, page.texts, pairs, Evidence(page.lines, OWN))
    return torn, pairs, names, matrix


def learn_joins(pages: Sequence[Truth], strength: float, shift: float = 0.0) -> Linear:
    """From the joins of the pages, and from pages like them that :func:`torn_up` makes: those have many more."""
    parts = [
        part for page in pages for part in ((_pairs(page), page.joins), *((m.pairs, m.joins) for m in _made_up(page)))
    ]
    parts = [part for part in parts if part[0][1]]
    labels = [pair in joins for (_, pairs, _, _), joins in parts for pair in pairs]
    linear = _linear(_logistic(np.vstack([m for (*_, m), _ in parts]), labels, strength), parts[0][0][2], ["joins"])
    row = linear.weights[0]
    return Linear(linear.classes, linear.features, ((*row[:-1], round(row[-1] + shift, DIGITS)),))


COPIES = 6  # of every page, torn up at random
MADE_UP = 0.3  # what all copies of a line count together


@dataclass(frozen=True, eq=False)
class MadeUp:
    """A page set anew. `pairs`: what :func:`_pairs` gives for it."""

    forms: list[str]
    matrix: Any
    pairs: tuple[Any, ...]
    joins: set[tuple[int, int]]


@cache
def _made_up(page: Truth) -> list[MadeUp]:
    found = []
    for seed in range(COPIES):
        lines, forms, joins = torn_up(page, random.Random(f"{page.page} {seed}"))
        texts = [i for i, form in enumerate(forms) if form == "body"]
        torn, pairs = candidates(lines, texts)
        evidence = Evidence(lines, OWN)
        rows = (torn, pairs, *features(lines, texts, pairs, evidence))
        found.append(MadeUp(forms, layouts.features(lines)[1], rows, joins))
    return found


def torn_up(page: Truth, rng: random.Random) -> tuple[list[Line], list[str], set[tuple[int, int]]]:
    """The articles of a page set anew: up to two paragraphs of each break, and the halves of neighbouring
    articles stand one behind the other or interleave. The lines, their forms, and the joins.
    """
    follows = dict(page.joins)
    joined = {second for _, second in page.joins}
    columns: list[list[list[tuple[str, str, int]]]] = []
    broken = 0
    for name in dict.fromkeys(a for a in page.article if a):
        order = sorted(
            (i for i, a in enumerate(page.article) if a == name and i not in joined), key=lambda i: page.rank[i]
        )
        halves: list[list[tuple[str, str, int]]] = [[]]  # (form, text, the break behind it or before it)
        breaks = 0
        for i in order:
            text = page.lines[i].text
            at = i
            while at in follows:
                at = follows[at]
                text += page.lines[at].text
            places = [n for n in range(15, len(text) - 8) if not layouts.SENTENCE_END.search(text[:n])]
            if page.forms[i] == "body" and places and breaks < 2 and rng.random() < 0.4:
                cut, breaks, broken = rng.choice(places), breaks + 1, broken + 1
                halves[-1].append(("body", text[:cut], -broken))
                halves.append([("body", text[cut:], broken)])
            elif page.forms[i] != layouts.BOILERPLATE:
                halves[-1].append((page.forms[i], text, 0))
        columns.append(halves)
    flow: list[tuple[str, str, int]] = []
    while columns:
        group = [columns.pop(0) for _ in range(min(len(columns), rng.choice((1, 1, 2, 3))))]
        for row in itertools.zip_longest(*group, fillvalue=[]):
            for part in row:
                flow += part
    lines = [Line(n, str(n), text, 1, form == "jump") for n, (form, text, _) in enumerate(flow, start=1)]
    forms = [form for form, _, _ in flow]
    ends = {-number: n for n, (_, _, number) in enumerate(flow) if number < 0}
    return lines, forms, {(ends[number], n) for n, (_, _, number) in enumerate(flow) if number > 0}


OWN = True


def _others(pages: Sequence[Truth]) -> Iterable[tuple[Truth, list[Truth]]]:
    for page in pages:
        yield page, [other for other in pages if other is not page]


def learn(pages: Sequence[Truth]) -> Model:
    """Coefficients from all of `pages`; what steers the learning, by leaving out each of them in turn."""

    def forms_loss(strength: float) -> float:
        loss = 0.0
        for page, others in _others(pages):
            linear = learn_forms(others, strength)
            table = linear.chances(_matrix(page)[1])
            for i, kind in enumerate(page.forms):
                chance = table[i, linear.classes.index(kind)] if kind in linear.classes else 0.0
                loss -= math.log(max(float(chance), 0.01))
        return loss

    def begins_loss(strength: float) -> tuple[float, list[tuple[float, bool]]]:
        found: list[tuple[float, bool]] = []
        for page, others in _others(pages):
            _, matrix, labels = _units(page)
            chances = learn_begins(others, strength).chances(matrix)[:, 0]
            found += [(float(p), yes) for p, yes in zip(chances, labels, strict=True)]
        return -sum(math.log(max(p if yes else 1 - p, 0.01)) for p, yes in found), found

    def joins_right(strength: float, shift: float) -> tuple[float, list[tuple[float, bool]]]:
        proposed, right, there, margins = 0, 0, 0, []
        for page, others in _others(pages):
            linear = learn_joins(others, strength, shift)
            for (torn, pairs, _, matrix), joins in [
                (_pairs(page), page.joins),
                *((m.pairs, m.joins) for m in _made_up(page)),
            ]:
                for join in solve(torn, pairs, linear.scores(matrix)[:, 0]) if pairs else ():
                    yes = (join.first, join.second) in joins
                    proposed, right = proposed + 1, right + yes
                    margins.append((join.margin, yes))
                there += len(joins)
        return 2 * right / max(proposed + there, 1), margins

    forms = min(STRENGTHS, key=forms_loss)
    begins = min(STRENGTHS, key=lambda strength: begins_loss(strength)[0])
    found = begins_loss(begins)[1]

    def begins_f1(threshold: float) -> float:
        right = sum(yes and p >= threshold for p, yes in found)
        return 2 * right / max(sum(p >= threshold for p, _ in found) + sum(yes for _, yes in found), 1)

    threshold = max((0.3, 0.35, 0.4, 0.45, 0.5), key=begins_f1)
    grid = [(strength, shift) for strength in STRENGTHS for shift in (0.0, 1.0, 2.0, 3.0)]
    joins = max(grid, key=lambda at: joins_right(*at)[0])
    slope, constant = _line(joins_right(*joins)[1])
    return Model(learn_forms(pages, forms), learn_begins(pages, begins), learn_main(pages), learn_joins(pages, *joins),
                 (slope, constant), threshold)  # fmt: skip


def _line(margins: Sequence[tuple[float, bool]]) -> tuple[float, float]:
    """How likely a join is right, by its margin. Two made-up ones, a right and a wrong one at 0, hold it back."""
    points = [*margins, (0.0, True), (0.0, False)]
    fitted = _logistic(np.array([[m] for m, _ in points]), [yes for _, yes in points], 1.0)
    slope, constant = max(0.0, float(fitted.coef_[0, 0])), float(fitted.intercept_[0])
    return round(slope, DIGITS), round(constant, DIGITS)


# Measuring


def _f1(right: int, proposed: int, there: int) -> dict[str, float]:
    return {
        "right": right, "proposed": proposed, "there": there,
        "precision": right / proposed if proposed else 0.0,
        "recall": right / there if there else 0.0,
        "f1": 2 * right / (proposed + there) if proposed + there else 1.0,
    }  # fmt: skip


def macro_f1(pairs: Sequence[tuple[str, str]]) -> float:
    """The mean over the kinds that the pages have, of pairs (true, proposed)."""
    scores = []
    for kind in sorted({true for true, _ in pairs}):
        right = sum(true == found == kind for true, found in pairs)
        scores.append(2 * right / (sum(t == kind for t, _ in pairs) + sum(f == kind for _, f in pairs)))
    return sum(scores) / len(scores)


def homes(proposal: Proposal) -> list[str]:
    """The article that each line is proposed for; "" for furniture."""
    found = [""] * len(proposal.lines)
    for n, draft in enumerate(proposal.drafts):
        for line in draft.lines:
            found[line] = f"{n}"
    return found


def firsts(article: Sequence[str]) -> set[int]:
    """The first line on the page of every article: where somebody who reads down the page would say that it begins."""
    return {article.index(name) for name in set(article) if name}


def pair_counts(truth: Sequence[str], found: Sequence[str]) -> tuple[int, int, int]:
    """Pairs of lines that are in one article: in both, as proposed, in truth."""

    def pairs(counts: Iterable[int]) -> int:
        return sum(n * (n - 1) // 2 for n in counts)

    both = Counter((a, b) for a, b in zip(truth, found, strict=True) if a and b)
    proposed, there = Counter(b for b in found if b), Counter(a for a in truth if a)
    return pairs(both.values()), pairs(proposed.values()), pairs(there.values())


def moved(truth: Truth, proposal: Proposal) -> tuple[int, int]:
    """Characters that have to be moved, and all of the page.

    Articles are matched so that most characters stay; what lies in another article moves, and within each article what
    is not on the longest chain, in characters, of lines that are in order already.
    """
    from scipy.optimize import linear_sum_assignment

    home = homes(proposal)
    names, ours = sorted(set(truth.article)), sorted(set(home))
    sizes = [len(line.text) for line in truth.lines]
    shared = np.zeros((len(names), len(ours)))
    for i, size in enumerate(sizes):
        shared[names.index(truth.article[i]), ours.index(home[i])] += size
    if "" in names and "" in ours:  # furniture stays furniture
        shared[names.index(""), ours.index("")] += 10 * sum(sizes)
    matched = {(names[a], ours[b]) for a, b in zip(*linear_sum_assignment(shared, maximize=True), strict=True)}
    kept = 0
    for a, b in matched:
        if (a == "") != (b == ""):
            continue
        members = [i for i in range(len(sizes)) if truth.article[i] == a and home[i] == b]
        order = members
        if b:
            draft = proposal.drafts[int(b)]
            order = [i for i in draft.lines if i in set(members)]
        kept += _heaviest([truth.rank[i] for i in order] if a else list(range(len(order))), [sizes[i] for i in order])
    return sum(sizes) - kept, sum(sizes)


def _heaviest(ranks: Sequence[int], weights: Sequence[int]) -> int:
    """The weight of the heaviest rising chain."""
    best: list[int] = []
    for n, rank in enumerate(ranks):
        best.append(weights[n] + max((best[m] for m in range(n) if ranks[m] < rank), default=0))
    return max(best, default=0)


def neighbours(truth: Truth, proposal: Proposal) -> tuple[int, int]:
    """Of the lines that follow one another directly in an article of the truth, how many do so in the proposal."""

    def pairs(orders: Iterable[Sequence[int]]) -> set[tuple[int, int]]:
        return {pair for order in orders for pair in itertools.pairwise(order)}

    names = sorted({name for name in truth.article if name})
    true = pairs(
        sorted((i for i, a in enumerate(truth.article) if a == name), key=lambda i: truth.rank[i]) for name in names
    )
    return len(true & pairs(draft.lines for draft in proposal.drafts)), len(true)


def always_next(page: Truth) -> set[tuple[int, int]]:
    """The baseline for joins: whatever is torn goes on in the next line of running text."""
    torn, _ = candidates(page.lines, page.texts)
    following = dict(itertools.pairwise(page.texts))
    return {(i, following[i]) for i in torn if i in following}


def measure(page: Truth, model: Model) -> dict[str, Any]:
    """Counts for one page: they add up."""
    proposal = propose.propose(page.lines, model, own=OWN)
    home, joins = homes(proposal), {(a, b): chance for a, b, chance in proposal.joins}
    baseline, begun = always_next(page), firsts(home)
    starts = {min(draft.lines): draft.chance for draft in proposal.drafts}
    right, all_pairs = neighbours(page, proposal)
    to_move, characters = moved(page, proposal)
    every_page = [""] * len(home) if not home else ["0"] * len(home)
    return {
        "kinds": list(zip(page.kinds, proposal.kinds, strict=True)),
        "boundaries": (len(begun & firsts(page.article)), len(begun), len(firsts(page.article))),
        "pairs": pair_counts(page.article, home),
        "pairs, all one article": pair_counts(page.article, every_page),
        "neighbours": (right, all_pairs),
        "joins": (len(joins.keys() & page.joins), len(joins), len(page.joins)),
        "joins, always the next": (len(baseline & page.joins), len(baseline), len(page.joins)),
        "moved": (to_move, characters),
        "confidence of kinds": [
            (c, t == f) for c, t, f in zip(proposal.chances, page.kinds, proposal.kinds, strict=True)
        ],
        "confidence of joins": [(chance, pair in page.joins) for pair, chance in joins.items()],
        "confidence of boundaries": [(chance, i in firsts(page.article)) for i, chance in starts.items()],
        "proposal": proposal,
    }  # fmt: skip


BANDS = ((0.9, 1.01), (0.7, 0.9), (0.5, 0.7), (0.0, 0.5))


def summary(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of one page, or of several together."""

    def total(name: str) -> tuple[int, ...]:
        return tuple(map(sum, zip(*(part[name] for part in parts), strict=True)))

    kinds = [pair for part in parts for pair in part["kinds"]]
    right, pairs = total("neighbours")
    to_move, characters = total("moved")
    bands = {}
    for what in ("kinds", "joins", "boundaries"):
        found = [pair for part in parts for pair in part[f"confidence of {what}"]]
        bands[what] = [
            {"from": low, "to": min(high, 1.0), "n": len(inside), "right": sum(yes for _, yes in inside),
             "expected": sum(chance for chance, _ in inside)}
            for low, high in BANDS
            if (inside := [pair for pair in found if low <= pair[0] < high])
        ]  # fmt: skip
    return {
        "lines": len(kinds),
        "kinds": {"accuracy": sum(t == f for t, f in kinds) / len(kinds), "macro_f1": macro_f1(kinds)},
        "kinds, all body": {
            "accuracy": sum(t == "body" for t, _ in kinds) / len(kinds),
            "macro_f1": macro_f1([(t, "body") for t, _ in kinds]),
        },
        "kinds, by kind": {
            kind: _f1(
                sum(t == f == kind for t, f in kinds),
                sum(f == kind for _, f in kinds),
                sum(t == kind for t, _ in kinds),
            )
            for kind in layouts.ALL_KINDS
        },
        "boundaries": _f1(*total("boundaries")),
        "membership": _f1(*total("pairs")),
        "membership, all one article": _f1(*total("pairs, all one article")),
        "order": {"right": right, "pairs": pairs, "share": right / pairs if pairs else 1.0},
        "joins": _f1(*total("joins")),
        "joins, never": _f1(0, 0, total("joins")[2]),
        "joins, always the next": _f1(*total("joins, always the next")),
        "moved": {"characters": to_move, "of": characters, "share": to_move / characters},
        "confidence": bands,
    }  # fmt: skip


def _row(name: str, found: dict[str, Any]) -> str:
    parts = [name, found["lines"], found["kinds"]["accuracy"], found["kinds"]["macro_f1"], found["boundaries"]["f1"],
             found["membership"]["f1"], found["order"]["share"], found["joins"]["precision"], found["joins"]["recall"],
             found["joins"]["f1"], found["moved"]["characters"], found["moved"]["share"]]  # fmt: skip
    return " | ".join(f"{part:.2f}" if isinstance(part, float) else str(part) for part in parts)


BASELINES = (
    ("kinds, all body", "accuracy"), ("kinds, all body", "macro_f1"), ("membership, all one article", "f1"),
    ("joins, never", "f1"), ("joins, always the next", "precision"), ("joins, always the next", "recall"),
    ("joins, always the next", "f1"),
)  # fmt: skip
HEADER = ("page | lines | kinds: accuracy | macro-F1 | boundaries F1 | membership F1 | order | "
          "joins P | R | F1 | characters to move | share")  # fmt: skip


def main(
    root: Annotated[Path, typer.Option(help="A benchmark of pages put together by hand, two or more.")] = ROOT,
    write: Annotated[bool, typer.Option("--write", help="Learn from all pages, and write layouts.json.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only say whether layouts.json is up to date.")] = False,
    without_own: Annotated[
        bool, typer.Option("--without-own", help="Join without counting the words of the page itself.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--errors", help="Print every line whose kind is wrong, and every join.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All figures as JSON.")] = False,
) -> None:
    """How good the proposal of `jinbench seeds add` is, each page held out in turn."""
    global OWN
    OWN = not without_own
    pages = read(root)
    if write or check:
        text = files.dump_json(learn(pages).to_dict())
        path = ROOT / "jinbench" / "seeds" / "layout" / "layouts.json"
        same = path.is_file() and path.read_text(encoding="utf-8") == text
        if write:
            files.write_text(path, text)
        typer.echo(f"{files.display_path(path)}: {'as it was' if same else 'written' if write else 'differs'}")
        raise SystemExit(0 if same or write else 1)
    measured = []
    for page, others in _others(pages):
        measured.append(measure(page, learn(others)))
        print(f"page {page.page} measured", file=sys.stderr)
        if show:
            _errors(page, measured[-1])
    results = {page.page: summary([part]) for page, part in zip(pages, measured, strict=True)}
    results["all"] = summary(measured)
    if as_json:
        typer.echo(json.dumps(results, indent=1))
        return
    print(HEADER)
    for name, found in results.items():
        print(_row(name, found))
    total = results["all"]
    for name, what in BASELINES:
        print(f"baseline {name}: {what} {total[name][what]:.2f}")
    print("kinds: " + ", ".join(f"{kind} {v['f1']:.2f} ({v['there']})" for kind, v in total["kinds, by kind"].items()))
    for what, bands in total["confidence"].items():
        for band in bands:
            print(f"confidence of {what} {band['from']:.1f} to {band['to']:.1f}: right {band['right']} of {band['n']}"
                  f" ({band['right'] / band['n']:.2f}; said {band['expected'] / band['n']:.2f})")  # fmt: skip


def _errors(page: Truth, part: dict[str, Any]) -> None:
    proposal: Proposal = part["proposal"]
    for line, true, found, chance in zip(page.lines, page.kinds, proposal.kinds, proposal.chances, strict=True):
        if true != found:
            print(f"  {page.page}:{line.ref} {true} taken for {found} ({chance:.2f}): {line.text[:40]}")
    found_joins = {(a, b): chance for a, b, chance in proposal.joins}
    for a, b in sorted(page.joins | found_joins.keys()):
        mark = (
            "right" if (a, b) in page.joins and (a, b) in found_joins else "missed" if (a, b) in page.joins else "wrong"
        )
        print(f"  {page.page} join {page.lines[a].ref}+{page.lines[b].ref} {mark} {found_joins.get((a, b), 0):.2f}")
    home = homes(proposal)
    print("  begins:", [page.lines[i].ref for i in sorted(firsts(home))], "true:",
          [page.lines[i].ref for i in sorted(firsts(page.article))])  # fmt: skip
    for draft in proposal.drafts:
        print(
            "   ",
            f"{draft.chance:.2f}",
            [f"{p.kind[:4]} {'+'.join(page.lines[i].ref for i in p.lines)}" for p in draft.parts],
        )


if __name__ == "__main__":
    typer.run(main)
