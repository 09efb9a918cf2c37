"""Command: process."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from jinbench.cli.common import JSON, benchmark_of, commands, emit, progress, say
from jinbench.core.environment import require_packages

_input, _step, _dask = (partial(typer.Option, rich_help_panel=panel) for panel in ("Input", "Steps", "Dask"))


@commands.command()
def process(
    ctx: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="JSON Lines, Parquet, text files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the results; a run that was stopped goes on in it.")],
    field: Annotated[str, _input(help="The field that holds the text.")] = "text",
    block: Annotated[float, _input(min=0.01, max=256.0, help="Megabytes of input in a task.")] = 2.0,
    strict: Annotated[bool, _input(help="Write nothing if anything in the input cannot be used.")] = False,
    repair: Annotated[list[str] | None, _step(help="As in articles.toml: spacing, script:t2s … Repeatable.")] = None,
    tagging: Annotated[bool, _step("--tagging/--no-tagging", help="Look for entities.")] = True,
    similar: Annotated[float, _step(min=0.3, max=1.0, help="Resemblance of near duplicates, at least.")] = 0.7,
    select: Annotated[int, _step(min=0, help="How many passages to select for labelling.")] = 100,
    workers: Annotated[int | None, _dask(min=1, help="Processes. [default: one for each core]")] = None,
    scheduler: Annotated[str | None, _dask(help="tcp://HOST:PORT of a cluster. [default: this machine]")] = None,
    as_json: JSON = False,
) -> None:
    """Clean, tag and select from any number of articles.

    Clean, cut, tag, find near duplicates, and select what is worth labelling.

    Dask does the work: on all cores, or on a cluster, whose workers must all see the files and the folder. However it
    is done, and however often it was stopped: the same command on the same input writes the same bytes, and goes on
    where it was. Other settings want another folder. The tagger learns from the gold of the benchmark (--root).

    The folder gets data/*.parquet, duplicates.parquet, selected.jsonl, problems.jsonl and summary.json: docs/scale.md.
    """
    require_packages("dask", "distributed")
    from jinbench.scale import Settings, pipeline

    if scheduler and workers:
        raise typer.BadParameter("the cluster has the workers that it has", param_hint="--workers")
    settings = Settings(field, tuple(repair or ()), tagging, select if tagging else 0, similar, int(block * 2**20))
    try:
        with progress() as step:
            summary = pipeline.process(paths, out, benchmark_of(ctx), settings, workers=workers, scheduler=scheduler,
                                       strict=strict, progress=step)  # fmt: skip
    except KeyboardInterrupt:
        say(f"Stopped. {pipeline.RESUME_HINT}")
        raise typer.Exit(130) from None
    emit(summary, as_json, lambda: summary_text(summary, out))


def summary_text(summary: dict[str, Any], out: Path) -> str:
    near, skipped = summary["near_duplicates"], summary["skipped"]
    return "\n".join([
        f"{summary['articles']:,} articles, {summary['empty']:,} of them empty",
        f"{summary['passages']:,} passages, {summary['characters']:,} characters, {summary['spans']:,} entities",
        f"{near['pairs']:,} pairs of near duplicates: {near['passages']:,} passages in {near['families']:,} families",
        f"{summary['like_labelled']:,} passages nearly repeat what is labelled already",
        *[f"left out: {count:,} {code}: see {out}/problems.jsonl" for code, count in skipped.items()],
        f"selected for labelling: {summary['selected']:,}. All of it is in {out}/.",
        *([f"Next: jinbench seeds add {out}/selected.jsonl"] if summary["selected"] else []),
    ])  # fmt: skip
