"""File I/O: helpful read errors, atomic writes."""

import datetime
import hashlib
import json
import os
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jinbench.core.errors import DataError, ErrorList, Problem, fail, shorten
from jinbench.core.schemas import check_shape
from jinbench.core.text import replace_unencodable
from jinbench.core.types import JsonObject


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def display_path(path: Path) -> str:
    """Return `path` for a message: relative to the current folder if it is below it."""
    try:
        return replace_unencodable(str(path.resolve().relative_to(Path.cwd())))
    except ValueError:
        return replace_unencodable(str(path))


def read_bytes(path: Path, fix: str = "check the path") -> bytes:
    """Read a file. Raises :class:`DataError` (file-missing)."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(unreadable_problem(path, error, fix)) from None


def unreadable_problem(path: Path, error: OSError, fix: str = "check the path") -> Problem:
    """Return the problem (file-missing) of a file that cannot be read."""
    reason = (error.strerror or type(error).__name__).lower()
    return Problem("file-missing", location=display_path(path), expected="a readable file", found=reason, fix=fix)


def read_text(path: Path, fix: str = "check the path") -> str:
    """Read a text file, line ends as they are. Raises :class:`DataError` (file-missing, not-utf8)."""
    data = read_bytes(path, fix)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(not_utf8_problem(path, line, data[error.start], error.start)) from None


def not_utf8_problem(path: Path, line: int, byte: int, offset: int) -> Problem:
    """Return the problem (not-utf8) of a `byte` at the byte offset `offset` of a file, in `line`."""
    fix = f"convert it first, for example: iconv -f GB18030 -t UTF-8 {path.name} > utf8.txt"
    found = f"byte 0x{byte:02x} at byte {offset}"
    return Problem("not-utf8", location=f"{display_path(path)}:{line}", expected="UTF-8", found=found, fix=fix)


def read_toml(path: Path, schema: str, fix: str = "check the path") -> JsonObject:
    """Read a TOML file and validate it against a schema.

    Raises :class:`DataError` (file-missing, not-utf8, broken-toml, wrong-shape).
    """
    text = read_text(path, fix)
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: TOML errors, and a number of thousands of digits
        found, fix = shorten(str(error), 100), "correct the file at that place"
        fail("broken-toml", display_path(path), expected="TOML", found=found, fix=fix)
    check_shape(table, schema, display_path(path))
    return table


def date_problems(value: object, location: str) -> list[Problem]:
    """Return a problem (wrong-shape) if a value of a TOML file is not a date."""
    problems = ErrorList()
    if type(value) is not datetime.date:
        expected = "a date: 2026-11-22, without quotation marks"
        problems.add("wrong-shape", location, expected=expected, found=repr(value), fix="correct it")
    return problems


def read_json(path: Path, fix: str = "check the path") -> Any:
    """Read a JSON file. Raises :class:`DataError` (file-missing, not-utf8, broken-json)."""
    text = read_text(path, fix)
    location = display_path(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        found, fix = f"{error.msg} at column {error.colno}", f"correct line {error.lineno} or regenerate the file"
        fail("broken-json", f"{location}:{error.lineno}", expected="JSON", found=found, fix=fix)
    except (ValueError, RecursionError) as error:
        fail("broken-json", location, expected="JSON", found=shorten(str(error), 100), fix="regenerate the file")


def dump_json(value: object) -> str:
    """Serialize as JSON that diffs well: sorted keys, indent of one space, characters unescaped."""
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def dump_jsonl(rows: Iterable[object]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows)


def toml_string(text: str) -> str:
    """Quote `text` for TOML: as JSON does, except U+007F."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_bytes(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write to a temporary name beside `path`, then move: readers see the old file or the whole new one."""
    write_chunks(path, [data], mode)


def write_chunks(path: Path, chunks: Iterable[bytes], mode: int = 0o644) -> None:
    """Write as :func:`write_bytes`, from chunks, for what is too long to be held at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    write_bytes(path, text.encode("utf-8"), mode)


def list_files(folder: Path) -> dict[str, Path]:
    """List the files below `folder` by relative name, without hidden ones (unfinished, or of a tool)."""
    names = {path.relative_to(folder): path for path in walk_files(folder)}
    return {name.as_posix(): path for name, path in names.items() if not any(p.startswith(".") for p in name.parts)}


def require_free_folder(folder: Path, fix: str, mark: str | None = None) -> None:
    """Raise (folder-taken) unless `folder` is empty, missing, or has a file `mark`."""
    taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if taken and not (mark and (folder / mark).is_file()):
        found = "other files in it" if folder.is_dir() else "a file"
        expected = f"a folder that does not exist yet, or is empty{f', or has {mark} in it' if mark else ''}"
        fail("folder-taken", display_path(folder), expected=expected, found=found, fix=fix)


def replace_folder(source: Path, folder: Path) -> None:
    """Move the folder `source` into the place of `folder`, which may exist, completely or not at all.

    The old one stays beside `source`, as `old`.
    """
    old = source.with_name("old")
    try:
        if folder.exists():
            folder.rename(old)
        source.rename(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise


def move_into_place(source: Path, folder: Path, fix: str) -> None:
    """Move the folder `source` to `folder`, completely or not at all.

    An existing folder stays the same one, since it may be some process's current folder; it must hold no more than
    `source` itself. Raises :class:`DataError` (folder-taken) if another one was made there in the meantime.
    """
    if not folder.is_dir():
        try:
            os.rename(source, folder)
        except OSError:
            require_free_folder(folder, fix)  # another process was quicker
            raise
        return
    moved: list[Path] = []
    try:
        for path in sorted(source.iterdir()):
            os.rename(path, folder / path.name)
            moved.append(path)
    except BaseException:
        for path in moved:
            os.rename(folder / path.name, path)
        raise


def walk_files(folder: Path) -> Iterator[Path]:
    """Iterate over all files below `folder`, sorted."""
    return iter(sorted(path for path in folder.rglob("*") if path.is_file()))
