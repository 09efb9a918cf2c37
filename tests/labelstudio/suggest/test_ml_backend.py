"""The backend that suggests while people label, and the order of a queue: against a real Label Studio."""

import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from jinbench.annotation.gold import read_training_labels
from jinbench.annotation.workspace import Workspace
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import ServerError
from jinbench.labelstudio import annotations
from jinbench.labelstudio.server import accounts
from jinbench.labelstudio.server.accounts import log_in, open_session
from jinbench.labelstudio.suggest import background_training, ml_backend, task_order
from jinbench.labelstudio.suggest.ml_backend import HOST, LARGEST, USER, BackendAddress, BackendServer, make_handler, save_model, load_model
from jinbench.labelstudio.suggest.suggestions import FOLDS, Suggester, train_suggester, suggester_version
from jinbench.models import active_learning
from jinbench.seeds import articles
from tests.helpers.labelstudio import AnnotationProject
from tests.helpers.paths import ROOT

SECRET = "a secret that is long enough for a test"
TOKEN = "token-of-somebody-else"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with accounts.use_home(tmp_path / "home"):
        yield tmp_path / "home"


def taught(benchmark: Benchmark, folds: int = 0) -> Suggester:
    workspace = Workspace(benchmark)
    return train_suggester(workspace.seeds.articles, read_training_labels(workspace), folds=folds)


def mind(benchmark: Benchmark, suggester: Suggester | None, said: list[str] | None = None) -> background_training.BackgroundTrainer:
    """One that never looks for anything new."""
    heard = [] if said is None else said
    return background_training.BackgroundTrainer(
        articles.read_seeds(benchmark).articles, int, list, 0, lambda data: None, suggester, heard.append
    )


@pytest.fixture
def answering(mini: Benchmark) -> Iterator[tuple[BackendAddress, background_training.BackgroundTrainer]]:
    """The backend with a model, in this process."""
    server = BackendServer((HOST, 0), http.server.BaseHTTPRequestHandler)
    place, thinking = BackendAddress(server.server_port, SECRET), mind(mini, taught(mini))
    server.RequestHandlerClass = make_handler(place.header, thinking)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield place, thinking
    server.shutdown()
    server.server_close()


WRONG = [None, "", "Basic", "Basic eDp5", f"Bearer {SECRET}", SECRET, BackendAddress(1, SECRET + "x").header]
REQUESTS = [("GET", "/health"), ("POST", "/setup"), ("POST", "/predict"), ("POST", "/webhook"), ("GET", "/nothing"),
            ("PUT", "/setup"), ("OPTIONS", "/")]  # fmt: skip


@pytest.mark.parametrize("header", WRONG)
def test_without_the_secret_there_is_nothing_to_learn(
    answering: tuple[BackendAddress, background_training.BackgroundTrainer], header: str | None
) -> None:
    place, thinking = answering
    answers = set()
    for method, path in REQUESTS:
        headers = {} if header is None else {"Authorization": header}
        answer = httpx.request(method, place.url + path, headers=headers, json={"tasks": []}, trust_env=False)
        answers.add((answer.status_code, answer.content, tuple(answer.headers.items())))
    assert answers == {(401, b"", (("content-length", "0"),))}
    assert not thinking.wake.is_set()


def test_with_the_secret_it_speaks_the_protocol(
    answering: tuple[BackendAddress, background_training.BackgroundTrainer], mini: Benchmark
) -> None:
    place, thinking = answering
    assert thinking.suggester is not None
    with httpx.Client(base_url=place.url, auth=(USER, SECRET), trust_env=False) as http:
        assert http.get("/health").json()["status"] == "UP"
        sent = {"project": "1.2", "access_token": TOKEN, "hostname": "http://localhost", "schema": "<View/>"}
        assert http.post("/setup", json=sent).json() == {"model_version": thinking.version}
        passages = list(articles.read_seeds(mini).passages())
        tasks: list[Any] = [
            {"id": n, "data": {"passage_id": p.id, "article_id": p.article_id, "text": p.text}}
            for n, p in enumerate(passages)
        ]
        tasks += [{"id": 98, "data": {"text": "\u6d25"}}, {"id": 99, "data": None}, "no task"]
        results = http.post("/predict", json={"tasks": tasks, "params": {}}).json()["results"]
        expected = thinking.suggester.suggest(passages)
        assert [len(each) for each in results] == [1] * len(passages) + [0, 0, 0]
        for passage, (prediction,) in zip(passages, results[: len(passages)], strict=True):
            said = expected[passage.id]
            found = [(r["value"]["start"], r["value"]["end"], r["value"]["labels"]) for r in prediction["result"]]
            assert found == [(span.start, span.end, [span.type]) for span in said.spans]
            assert prediction["model_version"] == thinking.version
            assert prediction["score"] == pytest.approx(said.confidence, abs=1e-6)
        assert any(prediction["result"] for (prediction,) in results[: len(passages)])
        assert not thinking.stale.is_set()
        http.post("/webhook", json={"action": "TASKS_CREATED"})
        assert not thinking.stale.is_set()
        http.post("/webhook", json={"action": "START_TRAINING", "project": {"id": 1}})
        assert thinking.stale.is_set()


