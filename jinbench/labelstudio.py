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
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench import accounts, addresses, annotators, databases, files
from jinbench.problems import ServerError

if TYPE_CHECKING:
    import httpx
    from label_studio_sdk import LabelStudio

VERSION = "1.23.2"
LOCK = Path(__file__).with_name("labelstudio.lock")
HOST = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
PORT = 8080
Say = Callable[[str], None]

# Of the environment: what no child may see but the server, which gets of it what it needs.
_SECRETS = ("LABEL_STUDIO_", "HEARTEX_", "POSTGRE_", "DJANGO_DB")
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
        return self.host != EVERYWHERE and addresses.is_loopback(self.url)


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
            done = subprocess.run(
                command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=without_secrets()
            )
            if done.returncode:
                tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-8:])
                raise ServerError(
                    f"Label Studio could not be installed into {folder}:\n{tail}\n"
                    "Check the network and the disk, then run the same command again."
                )
        files.write_text(made, wanted)
    return python


def without_secrets() -> dict[str, str]:
    """The environment without what only this process or the server needs to know."""
    return {key: value for key, value in os.environ.items() if not key.startswith(_SECRETS)}


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


def running() -> Server | None:
    """The server of this home if it answers, else None."""
    server = _last()
    return server if server and _is_ours(server.pid) and _healthy(server) else None


def start(port: int | None = None, wait: float = 600, say: Say = print, host: str | None = None) -> Server:
    """Start the server if it is not running, and make the administrator's account and token. Safe to repeat.

    `port` is tried first; without it the one used last time, so that whoever waits for a killed server finds it again.
    `host` is the address to listen on: loopback unless it is given, whatever was given last time.
    The database is the one that the environment names (see :mod:`jinbench.databases`).
    Raises :class:`ServerError` if it does not answer within `wait` seconds, or runs already in another way.
    """
    listen, database = _address(host), databases.asked()
    python = environment(say)
    accounts.open_home()
    if accounts.tighten():
        say(f"Others could read {accounts.kept()} until now. If other people use this machine, change the passwords.")
    with accounts.lock("start"):
        server, last = running(), _last()
        if server is None and last and _is_ours(last.pid):  # alive but silent: starting, or busy
            server = _wait_for(last, wait)
        if server is None or os.environ.get("DJANGO_DB"):
            databases.check(database)
        if server is None:
            preferred = port if port is not None else last.port if last else PORT
            server = _launch(python, _free_port(preferred, listen), wait, say, listen, database)
        elif host and server.host != listen:
            raise ServerError(
                f"Label Studio runs on {server.host} already. To have it on {listen}, end it first: "
                "jinbench labelstudio stop"
            )
        _administrator(server)
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


def _launch(python: Path, port: int, wait: float, say: Say, host: str, database: databases.Database) -> Server:
    data = accounts.home() / "data"
    data.mkdir(mode=accounts.PRIVATE, parents=True, exist_ok=True)
    env = _settings() | databases.settings() | {"LABEL_STUDIO_BASE_DATA_DIR": str(data)}
    first = databases.used() is None
    _make_key(data)
    admin = accounts.known().get(accounts.ADMIN) or accounts.Account(accounts.ADMIN, secrets.token_urlsafe(12))
    if first:  # the token of another database, if there is one, is of no use in this
        admin = replace(admin, token=None)
    accounts.remember(admin)
    if not admin.token:  # the account is made by the server itself, the first time only
        env |= {"LABEL_STUDIO_USERNAME": admin.address, "LABEL_STUDIO_PASSWORD": admin.password}
    say(f"Starting Label Studio {VERSION} on {database}" + (" for the first time (up to a minute)…" if first else "…"))
    if first and database.kind == "sqlite":
        databases.prepare(python, data, _settings())
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
        databases.remember(database)
        files.write_text(accounts.home() / "server.json", files.dump_json(asdict(server)))
        return _wait_for(server, wait)
    except BaseException:
        process.kill()
        if first:
            databases.forget()
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
def _session(url: str) -> Iterator["httpx.Client"]:
    """A browser-like session: cookies, and the header that Django's forgery check wants."""
    import httpx

    with (
        _reached(url),
        httpx.Client(
            base_url=url, timeout=60, trust_env=not addresses.is_loopback(url), headers={"Referer": url}
        ) as http,
    ):
        yield http


