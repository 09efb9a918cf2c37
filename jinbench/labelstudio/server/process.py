"""Process of the local Label Studio server: start, stop, find. Its database and log are in `accounts.home()`."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from jinbench.annotation.exports import VERSION
from jinbench.core import files
from jinbench.core.environment import require_packages, without_secrets
from jinbench.core.errors import ServerError
from jinbench.core.types import Step
from jinbench.labelstudio.server import accounts
from jinbench.labelstudio.server.accounts import login_administrator
from jinbench.labelstudio.server.address import is_loopback
from jinbench.labelstudio.server.database import (
    Database,
    check_database,
    copy_empty_database,
    database_from_environment,
    database_variables,
    forget_database,
    record_database,
    recorded_database,
)
from jinbench.labelstudio.server.install import Say, ensure_installed

HOST = "127.0.0.1"
ALL_ADDRESSES = "0.0.0.0"
PORT = 8080

# Variables by which Label Studio would take another database, key or first account from the environment.
_RESERVED = {
    "BASE_DATA_DIR",
    "DATABASE_NAME",
    "DEBUG",
    "HOST",
    "PASSWORD",
    "PORT",
    "SECRET_KEY",
    "USERNAME",
    "USER_TOKEN",
}


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        pid: Process id of its only process.
        port: TCP port that it listens on.
        version: Version of Label Studio.
        host: IPv4 address that it listens on.
    """

    pid: int
    port: int
    version: str = VERSION
    host: str = HOST

    @property
    def url(self) -> str:
        """Address for clients on this machine."""
        return f"http://{HOST if self.host == ALL_ADDRESSES else self.host}:{self.port}"

    @property
    def is_private(self) -> bool:
        """Return whether no other machine can reach it."""
        return self.host != ALL_ADDRESSES and is_loopback(self.url)


def _server_environment() -> dict[str, str]:
    """Return the environment of the server process: no telemetry, no network, no open sign-up."""
    env = {key: value for key, value in without_secrets().items() if key not in _RESERVED}
    return env | {
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "false",
        "PYTHONUNBUFFERED": "1",
    }


