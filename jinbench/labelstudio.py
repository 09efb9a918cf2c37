"""The real Label Studio server: its environment, its process, signing up, and a client that is logged in.

Nothing of it lies in the repository. The environment is made once, from the locked file beside this module, and kept
in the user's cache; the SQLite database and the log lie in `accounts.home()`.
"""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench import accounts, annotators, files
from jinbench.problems import ServerError

if TYPE_CHECKING:
    import httpx
    from label_studio_sdk import LabelStudio

VERSION = "1.23.2"
LOCK = Path(__file__).with_name("labelstudio.lock")
HOST = "127.0.0.1"
PORT = 8080
Say = Callable[[str], None]


@dataclass(frozen=True)
class Server:
    """A running server. `pid` is that of its one process."""

    pid: int
    port: int
    version: str = VERSION

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


def environment(say: Say = print) -> Path:
    """The Python of Label Studio's own environment; makes it on first use (about a gigabyte, a minute or two)."""
    from filelock import FileLock

    wanted = f"{files.sha256(LOCK.read_bytes())} {sys.version_info.major}.{sys.version_info.minor}"
    cache = Path.home() / ".cache" / "jinbench" / f"label-studio-{VERSION}"
    folder = Path(os.environ.get("JINBENCH_LABELSTUDIO_ENV") or cache)
    python, made = folder / "bin" / "python", folder / "made-from"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if made.is_file() and made.read_text() == wanted:
            return python
        say(f"Installing Label Studio {VERSION} into {folder} (once, a minute or two)…")
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [
                str(python),
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--require-hashes",
                "--requirement",
                str(LOCK),
            ],
        ):
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if done.returncode:
                tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-8:])
                raise ServerError(
                    f"Label Studio could not be installed into {folder}:\n{tail}\n"
                    "Check the network and the disk, then run the same command again."
                )
        files.write_text(made, wanted)
    return python


def _settings() -> dict[str, str]:
    """The environment of the server process: quiet, offline, closed."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("LABEL_STUDIO_")}
    return env | {
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "false",
        # `annotate assist` listens on this machine, and Label Studio asks no such address by default. With this any
        # member can name one as the backend of a project, and Label Studio sends tasks there and shows what went wrong:
        # who has an account can tell what listens here. Webhooks and imports stay guarded. ML_BLOCK_LOCAL_IP=true in
        # the environment closes it, for a server that others reach; there is no assist then.
        "ML_BLOCK_LOCAL_IP": os.environ.get("ML_BLOCK_LOCAL_IP", "false"),
        "PYTHONUNBUFFERED": "1",
    }


def _free_port(preferred: int) -> int:
    """`preferred`, given a moment to be let go by a server that was just killed; else any free port."""
    for port in (*[preferred] * 5, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                time.sleep(0.2)
                continue
            return int(probe.getsockname()[1])
    raise ServerError(f"No free port on {HOST}.")


def _healthy(port: int) -> bool:
    import httpx

    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"http://{HOST}:{port}/health", timeout=5, trust_env=False).status_code == 200
    return False


def _is_ours(pid: int) -> bool:
    """Whether `pid` is alive and serves this home: process ids are used again."""
    with contextlib.suppress(OSError, ValueError):
        os.waitpid(pid, os.WNOHANG)  # if it was our own child and has ended, let it go
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:  # no such process, or no /proc on this system
        if Path("/proc/self").exists():
            return False
        done = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)
        command = done.stdout
    return str(accounts.home() / "data") in command


def _last() -> Server | None:
    """The server that was last started in this home."""
    try:
        return Server(**json.loads((accounts.home() / "server.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def running() -> Server | None:
    """The server of this home if it answers, else None."""
    server = _last()
    return server if server and _is_ours(server.pid) and _healthy(server.port) else None


def start(port: int | None = None, wait: float = 600, say: Say = print) -> Server:
    """Start the server if it is not running, and make the administrator's account and token. Safe to repeat.

    `port` is tried first; without it the one used last time, so that whoever waits for a killed server finds it again.
    Raises :class:`ServerError` if it does not answer within `wait` seconds.
    """
    from filelock import FileLock

    python = environment(say)
    accounts.home().mkdir(parents=True, exist_ok=True)
    with FileLock(str(accounts.home() / "start.lock")):
        server, last = running(), _last()
        if server is None and last and _is_ours(last.pid):  # alive but silent: starting, or busy
            server = _wait_for(last, wait)
        if server is None:
            preferred = port if port is not None else last.port if last else PORT
            server = _launch(python, _free_port(preferred), wait, say)
        _administrator(server)
    return server


def _launch(python: Path, port: int, wait: float, say: Say) -> Server:
    data = accounts.home() / "data"
    data.mkdir(parents=True, exist_ok=True)
    admin = accounts.known().get(accounts.ADMIN) or accounts.remember(
        accounts.Account(accounts.ADMIN, secrets.token_urlsafe(12))
    )
    first = not (data / "label_studio.sqlite3").exists()
    say(f"Starting Label Studio {VERSION}" + (" for the first time (a minute or two)…" if first else "…"))
    log = accounts.home() / "server.log"
    command = [
        str(python),
        "-m",
        "label_studio.server",
        "start",
        "--no-browser",
        "--internal-host",
        HOST,
        "--port",
        str(port),
        "--data-dir",
        str(data),
    ]
    env = _settings() | {
        "LABEL_STUDIO_USERNAME": annotators.email(accounts.ADMIN),
        "LABEL_STUDIO_PASSWORD": admin.password,
    }
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env, start_new_session=True
        )
    server = Server(process.pid, port)
    try:
        files.write_text(accounts.home() / "server.json", files.dump_json(asdict(server)))
        return _wait_for(server, wait)
    except BaseException:
        process.kill()
        raise


def _wait_for(server: Server, wait: float) -> Server:
    """`server`, once it answers. Raises :class:`ServerError` if it ends or keeps silent for `wait` seconds."""
    deadline = time.monotonic() + wait
    while not _healthy(server.port):
        alive = _is_ours(server.pid)
        if not alive or time.monotonic() > deadline:
            log = accounts.home() / "server.log"
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
            why = f"no answer in {wait:g} s" if alive else "its process ended"
            raise ServerError(f"Label Studio did not start ({why}). The end of {log}:\n{tail}")
        time.sleep(0.3)
    return server


def stop(wait: float = 15) -> bool:
    """End the server by its own process id. False if none was running."""
    server = _last()
    if server is None or not _is_ours(server.pid):
        return False
    deadline = time.monotonic() + wait
    while _is_ours(server.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.pid, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL)
        time.sleep(0.1)
    return True


@contextlib.contextmanager
def _session(server: Server) -> Iterator["httpx.Client"]:
    """A browser-like session: cookies, and the header that Django's forgery check wants."""
    import httpx

    with httpx.Client(base_url=server.url, timeout=60, trust_env=False, headers={"Referer": server.url}) as http:
        yield http