def test_what_is_too_large_or_no_json_is_refused(answering: tuple[BackendAddress, background_training.BackgroundTrainer]) -> None:
    place, _ = answering

    def send(head: str, body: bytes = b"") -> int:
        with socket.create_connection((HOST, place.port), timeout=10) as line:
            text = f"POST /predict HTTP/1.1\r\nAuthorization: {place.header}\r\n{head}\r\n\r\n"
            line.sendall(text.encode() + body)
            return int(line.recv(100).split()[1])

    assert send(f"Content-Length: {LARGEST + 1}") == 413
    assert send("Content-Length: 99999999999999999999") == 411
    assert send("Content-Length: -5") == 411
    assert send("Transfer-Encoding: chunked") == 411
    for body in (b"{", b"[]", b'"a"', b"[" * 100_000, b'{"tasks": 5}', b"\xff"):
        assert send(f"Content-Length: {len(body)}", body) == 400
    assert send("Content-Length: 13", b'{"tasks": []}') == 200


def test_an_untaught_backend_says_nothing(mini: Benchmark) -> None:
    new = mind(mini, None)
    assert new.predict([{"data": {"passage_id": "a", "article_id": "b", "text": "\u6d25"}}]) == [[]]
    assert new.version == background_training.UNTAUGHT


def test_a_kept_model_is_ours_or_none(home: Path, mini: Benchmark) -> None:
    import pickle

    model = taught(mini)
    save_model(SECRET, "me", pickle.dumps(model))
    path = home / "assist" / "model"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    found = load_model(SECRET, "me")
    assert found is not None
    passages = list(articles.read_seeds(mini).passages())
    assert found.suggest(passages) == model.suggest(passages)
    assert load_model(SECRET, "somebody else") is None
    assert load_model(SECRET + "x", "me") is None
    whole = path.read_bytes()
    mark = home / "was-run"
    foreign = pickle.dumps(Harm(str(mark)))
    for broken in (b"", whole[:-1], whole[: len(whole) // 2], b"\0" * 100, whole[:32] + foreign, foreign):
        path.write_bytes(broken)
        assert load_model(SECRET, "me") is None
    assert not mark.exists()
    save_model(SECRET, "me", pickle.dumps("no suggester"))
    assert load_model(SECRET, "me") is None


class Harm:
    """What a foreign file could do when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


def test_learning_goes_on_in_another_process_and_a_new_version_answers(mini: Benchmark) -> None:
    workspace = Workspace(mini)
    known = read_training_labels(workspace)
    here, kept, said = known[:3], [], []
    thinking = background_training.BackgroundTrainer(
        workspace.seeds.articles, lambda: len(here), lambda: here, 0, kept.append, None, said.append
    )
    thinking.tell()
    thinking._learn_if_new()
    first = thinking.version
    assert first == suggester_version(workspace.seeds.articles, known[:3], 0)
    assert len(kept) == 1
    thinking._learn_if_new()  # nothing is new
    thinking.tell()
    thinking._learn_if_new()  # told, but it is the same
    assert (thinking.version, len(kept)) == (first, 1)
    here = known
    thinking._learn_if_new()
    assert thinking.version != first
    assert len(kept) == len(said) == 2
    assert first not in said[1]
    assert thinking.version in said[1]


# ---- against a real server ----------------------------------------------------------------------------------------


class Assist:
    """The command in a process of its own."""

    def __init__(self, benchmark: Benchmark, *arguments: str) -> None:
        command = [
            sys.executable,
            "-m",
            "jinbench",
            "--root",
            str(benchmark.root),
            "annotate",
            "assist",
            "--json",
        ]
        self.errors = benchmark.root / f"assist-{time.monotonic_ns()}.err"
        with self.errors.open("w") as err:
            self.process = subprocess.Popen(
                [*command, *arguments], stdout=subprocess.PIPE, stderr=err, text=True, cwd=ROOT
            )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        assert self.line, self.errors.read_text()
        self.up = json.loads(self.line)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def until(act: Callable[[], Any], what: str, wait: float = 90) -> Any:
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline:
        if found := act():
            return found
        time.sleep(0.5)
    raise AssertionError(f"not in {wait} s: {what}")


@pytest.mark.server
def test_suggestions_come_while_labelling_and_after_being_killed(desk: AnnotationProject, server_home: Path) -> None:
    project = desk.push().project
    given = desk.labels()
    running = Assist(desk.where, "--annotator", desk.annotator, "--even-for-gold")
    assert running.up["model_version"] == background_training.UNTAUGHT
    assert running.up["projects"] == {desk.annotator: project}
    with open_session(desk.server.url) as page:
        log_in(page, accounts.accounts_by_name()[desk.annotator])

        def opened() -> Any:
            """What the page gets when the annotator asks for the next passage."""
            answer = page.get(f"/api/projects/{project}/next")
            assert answer.status_code == 200
            return answer.json()["predictions"]

        try:
            assert opened() == []
            desk.enter(given[:2])
            (first,) = until(opened, "a suggestion")
            assert first["model_version"].startswith("tagger ")
            desk.enter(given[:4])
            until(lambda: (found := opened()) and found[-1]["model_version"] != first["model_version"], "a new model")
            known = annotations.fetch_labels(desk.client, desk.workspace, desk.annotator)
            now = until(opened, "a suggestion")[-1]["model_version"]
            assert now == suggester_version(desk.seeds.articles, known, 0)
            whole = train_suggester(desk.seeds.articles, known, folds=0).suggest(desk.seeds.passages())
            tasks = {task.data["passage_id"]: task.id for task in desk.tasks() if not task.total_annotations}
            shown = {}
            for id, number in tasks.items():  # as the page asks for a passage that is clicked in the list
                (*_, prediction) = page.get(f"/api/tasks/{number}?project={project}").json()["predictions"]
                if prediction["model_version"] == now:  # one that was opened before keeps what it was given then
                    shown[id] = [(r["value"]["start"], r["value"]["end"], r["score"]) for r in prediction["result"]]
            assert any(shown.values())
            for id, regions in shown.items():
                said = whole[id]
                spans = [(s.start, s.end, round(c, 4)) for s, c in zip(said.spans, said.probabilities, strict=True)]
                assert regions == spans
            with pytest.raises(AssertionError, match="running already"):
                Assist(desk.where, "--annotator", desk.annotator, "--even-for-gold")
        finally:
            running.kill()
        assert opened() == []  # nobody is held up
        again = Assist(desk.where, "--annotator", desk.annotator, "--even-for-gold")
        try:
            assert (again.up["url"], again.up["model_version"]) == (running.up["url"], now)
            assert opened()[-1]["model_version"] == now
            backends: Any = desk.client.ml.list(project=project)
            assert [each.title for each in backends] == [ml_backend.TITLE]
        finally:
            again.kill()
    kept = server_home / "assist" / "place.json"
    secret = json.loads(kept.read_text())["secret"]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    log = (server_home / "server.log").read_text(errors="replace")
    for text in (running.line, again.line, running.errors.read_text(), again.errors.read_text(), log, str(backends)):
        assert secret not in text
        assert BackendAddress(1, secret).header not in text


@pytest.mark.server
def test_a_registration_is_brought_up_to_date(desk: AnnotationProject) -> None:
    project = desk.push().project
    server = BackendServer((HOST, 0), http.server.BaseHTTPRequestHandler)
    place = BackendAddress(server.server_port, SECRET)
    server.RequestHandlerClass = make_handler(place.header, mind(desk.where, None))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    other = BackendServer((HOST, 0), server.RequestHandlerClass)
    threading.Thread(target=other.serve_forever, args=(0.02,), daemon=True).start()
    try:
        for port in (place.port, place.port, other.server_port):
            ml_backend.register_backend(desk.client, project, BackendAddress(port, SECRET))
            backends: Any = desk.client.ml.list(project=project)
            assert [each.url for each in backends] == [f"http://127.0.0.1:{port}"]
            assert [str(each.state) for each in backends] == ["CO"]
        with pytest.raises(ServerError, match="could not be told"):
            ml_backend.register_backend(desk.client, project, BackendAddress(port, "another secret"))
    finally:
        for each in (server, other):
            each.shutdown()
            each.server_close()


def test_those_who_label_for_the_gold_are_not_helped_unasked(mini: Benchmark, home: Path) -> None:
    command = [sys.executable, "-m", "jinbench", "--root", str(mini.root), "annotate", "assist"]
    for arguments in ([], ["-a", "annotator-a"], ["-a", "adjudicator"]):
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 2
        assert "--even-for-gold" in done.stderr
    done = subprocess.run([*command, "--even-for-gold"], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, "jinbench labelstudio start" in done.stderr) == (3, True)
    listing = mini.annotation / "annotators.toml"
    entry = '[[annotator]]\nname = "guest"\nkind = "a"\ndescription = "b"\nguidelines = "1.0.0"\ndate = 2026-11-22\n'
    listing.write_text(listing.read_text() + entry)
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)  # the guest alone
    assert done.returncode == 3


def handed_out(desk: AnnotationProject, project: int, given: dict[str, Any], most: int = 100) -> list[str]:
    """The passages in the order in which the page gets them, each submitted before the next is asked for."""
    found = []
    with open_session(desk.server.url) as page:
        log_in(page, accounts.accounts_by_name()[desk.annotator])
        while len(found) < most and (answer := page.get(f"/api/projects/{project}/next")).status_code == 200:
            assert answer.json()["predictions"] == []
            found.append(str(answer.json()["data"]["passage_id"]))
            shown = page.get(f"/api/tasks/{answer.json()['id']}?project={project}").json()
            assert all(prediction["result"] == [] for prediction in shown["predictions"])
            desk.enter([given[found[-1]]])
    return found


def commanded(benchmark: Benchmark, *arguments: str) -> Any:
    command = [sys.executable, "-m", "jinbench", "--root", str(benchmark.root), "annotate", "next", "--json"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.server
def test_a_queue_is_ordered_by_what_the_tagger_is_least_sure_of(desk: AnnotationProject) -> None:
    project = desk.push().project
    given = {entry.passage_id: entry for entry in desk.labels()}
    reading = [passage.id for passage in desk.seeds.passages()]
    suggester = taught(desk.where, folds=FOLDS)
    suggestions = suggester.suggest(desk.seeds.passages())
    expected = active_learning.order_by_confidence(suggestions)
    assert expected != reading

    def predictions() -> list[Any]:
        return list(desk.client.predictions.list(project=project))

    def ordered() -> task_order.TaskOrder:
        plan = task_order.plan_order(desk.client, desk.label_set, desk.annotator, suggestions)
        return task_order.order_by_uncertainty(desk.client, plan, suggester.version)

    (planned,) = commanded(desk.where, "-a", desk.annotator, "--dry-run")
    assert [row["passage_id"] for row in planned["passages"]] == expected
    assert predictions() == []
    (first,) = commanded(desk.where, "-a", desk.annotator)
    assert (first["sent"], first["removed"], first["version"]) == (len(reading), 0, suggester.version)
    again = ordered()
    assert (again.sent, again.removed) == (0, 0)
    assert len(predictions()) == len(reading)
    assert all(each.result == [] and each.model_version == f"queue {suggester.version}" for each in predictions())
    assert desk.push().unchanged == len(reading)  # a push leaves the order alone
    assert desk.client.projects.get(id=project).model_version == f"queue {suggester.version}"
    desk.enter([given[reading[0]]])
    left = ordered()
    assert (left.sent, left.removed) == (len(reading) - 1, len(reading))
    assert handed_out(desk, project, given, 4) == [id for id in expected if id != reading[0]][:4]
    queue = task_order.plan_order(desk.client, desk.label_set, desk.annotator)
    assert task_order.order_by_reading(desk.client, queue).removed == len(reading) - 1
    assert predictions() == []
    unlabelled = [id for id in reading[1:] if id not in [id for id in expected if id != reading[0]][:4]]
    assert [id for id, _ in queue.passages] == unlabelled
    assert handed_out(desk, project, given) == unlabelled
    assert ordered().passages == ()
    assert desk.pull()[0] == len(reading)


@pytest.mark.server
def test_where_suggestions_are_shown_their_own_scores_order_the_queue(desk: AnnotationProject) -> None:
    project = desk.push().project
    reading = [passage.id for passage in desk.seeds.passages()]
    queue = task_order.plan_order(desk.client, desk.label_set, desk.annotator, {})
    assert queue.passages == tuple((id, None) for id in reading)
    tasks = desk.tasks()
    desk.client.predictions.create(task=tasks[0].id, model_version="tagger x", result=[])
    shown: dict[str, Any] = {"show_collab_predictions": True, "model_version": "tagger x"}
    desk.client.projects.update(id=project, **shown)
    with pytest.raises(ServerError, match="shows the suggestions of 'tagger x'"):
        task_order.order_by_uncertainty(desk.client, queue, "y")
    for number, task in enumerate(tasks[1:]):
        desk.client.predictions.create(task=task.id, model_version="tagger x", score=0.9 - number / 10, result=[])
    ordered = task_order.order_by_uncertainty(desk.client, queue, "y")
    assert [id for id, _ in ordered.passages] == [*reading[:0:-1], reading[0]]
    with open_session(desk.server.url) as page:
        log_in(page, accounts.accounts_by_name()[desk.annotator])
        answer = page.get(f"/api/projects/{project}/next").json()
        assert answer["data"]["passage_id"] in (reading[0], reading[-1])  # SQLite has no score before all scores
        assert [each["model_version"] for each in answer["predictions"]] == ["tagger x"]
    task_order.order_by_reading(desk.client, queue)  # what others have set up stays
    assert len(list(desk.client.predictions.list(project=project))) == len(reading)
    assert desk.client.projects.get(id=project).model_version == "tagger x"
