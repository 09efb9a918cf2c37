"""Projects of a team: an account, a project and suggestions for each annotator."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from jinbench.annotation.annotators import account_email
from jinbench.annotation.exports import export_path
from jinbench.annotation.workspace import Workspace
from jinbench.core.errors import DataError
from jinbench.core.types import Step
from jinbench.labelstudio import projects, push
from jinbench.labelstudio.contents import TaskContents, withdraw_suggestions
from jinbench.labelstudio.server.client import ensure_member
from jinbench.labelstudio.suggest import suggest
from jinbench.labelstudio.transfer import transfer_labels
from jinbench.models.active_learning import MODEL_PREFIX

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio


@dataclass(frozen=True)
class TeamProject:
    """An annotator's project. `suggestions`: model version of those shown; `labelled`: number of labels sent along."""

    annotator: str
    login: str
    pushed: push.PushResult
    suggestions: str | None
    labelled: int | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the record for --json."""
        sent = asdict(self.pushed)
        return {"annotator": self.annotator, "login": self.login, **sent, "suggestions": self.suggestions,
                "labelled": self.labelled}  # fmt: skip


def push_team(
    client: "LabelStudio",
    workspace: Workspace,
    annotators: Sequence[str],
    *,
    with_labels: bool = False,
    show: bool | None = None,
    step: Step = lambda name, done, total: None,
    say: Callable[[str], None] = lambda text: None,
) -> list[TeamProject]:
    """Create each annotator's account and project, or bring them up to date. Safe to repeat and to cut off.

    Args:
        client: Client of the server.
        workspace: Articles, labels, annotators and assignments of the benchmark.
        annotators: Whose projects.
        with_labels: Send the labels of annotation/exports/ too; no suggestions then.
        show: Show suggestions of the tagger; by default except in independent passes, if anything is labelled.
        step: Called with the name of a step, the number of tasks in place, and of all.
        say: Called with lines about the progress.

    Returns:
        The projects, in the order of `annotators`.

    Raises:
        ServerError: The server fails or refuses, or a passage that is already annotated has another text now.
        DataError: Text cannot be stored [wrong-shape], or with `show` nothing is labelled yet [passage-unlabelled].
    """
    pushed: dict[str, push.PushResult] = {}
    labelled: dict[str, int] = {}
    for name in annotators:
        ensure_member(name)
        assigned = workspace.assigned_passages(name)
        total = len(workspace.passages if assigned is None else assigned)
        if with_labels:
            pushed[name], labelled[name] = transfer_labels(client, workspace, name, step)
            continue
        progress = projects.to_progress(step, f"push {name}", total)
        pushed[name] = push.push_passages(client, workspace, name, progress, TaskContents(assigned))
    if with_labels:
        return [TeamProject(name, account_email(name), pushed[name], None, labelled[name]) for name in annotators]
    shown = [name for name in annotators if show or (show is None and not workspace.labels_independently(name))]
    for name in annotators:
        if name not in shown:  # suggestions of an earlier push would bias an independent pass
            withdraw_suggestions(client, pushed[name].project, MODEL_PREFIX)
    versions: dict[str, str | None] = {}
    if shown:
        try:
            open_tasks = suggest(client, workspace, shown, show=True, by_uncertainty=None, say=say)
            versions = {tasks.annotator: tasks.version for tasks in open_tasks}
        except DataError as error:
            if show or error.codes != {"passage-unlabelled"}:
                raise
    return [TeamProject(name, account_email(name), pushed[name], versions.get(name)) for name in annotators]


def order_for_transfer(workspace: Workspace, annotators: Sequence[str], named: bool) -> list[str]:
    """Return whose projects are transferred, adjudicators last; unless `named`, only adjudicators who have begun."""
    listed = workspace.annotators
    return [
        name
        for name in sorted(annotators, key=lambda name: len(listed.adjudicated_by(name)))
        if named or not listed.adjudicated_by(name) or export_path(workspace.benchmark, name).is_file()
    ]