@contextlib.contextmanager
def _reached(url: str) -> Iterator[None]:
    """Turns what goes wrong on the way to `url` into :class:`ServerError`."""
    import httpx

    try:
        yield
    except (httpx.HTTPError, ValueError) as error:
        raise ServerError(f"Label Studio at {url} does not answer as it should ({type(error).__name__}).") from None


def _post(http: "httpx.Client", path: str, **data: str) -> "httpx.Response":
    token = http.cookies.get("csrftoken") or ""
    return http.post(path, data={"csrfmiddlewaretoken": token, **data}, headers={"X-CSRFToken": token})


def _log_in(http: "httpx.Client", account: accounts.Account) -> None:
    http.get("/user/login/")
    answer = _post(http, "/user/login/", email=account.address, password=account.password)
    if answer.status_code != 302:
        raise ServerError(
            f"Label Studio refused the login of {account.address} (HTTP {answer.status_code}).\n"
            f"Its password is kept in {accounts.kept()}; if it was changed in the browser, write it there too."
        )


def _administrator(server: Server) -> accounts.Account:
    """The administrator's account with a personal access token (Label Studio gives one per user, once)."""
    admin = accounts.known()[accounts.ADMIN]
    if admin.token:
        return admin
    with _session(server.url) as http:
        _log_in(http, admin)
        answer = _post(http, "/api/token/")
        if answer.status_code == 409:  # the account has one that was not written down
            raise ServerError(
                f"{admin.address} has an access token that {accounts.kept()} does not hold.\n"
                f"Open {server.url}/user/account/personal-access-token, revoke it, and run the same command again."
            )
        if answer.status_code != 201:
            raise ServerError(f"Label Studio gave no access token (HTTP {answer.status_code}).")
        return accounts.remember(replace(admin, token=answer.json()["token"]))


def member(server: Server, name: str) -> accounts.Account:
    """The account called `name`; signs it up over the organization's invitation link if it is new."""
    with accounts.lock("members"):  # nobody may renew the link between another's reading and using it
        known = accounts.known().get(name)
        account = known or accounts.remember(accounts.Account(name, secrets.token_urlsafe(12)))
        if known:
            with contextlib.suppress(ServerError), _session(server.url) as http:
                _log_in(http, account)
                return account
        # New, or written down and then cut off before it was signed up.
        with _session(server.url) as http:
            _log_in(http, accounts.known()[accounts.ADMIN])
            try:
                _sign_up(server.url, http.get("/api/invite").json()["invite_url"], account)
            finally:  # the server's log holds the link: let it open nothing any more
                http.post("/api/invite/reset-token", json={}, headers={"X-CSRFToken": http.cookies["csrftoken"]})
    return account


def _sign_up(url: str, link: str, account: accounts.Account) -> None:
    with _session(url) as http:
        http.get(link)
        answer = _post(http, link, email=account.address, password=account.password, allow_newsletters="false")
        if answer.status_code != 302:
            raise ServerError(
                f"Label Studio did not sign up {account.address} (HTTP {answer.status_code}).\n"
                f"If it exists with another password, write that into {accounts.kept()}."
            )


def ensure_member(name: str) -> str:
    """The login of `name` on the server that `connect` leads to; signs it up there if it is missing and may be.

    On a server that somebody else runs, a login that `accounts.map_login` names is theirs to make.
    Raises :class:`ServerError`, with what its owner has to do.
    """
    url = addresses.named()
    if url is None:
        server = running()
        if server is None:
            raise ServerError(_NONE_RUNS)
        return member(server, name).address
    from label_studio_sdk.core.api_error import ApiError

    client, login = connect(), accounts.login_of(name, url)
    map_it = f"jinbench labelstudio accounts --url {url} {name}=LOGIN"
    try:
        with _reached(url):
            if login.casefold() in {str(user.email).casefold() for user in client.users.list()}:
                return login
            if login != annotators.email(name):
                raise ServerError(
                    f"{url} has no member {login}. Ask its owner to invite that address (Organization, Invite people), "
                    f"or name another login: {map_it}"
                )
            http: Any = client._client_wrapper.httpx_client
            answer = http.request("api/invite", method="GET")
            link = str(answer.json()["invite_url"]) if answer.status_code == 200 else ""
    except ApiError as error:
        if error.status_code == 401:
            raise ServerError(f"{url} refused the access token (HTTP 401). Check {addresses.TOKEN}.") from None
        raise ServerError(f"{url} does not say who its members are (HTTP {error.status_code}).") from None
    if not link:
        raise ServerError(
            f"{url} has no member {login}, and does not let this token invite one (HTTP {answer.status_code}). Ask its "
            f"owner to make that account, or to name one that exists; then: {map_it}"
        )
    if not link.startswith("/") or link.startswith("//"):
        raise ServerError(f"{url} invites people to another server. Ask its owner to invite {login}.")
    account = accounts.known(url).get(name) or accounts.Account(name, secrets.token_urlsafe(12), url=url)
    _sign_up(url, link, accounts.remember(account))
    return login


