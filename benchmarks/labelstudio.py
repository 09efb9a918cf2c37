"""Our push and pull against the server's own bulk calls and against the naive way: the same tasks in one run.

    python benchmarks/labelstudio.py                 # 5,000 tasks each way, memory at 1,000 and at 10,000

The tasks are passages of this benchmark over and over, each with a prediction; those that are pulled also have an
annotation. The server is a real one of the script's own, with SQLite. `ours` is what `annotate push` and `annotate
pull` call: everything read back or counted, every label checked. `bulk` is the server's own call, once, with nothing
checked: one import request, one GET of export?exportType=JSON. `naive` is one call of the SDK for each task, and
`tasks.list(fields='all')`; it is measured on the first FEW tasks and scaled. Every measurement is made in a process of
its own, on one core; printed are medians of seconds, and ratios.
"""

import itertools
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from measuring import Figures, in_a_process, medians, pin

from jinbench.annotation import exports
from jinbench.annotation.labels import LabelSet, read_label_set
from jinbench.annotation.workspace import Workspace
from jinbench.baselines.worker import peak_memory_mb
from jinbench.core.benchmark import Benchmark, packaged_benchmark
from jinbench.core.types import PassageLabels, Suggestion
from jinbench.labelstudio import annotations, projects
from jinbench.labelstudio.contents import TaskContents
from jinbench.labelstudio.labeling_config import build_labeling_config
from jinbench.labelstudio.push import push_passages
from jinbench.labelstudio.server import accounts, process
from jinbench.labelstudio.server.accounts import ensure_local_member
from jinbench.labelstudio.server.client import call, connect
from jinbench.seeds.articles import read_seeds

FEW = 150
MODEL = "tagger 1"
NAME = "annotator-a"
WAYS = ("ours", "bulk", "naive")


class Corpus:
    """`size` passages with labels and suggestions."""

    def __init__(self, size: int) -> None:
        packaged = packaged_benchmark()
        seeds, self.label_set = read_seeds(packaged), read_label_set(packaged)
        labels = {
            entry.passage_id: entry
            for entry in exports.read_export(exports.export_path(packaged, NAME), Workspace(packaged))
        }
        articles, self.labels, self.suggestions = [], [], {}
        for repetition in itertools.count():
            for article in seeds.articles:
                left = size - len(self.labels)
                id = f"{article.id}-{repetition}"
                new = [
                    replace(entry, id=f"{entry.id}-{repetition}", article_id=id) for entry in article.passages[:left]
                ]
                articles.append(replace(article, id=id, passages=tuple(new)))
                for old, passage in zip(article.passages, new, strict=False):
                    entry = replace(labels[old.id], passage_id=passage.id)
                    self.labels.append(entry)
                    probabilities = (0.5,) * len(entry.spans)
                    self.suggestions[passage.id] = Suggestion(entry.spans, probabilities, 0.5)
            if len(self.labels) == size:
                break
        self.seeds = replace(seeds, articles=tuple(article for article in articles if article.passages))

    def titled(self, title: str) -> LabelSet:
        return replace(self.label_set, title=title)

    def workspace(self, benchmark: Benchmark, title: str) -> Workspace:
        return Workspace.from_parts(benchmark, seeds=self.seeds, label_set=self.titled(title))

    def push(self, client: Any, benchmark: Benchmark, title: str, labels: list[PassageLabels] | None = None) -> int:
        contents = TaskContents(suggestions=self.suggestions, model_version=MODEL, labels=labels or ())
        return push_passages(client, self.workspace(benchmark, title), NAME, lambda done: None, contents).project

    def requests(self) -> list[dict[str, Any]]:
        """Return the tasks in the form of an import."""
        return [
            {
                "data": row,
                "predictions": [{
                    "model_version": MODEL, "score": 0.5,
                    "result": exports.to_suggested_regions(self.suggestions[row["passage_id"]]),
                }],
            }
            for row in projects.build_task_data(self.seeds)
        ]  # fmt: skip


def time_push(way: str, corpus: Corpus, client: Any, benchmark: Benchmark, title: str) -> float:
    """Return the seconds to push all tasks into a project of their own."""
    if way == "ours":
        return timed(lambda: corpus.push(client, benchmark, title))
    config = build_labeling_config(corpus.label_set)
    project = client.projects.create(title=title, label_config=config).id
    tasks = corpus.requests()
    if way == "bulk":
        return timed(lambda: call(client, "POST", f"api/projects/{project}/import", json=tasks))
    few: list[Any] = tasks[:FEW]

    def one_by_one() -> None:
        for task in few:
            client.projects.import_tasks(id=project, request=[task])

    return timed(one_by_one) * len(tasks) / len(few)


