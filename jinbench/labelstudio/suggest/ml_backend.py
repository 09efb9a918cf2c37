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
from jinbench.labelstudio.server.client import ONCE, as_server_error
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


def backend_folder() -> Path:
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


def _last() -> BackendAddress | None:
    try:
        found = BackendAddress(**json.loads((backend_folder() / "place.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    valid = isinstance(found.port, int) and isinstance(found.secret, str) and len(found.secret) >= 32
    return found if valid and 0 < found.port < 65536 else None


def _signed(secret: str, whose: str, data: bytes) -> bytes:
    return hmac.digest(secret.encode(), whose.encode() + b"\0" + data, "sha256")


def save_model(secret: str, whose: str, data: bytes) -> None:
    """Keep a pickled suggester, signed: nothing but what was written here is ever unpickled."""
    _keep(backend_folder() / "model", _signed(secret, whose, data) + data)


def load_model(secret: str, whose: str) -> Suggester | None:
    """The suggester that was kept for the same people; None if there is none, or it is broken or foreign."""
    try:
        content = (backend_folder() / "model").read_bytes()
        if not hmac.compare_digest(content[:32], _signed(secret, whose, content[32:])):
            return None
        found = pickle.loads(content[32:])
    except Exception:  # whatever another version left there: it is learnt anew
        return None
    return found if isinstance(found, Suggester) else None


def make_handler(header: str, mind: BackgroundTrainer) -> type[http.server.BaseHTTPRequestHandler]:
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


class BackendServer(http.server.ThreadingHTTPServer):
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
def listen(port: int | None) -> Iterator[tuple[BackendServer, BackendAddress]]:
    """A server on `port`, the last one, or any free one, and its place, kept for the next time."""
    last = _last()
    server: BackendServer | None = None
    for wanted in (port or (last.port if last else 0), 0):
        with contextlib.suppress(OSError):
            server = BackendServer((HOST, wanted), http.server.BaseHTTPRequestHandler)
            break
    if server is None:
        raise ServerError(f"No free port on {HOST}.")
    place = BackendAddress(server.server_port, last.secret if last else secrets.token_urlsafe(32))
    _keep(backend_folder() / "place.json", files.dump_json(asdict(place)).encode())
    try:
        yield server, place
    finally:
        server.server_close()


TITLE = "jinbench assist"


def register_backend(client: "LabelStudio", project: int, place: BackendAddress) -> bool:
    """Make Label Studio ask the backend when a passage of a project is opened; repeated, it changes what changed.

    Returns whether the server also calls when something is submitted: by default it calls no address of its own
    machine, and it need not, as a passage is opened after each one that is submitted. Raises :class:`ServerError`.
    """
    import httpx
    from label_studio_sdk.core.api_error import ApiError

    settings: dict[str, Any] = {
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
    hook: dict[str, Any] = {
        "url": f"{place.url}/webhook",
        "project": project,
        "headers": {"Authorization": place.header},
        "actions": list(EVENTS),
        "send_for_all_actions": False,
        "send_payload": False,
        "is_active": True,
    }

    def own() -> list[int]:
        return [_number(backend) for backend in client.ml.list(project=project) if backend.title == TITLE]

    def act() -> None:
        there = own()
        if not there:
            # Label Studio saves it, then makes a webhook beside it, which its guard refuses with 403 for both.
            try:
                client.ml.create(**settings)
            except ApiError as error:
                if error.status_code != 403 or not own():
                    raise
            there = own()
        client.ml.update(id=there[0], **settings)  # repeats what it looks like, and connects
        for number in there[1:]:
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
        there = [each for each in client.webhooks.list(project=str(project)) if each.url == hook["url"]]
        for each in there:  # also the one without the secret that Label Studio makes beside a backend
            client.webhooks.delete(id=_number(each), request_options=ONCE)
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
    """Serve suggestions in the projects of `names` until interrupted; `ready` is called once, with place, projects and
    model version.

    With one name every passage may be suggested from everything that it submitted. With several, what one has said
    about a story never comes into what another is shown of it. Raises :class:`ServerError` if a project is missing,
    if Label Studio does not take the backend, or if one is running in this home.
    """
    from filelock import FileLock, Timeout

    numbers = {name: annotations.find_project_id(client, workspace.label_set, name) for name in names}
    folds = suggestions.FOLDS if len(names) > 1 else 0
    whose = json.dumps([metadata.version("jinbench"), workspace.label_set.title, sorted(names)])
    try:
        lock = FileLock(str(backend_folder() / "lock"), mode=0o600).acquire(timeout=1)
    except Timeout:
        raise ServerError(f"A backend is running already for {accounts.home()}. End it first.") from None

    def count() -> Any:
        return as_server_error(
            lambda: [client.projects.get(id=number).total_annotations_number for number in numbers.values()]
        )

    def known() -> list[PassageLabels]:
        return [entry for name in names for entry in annotations.fetch_labels(client, workspace, name)]

    with lock, listen(port) as (server, place):
        mind = BackgroundTrainer(
            workspace.seeds.articles,
            count,
            known,
            folds,
            lambda data: save_model(place.secret, whose, data),
            load_model(place.secret, whose),
            say,
        )
        server.RequestHandlerClass = make_handler(place.header, mind)
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        for name in names:  # live suggestions and an order by certainty do not go together
            task_order.order_by_reading(client, task_order.plan_order(client, workspace.label_set, name))
        called = [register_backend(client, number, place) for number in numbers.values()]
        if not all(called):
            say("Label Studio does not call back when something is submitted: the backend looks for itself.")
        ready(place, numbers, mind.version)
        mind.run()
