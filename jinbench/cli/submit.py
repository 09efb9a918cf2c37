"""Command: submit."""

from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import DRY_RUN, JSON, benchmark_of, commands, emit, format_table, writable_benchmark
from jinbench.cli.score import REPAIR, SCHEME, UNIT
from jinbench.core.benchmark import Benchmark


@commands.command()
def submit(
    ctx: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="system.toml and predictions. Its name is the id.")
    ] = None,
    template: Annotated[
        bool, typer.Option("--template", help="Print an example of each file; DIR may be ner, sector or system.")
    ] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of each file instead.")] = False,
    dry_run: DRY_RUN = False,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of the entry that has this id.")] = False,
    scheme: SCHEME = "BIO",
    repair: REPAIR = None,
    unit: UNIT = "character",
    as_json: JSON = False,
) -> None:
    """Check and score an entry, and enter it.

    It is copied to leaderboard/entries/. With --dry-run it is not, and the rank is told that it would have. Tags that
    are read with --scheme, --repair or --unit are stored as spans.

    \b
    DIR holds
      system.toml                                    what the system is: jinbench submit --template system
      predictions.jsonl                              for the task and split that system.toml names, or
      predictions-<task>[-<crosswalk>]-<split>.jsonl one for each leaderboard table, as jinbench run leaves them

    Every problem of every file is printed at once, with its line. An item without a prediction is no error: it counts
    as wrong. What else lies in DIR is named, and not copied. An entry that lies in leaderboard/entries is only checked.

    With the package alone, outside a benchmark's folder: jinbench submit DIR --dry-run.
    """
    from jinbench.core import files
    from jinbench.core.benchmark import is_installed
    from jinbench.leaderboard import submission
    from jinbench.scoring import score
    from jinbench.scoring.predictions import TagOptions

    if template or schema:
        print_format(benchmark_of(ctx), str(folder) if folder else None, schema)
        return
    if folder is None:
        raise typer.BadParameter("name the folder of the entry; what it holds: --template", param_hint="DIR")
    benchmark = benchmark_of(ctx) if dry_run else writable_benchmark(ctx)
    done = submission.submit(benchmark, folder, replace, dry_run, TagOptions(scheme, repair, unit))
    system, parts = done.checked.entry.system, done.checked.files
    scores = [score.score_predictions(part.gold, part.predictions) for part in parts]
    boards = submission.rank_entry(benchmark, done.checked) if dry_run else []
    places = [board.describe_place(system.id) for board in boards]
    target = files.display_path(done.folder)
    states = {
        "checked": f"It lies in {target} and is in order.",
        "the same": f"Nothing to do: {target} is the same.",
        "new": f"It would go to {target}; nothing was written." if dry_run else f"Copied to {target}.",
        "replaced": f"It would replace {target}; nothing was written." if dry_run else f"Replaced {target}.",
    }

    alone = is_installed(benchmark)  # nothing can be entered there

    def text() -> str:
        table = [
            {"board": part.title, "items": part.items, "predicted": part.predicted, "missing": part.missing}
            for part in parts
        ]
        lines = [f"{system.id}: {system.name}", "", format_table(table), ""]
        for part, result, place in zip_longest(parts, scores, places):
            lines.append(result.headline)
            if place:
                lines.append(f"It would be {place}.".replace("be no rank", "have no rank"))
            if part.missing:
                labels = "mentions" if part.gold.task == "ner" else "sectors"
                lines.append(
                    f"{part.missing:,} of {part.items:,} items have no prediction: each of their {labels} counts as "
                    f"missed ({part.path.name})"
                )
            if part.narrower_split:
                lines.append(f"All of them are items of the split {part.narrower_split}: is the file for that?")
        lines += ["", *(f"Not read and not copied: {name}" for name in done.checked.entry.ignored)]
        if alone:
            lines.append("It is in order; nothing was written.")
            lines.append(f"Next, to enter it: in a checkout of the benchmark, jinbench submit {folder.absolute()}")
            return "\n".join(lines)
        lines.append(states[done.state])
        again = f"jinbench submit {folder}{' --replace' if done.state == 'replaced' else ''}"
        would = dry_run and done.state in ("new", "replaced")
        lines.append(f"Next: {again if would else 'jinbench rank'}")
        return "\n".join(lines)

    record = {
        "system": asdict(system),
        "files": [
            {
                "file": part.path.name,
                "task": part.board[0],
                "split": part.board[1],
                "crosswalk": part.board[2],
                "items": part.items,
                "predicted": part.predicted,
                "missing": part.missing,
                "all_of_split": part.narrower_split,
                "score": result.to_dict(),
                "place": place,
            }
            for part, result, place in zip_longest(parts, scores, places)
        ],
        "ignored": done.checked.entry.ignored,
        "folder": None if alone else target,
        "state": done.state,
        "written": not dry_run and done.state in ("new", "replaced"),
    }
    emit(record, as_json, text)


def print_format(benchmark: Benchmark, what: str | None, as_schema: bool) -> None:
    """Print the format of predictions and system.toml, as examples or as JSON Schema."""
    from jinbench.leaderboard import entry_format

    if what not in (None, *entry_format.KINDS):
        raise typer.BadParameter(f"one of {', '.join(entry_format.KINDS)}", param_hint="DIR")
    chosen = entry_format.KINDS if what is None else (what,)
    schemas = {kind: entry_format.build_schema(benchmark, kind) for kind in chosen}
    text = "\n\n".join(entry_format.describe_format(benchmark, kind) for kind in chosen)
    emit(schemas[what] if what else schemas, as_schema, lambda: text)
