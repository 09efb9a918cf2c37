"""Adjudication on a real server: both readings side by side, what agrees is accepted, and every decision has a why."""

from typing import Any

import pytest

from jinbench.annotation import adjudication, exports
from jinbench.annotation.exports import read_labels
from jinbench.annotation.labels import read_label_set
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.core.types import PassageLabels
from jinbench.labelstudio import adjudicate, annotations, labeling_config, projects
from jinbench.labelstudio.server import accounts, client, process
from jinbench.seeds import articles

pytestmark = pytest.mark.server

OPEN = {"a-L5", "b-L11", "c-L3"}


class Bench:
    """The three-page world and an adjudicator of a name that no other test has."""

    def __init__(self, benchmark: Benchmark, server: process.Server, name: str) -> None:
        self.where, self.name = benchmark, name
        listing = benchmark.annotation / "annotators.toml"
        listing.write_text(listing.read_text().replace('"adjudicator"', f'"{name}"'))
        self.seed, self.label_set = articles.read_seeds(benchmark), read_label_set(benchmark)
        committed = exports.export_path(benchmark, "adjudicator")
        self.decided = read_labels(committed, self.seed, self.label_set, name)
        committed.unlink()
        self.client = client.connect()
        accounts.ensure_local_member(server.url, name)

    def push(self) -> adjudicate.Adjudication:
        return adjudicate.push_adjudication(self.client, self.workspace, self.name, lambda what, done, total: None)

    def enter(self, labelled: list[PassageLabels]) -> None:
        annotations.submit_labels(self.client, self.workspace, self.name, labelled, lambda done: None)

    def pull(self) -> tuple[int, int]:
        return annotations.pull_labels(self.client, self.workspace, self.name)

    def predictions(self) -> dict[tuple[str, str], list[Any]]:
        """Results by passage and reading."""
        project = projects.find_project(self.client, projects.project_title(self.label_set, self.name))
        assert project is not None
        ids = {int(tasks[0].id): id for id, tasks in projects.list_tasks_by_passage(self.client, project.id).items()}
        found: dict[tuple[str, str], list[Any]] = {}
        for prediction in self.client.predictions.list(project=project.id):
            found.setdefault((ids[int(prediction.task)], str(prediction.model_version)), []).append(prediction.result)
        return found


@pytest.fixture
def bench(server: process.Server, mini: Benchmark, request: pytest.FixtureRequest) -> Bench:
    return Bench(mini, server, request.node.name.removeprefix("test_").replace("_", "-")[:24])


def test_from_two_readings_to_a_gold_with_reasons(bench: Bench) -> None:
    done = bench.push()
    assert {each.passage_id for each in done.to_decide} == OPEN
    assert (done.pushed.created, done.accepted) == (8, 5)
    assert set(done.urls) == OPEN
    tasks = projects.list_tasks_by_passage(bench.client, done.pushed.project)
    assert done.urls["c-L3"].endswith(f"/projects/{done.pushed.project}/data?task={tasks['c-L3'][0].id}")
    bench.pull()
    with pytest.raises(DataError, match="passage-unlabelled"):  # three still wait
        exports.read_export(
            exports.export_path(bench.where, bench.name), bench.seeds.passages(), bench.label_set, whole=True
        )
    bench.enter([entry for entry in bench.decided if entry.passage_id in OPEN])
    assert bench.pull() == (8, 3)
    found = adjudication.check_decisions(bench.workspace, bench.name)
    assert [(each.passage_id, each.subject) for each in found] == [
        ("a-L5", "3万平方米"), ("b-L11", "产业"), ("c-L3", "滦河"),
    ]  # fmt: skip
    assert all(each.reason for each in found)


def test_both_readings_stand_beside_each_other(bench: Bench) -> None:
    bench.push()
    shown = bench.predictions()
    assert set(shown) == {
        (p.id, name) for p in bench.seeds.passages() for name in ("annotator-a", "annotator-b", "agreed")
    }
    assert all(len(results) == 1 for results in shown.values())
    texts = {name: [r["value"]["text"] for r in shown["a-L5", name][0] if "text" in r["value"]] for _, name in shown}
    assert "3万平方米" in texts["annotator-a"]
    assert "3万" in texts["annotator-b"]
    assert not {"3万", "3万平方米"} & set(texts["agreed"])
    config = str(bench.client.projects.get(id=bench.push().pushed.project).label_config)
    assert "TextArea" in config
    assert "TextArea" not in labeling_config.build_labeling_config(bench.label_set)


def test_adjudicate_twice_changes_nothing(bench: Bench) -> None:
    bench.push()
    before = bench.predictions()
    again = bench.push()
    assert (again.pushed.created, again.pushed.removed, again.accepted) == (0, 0, 0)
    assert bench.predictions() == before


def test_what_the_adjudicator_skipped_stays_skipped(bench: Bench) -> None:
    project = bench.push().pushed.project
    task = projects.list_tasks_by_passage(bench.client, project)["b-L5"][0]
    (annotation_,) = bench.client.annotations.list(id=int(task.id))
    bench.client.annotations.update(id=int(annotation_.id), was_cancelled=True)
    again = bench.push()
    assert again.accepted == 0
    assert again.left == ["b-L5"]
    (task,) = projects.list_tasks_by_passage(bench.client, project)["b-L5"]
    assert (task.total_annotations, task.cancelled_annotations) == (0, 1)


def test_what_is_decided_is_no_longer_to_decide(bench: Bench) -> None:
    bench.push()
    bench.enter([entry for entry in bench.decided if entry.passage_id == "a-L5"])
    assert {each.passage_id for each in bench.push().to_decide} == OPEN - {"a-L5"}
    bench.enter([entry for entry in bench.decided if entry.passage_id in OPEN])
    assert bench.push().to_decide == []


def test_what_an_annotator_corrects_is_shown_corrected(bench: Bench) -> None:
    bench.push()
    path = exports.export_path(bench.where, "annotator-b")
    found = read_labels(path, bench.seeds, bench.label_set, "annotator-b")
    other = read_labels(exports.export_path(bench.where, "annotator-a"), bench.seeds, bench.label_set, "annotator-b")
    mended = [o if e.passage_id == "c-L3" else e for e, o in zip(found, other, strict=True)]
    titles = {article.id: article.title for article in bench.seeds.articles}
    path.write_text(files.dump_json(exports.to_export(mended, bench.seeds.passages(), titles)))
    again = bench.push()
    assert {each.passage_id for each in again.to_decide} == OPEN - {"c-L3"}
    assert again.accepted == 1
    shown = bench.predictions()
    assert shown["c-L3", "annotator-b"] == shown["c-L3", "annotator-a"]


def test_an_overruled_agreement_needs_a_reason_too(bench: Bench) -> None:
    bench.push()
    bench.enter([entry for entry in bench.decided if entry.passage_id in OPEN])
    bench.pull()
    path = bench.where.root / "overruled.jsonl"
    path.write_text('{"id": "b-L3", "marked": "调度员今年不再用电话。", "sectors": ["general"], "reasons": []}\n')
    entry = read_labels(path, bench.seeds, bench.label_set, bench.name)
    annotations.submit_labels(bench.client, bench.workspace, bench.name, entry, lambda done: None, True)
    bench.pull()
    with pytest.raises(DataError, match="reason-missing") as caught:
        adjudication.check_decisions(bench.workspace, bench.name)
    assert "今年: …" in str(caught.value)
    assert bench.push().accepted == 0  # and what was overruled is not accepted over it again
