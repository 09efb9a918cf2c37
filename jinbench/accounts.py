"""This user's folder for Label Studio, and the accounts kept in it: nobody else can look inside."""

import contextlib
import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinbench import annotators
from jinbench.core import files
from jinbench.core.environment import temporary_environment
from jinbench.core.errors import ServerError

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


def known(url: str | None = None) -> dict[str, Account]:
    """The accounts on the server at `url`, or on the one of this home, by name."""
    return {account.name: account for account in read_accounts() if account.url == url}


def administrator() -> Account:
    """The first account of the server of this home. Raises :class:`ServerError` if nobody knows it any more."""
    try:
        return known()[ADMIN]
    except KeyError:
        raise ServerError(
            f"{accounts_file()} does not hold the administrator's account. Put the file back from a copy, or set JINBENCH_HOME "
            "to a new folder for a new server."
        ) from None


def remember(account: Account) -> Account:
    """Add to accounts.json, or put in place of what it says. Readable by its owner only from the moment it exists.

    Raises :class:`ServerError` for a name that differs from a known one in capitals alone: it would be one login.
    """
    with lock("accounts"):  # two processes that add one at once would each write the list without the other's
        same = annotators.one_login((*known(account.url), account.name))
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
    taken = [each.name for each in known(url).values() if each.address.casefold() == login.casefold()]
    if taken not in ([], [name]):
        raise ServerError(f"{login} on {url} is {taken[0]} already. One login is one annotator.")
    return remember(Account(name, login=login, url=url))


def login_of(name: str, url: str | None) -> str:
    """As what the server at `url`, or the one of this home, knows the annotator."""
    account = known(url).get(name)
    return account.address if account else annotators.email(name)


def names(logins: list[str], url: str | None) -> dict[str, str]:
    """The annotator's name for each login of the server at `url`; a login that is no annotator's stands for itself."""
    accounts = known(url)
    mapped = {account.address.casefold(): name for name, account in accounts.items()}

    def name_of(login: str) -> str:
        name = annotators.name_of(login)
        # Whoever is somebody else there is not the account of the same name as well.
        return mapped.get(login.casefold()) or (login if name in accounts else name)

    return {login: name_of(login) for login in logins}
