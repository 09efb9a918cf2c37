"""Where readings of a passage differ, what was decided there, and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jinbench.annotation import exports, markup
from jinbench.annotation.annotators import read_annotators
from jinbench.annotation.assignments import assigned_passages, read_assignments
from jinbench.annotation.workspace import Workspace
from jinbench.core import files
from jinbench.core.errors import DataError, Problem
from jinbench.core.types import Passage, PassageLabels, Span, slice_spans
from jinbench.seeds.articles import Seeds

SECTOR_SUBJECT = "产业"  # stands for the stretch of text where the sectors differ
LabelsByAnnotator = Mapping[str, Mapping[str, PassageLabels]]  # by name, then by passage


@dataclass(frozen=True)
class Disagreement:
    """A stretch of a passage that readings label differently, or (`subject` is 产业) its sectors.

    `readings` has what each of them says there, marked up; `reason` why it was decided as it was.
    """

    passage_id: str
    subject: str
    context: str
    readings: dict[str, str]
    reason: str | None = None

    def __str__(self) -> str:
        width = max(map(len, self.readings))
        lines = [f"{self.passage_id}  {self.context}"]
        lines += [f"  {name:{width}}  {found}" for name, found in self.readings.items()]
        return "\n".join([*lines, f"  {'reason':{width}}  {self.reason or '(none yet)'}"])


def find_disagreements(
    passages: Iterable[Passage], readings: LabelsByAnnotator, reasons: Mapping[str, Sequence[str]]
) -> list[Disagreement]:
    """Every stretch and every set of sectors on which the readings are not all the same, in reading order.

    A passage is compared between those who have it. `reasons` are by passage, each as `subject: why`.
    """
    found = []
    for passage in passages:
        entries = {name: labelled[passage.id] for name, labelled in readings.items() if passage.id in labelled}
        if len(entries) < 2:
            continue
        because = _Reasons(reasons.get(passage.id, ()))
        for start, end in _stretches([entry.spans for entry in entries.values()]):
            subject = passage.text[start:end]
            shown = {name: _marked(passage.text, entry.spans, start, end) for name, entry in entries.items()}
            context = f"{passage.text[max(0, start - 20) : start]}»{subject}«{passage.text[end : end + 20]}"
            found.append(Disagreement(passage.id, subject, context, shown, because.give(subject, shown)))
        if len({entry.sectors for entry in entries.values()}) > 1:
            shown = {name: ", ".join(entry.sectors) or "–" for name, entry in entries.items()}
            context = f"{passage.text[:40]}…"
            found.append(Disagreement(passage.id, SECTOR_SUBJECT, context, shown, because.give(SECTOR_SUBJECT, shown)))
    return found


class _Reasons:
    """Hands out the reasons of a passage: each once, in order; again only where everything said is the same again."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.left = list(reasons)
        self.given: dict[tuple[str, ...], str | None] = {}

    def give(self, subject: str, shown: Mapping[str, str]) -> str | None:
        key = (subject, *shown.values())
        if key not in self.given:
            fitting = next((reason for reason in self.left if _why(subject, reason)), None)
            if fitting is not None:
                self.left.remove(fitting)
            self.given[key] = _why(subject, fitting or "")
        return self.given[key]


def _why(subject: str, reason: str) -> str | None:
    """What follows the subject and a colon, of either width; None if the reason does not begin so."""
    rest = reason.strip().removeprefix(subject).lstrip()
    if not reason.strip().startswith(subject) or rest[:1] not in (":", "\uff1a"):
        return None
    return rest[1:].strip() or None


def _stretches(sides: Sequence[Sequence[Span]]) -> list[tuple[int, int]]:
    """The stretches that spans cover which not every side has, joined where they overlap."""
    same = set(sides[0]).intersection(*sides[1:])
    stretches: list[tuple[int, int]] = []
    for span in sorted({span for side in sides for span in side} - same):
        if stretches and span.start < stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], max(stretches[-1][1], span.end))
        else:
            stretches.append((span.start, span.end))
    return stretches


def _marked(text: str, spans: Iterable[Span], start: int, end: int) -> str:
    """The stretch as one side marks it up: with the spans that lie in it."""
    return markup.to_markup(text[start:end], slice_spans(spans, start, end))


def common_labels(a: PassageLabels, b: PassageLabels, annotator: str) -> PassageLabels:
    """What two readings have in common, as labels of `annotator`."""
    sectors = tuple(name for name in a.sectors if name in b.sectors)
    return PassageLabels(a.passage_id, annotator, tuple(span for span in a.spans if span in b.spans), sectors)


