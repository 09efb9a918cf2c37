"""The server that is used, and that its token goes nowhere else."""

import http.server
import os
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import ServerError
from jinbench.labelstudio.server import accounts, client
from jinbench.labelstudio.server import address as server_address
from tests.helpers.commands import run

TOKEN = "t0ken-of-the-tests"


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path) -> Iterator[None]:
    with accounts.use_home(tmp_path / "home"):
        yield


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://label.example", "https://label.example"),
        ("https://Label.Example/", "https://label.example"),
        ("HTTPS://label.example:443", "https://label.example"),
        (" http://127.0.0.1:8080/ ", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_addresses_are_normalized(text: str, address: str) -> None:
    assert server_address.normalize_url(text) == address


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label.example", r"https://…"),
        ("localhost:8080", r"https://…"),
        ("ftp://label.example", "https://label.example"),
        ("https://", "https://label.example"),
        ("https://label.example:99999", "https://label.example"),
        ("https://label example", "https://label.example"),
        ("https://label.example/studio", "Write https://label.example alone"),
        ("https://label.example:8443/projects/3/data?tab=1", "Write https://label.example:8443 alone"),
        ("https://label.example?token=x", "Write https://label.example alone"),
        (f"https://user:{TOKEN}@label.example", "user or a password"),
        (f"https://{TOKEN}@label.example", "user or a password"),
        (f"user:{TOKEN}@label.example", "user or a password"),
        (TOKEN, r"https://…"),
    ],
)
def test_invalid_addresses_are_refused(text: str, message: str) -> None:
    with pytest.raises(ServerError, match=message) as error:
        server_address.normalize_url(text)
    assert TOKEN not in str(error.value)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:80", True),
        ("http://127.9.9.9", True),
        ("http://localhost:8080", True),
        ("http://[::1]", True),
        ("http://localhost.example", False),
        ("http://127.0.0.1.example", False),
        ("http://192.168.1.5", False),
        ("http://0.0.0.0", False),
    ],
)
def test_loopback_addresses_are_recognised(url: str, loopback: bool) -> None:
    assert server_address.is_loopback(url) is loopback
    assert (server_address.security_warning(url) is None) is loopback
    assert server_address.security_warning(url.replace("http:", "https:")) is None


def token_file(tmp_path: Path, mode: int, text: str = TOKEN + "\n") -> Path:
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_token_from_a_file(mode: int, tmp_path: Path) -> None:
    with server_address.use_server("https://label.example", token_file(tmp_path, mode)):
        assert (server_address.remote_url(), server_address.remote_token()) == ("https://label.example", TOKEN)
    assert server_address.remote_url() is None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o620])
def test_a_token_that_others_may_read_is_refused(mode: int, tmp_path: Path) -> None:
    with (
        server_address.use_server("https://label.example", token_file(tmp_path, mode)),
        pytest.raises(ServerError, match="chmod 600") as message,
    ):
        server_address.remote_token()
    assert TOKEN not in str(message.value)


@pytest.mark.parametrize("text", ["", "\n", f"{TOKEN} x", f"{TOKEN}\nx", "t\u00f6ken", f"\x00{TOKEN}"])
def test_an_invalid_token_is_refused(text: str, tmp_path: Path) -> None:
    with (
        server_address.use_server("https://label.example", token_file(tmp_path, 0o600, text)),
        pytest.raises(ServerError) as message,
    ):
        server_address.remote_token()
    assert TOKEN not in str(message.value)


def test_incomplete_settings_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(server_address.TOKEN, TOKEN)
    with pytest.raises(ServerError, match=server_address.URL):
        server_address.remote_url()
    monkeypatch.setenv(server_address.TOKEN, "")
    monkeypatch.setenv(server_address.URL, "https://label.example")
    with pytest.raises(ServerError, match="--token-file"):
        server_address.remote_token()
    monkeypatch.setenv(server_address.TOKEN, TOKEN)
    monkeypatch.setenv(server_address.TOKEN_FILE, str(tmp_path))
    with pytest.raises(ServerError, match="both set"):
        server_address.remote_token()


