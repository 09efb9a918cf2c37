"""A benchmark and the project of one annotator on a real server."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from jinbench.annotation import exports
from jinbench.annotation.labels import read_label_set
from jinbench.annotation.workspace import Workspace
from jinbench.core.benchmark import Benchmark
from jinbench.core.types import PassageLabels
from jinbench.labelstudio import annotations, projects
from jinbench.labelstudio.contents import TaskContents
from jinbench.labelstudio.push import PushResult, push_passages
from jinbench.labelstudio.server import accounts, client, process
from jinbench.seeds.articles import read_seeds


def run_command(folder: Path, *arguments: str, code: int = 0) -> Any:
    """Run a jinbench command in a folder and return its output, parsed if it has --json."""
    done = subprocess.run(
        [sys.executable, "-m", "jinbench", *arguments], cwd=folder, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if "--json" in arguments and not code else done.stdout + done.stderr


class AnnotationProject:
    """A benchmark and the project of one annotator, whose name no other test uses."""

    def __init__(self, benchmark: Benchmark, server: process.Server, annotator: str) -> None:
        self.benchmark, self.annotator, self.server = benchmark, annotator, server
        self.seeds, self.label_set = read_seeds(benchmark), read_label_set(benchmark)
        self.client = client.connect()
        accounts.ensure_local_member(server.url, annotator)
        path = benchmark.annotators
        path.write_text(path.read_text().replace('"annotator-a"', f'"{annotator}"'))

    @property
    def workspace(self) -> Workspace:
        return Workspace.from_parts(self.benchmark, seeds=self.seeds, label_set=self.label_set)

    def push(self, **contents: Any) -> PushResult:
        """Push with :class:`TaskContents` of these arguments."""
        return push_passages(self.client, self.workspace, self.annotator, lambda done: None, TaskContents(**contents))

    def labels(self) -> list[PassageLabels]:
        """Read the labels of annotator-a in the name of this annotator."""
        path = exports.export_path(self.benchmark, "annotator-a")
        return exports.read_labels(path, self.workspace, self.annotator)

    def submit(self, labels: list[PassageLabels], replace: bool = False) -> tuple[int, int]:
        return annotations.submit_labels(
            self.client, self.workspace, self.annotator, labels, lambda done: None, replace
        )

    def pull(self) -> tuple[int, int]:
        return annotations.pull_labels(self.client, self.workspace, self.annotator)

    def tasks(self) -> list[Any]:
        """List the tasks through the SDK."""
        project = projects.find_project(self.client, projects.project_title(self.label_set, self.annotator))
        if project is None:
            return []
        listing: Any = self.client.tasks.list(
            project=project.id, fields="task_only", include="id,data,total_annotations"
        )
        return list(listing)

    def assert_one_task_per_passage(self, annotations: int) -> None:
        """Check that each passage has one task with its text and this number of annotations."""
        tasks = self.tasks()
        texts = {passage.id: passage.text for passage in self.seeds.passages()}
        assert Counter(task.data["passage_id"] for task in tasks) == Counter(dict.fromkeys(texts, 1))
        assert all(task.data["text"] == texts[task.data["passage_id"]] for task in tasks)
        assert [task.total_annotations for task in tasks] == [annotations] * len(texts)
