"""Rebuild what is stale: agreement, dataset, results of recipes, leaderboard, documents."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinbench.annotation.agreement import agreement_path, measure_agreement
from jinbench.annotation.workspace import Workspace
from jinbench.baselines.learning_curve import run_and_store
from jinbench.baselines.recipe import Recipe, find_recipes, install_command, load_recipe
from jinbench.baselines.run import is_stale
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.types import Step
from jinbench.dataset.build import build_dataset, write_dataset
from jinbench.dataset.gold import board_splits
from jinbench.leaderboard.page import build_page
from jinbench.leaderboard.ranking import build_boards
from jinbench.publish.card import write_card


@dataclass(frozen=True)
class RebuildResult:
    """A product of the benchmark. `state`: "rebuilt", "up to date", or "skipped: " with the reason."""

    name: str
    state: str

    def __str__(self) -> str:
        return f"{self.name}: {self.state}"


def rebuild(benchmark: Benchmark, step: Step = lambda name, done, total: None) -> Iterator[RebuildResult]:
    """Rebuild everything that is made from other files and is not up to date, in the order of dependence.

    Args:
        benchmark: The benchmark.
        step: Called with the name of a step, the number done, and of all.

    Yields:
        A result for each product, when it is done.

    Raises:
        DataError: Something in the pages, the labels or a recipe is wrong. What was rebuilt before it stays.
    """
    workspace = Workspace(benchmark)
    if workspace.annotators.adjudicated:
        text = files.dump_json(measure_agreement(workspace).to_dict())
        yield RebuildResult("agreement", _write_if_changed({agreement_path(benchmark): text}))
    changed = write_dataset(build_dataset(benchmark), benchmark.dataset)
    yield RebuildResult("dataset", "rebuilt" if changed else "up to date")
    for path in find_recipes(benchmark):
        recipe = load_recipe(path)
        yield RebuildResult(f"baselines/{recipe.name}", _rerun_recipe(benchmark, recipe, step))
    pages = build_page(benchmark, build_boards(benchmark))
    contents = {benchmark.leaderboard / name: text for name, text in pages.items()}
    yield RebuildResult("leaderboard", _write_if_changed(contents))
    yield RebuildResult("documents", "rebuilt" if write_card(benchmark) else "up to date")


def _write_if_changed(contents: Mapping[Path, str]) -> str:
    changed = {path: text for path, text in contents.items() if not path.is_file() or files.read_text(path) != text}
    for path, text in changed.items():
        files.write_text(path, text)
    return "rebuilt" if changed else "up to date"


def _rerun_recipe(benchmark: Benchmark, recipe: Recipe, step: Step) -> str:
    if recipe.task not in board_splits(benchmark):
        return f"skipped: it is for {recipe.task}, and this dataset has no labels for it"
    if not is_stale(benchmark, recipe):
        return "up to date"
    if recipe.missing_packages:
        return f"skipped: {install_command(recipe.missing_packages)}"
    run_and_store(benchmark, recipe, benchmark.baselines / recipe.name, step, curve=recipe.curve)
    return "rebuilt"
