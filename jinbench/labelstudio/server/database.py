"""Database of the local server: SQLite or PostgreSQL. A home keeps to the one that it began with.

An empty SQLite database, made by the server's migrations, is cached beside its environment: to make one takes most of
a minute.
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

_REQUIRED = ("POSTGRE_HOST", "POSTGRE_NAME", "POSTGRE_USER", "POSTGRE_PASSWORD")
_FILE = "label_studio.sqlite3"

# Tables that have rows in an empty database.
_SYSTEM_TABLES = {
    "auth_permission",
    "core_asyncmigrationstatus",
    "django_content_type",
    "django_migrations",
    "sqlite_sequence",
}


@dataclass(frozen=True)
class Database:
    """A database. `kind`: sqlite (the file in the home; the other fields are empty) or postgresql."""

    kind: str = "sqlite"
    host: str = ""
    port: str = ""
    name: str = ""
    user: str = ""

    def __str__(self) -> str:
        return f"PostgreSQL {self.name} at {self.host}:{self.port}" if self.kind == "postgresql" else "SQLite"

    def is_same(self, other: "Database") -> bool:
        """Return whether both are the same database, for whichever user."""
        return (self.kind, self.host, self.port, self.name) == (other.kind, other.host, other.port, other.name)


def database_from_environment() -> Database:
    """Return the database that Label Studio's environment variables name. Raises :class:`ServerError`."""
    kind = os.environ.get("DJANGO_DB", "")
    present = [name for name in _REQUIRED if os.environ.get(name)]
    if kind in ("", "sqlite"):
        if present and not kind:
            raise ServerError(
                f"{present[0]} is set and DJANGO_DB is not: Label Studio would use SQLite. Set DJANGO_DB=default for "
                f"PostgreSQL, DJANGO_DB=sqlite for SQLite, or unset {', '.join(present)}."
            )
        return Database()
    if kind not in ("default", "postgresql"):
        raise ServerError(f"DJANGO_DB={kind} is not supported. Set DJANGO_DB=default for PostgreSQL, or unset it.")
    missing = [name for name in _REQUIRED if name not in present]
    if missing:
        raise ServerError(f"DJANGO_DB={kind} means PostgreSQL; set {', '.join(missing)} too.")
    host, name, user, _ = (os.environ[name] for name in _REQUIRED)
    port = os.environ.get("POSTGRE_PORT") or "5432"
    if not port.isdecimal():
        raise ServerError("POSTGRE_PORT is not a number.")
    return Database("postgresql", host, port, name, user)


def _record_path() -> Path:
    return accounts.home() / "database.json"


def recorded_database() -> Database | None:
    """Return the database that the server of this home has used, or None if it has never run."""
    try:
        return Database(**json.loads(_record_path().read_text()))
    except FileNotFoundError:
        return Database() if (accounts.home() / "data" / _FILE).exists() else None
    except (OSError, ValueError, TypeError):
        raise ServerError(
            f"{_record_path()} cannot be read. It says which database this home uses; put it back."
        ) from None


def check_database(database: Database) -> None:
    """Raise :class:`ServerError` if this home belongs to another database: its projects would seem to be gone."""
    before = recorded_database()
    if before is None or before.is_same(database):
        return
    home = accounts.home()
    if before.kind == "postgresql":
        fix = (
            f"Set DJANGO_DB=default POSTGRE_HOST={before.host} POSTGRE_PORT={before.port} "
            f"POSTGRE_NAME={before.name} POSTGRE_USER={before.user} POSTGRE_PASSWORD=… (the password is not kept here)."
            f"\nIf that database has moved and is the same one: delete {_record_path()} and start again."
        )
    else:
        fix = "Unset DJANGO_DB, or set DJANGO_DB=sqlite."
    raise ServerError(
        f"The server of {home} keeps its work in {before}; this would be {database}, which holds none of it.\n{fix}\n"
        "For a new server set JINBENCH_HOME to another folder; docs/labelstudio.md says how to take the work along."
    )


def record_database(database: Database) -> None:
    """Record the database of this home, without the password."""
    files.write_text(_record_path(), files.dump_json(asdict(database)))


def forget_database() -> None:
    """Undo :func:`record_database`, after a first start that failed."""
    _record_path().unlink(missing_ok=True)


def database_variables() -> dict[str, str]:
    """Return the environment variables by which the server reaches its database."""
    return {name: value for name, value in os.environ.items() if name == "DJANGO_DB" or name.startswith("POSTGRE_")}


def copy_empty_database(python: Path, data: Path, env: dict[str, str]) -> None:
    """Copy an empty SQLite database into the folder `data`, if it has none. If that fails, the server makes one."""
    target = data / _FILE
    if target.exists():
        return
    with contextlib.suppress(OSError, sqlite3.Error, subprocess.SubprocessError):
        empty = _make_empty_database(python, env)
        if empty is None:
            return
        with tempfile.TemporaryDirectory(prefix=".new.", dir=data) as folder:
            copy = Path(folder) / _FILE
            shutil.copyfile(empty, copy)
            copy.chmod(0o600)
            if _is_intact(copy):
                os.replace(copy, target)
            else:
                empty.unlink()  # the next start makes it again


def _is_intact(path: Path) -> bool:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as database:
        return bool(database.execute("PRAGMA quick_check").fetchone() == ("ok",))
    return False


def _make_empty_database(python: Path, env: dict[str, str]) -> Path | None:
    """Return a migrated database without accounts, cached in the folder of the environment."""
    from filelock import FileLock

    folder = python.parent.parent
    cached = folder / "empty.sqlite3"
    with FileLock(f"{folder}.lock"):
        if cached.is_file():
            return cached
        with tempfile.TemporaryDirectory(prefix=".empty.", dir=folder) as scratch:  # mode 700
            subprocess.run(
                # `version` runs the migrations and creates no user.
                [str(python), "-m", "label_studio.server", "version", "--data-dir", scratch],
                env=env | {"DJANGO_DB": "sqlite", "LABEL_STUDIO_BASE_DATA_DIR": scratch},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=600,
                check=True,
            )
            compact = Path(scratch) / "new.sqlite3"
            with contextlib.closing(sqlite3.connect(Path(scratch) / _FILE)) as database:
                if not _is_empty(database):
                    return None
                database.execute("VACUUM INTO ?", (str(compact),))
            compact.chmod(0o600)
            os.replace(compact, cached)
    return cached


def _is_empty(database: sqlite3.Connection) -> bool:
    """Return whether no tables but the system tables have rows."""
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    full = {name for name in tables if database.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone()}
    return "django_migrations" in full and full <= _SYSTEM_TABLES
