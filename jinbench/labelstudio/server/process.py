"""The real Label Studio server on this machine, as a process. Its database and its log lie in `accounts.home()`."""

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
from typing import TYPE_CHECKING

from jinbench.annotation.exports import VERSION
from jinbench.core import files
from jinbench.core.environment import without_secrets
from jinbench.core.errors import ServerError
from jinbench.labelstudio.server import accounts
from jinbench.labelstudio.server.accounts import login_administrator
from jinbench.labelstudio.server.address import is_loopback
from jinbench.labelstudio.server.database import Database, asked, check, forget, prepare, remember, settings, used
from jinbench.labelstudio.server.install import Say, ensure_installed

if TYPE_CHECKING:
    pass

HOST = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
PORT = 8080

# Names that Label Studio would take from any environment: another database, another key, another first account.
_ITS_OWN = {
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
    """A running server. `pid` is that of its one process, `host` the address that it listens on."""

    pid: int
    port: int
    version: str = VERSION
    host: str = HOST

    @property
    def url(self) -> str:
        """Where this machine finds it."""
        return f"http://{HOST if self.host == EVERYWHERE else self.host}:{self.port}"

    @property
    def is_private(self) -> bool:
        """Whether no other machine can reach it."""
        return self.host != EVERYWHERE and is_loopback(self.url)


def _settings() -> dict[str, str]:
    """The environment of the server process: quiet, offline, closed."""
    env = {key: value for key, value in without_secrets().items() if key not in _ITS_OWN}
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


def _address(host: str | None) -> str:
    """`host` as the IPv4 address to listen on. Raises :class:`ServerError` if this machine does not have it."""
    if not host:
        return HOST
    try:
        address = str(socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
        with socket.socket() as probe:
            probe.bind((address, 0))
    except (OSError, UnicodeError):
        raise ServerError(
            f"--host {host}: this machine has no IPv4 address of that name. {EVERYWHERE} means all that it has, "
            f"{HOST} this machine alone."
        ) from None
    return address


def _free_port(preferred: int, host: str = HOST) -> int:
    """`preferred`, given a moment to be let go by a server that was just killed; else any free port."""
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


def _healthy(server: Server) -> bool:
    import httpx

    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{server.url}/health", timeout=5, trust_env=False).status_code == 200
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
        listing = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
        command = subprocess.run(listing, capture_output=True, text=True, env=without_secrets()).stdout
    return str(accounts.home() / "data") in command


def _last() -> Server | None:
    """The server that was last started in this home."""
    try:
        return Server(**json.loads((accounts.home() / "server.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def find_server() -> Server | None:
    """The server of this home if it answers, else None."""
    server = _last()
    return server if server and _is_ours(server.pid) and _healthy(server) else None


def start_server(port: int | None = None, wait: float = 600, say: Say = print, host: str | None = None) -> Server:
    """Start the server if it is not running, and make the administrator's account and token. Safe to repeat.

    `port` is tried first; without it the one used last time, so that whoever waits for a killed server finds it again.
    `host` is the address to listen on: loopback unless it is given, whatever was given last time.
    The database is the one that the environment names (see :mod:`jinbench.labelstudio.server.database`).
    Raises :class:`ServerError` if it does not answer within `wait` seconds, or runs already in another way.
    """
    listen, database = _address(host), asked()
    python = ensure_installed(say)
    accounts.open_home()
    if accounts.restrict_permissions():
        say(
            f"Others could read {accounts.accounts_file()} until now. If other people use this machine, change "
            "the passwords."
        )
    with accounts.lock("start"):
        server, last = find_server(), _last()
        if server is None and last and _is_ours(last.pid):  # alive but silent: starting, or busy
            server = _wait_for(last, wait)
        if server is None or os.environ.get("DJANGO_DB"):
            check(database)
        if server is None:
            preferred = port if port is not None else last.port if last else PORT
            server = _launch(python, _free_port(preferred, listen), wait, say, listen, database)
        elif host and server.host != listen:
            raise ServerError(
                f"Label Studio runs on {server.host} already. To have it on {listen}, end it first: "
                "jinbench labelstudio stop"
            )
        login_administrator(server.url)
    return server


def exposure(server: Server) -> str:
    """What it means that the server listens on more than loopback; empty if it does not."""
    if server.is_private:
        return ""
    where = "every address of this machine" if server.host == EVERYWHERE else server.host
    return (
        f"Label Studio listens on {where}, port {server.port}. What changes:\n"
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
    env = _settings() | settings() | {"LABEL_STUDIO_BASE_DATA_DIR": str(data)}
    first = used() is None
    _make_key(data)
    admin = accounts.accounts_of_server().get(accounts.ADMIN) or accounts.Account(
        accounts.ADMIN, secrets.token_urlsafe(12)
    )
    if first:  # the token of another database, if there is one, is of no use in this
        admin = replace(admin, token=None)
    accounts.remember(admin)
    if not admin.token:  # the account is made by the server itself, the first time only
        env |= {"LABEL_STUDIO_USERNAME": admin.address, "LABEL_STUDIO_PASSWORD": admin.password}
    say(f"Starting Label Studio {VERSION} on {database}" + (" for the first time (up to a minute)…" if first else "…"))
    if first and database.kind == "sqlite":
        prepare(python, data, _settings())
    command = [
        str(python),
        "-m",
        "label_studio.server",
        "start",
        "--no-browser",
        "--internal-host",
        host,
        "--port",
        str(port),
        "--data-dir",
        str(data),
    ]
    with open(accounts.home() / "server.log", "ab", opener=_privately) as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
            umask=0o077,
        )
    server = Server(process.pid, port, host=host)
    try:
        # Before it is up: whoever cuts this off has begun a database there, and is not to begin another.
        remember(database)
        files.write_text(accounts.home() / "server.json", files.dump_json(asdict(server)))
        return _wait_for(server, wait)
    except BaseException as error:
        process.kill()
        if first and isinstance(error, Exception):
            forget()
        raise


def _make_key(data: Path) -> None:
    """Make the key that signs tokens, if there is none yet.

    Label Studio would do it, and one key in fifty that it makes begins with a dollar sign: read back at the next start,
    that is taken for the name of a variable, another key is made, and every token is worthless.
    """
    with contextlib.suppress(FileExistsError), open(data / ".env", "x", opener=_privately) as file:
        file.write(f"SECRET_KEY={secrets.token_urlsafe(48)}\n")


def _privately(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _wait_for(server: Server, wait: float) -> Server:
    """`server`, once it answers. Raises :class:`ServerError` if it ends or keeps silent for `wait` seconds."""
    deadline = time.monotonic() + wait
    while not _healthy(server):
        alive = _is_ours(server.pid)
        if not alive or time.monotonic() > deadline:
            log = accounts.home() / "server.log"
            why = f"no answer in {wait:g} s" if alive else "its process ended"
            raise ServerError(f"Label Studio did not start ({why}). The end of {log}:\n{_end_of(log)}")
        time.sleep(0.3)
    return server


def _end_of(log: Path) -> str:
    """The last lines of a log that say something: no frames of a traceback, which stand in the file."""
    lines = log.read_text(errors="replace").splitlines()[-200:]
    told = [line for line in lines if line.strip() and not line.startswith((" ", "\t", "Traceback"))]
    return "\n".join(told[-3:])


def stop_server(wait: float = 15) -> bool:
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
