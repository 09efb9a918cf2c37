"""Reading files with an error that helps, and writing them so that nothing is ever half there."""

import datetime
import hashlib
import json
import os
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jinbench.core.errors import DataError, Problem, shorten
from jinbench.core.schemas import check_shape
from jinbench.core.text import storable


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def shown(path: Path) -> str:
    """`path` as a message should name it: relative to the current folder if it lies below it."""
    try:
        return storable(str(path.resolve().relative_to(Path.cwd())))
    except ValueError:
        return storable(str(path))


def read_bytes(path: Path, hint: str = "check the path") -> bytes:
    """The bytes of `path`. Raises :class:`DataError` (file-missing)."""
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(
            Problem("file-missing", location=shown(path), expected="a readable file", found=reason.lower(), fix=hint)
        ) from None


def read_text(path: Path, hint: str = "check the path") -> str:
    """The text of `path`, line ends as they are. Raises :class:`DataError` (file-missing, not-utf8)."""
    data = read_bytes(path, hint)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(not_utf8(path, line, data[error.start], error.start)) from None


def not_utf8(path: Path, line: int, byte: int, at: int) -> Problem:
    """The problem of a `byte` at byte `at` of a file, in a line of it, that is not UTF-8."""
    hint = f"convert it first, for example: iconv -f GB18030 -t UTF-8 {path.name} > utf8.txt"
    return Problem(
        "not-utf8",
        location=f"{shown(path)}:{line}",
        expected="UTF-8",
        found=f"byte 0x{byte:02x} at byte {at}",
        fix=hint,
    )


def read_toml(path: Path, schema: str, hint: str = "check the path") -> dict[str, Any]:
    """A TOML file in the form of a schema.

    Raises :class:`DataError` (file-missing, not-utf8, broken-toml, wrong-shape).
    """
    text = read_text(path, hint)
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: TOML errors, and a number of thousands of digits
        raise DataError(
            Problem(
                "broken-toml",
                location=shown(path),
                expected="TOML",
                found=shorten(str(error), 100),
                fix="mend the file at that place",
            )
        ) from None
    check_shape(table, schema, shown(path))
    return table


def date_problems(value: Any, where: str) -> list[Problem]:
    """A problem if a value of a TOML file is not a date."""
    if type(value) is datetime.date:
        return []
    return [
        Problem(
            "wrong-shape",
            location=where,
            expected="a date: 2026-11-22, without quotation marks",
            found=repr(value),
            fix="correct it",
        )
    ]


def read_json(path: Path, hint: str = "check the path") -> Any:
    """Raises :class:`DataError` (file-missing, not-utf8, broken-json)."""
    text = read_text(path, hint)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            Problem(
                "broken-json",
                location=f"{shown(path)}:{error.lineno}",
                expected="JSON",
                found=f"{error.msg} at column {error.colno}",
                fix="mend that line, or write the file again",
            )
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(
            Problem(
                "broken-json",
                location=shown(path),
                expected="JSON",
                found=shorten(str(error), 100),
                fix="write the file again",
            )
        ) from None


def dump_json(value: Any) -> str:
    """JSON that is pleasant to diff: sorted keys, one space of indent, characters as they are."""
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def dump_jsonl(rows: Iterable[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows)


def toml_string(text: str) -> str:
    """`text` as TOML writes it: as JSON does, but for U+007F."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_bytes(path: Path, data: bytes) -> None:
    """Write to a temporary name beside `path`, then move: readers see the old file or the whole new one."""
    write_pieces(path, [data])


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """As :func:`write_bytes`, for what is too long to be held at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def visible(folder: Path) -> dict[str, Path]:
    """Every file below `folder` by its name there. Hidden ones are left out: half-written, or a tool's."""
    names = {path.relative_to(folder): path for path in below(folder)}
    return {name.as_posix(): path for name, path in names.items() if not any(p.startswith(".") for p in name.parts)}


def check_free(folder: Path, hint: str, mark: str | None = None) -> None:
    """Raise :class:`DataError` (folder-taken) unless `folder` is empty, or not there, or has the file `mark` in it."""
    taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if taken and not (mark and (folder / mark).is_file()):
        found = "other files in it" if folder.is_dir() else "a file"
        expected = f"a folder that does not exist yet, or is empty{f', or has {mark} in it' if mark else ''}"
        raise DataError(Problem("folder-taken", location=shown(folder), expected=expected, found=found, fix=hint))


def settle(made: Path, folder: Path, hint: str) -> None:
    """Move the folder `made` to where `folder` is to be, whole or not at all.

    A folder that is there stays the same one, since somebody may be standing in it; what lies in it must be no more
    than what `made` lies in. Raises :class:`DataError` (folder-taken) if another one has come there in the meantime.
    """
    if not folder.is_dir():
        try:
            os.rename(made, folder)
        except OSError:
            check_free(folder, hint)  # somebody else was quicker
            raise
        return
    moved: list[Path] = []
    try:
        for path in sorted(made.iterdir()):
            os.rename(path, folder / path.name)
            moved.append(path)
    except BaseException:
        for path in moved:
            os.rename(folder / path.name, path)
        raise


def below(folder: Path) -> Iterator[Path]:
    """Every file below `folder`, in a fixed order."""
    return iter(sorted(path for path in folder.rglob("*") if path.is_file()))
