"""This user's folder for Label Studio, and the accounts kept in it, readable by their owner alone."""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from jinbench import files

ADMIN = "admin"


def home() -> Path:
    """The folder of this user's server: `JINBENCH_HOME`, or `~/.local/share/jinbench`."""
    return Path(os.environ.get("JINBENCH_HOME") or Path.home() / ".local" / "share" / "jinbench")


@contextlib.contextmanager
def at(folder: str | Path) -> Iterator[None]:
    """Another home for a while, with a server of its own and SQLite, whatever the environment names."""
    own = {"JINBENCH_HOME": str(folder), "LABEL_STUDIO_URL": "", "LABEL_STUDIO_API_KEY": "", "DJANGO_DB": "sqlite"}
    before = {key: os.environ.get(key) for key in own}
    os.environ.update(own)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


@dataclass(frozen=True)
class Account:
    name: str
    password: str
    token: str | None = None


def kept() -> Path:
    """The file of the accounts."""
    return home() / "accounts.json"


def known() -> dict[str, Account]:
    """The accounts made here, by name."""
    try:
        entries = json.loads(kept().read_text())
    except FileNotFoundError:
        return {}
    return {entry["name"]: Account(**entry) for entry in entries}


def remember(account: Account) -> Account:
    """Add to accounts.json, which is readable by its owner only from the moment it exists."""
    entries = known() | {account.name: account}
    path = kept()
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".accounts.{os.getpid()}.json")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(files.dump_json([asdict(entry) for entry in entries.values()]))
    os.replace(new, path)
    return account
