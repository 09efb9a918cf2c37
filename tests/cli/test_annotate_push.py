"""`annotate push` and `status` on a real server: an empty folder, assignments, progress, agreement."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jinbench.annotation import agreement, exports
from jinbench.annotation.assignments import assigned_passages, read_assignments, write_assignments
from jinbench.annotation.exports import read_labels
from jinbench.annotation.workspace import Workspace
from jinbench.core.benchmark import Benchmark
from jinbench.core.types import PassageLabels, Span
from jinbench.labelstudio import annotations, labeling_config, progress, projects, push
from jinbench.labelstudio.server import accounts, process
from jinbench.labelstudio.server.client import connect
from jinbench.seeds import articles
from tests.helpers.labelstudio import AnnotationProject, run_command
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.server


def test_from_an_empty_folder_to_a_first_passage(server: process.Server, tmp_path: Path) -> None:
    """Nothing but what the command itself prints is needed. The browser's part is played by the same account."""
    output = run_command(tmp_path, "annotate", "push", "--annotators", "newcomer")
    assert "log in as newcomer@jinbench.localhost" in output
    assert "Label All Tasks" in output
    benchmark = Benchmark(tmp_path)
    assert len(list(articles.read_seeds(benchmark).passages())) == 4
    workspace = Workspace(benchmark)
    labeling_config.check_labeling_config(benchmark, workspace.label_set)
    client = connect()
    project = projects.find_project(client, projects.project_title(workspace.label_set, "newcomer"))
    assert project is not None
    assert f"/projects/{project.id}/data" in output
    text = next(articles.read_seeds(benchmark).passages()).text
    start = text.index("昨天")
    span = Span(start, start + 2, "DATE", "昨天")
    first = PassageLabels("example-L5", "newcomer", (span,), ("transport",))
    annotations.submit_labels(client, workspace, "newcomer", [first], lambda done: None)
    (person,) = run_command(tmp_path, "annotate", "status", "--json")["people"]
    assert (person["submitted"], person["left"], person["passages"]) == (1, 3, 4)
    run_command(tmp_path, "annotate", "pull")
    (result,) = exports.read_export(exports.export_path(benchmark, "newcomer"), Workspace(benchmark))
    assert (result.spans, result.sectors) == ((span,), ("transport",))


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    output = run_command(tmp_path, "annotate", "push", code=1)
    assert "folder-taken" in output
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--annotators", "a,b", "--overlap", "3"], "3 of 2 annotators"),
        (["--annotators", "a b"], "'a b'"),
        (["--annotators", ""], "''"),
        (["--annotators", "a."], "'a.'"),  # no mail address, so no login
        (["--annotators", "a..b"], "'a..b'"),
        (["--annotators", "a" * 31], "at most 30"),
        (["--annotators", "Admin"], "administrator"),
        (["--annotators", "Ann,ann"], "one login"),
        (["--annotators", "adjudicator,a"], "adjudicator"),
        (["--annotators", "anna,Anna"], "anna and Anna"),
        (["--annotators", "Annotator-A,b"], "annotator-a and Annotator-A"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    options: list[str], says: str, mini: Benchmark, server: process.Server
) -> None:
    before = mini.annotators.read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "jinbench", "--root", str(mini.root), "annotate", "push", *options],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (1, 2)
    assert says in done.stderr
    assert mini.annotators.read_bytes() == before
    assert not mini.assignments.exists()


@pytest.mark.parametrize(
    ("absent", "options", "says"),
    [
        (["opencc", "httpx"], [], "pip install 'jinbench[build,annotate]'"),
        (["opencc", "ijson", "sklearn"], ["--suggest"], "pip install 'jinbench[build,annotate,models]'"),
        (["markdown_it"], [], "pip install 'jinbench[annotate]'"),
        (["opencc", "httpx", "sklearn"], ["--dry-run"], "pip install 'jinbench[build]'"),
    ],
)
def test_all_missing_extras_are_named_at_once(absent: list[str], options: list[str], says: str, tmp_path: Path) -> None:
    for folder in ("seeds", "annotation"):
        shutil.copytree(ROOT / folder, tmp_path / "real" / folder)
    code = f"import sys; sys.modules |= dict.fromkeys({absent}); from jinbench.cli.app import main; main()"
    command = [sys.executable, "-c", code, "--root", str(tmp_path / "real"), "annotate", "push", *options]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"JINBENCH_HOME": str(tmp_path)})
    assert done.returncode == 1
    assert says in done.stderr


