"""Labels into Label Studio and out of it: entering them, and pulling exports. Safe to repeat.

Like a push: what is there is read back first, and only what is missing is sent.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench.annotation import exports
from jinbench.annotation.labels import LabelSet
from jinbench.annotation.workspace import Workspace
from jinbench.core import files
from jinbench.core.errors import ServerError
from jinbench.core.types import PassageLabels, Progress
from jinbench.labelstudio.projects import delete_if_exists, find_project, project_title
from jinbench.labelstudio.push import ROUNDS, check_storable
from jinbench.labelstudio.server import accounts, address
from jinbench.labelstudio.server.client import CHUNK_LENGTH, call, iterate_json_array, export_tasks, retry, write_lock

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio


class OthersLabelledError(ServerError):
    """In the project of one annotator another account has labelled."""


def _user_ids(client: "LabelStudio") -> dict[str, int]:
    ids = {str(user["email"]): int(user["id"]) for user in call(client, "GET", "api/users/")}
    names = accounts.names_by_login(list(ids), address.remote_url())
    return {names[login]: id for login, id in ids.items()}


def _stream_tasks(client: "LabelStudio", project: int, users: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """The tasks of a project with their annotations, `completed_by` by name: ids of users differ between servers."""
    names = {id: name for name, id in users.items()}
    for task in export_tasks(client, project):
        if not isinstance(task["data"].get("passage_id"), str):  # made by somebody else, who may call a list that
            task["data"].pop("passage_id", None)
        for annotation in task["annotations"]:
            annotation["completed_by"] = names.get(annotation["completed_by"], annotation["completed_by"])
        yield task


def has_project(client: "LabelStudio", label_set: LabelSet, annotator: str) -> bool:
    """Whether the annotator's project is on this server. Raises :class:`ServerError`."""
    return retry(client, lambda: find_project(client, project_title(label_set, annotator))) is not None


def find_project_id(client: "LabelStudio", label_set: LabelSet, annotator: str) -> int:
    """The number of the annotator's project. Raises :class:`ServerError` if there is none."""
    title = project_title(label_set, annotator)
    project = retry(client, lambda: find_project(client, title))
    if project is None:
        raise ServerError(
            f"There is no project {title!r} on this server. Type: jinbench annotate push --annotator {annotator}"
            " (for an adjudicator: jinbench annotate adjudicate)"
        )
    id: int = project.id
    return id


def fetch_labels(client: "LabelStudio", workspace: Workspace, annotator: str) -> list[PassageLabels]:
    """The annotator's submitted labels as the server has them now, every one checked, in the order of the passages.

    Raises :class:`ServerError`, :class:`DataError`.
    """
    project = find_project_id(client, workspace.label_set, annotator)

    def act() -> dict[str, PassageLabels]:
        tasks = _stream_tasks(client, project, _user_ids(client))
        return {entry.passage_id: entry for entry in _own_labels(tasks, project, workspace, annotator)}

    found = retry(client, act)
    return [found[passage.id] for passage in workspace.seeds.passages() if passage.id in found]


def _own_labels(
    tasks: Iterable[dict[str, Any]], project: int, workspace: Workspace, annotator: str
) -> Iterator[PassageLabels]:
    """The labels of `annotator` on passages that there are, as they come.

    What is wrong is raised at the end; another account's labels in the project are an error.
    """
    reader = exports.ExportReader(f"project {project}", workspace.seeds.passages(), workspace.label_set, annotator)
    others: Counter[str] = Counter()
    for task in tasks:
        if task["data"].get("passage_id") in reader.passages:
            submitted = [each for each in task["annotations"] if not each["was_cancelled"]]
            others.update(exports.annotator_name(each["completed_by"]) for each in submitted)
            entry = reader.read(task)
            if entry is not None:
                yield entry
    del others[annotator]
    if others:
        by = ", ".join(f"{name} ({number})" for name, number in sorted(others.items()))
        raise OthersLabelledError(
            f"In the project of {annotator} others have labelled: {by}.\n"
            f"Log in as {accounts.find_login(annotator, address.remote_url())} and submit those passages there; "
            "then delete "
            "the others."
        )
    reader.raise_if_any()