def _post(http: "httpx.Client", path: str, **data: str) -> "httpx.Response":
    token = http.cookies.get("csrftoken") or ""
    return http.post(path, data={"csrfmiddlewaretoken": token, **data}, headers={"X-CSRFToken": token})


def _log_in(http: "httpx.Client", account: accounts.Account) -> None:
    http.get("/user/login/")
    answer = _post(http, "/user/login/", email=annotators.email(account.name), password=account.password)
    if answer.status_code != 302:
        raise ServerError(
            f"Label Studio refused the login of {annotators.email(account.name)} (HTTP {answer.status_code}).\n"
            f"Its password is kept in {accounts.kept()}; if it was changed in the browser, write it there too."
        )


def _administrator(server: Server) -> accounts.Account:
    """The administrator's account with a personal access token (Label Studio gives one per user, once)."""
    admin = accounts.known()[accounts.ADMIN]
    if admin.token:
        return admin
    with _session(server) as http:
        _log_in(http, admin)
        answer = _post(http, "/api/token/")
        if answer.status_code == 409:  # the account has one that was not written down
            raise ServerError(
                f"{annotators.email(accounts.ADMIN)} has an access token that {accounts.kept()} does not hold.\n"
                f"Open {server.url}/user/account/personal-access-token, revoke it, and run the same command again."
            )
        if answer.status_code != 201:
            raise ServerError(f"Label Studio gave no access token (HTTP {answer.status_code}).")
        return accounts.remember(accounts.Account(admin.name, admin.password, answer.json()["token"]))


def member(server: Server, name: str) -> accounts.Account:
    """The account called `name`; signs it up over the organization's invitation link if it is new."""
    known = accounts.known().get(name)
    account = known or accounts.remember(accounts.Account(name, secrets.token_urlsafe(12)))
    if known:
        with contextlib.suppress(ServerError), _session(server) as http:
            _log_in(http, account)
            return account
    # New, or written down and then cut off before it was signed up.
    with _session(server) as http:
        _log_in(http, accounts.known()[accounts.ADMIN])
        link = http.get("/api/invite").json()["invite_url"]
    with _session(server) as http:
        http.get(link)
        answer = _post(http, link, email=annotators.email(name), password=account.password, allow_newsletters="false")
        if answer.status_code != 302:
            raise ServerError(
                f"Label Studio did not sign up {annotators.email(name)} (HTTP {answer.status_code}).\n"
                f"If it exists with another password, write that into {accounts.kept()}."
            )
    return account


def member_if_ours(name: str) -> None:
    """Make the account called `name`, if the server that `connect` leads to was started here."""
    server = running()
    if server is not None and not os.environ.get("LABEL_STUDIO_URL"):
        member(server, name)


def connect() -> "LabelStudio":
    """A client of the server named by LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, or of the one started here.

    Raises :class:`ServerError` if there is none.
    """
    try:
        from label_studio_sdk import LabelStudio
    except ImportError:
        raise ServerError("Label Studio's SDK is not installed. Type: pip install 'jinbench[annotate]'") from None
    url, token = os.environ.get("LABEL_STUDIO_URL"), os.environ.get("LABEL_STUDIO_API_KEY")
    if bool(url) != bool(token):
        raise ServerError(
            "Set both LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, or neither for the server of this machine."
        )
    if not (url and token):
        server = running()
        if server is None:
            raise ServerError("No Label Studio is running. Type: jinbench labelstudio start")
        url, token = server.url, accounts.known()[accounts.ADMIN].token
        if HOST not in os.environ.get("NO_PROXY", ""):  # a proxy cannot reach this machine
            os.environ["NO_PROXY"] = f"{HOST},{os.environ.get('NO_PROXY', '')}"
    make: Any = LabelStudio  # the SDK's constructor is untyped
    client: LabelStudio = make(base_url=url, api_key=token, timeout=600)
    return client


def wait_until_up(client: Any, wait: float = 60) -> None:
    """Until the server that `client` talks to answers again. Raises :class:`ServerError` after `wait` seconds."""
    import httpx

    url = str(client._client_wrapper.get_base_url())
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health", timeout=5).status_code == 200:
                return
        time.sleep(0.5)
    raise ServerError(
        f"Label Studio at {url} does not answer. Start it again (jinbench labelstudio start), "
        "then run the same command again: nothing is entered twice."
    )
