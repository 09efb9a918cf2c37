"""Order of an annotator's tasks: reading order, or by uncertainty.

For the latter each unlabelled passage gets a prediction without a result, whose score is the confidence of the tagger;
Label Studio's "Uncertainty sampling" hands out the lowest first. Annotators see no suggestion.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from jinbench.annotation.labels import LabelSet
from jinbench.core.errors import ServerError
from jinbench.core.types import Suggestion
from jinbench.labelstudio import annotations, projects
from jinbench.labelstudio.server.client import ONCE, as_server_error, retry, stream_list
from jinbench.models import active_learning

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

PREFIX = "queue "  # of the model version of such predictions
UNCERTAIN, READING = "Uncertainty sampling", "Sequential sampling"


class _OrderPrediction(NamedTuple):
    """A prediction as far as it holds an order."""

    task: int
    version: str
    score: float | None


@dataclass(frozen=True)
class TaskOrder:
    """Order of the unlabelled passages of a project.

    `passages`: (id, confidence of the tagger or None), the next first. `sent`, `removed`: numbers of predictions that
    hold the order.
    """

    annotator: str
    project: int
    passages: tuple[tuple[str, float | None], ...]
    sent: int = 0
    removed: int = 0


def plan_order(
    client: "LabelStudio", label_set: LabelSet, annotator: str, suggestions: Mapping[str, Suggestion] | None = None
) -> TaskOrder:
    """Return the unlabelled passages of an annotator, by confidence if there are `suggestions`, else in reading order.

    Passages without a suggestion come last. Raises :class:`ServerError` if there is no project.
    """
    project = annotations.find_project_id(client, label_set, annotator)
    tasks_by_passage = as_server_error(lambda: projects.list_tasks_by_passage(client, project))
    unlabelled = [id for id, tasks in tasks_by_passage.items() if not tasks[0].total_annotations]
    suggestions = suggestions or {}
    ids = active_learning.order_by_confidence({id: suggestions[id] for id in unlabelled if id in suggestions})
    scored = [(id, round(suggestions[id].confidence, 6)) for id in ids]
    return TaskOrder(annotator, project, (*scored, *((id, None) for id in unlabelled if id not in suggestions)))


def order_by_uncertainty(client: "LabelStudio", order: TaskOrder, version: str) -> TaskOrder:
    """Let Label Studio hand out the passages in this order. Safe to repeat.

    If the project shows uploaded suggestions, it is ordered by their scores, and this order is returned.
    Raises :class:`ServerError` if it shows those of a backend, by which Label Studio cannot order.
    """
    project: Any = as_server_error(lambda: client.projects.get(id=order.project))
    tasks = as_server_error(lambda: projects.list_tasks_by_passage(client, order.project))
    displayed = str(project.model_version or "")
    if displayed and not displayed.startswith(PREFIX) and project.show_collab_predictions:
        return _order_by_suggestions(client, order, displayed, {int(group[0].id): id for id, group in tasks.items()})
    name = PREFIX + version
    wanted = [
        _OrderPrediction(int(tasks[id][0].id), name, 1.0 if confidence is None else confidence)
        for id, confidence in order.passages
        if id in tasks
    ]
    counts = {"sent": 0, "removed": 0}

    def act() -> None:
        present = _list_order(client, order.project)
        if sorted(present, key=str) != sorted(wanted, key=str):
            counts["removed"] += _remove_order(client, order.project, present)
            for batch in projects.split_batches(wanted):
                request: Any = [
                    {"task": task, "model_version": name, "score": score, "result": []} for task, name, score in batch
                ]
                client.projects.import_predictions(order.project, request=request, request_options=ONCE)
                counts["sent"] += len(request)

    retry(client, act)
    if wanted:  # in one call: to hide predictions alone would clear the model version
        settings: Any = {"sampling": UNCERTAIN, "show_collab_predictions": False, "model_version": name}
        as_server_error(lambda: client.projects.update(id=order.project, **settings))
    return TaskOrder(order.annotator, order.project, order.passages, **counts)


def _order_by_suggestions(client: "LabelStudio", order: TaskOrder, version: str, ids: Mapping[int, str]) -> TaskOrder:
    """Order by the scores of the suggestions of this model version; passages without one come last."""
    predictions = retry(client, lambda: _list_predictions(client, order.project))
    scores = {ids.get(entry.task): entry.score for entry in predictions if entry.version == version}
    if not any(score is not None for score in scores.values()):
        raise ServerError(
            f"The project of {order.annotator} shows the suggestions of {version!r}, and Label Studio cannot order a "
            "project by the scores of a backend. End `jinbench annotate assist` and remove its model in the project's "
            "settings, or label in reading order."
        )
    scored = [(id, scores[id]) for id, _ in order.passages if scores.get(id) is not None]
    others = [(id, None) for id, _ in order.passages if scores.get(id) is None]
    as_server_error(lambda: client.projects.update(id=order.project, sampling=UNCERTAIN))
    scored.sort(key=lambda entry: (entry[1], entry[0]))
    return TaskOrder(order.annotator, order.project, (*scored, *others))


def order_by_reading(client: "LabelStudio", order: TaskOrder) -> TaskOrder:
    """Let Label Studio hand out the passages in reading order, and remove another order. Safe to repeat."""
    project: Any = as_server_error(lambda: client.projects.get(id=order.project))
    settings: Any = {"sampling": READING}
    if str(project.model_version or "").startswith(PREFIX):
        settings |= {"model_version": "", "show_collab_predictions": True}  # as in a new project
    as_server_error(lambda: client.projects.update(id=order.project, **settings))
    removed = 0

    def act() -> None:
        nonlocal removed
        removed += _remove_order(client, order.project, _list_order(client, order.project))

    retry(client, act)
    return TaskOrder(order.annotator, order.project, order.passages, removed=removed)


def _list_order(client: "LabelStudio", project: int) -> list[_OrderPrediction]:
    return [entry for entry in _list_predictions(client, project) if entry.version.startswith(PREFIX)]


def _list_predictions(client: "LabelStudio", project: int) -> list[_OrderPrediction]:
    """Return the predictions of a project without their results, which are large."""
    predictions = stream_list(client, "api/predictions", params={"project": project})
    return [_OrderPrediction(int(p["task"]), str(p["model_version"]), p["score"]) for p in predictions]


def _remove_order(client: "LabelStudio", project: int, predictions: Sequence[_OrderPrediction]) -> int:
    """Delete predictions that hold an order. Returns their number."""
    projects.delete_predictions(client, project, (entry.version for entry in predictions))
    return len(predictions)
