"""Shared options, tables, progress bars, exit codes."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from jinbench.core.benchmark import Benchmark, is_installed
from jinbench.core.errors import Problem, abridge_problems, fail
from jinbench.core.text import escape_invisible
from jinbench.core.types import JsonObject, Step

EXIT_DATA, EXIT_USAGE, EXIT_SERVER = 1, 2, 3

commands = typer.Typer()  # those that are one word

JSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
DRY_RUN = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write and send nothing.")]
ANNOTATOR = Annotated[
    list[str] | None,
    typer.Option("--annotator", "-a", help="Whose project; may be repeated. [default: all of annotators.toml]"),
]


def benchmark_of(ctx: typer.Context) -> Benchmark:
    benchmark: Benchmark = ctx.obj
    return benchmark


def writable_benchmark(ctx: typer.Context) -> Benchmark:
    """Return the benchmark, for a command that writes into it.

    Raises :class:`DataError` (file-missing) for that of an installed package.
    """
    benchmark = benchmark_of(ctx)
    if is_installed(benchmark):
        fail("file-missing", str(Path.cwd()), expected="a benchmark (annotation/labels.toml)", found="none",
             fix="go to the benchmark's folder, or: jinbench --root DIR …")  # fmt: skip
    return benchmark


def emit(value: object, as_json: bool, text: Callable[[], str]) -> None:
    echo(json.dumps(value, ensure_ascii=False, indent=1) if as_json else text())


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print text in which others may have put something: nothing in it acts on the terminal."""
    typer.echo(escape_invisible(text, keep="\n\t"), err=err, nl=nl)


def format_problems(problems: Sequence[Problem]) -> str:
    """Return problems as text, abridged, and how many they are."""
    texts = abridge_problems(problems)
    if len(problems) > 1:
        rest = " Those left out here: --json, where the command has it." if len(texts) < len(problems) else ""
        texts.append(f"{len(problems):,} problems.{rest}")
    return "\n".join(texts)


def problems_as_json(problems: Sequence[Problem]) -> str:
    """`{"problems": […]}`, all of them."""
    text = json.dumps({"problems": [asdict(problem) for problem in problems]}, ensure_ascii=False, indent=1)
    return escape_invisible(text, keep="\n")


def say(text: str) -> None:
    echo(text, err=True)


def to_dicts(records: Iterable[Any]) -> list[JsonObject]:
    """Return dataclass instances as dictionaries, for --json."""
    return [asdict(record) for record in records]


@contextmanager
def progress() -> Iterator[Step]:
    """A function (what, done, of how many) that keeps a bar for each thing on standard error."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def step(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(escape_invisible(what), total=total)
            bars.update(tasks[what], completed=done, total=total)
            if done >= total:
                bars.update(tasks[what], visible=False)

        yield step


def format_table(rows: Sequence[Mapping[str, object]]) -> str:
    """Records as a plain table."""
    if not rows:
        return ""
    table = [list(rows[0]), *([escape_invisible(str(value)) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
