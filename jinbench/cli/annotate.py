"""Commands: annotate push, sheet, enter, pull, check."""

import contextlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from jinbench.annotation.workspace import Workspace
from jinbench.cli.common import ANNOTATOR, JSON, benchmark_of, emit, format_table, progress, say, writable_benchmark
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


@annotate_commands.command("push")
def annotate_push(
    ctx: typer.Context,
    annotator: ANNOTATOR = None,
    with_labels: Annotated[
        bool,
        typer.Option(
            "--with-labels", help="Send the labels of annotation/exports/ too: work goes on here that began elsewhere."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the first task and the number, and send nothing.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Make a project for each annotator with a task for each passage of its share. Safe to repeat and to cut off."""
    if with_labels and not dry_run:
        _push_with_labels(writable_benchmark(ctx), annotator, as_json)
        return
    from dataclasses import asdict

    from jinbench.labelstudio import projects, push
    from jinbench.labelstudio.contents import TaskContents
    from jinbench.labelstudio.server.client import connect, ensure_member

    benchmark = writable_benchmark(ctx)
    workspace = Workspace(benchmark)
    tasks = projects.build_task_data(workspace.seeds)  # first: without pages nothing else that is missing matters
    names = select_annotators(benchmark, annotator, independent=True)
    share = {name: workspace.assigned_passages(name) for name in names}
    number = {name: len(tasks if found is None else found) for name, found in share.items()}
    if dry_run:
        plan = [{"project": projects.project_title(workspace.label_set, name), "tasks": number[name]} for name in names]
        first = json.dumps(tasks[0], ensure_ascii=False, indent=1)
        emit(
            {"projects": plan, "first": tasks[0]}, as_json, lambda: f"{first}\n{format_table(plan)}\nNothing was sent."
        )
        return
    client = connect()
    results = []
    for name in names:
        ensure_member(name)
        with progress() as step:
            done = push.push_passages(
                client,
                workspace,
                name,
                projects.to_progress(step, f"push {name}", number[name]),
                TaskContents(share[name]),
            )
        results.append({"annotator": name, **asdict(done)})
    emit(
        results,
        as_json,
        lambda: "\n".join(
            f"{r['annotator']}: {r['created']} tasks created, {r['updated']} updated, {r['unchanged']} as they were, "
            f"{r['removed']} doubles removed. Label at {r['url']}"
            for r in results
        ),
    )


def _push_with_labels(benchmark: Benchmark, chosen: list[str] | None, as_json: bool) -> None:
    from dataclasses import asdict

    from jinbench.annotation import annotators, exports
    from jinbench.labelstudio import transfer
    from jinbench.labelstudio.server import client as clients

    workspace = Workspace(benchmark)
    listed = annotators.read_annotators(benchmark)
    names = sorted(
        select_annotators(benchmark, chosen), key=lambda name: len(listed.adjudicated_by(name))
    )  # adjudicators last
    if not chosen:  # an adjudicator who has not begun begins with: jinbench annotate adjudicate
        names = [
            name for name in names if not listed.adjudicated_by(name) or exports.export_path(benchmark, name).is_file()
        ]
    client, done = clients.connect(), []
    for name in names:
        clients.ensure_member(name)
        with progress() as step:
            done.append(transfer.transfer_labels(client, workspace, name, step))
    emit(
        [{"annotator": m.annotator, "labelled": m.labelled, **asdict(m.pushed)} for m in done],
        as_json,
        lambda: "\n".join(
            f"{m.annotator}: {m.pushed.created} tasks created, {m.pushed.unchanged} as they were; the labels of "
            f"{m.labelled} passages are there. Label at {m.pushed.url}"
            for m in done
        ),
    )


@annotate_commands.command("sheet")
def annotate_sheet(
    ctx: typer.Context,
    adjudicate: Annotated[
        bool, typer.Option("--adjudicate", help="Only passages on which annotators differ, with their readings.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list instead of JSON Lines.")] = False,
) -> None:
    """Print all passages as JSON Lines to mark up in a text editor, or by a model: [surface|TYPE]."""
    from jinbench.annotation import adjudication, annotators, markup
    from jinbench.annotation.adjudication import find_disagreements
    from jinbench.core import files

    benchmark = benchmark_of(ctx)
    workspace = Workspace(benchmark)
    if not adjudicate:
        rows = [
            {"id": p.id, "title": a.title, "marked": p.text, "sectors": []}
            for a in workspace.seeds.articles
            for p in a.passages
        ]
        emit(rows, as_json, files.dump_jsonl(rows).rstrip)
        return
    adjudicator = annotators.read_annotators(benchmark).gold
    readings = adjudication.labels_to_adjudicate(workspace, adjudicator)
    common = adjudication.intersect_labels(readings, adjudicator)
    open_questions = find_disagreements(workspace.seeds.passages(), readings, {})
    texts = {passage.id: passage.text for passage in workspace.seeds.passages()}
    to_decide: list[dict[str, Any]] = []
    for id in dict.fromkeys(question.passage_id for question in open_questions):
        to_decide.append(
            {
                "id": id,
                "marked": markup.to_markup(texts[id], common[id].spans),
                "sectors": list(common[id].sectors),
                "reasons": [f"{question.subject}: " for question in open_questions if question.passage_id == id],
                "readings": {
                    name: {"marked": markup.to_markup(texts[id], found[id].spans), "sectors": list(found[id].sectors)}
                    for name, found in readings.items()
                    if id in found
                },
            }
        )
    emit(to_decide, as_json, files.dump_jsonl(to_decide).rstrip)


@annotate_commands.command("enter")
def annotate_enter(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="An export (.json) or marked-up text (.jsonl, see `annotate sheet`).")],
    annotator: Annotated[str, typer.Option("--annotator", "-a", help="In whose name.")],
    replace: Annotated[bool, typer.Option(help="Put these labels in place of different ones on the server.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, and send nothing.")] = False,
    as_json: JSON = False,
) -> None:
    """Submit labels from a file to Label Studio as annotations. Whatever is there already is left as it is."""
    from jinbench.annotation.exports import read_labels
    from jinbench.labelstudio import annotations, projects
    from jinbench.labelstudio.server import client as server_client

    benchmark = writable_benchmark(ctx)
    workspace = Workspace(benchmark)
    select_annotators(benchmark, [annotator])
    labelled = read_labels(file, workspace, annotator)
    spans = sum(len(entry.spans) for entry in labelled)
    record = {"annotator": annotator, "passages": len(labelled), "spans": spans}
    if dry_run:
        text = f"{len(labelled)} passages with {spans} spans are in order; nothing was sent."
        emit(record | {"entered": 0}, as_json, lambda: text)
        return
    client = server_client.connect()
    with progress() as step:
        entered, unchanged = annotations.submit_labels(
            client,
            workspace,
            annotator,
            labelled,
            projects.to_progress(step, f"enter {annotator}", len(labelled)),
            replace,
        )
    text = f"{annotator}: {entered} passages entered, {unchanged} were there already; {spans} spans in all."
    emit(record | {"entered": entered, "there": unchanged}, as_json, lambda: text)


@annotate_commands.command("pull")
def annotate_pull(ctx: typer.Context, annotator: ANNOTATOR = None, as_json: JSON = False) -> None:
    """Export each annotator's labels to annotation/exports/, every span checked against its text."""
    from jinbench.annotation import exports
    from jinbench.core import files
    from jinbench.labelstudio.annotations import has_project, pull_labels
    from jinbench.labelstudio.server import client as server_client
    from jinbench.labelstudio.transfer import count_unfinished

    benchmark = writable_benchmark(ctx)
    workspace = Workspace(benchmark)
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
        skipped, drafts = count_unfinished(client, workspace.label_set, name)
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


@annotate_commands.command("check")
def annotate_check(ctx: typer.Context, annotator: ANNOTATOR = None, as_json: JSON = False) -> None:
    """Check the exports in annotation/exports/ without a server: texts, labels, offsets, sentences, reasons."""
    from jinbench.annotation import adjudication, annotators, exports
    from jinbench.core import files

    benchmark = benchmark_of(ctx)
    workspace = Workspace(benchmark)
    results: list[dict[str, Any]] = []
    for name in select_annotators(benchmark, annotator):
        path = exports.export_path(benchmark, name)
        labelled = exports.read_export(path, workspace, name)
        if annotators.read_annotators(benchmark).adjudicated_by(name):
            adjudication.check_decisions(workspace, name)
        spans = sum(len(entry.spans) for entry in labelled)
        results.append({"annotator": name, "file": files.display_path(path), "passages": len(labelled), "spans": spans})
    emit(
        results,
        as_json,
        lambda: "\n".join(f"{r['file']}: {r['passages']} passages, {r['spans']} spans, in order" for r in results),
    )
