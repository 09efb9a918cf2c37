"""Read articles from JSON Lines, Parquet and text files in shards, whose cut depends on the files and `block` alone."""

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from jinbench.core import files, jsonl
from jinbench.core.errors import DataError, ErrorList, Problem, fail, shorten
from jinbench.core.text import replace_unencodable

MAX_BYTES = 16 * 2**20  # of a line, a text of a table or a text file
_KINDS = {".txt": "text", ".parquet": "table", ".jsonl": "lines", ".ndjson": "lines", ".json": "lines"}

Row: TypeAlias = dict[str, Any]
_Rows: TypeAlias = Iterator[tuple[str, int, Row | Problem]]  # location; byte or row


@dataclass(frozen=True)
class Settings:
    """Settings that determine, with the input, the output of :func:`process`."""

    field: str = "text"  # that holds the text
    repairs: tuple[str, ...] = ()  # made on each line, by name, as in articles.toml
    tagging: bool = True  # predict entities with a tagger trained on the gold of the benchmark
    select: int = 0  # number of passages to select for labelling
    similar: float = 0.7  # least Jaccard index of near duplicates, 0 to 1
    block: int = 2 * 2**20  # bytes of input in a shard


class Piece(NamedTuple):
    """A part of a file. `range`: bytes of lines, or rows of row group `group`; `before`: lines, or rows, before it."""

    kind: str
    source: str
    path: str
    size: int  # in bytes
    range: range
    before: int = 0
    group: int = 0


def read_articles(field: str, shard: Sequence[Piece]) -> Iterator[Row | Problem]:
    """Yield each article, or its problem; `at` is the byte of its line, or the row of its table. Raise OSError."""
    readers = {"lines": _read_lines, "table": _read_table, "text": _read_text}
    for piece in shard:
        for location, at, row in readers[piece.kind](field, piece):
            if isinstance(row, Problem):
                yield row
            elif not isinstance(text := row.get(field), str):
                names = ", ".join(map(shorten, list(row)[:8])) or "none at all"
                found = shorten(text) if field in row else f"no such field, but {names}"
                expected, fix = f"a text in the field {shorten(field)}", "name the field with --field"
                yield Problem("wrong-shape", location=location, expected=expected, found=found, fix=fix)
            elif (size := len(text.encode("utf-8", "replace"))) > MAX_BYTES:
                yield _too_big(location, size)
            else:
                id, title = row.get("id"), row.get("title")
                yield {"source": piece.source, "at": at, "title": title if isinstance(title, str) else "", "text": text,
                       "given_id": replace_unencodable(str(id)) if type(id) in (str, int) else None}  # fmt: skip


def _too_big(location: str, size: int) -> Problem:
    expected, found = f"an article of {MAX_BYTES:,} bytes or fewer", f"{size:,} bytes"
    return Problem("file-too-big", location=location, expected=expected, found=found, fix="cut it into several")


def _decode(raw: bytes, source: str, number: int = 1, at: int = 0) -> str | Problem:
    try:
        return raw.decode("utf-8" if at else "utf-8-sig")
    except UnicodeDecodeError as error:
        return files.not_utf8_problem(Path(source), number, raw[error.start], at + error.start)


def _read_lines(field: str, piece: Piece) -> _Rows:
    with files.open_file(Path(piece.path)) as file:
        file.seek(piece.range.start)
        for number in itertools.count(piece.before + 1):
            start, location = file.tell(), f"{piece.source}:{number}"
            if start >= piece.range.stop or not (raw := file.readline(MAX_BYTES + 1)):
                return
            too_big = rest = len(raw) > MAX_BYTES and not raw.endswith(b"\n")
            while rest:
                rest = bool(part := file.readline(2**20)) and not part.endswith(b"\n")
            line = _too_big(location, file.tell() - start) if too_big else _decode(raw, piece.source, number, start)
            if isinstance(line, Problem) or line.strip():
                yield location, start, line if isinstance(line, Problem) else jsonl.parse_row(line.strip(), location)


def _read_table(field: str, piece: Piece) -> _Rows:
    try:
        with pq.ParquetFile(piece.path, memory_map=False, pre_buffer=False) as file:
            names = sorted({field, "id", "title"}.intersection(file.schema_arrow.names))
            batches = file.iter_batches(128, row_groups=[piece.group], columns=names)
            rows = itertools.chain.from_iterable(batch.to_pylist() for batch in batches)
            for i, row in zip(piece.range, itertools.islice(rows, piece.range.start, None), strict=False):
                yield f"{piece.source} row {piece.before + i}", piece.before + i, row
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        yield "", 0, _unreadable_problem(f"{piece.source} row group {piece.group}", error)


