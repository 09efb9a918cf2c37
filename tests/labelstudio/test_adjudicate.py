"""Adjudication on a real server: labels side by side, agreement accepted, a reason for every decision."""

from typing import Any

import pytest

from jinbench.annotation import adjudication, exports
from jinbench.annotation.exports import read_labels
from jinbench.annotation.labels import read_label_set
from jinbench.annotation.workspace import Workspace
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.core.types import PassageLabels
from jinbench.labelstudio import adjudicate, annotations, labeling_config, projects
from jinbench.labelstudio.server import accounts, client, process
from jinbench.seeds import articles

pytestmark = pytest.mark.server

OPEN = {"a-L5", "b-L11", "c-L3"}


class AdjudicationProject:
    """The mini benchmark and the project of an adjudicator, whose name no other test uses."""

    def __init__(self, benchmark: Benchmark, server: process.Server, name: str) -> None:
        self.benchmark, self.name = benchmark, name
        path = benchmark.annotation / "annotators.toml"
        path.write_text(path.read_text().replace('"adjudicator"', f'"{name}"'))
        self.seeds, self.label_set = articles.read_seeds(benchmark), read_label_set(benchmark)
        committed = exports.export_path(benchmark, "adjudicator")
        self.decided = read_labels(committed, self.workspace, name)
        committed.unlink()
        self.client = client.connect()
        accounts.ensure_local_member(server.url, name)

    @property
    def workspace(self) -> Workspace:
        return Workspace.from_parts(self.benchmark, seeds=self.seeds, label_set=self.label_set)

    def push(self) -> adjudicate.Adjudication:
        return adjudicate.push_adjudication(self.client, self.workspace, self.name, lambda what, done, total: None)

    def submit(self, labels: list[PassageLabels]) -> None:
        annotations.submit_labels(self.client, self.workspace, self.name, labels, lambda done: None)

    def pull(self) -> tuple[int, int]:
        return annotations.pull_labels(self.client, self.workspace, self.name)

    def predictions(self) -> dict[tuple[str, str], list[Any]]:
        """Return the results by passage and model version."""
        project = projects.find_project(self.client, projects.project_title(self.label_set, self.name))
        assert project is not None
        ids = {int(tasks[0].id): id for id, tasks in projects.list_tasks_by_passage(self.client, project.id).items()}
        results: dict[tuple[str, str], list[Any]] = {}
        for prediction in self.client.predictions.list(project=project.id):
            results.setdefault((ids[int(prediction.task)], str(prediction.model_version)), []).append(prediction.result)
        return results


@pytest.fixture
def project(server: process.Server, mini: Benchmark, request: pytest.FixtureRequest) -> AdjudicationProject:
    return AdjudicationProject(mini, server, request.node.name.removeprefix("test_").replace("_", "-")[:24])


def test_from_two_annotators_to_a_gold_with_reasons(project: AdjudicationProject) -> None:
    done = project.push()
    assert {disagreement.passage_id for disagreement in done.to_decide} == OPEN
    assert (done.pushed.created, done.accepted) == (8, 5)
    assert set(done.urls) == OPEN
    tasks = projects.list_tasks_by_passage(project.client, done.pushed.project)
    assert done.urls["c-L3"].endswith(f"/projects/{done.pushed.project}/data?task={tasks['c-L3'][0].id}")
    project.pull()
    with pytest.raises(DataError, match="passage-unlabelled"):  # three still wait
        exports.read_export(exports.export_path(project.benchmark, project.name), project.workspace, required=True)
    project.submit([entry for entry in project.decided if entry.passage_id in OPEN])
    assert project.pull() == (8, 3)
    decisions = adjudication.check_decisions(project.workspace, project.name)
    assert [(disagreement.passage_id, disagreement.subject) for disagreement in decisions] == [
        ("a-L5", "3万平方米"), ("b-L11", "产业"), ("c-L3", "滦河"),
    ]  # fmt: skip
    assert all(disagreement.reason for disagreement in decisions)


