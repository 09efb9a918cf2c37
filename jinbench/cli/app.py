"""The application: commands, exit codes, entry point. Anything heavy is imported by the command that uses it."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from jinbench.cli import (
    annotate,
    annotate_review,
    annotate_suggest,  # noqa: F401
    annotate_team,  # noqa: F401
    convert,
    dataset,
    labelstudio,
    process,
    run,
    score,
    seeds,
    submit,
)
from jinbench.cli.common import EXIT_DATA, EXIT_SERVER, format_problems, problems_as_json
from jinbench.core.benchmark import Benchmark, find_benchmark
from jinbench.core.errors import JinbenchError, ServerError

app = typer.Typer(
    name="jinbench",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="An annotated benchmark from newspaper pages: pages → Label Studio → dataset → baselines → leaderboard.\n\n"
    "Exit codes: 0 all is well, 1 something is wrong with the data (the message says what, where, and what to do), "
    "2 the command was typed wrongly, 3 Label Studio or the Hub is not there, refuses, or holds something that must "
    "not be overwritten.",
)
app.add_typer(seeds.commands)
app.add_typer(seeds.seeds_commands, name="seeds")
app.add_typer(seeds.labels_commands, name="labels")
app.add_typer(labelstudio.labelstudio_commands, name="labelstudio")
app.add_typer(annotate.annotate_commands, name="annotate")
for module in (annotate_review, dataset, run, score, submit, process, convert):
    app.add_typer(module.commands)


@app.callback(invoke_without_command=True)
def _root(
    ctx: typer.Context,
    root: Annotated[
        Path | None,
        typer.Option(
            help="The benchmark's folder. [default: the one around the current folder, else the package's own]"
        ),
    ] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the versions of package and dataset.")] = False,
) -> None:
    if root is not None and not root.is_dir():
        raise typer.BadParameter(f"{root} is not a folder", param_hint="--root")
    ctx.obj = find_benchmark(root)
    if version:
        typer.echo(version_text(ctx.obj))
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit


def version_text(benchmark: Benchmark) -> str:
    """Return the versions of the package and of the benchmark's dataset, in one line."""
    from importlib.metadata import version

    from jinbench.core import files

    dataset = files.read_json(benchmark.manifest)["version"] if benchmark.manifest.is_file() else "not built"
    return f"jinbench {version('jinbench')} (dataset {dataset})"


def exit_with_error(error: JinbenchError) -> NoReturn:
    """The one place where what went wrong becomes text and an exit code."""
    if error.problems and "--json" in sys.argv:
        typer.echo(problems_as_json(error.problems))
    typer.echo(format_problems(error.problems) if error.problems else str(error), err=True)
    sys.exit(EXIT_SERVER if isinstance(error, ServerError) else EXIT_DATA)


def main() -> None:
    """The entry point of the command `jinbench`."""
    try:
        app()
    except JinbenchError as error:
        exit_with_error(error)
    except OSError as error:
        typer.echo(f"{error.filename or 'a file'}: {(error.strerror or str(error)).lower()}", err=True)
        sys.exit(EXIT_DATA)
