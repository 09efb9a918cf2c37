"""Push passages as tasks, idempotently.

Whatever was interrupted, the next run reads the state of the server and sends only what is missing.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinbench.annotation import exports
from jinbench.annotation.annotators import account_email
from jinbench.annotation.workspace import Workspace
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import ServerError
from jinbench.core.types import Progress
from jinbench.labelstudio.contents import TaskContents, remove_predictions, update_predictions
from jinbench.labelstudio.labeling_config import build_labeling_config
from jinbench.labelstudio.projects import (
    Project,
    Task,
    TaskData,
    build_task_row,
    check_storable,
    created_by_push,
    delete_if_exists,
    find_projects,
    has_work,
    list_tasks,
    project_title,
    repeat_until_stable,
    split_batches,
)
from jinbench.labelstudio.server.client import JsonObject, call, export_tasks, retry, write_lock

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

RECHECKED = 10  # tasks that are read once more together before they are deleted
UP_TO_DATE: JsonObject = {}  # stands for the data of a task that is as it should be


@dataclass(frozen=True)
class PushResult:
    """A project, and what a push did there, in tasks."""

    project: int
    url: str
    created: int
    updated: int
    unchanged: int
    removed: int


def push_passages(
    client: "LabelStudio",
    workspace: Workspace,
    annotator: str,
    progress: Progress,
    contents: TaskContents | None = None,
) -> PushResult:
    """Create the annotator's project, or bring it up to date: one task per passage, no annotation changed.

    Tasks of other passages are deleted, unless somebody has worked on them.

    Args:
        client: Client of the server.
        workspace: Articles, label set and guidelines of the benchmark.
        annotator: Name of the annotator or adjudicator.
        progress: Called with the number of tasks that are in place.
        contents: Which passages get a task, and what goes along with them; by default all, and nothing.

    Returns:
        The project, and the numbers of tasks that were created, updated, left, and removed.

    Raises:
        ServerError: If the server fails or refuses, or a passage that is already annotated has another text now.
        DataError: For text that a database cannot store (wrong-shape).
    """
    contents = contents or TaskContents()
    settings: JsonObject = {
        "title": project_title(workspace.label_set, annotator),
        "label_config": build_labeling_config(workspace.label_set, decisions=contents.labels_by_annotator is not None),
        "expert_instruction": _render_guidelines(workspace.benchmark),
        "show_instruction": True,
        "description": f"{annotator} · guidelines and labels: see the instructions. Made by jinbench.",
    }
    check_storable(settings, "project")
    for entry in contents.labels:
        check_storable(exports.to_regions(entry), f"{annotator}: {entry.passage_id}")
    with write_lock():
        return _Push(client, settings, workspace, contents, progress).run()


def _render_guidelines(benchmark: Benchmark) -> str:
    """Return the guidelines as HTML. HTML inside them is escaped."""
    from markdown_it import MarkdownIt

    path = benchmark.guidelines
    if not path.is_file():
        return ""
    html: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(files.read_text(path))
    return html


class _Push:
    """One push: each round reads the project, corrects it, and checks the server's counts."""

    def __init__(
        self,
        client: "LabelStudio",
        settings: JsonObject,
        workspace: Workspace,
        contents: TaskContents,
        progress: Progress,
    ) -> None:
        self.client, self.settings, self.contents, self.progress = client, settings, contents, progress
        self.positions = {
            passage.id: (article, number)
            for article in workspace.seeds.articles
            for number, passage in enumerate(article.passages)
        }
        ids = self.positions.keys() if contents.passage_ids is None else set(contents.passage_ids)
        self.wanted = {id: None for id in self.positions if id in ids}  # a set in reading order
        self.labels = {entry.passage_id: entry for entry in contents.labels}
        self.project = 0
        self.before: set[str] | None = None  # the passages that had a task when this push began
        self.updated: set[int] = set()
        self.removed: set[int] = set()
        self.tasks: dict[str, int] = {}  # by passage

    def run(self) -> PushResult:
        repeat_until_stable(self.client, self._reconcile, "tasks")
        if self.contents.model_version:  # the predictions with which annotations begin; the server has them only now
            settings = {"show_collab_predictions": True, "model_version": self.contents.model_version}
            retry(self.client, lambda: call(self.client, "PATCH", f"api/projects/{self.project}/", json=settings))
        url = f"{self.client._client_wrapper.get_base_url()}/projects/{self.project}/data"
        created = len(self.wanted.keys() - (self.before or set()))
        unchanged = len(self.wanted) - created - len(self.updated)
        return PushResult(self.project, url, created, len(self.updated), unchanged, len(self.removed))

    def _task_data(self, id: str) -> TaskData:
        data = build_task_row(*self.positions[id])
        if self.contents.labels_by_annotator is not None:
            data["disagreements"] = self.contents.disagreements.get(id, "")
        return data

    def _reconcile(self) -> bool:
        """Run one round. Returns whether the project is as it should be."""
        self.project, is_empty = _ensure_project(self.client, self.settings)
        index: dict[str, list[Task]] = defaultdict(list)
        total = 0
        for task in () if is_empty else list_tasks(self.client, self.project):
            total += 1
            if created_by_push(task):
                id = str(task.data.get("passage_id"))
                is_current = id in self.positions and task.data == self._task_data(id)
                index[id].append(task._replace(data=UP_TO_DATE) if is_current else task)
        self._refuse_changed_texts(index)
        if self.before is None:
            self.before = {id for id in index if id in self.wanted}
        removed, all_removed = self._remove_superfluous(index)
        for id, (task, *others) in ((id, tasks) for id, tasks in index.items() if tasks and id in self.wanted):
            if others and all_removed:
                raise ServerError(
                    f"{len(others) + 1} tasks of passage {id} have been worked on: {task.id}, "
                    f"{', '.join(str(other.id) for other in others)}. Delete all but one in Label Studio, then push."
                )
            if task.data is not UP_TO_DATE:
                if task.data.get("text") != self._task_data(id)["text"]:
                    remove_predictions(self.client, task.id)
                call(self.client, "PATCH", f"api/tasks/{task.id}/", json={"data": self._task_data(id)})
                self.updated.add(task.id)
        self.tasks = {id: tasks[0].id for id, tasks in index.items() if tasks and id in self.wanted}
        missing = [id for id in self.wanted if id not in self.tasks]
        predictions = self._create_tasks(missing)
        fields = "task_number,total_predictions_number"
        counts = call(self.client, "GET", f"api/projects/{self.project}", params={"include": fields})
        if not all_removed or counts["task_number"] != total - removed + len(missing):
            return False
        if self.contents.has_predictions and not (is_empty and counts["total_predictions_number"] == predictions):
            return update_predictions(self.client, self.project, self.tasks, self.contents)
        return True

    def _create_tasks(self, missing: Sequence[str]) -> int:
        """Import the tasks of these passages with their contents. Returns the number of predictions."""
        done = len(self.wanted) - len(missing)
        predictions = 0
        self.progress(done)
        for batch in split_batches(missing):
            request = [self._build_task(id) for id in batch]
            path = f"api/projects/{self.project}/import"
            created = call(self.client, "POST", path, params={"return_task_ids": "true"}, json=request)
            self.tasks |= zip(batch, created["task_ids"], strict=True)
            predictions += sum(len(task["predictions"]) for task in request)
            done += len(batch)
            self.progress(done)
        return predictions

    def _build_task(self, id: str) -> JsonObject:
        predictions = [
            {"model_version": version, "result": result, "score": score}
            for version, (result, score) in self.contents.predictions(id).items()
        ]
        annotations = [
            {
                "completed_by": {"email": account_email(entry.annotator)},
                "result": exports.to_regions(entry),
                "lead_time": entry.lead_time,
                "ground_truth": False,
                "was_cancelled": False,
            }
            for entry in [self.labels.get(id)]
            if entry is not None
        ]
        return {"data": self._task_data(id), "predictions": predictions, "annotations": annotations}

    def _refuse_changed_texts(self, index: Mapping[str, Sequence[Task]]) -> None:
        changed = [
            id
            for id, tasks in index.items()
            for task in tasks
            if id in self.positions
            and has_work(task)
            and task.data.get("text", self._task_data(id)["text"]) != self._task_data(id)["text"]
        ]
        if changed:
            raise ServerError(
                f"{len(changed)} passages that somebody has worked on have another text now: {', '.join(changed[:5])}."
                "\nTheir labels would move. Delete those tasks in Label Studio and push again; those passages then "
                "have to be labelled anew."
            )

    def _remove_superfluous(self, index: dict[str, list[Task]]) -> tuple[int, bool]:
        """Delete duplicates and tasks of other passages, but no work, unless the task that stays has the same.

        Returns how many were deleted, and whether all were that should be.
        """
        superfluous: list[tuple[Task, Task | None]] = []  # with the task whose work it may repeat
        for id, tasks in index.items():
            idle, busy = [t for t in tasks if not has_work(t)], [t for t in tasks if has_work(t)]
            superfluous += [(task, None) for task in (idle if busy or id not in self.wanted else idle[1:])]
            superfluous += [(task, busy[0]) for task in busy[1:]]
        removed: set[int] = set()
        for batch in split_batches(superfluous, RECHECKED):
            removed |= self._remove_tasks([(task.id, original.id if original else None) for task, original in batch])
        for tasks in index.values():
            tasks[:] = [task for task in tasks if task.id not in removed]
        self.removed |= removed
        return len(removed), all(original is not None or task.id in removed for task, original in superfluous)

    def _remove_tasks(self, pairs: Sequence[tuple[int, int | None]]) -> set[int]:
        """Read tasks and their originals once more, with all their work, and delete at once those that may go."""
        ids = {id for pair in pairs for id in pair if id is not None}
        work = {task["id"]: _list_work(task) for task in export_tasks(self.client, self.project, ids)}
        removed = [
            id for id, original in pairs if id in work and work[id] in ([], work.get(original) if original else [])
        ]
        for id in removed:  # one at a time: the server's own action for many first unlinks them, and may end there
            delete_if_exists(self.client, f"api/tasks/{id}/")
        return set(removed)