def _resolve_host(host: str | None) -> str:
    """Return the IPv4 address of `host` to listen on. Raises :class:`ServerError` if it is not this machine's."""
    if not host:
        return HOST
    try:
        address = str(socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
        with socket.socket() as probe:
            probe.bind((address, 0))
    except (OSError, UnicodeError):
        raise ServerError(
            f"--host {host}: this machine has no IPv4 address of that name. {ALL_ADDRESSES} means all that it has, "
            f"{HOST} this machine alone."
        ) from None
    return address


def _find_free_port(preferred: int, host: str = HOST) -> int:
    """Return `preferred`, after a second if a killed server still holds it; else any free port."""
    for port in (*[preferred] * 5, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                time.sleep(0.2)
                continue
            return int(probe.getsockname()[1])
    raise ServerError(f"No free port on {host}.")


def _is_healthy(server: Server) -> bool:
    import httpx

    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{server.url}/health", timeout=5, trust_env=False).status_code == 200
    return False


def _is_own_server(pid: int) -> bool:
    """Return whether process `pid` serves this home: the system reuses process ids."""
    with contextlib.suppress(OSError, ValueError):
        os.waitpid(pid, os.WNOHANG)  # reap it if it was a child that has ended
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:  # no such process, or no /proc on this system
        if Path("/proc/self").exists():
            return False
        listing = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
        command = subprocess.run(listing, capture_output=True, text=True, env=without_secrets()).stdout
    return str(accounts.home() / "data") in command


def _read_last_server() -> Server | None:
    """Return the server that was last started in this home."""
    try:
        return Server(**json.loads((accounts.home() / "server.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def find_server() -> Server | None:
    """Return the server of this home if it answers, else None."""
    server = _read_last_server()
    return server if server and _is_own_server(server.pid) and _is_healthy(server) else None


def start_server(
    port: int | None = None,
    wait: float = 600,
    say: Say = print,
    host: str | None = None,
    step: Step = lambda name, done, total: None,
) -> Server:
    """Start the server if it is not running, and make the administrator's account and token. Safe to repeat.

    The database is the one that the environment names (see :mod:`jinbench.labelstudio.server.database`).

    Args:
        port: Port to try first; by default the one used last time, so that clients of a killed server find it again.
        wait: Seconds in which it has to answer.
        say: Called with lines about the progress.
        host: Address to listen on; loopback by default, whatever it was last time.
        step: Called while it is installed, with the number of packages that are there, and of all.

    Returns:
        The running server.

    Raises:
        ServerError: If it does not answer in time, or runs already with another host or database.
    """
    require_packages("httpx", "label_studio_sdk", "filelock")
    address, database = _resolve_host(host), database_from_environment()
    python = ensure_installed(say, step)
    accounts.open_home()
    if accounts.restrict_permissions():
        say(
            f"Others could read {accounts.accounts_path()} until now. If other people use this machine, change "
            "the passwords."
        )
    with accounts.lock("start"):
        server, last = find_server(), _read_last_server()
        if server is None and last and _is_own_server(last.pid):  # alive but silent: starting, or busy
            server = _wait_for(last, wait)
        if server is None or os.environ.get("DJANGO_DB"):
            check_database(database)
        if server is None:
            preferred = port if port is not None else last.port if last else PORT
            server = _launch(python, _find_free_port(preferred, address), wait, say, address, database)
        elif host and server.host != address:
            raise ServerError(
                f"Label Studio runs on {server.host} already. To have it on {address}, end it first: "
                "jinbench labelstudio stop"
            )
        login_administrator(server.url)
    return server


def describe_exposure(server: Server) -> str:
    """Return a warning about a server that other machines can reach; empty if none can."""
    if server.is_private:
        return ""
    addresses = "every address of this machine" if server.host == ALL_ADDRESSES else server.host
    return (
        f"Label Studio listens on {addresses}, port {server.port}. What changes:\n"
        "- Whoever can reach this machine over the network sees the login page and may try passwords.\n"
        "- http is not encrypted: passwords, tokens and labels can be read by anybody on the way. Put a proxy with TLS "
        "in front;\n  where the proxy runs on this machine, leave --host away and let it pass on to loopback.\n"
        "- In the community edition every member can open, change and delete every project and every annotation.\n"
        "- It runs on Django's development server, which is made for a team, not for the open internet.\n"
        "The next start without --host is on loopback again. More: docs/labelstudio.md"
    )


def _launch(python: Path, port: int, wait: float, say: Say, host: str, database: Database) -> Server:
    data = accounts.home() / "data"
    data.mkdir(mode=accounts.PRIVATE, parents=True, exist_ok=True)
    env = _server_environment() | database_variables() | {"LABEL_STUDIO_BASE_DATA_DIR": str(data)}
    is_first = recorded_database() is None
    _make_key(data)
    admin = accounts.accounts_by_name().get(accounts.ADMIN) or accounts.Account(
        accounts.ADMIN, secrets.token_urlsafe(12)
    )
    if is_first:  # a token of another database is not valid in this one
        admin = replace(admin, token=None)
    accounts.save_account(admin)
    if not admin.token:  # the server makes the account on its first start
        env |= {"LABEL_STUDIO_USERNAME": admin.email, "LABEL_STUDIO_PASSWORD": admin.password}
    say(
        f"Starting Label Studio {VERSION} on {database}"
        + (" for the first time (up to a minute)…" if is_first else "…")
    )
    if is_first and database.kind == "sqlite":
        copy_empty_database(python, data, _server_environment())
    command = [str(python), "-m", "label_studio.server", "start", "--no-browser", "--internal-host", host]
    command += ["--port", str(port), "--data-dir", str(data)]
    with open(accounts.home() / "server.log", "ab", opener=_open_private) as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
            umask=0o077,
        )
    server = Server(process.pid, port, host=host)
    try:
        # Before it is up: an interrupted first start has begun this database already.
        record_database(database)
        files.write_text(accounts.home() / "server.json", files.dump_json(asdict(server)))
        return _wait_for(server, wait)
    except BaseException as error:
        process.kill()
        if is_first and isinstance(error, Exception):
            forget_database()
        raise


def _make_key(data: Path) -> None:
    """Make the key that signs tokens, if there is none yet.

    One in fifty of the keys that Label Studio makes begins with a dollar sign: at the next start it is read as the name
    of a variable, another key is made, and all tokens are invalid.
    """
    with contextlib.suppress(FileExistsError), open(data / ".env", "x", opener=_open_private) as file:
        file.write(f"SECRET_KEY={secrets.token_urlsafe(48)}\n")


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _wait_for(server: Server, wait: float) -> Server:
    """Return `server` once it answers. Raises :class:`ServerError` if it ends, or after `wait` seconds."""
    deadline = time.monotonic() + wait
    while not _is_healthy(server):
        is_alive = _is_own_server(server.pid)
        if not is_alive or time.monotonic() > deadline:
            log = accounts.home() / "server.log"
            reason = f"no answer in {wait:g} s" if is_alive else "its process ended"
            raise ServerError(f"Label Studio did not start ({reason}). The end of {log}:\n{_tail(log)}")
        time.sleep(0.3)
    return server


def _tail(log: Path) -> str:
    """Return the last three lines of a log, without the frames of tracebacks."""
    lines = log.read_text(errors="replace").splitlines()[-200:]
    messages = [line for line in lines if line.strip() and not line.startswith((" ", "\t", "Traceback"))]
    return "\n".join(messages[-3:])


def stop_server(wait: float = 15) -> bool:
    """End the server of this home, by its process id.

    Args:
        wait: Seconds after which it is killed.

    Returns:
        Whether one was running.
    """
    server = _read_last_server()
    if server is None or not _is_own_server(server.pid):
        return False
    deadline = time.monotonic() + wait
    while _is_own_server(server.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.pid, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL)
        time.sleep(0.1)
    return True
