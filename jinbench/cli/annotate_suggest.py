"""Command: annotate suggest."""

import re
import time
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jinbench import annotation
from jinbench.cli.annotate import annotate_commands, select_annotators
from jinbench.cli.common import ANNOTATOR, DRY_RUN, JSON, emit, say, writable_benchmark
from jinbench.core.errors import ServerError

if TYPE_CHECKING:
    from jinbench.labelstudio.suggest import OpenTasks

FIRST = 10  # passages that are printed
SECONDS = {"s": 1, "m": 60, "h": 3600}


class By(StrEnum):
    """Order of the tasks that are left."""

    uncertainty = "uncertainty"
    order = "order"


def parse_duration(text: str) -> int:
    """Return the seconds of a duration such as 90s, 10m or 2h."""
    match = re.fullmatch(r"([1-9]\d{0,5})([smh])", text)
    if not match:
        raise typer.BadParameter(f"expected a duration such as 90s, 10m or 2h, found {text!r}")
    return int(match[1]) * SECONDS[match[2]]


@annotate_commands.command("suggest")
def annotate_suggest(
    ctx: typer.Context,
    annotator: ANNOTATOR = None,
    by: Annotated[
        By, typer.Option(help="uncertainty: what the tagger is least confident of first; order: as the pages are read.")
    ] = By.uncertainty,
    show: Annotated[
        bool | None, typer.Option("--show/--hide", help="Show suggestions. [default: not in independent passes]")
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(parser=parse_duration, metavar="10m", help="Repeat at this interval, until ended with Ctrl-C."),
    ] = None,
    dry_run: DRY_RUN = False,
    as_json: JSON = False,
) -> None:
    """Renew suggestions and the order of open passages.

    The tagger learns from what has been submitted so far (and from the gold, where there is one). Its suggestions and
    its confidence go to the open tasks of each annotator; what is least certain is handed out first. No passage gets
    suggestions from a model that has seen another annotator's labels in its story.

    Where passages are labelled by several, or for the gold, annotators get the order alone and see no suggestion: who
    labels with suggestions in sight agrees with the tagger more than with the text, and two who see the same ones agree
    with each other.

    Repeat it when more has been submitted, or let --every 10m do it. Safe to repeat and to cut off.
    """
    from jinbench.labelstudio import annotations, suggest
    from jinbench.labelstudio.server import client as clients

    workspace = annotation.Workspace(writable_benchmark(ctx))
    names = select_annotators(workspace.benchmark, annotator, independent=True)
    client = clients.connect()
    if annotator is None:
        names = [name for name in names if annotations.has_project(client, workspace.label_set, name)] or names

    def renew() -> None:
        results = suggest.suggest(
            client, workspace, names, show=show, by_uncertainty=by is By.uncertainty, dry_run=dry_run,
            say=say,
        )  # fmt: skip
        emit([to_record(tasks) for tasks in results], as_json, lambda: "\n".join(map(format_open_tasks, results)))

    if not every:
        renew()
        return
    try:
        while True:
            try:
                renew()
            except ServerError as error:  # it may be back the next time
                say(str(error))
            time.sleep(every)
    except KeyboardInterrupt:
        say("Ended. The suggestions and the order stay as they are.")


def to_record(tasks: "OpenTasks") -> dict[str, Any]:
    """Return the record for --json."""
    passages = [{"passage_id": id, "confidence": confidence} for id, confidence in tasks.passages]
    return asdict(tasks) | {"passages": passages}


def format_open_tasks(tasks: "OpenTasks") -> str:
    """Return the open passages of an annotator as a line each."""
    what = "suggestions and order" if tasks.shown else "the order alone, as the pass is independent"
    lines = [f"{tasks.annotator}: {len(tasks.passages)} passages to label ({what})"]
    shown = tasks.passages[:FIRST]
    lines += [f"  {'–' if value is None else f'{value:.3f}':<6}  {id}" for id, value in shown]
    if len(tasks.passages) > FIRST:
        lines.append(f"  and {len(tasks.passages) - FIRST} more: --json")
    return "\n".join(lines)
