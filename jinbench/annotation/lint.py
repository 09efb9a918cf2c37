"""A linter for labels: what is allowed, and yet more often a slip than meant.

A finding is mended, or accepted in `annotation/accepted.toml` with the reason. What can never be right (a span across
sentences, a lone sector beside others) is refused when an export is read, and needs no linter.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from jinbench.annotation.labels import LabelDefinition, LabelSet
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem
from jinbench.core.types import Passage, PassageLabels, Span

_FULL = str.maketrans("()[],.;:!?/~", "".join(chr(ord(c) + 0xFEE0) for c in "()[],.;:!?/~"))  # their full-width forms
_OPEN, _CLOSE = "“‘《〈【「『([", "”’》〉】」』)]"
PAIRS = dict(zip(_OPEN + "([".translate(_FULL), _CLOSE + ")]".translate(_FULL), strict=True))
CLOSING = {close: open for open, close in PAIRS.items()}
_MARKS = ",.;:!?/~-"
EDGES = frozenset("。、…—–·" + _MARKS + _MARKS.translate(_FULL)).union(PAIRS, CLOSING)
NUMERALS = frozenset("0123456789〇零一二三四五六七八九十百千万亿两.")
BARE = 2  # shorter surfaces are left bare all the time, inside common words

LintMatch = tuple[str, str, str]  # passage id, surface, message


@dataclass(frozen=True)
class Finding:
    """One thing to look at. `surface` and `check` are what an entry of accepted.toml names, `passage_id` where."""

    check: str
    passage_id: str
    surface: str
    message: str

    def __str__(self) -> str:
        return f"{self.passage_id}  {self.check}  {self.surface}: {self.message}"


@dataclass(frozen=True)
class AcceptedFinding:
    """An entry of accepted.toml: findings that are as they should be, and why."""

    check: str
    surface: str
    passages: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Corpus:
    """What is looked through: texts by passage, the labels of them, and the types that rules of labels.toml are for."""

    texts: dict[str, str]
    entries: Sequence[PassageLabels]
    types: dict[str, LabelDefinition]

    @cached_property
    def surfaces(self) -> dict[str, frozenset[str]]:
        """What is labelled, by type."""
        found: dict[str, set[str]] = defaultdict(set)
        for entry in self.entries:
            for span in entry.spans:
                found[span.type].add(span.surface)
        return {type: frozenset(surfaces) for type, surfaces in found.items()}


def lint_labels(passages: Iterable[Passage], labelled: Iterable[PassageLabels], label_set: LabelSet) -> list[Finding]:
    """Every finding, passages in order."""
    texts = {passage.id: passage.text for passage in passages}
    entries = [entry for entry in labelled if entry.passage_id in texts]
    world = Corpus(texts, entries, {entity.name: entity for entity in label_set.entities})
    found = [Finding(name, *slip) for name, check in CHECKS.items() for slip in check(world)]
    passage, check = ({key: i for i, key in enumerate(keys)} for keys in (texts, CHECKS))
    return sorted(found, key=lambda f: (passage[f.passage_id], check[f.check], f.surface))


def _two_types(world: Corpus) -> Iterator[LintMatch]:
    """The same surface has one type here and another elsewhere."""
    types: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for entry in world.entries:
        for span in entry.spans:
            types[span.surface][span.type].append(entry.passage_id)
    for surface, found in types.items():
        if len(found) > 1:
            usual = max(found, key=lambda type: len(found[type]))
            for type in sorted(found.keys() - {usual}):
                for id in found[type]:
                    yield id, surface, f"{type}, elsewhere {usual}"


def _bare_elsewhere(world: Corpus) -> Iterator[LintMatch]:
    """A surface that is labelled elsewhere stands here without a label."""
    types = {span.surface: span.type for entry in world.entries for span in entry.spans if len(span.surface) >= BARE}
    for entry in world.entries:
        text, taken = world.texts[entry.passage_id], [(span.start, span.end) for span in entry.spans]
        for surface in sorted(types, key=lambda surface: (-len(surface), surface)):  # the longest name says it all
            start = text.find(surface)
            while start >= 0:
                end = start + len(surface)
                if not any(s < end and start < e for s, e in taken):
                    taken.append((start, end))
                    yield entry.passage_id, surface, f"{types[surface]} elsewhere, bare at {start}"
                start = text.find(surface, end)


def _each(message: Callable[[Span, Corpus], str | None]) -> Callable[[Corpus], Iterator[LintMatch]]:
    """A check that looks at one span."""

    def found(world: Corpus) -> Iterator[LintMatch]:
        for entry in world.entries:
            for span in entry.spans:
                said = message(span, world)
                if said:
                    yield entry.passage_id, span.surface, said

    return found


def _edge(span: Span, world: Corpus) -> str | None:
    """White space or punctuation at an end. Of a pair one half may stand there if the other is inside: “十五五”规划."""
    surface = span.surface
    if surface != surface.strip():
        return "white space at an end"
    first, last = surface[0], surface[-1]
    opens = first in PAIRS and PAIRS[first] in surface[1:-1]
    closes = last in CLOSING and CLOSING[last] in surface[1:-1]
    if (first in EDGES and not opens) or (last in EDGES and not closes):
        return "punctuation at an end"
    return None


def _open_bracket(span: Span, world: Corpus) -> str | None:
    """A bracket or quotation mark is opened and not closed, or the other way round."""
    waiting: list[str] = []
    for character in span.surface:
        if character in PAIRS:
            waiting.append(PAIRS[character])
        elif character in CLOSING and (not waiting or waiting.pop() != character):
            return f"{character} closes nothing"
    return f"{waiting[-1]} is missing" if waiting else None


def _holds_other(span: Span, world: Corpus) -> str | None:
    """A surface holds one of a type that labels.toml wants outside of it: a person's name, the title before it."""
    apart = world.types[span.type].holds_no if span.type in world.types else ()
    held = {other: type for type in apart for other in world.surfaces.get(type, ())
            if other in span.surface and len(other) >= BARE}  # fmt: skip
    longest = max(sorted(held), key=len, default="")
    return f"holds the {held[longest]} {longest}" if held else None


