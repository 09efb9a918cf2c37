"""The application: commands, exit codes, entry point. Anything heavy is imported by the command that uses it."""

import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from jinbench.cli import (  # noqa: F401  (a command is there once its module is imported)
    agreement,
    annotate_adjudicate,
    annotate_check,
    annotate_import,
    annotate_pull,
    annotate_push,
    annotate_sheet,
    annotate_status,
    annotate_suggest,
    build,
    card,
    check,
    compare,
    convert,
    hydrate,
    init,
    parse,
    process,
    prompt,
    publish,
    rank,
    reproduce,
    run,
    score,
    submit,
    verify,
)
from jinbench.cli.annotate import annotate_commands
from jinbench.cli.common import EXIT_DATA, EXIT_SERVER, EXIT_USAGE, commands, echo, format_problems, problems_as_json
from jinbench.cli.labels import labels_commands
from jinbench.cli.labelstudio import labelstudio_commands
from jinbench.cli.seeds import seeds_commands
from jinbench.core.benchmark import Benchmark, find_benchmark
from jinbench.core.environment import EXTRAS, extra_install_command
from jinbench.core.errors import JinbenchError, ServerError, UsageError
from jinbench.core.text import escape_invisible

PANELS = {
    "Use it": ("score", "compare", "rank", "verify", "submit", "prompt", "parse"),
    "Label it": ("labelstudio", "annotate", "agreement"),
    "Build it": ("init", "seeds", "labels", "build", "run", "check", "convert", "process"),
    "Publish it": ("card", "publish", "hydrate", "reproduce"),
}


class PanelGroup(TyperGroup):
    """The commands in panels, by what one wants to do."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, self.commands))
        for title, names in PANELS.items():
            with formatter.section(title):
                limit = formatter.width - width - 6
                rows = [(name.ljust(width), self.commands[name].get_short_help_str(limit)) for name in names]
                formatter.write_dl(rows)


app = typer.Typer(
    name="jinbench",
    cls=PanelGroup,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="An annotated benchmark from newspaper pages: pages → Label Studio → dataset → baselines → leaderboard.\n\n"
    "Exit codes: 0 all is well, 1 something is wrong with the data (the message says what, where, and what to do), "
    "2 the command was typed wrongly, 3 Label Studio or the Hub is not there, refuses, or holds something that must "
    "not be overwritten, 130 ended by Ctrl-C.",
)
app.add_typer(commands)
app.add_typer(seeds_commands, name="seeds")
app.add_typer(labels_commands, name="labels")
app.add_typer(labelstudio_commands, name="labelstudio")
app.add_typer(annotate_commands, name="annotate")


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
        echo(version_text(ctx.obj))
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
        echo(problems_as_json(error.problems))
    echo(format_problems(error.problems) if error.problems else str(error), err=True)
    codes = {ServerError: EXIT_SERVER, UsageError: EXIT_USAGE}
    sys.exit(codes.get(type(error), EXIT_DATA))


def move_root_forward(arguments: list[str]) -> list[str]:
    """Return the arguments with `--root DIR` in front: it is understood behind the command too."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    for i, argument in enumerate(arguments[:end]):
        if argument == "--root" or argument.startswith("--root="):
            taken = 2 if argument == "--root" else 1
            return arguments[i : i + taken] + arguments[:i] + arguments[i + taken :]
    return arguments


def main() -> None:
    """The entry point of the command `jinbench`."""
    try:
        app(move_root_forward(sys.argv[1:]))
    except JinbenchError as error:
        exit_with_error(error)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        typer.echo(f"The package {package} is not installed. Type: {extra_install_command(EXTRAS[package])}", err=True)
        sys.exit(EXIT_DATA)
    except OSError as error:
        echo(f"{escape_invisible(str(error.filename or 'a file'))}: {(error.strerror or str(error)).lower()}", err=True)
        sys.exit(EXIT_DATA)
