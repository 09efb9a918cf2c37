"""Accounts of Label Studio: storage, login, sign-up.

They are kept in the home, a folder that no other user of the machine can read.
"""

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jinbench.annotation import annotators
from jinbench.core import files
from jinbench.core.environment import temporary_environment
from jinbench.core.errors import ServerError
from jinbench.labelstudio.server import address

if TYPE_CHECKING:
    import httpx

ADMIN = "admin"
PRIVATE = 0o700  # mode of the folder
_OWN_FILES = ("accounts.json", "server.json", "database.json", "server.log", "data")


def home() -> Path:
    """Return the folder of this user's server: `JINBENCH_HOME`, or `~/.local/share/jinbench`."""
    return Path(os.environ.get("JINBENCH_HOME") or Path.home() / ".local" / "share" / "jinbench")


def use_home(folder: str | Path) -> contextlib.AbstractContextManager[None]:
    """Use another home, with a server of its own and SQLite, while the context lasts."""
    unset = dict.fromkeys((address.URL, address.TOKEN, address.TOKEN_FILE), "")
    return temporary_environment({"JINBENCH_HOME": str(folder), "DJANGO_DB": "sqlite", **unset})


def open_home() -> Path:
    """Return the home, made if need be, and closed to every other user of the machine.

    Raises :class:`ServerError` if that fails, and for a folder that others can read and that holds other things.
    """
    folder = home()
    try:
        folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        if stat.S_IMODE(folder.stat().st_mode) & 0o077:
            inside = {path.name for path in folder.iterdir() if path.suffix != ".lock"}
            if inside and not inside.intersection(_OWN_FILES):
                raise ServerError(
                    f"{folder} holds other things, and others can read it. Passwords are kept in a folder of their "
                    "own: set JINBENCH_HOME to one that does not exist yet."
                )
            folder.chmod(PRIVATE)
    except OSError as error:
        raise ServerError(
            f"{folder} cannot be used ({error.strerror}). Set JINBENCH_HOME to a folder of yours."
        ) from None
    return folder


def lock(name: str) -> contextlib.AbstractContextManager[object]:
    """Return a lock between the processes that use this home."""
    from filelock import FileLock

    return FileLock(str(open_home() / f"{name}.lock"))


@dataclass(frozen=True)
class Account:
    """An account on the server at `url`, None for the one of this home."""

    name: str
    password: str
    token: str | None = None
    url: str | None = None

    @property
    def email(self) -> str:
        return annotators.account_email(self.name)


def accounts_path() -> Path:
    """Return the path of accounts.json."""
    return home() / "accounts.json"


