"""Projects in Label Studio and the tasks in them, as they are.

A task is known by the passage id in its `data`; `text_sha256` there marks it as made by a push.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from jinbench.annotation.labels import LabelSet
from jinbench.core import files
from jinbench.core.types import Article, Progress, Step
from jinbench.labelstudio.server.client import call
from jinbench.seeds.articles import Seeds

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

CONTEXT = 120  # characters shown of the passages before and after
# A listing shows nobody's drafts but one's own; its filters know all.
DRAFTED: dict[str, Any] = {"filter": "filter:tasks:draft_exists", "operator": "equal", "type": "Boolean", "value": True}
PAGE = 1000  # tasks in one page of a listing

Row = dict[str, str]


class Project(NamedTuple):
    """A project, and how many tasks it has."""

    id: int
    title: str
    task_number: int


class Task(NamedTuple):
    """A task as a listing has it. `drafts`: whether anybody has left one."""

    id: int
    data: dict[str, Any]
    total_annotations: int
    cancelled_annotations: int
    drafts: bool


def to_progress(step: Step, what: str, total: int) -> Progress:
    """A progress of `total` passages as a step called `what`."""
    return lambda done: step(what, done, total)


def build_task_data(seeds: Seeds) -> list[Row]:
    """What is shown for each passage, in reading order."""
    return [build_task_row(article, number) for article in seeds.articles for number in range(len(article.passages))]


def build_task_row(article: Article, number: int) -> Row:
    """What is shown for one passage of an article."""
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
    """Label Studio cuts titles at 50 characters; the annotator's name must survive."""
    return f"{label_set.title[: 47 - len(annotator)]} · {annotator}"


def find_project(client: "LabelStudio", title: str) -> Project | None:
    """The project with this title; the oldest if there are several."""
    return next(iter(find_projects(client, title)), None)


def find_projects(client: "LabelStudio", title: str) -> list[Project]:
    """The projects of exactly this title, oldest first."""
    found: list[Project] = []
    page = 1
    while True:
        parameters = {"title": title, "include": "id,title,task_number", "page_size": 100, "page": page}
        answer = call(client, "GET", "api/projects/", params=parameters)
        found += [Project(each["id"], each["title"], each["task_number"]) for each in answer["results"]]
        if not answer["next"]:
            return sorted(project for project in found if project.title == title)
        page += 1


def _pages(client: "LabelStudio", project: int, include: str, *conditions: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The tasks that meet all conditions, by id. A page begins behind the last id: deleting does not shift it.

    A server may give fewer on a page than it is asked for (TASK_API_PAGE_SIZE_MAX): the end is where its count says so.
    """
    last = 0
    while True:
        items = [{"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": last}, *conditions]
        query = json.dumps({"filters": {"conjunction": "and", "items": items}, "ordering": ["tasks:id"]})
        parameters = {"project": project, "fields": "task_only", "include": include, "resolve_uri": "false"}
        answer = call(client, "GET", "api/tasks", params={**parameters, "page_size": PAGE, "query": query})
        found = answer["tasks"]
        yield from found
        if not found or len(found) >= answer["total"]:
            return
        last = found[-1]["id"]


def list_tasks(client: "LabelStudio", project: int) -> Iterator[Task]:
    """All tasks of a project, by id. A listing shows nobody's drafts but one's own; its filter knows all."""
    drafted = {task["id"] for task in _pages(client, project, "id", DRAFTED)}
    for task in _pages(client, project, "id,data,total_annotations,cancelled_annotations"):
        counts = task["total_annotations"], task["cancelled_annotations"]
        yield Task(task["id"], task["data"], *counts, task["id"] in drafted)


def list_tasks_by_passage(client: "LabelStudio", project: int) -> dict[str, list[Task]]:
    """The tasks that a push made in a project, by passage id, oldest first. Tasks that others made are left alone."""
    found = defaultdict(list)
    for task in list_tasks(client, project):
        if created_by_push(task):
            found[str(task.data.get("passage_id"))].append(task)
    return found


def created_by_push(task: Task) -> bool:
    return "text_sha256" in task.data


def has_work(task: Task) -> bool:
    """Whether somebody has worked on a task: submitted, skipped, or left a draft."""
    return bool(task.total_annotations or task.cancelled_annotations or task.drafts)


def delete_if_exists(client: "LabelStudio", path: str) -> None:
    """Delete what may be gone already."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        call(client, "DELETE", path)
    except ApiError as error:
        if error.status_code != 404:
            raise


def delete_predictions(client: "LabelStudio", project: int, versions: Iterable[str]) -> None:
    """Delete all predictions of these model versions, a version at a time."""
    for version in sorted(set(versions)):
        call(client, "DELETE", f"api/projects/{project}/model-versions/", json={"model_version": version})
