"""Command: card."""

from typing import Annotated

import typer

from jinbench.cli.common import EXIT_DATA, JSON, commands, emit, writable_benchmark


@commands.command()
def card(
    ctx: typer.Context,
    check: Annotated[bool, typer.Option(help="Only say whether the documents are up to date.")] = False,
    as_json: JSON = False,
) -> None:
    """Bring the generated parts of the documents up to date.

    In README.md, DATASET_CARD.md and docs/dataset.md; and dataset/README.md, the copy of the card.
    """
    from jinbench import scaffold
    from jinbench.publish.card import find_stale_documents, write_card

    benchmark = writable_benchmark(ctx)
    names = list(find_stale_documents(benchmark) if check else write_card(benchmark))
    verb = "stale" if check else "wrote"
    lines = [f"{verb} {name}" for name in names] or ["The documents are up to date."]
    open_ = scaffold.count_todos(benchmark)
    lines += [f"{name}: {count} places marked TODO, which only you can fill in" for name, count in open_.items()]
    emit({verb: names, "todo": open_}, as_json, lambda: "\n".join(lines))
    if check and names:
        raise typer.Exit(EXIT_DATA)
