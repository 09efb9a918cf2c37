"""Command: annotate push."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jinbench import annotation
from jinbench.cli.annotate import annotate_commands, select_annotators
from jinbench.cli.common import (
    ANNOTATOR,
    DRY_RUN,
    JSON,
    benchmark_of,
    emit,
    format_table,
    progress,
    say,
    writable_benchmark,
)
from jinbench.core.benchmark import Benchmark, packaged_benchmark
from jinbench.core.environment import require_packages
from jinbench.core.errors import DataError

if TYPE_CHECKING:
    from jinbench.annotation.assignments import AssignmentPlan
    from jinbench.labelstudio.team import TeamProject

# What a mail address may begin with, as the login is one, and short enough for the title of a project.
_NAME = re.compile(r"(?=.{1,30}$)[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")


@annotate_commands.command("push")
def annotate_push(
    ctx: typer.Context,
    annotator: ANNOTATOR = None,
    annotators: Annotated[
        str | None,
        typer.Option(help="Who labels, as a,b,c; new names are added. [default: those of shares.csv, else all]"),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(help="How many label each article. [default: as assigned; else 2, or 1 if alone]", min=1),
    ] = None,
    kind: Annotated[
        str, typer.Option(help="What new annotators are: the card will say so. Not a person? 'language model'.")
    ] = "person",
    suggest: Annotated[
        bool | None,
        typer.Option("--suggest/--no-suggest", help="Show suggestions of the tagger. [default: not if independent]"),
    ] = None,
    with_labels: Annotated[
        bool,
        typer.Option("--with-labels", help="Send the labels of annotation/exports/ too: to move to another server."),
    ] = False,
    dry_run: DRY_RUN = False,
    as_json: JSON = False,
) -> None:
    """Make a project for each annotator.

    With an account, and a task for each assigned passage. Safe to repeat.

    Starts Label Studio where none is running. With --annotators or --overlap each article is assigned to `--overlap`
    annotators, so that all have about as much to read and every two have articles in common; annotation/shares.csv
    stores the assignments, and an assignment that was made stays. Without assignments everybody labels everything.

    Suggestions save time and bias labels: two annotators who see the same suggestions agree with each other more than
    with the text. So where passages are labelled twice, or for the gold, there are none unless you type --suggest.

    In an empty folder it creates a small example: a page, a label set and guidelines, to be replaced by yours.
    """
    from jinbench.annotation import annotators as annotators_file
    from jinbench.annotation import assignments
    from jinbench.core import files
    from jinbench.labelstudio import projects, team
    from jinbench.labelstudio.labeling_config import check_guidelines
    from jinbench.labelstudio.server.client import PACKAGES, connect_or_start

    if annotators and annotator:
        raise typer.BadParameter("--annotator is for those who are listed already", param_hint="--annotators")
    if with_labels and (annotators or overlap):
        raise typer.BadParameter(
            "assigns nothing anew: leave --annotators and --overlap away", param_hint="--with-labels"
        )
    chosen, benchmark = parse_names(annotators), find_or_create_benchmark(ctx, dry_run)
    workspace = annotation.Workspace(benchmark)
    packages = [] if dry_run else [*PACKAGES, "markdown_it", *(("scipy", "sklearn") if suggest else ())]
    try:
        tasks = projects.build_task_data(workspace.seeds)  # first: without pages nothing else that is missing matters
    except DataError as error:
        if error.codes == {"package-missing"}:  # for a repair of the pages: named together with the others
            require_packages("opencc", *packages)
        raise
    require_packages(*packages)
    check_guidelines(benchmark, workspace.label_set)
    if with_labels and not dry_run:
        names, new = team.order_for_transfer(workspace, select_annotators(benchmark, annotator), bool(annotator)), []
    else:
        selected = select_annotators(benchmark, annotator, independent=True) if annotator else []
        plan = assignments.plan_assignments(benchmark, workspace.seeds, chosen, overlap)
        names = selected or plan.names
        if dry_run:
            rows = [row for row in plan.rows if row["annotator"] in names]
            text = f"{json.dumps(tasks[0], ensure_ascii=False, indent=1)}\n{plan_text(plan, rows)}"
            emit({"overlap": plan.overlap, "assignments": rows, "first": tasks[0]}, as_json, lambda: text)
            return
        new = annotators_file.add_annotators(benchmark, workspace.label_set, names, kind)
        if plan.planned != plan.current:
            assignments.write_assignments(benchmark, plan.planned)
        workspace = annotation.Workspace(benchmark)
    with progress() as step:
        client = connect_or_start(say, step)
        made = team.push_team(client, workspace, names, with_labels=with_labels, show=suggest, step=step, say=say)
    rows = [project.to_dict() for project in made]
    record = {"url": str(client._client_wrapper.get_base_url()), "new": new, "projects": rows}
    file = files.display_path(benchmark.annotators)
    emit(record, as_json, lambda: "\n".join(format_projects(workspace, made, new, file)))


def plan_text(plan: "AssignmentPlan", rows: "list[dict[str, object]]") -> str:
    """Return the assignments as a table."""
    numbers = {len(names) for names in plan.planned.values()} or {len(plan.names)}  # more, if assigned before
    by = " to ".join(map(str, sorted({min(numbers), max(numbers)})))
    return f"{format_table(rows)}\nEach passage is labelled by {by}. Nothing was written or sent."


def format_projects(
    workspace: "annotation.Workspace", made: "list[TeamProject]", new: list[str], file: str
) -> Iterator[str]:
    """Yield the lines that say what is where, and what to do next."""
    columns = ("annotator", "login", "created", "updated", "unchanged", "removed", "labelled", "url")
    rows = [project.to_dict() for project in made]
    yield format_table([{name: row[name] for name in columns if row[name] is not None} for row in rows])
    if new:
        yield f"\nNew in {file}: {', '.join(new)}. Say there who or what they are."
    annotators = workspace.annotators
    if unused := [project.annotator for project in made if not annotators.is_gold_source(project.annotator)]:
        yield (
            f"\nThe gold ({annotators.gold}) takes nothing from {', '.join(unused)}: adjudicates = […] in {file} says "
            "from whom."
        )
    if suggested := [project for project in made if project.suggestions]:
        names = ", ".join(project.annotator for project in suggested)
        yield f"\n{names}: passages come with suggestions of {suggested[0].suggestions}, to be read critically."
    yield f"""