def _unreadable_problem(location: str, error: Exception) -> Problem:
    if isinstance(error, OSError) and error.errno is not None:
        return files.unreadable_problem(Path(location), error)
    expected, found = "a Parquet file", shorten(str(error), 100)
    return Problem("broken-parquet", location=location, expected=expected, found=found, fix="fetch the file again")


def _read_text(field: str, piece: Piece) -> _Rows:
    name, path, size = piece.source, Path(piece.path), os.path.getsize(piece.path)
    text = _too_big(name, size) if size > MAX_BYTES else _decode(path.read_bytes(), name)
    yield name, 0, text if isinstance(text, Problem) else {"id": name, field: text}


def plan_shards(settings: Settings, paths: Sequence[Path]) -> tuple[dict[str, str], list[list[Piece]]]:
    """Return the sha256 of each file, and shards of about `settings.block` bytes, in the order of `paths`.

    Files are named relative to the folder that holds them all. Raise :class:`DataError` with all problems of the files.
    """
    problems, kinds, hashes, pieces = ErrorList(), dict[Path, str](), dict[str, str](), list[Piece]()
    for argument in paths:
        in_folder = [path for path in files.list_files(argument).values() if path.suffix in _KINDS]
        for path in in_folder if argument.is_dir() else [argument]:
            kinds[path.resolve()] = _KINDS.get(path.suffix, "lines")
        if argument.is_dir() and not in_folder:
            problems.add("file-missing", files.display_path(argument), expected="*.jsonl, *.parquet or *.txt",
                         found="none", fix="name files, or a folder with such files in it")  # fmt: skip
    base = Path(os.path.commonpath([path.parent for path in kinds] or [Path()]))
    for path, kind in kinds.items():
        source = replace_unencodable(path.relative_to(base).as_posix())
        try:
            if kind == "lines" and (problem := jsonl.format_problem(path)):
                problems.append(problem)
            hashes[source], lines = _cut_lines(path, source, settings.block if kind == "lines" else 2**20)
            pieces += lines if kind == "lines" else _cut_table(path, source, settings) if kind == "table" else [
                Piece(kind, source, str(path), path.stat().st_size, range(0))]  # fmt: skip
        except DataError as error:
            problems.extend(error.problems)
        except (pa.ArrowException, OSError) as error:
            problems.append(_unreadable_problem(files.display_path(path), error))
    problems.raise_if_any()
    shards, total = list[list[Piece]](), settings.block
    for piece in pieces:
        total += piece.size
        if total > settings.block:
            shards.append([])
            total = piece.size
        shards[-1].append(piece)
    return hashes, shards


def _cut_lines(path: Path, source: str, size: int) -> tuple[str, list[Piece]]:
    """Return the sha256 of a file, and pieces that each begin with a line."""
    hash, borders = hashlib.sha256(), [(0, 0)]
    position = lines = 0
    with files.open_file(path) as file:
        while data := file.read(size):
            hash.update(data)
            if position and (end := data.find(b"\n") + 1):
                borders.append((position + end, lines + 1))
            position += len(data)
            lines += data.count(b"\n")
    pairs = itertools.pairwise([*borders, (position, lines)])
    pieces = [Piece("lines", source, str(path), b - a, range(a, b), before) for (a, before), (b, _) in pairs if a < b]
    return hash.hexdigest(), pieces


def _cut_table(path: Path, source: str, settings: Settings) -> list[Piece]:
    """Return pieces of row groups. Raise :class:`DataError` (wrong-shape)."""
    field = settings.field
    with pq.ParquetFile(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
    type = schema.field(field).type if field in schema.names else None
    if getattr(type, "value_type", type) not in (pa.string(), pa.large_string(), pa.string_view()):
        found = f"{field}: {type}" if type else f"columns {', '.join(schema.names[:12])}"
        fail("wrong-shape", files.display_path(path), expected=f"a column of text {field!r}", found=found,
             fix="name the right one with --field")  # fmt: skip
    pieces, before = [], 0
    for group in range(metadata.num_row_groups):
        rows, size = metadata.row_group(group).num_rows, metadata.row_group(group).total_byte_size
        step = max(1, settings.block * rows // max(size, 1))
        for i in range(0, rows, step):
            part = range(i, min(i + step, rows))
            pieces.append(Piece("table", source, str(path), size * len(part) // rows, part, before, group))
        before += rows
    return pieces
