"""Projects and tasks of Label Studio.

A task belongs to the passage whose id its `data` has; `text_sha256` there marks it as created by a push.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from jinbench.annotation.labels import LabelSet
from jinbench.core import files
from jinbench.core.errors import ServerError, fail
from jinbench.core.types import Article, Progress, Step
from jinbench.labelstudio.server.client import NOT_FOUND, JsonObject, call, retry
from jinbench.seeds.articles import Seeds

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

CONTEXT = 120  # characters shown of the passages before and after
# A listing shows only the drafts of its own user; its filters see all.
HAS_DRAFT: JsonObject = {"filter": "filter:tasks:draft_exists", "operator": "equal", "type": "Boolean", "value": True}
PAGE = 1000  # rows in one page of a listing; of projects the server gives 100
BATCH = 500  # tasks in one request; nobody can submit while the server writes them
ROUNDS = 5

Row = TypeVar("Row")
TaskData = dict[str, str]


class Project(NamedTuple):
    """A project and its number of tasks."""

    id: int
    title: str
    task_number: int


class Task(NamedTuple):
    """A task of a listing. `drafts`: whether anybody has left a draft."""

    id: int
    data: JsonObject
    total_annotations: int
    cancelled_annotations: int
    drafts: bool


def to_progress(step: Step, name: str, total: int) -> Progress:
    """Return a progress callback that reports `total` passages as the step `name`."""
    return lambda done: step(name, done, total)


def build_task_data(seeds: Seeds) -> list[TaskData]:
    """Return the data of a task for each passage, in reading order."""
    return [build_task_row(article, number) for article in seeds.articles for number in range(len(article.passages))]


def build_task_row(article: Article, number: int) -> TaskData:
    """Return the data of the task for passage `number` of an article."""
    passage = article.passages[number]
    before = article.passages[number - 1].text if number else ""
    after = article.passages[number + 1].text if number + 1 < len(article.passages) else ""
    return {
        "passage_id": passage.id,
        "article_id": article.id,
        "title": article.title,
        "before": f"…{before[-CONTEXT:]}" if len(before) > CONTEXT else before,
        "text": passage.text,
        "after": f"{after[:CONTEXT]}…" if len(after) > CONTEXT else after,
        "text_sha256": files.sha256(passage.text.encode()),
    }


def project_title(label_set: LabelSet, annotator: str) -> str:
    """Return the title of an annotator's project, of at most 50 characters: Label Studio cuts longer ones."""
    return f"{label_set.title[: 47 - len(annotator)]} · {annotator}"


def find_project(client: "LabelStudio", title: str) -> Project | None:
    """Return the project with this title; the oldest if there are several."""
    return next(iter(find_projects(client, title)), None)


def find_projects(client: "LabelStudio", title: str) -> list[Project]:
    """Return the projects with exactly this title, oldest first.

    The server has no filter by id, and a project that is created or deleted meanwhile shifts its pages: more than one
    page is read until it comes out the same twice.
    """
    fields = {"title": title, "include": "id,title,task_number", "ordering": "id", "page_size": PAGE}
    previous: set[int] = set()
    while True:
        projects: dict[int, Project] = {}
        page, answer = 0, {"next": "the first page"}
        while answer["next"]:
            page += 1
            answer = call(client, "GET", "api/projects/", params={**fields, "page": page})
            rows = [Project(row["id"], row["title"], row["task_number"]) for row in answer["results"]]
            projects |= {project.id: project for project in rows}
        if page == 1 or projects.keys() == previous:
            return sorted(project for project in projects.values() if project.title == title)
        previous = set(projects)


def _filter_tasks(client: "LabelStudio", project: int, include: str, *conditions: JsonObject) -> Iterator[JsonObject]:
    """Yield the tasks that meet all conditions, by id. A page begins behind the last id: deleting does not shift it.

    A page may be shorter than asked for (TASK_API_PAGE_SIZE_MAX of the server): the total says which is the last.
    """
    last = 0
    while True:
        items = [{"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": last}, *conditions]
        query = json.dumps({"filters": {"conjunction": "and", "items": items}, "ordering": ["tasks:id"]})
        parameters = {"project": project, "fields": "task_only", "include": include, "resolve_uri": "false"}
        answer = call(client, "GET", "api/tasks", params={**parameters, "page_size": PAGE, "query": query})
        page = answer["tasks"]
        yield from page
        if len(page) >= answer["total"]:
            return
        last = page[-1]["id"] if page else last  # all of a page may have been deleted after they were counted


def list_tasks(client: "LabelStudio", project: int) -> Iterator[Task]:
    """Yield all tasks of a project, by id."""
    drafted = {task["id"] for task in _filter_tasks(client, project, "id", HAS_DRAFT)}
    for task in _filter_tasks(client, project, "id,data,total_annotations,cancelled_annotations"):
        counts = task["total_annotations"], task["cancelled_annotations"]
        yield Task(task["id"], task["data"], *counts, task["id"] in drafted)


def list_tasks_by_passage(client: "LabelStudio", project: int) -> dict[str, list[Task]]:
    """Return the tasks that a push created in a project, by passage id, oldest first."""
    tasks = defaultdict(list)
    for task in list_tasks(client, project):
        if created_by_push(task):
            tasks[str(task.data.get("passage_id"))].append(task)
    return tasks


def created_by_push(task: Task) -> bool:
    return "text_sha256" in task.data


def has_work(task: Task) -> bool:
    """Return whether the task has annotations, skips or drafts."""
    return bool(task.total_annotations or task.cancelled_annotations or task.drafts)


def is_submitted(tasks: Iterable[Task]) -> bool:
    """Return whether a passage with these tasks, of which it may have several until a push, has a submission."""
    return any(task.total_annotations for task in tasks)


def is_skipped(tasks: Collection[Task]) -> bool:
    """Return whether a passage is skipped: somebody has pressed Skip, and nothing is submitted."""
    return any(task.cancelled_annotations for task in tasks) and not is_submitted(tasks)


def delete_if_exists(client: "LabelStudio", path: str) -> None:
    """Delete an object that may be gone already."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        call(client, "DELETE", path)
    except ApiError as error:
        if error.status_code != NOT_FOUND:
            raise


def split_batches(rows: Sequence[Row], size: int | None = None) -> Iterator[Sequence[Row]]:
    """Yield `rows` in batches of `size`, by default BATCH."""
    size = size or BATCH
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def repeat_until_stable(client: "LabelStudio", reconcile: Callable[[], bool], changed: str) -> None:
    """Call `reconcile` until it returns that the server is as it should be. Raises :class:`ServerError`.

    Args:
        client: Client of the server.
        reconcile: Reads the state of the server, sends what is missing, and returns whether nothing was to be done.
        changed: Plural noun for the message if others change the server all the time.
    """
    for _ in range(ROUNDS):
        if retry(client, reconcile):
            return
    raise ServerError(f"Somebody else changes the {changed} all the time. Run the same command again when it ends.")


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def check_storable(value: object, location: str) -> None:
    """Raise :class:`DataError` (wrong-shape) for text that a database refuses or cannot return.

    That is text with a NUL or with half a surrogate pair.
    """
    if isinstance(value, str):
        if match := _UNSTORABLE.search(value):
            expected, fix = "text that can be stored", "remove that character"
            fail("wrong-shape", location, expected=expected, found=repr(match[0]), fix=fix)
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            check_storable(entry, f"{location} {name}")
    elif isinstance(value, list | tuple):
        for entry in value:
            check_storable(entry, location)
