"""Commands: info, verify, publish, hydrate, split, build, card."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from jinbench.annotation.workspace import Workspace
from jinbench.cli.common import EXIT_DATA, JSON, benchmark_of, emit, format_table, progress, say, writable_benchmark
from jinbench.core.benchmark import is_installed

commands = typer.Typer()


@commands.command()
def info(ctx: typer.Context, as_json: JSON = False) -> None:
    """Print version, hash and counts of the dataset."""
    from jinbench.dataset.load import describe_dataset

    description = describe_dataset(benchmark_of(ctx))
    emit(description.to_dict(), as_json, lambda: str(description))


@commands.command()
def verify(
    ctx: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(help="A dataset folder, or OWNER/NAME on a Hugging Face Hub. [default: dataset/]"),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Of OWNER/NAME: a tag such as v1.0.0, a branch or a commit. [default: main]")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Hold every item of a dataset against its manifest, every text against the other splits and folds; show overlap.

    A folder that exists wins over a name on the Hub. What comes from the Hub is kept in the cache of its client, and
    without a connection it is what that cache holds. HF_ENDPOINT names another Hub than huggingface.co.
    """
    from jinbench.core import files
    from jinbench.dataset.verify import verify_folder
    from jinbench.publish import hub

    if revision is not None and (folder is None or folder.is_dir()):
        raise typer.BadParameter("a folder has none; name OWNER/NAME", param_hint="--revision")
    target = hub.find_dataset(folder, revision) if folder else benchmark_of(ctx).dataset
    result = verify_folder(target)
    emit({"folder": str(target)} | result.to_dict(), as_json, lambda: f"{files.display_path(target)}: {result}")


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
    """Send dataset/ to a Hugging Face Hub, tag it with its version, and read back what arrived.

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
        target = (out or benchmark.root / "build" / "standoff").resolve()
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
    from dataclasses import asdict

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


@commands.command()
def hydrate(
    ctx: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(metavar="STANDOFF", help="A folder that publish --standoff wrote, or OWNER/NAME on a Hub."),
    ],
    pages: Annotated[Path, typer.Option(exists=True, file_okay=False, help="The folder with the pages.")],
    out: Annotated[Path, typer.Option(help="Where to put the dataset: a folder that does not exist yet.")],
    revision: Annotated[str | None, typer.Option(help="Of OWNER/NAME: a tag, a branch or a commit.")] = None,
    as_json: JSON = False,
) -> None:
    """Put the dataset together again from its standoff form and the pages: byte for byte the same Parquet.

    A page is known by its name, or by its contents under another name. Nothing is written before everything fits.
    """
    from jinbench.core import files
    from jinbench.publish import hub, standoff

    if revision is not None and source.is_dir():
        raise typer.BadParameter("a folder has none; name OWNER/NAME", param_hint="--revision")
    listing = standoff.hydrate(hub.find_dataset(source, revision), pages, out)
    record = {"folder": str(out), "version": listing["version"], "sha256": listing["sha256"]}
    emit(
        record,
        as_json,
        lambda: (
            f"{files.display_path(out)}: version {listing['version']}, sha256 {listing['sha256']}; "
            "every Parquet file is what manifest.json lists."
        ),
    )


@commands.command()
def split(
    ctx: typer.Context,
    write: Annotated[
        bool, typer.Option(help="Replace splits.csv. Scores made before are not comparable after.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Search for the split into train, validation and test, and for the folds; print it."""
    import csv

    from jinbench.annotation.gold import read_gold
    from jinbench.core import files
    from jinbench.dataset import split_search

    benchmark = writable_benchmark(ctx)
    workspace = Workspace(benchmark)
    gold = read_gold(workspace, ())  # an erratum moves no article
    with progress() as step:
        text = split_search.search_splits(workspace.seeds, gold, step=step)
    if write:
        files.write_text(benchmark.splits, text)
    emit([*csv.DictReader(text.splitlines())], as_json, text.rstrip)


@commands.command()
def build(ctx: typer.Context, as_json: JSON = False) -> None:
    """Make dataset/ from the pages and the gold export. Scores and documents are made after it, from its items."""
    from jinbench.dataset.build import build_dataset, write_dataset

    benchmark = writable_benchmark(ctx)
    built = build_dataset(benchmark)
    changed = write_dataset(built, benchmark.dataset)
    listing = built.manifest
    spans = sum(built.statistics["spans"].values())
    lines = [
        *(f"wrote dataset/{name}" for name in changed),
        f"dataset {listing['version']}, sha256 {listing['sha256'][:8]}: {spans} spans",
        *(["Next: jinbench run && jinbench rank && jinbench card"] if changed else []),
    ]
    record = {"version": listing["version"], "sha256": listing["sha256"], "spans": spans, "wrote": list(changed)}
    emit(record, as_json, lambda: "\n".join(lines))


@commands.command()
def card(
    ctx: typer.Context,
    check: Annotated[bool, typer.Option(help="Only say whether the documents are up to date.")] = False,
    as_json: JSON = False,
) -> None:
    """Bring the generated parts of README.md and DATASET_CARD.md up to date, and dataset/README.md with them."""
    from jinbench import scaffold
    from jinbench.publish.card import find_stale_documents, write_card

    benchmark = writable_benchmark(ctx)
    names = list(find_stale_documents(benchmark) if check else write_card(benchmark))
    verb = "stale" if check else "wrote"
    lines = [f"{verb} {name}" for name in names] or ["The documents are up to date."]
    open_ = scaffold.count_todos(benchmark)
    lines += [f"{name}: {count} places marked TODO, which only you can fill in" for name, count in open_.items()]
    emit({verb: names, "todo": open_}, as_json, lambda: "\n".join(lines))
    if check and names:
        raise typer.Exit(EXIT_DATA)
