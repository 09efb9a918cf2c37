"""Skip means one thing to every command: docs/labelstudio.md has it in a sentence."""

from typing import Any

import pytest

from jinbench.annotation import adjudication
from jinbench.core.errors import DataError
from jinbench.labelstudio import progress, suggest, transfer
from jinbench.labelstudio.server.client import call
from tests.helpers.labelstudio import AnnotationProject

pytestmark = pytest.mark.server


def test_a_skip_is_nobodys_answer(project: AnnotationProject) -> None:
    first, second, *others = project.labels()
    name, client = project.annotator, project.client

    def seen() -> Any:
        """Return what pull, status and suggest say: passages skipped, submitted and left, and those to label."""
        pulled, skipped = project.pull()[0], transfer.count_unfinished(client, project.workspace, name)[0]
        (person,) = progress.measure_progress(client, project.workspace, [name]).people
        assert (person.submitted, person.skipped) == (pulled, skipped)
        (tasks,) = suggest.suggest(client, project.workspace, [name], dry_run=True)
        return skipped, pulled, person.left, [id for id, _ in tasks.passages]

    project.push()
    project.submit(others[1:])
    for task in project.tasks():
        if task.data["passage_id"] in (first.passage_id, second.passage_id):
            body = {"result": [], "was_cancelled": True}
            call(client, "POST", f"api/tasks/{task.id}/annotations/", json=body)
    assert seen() == (2, 5, 1, [others[0].passage_id])
    project.submit([second, *others])
    assert seen() == (1, 7, 0, [])  # a submission counts beside a skip
    assert (project.push().unchanged, project.push().removed) == (8, 0)
    with pytest.raises(DataError) as caught:
        adjudication.labels_to_adjudicate(project.workspace, "adjudicator")
    assert [(p.code, p.location.split()[-1]) for p in caught.value.problems] == [
        ("passage-unlabelled", first.passage_id)
    ]
    project.submit([first])
    assert seen() == (0, 8, 0, [])
    adjudication.labels_to_adjudicate(project.workspace, "adjudicator")
