"""Transfer labels to another Label Studio: pulled from the old one, pushed to the new one.

What the exports hold is transferred: every submitted annotation, in its author's name, with its time. Skips and drafts
stay behind; they are counted when labels are pulled.
"""

from typing import TYPE_CHECKING

from jinbench.annotation import exports
from jinbench.annotation.workspace import Workspace
from jinbench.core.types import Step
from jinbench.labelstudio.adjudicate import create_adjudication_project
from jinbench.labelstudio.annotations import find_project_id, submit_labels
from jinbench.labelstudio.contents import TaskContents
from jinbench.labelstudio.projects import is_skipped, list_tasks_by_passage, to_progress
from jinbench.labelstudio.push import PushResult, push_passages
from jinbench.labelstudio.server.client import retry

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
    else:
        passage_ids = workspace.assigned_passages(annotator)
        if passage_ids is not None:  # labelled passages may have been assigned to others since
            passage_ids = [*passage_ids, *(entry.passage_id for entry in labels)]
        progress = to_progress(step, f"push {annotator}", len(workspace.passages))
        pushed = push_passages(client, workspace, annotator, progress, TaskContents(passage_ids, labels=labels))
    # Labels of new tasks are there by now, in bulk; the others are submitted one by one.
    submit_labels(client, workspace, annotator, labels, to_progress(step, f"enter {annotator}", len(labels)))
    return pushed, len(labels)


def count_unfinished(client: "LabelStudio", workspace: Workspace, annotator: str) -> tuple[int, int]:
    """Return the numbers of assigned passages that are skipped and that have drafts. Raises :class:`ServerError`."""
    project, assigned = find_project_id(client, workspace.label_set, annotator), workspace.assigned_passages(annotator)
    tasks_by_passage = retry(client, lambda: list_tasks_by_passage(client, project))
    groups = [tasks_by_passage.get(id, []) for id in (workspace.passages if assigned is None else assigned)]
    return sum(map(is_skipped, groups)), sum(any(task.drafts for task in tasks) for tasks in groups)
