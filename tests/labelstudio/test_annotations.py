"""Push, enter and pull against the real server: safe to repeat, nothing dropped, nothing doubled."""

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
from jinbench.labelstudio import annotations, projects, push, transfer
from jinbench.labelstudio.server import accounts, client, process
from jinbench.labelstudio.server.client import call
from jinbench.labelstudio.transfer import transfer_labels
from jinbench.seeds.articles import read_seeds
from tests.helpers.labelstudio import AnnotationProject

pytestmark = pytest.mark.server


def test_push_twice(desk: AnnotationProject) -> None:
    assert desk.push().created == 8
    again = desk.push()
    assert (again.created, again.updated, again.unchanged, again.removed) == (0, 0, 8, 0)
    desk.assert_one_task_per_passage(annotations=0)


def test_the_project_shows_guidelines_and_context(desk: AnnotationProject) -> None:
    pushed = desk.push()
    project = desk.client.projects.get(id=pushed.project)
    assert project.show_instruction
    assert "<h1>指南</h1>" in (project.expert_instruction or "")
    assert "<script>" not in (project.expert_instruction or "")
    data = next(task.data for task in desk.tasks() if task.data["passage_id"] == "a-L8")
    assert (data["title"], data["before"][:3], data["after"]) == ("新码头昨天开工", "天津港", "")


def test_doubles_are_removed_and_annotated_ones_kept(desk: AnnotationProject) -> None:
    project = desk.push().project
    desk.enter(desk.labels())
    foreign: Any = {"data": {"text": "made by hand", "title": "", "before": "", "after": ""}}
    request: Any = [*({"data": row} for row in projects.build_task_data(desk.seeds)[:3]), foreign, foreign]
    desk.client.projects.import_tasks(id=project, request=request, request_options={"max_retries": 0})
    assert len(desk.tasks()) == 13
    assert desk.push().removed == 3
    tasks = desk.tasks()
    assert sum("passage_id" not in task.data for task in tasks) == 2  # what others made is left alone
    assert sorted(task.total_annotations for task in tasks) == [0, 0] + [1] * 8


def test_a_double_with_a_draft_is_kept(desk: AnnotationProject) -> None:
    """A listing shows nobody's drafts but one's own."""
    project = desk.push().project
    request: Any = [{"data": projects.build_task_data(desk.seeds)[0]}]
    desk.client.projects.import_tasks(id=project, request=request, request_options={"max_retries": 0})
    double = max(task.id for task in desk.tasks())
    call(desk.client, "POST", f"api/tasks/{double}/drafts", json={"result": []})
    assert projects.has_work(projects.list_tasks_by_passage(desk.client, project)[request[0]["data"]["passage_id"]][1])
    assert desk.push().removed == 1
    assert double in {task.id for task in desk.tasks()}


def test_a_double_with_the_same_labels_goes(desk: AnnotationProject) -> None:
    """Labels that went along with tasks whose import was answered by silence, and was sent again."""
    project = desk.push(labelled=desk.labels()).project
    desk.assert_one_task_per_passage(annotations=1)
    user = next(user.id for user in desk.client.users.list() if str(user.email).startswith(desk.annotator))
    entry = desk.labels()[0]
    data = next(row for row in projects.build_task_data(desk.seeds) if row["passage_id"] == entry.passage_id)
    work = {"result": exports.to_regions(entry), "completed_by": user, "ground_truth": False}
    path = f"api/projects/{project}/import"
    call(desk.client, "POST", path, json=[{"data": data, "annotations": [work]}])
    assert desk.push().removed == 1
    desk.assert_one_task_per_passage(annotations=1)
    call(desk.client, "POST", path, json=[{"data": data, "annotations": [work | {"result": []}]}])
    with pytest.raises(ServerError, match=f"2 tasks of passage {entry.passage_id} have been worked on"):
        desk.push()


def test_a_share(desk: AnnotationProject) -> None:
    """What is another's goes if nobody touched it; what stands around a passage stays."""
    ids = [passage.id for passage in desk.seeds.passages()]
    desk.push()
    desk.enter([entry for entry in desk.labels() if entry.passage_id == ids[0]])
    pushed = desk.push(share=ids[3:])
    assert (pushed.created, pushed.removed, pushed.unchanged) == (0, 2, 5)
    assert {task.data["passage_id"] for task in desk.tasks()} == {ids[0], *ids[3:]}
    wanted = {row["passage_id"]: row for row in projects.build_task_data(desk.seeds)}
    assert all(task.data == wanted[task.data["passage_id"]] for task in desk.tasks())
    assert desk.push(share=ids).created == 2


