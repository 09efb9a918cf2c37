"""What a page may fall into: kinds of lines, articles, their order, and what a torn column goes on in.

A proposal is a draft for a person to correct. Everything in it has a confidence: how likely it is to be right.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinbench.seeds.layout import features
from jinbench.seeds.layout import model as layout_model
from jinbench.seeds.layout.features import BOILERPLATE, HEADING, HEADLINE_KINDS
from jinbench.seeds.layout.joins import Join, find
from jinbench.seeds.layout.lines import Line
from jinbench.seeds.layout.model import Model

if TYPE_CHECKING:
    from jinbench.seeds.layout.features import Array

DOUBTFUL = 0.7  # what is less likely than that to be right is marked
_MOST = 8  # so many lines without running text may stand together
_BY_RULE = 0.6  # how sure we are of what a rule says that was never measured


@dataclass(frozen=True)
class Part:
    """A piece of an article: lines by their places in the list. `chance`: that their kind is right, the least of them;
    `joins`: for every line after the first, that it goes on there.
    """

    kind: str
    lines: tuple[int, ...]
    chance: float
    joins: tuple[float, ...] = ()

    @property
    def doubtful(self) -> bool:
        return min((self.chance, *self.joins)) < DOUBTFUL


@dataclass(frozen=True)
class Draft:
    """An article as proposed, in reading order. `chance`: that one begins where it begins."""

    parts: tuple[Part, ...]
    chance: float

    @property
    def lines(self) -> tuple[int, ...]:
        return tuple(line for part in self.parts for line in part.lines)


@dataclass(frozen=True)
class Proposal:
    """Of a page: `lines` in its order; `kinds` and `chances` of each; the rest points into `lines` by place."""

    lines: tuple[Line, ...]
    kinds: tuple[str, ...]
    chances: tuple[float, ...]
    begins: tuple[float, ...]
    drafts: tuple[Draft, ...]
    furniture: tuple[int, ...]
    joins: tuple[tuple[int, int, float], ...]  # first, second, how likely


def propose(
    lines: Sequence[Line], model: Model | None = None, *, own: bool = True, single: bool = False, titles: int = 0
) -> Proposal:
    """What `lines` may fall into. `single`: they are one article; `titles`: so many of the first are its headline.

    With `own` false, how often words stand on the page itself is no evidence for joins.
    """
    model = model or layout_model.model()
    if not lines:
        return Proposal((), (), (), (), (), (), ())
    _, matrix = features.features(lines)
    table = model.forms.chances(matrix)
    forms, sure_of = _forms(lines, table, model.forms.classes, titles, single)
    texts = [i for i, form in enumerate(forms) if form == "body"]
    joins = find(lines, texts, model.joins, own)
    units = features.units(lines, forms) if not single else [list(range(titles))] if titles else []
    begun = {0: 1.0} if single else _begun(lines, forms, units, joins, model)
    starts = {i for i, chance in begun.items() if chance >= model.threshold} | {_first(forms)}
    kinds, chances = _kinds(lines, forms, sure_of, units, begun, starts, model, titles, single)
    begins = [begun.get(i, 0.0) for i in range(len(lines))]
    blocks = _blocks(kinds, starts if single else _cut(lines, kinds, starts, units, joins))
    groups = _grouped(blocks, kinds, joins)
    slope, constant = model.margin
    sure = {(join.first, join.second): _chance(slope * join.margin + constant) for join in joins}
    drafts = [
        _draft([blocks[n] for n in group], kinds, chances, begins, sure, 1.0 if single else None) for group in groups
    ]
    if not drafts and not single:  # all of it furniture: somebody added the page for what is in it
        return propose(lines, model, own=own, single=True, titles=titles)
    furniture = tuple(i for i, kind in enumerate(kinds) if kind == BOILERPLATE)
    return Proposal(
        tuple(lines), tuple(kinds), tuple(chances), tuple(begins), tuple(drafts), furniture,
        tuple((first, second, chance) for (first, second), chance in sorted(sure.items())),
    )  # fmt: skip


def _chance(score: float) -> float:
    from math import exp

    return 1 / (1 + exp(-max(-30.0, min(30.0, score))))


def _forms(
    lines: Sequence[Line], table: "Array", classes: tuple[str, ...], titles: int, single: bool
) -> tuple[list[str], list[float]]:
    """The form of every line, and how likely it is: the likeliest of those that it can have.

    Of a page reference it is beyond doubt. A sentence is no heading, and no byline is without a word for who did what.
    As furniture, which nobody sees again, a line is taken only where that is not in doubt, and never in what is one
    article, which always has running text.
    """
    found, chances = [], []
    for i, line in enumerate(lines):
        if line.is_continuation or i < titles:
            found.append("jump" if line.is_continuation else HEADING)
            chances.append(1.0)
            continue
        barred = {"jump"}
        if features.is_sentence(line.text):
            barred |= {HEADING, "byline", BOILERPLATE}
        if not features.names_author(line.text):
            barred.add("byline")
        if single:
            barred |= {BOILERPLATE, "caption"}
        allowed = {form: float(table[i, n]) for n, form in enumerate(classes) if form not in barred}
        if allowed.get(BOILERPLATE, 1.0) < DOUBTFUL and not features.is_around(line.text):
            del allowed[BOILERPLATE]
        whole = sum(allowed.values()) or 1.0
        form = max(allowed, key=lambda form: allowed[form])
        found.append(form)
        chances.append(allowed[form] / whole)
    if not single:
        _clear(lines, found, chances)
    elif "body" not in found and len(lines) > titles:
        longest = max(range(titles, len(lines)), key=lambda i: (not lines[i].is_continuation, len(lines[i].text)))
        found[longest], chances[longest] = "body", float(table[longest, classes.index("body")])
    return found, chances


def _clear(lines: Sequence[Line], forms: list[str], chances: list[float]) -> None:
    """More than `_MOST` lines together without running text are what stands around a text on a web page, but for the
    last of them that may be a heading.
    """
    run: list[int] = []
    for i in range(len(lines) + 1):
        if i < len(lines) and (forms[i] != "body" or features.is_around(lines[i].text)):
            run.append(i)
            continue
        if len(run) > _MOST:
            heading = [n for n in run if forms[n] == HEADING and not features.is_around(lines[n].text)]
            for n in run:
                if n not in heading[-1:] or i == len(lines):
                    forms[n], chances[n] = BOILERPLATE, _BY_RULE
        run = []


def _begun(
    lines: Sequence[Line], forms: Sequence[str], units: Sequence[Sequence[int]], joins: Sequence[Join], model: Model
) -> dict[int, float]:
    """How likely an article begins with each of the units, by their first lines."""
    if not units:
        return {}
    _, matrix = features.unit_features(lines, forms, units, elsewhere(forms, [(j.first, j.second) for j in joins]))
    return {unit[0]: float(p) for unit, p in zip(units, model.begins.chances(matrix)[:, 0], strict=True)}


def elsewhere(forms: Sequence[str], joins: Sequence[tuple[int, int]]) -> set[int]:
    """The lines that go on from another line than the one of running text before them."""
    texts = [i for i, form in enumerate(forms) if form == "body"]
    before = dict(zip(texts[1:], texts, strict=False))
    return {second for first, second in joins if before.get(second) != first}


def _kinds(
    lines: Sequence[Line], forms: Sequence[str], sure_of: Sequence[float], units: Sequence[Sequence[int]],
    begun: dict[int, float], starts: set[int], model: Model, titles: int, single: bool,
) -> tuple[list[str], list[float]]:  # fmt: skip
    """The kind of every line: of headings, by whether an article begins there, and which of them is its headline."""
    kinds, chances = [form if form != HEADING else "crosshead" for form in forms], list(sure_of)
    headed = False  # whether the article has a headline by now
    for unit in units:
        heads = [i for i in unit if forms[i] == HEADING]
        p = begun.get(unit[0], 1.0)
        if unit[0] in starts:
            headed = False
        if not heads:
            continue
        if unit[0] not in starts and headed:
            for i in heads:
                chances[i] *= 1 - p
            continue
        headed = True
        _, matrix = features.main_features([lines[i].text for i in heads])
        likely = model.main.chances(matrix)[:, 0]
        best = 0 if titles else int(likely.argmax())
        for n, i in enumerate(heads):
            other = "label" if len(lines[i].text) <= 6 and n < best else "subheadline"
            kinds[i] = "headline" if n == best else other
            if i >= titles:
                chances[i] *= max(p, 0.0) * (1.0 if len(heads) == 1 else float(likely[best]))
    return kinds, chances


def _first(kinds: Sequence[str]) -> int:
    return next((i for i, kind in enumerate(kinds) if kind != BOILERPLATE), 0)


def _cut(
    lines: Sequence[Line], kinds: Sequence[str], starts: set[int], units: Sequence[Sequence[int]], joins: Sequence[Join]
) -> set[int]:
    """Where the page has to be cut: where an article begins, and where text goes on from elsewhere or to it."""
    cuts = set(starts)
    heads = {i for unit in units if unit[0] in starts for i in unit if kinds[i] != "body"}
    comes_from = {join.second: join.first for join in joins}
    goes_to = {join.first: join.second for join in joins}
    texts = [i for i, kind in enumerate(kinds) if kind == "body"]
    for before, i in itertools.pairwise(texts):
        if (comes_from.get(i, before) != before or goes_to.get(before, i) != i) and i - 1 not in heads:
            cuts.add(i)
    return cuts


def _blocks(kinds: Sequence[str], starts: set[int]) -> list[list[int]]:
    blocks: list[list[int]] = []
    for i, kind in enumerate(kinds):
        if kind == BOILERPLATE:
            continue
        if i in starts or not blocks:
            blocks.append([])
        blocks[-1].append(i)
    return blocks


def _grouped(blocks: Sequence[list[int]], kinds: Sequence[str], joins: Sequence[Join]) -> list[list[int]]:
    """Blocks that make an article together, in reading order: what is joined, and a heading with the text beside it."""
    home = {line: n for n, block in enumerate(blocks) for line in block}
    label = list(range(len(blocks)))

    def merge(a: int, b: int) -> None:
        old, new = max(label[a], label[b]), min(label[a], label[b])
        label[:] = [new if each == old else each for each in label]

    def has(n: int, *wanted: str) -> bool:
        return any(kinds[line] in wanted for m, block in enumerate(blocks) if label[m] == label[n] for line in block)

    for join in joins:
        merge(home[join.first], home[join.second])
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
    order: dict[int, list[int]] = {}
    for n, each in enumerate(label):
        order.setdefault(each, []).append(n)
    follows = {home[join.second]: home[join.first] for join in joins if home[join.first] != home[join.second]}
    return [_in_order(members, follows) for members in order.values()]


def _in_order(members: Sequence[int], follows: dict[int, int]) -> list[int]:
    """In the order of the page, but each block behind the one that it goes on from."""
    found: list[int] = []

    def place(n: int, waiting: tuple[int, ...]) -> None:
        if n in found or n in waiting:
            return
        if n in follows:
            place(follows[n], (*waiting, n))
        found.append(n)

    for n in members:
        place(n, ())
    return found


def _draft(
    blocks: Sequence[list[int]], kinds: Sequence[str], chances: Sequence[float], begins: Sequence[float],
    sure: dict[tuple[int, int], float], chance: float | None,
) -> Draft:  # fmt: skip
    """The parts of an article: headings first, wherever they stood, then the text with its joins."""
    order = [i for block in blocks for i in _turned(block, sure, begins)]
    goes_to = dict(sure.keys())
    joined = {second for _, second in sure}
    heads = [i for i in order if kinds[i] in HEADLINE_KINDS]
    first_text = next((n for n, i in enumerate(order) if kinds[i] == "body"), len(order))
    heads = sorted(heads + [i for i in order[:first_text] if kinds[i] == "byline" and set(heads) & {i - 1, i + 1}])
    parts = []
    for i in heads + [i for i in order if i not in heads]:
        if i in joined:
            continue
        chain = [i]
        while chain[-1] in goes_to:
            chain.append(goes_to[chain[-1]])
        parts.append(
            Part(kinds[i], tuple(chain), min(chances[n] for n in chain),
                 tuple(sure[pair] for pair in itertools.pairwise(chain)))
        )  # fmt: skip
    start = min(i for block in blocks for i in block)
    if chance is None:
        chance = 1.0 if start == 0 else max(begins[i] for i in [*heads, *(block[0] for block in blocks)])
    return Draft(tuple(parts), chance)


def _turned(block: list[int], sure: dict[tuple[int, int], float], begins: Sequence[float]) -> list[int]:
    """A block of which the end goes on above: what begins likeliest an article, up to that end, moves before it."""
    for first, second in sorted(sure):
        if first in block and second in block and block.index(second) < block.index(first):
            a, b = block.index(second), block.index(first)
            cut = max(range(a + 1, b + 1), key=lambda n: (float(begins[block[n]]), n))
            return [*block[:a], *block[cut : b + 1], *block[a:cut], *block[b + 1 :]]
    return block
