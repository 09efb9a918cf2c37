"""Command: annotate import."""

from pathlib import Path
from typing import Annotated

import typer

from jinbench import annotation
from jinbench.cli.annotate import annotate_commands, select_annotators
from jinbench.cli.common import DRY_RUN, JSON, emit, progress, writable_benchmark


@annotate_commands.command("import")
def annotate_import(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="An export (.json) or marked-up text (.jsonl, see `annotate sheet`).")],
    annotator: Annotated[str, typer.Option("--annotator", "-a", help="In whose name.")],
    replace: Annotated[bool, typer.Option(help="Put these labels in place of different ones on the server.")] = False,
    dry_run: DRY_RUN = False,
    as_json: JSON = False,
) -> None:
    """Submit labels from a file to Label Studio.

    Whatever is there already is left as it is.
    """
    from jinbench.annotation.exports import read_labels
    from jinbench.labelstudio import annotations, projects
    from jinbench.labelstudio.server import client as server_client

    benchmark = writable_benchmark(ctx)
    workspace = annotation.Workspace(benchmark)
    select_annotators(benchmark, [annotator])
    labelled = read_labels(file, workspace, annotator)
    spans = sum(len(entry.spans) for entry in labelled)
    record = {"annotator": annotator, "passages": len(labelled), "spans": spans}
    if dry_run:
        text = f"{len(labelled)} passages with {spans} spans are in order; nothing was sent."
        emit(record | {"imported": 0}, as_json, lambda: text)
        return
    client = server_client.connect()
    with progress() as step:
        done = projects.to_progress(step, f"import {annotator}", len(labelled))
        imported, unchanged = annotations.submit_labels(client, workspace, annotator, labelled, done, replace)
    text = f"{annotator}: {imported} passages imported, {unchanged} were on the server already; {spans} spans in all."
    emit(record | {"imported": imported, "unchanged": unchanged}, as_json, lambda: text)