def test_guidelines_are_finished_before_anything_is_made(mini: Benchmark) -> None:
    mini.guidelines.write_text("# 指南\n\nTODO: 写下来\n")
    before = mini.annotators.read_bytes()
    assert "TODO: 写下来" in run_command(mini.root, "annotate", "push", "--annotators", "new", code=1)
    assert mini.annotators.read_bytes() == before


def test_a_team_of_three(mini: Benchmark, server: process.Server) -> None:
    names = ["ann-1", "ann-2", "ann-3"]
    options = ["annotate", "push", "--annotators", ",".join(names), "--kind", "test data"]
    planned = run_command(mini.root, *options, "--dry-run", "--json")
    assert not mini.assignments.exists()
    made = run_command(mini.root, *options, "--json")
    seed = articles.read_seeds(mini)
    dealt = read_assignments(mini, seed)
    assert all(len(having) == 2 for having in dealt.values())
    assert [project["created"] for project in made["projects"]] == [row["passages"] for row in planned["assignments"]]
    assert made["new"] == names
    client = connect()
    for project in made["projects"]:
        present = set(projects.list_tasks_by_passage(client, project["project"]))
        assert present == set(assigned_passages(dealt, seed, project["annotator"]) or [])
        assert project["created"] == len(present)
    again = run_command(mini.root, "annotate", "push", "--json")
    assert [(project["annotator"], project["created"]) for project in again["projects"]] == [
        (name, 0) for name in names
    ]
    assert again["new"] == []
    before = mini.annotators.read_bytes()
    late = run_command(mini.root, "annotate", "push", "--annotators", "ann-1,ann-4", code=2)
    assert "Nothing is left for ann-4" in " ".join(late.split())
    assert mini.annotators.read_bytes() == before
    pushed = run_command(mini.root, "annotate", "push", "-a", "ann-1", "--json")["projects"]
    assert [(project["annotator"], project["created"], project["removed"]) for project in pushed] == [("ann-1", 0, 0)]
    with mini.assignments.open() as file:
        assert {row["annotator"] for row in csv.DictReader(file)} == set(names)


def test_how_many_label_a_passage_is_as_dealt(mini: Benchmark) -> None:
    """An overlap that is asked for is dealt; what was dealt to more stays with them, and is said so."""
    plan = ["annotate", "push", "--dry-run"]
    assert "labelled by 2." in run_command(mini.root, *plan)
    once = run_command(mini.root, *plan, "--overlap", "1", "--json")
    whole = sum(len(passage.text) for passage in articles.read_seeds(mini).passages())
    assert sum(row["characters"] for row in once["assignments"]) == whole
    first, *_ = articles.read_seeds(mini).articles
    write_assignments(mini, {first.id: ("annotator-a", "annotator-b")})
    assert "labelled by 1 to 2." in run_command(mini.root, *plan, "--overlap", "1")


def test_whose_labels_the_gold_does_not_take(mini: Benchmark, server: process.Server) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jinbench", "--root", str(mini.root), "annotate", "push",
         "--kind", "test data", "--annotators", "annotator-a,unheard"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert "The gold (adjudicator) takes nothing from unheard: adjudicates" in done.stdout


def test_how_far_everybody_is(project: AnnotationProject) -> None:
    """Counts, speed and agreement are those of what was submitted; the worst type comes first."""
    other = f"{project.annotator}-b"
    listing = project.benchmark.annotators
    listing.write_text(listing.read_text().replace('"annotator-b"', f'"{other}"'))
    accounts.ensure_local_member(project.server.url, other)
    project.push()
    mine = project.labels()
    timed = [PassageLabels(e.passage_id, e.annotator, e.spans, e.sectors, lead_time=30.0) for e in mine[:5]]
    project.submit(timed)
    skipped = next(task for task in project.tasks() if task.data["passage_id"] == mine[5].passage_id)
    project.client.annotations.create(id=skipped.id, result=[], was_cancelled=True)
    push.push_passages(project.client, project.workspace, other, lambda done: None)
    theirs = read_labels(exports.export_path(project.benchmark, "annotator-b"), project.workspace, other)
    annotations.submit_labels(project.client, project.workspace, other, theirs, lambda done: None)
    result = progress.measure_progress(project.client, project.workspace, [project.annotator, other])
    first, second = result.people
    assert (first.submitted, first.skipped, first.left, first.passages) == (5, 1, 2, 8)
    assert (second.submitted, second.left, second.characters_per_minute) == (8, 0, None)
    lengths = sorted(len(p.text) for p in project.seeds.passages() if p.id in {e.passage_id for e in timed})
    assert first.characters_per_minute == lengths[2] * 2
    assert first.seconds_per_passage == 30
    (pair,) = result.pairs
    whole = agreement.measure_pair(project.workspace, timed, theirs, ("a", "b"))
    assert (pair.passages, pair.spans.micro) == (5, whole.strict.micro)
    differing = [cell.name for cell in whole.strict.labels if not cell.gold == cell.predicted == cell.correct]
    assert {drift.name for drift in result.type_disagreements} <= set(differing)


