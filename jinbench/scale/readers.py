"""Read articles from files in shards.

The cut into shards depends on the files alone. A shard is a range of bytes of a JSON Lines file (a line belongs to the
shard in which it begins), rows of one row group of a Parquet file, or some of the .txt files of a folder. What cannot
be used becomes a :class:`Fault`.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from jinbench.core import files, jsonl
from jinbench.core.errors import DataError, ErrorList, Problem, fail, shorten
from jinbench.core.text import replace_unencodable

if TYPE_CHECKING:
    import pyarrow.parquet as pq

MAX_BYTES = 16 * 2**20  # of a line, a text of a table or a text file
FULL_HASH_LIMIT = 2**28  # bytes: of a larger file only samples are hashed
SAMPLES, SAMPLE_BYTES = 64, 2**20
_CHUNK = 2**20
_ROWS = 128  # rows of a table that are in memory at once
_KINDS = {".txt": "text", ".parquet": "parquet", ".jsonl": "lines", ".ndjson": "lines", ".json": "lines"}
_CUT_FIX = "cut the article into several"
_FETCH_FIX = "fetch the file again"


class FieldNames(NamedTuple):
    """Names of the fields of a row.

    None: the usual name (id, title), if the row has it.
    """

    text: str = "text"
    id: str | None = None
    title: str | None = None


class Fault(NamedTuple):
    """Input that was left out.

    `line` is counted in its shard, from 1; `row` in its table, from 0.
    """

    code: str
    source: str
    line: int | None
    row: int | None
    expected: str
    found: str
    fix: str

    def to_problem(self, lines_before: int = 0) -> Problem:
        """Convert to a problem; `lines_before` the shard are in the file."""
        location = f":{self.line + lines_before}" if self.line is not None else ""
        location = f" row {self.row}" if self.row is not None else location
        return Problem(
            self.code, location=self.source + location, expected=self.expected, found=self.found, fix=self.fix
        )


class Article(NamedTuple):
    """An article of a source.

    `position` is the byte of its line, the row of its table, or 0 in a text file.
    """

    source: str
    position: int
    given_id: str | None
    title: str
    text: str


@dataclass(frozen=True)
class Shard:
    """A part of the input.

    `start` and `end` are bytes of a file of lines, or rows of row group `group`, which begins with row `first`.
    `members` are name and path of each text file; `source` and `path` are empty then.
    """

    number: int
    kind: str
    source: str
    path: str
    start: int = 0
    end: int = 0
    group: int = 0
    first: int = 0
    members: tuple[tuple[str, str], ...] = ()


class InputFile(NamedTuple):
    """A file of the input, or all text files together.

    `shards`: numbers of its first shard and of the next file's.
    """

    name: str
    kind: str
    size: int
    sha256: str
    shards: tuple[int, int]


@dataclass
class ShardReader:
    """Reads the articles of a shard.

    Afterwards `lines` is the number of lines that begin in it, and `faults` has what failed.
    """

    shard: Shard
    fields: FieldNames
    lines: int = 0
    faults: list[Fault] = field(default_factory=list)

    def read_articles(self) -> Iterator[Article]:
        """Yield the articles. Raise OSError if the source cannot be read."""
        readers = {"lines": self._read_lines, "parquet": self._read_table, "text": self._read_texts}
        return readers[self.shard.kind]()

    def _log_fault(self, code: str, *, expected: str, found: str, fix: str, line: int | None = None,
                   row: int | None = None, source: str = "") -> None:  # fmt: skip
        self.faults.append(Fault(code, source or self.shard.source, line, row, expected, found, fix))

    def _read_lines(self) -> Iterator[Article]:
        shard = self.shard
        with open(shard.path, "rb") as file:
            position = max(shard.start - 1, 0)
            file.seek(position)
            if shard.start:  # a line over the border belongs to the shard before
                position = self._skip_line(file, position, shard.end)
            while position < shard.end:
                raw = file.readline(MAX_BYTES + 1)
                if not raw:
                    return
                self.lines += 1
                start, position = position, position + len(raw)
                if len(raw) > MAX_BYTES and not raw.endswith(b"\n"):
                    position = self._skip_line(file, position, None)
                    self._log_fault("file-too-big", expected=f"a line of {MAX_BYTES:,} bytes or fewer",
                                    found=f"{position - start:,} bytes", fix=_CUT_FIX, line=self.lines)  # fmt: skip
                    continue
                row = self._parse_line(raw, start)
                if row is not None and (article := self._to_article(row, start, self.lines, None)):
                    yield article

    @staticmethod
    def _skip_line(file: BinaryIO, position: int, end: int | None) -> int:
        """Read on to the next line, but not beyond `end`. Return the new position."""
        while end is None or position < end:
            raw = file.readline(_CHUNK)
            position += len(raw)
            if not raw or raw.endswith(b"\n"):
                break
        return position

    def _decode(self, raw: bytes, start: int, line: int | None = None, source: str = "") -> str | None:
        """Return the text of bytes from byte `start` of their file; None after a fault."""
        try:
            return raw.decode("utf-8" if start else "utf-8-sig")
        except UnicodeDecodeError as error:
            found = f"byte 0x{raw[error.start]:02x} at byte {start + error.start}"
            fix = "convert it first, for example: iconv -f GB18030 -t UTF-8"
            self._log_fault("not-utf8", expected="UTF-8", found=found, fix=fix, line=line, source=source)
            return None

    def _parse_line(self, raw: bytes, start: int) -> dict[str, Any] | None:
        line = self._decode(raw, start, line=self.lines)
        if line is None or not line.strip():
            return None
        row = jsonl.parse_row(line.strip(), "")
        if isinstance(row, Problem):
            self._log_fault(row.code, expected=row.expected, found=row.found, fix=row.fix, line=self.lines)
            return None
        return row

    def _to_article(self, row: dict[str, Any], position: int, line: int | None, number: int | None) -> Article | None:
        names, text = self.fields, row.get(self.fields.text)
        if not isinstance(text, str):
            present = ", ".join(map(shorten, list(row)[:8]))
            found = f"no such field, but {present or 'none at all'}" if names.text not in row else shorten(text)
            self._log_fault("wrong-shape", expected=f"a text in the field {shorten(names.text)}", found=found,
                            fix="name the field with --field", line=line, row=number)  # fmt: skip
            return None
        if line is None and len(text) * 4 > MAX_BYTES and (size := len(text.encode("utf-8", "replace"))) > MAX_BYTES:
            self._log_fault("file-too-big", expected=f"a text of {MAX_BYTES:,} bytes or fewer",
                            found=f"{size:,} bytes", fix=_CUT_FIX, line=line, row=number)  # fmt: skip
            return None
        id, title = row.get(names.id or "id"), row.get(names.title or "title")
        given_id = id if isinstance(id, str) else str(id) if isinstance(id, int) and not isinstance(id, bool) else None
        return Article(self.shard.source, position, given_id, title if isinstance(title, str) else "", text)

    def _read_table(self) -> Iterator[Article]:
        import pyarrow as pa

        shard = self.shard
        try:
            with _open_parquet(Path(shard.path)) as file:
                names = (self.fields.text, self.fields.id or "id", self.fields.title or "title")
                columns = [name for name in dict.fromkeys(names) if name in file.schema_arrow.names]
                end = 0
                for batch in file.iter_batches(_ROWS, row_groups=[shard.group], columns=columns):
                    start, end = end, end + batch.num_rows
                    if start >= shard.end:
                        break
                    for i, row in enumerate(batch.to_pylist(), start) if end > shard.start else ():
                        number = shard.first + i
                        if shard.start <= i < shard.end and (article := self._to_article(row, number, None, number)):
                            yield article
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            found = f"row group {shard.group}: {shorten(str(error), 100)}"
            self._log_fault("broken-parquet", expected="a Parquet file", found=found, fix=_FETCH_FIX)

    def _read_texts(self) -> Iterator[Article]:
        for name, path in self.shard.members:
            size = os.path.getsize(path)
            if size > MAX_BYTES:
                self._log_fault("file-too-big", expected=f"a text file of {MAX_BYTES:,} bytes or fewer",
                                found=f"{size:,} bytes", fix="cut it into articles", source=name)  # fmt: skip
                continue
            text = self._decode(Path(path).read_bytes(), 0, source=name)
            if text is not None:
                yield Article(name, 0, name, "", text)


def _open_parquet(path: Path) -> "pq.ParquetFile":
    import pyarrow.parquet as pq

    return pq.ParquetFile(path, memory_map=False, pre_buffer=False)


def plan_shards(paths: Sequence[Path], fields: FieldNames, size: int) -> tuple[list[InputFile], list[Shard]]:
    """Cut the input into shards of about `size` bytes, in the order of `paths`.

    Of a folder, all files with a suffix in `_KINDS` are read, by name. Files are named relative to the folder that
    holds them all. Raise :class:`DataError` with all problems of the files.
    """
    kinds = _list_files(paths)
    base = Path(os.path.commonpath([path.parent for path in kinds])) if kinds else Path()
    sources: list[InputFile] = []
    shards: list[Shard] = []
    problems = ErrorList()
    for path, kind in kinds.items():
        if kind == "text":
            continue
        name, first = replace_unencodable(path.relative_to(base).as_posix()), len(shards)
        try:
            ranges = _cut_table(path, fields, size) if kind == "parquet" else _cut_lines(path, size)
        except DataError as error:
            problems.extend(error.problems)
            continue
        shards += [Shard(first + i, kind, name, str(path), *bounds) for i, bounds in enumerate(ranges)]
        sources.append(InputFile(name, kind, path.stat().st_size, fingerprint_file(path), (first, len(shards))))
    texts = [path for path, kind in kinds.items() if kind == "text"]
    if texts:
        first, sizes = len(shards), [path.stat().st_size for path in texts]
        members = [(replace_unencodable(path.relative_to(base).as_posix()), str(path)) for path in texts]
        shards += [
            Shard(first + i, "text", "", "", members=tuple(members[a:b]))
            for i, (a, b) in enumerate(_group_sizes(sizes, size))
        ]
        hash = hashlib.sha256()
        for (name, member), length in zip(members, sizes, strict=True):
            hash.update(f"{name}\0{length}\0{fingerprint_file(Path(member))}\n".encode())
        sources.append(
            InputFile(f"{len(texts)} text files", "text", sum(sizes), hash.hexdigest(), (first, len(shards)))
        )
    problems.raise_if_any()
    if not any(source.size for source in sources):
        location = ", ".join(files.display_path(path) for path in paths[:3])
        fail("page-empty", location, expected="articles", found="nothing: 0 bytes", fix="check what wrote it")
    return sources, shards


def _list_files(paths: Sequence[Path]) -> dict[Path, str]:
    """Return each file with its kind.

    Raise :class:`DataError` (file-missing, duplicate-id, file-binary, broken-json).
    """
    kinds: dict[Path, str] = {}
    problems = ErrorList()
    for argument in paths:
        listed = [argument]
        if argument.is_dir():
            listed = [path for path in files.list_files(argument).values() if path.suffix in _KINDS]
        if not listed:
            problems.add("file-missing", files.display_path(argument), expected="*.jsonl, *.parquet or *.txt",
                         found="none", fix="name files, or a folder with such files in it")  # fmt: skip
        for path in (path.resolve() for path in listed):
            location = files.display_path(path)
            if path in kinds:
                problems.add("duplicate-id", location, expected="each file once", found="twice",
                             fix="name it once: everything in it would be a duplicate")  # fmt: skip
                continue
            try:
                kinds[path] = _detect_kind(path)
                problem = jsonl.format_problem(path) if kinds[path] == "lines" else None
                problems += [problem] if problem else []
            except OSError as error:
                reason = (error.strerror or type(error).__name__).lower()
                problems.add("file-missing", location, expected="a readable file", found=reason, fix="check the path")
    problems.raise_if_any()
    return kinds


def _detect_kind(path: Path) -> str:
    with path.open("rb") as file:
        magic = file.read(4)
    return _KINDS.get(path.suffix, "parquet" if magic == b"PAR1" else "lines")


def _cut_lines(path: Path, size: int) -> list[tuple[int, int, int, int]]:
    """Return start and end of each shard, as of :func:`_cut_table`."""
    length = path.stat().st_size
    return [(start, min(start + size, length), 0, 0) for start in range(0, length, size)]


def _group_sizes(sizes: Sequence[int], limit: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of a list of sizes that sum to about `limit` each."""
    start = total = 0
    for i, size in enumerate(sizes):
        if i > start and total + size > limit:
            yield start, i
            start, total = i, 0
        total += size + 1
    if start < len(sizes):
        yield start, len(sizes)


