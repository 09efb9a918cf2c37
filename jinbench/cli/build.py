"""Command: build."""

import csv
from typing import Annotated

import typer

from jinbench import annotation
from jinbench.cli.common import JSON, commands, echo, emit, progress, to_dicts, writable_benchmark
from jinbench.core.benchmark import Benchmark


@commands.command()
def build(
    ctx: typer.Context,
    everything: Annotated[
        bool, typer.Option("--all", help="Agreement, dataset, recipes, leaderboard and documents: whatever is stale.")
    ] = False,
    search_splits: Annotated[
        bool, typer.Option("--search-splits", help="Search for splits and folds and print them; build nothing.")
    ] = False,
    write: Annotated[
        bool,
        typer.Option("--write", help="With --search-splits: replace splits.csv. Scores made before do not compare."),
    ] = False,
    as_json: JSON = False,
) -> None:
    """Make dataset/ from the pages and the gold export. Scores and documents are made after it, from its items.

    With --all the chain agreement → dataset → recipes → leaderboard → card is made again where something before it has
    changed, and nothing else.
    """
    if (write and not search_splits) or (search_splits and everything):
        raise typer.BadParameter("--write goes with --search-splits, and --all with neither", param_hint="OPTIONS")
    benchmark = writable_benchmark(ctx)
    if search_splits:
        print_splits(benchmark, write, as_json)
    elif everything:
        build_all(benchmark, as_json)
    else:
        from jinbench.dataset.build import build_dataset, write_dataset

        built = build_dataset(benchmark)
        changed = write_dataset(built, benchmark.dataset)
        version, hash, spans = (
            built.manifest["version"],
            built.manifest["sha256"],
            sum(built.statistics["spans"].values()),
        )
        lines = [*(f"wrote dataset/{name}" for name in changed), f"dataset {version}, sha256 {hash[:8]}: {spans} spans"]
        lines += ["Next: jinbench build --all"] if changed else []
        record = {"version": version, "sha256": hash, "spans": spans, "wrote": list(changed)}
        emit(record, as_json, lambda: "\n".join(lines))


def build_all(benchmark: Benchmark, as_json: bool) -> None:
    """Rebuild what is stale, and print it as it comes."""
    from jinbench.publish.rebuild import rebuild

    results = []
    with progress() as step:
        for result in rebuild(benchmark, step):
            results.append(result)
            if not as_json:
                echo(str(result))
    emit(to_dicts(results), as_json, lambda: f"{sum(r.state == 'rebuilt' for r in results)} rebuilt.")


def print_splits(benchmark: Benchmark, write: bool, as_json: bool) -> None:
    """Search for splits and folds; print them, or replace splits.csv."""
    from jinbench.annotation.gold import read_gold
    from jinbench.core import files
    from jinbench.dataset import split_search

    workspace = annotation.Workspace(benchmark)
    gold = read_gold(workspace, ())  # an erratum moves no article
    with progress() as step:
        text = split_search.search_splits(workspace.seeds, gold, step=step)
    if write:
        files.write_text(benchmark.splits, text)
    emit([*csv.DictReader(text.splitlines())], as_json, text.rstrip)
