"""Taking the work of one Label Studio along to another: pulled there, pushed here with its labels.

What goes along is what the exports hold: every submitted annotation, in its author's name, with its time. What was
skipped or left as a draft is nobody's answer yet; it stays behind, and is counted when labels are pulled.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinbench import adjudication, annotation, annotators, exports, projects
from jinbench.labels import LabelSet
from jinbench.problems import ServerError
from jinbench.projects import Pushed
from jinbench.records import Step
from jinbench.rooms import Rooms
from jinbench.seeds import Seeds

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio


@dataclass(frozen=True)
class Moved:
    """What a push with labels did: the annotations that it entered, and those that were there already."""

    annotator: str
    pushed: Pushed
    entered: int
    there: int


def with_labels(
    client: "LabelStudio", where: Rooms, seed: Seeds, label_set: LabelSet, annotator: str, step: Step
) -> Moved:
    """Push the annotator's passages and the labels of the export in annotation/exports/, if there is one.

    An adjudicator's project shows the readings again. Safe to repeat.
    Raises :class:`ServerError` if the annotator has labelled a passage differently here, :class:`DataError`.
    """
    path = exports.path_of(where, annotator)
    labelled = exports.read(path, seed.passages(), label_set, annotator) if path.is_file() else []
    adjudicates = bool(annotators.read(where).between(annotator))
    if adjudicates:
        # Before anything is accepted: what agreed by itself may be overruled in the export.
        pushed = adjudication.show(client, where, seed, label_set, annotator, step)
    else:
        counted = projects.counter(step, f"push {annotator}", sum(1 for _ in seed.passages()))
        pushed = projects.push(client, where, seed, label_set, annotator, counted)
    if not labelled:
        return Moved(annotator, pushed, 0, 0)
    counted = projects.counter(step, f"enter {annotator}", len(labelled))
    return Moved(annotator, pushed, *annotation.enter(client, seed, label_set, annotator, labelled, counted))


def left_behind(client: "LabelStudio", label_set: LabelSet, annotator: str) -> tuple[int, int]:
    """How many passages the annotator has skipped on the server, and how many are drafts there."""
    project = projects.reaching(lambda: projects.find_project(client, projects.project_title(label_set, annotator)))
    if project is None:
        raise ServerError(f"{annotator} has no project on this server.")
    filters = (
        {"filter": "filter:tasks:cancelled_annotations", "operator": "greater", "type": "Number", "value": 0},
        {"filter": "filter:tasks:draft_exists", "operator": "equal", "type": "Boolean", "value": True},
    )
    skipped, drafts = projects.reaching(lambda: [_count(client, project.id, each) for each in filters])
    return skipped, drafts


def _count(client: "LabelStudio", project: int, filter: dict[str, Any]) -> int:
    """How many tasks of a project pass a filter. A listing itself shows nobody's drafts but one's own."""
    query = json.dumps({"filters": {"conjunction": "and", "items": [filter]}})
    http: Any = client._client_wrapper.httpx_client
    answer = http.request("api/tasks", method="GET", params={"project": project, "page_size": 1, "query": query})
    if answer.status_code != 200:
        raise ServerError(f"Label Studio answered HTTP {answer.status_code}.")
    return int(answer.json()["total"])
