"""Pushing passages to Label Studio. Safe to repeat: whatever was cut off, the next run reads back what is there and
sends only what is missing.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinbench.annotation import exports
from jinbench.annotation.adjudication import LabelsByAnnotator
from jinbench.annotation.workspace import Workspace
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem, ServerError
from jinbench.core.types import PassageLabels, Progress, Suggestion
from jinbench.labelstudio.labeling_config import build_labeling_config
from jinbench.labelstudio.projects import (
    Project,
    Row,
    Task,
    find_projects,
    created_by_push,
    delete_if_exists,
    delete_predictions,
    has_work,
    project_title,
    build_task_row,
    list_tasks,
)
from jinbench.labelstudio.server import accounts, address
from jinbench.labelstudio.server.client import call, export_tasks, stream_list, retry, write_lock
from jinbench.seeds.articles import Seeds

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

BATCH = 500  # tasks in one request; nobody can submit while the server writes them
FEW = 10  # tasks looked at again together before they are deleted
ROUNDS = 5
AS_WANTED: dict[str, Any] = {}  # stands for the data of a task that shows what it should


@dataclass(frozen=True)
class PushResult:
    """What a push did, in tasks."""

    project: int
    url: str
    created: int
    updated: int
    unchanged: int
    removed: int


def _instructions(benchmark: Benchmark) -> str:
    """The guidelines as HTML. HTML inside them stays text."""
    from markdown_it import MarkdownIt

    path = benchmark.guidelines
    if not path.is_file():
        return ""
    rendered: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(files.read_text(path))
    return rendered


def push_passages(
    client: "LabelStudio",
    workspace: Workspace,
    annotator: str,
    progress: Progress,
    readings: LabelsByAnnotator | None = None,
    *,
    share: Collection[str] | None = None,
    suggestions: Mapping[str, Suggestion] | None = None,
    model_version: str = "",
    labelled: Sequence[PassageLabels] = (),
) -> PushResult:
    """Make the annotator's project, or bring it up to date: exactly one task per passage, no annotation touched.

    `share`: the ids of the passages that are this annotator's; tasks of others go if nobody has touched them.
    `readings`, labels by name and passage, are shown as predictions beside each other, for an adjudicator, who is
    asked for reasons. `suggestions`, by passage, are shown as predictions of `model_version`, in the place of those of
    its older versions: of all whose names begin with the same word. `labelled` goes along as annotations of
    `annotator` with the tasks that are new on this server; for those that are not, see :func:`annotation.move`.

    Raises :class:`ServerError` if a passage that is already annotated has another text now.
    """
    settings: dict[str, Any] = {
        "title": project_title(workspace.label_set, annotator),
        "label_config": build_labeling_config(workspace.label_set, reasons=readings is not None),
        "expert_instruction": _instructions(workspace.benchmark),
        "show_instruction": True,
        "description": f"{annotator} · guidelines and labels: see the instructions. Made by jinbench.",
    }
    check_storable(settings, "project")
    for entry in labelled:
        check_storable(exports.to_regions(entry), f"{annotator}: {entry.passage_id}")
    shown = _Shown(readings or {}, suggestions or {}, model_version)
    with write_lock():
        run = _Push(client, settings, workspace.seeds, share, shown, labelled, progress)
        return run.run()


class _Shown:
    """The predictions that tasks are to have, by passage."""

    def __init__(self, readings: LabelsByAnnotator, suggestions: Mapping[str, Suggestion], model_version: str) -> None:
        self.readings, self.suggestions, self.model_version = readings, suggestions, model_version

    def of(self, id: str) -> dict[str, tuple[list[dict[str, Any]], float | None]]:
        """Result and score by name."""
        found: dict[str, tuple[list[dict[str, Any]], float | None]] = {
            name: (exports.to_regions(labelled[id]), None) for name, labelled in self.readings.items() if id in labelled
        }
        if self.model_version and id in self.suggestions:
            suggestion = self.suggestions[id]
            found[self.model_version] = exports.to_suggested_regions(suggestion), suggestion.confidence
        return found

    def governs(self, name: str) -> bool:
        """Whether predictions of this name are ours to replace."""
        return name in self.readings or bool(self.model_version and _family(name) == _family(self.model_version))

    def __bool__(self) -> bool:
        return bool(self.readings or self.model_version)


def _family(name: str) -> str:
    """The word that the versions of one model begin with."""
    return re.split(r"[^a-z]", name.lower(), maxsplit=1)[0]


class _Push:
    """One push. Each round reads back what is there, mends it, and says whether the server then counts as it should."""

    def __init__(
        self,
        client: "LabelStudio",
        settings: dict[str, Any],
        seeds: Seeds,
        share: Collection[str] | None,
        shown: _Shown,
        labelled: Sequence[PassageLabels],
        progress: Progress,
    ) -> None:
        self.client, self.settings, self.shown, self.progress = client, settings, shown, progress
        self.places = {
            passage.id: (article, number)
            for article in seeds.articles
            for number, passage in enumerate(article.passages)
        }
        mine = self.places.keys() if share is None else set(share)
        self.wanted = {id: None for id in self.places if id in mine}  # a set in reading order
        self.labelled = {entry.passage_id: entry for entry in labelled}
        names, server = {entry.annotator for entry in labelled}, address.remote_url()
        self.logins = {name: accounts.find_login(name, server) for name in names}
        self.project = 0
        self.before: set[str] | None = None  # the passages that had a task when this push began
        self.updated: set[int] = set()
        self.removed: set[int] = set()
        self.tasks: dict[str, int] = {}  # the task of each passage

    def run(self) -> PushResult:
        for _ in range(ROUNDS):
            if retry(self.client, self.round):
                break
        else:
            raise ServerError("Somebody else changes the tasks all the time. Run the same command again when it ends.")
        if self.shown.model_version:  # what an annotation begins with; the server knows the name only now
            shown = {"show_collab_predictions": True, "model_version": self.shown.model_version}
            retry(self.client, lambda: call(self.client, "PATCH", f"api/projects/{self.project}/", json=shown))
        url = f"{self.client._client_wrapper.get_base_url()}/projects/{self.project}/data"
        created = len(self.wanted.keys() - (self.before or set()))
        unchanged = len(self.wanted) - created - len(self.updated)
        return PushResult(self.project, url, created, len(self.updated), unchanged, len(self.removed))

    def row(self, id: str) -> Row:
        return build_task_row(*self.places[id])

    def round(self) -> bool:
        self.project, empty = _project(self.client, self.settings)
        index: dict[str, list[Task]] = defaultdict(list)
        number = 0
        for task in () if empty else list_tasks(self.client, self.project):
            number += 1
            if created_by_push(task):
                id = str(task.data.get("passage_id"))
                same = id in self.places and task.data == self.row(id)
                index[id].append(task._replace(data=AS_WANTED) if same else task)
        self.refuse_changed_texts(index)
        if self.before is None:
            self.before = {id for id in index if id in self.wanted}
        removed, whole = self.remove_spare(index)
        for id, (task, *others) in ((id, found) for id, found in index.items() if found and id in self.wanted):
            if others and whole:
                raise ServerError(
                    f"{len(others) + 1} tasks of passage {id} have been worked on: {task.id}, "
                    f"{', '.join(str(other.id) for other in others)}. Delete all but one in Label Studio, then push."
                )
            if task.data is not AS_WANTED:
                if task.data.get("text") != self.row(id)["text"]:
                    self.remove_predictions(task.id)
                call(self.client, "PATCH", f"api/tasks/{task.id}/", json={"data": self.row(id)})
                self.updated.add(task.id)
        self.tasks = {id: found[0].id for id, found in index.items() if found and id in self.wanted}
        missing = [id for id in self.wanted if id not in self.tasks]
        self.create(missing)
        counts = "task_number,total_predictions_number"
        now = call(self.client, "GET", f"api/projects/{self.project}", params={"include": counts})
        if not whole or now["task_number"] != number - removed + len(missing):
            return False
        if self.shown and not (empty and now["total_predictions_number"] == self.predictions):
            return self.show()
        return True

    def create(self, missing: Sequence[str]) -> None:
        """Import the tasks of these passages, with what goes along."""
        done = len(self.wanted) - len(missing)
        self.predictions = 0
        self.progress(done)
        for batch in _batches(missing, BATCH):
            request = [self.task(id) for id in batch]
            path = f"api/projects/{self.project}/import"
            made = call(self.client, "POST", path, params={"return_task_ids": "true"}, json=request)
            self.tasks |= zip(batch, made["task_ids"], strict=True)
            self.predictions += sum(len(task["predictions"]) for task in request)
            done += len(batch)
            self.progress(done)

    def task(self, id: str) -> dict[str, Any]:
        predictions = [
            {"model_version": name, "result": result, "score": score}
            for name, (result, score) in self.shown.of(id).items()
        ]
        annotations = [
            {
                "completed_by": {"email": self.logins[entry.annotator]},
                "result": exports.to_regions(entry),
                "lead_time": entry.lead_time,
                "ground_truth": False,
                "was_cancelled": False,
            }
            for entry in [self.labelled.get(id)]
            if entry is not None
        ]
        return {"data": self.row(id), "predictions": predictions, "annotations": annotations}

    def refuse_changed_texts(self, index: Mapping[str, Sequence[Task]]) -> None:
        changed = [
            id
            for id, found in index.items()
            for task in found
            if id in self.places
            and has_work(task)
            and task.data.get("text", self.row(id)["text"]) != self.row(id)["text"]
        ]
        if changed:
            raise ServerError(
                f"{len(changed)} passages that somebody has worked on have another text now: {', '.join(changed[:5])}."
                "\nTheir labels would move. Delete those tasks in Label Studio and push again; those passages then "
                "have to be labelled anew."
            )

    def remove_spare(self, index: dict[str, list[Task]]) -> tuple[int, bool]:
        """Delete doubles, and what is no longer wanted, but nothing that somebody has worked on, unless the same work
        stands in the task that is kept. How many went, and whether all did that should.
        """
        spare: list[tuple[Task, Task | None]] = []  # and the task whose work it may repeat
        for id, found in index.items():
            idle, busy = [t for t in found if not has_work(t)], [t for t in found if has_work(t)]
            spare += [(task, None) for task in (idle if busy or id not in self.wanted else idle[1:])]
            spare += [(task, busy[0]) for task in busy[1:]]
        gone: set[int] = set()
        for batch in _batches(spare, FEW):
            gone |= self.remove([(task.id, kept.id if kept else None) for task, kept in batch])
        for found in index.values():
            found[:] = [task for task in found if task.id not in gone]
        self.removed |= gone
        return len(gone), all(kept is not None or task.id in gone for task, kept in spare)

    def remove(self, spare: Sequence[tuple[int, int | None]]) -> set[int]:
        """Look at tasks once more, with all they hold, and delete at once those that may go."""
        ids = {id for pair in spare for id in pair if id is not None}
        now = {task["id"]: _work(task) for task in export_tasks(self.client, self.project, ids)}
        going = [id for id, kept in spare if id in now and now[id] in ([], now.get(kept) if kept else [])]
        for id in going:  # one at a time: the server's own action for many first unlinks them, and may end there
            delete_if_exists(self.client, f"api/tasks/{id}/")
        return set(going)

    def remove_predictions(self, task: int) -> None:
        """Delete whatever is suggested for a task whose text changes: it points into the old one."""
        for prediction in list(stream_list(self.client, "api/predictions", params={"task": task})):
            delete_if_exists(self.client, f"api/predictions/{prediction['id']}/")

    def show(self) -> bool:
        """See that each task has the predictions that it should, once each. Whether nothing was left to do.

        Predictions of other names are left alone.
        """
        of = {task: id for id, task in self.tasks.items()}
        stale: list[int] = []
        seen: set[tuple[int, str]] = set()
        for prediction in stream_list(self.client, "api/predictions", params={"project": self.project}):
            task, name = prediction["task"], str(prediction["model_version"])
            if task in of and self.shown.governs(name):
                stands = self.shown.of(of[task]).get(name) == (prediction["result"], prediction["score"])
                if not stands or (task, name) in seen:
                    stale.append(prediction["id"])
                else:
                    seen.add((task, name))
        lacking = [
            {"task": task, "model_version": name, "result": result, "score": score}
            for id, task in self.tasks.items()
            for name, (result, score) in self.shown.of(id).items()
            if (task, name) not in seen
        ]
        for batch in _batches(lacking, BATCH):
            call(self.client, "POST", f"api/projects/{self.project}/import/predictions", json=list(batch))
        for id in stale:
            delete_if_exists(self.client, f"api/predictions/{id}/")
        return not (lacking or stale)


def _work(task: dict[str, Any]) -> list[Any]:
    """What people have left in a task, as an export has it; two drafts are never the same."""
    submitted = [[each["completed_by"], each["was_cancelled"], each["result"]] for each in task["annotations"]]
    return submitted + [draft["id"] for draft in task["drafts"]]


def _batches(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def withdraw_suggestions(client: "LabelStudio", project: int, family: str) -> int:
    """Take back what the versions of a model suggested: all whose names begin with that word. Returns how many."""

    def act() -> int:
        found = stream_list(client, "api/predictions", params={"project": project})
        ours = [version for each in found if _family(version := str(each["model_version"])) == family]
        delete_predictions(client, project, ours)
        if ours:
            call(client, "PATCH", f"api/projects/{project}/", json={"model_version": ""})
        return len(ours)

    removed: int = retry(client, act)
    return removed


def _project(client: "LabelStudio", settings: dict[str, Any]) -> tuple[int, bool]:
    """The one project of a title with these settings, made if there is none, and whether it is empty."""
    found = find_projects(client, settings["title"])
    if found:
        call(client, "PATCH", f"api/projects/{found[0].id}/", json=settings)
    else:
        call(client, "POST", "api/projects/", json=settings)
        found = find_projects(client, settings["title"])  # another push may have made one at the same moment
    if len(found) > 1:
        found = [_without_twins(client, found)]
    return found[0].id, found[0].task_number == 0


def _without_twins(client: "LabelStudio", found: Sequence[Project]) -> Project:
    """The project of several with one title that has been worked in, else the oldest. The others are deleted."""

    def begun(project: Project) -> bool:
        return any(has_work(task) or not created_by_push(task) for task in list_tasks(client, project.id))

    kept = next((project for project in found if begun(project)), found[0])
    for twin in found:
        if twin is not kept:
            if begun(twin):
                raise ServerError(
                    f"Projects {kept.id} and {twin.id} are both called {kept.title!r}, and both have been "
                    "worked in. Delete or rename one of them in Label Studio, then push again."
                )
            delete_if_exists(client, f"api/projects/{twin.id}/")
    return kept


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def check_storable(value: Any, where: str) -> None:
    """Raise :class:`DataError` (wrong-shape) for a text in `value` that a database refuses, or gives back to nobody:
    with a NUL, or with half a surrogate pair.
    """
    if isinstance(value, str):
        found = _UNSTORABLE.search(value)
        if found:
            hint = "take that character out"
            raise DataError(
                Problem(
                    "wrong-shape", location=where, expected="text that can be stored", found=repr(found[0]), fix=hint
                )
            )
    elif isinstance(value, Mapping):
        for name, each in value.items():
            check_storable(each, f"{where} {name}")
    elif isinstance(value, list | tuple):
        for each in value:
            check_storable(each, where)
