"""Command: annotate adjudicate."""

import random
from typing import Annotated

import typer

from jinbench import annotation
from jinbench.cli.annotate import annotate_commands
from jinbench.cli.common import DRY_RUN, JSON, benchmark_of, emit, progress, to_dicts, writable_benchmark


@annotate_commands.command("adjudicate")
def annotate_adjudicate(
    ctx: typer.Context,
    list_only: Annotated[
        bool, typer.Option("--list", help="Print disagreements, decisions and reasons; send nothing.")
    ] = False,
    sample: Annotated[int | None, typer.Option(help="With --list: only so many, drawn at random.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="The random seed of the sample.")] = 0,
    dry_run: DRY_RUN = False,
    as_json: JSON = False,
) -> None:
    """Make the project in which the adjudicator decides.

    Annotators' labels stand there side by side.

    Passages on which all agree are accepted. The others wait in Label Studio, with each annotator's labels as a
    prediction to start from; every decision is given a reason there. Safe to repeat.

    With --list it prints what was decided and why, as far as the adjudicator's labels are pulled, and then what is
    still open. Exit code 1 if a decision has no reason. --dry-run prints only what is open.
    """
    from jinbench.annotation import adjudication
    from jinbench.labelstudio import adjudicate
    from jinbench.labelstudio.server.client import connect, ensure_member

    if sample and not list_only:
        raise typer.BadParameter("goes with --list", param_hint="--sample")
    benchmark = benchmark_of(ctx) if list_only else writable_benchmark(ctx)
    workspace = annotation.Workspace(benchmark)
    adjudicator = workspace.annotators.gold
    if list_only or dry_run:
        listed = adjudication.check_decisions(workspace, adjudicator, allow_open=True)
        count_open = sum(adjudicator not in item.readings for item in listed)
        if dry_run:
            listed = [item for item in listed if adjudicator not in item.readings]
        chosen = listed
        if sample is not None and sample < len(listed):
            chosen = [listed[i] for i in sorted(random.Random(seed).sample(range(len(listed)), sample))]
        count = f"{len(chosen)} of {len(listed)} disagreements and decisions; {count_open} open."
        emit(to_dicts(chosen), as_json, lambda: "\n\n".join([*map(str, chosen), count]))
        return
    client = connect()
    ensure_member(adjudicator)
    with progress() as step:
        done = adjudicate.push_adjudication(client, workspace, adjudicator, step)
    passages = len({disagreement.passage_id for disagreement in done.to_decide})
    left = f" {len(done.left)} passages were skipped or are drafts, and stay so." if done.left else ""
    record = {"project": done.pushed.project, "url": done.pushed.url, "accepted": done.accepted,
              "passages_to_decide": passages, "to_decide": to_dicts(done.to_decide), "left": done.left,
              "urls": done.urls}  # fmt: skip
    emit(
        record,
        as_json,
        lambda: (
            f"{adjudicator}: {done.accepted} passages accepted now, because all agree; "
            f"{len(done.to_decide)} disagreements in {passages} passages to decide at {done.pushed.url}{left}\n"
            + "".join(f"  {id}  {url}\n" for id, url in done.urls.items())
            + f"Then: jinbench annotate pull --annotator {adjudicator}"
        ),
    )
