"""Every check has an input that breaks it, and says what, where and what to do; nothing is written."""

import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from jinbench import cli, files
from jinbench.problems import CODES
from tests.conftest import MINI

CASES = Path(__file__).parent / "bad"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three-page world, built."""
    world = tmp_path_factory.mktemp("built") / "mini"
    shutil.copytree(MINI, world)
    assert run(["--root", str(world), "build"]) == 0
    return world


def run(arguments: list[str]) -> int:
    """The exit code of `jinbench ARGUMENTS`."""
    before, sys.argv = sys.argv, ["jinbench", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0


def spoil(world: Path, case: dict[str, Any]) -> None:
    for edit in case.get("edit", ()):
        path = world / edit["file"]
        old = edit["old"].encode()
        new = bytes.fromhex(edit["new_hex"]) if "new_hex" in edit else edit["new"].encode()
        data = path.read_bytes()
        assert old in data, f"{edit['old']!r} does not stand in {edit['file']}"
        path.write_bytes(data.replace(old, new, 1))
    for write in case.get("write", ()):
        (world / write["file"]).parent.mkdir(parents=True, exist_ok=True)
        (world / write["file"]).write_text(write["text"])
    for name in case.get("delete", ()):
        (world / name).unlink()


def contents(world: Path) -> dict[str, bytes]:
    return {str(path.relative_to(world)): path.read_bytes() for path in files.below(world)}


def test_codes_and_cases_belong_together() -> None:
    assert {path.stem for path in CASES.glob("*.toml")} == set(CODES)


@pytest.mark.parametrize("code", sorted(CODES))
def test_bad_input(
    code: str, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = tomllib.loads((CASES / f"{code}.toml").read_text())
    world = tmp_path / "mini"
    shutil.copytree(built, world)
    spoil(world, case)
    before = contents(world)
    monkeypatch.chdir(world)
    capsys.readouterr()
    assert run(case["command"].split()) == 1
    said = capsys.readouterr().err
    assert f": {code}\n" in said
    for part in ("expected ", "found ", "try ", *case["says"]):
        assert part in said, said
    assert "Traceback" not in said
    assert contents(world) == before


def test_all_problems_are_reported_at_once(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.jsonl").write_text('{"id": "x", "spans": []}\n{"id": "y", "spans": []}\n')
    assert run(["--root", str(built), "score", str(tmp_path / "bad.jsonl")]) == 1
    said = capsys.readouterr().err
    assert "bad.jsonl:1: unknown-id" in said
    assert "bad.jsonl:2: unknown-id" in said
    assert "2 problems. Nothing was written." in said


def test_usage_errors_are_told_from_data_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["no-such-command"]) == 2
    assert run(["--root", "/no/such/folder", "info"]) == 2
