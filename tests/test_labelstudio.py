"""The real Label Studio server: its process, its accounts, its doors."""

import socket
import stat
import subprocess
from pathlib import Path

import httpx
import pytest

from jinbench import accounts, labelstudio
from jinbench.problems import ServerError

pytestmark = pytest.mark.server


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
    with labelstudio._session(server.url) as http:
        labelstudio._log_in(http, account)
        assert http.get("/api/current-user/whoami").json()["email"] == "somebody@jinbench.localhost"
