"""Read untrusted JSON Lines as a stream and collect errors by line."""

import io
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from jinbench.core import files
from jinbench.core.errors import ErrorList, Problem, shorten
from jinbench.core.text import CONTROL

MAX_PROBLEMS = 10_000  # of one file; after so many, the rest of it is not read
_CONTROL = re.compile(CONTROL.encode())
_BINARY = {  # first bytes of a file, and its kind
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


class _InvalidJsonError(ValueError):
    """JSON that Python's reader accepts and the standard does not."""

    def __init__(self, message: str, fix: str) -> None:
        self.fix = fix
        super().__init__(message)


def _reject_constant(name: str) -> NoReturn:
    raise _InvalidJsonError(f"{name}, which JSON does not have", "write a finite number, or leave the field out")


def _make_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        name = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise _InvalidJsonError(f"{shorten(name)} twice in one object", "keep one of the two")
    return fields


_DECODER = json.JSONDecoder(parse_constant=_reject_constant, object_pairs_hook=_make_object)


def read_rows(path: Path) -> list[tuple[int, dict[str, object]]]:
    """Read all rows: (line number, object) for every line that is not blank.

    Raises :class:`DataError` with all broken lines at once, or with the errors of :func:`stream_rows`.
    """
    problems = ErrorList()
    rows = list(stream_rows(path, problems))
    problems.raise_if_any()
    return rows


def stream_rows(
    path: Path, problems: list[Problem], limit: int | None = None, longest: int | None = None,
    data: bytes | None = None,
) -> Iterator[tuple[int, dict[str, object]]]:  # fmt: skip
    """Iterate over (line number, object) for every line that is not blank; at most `limit` bytes are read.

    With `limit`, no line may have more than `longest` bytes either: a line is in memory whole. `data` are the bytes of
    the file, if they have been read already.

    A byte order mark before the first line is skipped, and a line may end with CR and LF. Errors are added to
    `problems`. After a broken line (broken-json) reading continues, until there are `MAX_PROBLEMS`; it ends where the
    file is invalid as a whole (file-missing, file-too-big, file-binary, not-utf8, and broken-json for an array).
    """
    try:
        with files.open_file(path) if data is None else io.BytesIO(data) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            if limit is not None and size > limit:
                problems.append(_too_big_problem(path, limit, f"{size:,} bytes"))
                return
            name = files.display_path(path)  # once: it resolves the path
            offset, begun = 0, False
            for number in itertools.count(1):
                most = -1 if limit is None else min(limit - offset, limit if longest is None else longest)
                raw = file.readline(most + 1 if most >= 0 else -1)
                if not raw:
                    return
                if limit is not None and offset + len(raw) > limit:
                    problems.append(_too_big_problem(path, limit, "more"))
                    return
                if 0 <= most < len(raw):
                    fix = "put each object on a line of its own; split objects that are larger"
                    problems.append(_too_big_problem(path, most, f"more on line {number} alone", fix))
                    return
                if problem := text_problem(path, raw, number, offset):
                    problems.append(problem)
                    return
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                offset += len(raw)
                if not line:
                    continue
                location = f"{name}:{number}"
                if not begun and (problem := _document_problem(path, line, location)):
                    problems.append(problem)
                    return
                begun = True
                row = parse_row(line, location)
                if isinstance(row, Problem):
                    problems.append(row)
                else:
                    yield number, row
                if len(problems) >= MAX_PROBLEMS:  # the consumer may add some too
                    code, expected = problems[-1].code, f"fewer than {MAX_PROBLEMS:,} problems"
                    found, fix = "so many up to this line", "correct these first; the lines after it were not read"
                    problems.append(Problem(code, location=location, expected=expected, found=found, fix=fix))
                    return
    except OSError as error:
        problems.append(files.unreadable_problem(path, error))


def parse_row(line: str, location: str) -> dict[str, object] | Problem:
    """Parse the object on a line, or return its problem (broken-json)."""
    expected, fix = "one JSON object", "write one JSON object on each line"
    try:
        row = _DECODER.decode(line) if not line.startswith("\ufeff") else json.loads(line)  # which refuses it
    except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
        fix = error.fix if isinstance(error, _InvalidJsonError) else fix
        found = f"{error}: {shorten(line)}"
        return Problem("broken-json", location=location, expected=expected, found=found, fix=fix)
    if isinstance(row, dict):
        return row
    return Problem("broken-json", location=location, expected=expected, found=type(row).__name__, fix=fix)


def _document_problem(path: Path, line: str, location: str) -> Problem | None:
    """Return a problem if the first line that is not blank begins a JSON document of many lines."""
    if line.startswith("["):
        found = "a JSON array"
    elif line == "{":
        found = "a JSON object over several lines"
    elif "\r" in line:
        found = "lines that end in CR alone"
        fix = f"end lines with LF, for example: tr '\\r' '\\n' < {path.name} > lines.jsonl"
        return Problem("broken-json", location=location, expected="one JSON object on each line", found=found, fix=fix)
    else:
        return None
    rows = "json.load(sys.stdin)" if line.startswith("[") else "[json.load(sys.stdin)]"
    command = f'python -c "import json, sys; [print(json.dumps(row)) for row in {rows}]" < {path.name} > lines.jsonl'
    fix = f"write each object on a line of its own, for example: {command}"
    expected = "JSON Lines: one JSON object on each line"
    return Problem("broken-json", location=location, expected=expected, found=found, fix=fix)


def size_problem(path: Path, limit: int) -> Problem | None:
    """Return a problem if the file is larger than `limit` bytes, without reading it."""
    try:
        size = path.stat().st_size
    except OSError:
        return None  # reported when the file is read
    return _too_big_problem(path, limit, f"{size:,} bytes") if size > limit else None


def _too_big_problem(path: Path, limit: int, found: str, fix: str = "") -> Problem:
    fix = fix or "send only the fields that are documented: one line for each item"
    location, expected = files.display_path(path), f"{limit:,} bytes or fewer"
    return Problem("file-too-big", location=location, expected=expected, found=found, fix=fix)


def text_problem(path: Path, raw: bytes, number: int, offset: int) -> Problem | None:
    """Return a problem if a line, which begins at the byte `offset` of its file, is not UTF-8 text."""
    kind = next((kind for begin, kind in _BINARY.items() if raw.startswith(begin)), None) if number == 1 else None
    if kind is None:
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as error:
            if not _CONTROL.search(raw):
                return files.not_utf8_problem(path, number, raw[error.start], offset + error.start)
            kind = "bytes that are no text"
        else:
            if b"\0" not in raw:
                return None
            kind = "a NUL byte, which no text has"
    if kind in _PACKED:
        fix = f"unpack it first: {_PACKED[kind]} {path.name}"
    elif "UTF-16" in kind:
        fix = f"convert it first, for example: iconv -f UTF-16 -t UTF-8 {path.name} > utf8.txt"
    else:
        fix = "write it as text, in UTF-8: one JSON object on each line"
    location, found = f"{files.display_path(path)}:{number}", f"{kind}: the file looks binary"
    return Problem("file-binary", location=location, expected="text", found=found, fix=fix)


def format_problem(path: Path) -> Problem | None:
    """Return a problem if the beginning of a file is packed, binary, or one JSON document over many lines.

    Raises OSError if it cannot be read.
    """
    with files.open_file(path) as file:
        raw = file.readline(1 << 16)
    if raw.startswith(tuple(_BINARY)):
        return text_problem(path, raw, 1, 0)
    line = raw.decode("utf-8-sig", "ignore").strip()
    return _document_problem(path, line, f"{files.display_path(path)}:1") if line else None
