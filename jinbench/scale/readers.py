"""Any number of articles from files, a block at a time. Where a block begins and ends, the files alone decide.

A block is a stretch of bytes of a JSON Lines file (a line belongs to the block in which it begins), rows of one row
group of a Parquet file, or some of the .txt files of a folder. What cannot be used becomes a :class:`Fault`.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jinbench.core import files, jsonl
from jinbench.core.errors import DataError, Problem, raise_if_any, shorten
from jinbench.core.text import storable

if TYPE_CHECKING:
    import pyarrow.parquet as pq

LONGEST = 16 * 2**20  # bytes that a line, a text of a table or a text file may have
WHOLE = 2**28  # bytes: a larger file is recognised by pieces of it
PIECES, PIECE = 64, 2**20  # how many pieces, and bytes of each
_CHUNK = 2**20
_ROWS = 128  # rows of a table that are in memory at once
_KINDS = {".txt": "text", ".parquet": "parquet", ".jsonl": "lines", ".ndjson": "lines", ".json": "lines"}


class Fields(NamedTuple):
    """Which fields of a row hold what. None: the usual name (id, title) where there is one."""

    text: str = "text"
    id: str | None = None
    title: str | None = None


class Fault(NamedTuple):
    """Something that was left out. `line`: of its block, counted from 1; `row`: of its table, counted from 0."""

    code: str
    source: str
    line: int | None
    row: int | None
    expected: str
    found: str
    hint: str

    def problem(self, before: int = 0) -> Problem:
        """`before`: how many lines of the file come before the block."""
        place = f":{self.line + before}" if self.line is not None else ""
        place = f" row {self.row}" if self.row is not None else place
        return Problem(self.code, location=self.source + place, expected=self.expected, found=self.found, fix=self.hint)


class Article(NamedTuple):
    """`at`: where it begins in its source: the byte of its line, the row of its table (from 0), 0 in a text file."""

    source: str
    at: int
    given_id: str | None
    title: str
    text: str


@dataclass(frozen=True)
class Shard:
    """`start`, `end`: bytes of a file of lines, or rows of row group `group`, which begins with row `first`.

    `members`: for text files, name and path of each; `source` and `path` are empty then.
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
    """A file of the input, or all text files together. `blocks`: the numbers of its first block and of the next one."""

    name: str
    kind: str
    size: int
    sha256: str
    blocks: tuple[int, int]


