"""The real Label Studio server: started, killed, started again, and never a task or an annotation lost or doubled."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from jinbench import accounts, annotation, exports, labels, labelstudio, projects, seeds
from jinbench.problems import DataError, ServerError
from jinbench.records import Labels
from jinbench.rooms import Rooms
from tests.conftest import ROOT

pytestmark = pytest.mark.server


class Desk:
    """A benchmark and the project of one annotator, of a name that no other test has."""

    def __init__(self, where: Rooms, server: labelstudio.Server, annotator: str) -> None:
        self.where, self.annotator, self.server = where, annotator, server
        self.seed, self.label_set = seeds.read(where), labels.read(where)
        self.client = labelstudio.connect()
        labelstudio.member(server, annotator)
        listing = where.annotation / "annotators.toml"
        listing.write_text(listing.read_text().replace('name = "annotator-a"', f'name = "{annotator}"', 1))
        listing.write_text(listing.read_text().replace('gold = "annotator-a"', f'gold = "{annotator}"', 1))

    def push(self) -> projects.Pushed:
        return projects.push(self.client, self.where, self.seed, self.label_set, self.annotator, lambda done: None)

    def labels(self) -> list[Labels]:
        path = exports.path_of(self.where, "annotator-a")
        return annotation.read_labels(path, self.seed, self.label_set, self.annotator)

    def enter(self, labelled: list[Labels], replace: bool = False) -> tuple[int, int]:
        return annotation.enter(
            self.client, self.seed, self.label_set, self.annotator, labelled, lambda done: None, replace
        )

    def pull(self) -> tuple[int, int]:
        return annotation.pull(self.client, self.where, self.seed, self.label_set, self.annotator)

    def tasks(self) -> list[Any]:
        project = projects.find_project(self.client, projects.project_title(self.label_set, self.annotator))
        if project is None:
            return []
        listing: Any = self.client.tasks.list(
            project=project.id, fields="task_only", include="id,data,total_annotations"
        )
        return list(listing)

    def assert_one_task_per_passage(self, annotations: int) -> None:
        tasks = self.tasks()
        wanted = {passage.id: passage.text for passage in self.seed.passages()}
        assert Counter(task.data["passage_id"] for task in tasks) == Counter(dict.fromkeys(wanted, 1))
        assert all(task.data["text"] == wanted[task.data["passage_id"]] for task in tasks)
        assert [task.total_annotations for task in tasks] == [annotations] * len(wanted)


@pytest.fixture
def desk(server: labelstudio.Server, mini: Rooms, request: pytest.FixtureRequest) -> Desk:
    return Desk(mini, server, request.node.name.removeprefix("test_").replace("_", "-")[:24])


@pytest.fixture
def big_desk(server: labelstudio.Server, tmp_path: Path, request: pytest.FixtureRequest) -> Desk:
    """The real pages, in a copy."""
    for room in ("seeds", "annotation"):
        shutil.copytree(ROOT / room, tmp_path / "real" / room)
    return Desk(Rooms(tmp_path / "real"), server, request.node.name.removeprefix("test_").replace("_", "-")[:24])


# ---- the server -----------------------------------------------------------------------------------------------


def test_the_server_listens_on_loopback_alone(server: labelstudio.Server) -> None:
    listing = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(server.pid)], capture_output=True, text=True)
    assert "--internal-host 127.0.0.1" in listing.stdout
    assert "password" not in listing.stdout.lower()
    with socket.socket() as probe:
        probe.settimeout(2)
        own = socket.gethostbyname(socket.gethostname())
        if not own.startswith("127."):
            assert probe.connect_ex((own, server.port)) != 0


def test_passwords_and_tokens_are_their_owners_alone(server: labelstudio.Server, server_home: Path) -> None:
    kept = server_home / "accounts.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    admin = accounts.known()[accounts.ADMIN]
    assert admin.token
    log = (server_home / "server.log").read_text(errors="replace")
    assert admin.token not in log
    assert admin.password not in log


def test_sign_up_is_closed(server: labelstudio.Server) -> None:
    with httpx.Client(base_url=server.url, headers={"Referer": server.url}, trust_env=False) as http:
        http.get("/user/signup/")
        token = http.cookies.get("csrftoken") or ""
        data = {"email": "a@b.example", "password": "long enough 1", "csrfmiddlewaretoken": token}
        assert http.post("/user/signup/", data=data).status_code == 403


def test_starting_twice_is_starting_once(server: labelstudio.Server) -> None:
    assert labelstudio.start() == server
    assert labelstudio.running() == server


def test_a_taken_port_is_not_fought_over(server_home: Path) -> None:
    labelstudio.stop()
    with socket.socket() as taken:
        taken.bind((labelstudio.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = labelstudio.start(port=port)
        assert server.port != port
        assert labelstudio.running() == server


def test_stop_and_status(server: labelstudio.Server) -> None:
    assert labelstudio.stop()
    assert labelstudio.running() is None
    assert not labelstudio.stop()
    with pytest.raises(ServerError, match="jinbench labelstudio start"):
        labelstudio.connect()
    again = labelstudio.start()
    assert (again.pid != server.pid, again.port) == (True, server.port)


def test_a_member_can_log_in(server: labelstudio.Server) -> None:
    account = labelstudio.member(server, "somebody")
    assert labelstudio.member(server, "somebody") == account
    with labelstudio._session(server) as http:
        labelstudio._log_in(http, account)
        assert http.get("/api/current-user/whoami").json()["email"] == "somebody@jinbench.localhost"


# ---- push, enter, pull ----------------------------------------------------------------------------------------


def test_push_twice(desk: Desk) -> None:
    assert desk.push().created == 8
    again = desk.push()
    assert (again.created, again.updated, again.unchanged, again.removed) == (0, 0, 8, 0)
    desk.assert_one_task_per_passage(annotations=0)


def test_the_project_shows_guidelines_and_context(desk: Desk) -> None:
    pushed = desk.push()
    project = desk.client.projects.get(id=pushed.project)
    assert project.show_instruction
    assert "<h1>指南</h1>" in (project.expert_instruction or "")
    assert "<script>" not in (project.expert_instruction or "")
    data = next(task.data for task in desk.tasks() if task.data["passage_id"] == "a-L8")
    assert (data["title"], data["before"][:3], data["after"]) == ("新码头昨天开工", "天津港", "")


def test_doubles_are_removed_and_annotated_ones_kept(desk: Desk) -> None:
    project = desk.push().project
    desk.enter(desk.labels())
    foreign: Any = {"data": {"text": "made by hand", "title": "", "before": "", "after": ""}}
    request: Any = [*({"data": row} for row in projects.task_data(desk.seed)[:3]), foreign, foreign]
    desk.client.projects.import_tasks(id=project, request=request, request_options={"max_retries": 0})
    assert len(desk.tasks()) == 13
    assert desk.push().removed == 3
    tasks = desk.tasks()
    assert sum("passage_id" not in task.data for task in tasks) == 2  # what others made is left alone
    assert sorted(task.total_annotations for task in tasks) == [0, 0] + [1] * 8


def test_a_changed_title_updates_the_task(desk: Desk) -> None:
    desk.push()
    desk.enter(desk.labels())
    articles = desk.where.articles
    articles.write_text(articles.read_text().replace('"headline 10"', '"subheadline 10"'))
    desk.seed = seeds.read(desk.where)
    assert desk.push().updated == 1
    desk.assert_one_task_per_passage(annotations=1)


def test_a_skipped_double_is_kept(desk: Desk) -> None:
    """To skip a task is work too."""
    project = desk.push().project
    request: Any = [{"data": projects.task_data(desk.seed)[0]}]
    desk.client.projects.import_tasks(id=project, request=request, request_options={"max_retries": 0})
    double = max(task.id for task in desk.tasks())
    desk.client.annotations.create(id=double, result=[], was_cancelled=True)
    assert desk.push().removed == 1
    assert double in {task.id for task in desk.tasks()}


def test_what_another_account_labelled_is_not_dropped_in_silence(desk: Desk) -> None:
    desk.push()
    desk.client.annotations.create(id=desk.tasks()[0].id, result=[])  # as the administrator
    with pytest.raises(ServerError, match=r"admin \(1\)"):
        desk.pull()


def test_a_passage_that_is_no_more(desk: Desk) -> None:
    """Its task goes if nobody touched it; the others can still be pulled."""
    desk.push()
    desk.enter(desk.labels()[1:])
    articles = desk.where.articles
    articles.write_text(articles.read_text().replace('"body 5+7"', '"notice 5+7"'))
    desk.seed = seeds.read(desk.where)
    pushed = desk.push()
    assert (pushed.removed, pushed.created) == (1, 0)
    assert desk.pull() == (7, 7)


def test_a_text_is_corrected_after_it_was_labelled(desk: Desk) -> None:
    """What the refused push advises works: delete the task, push, label the passage anew, pull."""
    desk.push()
    desk.enter(desk.labels())
    desk.pull()
    articles = desk.where.articles
    articles.write_text(articles.read_text().replace('right = "伴着"', 'right = "跟着"'))
    desk.seed = seeds.read(desk.where)
    with pytest.raises(ServerError, match="c-L5"):
        desk.push()
    (task,) = (task for task in desk.tasks() if task.data["passage_id"] == "c-L5")
    desk.client.tasks.delete(id=str(task.id))
    assert desk.push().created == 1
    assert desk.pull() == (7, 0)


def test_a_changed_text_under_labels_is_refused(desk: Desk) -> None:
    desk.push()
    desk.enter(desk.labels())
    articles = desk.where.articles
    articles.write_text(articles.read_text().replace('right = "伴着"', 'right = "跟着"'))
    desk.seed = seeds.read(desk.where)
    with pytest.raises(ServerError, match="c-L5"):
        desk.push()


def test_enter_and_pull(desk: Desk) -> None:
    desk.push()
    labelled = desk.labels()
    assert desk.enter(labelled) == (8, 0)
    assert desk.enter(labelled) == (0, 8)
    assert desk.pull() == (8, 8)
    path = exports.path_of(desk.where, desk.annotator)
    first = path.read_bytes()
    assert desk.pull() == (8, 0)
    assert path.read_bytes() == first
    found = exports.read(path, desk.seed.passages(), desk.label_set, whole=True)
    assert [(entry.spans, entry.sectors) for entry in found] == [(entry.spans, entry.sectors) for entry in labelled]
    assert {entry.annotator for entry in found} == {desk.annotator}
    desk.assert_one_task_per_passage(annotations=1)


def test_enter_does_not_overwrite(desk: Desk) -> None:
    desk.push()
    labelled = desk.labels()
    desk.enter(labelled)
    other = [Labels(labelled[0].passage_id, desk.annotator, (), ("water",)), *labelled[1:]]
    with pytest.raises(ServerError, match="--replace"):
        desk.enter(other)
    assert annotation.fetch(desk.client, desk.seed, desk.label_set, desk.annotator)[0].sectors == ("port",)
    assert desk.enter(other, replace=True) == (1, 7)
    assert annotation.fetch(desk.client, desk.seed, desk.label_set, desk.annotator)[0].sectors == ("water",)
    desk.assert_one_task_per_passage(annotations=1)


def test_pull_checks_what_the_server_does_not(desk: Desk) -> None:
    """Label Studio takes any label and any offset."""
    desk.push()
    desk.enter(desk.labels())
    desk.pull()
    path = exports.path_of(desk.where, desk.annotator)
    before = path.read_bytes()
    task = next(task for task in desk.tasks() if task.data["passage_id"] == "b-L3")
    listing: Any = desk.client.annotations.list(id=task.id)
    value = {"start": 5, "end": 500, "text": "x", "labels": ["PLANET"]}
    result = [{"id": "x", "from_name": "entities", "to_name": "text", "type": "labels", "value": value}]
    desk.client.annotations.update(id=listing[0].id, result=result)
    with pytest.raises(DataError, match="unknown-label"):
        desk.pull()
    assert path.read_bytes() == before


def test_pull_does_not_forget(desk: Desk) -> None:
    """An annotation that is gone from the server is not silently dropped from the export."""
    desk.push()
    desk.enter(desk.labels())
    desk.pull()
    path = exports.path_of(desk.where, desk.annotator)
    before = path.read_bytes()
    desk.client.tasks.delete(id=str(desk.tasks()[0].id))
    with pytest.raises(ServerError, match="1 passages that"):
        desk.pull()
    assert path.read_bytes() == before
    desk.push()
    desk.enter(annotation.read_labels(path, desk.seed, desk.label_set, desk.annotator))
    desk.pull()
    assert path.read_bytes() == before


def test_pull_without_a_project(desk: Desk) -> None:
    with pytest.raises(ServerError, match="jinbench annotate push"):
        desk.pull()


def test_a_refused_token_is_named(server: labelstudio.Server, mini: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", server.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0" * 40)
    with pytest.raises(ServerError, match="401"):
        projects.push(labelstudio.connect(), mini, seeds.read(mini), labels.read(mini), "x", lambda done: None)


def test_offsets_behind_wide_characters(desk: Desk) -> None:
    """𠮷 is one code point and two UTF-16 units."""
    desk.push()
    text = next(passage.text for passage in desk.seed.passages() if passage.id == "b-L5")
    start = text.index("轮")
    markup = desk.where.root / "wide.jsonl"
    row = {"id": "b-L5", "marked": text.replace("受益", "[受益|PLACE]"), "sectors": ["port"]}
    markup.write_text(json.dumps(row, ensure_ascii=False))
    desk.enter(annotation.read_labels(markup, desk.seed, desk.label_set, desk.annotator))
    (found,) = annotation.fetch(desk.client, desk.seed, desk.label_set, desk.annotator)
    assert found.spans[0].surface == "受益"
    assert found.spans[0].start > start


# ---- killed in the middle -------------------------------------------------------------------------------------


def killed_after(desk: Desk, command: list[str], enough: Any) -> None:
    """Run a jinbench command with batches of ten, and kill -9 it as soon as `enough()` holds."""
    code = "import jinbench.projects as p; p.BATCH = 10; from jinbench.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--root", str(desk.where.root), *command],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not enough():
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()


def annotated(desk: Desk) -> int:
    return sum(task.total_annotations for task in desk.tasks())


def test_client_killed_in_a_push(big_desk: Desk) -> None:
    killed_after(big_desk, ["annotate", "push", "-a", big_desk.annotator], lambda: len(big_desk.tasks()) >= 20)
    there = len(big_desk.tasks())
    assert 20 <= there < 142
    assert big_desk.push().created == 142 - there
    big_desk.assert_one_task_per_passage(annotations=0)


def test_client_killed_in_an_enter(big_desk: Desk) -> None:
    big_desk.push()
    export = exports.path_of(big_desk.where, "annotator-a")
    killed_after(
        big_desk, ["annotate", "enter", str(export), "-a", big_desk.annotator], lambda: annotated(big_desk) >= 10
    )
    there = annotated(big_desk)
    assert 10 <= there < 142
    assert big_desk.enter(big_desk.labels()) == (142 - there, there)
    big_desk.assert_one_task_per_passage(annotations=1)


@pytest.fixture
def killer(server: labelstudio.Server) -> Iterator[Any]:
    """Kills the server with -9 when a condition holds, then starts it again on the same port, in the background."""
    threads = []

    def kill_when(enough: Any) -> None:
        def act() -> None:
            while not enough():
                time.sleep(0.02)
            os.kill(server.pid, signal.SIGKILL)
            labelstudio.start()

        threads.append(threading.Thread(target=act))
        threads[-1].start()

    yield kill_when
    for thread in threads:
        thread.join(timeout=120)
        assert not thread.is_alive()


def test_server_killed_in_a_push(big_desk: Desk, killer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The push waits until the server is back, reads what is there, and goes on."""
    monkeypatch.setattr(projects, "BATCH", 10)
    seen: list[int] = []
    killer(lambda: len(seen) >= 4)
    pushed = projects.push(
        big_desk.client, big_desk.where, big_desk.seed, big_desk.label_set, big_desk.annotator, slowly(seen)
    )
    assert pushed.unchanged >= 0
    big_desk.assert_one_task_per_passage(annotations=0)
    assert big_desk.push().created == 0


def test_server_killed_in_an_enter(big_desk: Desk, killer: Any) -> None:
    big_desk.push()
    seen: list[int] = []
    killer(lambda: len(seen) >= 30)
    entered, there = annotation.enter(
        big_desk.client, big_desk.seed, big_desk.label_set, big_desk.annotator, big_desk.labels(), slowly(seen)
    )
    assert entered + there == 142
    big_desk.assert_one_task_per_passage(annotations=1)
    assert big_desk.pull()[0] == 142


def slowly(seen: list[int]) -> Any:
    """A progress that notes what it is told and leaves the killer time."""

    def progress(done: int) -> None:
        seen.append(done)
        time.sleep(0.05)

    return progress