def test_suggestions_are_shown_once_and_renewed(desk: AnnotationProject) -> None:
    """Older ones of the same model are replaced; what others predict is left alone."""
    labelled = desk.labels()
    found = {entry.passage_id: Suggestion(entry.spans, (0.5,) * len(entry.spans), 0.25) for entry in labelled}

    def shown() -> Counter[tuple[str, float | None]]:
        each = call(desk.client, "GET", "api/predictions", params={"project": project})
        return Counter((prediction["model_version"], prediction["score"]) for prediction in each)

    project = desk.push(suggestions=found, model_version="tagger 1 abc").project
    assert shown() == {("tagger 1 abc", 0.25): 8}
    predictions = call(desk.client, "GET", "api/predictions", params={"project": project})
    scores = {region["score"] for prediction in predictions for region in prediction["result"]}
    assert scores == {0.5}
    foreign = {"task": desk.tasks()[0].id, "model_version": "somebody", "result": []}
    call(desk.client, "POST", "api/predictions/", json=foreign)
    desk.push(suggestions=found, model_version="tagger 1 abc")
    assert shown() == {("tagger 1 abc", 0.25): 8, ("somebody", None): 1}
    newer = dict(list(found.items())[:5])
    desk.push(suggestions=newer, model_version="tagger 2 def")
    assert shown() == {("tagger 2 def", 0.25): 5, ("somebody", None): 1}
    desk.push()
    assert shown() == {("tagger 2 def", 0.25): 5, ("somebody", None): 1}


def test_what_was_suggested_for_another_text_goes(desk: AnnotationProject) -> None:
    """It would mark other characters of the new one; also a push that suggests nothing takes it away."""
    first = next(desk.seeds.passages())
    span = Span(0, 2, "PLACE", first.text[:2])
    pushed = desk.push(suggestions={first.id: Suggestion((span,), (0.9,), 0.9)}, model_version="tagger 1")
    article = desk.seeds.articles[0]
    assert article.passages[0] == first
    changed = replace(article, passages=(replace(first, text=f"新{first.text}"), *article.passages[1:]))
    desk.seeds = replace(desk.seeds, articles=(changed, *desk.seeds.articles[1:]))
    assert len(call(desk.client, "GET", "api/predictions", params={"project": pushed.project})) == 1
    desk.push()
    assert call(desk.client, "GET", "api/predictions", params={"project": pushed.project}) == []


def test_a_server_that_gives_small_pages(desk: AnnotationProject) -> None:
    """TASK_API_PAGE_SIZE_MAX of whoever runs it: what a page leaves out is not missing."""

    def ask_for_less(request: Any) -> None:
        if request.url.path == "/api/tasks":
            request.url = request.url.copy_set_param("page_size", "3")

    desk.push()
    desk.client._client_wrapper.httpx_client.httpx_client.event_hooks["request"].append(ask_for_less)
    again = desk.push()
    assert (again.created, again.unchanged, again.removed) == (0, 8, 0)
    desk.assert_one_task_per_passage(annotations=0)


def test_a_task_with_a_strange_id_is_left_alone(desk: AnnotationProject) -> None:
    pushed = desk.push()
    data: Any = {**projects.build_task_data(desk.seeds)[0], "passage_id": ["a-L5"]}
    del data["text_sha256"]
    desk.client.tasks.create(project=pushed.project, data=data)
    assert desk.enter(desk.labels()) == (8, 0)
    assert desk.pull()[0] == 8


def test_labels_outside_the_share_move_too(desk: AnnotationProject) -> None:
    """Labelled, and then dealt anew: on another server they have to have tasks."""
    desk.push()
    desk.enter(desk.labels())
    desk.pull()
    projects.delete_if_exists(desk.client, f"api/projects/{desk.push().project}/")
    ids = [article.id for article in desk.seeds.articles]
    write_assignments(desk.where, {id: (desk.annotator if id == ids[0] else "annotator-b",) for id in ids})
    moved = transfer_labels(desk.client, desk.workspace, desk.annotator, lambda *a: None)
    assert (moved.pushed.created, moved.labelled) == (8, 8)
    assert len(annotations.fetch_labels(desk.client, desk.workspace, desk.annotator)) == 8


def test_labels_move_in_bulk_and_one_by_one(desk: AnnotationProject) -> None:
    labelled = desk.labels()
    ids = [entry.passage_id for entry in labelled]
    desk.push(share=ids[:3])
    pushed, entered = transfer.push_with_labels(desk.client, desk.workspace, desk.annotator, labelled[:6], lambda *_: None)
    assert (pushed.created, entered) == (5, 3)
    assert desk.pull() == (6, 6)
    assert annotations.fetch_labels(desk.client, desk.workspace, desk.annotator)[5].lead_time == labelled[5].lead_time


