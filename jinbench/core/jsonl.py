"""JSON Lines as they come from strangers: read a line at a time, and everything that is wrong with them said."""

import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinbench.core import files
from jinbench.core.errors import Problem, raise_if_any, shorten

MOST = 10_000  # problems of one file: after so many, the rest of it is not read
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_BINARY = {  # how a file begins, and what it then is
    b"\x1f\x8b": "a gzip file",
    b"PK\x03\x04": "a zip archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"PAR1": "a Parquet file",
    b"\x93NUMPY": "a NumPy array",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
} | {bytes([0x80, version]): "a pickle" for version in range(2, 6)}
_PACKED = {"a gzip file": "gunzip", "a zip archive": "unzip", "a bzip2 file": "bunzip2", "an xz file": "unxz",
           "a Zstandard file": "unzstd"}  # fmt: skip


class _Refused(ValueError):
    """What Python's reader takes and JSON does not have. `hint` is what to do."""

    def __init__(self, message: str, hint: str) -> None:
        self.hint = hint
        super().__init__(message)


def _constant(name: str) -> Any:
    raise _Refused(f"{name}, which JSON does not have", "write a finite number, or leave the field out")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise _Refused(f"{shorten(twice)} twice in one object", "keep one of the two")
    return found


def read(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """(line number, object) for every line that is not blank.

    Raises :class:`DataError` with all broken lines at once, or with what :func:`stream` finds in the file.
    """
    problems: list[Problem] = []
    rows = list(stream(path, problems))
    raise_if_any(problems)
    return rows


def stream(
    path: Path, problems: list[Problem], limit: int | None = None, longest: int | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) for every line that is not blank, a line at a time; no more than `limit` bytes are read.

    With `limit`, no line may have more than `longest` bytes either: a line is in memory whole.

    A byte order mark before the first line is skipped, and a line may end with `\\r\\n`. What is wrong is added to
    `problems`. After a broken line (broken-json) it goes on, until there are `MOST` problems; it ends where the file
    is not what it should be (file-missing, file-too-big, file-binary, not-utf8, and broken-json for a whole array).
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if limit is not None and size > limit:
                problems.append(_too_big(path, limit, f"{size:,} bytes"))
                return
            at, begun = 0, False
            for number in itertools.count(1):
                most = -1 if limit is None else min(limit - at, limit if longest is None else longest)
                raw = file.readline(most + 1 if most >= 0 else -1)
                if not raw:
                    return
                if limit is not None and at + len(raw) > limit:
                    problems.append(_too_big(path, limit, "more"))
                    return
                if 0 <= most < len(raw):
                    hint = "put each object on a line of its own; what is one object, cut into several"
                    problems.append(_too_big(path, most, f"more on line {number} alone", hint))
                    return
                problem = not_text(path, raw, number, at)
                if problem:
                    problems.append(problem)
                    return
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                at += len(raw)
                if not line:
                    continue
                where = f"{files.shown(path)}:{number}"
                if not begun and (problem := _not_lines(path, line, where)):
                    problems.append(problem)
                    return
                begun = True
                row = _object(line, where, problems)
                if row is not None:
                    yield number, row
                if len(problems) >= MOST:
                    expected, hint = f"fewer than {MOST:,} problems", "mend these first; what follows was not read"
                    problems.append(
                        Problem(
                            problems[-1].code,
                            location=where,
                            expected=expected,
                            found="so many up to this line",
                            fix=hint,
                        )
                    )
                    return
    except OSError as error:
        reason = error.strerror or type(error).__name__
        problems.append(
            Problem(
                "file-missing",
                location=files.shown(path),
                expected="a readable file",
                found=reason.lower(),
                fix="check the path",
            )
        )


def _object(line: str, where: str, problems: list[Problem]) -> dict[str, Any] | None:
    """The object on a line."""
    hint = "write one JSON object on each line"
    try:
        row = json.loads(line, parse_constant=_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
        hint = error.hint if isinstance(error, _Refused) else hint
        problems.append(
            Problem(
                "broken-json", location=where, expected="one JSON object", found=f"{error}: {shorten(line)}", fix=hint
            )
        )
        return None
    if isinstance(row, dict):
        return row
    problems.append(
        Problem("broken-json", location=where, expected="one JSON object", found=type(row).__name__, fix=hint)
    )
    return None


def _not_lines(path: Path, line: str, where: str) -> Problem | None:
    """A problem if the first line that is not blank begins a JSON document of many lines."""
    if line.startswith("["):
        found = "a JSON array"
    elif line == "{":
        found = "a JSON object that goes on over several lines"
    else:
        return None
    rows = "json.load(sys.stdin)" if line.startswith("[") else "[json.load(sys.stdin)]"
    command = f'python -c "import json, sys; [print(json.dumps(row)) for row in {rows}]" < {path.name} > lines.jsonl'
    hint = f"write each object on a line of its own, for example: {command}"
    return Problem(
        "broken-json", location=where, expected="JSON Lines: one JSON object on each line", found=found, fix=hint
    )


def too_big(path: Path, limit: int) -> Problem | None:
    """A problem if the file is larger than `limit` bytes, said without reading it."""
    try:
        size = path.stat().st_size
    except OSError:
        return None  # whoever reads it says so
    return _too_big(path, limit, f"{size:,} bytes") if size > limit else None


def _too_big(path: Path, limit: int, found: str, hint: str = "") -> Problem:
    hint = hint or "send what is asked for alone: a line for each item, with its id and what is said of it"
    return Problem(
        "file-too-big", location=files.shown(path), expected=f"{limit:,} bytes or fewer", found=found, fix=hint
    )


def not_text(path: Path, raw: bytes, number: int, at: int) -> Problem | None:
    """A problem if a line, which begins at byte `at` of its file, is not UTF-8 text."""
    found = next((kind for begin, kind in _BINARY.items() if raw.startswith(begin)), None) if number == 1 else None
    if found is None:
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as error:
            if not _CONTROL.search(raw):
                return files.not_utf8(path, number, raw[error.start], at + error.start)
            found = "bytes that are no text"
        else:
            if b"\0" not in raw:
                return None
            found = "a NUL byte, which no text has"
    if found in _PACKED:
        hint = f"unpack it first: {_PACKED[found]} {path.name}"
    elif "UTF-16" in found:
        hint = f"convert it first, for example: iconv -f UTF-16 -t UTF-8 {path.name} > utf8.txt"
    else:
        hint = "write it as text, in UTF-8: one JSON object on each line"
    return Problem(
        "file-binary",
        location=f"{files.shown(path)}:{number}",
        expected="text",
        found=f"{found}: the file looks binary",
        fix=hint,
    )


def unfit(path: Path) -> Problem | None:
    """A problem if the beginning of a file tells that it is packed, binary, or one JSON document over many lines.

    Raises OSError if it cannot be read.
    """
    with path.open("rb") as file:
        raw = file.readline(1 << 16)
    if raw.startswith(tuple(_BINARY)):
        return not_text(path, raw, 1, 0)
    line = raw.decode("utf-8-sig", "ignore").strip()
    return _not_lines(path, line, f"{files.shown(path)}:1") if line else None


def parsed(line: str, where: str) -> dict[str, Any] | Problem:
    """The object on a line, or what is wrong with it (broken-json)."""
    problems: list[Problem] = []
    row = _object(line, where, problems)
    return problems[0] if row is None else row
