"""Commands run under faults on the mini benchmark, and the invariants after each.

These are one task per passage, every annotation and every prediction once, one project, and an export that is whole or
as before.
"""

import json
import time
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from jinbench.annotation import exports
from jinbench.annotation.annotators import read_annotators
from jinbench.annotation.exports import read_labels
from jinbench.annotation.labels import read_label_set
from jinbench.annotation.workspace import Workspace
from jinbench.core import environment
from jinbench.core.errors import ServerError
from jinbench.core.types import Suggestion
from jinbench.labelstudio import adjudicate, annotations, projects
from jinbench.labelstudio.contents import TaskContents
from jinbench.labelstudio.push import push_passages
from jinbench.labelstudio.server import accounts, process
from jinbench.labelstudio.server.accounts import ensure_local_member
from jinbench.labelstudio.server.client import call, connect, export_tasks
from jinbench.seeds import articles
from tests.helpers.benchmarks import create_mini_benchmark

COMMANDS = ("push", "enter", "pull", "adjudicate")
MODEL = "tagger 1 abc"
AGREED = 5  # passages on which both annotators agree


def use_remote_server(url: str, token: str, home: Path) -> AbstractContextManager[None]:
    """Use the server at `url` as one that somebody else runs, with another home."""
    variables = {"LABEL_STUDIO_URL": url, "LABEL_STUDIO_API_KEY": token, "JINBENCH_HOME": str(home)}
    return environment.temporary_environment(variables)


class People:
    """An annotator and an adjudicator of the server, whose names no other test uses."""

    def __init__(self, server: process.Server) -> None:
        stamp = f"{time.time_ns():x}"
        self.names = {"annotator-a": f"a{stamp}", "adjudicator": f"z{stamp}"}
        for name in self.names.values():
            ensure_local_member(server.url, name)
        self.client = connect()
        self.token = str(accounts.accounts_by_name()[accounts.ADMIN].token)


class Trial:
    """One command of one person, in a benchmark and a project of its own."""

    def __init__(self, folder: Path, people: People, command: str) -> None:
        self.command, self.client, self.token = command, people.client, people.token
        stamp = f"{time.time_ns():x}"
        self.benchmark = create_mini_benchmark(folder / stamp)
        role = "adjudicator" if command == "adjudicate" else "annotator-a"
        self.name = people.names[role]
        path = self.benchmark.annotation / "labels.toml"
        path.write_text(path.read_text().replace('title = "Mini"', f'title = "{stamp}"'))
        self.seeds, self.label_set = articles.read_seeds(self.benchmark), read_label_set(self.benchmark)
        self.labels = read_labels(exports.export_path(self.benchmark, role), self.workspace, self.name)
        path = self.benchmark.annotation / "annotators.toml"
        path.write_text(path.read_text().replace(f'"{role}"', f'"{self.name}"'))
        if command == "push":
            exports.export_path(self.benchmark, role).unlink()
        self.path = exports.export_path(self.benchmark, self.name)
        self.suggestions = {
            entry.passage_id: Suggestion(entry.spans, (0.5,) * len(entry.spans), 0.25) for entry in self.labels
        }
        if command in ("enter", "pull"):
            self.push(self.client)
        if command == "pull":
            self.enter(self.client)

    @property
    def workspace(self) -> Workspace:
        return Workspace.from_parts(self.benchmark, seeds=self.seeds, label_set=self.label_set)

    def push(self, client: Any) -> None:
        contents = TaskContents(suggestions=self.suggestions, model_version=MODEL)
        push_passages(client, self.workspace, self.name, lambda done: None, contents)

    def enter(self, client: Any) -> None:
        annotations.submit_labels(client, self.workspace, self.name, self.labels, lambda done: None)

    def run(self, client: Any) -> None:
        """Run the command, with its errors."""
        if self.command == "push":
            self.push(client)
        elif self.command == "enter":
            self.enter(client)
        elif self.command == "pull":
            annotations.pull_labels(client, self.workspace, self.name)
        else:
            adjudicate.push_adjudication(client, self.workspace, self.name, lambda *_: None)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "client": None}  # another process runs the command through a client of its own

    def run_through(self, url: str, home: str = "home") -> str | None:
        """Run the command by way of `url`, on a machine with this home. Returns its error message, if any."""
        with use_remote_server(url, self.token, self.benchmark.root / home):
            try:
                self.run(connect())
            except ServerError as error:
                return str(error)
        return None

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """The tasks of the project, as the server exports them."""
        title = projects.project_title(self.label_set, self.name)
        listed = [entry for entry in self.client.projects.list(title=title) if entry.title == title]  # by the SDK
        if not listed:
            return []
        assert len(listed) == 1, f"{len(listed)} projects"
        self.project = int(listed[0].id or 0)
        return list(export_tasks(self.client, self.project))

    def check(self) -> None:
        """Check the invariants after a command that succeeded. Raises AssertionError."""
        tasks = self.tasks
        texts = {passage.id: passage.text for passage in self.seeds.passages()}
        assert Counter(task["data"]["passage_id"] for task in tasks) == Counter(dict.fromkeys(texts, 1)), "tasks"
        assert all(task["data"]["text"] == texts[task["data"]["passage_id"]] for task in tasks), "texts"
        counts = Counter(len(task["annotations"]) for task in tasks)
        expected = {"push": {0: len(texts)}, "adjudicate": {0: len(texts) - AGREED, 1: AGREED}}
        assert counts == expected.get(self.command, {1: len(texts)}), f"annotations: {dict(counts)}"
        ids = {task["id"]: task["data"]["passage_id"] for task in tasks}
        predictions = call(self.client, "GET", "api/predictions", params={"project": self.project})
        names = [MODEL] if self.command != "adjudicate" else [*self.adjudicated(), adjudicate.AGREED]
        pairs = Counter((ids[entry["task"]], entry["model_version"]) for entry in predictions)
        assert pairs == Counter({(id, name): 1 for id in texts for name in names}), "predictions"
        if self.command in ("enter", "pull"):
            labelled = annotations.fetch_labels(self.client, self.workspace, self.name)
            assert all(a.same_labels(b) for a, b in zip(labelled, self.labels, strict=True)), "labels"
        if self.command == "pull":
            self.check_export(len(texts))

    def adjudicated(self) -> tuple[str, ...]:
        return read_annotators(self.benchmark).adjudicated_by(self.name)

    def check_export(self, *numbers: int) -> None:
        """Check that the export has one of these numbers of passages, or, with a zero, does not exist."""
        if not self.path.exists():
            assert 0 in numbers, "no export"
            return
        number = len(json.loads(self.path.read_text()))
        assert number in numbers, f"an export of {number} passages"
        exports.read_export(self.path, self.workspace, self.name)
