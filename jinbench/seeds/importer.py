"""New pages into `seeds/`: each with a proposal of its articles, written so that `jinbench seeds check` passes."""

import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem, raise_if_any
from jinbench.core.files import toml_string
from jinbench.core.text import replace_unencodable
from jinbench.seeds import extract, pages
from jinbench.seeds.articles import SENTENCE_END, read_seeds
from jinbench.seeds.extract import ExtractedPage
from jinbench.seeds.layout import propose
from jinbench.seeds.layout.lines import Line, detect_repairs, split_lines
from jinbench.seeds.layout.propose import DOUBTFUL, Draft, Part, Proposal
from jinbench.seeds.repairs import Char, apply_repairs, strip_chars, to_text

_RULE = f"# {'-' * 111}"
_NUMBER = re.compile(r"\d{1,9}\Z")


@dataclass(frozen=True)
class NewPage:
    """A page to be added: its id, the name and bytes of its file, and what is proposed for it."""

    id: str
    file: str
    data: bytes
    source: ExtractedPage
    repairs: tuple[str, ...]
    proposal: Proposal
    emptied: tuple[int, ...]  # lines of which the repairs leave nothing


@dataclass(frozen=True)
class ImportPlan:
    """What would be added. `text` goes behind what articles.toml holds; `skipped`: the rows that cannot be taken."""

    benchmark: Benchmark
    pages: tuple[NewPage, ...]
    toml: str
    toml_before: bytes
    skipped: tuple[Problem, ...]


def plan_import(
    benchmark: Benchmark, paths: Sequence[Path], *, encoding: str | None = None, text_field: str = "text",
    title_field: str = "title", seconds: float = extract.TIMEOUT_SECONDS, strict: bool = False,
) -> ImportPlan:  # fmt: skip
    """Read files, propose what they fall into, and hold it to what `jinbench seeds check` checks. Writes nothing.

    Raises :class:`DataError`: what :func:`extracting.read` finds, duplicate-id for a page that is there already, what
    is wrong with articles.toml as it is, and with `strict` what is wrong with single rows of JSON Lines.
    """
    before = files.read_bytes(benchmark.articles) if benchmark.articles.exists() else b""
    table = _table(benchmark, before)
    known = {entry["sha256"]: entry["id"] for entry in table["page"]}
    known |= {sha: entry["id"] for entry in table["page"] if (sha := entry.get("source", {}).get("sha256"))}
    problems: list[Problem] = []
    skipped: list[Problem] = []
    sources: list[ExtractedPage] = []
    for path in paths:
        try:
            found, wrong = extract.extract_pages(
                path, encoding=encoding, text_field=text_field, title_field=title_field, seconds=seconds
            )
        except DataError as error:
            problems += error.problems
            continue
        skipped += wrong
        for source in found:
            shas = {files.sha256(source.text.encode("utf-8")), str(source.origin.get("sha256", ""))} - {""}
            twin = next((known[sha] for sha in sorted(shas) if sha in known), None)
            known |= {sha: source.location for sha in shas if sha not in known}
            if twin is None:
                sources.append(source)
                continue
            hint = "leave it out; to propose its articles anew, take its [[page]] and [[article]]s out of articles.toml"
            problem = Problem(
                "duplicate-id",
                location=source.location,
                expected="a page that is not there yet",
                found=f"the page {twin}",
                fix=hint,
            )
            (skipped if source.single_article else problems).append(problem)
    raise_if_any(problems)
    if strict or not sources:
        raise_if_any(skipped)
    entries = _entries(benchmark, table, sources)
    text = "\n".join(["", *(_toml(entry) for entry in entries)])
    if before and not before.endswith(b"\n"):
        text = "\n" + text
    made = ImportPlan(benchmark, tuple(entries), text if before else text.lstrip("\n"), before, tuple(skipped))
    _check(made)
    return made


