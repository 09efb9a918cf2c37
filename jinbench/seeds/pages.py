"""Page files: read, checksum, line index."""

import re
from dataclasses import dataclass
from typing import TypedDict

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, ErrorList
from jinbench.core.text import CONTROL
from jinbench.core.types import JsonObject

_CONTROL = re.compile(CONTROL)


class Correction(TypedDict):
    """A correction of a line, an entry of `mends` in articles.toml: `right` replaces `wrong`, of the same length."""

    line: int
    wrong: str
    right: str


@dataclass(frozen=True)
class Page:
    """A page file as it is; `line_starts[n]` and `line_ends[n]` are the offsets of line n + 1.

    `repairs` and `corrections` are those that articles.toml asks for (its keys `repairs` and `mends`).
    """

    id: str
    file: str
    text: str
    line_starts: tuple[int, ...]
    line_ends: tuple[int, ...]
    repairs: tuple[str, ...]
    corrections: tuple[Correction, ...]

    @classmethod
    def from_text(cls, id: str, file: str, text: str, entry: JsonObject) -> "Page":
        """Make a page of its text and its [[page]] entry."""
        starts = [0, *(match.end() for match in re.finditer("\n", text))]
        ends = [*(start - 1 for start in starts[1:]), len(text)]
        repairs, corrections = tuple(entry.get("repairs", ())), tuple(entry.get("mends", ()))
        return cls(id, file, text, tuple(starts), tuple(ends), repairs, corrections)

    def line_number(self, offset: int) -> int:
        """Return the number, from 1, of the line that holds `offset`."""
        return self.text.count("\n", 0, offset) + 1

    def line_text(self, number: int) -> str:
        """Return the text of line `number`, counted from 1."""
        return self.text[self.line_starts[number - 1] : self.line_ends[number - 1]]


def read_pages(benchmark: Benchmark, entries: list[JsonObject]) -> tuple[dict[str, Page], ErrorList]:
    """Read the pages of the [[page]] entries of articles.toml; return them by id, and all problems."""
    listing = files.display_path(benchmark.articles)
    problems = ErrorList()
    pages: dict[str, Page] = {}
    read_files: set[str] = set()
    for entry in entries:
        id, file = entry["id"], entry["file"]
        path = benchmark.pages / file
        location = files.display_path(path)
        if file in read_files:
            problems.add("duplicate-id", f"{listing} [[page]] {id}", expected="each file once", found=file,
                         fix="remove one of the two entries")  # fmt: skip
            continue
        if id in pages:
            problems.add("duplicate-id", f"{listing} [[page]] {id}", expected="a unique id", found=id,
                         fix="give the page another id")  # fmt: skip
            continue
        try:
            text = files.read_text(path, "put the page there, or remove its [[page]] from articles.toml")
        except DataError as error:
            problems.extend(error.problems)
            continue
        if not text.strip():
            problems.add("page-empty", location, expected="text", found=f"{len(text)} characters, all white space",
                         fix="fetch the page again, or remove its [[page]] from articles.toml")  # fmt: skip
            continue
        control = _CONTROL.search(text)
        if control:
            line = f"{location}:{text.count(chr(10), 0, control.start()) + 1}"
            problems.add("page-control-character", line, expected="text", found=repr(control[0]),
                         fix="save the page as plain text")  # fmt: skip
            continue
        sha256 = files.sha256(text.encode())
        if sha256 != entry["sha256"]:
            problems.add(
                "page-changed", location, expected=f"sha256 {entry.get('sha256')}", found=f"sha256 {sha256}",
                fix="restore the original page; if the new text is intended, write its sha256 into articles.toml"
                " and check its lines again",
            )  # fmt: skip
        pages[id] = Page.from_text(id, file, text, entry)
        read_files.add(file)
    listed = {entry["file"] for entry in entries}
    for path in sorted(benchmark.pages.glob("*")):
        if path.name not in listed:
            problems.add("page-unlisted", files.display_path(path), expected=f"a [[page]] in {listing}", found="none",
                         fix=f'add [[page]] with file = "{path.name}", or move the file away')  # fmt: skip
    return pages, problems
