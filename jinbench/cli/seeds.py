"""Command: seeds check, show, add."""

from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import (
    DRY_RUN,
    JSON,
    benchmark_of,
    emit,
    format_problems,
    format_table,
    say,
    writable_benchmark,
)
from jinbench.core.errors import fail

seeds_commands = typer.Typer(no_args_is_help=True, help="Pages and the articles they fall into.")


@seeds_commands.command("check")
def seeds_check(ctx: typer.Context, as_json: JSON = False) -> None:
    """Account for every line of every page, and print what became of them."""
    from jinbench.seeds.articles import read_seeds, summarize_pages

    seeds = read_seeds(benchmark_of(ctx))
    rows = summarize_pages(seeds)
    articles = [
        {"article": a.id, "page": a.page_id, "layout": a.layout, "passages": len(a.passages), "title": a.title}
        for a in seeds.articles
    ]

    def text() -> str:
        listing = "\n".join(
            f"{a['page']}  {a['layout']:13}  {a['passages']:2}  {a['article']:34} {a['title']}" for a in articles
        )
        return f"{format_table(rows)}\n\n{listing}\n\nEvery character of {len(rows)} pages is used exactly once."

    emit({"pages": rows, "articles": articles}, as_json, text)


@seeds_commands.command("show")
def seeds_show(
    ctx: typer.Context,
    article: Annotated[str, typer.Argument(help="The id of an article.")],
    as_json: JSON = False,
) -> None:
    """Print an article as it was put together, each passage under its id."""
    from jinbench.seeds import articles as seeds

    seed = seeds.read_seeds(benchmark_of(ctx))
    matches = [a for a in seed.articles if a.id == article]
    if not matches:
        fail("unknown-id", "seeds show", expected=f"one of {', '.join(a.id for a in seed.articles)}", found=article,
             fix="jinbench seeds check lists the articles")  # fmt: skip
    pieces = matches[0].pieces
    emit(
        [
            {"id": piece.passage_id, "kind": piece.kind, "lines": list(piece.lines), "text": piece.text}
            for piece in pieces
        ],
        as_json,
        lambda: "\n".join(
            f"[{piece.passage_id or piece.kind}, line {'+'.join(map(str, piece.lines))}] {piece.text}"
            for piece in pieces
        ),
    )


@seeds_commands.command("add")
def seeds_add(
    ctx: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Pages: text, HTML (.html, .htm), or JSON Lines (.jsonl), each row of which is an article."
        ),
    ],
    field: Annotated[str, typer.Option(help="Of JSON Lines: the field with the text.")] = "text",
    title: Annotated[str, typer.Option(help="Of JSON Lines: the field with the title, where a row has one.")] = "title",
    encoding: Annotated[
        str | None, typer.Option(help="What the files are written in, if not UTF-8: gb18030, big5. Kept as UTF-8.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.01, help="How long taking the text out of a web page may take.")] = 30,
    strict: Annotated[
        bool, typer.Option("--strict", help="Add nothing if a row of JSON Lines cannot be taken. [left out, and named]")
    ] = False,
    dry_run: DRY_RUN = False,
    as_json: JSON = False,
) -> None:
    """Add pages, and propose what articles they fall into: kinds of lines, order, and how broken columns continue.

    The pages are copied to seeds/pages, and the proposal is put behind what seeds/articles.toml holds, of which nothing
    is changed. It passes `jinbench seeds check`, but it is a draft: every line has its confidence beside it as a
    comment, and what is doubtful is marked `# ?`. Correct it there. Everything is written, or nothing is.

    Text is kept byte for byte; of HTML the text of the article (needs: pip install 'jinbench[pages]').
    """
    from jinbench.seeds.extract import is_text_encoding
    from jinbench.seeds.importer import ImportOptions, import_pages

    if encoding is not None and not is_text_encoding(encoding):
        raise typer.BadParameter(f"{encoding!r} is no encoding that Python knows", param_hint="--encoding")
    options = ImportOptions(encoding, field, title, seconds, strict)
    plan = import_pages(writable_benchmark(ctx), files, options, dry_run=dry_run)
    if plan.skipped:
        say(format_problems(plan.skipped))
        done = "proposed" if dry_run else "added"
        say(f"{len(plan.skipped):,} rows are left out; {len(plan.pages):,} pages are {done}.")
    emit(plan.to_dict(not dry_run), as_json, lambda: plan.format(not dry_run))
