"""Transfer labels to another Label Studio: pulled from the old one, pushed to the new one.

What the exports hold is transferred: every submitted annotation, in its author's name, with its time. Skips and drafts
stay behind; they are counted when labels are pulled.
"""

import json
from typing import TYPE_CHECKING

from jinbench.annotation import exports
from jinbench.annotation.labels import LabelSet
from jinbench.annotation.workspace import Workspace
from jinbench.core.errors import ServerError
from jinbench.core.types import Step
from jinbench.labelstudio.adjudicate import create_adjudication_project
from jinbench.labelstudio.annotations import submit_labels
from jinbench.labelstudio.contents import TaskContents
from jinbench.labelstudio.projects import HAS_DRAFT, find_project, project_title, to_progress
from jinbench.labelstudio.push import PushResult, push_passages
from jinbench.labelstudio.server.client import JsonObject, call, retry

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio


def transfer_labels(client: "LabelStudio", workspace: Workspace, annotator: str, step: Step) -> tuple[PushResult, int]:
    """Push the passages assigned to an annotator with the labels of annotation/exports/, if any. Safe to repeat.

    Passages that the annotator has labelled are pushed even if they are not assigned. An adjudicator's project gets the
    annotators' labels again. Returns the result of the push, and the number of labelled passages, all of them on the
    server now.
    Raises :class:`ServerError` if the annotator has labelled a passage differently here, :class:`DataError`.
    """
    path = exports.export_path(workspace.benchmark, annotator)
    labels = exports.read_export(path, workspace, annotator) if path.is_file() else []
    if workspace.annotators.adjudicated_by(annotator):
        # Nothing is accepted before this: the export may overrule what the annotators agree on.
        pushed = create_adjudication_project(client, workspace, annotator, step)
        submit_labels(client, workspace, annotator, labels, to_progress(step, f"enter {annotator}", len(labels)))
    else:
        passage_ids = workspace.assigned_passages(annotator)
        if passage_ids is not None:  # labelled passages may have been assigned to others since
            passage_ids = [*passage_ids, *(entry.passage_id for entry in labels)]
        contents = TaskContents(passage_ids, labels=labels)
        pushed, _ = push_with_labels(client, workspace, annotator, step, contents)
    return pushed, len(labels)


def push_with_labels(
    client: "LabelStudio", workspace: Workspace, annotator: str, step: Step, contents: TaskContents
) -> tuple[PushResult, int]:
    """Push tasks with labels from another server: in bulk where the tasks are new, else submitted one by one.

    Returns the result of the push and the number of labels submitted one by one.
    """
    progress = to_progress(step, f"push {annotator}", len(workspace.passages))
    pushed = push_passages(client, workspace, annotator, progress, contents)
    labels = contents.labels
    progress = to_progress(step, f"enter {annotator}", len(labels))
    return pushed, submit_labels(client, workspace, annotator, labels, progress)[0]


def count_unfinished(client: "LabelStudio", label_set: LabelSet, annotator: str) -> tuple[int, int]:
    """Return the numbers of skipped passages and of those with drafts. Raises :class:`ServerError`."""
    title = project_title(label_set, annotator)
    project = retry(client, lambda: find_project(client, title))
    if project is None:
        raise ServerError(f"{annotator} has no project on this server.")
    is_skipped = {"filter": "filter:tasks:cancelled_annotations", "operator": "greater", "type": "Number", "value": 0}
    filters = is_skipped, HAS_DRAFT
    skipped, drafts = retry(client, lambda: [_count_tasks(client, project.id, condition) for condition in filters])
    return skipped, drafts


def _count_tasks(client: "LabelStudio", project: int, condition: JsonObject) -> int:
    query = json.dumps({"filters": {"conjunction": "and", "items": [condition]}})
    parameters = {"project": project, "fields": "task_only", "include": "id", "page_size": 1, "query": query}
    return int(call(client, "GET", "api/tasks", params=parameters)["total"])