def test_doubles_of_two_enters_go(desk: AnnotationProject) -> None:
    desk.push()
    desk.enter(desk.labels())
    task = desk.tasks()[0]
    listing: Any = desk.client.annotations.list(id=task.id)
    again = {"result": listing[0].result, "completed_by": listing[0].completed_by, "ground_truth": False}
    call(desk.client, "POST", f"api/tasks/{task.id}/annotations/", json=again)
    with pytest.raises(DataError, match="annotated-twice"):
        desk.pull()
    assert desk.enter(desk.labels()) == (0, 8)
    desk.assert_one_task_per_passage(annotations=1)


def test_a_correction_has_a_time_of_its_own(desk: AnnotationProject) -> None:
    desk.push()
    desk.enter(desk.labels())
    desk.pull()
    path = exports.export_path(desk.where, desk.annotator)
    before = {t["data"]["passage_id"]: t["annotations"][0] for t in json.loads(path.read_text())}
    corrected = PassageLabels(desk.labels()[0].passage_id, desk.annotator, (), ("water",))
    desk.enter([corrected], replace=True)
    assert desk.pull() == (8, 1)
    for task in json.loads(path.read_text()):
        old, now = before[task["data"]["passage_id"]], task["annotations"][0]
        assert now["created_at"] == old["created_at"]
        assert (now["updated_at"] > old["updated_at"]) == (task["data"]["passage_id"] == corrected.passage_id)


def test_a_changed_title_updates_the_task(desk: AnnotationProject) -> None:
    desk.push()
    desk.enter(desk.labels())
    articles = desk.where.articles
    articles.write_text(articles.read_text().replace('"headline 10"', '"subheadline 10"'))
    desk.seeds = read_seeds(desk.where)
    assert desk.push().updated == 1
    desk.assert_one_task_per_passage(annotations=1)


def test_a_skipped_double_is_kept(desk: AnnotationProject) -> None:
    """To skip a task is work too."""
    project = desk.push().project
    request: Any = [{"data": projects.build_task_data(desk.seeds)[0]}]
    desk.client.projects.import_tasks(id=project, request=request, request_options={"max_retries": 0})
    double = max(task.id for task in desk.tasks())
    desk.client.annotations.create(id=double, result=[], was_cancelled=True)
    assert desk.push().removed == 1
    assert double in {task.id for task in desk.tasks()}


def test_what_another_account_labelled_is_not_dropped_in_silence(desk: AnnotationProject) -> None:
    desk.push()
    desk.client.annotations.create(id=desk.tasks()[0].id, result=[])  # as the administrator
    with pytest.raises(ServerError, match=r"admin \(1\)"):
        desk.pull()


def test_a_passage_that_is_no_more(desk: AnnotationProject) -> None:
    """Its task goes if nobody touched it; the others can still be pulled."""
    desk.push()
    desk.enter(desk.labels()[1:])
    articles = desk.where.articles
    articles.write_text(articles.read_text().replace('"body 5+7"', '"notice 5+7"'))
    desk.seeds = read_seeds(desk.where)
    pushed = desk.push()
    assert (pushed.removed, pushed.created) == (1, 0)
    assert desk.pull() == (7, 7)


def test_a_text_is_corrected_after_it_was_labelled(desk: AnnotationProject) -> None:
    """What the refused push advises works: delete the task, push, label the passage anew, pull."""
    desk.push()
    desk.enter(desk.labels())
    desk.pull()
    articles = desk.where.articles
    articles.write_text(articles.read_text().replace('right = "伴着"', 'right = "跟着"'))
    desk.seeds = read_seeds(desk.where)
    with pytest.raises(ServerError, match="c-L5"):
        desk.push()
    (task,) = (task for task in desk.tasks() if task.data["passage_id"] == "c-L5")
    desk.client.tasks.delete(id=str(task.id))
    assert desk.push().created == 1
    assert desk.pull() == (7, 0)


def test_a_changed_text_under_labels_is_refused(desk: AnnotationProject) -> None:
    desk.push()
    desk.enter(desk.labels())
    articles = desk.where.articles
    articles.write_text(articles.read_text().replace('right = "伴着"', 'right = "跟着"'))
    desk.seeds = read_seeds(desk.where)
    with pytest.raises(ServerError, match="c-L5"):
        desk.push()


