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
from jinbench.labelstudio import push as pushing
from jinbench.labelstudio.labeling_config import build_labeling_config
from jinbench.labelstudio.server import accounts, process
from jinbench.labelstudio.server.accounts import ensure_local_member
from jinbench.labelstudio.server.client import call, connect
from jinbench.seeds.articles import read_seeds

FEW = 150
MODEL = "tagger 1"
NAME = "annotator-a"
WAYS = ("ours", "bulk", "naive")


class World:
    """`size` passages, and what is labelled and suggested in each."""

    def __init__(self, size: int) -> None:
        own = packaged_benchmark()
        found, self.label_set = read_seeds(own), read_label_set(own)
        known = {
            each.passage_id: each
            for each in exports.read_export(exports.export_path(own, NAME), found.passages(), self.label_set)
        }
        articles, self.labels, self.suggestions = [], [], {}
        for round in itertools.count():
            for article in found.articles:
                left = size - len(self.labels)
                id = f"{article.id}-{round}"
                new = [replace(each, id=f"{each.id}-{round}", article_id=id) for each in article.passages[:left]]
                articles.append(replace(article, id=id, passages=tuple(new)))
                for old, passage in zip(article.passages, new, strict=False):
                    entry = replace(known[old.id], passage_id=passage.id)
                    self.labels.append(entry)
                    chances = (0.5,) * len(entry.spans)
                    self.suggestions[passage.id] = Suggestion(entry.spans, chances, 0.5)
            if len(self.labels) == size:
                break
        self.seeds = replace(found, articles=tuple(article for article in articles if article.passages))

    def titled(self, title: str) -> LabelSet:
        return replace(self.label_set, title=title)

    def workspace(self, benchmark: Benchmark, title: str) -> Workspace:
        return Workspace.from_parts(benchmark, seeds=self.seeds, label_set=self.titled(title))

    def push(self, client: Any, benchmark: Benchmark, title: str, labelled: list[PassageLabels] | None = None) -> int:
        return pushing.push_passages(
            client, self.workspace(benchmark, title), NAME, lambda done: None,
            suggestions=self.suggestions, model_version=MODEL, labelled=labelled or (),
        ).project  # fmt: skip

    def requests(self) -> list[dict[str, Any]]:
        """The tasks as an import takes them."""
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


def time_push(way: str, world: World, client: Any, benchmark: Benchmark, title: str) -> float:
    """Seconds for all tasks of the world into a project of their own."""
    if way == "ours":
        return timed(lambda: world.push(client, benchmark, title))
    config = build_labeling_config(world.label_set)
    project = client.projects.create(title=title, label_config=config).id
    tasks = world.requests()
    if way == "bulk":
        return timed(lambda: call(client, "POST", f"api/projects/{project}/import", json=tasks))
    few: list[Any] = tasks[:FEW]

    def one_by_one() -> None:
        for task in few:
            client.projects.import_tasks(id=project, request=[task])

    return timed(one_by_one) * len(tasks) / len(few)


def time_pull(way: str, world: World, client: Any, benchmark: Benchmark, title: str) -> float:
    """Seconds for all annotated tasks of a project that is there."""
    label_set = world.titled(title)
    if way == "ours":
        return timed(lambda: annotations.pull_labels(client, world.workspace(benchmark, title), NAME))
    project = projects.find_project(client, projects.project_title(label_set, NAME))
    assert project is not None
    if way == "bulk":
        return timed(lambda: call(client, "GET", f"api/projects/{project.id}/export", params={"exportType": "JSON"}))

    def listed() -> None:
        few = list(itertools.islice(client.tasks.list(project=project.id, fields="all"), FEW))
        assert len(few) == FEW

    return timed(listed) * len(world.labels) / FEW


def timed(act: Callable[[], Any]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def measure(what: str, way: str, size: int, title: str) -> Figures:
    """One measurement, in this process."""
    pin()
    world = World(size)
    with tempfile.TemporaryDirectory() as folder:
        where, client = Benchmark(Path(folder)), connect()
        call(client, "GET", "api/users/")  # the token is fetched, and everything imported
        if what == "make":
            world.push(client, where, title, world.labels)
            return {"seconds": 0}
        before = peak_memory_mb()
        seconds = (time_push if what == "push" else time_pull)(way, world, client, where, title)
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
            found: dict[str, dict[str, list[Figures]]] = {what: {way: [] for way in WAYS} for what in ("push", "pull")}
            for number in range(repeats):
                for way in WAYS if number % 2 == 0 else reversed(WAYS):
                    found["push"][way].append(run("push", way, size, f"{way}-{number}"))
                    found["pull"][way].append(run("pull", way, size, "made"))
            grown: dict[str, dict[int, float]] = {"push": {}, "pull": {}}
            for many in (1000, 10_000) if memory else ():
                run("make", "ours", many, f"made-{many}")
                grown["push"][many] = run("push", "ours", many, f"memory-{many}")["extra_mb"]
                grown["pull"][many] = run("pull", "ours", many, f"made-{many}")["extra_mb"]
        finally:
            process.stop_server()
    table = {what: {way: medians(runs)["seconds"] for way, runs in ways.items()} for what, ways in found.items()}
    if as_json:
        typer.echo(json.dumps({"medians": table, "runs": found, "memory": grown}))
        return
    typer.echo(f"| {size:,} tasks | ours / bulk | naive / ours | naive / bulk | extra MB, 1,000 → 10,000 |")
    typer.echo("|---|---|---|---|---|")
    for what, row in table.items():
        ratios = row["ours"] / row["bulk"], row["naive"] / row["ours"], row["naive"] / row["bulk"]
        extra = " → ".join(f"{value:.0f}" for value in grown[what].values())
        typer.echo(f"| {what} | {ratios[0]:.2f} | {ratios[1]:.1f} | {ratios[2]:.1f} | {extra} |")


if __name__ == "__main__":
    typer.run(main)
