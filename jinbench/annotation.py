"""Labels into Label Studio and out of it: entering them, and pulling exports. Safe to repeat.

Like a push: what is there is read back first, and only what is missing is sent.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench import accounts, addresses, annotators, exports, files, markup
from jinbench.checking import check_storable
from jinbench.labels import LabelSet
from jinbench.problems import ServerError
from jinbench.projects import ONCE, find_project, patiently, project_title, reaching, tasks_by_passage
from jinbench.records import Labels, Progress
from jinbench.rooms import Rooms
from jinbench.seeds import Seeds

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio


def _user_ids(client: "LabelStudio") -> dict[str, int]:
    ids = {str(user.email): int(user.id) for user in client.users.list() if user.id is not None}
    names = accounts.names(list(ids), addresses.named())
    return {names[login]: id for login, id in ids.items()}


def _by_name(tasks: list[dict[str, Any]], users: dict[str, int]) -> list[dict[str, Any]]:
    """An export in which `completed_by` is a name: the ids of users differ from server to server."""
    names = {id: name for name, id in users.items()}
    for task in tasks:
        for annotation in task.get("annotations", ()):
            annotation["completed_by"] = names.get(annotation["completed_by"], annotation["completed_by"])
    return tasks


def _download(client: "LabelStudio", project: int) -> list[dict[str, Any]]:
    chunks = client.projects.exports.download_sync(
        project, export_type="JSON", download_all_tasks=True, request_options={"timeout_in_seconds": 600}
    )
    tasks: list[dict[str, Any]] = json.loads(b"".join(chunks))
    return tasks


def has_project(client: "LabelStudio", label_set: LabelSet, annotator: str) -> bool:
    """Whether the annotator's project is on this server. Raises :class:`ServerError`."""
    return reaching(lambda: find_project(client, project_title(label_set, annotator))) is not None


def _project_or_error(client: "LabelStudio", label_set: LabelSet, annotator: str) -> Any:
    title = project_title(label_set, annotator)
    project = reaching(lambda: find_project(client, title))
    if project is None:
        raise ServerError(
            f"There is no project {title!r} on this server. Type: jinbench annotate push --annotator {annotator}"
            " (for an adjudicator: jinbench annotate adjudicate)"
        )
    return project


def fetch(client: "LabelStudio", seeds: Seeds, label_set: LabelSet, annotator: str) -> list[Labels]:
    """The annotator's submitted labels as the server has them now, every one checked.

    Raises :class:`ServerError`, :class:`DataError`.
    """
    project = _project_or_error(client, label_set, annotator)
    tasks = reaching(lambda: _by_name(_download(client, project.id), _user_ids(client)))
    return _own_labels(tasks, f"project {project.id}", seeds, label_set, annotator)


def _own_labels(
    tasks: list[dict[str, Any]], where: str, seeds: Seeds, label_set: LabelSet, annotator: str
) -> list[Labels]:
    """The labels of `annotator` on passages that there are. Another account's labels in the project are an error."""
    known = {passage.id for passage in seeds.passages()}
    tasks = [task for task in tasks if task["data"].get("passage_id") in known]
    others = Counter(
        exports.account(annotation["completed_by"])
        for task in tasks
        for annotation in task["annotations"]
        if not annotation["was_cancelled"]
    )
    del others[annotator]
    if others:
        by = ", ".join(f"{name} ({number})" for name, number in sorted(others.items()))
        raise ServerError(
            f"In the project of {annotator} others have labelled: {by}.\n"
            f"Log in as {accounts.login_of(annotator, addresses.named())} and submit those passages there; then delete "
            "the others."
        )
    return exports.check(tasks, where, seeds.passages(), label_set, annotator)


