"""Projects in Label Studio: pushing passages. Safe to repeat.

A task is known by the passage id in its `data`; `text_sha256` there marks it as made by a push. Whatever was cut off,
the next run reads back what is there and sends only what is missing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinbench import files, labelstudio
from jinbench.checking import check_storable
from jinbench.disagreements import Readings
from jinbench.exports import regions
from jinbench.labels import LabelSet, labeling_config
from jinbench.problems import ServerError
from jinbench.records import Progress, Step
from jinbench.rooms import Rooms
from jinbench.seeds import Seeds

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

CONTEXT = 120  # characters shown of the passages before and after
BATCH = 200
ATTEMPTS = 5

# The SDK sends an import again by itself after a dropped connection, and doubles it. Repeating is done here.
ONCE: Any = {"max_retries": 0}


@dataclass(frozen=True)
class Pushed:
    """What a push did, in tasks."""

    project: int
    url: str
    created: int
    updated: int
    unchanged: int
    removed: int


def counter(step: Step, what: str, total: int) -> Progress:
    """A progress of `total` passages as a step called `what`."""
    return lambda done: step(what, done, total)


def task_data(seeds: Seeds) -> list[dict[str, str]]:
    """What is shown for each passage, in reading order."""
    rows = []
    for article in seeds.articles:
        texts = [passage.text for passage in article.passages]
        for number, passage in enumerate(article.passages):
            before = texts[number - 1] if number else ""
            after = texts[number + 1] if number + 1 < len(texts) else ""
            rows.append(
                {
                    "passage_id": passage.id,
                    "article_id": article.id,
                    "title": article.title,
                    "before": f"…{before[-CONTEXT:]}" if len(before) > CONTEXT else before,
                    "text": passage.text,
                    "after": f"{after[:CONTEXT]}…" if len(after) > CONTEXT else after,
                    "text_sha256": files.sha256(passage.text.encode()),
                }
            )
    return rows


def project_title(label_set: LabelSet, annotator: str) -> str:
    """Label Studio cuts titles at 50 characters; the annotator's name must survive."""
    return f"{label_set.title[: 47 - len(annotator)]} · {annotator}"


def _instructions(rooms: Rooms) -> str:
    """The guidelines as HTML. HTML inside them stays text."""
    from markdown_it import MarkdownIt

    path = rooms.guidelines
    if not path.is_file():
        return ""
    rendered: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(files.read_text(path))
    return rendered


def find_project(client: "LabelStudio", title: str) -> Any | None:
    """The project with this title; the oldest if there are several."""
    projects: Any = client.projects.list(title=title)
    found = [project for project in projects if project.title == title]
    return min(found, key=lambda project: int(project.id), default=None)


def tasks_by_passage(client: "LabelStudio", project: int) -> dict[str, list[Any]]:
    """The tasks that a push made in a project, by passage id, oldest first. Tasks that others made are left alone."""
    found = defaultdict(list)
    include = "id,data,total_annotations,cancelled_annotations,drafts"
    tasks: Any = client.tasks.list(project=project, fields="task_only", include=include, page_size=BATCH)
    for task in tasks:
        if task.data and "text_sha256" in task.data:
            found[str(task.data.get("passage_id"))].append(task)
    for same in found.values():
        same.sort(key=lambda task: int(task.id))
    return found


def touched(task: Any) -> bool:
    """Whether somebody has worked on a task: submitted, skipped, or left a draft."""
    return bool(task.total_annotations or task.cancelled_annotations or task.drafts)


def patiently(client: "LabelStudio", act: Callable[[], None]) -> None:
    """Run `act`, which reads back what is there and does what is missing, until it gets through."""
    import httpx
    from label_studio_sdk.core.api_error import ApiError

    for attempt in range(1, ATTEMPTS + 1):
        try:
            return act()
        except (httpx.HTTPError, ApiError) as error:
            status = getattr(error, "status_code", None)
            if attempt == ATTEMPTS or (status is not None and status < 500):
                raise ServerError(_explain(error)) from None
            labelstudio.wait_until_up(client)
    return None


def _explain(error: Exception) -> str:
    status = getattr(error, "status_code", None)
    if status == 401:
        return (
            "Label Studio refused the access token (HTTP 401). Check LABEL_STUDIO_API_KEY, or start the server again."
        )
    if status is not None:
        return f"Label Studio answered HTTP {status}: {str(getattr(error, 'body', ''))[:300]}"
    if isinstance(error, ValueError):
        return f"What answers there is no Label Studio ({type(error).__name__}). Check LABEL_STUDIO_URL."
    return f"Label Studio cannot be reached ({type(error).__name__}). Type: jinbench labelstudio start"


def reaching(act: Callable[[], Any]) -> Any:
    """`act()`, with what the SDK raises turned into :class:`ServerError`."""
    import httpx
    from label_studio_sdk.core.api_error import ApiError

    try:
        return act()
    except (httpx.HTTPError, ApiError, httpx.InvalidURL, ValueError) as error:
        raise ServerError(_explain(error)) from None


