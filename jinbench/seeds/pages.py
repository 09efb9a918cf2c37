"""Pages as they were found, and the sentences of a text."""

import re
from dataclasses import dataclass
from typing import Any

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class Page:
    """A page file as it was found; `line_starts[n]` is the offset of line n + 1."""

    id: str
    file: str
    text: str
    line_starts: tuple[int, ...]
    line_ends: tuple[int, ...]
    repairs: tuple[str, ...]
    corrections: tuple[dict[str, Any], ...]

    @classmethod
    def from_text(cls, id: str, file: str, text: str, entry: dict[str, Any]) -> "Page":
        starts = [0, *(match.end() for match in re.finditer("\n", text))]
        ends = [*(start - 1 for start in starts[1:]), len(text)]
        repairs, mends = tuple(entry.get("repairs", ())), tuple(entry.get("mends", ()))
        return cls(id, file, text, tuple(starts), tuple(ends), repairs, mends)

    def line_number(self, offset: int) -> int:
        """The number, from 1, of the line that holds `offset`."""
        return self.text.count("\n", 0, offset) + 1

    def line_text(self, number: int) -> str:
        """The text of line `number`, counted from 1."""
        return self.text[self.line_starts[number - 1] : self.line_ends[number - 1]]


def read_pages(benchmark: Benchmark, entries: list[dict[str, Any]]) -> tuple[dict[str, Page], list[Problem]]:
    """The pages that the [[page]] entries of articles.toml name, by id, and everything wrong with them."""
    where = files.display_path(benchmark.articles)
    problems: list[Problem] = []

    def problem(code: str, place: str, expected: str, found: str, hint: str) -> None:
        problems.append(Problem(code, location=place, expected=expected, found=found, fix=hint))

    pages: dict[str, Page] = {}
    taken: set[str] = set()
    for entry in entries:
        id, file = entry["id"], entry["file"]
        path = benchmark.pages / file
        place = files.display_path(path)
        if file in taken:
            problem("duplicate-id", f"{where} [[page]] {id}", "each file once", file, "take one of the two away")
            continue
        if id in pages:
            problem("duplicate-id", f"{where} [[page]] {id}", "an id of its own", id, "give the page another id")
            continue
        try:
            text = files.read_text(path, "put the page there, or take its [[page]] out of articles.toml")
        except DataError as error:
            problems.extend(error.problems)
            continue
        if not text.strip():
            problem(
                "page-empty",
                place,
                "text",
                f"{len(text)} characters, all white space",
                "fetch the page again, or take its [[page]] out of articles.toml",
            )
            continue
        control = _CONTROL.search(text)
        if control:
            at = f"{place}:{text.count(chr(10), 0, control.start()) + 1}"
            problem("page-control-character", at, "text", repr(control[0]), "save the page as plain text")
            continue
        found = files.sha256(path.read_bytes())
        if found != entry["sha256"]:
            problem(
                "page-changed",
                place,
                f"sha256 {entry.get('sha256')}",
                f"sha256 {found}",
                "put the original page back; if the new text is meant, write its sha256 into articles.toml"
                " and go through its lines again",
            )
        pages[id] = Page.from_text(id, file, text, entry)
        taken.add(file)
    listed = {entry["file"] for entry in entries}
    for path in sorted(benchmark.pages.glob("*")):
        if path.name not in listed:
            problem(
                "page-unlisted",
                files.display_path(path),
                f"a [[page]] in {where}",
                "none",
                f'add [[page]] with file = "{path.name}", or move the file away',
            )
    return pages, problems
