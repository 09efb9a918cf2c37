"""Command: reproduce."""

from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import EXIT_DATA, JSON, commands, echo, emit, progress, writable_benchmark


@commands.command()
def reproduce(
    ctx: typer.Context,
    folder: Annotated[
        Path | None, typer.Option(help="Where to make everything again. [default: build/reproduced]")
    ] = None,
    curves: Annotated[
        bool, typer.Option("--curves", help="Measure the learning curves again too, which takes some minutes.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Rebuild everything from the pages and compare.

    The main job is done again, with a Label Studio of its own, and compared with what is committed.
    """
    from dataclasses import asdict

    from jinbench import reproduce as job
    from jinbench.leaderboard.ranking import build_boards
    from jinbench.leaderboard.tables import format_markdown

    benchmark = writable_benchmark(ctx)
    target = folder or benchmark.root / "build" / "reproduced"
    checks = []
    with progress() as step:
        for check in job.reproduce(benchmark, target.resolve(), step, curves):
            checks.append(check)
            if not as_json:
                echo(str(check))
    failed = sum(check.status == job.FAIL for check in checks)
    counts = {status: sum(check.status == status for check in checks) for status in (job.OK, job.OKISH, job.FAIL)}
    emit(
        [asdict(check) for check in checks],
        as_json,
        lambda: (
            "\n"
            + format_markdown(build_boards(benchmark))
            + "\n"
            + ", ".join(f"{count} [{status}]" for status, count in counts.items())
            + f". Made again in {target}."
        ),
    )
    if failed:
        raise typer.Exit(EXIT_DATA)
