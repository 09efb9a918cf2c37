"""Half-finished work moves from SQLite to PostgreSQL, and goes on there."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jinbench.annotation import adjudication, exports
from jinbench.annotation.exports import read_labels
from jinbench.annotation.labels import read_label_set
from jinbench.annotation.workspace import Workspace
from jinbench.core import environment
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import ServerError
from jinbench.core.types import PassageLabels
from jinbench.labelstudio import annotations, projects, transfer
from jinbench.labelstudio.server import accounts, database, process
from jinbench.labelstudio.server.accounts import log_in, open_session
from jinbench.labelstudio.server.client import connect
from jinbench.seeds import articles
from tests.helpers.commands import run
from tests.helpers.postgres import Postgres

pytestmark = pytest.mark.server
NAMES = {"annotator-a": "moving-a", "annotator-b": "moving-b", "adjudicator": "moving-judge"}


@pytest.fixture(scope="module")
def postgres_home(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of another server, on PostgreSQL; its variables are set while the fixture lives."""
    home = tmp_path_factory.mktemp("postgres-home")
    postgres.ask("CREATE DATABASE team")
    with accounts.use_home(home), pytest.MonkeyPatch.context() as patch:
        for name, value in postgres.environment("team").items():
            patch.setenv(name, value)
        try:
            process.start_server(port=0)
            yield home
        finally:
            process.stop_server()


@pytest.fixture
def team(mini: Benchmark) -> Benchmark:
    """The mini benchmark with annotators of its own, and nothing labelled."""
    path = mini.annotation / "annotators.toml"
    for old, new in NAMES.items():
        path.write_text(path.read_text().replace(f'"{old}"', f'"{new}"'))
    return mini


def labels_of(benchmark: Benchmark, name: str) -> list[PassageLabels]:
    """Read a committed export, in the name that `name` has in these tests."""
    path = benchmark.exports / f"{name}.json"
    return read_labels(path, Workspace(benchmark), NAMES[name])


def submit(benchmark: Benchmark, labels: list[PassageLabels], replace: bool = False) -> tuple[int, int]:
    workspace = Workspace(benchmark)
    client = connect()
    return annotations.submit_labels(client, workspace, labels[0].annotator, labels, lambda done: None, replace)


def tasks(benchmark: Benchmark, name: str) -> dict[str, int]:
    client = connect()
    project = projects.find_project(client, projects.project_title(read_label_set(benchmark), name))
    assert project is not None
    return {id: int(group[0].id) for id, group in projects.list_tasks_by_passage(client, project.id).items()}


def as_member(server: process.Server, name: str, path: str, record: dict[str, Any]) -> None:
    """Send what the page sends when a member skips a task or leaves a draft."""
    with open_session(server.url) as http:
        log_in(http, accounts.accounts_by_name()[name])
        answer = http.post(path, json=record, headers={"X-CSRFToken": http.cookies["csrftoken"]})
        assert answer.status_code == 201, answer.text