def time_pull(way: str, corpus: Corpus, client: Any, benchmark: Benchmark, title: str) -> float:
    """Return the seconds to pull all annotated tasks of a project."""
    label_set = corpus.titled(title)
    if way == "ours":
        return timed(lambda: annotations.pull_labels(client, corpus.workspace(benchmark, title), NAME))
    project = projects.find_project(client, projects.project_title(label_set, NAME))
    assert project is not None
    if way == "bulk":
        return timed(lambda: call(client, "GET", f"api/projects/{project.id}/export", params={"exportType": "JSON"}))

    def listed() -> None:
        few = list(itertools.islice(client.tasks.list(project=project.id, fields="all"), FEW))
        assert len(few) == FEW

    return timed(listed) * len(corpus.labels) / FEW


def timed(act: Callable[[], Any]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def measure(what: str, way: str, size: int, title: str) -> Figures:
    """Measure once, in this process."""
    pin()
    corpus = Corpus(size)
    with tempfile.TemporaryDirectory() as folder:
        benchmark, client = Benchmark(Path(folder)), connect()
        call(client, "GET", "api/users/")  # the token is fetched, and everything imported
        if what == "make":
            corpus.push(client, benchmark, title, corpus.labels)
            return {"seconds": 0}
        before = peak_memory_mb()
        seconds = (time_push if what == "push" else time_pull)(way, corpus, client, benchmark, title)
        return {"seconds": seconds, "extra_mb": peak_memory_mb() - before}


def main(
    size: Annotated[int, typer.Option(min=FEW, help="Tasks each way.")] = 5000,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each.")] = 3,
    memory: Annotated[bool, typer.Option(help="Also the client's memory at 1,000 and at 10,000 tasks.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="All figures as one line of JSON.")] = False,
    only: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Our push and pull, the server's bulk calls, and the naive way."""
    if only:
        what, way, number, title = only.split(",")
        print(json.dumps(measure(what, way, int(number), title)))
        return

    def run(what: str, way: str, number: int, title: str) -> Figures:
        typer.echo(f"{what} {number} {way}", err=True)
        return in_a_process(__file__, ["--only", f"{what},{way},{number},{title}"])

    with tempfile.TemporaryDirectory(prefix="jinbench-speed-") as name, accounts.use_home(name):
        server = process.start_server(port=0, say=lambda text: typer.echo(text, err=True))
        try:
            ensure_local_member(server.url, NAME)
            run("make", "ours", size, "made")
            runs_of: dict[str, dict[str, list[Figures]]] = {
                what: {way: [] for way in WAYS} for what in ("push", "pull")
            }
            for number in range(repeats):
                for way in WAYS if number % 2 == 0 else reversed(WAYS):
                    runs_of["push"][way].append(run("push", way, size, f"{way}-{number}"))
                    runs_of["pull"][way].append(run("pull", way, size, "made"))
            memory_mb: dict[str, dict[int, float]] = {"push": {}, "pull": {}}
            for many in (1000, 10_000) if memory else ():
                run("make", "ours", many, f"made-{many}")
                memory_mb["push"][many] = run("push", "ours", many, f"memory-{many}")["extra_mb"]
                memory_mb["pull"][many] = run("pull", "ours", many, f"made-{many}")["extra_mb"]
        finally:
            process.stop_server()
    table = {what: {way: medians(runs)["seconds"] for way, runs in ways.items()} for what, ways in runs_of.items()}
    if as_json:
        typer.echo(json.dumps({"medians": table, "runs": runs_of, "memory": memory_mb}))
        return
    typer.echo(f"| {size:,} tasks | ours / bulk | naive / ours | naive / bulk | extra MB, 1,000 → 10,000 |")
    typer.echo("|---|---|---|---|---|")
    for what, row in table.items():
        ratios = row["ours"] / row["bulk"], row["naive"] / row["ours"], row["naive"] / row["bulk"]
        extra = " → ".join(f"{value:.0f}" for value in memory_mb[what].values())
        typer.echo(f"| {what} | {ratios[0]:.2f} | {ratios[1]:.1f} | {ratios[2]:.1f} | {extra} |")


if __name__ == "__main__":
    typer.run(main)
