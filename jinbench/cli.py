"""The command line: it parses, calls the library and prints. Anything heavy is imported where it is used.

The commands for a new benchmark, its pages and its label set are in `sources`, for the server in `hosting`, for
labelling in `desk`, `review`, `helping` and `team`, those for a finished dataset in `release`, those for who wants to
know how good a system is in `contest`, for who enters one in `entrants`; here are the rest, and the entry point.
"""

import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from jinbench import bulk, contest, corpora, desk, entrants, helping, hosting, release, review, sources, team  # noqa: F401
from jinbench.console import (
    EXIT_DATA,
    EXIT_SERVER,
    JSON,
    columns,
    emit,
    problems_as_json,
    progress,
    rooms,
    say,
    told,
    workshop,
)
from jinbench.core.benchmark import find_benchmark
from jinbench.core.errors import DataError, JinbenchError, Problem, ServerError

app = typer.Typer(
    name="jinbench",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="An annotated benchmark from newspaper pages: pages → Label Studio → dataset → baselines → leaderboard.\n\n"
    "Exit codes: 0 all is well, 1 something is wrong with the data (the message says what, where, and what to do), "
    "2 the command was typed wrongly, 3 Label Studio or the Hub is not there, refuses, or holds something that must "
    "not be overwritten.",
)
app.add_typer(sources.commands)
app.add_typer(sources.seeds_commands, name="seeds")
app.add_typer(sources.labels_commands, name="labels")
app.add_typer(hosting.labelstudio_commands, name="labelstudio")
app.add_typer(desk.annotate_commands, name="annotate")
app.add_typer(contest.commands)
app.add_typer(entrants.commands)
app.add_typer(bulk.commands)
app.add_typer(release.commands)
app.add_typer(corpora.commands)


@app.callback()
def _root(
    ctx: typer.Context,
    root: Annotated[
        Path | None,
        typer.Option(
            help="The benchmark's folder. [default: the one around the current folder, else the package's own]"
        ),
    ] = None,
) -> None:
    if root is not None and not root.is_dir():
        raise typer.BadParameter(f"{root} is not a folder", param_hint="--root")
    ctx.obj = find_benchmark(root)


