"""Submit annotations and pull exports, idempotently: what the server has is read first, and only the rest is sent."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jinbench.annotation import exports
from jinbench.annotation.annotators import account_email, account_name
from jinbench.annotation.labels import LabelSet
from jinbench.annotation.workspace import Workspace
from jinbench.core import files, schemas
from jinbench.core.errors import ServerError
from jinbench.core.types import PassageLabels, Progress
from jinbench.labelstudio.projects import (
    check_storable,
    delete_if_exists,
    find_project,
    project_title,
    repeat_until_stable,
)
from jinbench.labelstudio.server.client import (
    NOT_FOUND,
    JsonObject,
    call,
    export_tasks,
    retry,
    write_lock,
)

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio


class OthersLabelledError(ServerError):
    """Other accounts have labelled in an annotator's project."""


def _user_ids(client: "LabelStudio") -> dict[str, int]:
    """Return the user ids of the server by annotator."""
    return {account_name(str(user["email"])): int(user["id"]) for user in call(client, "GET", "api/users/")}


def _stream_tasks(client: "LabelStudio", project: int, users: Mapping[str, int]) -> Iterator[JsonObject]:
    """Yield the exported tasks of a project; `completed_by` is the annotator, as user ids differ between servers."""
    names = {id: name for name, id in users.items()}
    for task in export_tasks(client, project):
        if not isinstance(task["data"].get("passage_id"), str):  # of a task that no push created
            task["data"].pop("passage_id", None)
        for annotation in task["annotations"]:
            annotation["completed_by"] = names.get(annotation["completed_by"], annotation["completed_by"])
        yield task


def has_project(client: "LabelStudio", label_set: LabelSet, annotator: str) -> bool:
    """Return whether the annotator's project is on this server. Raises :class:`ServerError`."""
    return retry(client, lambda: find_project(client, project_title(label_set, annotator))) is not None


def find_project_id(client: "LabelStudio", label_set: LabelSet, annotator: str) -> int:
    """Return the id of the annotator's project. Raises :class:`ServerError` if there is none."""
    title = project_title(label_set, annotator)
    project = retry(client, lambda: find_project(client, title))
    if project is None:
        raise ServerError(
            f"There is no project {title!r} on this server. Type: jinbench annotate push --annotator {annotator}"
            " (for an adjudicator: jinbench annotate adjudicate)"
        )
    return project.id


def fetch_labels(client: "LabelStudio", workspace: Workspace, annotator: str) -> list[PassageLabels]:
    """Return the annotator's submitted labels on the server, validated, in the order of the passages.

    Raises :class:`ServerError`, :class:`DataError`.
    """
    project = find_project_id(client, workspace.label_set, annotator)

    def act() -> dict[str, PassageLabels]:
        tasks = _stream_tasks(client, project, _user_ids(client))
        return {entry.passage_id: entry for entry in _read_own_labels(tasks, project, workspace, annotator)}

    labels = retry(client, act)
    return [labels[id] for id in workspace.passages if id in labels]


def _list_submitted(task: JsonObject) -> list[JsonObject]:
    """Return the annotations of a task that are no skips."""
    return [annotation for annotation in task["annotations"] if not annotation["was_cancelled"]]


def _read_own_labels(
    tasks: Iterable[JsonObject], project: int, workspace: Workspace, annotator: str
) -> Iterator[PassageLabels]:
    """Yield the labels of `annotator` on present passages; errors are raised at the end.

    Raises :class:`OthersLabelledError`, :class:`DataError`.
    """
    reader = exports.ExportReader(f"project {project}", workspace.seeds.passages(), workspace.label_set, annotator)
    others: Counter[str] = Counter()
    for task in tasks:
        if task["data"].get("passage_id") in reader.passages:
            others.update(exports.annotator_name(entry["completed_by"]) for entry in _list_submitted(task))
            schemas.check_shape([task], "export", f"project {project} {task['data']['passage_id']}")
            labels = reader.read(task)
            if labels is not None:
                yield labels
    del others[annotator]
    if others:
        names = ", ".join(f"{name} ({number})" for name, number in sorted(others.items()))
        raise OthersLabelledError(
            f"In the project of {annotator} others have labelled: {names}.\n"
            f"Log in as {account_email(annotator)} and submit those passages there; "
            "then delete the others."
        )
    reader.raise_if_any()


