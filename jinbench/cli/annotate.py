"""Commands: annotate push, sheet, enter, pull, check."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import say
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem, ServerError

annotate_commands = typer.Typer(no_args_is_help=True, help="Labelling in Label Studio: push passages, pull labels.")


@annotate_commands.callback()
def _annotate(
    ctx: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(
            help="A Label Studio that somebody else runs. [LABEL_STUDIO_URL, else the server of this machine]"
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="A file with the token for it, of mode 600. [LABEL_STUDIO_API_KEY_FILE, or LABEL_STUDIO_API_KEY]"
        ),
    ] = None,
) -> None:
    from jinbench.labelstudio.server import address

    ctx.with_resource(address.use_server(url, token_file))
    with contextlib.suppress(ServerError):  # one that is no address is refused by what needs a server
        named = address.remote_url()
        if named and (warning := address.security_warning(named)):
            say(warning)


def select_annotators(benchmark: Benchmark, chosen: list[str] | None, independent: bool = False) -> list[str]:
    """The annotators that a command is for; `blind`: only those who label by themselves.

    A name that annotators.toml does not have is a slip of the pen.
    """
    from jinbench.annotation.annotators import read_annotators
    from jinbench.core import files

    listed = read_annotators(benchmark)
    allowed = tuple(entry.name for entry in listed.independent) if independent else listed.names
    unknown = [name for name in chosen or () if name not in allowed]
    if unknown:
        location = files.display_path(benchmark.annotation / "annotators.toml")
        adjudicators = set(unknown).intersection(listed.names)
        fix = "jinbench annotate adjudicate" if adjudicators else "correct the name, or add an [[annotator]] there"
        raise DataError(
            Problem(
                "unknown-id",
                location=location,
                expected=f"one of {', '.join(allowed)}",
                found=", ".join(unknown),
                fix=fix,
            )
        )
    return chosen or list(allowed)
