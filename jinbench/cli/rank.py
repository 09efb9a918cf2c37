"""Command: rank."""

from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import JSON, benchmark_of, commands, emit, say
from jinbench.cli.score import CROSSWALK, SPLIT, TASK
from jinbench.core.benchmark import Benchmark, is_installed


@commands.command()
def rank(
    ctx: typer.Context,
    errata_impact: Annotated[
        bool, typer.Option("--errata-impact", help="Say which ranks the errata move; write nothing.")
    ] = False,
    extra: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="FILE", help="Rank these predictions with the stored ones; may be repeated."),
    ] = None,
    task: TASK = "ner",
    on: SPLIT = "test",
    crosswalk: CROSSWALK = "",
    out: Annotated[Path | None, typer.Option(help="Write the page to this file, and nothing else.")] = None,
    first: Annotated[
        int, typer.Option("--from", min=0, help="With --errata-impact: the old gold has the first so many errata.")
    ] = 0,
    as_json: JSON = False,
) -> None:
    """Score and rank all systems; write leaderboard/.

    index.html is the page to open: every table to sort and switch, every system's errors in context, any two side by
    side. It needs no server and no network. The same as Markdown and JSON: leaderboard.md and leaderboard.json.

    With --with the one table of --task, --split and --crosswalk is printed, and --out writes a page of it; nothing is
    written into the benchmark. Nor is it with the package alone, where there is no folder of a benchmark.

    With --errata-impact every stored prediction is scored on the gold without its errata and with them.
    """
    from jinbench.core import files
    from jinbench.leaderboard.page import PAGE_FILE, build_page
    from jinbench.leaderboard.ranking import build_board, build_boards
    from jinbench.leaderboard.tables import format_markdown

    benchmark = benchmark_of(ctx)
    if first and not errata_impact:
        raise typer.BadParameter("goes with --errata-impact", param_hint="--from")
    if not extra and (task, on, crosswalk) != ("ner", "test", ""):
        raise typer.BadParameter("goes with --with", param_hint="--task, --split, --crosswalk")
    if errata_impact:
        if extra or out:
            raise typer.BadParameter("goes without --with and --out", param_hint="--errata-impact")
        print_errata_impact(benchmark, first, as_json)
        return
    if extra:
        outputs = {name: Path(name) for name in extra}
        boards = [build_board(benchmark, task, on, crosswalk, extra=outputs)]
    else:
        boards = build_boards(benchmark)
    pages = build_page(benchmark, boards)
    page = out
    if out:
        files.write_text(out, pages[PAGE_FILE])
    elif not extra and not is_installed(benchmark):
        page = benchmark.leaderboard / PAGE_FILE
        for name, text in pages.items():
            files.write_text(benchmark.leaderboard / name, text)
    emit([board.to_dict() for board in boards], as_json, lambda: format_markdown(boards))
    if not as_json:
        say(f"Open {files.display_path(page)} in a browser." if page else "Nothing was written; a page: --out FILE")


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
