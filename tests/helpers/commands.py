"""Test helpers: commands."""

import sys
from collections.abc import Container
from pathlib import Path

import pytest

from jinbench.cli import app
from jinbench.core import files


def run(arguments: list[str]) -> int:
    """The exit code of `jinbench ARGUMENTS`."""
    before, sys.argv = sys.argv, ["jinbench", *arguments]
    try:
        app.main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0


def contents(world: Path, unread: Container[str] = ()) -> dict[str, bytes]:
    """Every file but those that are too large to be read."""
    names = {str(path.relative_to(world)): path for path in files.walk_files(world)}
    return {name: path.read_bytes() for name, path in names.items() if name not in unread}


def run_and_capture(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """Run a command in this process; return what it prints."""
    capsys.readouterr()
    assert run(list(arguments)) == code
    printed = capsys.readouterr()
    return printed.out + printed.err