@dataclass
class Reading:
    """The articles of a block, and what is known once they have been read: lines that begin in it, and faults."""

    block: Shard
    fields: Fields
    lines: int = 0
    faults: list[Fault] = field(default_factory=list)

    def articles(self) -> Iterator[Article]:
        """Raises OSError if the source cannot be read."""
        kinds = {"lines": self._of_lines, "parquet": self._of_rows, "text": self._of_texts}
        return kinds[self.block.kind]()

    def _fault(self, code: str, expected: str, found: str, hint: str, line: int | None = None,
               row: int | None = None, source: str = "") -> None:  # fmt: skip
        self.faults.append(Fault(code, source or self.block.source, line, row, expected, found, hint))

    def _of_lines(self) -> Iterator[Article]:
        block = self.block
        with open(block.path, "rb") as file:
            at = max(block.start - 1, 0)
            file.seek(at)
            if block.start:  # the line that goes over the border is the last block's
                at = self._skip(file, at, block.end)
            while at < block.end:
                raw = file.readline(LONGEST + 1)
                if not raw:
                    return
                self.lines += 1
                begin, at = at, at + len(raw)
                if len(raw) > LONGEST and not raw.endswith(b"\n"):
                    at = self._skip(file, at, None)
                    expected, hint = f"a line of {LONGEST:,} bytes or fewer", "cut the article into several"
                    self._fault("file-too-big", expected, f"{at - begin:,} bytes", hint, self.lines)
                    continue
                row = self._row(raw, begin)
                if row is not None and (article := self._article(row, begin, self.lines, None)):
                    yield article

    @staticmethod
    def _skip(file: Any, at: int, end: int | None) -> int:
        """Read on to the next line, but no further than to where the block ends. Returns where that is."""
        while end is None or at < end:
            raw = file.readline(_CHUNK)
            at += len(raw)
            if not raw or raw.endswith(b"\n"):
                break
        return at

    def _decoded(self, raw: bytes, begin: int, line: int | None = None, source: str = "") -> str | None:
        """The text of bytes that begin at byte `begin` of their file, or None and a fault."""
        try:
            return raw.decode("utf-8" if begin else "utf-8-sig")
        except UnicodeDecodeError as error:
            hint = "convert it first, for example: iconv -f GB18030 -t UTF-8"
            found = f"byte 0x{raw[error.start]:02x} at byte {begin + error.start}"
            self._fault("not-utf8", "UTF-8", found, hint, line, source=source)
            return None

    def _row(self, raw: bytes, begin: int) -> dict[str, Any] | None:
        text = self._decoded(raw, begin, line=self.lines)
        if text is None:
            return None
        line = text.strip()
        found_here = jsonl.parsed(line, "") if line else None
        if isinstance(found_here, Problem):
            said = found_here
            self._fault(said.code, said.expected, said.found, said.fix, self.lines)
            return None
        return found_here

    def _article(self, row: dict[str, Any], at: int, line: int | None, number: int | None) -> Article | None:
        names, text = self.fields, row.get(self.fields.text)
        if not isinstance(text, str):
            known = ", ".join(map(shorten, list(row)[:8]))
            found = f"no such field, but {known or 'none at all'}" if names.text not in row else shorten(text)
            expected = f"a text in the field {shorten(names.text)}"
            self._fault("wrong-shape", expected, found, "name the field with --field", line, number)
            return None
        if line is None and len(text) * 4 > LONGEST and (size := len(text.encode("utf-8", "replace"))) > LONGEST:
            expected = f"a text of {LONGEST:,} bytes or fewer"
            self._fault("file-too-big", expected, f"{size:,} bytes", "cut the article into several", line, number)
            return None
        id, title = row.get(names.id or "id"), row.get(names.title or "title")
        given = id if isinstance(id, str) else str(id) if isinstance(id, int) and not isinstance(id, bool) else None
        return Article(self.block.source, at, given, title if isinstance(title, str) else "", text)

    def _of_rows(self) -> Iterator[Article]:
        import pyarrow as pa

        block = self.block
        try:
            with _parquet(Path(block.path)) as file:
                wanted = (self.fields.text, self.fields.id or "id", self.fields.title or "title")
                present = [name for name in dict.fromkeys(wanted) if name in file.schema_arrow.names]
                at = 0
                for batch in file.iter_batches(_ROWS, row_groups=[block.group], columns=present):
                    begin, at = at, at + batch.num_rows
                    if begin >= block.end:
                        break
                    for i, row in enumerate(batch.to_pylist(), begin) if at > block.start else ():
                        number = block.first + i
                        if block.start <= i < block.end and (article := self._article(row, number, None, number)):
                            yield article
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            place, said = f"row group {block.group}", shorten(str(error), 100)
            self._fault("broken-parquet", "a Parquet file", f"{place}: {said}", "fetch the file again")

    def _of_texts(self) -> Iterator[Article]:
        for name, path in self.block.members:
            size = os.path.getsize(path)
            if size > LONGEST:
                expected, hint = f"a text file of {LONGEST:,} bytes or fewer", "cut it into articles"
                self._fault("file-too-big", expected, f"{size:,} bytes", hint, source=name)
                continue
            text = self._decoded(Path(path).read_bytes(), 0, source=name)
            if text is not None:
                yield Article(name, 0, name, "", text)


def _parquet(path: Path) -> "pq.ParquetFile":
    import pyarrow.parquet as pq

    return pq.ParquetFile(path, memory_map=False, pre_buffer=False)


def plan(paths: Sequence[Path], fields: Fields, size: int) -> tuple[list[InputFile], list[Shard]]:
    """The sources and their blocks of about `size` bytes each, in the order in which they are given.

    Of a folder, all files in it whose names end as in `_KINDS`, in order of their names. Sources are named relative to
    the folder that holds them all. Raises :class:`DataError` with everything that is wrong with them.
    """
    found = _listed(paths)
    base = Path(os.path.commonpath([path.parent for path, _ in found])) if found else Path()
    sources: list[InputFile] = []
    blocks: list[Shard] = []
    problems: list[Problem] = []
    texts = [path for path, kind in found if kind == "text"]
    for path, kind in found:
        if kind == "text":
            continue
        name, begin = storable(path.relative_to(base).as_posix()), len(blocks)
        try:
            cut = _rows(path, fields, size) if kind == "parquet" else _stretches(path, size)
        except DataError as error:
            problems.extend(error.problems)
            continue
        blocks += [Shard(begin + i, kind, name, str(path), *each) for i, each in enumerate(cut)]
        sources.append(InputFile(name, kind, path.stat().st_size, fingerprint(path), (begin, len(blocks))))
    if texts:
        begin, sizes = len(blocks), [path.stat().st_size for path in texts]
        members = [(storable(path.relative_to(base).as_posix()), str(path)) for path in texts]
        blocks += [
            Shard(begin + i, "text", "", "", members=tuple(members[a:b])) for i, (a, b) in enumerate(_runs(sizes, size))
        ]
        whole = hashlib.sha256()
        for (name, path_name), length in zip(members, sizes, strict=True):
            whole.update(f"{name}\0{length}\0{fingerprint(Path(path_name))}\n".encode())
        sources.append(
            InputFile(f"{len(texts)} text files", "text", sum(sizes), whole.hexdigest(), (begin, len(blocks)))
        )
    raise_if_any(problems)
    if not any(source.size for source in sources):
        place = ", ".join(files.shown(path) for path in paths[:3])
        raise DataError(
            Problem(
                "page-empty", location=place, expected="articles", found="nothing: 0 bytes", fix="check what wrote it"
            )
        )
    return sources, blocks


