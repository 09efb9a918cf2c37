"""Disagreements between annotators, and the decisions on them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from jinbench.annotation.exports import export_path, read_annotator_export
from jinbench.annotation.labels import LabelSet
from jinbench.annotation.markup import to_markup
from jinbench.annotation.workspace import Workspace
from jinbench.core import files
from jinbench.core.errors import ErrorList, Problem, fail
from jinbench.core.types import Passage, PassageLabels, Span, slice_spans

LabelsByAnnotator = Mapping[str, Mapping[str, PassageLabels]]  # by annotator, then by passage id


@dataclass(frozen=True)
class Disagreement:
    """A stretch of a passage that annotators label differently, or its sectors (`subject` is what these are called).

    `readings` has the labels of each annotator there, marked up; `reason` why it was decided as it was.
    """

    passage_id: str
    subject: str
    context: str
    readings: dict[str, str]
    reason: str | None = None

    def __str__(self) -> str:
        width = max(map(len, self.readings))
        lines = [f"{self.passage_id}  {self.context}"]
        lines += [f"  {name:{width}}  {labels}" for name, labels in self.readings.items()]
        return "\n".join([*lines, f"  {'reason':{width}}  {self.reason or '(none yet)'}"])


def find_disagreements(
    passages: Iterable[Passage],
    labels: LabelsByAnnotator,
    reasons: Mapping[str, Sequence[str]],
    sector_title: str = LabelSet.sector_title,
) -> list[Disagreement]:
    """Return every stretch and every set of sectors that annotators label differently, in reading order.

    A passage is compared between those who have it. `reasons` are by passage, each as `subject: why`; `sector_title`
    is the subject of a disagreement about sectors.
    """
    disagreements = []
    for passage in passages:
        entries = {name: by_passage[passage.id] for name, by_passage in labels.items() if passage.id in by_passage}
        if len(entries) < 2:
            continue
        assigner = _ReasonAssigner(reasons.get(passage.id, ()))
        for start, end in _disputed_ranges([entry.spans for entry in entries.values()]):
            subject = passage.text[start:end]
            readings = {
                name: to_markup(subject, slice_spans(entry.spans, start, end)) for name, entry in entries.items()
            }
            context = f"{passage.text[max(0, start - 20) : start]}»{subject}«{passage.text[end : end + 20]}"
            reason = assigner.find_reason(subject, readings)
            disagreements.append(Disagreement(passage.id, subject, context, readings, reason))
        if len({entry.sectors for entry in entries.values()}) > 1:
            readings = {name: ", ".join(entry.sectors) or "–" for name, entry in entries.items()}
            reason = assigner.find_reason(sector_title, readings)
            disagreements.append(Disagreement(passage.id, sector_title, f"{passage.text[:40]}…", readings, reason))
    return disagreements


class _ReasonAssigner:
    """Assigns the reasons of a passage to disagreements: each once, in order, or again to identical readings."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.unused = list(reasons)
        self.assigned: dict[tuple[str, ...], str | None] = {}

    def find_reason(self, subject: str, readings: Mapping[str, str]) -> str | None:
        key = (subject, *readings.values())
        if key not in self.assigned:
            match = next((reason for reason in self.unused if _parse_reason(subject, reason)), None)
            if match is not None:
                self.unused.remove(match)
            self.assigned[key] = _parse_reason(subject, match or "")
        return self.assigned[key]


def _parse_reason(subject: str, reason: str) -> str | None:
    """Return what follows the subject and a colon of either width; None if the reason does not begin so."""
    rest = reason.strip().removeprefix(subject).lstrip()
    if not reason.strip().startswith(subject) or rest[:1] not in (":", "\uff1a"):
        return None
    return rest[1:].strip() or None


def _disputed_ranges(sides: Sequence[Sequence[Span]]) -> list[tuple[int, int]]:
    """Return the ranges of spans that not every side has, joined where they overlap."""
    common = set(sides[0]).intersection(*sides[1:])
    ranges: list[tuple[int, int]] = []
    for span in sorted({span for side in sides for span in side} - common):
        if ranges and span.start < ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(ranges[-1][1], span.end))
        else:
            ranges.append((span.start, span.end))
    return ranges


def common_labels(a: PassageLabels, b: PassageLabels, annotator: str) -> PassageLabels:
    """Return the labels that two annotators have in common, as labels of `annotator`."""
    sectors = tuple(name for name in a.sectors if name in b.sectors)
    return PassageLabels(a.passage_id, annotator, tuple(span for span in a.spans if span in b.spans), sectors)


