"""Command: hydrate."""

from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import JSON, commands, emit


@commands.command()
def hydrate(
    ctx: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(metavar="STANDOFF", help="A folder that publish --standoff wrote, or OWNER/NAME on a Hub."),
    ],
    pages: Annotated[Path, typer.Option(exists=True, file_okay=False, help="The folder with the pages.")],
    out: Annotated[Path, typer.Option(help="Where to put the dataset: a folder that does not exist yet.")],
    revision: Annotated[str | None, typer.Option(help="Of OWNER/NAME: a tag, a branch or a commit.")] = None,
    as_json: JSON = False,
) -> None:
    """Rebuild a dataset from its standoff form and the pages.

    Every Parquet file is the same, byte for byte.

    A page is known by its name, or by its contents under another name. Nothing is written before everything fits.
    """
    from jinbench.core import files
    from jinbench.publish import hub, standoff

    if revision is not None and source.is_dir():
        raise typer.BadParameter("a folder has none; name OWNER/NAME", param_hint="--revision")
    listing = standoff.hydrate(hub.find_dataset(source, revision), pages, out)
    record = {"folder": str(out), "version": listing["version"], "sha256": listing["sha256"]}
    emit(
        record,
        as_json,
        lambda: (
            f"{files.display_path(out)}: version {listing['version']}, sha256 {listing['sha256']}; "
            "every Parquet file is what manifest.json lists."
        ),
    )
