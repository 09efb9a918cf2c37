"""Annotation progress, speed and agreement so far."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING

from jinbench.annotation.agreement import NO_SPAN, QuickAgreement, measure_quick_agreement
from jinbench.annotation.workspace import Workspace
from jinbench.core.errors import DataError
from jinbench.core.types import PassageLabels
from jinbench.labelstudio import annotations, projects
from jinbench.labelstudio.server.client import JsonObject, retry
from jinbench.scoring.results import round_floats

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

MIN_LABELS = 5  # of a type from one of two annotators, for a type disagreement


@dataclass(frozen=True)
class AnnotatorProgress:
    """Progress of an annotator, in assigned passages. `url` is None while there is no project.

    `characters_per_minute` and `seconds_per_passage` are medians over the passages labelled in the browser, which
    records the time; None if there are none. `last`: time of the last change. `problems`: errors in submitted labels.
    """

    annotator: str
    url: str | None
    passages: int
    submitted: int = 0
    skipped: int = 0
    drafts: int = 0
    characters_per_minute: float | None = None
    seconds_per_passage: float | None = None
    last: str | None = None
    problems: tuple[str, ...] = ()

    @property
    def left(self) -> int:
        return self.passages - self.submitted - self.skipped


@dataclass(frozen=True)
class TypeDisagreement:
    """A type on which pairs of annotators disagree on common passages.

    `first` and `second`: number of labels of this type from each; `same`: number of labels in common; `confused_with`:
    the most frequent other type where one of them has this type.
    """

    name: str
    first: int
    second: int
    same: int
    f1: float
    confused_with: str | None


@dataclass(frozen=True)
class TeamProgress:
    """Progress of all annotators, their agreement so far, and the types on which they disagree."""

    people: tuple[AnnotatorProgress, ...]
    pairs: tuple[QuickAgreement, ...]
    type_disagreements: tuple[TypeDisagreement, ...]

    def to_dict(self) -> JsonObject:
        pairs = [
            {
                "first": pair.first,
                "second": pair.second,
                "passages": pair.passages,
                "spans": asdict(pair.spans.micro),
                "sectors": asdict(pair.sectors.micro) if pair.sectors else None,
            }
            for pair in self.pairs
        ]
        people = [asdict(person) | {"left": person.left} for person in self.people]
        disagreements = [asdict(disagreement) for disagreement in self.type_disagreements]
        record: JsonObject = round_floats({"people": people, "pairs": pairs, "type_disagreements": disagreements})
        return record


def measure_progress(client: "LabelStudio", workspace: Workspace, names: Sequence[str]) -> TeamProgress:
    """Measure the progress on the server. Raises :class:`ServerError`, :class:`DataError` (assignment-unknown)."""
    people, labels = [], {}
    for name in names:
        person, labels[name] = _measure_annotator(client, workspace, name)
        people.append(person)
    pairs = []
    for a, b in itertools.combinations(names, 2):
        if {entry.passage_id for entry in labels[a]} & {entry.passage_id for entry in labels[b]}:
            pairs.append(measure_quick_agreement(workspace, labels[a], labels[b], (a, b)))
    return TeamProgress(tuple(people), tuple(pairs), find_type_disagreements(pairs))


def _measure_annotator(
    client: "LabelStudio", workspace: Workspace, name: str
) -> tuple[AnnotatorProgress, list[PassageLabels]]:
    assigned, passages = workspace.assigned_passages(name), workspace.passages
    ids = set(passages if assigned is None else assigned)
    project = retry(client, lambda: projects.find_project(client, projects.project_title(workspace.label_set, name)))
    if project is None:
        return AnnotatorProgress(name, None, len(ids)), []
    url = f"{client._client_wrapper.get_base_url()}/projects/{project.id}/data"
    tasks_by_passage = retry(client, lambda: projects.list_tasks_by_passage(client, project.id))
    groups = [tasks for id, tasks in tasks_by_passage.items() if id in ids]
    labels: list[PassageLabels] = []
    problems: tuple[str, ...] = ()
    try:
        labels = annotations.fetch_labels(client, workspace, name)
    except DataError as error:  # the other figures stay valid
        problems = tuple(map(str, error.problems))
    except annotations.OthersLabelledError as error:
        problems = (str(error),)
    times = [(len(passages[entry.passage_id].text), entry.lead_time) for entry in labels if entry.lead_time]
    progress = AnnotatorProgress(
        name,
        url,
        len(ids),
        submitted=sum(map(projects.is_submitted, groups)),
        skipped=sum(map(projects.is_skipped, groups)),
        drafts=sum(any(task.drafts for task in tasks) for tasks in groups),
        characters_per_minute=median(length / seconds * 60 for length, seconds in times) if times else None,
        seconds_per_passage=median(seconds for _, seconds in times) if times else None,
        last=max((entry.updated_at or entry.created_at or "" for entry in labels), default=None) or None,
        problems=problems,
    )
    return progress, labels


def find_type_disagreements(pairs: Iterable[QuickAgreement]) -> tuple[TypeDisagreement, ...]:
    """Return the types with labels not in common, the lowest F1 first; those with few labels are left out."""
    first, second, same = Counter[str](), Counter[str](), Counter[str]()
    confusion: dict[str, Counter[str]] = {}
    for pair in pairs:
        for cell in pair.spans.labels:
            first[cell.name] += cell.gold
            second[cell.name] += cell.predicted
            same[cell.name] += cell.correct
        for a, row in pair.confusion.items():
            for b, number in row.items():
                if a != b and number:
                    confusion.setdefault(a, Counter())[b] += number
                    confusion.setdefault(b, Counter())[a] += number
    disagreements = []
    for name in first:
        if max(first[name], second[name]) < MIN_LABELS or same[name] == first[name] == second[name]:
            continue
        other = next((type for type, _ in confusion.get(name, Counter()).most_common(1)), None)
        other = "no span with these boundaries" if other == NO_SPAN else other
        f1 = 2 * same[name] / (first[name] + second[name])
        disagreements.append(TypeDisagreement(name, first[name], second[name], same[name], f1, other))
    return tuple(sorted(disagreements, key=lambda disagreement: (disagreement.f1, disagreement.name)))
