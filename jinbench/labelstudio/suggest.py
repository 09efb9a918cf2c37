"""Renew suggestions and the order of open tasks from the labels submitted so far. Safe to repeat.

Every open task gets one prediction whose score is the tagger's confidence; Label Studio's "Uncertainty sampling" hands
out the lowest first. For an annotator who may see no suggestions the prediction has no result and is not shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinbench.annotation import exports
from jinbench.annotation.gold import read_training_labels
from jinbench.annotation.workspace import Workspace
from jinbench.core.errors import DataError
from jinbench.core.types import PassageLabels, Suggestion
from jinbench.labelstudio import annotations, projects
from jinbench.labelstudio.contents import TaskContents, update_predictions, withdraw_suggestions
from jinbench.labelstudio.server.client import JsonObject, call, retry, write_lock
from jinbench.labelstudio.suggester import FOLDS, Suggester, train_suggester
from jinbench.models import active_learning

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

ORDER_PREFIX = "order"  # of the model version of predictions that hold an order alone
UNCERTAIN, READING = "Uncertainty sampling", "Sequential sampling"


@dataclass(frozen=True)
class OpenTasks:
    """Open passages of a project, in the order in which Label Studio hands them out.

    Attributes:
        annotator: Whose project it is.
        project: Id of the project.
        shown: Whether the annotator sees suggestions.
        version: Model version of the predictions; None in reading order without suggestions.
        passages: (id, confidence of the tagger), the next one first. None: no model may predict the passage.
    """

    annotator: str
    project: int
    shown: bool
    version: str | None
    passages: tuple[tuple[str, float | None], ...]


def read_submitted_labels(
    client: "LabelStudio", workspace: Workspace, annotators: Sequence[str]
) -> list[PassageLabels]:
    """Return the labels to learn from: the gold, what is submitted on the server, and earlier exports.

    Of a passage the gold counts if there is one, else what is on the server.

    Raises:
        DataError: Nothing is labelled yet [passage-unlabelled], or labels are invalid.
        ServerError: The server fails, or others have labelled in a project.
    """
    submitted = [
        entry
        for name in annotators
        if annotations.has_project(client, workspace.label_set, name)
        for entry in annotations.fetch_labels(client, workspace, name)
    ]
    try:
        stored = read_training_labels(workspace)
    except DataError as error:
        if not submitted or error.codes != {"passage-unlabelled"}:
            raise
        stored = []
    has_gold = exports.export_path(workspace.benchmark, workspace.annotators.gold).is_file()
    first, second = (stored, submitted) if has_gold else (submitted, stored)
    covered = {entry.passage_id for entry in first}
    return [*first, *(entry for entry in second if entry.passage_id not in covered)]


def suggest(
    client: "LabelStudio",
    workspace: Workspace,
    annotators: Sequence[str],
    *,
    show: bool | None = None,
    by_uncertainty: bool | None = True,
    dry_run: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> list[OpenTasks]:
    """Train the tagger on the labels so far; renew the predictions and the order of the annotators' open tasks.

    Args:
        client: Client of the server.
        workspace: Articles, label set and annotators of the benchmark.
        annotators: Whose projects.
        show: Show suggestions, or set the order alone; by default they are shown except in independent passes.
        by_uncertainty: Least confident passage first, or reading order; None leaves the order as it is.
        dry_run: Send nothing.
        say: Called with a line before the training.

    Returns:
        The open passages of each annotator in their new order.

    Raises:
        DataError: Nothing is labelled yet [passage-unlabelled], or labels are invalid.
        ServerError: There is no project, or the server fails.
    """
    labels = read_submitted_labels(client, workspace, [entry.name for entry in workspace.annotators.independent])
    say(f"The tagger learns from {len(labels)} labelled passages…")
    only_own_labels = {entry.annotator for entry in labels} == set(annotators) and len(annotators) == 1
    suggester = train_suggester(workspace.seeds.articles, labels, folds=0 if only_own_labels else FOLDS)
    return [
        _renew(client, workspace, name, suggester, not workspace.labels_independently(name) if show is None else show,
               by_uncertainty, dry_run)
        for name in annotators
    ]  # fmt: skip


def _renew(
    client: "LabelStudio",
    workspace: Workspace,
    annotator: str,
    suggester: Suggester,
    shown: bool,
    by_uncertainty: bool | None,
    dry_run: bool,
) -> OpenTasks:
    project = annotations.find_project_id(client, workspace.label_set, annotator)
    tasks_by_passage = retry(client, lambda: projects.list_tasks_by_passage(client, project))
    tasks = {
        id: tasks[0].id
        for id, tasks in tasks_by_passage.items()
        if not projects.is_submitted(tasks) and not projects.is_skipped(tasks)
    }
    suggestions = suggester.suggest(passage for passage in workspace.seeds.passages() if passage.id in tasks)
    ids = [id for id in workspace.passages if id in tasks]
    if by_uncertainty:
        ids = active_learning.order_by_confidence(suggestions) + [id for id in ids if id not in suggestions]
    passages = tuple((id, suggestions[id].confidence if id in suggestions else None) for id in ids)
    version = suggester.version if shown else f"{ORDER_PREFIX} {suggester.version}" if by_uncertainty else None
    result = OpenTasks(annotator, project, shown, version, passages)
    if dry_run or not tasks:  # Label Studio refuses the version of no prediction
        return result
    # A passage that no model may predict comes last: with the highest confidence, and nothing to show.
    contents = {id: suggestions.get(id, Suggestion((), (), 1.0)) for id in ids}
    if not shown:
        contents = {id: Suggestion((), (), suggestion.confidence) for id, suggestion in contents.items()}
    settings: JsonObject = {}
    if by_uncertainty is not None:
        settings["sampling"] = UNCERTAIN if by_uncertainty else READING
    with write_lock():
        for model in {active_learning.MODEL_PREFIX, ORDER_PREFIX} - {version.split()[0] if version else ""}:
            withdraw_suggestions(client, project, model)
        if version:
            task_contents = TaskContents(suggestions=contents, model_version=version)
            projects.repeat_until_stable(
                client, lambda: update_predictions(client, project, tasks, task_contents), "predictions"
            )
            settings |= {"show_collab_predictions": shown, "model_version": version}
        else:
            settings |= {"show_collab_predictions": True, "model_version": ""}  # as in a new project
        # In one call: to hide predictions alone would clear the model version.
        retry(client, lambda: call(client, "PATCH", f"api/projects/{project}/", json=settings))
    return result
