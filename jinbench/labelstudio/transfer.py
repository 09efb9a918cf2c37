"""Taking the work of one Label Studio along to another: pulled there, pushed here with its labels.

What goes along is what the exports hold: every submitted annotation, in its author's name, with its time. What was
skipped or left as a draft is nobody's answer yet; it stays behind, and is counted when labels are pulled.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinbench.annotation import exports
from jinbench.annotation.annotators import read_annotators
from jinbench.annotation.assignments import share_of
from jinbench.annotation.labels import LabelSet
from jinbench.annotation.workspace import Workspace
from jinbench.core.errors import ServerError
from jinbench.core.types import PassageLabels, Step
from jinbench.labelstudio import adjudicate, annotations, projects
from jinbench.labelstudio.annotations import submit_labels
from jinbench.labelstudio.projects import to_progress
from jinbench.labelstudio.push import PushResult, push_passages
from jinbench.labelstudio.server.client import call, retry

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio


@dataclass(frozen=True)
class TransferResult:
    """What a push with labels did. `labelled`: the passages of the export, all of them on the server now."""

    annotator: str
    pushed: PushResult
    labelled: int


def transfer_labels(client: "LabelStudio", workspace: Workspace, annotator: str, step: Step) -> TransferResult:
    """Push the annotator's share of the passages with the labels of annotation/exports/, if there are any.

    Passages that it has labelled come along also where they are not in its share.

    An adjudicator's project shows the readings again. Safe to repeat.
    Raises :class:`ServerError` if the annotator has labelled a passage differently here, :class:`DataError`.
    """
    path = exports.export_path(workspace.benchmark, annotator)
    labelled = (
        exports.read_export(path, workspace.seeds.passages(), workspace.label_set, annotator) if path.is_file() else []
    )
    if read_annotators(workspace.benchmark).adjudicated_by(annotator):
        # Nothing is accepted before it is entered: what agreed by itself may be overruled in the export.
        pushed = adjudicate.create_adjudication_project(client, workspace, annotator, step)
        counted = projects.to_progress(step, f"enter {annotator}", len(labelled))
        annotations.submit_labels(client, workspace, annotator, labelled, counted)
    else:
        share = share_of(workspace.benchmark, workspace.seeds, annotator)
        if share is not None:  # what was labelled before it was dealt to others goes along
            share = [*share, *(entry.passage_id for entry in labelled)]
        pushed, _ = push_with_labels(client, workspace, annotator, labelled, step, share=share)
    return TransferResult(annotator, pushed, len(labelled))


def count_unfinished(client: "LabelStudio", label_set: LabelSet, annotator: str) -> tuple[int, int]:
    """How many passages of the annotator's project are skipped, and how many have drafts. Raises ServerError."""
    title = projects.project_title(label_set, annotator)
    project = retry(client, lambda: projects.find_project(client, title))
    if project is None:
        raise ServerError(f"{annotator} has no project on this server.")
    filters: tuple[dict[str, Any], ...] = (
        {"filter": "filter:tasks:cancelled_annotations", "operator": "greater", "type": "Number", "value": 0},
        projects.DRAFTED,
    )
    skipped, drafts = retry(client, lambda: [_count(client, project.id, each) for each in filters])
    return skipped, drafts


def _count(client: "LabelStudio", project: int, filter: dict[str, Any]) -> int:
    """How many tasks of a project pass a filter."""
    query = json.dumps({"filters": {"conjunction": "and", "items": [filter]}})
    parameters = {"project": project, "fields": "task_only", "include": "id", "page_size": 1, "query": query}
    return int(call(client, "GET", "api/tasks", params=parameters)["total"])


def push_with_labels(
    client: "LabelStudio",
    workspace: Workspace,
    annotator: str,
    labelled: Sequence[PassageLabels],
    step: Step,
    **also: Any,
) -> tuple[PushResult, int]:
    """Push with labels that come from another server: in bulk with tasks that are new here, else entered one by one.

    `also` are the share and the suggestions of :func:`pushing.push`. Returns what it returns, and how many labels
    were entered one by one.
    """
    count = to_progress(step, f"push {annotator}", sum(1 for _ in workspace.seeds.passages()))
    pushed = push_passages(client, workspace, annotator, count, labelled=labelled, **also)
    count = to_progress(step, f"enter {annotator}", len(labelled))
    return pushed, submit_labels(client, workspace, annotator, labelled, count)[0]
