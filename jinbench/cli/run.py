"""Command: run."""

from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import (
    JSON,
    benchmark_of,
    commands,
    echo,
    emit,
    format_table,
    progress,
    say,
    writable_benchmark,
)
from jinbench.core.errors import fail
from jinbench.core.types import JsonObject


@commands.command()
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
    timeout: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds after which a fit with its predictions is ended. [none]")
    ] = None,
    memory: Annotated[
        int | None, typer.Option(min=100, help="MB of address space that a fit may have. [no limit]")
    ] = None,
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

    Each fit runs in a process of its own, which loads a copy of the recipe in an empty folder (working, home and
    temporary folder in one), and no process has the labels of what it predicts until the last fit has ended. It can
    still read your disk, where the labels of the dataset lie, and write to it (what is new in /tmp, /dev/shm and beside
    the recipe is named): it is no security boundary, so an entry is predictions plus trust.
    """
    from jinbench.baselines.learning_curve import run_and_store
    from jinbench.baselines.recipe import find_recipes, install_command, load_recipe
    from jinbench.baselines.run import SPLITS
    from jinbench.baselines.sandbox import Limits
    from jinbench.dataset.gold import board_splits

    splits = SPLITS if on == "all" else tuple(split for split in SPLITS if split == on)
    if not splits:
        raise typer.BadParameter(f"one of all, {', '.join(SPLITS)}", param_hint="--on")
    if curve and "folds" not in splits:
        raise typer.BadParameter("a learning curve is one of the cross-validation", param_hint="--curve")
    benchmark = benchmark_of(ctx) if files or out else writable_benchmark(ctx)
    records: list[JsonObject] = []
    chosen = [(load_recipe(path), (out or path.parent) / path.stem) for path in files or find_recipes(benchmark)]
    check_folders([folder for _, folder in chosen])
    for recipe, folder in chosen:
        if not files and recipe.task not in board_splits(benchmark):
            reason = f"is for {recipe.task}, and this dataset has no labels for it"
        elif not files and recipe.missing_packages:
            reason = f"needs {', '.join(recipe.missing_packages)}; type: {install_command(recipe.missing_packages)}"
        else:
            reason = ""
        if reason:
            say(f"{recipe.name}: skipped, it {reason}. What is stored of it stays.")
            records.append({"recipe": recipe.name, "skipped": reason})
            continue
        with progress() as step:
            wanted = (curve or recipe.curve) and "folds" in splits
            result, measured_curve = run_and_store(
                benchmark, recipe, folder, step, splits=splits, limits=Limits(timeout, memory), curve=wanted
            )
        records.append(
            result.to_dict() | {"folder": str(folder)} | ({"curve": measured_curve.to_dict()} if measured_curve else {})
        )
        if left := result.costs["left"]:
            names = ", ".join(left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
            say(f"{recipe.name}: new while it ran: {names}. If it made that, an earlier fit may have told a later one.")
        if not as_json:
            for score in result.scores.values():
                echo(f"{recipe.name:16}{score.headline}")
            if measured_curve:
                echo(f"{'':16}{measured_curve.verdict}")
            echo(f"{'':16}predictions and scores in {folder}/")
    emit(records, as_json, lambda: "\n" + format_table([_summary(record) for record in records if "run" in record]))


def check_folders(folders: list[Path]) -> None:
    """Raises DataError (folder-taken, duplicate-id) if results would go into a file, or into one folder twice."""
    from jinbench.core.files import display_path

    for number, folder in enumerate(folders):
        if folder in folders[:number]:
            expected, fix = "a recipe with a name of its own", "rename one of the two, or run them with another --out"
            fail("duplicate-id", display_path(folder), expected=expected, found="two of that name", fix=fix)
        if folder.exists() and not folder.is_dir():
            expected, fix = "a folder for results, or nothing yet", "move the file away, or choose another --out"
            fail("folder-taken", display_path(folder), expected=expected, found="a file", fix=fix)


def _summary(record: JsonObject) -> dict[str, object]:
    """Return a table row for a recipe: scores, times, memory."""
    from jinbench.baselines import run as baselines
    from jinbench.scoring import results

    took, cells = record["run"], {split: score["micro"] for split, score in record["scores"].items()}
    keys = ("f1", "low", "high")
    intervals = {
        split: "–" if cell["f1"] is None else results.format_interval(*(cell[key] for key in keys))
        for split, cell in ((split, cells[split]) for split in baselines.SPLITS if split in cells)
    }
    seconds = {what: f"{took[f'{what}_seconds']['wall']:.2f} s" for what in ("fit", "predict")}
    return {"recipe": record["recipe"], "task": record["task"], **intervals, **seconds,
            "peak memory": f"{took['memory_mb']['peak']:.0f} MB"}  # fmt: skip
