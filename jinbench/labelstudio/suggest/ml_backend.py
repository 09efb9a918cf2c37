"""Label Studio ML backend: suggestions while people label, over HTTP on loopback, guarded by a secret."""

import base64
import contextlib
import hmac
import http.server
import json
import os
import pickle
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench.annotation.workspace import Workspace
from jinbench.core import files
from jinbench.core.errors import ServerError
from jinbench.core.types import PassageLabels
from jinbench.labelstudio import annotations
from jinbench.labelstudio.server import accounts
from jinbench.labelstudio.server.client import ONCE, JsonObject, as_server_error
from jinbench.labelstudio.suggest import suggestions, task_order
from jinbench.labelstudio.suggest.background_training import BackgroundTrainer, Say
from jinbench.labelstudio.suggest.suggestions import Suggester

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

HOST = "127.0.0.1"
USER = "jinbench"
LARGEST = 32 * 2**20  # bytes of a request
SMALL = 2**20  # bytes of a refused request that are read, so that its sender gets the answer
EVENTS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED")


@dataclass(frozen=True)
class BackendAddress:
    """Port of the backend, and the secret that Label Studio has to send."""

    port: int
    secret: str

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def header(self) -> str:
        """The value of `Authorization`: basic authentication."""
        return "Basic " + base64.b64encode(f"{USER}:{self.secret}".encode()).decode()


def backend_folder() -> Path:
    """Return the folder of port, secret and model, readable by its owner only."""
    path = accounts.home() / "assist"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    return path


def _write_private(path: Path, data: bytes) -> None:
    """Write a file atomically, readable by its owner only."""
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


