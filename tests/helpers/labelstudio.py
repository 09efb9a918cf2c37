"""A desk to test at: a benchmark and the project of one annotator on a real server."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from jinbench.annotation import exports
from jinbench.annotation.exports import read_labels
from jinbench.annotation.labels import read_label_set
from jinbench.annotation.workspace import Workspace
from jinbench.core.benchmark import Benchmark
from jinbench.core.types import PassageLabels
from jinbench.labelstudio import annotations as annotation
from jinbench.labelstudio import projects
from jinbench.labelstudio import push as pushing
from jinbench.labelstudio.server import accounts, client, process
from jinbench.seeds import articles


def run_command(folder: Path, *arguments: str, code: int = 0) -> Any:
    """What a command says, as typed in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "jinbench", *arguments], cwd=folder, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if "--json" in arguments and not code else done.stdout + done.stderr


class AnnotationProject:
    """A benchmark and the project of one annotator, of a name that no other test has."""

    def __init__(self, benchmark: Benchmark, server: process.Server, annotator: str) -> None:
        self.where, self.annotator, self.server = benchmark, annotator, server
        self.seeds, self.label_set = articles.read_seeds(benchmark), read_label_set(benchmark)
        self.client = client.connect()
        accounts.ensure_local_member(server.url, annotator)
        listing = benchmark.annotation / "annotators.toml"
        listing.write_text(listing.read_text().replace('"annotator-a"', f'"{annotator}"'))

    @property
    def workspace(self) -> Workspace:
        return Workspace.from_parts(self.where, seeds=self.seeds, label_set=self.label_set)

    def push(self, **options: Any) -> pushing.PushResult:
        return pushing.push_passages(self.client, self.workspace, self.annotator, lambda done: None, **options)

    def labels(self) -> list[PassageLabels]:
        path = exports.export_path(self.where, "annotator-a")
        return read_labels(path, self.seeds, self.label_set, self.annotator)

    def enter(self, labelled: list[PassageLabels], replace: bool = False) -> tuple[int, int]:
        return annotation.submit_labels(self.client, self.workspace, self.annotator, labelled, lambda done: None, replace)

    def pull(self) -> tuple[int, int]:
        return annotation.pull_labels(self.client, self.workspace, self.annotator)

    def tasks(self) -> list[Any]:
        project = projects.find_project(self.client, projects.project_title(self.label_set, self.annotator))
        if project is None:
            return []
        listing: Any = self.client.tasks.list(
            project=project.id, fields="task_only", include="id,data,total_annotations"
        )
        return list(listing)

    def assert_one_task_per_passage(self, annotations: int) -> None:
        tasks = self.tasks()
        wanted = {passage.id: passage.text for passage in self.seeds.passages()}
        assert Counter(task.data["passage_id"] for task in tasks) == Counter(dict.fromkeys(wanted, 1))
        assert all(task.data["text"] == wanted[task.data["passage_id"]] for task in tasks)
        assert [task.total_annotations for task in tasks] == [annotations] * len(wanted)