def check_reasons(
    disagreements: Sequence[Disagreement], reasons: Mapping[str, Sequence[str]], location: str
) -> list[Problem]:
    """Return a problem for each disagreement without a reason, and for each reason that belongs to none."""
    problems = ErrorList()
    by_passage: dict[str, list[Disagreement]] = {}
    for item in disagreements:
        by_passage.setdefault(item.passage_id, []).append(item)
        if not item.reason:
            place, expected = f"{location} task {item.passage_id}", f"a reason “{item.subject}: …”"
            fix = "write it under the passage in Label Studio, submit, and pull again"
            problems.add("reason-missing", place, expected=expected, found="none", fix=fix)
    for id, texts in reasons.items():
        items = by_passage.get(id, [])
        subjects = ", ".join(f"“{item.subject}: …”" for item in items) or "no reasons: all agree"
        for text in texts:
            if not any(item.reason and _parse_reason(item.subject, text) == item.reason for item in items):
                fix = "begin it with the disputed words and a colon, or remove it"
                problems.add(
                    "reason-unused", f"{location} task {id}", expected=f"one of {subjects}", found=text, fix=fix
                )
    return problems


def labels_to_adjudicate(workspace: Workspace, adjudicator: str) -> dict[str, dict[str, PassageLabels]]:
    """Return the complete labels of the annotators between whom `adjudicator` decides, by name and passage.

    Raises :class:`DataError` (wrong-shape, file-missing, passage-unlabelled, and those of the exports).
    """
    annotators, location = workspace.annotators, files.display_path(workspace.benchmark.annotators)
    names = annotators.adjudicated_by(adjudicator)
    if not names:
        place, expected = f"{location} {adjudicator}", 'adjudicates = ["…", "…"]'
        fix = "name there the annotators between whom it decides"
        fail("wrong-shape", place, expected=expected, found="none", fix=fix)
    assigned = {name: workspace.assigned_passages(name) for name in names}
    problems = ErrorList()
    for path in (export_path(workspace.benchmark, name) for name in names):
        if not path.is_file():
            expected, place = "an annotator's export", files.display_path(path)
            fix = f"jinbench annotate pull; or correct adjudicates = […] in {location}"
            problems.add("file-missing", place, expected=expected, found="no such file", fix=fix)
    problems.raise_if_any()
    return {
        name: read_annotator_export(workspace, name, True if ids is None else ids) for name, ids in assigned.items()
    }


def intersect_labels(labels: LabelsByAnnotator, adjudicator: str) -> dict[str, PassageLabels]:
    """Return by passage the labels that all who labelled it have in common, as labels of `adjudicator`."""
    common: dict[str, PassageLabels] = {}
    for by_passage in labels.values():
        for id, entry in by_passage.items():
            common[id] = common_labels(common.get(id, entry), entry, adjudicator)
    return common


def begin_decisions(
    labels: LabelsByAnnotator, disagreements: Iterable[Disagreement], adjudicator: str
) -> dict[str, PassageLabels]:
    """Return what :func:`intersect_labels` does, with the beginning of a reason for each of `disagreements`."""
    common = intersect_labels(labels, adjudicator)
    for item in disagreements:
        entry = common[item.passage_id]
        common[item.passage_id] = replace(entry, reasons=(*entry.reasons, f"{item.subject}: "))
    return common


def find_open_disagreements(workspace: Workspace, labels: LabelsByAnnotator) -> list[Disagreement]:
    """Return every disagreement of the annotators, before any decision."""
    return find_disagreements(workspace.passages.values(), labels, {}, workspace.label_set.sector_title)


def find_decisions(
    workspace: Workspace, labels: LabelsByAnnotator, adjudicator: str, decided: Mapping[str, PassageLabels]
) -> list[Disagreement]:
    """Return every difference between annotators and adjudicator in the passages that it `decided`, with reasons."""
    passages = (passage for passage in workspace.passages.values() if passage.id in decided)
    reasons, title = _reasons_by_passage(decided), workspace.label_set.sector_title
    return find_disagreements(passages, {**labels, adjudicator: decided}, reasons, title)


def _reasons_by_passage(decided: Mapping[str, PassageLabels]) -> dict[str, tuple[str, ...]]:
    return {id: entry.reasons for id, entry in decided.items()}


def check_decisions(workspace: Workspace, adjudicator: str, allow_open: bool = False) -> list[Disagreement]:
    """Return the decisions: every difference between annotators and adjudicator, with its reason.

    With `allow_open` the disagreements without a decision follow, which have no reading of the adjudicator.
    Raises :class:`DataError`: passage-unlabelled for an open disagreement, reason-missing, reason-unused, and those of
    the exports.
    """
    labels, path = labels_to_adjudicate(workspace, adjudicator), export_path(workspace.benchmark, adjudicator)
    decided = {} if allow_open and not path.is_file() else read_annotator_export(workspace, adjudicator)
    decisions = find_decisions(workspace, labels, adjudicator, decided)
    undecided = [item for item in find_open_disagreements(workspace, labels) if item.passage_id not in decided]
    location = files.display_path(path)
    problems = ErrorList()
    for id in () if allow_open else dict.fromkeys(item.passage_id for item in undecided):
        expected = f"a decision of {adjudicator}"
        fix = "decide it in Label Studio (jinbench annotate adjudicate prints the address), and pull again"
        problems.add("passage-unlabelled", f"{location} task {id}", expected=expected, found="none", fix=fix)
    problems += check_reasons(decisions, _reasons_by_passage(decided), location)
    problems.raise_if_any()
    return [*decisions, *undecided]
