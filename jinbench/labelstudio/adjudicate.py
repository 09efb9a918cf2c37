"""The adjudication project: all annotators' labels side by side, and a decision on each disagreement.

Passages on which all agree are accepted; the others are left to the adjudicator.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinbench.annotation.adjudication import (
    Disagreement,
    LabelsByAnnotator,
    find_decisions,
    find_disagreements,
    intersect_labels,
    labels_to_adjudicate,
)
from jinbench.annotation.workspace import Workspace
from jinbench.core.types import Step
from jinbench.labelstudio import annotations, projects
from jinbench.labelstudio.contents import TaskContents
from jinbench.labelstudio.push import PushResult, push_passages
from jinbench.labelstudio.server.client import retry

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

AGREED = "agreed"  # the prediction with which an adjudicator begins


@dataclass(frozen=True)
class Adjudication:
    """State of an adjudication.

    `accepted`: number of passages accepted by this push. `to_decide`: disagreements that are undecided or have no
    reason. `left`: passages that were skipped or have drafts. `urls`: where to open each passage of these two.
    """

    pushed: PushResult
    accepted: int
    to_decide: list[Disagreement]
    left: list[str]
    urls: dict[str, str]


def push_adjudication(client: "LabelStudio", workspace: Workspace, adjudicator: str, step: Step) -> Adjudication:
    """Create or update the adjudicator's project, and accept the passages on which the annotators agree.

    Tasks on which the adjudicator has worked are left alone, also skipped ones.
    Raises :class:`DataError`, :class:`ServerError`.
    """
    labels = labels_to_adjudicate(workspace, adjudicator)
    common = intersect_labels(labels, adjudicator)
    pushed = _push_project(client, workspace, adjudicator, step, {**labels, AGREED: common})
    disagreements = find_disagreements(workspace.seeds.passages(), labels, {})
    tasks = retry(client, lambda: projects.list_tasks_by_passage(client, pushed.project))
    begun = {id for id, (task, *_) in tasks.items() if projects.has_work(task)}
    decided = {entry.passage_id: entry for entry in annotations.fetch_labels(client, workspace, adjudicator)}
    excluded = begun | {disagreement.passage_id for disagreement in disagreements}
    accepted = [entry for id, entry in common.items() if id not in excluded]
    progress = projects.to_progress(step, f"accept {adjudicator}", len(accepted))
    annotations.submit_labels(client, workspace, adjudicator, accepted, progress)
    decisions = find_decisions(workspace, labels, adjudicator, decided)
    to_decide = [disagreement for disagreement in disagreements if disagreement.passage_id not in decided]
    to_decide += [decision for decision in decisions if not decision.reason]
    left = sorted(begun - decided.keys())
    ids = [*(disagreement.passage_id for disagreement in to_decide), *left]
    urls = {id: f"{pushed.url}?task={tasks[id][0].id}" for id in ids}
    return Adjudication(pushed, len(accepted), to_decide, left, urls)


def create_adjudication_project(
    client: "LabelStudio", workspace: Workspace, adjudicator: str, step: Step
) -> PushResult:
    """Create or update the adjudicator's project, and accept nothing. Raises as :func:`push_adjudication`."""
    labels = labels_to_adjudicate(workspace, adjudicator)
    labels[AGREED] = intersect_labels(labels, adjudicator)
    return _push_project(client, workspace, adjudicator, step, labels)


def _push_project(
    client: "LabelStudio", workspace: Workspace, adjudicator: str, step: Step, labels: LabelsByAnnotator
) -> PushResult:
    progress = projects.to_progress(step, f"push {adjudicator}", len(labels[AGREED]))
    contents = TaskContents(labels_by_annotator=labels)
    return push_passages(client, workspace, adjudicator, progress, contents)