def _listed(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Each file with its kind. Raises :class:`DataError` (file-missing, duplicate-id, file-binary, broken-json)."""
    found: dict[Path, str] = {}
    problems: list[Problem] = []
    for given in paths:
        inside = files.visible(given) if given.is_dir() else {}
        listed = [path for path in inside.values() if path.suffix in _KINDS] if given.is_dir() else [given]
        if not listed:
            hint = "name files, or a folder with such files in it"
            problems.append(
                Problem(
                    "file-missing",
                    location=files.shown(given),
                    expected="*.jsonl, *.parquet or *.txt",
                    found="none",
                    fix=hint,
                )
            )
        for path in (each.resolve() for each in listed):
            if path in found:
                hint = "name it once: everything in it would be a duplicate"
                problems.append(
                    Problem(
                        "duplicate-id", location=files.shown(path), expected="each file once", found="twice", fix=hint
                    )
                )
                continue
            try:
                found[path] = _kind(path)
                problem = jsonl.unfit(path) if found[path] == "lines" else None
                problems += [problem] if problem else []
            except OSError as error:
                reason = (error.strerror or type(error).__name__).lower()
                where = files.shown(path)
                problems.append(
                    Problem(
                        "file-missing", location=where, expected="a readable file", found=reason, fix="check the path"
                    )
                )
    raise_if_any(problems)
    return list(found.items())


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        begin = file.read(4)
    return _KINDS.get(path.suffix, "parquet" if begin == b"PAR1" else "lines")


def _stretches(path: Path, size: int) -> list[tuple[int, int, int, int]]:
    whole = path.stat().st_size
    return [(start, min(start + size, whole), 0, 0) for start in range(0, whole, size)]


def _runs(sizes: Sequence[int], size: int) -> Iterator[tuple[int, int]]:
    """Stretches of a list of sizes that come to about `size` each."""
    start = taken = 0
    for i, length in enumerate(sizes):
        if i > start and taken + length > size:
            yield start, i
            start, taken = i, 0
        taken += length + 1
    if start < len(sizes):
        yield start, len(sizes)


def _rows(path: Path, fields: Fields, size: int) -> list[tuple[int, int, int, int]]:
    """start, end, group and first row of each block. Raises :class:`DataError` (broken-parquet, wrong-shape)."""
    import pyarrow as pa

    where = files.shown(path)
    try:
        with _parquet(path) as file:
            names, data = file.schema_arrow.names, file.metadata
            missing = [name for name in fields if name and name not in names]
            if missing:
                hint = "name the right one with --field, --id-field or --title-field"
                columns = ", ".join(names[:12])
                raise DataError(
                    Problem(
                        "wrong-shape",
                        location=where,
                        expected=f"a column {missing[0]!r}",
                        found=f"columns {columns}",
                        fix=hint,
                    )
                )
            kind = file.schema_arrow.field(fields.text).type
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
                hint = "name another column with --field"
                raise DataError(
                    Problem(
                        "wrong-shape",
                        location=f"{where} {fields.text}",
                        expected="a column of text",
                        found=str(kind),
                        fix=hint,
                    )
                )
            found, first = [], 0
            for group in range(data.num_row_groups):
                rows, weight = data.row_group(group).num_rows, data.row_group(group).total_byte_size
                step = max(1, size * rows // max(weight, 1))
                found += [(start, min(start + step, rows), group, first) for start in range(0, rows, step)]
                first += rows
            return found
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        said = shorten(str(error), 100)
        raise DataError(
            Problem("broken-parquet", location=where, expected="a Parquet file", found=said, fix="fetch the file again")
        ) from None


def fingerprint(path: Path) -> str:
    """The sha256 of a file; of one larger than `WHOLE` bytes, that of `PIECES` pieces at equal distances."""
    size, hash = path.stat().st_size, hashlib.sha256()
    with path.open("rb") as file:
        if size <= WHOLE:
            while data := file.read(_CHUNK):
                hash.update(data)
            return hash.hexdigest()
        for i in range(PIECES):
            file.seek((size - PIECE) * i // (PIECES - 1))
            hash.update(file.read(PIECE))
    return f"{hash.hexdigest()} of {PIECES} pieces"