def pull(client: "LabelStudio", rooms: Rooms, seeds: Seeds, label_set: LabelSet, annotator: str) -> tuple[int, int]:
    """Write the annotator's export. Returns the numbers of labelled passages and of those that changed.

    What says the same as before keeps its record; a passage that has lost its annotation on the server is an error.
    """
    fetched = fetch(client, seeds, label_set, annotator)
    path = exports.path_of(rooms, annotator)
    before = []
    if path.is_file():  # what was labelled on another text than today's cannot be compared
        tasks = exports.fitting(files.read_json(path), seeds.passages())
        before = exports.check(tasks, files.shown(path), seeds.passages(), label_set, annotator)
    lost = {entry.passage_id for entry in before} - {entry.passage_id for entry in fetched}
    if lost:
        raise ServerError(
            f"{len(lost)} passages that {files.shown(path)} holds have no annotation on the server, "
            f"{', '.join(sorted(lost)[:5])} among them.\nIf that is another server, enter them there first: "
            f"jinbench annotate enter {files.shown(path)} --annotator {annotator}. "
            "If they were deleted on purpose, move the file away and pull again."
        )
    kept = exports.keep_times(fetched, before)
    titles = {article.id: article.title for article in seeds.articles}
    files.write_text(path, files.dump_json(exports.canonical(kept, seeds.passages(), titles)))
    return len(kept), len([entry for entry in kept if entry not in before])


def enter(
    client: "LabelStudio",
    seeds: Seeds,
    label_set: LabelSet,
    annotator: str,
    labelled: Sequence[Labels],
    progress: Progress,
    replace_different: bool = False,
) -> tuple[int, int]:
    """Submit labels as annotations of `annotator`. Returns how many were entered and how many were there already.

    A passage that the annotator has labelled differently is an error, unless `replace_different`.
    """
    for entry in labelled:
        check_storable(exports.regions(entry), f"{annotator}: {entry.passage_id}")
    project = _project_or_error(client, label_set, annotator)
    users = reaching(lambda: _user_ids(client))
    if annotator not in users:
        raise ServerError(
            f"The server has no account {annotators.email(annotator)}. "
            f"Type: jinbench annotate push --annotator {annotator}"
        )
    counts = {"entered": 0}

    def act() -> None:
        tasks = {id: found[0].id for id, found in tasks_by_passage(client, project.id).items()}
        raw = _by_name(_download(client, project.id), users)
        own = {
            task["data"].get("passage_id"): annotation["id"]
            for task in raw
            for annotation in task["annotations"]
            if annotation["completed_by"] == annotator and not annotation["was_cancelled"]
        }
        there = {
            entry.passage_id: entry for entry in _own_labels(raw, f"project {project.id}", seeds, label_set, annotator)
        }
        unpushed = [entry.passage_id for entry in labelled if entry.passage_id not in tasks]
        if unpushed:
            raise ServerError(
                f"{len(unpushed)} passages have no task in the project, {unpushed[0]} among them. "
                f"Type: jinbench annotate push --annotator {annotator}"
            )
        different = [
            entry for entry in labelled if entry.passage_id in there and not entry.says_as(there[entry.passage_id])
        ]
        if different and not replace_different:
            raise ServerError(
                f"{annotator} has labelled {len(different)} of these passages differently on the server, "
                f"{different[0].passage_id} among them. Nothing was entered. To put the new labels in place of those: "
                "--replace"
            )
        missing = [entry for entry in labelled if entry.passage_id not in there]
        done = len(labelled) - len(missing) - len(different)
        progress(done)
        for entry in different:
            client.annotations.update(id=own[entry.passage_id], result=exports.regions(entry), request_options=ONCE)
            counts["entered"] += 1
            done += 1
            progress(done)
        for entry in missing:
            client.annotations.create(
                id=tasks[entry.passage_id],
                result=exports.regions(entry),
                completed_by=users[annotator],
                lead_time=entry.lead_time,
                ground_truth=False,
                was_cancelled=False,
                request_options=ONCE,
            )
            counts["entered"] += 1
            done += 1
            progress(done)

    patiently(client, act)
    return counts["entered"], len(labelled) - counts["entered"]


def read_labels(path: Path, seeds: Seeds, label_set: LabelSet, annotator: str) -> list[Labels]:
    """Labels to enter in the name of `annotator`: an export (.json) of anybody, or marked-up text (.jsonl)."""
    if path.suffix == ".jsonl":
        return markup.read(path, seeds.passages(), label_set, annotator)
    found = exports.read(path, seeds.passages(), label_set)
    return [replace(entry, annotator=annotator) for entry in found]