def _cut_table(path: Path, fields: FieldNames, size: int) -> list[tuple[int, int, int, int]]:
    """Return start, end, row group and first row of each shard.

    Raise :class:`DataError` (broken-parquet, wrong-shape).
    """
    import pyarrow as pa

    location = files.display_path(path)
    try:
        with _open_parquet(path) as file:
            names, metadata = file.schema_arrow.names, file.metadata
            missing = [name for name in fields if name and name not in names]
            if missing:
                fail("wrong-shape", location, expected=f"a column {missing[0]!r}",
                     found=f"columns {', '.join(names[:12])}",
                     fix="name the right one with --field, --id-field or --title-field")  # fmt: skip
            type = file.schema_arrow.field(fields.text).type
            type = type.value_type if pa.types.is_dictionary(type) else type
            if not (pa.types.is_string(type) or pa.types.is_large_string(type) or pa.types.is_string_view(type)):
                fail("wrong-shape", f"{location} {fields.text}", expected="a column of text", found=str(type),
                     fix="name another column with --field")  # fmt: skip
            ranges, first = [], 0
            for group in range(metadata.num_row_groups):
                rows, bytes = metadata.row_group(group).num_rows, metadata.row_group(group).total_byte_size
                step = max(1, size * rows // max(bytes, 1))
                ranges += [(start, min(start + step, rows), group, first) for start in range(0, rows, step)]
                first += rows
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        found = shorten(str(error), 100)
        fail("broken-parquet", location, expected="a Parquet file", found=found, fix=_FETCH_FIX)
    return ranges


def fingerprint_file(path: Path) -> str:
    """Return the sha256 of a file.

    Above `FULL_HASH_LIMIT` bytes, that of `SAMPLES` pieces at equal distances.
    """
    size, hash = path.stat().st_size, hashlib.sha256()
    with path.open("rb") as file:
        if size <= FULL_HASH_LIMIT:
            while data := file.read(_CHUNK):
                hash.update(data)
            return hash.hexdigest()
        for i in range(SAMPLES):
            file.seek((size - SAMPLE_BYTES) * i // (SAMPLES - 1))
            hash.update(file.read(SAMPLE_BYTES))
    return f"{hash.hexdigest()} of {SAMPLES} pieces"