def pull_labels(client: "LabelStudio", workspace: Workspace, annotator: str) -> tuple[int, int]:
    """Write the annotator's labels to annotation/exports/.

    Unchanged labels keep their record, with its times.

    Args:
        client: Client of the server.
        workspace: Articles and label set of the benchmark.
        annotator: Name of the annotator or adjudicator.

    Returns:
        Number of labelled passages, and of those that are new or changed.

    Raises:
        ServerError: If there is no project, other accounts labelled in it, or a passage of the export has no
            annotation any more.
        DataError: With all invalid labels, as :func:`jinbench.annotation.exports.read_export`.
    """
    path = exports.export_path(workspace.benchmark, annotator)
    previous: dict[str, PassageLabels] = {}
    if path.is_file():
        previous = {entry.passage_id: entry for entry in exports.read_export(path, workspace, annotator, current=True)}
    labels = fetch_labels(client, workspace, annotator)
    missing = previous.keys() - {entry.passage_id for entry in labels}
    if missing:
        raise ServerError(
            f"{len(missing)} passages that {files.display_path(path)} holds have no annotation on the server, "
            f"{', '.join(sorted(missing)[:5])} among them.\nIf that is another server, enter them there first: "
            f"jinbench annotate import {files.display_path(path)} --annotator {annotator}. "
            "If they were deleted on purpose, move the file away and pull again."
        )
    labels = exports.keep_unchanged(labels, previous)
    titles = {article.id: article.title for article in workspace.seeds.articles}
    files.write_text(path, files.dump_json(exports.to_export(labels, workspace.passages.values(), titles)))
    return len(labels), sum(entry is not previous.get(entry.passage_id) for entry in labels)


def submit_labels(
    client: "LabelStudio",
    workspace: Workspace,
    annotator: str,
    labels: Sequence[PassageLabels],
    progress: Progress,
    replace_different: bool = False,
) -> tuple[int, int]:
    """Submit labels as annotations of an annotator.

    Args:
        client: Client of the server.
        workspace: Articles and label set of the benchmark.
        annotator: Name of the annotator or adjudicator.
        labels: At most one for each passage.
        progress: Called with the number of labels that are on the server.
        replace_different: Whether to replace different labels of the annotator.

    Returns:
        Number of submitted labels, and of those that were on the server already.

    Raises:
        ServerError: If a passage has no task, or is labelled differently and not to be replaced.
        DataError: For text that a database cannot store (wrong-shape), and invalid labels on the server.
    """
    for entry in labels:
        check_storable(exports.to_regions(entry), f"{annotator}: {entry.passage_id}")
    with write_lock():
        project = find_project_id(client, workspace.label_set, annotator)
        submission = _Submission(client, project, workspace, annotator, labels, progress, replace_different)
        repeat_until_stable(client, submission.reconcile, "labels")
        return submission.submitted or 0, len(labels) - (submission.submitted or 0)


@dataclass
class _Inventory:
    """Annotations of a project: ids by passage, their number, and duplicates of the annotator's own (id, result)."""

    tasks: dict[str | None, int] = field(default_factory=dict)
    own: dict[str | None, int] = field(default_factory=dict)
    duplicates: list[tuple[int, object]] = field(default_factory=list)
    total: int = 0

    def add(self, tasks: Iterable[JsonObject], annotator: str) -> Iterator[JsonObject]:
        """Count and pass on tasks, without the duplicates in them."""
        for task in tasks:
            submitted = _list_submitted(task)
            self.total += len(submitted)
            own = sorted((e for e in submitted if e["completed_by"] == annotator), key=lambda e: e["id"])
            duplicates = [entry for entry in own[1:] if entry["result"] == own[0]["result"]]
            self.duplicates.extend((entry["id"], entry["result"]) for entry in duplicates)
            task["annotations"] = [entry for entry in task["annotations"] if entry not in duplicates]
            id = task["data"].get("passage_id")
            self.tasks.setdefault(id, task["id"])
            if own:
                self.own[id] = own[0]["id"]
            yield task


