"""Command: check."""

import typer

from jinbench.cli.common import EXIT_DATA, JSON, benchmark_of, commands, echo, emit, to_dicts


@commands.command()
def check(ctx: typer.Context, as_json: JSON = False) -> None:
    """Run every check that needs no server.

    Pages, labeling config, exports, likely mistakes, dataset, results, documents.

    Exit code 1 if one of them fails. Each line names the command that does the check alone, or mends what it finds.
    """
    from jinbench.publish.check import check_benchmark

    results = []
    for result in check_benchmark(benchmark_of(ctx)):
        results.append(result)
        if not as_json:
            echo(str(result))
    failed = sum(not result.ok for result in results)
    emit(to_dicts(results), as_json, lambda: f"{len(results) - failed} of {len(results)} checks passed.")
    if failed:
        raise typer.Exit(EXIT_DATA)
