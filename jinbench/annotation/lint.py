"""Find likely annotation mistakes: labels that are allowed, and yet more often wrong than right.

A finding is corrected, or accepted in `annotation/accepted.toml` with the reason. What can never be right (a span
across sentences, a lone sector beside others) is an error when an export is read.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from jinbench.annotation.labels import LabelDefinition, LabelSet
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import ErrorList
from jinbench.core.types import Passage, PassageLabels, Span

_FULL = str.maketrans("()[],.;:!?/~", "".join(chr(ord(c) + 0xFEE0) for c in "()[],.;:!?/~"))  # their full-width forms
_OPEN, _CLOSE = "“‘《〈【「『([", "”’》〉】」』)]"
PAIRS = dict(zip(_OPEN + "([".translate(_FULL), _CLOSE + ")]".translate(_FULL), strict=True))
CLOSING = {close: open for open, close in PAIRS.items()}
_MARKS = ",.;:!?/~-"
EDGES = frozenset("。、…—–·" + _MARKS + _MARKS.translate(_FULL)).union(PAIRS, CLOSING)
NUMERALS = frozenset("0123456789〇零一二三四五六七八九十百千万亿两.")
MIN_LENGTH = 2  # shorter surfaces occur without a label all the time, inside common words

LintMatch = tuple[str, str, str]  # passage id, surface, message


@dataclass(frozen=True)
class Finding:
    """A likely mistake.

    Args:
        check: Name of the check, a key of `CHECKS`.
        passage_id: The passage.
        surface: Text of the span.
        message: What is suspicious about it.
    """

    check: str
    passage_id: str
    surface: str
    message: str

    def __str__(self) -> str:
        return f"{self.passage_id}  {self.check}  {self.surface}: {self.message}"


@dataclass(frozen=True)
class AcceptedFinding:
    """An entry of accepted.toml: findings that are no mistakes, and why."""

    check: str
    surface: str
    passages: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Corpus:
    """Labelled passages: texts by passage id, their labels, and the entity types with their rules."""

    texts: dict[str, str]
    entries: Sequence[PassageLabels]
    types: dict[str, LabelDefinition]

    @cached_property
    def surfaces(self) -> dict[str, frozenset[str]]:
        """Labelled surfaces by type."""
        by_type: dict[str, set[str]] = defaultdict(set)
        for entry in self.entries:
            for span in entry.spans:
                by_type[span.type].add(span.surface)
        return {type: frozenset(surfaces) for type, surfaces in by_type.items()}


def lint_labels(passages: Iterable[Passage], labels: Iterable[PassageLabels], label_set: LabelSet) -> list[Finding]:
    """Find likely annotation mistakes.

    Args:
        passages: Passages in reading order.
        labels: Their labels; those of other passages are left out.
        label_set: The label set with the rules of its types.

    Returns:
        All findings, in the order of passages, checks and surfaces.
    """
    texts = {passage.id: passage.text for passage in passages}
    entries = [entry for entry in labels if entry.passage_id in texts]
    corpus = Corpus(texts, entries, {entity.name: entity for entity in label_set.entities})
    findings = [Finding(name, *match) for name, check in CHECKS.items() for match in check(corpus)]
    passage, check = ({key: i for i, key in enumerate(keys)} for keys in (texts, CHECKS))
    return sorted(findings, key=lambda f: (passage[f.passage_id], check[f.check], f.surface))


def _find_two_types(corpus: Corpus) -> Iterator[LintMatch]:
    """The same surface has different types in different places."""
    types: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for entry in corpus.entries:
        for span in entry.spans:
            types[span.surface][span.type].append(entry.passage_id)
    for surface, by_type in types.items():
        if len(by_type) > 1:
            usual = max(by_type, key=lambda type: len(by_type[type]))
            for type in sorted(by_type.keys() - {usual}):
                for id in by_type[type]:
                    yield id, surface, f"{type}, elsewhere {usual}"


def _find_bare_elsewhere(corpus: Corpus) -> Iterator[LintMatch]:
    """A surface that is labelled elsewhere has no label."""
    types = {s.surface: s.type for entry in corpus.entries for s in entry.spans if len(s.surface) >= MIN_LENGTH}
    for entry in corpus.entries:
        text, taken = corpus.texts[entry.passage_id], [(span.start, span.end) for span in entry.spans]
        for surface in sorted(types, key=lambda surface: (-len(surface), surface)):  # the longest name says it all
            start = text.find(surface)
            while start >= 0:
                end = start + len(surface)
                if not any(s < end and start < e for s, e in taken):
                    taken.append((start, end))
                    yield entry.passage_id, surface, f"{types[surface]} elsewhere, bare at {start}"
                start = text.find(surface, end)


def _check_each_span(check: Callable[[Span, Corpus], str | None]) -> Callable[[Corpus], Iterator[LintMatch]]:
    """Make a check of a corpus from one of a span."""

    def find_matches(corpus: Corpus) -> Iterator[LintMatch]:
        for entry in corpus.entries:
            for span in entry.spans:
                message = check(span, corpus)
                if message:
                    yield entry.passage_id, span.surface, message

    return find_matches


def _check_edge(span: Span, corpus: Corpus) -> str | None:
    """White space or punctuation at an end. Of a pair one half may be there if the other is inside: “十五五”规划."""
    surface = span.surface
    if surface != surface.strip():
        return "white space at an end"
    first, last = surface[0], surface[-1]
    opens = first in PAIRS and PAIRS[first] in surface[1:-1]
    closes = last in CLOSING and CLOSING[last] in surface[1:-1]
    if (first in EDGES and not opens) or (last in EDGES and not closes):
        return "punctuation at an end"
    return None


def _check_open_bracket(span: Span, corpus: Corpus) -> str | None:
    """A bracket or quotation mark is opened and not closed, or the other way round."""
    expected: list[str] = []
    for character in span.surface:
        if character in PAIRS:
            expected.append(PAIRS[character])
        elif character in CLOSING and (not expected or expected.pop() != character):
            return f"{character} closes nothing"
    return f"{expected[-1]} is missing" if expected else None


def _check_holds_other(span: Span, corpus: Corpus) -> str | None:
    """A surface contains one of a type that labels.toml excludes there: a person's name, the title before it."""
    excluded = corpus.types[span.type].excludes_inside if span.type in corpus.types else ()
    inside = {other: type for type in excluded for other in corpus.surfaces.get(type, ())
              if other in span.surface and len(other) >= MIN_LENGTH}  # fmt: skip
    longest = max(sorted(inside), key=len, default="")
    return f"holds the {inside[longest]} {longest}" if inside else None


