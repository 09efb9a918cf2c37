"""How far a team has come at its desks: who has labelled how much, how fast, and where two of them drift apart."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from jinbench.annotation import agreement
from jinbench.annotation.agreement import NO_SPAN, QuickAgreement
from jinbench.annotation.assignments import assigned_passages, read_assignments
from jinbench.annotation.workspace import Workspace
from jinbench.core.errors import DataError
from jinbench.core.types import PassageLabels
from jinbench.labelstudio import annotations, projects
from jinbench.labelstudio.server.client import as_server_error
from jinbench.scoring.results import round_floats

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

ENOUGH = 5  # labels of a type on one side, before it is worth a look


@dataclass(frozen=True)
class AnnotatorProgress:
    """An annotator's share, in passages. `url` is None while there is no project.

    `characters_per_minute` and `seconds_per_passage` are medians over the passages that were labelled in the browser,
    which notes the time; None if there are none. `problems` are the submitted passages that cannot be used as they are.
    """

    annotator: str
    url: str | None
    passages: int
    submitted: int
    skipped: int
    drafts: int
    characters_per_minute: float | None
    seconds_per_passage: float | None
    last: str | None
    problems: tuple[str, ...]

    @property
    def left(self) -> int:
        return self.passages - self.submitted - self.skipped


@dataclass(frozen=True)
class TypeDisagreement:
    """A type on which annotators differ: how many labels of it two of them have on the same passages, how many of
    those are the same, and what one most often says where the other says this type.
    """

    name: str
    first: int
    second: int
    same: int
    f1: float
    mostly: str | None


@dataclass(frozen=True)
class TeamProgress:
    people: tuple[AnnotatorProgress, ...]
    pairs: tuple[QuickAgreement, ...]
    find_type_disagreements: tuple[TypeDisagreement, ...]

    def to_dict(self) -> dict[str, Any]:
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
        record: dict[str, Any] = round_floats(
            {"people": people, "pairs": pairs, "drifts": [asdict(drift) for drift in self.drifts]}
        )
        return record


def measure_progress(client: "LabelStudio", workspace: Workspace, names: Sequence[str]) -> TeamProgress:
    """What is on the server now. Raises :class:`ServerError`, :class:`DataError` (share-unknown)."""
    dealt = read_assignments(workspace.benchmark, workspace.seeds)
    people, submitted = [], {}
    for name in names:
        share = assigned_passages(dealt, workspace.seeds, name)
        person, submitted[name] = _person(client, workspace, name, share)
        people.append(person)
    pairs = []
    for a, b in itertools.combinations(names, 2):
        if {entry.passage_id for entry in submitted[a]} & {entry.passage_id for entry in submitted[b]}:
            pairs.append(agreement.measure_quick_agreement(workspace, submitted[a], submitted[b], (a, b)))
    return TeamProgress(tuple(people), tuple(pairs), find_type_disagreements(pairs))


def _person(
    client: "LabelStudio", workspace: Workspace, name: str, share: Iterable[str] | None
) -> tuple[AnnotatorProgress, list[PassageLabels]]:
    texts = {passage.id: passage.text for passage in workspace.seeds.passages()}
    wanted = set(texts) if share is None else set(share)
    project = as_server_error(lambda: projects.find_project(client, projects.project_title(workspace.label_set, name)))
    if project is None:
        return AnnotatorProgress(name, None, len(wanted), 0, 0, 0, None, None, None, ()), []
    url = f"{client._client_wrapper.get_base_url()}/projects/{project.id}/data"
    index = as_server_error(lambda: projects.list_tasks_by_passage(client, project.id))
    tasks = [found for id, found in index.items() if id in wanted]  # several of a passage, until the next push
    labelled: list[PassageLabels] = []
    problems: tuple[str, ...] = ()
    try:
        labelled = annotations.fetch_labels(client, workspace, name)
    except DataError as error:  # the rest of the overview stands
        problems = tuple(map(str, error.problems))
    except annotations.OthersLabelledError as error:
        problems = (str(error),)
    times = [(len(texts[entry.passage_id]), entry.lead_time) for entry in labelled if entry.lead_time]
    person = AnnotatorProgress(
        name,
        url,
        len(wanted),
        sum(map(_submitted, tasks)),
        sum(any(task.cancelled_annotations for task in found) and not _submitted(found) for found in tasks),
        sum(any(task.drafts for task in found) for found in tasks),
        median(length / seconds * 60 for length, seconds in times) if times else None,
        median(seconds for _, seconds in times) if times else None,
        max((entry.updated_at or entry.created_at or "" for entry in labelled), default=None) or None,
        problems,
    )
    return person, labelled


def _submitted(same: Iterable[projects.Task]) -> bool:
    return any(task.total_annotations for task in same)


def find_type_disagreements(pairs: Iterable[QuickAgreement]) -> tuple[TypeDisagreement, ...]:
    """The types on which two annotators differ, the worst first; those with fewer than `ENOUGH` labels are left out."""
    first, second, same = Counter[str](), Counter[str](), Counter[str]()
    instead: dict[str, Counter[str]] = {}
    for pair in pairs:
        for cell in pair.spans.labels:
            first[cell.name] += cell.gold
            second[cell.name] += cell.predicted
            same[cell.name] += cell.correct
        for a, row in pair.confusion.items():
            for b, number in row.items():
                if a != b and number:
                    instead.setdefault(a, Counter())[b] += number
                    instead.setdefault(b, Counter())[a] += number
    found = []
    for name in first:
        if max(first[name], second[name]) < ENOUGH or same[name] == first[name] == second[name]:
            continue
        others = instead.get(name, Counter()).most_common(1)
        mostly = ("no span with these borders" if others[0][0] == NO_SPAN else others[0][0]) if others else None
        f1 = 2 * same[name] / (first[name] + second[name])
        found.append(TypeDisagreement(name, first[name], second[name], same[name], f1, mostly))
    return tuple(sorted(found, key=lambda drift: (drift.f1, drift.name)))
