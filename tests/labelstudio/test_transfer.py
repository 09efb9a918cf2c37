"""A half-finished desk moves from SQLite to PostgreSQL, and work goes on there."""

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
def elsewhere(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of another server, which keeps its work in PostgreSQL. Its variables are set only inside `there`."""
    home = tmp_path_factory.mktemp("postgres-home")
    postgres.ask("CREATE DATABASE desk")
    with accounts.use_home(home), pytest.MonkeyPatch.context() as patch:
        for name, value in postgres.environment("desk").items():
            patch.setenv(name, value)
        try:
            process.start_server(port=0)
            yield home
        finally:
            process.stop_server()


@pytest.fixture
def desk(mini: Benchmark) -> Benchmark:
    """The three-page world with people of its own, and nothing labelled."""
    listing = mini.annotation / "annotators.toml"
    for old, new in NAMES.items():
        listing.write_text(listing.read_text().replace(f'"{old}"', f'"{new}"'))
    return mini


def labels_of(benchmark: Benchmark, name: str) -> list[PassageLabels]:
    """What the committed export of the world says, in the name that `name` has here."""
    path = benchmark.exports / f"{name}.json"
    return read_labels(path, articles.read_seeds(benchmark), read_label_set(benchmark), NAMES[name])


def enter(benchmark: Benchmark, labelled: list[PassageLabels], replace: bool = False) -> tuple[int, int]:
    workspace = Workspace(benchmark)
    client = connect()
    return annotations.submit_labels(client, workspace, labelled[0].annotator, labelled, lambda done: None, replace)


def tasks(benchmark: Benchmark, name: str) -> dict[str, int]:
    client = connect()
    project = projects.find_project(client, projects.project_title(read_label_set(benchmark), name))
    assert project is not None
    return {id: int(found[0].id) for id, found in projects.list_tasks_by_passage(client, project.id).items()}


def as_member(server: process.Server, name: str, path: str, record: dict[str, Any]) -> None:
    """What the page does when a member skips a task or leaves it half done."""
    with open_session(server.url) as http:
        log_in(http, accounts.accounts_by_name()[name])
        answer = http.post(path, json=record, headers={"X-CSRFToken": http.cookies["csrftoken"]})
        assert answer.status_code == 201, answer.text


def jinbench(benchmark: Benchmark, capsys: pytest.CaptureFixture[str], *command: str) -> Any:
    """What a command prints with --json."""
    capsys.readouterr()
    assert run(["--root", str(benchmark.root), *command, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_a_half_finished_desk_moves(
    server_home: Path, elsewhere: Path, desk: Benchmark, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, judged = (labels_of(desk, name) for name in NAMES)
    with accounts.use_home(server_home):
        server = process.start_server()
        jinbench(desk, capsys, "annotate", "push")
        enter(desk, [*first[:4], PassageLabels(first[4].passage_id, NAMES["annotator-a"], (), ("general",))])
        enter(desk, first[4:5], replace=True)  # she thought again: made at one time, changed at another
        enter(desk, second[:6])
        ids = tasks(desk, NAMES["annotator-a"])
        skipped, begun = first[5].passage_id, first[6].passage_id
        as_member(server, "moving-a", f"/api/tasks/{ids[skipped]}/annotations", {"result": [], "was_cancelled": True})
        as_member(server, "moving-a", f"/api/tasks/{ids[begun]}/drafts", {"result": [], "lead_time": 3})
        pulled = jinbench(desk, capsys, "annotate", "pull")
    assert [(row["annotator"], row["passages"]) for row in pulled] == [("moving-a", 5), ("moving-b", 6)]
    assert [(row["skipped"], row["drafts"]) for row in pulled] == [(1, 1), (0, 0)]
    paths = {name: exports.export_path(desk, name) for name in ("moving-a", "moving-b")}
    before = {name: path.read_bytes() for name, path in paths.items()}

    # There: one command, and the exports are the same to the byte.
    sent = jinbench(desk, capsys, "annotate", "push", "--with-labels")
    assert [(row["annotator"], row["created"], row["labelled"]) for row in sent] == [
        ("moving-a", 8, 5),
        ("moving-b", 8, 6),
    ]
    assert [row["changed"] for row in jinbench(desk, capsys, "annotate", "pull")] == [0, 0]
    assert {name: path.read_bytes() for name, path in paths.items()} == before
    again = jinbench(desk, capsys, "annotate", "push", "--with-labels")
    assert [(row["created"], row["unchanged"], row["labelled"]) for row in again] == [(0, 8, 5), (0, 8, 6)]

    # The server itself says so too: each annotation once, by its author.
    client = connect()
    ids_of = annotations._user_ids(client)
    for name, number in (("moving-a", 5), ("moving-b", 6)):
        project: Any = projects.find_project(client, projects.project_title(read_label_set(desk), name))
        raw = annotations._stream_tasks(client, project.id, {})
        by = [each["completed_by"] for task in raw for each in task["annotations"]]
        assert by == [ids_of[name]] * number

    # And work goes on there, to the end; what came along keeps its time.
    enter(desk, first)
    enter(desk, second)
    jinbench(desk, capsys, "annotate", "pull")
    times = {
        t["data"]["passage_id"]: t["annotations"][0]["created_at"] for t in json.loads(paths["moving-a"].read_bytes())
    }
    old = {t["data"]["passage_id"]: t["annotations"][0]["created_at"] for t in json.loads(before["moving-a"])}
    assert times.items() >= old.items()
    assert min(times[id] for id in times.keys() - old.keys()) > max(old.values())
    found = jinbench(desk, capsys, "annotate", "adjudicate")
    assert (found["accepted"], found["passages_to_decide"]) == (5, 3)
    enter(desk, [entry for entry in judged if entry.passage_id in {each["passage_id"] for each in found["to_decide"]}])
    jinbench(desk, capsys, "annotate", "pull")
    workspace = Workspace(desk)
    assert len(adjudication.check_decisions(workspace, "moving-judge")) == 3

    # Back again, adjudication and all.
    everything = {path.name: path.read_bytes() for path in desk.exports.glob("moving-*.json")}
    assert len(everything) == 3
    with accounts.use_home(server_home):
        sent = jinbench(desk, capsys, "annotate", "push", "--with-labels")
        assert [(row["annotator"], row["labelled"]) for row in sent] == [
            ("moving-a", 8),
            ("moving-b", 8),
            ("moving-judge", 8),
        ]
        jinbench(desk, capsys, "annotate", "pull")
    assert {path.name: path.read_bytes() for path in desk.exports.glob("moving-*.json")} == everything


def test_what_was_labelled_differently_there_is_not_overwritten(
    elsewhere: Path, desk: Benchmark, capsys: pytest.CaptureFixture[str]
) -> None:
    listing = desk.annotation / "annotators.toml"
    listing.write_text(listing.read_text().replace("moving-", "other-"))
    labelled = [PassageLabels(e.passage_id, "other-a", e.spans, e.sectors) for e in labels_of(desk, "annotator-a")]
    titles = {article.id: article.title for article in articles.read_seeds(desk).articles}
    export = exports.export_path(desk, "other-a")
    export.write_text(json.dumps(exports.to_export(labelled, list(articles.read_seeds(desk).passages()), titles)))
    jinbench(desk, capsys, "annotate", "push", "-a", "other-a")
    enter(desk, [PassageLabels(labelled[0].passage_id, "other-a", (), ("water",))])
    assert run(["--root", str(desk.root), "annotate", "push", "--with-labels", "-a", "other-a"]) == 3
    assert "other-a has labelled 1 of these passages differently" in capsys.readouterr().err
    assert transfer.count_unfinished(connect(), read_label_set(desk), "other-a") == (0, 0)


def test_a_home_does_not_lose_its_database(
    elsewhere: Path,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The variables forgotten, or those of another database: that would be an empty desk."""
    assert process.find_server() is not None
    kept = (elsewhere / "database.json").read_text()
    assert postgres.password not in kept
    process.stop_server()
    for name in postgres.environment("desk"):
        monkeypatch.delenv(name)
    with pytest.raises(
        ServerError, match=f"POSTGRE_PORT={postgres.port} POSTGRE_NAME=desk POSTGRE_USER=postgres"
    ) as said:
        process.start_server()
    assert "JINBENCH_HOME" in str(said.value)
    for name, value in postgres.environment("another").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ServerError, match="this would be PostgreSQL another"):
        process.start_server()
    monkeypatch.delenv("DJANGO_DB")
    with pytest.raises(ServerError, match="DJANGO_DB is not"):
        process.start_server()
    for name, value in postgres.environment("desk").items():
        monkeypatch.setenv(name, value)
    assert not (elsewhere / "data" / "label_studio.sqlite3").exists()
    assert process.start_server() == process.find_server()


def test_a_database_that_does_not_let_us_in(postgres: Postgres, tmp_path: Path) -> None:
    """The home is as before, and the right variables work afterwards."""
    with accounts.use_home(tmp_path / "home"), pytest.MonkeyPatch.context() as patch:
        for name, value in (postgres.environment("desk") | {"POSTGRE_PASSWORD": "wr0ng"}).items():
            patch.setenv(name, value)
        with pytest.raises(ServerError, match="password authentication failed") as said:
            process.start_server(port=0)
        assert "wr0ng" not in str(said.value)
        assert "File " not in str(said.value)
        assert database.recorded_database() is None
        assert process.find_server() is None
    assert "wr0ng" not in (tmp_path / "home" / "server.log").read_text()


def test_the_password_of_the_database_is_nobody_elses(elsewhere: Path, postgres: Postgres) -> None:
    server = process.start_server()
    assert postgres.password not in Path(f"/proc/{server.pid}/cmdline").read_text()
    assert all(postgres.password not in path.read_text(errors="replace") for path in elsewhere.glob("*.*"))
    assert not any(name.startswith("POSTGRE_") for name in environment.without_secrets())
    assert os.environ["POSTGRE_PASSWORD"] == postgres.password
