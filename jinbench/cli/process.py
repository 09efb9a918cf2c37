"""Command: process."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jinbench.cli.common import JSON, benchmark_of, emit, progress, say

commands = typer.Typer()

STOPPED = 130  # what a shell takes for ended by Ctrl-C


@commands.command()
def process(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="JSON Lines, Parquet, text files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the results; a run that was stopped goes on in it.")],
    field: Annotated[str, typer.Option(help="The field that holds the text.")] = "text",
    id_field: Annotated[str | None, typer.Option(help="The field that holds an id. [default: id, if any]")] = None,
    title_field: Annotated[str | None, typer.Option(help="The field with a title. [default: title, if any]")] = None,
    repair: Annotated[
        list[str] | None,
        typer.Option(help="A repair, as in articles.toml: spacing, quotes, pinyin, script:t2s … May be repeated."),
    ] = None,
    tagging: Annotated[bool, typer.Option("--tagging/--no-tagging", help="Look for entities.")] = True,
    select: Annotated[int, typer.Option(min=0, help="How many passages to select for labelling.")] = 100,
    similar: Annotated[float, typer.Option(min=0.3, max=1.0, help="Resemblance of near duplicates, at least.")] = 0.7,
    block: Annotated[float, typer.Option(min=0.01, max=4096.0, help="Megabytes of input in a block.")] = 2.0,
    memory: Annotated[int, typer.Option(min=1, max=2**16, help="Megabytes of hashes in a partition.")] = 8,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. [default: one for each core]")] = None,
    engine: Annotated[str, typer.Option(help="local: processes of this machine; dask: a Dask cluster.")] = "local",
    scheduler: Annotated[
        str | None, typer.Option(help="With dask: tcp://HOST:PORT. [default: a cluster on this machine alone]")
    ] = None,
    strict: Annotated[bool, typer.Option(help="Write nothing if anything in the input cannot be used.")] = False,
    as_json: JSON = False,
) -> None:
    """Take any number of articles: clean, cut, tag, find near duplicates, and select what is worth labelling.

    Articles are read a block at a time, and blocks are done by all cores, or by the workers of a Dask cluster, who must
    all see the files and the folder. However it is done, and however often it was stopped: the same command on the
    same input writes the same bytes, and goes on where it was. Other settings want another folder.

    \b
    In the folder:
      data/*.parquet        passages, with sentences, entities, chances: datasets.load_dataset(DIR) loads them
      duplicates.parquet    pairs of passages that nearly repeat each other, compared exactly, and their families
      selected.jsonl        what the tagger is least certain of, one of each family, nothing that is labelled already;
                            then: jinbench seeds add DIR/selected.jsonl
      problems.jsonl        what was left out, with its line, and why
      summary.json          counts, settings, versions

    The tagger learns from the gold of the benchmark (--root). How it grows, and what to do for a billion articles:
    docs/scale.md.
    """
    from jinbench.scale import executors, pipeline
    from jinbench.scale.readers import FieldNames
    from jinbench.scale.stages import Settings

    if engine not in ("local", "dask"):
        raise typer.BadParameter("local or dask", param_hint="--engine")
    if scheduler and engine != "dask":
        raise typer.BadParameter("goes with --engine dask", param_hint="--scheduler")
    if scheduler and workers:
        raise typer.BadParameter("the cluster has the workers that it has", param_hint="--workers")
    settings = Settings(
        FieldNames(field, id_field, title_field), tuple(repair or ()), tagging, select if tagging else 0, similar,
        int(block * 2**20), memory * 2**20 // 16,
    )  # fmt: skip
    number = workers or executors.count_cores()
    if engine == "dask":
        executor = executors.dask_executor(number, scheduler)
    else:
        executor = executors.process_executor(number) if number > 1 else executors.serial_executor()
    try:
        with progress() as step:
            summary = pipeline.process(files, out, benchmark_of(ctx), settings, executor, step, strict)
    except KeyboardInterrupt:
        say(f"Stopped. {executors.RESUME_HINT}")
        raise typer.Exit(STOPPED) from None
    emit(summary, as_json, lambda: summary_text(summary, out))


def summary_text(summary: dict[str, Any], out: Path) -> str:
    near, skipped = summary["near_duplicates"], sum(summary["skipped"].values())
    lines = [
        f"{summary['articles']:,} articles, {summary['empty']:,} of them empty",
        f"{summary['passages']:,} passages, {summary['sentences']:,} sentences, {summary['characters']:,} characters",
        *([f"{summary['spans']:,} entities by {summary['model']}"] if "spans" in summary else []),
        f"{near['pairs']:,} pairs of near duplicates: {near['passages']:,} passages in {near['families']:,} families",
        f"{summary['like_labelled']:,} passages nearly repeat what is labelled already",
    ]
    if summary["ids_again"]:
        first = summary["ids_again_at"][0]
        lines.append(
            f"{summary['ids_again']:,} articles repeat the id of an earlier one, the first in block {first['block']} "
            f"at {first['at']}. All are kept: article_id is unique, and given_id what the source says"
        )
    if skipped:
        kinds = ", ".join(f"{count:,} {code}" for code, count in summary["skipped"].items())
        lines += [f"left out: {kinds}; all of them in {out}/problems.jsonl. The first:", *summary["first_problems"][:3]]
    lines.append(f"selected for labelling: {summary['selected']:,}" if "spans" in summary else "nothing was tagged")
    lines.append(f"All of it is in {out}/.")
    if summary["selected"]:
        lines.append(f"Next: jinbench seeds add {out}/selected.jsonl")
    return "\n".join(lines)