def pull_labels(client: "LabelStudio", workspace: Workspace, annotator: str) -> tuple[int, int]:
    """Write the annotator's export. Returns the numbers of labelled passages and of those that changed.

    What says the same as before keeps its record; a passage that has lost its annotation on the server is an error.
    The memory that it takes hardly grows with the number of passages.
    """
    project = find_project_id(client, workspace.label_set, annotator)
    path = exports.export_path(workspace.benchmark, annotator)
    passages = {passage.id: passage for passage in workspace.seeds.passages()}
    with exports.ExportSpool({article.id: article.title for article in workspace.seeds.articles}) as spool:
        if path.is_file():
            for entry in _before(path, workspace, annotator):
                spool.add_previous(entry, passages[entry.passage_id])

        def act() -> None:
            spool.reset()
            tasks = _stream_tasks(client, project, _user_ids(client))
            for entry in _own_labels(tasks, project, workspace, annotator):
                spool.add(entry, passages[entry.passage_id])

        retry(client, act)
        lost = spool.missing()
        if lost:
            raise ServerError(
                f"{len(lost)} passages that {files.display_path(path)} holds have no annotation on the server, "
                f"{', '.join(sorted(lost)[:5])} among them.\nIf that is another server, enter them there first: "
                f"jinbench annotate enter {files.display_path(path)} --annotator {annotator}. "
                "If they were deleted on purpose, move the file away and pull again."
            )
        spool.write(path, passages.values())
        return len(spool.current), spool.changed


def _before(path: Path, workspace: Workspace, annotator: str) -> Iterator[PassageLabels]:
    """What an export held; what was labelled on another text than today's cannot be compared, and is left out."""
    reader = exports.ExportReader(files.display_path(path), workspace.seeds.passages(), workspace.label_set, annotator)
    try:
        with path.open(encoding="utf-8") as file:
            for task in iterate_json_array(iter(lambda: file.read(CHUNK_LENGTH), "")):
                entry = reader.read(task) if reader.is_current(task) else None
                if entry is not None:
                    yield entry
    except ValueError:  # read as a whole it says where it is broken
        exports.parse_export(
            files.read_json(path), files.display_path(path), workspace.seeds.passages(), workspace.label_set, annotator
        )
        raise
    reader.raise_if_any()


def submit_labels(
    client: "LabelStudio",
    workspace: Workspace,
    annotator: str,
    labelled: Sequence[PassageLabels],
    progress: Progress,
    replace_different: bool = False,
) -> tuple[int, int]:
    """Submit labels as annotations of `annotator`. Returns how many were entered and how many were there already.

    A passage that the annotator has labelled differently is an error, unless `replace_different`.
    """
    for entry in labelled:
        check_storable(exports.to_regions(entry), f"{annotator}: {entry.passage_id}")
    with write_lock():
        project = find_project_id(client, workspace.label_set, annotator)
        run = _Enter(client, project, workspace, annotator, labelled, progress, replace_different)
        for _ in range(ROUNDS):
            if retry(client, run.round):
                return run.entered, len(labelled) - run.entered
        raise ServerError("Somebody else changes the labels all the time. Run the same command again when it ends.")