def push(
    client: "LabelStudio",
    rooms: Rooms,
    seeds: Seeds,
    label_set: LabelSet,
    annotator: str,
    progress: Progress,
    readings: Readings | None = None,
) -> Pushed:
    """Make the annotator's project, or bring it up to date: exactly one task per passage, no annotation touched.

    `readings`, labels by name and passage, are shown as predictions beside each other, for an adjudicator, who is
    asked for reasons. Raises :class:`ServerError` if a passage that is already annotated has another text now.
    """
    title = project_title(label_set, annotator)
    config, instructions = labeling_config(label_set, reasons=readings is not None), _instructions(rooms)
    settings: dict[str, Any] = {
        "label_config": config,
        "expert_instruction": instructions,
        "show_instruction": True,
        "description": f"{annotator} · guidelines and labels: see the instructions. Made by jinbench.",
    }
    check_storable({**settings, "title": title}, "project")
    project: Any = reaching(lambda: find_project(client, title))
    if project is None:
        project = reaching(lambda: client.projects.create(title=title, request_options=ONCE, **settings))
    else:
        reaching(lambda: client.projects.update(id=project.id, **settings))
    wanted = {row["passage_id"]: row for row in task_data(seeds)}
    counts = {"created": 0, "updated": 0, "removed": 0}

    def act() -> None:
        index = tasks_by_passage(client, project.id)
        _refuse_changed_texts(index, wanted)
        for id, tasks in index.items():
            spare = [task for task in tasks if not touched(task)]
            if id in wanted and len(spare) == len(tasks):
                spare = spare[1:]  # keep one
            elif id in wanted and len(tasks) == 1:
                spare = []
            for task in spare:  # a double, or left over from a passage that is no more
                client.tasks.delete(id=str(task.id), request_options=ONCE)
                tasks.remove(task)
                counts["removed"] += 1
            for task in tasks:
                if id in wanted and task.data != wanted[id]:
                    client.tasks.update(id=str(task.id), data=wanted[id], request_options=ONCE)
                    counts["updated"] += 1
        missing = [row for id, row in wanted.items() if id not in index]
        done = len(wanted) - len(missing)
        progress(done)
        for batch in _batches(missing):
            request: Any = [{"data": row} for row in batch]
            client.projects.import_tasks(id=project.id, request=request, return_task_ids=True, request_options=ONCE)
            counts["created"] += len(batch)
            done += len(batch)
            progress(done)

    patiently(client, act)
    patiently(client, lambda: _verify(tasks_by_passage(client, project.id), list(wanted)))
    if readings is not None:
        patiently(client, lambda: _show(client, project.id, readings))
    url = f"{client._client_wrapper.get_base_url()}/projects/{project.id}/data"
    unchanged = len(wanted) - counts["created"] - counts["updated"]
    return Pushed(project.id, url, unchanged=unchanged, **counts)


def _batches(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]


def _show(client: "LabelStudio", project: int, readings: Readings) -> None:
    """Of each reading exactly one prediction per task, as it is now. Predictions of other names are left alone."""
    there: dict[tuple[int, str], list[Any]] = defaultdict(list)
    for prediction in client.predictions.list(project=project):
        there[int(prediction.task), str(prediction.model_version)].append(prediction)
    for id, tasks in tasks_by_passage(client, project).items():
        for name, labelled in readings.items():
            found = there.pop((int(tasks[0].id), name), [])
            wanted = regions(labelled[id]) if id in labelled else None
            same = [prediction for prediction in found if prediction.result == wanted]
            for prediction in found:
                if prediction not in same[:1]:
                    client.predictions.delete(id=prediction.id, request_options=ONCE)
            if wanted is not None and not same:
                client.predictions.create(task=tasks[0].id, model_version=name, result=wanted, request_options=ONCE)


def _refuse_changed_texts(index: dict[str, list[Any]], wanted: dict[str, dict[str, str]]) -> None:
    changed = [
        id
        for id, tasks in index.items()
        for task in tasks
        if id in wanted and touched(task) and task.data.get("text") != wanted[id]["text"]
    ]
    if changed:
        raise ServerError(
            f"{len(changed)} passages that somebody has worked on have another text now: {', '.join(changed[:5])}.\n"
            "Their labels would move. Delete those tasks in Label Studio and push again; those passages then have to "
            "be labelled anew."
        )


def _verify(index: dict[str, list[Any]], wanted: Sequence[str]) -> None:
    missing = [id for id in wanted if id not in index]
    double = [id for id in wanted if len(index.get(id, ())) > 1]
    if missing or double:
        raise ServerError(
            f"After the push {len(missing)} passages have no task and {len(double)} have several, all annotated: "
            f"{', '.join((missing + double)[:5])}.\nPush again; if several are annotated, delete all but one."
        )
