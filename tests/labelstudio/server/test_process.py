"""The real Label Studio server: its process, its accounts, its doors."""

import json
import os
import re
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from jinbench.annotation import exports
from jinbench.core import environment
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, ServerError
from jinbench.core.types import PassageLabels
from jinbench.labelstudio.server import accounts, address, install
from jinbench.labelstudio.server.accounts import ensure_local_member, log_in, open_session
from jinbench.labelstudio.server.client import connect, ensure_member, wait_until_up
from jinbench.labelstudio.server.database import _SYSTEM_TABLES, _is_empty, copy_empty_database
from jinbench.labelstudio.server.process import (
    HOST,
    Server,
    _server_environment,
    describe_exposure,
    find_server,
    start_server,
    stop_server,
)
from jinbench.seeds import articles
from tests.helpers.commands import run
from tests.helpers.labelstudio import AnnotationProject
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.server


def listening(pid: int) -> set[str]:
    """The IPv4 and IPv6 addresses, in hexadecimal, at which a process waits for connections."""
    links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    tables = [Path(f"/proc/{pid}/net/{name}") for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes}


def secrets_of(home: Path) -> set[str]:
    """Every password and token of a home, the key that signs tokens, and the link that lets people in."""
    secrets = {secret for account in accounts.read_accounts() for secret in (account.password, account.token) if secret}
    secrets |= set(re.findall(r"SECRET_KEY=(.+)", (home / "data" / ".env").read_text()))
    with closing(sqlite3.connect(home / "data" / "label_studio.sqlite3")) as database:
        secrets |= {token for (token,) in database.execute("SELECT token FROM organization") if token}
        secrets |= {key for (key,) in database.execute("SELECT key FROM authtoken_token")}
    assert all(len(secret) >= 8 for secret in secrets)
    return secrets


def test_the_server_listens_on_loopback_alone(server: Server) -> None:
    assert listening(server.pid) == {"0100007F"}
    assert describe_exposure(server) == ""


def test_only_the_owner_can_read_passwords_and_tokens(server: Server, server_home: Path) -> None:
    closed = {"": 0o700, "accounts.json": 0o600, "server.log": 0o600, "data": 0o700, "data/.env": 0o600}
    closed["data/label_studio.sqlite3"] = 0o600
    assert {name: stat.S_IMODE((server_home / name).stat().st_mode) for name in closed} == closed
    log = (server_home / "server.log").read_text(errors="replace")
    assert accounts.accounts_by_name()[accounts.ADMIN].token
    assert not [secret for secret in secrets_of(server_home) if secret in log]


def test_no_process_shows_passwords_or_tokens(server: Server, server_home: Path) -> None:
    """Neither on its command line nor in its environment; the first account's password only while it is made."""
    stop_server()
    server = start_server()
    secrets = secrets_of(server_home)
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                text = (process / name).read_text(errors="replace")
            except OSError:
                continue
            assert not [secret for secret in secrets if secret in text], f"{process} {name}"
    assert str(server_home / "data") in Path(f"/proc/{server.pid}/cmdline").read_text()


