"""Import of new pages into `seeds/`, each with proposed articles, so that `jinbench seeds check` passes."""

import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jinbench.core import files, folders
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, ErrorList, fail
from jinbench.core.text import is_file_name, replace_unencodable
from jinbench.core.types import JsonObject
from jinbench.seeds.articles import read_seeds
from jinbench.seeds.extract import TIMEOUT_SECONDS, ExtractedPage, extract_pages
from jinbench.seeds.import_plan import ImportPlan, NewPage
from jinbench.seeds.layout.lines import detect_repairs, split_lines
from jinbench.seeds.layout.propose import propose_articles

_NUMBER = re.compile(r"\d{1,9}\Z")


@dataclass(frozen=True)
class ImportOptions:
    """Settings for reading page files.

    Args:
        encoding: Encoding of the files, if not UTF-8.
        text_field: Of JSON Lines: the field with the text.
        title_field: Of JSON Lines: the field with the title.
        seconds: Time limit for the extraction of a web page.
        strict: Add nothing if a row of JSON Lines has a problem, instead of skipping it.
    """

    encoding: str | None = None
    text_field: str = "text"
    title_field: str = "title"
    seconds: float = TIMEOUT_SECONDS
    strict: bool = False


def import_pages(
    benchmark: Benchmark, paths: Sequence[Path], options: ImportOptions = ImportOptions(), *, dry_run: bool = False
) -> ImportPlan:
    """Add pages to `seeds/` with proposed articles; all of them, or none.

    Args:
        benchmark: The benchmark that gets the pages.
        paths: Text, HTML (.html, .htm), or JSON Lines (.jsonl), each row of which is an article.
        options: How they are read.
        dry_run: Write nothing.

    Returns:
        The pages, their proposals, what is appended to articles.toml, and the problems of skipped rows.

    Raises:
        DataError: The problems of the files, see :func:`jinbench.seeds.extract.extract_pages`; pages that exist already
            [duplicate-id]; problems of articles.toml as it is; articles.toml changed in the meantime [file-changed].
    """
    plan = plan_import(benchmark, paths, options)
    if not dry_run:
        write_import(plan)
    return plan


def plan_import(benchmark: Benchmark, paths: Sequence[Path], options: ImportOptions = ImportOptions()) -> ImportPlan:
    """Read files, propose articles, and check the result as `jinbench seeds check` does. Writes nothing."""
    for folder in (benchmark.pages, benchmark.articles.parent):
        folders.sweep_leftovers(folder)
    before = files.read_bytes(benchmark.articles) if benchmark.articles.exists() else b""
    table = _read_table(benchmark, before)
    owners = {entry["sha256"]: entry["id"] for entry in table["page"]}
    owners |= {sha: entry["id"] for entry in table["page"] if (sha := entry.get("source", {}).get("sha256"))}
    problems, skipped = ErrorList(), ErrorList()
    sources: list[ExtractedPage] = []
    for path in paths:
        try:
            extracted, row_problems = extract_pages(
                path,
                encoding=options.encoding,
                text_field=options.text_field,
                title_field=options.title_field,
                seconds=options.seconds,
            )
        except DataError as error:
            problems += error.problems
            continue
        skipped += row_problems
        for source in extracted:
            shas = {files.sha256(source.text.encode("utf-8")), str(source.origin.get("sha256", ""))} - {""}
            twin = next((owners[sha] for sha in sorted(shas) if sha in owners), None)
            owners |= {sha: source.location for sha in shas if sha not in owners}
            if twin is None:
                sources.append(source)
                continue
            fix = "leave it out; to propose its articles again, remove its [[page]] and [[article]]s from articles.toml"
            (skipped if source.single_article else problems).add(
                "duplicate-id", source.location, expected="a new page", found=f"the page {twin}", fix=fix
            )
    problems.raise_if_any()
    if options.strict or not sources:
        skipped.raise_if_any()
    pages = _propose_pages(benchmark, table, sources)
    text = "\n".join(["", *(page.to_toml() for page in pages)])
    if before and not before.endswith(b"\n"):
        text = "\n" + text
    plan = ImportPlan(benchmark, tuple(pages), text if before else text.lstrip("\n"), before, tuple(skipped))
    _check_plan(plan)
    return plan