def read_accounts() -> list[Account]:
    """Read the accounts of all servers. Raises :class:`ServerError` if the file cannot be read."""
    path = accounts_path()
    try:
        return [Account(**entry) for entry in json.loads(path.read_text())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise ServerError(
            f"{path} cannot be read ({type(error).__name__}). Put it back from a copy; without it nobody knows the "
            "passwords of the accounts."
        ) from None


def accounts_by_name(url: str | None = None) -> dict[str, Account]:
    """Return the accounts on the server at `url`, or on the one of this home, by name."""
    return {account.name: account for account in read_accounts() if account.url == url}


def find_administrator() -> Account:
    """Return the first account of the server of this home. Raises :class:`ServerError` if it is lost."""
    try:
        return accounts_by_name()[ADMIN]
    except KeyError:
        raise ServerError(
            f"{accounts_path()} does not hold the administrator's account. Put the file back from a copy, or "
            "set JINBENCH_HOME "
            "to a new folder for a new server."
        ) from None


def save_account(account: Account) -> Account:
    """Add an account to accounts.json or replace it there; the file is never readable by others.

    Raises :class:`ServerError` for a name that differs from another only in case: both would have one login.
    """
    with lock("accounts"):  # two processes that add one at once would each write the list without the other's
        clash = annotators.find_login_clash((*accounts_by_name(account.url), account.name))
        if clash:
            raise ServerError(f"{clash[0]} has the login that {account.name} would have. Rename one of the two.")
        entries = {(entry.name, entry.url): entry for entry in read_accounts()} | {(account.name, account.url): account}
        files.write_text(accounts_path(), files.dump_json([asdict(entry) for entry in entries.values()]), mode=0o600)
    return account


def restrict_permissions() -> bool:
    """Make accounts.json readable by its owner only. Returns whether others could read it."""
    path = accounts_path()
    try:
        was_open = bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
        if was_open:
            path.chmod(0o600)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ServerError(f"Others can read {path}, and that cannot be changed ({error.strerror}).") from None
    return was_open


@contextlib.contextmanager
def open_session(url: str) -> Iterator["httpx.Client"]:
    """Open a session like a browser's: cookies, and the header that Django's CSRF check wants."""
    import httpx

    with (
        translate_http_errors(url),
        httpx.Client(
            base_url=url, timeout=60, trust_env=not address.is_loopback(url), headers={"Referer": url}
        ) as http,
    ):
        yield http


@contextlib.contextmanager
def translate_http_errors(url: str) -> Iterator[None]:
    """Raise errors of the transport to `url` as :class:`ServerError`."""
    import httpx

    try:
        yield
    except (httpx.HTTPError, ValueError) as error:
        raise ServerError(f"Label Studio at {url} does not answer as it should ({type(error).__name__}).") from None


def _post(http: "httpx.Client", path: str, **data: str) -> "httpx.Response":
    token = http.cookies.get("csrftoken") or ""
    return http.post(path, data={"csrfmiddlewaretoken": token, **data}, headers={"X-CSRFToken": token})


def log_in(http: "httpx.Client", account: Account) -> None:
    """Log in with password. Raises :class:`ServerError`."""
    http.get("/user/login/")
    answer = _post(http, "/user/login/", email=account.email, password=account.password)
    if answer.status_code != 302:
        raise ServerError(
            f"Label Studio refused the login of {account.email} (HTTP {answer.status_code}).\n"
            f"Its password is kept in {accounts_path()}; if it was changed in the browser, write it there too."
        )


def login_administrator(url: str) -> Account:
    """Return the administrator of the server of this home, at `url`, with its personal access token."""
    admin = find_administrator()
    if admin.token:
        return admin
    with open_session(url) as http:
        log_in(http, admin)
        answer = _post(http, "/api/token/")
        if answer.status_code == 409:  # the account has one that was not written down
            raise ServerError(
                f"{admin.email} has an access token that {accounts_path()} does not hold.\n"
                f"Open {url}/user/account/personal-access-token, revoke it, and run the same command again."
            )
        if answer.status_code != 201:
            raise ServerError(f"Label Studio gave no access token (HTTP {answer.status_code}).")
        return save_account(replace(admin, token=answer.json()["token"]))


def ensure_local_member(url: str, name: str) -> Account:
    """Return the account `name` on the server of this home, at `url`; sign it up if it is new."""
    with lock("members"):  # another process may renew the link between reading and using it
        stored = accounts_by_name().get(name)
        account = stored or save_account(Account(name, secrets.token_urlsafe(12)))
        if stored:
            with contextlib.suppress(ServerError), open_session(url) as http:
                log_in(http, account)
                return account
        # New, or interrupted between saving it and signing it up.
        with open_session(url) as http:
            log_in(http, find_administrator())
            try:
                sign_up(url, http.get("/api/invite").json()["invite_url"], account)
            finally:  # the server's log holds the link: renew it
                http.post("/api/invite/reset-token", json={}, headers={"X-CSRFToken": http.cookies["csrftoken"]})
    return account


def sign_up(url: str, link: str, account: Account) -> None:
    """Sign an account up over an invitation link. Raises :class:`ServerError`."""
    with open_session(url) as http:
        http.get(link)
        answer = _post(http, link, email=account.email, password=account.password, allow_newsletters="false")
        if answer.status_code != 302:
            raise ServerError(
                f"Label Studio did not sign up {account.email} (HTTP {answer.status_code}).\n"
                f"If it exists with another password, write that into {accounts_path()}."
            )