def run_json(benchmark: Benchmark, capsys: pytest.CaptureFixture[str], *command: str) -> Any:
    """Run a command with --json and return its output."""
    capsys.readouterr()
    assert run(["--root", str(benchmark.root), *command, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_half_finished_work_moves(
    server_home: Path, postgres_home: Path, team: Benchmark, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, judged = (labels_of(team, name) for name in NAMES)
    with accounts.use_home(server_home):
        server = process.start_server()
        run_json(team, capsys, "annotate", "push")
        submit(team, [*first[:4], PassageLabels(first[4].passage_id, NAMES["annotator-a"], (), ("general",))])
        submit(team, first[4:5], replace=True)  # she thought again: made at one time, changed at another
        submit(team, second[:6])
        ids = tasks(team, NAMES["annotator-a"])
        skipped, begun = first[5].passage_id, first[6].passage_id
        as_member(server, "moving-a", f"/api/tasks/{ids[skipped]}/annotations", {"result": [], "was_cancelled": True})
        as_member(server, "moving-a", f"/api/tasks/{ids[begun]}/drafts", {"result": [], "lead_time": 3})
        pulled = run_json(team, capsys, "annotate", "pull")
    assert [(row["annotator"], row["passages"]) for row in pulled] == [("moving-a", 5), ("moving-b", 6)]
    assert [(row["skipped"], row["drafts"]) for row in pulled] == [(1, 1), (0, 0)]
    paths = {name: exports.export_path(team, name) for name in ("moving-a", "moving-b")}
    before = {name: path.read_bytes() for name, path in paths.items()}

    # There: one command, and the exports are the same to the byte.
    sent = run_json(team, capsys, "annotate", "push", "--with-labels")["projects"]
    assert [(row["annotator"], row["created"], row["labelled"]) for row in sent] == [
        ("moving-a", 8, 5),
        ("moving-b", 8, 6),
    ]
    assert [row["changed"] for row in run_json(team, capsys, "annotate", "pull")] == [0, 0]
    assert {name: path.read_bytes() for name, path in paths.items()} == before
    again = run_json(team, capsys, "annotate", "push", "--with-labels")["projects"]
    assert [(row["created"], row["unchanged"], row["labelled"]) for row in again] == [(0, 8, 5), (0, 8, 6)]

    # The server itself says so too: each annotation once, by its author.
    client = connect()
    ids_of = annotations._user_ids(client)
    for name, number in (("moving-a", 5), ("moving-b", 6)):
        project: Any = projects.find_project(client, projects.project_title(read_label_set(team), name))
        raw = annotations._stream_tasks(client, project.id, {})
        by = [annotation["completed_by"] for task in raw for annotation in task["annotations"]]
        assert by == [ids_of[name]] * number

    # And work goes on there, to the end; what came along keeps its time.
    submit(team, first)
    submit(team, second)
    run_json(team, capsys, "annotate", "pull")
    times = {
        t["data"]["passage_id"]: t["annotations"][0]["created_at"] for t in json.loads(paths["moving-a"].read_bytes())
    }
    old = {t["data"]["passage_id"]: t["annotations"][0]["created_at"] for t in json.loads(before["moving-a"])}
    assert times.items() >= old.items()
    assert min(times[id] for id in times.keys() - old.keys()) > max(old.values())
    record = run_json(team, capsys, "annotate", "adjudicate")
    assert (record["accepted"], record["passages_to_decide"]) == (5, 3)
    submit(
        team,
        [
            entry
            for entry in judged
            if entry.passage_id in {annotation["passage_id"] for annotation in record["to_decide"]}
        ],
    )
    run_json(team, capsys, "annotate", "pull")
    workspace = Workspace(team)
    assert len(adjudication.check_decisions(workspace, "moving-judge")) == 3

    # Back again, adjudication and all.
    everything = {path.name: path.read_bytes() for path in team.exports.glob("moving-*.json")}
    assert len(everything) == 3
    with accounts.use_home(server_home):
        sent = run_json(team, capsys, "annotate", "push", "--with-labels")["projects"]
        assert [(row["annotator"], row["labelled"]) for row in sent] == [
            ("moving-a", 8),
            ("moving-b", 8),
            ("moving-judge", 8),
        ]
        run_json(team, capsys, "annotate", "pull")
    assert {path.name: path.read_bytes() for path in team.exports.glob("moving-*.json")} == everything


def test_different_labels_are_not_overwritten_by_a_transfer(
    postgres_home: Path, team: Benchmark, capsys: pytest.CaptureFixture[str]
) -> None:
    path = team.annotation / "annotators.toml"
    path.write_text(path.read_text().replace("moving-", "other-"))
    labels = [PassageLabels(e.passage_id, "other-a", e.spans, e.sectors) for e in labels_of(team, "annotator-a")]
    titles = {article.id: article.title for article in articles.read_seeds(team).articles}
    export = exports.export_path(team, "other-a")
    export.write_text(json.dumps(exports.to_export(labels, list(articles.read_seeds(team).passages()), titles)))
    run_json(team, capsys, "annotate", "push", "-a", "other-a")
    submit(team, [PassageLabels(labels[0].passage_id, "other-a", (), ("water",))])
    assert run(["--root", str(team.root), "annotate", "push", "--with-labels", "-a", "other-a"]) == 3
    assert "other-a has labelled 1 of these passages differently" in capsys.readouterr().err
    assert transfer.count_unfinished(connect(), Workspace(team), "other-a") == (0, 0)


def test_a_home_refuses_another_database(
    postgres_home: Path,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The variables forgotten, or those of another database: that would be an empty server."""
    assert process.find_server() is not None
    record = (postgres_home / "database.json").read_text()
    assert postgres.password not in record
    process.stop_server()
    for name in postgres.environment("team"):
        monkeypatch.delenv(name)
    with pytest.raises(
        ServerError, match=f"POSTGRE_PORT={postgres.port} POSTGRE_NAME=team POSTGRE_USER=postgres"
    ) as caught:
        process.start_server()
    assert "JINBENCH_HOME" in str(caught.value)
    for name, value in postgres.environment("another").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ServerError, match="this would be PostgreSQL another"):
        process.start_server()
    monkeypatch.delenv("DJANGO_DB")
    with pytest.raises(ServerError, match="DJANGO_DB is not"):
        process.start_server()
    for name, value in postgres.environment("team").items():
        monkeypatch.setenv(name, value)
    assert not (postgres_home / "data" / "label_studio.sqlite3").exists()
    assert process.start_server() == process.find_server()


def test_a_refused_database_password_leaves_the_home_unchanged(postgres: Postgres, tmp_path: Path) -> None:
    """The home is as before, and the right variables work afterwards."""
    with accounts.use_home(tmp_path / "home"), pytest.MonkeyPatch.context() as patch:
        for name, value in (postgres.environment("team") | {"POSTGRE_PASSWORD": "wr0ng"}).items():
            patch.setenv(name, value)
        with pytest.raises(ServerError, match="password authentication failed") as caught:
            process.start_server(port=0)
        assert "wr0ng" not in str(caught.value)
        assert "File " not in str(caught.value)
        assert database.recorded_database() is None
        assert process.find_server() is None
    assert "wr0ng" not in (tmp_path / "home" / "server.log").read_text()


def test_the_database_password_does_not_leak(postgres_home: Path, postgres: Postgres) -> None:
    server = process.start_server()
    assert postgres.password not in Path(f"/proc/{server.pid}/cmdline").read_text()
    assert all(postgres.password not in path.read_text(errors="replace") for path in postgres_home.glob("*.*"))
    assert not any(name.startswith("POSTGRE_") for name in environment.without_secrets())
    assert os.environ["POSTGRE_PASSWORD"] == postgres.password