def test_a_label_that_cannot_be_used_is_named_and_the_rest_stands(project: AnnotationProject) -> None:
    project.push()
    project.submit(project.labels())
    value = {"start": 5, "end": 500, "text": "x", "labels": ["PLANET"]}
    result: Any = [{"id": "x", "from_name": "entities", "to_name": "text", "type": "labels", "value": value}]
    (annotation_, *_) = project.client.annotations.list(id=project.tasks()[0].id)
    project.client.annotations.update(id=int(annotation_.id), result=result)
    (person,) = progress.measure_progress(project.client, project.workspace, [project.annotator]).people
    assert person.submitted == 8
    assert len(person.problems) >= 1
    assert "unknown-label" in person.problems[0]


def test_suggestions_where_passages_are_labelled_once(mini: Benchmark, server: process.Server) -> None:
    """From the gold, but never from the labels of the same story; nobody's blind pass has any unless asked for."""
    once = run_command(mini.root, "annotate", "push", "--annotators", "once", "--kind", "test data", "--json")
    (project,) = once["projects"]
    assert project["suggestions"].startswith("tagger ")
    client = connect()
    result = list(client.predictions.list(project=project["project"]))
    assert {prediction.model_version for prediction in result} == {project["suggestions"]}
    assert len({prediction.task for prediction in result}) == len(result) == 8
    assert all(0 <= float(prediction.score or 0) <= 1 for prediction in result)
    assert client.projects.get(id=project["project"]).model_version == project["suggestions"]
    run_command(mini.root, "annotate", "push", "--json")
    assert len(list(client.predictions.list(project=project["project"]))) == 8
    twice = run_command(mini.root, "annotate", "push", "--annotators", "x,y", "--overlap", "2", "--dry-run", "--json")
    assert twice["overlap"] == 2
    mini.assignments.unlink()
    blind = run_command(
        mini.root, "annotate", "push", "--annotators", "blind-1,blind-2", "--kind", "test data", "--json"
    )
    assert not any(project["suggestions"] for project in blind["projects"])
    assert not [p for project in blind["projects"] for p in client.predictions.list(project=project["project"])]
    asked = run_command(mini.root, "annotate", "push", "--annotators", "blind-1,blind-2", "--suggest", "--json")
    assert all(list(client.predictions.list(project=project["project"])) for project in asked["projects"])


def test_a_blind_pass_does_not_keep_earlier_suggestions(mini: Benchmark, server: process.Server) -> None:
    once = run_command(mini.root, "annotate", "push", "--annotators", "kept-1,kept-2", "--overlap", "1", "--json")
    client = connect()
    assert any(list(client.predictions.list(project=project["project"])) for project in once["projects"])
    twice = run_command(mini.root, "annotate", "push", "--annotators", "kept-1,kept-2", "--overlap", "2", "--json")
    assert [project["project"] for project in twice["projects"]] == [project["project"] for project in once["projects"]]
    assert not any(list(client.predictions.list(project=project["project"])) for project in twice["projects"])
    assert not any(client.projects.get(id=project["project"]).model_version for project in twice["projects"])


def test_whoever_labels_for_the_gold_is_shown_nothing_by_default(mini: Benchmark, server: process.Server) -> None:
    made = run_command(mini.root, "annotate", "push", "--annotators", "annotator-a", "--overlap", "1", "--json")
    assert made["projects"][0]["suggestions"] is None


def test_a_foreign_label_is_listed_and_the_rest_stands(project: AnnotationProject) -> None:
    project.push()
    project.client.annotations.create(id=project.tasks()[0].id, result=[])  # as the administrator
    (person,) = progress.measure_progress(project.client, project.workspace, [project.annotator]).people
    assert "admin (1)" in person.problems[0]


def test_names_that_would_be_one_login(mini: Benchmark) -> None:
    text = mini.annotators.read_text().replace('name = "annotator-b"', 'name = "Annotator-A"')
    mini.annotators.write_text(text.replace('"annotator-a", "annotator-b"', '"annotator-a", "Annotator-A"'))
    assert "annotator-a and Annotator-A" in run_command(mini.root, "annotate", "push", "--dry-run", code=1)
