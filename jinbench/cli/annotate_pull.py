"""Command: annotate pull."""

import typer

from jinbench import annotation
from jinbench.cli.annotate import annotate_commands, select_annotators
from jinbench.cli.common import ANNOTATOR, JSON, emit, progress, say, writable_benchmark


@annotate_commands.command("pull")
def annotate_pull(ctx: typer.Context, annotator: ANNOTATOR = None, as_json: JSON = False) -> None:
    """Export the labels to annotation/exports/.

    Every span is checked against its text.
    """
    from jinbench.annotation import exports
    from jinbench.core import files
    from jinbench.labelstudio.annotations import has_project, pull_labels
    from jinbench.labelstudio.server import client as server_client
    from jinbench.labelstudio.transfer import count_unfinished

    benchmark = writable_benchmark(ctx)
    workspace = annotation.Workspace(benchmark)
    assigned = {name: workspace.assigned_passages(name) for name in workspace.annotators.names}
    client = server_client.connect()
    results = []
    names = select_annotators(benchmark, annotator)
    if annotator is None:
        existing = [name for name in names if has_project(client, workspace.label_set, name)]
        for name in set(names) - set(existing) if existing else ():
            after = "adjudicate" if workspace.annotators.adjudicated_by(name) else f"push --annotator {name}"
            say(f"{name}: no project, nothing to pull. To make one: jinbench annotate {after}")
        names = existing or names
    for name in names:
        with progress() as step:
            step(f"pull {name}", 0, 1)
            count, changed = pull_labels(client, workspace, name)
        skipped, drafts = count_unfinished(client, workspace, name)
        file, ids = files.display_path(exports.export_path(benchmark, name)), assigned[name]
        of = len(workspace.passages if ids is None else ids)
        record = {"annotator": name, "passages": count, "of": of, "changed": changed, "file": file}
        results.append(record | {"skipped": skipped, "drafts": drafts})
    emit(
        results,
        as_json,
        lambda: "\n".join(
            f"{r['annotator']}: {r['passages']} of {r['of']} passages, {r['changed']} new or changed → {r['file']}"
            + (f"; {r['skipped']} skipped and {r['drafts']} drafts stay there" if r["skipped"] or r["drafts"] else "")
            for r in results
        ),
    )