def _unit_missing(span: Span, world: Corpus) -> str | None:
    """A surface of a type that has a unit ends in a number: its unit is left off."""
    measured = span.type in world.types and world.types[span.type].unit
    bare = measured and span.surface[-1] in NUMERALS and "/" not in span.surface
    return "ends in a number" if bare else None


CHECKS = {
    "two-types": _two_types,
    "bare-elsewhere": _bare_elsewhere,
    "edge": _each(_edge),
    "open-bracket": _each(_open_bracket),
    "holds-other": _each(_holds_other),
    "unit-missing": _each(_unit_missing),
}


def read_accepted(benchmark: Benchmark) -> list[AcceptedFinding]:
    """The findings that are as they should be. Raises :class:`DataError` (broken-toml, wrong-shape)."""
    path = benchmark.annotation / "accepted.toml"
    if not path.exists():
        return []
    table = files.read_toml(path, "accepted")
    return [AcceptedFinding(e["check"], e["surface"], tuple(e["passages"]), e["why"]) for e in table.get("accepted", ())]


def filter_accepted(found: Iterable[Finding], accepted: Sequence[AcceptedFinding], where: str) -> list[Finding]:
    """The findings that nobody accepted. A passage is named in accepted.toml as often as it has the finding.

    Raises :class:`DataError` (accepted-in-vain) for whatever was accepted and is not found any more.
    """
    allowed = Counter((entry.check, entry.surface, id) for entry in accepted for id in entry.passages)
    left = []
    for finding in found:
        place = (finding.check, finding.surface, finding.passage_id)
        if allowed[place]:
            allowed[place] -= 1
        else:
            left.append(finding)
    problems = [
        Problem(
            "accepted-in-vain",
            location=f"{where} {check} {surface}",
            expected=f"a finding in {id}",
            found="none",
            fix="take the entry away",
        )
        for (check, surface, id), times in allowed.items()
        if times
    ]
    if problems:
        raise DataError(problems)
    return left
