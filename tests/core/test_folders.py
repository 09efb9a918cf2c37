"""Folders are written whole or not at all, and nothing is written outside them."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from jinbench import scaffold
from jinbench.core import files, folders, schemas
from jinbench.core.errors import DataError
from tests.helpers.commands import contents
from tests.helpers.kill import kill_at_each_step
from tests.helpers.names import HOSTILE_NAMES, NAMES

FIX = "name another"


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("schema", ["standoff", "manifest", "articles", ""])
def test_hostile_names_are_refused(name: str, schema: str, tmp_path: Path) -> None:
    record = {
        "standoff": {"version": "1", "pages": {"a": "x"}, "files": {name: "x"}, "made_with": {}},
        "manifest": {"files": {name: "x"}},
        "articles": {"page": [{"id": "a", "file": name, "sha256": "x"}], "article": []},
    }
    with pytest.raises(DataError) as caught:
        schemas.check_shape(record[schema], schema, "x") if schema else folders.resolve_inside(tmp_path, name)
    assert any(p.expected.startswith(("the name of a file", "names of files")) for p in caught.value.problems)


@pytest.mark.parametrize("name", NAMES)
def test_other_names_are_written(name: str, tmp_path: Path) -> None:
    files.write_bytes(folders.resolve_inside(tmp_path, name), b"x")
    assert (tmp_path / name).read_bytes() == b"x"


@pytest.mark.parametrize("name", ["link/x", "file", "loop", "inside/link/x"])
def test_links_are_not_followed(name: str, tmp_path: Path) -> None:
    base, outside = tmp_path / "base", tmp_path / "outside"
    (base / "inside").mkdir(parents=True)
    outside.mkdir()
    for link, target in (("link", outside), ("inside/link", outside), ("file", outside / "x"), ("loop", "loop")):
        (base / link).symlink_to(target)
    with pytest.raises(DataError, match="a link"):
        folders.resolve_inside(base, name)


def test_no_pattern_of_a_schema_passes_a_line_break_behind_a_name() -> None:
    for path in (Path(schemas.__file__).parent.parent / "schemas").glob("*.json"):
        for pattern in re.findall(r'"pattern": (".*")', path.read_text()):
            is_free = "[^/]" in pattern or "\\S]*" in pattern or pattern == '"\\\\S"'  # by a format; several lines
            assert is_free or not any(re.search(json.loads(pattern), f"{text}\n") for text in SAMPLES), (path, pattern)


SAMPLES = ("a", "#aabbcc", "1.0.0", "7B", "2026-11-22", "https://example.org")


# Killed at any step


def write_new(target: Path, is_ours: Callable[[Path], bool] = lambda _: True) -> None:
    with folders.temporary_folder(target) as temporary:
        for name in NEW:
            files.write_bytes(temporary / "new" / name, b"new")
        folders.place_folder(temporary / "new", target, FIX, is_ours)


NEW = ("a.txt", "b/c.txt", "d/e.txt", "f.txt")
OLD = ("a.txt", "b/c.txt", "g.txt")


@pytest.mark.parametrize("swap", [True, False])
@pytest.mark.parametrize("before", ["nothing", "an empty folder", "an old folder"])
def test_a_kill_leaves_the_old_or_the_new(before: str, swap: bool, tmp_path: Path) -> None:
    target = tmp_path / "target"
    old = dict.fromkeys(OLD, b"old") if before == "an old folder" else {}
    whole = dict.fromkeys(NEW, b"new")

    def prepare() -> None:
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        if before == "an empty folder":
            target.mkdir()
        for name, data in old.items():
            files.write_bytes(target / name, data)

    def action() -> None:
        if not swap:  # as on a system without it
            folders.ctypes.CDLL = lambda _: None  # type: ignore[attr-defined]
        write_new(target)

    for step in kill_at_each_step(action, prepare):
        if before == "nothing" or (old and swap):  # at once
            assert (files.list_files(target) if target.exists() else {}).keys() in (old.keys(), whole.keys()), step
        folders.sweep_leftovers(tmp_path)
        if target.exists():
            folders.sweep_leftovers(target)
        left = contents(target) if target.exists() else {}
        assert left in (old, whole), step
        assert os.listdir(tmp_path) == ["target"] * target.exists()
        write_new(target)
        assert contents(target) == whole
    assert step > 10


def test_init_that_was_killed_is_repeated(tmp_path: Path) -> None:
    """In an empty folder, whose files are moved one by one."""
    target = tmp_path / "paper"

    def prepare() -> None:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()

    whole = contents(scaffold.create_benchmark(tmp_path / "other" / "paper").root)
    for _ in kill_at_each_step(lambda: scaffold.create_benchmark(target), prepare):
        with contextlib.suppress(DataError):  # folder-taken: it was done
            scaffold.create_benchmark(target)
        assert contents(target) == whole


def test_what_was_edited_after_a_kill_stays(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (target / f"{files.UNFINISHED}abcdefgh").mkdir(parents=True)
    for name in ("a.txt", "mine.txt"):
        (target / name).write_text("edited")
    moved = {"a.txt": 1, "b.txt": 1, "../outside.txt": 1}
    (target / f"{files.UNFINISHED}abcdefgh" / "moved.json").write_text(json.dumps(moved))
    (tmp_path / "outside.txt").write_text("")
    os.utime(tmp_path / "outside.txt", ns=(1, 1))
    folders.sweep_leftovers(target)
    assert (target / "a.txt").read_text() == "edited"
    assert (tmp_path / "outside.txt").exists()


def test_a_run_at_work_is_not_swept(tmp_path: Path) -> None:
    with folders.temporary_folder(tmp_path / "x") as temporary:
        folders.sweep_leftovers(tmp_path)
        assert temporary.is_dir()
    (tmp_path / f"{files.UNFINISHED}link1234").symlink_to(tmp_path / "precious")
    (tmp_path / "precious").mkdir()
    folders.sweep_leftovers(tmp_path)
    assert (tmp_path / "precious").is_dir()


@pytest.mark.parametrize("name", [".git/config", "notes.txt", "b/notes.txt", "empty/", "link"])
def test_what_is_not_ours_is_not_replaced(name: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    for known in OLD:
        files.write_bytes(target / known, b"old")
    if name == "link":
        (target / name).symlink_to(tmp_path)
    elif name.endswith("/"):
        (target / name).mkdir()
    else:
        files.write_bytes(target / name, b"mine")
    before = contents(target)
    with pytest.raises(DataError, match="folder-taken"):
        write_new(target, lambda path: path.is_file() and path.relative_to(target).as_posix() in OLD)
    assert contents(target) == before
    assert os.listdir(tmp_path) == ["target"]
