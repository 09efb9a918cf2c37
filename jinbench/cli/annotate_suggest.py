"""Commands: annotate assist, next."""

import json
import os
from enum import StrEnum
from typing import Annotated, Any

import typer

from jinbench.annotation.workspace import Workspace
from jinbench.cli.annotate import annotate_commands, select_annotators
from jinbench.cli.common import ANNOTATOR, JSON, emit, say, writable_benchmark
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import ServerError

GOLD = "--even-for-gold"


class By(StrEnum):
    """Order of the tasks that are left."""

    uncertainty = "uncertainty"
    order = "order"


def suggestable_annotators(benchmark: Benchmark, chosen: list[str] | None, even_for_gold: bool) -> list[str]:
    """The annotators who may be helped: those whose labels are no part of the gold, unless that is wanted.

    Raises :class:`DataError` (unknown-id), and BadParameter with what to type.
    """
    from jinbench.annotation.annotators import read_annotators

    listed = read_annotators(benchmark)
    names = list(dict.fromkeys(select_annotators(benchmark, chosen)))
    if chosen is None:
        names = [
            name for name in names if not listed.adjudicated_by(name)
        ]  # who decides has the readings to start from
    blind = [name for name in names if listed.is_gold_source(name)]
    if even_for_gold or not blind:
        return names
    if chosen is None and len(blind) < len(names):
        return [name for name in names if name not in blind]
    raise typer.BadParameter(
        f"the gold is made from the labels of {', '.join(blind)}. Whoever labels with suggestions in sight agrees with "
        f"the tagger more than with the text, and two who see the same ones agree with each other. If that is wanted: "
        f"{GOLD}",
        param_hint="--annotator",
    )


@annotate_commands.command("assist")
def annotate_assist(
    ctx: typer.Context,
    annotator: Annotated[
        list[str] | None,
        typer.Option("--annotator", "-a", help="Whose project; may be repeated. [default: all but those for the gold]"),
    ] = None,
    even_for_gold: Annotated[
        bool, typer.Option(GOLD, help="Also for annotators whose labels the gold is made from.")
    ] = False,
    port: Annotated[
        int | None, typer.Option(help="The port to try first. [default: the last one, else any]", min=1, max=65535)
    ] = None,
    as_json: JSON = False,
) -> None:
    """Suggest entities while people label, and learn from what they submit, until ended with Ctrl-C.

    The backend runs on this machine alone and answers only the Label Studio for which it was started: it registers
    itself in the project of each annotator, with a secret. From then on every passage that is opened there comes with
    the suggestions of our tagger to correct. At first it knows nothing and suggests nothing. After each passage that is
    submitted it learns anew in the background, from the submitted passages of these projects; with several
    annotators, what one has said about a story never comes into what another is shown of it.

    It may be killed and started again at any time: port, secret and the last model are kept in the home of Label
    Studio (`jinbench labelstudio status`). While it does not run, passages are opened without suggestions.

    With --json it prints one line when it is up: {"url", "pid", "model_version", "projects"}.
    """
    from jinbench.labelstudio.server import address
    from jinbench.labelstudio.server.client import connect
    from jinbench.labelstudio.suggest import ml_backend
    from jinbench.labelstudio.suggest.ml_backend import BackendAddress

    benchmark = writable_benchmark(ctx)
    names = suggestable_annotators(benchmark, annotator, even_for_gold)
    workspace = Workspace(benchmark)

    def ready(place: BackendAddress, numbers: dict[str, int], version: str) -> None:
        record: dict[str, Any] = {"url": place.url, "pid": os.getpid(), "model_version": version, "projects": numbers}
        listed = ", ".join(f"{name} (project {number})" for name, number in numbers.items())
        text = f"Suggestions for {listed} from {place.url}. Model: {version}. End with Ctrl-C."
        typer.echo(json.dumps(record, ensure_ascii=False) if as_json else text)

    url = address.remote_url()
    if url and not address.is_loopback(url):
        raise ServerError(f"The backend listens on this machine alone, where {url} cannot reach it. Run both on one.")
    try:
        ml_backend.serve_backend(connect(), workspace, names, ready, say, port)
    except KeyboardInterrupt:
        say("Ended. Passages are opened without suggestions until it is started again.")


@annotate_commands.command("next")
def annotate_next(
    ctx: typer.Context,
    annotator: ANNOTATOR = None,
    by: Annotated[
        By, typer.Option(help="uncertainty: what the tagger is least sure of first; order: as the pages are read.")
    ] = By.uncertainty,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the order; change nothing.")] = False,
    as_json: JSON = False,
) -> None:
    """Order the passages that an annotator still has to label: first those that teach our tagger most.

    The tagger learns from the gold, or else from what has been pulled, and says how certain it is of each passage. That
    number alone goes to Label Studio; no suggestion is shown or filled in, so it does not touch a blind pass. Repeat
    it after each `annotate pull`. `--by order` brings the reading order back. Safe to repeat.
    """
    from dataclasses import asdict

    from jinbench.annotation.gold import read_training_labels
    from jinbench.labelstudio import annotations
    from jinbench.labelstudio.server import client as clients
    from jinbench.labelstudio.suggest import task_order
    from jinbench.labelstudio.suggest.suggestions import train_suggester

    benchmark = writable_benchmark(ctx)
    workspace = Workspace(benchmark)
    names = select_annotators(benchmark, annotator, independent=True)
    version, suggestions = "", None
    if by is By.uncertainty:
        known = read_training_labels(workspace)
        client = clients.connect()  # before the work: without a server it is in vain
        suggester = train_suggester(workspace.seeds.articles, known)
        version, suggestions = suggester.version, suggester.suggest(workspace.seeds.passages())
    else:
        client = clients.connect()
    results, lines = [], []
    if annotator is None:
        names = [name for name in names if annotations.has_project(client, workspace.label_set, name)] or names
    for name in names:
        queue = task_order.plan_order(client, workspace.label_set, name, suggestions)
        if not dry_run and by is By.uncertainty:
            queue = task_order.order_by_uncertainty(client, queue, version)
        elif not dry_run:
            queue = task_order.order_by_reading(client, queue)
        rows = [{"passage_id": id, "certainty": certainty} for id, certainty in queue.passages]
        results.append(asdict(queue) | {"by": by.value, "version": version or None, "passages": rows})
        if dry_run:
            lines += [f"{name}:", *(f"  {c if c is not None else '–':<8}  {id}" for id, c in queue.passages)]
        else:
            first = ", ".join(id for id, _ in queue.passages[:5]) or "none"
            lines.append(f"{name}: {len(queue.passages)} passages left to label; the first: {first}")
    emit(results, as_json, lambda: "\n".join(lines))