To label   1. Open {made[0].pushed.url}, log in as {made[0].login};
              the passwords: jinbench labelstudio accounts --passwords
           2. Press “Label All Tasks”, and read the instructions.
           3. Press the key of a type and draw over the characters; tick sectors; press Submit.
Then       jinbench annotate status     progress, agreement, type disagreements
           jinbench annotate pull       their labels, checked, to annotation/exports/"""


def parse_names(text: str | None) -> list[str]:
    from jinbench.labelstudio.server import accounts

    names = [name.strip() for name in text.split(",")] if text is not None else []
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong:
        expected = "names of at most 30 letters, digits, and hyphens or single dots between them, as a,b,c"
        raise typer.BadParameter(f"{expected}; found {wrong[0]!r}", param_hint="--annotators")
    if accounts.ADMIN in map(str.lower, names):
        raise typer.BadParameter(f"{accounts.ADMIN} is the administrator of the server", param_hint="--annotators")
    return list(dict.fromkeys(names))


def find_or_create_benchmark(ctx: typer.Context, dry_run: bool) -> Benchmark:
    """Return the benchmark, or create an example in the current folder or the one named by --root."""
    from jinbench import scaffold

    benchmark = benchmark_of(ctx)
    named = ctx.find_root().params.get("root") or os.environ.get("JINBENCH_ROOT")
    elsewhere = benchmark == packaged_benchmark() and benchmark.root not in (Path.cwd(), *Path.cwd().parents)
    if benchmark.labels.is_file() and (named or not elsewhere):
        return writable_benchmark(ctx)
    folder = benchmark.root if named else Path.cwd()
    if dry_run:
        say(f"There is no benchmark in {folder}. Without --dry-run an example would be written there.")
        raise typer.Exit
    benchmark = scaffold.create_benchmark(folder, example=True)
    say(f"An example to begin with is in {benchmark.root}. README.md there says how to go on with yours.")
    return benchmark
