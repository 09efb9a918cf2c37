"""Commands: annotate adjudicate, decisions, lint; agreement."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from jinbench.annotation.workspace import Workspace
from jinbench.cli.annotate import annotate_commands, select_annotators
from jinbench.cli.common import ANNOTATOR, EXIT_DATA, JSON, benchmark_of, emit, progress, writable_benchmark

commands = typer.Typer()


@annotate_commands.command("adjudicate")
def annotate_adjudicate(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what is to decide, and send nothing.")] = False,
    as_json: JSON = False,
) -> None:
    """Make the project in which annotators' labels stand side by side and the adjudicator decides.

    Passages on which all agree are accepted. The others wait in Label Studio, with each annotator's labels as a
    prediction to start from; every decision is given a reason there. Safe to repeat.
    """
    from jinbench.annotation import adjudication
    from jinbench.annotation.annotators import read_annotators
    from jinbench.labelstudio import adjudicate
    from jinbench.labelstudio.server.client import connect, ensure_member

    benchmark = writable_benchmark(ctx)
    workspace = Workspace(benchmark)
    adjudicator = read_annotators(benchmark).gold
    if dry_run:
        disagreements = adjudication.find_open_disagreements(workspace, adjudicator)
        emit(
            _as_dicts(disagreements),
            as_json,
            lambda: "\n".join([*map(str, disagreements), f"{len(disagreements)} disagreements."]),
        )
        return
    client = connect()
    ensure_member(adjudicator)
    with progress() as step:
        done = adjudicate.push_adjudication(client, workspace, adjudicator, step)
    passages = len({disagreement.passage_id for disagreement in done.to_decide})
    left = f" {len(done.left)} passages were skipped or are drafts, and stay so." if done.left else ""
    emit(
        {"project": done.pushed.project, "url": done.pushed.url, "accepted": done.accepted}
        | {"passages_to_decide": passages, "to_decide": _as_dicts(done.to_decide), "left": done.left}
        | {"urls": done.urls},
        as_json,
        lambda: (
            f"{adjudicator}: {done.accepted} passages accepted now, because all agree; "
            f"{len(done.to_decide)} disagreements in {passages} passages to decide at {done.pushed.url}{left}\n"
            + "".join(f"  {id}  {url}\n" for id, url in done.urls.items())
            + f"Then: jinbench annotate pull --annotator {adjudicator}"
        ),
    )


def _as_dicts(records: list[Any]) -> list[dict[str, Any]]:
    return [asdict(record) for record in records]


@annotate_commands.command("decisions")
def annotate_decisions(
    ctx: typer.Context,
    sample: Annotated[int | None, typer.Option(help="Only so many, drawn at random.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="The seed of the draw.")] = 0,
    as_json: JSON = False,
) -> None:
    """Print what the annotators said differently, what the adjudicator decided, and why. Exit code 1 without a why."""
    import random

    from jinbench.annotation import adjudication, annotators

    benchmark = benchmark_of(ctx)
    workspace = Workspace(benchmark)
    adjudicator = annotators.read_annotators(benchmark).gold
    decisions = adjudication.check_decisions(workspace, adjudicator)
    chosen = decisions
    if sample is not None and sample < len(decisions):
        chosen = [decisions[i] for i in sorted(random.Random(seed).sample(range(len(decisions)), sample))]
    emit(
        _as_dicts(chosen),
        as_json,
        lambda: "\n\n".join([*map(str, chosen), f"{len(chosen)} of {len(decisions)} decisions."]),
    )


@annotate_commands.command("lint")
def annotate_lint(ctx: typer.Context, annotator: ANNOTATOR = None, as_json: JSON = False) -> None:
    """Look for slips in the gold: two types, bare elsewhere, edges, brackets, and what labels.toml rules out.

    What is as it should be is listed in annotation/accepted.toml with its reason. Exit code 1 if a finding is left.
    With --annotator it looks at that annotator's labels instead, and accepts nothing.
    """
    from jinbench.annotation import annotators, exports, lint
    from jinbench.annotation.gold import read_gold
    from jinbench.core import files

    benchmark = benchmark_of(ctx)
    workspace = Workspace(benchmark)
    if annotator and len(annotator) > 1:
        raise typer.BadParameter("one annotator at a time", param_hint="--annotator")
    if annotator:
        (name,) = select_annotators(benchmark, annotator)
        labelled = exports.read_export(exports.export_path(benchmark, name), workspace, name)
        findings, accepted = lint.lint_labels(workspace.seeds.passages(), labelled, workspace.label_set), []
    else:
        labelled = list(read_gold(workspace).values())
        accepted = lint.read_accepted(benchmark)
        location = files.display_path(benchmark.annotation / "accepted.toml")
        findings = lint.filter_accepted(
            lint.lint_labels(workspace.seeds.passages(), labelled, workspace.label_set), accepted, location
        )
    who = ", ".join(annotator) if annotator else f"the gold ({annotators.read_annotators(benchmark).gold})"
    emit(
        _as_dicts(findings),
        as_json,
        lambda: "\n".join([*map(str, findings), f"{len(findings)} findings in {who}; {len(accepted)} kinds accepted."]),
    )
    if findings:
        raise typer.Exit(EXIT_DATA)


@commands.command()
def agreement(
    ctx: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Two files of labels (export .json or marked-up .jsonl). [default: those of the gold]"),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Say how far annotators agree: spans, characters, sectors, confused types; and each of them with the gold.

    Without files it measures the annotators between whose labels the gold decides, and writes agreement.json.
    With two files it measures those on the passages that both hold, and writes nothing.
    """
    from jinbench.annotation import exports
    from jinbench.annotation.agreement import measure_agreement, measure_pair, write_agreement

    if files and len(files) != 2:
        raise typer.BadParameter("two files, or none", param_hint="FILES")
    benchmark = benchmark_of(ctx) if files else writable_benchmark(ctx)
    workspace = Workspace(benchmark)
    if files:
        first, second = (exports.read_labels(path, workspace, path.stem) for path in files)
        pair = measure_pair(workspace, first, second, [path.stem for path in files])
        emit(pair.to_dict(), as_json, lambda: str(pair))
        return
    measured = measure_agreement(workspace)
    write_agreement(benchmark, measured)
    emit(measured.to_dict(), as_json, lambda: str(measured))
