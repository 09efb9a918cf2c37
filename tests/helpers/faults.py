"""What is tried under faults, on the three-page world, and what must hold after each: one task per passage, every
annotation once, every prediction once, one project, and an export that is whole or as before."""

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
from jinbench.core import environment
from jinbench.core.errors import ServerError
from jinbench.core.types import Suggestion
from jinbench.labelstudio import adjudicate, annotations, projects
from jinbench.labelstudio import push as pushing
from jinbench.labelstudio.server import accounts, process
from jinbench.labelstudio.server.accounts import ensure_local_member
from jinbench.labelstudio.server.client import call, connect, export_tasks
from jinbench.seeds import articles
from tests.helpers.benchmarks import create_mini_benchmark

COMMANDS = ("push", "enter", "pull", "adjudicate")
MODEL = "tagger 1 abc"
AGREED = 5  # passages of the world on which both annotators agree


def reached_by(url: str, token: str, home: Path) -> AbstractContextManager[None]:
    """A server at `url` that somebody else runs, for a user with a home of their own."""
    own = {"LABEL_STUDIO_URL": url, "LABEL_STUDIO_API_KEY": token, "JINBENCH_HOME": str(home)}
    return environment.temporary_environment(own)


class People:
    """An annotator and an adjudicator of the server, with names of their own, for any number of trials."""

    def __init__(self, server: process.Server) -> None:
        stamp = f"{time.time_ns():x}"
        self.names = {"annotator-a": f"a{stamp}", "adjudicator": f"z{stamp}"}
        for name in self.names.values():
            ensure_local_member(server.url, name)
        self.client = connect()
        self.token = str(accounts.accounts_by_name()[accounts.ADMIN].token)


class Trial:
    """One command of one person, in a world and a project of its own."""

    def __init__(self, folder: Path, people: People, command: str) -> None:
        self.command, self.client, self.token = command, people.client, people.token
        stamp = f"{time.time_ns():x}"
        self.where = create_mini_benchmark(folder / stamp)
        role = "adjudicator" if command == "adjudicate" else "annotator-a"
        self.name = people.names[role]
        named = self.where.annotation / "labels.toml"
        named.write_text(named.read_text().replace('title = "Mini"', f'title = "{stamp}"'))
        self.seeds, self.label_set = articles.read_seeds(self.where), read_label_set(self.where)
        self.labels = read_labels(exports.export_path(self.where, role), self.seeds, self.label_set, self.name)
        listing = self.where.annotation / "annotators.toml"
        listing.write_text(listing.read_text().replace(f'"{role}"', f'"{self.name}"'))
        if command == "push":
            exports.export_path(self.where, role).unlink()
        self.path = exports.export_path(self.where, self.name)
        self.suggestions = {
            each.passage_id: Suggestion(each.spans, (0.5,) * len(each.spans), 0.25) for each in self.labels
        }
        if command in ("enter", "pull"):
            self.push(self.client)
        if command == "pull":
            self.enter(self.client)

    def push(self, client: Any) -> None:
        pushing.push_passages(client, self.workspace, self.name, lambda done: None,
                      suggestions=self.suggestions, model_version=MODEL)  # fmt: skip

    def enter(self, client: Any) -> None:
        annotations.submit_labels(client, self.workspace, self.name, self.labels, lambda done: None)

    def run(self, client: Any) -> None:
        """The command. Raises what it raises."""
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

    def through(self, url: str, home: str = "home") -> str | None:
        """The command by way of `url`, on a machine with this home. What the user is told if it fails."""
        with reached_by(url, self.token, self.where.root / home):
            try:
                self.run(connect())
            except ServerError as error:
                return str(error)
        return None

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """What the project holds, as the server exports it."""
        title = projects.project_title(self.label_set, self.name)
        found = [each for each in self.client.projects.list(title=title) if each.title == title]  # by the SDK
        if not found:
            return []
        assert len(found) == 1, f"{len(found)} projects"
        self.project = int(found[0].id or 0)
        return list(export_tasks(self.client, self.project))

    def check(self) -> None:
        """The invariants, when the command has got through. Raises AssertionError."""
        tasks = self.tasks
        texts = {passage.id: passage.text for passage in self.seeds.passages()}
        assert Counter(task["data"]["passage_id"] for task in tasks) == Counter(dict.fromkeys(texts, 1)), "tasks"
        assert all(task["data"]["text"] == texts[task["data"]["passage_id"]] for task in tasks), "texts"
        each = Counter(len(task["annotations"]) for task in tasks)
        wanted = {"push": {0: len(texts)}, "adjudicate": {0: len(texts) - AGREED, 1: AGREED}}
        assert each == wanted.get(self.command, {1: len(texts)}), f"annotations: {dict(each)}"
        ids = {task["id"]: task["data"]["passage_id"] for task in tasks}
        predictions = call(self.client, "GET", "api/predictions", params={"project": self.project})
        names = [MODEL] if self.command != "adjudicate" else [*self.between(), adjudicate.AGREED]
        found = Counter((ids[each["task"]], each["model_version"]) for each in predictions)
        assert found == Counter({(id, name): 1 for id in texts for name in names}), "predictions"
        if self.command in ("enter", "pull"):
            labelled = annotations.fetch_labels(self.client, self.workspace, self.name)
            assert all(a.same_labels(b) for a, b in zip(labelled, self.labels, strict=True)), "labels"
        if self.command == "pull":
            self.check_export(len(texts))

    def between(self) -> tuple[str, ...]:
        return read_annotators(self.where).adjudicated_by(self.name)

    def check_export(self, *numbers: int) -> None:
        """The export is there with one of these numbers of passages, or, with a zero, not there."""
        if not self.path.exists():
            assert 0 in numbers, "no export"
            return
        assert len(json.loads(self.path.read_text())) in numbers, "a broken export"
        exports.read_export(self.path, self.seeds.passages(), self.label_set, self.name)
