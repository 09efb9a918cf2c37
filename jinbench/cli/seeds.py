"""Commands: init; seeds add, check, show; labels config."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import JSON, benchmark_of, emit, format_problems, format_table, say, writable_benchmark
from jinbench.core.errors import DataError, Problem

seeds_commands = typer.Typer(no_args_is_help=True, help="Pages and the articles they fall into.")
labels_commands = typer.Typer(no_args_is_help=True, help="The label set and the labeling configuration.")
commands = typer.Typer()


@commands.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An empty folder, or one that does not exist yet.")],
    title: Annotated[
        str,
        typer.Option(help="What the benchmark is called, on its pages and in its card. [default: the folder's name]"),
    ] = "",
    example: Annotated[
        bool, typer.Option("--example", help="Put a page of two articles into it, to try every step with.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Make a new benchmark of your own in DIR: rooms, a label set to edit, guidelines, recipes, a card, a Makefile.

    \b
    What is there then, and yours to change:
      README.md             the steps from here to a leaderboard, each with its command
      annotation/           labels.toml, every field explained; guidelines; the page that annotators see
      seeds/                articles.toml, which says how pages fall into articles; pages/, empty as yet
      baselines/            four recipes that work with any label set
      DATASET_CARD.md       the card: its tables come from `jinbench card`, what only you know is marked TODO
      LICENSE-DATA.md, Makefile, .gitignore

    It writes into an empty folder or not at all, and all of it or nothing. Commands that are typed in DIR, or below
    it, work on this benchmark; elsewhere: jinbench --root DIR COMMAND.
    """
    from jinbench import scaffold
    from jinbench.core import files

    benchmark = scaffold.create_benchmark(folder, title, example)
    made = [path.relative_to(benchmark.root).as_posix() for path in files.walk_files(benchmark.root)]
    go = f"cd {shlex.quote(str(folder))}"
    steps = [
        f"{go} && edit annotation/labels.toml, then: jinbench labels config",
        "jinbench seeds check" if example else "jinbench seeds add FILE…, then read and correct seeds/articles.toml",
        "jinbench annotate setup --annotators a,b",
    ]

    def text() -> str:
        numbered = "\n".join(f"  {number}. {step}" for number, step in enumerate(steps, 1))
        root = files.display_path(benchmark.root)
        return f"{root}: {len(made)} files. Next:\n{numbered}\nThe rest of the steps: README.md there."

    emit({"folder": str(benchmark.root), "files": made, "next": steps}, as_json, text)


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
        raise DataError(
            Problem(
                "unknown-id",
                location="seeds show",
                expected=f"one of {', '.join(a.id for a in seed.articles)}",
                found=article,
                fix="jinbench seeds check lists the articles",
            )
        )
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the proposal, and write nothing.")] = False,
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


@labels_commands.command("config")
def labels_config(
    ctx: typer.Context,
    check: Annotated[bool, typer.Option(help="Only say whether the file is up to date.")] = False,
    as_json: JSON = False,
) -> None:
    """Write labeling_config.xml, the page that annotators see, from labels.toml."""
    from jinbench.annotation.labels import read_label_set
    from jinbench.core import files
    from jinbench.labelstudio import labeling_config

    benchmark = writable_benchmark(ctx)
    label_set = read_label_set(benchmark)
    if check:
        labeling_config.check_labeling_config(benchmark, label_set)
    else:
        files.write_text(benchmark.labeling_config, labeling_config.build_labeling_config(label_set))
    file, types, sectors = (
        files.display_path(benchmark.labeling_config),
        len(label_set.entities),
        len(label_set.sectors),
    )
    alike = labeling_config.find_similar_colours(label_set)
    worst = min(alike, default=None)
    if worst is not None and worst.distance < labeling_config.MIN_DISTANCE:
        say(
            f"The colours of {worst.first} and {worst.second} look too much alike ({worst.vision}: CIEDE2000 "
            f"{worst.distance:.1f}, where {labeling_config.MIN_DISTANCE:g} is enough): change one in "
            f"{files.display_path(benchmark.labels)}"
        )
    unexplained = labeling_config.find_unexplained_labels(benchmark, label_set)
    if unexplained:
        guide = files.display_path(benchmark.guidelines)
        say(f"{guide}, the instructions on that page, does not mention {', '.join(unexplained)}: explain them there")
    record = {
        "file": file,
        "entity_types": types,
        "sectors": sectors,
        "alike": [pair._asdict() for pair in alike],
        "unexplained": unexplained,
    }

    def text() -> str:
        line = f"{file}: {types} entity types, {sectors} sectors"
        if not alike:
            return line
        nearest = "; ".join(f"{pair.vision} {pair.distance:.1f}, {pair.first} and {pair.second}" for pair in alike)
        return f"{line}\nThe two colours that look most alike, and how far apart they are (CIEDE2000): {nearest}"

    emit(record, as_json, text)