def write_import(made: ImportPlan) -> None:
    """The pages, then articles.toml, in one move: before it nothing is added, and what fails leaves no page behind.

    Raises :class:`DataError` (file-changed) if articles.toml is not any more what it was when the plan was made.
    """
    rooms, written = made.benchmark, []
    try:
        for entry in made.pages:
            path = rooms.pages / entry.file
            if not path.exists():
                written.append(path)
                files.write_bytes(path, entry.data)
        now = files.read_bytes(rooms.articles) if rooms.articles.exists() else b""
        if now != made.toml_before:
            where, hint = files.display_path(rooms.articles), "nothing was added; type the command again"
            raise DataError(
                Problem(
                    "file-changed",
                    location=where,
                    expected="the file as it was read",
                    found="another one by now",
                    fix=hint,
                )
            )
        files.write_bytes(rooms.articles, made.toml_before + made.toml.encode("utf-8"))
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def _table(benchmark: Benchmark, before: bytes) -> dict[str, list[dict[str, Any]]]:
    """What articles.toml holds: nothing, if it has only comments."""
    if not before:
        return {"page": [], "article": []}
    text = files.read_text(benchmark.articles)
    try:
        empty = not tomllib.loads(text)
    except (ValueError, RecursionError):
        empty = False
    return {"page": [], "article": []} if empty else files.read_toml(benchmark.articles, "articles")


def _entries(benchmark: Benchmark, table: dict[str, list[dict[str, Any]]], sources: Sequence[ExtractedPage]) -> list[NewPage]:
    ids = {entry["id"] for entry in table["page"]}
    articles = {entry["id"] for entry in table["article"]}
    taken = {path.name for path in benchmark.pages.glob("*")} | {entry["file"] for entry in table["page"]}
    numbered = all(_NUMBER.match(id) for id in ids)
    width = max(map(len, ids), default=3) if numbered else 0
    number = max((int(id) for id in ids), default=-1) if numbered else -1
    found = []
    for source in sources:
        while True:  # until neither the page nor one of its articles has a name that another has
            if numbered:
                number += 1
                id = f"{number:0{width}}"
            else:
                id = _free(_plain(Path(source.name).stem), ids)
            ids.add(id)
            if not any(each.startswith(f"{id}-") for each in articles):
                break
        data = source.text.encode("utf-8")
        name = _file_name(benchmark, source, id, data, taken)
        taken.add(name)
        repairs = detect_repairs(source.text)
        lines, emptied = split_lines(source.text, repairs)
        proposal = propose.propose(lines, single=source.single_article, titles=source.title_lines)
        found.append(NewPage(id, name, data, source, repairs, proposal, tuple(emptied)))
    return found


