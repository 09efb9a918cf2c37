"""Commands: annotate setup, status."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jinbench.annotation.workspace import Workspace
from jinbench.cli.annotate import annotate_commands, select_annotators
from jinbench.cli.common import ANNOTATOR, JSON, benchmark_of, emit, format_table, progress, say, writable_benchmark
from jinbench.core.benchmark import Benchmark, packaged_benchmark
from jinbench.core.errors import DataError
from jinbench.labelstudio.progress import TeamProgress

if TYPE_CHECKING:
    from jinbench.annotation.assignments import Assignments
    from jinbench.labelstudio.suggester import Suggester

# What a mail address may begin with, as the login is one, and short enough for the title of a project.
_NAME = re.compile(r"(?=.{1,30}$)[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")


@annotate_commands.command("setup")
def annotate_setup(
    ctx: typer.Context,
    annotators: Annotated[
        str | None,
        typer.Option(help="Who labels, as a,b,c. [default: those of shares.csv, else of annotators.toml]"),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(help="How many label each passage. [default: as assigned; else 2, or 1 if alone]", min=1),
    ] = None,
    kind: Annotated[
        str, typer.Option(help="What the new ones are: the card will say so. Not a person? 'language model'.")
    ] = "person",
    suggest: Annotated[
        bool | None,
        typer.Option(
            "--suggest/--no-suggest",
            help="Show suggestions of our tagger. [default: where passages are labelled once, and not for gold]",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the assignments; write and send nothing.")] = False,
    as_json: JSON = False,
) -> None:
    """Set up annotation for a team: accounts, a project with assigned passages for each, and the instructions.

    Starts Label Studio where none is running. Each article is assigned to `--overlap` annotators, so that all have
    about as much to read and every two have articles in common; annotation/shares.csv stores the assignments, and an
    assignment that was made stays. Names that annotators.toml does not have are added to it. Safe to repeat.

    Suggestions save time and bias labels: two annotators who see the same suggestions agree with each other more than
    with the text. So where passages are labelled twice, or for the gold, there are none unless you type --suggest.

    In an empty folder it creates a small example: a page, a label set and guidelines, to be replaced by yours.
    """
    from dataclasses import asdict

    from jinbench.annotation.annotators import account_email, add_annotators, read_annotators
    from jinbench.annotation.assignments import assigned_passages, write_assignments
    from jinbench.core import files
    from jinbench.labelstudio import projects, push
    from jinbench.labelstudio.contents import TaskContents, withdraw_suggestions
    from jinbench.labelstudio.server import address, process
    from jinbench.labelstudio.server.client import connect, ensure_member
    from jinbench.models.active_learning import MODEL_PREFIX

    chosen, benchmark = parse_names(annotators), find_or_create_benchmark(ctx, dry_run)
    workspace = Workspace(benchmark)
    plan = plan_assignments(workspace, chosen, overlap)
    if dry_run:
        emit({"overlap": plan.overlap, "assignments": plan.rows}, as_json, lambda: plan_text(plan))
        return
    new = add_annotators(benchmark, workspace.label_set, plan.names, kind)
    if plan.planned != plan.current:
        write_assignments(benchmark, plan.planned)
    annotator_list = read_annotators(benchmark)
    independent = plan.overlap > 1 or any(map(annotator_list.is_gold_source, plan.names))
    suggester = make_suggester(workspace, not independent if suggest is None else suggest, bool(suggest))
    if not address.remote_url():
        process.start_server(say=say)
    client = connect()
    results = []
    for name, row in zip(plan.names, plan.rows, strict=True):
        ensure_member(name)
        assigned = assigned_passages(plan.planned, workspace.seeds, name)
        ids = None if assigned is None else set(assigned)
        passages = [passage for passage in workspace.seeds.passages() if ids is None or passage.id in ids]
        suggestions, version = (suggester.suggest(passages), suggester.version) if suggester else ({}, "")
        with progress() as step:
            report_progress = projects.to_progress(step, f"push {name}", len(passages))
            done = push.push_passages(
                client,
                workspace,
                name,
                report_progress,
                TaskContents(assigned, suggestions=suggestions, model_version=version),
            )
        if not suggester:  # suggestions of an earlier set-up would bias an independent pass
            withdraw_suggestions(client, done.project, MODEL_PREFIX)
        results.append(row | {"login": account_email(name)} | asdict(done))
    record = {"url": str(client._client_wrapper.get_base_url()), "overlap": plan.overlap, "new": new,
              "projects": results, "suggestions": suggester.version if suggester else None}  # fmt: skip
    file, unused_by_gold = (
        files.display_path(benchmark.annotators),
        [name for name in plan.names if not annotator_list.is_gold_source(name)],
    )
    if unused_by_gold:
        names = ", ".join(unused_by_gold)
        say(f"The gold ({annotator_list.gold}) takes nothing from {names}: adjudicates = […] in {file} says from whom.")
    emit(record, as_json, lambda: setup_text(record, file))


@dataclass(frozen=True)
class AssignmentPlan:
    """Assignments as they are (`current`) and as they will be (`planned`), with a table row for each annotator."""

    names: list[str]
    overlap: int
    current: "Assignments"
    planned: "Assignments"
    rows: list[dict[str, object]]


def plan_assignments(workspace: Workspace, chosen: list[str], overlap: int | None) -> AssignmentPlan:
    """Plan who labels what; refuse what cannot be before anything is written."""
    from jinbench.annotation import annotators
    from jinbench.annotation.annotators import ADJUDICATOR
    from jinbench.annotation.assignments import assign_articles, summarize_assignments
    from jinbench.core import files

    benchmark = workspace.benchmark
    annotator_list = workspace.annotators if benchmark.annotators.is_file() else None
    current = workspace.assignments if annotator_list else {}
    names = chosen
    if not names:
        independent = [entry.name for entry in annotator_list.independent] if annotator_list else ["annotator-a"]
        assigned = {name for names in current.values() for name in names}
        names = [name for name in independent if name in assigned] or independent
    clash = annotators.find_login_clash((*(annotator_list.names if annotator_list else ()), *names))
    if clash:
        raise typer.BadParameter(f"{' and '.join(clash)} would be one login", param_hint="--annotators")
    if annotator_list:
        select_annotators(benchmark, [name for name in names if name in annotator_list.names], independent=True)
    elif len(names) > 1 and ADJUDICATOR in names:
        raise typer.BadParameter(f"{ADJUDICATOR} will decide between them", param_hint="--annotators")
    number = overlap or max(map(len, current.values()), default=0) or min(2, len(names))
    if number > len(names):
        raise typer.BadParameter(f"{number} of {len(names)} annotators", param_hint="--overlap")
    planned = current
    if current or chosen or overlap or not annotator_list:  # without assignments everybody labels everything
        planned = assign_articles(workspace.seeds.articles, names, number, current)
    rows = summarize_assignments(planned, workspace.seeds, names)
    idle = [str(row["annotator"]) for row in rows if not row["articles"]]
    if idle:
        raise typer.BadParameter(
            f"nothing is left for {', '.join(idle)}: every passage has {number} annotators. Raise --overlap; or, "
            f"before anybody has begun, move {files.display_path(benchmark.assignments)} away to assign anew",
            param_hint="--annotators",
        )
    return AssignmentPlan(names, number, current, planned, rows)


def plan_text(plan: AssignmentPlan) -> str:
    numbers = {len(names) for names in plan.planned.values()} or {len(plan.names)}  # more, if assigned before
    by = " to ".join(map(str, sorted({min(numbers), max(numbers)})))
    return f"{format_table(plan.rows)}\nEach passage is labelled by {by}. Nothing was written or sent."


def make_suggester(workspace: Workspace, wanted: bool, required: bool) -> "Suggester | None":
    """Train the tagger for suggestions; None if they are not wanted, or not required and nothing is labelled yet."""
    from jinbench.annotation.gold import read_training_labels
    from jinbench.labelstudio.suggester import train_suggester

    if not wanted:
        return None
    try:
        labelled = read_training_labels(workspace)
    except DataError as error:
        if required or {problem.code for problem in error.problems} != {"passage-unlabelled"}:
            raise
        return None
    say(f"The tagger learns from {len(labelled)} labelled passages…")
    return train_suggester(workspace.seeds.articles, labelled)


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


def setup_text(record: dict[str, Any], file: str) -> str:
    keys = ("annotator", "articles", "passages", "characters", "created", "unchanged", "url")
    lines = [format_table([{key: project[key] for key in keys} for project in record["projects"]])]
    if record["new"]:
        lines += ["", f"New in {file}: {', '.join(record['new'])}. Say there who or what they are."]
    if record["suggestions"]:
        lines += ["", f"Passages come with suggestions of {record['suggestions']}: to be read as critically as any."]
    first = record["projects"][0]
    return "\n".join(
        [
            *lines,
            "",
            f"To label   1. Open {first['url']}, log in as {first['login']};",
            "              the passwords: jinbench labelstudio accounts --passwords",
            "           2. Press “Label All Tasks”, and read the instructions.",
            "           3. Press the key of a type and draw over the characters; tick sectors; press Submit.",
            "Then       jinbench annotate status     progress, agreement, type disagreements",
            "           jinbench annotate pull       their labels, checked, to annotation/exports/",
        ]
    )


@annotate_commands.command("status")
def annotate_status(ctx: typer.Context, annotator: ANNOTATOR = None, as_json: JSON = False) -> None:
    """Show progress, speed, agreement so far, and types on which annotators disagree.

    Counts are of assigned passages, as the server has them now. Speed is the median over passages labelled in the
    browser. Agreement is strict: the same characters and the same type.
    """
    from jinbench.labelstudio.progress import measure_progress
    from jinbench.labelstudio.server import client as clients

    benchmark = benchmark_of(ctx)
    workspace = Workspace(benchmark)
    names = select_annotators(benchmark, annotator, independent=True)
    progress_so_far = measure_progress(clients.connect(), workspace, names)
    emit(progress_so_far.to_dict(), as_json, lambda: progress_text(progress_so_far))


def progress_text(progress: TeamProgress) -> str:
    def shown(value: float | None) -> str:
        return "–" if value is None else f"{value:.0f}"

    lines = [
        format_table(
            [
                {
                    "annotator": person.annotator,
                    "done": person.submitted,
                    "of": person.passages,
                    "%": round(100 * person.submitted / person.passages) if person.passages else "–",
                    "skipped": person.skipped,
                    "drafts": person.drafts,
                    "left": person.left,
                    "characters/min": shown(person.characters_per_minute),
                    "s/passage": shown(person.seconds_per_passage),
                    "last": (person.last or ("–" if person.url else "no project yet"))[:16],
                }
                for person in progress.people
            ]
        )
    ]
    for person in progress.people:
        if person.problems:
            lines += ["", f"{person.annotator}: {len(person.problems)} to correct before agreement can be measured:"]
            lines += [*person.problems[:3]]
    if progress.pairs:
        lines += ["", "Agreement so far [95 % confidence interval]:"]
    for pair in progress.pairs:
        sectors = f", sectors {pair.sectors.micro.formatted}" if pair.sectors else ""
        lines.append(
            f"  {pair.first} and {pair.second}, {pair.passages} passages: F1 {pair.spans.micro.formatted}{sectors}"
        )
    if progress.type_disagreements:
        lines += ["", "Type disagreements, the worst first:"]
        lines += [
            f"  {person.name:14} F1 {person.f1:.3f}: {person.first} and {person.second}, {person.same} the same"
            + (f"; instead mostly {person.confused_with}" if person.confused_with else "")
            for person in progress.type_disagreements
        ]
    return "\n".join(lines)