def _check_unit_missing(span: Span, corpus: Corpus) -> str | None:
    """A surface of a type that has a unit ends in a number."""
    has_unit = span.type in corpus.types and corpus.types[span.type].unit
    bare = has_unit and span.surface[-1] in NUMERALS and "/" not in span.surface
    return "ends in a number" if bare else None


CHECKS = {
    "two-types": _find_two_types,
    "bare-elsewhere": _find_bare_elsewhere,
    "edge": _check_each_span(_check_edge),
    "open-bracket": _check_each_span(_check_open_bracket),
    "holds-other": _check_each_span(_check_holds_other),
    "unit-missing": _check_each_span(_check_unit_missing),
}


def read_accepted(benchmark: Benchmark) -> list[AcceptedFinding]:
    """Read accepted.toml; empty if there is none. Raises :class:`DataError` (broken-toml, wrong-shape)."""
    path = benchmark.annotation / "accepted.toml"
    if not path.exists():
        return []
    entries = files.read_toml(path, "accepted").get("accepted", ())
    return [AcceptedFinding(e["check"], e["surface"], tuple(e["passages"]), e["why"]) for e in entries]


def filter_accepted(findings: Iterable[Finding], accepted: Sequence[AcceptedFinding], location: str) -> list[Finding]:
    """Return the findings that are not accepted. accepted.toml names a passage as often as it has the finding.

    Raises :class:`DataError` (accepted-in-vain) for whatever is accepted and not found.
    """
    allowed = Counter((entry.check, entry.surface, id) for entry in accepted for id in entry.passages)
    remaining = []
    for finding in findings:
        key = (finding.check, finding.surface, finding.passage_id)
        if allowed[key]:
            allowed[key] -= 1
        else:
            remaining.append(finding)
    problems = ErrorList()
    for (check, surface, id), times in allowed.items():
        if times:
            place, expected = f"{location} {check} {surface}", f"a finding in {id}"
            problems.add("accepted-in-vain", place, expected=expected, found="none", fix="remove the entry")
    problems.raise_if_any()
    return remaining