def _plain(name: str) -> str:
    """A file's name as an id may be written."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-._")[:60] or "page"


def _free(name: str, taken: set[str]) -> str:
    return next(each for n in range(1, len(taken) + 2) if (each := name if n == 1 else f"{name}-{n}") not in taken)


def _file_name(benchmark: Benchmark, source: ExtractedPage, id: str, data: bytes, taken: set[str]) -> str:
    """The name of the file in the room: its own, unless another page has it."""
    name = re.sub(r"[^\w.() +-]", "_", replace_unencodable(source.name))[-80:].lstrip(".") or "page.txt"
    lies = benchmark.pages / source.name
    if lies.is_file() and lies.read_bytes() == data:
        return source.name  # it lies there already, and articles.toml does not know it
    return name if name not in taken else _free(f"{id}_{name}", taken)


# What is written


def pieces(entry: NewPage) -> list[list[dict[str, Any]]]:
    """For each article its pieces: kind, ref as articles.toml has it, confidences, and the text."""
    return [[_piece(entry, part) for part in draft.parts] for draft in entry.proposal.drafts]


def _piece(entry: NewPage, part: Part) -> dict[str, Any]:
    found = [entry.proposal.lines[i] for i in part.lines]
    text = _text(entry, found)
    torn_start = part.kind == "body" and found[0].follows_continuation
    torn_end = part.kind == "body" and not SENTENCE_END.search(text)
    ref = "+".join(line.ref for line in found)
    return {
        "kind": part.kind,
        "ref": f"{'…' if torn_start else ''}{ref}{'…' if torn_end else ''}",
        "lines": [line.number for line in found],
        "confidence": round(part.chance, 2),
        "joins": [round(chance, 2) for chance in part.joins],
        "torn_start": torn_start,
        "torn_end": torn_end,
        "doubtful": part.doubtful or torn_end,  # whether the page really holds no more of it, a person has to see
        "text": text,
    }


def _text(entry: NewPage, found: Sequence[Line]) -> str:
    """The text of a piece as `jinbench seeds` puts it together: joined first, then repaired."""
    page = pages.Page.from_text(entry.id, entry.file, entry.source.text, {})
    chars: list[Char] = []
    for line in found:
        raw = page.line_text(line.number)
        bounds = re.search(r"\[(\d*):(\d*)\]", line.ref)
        start, end = (int(bounds[1] or 0), int(bounds[2] or len(raw))) if bounds else (0, len(raw))
        chars += strip_chars([Char(char, i) for i, char in enumerate(raw[start:end])])
    return to_text(strip_chars(apply_repairs(chars, entry.repairs)))


def doubtful(entry: NewPage) -> int:
    """How much is marked: pieces, and articles."""
    marked: int = sum(part["doubtful"] for parts in pieces(entry) for part in parts)
    return marked + sum(draft.chance < DOUBTFUL for draft in entry.proposal.drafts)


def furniture(entry: NewPage) -> list[str]:
    """The lines that belong to no article, neighbours as one range."""
    whole = sorted(
        {entry.proposal.lines[i].number for i in entry.proposal.furniture if _is_whole(entry.proposal.lines[i])}
    )
    found: list[list[int]] = []
    for number in sorted({*whole, *entry.emptied}):
        between = entry.source.text.split("\n")[found[-1][1] : number - 1] if found else []
        if found and not any(line.strip() for line in between):
            found[-1][1] = number
        else:
            found.append([number, number])
    refs = [str(a) if a == b else f"{a}-{b}" for a, b in found]
    return refs + [line.ref for i in entry.proposal.furniture if not _is_whole(line := entry.proposal.lines[i])]


def _is_whole(line: Line) -> bool:
    return "[" not in line.ref


def _mark(doubtful: bool) -> str:
    return "# ? " if doubtful else "# "


def _toml(entry: NewPage) -> str:
    source, proposal = entry.source, entry.proposal
    lines = [_RULE, "[[page]]", f"id = {toml_string(entry.id)}", f"file = {toml_string(entry.file)}"]
    lines.append(f"sha256 = {toml_string(files.sha256(entry.data))}")
    if source.origin:
        fields = (f"{key} = {toml_string(v) if isinstance(v, str) else v}" for key, v in source.origin.items())
        lines.append(f"source = {{ {', '.join(fields)} }}")
    refs = furniture(entry)
    if refs:
        chance = min((proposal.chances[i] for i in proposal.furniture), default=1.0)
        lines.append(
            f"furniture = [{', '.join(map(toml_string, refs))}]  {_mark(chance < DOUBTFUL)}{chance:.2f} the least sure"
        )
    if entry.repairs:
        lines.append("# ? what the page shows the need of; `jinbench seeds show` shows what comes of it")
        lines.append(f"repairs = [{', '.join(map(toml_string, entry.repairs))}]")
    for n, (draft, parts) in enumerate(zip(proposal.drafts, pieces(entry), strict=True), start=1):
        id = f"{entry.id}-{n}"
        lines += ["", "[[article]]", f"id = {toml_string(id)}", f"page = {toml_string(entry.id)}"]
        lines.append(f"story = {toml_string(id)}")
        lines.append(f"lines = [  {_mark(draft.chance < DOUBTFUL)}{draft.chance:.2f} an article of its own")
        for part in parts:
            item = toml_string(f"{part['kind']} {part['ref']}")
            lines.append(f"  {item},  {_mark(part['doubtful'])}{_said(part)}")
        lines.append("]")
    return "\n".join(lines) + "\n"


def _said(part: dict[str, Any]) -> str:
    joins = "".join(f", join {chance:.2f}" for chance in part["joins"])
    joins += ", and nothing found that it goes on in" if part["torn_end"] else ""
    return f"{part['confidence']:.2f} {part['kind']}{joins}"


# What is checked


def _check(made: ImportPlan) -> None:
    """Hold the benchmark as it would be to what `jinbench seeds check` checks, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="jinbench-") as name:
        trial = Benchmark(Path(name).resolve())
        trial.pages.mkdir(parents=True)
        for path in made.benchmark.pages.glob("*") if made.benchmark.pages.is_dir() else ():
            try:
                os.symlink(path.resolve(), trial.pages / path.name)
            except OSError:
                shutil.copyfile(path, trial.pages / path.name)
        for entry in made.pages:
            path = trial.pages / entry.file
            if not path.exists():
                path.write_bytes(entry.data)
        trial.articles.write_bytes(made.toml_before + made.toml.encode("utf-8"))
        there, here = files.display_path(trial.root), files.display_path(made.benchmark.root)
        here = "" if here == "." else f"{here}/"
        try:
            read_seeds(trial)
        except DataError as error:
            told = [replace(each, location=each.location.replace(f"{there}/", here)) for each in error.problems]
            raise DataError(told) from None