class _Enter:
    """One enter. Each round reads back what is there, and says whether nothing is left to look at again."""

    def __init__(
        self,
        client: "LabelStudio",
        project: int,
        workspace: Workspace,
        annotator: str,
        labelled: Sequence[PassageLabels],
        progress: Progress,
        replace_different: bool,
    ) -> None:
        self.client, self.project, self.workspace = client, project, workspace
        self.annotator, self.labelled, self.progress = annotator, labelled, progress
        self.replace_different = replace_different
        self.first = True
        self.entered = 0

    def round(self) -> bool:
        users = _user_ids(self.client)
        if self.annotator not in users:
            raise ServerError(
                f"The server has no account {accounts.find_login(self.annotator, address.remote_url())}. "
                f"Type: jinbench annotate push --annotator {self.annotator}"
            )
        tasks: dict[str, int] = {}
        own: dict[str, int] = {}
        doubles: list[tuple[int, Any]] = []
        number = 0

        def noted() -> Iterator[dict[str, Any]]:
            nonlocal number
            for task in _stream_tasks(self.client, self.project, users):
                submitted = [each for each in task["annotations"] if not each["was_cancelled"]]
                number += len(submitted)
                mine = sorted((e for e in submitted if e["completed_by"] == self.annotator), key=lambda e: e["id"])
                same = [each for each in mine[1:] if each["result"] == mine[0]["result"]]
                doubles.extend((each["id"], each["result"]) for each in same)
                task["annotations"] = [each for each in task["annotations"] if each not in same]
                id = task["data"].get("passage_id")
                tasks.setdefault(id, task["id"])
                if mine:
                    own[id] = mine[0]["id"]
                yield task

        read = _own_labels(noted(), self.project, self.workspace, self.annotator)
        there = {entry.passage_id: entry for entry in read}
        unpushed = [entry.passage_id for entry in self.labelled if entry.passage_id not in tasks]
        if unpushed:
            raise ServerError(
                f"{len(unpushed)} passages have no task in the project, {unpushed[0]} among them. "
                f"Type: jinbench annotate push --annotator {self.annotator}; "
                "what annotation/shares.csv gives to others leave out of the file."
            )
        missing = [entry for entry in self.labelled if entry.passage_id not in there]
        known = [entry for entry in self.labelled if entry.passage_id in there]
        different = [entry for entry in known if not entry.same_labels(there[entry.passage_id])]
        if different and not self.replace_different:
            raise ServerError(
                f"{self.annotator} has labelled {len(different)} of these passages differently on the server, "
                f"{different[0].passage_id} among them. Nothing was entered. To put the new labels in place of those: "
                "--replace"
            )
        if self.first:
            self.first, self.entered = False, len(missing) + len(different)
        for id, result in doubles:  # two enters at once
            self.remove(id, result)
        done = len(self.labelled) - len(missing) - len(different)
        self.progress(done)
        for entry in [*different, *missing]:
            self.submit(entry, own.get(entry.passage_id), tasks[entry.passage_id], users[self.annotator])
            done += 1
            self.progress(done)
        if not (doubles or different or missing):
            return True
        parameters = {"include": "total_annotations_number"}
        now = call(self.client, "GET", f"api/projects/{self.project}", params=parameters)
        return bool(now["total_annotations_number"] == number + len(missing) - len(doubles))

    def submit(self, entry: PassageLabels, annotation: int | None, task: int, user: int) -> None:
        """Put labels into the annotation that there is, or make one."""
        body: dict[str, Any] = {"result": exports.to_regions(entry)}
        if annotation is not None:
            call(self.client, "PATCH", f"api/annotations/{annotation}/", json=body)
            return
        body |= {"completed_by": user, "lead_time": entry.lead_time, "ground_truth": False, "was_cancelled": False}
        call(self.client, "POST", f"api/tasks/{task}/annotations/", json=body)

    def remove(self, annotation: int, result: Any) -> None:
        """Delete an annotation that says what another of the same account says, if it still does."""
        from label_studio_sdk.core.api_error import ApiError

        path = f"api/annotations/{annotation}/"
        try:
            if call(self.client, "GET", path)["result"] == result:
                delete_if_exists(self.client, path)
        except ApiError as error:
            if error.status_code != 404:  # gone already; the next round looks again
                raise
