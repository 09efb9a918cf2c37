"""The ML backend and the order of tasks, against a real Label Studio."""

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
from jinbench.labelstudio.suggest.ml_backend import (
    HOST,
    LARGEST,
    USER,
    BackendAddress,
    BackendServer,
    load_model,
    make_handler,
    save_model,
)
from jinbench.labelstudio.suggest.suggestions import FOLDS, Suggester, suggester_version, train_suggester
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


def train_on_gold(benchmark: Benchmark, folds: int = 0) -> Suggester:
    workspace = Workspace(benchmark)
    return train_suggester(workspace.seeds.articles, read_training_labels(workspace), folds=folds)


def make_trainer(
    benchmark: Benchmark, suggester: Suggester | None, messages: list[str] | None = None
) -> background_training.BackgroundTrainer:
    """One that never looks for anything new."""
    lines = [] if messages is None else messages
    return background_training.BackgroundTrainer(
        articles.read_seeds(benchmark).articles, int, list, 0, lambda data: None, suggester, lines.append
    )


@pytest.fixture
def backend(mini: Benchmark) -> Iterator[tuple[BackendAddress, background_training.BackgroundTrainer]]:
    """The backend with a model, in this process."""
    server = BackendServer((HOST, 0), http.server.BaseHTTPRequestHandler)
    place, trainer = BackendAddress(server.server_port, SECRET), make_trainer(mini, train_on_gold(mini))
    server.RequestHandlerClass = make_handler(place.header, trainer)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield place, trainer
    server.shutdown()
    server.server_close()


WRONG = [None, "", "Basic", "Basic eDp5", f"Bearer {SECRET}", SECRET, BackendAddress(1, SECRET + "x").header]
REQUESTS = [("GET", "/health"), ("POST", "/setup"), ("POST", "/predict"), ("POST", "/webhook"), ("GET", "/nothing"),
            ("PUT", "/setup"), ("OPTIONS", "/")]  # fmt: skip


@pytest.mark.parametrize("header", WRONG)
def test_requests_without_the_secret_are_refused(
    backend: tuple[BackendAddress, background_training.BackgroundTrainer], header: str | None
) -> None:
    place, trainer = backend
    answers = set()
    for method, path in REQUESTS:
        headers = {} if header is None else {"Authorization": header}
        answer = httpx.request(method, place.url + path, headers=headers, json={"tasks": []}, trust_env=False)
        answers.add((answer.status_code, answer.content, tuple(answer.headers.items())))
    assert answers == {(401, b"", (("content-length", "0"),))}
    assert not trainer.wake.is_set()


def test_requests_with_the_secret_are_answered(
    backend: tuple[BackendAddress, background_training.BackgroundTrainer], mini: Benchmark
) -> None:
    place, trainer = backend
    assert trainer.suggester is not None
    with httpx.Client(base_url=place.url, auth=(USER, SECRET), trust_env=False) as http:
        assert http.get("/health").json()["status"] == "UP"
        sent = {"project": "1.2", "access_token": TOKEN, "hostname": "http://localhost", "schema": "<View/>"}
        assert http.post("/setup", json=sent).json() == {"model_version": trainer.version}
        passages = list(articles.read_seeds(mini).passages())
        tasks: list[Any] = [
            {"id": n, "data": {"passage_id": p.id, "article_id": p.article_id, "text": p.text}}
            for n, p in enumerate(passages)
        ]
        tasks += [{"id": 98, "data": {"text": "\u6d25"}}, {"id": 99, "data": None}, "no task"]
        results = http.post("/predict", json={"tasks": tasks, "params": {}}).json()["results"]
        expected = trainer.suggester.suggest(passages)
        assert [len(predictions) for predictions in results] == [1] * len(passages) + [0, 0, 0]
        for passage, (prediction,) in zip(passages, results[: len(passages)], strict=True):
            suggestion = expected[passage.id]
            spans = [(r["value"]["start"], r["value"]["end"], r["value"]["labels"]) for r in prediction["result"]]
            assert spans == [(span.start, span.end, [span.type]) for span in suggestion.spans]
            assert prediction["model_version"] == trainer.version
            assert prediction["score"] == pytest.approx(suggestion.confidence, abs=1e-6)
        assert any(prediction["result"] for (prediction,) in results[: len(passages)])
        assert not trainer.stale.is_set()
        http.post("/webhook", json={"action": "TASKS_CREATED"})
        assert not trainer.stale.is_set()
        http.post("/webhook", json={"action": "START_TRAINING", "project": {"id": 1}})
        assert trainer.stale.is_set()