def check_reasons(
    found: Sequence[Disagreement], reasons: Mapping[str, Sequence[str]], where: str
) -> list[Problem]:
    """A problem for each disagreement without a reason, and for each reason that belongs to none."""
    hint = "write it under the passage in Label Studio, submit, and pull again"
    missing = [
        Problem(
            "reason-missing",
            location=f"{where} task {each.passage_id}",
            expected=f"a reason “{each.subject}: …”",
            found="none",
            fix=hint,
        )
        for each in found
        if not each.reason
    ]
    of: dict[str, list[Disagreement]] = {}
    for each in found:
        of.setdefault(each.passage_id, []).append(each)
    unused = [
        Problem(
            "reason-unused",
            location=f"{where} task {id}",
            expected="one of "
            + (", ".join(f"“{each.subject}: …”" for each in of.get(id, ())) or "no reasons: all agree"),
            found=text,
            fix="begin it with the words in dispute and a colon, or take it away",
        )
        for id, given in reasons.items()
        for text in given
        if not any(each.reason and _why(each.subject, text) == each.reason for each in of.get(id, ()))
    ]
    return missing + unused


def labels_to_adjudicate(workspace: Workspace, adjudicator: str) -> dict[str, dict[str, PassageLabels]]:
    """The labels of the annotators between whom `adjudicator` decides, by name and passage, each of its whole share.

    Raises :class:`DataError` (wrong-shape, file-missing, passage-unlabelled, and those of the exports).
    """
    names = read_annotators(workspace.benchmark).adjudicated_by(adjudicator)
    if not names:
        place = f"{files.display_path(workspace.benchmark.annotation / 'annotators.toml')} {adjudicator}"
        hint = "name there the annotators between whom it decides"
        raise DataError(
            Problem("wrong-shape", location=place, expected='adjudicates = ["…", "…"]', found="none", fix=hint)
        )
    dealt = read_assignments(workspace.benchmark, workspace.seeds)
    found = {}
    missing = [name for name in names if not exports.export_path(workspace.benchmark, name).is_file()]
    if missing:
        hint = f"jinbench annotate pull; or correct adjudicates = […] in {files.display_path(workspace.benchmark.annotators)}"
        places = [files.display_path(exports.export_path(workspace.benchmark, name)) for name in missing]
        raise DataError(
            [
                Problem(
                    "file-missing", location=place, expected="an annotator's export", found="no such file", fix=hint
                )
                for place in places
            ]
        )
    for name in names:
        share = assigned_passages(dealt, workspace.seeds, name)
        whole = True if share is None else share
        labelled = exports.read_export(
            exports.export_path(workspace.benchmark, name), workspace.seeds.passages(), workspace.label_set, name, whole
        )
        found[name] = {entry.passage_id: entry for entry in labelled}
    return found


def intersect_labels(found: dict[str, dict[str, PassageLabels]], adjudicator: str) -> dict[str, PassageLabels]:
    """What all who labelled a passage have in common, by passage."""
    common: dict[str, PassageLabels] = {}
    for reading in found.values():
        for id, entry in reading.items():
            common[id] = common_labels(common.get(id, entry), entry, adjudicator)
    return common


def find_open_disagreements(workspace: Workspace, adjudicator: str) -> list[Disagreement]:
    """Every disagreement of the annotators, before anything is decided."""
    return find_disagreements(workspace.seeds.passages(), labels_to_adjudicate(workspace, adjudicator), {})


def find_decisions(
    seed: Seeds, found: dict[str, dict[str, PassageLabels]], adjudicator: str, decided: dict[str, PassageLabels]
) -> list[Disagreement]:
    passages = (passage for passage in seed.passages() if passage.id in decided)
    return find_disagreements(passages, {**found, adjudicator: decided}, _reasons(decided))


def _reasons(decided: dict[str, PassageLabels]) -> dict[str, tuple[str, ...]]:
    return {id: entry.reasons for id, entry in decided.items()}


def check_decisions(workspace: Workspace, adjudicator: str) -> list[Disagreement]:
    """The decisions: every stretch on which annotators and adjudicator are not all of one mind, with the reason.

    Raises :class:`DataError`: passage-unlabelled for a disagreement that is still open, reason-missing, reason-unused,
    and those of the exports.
    """
    found = labels_to_adjudicate(workspace, adjudicator)
    path = exports.export_path(workspace.benchmark, adjudicator)
    decided = {
        entry.passage_id: entry
        for entry in exports.read_export(path, workspace.seeds.passages(), workspace.label_set, adjudicator)
    }
    taken = find_decisions(workspace.seeds, found, adjudicator, decided)
    waiting = [
        each for each in find_disagreements(workspace.seeds.passages(), found, {}) if each.passage_id not in decided
    ]
    hint = "decide it in Label Studio (jinbench annotate adjudicate says where), and pull again"
    problems = [
        Problem(
            "passage-unlabelled",
            location=f"{files.display_path(path)} task {id}",
            expected=f"a decision of {adjudicator}",
            found="none",
            fix=hint,
        )
        for id in dict.fromkeys(each.passage_id for each in waiting)
    ]
    problems += check_reasons(taken, _reasons(decided), files.display_path(path))
    if problems:
        raise DataError(problems)
    return taken
