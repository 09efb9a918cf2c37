"""Passwords and tokens are their owner's alone, and none gets lost."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jinbench.core.errors import ServerError
from jinbench.labelstudio.server import accounts
from jinbench.labelstudio.server.accounts import Account
from tests.helpers.commands import run
from tests.helpers.paths import ROOT

URL = "https://label.example"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with accounts.use_home(tmp_path / "home"):
        yield tmp_path / "home"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_accounts_are_private_from_the_start(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    real = os.replace

    def replace(new: Path, path: Path) -> None:
        seen.append((mode(Path(new)), mode(home)))
        real(new, path)

    monkeypatch.setattr(os, "replace", replace)
    before = os.umask(0)
    try:
        accounts.save_account(Account("a", "secret"))
    finally:
        os.umask(before)
    assert seen == [(0o600, 0o700)]
    assert (mode(home / "accounts.json"), mode(home)) == (0o600, 0o700)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can become another user")
def test_another_user_cannot_read_accounts() -> None:
    with tempfile.TemporaryDirectory() as outer:
        Path(outer).chmod(0o755)
        with accounts.use_home(Path(outer) / "home"):
            accounts.save_account(Account("a", "secret"))
        for path, expected in ((outer, 0), (f"{outer}/home", 2)):
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "ls", path]
            assert subprocess.run(command, capture_output=True).returncode == expected
        command[-2:] = ["cat", f"{outer}/home/accounts.json"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, "")


def test_an_open_home_is_closed(home: Path) -> None:
    accounts.save_account(Account("a", "secret"))
    home.chmod(0o755)
    (home / "accounts.json").chmod(0o644)
    assert accounts.restrict_permissions()
    assert not accounts.restrict_permissions()
    accounts.open_home()
    assert (mode(home / "accounts.json"), mode(home)) == (0o600, 0o700)


def test_a_folder_with_other_files_is_refused(home: Path) -> None:
    home.mkdir(mode=0o755)
    (home / "thesis.txt").write_text("mine")
    with pytest.raises(ServerError, match="JINBENCH_HOME"):
        accounts.save_account(Account("a", "secret"))
    assert mode(home) == 0o755
    assert [path.name for path in home.iterdir()] == ["thesis.txt"]


def test_concurrent_additions_lose_no_account(home: Path) -> None:
    code = """
import sys
from jinbench.labelstudio.server import accounts
for i in range(20):
    accounts.save_account(accounts.Account(f"{sys.argv[1]}-{i}", "secret"))
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", code, name], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
        for name in "xyz"
    ]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    assert set(accounts.accounts_by_name()) == {f"{name}-{i}" for name in "xyz" for i in range(20)}
    assert not list(home.glob(".accounts*"))


def test_a_broken_file_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.mkdir()
    for text in ("{", "[1]", '[{"nome": "x"}]'):
        (home / "accounts.json").write_text(text)
        assert run(["labelstudio", "accounts"]) == 3
        assert "accounts.json cannot be read" in capsys.readouterr().err


def test_the_command_lists_accounts(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["labelstudio", "accounts"]) == 0
    assert "jinbench labelstudio start" in capsys.readouterr().out
    accounts.save_account(Account("a", "s3cret", "t0ken"))
    accounts.save_account(Account("b", "0ther", url=URL))
    assert run(["labelstudio", "accounts", "--url", f"{URL}/", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == ["b"]
    for command, has_passwords in ((["accounts"], False), (["accounts", "--passwords"], True)):
        for as_json in ([], ["--json"]):
            assert run(["labelstudio", *command, *as_json]) == 0
            out = capsys.readouterr().out
            assert "t0ken" not in out
            assert ("s3cret" in out) is has_passwords
            assert "b@jinbench.localhost" in out
    assert [row["server"] for row in json.loads(out)] == ["this machine", URL]


def test_lost_and_ambiguous_accounts_are_reported(home: Path) -> None:
    with pytest.raises(ServerError, match="administrator's account"):
        accounts.find_administrator()
    accounts.save_account(Account("ann", "secret"))
    with pytest.raises(ServerError, match="ann has the login that Ann would have"):
        accounts.save_account(Account("Ann", "secret"))
    accounts.save_account(Account("Ann", "secret", url=URL))  # on another server
    assert [account.name for account in accounts.read_accounts()] == ["ann", "Ann"]