def test_a_token_goes_to_no_other_server_than_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """LABEL_STUDIO_URL and its token are set for one server; --url names another."""
    monkeypatch.setenv(server_address.URL, "https://one.example")
    monkeypatch.setenv(server_address.TOKEN, TOKEN)
    with pytest.raises(ServerError, match="--token-file"), server_address.use_server("https://two.example", None):
        pass
    with server_address.use_server("https://one.example/", None):
        assert server_address.remote_token() == TOKEN
    with server_address.use_server("https://two.example", token_file(tmp_path, 0o600, "another")):
        assert server_address.remote_token() == "another"
    assert os.environ[server_address.TOKEN] == TOKEN


class RecordingServer:
    """A server that is no Label Studio and records its requests, headers and bodies."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler, bytes], tuple[int, dict[str, str], bytes]]) -> None:
        requests = self.requests = list[str]()

        class Handler(BaseHTTPRequestHandler):
            def any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                requests.append(f"{self.command} {self.path} {self.headers} {body.decode()}")
                status, headers, text = answer(self, body)
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PATCH = do_DELETE = any

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def annotate(benchmark: Benchmark, url: str, file: Path, *command: str) -> int:
    return run(
        ["--root", str(benchmark.root), "annotate", "--url", url, "--token-file", str(file), *(command or ("pull",))]
    )


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((302, {"location": "https://thief.example/api/version"}, b""), "sends on to https://thief.example"),
        ((308, {"location": "/somewhere"}, b""), "sends on to"),
        ((200, {"content-type": "text/html"}, b"<h1>Welcome</h1>"), "is no Label Studio"),
        ((200, {"content-type": "application/json"}, b"{}"), "is no Label Studio"),
        ((404, {}, b""), "is no Label Studio"),
        ((401, {}, b""), "is no Label Studio"),
    ],
)
def test_no_token_goes_to_what_is_no_label_studio(
    answer: tuple[int, dict[str, str], bytes],
    message: str,
    mini: Benchmark,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    requests = RecordingServer(lambda request, body: answer)
    try:
        assert annotate(mini, requests.url, token_file(tmp_path, 0o600)) == 3
    finally:
        requests.end()
    assert message in (err := capsys.readouterr().err)
    assert "was not sent" in err
    assert requests.requests
    assert TOKEN not in "".join(requests.requests)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 502])
def test_an_echoed_token_is_not_printed(
    status: int, mini: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of errors may repeat the whole request."""

    def answer(request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if request.path in ("/api/version", "/health"):
            return 200, {"content-type": "application/json"}, b'{"label-studio-os-package": {}}'
        return status, {"x-seen": "1"}, f"You sent {request.headers} {body.decode()}".encode()

    monkeypatch.setattr("time.sleep", lambda seconds: None)
    requests = RecordingServer(answer)
    try:
        assert annotate(mini, requests.url, token_file(tmp_path, 0o600), "pull", "-a", "annotator-a") == 3
        assert annotate(mini, requests.url, token_file(tmp_path, 0o600), "push") == 3
    finally:
        requests.end()
    assert TOKEN in "".join(requests.requests)  # it was sent, where it belongs
    out, err = capsys.readouterr()
    assert TOKEN not in out + err
    assert str(status) in err
    assert "Traceback" not in err


def test_an_unreachable_server_is_reported(
    mini: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    assert annotate(mini, url, token_file(tmp_path, 0o600)) == 3
    err = capsys.readouterr().err
    assert "cannot be reached" in err
    assert TOKEN not in err


def test_an_expired_token_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK looks at its date before anything is sent."""
    import jwt

    old = jwt.encode({"exp": 1_000_000_000, "token_type": "refresh"}, "k" * 32, algorithm="HS256")
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as failing:  # 501 to whatever
        threading.Thread(target=failing.serve_forever, daemon=True).start()
        monkeypatch.setenv(server_address.URL, f"http://127.0.0.1:{failing.server_port}")
        monkeypatch.setenv(server_address.TOKEN, old)
        with pytest.raises(ServerError, match="out of date") as message:
            client.connect()
        failing.shutdown()
    assert old not in str(message.value)


def test_an_unencrypted_connection_gives_a_warning(mini: Benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--root", str(mini.root), "annotate", "--url", "http://label.example", "push", "--dry-run"]) == 0
    assert "not encrypted" in capsys.readouterr().err
    assert run(["--root", str(mini.root), "annotate", "--url", "https://label.example", "push", "--dry-run"]) == 0
    assert capsys.readouterr().err == ""
