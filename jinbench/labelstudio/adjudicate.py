"""Between annotators: a project that shows their readings side by side, and an export that says why.

What they agree on is accepted; what they do not is left to the adjudicator.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinbench.annotation import adjudication
from jinbench.annotation.adjudication import Disagreement, find_decisions, intersect_labels, labels_to_adjudicate
from jinbench.annotation.workspace import Workspace
from jinbench.core.types import PassageLabels, Step
from jinbench.labelstudio import annotations, projects
from jinbench.labelstudio import push as pushing
from jinbench.labelstudio.push import PushResult
from jinbench.labelstudio.server.client import retry

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

AGREED = "agreed"  # the prediction that an adjudicator starts from


@dataclass(frozen=True)
class Adjudication:
    """What lies before an adjudicator: the project, how many passages were accepted now, what is still to decide or
    lacks a reason, the passages that were skipped or left as drafts, and where each passage with any of that is opened.
    """

    pushed: PushResult
    accepted: int
    to_decide: list[Disagreement]
    left: list[str]
    urls: dict[str, str]


def push_adjudication(client: "LabelStudio", workspace: Workspace, adjudicator: str, step: Step) -> Adjudication:
    """Make the adjudicator's project or bring it up to date, and accept there what the annotators agree on.

    A task that the adjudicator has touched, even to skip it, is left alone.
    Raises :class:`DataError`, :class:`ServerError`.
    """
    found = labels_to_adjudicate(workspace, adjudicator)
    common = intersect_labels(found, adjudicator)
    pushed = _show(client, workspace, adjudicator, found, common, step)
    questions = adjudication.find_disagreements(workspace.seeds.passages(), found, {})
    tasks = retry(client, lambda: projects.list_tasks_by_passage(client, pushed.project))
    begun = {id for id, (task, *_) in tasks.items() if projects.has_work(task)}
    decided = {entry.passage_id: entry for entry in annotations.fetch_labels(client, workspace, adjudicator)}
    accepted = [entry for id, entry in common.items() if id not in begun | {each.passage_id for each in questions}]
    annotations.submit_labels(
        client, workspace, adjudicator, accepted, projects.to_progress(step, f"accept {adjudicator}", len(accepted))
    )
    to_decide = [each for each in questions if each.passage_id not in decided]
    to_decide += [each for each in find_decisions(workspace.seeds, found, adjudicator, decided) if not each.reason]
    left = sorted(begun - decided.keys())
    urls = {id: f"{pushed.url}?task={tasks[id][0].id}" for id in (*(each.passage_id for each in to_decide), *left)}
    return Adjudication(pushed, len(accepted), to_decide, left, urls)


def create_adjudication_project(client: "LabelStudio", workspace: Workspace, adjudicator: str, step: Step) -> PushResult:
    """The adjudicator's project with all readings in it, and nothing accepted yet. Raises as :func:`push`."""
    found = labels_to_adjudicate(workspace, adjudicator)
    return _show(client, workspace, adjudicator, found, intersect_labels(found, adjudicator), step)


def _show(
    client: "LabelStudio",
    workspace: Workspace,
    adjudicator: str,
    found: dict[str, dict[str, PassageLabels]],
    common: dict[str, PassageLabels],
    step: Step,
) -> PushResult:
    counted = projects.to_progress(step, f"push {adjudicator}", len(common))
    return pushing.push_passages(client, workspace, adjudicator, counted, {**found, AGREED: common})