def test_children_do_not_see_what_they_do_not_need(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("LABEL_STUDIO_API_KEY", "LABEL_STUDIO_API_KEY_FILE", "POSTGRE_PASSWORD", "SECRET_KEY", "DATABASE_NAME")
    for name in names:
        monkeypatch.setenv(name, "x")
    assert not _server_environment().keys() & set(names)
    assert not environment.without_secrets().keys() & set(names[:3])


def test_no_address_in_the_database_holds_a_token(server: Server, server_home: Path) -> None:
    secrets = secrets_of(server_home)
    with closing(sqlite3.connect(server_home / "data" / "label_studio.sqlite3")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        cells = [cell for name in tables for row in database.execute(f'SELECT * FROM "{name}"') for cell in row]
    texts = [cell for cell in cells if isinstance(cell, str) and any(secret in cell for secret in secrets)]
    assert texts  # tokens and the invitation are kept there, as what they are
    assert not [text for text in texts if "://" in text or "?" in text]


COMMANDS = ("labelstudio start", "labelstudio status", "labelstudio accounts", "annotate push",
            "annotate push --with-labels", "annotate pull",
            "annotate import FILE -a annotator-a", "annotate import FILE -a nobody", "annotate adjudicate --dry-run",
            "annotate adjudicate", "annotate check")  # fmt: skip
STATES = {
    "all is well": {},
    "another's token": {"LABEL_STUDIO_URL": "URL", "LABEL_STUDIO_API_KEY": "TOKENx"},
    "nobody there": {"LABEL_STUDIO_URL": "http://127.0.0.1:9", "LABEL_STUDIO_API_KEY": "TOKEN"},
    "half an address": {"LABEL_STUDIO_API_KEY": "TOKEN"},
    "a token in an address": {"LABEL_STUDIO_URL": "https://TOKEN@label.example", "LABEL_STUDIO_API_KEY": "TOKEN"},
}


@pytest.mark.parametrize("state", STATES)
def test_no_command_prints_or_writes_a_secret(
    state: str, server: Server, server_home: Path, mini: Benchmark, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # nobody comes back in this test
    monkeypatch.setattr(wait_until_up, "__defaults__", (0.1,))
    token = accounts.accounts_by_name()[accounts.ADMIN].token or ""
    for name, value in STATES[state].items():
        monkeypatch.setenv(name, value.replace("TOKEN", token).replace("URL", server.url))
    before = {path for path in mini.root.rglob("*") if path.is_file()}
    export = exports.export_path(mini, "annotator-a")
    codes = set()
    capsys.readouterr()
    for command in COMMANDS:
        for as_json in ([], ["--json"]):
            codes.add(run(["--root", str(mini.root), *command.replace("FILE", str(export)).split(), *as_json]))
    out, err = capsys.readouterr()
    assert codes - {1} == ({0} if state == "all is well" else {0, 3})
    assert "Traceback" not in err
    secrets = secrets_of(server_home)
    assert not [secret for secret in secrets if secret in out + err]
    for path in before | {path for path in mini.root.rglob("*") if path.is_file()}:
        assert not [secret for secret in secrets if secret.encode() in path.read_bytes()], path


def test_a_log_of_requests_holds_no_secret(server: Server, server_home: Path, mini: Benchmark) -> None:
    """Whoever uses the package from a program of his own may have logging on."""
    code = "import logging, sys; logging.basicConfig(level=logging.DEBUG); from jinbench.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--root", str(mini.root), "annotate", "push", "-a", "annotator-b"],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "DEBUG:" in done.stderr
    assert not [secret for secret in secrets_of(server_home) if secret in done.stdout + done.stderr]
    assert "Bearer ey" not in done.stderr


def test_sign_up_is_closed(server: Server) -> None:
    """In every way in which the page or the API can be asked."""
    ensure_local_member(server.url, "the-one-before")
    with open_session(server.url) as http:
        http.get("/user/signup/")
        token = http.cookies.get("csrftoken") or ""
        data = {"email": "a@b.example", "password": "long enough 1", "csrfmiddlewaretoken": token}
        headers = {"X-CSRFToken": token}
        for path in (
            "/user/signup/",
            "/user/signup/?token=",
            "/user/signup/?token=wrong",
            "/user/signup/?next=/projects",
        ):
            assert http.post(path, data=data, headers=headers).status_code == 403
            assert http.post(path, json=data, headers=headers).status_code == 403
        for path in ("/api/users/", "/api/users", "/api/organizations/1/memberships", "/api/invite/reset-token"):
            answer = http.post(path, json=data, headers=headers)
            assert answer.status_code in (401, 403, 404, 405), (path, answer.status_code)
        assert http.get("/api/invite").status_code in (401, 403)
    assert "a@b.example" not in {user.email for user in connect().users.list()}


def test_the_link_that_was_used_lets_nobody_in(server: Server, server_home: Path) -> None:
    """The server writes the addresses of requests into its log, so the link is renewed when somebody has come in."""
    ensure_local_member(server.url, "invited")
    links = re.findall(r"/user/signup/\?token=\S+", (server_home / "server.log").read_text(errors="replace"))
    assert links
    with open_session(server.url) as http:
        for link in set(links):
            http.get(link)
            token = http.cookies.get("csrftoken") or ""
            data = {"email": "thief@b.example", "password": "long enough 1", "csrfmiddlewaretoken": token}
            assert http.post(link, data=data, headers={"X-CSRFToken": token}).status_code == 403


def test_starting_twice_is_starting_once(server: Server) -> None:
    assert start_server() == server
    assert find_server() == server


def test_another_host_is_reported_and_not_remembered(
    server: Server, mini: Benchmark, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ServerError, match="jinbench labelstudio stop"):
        start_server(host="0.0.0.0")
    stop_server()
    with pytest.raises(ServerError, match="no IPv4 address"):
        start_server(host="203.0.113.77")  # a range that is nobody's
    try:
        assert run(["--root", str(mini.root), "labelstudio", "start", "--host", "0.0.0.0"]) == 0
        out, err = capsys.readouterr()
        for part in ("every address of this machine", "login page", "TLS", "every member can", "loopback again"):
            assert part in err
        assert "on this machine only" not in out
        opened = find_server()
        assert opened is not None
        assert (opened.host, opened.url) == ("0.0.0.0", f"http://127.0.0.1:{opened.port}")
        assert listening(opened.pid) == {"00000000"}
        assert start_server() == opened
        assert run(["--root", str(mini.root), "labelstudio", "status"]) == 0
        assert "from outside" in capsys.readouterr().out
    finally:
        stop_server()
    again = start_server()
    assert listening(again.pid) == {"0100007F"}
    assert again.port == opened.port


def test_a_taken_port_is_replaced_by_a_free_one(server_home: Path) -> None:
    stop_server()
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = start_server(port=port)
        assert server.port != port
        assert find_server() == server


def test_stop_and_status(server: Server) -> None:
    assert stop_server()
    assert find_server() is None
    assert not stop_server()
    with pytest.raises(ServerError, match="jinbench labelstudio start"):
        connect()
    again = start_server()
    assert (again.pid != server.pid, again.port) == (True, server.port)


def test_a_member_can_log_in(server: Server) -> None:
    account = ensure_local_member(server.url, "somebody")
    assert ensure_local_member(server.url, "somebody") == account
    with open_session(server.url) as http:
        log_in(http, account)
        assert http.get("/api/current-user/whoami").json()["email"] == "somebody@jinbench.localhost"


def test_two_members_at_once(server: Server, server_home: Path) -> None:
    """Neither renews the link under the other."""
    code = (
        "import sys; from jinbench.labelstudio.server import accounts, process;"
        " accounts.ensure_local_member(process.find_server().url, sys.argv[1])"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, name], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
        for name in ("twin-a", "twin-b")
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    assert {"twin-a", "twin-b"} <= set(accounts.accounts_by_name())


# ---- An empty database in the cache -----------------------------------------------------------------------------


def test_the_cached_database_is_empty(server: Server) -> None:
    cached = install.ensure_installed().parent.parent / "empty.sqlite3"
    assert stat.S_IMODE(cached.stat().st_mode) == 0o600
    with closing(sqlite3.connect(cached)) as database:
        assert _is_empty(database)
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        full = {name for name in tables if database.execute(f'SELECT 1 FROM "{name}"').fetchone()}
    assert full == _SYSTEM_TABLES
    assert {"htx_user", "organization", "authtoken_token", "jwt_auth_jwtsettings"} <= set(tables)


def test_a_database_with_an_account_is_not_empty(server_home: Path, tmp_path: Path) -> None:
    shutil.copyfile(server_home / "data" / "label_studio.sqlite3", tmp_path / "full.sqlite3")
    with closing(sqlite3.connect(tmp_path / "full.sqlite3")) as database:
        assert not _is_empty(database)


def test_a_broken_cached_database_is_deleted(tmp_path: Path) -> None:
    """The server makes its database itself then."""
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    cached, data = tmp_path / "env" / "empty.sqlite3", tmp_path / "data"
    cached.write_bytes(b"SQLite format 3\x00" + b"broken" * 1000)
    data.mkdir()
    copy_empty_database(python, data, {})
    assert list(data.iterdir()) == []
    assert not cached.exists()


# ---- A server that somebody else runs ---------------------------------------------------------------------------


@pytest.fixture
def guest(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The tests' server as one that somebody else runs: another home, its address and a token of it."""
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text(accounts.accounts_by_name()[accounts.ADMIN].token or "")
    monkeypatch.setenv("JINBENCH_HOME", str(tmp_path / "guest"))
    monkeypatch.setenv(address.URL, server.url)
    monkeypatch.setenv(address.TOKEN_FILE, str(path))
    return server


def renamed(benchmark: Benchmark, **names: str) -> Benchmark:
    listing = benchmark.annotation / "annotators.toml"
    text = listing.read_text()
    for old, new in names.items():
        text = text.replace(f'"{old.replace("_", "-")}"', f'"{new}"')
    listing.write_text(text)
    return benchmark


def test_a_missing_member_is_signed_up_there(guest: Server) -> None:
    assert ensure_member("guest-a") == "guest-a@jinbench.localhost"
    assert ensure_member("guest-a") == "guest-a@jinbench.localhost"
    (account,) = accounts.read_accounts()
    assert (account.name, account.url) == ("guest-a", guest.url)
    with open_session(guest.url) as http:
        log_in(http, account)


def test_labels_go_to_a_server_of_somebody_else_and_back(
    guest: Server, mini: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed(mini, annotator_a="guest-c", annotator_b="guest-d")
    export = mini.exports / "annotator-a.json"
    steps = (
        f"annotate --url {guest.url} push -a guest-c",
        f"annotate --url {guest.url} import {export} -a guest-c",
        f"annotate --url {guest.url} pull -a guest-c",
    )
    for step in steps:
        assert run(["--root", str(mini.root), *step.split()]) == 0, capsys.readouterr().err
    written = exports.export_path(mini, "guest-c").read_text()
    assert json.loads(written)[0]["annotations"][0]["completed_by"] == "guest-c@jinbench.localhost"
    assert stat.S_IMODE((tmp_path / "guest" / "accounts.json").stat().st_mode) == 0o600


def test_unstorable_text_is_refused_before_anything_is_sent(project: AnnotationProject) -> None:
    """PostgreSQL answers 500 to it; SQLite takes half a surrogate pair, and then never lists that project again."""
    project.push()
    first, *rest = project.labels()
    for text in ("\x00", "a\ud800b"):
        bad = PassageLabels(first.passage_id, first.annotator, first.spans, first.sectors, (f"x: {text}",))
        with pytest.raises(DataError, match="text that can be stored"):
            project.submit([*rest, bad])
    project.assert_one_task_per_passage(annotations=0)
    project.label_set = replace(project.label_set, title="a\x00")
    with pytest.raises(DataError, match="text that can be stored"):
        project.push()
    page = next(project.benchmark.pages.glob("*.txt"))
    page.write_bytes(page.read_bytes() + b"\x00")
    with pytest.raises(DataError, match="page-control-character"):
        articles.read_seeds(project.benchmark)
