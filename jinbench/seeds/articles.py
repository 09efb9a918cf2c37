"""Articles assembled from pages as articles.toml says; every character of a page is accounted for."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import ErrorList, fail, shorten
from jinbench.core.types import Article, JsonObject, Passage, Piece
from jinbench.seeds.pages import Correction, Page, read_pages
from jinbench.seeds.repairs import (
    REPAIR_NAMES,
    Char,
    align_to_page,
    apply_repairs,
    find_repair,
    strip_chars,
    to_chars,
    to_text,
)

KINDS = ("headline", "subheadline", "label", "byline", "crosshead", "body", "caption", "jump", "notice")
LAYOUTS = ("clean", "column-broken", "continued", "garbled")

_LINE_REF = re.compile(r"(?P<first>\d{1,9})(?:-(?P<last>\d{1,9}))?(?:\[(?P<start>\d{0,9}):(?P<end>\d{0,9})\])?\Z")
SENTENCE_END = re.compile(r"(?:[。！？!?：:]|…)[”’」』）)》]*\Z")


@dataclass(frozen=True)
class Seeds:
    """Pages and articles of a benchmark, in the order of articles.toml.

    Args:
        pages: All pages.
        articles: All articles, with their pieces and passages in reading order.
        boilerplate_lines: By page id, the number of lines of boilerplate (key `furniture` of a [[page]]).
        unassigned: By page id, the pieces that belong to no article (key `lines` of a [[page]]).
    """

    pages: tuple[Page, ...]
    articles: tuple[Article, ...]
    boilerplate_lines: dict[str, int]
    unassigned: dict[str, tuple[Piece, ...]]

    def passages(self) -> Iterator[Passage]:
        """Iterate over the passages of all articles."""
        for article in self.articles:
            yield from article.passages


class ArticleAssembler:
    """Assembles articles and collects all problems on the way, so that one run reports every one."""

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark
        self.location = files.display_path(benchmark.articles)
        self.problems = ErrorList()
        self.page_ids: set[str] = set()
        self.uses: dict[str, Counter[int]] = {}  # of each character, by page id and offset
        self.passage_ids: set[str] = set()
        self.applied_corrections: set[tuple[str, int]] = set()

    def assemble(self) -> Seeds:
        """Assemble all articles; raise :class:`DataError` with all problems."""
        fix = "run: jinbench seeds add FILE…; a benchmark made of a corpus (jinbench convert) has no pages"
        table = files.read_toml(self.benchmark.articles, "articles", fix)
        page_entries, article_entries = table.get("page", []), table.get("article", [])
        if not page_entries or not article_entries:
            fail(
                "pages-missing", self.location, expected="at least one [[page]] and one [[article]]",
                found=f"{len(page_entries)} pages, {len(article_entries)} articles",
                fix="jinbench seeds add FILE… adds pages and proposes articles; then: jinbench seeds check",
            )  # fmt: skip
        self.page_ids = {entry["id"] for entry in page_entries}
        pages, self.problems = read_pages(self.benchmark, page_entries)
        self.uses = {id: Counter() for id in pages}
        boilerplate, unassigned = {}, {}
        for entry in page_entries:
            if (page := pages.get(entry["id"])) is not None:
                self._check_repairs(page)
                boilerplate[page.id] = self._count_boilerplate(page, entry.get("furniture", ()))
                unassigned[page.id] = self._assemble_unassigned(page, entry.get("lines", []))
        seen_ids: set[str] = set()
        assembled = [self._assemble_article(entry, pages, seen_ids) for entry in article_entries]
        for page in pages.values():
            for number, correction in enumerate(page.corrections):
                if (page.id, number) not in self.applied_corrections:
                    self._report_correction(page, correction, 0)
        if not self.problems:  # one wrong reference would make every count below wrong as well
            for page in pages.values():
                self._check_usage(page)
        self.problems.raise_if_any()
        articles = tuple(article for article in assembled if article is not None)
        return Seeds(tuple(pages.values()), articles, boilerplate, unassigned)

    def _check_repairs(self, page: Page) -> None:
        for name in page.repairs:
            if find_repair(name) is None:
                self.problems.add(
                    "repair-unknown", f"{self.location} page {page.id}", expected=f"one of {', '.join(REPAIR_NAMES)}",
                    found=repr(name), fix="use the name of an existing repair",
                )  # fmt: skip

    def _count_boilerplate(self, page: Page, refs: Iterable[str]) -> int:
        location = f"{self.location} page {page.id} furniture"
        lines = [number for ref in refs for number in self._take_lines(page, ref, location)[1]]
        return sum(1 for number in lines if page.line_text(number).strip())

    def _assemble_unassigned(self, page: Page, items: list[str]) -> tuple[Piece, ...]:
        location = f"{self.location} page {page.id} lines"
        pieces, passages = self._assemble_pieces(page, items, "", location)
        for passage in passages:
            self.problems.add("wrong-shape", location, expected="no body text", found=passage.id,
                              fix="put it into an [[article]]")  # fmt: skip
        return tuple(pieces)

    def _assemble_article(self, entry: JsonObject, pages: dict[str, Page], seen_ids: set[str]) -> Article | None:
        id = entry["id"]
        location = f"{self.location} [[article]] {id}"
        page = pages.get(entry["page"])
        if id in seen_ids:
            self.problems.add("duplicate-id", location, expected="a unique id", found=id,
                              fix="give the article another id")  # fmt: skip
            return None
        seen_ids.add(id)
        if page is None:
            if entry["page"] not in self.page_ids:
                self.problems.add(
                    "unknown-id", location, expected=f"a page, one of {', '.join(sorted(self.page_ids))}",
                    found=repr(entry["page"]), fix="use the id of a [[page]]",
                )  # fmt: skip
            return None
        pieces, passages = self._assemble_pieces(page, entry["lines"], id, location)
        return Article(id, page.id, str(entry.get("story", id)), _layout(page, pieces), tuple(pieces), tuple(passages))

    def _assemble_pieces(
        self, page: Page, items: list[str], article_id: str, location: str
    ) -> tuple[list[Piece], list[Passage]]:
        pieces, passages = [], []
        for item in items:
            kind, _, ref = item.partition(" ")
            item_location = f"{location} {item!r}"
            if kind not in KINDS or not ref:
                expected = f"KIND REF, KIND one of {', '.join(KINDS)}"
                self.problems.add("wrong-shape", item_location, expected=expected, found=repr(item),
                                  fix="see the head of the file")  # fmt: skip
                continue
            piece, passage = self._assemble_piece(page, kind, ref.strip(), article_id, item_location)
            pieces.append(piece)
            if passage is not None:
                passages.append(passage)
        return pieces, passages

    def _assemble_piece(
        self, page: Page, kind: str, ref: str, article_id: str, location: str
    ) -> tuple[Piece, Passage | None]:
        """Assemble one piece; a piece of body text is a passage as well."""
        bare = ref.removeprefix("…").removesuffix("…")
        chars: list[Char] = []
        lines: list[int] = []
        for part in bare.split("+"):
            part_chars, part_lines = self._take_lines(page, part, location)
            chars += part_chars
            lines += part_lines
        chars = strip_chars(self._apply_corrections(page, apply_repairs(chars, page.repairs), lines))
        text = to_text(chars)
        if lines and not text:
            self.problems.add("line-outside-page", location, expected="a line with text", found="a blank line",
                              fix="use the number of the line with the text")  # fmt: skip
        if kind != "body" or not text:
            return Piece(kind, text, tuple(lines)), None
        runs, changes = align_to_page(chars, page.text)
        id = f"{page.id}-L{lines[0]}"
        if id in self.passage_ids:
            self.problems.add(
                "line-used-twice", location, expected="one passage to begin on a line", found=f"a second one, {id}",
                fix="join the two, or begin one of them on another line",
            )  # fmt: skip
        self.passage_ids.add(id)
        truncated_start, truncated_end = ref.startswith("…"), ref.endswith("…")
        if not truncated_end and not SENTENCE_END.search(text):
            self.problems.add(
                "passage-truncated", location, expected="a passage that ends with its sentence",
                found=f"it ends in {text[-12:]!r}",
                fix=f'join the line where it continues ("{bare}+…"); if the page does not have it, mark the end '
                f'as truncated: "{bare}…"',
            )  # fmt: skip
        passage = Passage(id, article_id, page.id, text, runs, changes, tuple(lines), truncated_start, truncated_end)
        return Piece(kind, text, tuple(lines), id), passage

    def _take_lines(self, page: Page, part: str, location: str) -> tuple[list[Char], list[int]]:
        """Return the characters of a line reference ("13", "83[7:]", "1-29") and its lines; mark them as used."""
        match = _LINE_REF.match(part)
        if not match:
            expected = "lines such as 13, 13+15, 83[7:] or 1-29"
            self.problems.add("wrong-shape", location, expected=expected, found=repr(part),
                              fix="see the head of articles.toml")  # fmt: skip
            return [], []
        first, last = int(match["first"]), int(match["last"] or match["first"])
        count = len(page.line_starts)
        if not 1 <= first <= last <= count:
            self.problems.add("line-outside-page", location, expected=f"a line of {page.file}, 1 to {count}",
                              found=part, fix="count the lines of the page from 1")  # fmt: skip
            return [], []
        start, end = page.line_starts[first - 1], page.line_ends[last - 1]
        if match["start"] is not None:
            width = end - start
            low, high = int(match["start"] or 0), int(match["end"] or width)
            if not 0 <= low < high <= width:
                expected = f"a part of line {first}, which has {width} characters"
                self.problems.add("line-outside-page", location, expected=expected, found=part,
                                  fix="count the characters from 0")  # fmt: skip
                return [], []
            start, end = start + low, start + high
        self.uses[page.id].update(i for i in range(start, end) if not page.text[i].isspace())
        return to_chars(page.text[start:end], start), list(range(first, last + 1))

    def _apply_corrections(self, page: Page, chars: list[Char], lines: list[int]) -> list[Char]:
        """Apply the corrections of these lines that occur in `chars`: another part of a line may have the others."""
        for number, correction in enumerate(page.corrections):
            wrong, right = correction["wrong"], correction["right"]
            text = to_text(chars)
            if correction["line"] not in lines or wrong not in text:
                continue
            self.applied_corrections.add((page.id, number))
            if text.count(wrong) != 1 or len(wrong) != len(right):
                self._report_correction(page, correction, text.count(wrong))
                continue
            start = text.index(wrong)
            new = zip(chars[start : start + len(wrong)], right, strict=True)
            chars[start : start + len(wrong)] = [char._replace(text=replacement) for char, replacement in new]
        return chars

    def _report_correction(self, page: Page, correction: Correction, occurrences: int) -> None:
        wrong, right = correction["wrong"], correction["right"]
        self.problems.add(
            "correction-fails", f"{self.location} page {page.id} line {correction['line']} mend {wrong!r}",
            expected="text that occurs once in its line after the repairs, and a replacement of the same length",
            found=f"{wrong!r} occurs {occurrences} times; {len(wrong)} characters become {len(right)}",
            fix="write the line as it reads after the repairs, or a longer part of it",
        )  # fmt: skip

    def _check_usage(self, page: Page) -> None:
        """Check that every character that is not white space is used exactly once."""
        uses, location = self.uses[page.id], f"{self.location} page {page.id}"
        for line in sorted({page.line_number(i) for i, times in uses.items() if times > 1}):
            self.problems.add(
                "line-used-twice", location, expected="each line once",
                found=f"line {line} twice: {shorten(page.line_text(line))}",
                fix="remove it from one of the places that use it",
            )  # fmt: skip
        unused = {page.line_number(i) for i, char in enumerate(page.text) if not char.isspace() and i not in uses}
        for line in sorted(unused):
            self.problems.add(
                "line-unused", location, expected="each line once",
                found=f"line {line} not at all: {shorten(page.line_text(line))}",
                fix="add it to its article by kind, or to `furniture` of the page",
            )  # fmt: skip


def _layout(page: Page, pieces: list[Piece]) -> str:
    """Return what the page did to an article, the worst of :data:`LAYOUTS`."""
    if page.repairs or page.corrections:
        return "garbled"
    if any(piece.kind == "jump" for piece in pieces):
        return "continued"
    body = [piece.lines for piece in pieces if piece.kind == "body"]
    in_order = [line for lines in body for line in lines]
    if any(len(lines) > 1 for lines in body) or in_order != sorted(in_order):
        return "column-broken"
    return "clean"


def read_seeds(benchmark: Benchmark) -> Seeds:
    """Read all pages and assemble all articles.

    Args:
        benchmark: The benchmark whose `seeds/` is read.

    Returns:
        Pages, articles and what belongs to no article, in the order of articles.toml.

    Raises:
        DataError: Every problem that `jinbench seeds check` prints [file-missing, broken-toml, wrong-shape,
            pages-missing, page-empty, page-changed, page-unlisted, page-control-character, line-outside-page,
            line-used-twice, line-unused, passage-truncated, correction-fails, repair-unknown, duplicate-id,
            unknown-id].
    """
    return ArticleAssembler(benchmark).assemble()


def summarize_pages(seeds: Seeds) -> list[dict[str, str | int]]:
    """Return a row per page: its lines by kind, and its articles, passages and characters."""
    rows: list[dict[str, str | int]] = []
    for page in seeds.pages:
        articles = [article for article in seeds.articles if article.page_id == page.id]
        pieces = [*seeds.unassigned[page.id], *(piece for article in articles for piece in article.pieces)]
        kinds = Counter({kind: sum(len(piece.lines) for piece in pieces if piece.kind == kind) for kind in KINDS})
        passages = [passage for article in articles for passage in article.passages]
        counts = {
            "lines": sum(1 for line in page.text.split("\n") if line.strip()),
            **kinds,
            "boilerplate": seeds.boilerplate_lines[page.id],
            "articles": len(articles),
            "passages": len(passages),
            "joined": sum(len(passage.lines) > 1 for passage in passages),
            "truncated": sum(passage.truncated_start or passage.truncated_end for passage in passages),
            "characters": sum(len(passage.text) for passage in passages),
        }
        rows.append({"page": page.id, **counts})
    return rows
