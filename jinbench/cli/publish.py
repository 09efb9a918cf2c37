"""Command: publish."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import (
    EXIT_DATA,
    JSON,
    benchmark_of,
    commands,
    emit,
    format_table,
    progress,
    say,
    writable_benchmark,
)
from jinbench.core.benchmark import is_installed


@commands.command()
def publish(
    ctx: typer.Context,
    to: Annotated[str | None, typer.Option("--to", metavar="OWNER/NAME", help="The dataset on the Hub.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and send nothing.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Create the repository as a private one.")] = False,
    standoff: Annotated[
        bool, typer.Option("--standoff", help="Labels and offsets only, without the text of the pages.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="With --standoff: the folder to write it to. [default: build/standoff]")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Publish dataset/ on a Hugging Face Hub.

    It is sent, tagged with its version, and read back.

    First: jinbench publish --to OWNER/NAME --dry-run. It shows what is new, changed, the same, or gone.

    The token is the one in HF_TOKEN, or the one that `hf auth login` left; it must be one that may write. HF_ENDPOINT
    names another Hub than huggingface.co.

    The data of a version that has its tag is never changed: raise yours by an erratum, or by `release` in
    labels.toml. A card that was mended goes to main, and the tag stays. The command may be repeated, and goes on where
    it was cut off.

    With --standoff it writes the same dataset without text into a folder, and sends that if there is a --to.
    """
    from jinbench import scaffold
    from jinbench.core import files
    from jinbench.dataset import verify as verifying
    from jinbench.publish import card, hub
    from jinbench.publish.standoff import write_standoff

    if not to and not standoff:
        raise typer.BadParameter("name the dataset on the Hub: --to OWNER/NAME", param_hint="--to")
    if out and not standoff:
        raise typer.BadParameter("goes with --standoff", param_hint="--out")
    if to:
        hub.check_repo_id(to)
    benchmark = writable_benchmark(ctx) if standoff else benchmark_of(ctx)  # the pages are not in the package
    if not is_installed(benchmark) and (names := card.find_stale_documents(benchmark)):
        say("\n".join(f"stale {name}" for name in names) + "\nNext: jinbench card")
        raise typer.Exit(EXIT_DATA)
    for name, count in scaffold.count_todos(benchmark).items():
        say(f"{name}: {count} places are still marked TODO, and go out as comments that nobody sees.")
    verifying.verify_folder(benchmark.dataset)
    if not standoff:
        send_folder(benchmark.dataset, str(to), dry_run, private, as_json)
        return
    with tempfile.TemporaryDirectory() as scratch:
        target = (out or benchmark.root / "build" / "standoff").absolute()
        folder = Path(scratch) / "standoff" if dry_run else target
        write_standoff(benchmark, folder)
        if to:
            send_folder(folder, to, dry_run, private, as_json)
            return
        target_path, made = files.display_path(target), list(files.list_files(folder))
        done = "would write" if dry_run else "wrote"
        emit(
            {"folder": target_path, "files": made, "written": not dry_run},
            as_json,
            lambda: (
                f"{done} {len(made)} files to {target_path}, without the text of the pages.\n"
                f"Back: jinbench hydrate {target_path} --pages DIR --out DIR"
            ),
        )


def send_folder(folder: Path, to: str, dry_run: bool, private: bool, as_json: bool) -> None:
    """Plan, and unless it is a dry run send."""
    from jinbench.publish import hub, hub_errors

    plan = hub.plan_upload(folder, to)
    if private and plan.head and not plan.private:
        raise typer.BadParameter(
            f"{hub_errors.dataset_url(to)} is public: change that on the Hub first", param_hint="--private"
        )
    if dry_run:
        rows = [asdict(change) for change in plan.changes]
        emit(plan.to_dict(), as_json, lambda: f"{format_table(rows)}\n{plan}\nNothing was sent.")
        hub.check_version_free(plan)
        return
    with progress() as step:
        done = hub.publish_dataset(folder, to, private=private, step=step)
    what = f"{done.sent} files sent; every file" if done.sent else "nothing to send; the data"
    emit(
        done.to_dict(),
        as_json,
        lambda: (
            f"{done.url}\ncommit {done.commit}, tag {done.tag}, {what} came back as it is here."
            f"\nfrom datasets import load_dataset\n{done.load}"
        ),
    )
