"""Command: annotate sheet."""

from typing import Annotated

import typer

from jinbench import annotation
from jinbench.cli.annotate import annotate_commands
from jinbench.cli.common import benchmark_of, emit


@annotate_commands.command("sheet")
def annotate_sheet(
    ctx: typer.Context,
    adjudicate: Annotated[
        bool, typer.Option("--adjudicate", help="Only passages on which annotators differ, with their readings.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list instead of JSON Lines.")] = False,
) -> None:
    """Print all passages to mark up in a text editor.

    JSON Lines with inline markup, [surface|TYPE], also for a model.
    """
    from jinbench.annotation import adjudication, markup
    from jinbench.core import files

    workspace = annotation.Workspace(benchmark_of(ctx))
    if not adjudicate:
        rows = [
            {"id": p.id, "title": a.title, "marked": p.text, "sectors": []}
            for a in workspace.seeds.articles
            for p in a.passages
        ]
        emit(rows, as_json, files.dump_jsonl(rows).rstrip)
        return
    adjudicator = workspace.annotators.gold
    readings = adjudication.labels_to_adjudicate(workspace, adjudicator)
    disagreements = adjudication.find_open_disagreements(workspace, readings)
    common = adjudication.begin_decisions(readings, disagreements, adjudicator)
    begun = {item.passage_id: common[item.passage_id] for item in disagreements}
    texts = {passage.id: passage.text for passage in workspace.seeds.passages()}
    to_decide = [
        {
            "id": id,
            "marked": markup.to_markup(texts[id], entry.spans),
            "sectors": list(entry.sectors),
            "reasons": list(entry.reasons),
            "readings": {
                name: {"marked": markup.to_markup(texts[id], found[id].spans), "sectors": list(found[id].sectors)}
                for name, found in readings.items()
                if id in found
            },
        }
        for id, entry in begun.items()
    ]
    emit(to_decide, as_json, files.dump_jsonl(to_decide).rstrip)
