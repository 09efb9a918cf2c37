"""`annotate suggest` against a real Label Studio: who sees what, in which order, and that it can be repeated."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jinbench.annotation.gold import read_training_labels
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.labelstudio.server import accounts
from jinbench.labelstudio.server.accounts import log_in, open_session
from jinbench.labelstudio.suggest import OpenTasks, read_submitted_labels, suggest
from jinbench.labelstudio.suggester import FOLDS, suggester_version, train_suggester
from jinbench.models import active_learning
from tests.helpers.labelstudio import AnnotationProject, run_command
from tests.helpers.paths import ROOT

GUEST = """
[[annotator]]
name = "guest"
kind = "language model"
description = "nobody"
guidelines = "1.0.0"
date = 2026-11-22
"""


def renew(project: AnnotationProject, **options: Any) -> OpenTasks:
    (tasks,) = suggest(project.client, project.workspace, [project.annotator], **options)
    return tasks


def predictions(project: AnnotationProject, project_id: int) -> dict[int, Any]:
    """Return the predictions of a project by task: one each."""
    listed = list(project.client.predictions.list(project=project_id))
    by_task: dict[int, Any] = {entry.task: entry for entry in listed}
    assert len(by_task) == len(listed)
    return by_task


def next_passages(
    project: AnnotationProject, project_id: int, labels: dict[str, Any], most: int = 100
) -> list[tuple[str, list[Any]]]:
    """Return the passages with their predictions as the page gets them, each submitted before the next is asked for."""
    opened: list[tuple[str, list[Any]]] = []
    with open_session(project.server.url) as page:
        log_in(page, accounts.accounts_by_name()[project.annotator])
        while len(opened) < most and (answer := page.get(f"/api/projects/{project_id}/next")).status_code == 200:
            task = answer.json()
            opened.append((str(task["data"]["passage_id"]), task["predictions"]))
            project.submit([labels[opened[-1][0]]])
    return opened


@pytest.mark.server
def test_an_annotator_of_the_gold_gets_the_order_alone(project: AnnotationProject) -> None:
    project_id = project.push().project
    labels = {entry.passage_id: entry for entry in project.labels()}
    reading = [passage.id for passage in project.seeds.passages()]
    stored = read_training_labels(project.workspace)
    suggester = train_suggester(project.seeds.articles, stored, folds=FOLDS)
    expected = active_learning.order_by_confidence(suggester.suggest(project.seeds.passages()))
    assert expected != reading
    command = ("annotate", "suggest", "-a", project.annotator, "--json")
    (planned,) = run_command(project.benchmark.root, *command, "--dry-run")
    assert [row["passage_id"] for row in planned["passages"]] == expected
    assert predictions(project, project_id) == {}
    (first,) = run_command(project.benchmark.root, *command)
    assert (first["shown"], first["version"]) == (False, f"order {suggester.version}")
    sent = predictions(project, project_id)
    assert len(sent) == len(reading)
    assert all(entry.result == [] and entry.model_version == first["version"] for entry in sent.values())
    assert renew(project).version == first["version"]  # a second time nothing is sent
    assert {entry.id for entry in predictions(project, project_id).values()} == {entry.id for entry in sent.values()}
    assert project.push().unchanged == len(reading)  # a push leaves the order alone
    assert project.client.projects.get(id=project_id).model_version == first["version"]
    project.submit([labels[expected[0]]])
    opened = next_passages(project, project_id, labels, 3)
    assert opened == [(id, []) for id in expected[1:4]]
    left = renew(project, by_uncertainty=False)
    assert (left.version, [id for id, _ in left.passages]) == (None, [id for id in reading if id not in expected[:4]])
    assert predictions(project, project_id) == {}
    assert [id for id, _ in next_passages(project, project_id, labels)] == [id for id, _ in left.passages]
    assert renew(project).passages == ()
    assert project.pull()[0] == len(reading)


@pytest.mark.server
def test_suggestions_are_renewed_with_what_is_submitted(project: AnnotationProject) -> None:
    """Where nothing is labelled but by the annotator alone, and suggestions are asked for."""
    project_id = project.push().project
    labels = {entry.passage_id: entry for entry in project.labels()}
    for path in project.benchmark.exports.glob("*.json"):
        path.unlink()
    listed = project.benchmark.annotators  # other tests label as annotator-b on the same server
    listed.write_text(listed.read_text().replace('"annotator-b"', f'"{project.annotator}-b"'))
    with pytest.raises(DataError, match="passage-unlabelled"):
        renew(project, show=True)
    ids = list(labels)
    project.submit([labels[id] for id in ids[:2]])
    first = renew(project, show=True)
    assert first.shown
    project.submit([labels[id] for id in ids[2:4]])
    second = renew(project, show=True)
    submitted = read_submitted_labels(project.client, project.workspace, [project.annotator])
    assert sorted(entry.passage_id for entry in submitted) == sorted(ids[:4])
    assert second.version == suggester_version(project.seeds.articles, submitted, 0) != first.version
    own = train_suggester(project.seeds.articles, submitted, folds=0).suggest(project.seeds.passages())
    assert [id for id, _ in second.passages] == [
        id for id in active_learning.order_by_confidence(own) if id not in ids[:4]
    ]
    by_task = predictions(project, project_id)
    for task in project.tasks():
        if not task.total_annotations:
            entry, suggestion = by_task[task.id], own[task.data["passage_id"]]
            assert entry.model_version == second.version
            regions = [(r["value"]["start"], r["value"]["end"], r["score"]) for r in entry.result]
            assert regions == [
                (span.start, span.end, round(probability, 4))
                for span, probability in zip(suggestion.spans, suggestion.probabilities, strict=True)
            ]
    assert any(entry.result for entry in by_task.values())
    ((id, shown),) = next_passages(project, project_id, labels, 1)
    assert id == second.passages[0][0]
    assert [entry["model_version"] for entry in shown] == [second.version]
    hidden = renew(project)  # an independent pass after all: what was shown is taken back
    assert not hidden.shown
    assert all(entry.model_version == hidden.version for entry in predictions(project, project_id).values())


@pytest.mark.server
def test_suggest_repeats_until_ctrl_c(project: AnnotationProject) -> None:
    project.push()
    command = [sys.executable, "-m", "jinbench", "--root", str(project.benchmark.root), "annotate", "suggest"]
    process = subprocess.Popen(
        [*command, "-a", project.annotator, "--json", "--every", "1s"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    decoder, text, records = json.JSONDecoder(), "", []
    while len(records) < 2:
        text += process.stdout.readline()
        try:
            record, end = decoder.raw_decode(text)
        except json.JSONDecodeError:
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            continue
        records.append(record)
        text = text[end:].lstrip()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert (process.returncode, "Ended." in errors, "Traceback" in errors) == (0, True, False)
    assert records[0] == records[1]


def test_impossible_requests_are_refused(mini: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JINBENCH_HOME", str(tmp_path / "home"))  # where no server runs
    assert "expected a duration" in run_command(mini.root, "annotate", "suggest", "--every", "10", code=2)
    assert "jinbench annotate adjudicate" in run_command(mini.root, "annotate", "suggest", "-a", "adjudicator", code=1)
    mini.annotators.write_text(mini.annotators.read_text() + GUEST)
    assert "jinbench labelstudio start" in run_command(mini.root, "annotate", "suggest", "-a", "guest", code=3)