def test_labels_are_shown_side_by_side(project: AdjudicationProject) -> None:
    listing = project.benchmark.annotators
    listing.write_text(listing.read_text().replace('kind = "test data"', 'kind = "<b>language model</b>"', 1))
    pushed = project.push().pushed
    tables = {
        id: str(tasks[0].data["disagreements"])
        for id, tasks in projects.list_tasks_by_passage(project.client, pushed.project).items()
    }
    assert {id for id, table in tables.items() if table} == OPEN
    heads = "<th>annotator-a<br>&lt;b&gt;language model&lt;/b&gt;</th><th>annotator-b<br>test data</th>"
    assert all(heads in tables[id] for id in OPEN)
    assert "<td>[3万平方米|数量]</td><td>[3万|数量]平方米</td>" in tables["a-L5"]
    assert "<td>产业</td><td>水利</td><td>其他</td>" in tables["b-L11"]
    predictions = project.predictions()
    assert set(predictions) == {
        (p.id, name) for p in project.seeds.passages() for name in ("annotator-a", "annotator-b", "agreed")
    }
    assert all(len(results) == 1 for results in predictions.values())
    texts = {
        name: [r["value"]["text"] for r in predictions["a-L5", name][0] if r["from_name"] != "sectors"]
        for _, name in predictions
    }
    assert "3万平方米" in texts["annotator-a"]
    assert "3万" in texts["annotator-b"]
    assert "3万平方米" not in texts["agreed"]
    assert "3万" not in texts["agreed"]
    assert ["3万平方米: "] in texts["agreed"]  # a reason that is begun
    config = str(project.client.projects.get(id=project.push().pushed.project).label_config)
    assert "TextArea" in config
    assert "TextArea" not in labeling_config.build_labeling_config(project.label_set)


def test_adjudicate_twice_changes_nothing(project: AdjudicationProject) -> None:
    project.push()
    before = project.predictions()
    again = project.push()
    assert (again.pushed.created, again.pushed.removed, again.accepted) == (0, 0, 0)
    assert project.predictions() == before


def test_skipped_passages_stay_skipped(project: AdjudicationProject) -> None:
    project_id = project.push().pushed.project
    task = projects.list_tasks_by_passage(project.client, project_id)["b-L5"][0]
    (annotation_,) = project.client.annotations.list(id=int(task.id))
    project.client.annotations.update(id=int(annotation_.id), was_cancelled=True)
    again = project.push()
    assert again.accepted == 0
    assert again.left == ["b-L5"]
    (task,) = projects.list_tasks_by_passage(project.client, project_id)["b-L5"]
    assert (task.total_annotations, task.cancelled_annotations) == (0, 1)


def test_decided_passages_are_no_longer_listed(project: AdjudicationProject) -> None:
    project.push()
    project.submit([entry for entry in project.decided if entry.passage_id == "a-L5"])
    assert {disagreement.passage_id for disagreement in project.push().to_decide} == OPEN - {"a-L5"}
    project.submit([entry for entry in project.decided if entry.passage_id in OPEN])
    assert project.push().to_decide == []


def test_corrected_labels_are_shown(project: AdjudicationProject) -> None:
    project.push()
    path = exports.export_path(project.benchmark, "annotator-b")
    labels = read_labels(path, project.workspace, "annotator-b")
    other = read_labels(exports.export_path(project.benchmark, "annotator-a"), project.workspace, "annotator-b")
    mended = [o if e.passage_id == "c-L3" else e for e, o in zip(labels, other, strict=True)]
    titles = {article.id: article.title for article in project.seeds.articles}
    path.write_text(files.dump_json(exports.to_export(mended, project.seeds.passages(), titles)))
    again = project.push()
    assert {disagreement.passage_id for disagreement in again.to_decide} == OPEN - {"c-L3"}
    assert again.accepted == 1
    predictions = project.predictions()
    assert predictions["c-L3", "annotator-b"] == predictions["c-L3", "annotator-a"]


def test_an_overruled_agreement_needs_a_reason_too(project: AdjudicationProject) -> None:
    project.push()
    project.submit([entry for entry in project.decided if entry.passage_id in OPEN])
    project.pull()
    path = project.benchmark.root / "overruled.jsonl"
    path.write_text('{"id": "b-L3", "marked": "调度员今年不再用电话。", "sectors": ["general"], "reasons": []}\n')
    entry = read_labels(path, project.workspace, project.name)
    annotations.submit_labels(project.client, project.workspace, project.name, entry, lambda done: None, True)
    project.pull()
    with pytest.raises(DataError, match="reason-missing") as caught:
        adjudication.check_decisions(project.workspace, project.name)
    assert "今年: …" in str(caught.value)
    assert project.push().accepted == 0  # and what was overruled is not accepted over it again