def test_enter_and_pull(desk: AnnotationProject) -> None:
    desk.push()
    labelled = desk.labels()
    assert desk.enter(labelled) == (8, 0)
    assert desk.enter(labelled) == (0, 8)
    assert desk.pull() == (8, 8)
    path = exports.export_path(desk.where, desk.annotator)
    first = path.read_bytes()
    assert desk.pull() == (8, 0)
    assert path.read_bytes() == first
    found = exports.read_export(path, desk.seeds.passages(), desk.label_set, whole=True)
    assert [(entry.spans, entry.sectors) for entry in found] == [(entry.spans, entry.sectors) for entry in labelled]
    assert {entry.annotator for entry in found} == {desk.annotator}
    desk.assert_one_task_per_passage(annotations=1)


def test_a_pull_leaves_nothing_on_the_server(desk: AnnotationProject) -> None:
    """Label Studio keeps a copy of every export, and has no way to delete it."""
    project = desk.push().project
    desk.enter(desk.labels())
    desk.pull()
    kept = accounts.home() / "data" / "export"
    assert kept.is_dir()
    assert not list(kept.glob(f"project-{project}-at-*"))
    assert not list(desk.client.projects.exports.list(id=project))


def test_enter_does_not_overwrite(desk: AnnotationProject) -> None:
    desk.push()
    labelled = desk.labels()
    desk.enter(labelled)
    other = [PassageLabels(labelled[0].passage_id, desk.annotator, (), ("water",)), *labelled[1:]]
    with pytest.raises(ServerError, match="--replace"):
        desk.enter(other)
    assert annotations.fetch_labels(desk.client, desk.workspace, desk.annotator)[0].sectors == ("port",)
    assert desk.enter(other, replace=True) == (1, 7)
    assert annotations.fetch_labels(desk.client, desk.workspace, desk.annotator)[0].sectors == ("water",)
    desk.assert_one_task_per_passage(annotations=1)


def test_pull_checks_what_the_server_does_not(desk: AnnotationProject) -> None:
    """Label Studio takes any label and any offset."""
    desk.push()
    desk.enter(desk.labels())
    desk.pull()
    path = exports.export_path(desk.where, desk.annotator)
    before = path.read_bytes()
    task = next(task for task in desk.tasks() if task.data["passage_id"] == "b-L3")
    listing: Any = desk.client.annotations.list(id=task.id)
    value = {"start": 5, "end": 500, "text": "x", "labels": ["PLANET"]}
    result = [{"id": "x", "from_name": "entities", "to_name": "text", "type": "labels", "value": value}]
    desk.client.annotations.update(id=listing[0].id, result=result)
    with pytest.raises(DataError, match="unknown-label"):
        desk.pull()
    assert path.read_bytes() == before


def test_pull_does_not_forget(desk: AnnotationProject) -> None:
    """An annotation that is gone from the server is not silently dropped from the export."""
    desk.push()
    desk.enter(desk.labels())
    desk.pull()
    path = exports.export_path(desk.where, desk.annotator)
    before = path.read_bytes()
    desk.client.tasks.delete(id=str(desk.tasks()[0].id))
    with pytest.raises(ServerError, match="1 passages that"):
        desk.pull()
    assert path.read_bytes() == before
    desk.push()
    desk.enter(read_labels(path, desk.seeds, desk.label_set, desk.annotator))
    desk.pull()
    assert path.read_bytes() == before


def test_pull_without_a_project(desk: AnnotationProject) -> None:
    with pytest.raises(ServerError, match="jinbench annotate push"):
        desk.pull()


def test_a_refused_token_is_named(server: process.Server, mini: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", server.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0" * 40)
    with pytest.raises(ServerError, match="401"):
        push.push_passages(client.connect(), Workspace(mini), "x", lambda done: None)


def test_offsets_behind_wide_characters(desk: AnnotationProject) -> None:
    """𠮷 is one code point and two UTF-16 units."""
    desk.push()
    text = next(passage.text for passage in desk.seeds.passages() if passage.id == "b-L5")
    start = text.index("轮")
    markup = desk.where.root / "wide.jsonl"
    row = {"id": "b-L5", "marked": text.replace("受益", "[受益|PLACE]"), "sectors": ["port"]}
    markup.write_text(json.dumps(row, ensure_ascii=False))
    desk.enter(read_labels(markup, desk.seeds, desk.label_set, desk.annotator))
    (found,) = annotations.fetch_labels(desk.client, desk.workspace, desk.annotator)
    assert found.spans[0].surface == "受益"
    assert found.spans[0].start > start