def test_invalid_requests_are_refused(
    backend: tuple[BackendAddress, background_training.BackgroundTrainer],
) -> None:
    place, _ = backend

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


def test_an_untrained_backend_predicts_nothing(mini: Benchmark) -> None:
    new = make_trainer(mini, None)
    assert new.predict([{"data": {"passage_id": "a", "article_id": "b", "text": "\u6d25"}}]) == [[]]
    assert new.version == background_training.UNTAUGHT


def test_only_own_models_are_loaded(home: Path, mini: Benchmark) -> None:
    import pickle

    model = train_on_gold(mini)
    save_model(SECRET, "me", pickle.dumps(model))
    path = home / "assist" / "model"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    loaded = load_model(SECRET, "me")
    assert loaded is not None
    passages = list(articles.read_seeds(mini).passages())
    assert loaded.suggest(passages) == model.suggest(passages)
    assert load_model(SECRET, "somebody else") is None
    assert load_model(SECRET + "x", "me") is None
    whole = path.read_bytes()
    mark = home / "was-run"
    foreign = pickle.dumps(MaliciousPickle(str(mark)))
    for broken in (b"", whole[:-1], whole[: len(whole) // 2], b"\0" * 100, whole[:32] + foreign, foreign):
        path.write_bytes(broken)
        assert load_model(SECRET, "me") is None
    assert not mark.exists()
    save_model(SECRET, "me", pickle.dumps("no suggester"))
    assert load_model(SECRET, "me") is None


class MaliciousPickle:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


def test_training_gives_a_new_version(mini: Benchmark) -> None:
    workspace = Workspace(mini)
    gold = read_training_labels(workspace)
    labels, saved, messages = gold[:3], [], []
    trainer = background_training.BackgroundTrainer(
        workspace.seeds.articles, lambda: len(labels), lambda: labels, 0, saved.append, None, messages.append
    )
    trainer.request_training()
    trainer._learn_if_new()
    first = trainer.version
    assert first == suggester_version(workspace.seeds.articles, gold[:3], 0)
    assert len(saved) == 1
    trainer._learn_if_new()  # nothing is new
    trainer.request_training()
    trainer._learn_if_new()  # told, but it is the same
    assert (trainer.version, len(saved)) == (first, 1)
    labels = gold
    trainer._learn_if_new()
    assert trainer.version != first
    assert len(saved) == len(messages) == 2
    assert first not in messages[1]
    assert trainer.version in messages[1]


# ---- against a real server ----------------------------------------------------------------------------------------


class AssistProcess:
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


def wait_until(act: Callable[[], Any], what: str, wait: float = 90) -> Any:
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline:
        if result := act():
            return result
        time.sleep(0.5)
    raise AssertionError(f"not in {wait} s: {what}")


@pytest.mark.server
def test_suggestions_while_labelling_and_after_a_kill(project: AnnotationProject, server_home: Path) -> None:
    project_id = project.push().project
    labels = project.labels()
    running = AssistProcess(project.benchmark, "--annotator", project.annotator, "--even-for-gold")
    assert running.up["model_version"] == background_training.UNTAUGHT
    assert running.up["projects"] == {project.annotator: project_id}
    with open_session(project.server.url) as page:
        log_in(page, accounts.accounts_by_name()[project.annotator])

        def opened() -> Any:
            """Return the predictions that the page gets with the next passage."""
            answer = page.get(f"/api/projects/{project_id}/next")
            assert answer.status_code == 200
            return answer.json()["predictions"]

        try:
            assert opened() == []
            project.submit(labels[:2])
            (first,) = wait_until(opened, "a suggestion")
            assert first["model_version"].startswith("tagger ")
            project.submit(labels[:4])
            wait_until(
                lambda: (predictions := opened()) and predictions[-1]["model_version"] != first["model_version"],
                "a new model",
            )
            submitted = annotations.fetch_labels(project.client, project.workspace, project.annotator)
            now = wait_until(opened, "a suggestion")[-1]["model_version"]
            assert now == suggester_version(project.seeds.articles, submitted, 0)
            whole = train_suggester(project.seeds.articles, submitted, folds=0).suggest(project.seeds.passages())
            tasks = {task.data["passage_id"]: task.id for task in project.tasks() if not task.total_annotations}
            displayed = {}
            for id, number in tasks.items():  # as the page asks for a passage that is clicked in the list
                (*_, prediction) = page.get(f"/api/tasks/{number}?project={project_id}").json()["predictions"]
                if prediction["model_version"] == now:  # one that was opened before keeps what it was given then
                    displayed[id] = [(r["value"]["start"], r["value"]["end"], r["score"]) for r in prediction["result"]]
            assert any(displayed.values())
            for id, regions in displayed.items():
                suggestion = whole[id]
                spans = [
                    (s.start, s.end, round(c, 4))
                    for s, c in zip(suggestion.spans, suggestion.probabilities, strict=True)
                ]
                assert regions == spans
            with pytest.raises(AssertionError, match="running already"):
                AssistProcess(project.benchmark, "--annotator", project.annotator, "--even-for-gold")
        finally:
            running.kill()
        assert opened() == []  # nobody is held up
        again = AssistProcess(project.benchmark, "--annotator", project.annotator, "--even-for-gold")
        try:
            assert (again.up["url"], again.up["model_version"]) == (running.up["url"], now)
            assert opened()[-1]["model_version"] == now
            backends: Any = project.client.ml.list(project=project_id)
            assert [entry.title for entry in backends] == [ml_backend.TITLE]
        finally:
            again.kill()
    path = server_home / "assist" / "place.json"
    secret = json.loads(path.read_text())["secret"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    log = (server_home / "server.log").read_text(errors="replace")
    for text in (running.line, again.line, running.errors.read_text(), again.errors.read_text(), log, str(backends)):
        assert secret not in text
        assert BackendAddress(1, secret).header not in text


@pytest.mark.server
def test_a_registration_is_updated(project: AnnotationProject) -> None:
    project_id = project.push().project
    server = BackendServer((HOST, 0), http.server.BaseHTTPRequestHandler)
    place = BackendAddress(server.server_port, SECRET)
    server.RequestHandlerClass = make_handler(place.header, make_trainer(project.benchmark, None))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    other = BackendServer((HOST, 0), server.RequestHandlerClass)
    threading.Thread(target=other.serve_forever, args=(0.02,), daemon=True).start()
    try:
        for port in (place.port, place.port, other.server_port):
            ml_backend.register_backend(project.client, project_id, BackendAddress(port, SECRET))
            backends: Any = project.client.ml.list(project=project_id)
            assert [entry.url for entry in backends] == [f"http://127.0.0.1:{port}"]
            assert [str(entry.state) for entry in backends] == ["CO"]
        with pytest.raises(ServerError, match="could not be told"):
            ml_backend.register_backend(project.client, project_id, BackendAddress(port, "another secret"))
    finally:
        for entry in (server, other):
            entry.shutdown()
            entry.server_close()


def test_annotators_of_the_gold_get_no_suggestions_by_default(mini: Benchmark, home: Path) -> None:
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


def list_next_passages(
    project: AnnotationProject, project_id: int, labels: dict[str, Any], most: int = 100
) -> list[str]:
    """The passages in the order in which the page gets them, each submitted before the next is asked for."""
    ids = []
    with open_session(project.server.url) as page:
        log_in(page, accounts.accounts_by_name()[project.annotator])
        while len(ids) < most and (answer := page.get(f"/api/projects/{project_id}/next")).status_code == 200:
            assert answer.json()["predictions"] == []
            ids.append(str(answer.json()["data"]["passage_id"]))
            task = page.get(f"/api/tasks/{answer.json()['id']}?project={project_id}").json()
            assert all(prediction["result"] == [] for prediction in task["predictions"])
            project.submit([labels[ids[-1]]])
    return ids


def commanded(benchmark: Benchmark, *arguments: str) -> Any:
    command = [sys.executable, "-m", "jinbench", "--root", str(benchmark.root), "annotate", "next", "--json"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.server
def test_tasks_are_ordered_by_uncertainty(project: AnnotationProject) -> None:
    project_id = project.push().project
    labels = {entry.passage_id: entry for entry in project.labels()}
    reading = [passage.id for passage in project.seeds.passages()]
    suggester = train_on_gold(project.benchmark, folds=FOLDS)
    suggestions = suggester.suggest(project.seeds.passages())
    expected = active_learning.order_by_confidence(suggestions)
    assert expected != reading

    def predictions() -> list[Any]:
        return list(project.client.predictions.list(project=project_id))

    def ordered() -> task_order.TaskOrder:
        plan = task_order.plan_order(project.client, project.label_set, project.annotator, suggestions)
        return task_order.order_by_uncertainty(project.client, plan, suggester.version)

    (planned,) = commanded(project.benchmark, "-a", project.annotator, "--dry-run")
    assert [row["passage_id"] for row in planned["passages"]] == expected
    assert predictions() == []
    (first,) = commanded(project.benchmark, "-a", project.annotator)
    assert (first["sent"], first["removed"], first["version"]) == (len(reading), 0, suggester.version)
    again = ordered()
    assert (again.sent, again.removed) == (0, 0)
    assert len(predictions()) == len(reading)
    assert all(
        prediction.result == [] and prediction.model_version == f"queue {suggester.version}"
        for prediction in predictions()
    )
    assert project.push().unchanged == len(reading)  # a push leaves the order alone
    assert project.client.projects.get(id=project_id).model_version == f"queue {suggester.version}"
    project.submit([labels[reading[0]]])
    left = ordered()
    assert (left.sent, left.removed) == (len(reading) - 1, len(reading))
    assert list_next_passages(project, project_id, labels, 4) == [id for id in expected if id != reading[0]][:4]
    queue = task_order.plan_order(project.client, project.label_set, project.annotator)
    assert task_order.order_by_reading(project.client, queue).removed == len(reading) - 1
    assert predictions() == []
    unlabelled = [id for id in reading[1:] if id not in [id for id in expected if id != reading[0]][:4]]
    assert [id for id, _ in queue.passages] == unlabelled
    assert list_next_passages(project, project_id, labels) == unlabelled
    assert ordered().passages == ()
    assert project.pull()[0] == len(reading)


@pytest.mark.server
def test_scores_of_displayed_suggestions_order_the_tasks(project: AnnotationProject) -> None:
    project_id = project.push().project
    reading = [passage.id for passage in project.seeds.passages()]
    queue = task_order.plan_order(project.client, project.label_set, project.annotator, {})
    assert queue.passages == tuple((id, None) for id in reading)
    tasks = project.tasks()
    project.client.predictions.create(task=tasks[0].id, model_version="tagger x", result=[])
    settings: dict[str, Any] = {"show_collab_predictions": True, "model_version": "tagger x"}
    project.client.projects.update(id=project_id, **settings)
    with pytest.raises(ServerError, match="shows the suggestions of 'tagger x'"):
        task_order.order_by_uncertainty(project.client, queue, "y")
    for number, task in enumerate(tasks[1:]):
        project.client.predictions.create(task=task.id, model_version="tagger x", score=0.9 - number / 10, result=[])
    ordered = task_order.order_by_uncertainty(project.client, queue, "y")
    assert [id for id, _ in ordered.passages] == [*reading[:0:-1], reading[0]]
    with open_session(project.server.url) as page:
        log_in(page, accounts.accounts_by_name()[project.annotator])
        answer = page.get(f"/api/projects/{project_id}/next").json()
        assert answer["data"]["passage_id"] in (reading[0], reading[-1])  # SQLite has no score before all scores
        assert [prediction["model_version"] for prediction in answer["predictions"]] == ["tagger x"]
    task_order.order_by_reading(project.client, queue)  # what others have set up stays
    assert len(list(project.client.predictions.list(project=project_id))) == len(reading)
    assert project.client.projects.get(id=project_id).model_version == "tagger x"