def _list_work(task: JsonObject) -> list[object]:
    """Return the annotations, skips and drafts of an exported task; two drafts are never the same."""
    submitted = [[entry["completed_by"], entry["was_cancelled"], entry["result"]] for entry in task["annotations"]]
    return [*submitted, *(draft["id"] for draft in task["drafts"])]


def _ensure_project(client: "LabelStudio", settings: JsonObject) -> tuple[int, bool]:
    """Return the project with this title, created or updated to these settings, and whether it is empty."""
    projects = find_projects(client, settings["title"])
    if projects:
        call(client, "PATCH", f"api/projects/{projects[0].id}/", json=settings)
    else:
        call(client, "POST", "api/projects/", json=settings)
        projects = find_projects(client, settings["title"])  # another push may have created one at the same moment
    project = projects[0] if len(projects) == 1 else _remove_twins(client, projects)
    return project.id, project.task_number == 0


def _remove_twins(client: "LabelStudio", projects: Sequence[Project]) -> Project:
    """Delete all but one of several projects with one title: the one with work stays, else the oldest."""

    def has_begun(project: Project) -> bool:
        return any(has_work(task) or not created_by_push(task) for task in list_tasks(client, project.id))

    original = next((project for project in projects if has_begun(project)), projects[0])
    for twin in projects:
        if twin is not original:
            if has_begun(twin):
                raise ServerError(
                    f"Projects {original.id} and {twin.id} are both called {original.title!r}, and both have been "
                    "worked in. Delete or rename one of them in Label Studio, then push again."
                )
            delete_if_exists(client, f"api/projects/{twin.id}/")
    return original
