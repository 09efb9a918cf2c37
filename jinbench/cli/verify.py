"""Command: verify."""

from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import JSON, benchmark_of, commands, emit


@commands.command()
def verify(
    ctx: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(help="A dataset folder, or OWNER/NAME on a Hugging Face Hub. [default: dataset/]"),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Of OWNER/NAME: a tag such as v1.0.0, a branch or a commit. [default: main]")
    ] = None,
    info: Annotated[bool, typer.Option("--info", help="Only print version, hash and counts.")] = False,
    as_json: JSON = False,
) -> None:
    """Verify a dataset against its manifest.

    Every item is compared with the manifest, every text with the other splits and folds; overlap is shown.

    A folder that exists wins over a name on the Hub. What comes from the Hub is kept in the cache of its client, and
    without a connection it is what that cache holds. HF_ENDPOINT names another Hub than huggingface.co.
    """
    from jinbench.core import files
    from jinbench.dataset.load import describe_dataset
    from jinbench.dataset.verify import verify_folder
    from jinbench.publish import hub

    if info and folder is None:
        description = describe_dataset(benchmark_of(ctx))
        emit(description.to_dict(), as_json, lambda: str(description))
        return
    if info:
        raise typer.BadParameter("is about the benchmark of the current folder, or of --root", param_hint="--info")
    if revision is not None and (folder is None or folder.is_dir()):
        raise typer.BadParameter("a folder has none; name OWNER/NAME", param_hint="--revision")
    target = hub.find_dataset(folder, revision) if folder else benchmark_of(ctx).dataset
    result = verify_folder(target)
    emit({"folder": str(target)} | result.to_dict(), as_json, lambda: f"{files.display_path(target)}: {result}")
