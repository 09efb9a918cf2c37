"""Command: agreement."""

from pathlib import Path
from typing import Annotated

import typer

from jinbench import annotation
from jinbench.cli.common import JSON, benchmark_of, commands, emit, writable_benchmark


@commands.command()
def agreement(
    ctx: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Two files of labels (export .json or marked-up .jsonl). [default: those of the gold]"),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Measure agreement between annotators.

    On spans, characters, sectors and confused types; and of each of them with the gold.

    Without files it measures the annotators between whose labels the gold decides, and writes agreement.json.
    With two files it measures those on the passages that both hold, and writes nothing.
    """
    from jinbench.annotation import exports
    from jinbench.annotation.agreement import measure_agreement, measure_pair, write_agreement

    if files and len(files) != 2:
        raise typer.BadParameter("two files, or none", param_hint="FILES")
    benchmark = benchmark_of(ctx) if files else writable_benchmark(ctx)
    workspace = annotation.Workspace(benchmark)
    if files:
        first, second = (exports.read_labels(path, workspace, path.stem) for path in files)
        pair = measure_pair(workspace, first, second, [path.stem for path in files])
        emit(pair.to_dict(), as_json, lambda: str(pair))
        return
    measured = measure_agreement(workspace)
    write_agreement(benchmark, measured)
    emit(measured.to_dict(), as_json, lambda: str(measured))
