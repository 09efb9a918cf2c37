"""Command: process."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jinbench.cli.common import JSON, benchmark_of, emit, progress, say

commands = typer.Typer()

STOPPED = 130  # what a shell takes for ended by Ctrl-C
INPUT, STEPS, CLUSTER = "Input", "Steps", "Dask"  # groups of options


@commands.command()
def process(
    ctx: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="JSON Lines, Parquet, text files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the results; a run that was stopped goes on in it.")],
    field: Annotated[str, typer.Option(help="The field with the text.", rich_help_panel=INPUT)] = "text",
    id_field: Annotated[str, typer.Option(help="The field with an id.", rich_help_panel=INPUT)] = "id",
    title_field: Annotated[str, typer.Option(help="The field with a title.", rich_help_panel=INPUT)] = "title",
    block: Annotated[
        float, typer.Option(min=0.01, max=256.0, help="Megabytes of input in a task.", rich_help_panel=INPUT)
    ] = 2.0,
    strict: Annotated[
        bool, typer.Option(help="Write nothing if anything cannot be used.", rich_help_panel=INPUT)
    ] = False,
    repair: Annotated[
        list[str] | None,
        typer.Option(help="As in articles.toml: spacing, quotes, script:t2s … May be repeated.", rich_help_panel=STEPS),
    ] = None,
    tagging: Annotated[
        bool, typer.Option("--tagging/--no-tagging", help="Look for entities.", rich_help_panel=STEPS)
    ] = True,
    similar: Annotated[
        float, typer.Option(min=0.3, max=1.0, help="Least resemblance of near duplicates.", rich_help_panel=STEPS)
    ] = 0.7,
    select: Annotated[int, typer.Option(min=0, help="Passages to select.", rich_help_panel=STEPS)] = 100,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes. [default: one for each core]", rich_help_panel=CLUSTER)
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="tcp://HOST:PORT of a cluster. [default: this machine]", rich_help_panel=CLUSTER)
    ] = None,
    as_json: JSON = False,
) -> None:
    """Take any number of articles: clean, cut, tag, find near duplicates, and select what is worth labelling.

    The work is done by Dask: on all cores, or by a cluster, whose workers must all see the files and the folder.
    However it is done, and however often it was stopped: the same command on the same input writes the same bytes, and
    goes on where it was. Other settings want another folder.

    \b
    In the folder:
      data/*.parquet        passages, with sentences, entities, chances: datasets.load_dataset(DIR) loads them
      duplicates.parquet    pairs of passages that nearly repeat each other, compared exactly, and their families
      selected.jsonl        what the tagger is least certain of, one of each family, nothing that is labelled already;
                            then: jinbench seeds add DIR/selected.jsonl
      problems.jsonl        what was left out, with its line, and why
      summary.json          counts, settings, versions

    The tagger learns from the gold of the benchmark (--root). More: docs/scale.md.
    """
    from jinbench.scale import Settings
    from jinbench.scale import process as run
    from jinbench.scale.cluster import RESUME_HINT

    if scheduler and workers:
        raise typer.BadParameter("the cluster has the workers that it has", param_hint="--workers")
    settings = Settings(field, id_field, title_field, tuple(repair or ()), tagging, select if tagging else 0, similar,
                        int(block * 2**20))  # fmt: skip
    try:
        with progress() as step:
            summary = run(paths, out, benchmark_of(ctx), settings, workers=workers, scheduler=scheduler,
                          strict=strict, progress=step)  # fmt: skip
    except KeyboardInterrupt:
        say(f"Stopped. {RESUME_HINT}")
        raise typer.Exit(STOPPED) from None
    emit(summary, as_json, lambda: summary_text(summary, out))


def summary_text(summary: dict[str, Any], out: Path) -> str:
    near, skipped = summary["near_duplicates"], sum(summary["skipped"].values())
    lines = [
        f"{summary['articles']:,} articles, {summary['empty']:,} of them empty",
        f"{summary['passages']:,} passages, {summary['sentences']:,} sentences, {summary['characters']:,} characters",
        f"{summary['spans']:,} entities" if "spans" in summary else "nothing was tagged",
        f"{near['pairs']:,} pairs of near duplicates: {near['passages']:,} passages in {near['families']:,} families",
        f"{summary['like_labelled']:,} passages nearly repeat what is labelled already",
    ]
    if skipped:
        kinds = ", ".join(f"{count:,} {code}" for code, count in summary["skipped"].items())
        lines += [f"left out: {kinds}; all of them in {out}/problems.jsonl. The first:", *summary["first_problems"][:3]]
    lines.append(f"selected for labelling: {summary['selected']:,}. All of it is in {out}/.")
    if summary["selected"]:
        lines.append(f"Next: jinbench seeds add {out}/selected.jsonl")
    return "\n".join(lines)
