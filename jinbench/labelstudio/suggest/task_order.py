"""The order in which Label Studio hands out an annotator's passages: as they are read, or the least certain first.

For the latter each passage that is not labelled yet gets a prediction without any result, whose score is how certain
our tagger is of it; Label Studio's "Uncertainty sampling" takes the lowest first. Nothing is shown or filled in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinbench.annotation.labels import LabelSet
from jinbench.core.errors import ServerError
from jinbench.core.types import Suggestion
from jinbench.labelstudio import annotations, projects, push
from jinbench.labelstudio.server.client import ONCE, as_server_error, stream_list, retry
from jinbench.models import active_learning

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

PREFIX = "queue "  # how the model version of such a prediction begins
UNCERTAIN, READING = "Uncertainty sampling", "Sequential sampling"
Scores = list[tuple[int, str, float | None]]  # task, model version, score


@dataclass(frozen=True)
class TaskOrder:
    """`passages`: those that are not labelled yet, with their certainty (None: nothing can be said), in the order in
    which they come. `sent`, `removed`: predictions that hold the order.
    """

    annotator: str
    project: int
    passages: tuple[tuple[str, float | None], ...]
    sent: int = 0
    removed: int = 0


def plan_order(
    client: "LabelStudio", label_set: LabelSet, annotator: str, suggestions: Mapping[str, Suggestion] | None = None
) -> TaskOrder:
    """What is left to label in the annotator's project: by certainty where there are `suggestions`, else as it is read.

    Passages about which nothing can be said come last. Raises :class:`ServerError` if there is no project.
    """
    number = annotations.find_project_id(client, label_set, annotator)
    tasks = as_server_error(lambda: projects.list_tasks_by_passage(client, number))
    left = [id for id, found in tasks.items() if not found[0].total_annotations]
    if suggestions is None:
        return TaskOrder(annotator, number, tuple((id, None) for id in left))
    first = active_learning.order_by_confidence({id: suggestions[id] for id in left if id in suggestions})
    said = [(id, round(suggestions[id].confidence, 6)) for id in first]
    return TaskOrder(annotator, number, (*said, *((id, None) for id in left if id not in suggestions)))


def order_by_uncertainty(client: "LabelStudio", queue: TaskOrder, version: str) -> TaskOrder:
    """Let Label Studio hand out the passages in the order of `queue`. Safe to repeat.

    Where the project shows uploaded suggestions, their own scores order it, and what is returned is in that order.
    Raises :class:`ServerError` if it shows those of a backend: Label Studio cannot order by these.
    """
    project: Any = as_server_error(lambda: client.projects.get(id=queue.project))
    tasks = as_server_error(lambda: projects.list_tasks_by_passage(client, queue.project))
    shown = str(project.model_version or "")
    if shown and not shown.startswith(PREFIX) and project.show_collab_predictions:
        return _by_what_is_shown(client, queue, shown, {int(found[0].id): id for id, found in tasks.items()})
    name = PREFIX + version
    wanted = [
        (int(tasks[id][0].id), name, 1.0 if certainty is None else certainty)
        for id, certainty in queue.passages
        if id in tasks
    ]
    counts = {"sent": 0, "removed": 0}

    def act() -> None:
        there = _there(client, queue.project)
        if sorted(there, key=str) != sorted(wanted, key=str):
            counts["removed"] += _remove(client, queue.project, there)
            for start in range(0, len(wanted), push.BATCH):
                request: Any = [
                    {"task": task, "model_version": name, "score": score, "result": []}
                    for task, name, score in wanted[start : start + push.BATCH]
                ]
                client.projects.import_predictions(queue.project, request=request, request_options=ONCE)
                counts["sent"] += len(request)

    retry(client, act)
    if wanted:  # in one call: hidden predictions would take the model version away, were it not given with them
        settings: dict[str, Any] = {"sampling": UNCERTAIN, "show_collab_predictions": False, "model_version": name}
        as_server_error(lambda: client.projects.update(id=queue.project, **settings))
    return TaskOrder(queue.annotator, queue.project, queue.passages, **counts)


def _by_what_is_shown(client: "LabelStudio", queue: TaskOrder, shown: str, ids: Mapping[int, str]) -> TaskOrder:
    """By the scores of the suggestions of this model version. Passages without one are listed last."""
    found = retry(client, lambda: _predictions(client, queue.project))
    scores = {ids.get(task): score for task, version, score in found if version == shown}
    if not any(score is not None for score in scores.values()):
        raise ServerError(
            f"The project of {queue.annotator} shows the suggestions of {shown!r}, and Label Studio cannot order one "
            "by what a backend says. End `jinbench annotate assist` and remove its model in the project's settings, or "
            "label in reading order."
        )
    said = [(id, scores[id]) for id, _ in queue.passages if scores.get(id) is not None]
    rest = [(id, None) for id, _ in queue.passages if scores.get(id) is None]
    as_server_error(lambda: client.projects.update(id=queue.project, sampling=UNCERTAIN))
    return TaskOrder(queue.annotator, queue.project, (*sorted(said, key=lambda each: (each[1], each[0])), *rest))


def order_by_reading(client: "LabelStudio", queue: TaskOrder) -> TaskOrder:
    """Let Label Studio hand out passages as they are read, and take away what held another order. Safe to repeat."""
    project: Any = as_server_error(lambda: client.projects.get(id=queue.project))
    settings: dict[str, Any] = {"sampling": READING}
    if str(project.model_version or "").startswith(PREFIX):
        settings |= {"model_version": "", "show_collab_predictions": True}  # as in a new project
    as_server_error(lambda: client.projects.update(id=queue.project, **settings))
    counts = {"removed": 0}

    def act() -> None:
        counts["removed"] += _remove(client, queue.project, _there(client, queue.project))

    retry(client, act)
    return TaskOrder(queue.annotator, queue.project, queue.passages, **counts)


def _there(client: "LabelStudio", project: int) -> Scores:
    return [each for each in _predictions(client, project) if each[1].startswith(PREFIX)]


def _predictions(client: "LabelStudio", project: int) -> Scores:
    """One at a time: with their results all of them would be large."""
    found = stream_list(client, "api/predictions", params={"project": project})
    return [(int(each["task"]), str(each["model_version"]), each["score"]) for each in found]


def _remove(client: "LabelStudio", project: int, there: Scores) -> int:
    """Delete what holds an order. Returns how many predictions that were."""
    projects.delete_predictions(client, project, (version for _, version, _ in there))
    return len(there)
