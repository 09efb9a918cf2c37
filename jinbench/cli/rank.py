"""Command: rank."""

from typing import Annotated

import typer

from jinbench.cli.common import JSON, commands, emit, say, writable_benchmark
from jinbench.core.benchmark import Benchmark


@commands.command()
def rank(
    ctx: typer.Context,
    errata_impact: Annotated[
        bool, typer.Option("--errata-impact", help="Say which ranks the errata move; write nothing.")
    ] = False,
    first: Annotated[
        int, typer.Option("--from", min=0, help="With --errata-impact: the old gold has the first so many errata.")
    ] = 0,
    as_json: JSON = False,
) -> None:
    """Score and rank all systems; write leaderboard/.

    index.html is the page to open: every table to sort and switch, every system's errors in context, any two side by
    side. It needs no server and no network. The same as Markdown and JSON: leaderboard.md and leaderboard.json.

    With --errata-impact every stored prediction is scored on the gold without its errata and with them.
    """
    from jinbench.core import files
    from jinbench.leaderboard.page import PAGE_FILE, build_page
    from jinbench.leaderboard.ranking import build_boards
    from jinbench.leaderboard.tables import format_markdown

    benchmark = writable_benchmark(ctx)
    if first and not errata_impact:
        raise typer.BadParameter("goes with --errata-impact", param_hint="--from")
    if errata_impact:
        print_errata_impact(benchmark, first, as_json)
        return
    boards = build_boards(benchmark)
    for name, text in build_page(benchmark, boards).items():
        files.write_text(benchmark.leaderboard / name, text)
    emit([board.to_dict() for board in boards], as_json, lambda: format_markdown(boards))
    if not as_json:
        say(f"Open {files.display_path(benchmark.leaderboard / PAGE_FILE)} in a browser.")


def print_errata_impact(benchmark: Benchmark, first: int, as_json: bool) -> None:
    """Print which ranks moved by the errata after the first so many."""
    from jinbench.annotation import errata
    from jinbench.leaderboard.rescore import rescore_systems

    if first > (count := len(errata.read_errata(benchmark))):
        raise typer.BadParameter(f"there are {count} errata", param_hint="--from")
    moves, (old, new) = rescore_systems(benchmark, first)
    moved = sum(move.moved for move in moves)
    lines = [f"gold {old} → {new}", *map(str, moves), f"{moved} of {len(moves)} ranks moved."]
    record = {"old": old, "new": new, "moves": [move.to_dict() for move in moves], "moved": moved}
    emit(record, as_json, lambda: "\n".join(lines))