# What is shown


def to_dict(made: ImportPlan, written: bool) -> dict[str, Any]:
    """All of it as data: of every line its kind, of every article its order, where it begins, and how sure each is."""
    return {
        "written": written,
        "pages": [_page_dict(entry) for entry in made.pages],
        "skipped": [problem.__dict__ for problem in made.skipped],
        "toml": made.toml,
    }


def _page_dict(entry: NewPage) -> dict[str, Any]:
    drafts: tuple[Draft, ...] = entry.proposal.drafts
    return {
        "id": entry.id,
        "file": entry.file,
        "sha256": files.sha256(entry.data),
        "source": entry.source.origin,
        "repairs": list(entry.repairs),
        "furniture": furniture(entry),
        "lines": len(entry.proposal.lines),
        "joins": len(entry.proposal.joins),
        "doubtful": doubtful(entry),
        "articles": [
            {
                "id": f"{entry.id}-{n}",
                "confidence": round(draft.chance, 2),
                "doubtful": draft.chance < DOUBTFUL,
                "lines": parts,
            }
            for n, (draft, parts) in enumerate(zip(drafts, pieces(entry), strict=True), start=1)
        ],
    }


SHOWN = 20  # pages whose lines are printed


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def format_preview(made: ImportPlan, written: bool) -> str:
    """The same to be read. A question mark stands before what is doubtful."""
    found = []
    for entry in made.pages[:SHOWN]:
        page = _page_dict(entry)
        counts = ", ".join(
            _count(n, w)
            for n, w in ((page["lines"], "line"), (len(page["articles"]), "article"), (page["joins"], "join"))
        )
        counts += f", {page['doubtful']} doubtful"
        found.append(f"page {entry.id}: {entry.file}, {counts}")
        if entry.repairs:
            found.append(f"  ?       repairs: {', '.join(entry.repairs)}")
        if page["furniture"]:
            found.append(f"          furniture: {', '.join(page['furniture'])}")
        for article in page["articles"]:
            found.append(
                f"  {'?' if article['doubtful'] else ' '} {article['confidence']:.2f}  article {article['id']}"
            )
            for part in article["lines"]:
                joins = f" (join {', '.join(f'{chance:.2f}' for chance in part['joins'])})" if part["joins"] else ""
                text = part["text"] if len(part["text"]) <= 40 else f"{part['text'][:24]} … {part['text'][-12:]}"
                mark = "?" if part["doubtful"] else " "
                found.append(f"  {mark} {part['confidence']:.2f}    {part['kind']:11} {part['ref']}{joins}  {text}")
        found.append("")
    if len(made.pages) > SHOWN:
        found.append(f"… and {len(made.pages) - SHOWN} pages more; --json has them all\n")
    where = files.display_path(made.benchmark.articles)
    unsure = sum(map(doubtful, made.pages))
    if not written:
        return "\n".join([*found, f"Nothing is written. Without --dry-run this goes to {where}."])
    return "\n".join([
        *found,
        f"Added {_count(len(made.pages), 'page')} to {where}: a proposal, with {unsure} of its lines in doubt. Now:",
        f"  correct {where}: look for '# ?' first, then read each article through",
        "  jinbench seeds show ARTICLE    an article as it reads now",
        "  jinbench seeds check           whether every line is still used once",
    ])  # fmt: skip
