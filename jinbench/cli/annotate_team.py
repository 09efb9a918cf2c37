"""The commands for a team: annotate desk, status."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jinbench.annotation.workspace import Workspace
from jinbench.cli.annotate import annotate_commands, names_of
from jinbench.cli.common import ANNOTATOR, JSON, columns, emit, progress, rooms, say, workshop
from jinbench.core.benchmark import Benchmark, packaged_benchmark
from jinbench.core.errors import DataError
from jinbench.labelstudio.progress import TeamProgress
from jinbench.seeds.articles import Seeds

if TYPE_CHECKING:
    from jinbench.annotation.assignments import Assignments
    from jinbench.labelstudio.suggest.suggestions import Suggester

# What a mail address may begin with, as the login is one, and short enough for the title of a project.
_NAME = re.compile(r"(?=.{1,30}$)[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")


@annotate_commands.command("desk")
def annotate_desk(
    ctx: typer.Context,
    annotators: Annotated[
        str | None,
        typer.Option(help="Who labels, as a,b,c. [default: those of shares.csv, else of annotators.toml]"),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(help="How many label each passage. [default: as dealt; else 2, or 1 for one alone]", min=1),
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the shares; write and send nothing.")] = False,
    as_json: JSON = False,
) -> None:
    """Make everything ready for a team: accounts, a project for each with its share, and the instructions.

    Starts Label Studio where none is running. Whole articles go to `--overlap` annotators each, so that all have about
    as much to read and every two have something in common; annotation/shares.csv keeps who has what, and what was
    dealt once stays dealt. Names that annotators.toml does not have are added to it. Safe to repeat.

    Suggestions save time and bend labels: two who see the same ones agree with each other more than with the text. So
    where passages are labelled twice, or for the gold, there are none unless --suggest asks for them.

    In an empty folder it begins with a small example: a page, a label set and guidelines, to be replaced by yours.
    """
    from dataclasses import asdict

    from jinbench.annotation.annotators import add_annotators, read_annotators
    from jinbench.annotation.assignments import assigned_passages, write_assignments
    from jinbench.core import files
    from jinbench.labelstudio import projects, push
    from jinbench.labelstudio.server import accounts, address, process
    from jinbench.labelstudio.server.client import connect, ensure_member
    from jinbench.models.active_learning import MODEL_PREFIX

    chosen, where = _names(annotators), _place(ctx, dry_run)
    workspace = Workspace(where)
    plan = _plan(where, workspace.seeds, chosen, overlap)
    if dry_run:
        emit({"overlap": plan.overlap, "shares": plan.rows}, as_json, lambda: _planned(plan))
        return
    new = add_annotators(where, workspace.label_set, plan.names, kind)
    if plan.dealt != plan.given:
        write_assignments(where, plan.dealt)
    listed = read_annotators(where)
    blind = plan.overlap > 1 or any(map(listed.is_gold_source, plan.names))
    suggester = _suggester(workspace, not blind if suggest is None else suggest, bool(suggest))
    if not address.remote_url():
        process.start_server(say=say)
    client = connect()
    results = []
    for name, row in zip(plan.names, plan.rows, strict=True):
        ensure_member(name)
        share = assigned_passages(plan.dealt, workspace.seeds, name)
        ids = None if share is None else set(share)
        mine = [passage for passage in workspace.seeds.passages() if ids is None or passage.id in ids]
        suggestions, version = (suggester.suggest(mine), suggester.version) if suggester else ({}, "")
        with progress() as step:
            counted = projects.to_progress(step, f"desk of {name}", len(mine))
            done = push.push_passages(
                client, workspace, name, counted,
                share=share, suggestions=suggestions, model_version=version,
            )  # fmt: skip
        if not suggester:  # what an earlier desk showed would bend a blind pass
            push.withdraw_suggestions(client, done.project, MODEL_PREFIX)
        results.append(row | {"login": accounts.find_login(name, address.remote_url())} | asdict(done))
    record = {"url": str(client._client_wrapper.get_base_url()), "overlap": plan.overlap, "new": new,
              "desks": results, "suggestions": suggester.version if suggester else None}  # fmt: skip
    file, unheard = files.display_path(where.annotators), [name for name in plan.names if not listed.is_gold_source(name)]
    if unheard:
        names = ", ".join(unheard)
        say(f"The gold ({listed.gold}) takes nothing from {names}: adjudicates = […] in {file} says from whom.")
    emit(record, as_json, lambda: _told(record, file))


@dataclass(frozen=True)
class Plan:
    """Who is to label what: `given` is how articles are dealt so far, `dealt` how they will be; a row for each name."""

    names: list[str]
    overlap: int
    given: "Assignments"
    dealt: "Assignments"
    rows: list[dict[str, object]]


def _plan(benchmark: Benchmark, seed: Seeds, chosen: list[str], overlap: int | None) -> Plan:
    """Raises BadParameter for what cannot be, before anything is written; :class:`DataError` for what is broken."""
    from jinbench.annotation import annotators
    from jinbench.annotation.annotators import ADJUDICATOR
    from jinbench.annotation.assignments import assign_articles, read_assignments, summarize_assignments
    from jinbench.core import files

    known = annotators.read_annotators(benchmark) if benchmark.annotators.is_file() else None
    given = read_assignments(benchmark, seed) if known else {}
    names = chosen
    if not names:
        blind = [entry.name for entry in known.independent] if known else ["annotator-a"]
        having = {name for names in given.values() for name in names}
        names = [name for name in blind if name in having] or blind
    same = annotators.find_login_clash((*(known.names if known else ()), *names))
    if same:
        raise typer.BadParameter(f"{' and '.join(same)} would be one login", param_hint="--annotators")
    if known:
        names_of(benchmark, [name for name in names if name in known.names], blind=True)
    elif len(names) > 1 and ADJUDICATOR in names:
        raise typer.BadParameter(f"{ADJUDICATOR} will decide between them", param_hint="--annotators")
    number = overlap or max(map(len, given.values()), default=0) or min(2, len(names))
    if number > len(names):
        raise typer.BadParameter(f"{number} of {len(names)} annotators", param_hint="--overlap")
    dealt = given
    if given or chosen or overlap or not known:  # the annotators of a benchmark without shares label everything
        dealt = assign_articles(seed.articles, names, number, given)
    rows = summarize_assignments(dealt, seed, names)
    idle = [str(row["annotator"]) for row in rows if not row["articles"]]
    if idle:
        raise typer.BadParameter(
            f"nothing is left for {', '.join(idle)}: every passage has {number} annotators. Raise --overlap; or, "
            f"before anybody has begun, move {files.display_path(benchmark.assignments)} away to deal anew",
            param_hint="--annotators",
        )
    return Plan(names, number, given, dealt, rows)


def _planned(plan: Plan) -> str:
    numbers = {len(names) for names in plan.dealt.values()} or {len(plan.names)}  # more, where it was dealt before
    by = " to ".join(map(str, sorted({min(numbers), max(numbers)})))
    return f"{columns(plan.rows)}\nEach passage is labelled by {by}. Nothing was written or sent."


def _suggester(workspace: Workspace, wanted: bool, asked: bool) -> "Suggester | None":
    """What is to suggest, if anything. Raises :class:`DataError` (passage-unlabelled) if `asked` for in vain."""
    from jinbench.annotation.gold import read_training_labels
    from jinbench.labelstudio.suggest.suggestions import train_suggester

    if not wanted:
        return None
    try:
        known = read_training_labels(workspace)
    except DataError as error:
        if asked or {problem.code for problem in error.problems} != {"passage-unlabelled"}:
            raise
        return None
    say(f"The tagger learns from {len(known)} labelled passages…")
    return train_suggester(workspace.seeds.articles, known)


def _names(text: str | None) -> list[str]:
    from jinbench.labelstudio.server import accounts

    names = [name.strip() for name in text.split(",")] if text is not None else []
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong:
        expected = "names of at most 30 letters, digits, and hyphens or single dots between them, as a,b,c"
        raise typer.BadParameter(f"{expected}; found {wrong[0]!r}", param_hint="--annotators")
    if accounts.ADMIN in map(str.lower, names):
        raise typer.BadParameter(f"{accounts.ADMIN} is the administrator of the server", param_hint="--annotators")
    return list(dict.fromkeys(names))


def _place(ctx: typer.Context, dry_run: bool) -> Benchmark:
    """The benchmark; where there is none, an example in the current folder, or in the one that was named."""
    from jinbench import scaffold

    where = rooms(ctx)
    named = ctx.find_root().params.get("root") or os.environ.get("JINBENCH_ROOT")
    elsewhere = where == packaged_benchmark() and where.root not in (Path.cwd(), *Path.cwd().parents)
    if where.labels.is_file() and (named or not elsewhere):
        return workshop(ctx)
    folder = where.root if named else Path.cwd()
    if dry_run:
        say(f"There is no benchmark in {folder}. Without --dry-run an example would be written there.")
        raise typer.Exit
    where = scaffold.create_benchmark(folder, example=True)
    say(f"An example to begin with is in {where.root}. README.md there says how to go on with yours.")
    return where


def _told(record: dict[str, Any], file: str) -> str:
    keys = ("annotator", "articles", "passages", "characters", "created", "unchanged", "url")
    lines = [columns([{key: desk[key] for key in keys} for desk in record["desks"]])]
    if record["new"]:
        lines += ["", f"New in {file}: {', '.join(record['new'])}. Say there who or what they are."]
    if record["suggestions"]:
        lines += ["", f"Passages come with suggestions of {record['suggestions']}: to be read as critically as any."]
    first = record["desks"][0]
    return "\n".join(
        [
            *lines,
            "",
            f"To label   1. Open {first['url']}, log in as {first['login']};",
            "              the passwords: jinbench labelstudio accounts --passwords",
            "           2. Press “Label All Tasks”, and read the instructions.",
            "           3. Press the key of a type and draw over the characters; tick sectors; press Submit.",
            "Then       jinbench annotate status     how far everybody is, and where two differ",
            "           jinbench annotate pull       their labels, checked, to annotation/exports/",
        ]
    )


@annotate_commands.command("status")
def annotate_status(ctx: typer.Context, annotator: ANNOTATOR = None, as_json: JSON = False) -> None:
    """Say how far everybody is, how fast, how well those agree who labelled the same, and on which types they do not.

    Counts are passages of each one's share, as the server has them now. Speed is the median over passages that were
    labelled in the browser. Agreement is strict: the same characters and the same type.
    """
    from jinbench.labelstudio.progress import measure_progress
    from jinbench.labelstudio.server import client as clients

    where = rooms(ctx)
    workspace = Workspace(where)
    names = names_of(where, annotator, blind=True)
    found = measure_progress(clients.connect(), workspace, names)
    emit(found.to_dict(), as_json, lambda: _overview(found))


def _overview(found: TeamProgress) -> str:
    def shown(value: float | None) -> str:
        return "–" if value is None else f"{value:.0f}"

    lines = [
        columns(
            [
                {
                    "annotator": each.annotator,
                    "done": each.submitted,
                    "of": each.passages,
                    "%": round(100 * each.submitted / each.passages) if each.passages else "–",
                    "skipped": each.skipped,
                    "drafts": each.drafts,
                    "left": each.left,
                    "characters/min": shown(each.characters_per_minute),
                    "s/passage": shown(each.seconds_per_passage),
                    "last": (each.last or ("–" if each.url else "no project yet"))[:16],
                }
                for each in found.people
            ]
        )
    ]
    for each in found.people:
        if each.problems:
            lines += ["", f"{each.annotator}: {len(each.problems)} to mend, then the agreement can be measured:"]
            lines += [*each.problems[:3]]
    if found.pairs:
        lines += ["", "Agreement so far [95 % interval]:"]
    for pair in found.pairs:
        sectors = f", sectors {pair.sectors.micro.formatted}" if pair.sectors else ""
        lines.append(
            f"  {pair.first} and {pair.second}, {pair.passages} passages: F1 {pair.spans.micro.formatted}{sectors}"
        )
    if found.drifts:
        lines += ["", "Types on which they differ, the worst first:"]
        lines += [
            f"  {each.name:14} F1 {each.f1:.3f}: {each.first} and {each.second}, {each.same} the same"
            + (f"; instead mostly {each.mostly}" if each.mostly else "")
            for each in found.drifts
        ]
    return "\n".join(lines)
