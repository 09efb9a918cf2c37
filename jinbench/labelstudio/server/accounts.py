"""This user's folder for Label Studio, and the accounts kept in it: nobody else can look inside."""

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench.annotation import annotators
from jinbench.core import files
from jinbench.core.environment import temporary_environment
from jinbench.core.errors import ServerError
from jinbench.labelstudio.server import address

if TYPE_CHECKING:
    import httpx

ADMIN = "admin"
PRIVATE = 0o700  # of the folder; what others cannot enter, they cannot read
_OURS = ("accounts.json", "server.json", "database.json", "server.log", "data")


def home() -> Path:
    """The folder of this user's server: `JINBENCH_HOME`, or `~/.local/share/jinbench`."""
    return Path(os.environ.get("JINBENCH_HOME") or Path.home() / ".local" / "share" / "jinbench")


def use_home(folder: str | Path) -> contextlib.AbstractContextManager[None]:
    """Another home for a while, with a server of its own and SQLite, whatever the environment names."""
    named = dict.fromkeys(("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY", "LABEL_STUDIO_API_KEY_FILE"), "")
    return temporary_environment({"JINBENCH_HOME": str(folder), "DJANGO_DB": "sqlite", **named})


def open_home() -> Path:
    """The home, made if it is not there, and closed to every other user of the machine.

    Raises :class:`ServerError` if it cannot be, and for an open folder that holds other things: it may be anybody's.
    """
    folder = home()
    try:
        folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        if stat.S_IMODE(folder.stat().st_mode) & 0o077:
            inside = {path.name for path in folder.iterdir() if path.suffix != ".lock"}
            if inside and not inside.intersection(_OURS):
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


def lock(name: str) -> contextlib.AbstractContextManager[Any]:
    """Holds back other processes that ask for the same name in this home."""
    from filelock import FileLock

    return FileLock(str(open_home() / f"{name}.lock"))


@dataclass(frozen=True)
class Account:
    """`login`: as what the server knows it, if not as `annotators.email(name)`; somebody else made it then.

    `url`: the server it is on, None for the one of this home. `password` is empty where it is not known here.
    """

    name: str
    password: str = ""
    token: str | None = None
    login: str | None = None
    url: str | None = None

    @property
    def address(self) -> str:
        return self.login or annotators.email(self.name)


def accounts_file() -> Path:
    """The file of the accounts."""
    return home() / "accounts.json"


