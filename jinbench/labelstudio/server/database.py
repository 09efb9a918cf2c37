"""Where the server of this home keeps its work: SQLite, or a PostgreSQL. A home never changes from one to another.

Also an empty SQLite database as the server's own migrations make it, kept beside its environment: to make one takes
most of a minute, to copy it no time.
"""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from jinbench.core import files
from jinbench.core.errors import ServerError
from jinbench.labelstudio.server import accounts

_NEEDED = ("POSTGRE_HOST", "POSTGRE_NAME", "POSTGRE_USER", "POSTGRE_PASSWORD")
_FILE = "label_studio.sqlite3"

# What an empty database may hold: the names of tables, rights and migrations. Anything else could be somebody's.
_LISTS = {"auth_permission", "core_asyncmigrationstatus", "django_content_type", "django_migrations", "sqlite_sequence"}


@dataclass(frozen=True)
class Database:
    """`kind`: sqlite or postgresql. The rest is empty for SQLite, which lies in the home."""

    kind: str = "sqlite"
    host: str = ""
    port: str = ""
    name: str = ""
    user: str = ""

    def __str__(self) -> str:
        return f"PostgreSQL {self.name} at {self.host}:{self.port}" if self.kind == "postgresql" else "SQLite"

    def is_same(self, other: "Database") -> bool:
        """Whether both are one database, whoever logs in to it."""
        return (self.kind, self.host, self.port, self.name) == (other.kind, other.host, other.port, other.name)


def asked() -> Database:
    """The database that the environment names: Label Studio's own variables. Raises :class:`ServerError`."""
    kind = os.environ.get("DJANGO_DB", "")
    given = [name for name in _NEEDED if os.environ.get(name)]
    if kind in ("", "sqlite"):
        if given and not kind:
            raise ServerError(
                f"{given[0]} is set and DJANGO_DB is not: Label Studio would use SQLite. Set DJANGO_DB=default for "
                f"PostgreSQL, DJANGO_DB=sqlite for SQLite, or unset {', '.join(given)}."
            )
        return Database()
    if kind not in ("default", "postgresql"):
        raise ServerError(f"DJANGO_DB={kind} is not known here. Set DJANGO_DB=default for PostgreSQL, or unset it.")
    missing = [name for name in _NEEDED if name not in given]
    if missing:
        raise ServerError(f"DJANGO_DB={kind} means PostgreSQL; set {', '.join(missing)} too.")
    host, name, user, _ = (os.environ[name] for name in _NEEDED)
    port = os.environ.get("POSTGRE_PORT") or "5432"
    if not port.isdecimal():
        raise ServerError("POSTGRE_PORT is not a number.")
    return Database("postgresql", host, port, name, user)


def _record() -> Path:
    return accounts.home() / "database.json"


def used() -> Database | None:
    """The database that the server of this home has used so far, or None if it has never run."""
    try:
        return Database(**json.loads(_record().read_text()))
    except FileNotFoundError:
        return Database() if (accounts.home() / "data" / _FILE).exists() else None
    except (OSError, ValueError, TypeError):
        raise ServerError(f"{_record()} cannot be read. It says which database this home uses; put it back.") from None


def check(database: Database) -> None:
    """Raises :class:`ServerError` if the work of this home lies in another database: it would seem to be gone."""
    before = used()
    if before is None or before.is_same(database):
        return
    home = accounts.home()
    if before.kind == "postgresql":
        way = (
            f"Set DJANGO_DB=default POSTGRE_HOST={before.host} POSTGRE_PORT={before.port} "
            f"POSTGRE_NAME={before.name} POSTGRE_USER={before.user} POSTGRE_PASSWORD=… (the password is not kept here)."
            f"\nIf that database has moved and is the same one: delete {_record()} and start again."
        )
    else:
        way = "Unset DJANGO_DB, or set DJANGO_DB=sqlite."
    raise ServerError(
        f"The server of {home} keeps its work in {before}; this would be {database}, which holds none of it.\n{way}\n"
        "For a new desk set JINBENCH_HOME to another folder; docs/labelstudio.md says how to take the work along."
    )


def remember(database: Database) -> None:
    """Write down, without a password, what this home uses."""
    files.write_text(_record(), files.dump_json(asdict(database)))


def forget() -> None:
    """Take back :func:`remember`, if the server never came up."""
    _record().unlink(missing_ok=True)


def settings() -> dict[str, str]:
    """Of the environment what the server needs to reach its database."""
    return {name: value for name, value in os.environ.items() if name == "DJANGO_DB" or name.startswith("POSTGRE_")}


def prepare(python: Path, data: Path, env: dict[str, str]) -> None:
    """Put an empty SQLite database into the folder `data`, if none is there. Where that fails, the server makes one."""
    target = data / _FILE
    if target.exists():
        return
    with contextlib.suppress(OSError, sqlite3.Error, subprocess.SubprocessError):
        empty = _empty(python, env)
        if empty is None:
            return
        with tempfile.TemporaryDirectory(prefix=".new.", dir=data) as folder:
            new = Path(folder) / _FILE
            shutil.copyfile(empty, new)
            new.chmod(0o600)
            if _is_whole(new):
                os.replace(new, target)
            else:
                empty.unlink()  # the next start makes it again


def _is_whole(path: Path) -> bool:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as database:
        return bool(database.execute("PRAGMA quick_check").fetchone() == ("ok",))
    return False


def _empty(python: Path, env: dict[str, str]) -> Path | None:
    """A migrated database without an account in it, in the environment's folder: a new lock file makes both anew."""
    from filelock import FileLock

    folder = python.parent.parent
    kept = folder / "empty.sqlite3"
    with FileLock(f"{folder}.lock"):
        if kept.is_file():
            return kept
        with tempfile.TemporaryDirectory(prefix=".empty.", dir=folder) as place:  # only this user can enter it
            subprocess.run(
                # It says its version, and migrates before it does; it makes no account.
                [str(python), "-m", "label_studio.server", "version", "--data-dir", place],
                env=env | {"DJANGO_DB": "sqlite", "LABEL_STUDIO_BASE_DATA_DIR": place},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=600,
                check=True,
            )
            new = Path(place) / "new.sqlite3"
            with contextlib.closing(sqlite3.connect(Path(place) / _FILE)) as database:
                if not _is_empty(database):
                    return None
                database.execute("VACUUM INTO ?", (str(new),))
            new.chmod(0o600)
            os.replace(new, kept)
    return kept


def _is_empty(database: sqlite3.Connection) -> bool:
    """Whether there is not a row in it but the lists that every such database has."""
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    full = {name for name in tables if database.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone()}
    return "django_migrations" in full and full <= _LISTS
