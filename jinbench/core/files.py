"""File I/O: helpful read errors, atomic writes."""

import contextlib
import datetime
import errno
import hashlib
import json
import os
import stat
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there, and nothing swept
    fcntl = None  # type: ignore[assignment]

from jinbench.core.errors import DataError, ErrorList, Problem, fail, shorten
from jinbench.core.schemas import check_shape
from jinbench.core.text import escape_invisible
from jinbench.core.types import JsonObject

UNFINISHED = ".jinbench-unfinished-"  # begins the name of what is not finished; eight characters follow


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def display_path(path: Path) -> str:
    """Return `path` for a message: relative to the current folder if it is below it."""
    try:
        return escape_invisible(str(path.resolve().relative_to(Path.cwd())))
    except (ValueError, RuntimeError, OSError):  # outside of it; a link to itself
        return escape_invisible(str(path))


def read_bytes(path: Path, fix: str = "check the path") -> bytes:
    """Read a file. Raises :class:`DataError` (file-missing)."""
    try:
        with open_file(path) as file:
            return file.read()
    except OSError as error:
        raise DataError(unreadable_problem(path, error, fix)) from None


def open_file(path: Path) -> BinaryIO:
    """Open a file to read its bytes. Raises OSError, and of a pipe, a socket or a device too, which may never end."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
    raise OSError(code, "a folder" if stat.S_ISDIR(mode) else "neither a file nor a folder", str(path))


def unreadable_problem(path: Path, error: OSError, fix: str = "check the path") -> Problem:
    """Return the problem (file-missing) of a file that cannot be read."""
    reason = (error.strerror or type(error).__name__).lower()
    return Problem("file-missing", location=display_path(path), expected="a readable file", found=reason, fix=fix)


def read_text(path: Path, fix: str = "check the path", data: bytes | None = None) -> str:
    """Read a text file, or its bytes `data`, without a byte order mark, line ends kept.

    Raises :class:`DataError` (file-missing, not-utf8).
    """
    data = read_bytes(path, fix) if data is None else data
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(not_utf8_problem(path, line, data[error.start], error.start)) from None


def not_utf8_problem(path: Path, line: int, byte: int, offset: int) -> Problem:
    """Return the problem (not-utf8) of a `byte` at the byte offset `offset` of a file, in `line`."""
    found, encoding = f"byte 0x{byte:02x} at byte {offset}", "GB18030"
    if offset == 0 and byte in (0xFE, 0xFF):  # its byte order mark
        found, encoding = f"text in UTF-16 ({found})", "UTF-16"
    fix = f"convert it first, for example: iconv -f {encoding} -t UTF-8 {path.name} > utf8.txt"
    return Problem("not-utf8", location=f"{display_path(path)}:{line}", expected="UTF-8", found=found, fix=fix)


def read_toml(path: Path, schema: str, fix: str = "check the path", data: bytes | None = None) -> JsonObject:
    """Read a TOML file, or its bytes `data`, and validate it against a schema.

    Raises :class:`DataError` (file-missing, not-utf8, broken-toml, wrong-shape).
    """
    text = read_text(path, fix, data)
    try:
        table = tomllib.loads(text if "\n" in text else text.replace("\r", "\n"))
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


def read_json(path: Path, fix: str = "check the path", data: bytes | None = None) -> Any:
    """Read a JSON file, or `data` if it has been read.

    Raises :class:`DataError` (file-missing, not-utf8, broken-json).
    """
    text = read_text(path, fix, data)
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
    name = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as locks:
            with lock(path.parent):
                handle, name = tempfile.mkstemp(prefix=UNFINISHED, dir=path.parent)
                locks.enter_context(lock(Path(name)))
            file = locks.enter_context(os.fdopen(handle, "wb"))
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(name, mode)
            os.replace(name, path)
    except BaseException as error:
        if name:
            Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):  # such as a full disk, which names no file
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


@contextlib.contextmanager
def lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a file or folder, which ends with the process. Where there are no locks, do without.

    Without `wait`, OSError is raised in both cases: if another process has it, and if there are none.
    """
    handle = None
    try:
        with contextlib.suppress(OSError, AttributeError) if wait else contextlib.nullcontext():
            handle = os.open(path, os.O_RDONLY | (0 if wait else os.O_NOFOLLOW | os.O_NONBLOCK))
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    write_bytes(path, text.encode("utf-8"), mode)


def list_files(folder: Path) -> dict[str, Path]:
    """List the files below `folder` by relative name, without hidden ones (unfinished, or of a tool)."""
    names = {path.relative_to(folder): path for path in walk_files(folder)}
    return {name.as_posix(): path for name, path in names.items() if not any(p.startswith(".") for p in name.parts)}


def walk_files(folder: Path) -> Iterator[Path]:
    """Iterate over all files below `folder`, sorted."""
    return iter(sorted(path for path in folder.rglob("*") if path.is_file()))
