"""The HTTP side of `annotate assist`: four endpoints of Label Studio's machine-learning protocol, and one secret.

It is made of the standard library's HTTP server: four small JSON requests on loopback from one client, for which a web
framework and its dependencies would be more to trust than to use. Whatever does not bring the secret gets 401, and no
body; the access token that `setup` brings is not looked at. Port, secret and model are kept in
`accounts.home()/assist`, so that a backend that was killed and started again is the one that Label Studio knows.
"""

import base64
import contextlib
import hmac
import http.server
import json
import os
import pickle
import secrets
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinbench import accounts
from jinbench.core import files
from jinbench.core.errors import ServerError
from jinbench.suggesting import Suggester
from jinbench.teaching import Mind

HOST = "127.0.0.1"
USER = "jinbench"
LARGEST = 32 * 2**20  # bytes of a request
SMALL = 2**20  # bytes of a refused request that are read, so that its sender gets the answer
EVENTS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED")


@dataclass(frozen=True)
class Place:
    """Where the backend listens, and the secret that Label Studio has to bring."""

    port: int
    secret: str

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def header(self) -> str:
        """The value of `Authorization`: basic authentication."""
        return "Basic " + base64.b64encode(f"{USER}:{self.secret}".encode()).decode()


def folder() -> Path:
    """Where port, secret and model are kept, readable by their owner alone."""
    path = accounts.home() / "assist"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    return path


def _keep(path: Path, data: bytes) -> None:
    """Whole or not at all, and its owner's alone from the moment it exists."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _last() -> Place | None:
    try:
        found = Place(**json.loads((folder() / "place.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    valid = isinstance(found.port, int) and isinstance(found.secret, str) and len(found.secret) >= 32
    return found if valid and 0 < found.port < 65536 else None


def _signed(secret: str, whose: str, data: bytes) -> bytes:
    return hmac.digest(secret.encode(), whose.encode() + b"\0" + data, "sha256")


def keep_model(secret: str, whose: str, data: bytes) -> None:
    """Keep a pickled suggester, signed: nothing but what was written here is ever unpickled."""
    _keep(folder() / "model", _signed(secret, whose, data) + data)


def kept_model(secret: str, whose: str) -> Suggester | None:
    """The suggester that was kept for the same people; None if there is none, or it is broken or foreign."""
    try:
        content = (folder() / "model").read_bytes()
        if not hmac.compare_digest(content[:32], _signed(secret, whose, content[32:])):
            return None
        found = pickle.loads(content[32:])
    except Exception:  # whatever another version left there: it is learnt anew
        return None
    return found if isinstance(found, Suggester) else None


def handler(header: str, mind: Mind) -> type[http.server.BaseHTTPRequestHandler]:
    """What answers requests that bring `header` as their `Authorization`."""
    expected = header.encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 30

        def do_GET(self) -> None:
            if self._allowed():
                self._answer({"status": "UP", "model_class": "Suggester"} if self.path == "/health" else None)

        def do_POST(self) -> None:
            if not self._allowed():
                return
            length = self._length()
            if length is None or length > LARGEST:
                self._end(411 if length is None else 413)
                return
            try:
                body = json.loads(self.rfile.read(length))
            except (ValueError, RecursionError):
                body = None
            if not isinstance(body, dict):
                self._end(400)
            elif self.path == "/setup":
                mind.look()
                self._answer({"model_version": mind.version})
            elif self.path == "/predict":
                mind.look()
                tasks = body.get("tasks")
                if isinstance(tasks, list):
                    self._answer({"results": mind.predict(tasks), "model_version": mind.version})
                else:
                    self._end(400)
            elif self.path == "/webhook":
                if body.get("action") in (*EVENTS, "START_TRAINING"):
                    mind.tell()
                self._answer({})
            else:
                self._answer(None)

        def _length(self) -> int | None:
            given = self.headers.get("Content-Length", "")
            return int(given) if given.isascii() and given.isdigit() and len(given) < 16 else None

        def _allowed(self) -> bool:
            given = self.headers.get("Authorization", "")
            if hmac.compare_digest(given.encode("utf-8", "replace"), expected):
                return True
            self.rfile.read(min(self._length() or 0, SMALL))
            self._end(401)
            return False

        def _end(self, status: int) -> None:
            self.send_response_only(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _answer(self, value: Any) -> None:
            if value is None:
                self._end(404)
                return
            data = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
            self.send_response_only(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
            self._end(401 if code == 501 else code)  # a method that is not served tells nothing either

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing of a request is written down."""

    return Handler


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who hangs up in the middle is nobody's concern."""

    def server_bind(self) -> None:
        """As the parent's, without asking a name server who 127.0.0.1 is."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = HOST, int(self.server_address[1])


@contextlib.contextmanager
def listening(port: int | None) -> Iterator[tuple[Server, Place]]:
    """A server on `port`, the last one, or any free one, and its place, kept for the next time."""
    last = _last()
    server: Server | None = None
    for wanted in (port or (last.port if last else 0), 0):
        with contextlib.suppress(OSError):
            server = Server((HOST, wanted), http.server.BaseHTTPRequestHandler)
            break
    if server is None:
        raise ServerError(f"No free port on {HOST}.")
    place = Place(server.server_port, last.secret if last else secrets.token_urlsafe(32))
    _keep(folder() / "place.json", files.dump_json(asdict(place)).encode())
    try:
        yield server, place
    finally:
        server.server_close()
