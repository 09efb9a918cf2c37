"""Pages to articles: reads `seeds/`, puts each article together, and accounts for every character of every page."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem, raise_if_any, shorten
from jinbench.core.types import Article, Passage, Piece
from jinbench.seeds import pages as page_files
from jinbench.seeds.pages import Page
from jinbench.seeds.repairs import REPAIR_NAMES, Char, align_to_page, find_repair, apply_repairs, strip_chars, to_text

KINDS = ("headline", "subheadline", "label", "byline", "crosshead", "body", "caption", "jump", "notice")
LAYOUTS = ("clean", "column-broken", "continued", "garbled")

_PART = re.compile(r"(?P<first>\d{1,9})(?:-(?P<last>\d{1,9}))?(?:\[(?P<start>\d{0,9}):(?P<end>\d{0,9})\])?\Z")
SENTENCE_END = re.compile(r"(?:[。！？!?：:]|…)[”’」』）)》]*\Z")


@dataclass(frozen=True)
class Seeds:
    """Everything that `seeds/` holds, in the order of articles.toml."""

    pages: tuple[Page, ...]
    articles: tuple[Article, ...]
    boilerplate_lines: dict[str, int]  # lines, by page
    unassigned: dict[str, tuple[Piece, ...]]  # what belongs to no one article, by page

    def passages(self) -> Iterator[Passage]:
        for article in self.articles:
            yield from article.passages


class _Reader:
    """Collects problems while it reads, so that one run reports all of them."""

    def __init__(self, benchmark: Benchmark) -> None:
        self.rooms = benchmark
        self.where = files.display_path(benchmark.articles)
        self.problems: list[Problem] = []
        self.used: dict[str, Counter[int]] = {}
        self.passage_ids: set[str] = set()
        self.mended: set[tuple[str, int]] = set()

    def problem(self, code: str, place: str, expected: str, found: str, hint: str) -> None:
        self.problems.append(Problem(code, location=place, expected=expected, found=found, fix=hint))

    def take(self, page: Page, part: str, place: str) -> tuple[list[Char], list[int]]:
        """The characters of one part ("13", "83[7:]", "1-29") and the lines they stand on; marks them as used."""
        match = _PART.match(part)
        if not match:
            self.problem(
                "wrong-shape",
                place,
                "lines such as 13, 13+15, 83[7:] or 1-29",
                repr(part),
                "see the head of articles.toml",
            )
            return [], []
        first, last = int(match["first"]), int(match["last"] or match["first"])
        count = len(page.line_starts)
        if not 1 <= first <= last <= count:
            self.problem(
                "line-outside-page",
                place,
                f"a line of {page.file}, 1 to {count}",
                part,
                "count the lines of the page from 1",
            )
            return [], []
        start, end = page.line_starts[first - 1], page.line_ends[last - 1]
        if match["start"] is not None:
            width = end - start
            low, high = int(match["start"] or 0), int(match["end"] or width)
            if not 0 <= low < high <= width:
                self.problem(
                    "line-outside-page",
                    place,
                    f"a part of line {first}, which has {width} characters",
                    part,
                    "count the characters from 0",
                )
                return [], []
            start, end = start + low, start + high
        self.used[page.id].update(i for i in range(start, end) if not page.text[i].isspace())
        chars = strip_chars([Char(page.text[i], i) for i in range(start, end)])
        return chars, list(range(first, last + 1))

    def mend(self, page: Page, chars: list[Char], lines: list[int]) -> list[Char]:
        """Apply the mends of these lines that stand in `chars`: another part of a line may hold the others."""
        for number, mend in enumerate(page.corrections):
            wrong, right = mend["wrong"], mend["right"]
            text = to_text(chars)
            if mend["line"] not in lines or wrong not in text:
                continue
            self.mended.add((page.id, number))
            if text.count(wrong) != 1 or len(wrong) != len(right):
                self.mend_fails(
                    page, mend, f"it stands {text.count(wrong)} times; {len(wrong)} characters become {len(right)}"
                )
                continue
            at = text.index(wrong)
            chars = [
                char._replace(text=right[i - at]) if at <= i < at + len(wrong) else char for i, char in enumerate(chars)
            ]
        return chars

    def mend_fails(self, page: Page, mend: dict[str, Any], found: str) -> None:
        self.problem(
            "mend-fails",
            f"{self.where} page {page.id} line {mend['line']} mend {mend['wrong']!r}",
            "text that stands once in its line after the repairs, and as many characters instead",
            found,
            "write the line as it reads after the repairs, or a longer stretch of it",
        )

    def piece(self, page: Page, kind: str, ref: str, article_id: str, place: str) -> tuple[Piece, Passage | None]:
        bare = ref.removeprefix("…").removesuffix("…")
        chars: list[Char] = []
        lines: list[int] = []
        for part in bare.split("+"):
            more, numbers = self.take(page, part, place)
            chars += more
            lines += numbers
        chars = strip_chars(self.mend(page, apply_repairs(chars, page.repairs), lines))
        text = to_text(chars)
        if lines and not text:
            self.problem("line-outside-page", place, "a line with text", "a blank one", "name the line that is meant")
        if kind != "body" or not text:
            return Piece(kind, text, tuple(lines)), None
        runs, changes = align_to_page(chars, page.text)
        id = f"{page.id}-L{lines[0]}"
        if id in self.passage_ids:
            self.problem(
                "line-used-twice",
                place,
                "one passage to begin on a line",
                f"a second one, {id}",
                "join the two, or begin one of them on another line",
            )
        self.passage_ids.add(id)
        torn_start, torn_end = ref.startswith("…"), ref.endswith("…")
        if not torn_end and not SENTENCE_END.search(text):
            self.problem(
                "passage-torn",
                place,
                "a passage that ends with its sentence",
                f"it ends in {text[-12:]!r}",
                f'join the line that it goes on in ("{bare}+…"); if the page does not hold it, mark the end '
                f'as torn: "{bare}…"',
            )
        passage = Passage(id, article_id, page.id, text, runs, changes, tuple(lines), torn_start, torn_end)
        return Piece(kind, text, tuple(lines), id), passage

    def article(self, entry: dict[str, Any], pages: dict[str, Page], seen: set[str]) -> Article | None:
        id = entry["id"]
        place = f"{self.where} [[article]] {id}"
        page = pages.get(entry["page"])
        if id in seen:
            self.problem("duplicate-id", place, "an id of its own", id, "give the article a name that no other has")
            return None
        seen.add(id)
        if page is None:
            if entry["page"] not in self.listed:
                self.problem(
                    "unknown-id",
                    place,
                    f"a page, one of {', '.join(sorted(self.listed))}",
                    repr(entry["page"]),
                    "name the id of a [[page]]",
                )
            return None
        pieces, passages = self.pieces(page, entry["lines"], id, place)
        return Article(id, page.id, entry.get("story", id), _layout(page, pieces), tuple(pieces), tuple(passages))

    def pieces(self, page: Page, items: list[str], article_id: str, place: str) -> tuple[list[Piece], list[Passage]]:
        pieces, passages = [], []
        for item in items:
            kind, _, ref = item.partition(" ")
            at = f"{place} {item!r}"
            if kind not in KINDS or not ref:
                expected = f"KIND REF, KIND one of {', '.join(KINDS)}"
                self.problem("wrong-shape", at, expected, repr(item), "see the head of the file")
                continue
            piece, passage = self.piece(page, kind, ref.strip(), article_id, at)
            pieces.append(piece)
            if passage is not None:
                passages.append(passage)
        return pieces, passages

    def account(self, page: Page) -> None:
        """Every character that is not white space is used exactly once."""
        used = self.used[page.id]
        twice = sorted({page.line_number(i) for i, times in used.items() if times > 1})
        for line in twice:
            self.problem(
                "line-used-twice",
                f"{self.where} page {page.id}",
                "each line once",
                f"line {line} twice: {shorten(page.line_text(line))}",
                "take it out of one of the places that name it",
            )
        unused = sorted({page.line_number(i) for i, char in enumerate(page.text) if not char.isspace() and i not in used})
        for line in unused:
            self.problem(
                "line-unused",
                f"{self.where} page {page.id}",
                "each line once",
                f"line {line} not at all: {shorten(page.line_text(line))}",
                "add it to its article by kind, or to `furniture` of the page",
            )

    def read(self) -> Seeds:
        hint = "jinbench seeds add FILE… makes it; a benchmark made of a corpus (jinbench convert) has no pages"
        table = files.read_toml(self.rooms.articles, "articles", hint)
        page_entries, article_entries = table.get("page", []), table.get("article", [])
        if not page_entries or not article_entries:
            found = f"{len(page_entries)} pages, {len(article_entries)} articles"
            hint = "jinbench seeds add FILE… brings pages and proposes articles; then: jinbench seeds check"
            raise DataError(
                Problem(
                    "pages-missing",
                    location=self.where,
                    expected="a [[page]] and an [[article]] or more",
                    found=found,
                    fix=hint,
                )
            )
        self.listed = {entry["id"] for entry in page_entries}
        pages, self.problems = page_files.read_pages(self.rooms, page_entries)
        self.used = {id: Counter() for id in pages}
        furniture, loose = {}, {}
        for entry in page_entries:
            page = pages.get(entry["id"])
            if page is None:
                continue
            for name in page.repairs:
                if find_repair(name) is None:
                    self.problem(
                        "repair-unknown",
                        f"{self.where} page {page.id}",
                        f"one of {', '.join(REPAIR_NAMES)}",
                        repr(name),
                        "name a repair that exists",
                    )
            place = f"{self.where} page {page.id} furniture"
            lines = [n for ref in entry.get("furniture", ()) for n in self.take(page, ref, place)[1]]
            furniture[page.id] = sum(1 for n in lines if page.line_text(n).strip())
            place = f"{self.where} page {page.id} lines"
            pieces, stray = self.pieces(page, entry.get("lines", []), "", place)
            loose[page.id] = tuple(pieces)
            for passage in stray:
                self.problem("wrong-shape", place, "no body text", passage.id, "put it into an [[article]]")
        seen: set[str] = set()
        articles = [article for entry in article_entries if (article := self.article(entry, pages, seen)) is not None]
        for page in pages.values():
            for number, mend in enumerate(page.corrections):
                if (page.id, number) not in self.mended:
                    self.mend_fails(page, mend, "it stands 0 times")
        if not self.problems:  # one wrong reference would make every count below wrong as well
            for page in pages.values():
                self.account(page)
        raise_if_any(self.problems)
        return Seeds(tuple(pages.values()), tuple(articles), furniture, loose)


def _layout(page: Page, pieces: Iterable[Piece]) -> str:
    """What the page did to an article; the worst thing counts."""
    pieces = list(pieces)
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
    """All pages and articles. Raises :class:`DataError` with every problem that `jinbench seeds check` would print."""
    return _Reader(benchmark).read()


def summarize_pages(seeds: Seeds) -> list[dict[str, Any]]:
    """A row per page: what became of its lines. All counts are lines, except articles, passages and characters."""
    rows = []
    for page in seeds.pages:
        articles = [article for article in seeds.articles if article.page_id == page.id]
        pieces = [*seeds.unassigned[page.id], *(piece for article in articles for piece in article.pieces)]
        kinds = Counter({kind: sum(len(piece.lines) for piece in pieces if piece.kind == kind) for kind in KINDS})
        passages = [passage for article in articles for passage in article.passages]
        rows.append(
            {
                "page": page.id,
                "lines": sum(1 for line in page.text.split("\n") if line.strip()),
                **kinds,
                "furniture": seeds.boilerplate_lines[page.id],
                "articles": len(articles),
                "passages": len(passages),
                "joined": sum(len(passage.lines) > 1 for passage in passages),
                "torn": sum(passage.truncated_start or passage.truncated_end for passage in passages),
                "characters": sum(len(passage.text) for passage in passages),
            }
        )
    return rows