_NONE_RUNS = "No Label Studio is running. Type: jinbench labelstudio start"


def connect() -> "LabelStudio":
    """A client of the server that :func:`addresses.named` gives, or of the one started here.

    It follows no redirect: the token goes to the named server alone. Raises :class:`ServerError` if there is none.
    """
    import logging

    try:
        import httpx
        from label_studio_sdk import LabelStudio
        from label_studio_sdk.core.api_error import ApiError
    except ImportError:
        raise ServerError("Label Studio's SDK is not installed. Type: pip install 'jinbench[annotate]'") from None
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it notes every address, that of an invitation too
    url = addresses.named()
    if url is None:
        server = running()
        if server is None:
            raise ServerError(_NONE_RUNS)
        url, token, through = server.url, accounts.known()[accounts.ADMIN].token, False
    else:
        # A proxy cannot reach this machine.
        token, through = addresses.token(), not addresses.is_loopback(url)
    hooks: dict[str, list[Callable[..., Any]]] = {"response": [_hide]}
    http = httpx.Client(timeout=600, follow_redirects=False, trust_env=through, event_hooks=hooks)
    if addresses.named() is not None:
        _look(http, url)
    make: Any = LabelStudio  # the SDK's constructor is untyped
    try:
        client: LabelStudio = make(base_url=url, api_key=token, timeout=600, httpx_client=http)
    except ApiError:  # it looks at the token's date
        raise ServerError(f"The access token for {url} is out of date. Make a new one in Label Studio.") from None
    return client


def _hide(response: "httpx.Response") -> None:
    """Take out of the body of an error what the request was let in by: a server may say it back, and it is printed."""
    if not response.is_error:
        return
    body = response.read()
    given = response.request.headers.get("authorization", "").rpartition(" ")[2].encode()
    with contextlib.suppress(ValueError, AttributeError, TypeError):
        given = given or json.loads(response.request.content).get("refresh", "").encode()
    if given and given in body:
        response._content = body.replace(given, b"(token)")


def _look(http: "httpx.Client", url: str) -> None:
    """Raises :class:`ServerError` if what answers at `url` is no Label Studio, before a token is sent there.

    One that does not answer at all is left to the command, which waits and tries again.
    """
    import httpx

    try:
        answer = http.get(f"{url}/api/version", timeout=30)
    except httpx.HTTPError:
        return
    if answer.is_redirect:
        there = httpx.URL(url).join(answer.headers.get("location", "/"))
        raise ServerError(
            f"{url} sends on to {there.scheme}://{there.netloc.decode()}. If that is the server that you mean, write "
            "its address; the token was not sent."
        )
    if answer.status_code >= 500:
        return
    try:
        found = "label-studio-os-package" in answer.json()
    except ValueError:
        found = False
    if not found:
        raise ServerError(f"What answers at {url} is no Label Studio. Check {addresses.URL}; the token was not sent.")


def wait_until_up(client: Any, wait: float = 60) -> None:
    """Until the server that `client` talks to answers again. Raises :class:`ServerError` after `wait` seconds."""
    import httpx

    url = str(client._client_wrapper.get_base_url())
    http: httpx.Client = client._client_wrapper.httpx_client.httpx_client
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if http.get(f"{url}/health", timeout=5).status_code == 200:
                return
        time.sleep(0.5)
    ours = addresses.named() is None
    again = "Start it again (jinbench labelstudio start)" if ours else "Wait until it is there again"
    raise ServerError(
        f"Label Studio at {url} does not answer. {again}, then run the same command again: nothing is entered twice."
    )
