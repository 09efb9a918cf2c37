"""Command: init."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import JSON, commands, emit


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
    """Make a new benchmark of your own in DIR.

    Folders, a label set to edit, guidelines, recipes, a card, a Makefile.

    \b
    What is there then, and yours to change:
      README.md             the steps from here to a leaderboard, each with its command
      annotation/           labels.toml, every field explained; guidelines; the page that annotators see
      seeds/                articles.toml, which says how pages fall into articles; pages/, empty as yet
      baselines/            four recipes that work with any label set
      DATASET_CARD.md       the card: its tables come from `jinbench card`, what only you know is marked TODO
      docs/dataset.md       what the card has no room for, its tables too
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
        "jinbench annotate push --annotators a,b",
    ]

    def text() -> str:
        numbered = "\n".join(f"  {number}. {step}" for number, step in enumerate(steps, 1))
        root = files.display_path(benchmark.root)
        return f"{root}: {len(made)} files. Next:\n{numbered}\nThe rest of the steps: README.md there."

    emit({"folder": str(benchmark.root), "files": made, "next": steps}, as_json, text)
