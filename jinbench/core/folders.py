"""Folders that are written whole or not at all, and the names of files in them."""

import contextlib
import ctypes
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from jinbench.core.errors import DataError, fail, shorten
from jinbench.core.files import UNFINISHED, display_path, lock, read_bytes
from jinbench.core.text import is_file_name

_LEFTOVER = f"{UNFINISHED}????????"
_ASIDE, _MOVED = "aside", "moved.json"  # in a temporary folder: an old folder, and what was moved to its new place
_EXCHANGE, _HERE = 2, -100  # RENAME_EXCHANGE and AT_FDCWD of Linux


def resolve_inside(folder: Path, name: str) -> Path:
    """Return the path of the file `name`, which somebody else chose, below `folder`.

    Raises :class:`DataError` (wrong-shape) unless the name is one that every system can have, and no part of the path
    below `folder` is a link.
    """
    path = folder / name
    parts = [path, *path.parents][: name.count("/") + 1]
    is_link = is_file_name(name) and any(part.is_symlink() for part in parts)
    if is_link or not is_file_name(name) or not path.resolve().is_relative_to(folder.resolve()):
        fail("wrong-shape", display_path(folder), expected="names of files inside this folder",
             found=f"{shorten(name, 80)}{', a link' * is_link}", fix="rename it, or take it out")  # fmt: skip
    return path


def sweep_leftovers(folder: Path) -> None:
    """Delete what runs that were killed left unfinished in a folder; what they had put aside goes back."""
    if not next(folder.glob(_LEFTOVER), None):
        return
    with lock(folder):
        for path in folder.glob(_LEFTOVER):
            with contextlib.suppress(OSError, DataError), lock(path, wait=False):  # else a run is at work in it
                if path.is_dir():
                    _take_back(path)
                    shutil.rmtree(path)
                else:
                    path.unlink()


@contextlib.contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """Yield a hidden folder for what :func:`place_folder` puts at `target`, and delete it afterwards.

    It lies in `target` if that is an empty folder, else beside it. What killed runs left there is swept first.
    """
    parent = target if target.is_dir() and not _find_foreign(target, lambda _: False) else target.parent
    parent.mkdir(parents=True, exist_ok=True)
    sweep_leftovers(parent)
    with contextlib.ExitStack() as locks:
        with lock(parent):
            folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=parent))
            locks.enter_context(lock(folder))
        try:
            yield folder
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder)


def require_free_folder(folder: Path, fix: str, is_ours: Callable[[Path], bool] = lambda _: False) -> None:
    """Raise (folder-taken) unless `folder` is missing, or holds only files and links that `is_ours` accepts."""
    if folder.is_dir():
        sweep_leftovers(folder)
        found = _find_foreign(folder, is_ours if not folder.is_symlink() else lambda _: False)
    else:
        found = "a link" if folder.is_symlink() else "a file" if folder.exists() else ""
    if found:
        expected = "a folder that does not exist yet, is empty, or was made by this command and not changed since"
        fail("folder-taken", display_path(folder), expected=expected, found=found, fix=fix)


def _find_foreign(folder: Path, is_ours: Callable[[Path], bool]) -> str:
    """Describe a file in a folder that is not ours; an empty text if there is none."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        is_container = path.is_dir() and not path.is_symlink() and any(path.iterdir())
        if is_container or name.parts[0].startswith(UNFINISHED):
            continue
        if not is_ours(path):
            return f"other files in it: {shorten(name.as_posix(), 80)}"
    return ""


def place_folder(source: Path, target: Path, fix: str, is_ours: Callable[[Path], bool] = lambda _: False) -> None:
    """Move `source`, which lies in a :func:`temporary_folder`, to `target`, completely or not at all.

    An empty folder stays the same one, since it may be some process's current folder. One that holds only what
    `is_ours` accepts is replaced. Raises :class:`DataError` (folder-taken), see :func:`require_free_folder`.
    """
    require_free_folder(target, fix, is_ours)
    if source.is_relative_to(target):
        _move_in(source, target)
    elif target.exists():
        _replace(source, target)
    else:
        try:
            os.rename(source, target)
        except OSError:
            require_free_folder(target, fix)  # another process was quicker
            raise


def _replace(source: Path, target: Path) -> None:
    """Let two folders swap places: at once where the system can, else the old one is put aside first."""
    swap = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    if swap and swap(_HERE, os.fsencode(source), _HERE, os.fsencode(target), _EXCHANGE) == 0:
        return
    aside = source.parent / _ASIDE / target.name
    aside.parent.mkdir()
    os.rename(target, aside)
    try:
        os.rename(source, target)
    except BaseException:
        os.rename(aside, target)
        raise


def _move_in(source: Path, target: Path) -> None:
    """Move what is in a folder. A list of it is there as long as it is not all moved."""
    made = {path.relative_to(source).as_posix(): path.stat().st_mtime_ns for path in sorted(source.rglob("*"))}
    moved = source.parent / _MOVED
    moved.with_suffix(".new").write_text(json.dumps(made))
    os.rename(moved.with_suffix(".new"), moved)
    try:
        for path in sorted(source.iterdir()):
            os.rename(path, target / path.name)
    except BaseException:
        _take_back(source.parent)
        raise
    moved.unlink()


def _take_back(folder: Path) -> None:
    """Undo what a run moved out of its temporary folder before it ended: an old folder, or a part of a new one."""
    parent, aside, moved = folder.parent, folder / _ASIDE, folder / _MOVED
    for old in aside.iterdir() if aside.is_dir() and not aside.is_symlink() else ():
        if not os.path.lexists(parent / old.name):
            os.rename(old, parent / old.name)
    made: dict[str, int] = json.loads(read_bytes(moved)) if moved.exists() else {}
    if all((parent / name).exists() for name in made):
        return  # all was moved
    for name, modified in reversed(made.items()):
        path = parent / name
        with contextlib.suppress(OSError):
            if path.is_dir():
                path.rmdir()
            elif path.resolve() == parent.resolve() / name and path.stat().st_mtime_ns == modified:
                path.unlink()  # else somebody changed it since, or it is a link