@dataclass
class _Submission:
    """One submission: each round reads the annotations, corrects them, and checks the server's count."""

    client: "LabelStudio"
    project: int
    workspace: Workspace
    annotator: str
    labels: Sequence[PassageLabels]
    progress: Progress
    replace_different: bool
    submitted: int | None = None  # in the first round

    def reconcile(self) -> bool:
        """Run one round. Returns whether the server has all labels, once each."""
        users = _user_ids(self.client)
        if self.annotator not in users:
            raise ServerError(
                f"The server has no account {account_email(self.annotator)}. "
                f"Type: jinbench annotate push --annotator {self.annotator}"
            )
        inventory = _Inventory()
        tasks = inventory.add(_stream_tasks(self.client, self.project, users), self.annotator)
        own_labels = _read_own_labels(tasks, self.project, self.workspace, self.annotator)
        present = {entry.passage_id: entry for entry in own_labels}
        unpushed = [entry.passage_id for entry in self.labels if entry.passage_id not in inventory.tasks]
        if unpushed:
            raise ServerError(
                f"{len(unpushed)} passages have no task in the project, {unpushed[0]} among them. "
                f"Type: jinbench annotate push --annotator {self.annotator}; "
                "leave out of the file what annotation/shares.csv assigns to others."
            )
        missing = [entry for entry in self.labels if entry.passage_id not in present]
        different = [
            entry
            for entry in self.labels
            if entry.passage_id in present and not entry.same_labels(present[entry.passage_id])
        ]
        if different and not self.replace_different:
            raise ServerError(
                f"{self.annotator} has labelled {len(different)} of these passages differently on the server, "
                f"{different[0].passage_id} among them. Nothing was submitted. To replace those labels, add --replace"
            )
        if self.submitted is None:
            self.submitted = len(missing) + len(different)
        for annotation_id, result in inventory.duplicates:  # of two submissions at once
            self._remove_duplicate(annotation_id, result)
        done = len(self.labels) - len(missing) - len(different)
        self.progress(done)
        for entry in [*different, *missing]:
            annotation, task = inventory.own.get(entry.passage_id), inventory.tasks[entry.passage_id]
            self._submit(entry, annotation, task, users[self.annotator])
            done += 1
            self.progress(done)
        if not (inventory.duplicates or different or missing):
            return True
        parameters = {"include": "total_annotations_number"}
        counts = call(self.client, "GET", f"api/projects/{self.project}", params=parameters)
        expected = inventory.total + len(missing) - len(inventory.duplicates)
        return bool(counts["total_annotations_number"] == expected)

    def _submit(self, labels: PassageLabels, annotation: int | None, task: int, user: int) -> None:
        """Put labels into the annotation, if there is one, or create one."""
        body: JsonObject = {"result": exports.to_regions(labels)}
        if annotation is not None:
            call(self.client, "PATCH", f"api/annotations/{annotation}/", json=body)
            return
        body |= {"completed_by": user, "lead_time": labels.lead_time, "ground_truth": False, "was_cancelled": False}
        call(self.client, "POST", f"api/tasks/{task}/annotations/", json=body)

    def _remove_duplicate(self, annotation: int, result: object) -> None:
        """Delete an annotation that repeats another of the same account, if it still does."""
        from label_studio_sdk.core.api_error import ApiError

        path = f"api/annotations/{annotation}/"
        try:
            if call(self.client, "GET", path)["result"] == result:
                delete_if_exists(self.client, path)
        except ApiError as error:
            if error.status_code != NOT_FOUND:  # if it is gone, the next round looks again
                raise