@app.command()
def agreement(
    ctx: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Two files of labels (export .json or marked-up .jsonl). [default: those of the gold]"),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Say how far annotators agree: spans, characters, sectors, confused types; and each of them with the gold.

    Without files it measures the annotators between whose labels the gold decides, and writes agreement.json.
    With two files it measures those on the passages that both hold, and writes nothing.
    """
    from jinbench.annotation import exports
    from jinbench.annotation.agreement import measure_agreement, measure_pair, write_agreement
    from jinbench.annotation.labels import read_label_set
    from jinbench.seeds import articles

    if files and len(files) != 2:
        raise typer.BadParameter("two files, or none", param_hint="FILES")
    where = rooms(ctx) if files else workshop(ctx)
    seed, label_set = articles.read_seeds(where), read_label_set(where)
    if files:
        first, second = (exports.read_labels(path, seed, label_set, path.stem) for path in files)
        pair = measure_pair(seed, label_set, first, second, [path.stem for path in files])
        emit(pair.to_dict(), as_json, lambda: str(pair))
        return
    found = measure_agreement(where, seed, label_set)
    write_agreement(where, found)
    emit(found.to_dict(), as_json, lambda: str(found))


@app.command()
def split(
    ctx: typer.Context,
    write: Annotated[
        bool, typer.Option(help="Replace splits.csv. Scores made before are not comparable after.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Search for the split into train, validation and test, and for the folds; print it."""
    import csv

    from jinbench.annotation import labels
    from jinbench.annotation.gold import read_gold
    from jinbench.core import files
    from jinbench.dataset import split_search
    from jinbench.seeds.articles import read_seeds

    where = workshop(ctx)
    seed, label_set = read_seeds(where), labels.read_label_set(where)
    gold = read_gold(where, seed, label_set, ())  # an erratum moves no article
    with progress() as step:
        text = split_search.search_splits(seed, gold, step=step)
    if write:
        files.write_text(where.splits, text)
    emit([*csv.DictReader(text.splitlines())], as_json, text.rstrip)


@app.command()
def build(ctx: typer.Context, as_json: JSON = False) -> None:
    """Make dataset/ from the pages and the gold export. Scores and documents are made after it, from its items."""
    from jinbench.dataset.build import build_dataset, write_dataset

    where = workshop(ctx)
    built = build_dataset(where)
    changed = write_dataset(built, where.dataset)
    listing = built.manifest
    spans = sum(built.statistics["spans"].values())
    lines = [
        *(f"wrote dataset/{name}" for name in changed),
        f"dataset {listing['version']}, sha256 {listing['sha256'][:8]}: {spans} spans",
        *(["Next: jinbench run && jinbench leaderboard && jinbench card"] if changed else []),
    ]
    record = {"version": listing["version"], "sha256": listing["sha256"], "spans": spans, "wrote": list(changed)}
    emit(record, as_json, lambda: "\n".join(lines))


@app.command()
def run(
    ctx: typer.Context,
    files: Annotated[list[Path] | None, typer.Argument(help="Recipes. [default: all of baselines/]")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results. [default: a folder beside each recipe]")
    ] = None,
    curve: Annotated[
        bool, typer.Option("--curve", help="Measure the learning curve too, as for a recipe with CURVE = True.")
    ] = False,
    on: Annotated[
        str, typer.Option(help="test: the fixed split alone; folds: the cross-validation alone; all: both.")
    ] = "all",
    as_json: JSON = False,
) -> None:
    """Fit and score recipes: fixed split and cross-validation. Yours is treated as ours.

    A recipe is a Python file with TASK ("ner" or "sector"), SEED and make(), which returns anything with fit(X, y)
    and predict(X). X are rows without labels; y is a list of spans or of sector names for each. Fitted on train, it
    predicts test, and for ner the noisy test sentences too; then, for each fold of fold_1, the fold from the others.
    On a corpus of ten thousand sentences that second part takes long: --on test leaves it out.

    \b
    Beside each recipe it leaves a folder of its name with
      predictions-….jsonl   what it predicted, as `jinbench score` takes it
      scores.json           its scores by type, layout, noise, and words seen in training or not; time, memory, versions
      curve.json            with --curve: F1 over the number of training articles

    \b
    It may declare, each as a literal:
      NEEDS = ("jieba",)       packages that must be installed
      CROSSWALK = "coarse"     it works with the coarse labels of that crosswalk of labels.toml
      GIVEN = ("entities",)    sector: its rows have the gold entities; no rank
      CURVE = True             always measure the learning curve

    Each round runs in a process of its own, which never has the labels of what it predicts. It can still read your
    disk: do not run a file that you would not run otherwise.
    """
    from jinbench.baselines import learning_curve
    from jinbench.baselines.recipe import advice, load_recipe, recipe_paths
    from jinbench.baselines.run import SPLITS, run_recipe, write_result
    from jinbench.dataset.gold import board_splits

    splits = SPLITS if on == "all" else tuple(split for split in SPLITS if split == on)
    if not splits:
        raise typer.BadParameter(f"one of all, {', '.join(SPLITS)}", param_hint="--on")
    if curve and "folds" not in splits:
        raise typer.BadParameter("a learning curve is one of the cross-validation", param_hint="--curve")
    where = rooms(ctx) if files or out else workshop(ctx)
    records: list[dict[str, Any]] = []
    chosen = [(load_recipe(path), (out or path.parent) / path.stem) for path in files or recipe_paths(where)]
    _places([folder for _, folder in chosen])
    for recipe, folder in chosen:
        if not files and recipe.task not in board_splits(where):
            reason = f"is for {recipe.task}, and this dataset has no labels for it"
        elif not files and recipe.missing:
            reason = f"needs {', '.join(recipe.missing)}; type: {advice(recipe.missing)}"
        else:
            reason = ""
        if reason:
            say(f"{recipe.name}: skipped, it {reason}. What is stored of it stays.")
            records.append({"recipe": recipe.name, "skipped": reason})
            continue
        with progress() as step:
            result = run_recipe(where, recipe, step, splits)
            wanted = (curve or recipe.curve) and "folds" in splits
            found = learning_curve.measure_curve(where, result, step) if wanted else None
        write_result(result, folder)
        if found:
            learning_curve.write_curve(found, folder)
        records.append(result.record() | {"folder": str(folder)} | ({"curve": found.to_dict()} if found else {}))
        if not as_json:
            for score in result.scores.values():
                typer.echo(f"{recipe.name:16}{score.headline}")
            if found:
                typer.echo(f"{'':16}{found.verdict}")
            typer.echo(f"{'':16}predictions and scores in {folder}/")
    emit(records, as_json, lambda: "\n" + columns([_summary(record) for record in records if "run" in record]))


def _places(folders: list[Path]) -> None:
    """Raises DataError (folder-taken, duplicate-id) if results would go into a file, or into one folder twice."""
    from jinbench.core.files import shown

    for number, folder in enumerate(folders):
        if folder in folders[:number]:
            expected, hint = "a recipe with a name of its own", "rename one of the two, or run them with another --out"
            raise DataError(Problem("duplicate-id", shown(folder), expected, "two of that name", hint))
        if folder.exists() and not folder.is_dir():
            expected, hint = "a folder for results, or nothing yet", "move the file away, or choose another --out"
            raise DataError(Problem("folder-taken", shown(folder), expected, "a file", hint))


def _summary(record: dict[str, Any]) -> dict[str, Any]:
    """What a recipe came to, in a line."""
    from jinbench.baselines import run as baselines
    from jinbench.scoring import results

    took, cells = record["run"], {split: score["micro"] for split, score in record["scores"].items()}
    keys = ("f1", "low", "high")
    shown = {
        split: "–" if cell["f1"] is None else results.with_interval(*(cell[key] for key in keys))
        for split, cell in ((split, cells[split]) for split in baselines.SPLITS if split in cells)
    }
    seconds = {what: f"{took[f'{what}_seconds']['wall']:.2f} s" for what in ("fit", "predict")}
    return {"recipe": record["recipe"], "task": record["task"], **shown, **seconds,
            "peak memory": f"{took['memory_mb']['peak']:.0f} MB"}  # fmt: skip


@app.command()
def card(
    ctx: typer.Context,
    check: Annotated[bool, typer.Option(help="Only say whether the documents are up to date.")] = False,
    as_json: JSON = False,
) -> None:
    """Bring the generated parts of README.md and DATASET_CARD.md up to date, and dataset/README.md with them."""
    from jinbench import card as documents
    from jinbench import starting

    where = workshop(ctx)
    names = list(documents.stale_documents(where) if check else documents.write_card(where))
    said = "stale" if check else "wrote"
    lines = [f"{said} {name}" for name in names] or ["The documents are up to date."]
    open_ = starting.todo(where)
    lines += [f"{name}: {count} places marked TODO, which only you can fill in" for name, count in open_.items()]
    emit({said: names, "todo": open_}, as_json, lambda: "\n".join(lines))
    if check and names:
        raise typer.Exit(EXIT_DATA)


@app.command()
def reproduce(
    ctx: typer.Context,
    folder: Annotated[
        Path | None, typer.Option(help="Where to make everything again. [default: build/reproduced]")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Do the main job again from the pages, with a Label Studio of its own, and compare with what is committed."""
    from dataclasses import asdict

    from jinbench import ranking
    from jinbench import reproduce as job

    where = workshop(ctx)
    target = folder or where.root / "build" / "reproduced"
    checks = []
    with progress() as step:
        for check in job.reproduce(where, target.resolve(), step):
            checks.append(check)
            if not as_json:
                typer.echo(str(check))
    failed = sum(check.status == job.FAIL for check in checks)
    found = {status: sum(check.status == status for check in checks) for status in (job.OK, job.OKISH, job.FAIL)}
    emit(
        [asdict(check) for check in checks],
        as_json,
        lambda: (
            "\n"
            + ranking.markdown(ranking.build_boards(where))
            + f"\n{found[job.OK]} [OK], {found[job.OKISH]} [OKish], {found[job.FAIL]} [FAIL]. Made again in {target}."
        ),
    )
    if failed:
        raise typer.Exit(EXIT_DATA)


def _end(error: JinbenchError) -> NoReturn:
    """The one place where what went wrong becomes text and an exit code."""
    if isinstance(error, DataError):
        if "--json" in sys.argv:
            typer.echo(problems_as_json(error.problems))
        typer.echo(told(error.problems), err=True)
        sys.exit(EXIT_DATA)
    typer.echo(str(error), err=True)
    sys.exit(EXIT_SERVER if isinstance(error, ServerError) else EXIT_DATA)


def main() -> None:
    """The entry point of the command `jinbench`."""
    try:
        app()
    except JinbenchError as error:
        _end(error)
    except OSError as error:
        typer.echo(f"{error.filename or 'a file'}: {(error.strerror or str(error)).lower()}", err=True)
        sys.exit(EXIT_DATA)


if __name__ == "__main__":
    main()
