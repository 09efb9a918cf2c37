"""What the commands share: options, tables, progress bars, exit codes."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from jinbench.problems import DataError, Problem
from jinbench.records import Step
from jinbench.rooms import Rooms, is_installed

EXIT_DATA, EXIT_USAGE, EXIT_SERVER = 1, 2, 3

JSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
ANNOTATOR = Annotated[
    list[str] | None,
    typer.Option("--annotator", "-a", help="Whose project; may be repeated. [default: all of annotators.toml]"),
]


def rooms(ctx: typer.Context) -> Rooms:
    where: Rooms = ctx.obj
    return where


def workshop(ctx: typer.Context) -> Rooms:
    """The rooms, for a command that writes into them. Raises :class:`DataError` for those of an installed package."""
    where = rooms(ctx)
    if is_installed(where):
        hint = "go to the benchmark's folder, or: jinbench --root DIR …"
        raise DataError(Problem("file-missing", str(Path.cwd()), "a benchmark (annotation/labels.toml)", "none", hint))
    return where


def emit(value: Any, as_json: bool, text: Callable[[], str]) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1) if as_json else text())


def say(text: str) -> None:
    typer.echo(text, err=True)


@contextmanager
def progress() -> Iterator[Step]:
    """A function (what, done, of how many) that keeps a bar for each thing on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def step(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)
            if done >= total:
                bars.update(tasks[what], visible=False)

        yield step


def columns(rows: list[dict[str, Any]]) -> str:
    """Records as a plain table."""
    if not rows:
        return ""
    table = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