def write_import(plan: ImportPlan) -> None:
    """Write the pages, then articles.toml in one move; if anything fails, no page is left behind.

    Raises :class:`DataError` [file-changed] if articles.toml has changed since the plan was made.
    """
    benchmark, written = plan.benchmark, []
    try:
        for page in plan.pages:
            path = folders.resolve_inside(benchmark.pages, page.file)
            if not path.exists():
                written.append(path)
                files.write_bytes(path, page.data)
        current = files.read_bytes(benchmark.articles) if benchmark.articles.exists() else b""
        if current != plan.toml_before:
            fail("file-changed", files.display_path(benchmark.articles), expected="the file as it was read",
                 found="another one by now", fix="nothing was added; run the command again")  # fmt: skip
        files.write_bytes(benchmark.articles, plan.toml_before + plan.toml.encode("utf-8"))
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def _read_table(benchmark: Benchmark, before: bytes) -> dict[str, list[JsonObject]]:
    """Return the entries of articles.toml; none if it has only comments."""
    empty: dict[str, list[JsonObject]] = {"page": [], "article": []}
    if not before:
        return empty
    text = files.read_text(benchmark.articles)
    try:
        is_empty = not tomllib.loads(text)
    except (ValueError, RecursionError):
        is_empty = False
    return empty if is_empty else files.read_toml(benchmark.articles, "articles")


def _propose_pages(
    benchmark: Benchmark, table: dict[str, list[JsonObject]], sources: Sequence[ExtractedPage]
) -> list[NewPage]:
    ids = {entry["id"] for entry in table["page"]}
    article_ids = {entry["id"] for entry in table["article"]}
    file_names = {path.name for path in benchmark.pages.glob("*")} | {entry["file"] for entry in table["page"]}
    is_numbered = all(_NUMBER.match(id) for id in ids)
    width = max(map(len, ids), default=3) if is_numbered else 0
    number = max((int(id) for id in ids), default=-1) if is_numbered else -1
    pages = []
    for source in sources:
        while True:  # until neither the page nor one of its articles has the id of another
            if is_numbered:
                number += 1
                id = f"{number:0{width}}"
            else:
                id = _find_free(_to_id(Path(source.name).stem), ids)
            ids.add(id)
            if not any(article_id.startswith(f"{id}-") for article_id in article_ids):
                break
        data = source.text.encode("utf-8")
        name = _choose_file_name(benchmark, source, id, data, file_names)
        file_names.add(name)
        repairs = detect_repairs(source.text)
        lines, emptied = split_lines(source.text, repairs)
        proposal = propose_articles(lines, single_article=source.single_article, title_lines=source.title_lines)
        pages.append(NewPage(id, name, data, source, repairs, proposal, tuple(emptied)))
    return pages


def _to_id(name: str) -> str:
    """Convert the name of a file to an id."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-._")[:60] or "page"


def _find_free(name: str, taken: set[str]) -> str:
    candidates = (name if n == 1 else f"{name}-{n}" for n in range(1, len(taken) + 2))
    return next(candidate for candidate in candidates if candidate not in taken)


def _choose_file_name(benchmark: Benchmark, source: ExtractedPage, id: str, data: bytes, taken: set[str]) -> str:
    """Return the name of the file in `seeds/pages`: its own, unless another page has it."""
    name = re.sub(r"[^\w.() +-]", "_", replace_unencodable(source.name))[-80:].strip(". ")
    name = name if is_file_name(name) else f"{id}.txt"
    for existing in (source.name, name):
        path = benchmark.pages / existing
        if is_file_name(existing) and path.is_file() and files.read_bytes(path) == data:
            return existing  # in seeds/pages already, but not in articles.toml
    return name if name not in taken else _find_free(f"{id}_{name}", taken)


def _check_plan(plan: ImportPlan) -> None:
    """Check the benchmark as it would be, in a folder of its own, as `jinbench seeds check` does."""
    with tempfile.TemporaryDirectory(prefix="jinbench-") as name:
        trial = Benchmark(Path(name).resolve())
        trial.pages.mkdir(parents=True)
        for path in plan.benchmark.pages.glob("*") if plan.benchmark.pages.is_dir() else ():
            try:
                os.symlink(path.resolve(), trial.pages / path.name)
            except OSError:
                shutil.copyfile(path, trial.pages / path.name)
        for page in plan.pages:
            path = trial.pages / page.file
            if not path.exists():
                path.write_bytes(page.data)
        trial.articles.write_bytes(plan.toml_before + plan.toml.encode("utf-8"))
        trial_root, root = files.display_path(trial.root), files.display_path(plan.benchmark.root)
        root = "" if root == "." else f"{root}/"
        try:
            read_seeds(trial)
        except DataError as error:
            problems = [
                replace(problem, location=problem.location.replace(f"{trial_root}/", root))
                for problem in error.problems
            ]
            raise DataError(problems) from None