def _read_last_address() -> BackendAddress | None:
    try:
        place = BackendAddress(**json.loads((backend_folder() / "place.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    is_valid = isinstance(place.port, int) and isinstance(place.secret, str) and len(place.secret) >= 32
    return place if is_valid and 0 < place.port < 65536 else None


def _signed(secret: str, whose: str, data: bytes) -> bytes:
    return hmac.digest(secret.encode(), whose.encode() + b"\0" + data, "sha256")


def save_model(secret: str, whose: str, data: bytes) -> None:
    """Save a pickled suggester, signed: nothing else is ever unpickled."""
    _write_private(backend_folder() / "model", _signed(secret, whose, data) + data)


def load_model(secret: str, whose: str) -> Suggester | None:
    """Load the suggester saved for the same annotators; None if there is none, or it is broken or foreign."""
    try:
        content = (backend_folder() / "model").read_bytes()
        if not hmac.compare_digest(content[:32], _signed(secret, whose, content[32:])):
            return None
        suggester = pickle.loads(content[32:])
    except Exception:  # of another version: it is trained again
        return None
    return suggester if isinstance(suggester, Suggester) else None


def make_handler(header: str, trainer: BackgroundTrainer) -> type[http.server.BaseHTTPRequestHandler]:
    """Make a handler for requests with `header` as their `Authorization`."""
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
                trainer.check_soon()
                self._answer({"model_version": trainer.version})
            elif self.path == "/predict":
                trainer.check_soon()
                tasks = body.get("tasks")
                if isinstance(tasks, list):
                    self._answer({"results": trainer.predict(tasks), "model_version": trainer.version})
                else:
                    self._end(400)
            elif self.path == "/webhook":
                if body.get("action") in (*EVENTS, "START_TRAINING"):
                    trainer.request_training()
                self._answer({})
            else:
                self._answer(None)

        def _length(self) -> int | None:
            value = self.headers.get("Content-Length", "")
            return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None

        def _allowed(self) -> bool:
            value = self.headers.get("Authorization", "")
            if hmac.compare_digest(value.encode("utf-8", "replace"), expected):
                return True
            self.rfile.read(min(self._length() or 0, SMALL))
            self._end(401)
            return False

        def _end(self, status: int) -> None:
            self.send_response_only(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _answer(self, value: object) -> None:
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

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    return Handler


class BackendServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that disconnect."""

    def server_bind(self) -> None:
        """Bind as the parent class, without a DNS lookup of 127.0.0.1."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = HOST, int(self.server_address[1])


@contextlib.contextmanager
def listen(port: int | None) -> Iterator[tuple[BackendServer, BackendAddress]]:
    """Open a server on `port`, the last one, or any free one; its address is saved for the next time."""
    last = _read_last_address()
    server: BackendServer | None = None
    for wanted in (port or (last.port if last else 0), 0):
        with contextlib.suppress(OSError):
            server = BackendServer((HOST, wanted), http.server.BaseHTTPRequestHandler)
            break
    if server is None:
        raise ServerError(f"No free port on {HOST}.")
    place = BackendAddress(server.server_port, last.secret if last else secrets.token_urlsafe(32))
    _write_private(backend_folder() / "place.json", files.dump_json(asdict(place)).encode())
    try:
        yield server, place
    finally:
        server.server_close()


TITLE = "jinbench assist"


def register_backend(client: "LabelStudio", project: int, place: BackendAddress) -> bool:
    """Register the backend in a project; returns whether the server also reports submissions to it."""
    import httpx
    from label_studio_sdk.core.api_error import ApiError

    settings: JsonObject = {
        "url": place.url,
        "title": TITLE,
        "description": "Made by: jinbench annotate assist",
        "auth_method": "BASIC_AUTH",
        "basic_auth_user": USER,
        "basic_auth_pass": place.secret,
        "is_interactive": False,
        "project": project,
        "request_options": ONCE,
    }
    hook: JsonObject = {
        "url": f"{place.url}/webhook",
        "project": project,
        "headers": {"Authorization": place.header},
        "actions": list(EVENTS),
        "send_for_all_actions": False,
        "send_payload": False,
        "is_active": True,
    }

    def list_own() -> list[int]:
        return [_number(backend) for backend in client.ml.list(project=project) if backend.title == TITLE]

    def act() -> None:
        ids = list_own()
        if not ids:
            # Label Studio saves it, then makes a webhook beside it, which its guard refuses with 403 for both.
            try:
                client.ml.create(**settings)
            except ApiError as error:
                if error.status_code != 403 or not list_own():
                    raise
            ids = list_own()
        client.ml.update(id=ids[0], **settings)  # repeats what it looks like, and connects
        for number in ids[1:]:
            client.ml.delete(id=number, request_options=ONCE)
        client.projects.update(id=project, show_collab_predictions=True, model_version=TITLE)

    try:
        as_server_error(act)
    except ServerError as error:
        raise ServerError(
            f"{error}\nLabel Studio could not be told of the backend at {place.url}. If it was started by an older"
            " version: jinbench labelstudio stop, then start. A server elsewhere can reach no backend of this machine."
        ) from None
    with contextlib.suppress(ApiError, httpx.HTTPError):  # 4xx where the server guards against calling its own machine
        hooks = [entry for entry in client.webhooks.list(project=str(project)) if entry.url == hook["url"]]
        for entry in hooks:  # also the one without the secret that Label Studio makes beside a backend
            client.webhooks.delete(id=_number(entry), request_options=ONCE)
        client.webhooks.create(**hook, request_options=ONCE)
        return True
    return False


def _number(entry: Any) -> int:
    return int(entry.id)


def serve_backend(
    client: "LabelStudio",
    workspace: Workspace,
    names: Sequence[str],
    ready: Callable[[BackendAddress, dict[str, int], str], None],
    say: Say,
    port: int | None = None,
) -> None:
    """Serve suggestions in the projects of `names` until interrupted; `ready` is called once when it is up.

    Raises :class:`ServerError` if a project is missing, registration fails, or a backend runs already in this home.
    """
    from filelock import FileLock, Timeout

    numbers = {name: annotations.find_project_id(client, workspace.label_set, name) for name in names}
    folds = suggestions.FOLDS if len(names) > 1 else 0
    whose = json.dumps([metadata.version("jinbench"), workspace.label_set.title, sorted(names)])
    try:
        lock = FileLock(str(backend_folder() / "lock"), mode=0o600).acquire(timeout=1)
    except Timeout:
        raise ServerError(f"A backend is running already for {accounts.home()}. End it first.") from None

    def count() -> object:
        return as_server_error(
            lambda: [client.projects.get(id=number).total_annotations_number for number in numbers.values()]
        )

    def fetch_all() -> list[PassageLabels]:
        return [entry for name in names for entry in annotations.fetch_labels(client, workspace, name)]

    with lock, listen(port) as (server, place):
        trainer = BackgroundTrainer(
            workspace.seeds.articles,
            count,
            fetch_all,
            folds,
            lambda data: save_model(place.secret, whose, data),
            load_model(place.secret, whose),
            say,
        )
        server.RequestHandlerClass = make_handler(place.header, trainer)
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        for name in names:  # live suggestions and an order by certainty do not go together
            task_order.order_by_reading(client, task_order.plan_order(client, workspace.label_set, name))
        is_registered = [register_backend(client, number, place) for number in numbers.values()]
        if not all(is_registered):
            say("Label Studio does not call back when something is submitted: the backend looks for itself.")
        ready(place, numbers, trainer.version)
        trainer.run()
