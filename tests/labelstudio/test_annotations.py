"""Push, submit and pull against the real server: safe to repeat, nothing lost, nothing duplicated."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from jinbench.annotation import exports
from jinbench.annotation.assignments import write_assignments
from jinbench.annotation.exports import read_labels
from jinbench.annotation.workspace import Workspace
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, ServerError
from jinbench.core.types import PassageLabels, Span, Suggestion
from jinbench.labelstudio import annotations, projects
from jinbench.labelstudio.push import push_passages
from jinbench.labelstudio.server import accounts, client, process
from jinbench.labelstudio.server.client import call
from jinbench.labelstudio.transfer import transfer_labels
from jinbench.seeds.articles import read_seeds
from tests.helpers.labelstudio import AnnotationProject

pytestmark = pytest.mark.server


def test_push_twice(project: AnnotationProject) -> None:
    assert project.push().created == 8
    again = project.push()
    assert (again.created, again.updated, again.unchanged, again.removed) == (0, 0, 8, 0)
    project.assert_one_task_per_passage(annotations=0)


def test_the_project_shows_guidelines_and_context(project: AnnotationProject) -> None:
    pushed = project.push()
    settings = project.client.projects.get(id=pushed.project)
    assert settings.show_instruction
    assert "<h1>指南</h1>" in (settings.expert_instruction or "")
    assert "<script>" not in (settings.expert_instruction or "")
    data = next(task.data for task in project.tasks() if task.data["passage_id"] == "a-L8")
    assert (data["title"], data["before"][:3], data["after"]) == ("新码头昨天开工", "天津港", "")


def test_duplicates_are_removed_except_annotated_ones(project: AnnotationProject) -> None:
    project_id = project.push().project
    project.submit(project.labels())
    foreign: Any = {"data": {"text": "made by hand", "title": "", "before": "", "after": ""}}
    request: Any = [*({"data": row} for row in projects.build_task_data(project.seeds)[:3]), foreign, foreign]
    project.client.projects.import_tasks(id=project_id, request=request, request_options={"max_retries": 0})
    assert len(project.tasks()) == 13
    assert project.push().removed == 3
    tasks = project.tasks()
    assert sum("passage_id" not in task.data for task in tasks) == 2  # what others made is left alone
    assert sorted(task.total_annotations for task in tasks) == [0, 0] + [1] * 8


def test_a_duplicate_with_a_draft_stays(project: AnnotationProject) -> None:
    """A listing shows nobody's drafts but one's own."""
    project_id = project.push().project
    request: Any = [{"data": projects.build_task_data(project.seeds)[0]}]
    project.client.projects.import_tasks(id=project_id, request=request, request_options={"max_retries": 0})
    double = max(task.id for task in project.tasks())
    call(project.client, "POST", f"api/tasks/{double}/drafts", json={"result": []})
    assert projects.has_work(
        projects.list_tasks_by_passage(project.client, project_id)[request[0]["data"]["passage_id"]][1]
    )
    assert project.push().removed == 1
    assert double in {task.id for task in project.tasks()}


def test_a_duplicate_with_the_same_labels_is_removed(project: AnnotationProject) -> None:
    """Labels that went along with tasks whose import was answered by silence, and was sent again."""
    project_id = project.push(labels=project.labels()).project
    project.assert_one_task_per_passage(annotations=1)
    user = next(user.id for user in project.client.users.list() if str(user.email).startswith(project.annotator))
    entry = project.labels()[0]
    data = next(row for row in projects.build_task_data(project.seeds) if row["passage_id"] == entry.passage_id)
    work = {"result": exports.to_regions(entry), "completed_by": user, "ground_truth": False}
    path = f"api/projects/{project_id}/import"
    call(project.client, "POST", path, json=[{"data": data, "annotations": [work]}])
    assert project.push().removed == 1
    project.assert_one_task_per_passage(annotations=1)
    call(project.client, "POST", path, json=[{"data": data, "annotations": [work | {"result": []}]}])
    with pytest.raises(ServerError, match=f"2 tasks of passage {entry.passage_id} have been worked on"):
        project.push()


def test_only_assigned_passages_are_pushed(project: AnnotationProject) -> None:
    """Tasks of others are deleted if nobody worked on them; the context of a passage stays the same."""
    ids = [passage.id for passage in project.seeds.passages()]
    project.push()
    project.submit([entry for entry in project.labels() if entry.passage_id == ids[0]])
    pushed = project.push(passage_ids=ids[3:])
    assert (pushed.created, pushed.removed, pushed.unchanged) == (0, 2, 5)
    assert {task.data["passage_id"] for task in project.tasks()} == {ids[0], *ids[3:]}
    wanted = {row["passage_id"]: row for row in projects.build_task_data(project.seeds)}
    assert all(task.data == wanted[task.data["passage_id"]] for task in project.tasks())
    assert project.push(passage_ids=ids).created == 2


def test_suggestions_are_shown_once_and_renewed(project: AnnotationProject) -> None:
    """Older ones of the same model are replaced; what others predict is left alone."""
    labels = project.labels()
    suggestions = {entry.passage_id: Suggestion(entry.spans, (0.5,) * len(entry.spans), 0.25) for entry in labels}

    def count_predictions() -> Counter[tuple[str, float | None]]:
        predictions = call(project.client, "GET", "api/predictions", params={"project": project_id})
        return Counter((prediction["model_version"], prediction["score"]) for prediction in predictions)

    project_id = project.push(suggestions=suggestions, model_version="tagger 1 abc").project
    assert count_predictions() == {("tagger 1 abc", 0.25): 8}
    predictions = call(project.client, "GET", "api/predictions", params={"project": project_id})
    scores = {region["score"] for prediction in predictions for region in prediction["result"]}
    assert scores == {0.5}
    foreign = {"task": project.tasks()[0].id, "model_version": "somebody", "result": []}
    call(project.client, "POST", "api/predictions/", json=foreign)
    project.push(suggestions=suggestions, model_version="tagger 1 abc")
    assert count_predictions() == {("tagger 1 abc", 0.25): 8, ("somebody", None): 1}
    newer = dict(list(suggestions.items())[:5])
    project.push(suggestions=newer, model_version="tagger 2 def")
    assert count_predictions() == {("tagger 2 def", 0.25): 5, ("somebody", None): 1}
    project.push()
    assert count_predictions() == {("tagger 2 def", 0.25): 5, ("somebody", None): 1}


def test_suggestions_for_an_old_text_are_removed(project: AnnotationProject) -> None:
    """It would mark other characters of the new one; also a push that suggests nothing takes it away."""
    first = next(project.seeds.passages())
    span = Span(0, 2, "PLACE", first.text[:2])
    pushed = project.push(suggestions={first.id: Suggestion((span,), (0.9,), 0.9)}, model_version="tagger 1")
    article = project.seeds.articles[0]
    assert article.passages[0] == first
    changed = replace(article, passages=(replace(first, text=f"新{first.text}"), *article.passages[1:]))
    project.seeds = replace(project.seeds, articles=(changed, *project.seeds.articles[1:]))
    assert len(call(project.client, "GET", "api/predictions", params={"project": pushed.project})) == 1
    project.push()
    assert call(project.client, "GET", "api/predictions", params={"project": pushed.project}) == []


def test_short_pages_of_a_listing_lose_no_task(project: AnnotationProject) -> None:
    """TASK_API_PAGE_SIZE_MAX of whoever runs it: what a page leaves out is not missing."""

    def ask_for_less(request: Any) -> None:
        if request.url.path == "/api/tasks":
            request.url = request.url.copy_set_param("page_size", "3")

    project.push()
    project.client._client_wrapper.httpx_client.httpx_client.event_hooks["request"].append(ask_for_less)
    again = project.push()
    assert (again.created, again.unchanged, again.removed) == (0, 8, 0)
    project.assert_one_task_per_passage(annotations=0)


def test_a_task_with_a_strange_id_is_left_alone(project: AnnotationProject) -> None:
    pushed = project.push()
    data: Any = {**projects.build_task_data(project.seeds)[0], "passage_id": ["a-L5"]}
    del data["text_sha256"]
    project.client.tasks.create(project=pushed.project, data=data)
    assert project.submit(project.labels()) == (8, 0)
    assert project.pull()[0] == 8


def test_unassigned_labels_are_transferred_too(project: AnnotationProject) -> None:
    """Labelled, and then dealt anew: on another server they have to have tasks."""
    project.push()
    project.submit(project.labels())
    project.pull()
    projects.delete_if_exists(project.client, f"api/projects/{project.push().project}/")
    ids = [article.id for article in project.seeds.articles]
    write_assignments(project.benchmark, {id: (project.annotator if id == ids[0] else "annotator-b",) for id in ids})
    pushed, labelled = transfer_labels(project.client, project.workspace, project.annotator, lambda *a: None)
    assert (pushed.created, labelled) == (8, 8)
    assert len(annotations.fetch_labels(project.client, project.workspace, project.annotator)) == 8


def test_labels_are_transferred_in_bulk_and_one_by_one(project: AnnotationProject) -> None:
    labels = project.labels()
    ids = [entry.passage_id for entry in labels]
    project.push(passage_ids=ids[:3])
    assert project.push(labels=labels[:6]).created == 5
    assert project.submit(labels[:6]) == (3, 3)
    assert project.pull() == (6, 6)
    assert (
        annotations.fetch_labels(project.client, project.workspace, project.annotator)[5].lead_time
        == labels[5].lead_time
    )


def test_duplicate_annotations_are_removed(project: AnnotationProject) -> None:
    project.push()
    project.submit(project.labels())
    task = project.tasks()[0]
    listing: Any = project.client.annotations.list(id=task.id)
    again = {"result": listing[0].result, "completed_by": listing[0].completed_by, "ground_truth": False}
    call(project.client, "POST", f"api/tasks/{task.id}/annotations/", json=again)
    with pytest.raises(DataError, match="annotated-twice"):
        project.pull()
    assert project.submit(project.labels()) == (0, 8)
    project.assert_one_task_per_passage(annotations=1)


def test_a_correction_has_a_time_of_its_own(project: AnnotationProject) -> None:
    project.push()
    project.submit(project.labels())
    project.pull()
    path = exports.export_path(project.benchmark, project.annotator)
    before = {t["data"]["passage_id"]: t["annotations"][0] for t in json.loads(path.read_text())}
    corrected = PassageLabels(project.labels()[0].passage_id, project.annotator, (), ("water",))
    project.submit([corrected], replace=True)
    assert project.pull() == (8, 1)
    for task in json.loads(path.read_text()):
        old, now = before[task["data"]["passage_id"]], task["annotations"][0]
        assert now["created_at"] == old["created_at"]
        assert (now["updated_at"] > old["updated_at"]) == (task["data"]["passage_id"] == corrected.passage_id)


def test_a_changed_title_updates_the_task(project: AnnotationProject) -> None:
    project.push()
    project.submit(project.labels())
    articles = project.benchmark.articles
    articles.write_text(articles.read_text().replace('"headline 10"', '"subheadline 10"'))
    project.seeds = read_seeds(project.benchmark)
    assert project.push().updated == 1
    project.assert_one_task_per_passage(annotations=1)


def test_a_skipped_duplicate_stays(project: AnnotationProject) -> None:
    """To skip a task is work too."""
    project_id = project.push().project
    request: Any = [{"data": projects.build_task_data(project.seeds)[0]}]
    project.client.projects.import_tasks(id=project_id, request=request, request_options={"max_retries": 0})
    double = max(task.id for task in project.tasks())
    project.client.annotations.create(id=double, result=[], was_cancelled=True)
    assert project.push().removed == 1
    assert double in {task.id for task in project.tasks()}


def test_labels_of_another_account_are_an_error(project: AnnotationProject) -> None:
    project.push()
    project.client.annotations.create(id=project.tasks()[0].id, result=[])  # as the administrator
    with pytest.raises(ServerError, match=r"admin \(1\)"):
        project.pull()


def test_the_task_of_a_removed_passage_is_deleted(project: AnnotationProject) -> None:
    """Its task goes if nobody touched it; the others can still be pulled."""
    project.push()
    project.submit(project.labels()[1:])
    articles = project.benchmark.articles
    articles.write_text(articles.read_text().replace('"body 5+7"', '"notice 5+7"'))
    project.seeds = read_seeds(project.benchmark)
    pushed = project.push()
    assert (pushed.removed, pushed.created) == (1, 0)
    assert project.pull() == (7, 7)


def test_a_text_is_corrected_after_it_was_labelled(project: AnnotationProject) -> None:
    """The advice of the refused push works: delete the task, push, label the passage anew, pull."""
    project.push()
    project.submit(project.labels())
    project.pull()
    articles = project.benchmark.articles
    articles.write_text(articles.read_text().replace('right = "伴着"', 'right = "跟着"'))
    project.seeds = read_seeds(project.benchmark)
    with pytest.raises(ServerError, match="c-L5"):
        project.push()
    (task,) = (task for task in project.tasks() if task.data["passage_id"] == "c-L5")
    project.client.tasks.delete(id=str(task.id))
    assert project.push().created == 1
    assert project.pull() == (7, 0)


def test_a_changed_text_under_labels_is_refused(project: AnnotationProject) -> None:
    project.push()
    project.submit(project.labels())
    articles = project.benchmark.articles
    articles.write_text(articles.read_text().replace('right = "伴着"', 'right = "跟着"'))
    project.seeds = read_seeds(project.benchmark)
    with pytest.raises(ServerError, match="c-L5"):
        project.push()


def test_enter_and_pull(project: AnnotationProject) -> None:
    project.push()
    labels = project.labels()
    assert project.submit(labels) == (8, 0)
    assert project.submit(labels) == (0, 8)
    assert project.pull() == (8, 8)
    path = exports.export_path(project.benchmark, project.annotator)
    first = path.read_bytes()
    assert project.pull() == (8, 0)
    assert path.read_bytes() == first
    pulled = exports.read_export(path, project.workspace, required=True)
    assert [(entry.spans, entry.sectors) for entry in pulled] == [(entry.spans, entry.sectors) for entry in labels]
    assert {entry.annotator for entry in pulled} == {project.annotator}
    project.assert_one_task_per_passage(annotations=1)


def test_a_pull_leaves_nothing_on_the_server(project: AnnotationProject) -> None:
    """Label Studio keeps a copy of every export, and has no way to delete it."""
    project_id = project.push().project
    project.submit(project.labels())
    project.pull()
    folder = accounts.home() / "data" / "export"
    assert folder.is_dir()
    assert not list(folder.glob(f"project-{project_id}-at-*"))
    assert not list(project.client.projects.exports.list(id=project_id))


def test_enter_does_not_overwrite(project: AnnotationProject) -> None:
    project.push()
    labels = project.labels()
    project.submit(labels)
    other = [PassageLabels(labels[0].passage_id, project.annotator, (), ("water",)), *labels[1:]]
    with pytest.raises(ServerError, match="--replace"):
        project.submit(other)
    assert annotations.fetch_labels(project.client, project.workspace, project.annotator)[0].sectors == ("port",)
    assert project.submit(other, replace=True) == (1, 7)
    assert annotations.fetch_labels(project.client, project.workspace, project.annotator)[0].sectors == ("water",)
    project.assert_one_task_per_passage(annotations=1)


def test_pull_validates_labels(project: AnnotationProject) -> None:
    """Label Studio takes any label and any offset."""
    project.push()
    project.submit(project.labels())
    project.pull()
    path = exports.export_path(project.benchmark, project.annotator)
    before = path.read_bytes()
    task = next(task for task in project.tasks() if task.data["passage_id"] == "b-L3")
    listing: Any = project.client.annotations.list(id=task.id)
    value = {"start": 5, "end": 500, "text": "x", "labels": ["PLANET"]}
    result = [{"id": "x", "from_name": "entities", "to_name": "text", "type": "labels", "value": value}]
    project.client.annotations.update(id=listing[0].id, result=result)
    with pytest.raises(DataError, match="unknown-label"):
        project.pull()
    assert path.read_bytes() == before


def test_pull_refuses_to_lose_annotations(project: AnnotationProject) -> None:
    """An annotation that is gone from the server is not silently dropped from the export."""
    project.push()
    project.submit(project.labels())
    project.pull()
    path = exports.export_path(project.benchmark, project.annotator)
    before = path.read_bytes()
    project.client.tasks.delete(id=str(project.tasks()[0].id))
    with pytest.raises(ServerError, match="1 passages that"):
        project.pull()
    assert path.read_bytes() == before
    project.push()
    project.submit(read_labels(path, project.workspace, project.annotator))
    project.pull()
    assert path.read_bytes() == before


def test_pull_without_a_project(project: AnnotationProject) -> None:
    with pytest.raises(ServerError, match="jinbench annotate push"):
        project.pull()


def test_a_refused_token_is_reported(server: process.Server, mini: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", server.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0" * 40)
    with pytest.raises(ServerError, match="401"):
        push_passages(client.connect(), Workspace(mini), "x", lambda done: None)


def test_offsets_behind_wide_characters(project: AnnotationProject) -> None:
    """𠮷 is one code point and two UTF-16 units."""
    project.push()
    text = next(passage.text for passage in project.seeds.passages() if passage.id == "b-L5")
    start = text.index("轮")
    path = project.benchmark.root / "wide.jsonl"
    row = {"id": "b-L5", "marked": text.replace("受益", "[受益|PLACE]"), "sectors": ["port"]}
    path.write_text(json.dumps(row, ensure_ascii=False))
    project.submit(read_labels(path, project.workspace, project.annotator))
    (labels,) = annotations.fetch_labels(project.client, project.workspace, project.annotator)
    assert labels.spans[0].surface == "受益"
    assert labels.spans[0].start > start


def test_a_token_that_ends_in_mid_request_is_renewed(project: AnnotationProject) -> None:
    tokens = project.client._client_wrapper._tokens_client
    assert tokens.api_key
    ended = tokens._access_token
    tokens._access_token = f"{ended[:-4]}AAAA"  # to the client it has time left, to the server it is not valid
    assert project.push().created == 8
    assert tokens._access_token not in (None, ended, f"{ended[:-4]}AAAA")