def read_accounts() -> list[Account]:
    """The accounts of every server. Raises :class:`ServerError` if the file cannot be read."""
    path = accounts_file()
    try:
        return [Account(**entry) for entry in json.loads(path.read_text())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise ServerError(
            f"{path} cannot be read ({type(error).__name__}). Put it back from a copy; without it nobody knows the "
            "passwords of the accounts."
        ) from None


def accounts_of_server(url: str | None = None) -> dict[str, Account]:
    """The accounts on the server at `url`, or on the one of this home, by name."""
    return {account.name: account for account in read_accounts() if account.url == url}


def administrator() -> Account:
    """The first account of the server of this home. Raises :class:`ServerError` if nobody knows it any more."""
    try:
        return accounts_of_server()[ADMIN]
    except KeyError:
        raise ServerError(
            f"{accounts_file()} does not hold the administrator's account. Put the file back from a copy, or "
            "set JINBENCH_HOME "
            "to a new folder for a new server."
        ) from None


def remember(account: Account) -> Account:
    """Add to accounts.json, or put in place of what it says. Readable by its owner only from the moment it exists.

    Raises :class:`ServerError` for a name that differs from a known one in capitals alone: it would be one login.
    """
    with lock("accounts"):  # two processes that add one at once would each write the list without the other's
        same = annotators.one_login((*accounts_of_server(account.url), account.name))
        if same:
            raise ServerError(f"{same[0]} has the login that {account.name} would have. Rename one of the two.")
        entries = {(entry.name, entry.url): entry for entry in read_accounts()} | {(account.name, account.url): account}
        path = accounts_file()
        new = path.with_name(f".accounts.{os.getpid()}.json")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(files.dump_json([asdict(entry) for entry in entries.values()]))
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    return account


def restrict_permissions() -> bool:
    """Take away what lets others read the accounts. Whether there was something to take away."""
    path = accounts_file()
    try:
        was_open = bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
        if was_open:
            path.chmod(0o600)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ServerError(f"Others can read {path}, and that cannot be changed ({error.strerror}).") from None
    return was_open


def map_login(name: str, login: str, url: str) -> Account:
    """From now on `name` is who the server at `url` knows as `login`. Exports go on saying `annotators.email(name)`.

    Raises :class:`ServerError` if another name has that login there: nobody could tell their labels apart.
    """
    taken = [each.name for each in accounts_of_server(url).values() if each.address.casefold() == login.casefold()]
    if taken not in ([], [name]):
        raise ServerError(f"{login} on {url} is {taken[0]} already. One login is one annotator.")
    return remember(Account(name, login=login, url=url))


def login_of(name: str, url: str | None) -> str:
    """As what the server at `url`, or the one of this home, knows the annotator."""
    account = accounts_of_server(url).get(name)
    return account.address if account else annotators.email(name)


def names(logins: list[str], url: str | None) -> dict[str, str]:
    """The annotator's name for each login of the server at `url`; a login that is no annotator's stands for itself."""
    accounts = accounts_of_server(url)
    mapped = {account.address.casefold(): name for name, account in accounts.items()}

    def name_of(login: str) -> str:
        name = annotators.name_of(login)
        # Whoever is somebody else there is not the account of the same name as well.
        return mapped.get(login.casefold()) or (login if name in accounts else name)

    return {login: name_of(login) for login in logins}


@contextlib.contextmanager
def session(url: str) -> Iterator["httpx.Client"]:
    """A browser-like session: cookies, and the header that Django's forgery check wants."""
    import httpx

    with (
        reached(url),
        httpx.Client(
            base_url=url, timeout=60, trust_env=not address.is_loopback(url), headers={"Referer": url}
        ) as http,
    ):
        yield http


@contextlib.contextmanager
def reached(url: str) -> Iterator[None]:
    """Turns what goes wrong on the way to `url` into :class:`ServerError`."""
    import httpx

    try:
        yield
    except (httpx.HTTPError, ValueError) as error:
        raise ServerError(f"Label Studio at {url} does not answer as it should ({type(error).__name__}).") from None


def _post(http: "httpx.Client", path: str, **data: str) -> "httpx.Response":
    token = http.cookies.get("csrftoken") or ""
    return http.post(path, data={"csrfmiddlewaretoken": token, **data}, headers={"X-CSRFToken": token})


def log_in(http: "httpx.Client", account: Account) -> None:
    http.get("/user/login/")
    answer = _post(http, "/user/login/", email=account.address, password=account.password)
    if answer.status_code != 302:
        raise ServerError(
            f"Label Studio refused the login of {account.address} (HTTP {answer.status_code}).\n"
            f"Its password is kept in {accounts_file()}; if it was changed in the browser, write it there too."
        )


def login_administrator(url: str) -> Account:
    """The administrator of the server of this home, at `url`, with its one personal access token."""
    admin = administrator()
    if admin.token:
        return admin
    with session(url) as http:
        log_in(http, admin)
        answer = _post(http, "/api/token/")
        if answer.status_code == 409:  # the account has one that was not written down
            raise ServerError(
                f"{admin.address} has an access token that {accounts_file()} does not hold.\n"
                f"Open {url}/user/account/personal-access-token, revoke it, and run the same command again."
            )
        if answer.status_code != 201:
            raise ServerError(f"Label Studio gave no access token (HTTP {answer.status_code}).")
        return remember(replace(admin, token=answer.json()["token"]))


def member(url: str, name: str) -> Account:
    """The account called `name` on the server of this home, at `url`; over the invitation link if it is new."""
    with lock("members"):  # nobody may renew the link between another's reading and using it
        known = accounts_of_server().get(name)
        account = known or remember(Account(name, secrets.token_urlsafe(12)))
        if known:
            with contextlib.suppress(ServerError), session(url) as http:
                log_in(http, account)
                return account
        # New, or written down and then cut off before it was signed up.
        with session(url) as http:
            log_in(http, administrator())
            try:
                sign_up(url, http.get("/api/invite").json()["invite_url"], account)
            finally:  # the server's log holds the link: let it open nothing any more
                http.post("/api/invite/reset-token", json={}, headers={"X-CSRFToken": http.cookies["csrftoken"]})
    return account


def sign_up(url: str, link: str, account: Account) -> None:
    with session(url) as http:
        http.get(link)
        answer = _post(http, link, email=account.address, password=account.password, allow_newsletters="false")
        if answer.status_code != 302:
            raise ServerError(
                f"Label Studio did not sign up {account.address} (HTTP {answer.status_code}).\n"
                f"If it exists with another password, write that into {accounts_file()}."
            )
