"""ImportPlan: pages to be added, as TOML for articles.toml, as data and as text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import Problem
from jinbench.core.files import toml_string
from jinbench.core.types import JsonObject
from jinbench.seeds.articles import SENTENCE_END
from jinbench.seeds.extract import ExtractedPage
from jinbench.seeds.layout.lines import Line
from jinbench.seeds.layout.propose import DOUBTFUL, DraftPiece, PageProposal
from jinbench.seeds.pages import Page
from jinbench.seeds.repairs import Char, apply_repairs, strip_chars, to_chars, to_text

_RULE = f"# {'-' * 111}"
MAX_PREVIEWED = 20  # pages whose lines are printed


@dataclass(frozen=True)
class NewPage:
    """A page to be added: its id, the name and bytes of its file, and its proposal.

    `emptied`: the lines that the repairs leave empty.
    """

    id: str
    file: str
    data: bytes
    source: ExtractedPage
    repairs: tuple[str, ...]
    proposal: PageProposal
    emptied: tuple[int, ...]

    def boilerplate_refs(self) -> list[str]:
        """Return references to the lines that belong to no article, neighbours as one range."""
        boilerplate = [self.proposal.lines[i] for i in self.proposal.boilerplate]
        ranges: list[list[int]] = []
        for number in sorted({line.number for line in boilerplate if _is_whole(line)} | set(self.emptied)):
            between = self.source.text.split("\n")[ranges[-1][1] : number - 1] if ranges else []
            if ranges and not any(line.strip() for line in between):
                ranges[-1][1] = number
            else:
                ranges.append([number, number])
        refs = [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
        return refs + [line.ref for line in boilerplate if not _is_whole(line)]

    def to_dict(self) -> JsonObject:
        """Return the page as data; `ref` of a line is a reference as articles.toml has it, `lines` its page lines."""
        articles: list[JsonObject] = [
            {
                "id": f"{self.id}-{n}",
                "confidence": round(article.confidence, 2),
                "doubtful": article.confidence < DOUBTFUL,
                "lines": [self._piece_row(piece) for piece in article.pieces],
            }
            for n, article in enumerate(self.proposal.articles, start=1)
        ]
        return {
            "id": self.id,
            "file": self.file,
            "sha256": files.sha256(self.data),
            "source": self.source.origin,
            "repairs": list(self.repairs),
            "boilerplate": self.boilerplate_refs(),
            "lines": len(self.proposal.lines),
            "joins": len(self.proposal.joins),
            "doubtful": sum(row["doubtful"] + sum(piece["doubtful"] for piece in row["lines"]) for row in articles),
            "articles": articles,
        }

    def _piece_row(self, piece: DraftPiece) -> JsonObject:
        lines = [self.proposal.lines[i] for i in piece.lines]
        text = self._assemble_text(lines)
        truncated_start = piece.kind == "body" and lines[0].follows_continuation
        truncated_end = piece.kind == "body" and not SENTENCE_END.search(text)
        ref = "+".join(line.ref for line in lines)
        return {
            "kind": piece.kind,
            "ref": f"{'…' if truncated_start else ''}{ref}{'…' if truncated_end else ''}",
            "lines": [line.number for line in lines],
            "confidence": round(piece.confidence, 2),
            "joins": [round(confidence, 2) for confidence in piece.joins],
            "truncated_start": truncated_start,
            "truncated_end": truncated_end,
            "doubtful": piece.doubtful or truncated_end,  # only a person can tell whether the page has no more of it
            "text": text,
        }

    def _assemble_text(self, lines: Sequence[Line]) -> str:
        """Return the text of a piece as `read_seeds` assembles it: joined first, then repaired."""
        page = Page.from_text(self.id, self.file, self.source.text, {})
        chars: list[Char] = []
        for line in lines:
            raw = page.line_text(line.number)
            bounds = re.search(r"\[(\d*):(\d*)\]", line.ref)
            start, end = (int(bounds[1] or 0), int(bounds[2] or len(raw))) if bounds else (0, len(raw))
            chars += to_chars(raw[start:end])
        return to_text(strip_chars(apply_repairs(chars, self.repairs)))

    def to_toml(self) -> str:
        """Return the page and its articles as entries of articles.toml, with confidences as comments."""
        row, proposal = self.to_dict(), self.proposal
        lines = [_RULE, "[[page]]", f"id = {toml_string(self.id)}", f"file = {toml_string(self.file)}"]
        lines.append(f"sha256 = {toml_string(row['sha256'])}")
        if row["source"]:
            fields = (f"{key} = {toml_string(v) if isinstance(v, str) else v}" for key, v in row["source"].items())
            lines.append(f"source = {{ {', '.join(fields)} }}")
        if row["boilerplate"]:
            least = min((proposal.confidences[i] for i in proposal.boilerplate), default=1.0)
            refs = ", ".join(map(toml_string, row["boilerplate"]))
            lines.append(f"furniture = [{refs}]  {_comment(least < DOUBTFUL)}{least:.2f} the lowest confidence")
        if self.repairs:
            lines.append("# ? repairs that the page seems to need; `jinbench seeds show` prints the result")
            lines.append(f"repairs = [{', '.join(map(toml_string, self.repairs))}]")
        for draft, article in zip(proposal.articles, row["articles"], strict=True):
            lines += ["", "[[article]]", f"id = {toml_string(article['id'])}", f"page = {toml_string(self.id)}"]
            lines.append(f"story = {toml_string(article['id'])}")
            lines.append(f"lines = [  {_comment(article['doubtful'])}{draft.confidence:.2f} an article of its own")
            for piece in article["lines"]:
                item = toml_string(f"{piece['kind']} {piece['ref']}")
                lines.append(f"  {item},  {_comment(piece['doubtful'])}{_describe(piece)}")
            lines.append("]")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class ImportPlan:
    """Pages to be added. `toml`: what is appended to articles.toml, which holds `toml_before` now.

    `skipped`: the problems of rows that are left out.
    """

    benchmark: Benchmark
    pages: tuple[NewPage, ...]
    toml: str
    toml_before: bytes
    skipped: tuple[Problem, ...]

    def to_dict(self, written: bool) -> JsonObject:
        """Return the plan as data: kind and confidence of each line, order and start of each article."""
        return {
            "written": written,
            "pages": [page.to_dict() for page in self.pages],
            "skipped": [problem.__dict__ for problem in self.skipped],
            "toml": self.toml,
        }

    def format(self, written: bool) -> str:
        """Return the plan as text. A question mark stands before everything doubtful."""
        rows = [page.to_dict() for page in self.pages]
        lines = [line for row in rows[:MAX_PREVIEWED] for line in _format_page(row)]
        if len(rows) > MAX_PREVIEWED:
            lines.append(f"… and {len(rows) - MAX_PREVIEWED} more pages; --json prints them all\n")
        listing = files.display_path(self.benchmark.articles)
        if not written:
            return "\n".join([*lines, f"Nothing is written. Without --dry-run this goes to {listing}."])
        doubtful = sum(row["doubtful"] for row in rows)
        return "\n".join([
            *lines,
            f"Added {_count(len(rows), 'page')} to {listing}: a proposal, with {doubtful} of its lines in doubt. Next:",
            f"  correct {listing}: look for '# ?' first, then read each article through",
            "  jinbench seeds show ARTICLE    print an article as it reads now",
            "  jinbench seeds check           check that every line is still used once",
        ])  # fmt: skip


def _is_whole(line: Line) -> bool:
    return "[" not in line.ref


def _comment(doubtful: bool) -> str:
    return "# ? " if doubtful else "# "


def _describe(piece: JsonObject) -> str:
    joins = "".join(f", join {confidence:.2f}" for confidence in piece["joins"])
    joins += ", no continuation found" if piece["truncated_end"] else ""
    return f"{piece['confidence']:.2f} {piece['kind']}{joins}"


def _format_page(row: JsonObject) -> list[str]:
    counts = ((row["lines"], "line"), (len(row["articles"]), "article"), (row["joins"], "join"))
    totals = ", ".join(_count(n, noun) for n, noun in counts)
    lines = [f"page {row['id']}: {row['file']}, {totals}, {row['doubtful']} doubtful"]
    if row["repairs"]:
        lines.append(f"  ?       repairs: {', '.join(row['repairs'])}")
    if row["boilerplate"]:
        lines.append(f"          boilerplate: {', '.join(row['boilerplate'])}")
    for article in row["articles"]:
        lines.append(f"  {'?' if article['doubtful'] else ' '} {article['confidence']:.2f}  article {article['id']}")
        for piece in article["lines"]:
            joins = f" (join {', '.join(f'{p:.2f}' for p in piece['joins'])})" if piece["joins"] else ""
            text = piece["text"] if len(piece["text"]) <= 40 else f"{piece['text'][:24]} … {piece['text'][-12:]}"
            mark = "?" if piece["doubtful"] else " "
            lines.append(f"  {mark} {piece['confidence']:.2f}    {piece['kind']:11} {piece['ref']}{joins}  {text}")
    return [*lines, ""]


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
