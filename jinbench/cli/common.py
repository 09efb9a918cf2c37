"""Shared options, tables, progress bars, exit codes."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from jinbench.core.benchmark import Benchmark, is_installed
from jinbench.core.errors import DataError, Problem, abridge_problems
from jinbench.core.types import Step

EXIT_DATA, EXIT_USAGE, EXIT_SERVER = 1, 2, 3

JSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
ANNOTATOR = Annotated[
    list[str] | None,
    typer.Option("--annotator", "-a", help="Whose project; may be repeated. [default: all of annotators.toml]"),
]


def benchmark_of(ctx: typer.Context) -> Benchmark:
    benchmark: Benchmark = ctx.obj
    return benchmark


def writable_benchmark(ctx: typer.Context) -> Benchmark:
    """The rooms, for a command that writes into them. Raises :class:`DataError` for those of an installed package."""
    benchmark = benchmark_of(ctx)
    if is_installed(benchmark):
        hint = "go to the benchmark's folder, or: jinbench --root DIR …"
        raise DataError(
            Problem(
                "file-missing",
                location=str(Path.cwd()),
                expected="a benchmark (annotation/labels.toml)",
                found="none",
                fix=hint,
            )
        )
    return benchmark


def emit(value: object, as_json: bool, text: Callable[[], str]) -> None:
    printed = json.dumps(value, ensure_ascii=False, indent=1) if as_json else text()
    typer.echo(_escaped(printed))


def _escaped(text: str) -> str:
    """Escape what UTF-8 cannot encode, such as half a surrogate pair, as JSON does."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def format_problems(problems: Sequence[Problem]) -> str:
    """Return problems as text, abridged, and how many they are."""
    texts = abridge_problems(problems)
    if len(problems) > 1:
        rest = " Those left out here: --json, where the command has it." if len(texts) < len(problems) else ""
        texts.append(f"{len(problems):,} problems.{rest}")
    return "\n".join(texts)


def problems_as_json(problems: Sequence[Problem]) -> str:
    """`{"problems": […]}`, all of them."""
    return _escaped(json.dumps({"problems": [asdict(problem) for problem in problems]}, ensure_ascii=False, indent=1))


def say(text: str) -> None:
    typer.echo(text, err=True)


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
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def step(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)
            if done >= total:
                bars.update(tasks[what], visible=False)

        yield step


def format_table(rows: Sequence[Mapping[str, object]]) -> str:
    """Records as a plain table."""
    if not rows:
        return ""
    table = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
