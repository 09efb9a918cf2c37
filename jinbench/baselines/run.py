"""Fit, predict and score a recipe.

Every recipe is fitted on train to predict test, then for each fold on the other folds to predict that fold.
"""

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path

from jinbench.baselines import robustness, sandbox
from jinbench.baselines.recipe import Recipe
from jinbench.baselines.robustness import NoiseResult
from jinbench.baselines.sandbox import NO_LIMITS, FitResult, Limits, Sandbox
from jinbench.baselines.worker import Row
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import fail
from jinbench.core.types import JsonObject, Step
from jinbench.dataset import load
from jinbench.dataset.gold import FOLD_COLUMN, crosswalk_types, main_crosswalk, read_task_gold, task_config
from jinbench.scoring.gold import FOLDS, NOISY, Gold, LabelKey, apply_crosswalk, coarsen_gold
from jinbench.scoring.predictions import predictions_file_name, to_rows
from jinbench.scoring.results import Score, round_floats
from jinbench.scoring.score import score_predictions

Record = JsonObject  # an object of scores.json

SPLITS = ("test", FOLDS)  # what a recipe is run on by default
SCORES_FILE, COSTS_KEY = "scores.json", "run"  # the record, and its key that differs from run to run
VERSIONS = ("jinbench", "numpy", "scipy", "scikit-learn")


@dataclass(frozen=True)
class Fold:
    """Rows to fit on and rows to predict, whose predictions count for `split`."""

    split: str
    train: list[Row]
    held_out: list[Row]


@dataclass(frozen=True)
class Experiment:
    """The rows and the gold that a recipe is run on; the gold never reaches the sandbox."""

    benchmark: Benchmark
    recipe: Recipe
    rows: list[Row]
    gold: dict[str, Gold]  # by split
    label_names: tuple[str, ...]  # that the recipe may predict
    sector_names: tuple[str, ...]
    splits: tuple[str, ...] = SPLITS
    limits: Limits = NO_LIMITS

    def training_labels(self, rows: list[Row]) -> list[list[object]]:
        """Return the labels of `rows` as `fit` gets them: spans as lists, or names of sectors."""
        if self.recipe.task == "sector":
            return [[self.sector_names[number] for number in row["sectors"]] for row in rows]
        types = self._types
        return [
            [(s["start"], s["end"], types[s["type"]], s["surface"]) for s in row["spans"] if types[s["type"]]]
            for row in rows
        ]

    @cached_property
    def _types(self) -> dict[str, str]:
        crosswalk = self.recipe.crosswalk
        return crosswalk_types(self.benchmark, crosswalk) if crosswalk else {name: name for name in self.label_names}

    @cached_property
    def folds(self) -> list[Fold]:
        """The fixed split and the folds of the cross-validation, as far as `splits` asks for them."""
        fixed = ([row for row in self.rows if row["split"] == split] for split in ("train", "test"))
        return [
            *([Fold("test", *fixed)] if "test" in self.splits else ()),
            *(self.cross_validation_folds if FOLDS in self.splits else ()),
        ]

    @property
    def cross_validation_folds(self) -> Iterator[Fold]:
        for fold in sorted({row[FOLD_COLUMN] for row in self.rows}):
            sides = ([row for row in self.rows if (row[FOLD_COLUMN] == fold) is held_out] for held_out in (False, True))
            yield Fold(FOLDS, *sides)

    def create_sandbox(self) -> Sandbox:
        return Sandbox(self.recipe, self.label_names, self.limits)


def read_experiment(
    benchmark: Benchmark, recipe: Recipe, splits: Sequence[str] = SPLITS, limits: Limits = NO_LIMITS
) -> Experiment:
    """Read rows and gold for a recipe.

    Raises DataError [file-missing], [file-changed], [declaration-unknown], or [unknown-id] for a task or a split that
    the benchmark does not have.
    """
    rows = load.read_rows(benchmark, recipe.task)
    if recipe.crosswalk:
        crosswalk_types(benchmark, recipe.crosswalk, f"{files.display_path(recipe.path)} CROSSWALK")
    gold = {split: read_task_gold(benchmark, recipe.task, split, recipe.crosswalk) for split in splits}
    sector_names = tuple(load.read_manifest(benchmark)["labels"]["sector"])
    if "entities" in recipe.oracle_inputs:
        rows = robustness.add_gold_entities(benchmark, rows)
    return Experiment(
        benchmark, recipe, rows, gold, next(iter(gold.values())).names, sector_names, tuple(splits), limits
    )


@dataclass(frozen=True)
class RunResult:
    """Predictions and scores of a recipe by split, with coarse scores and scores under noise for ner."""

    recipe: Recipe
    predictions: dict[str, list[tuple[str, frozenset[LabelKey]]]]
    scores: dict[str, Score]
    noise: tuple[NoiseResult, ...]
    coarse: dict[str, Score]
    costs: Record

    def to_dict(self) -> Record:
        """Return the record that scores.json holds."""
        recipe = self.recipe
        record: Record = {
            "recipe": recipe.name,
            "recipe_sha256": files.sha256(recipe.path.read_bytes()),
            "task": recipe.task,
            "seed": recipe.seed,
            "needs": recipe.needs,
            "given": recipe.oracle_inputs,
            "crosswalk": recipe.crosswalk,
            "scores": {split: score.to_dict() for split, score in self.scores.items()},
            COSTS_KEY: self.costs,
        }
        if recipe.task == "ner":
            record["noise"] = [result.to_dict() for result in self.noise]
            record["coarse"] = {split: score.to_dict() for split, score in self.coarse.items()}
        rounded: Record = round_floats(record)
        return rounded

    def to_files(self) -> dict[str, str]:
        """Return the contents of `baselines/<name>/`, by file name."""
        task, crosswalk = self.recipe.task, self.recipe.crosswalk
        contents = {
            predictions_file_name(task, split, crosswalk): files.dump_jsonl(to_rows(task, predictions))
            for split, predictions in self.predictions.items()
        }
        contents[SCORES_FILE] = files.dump_json(self.to_dict())
        return contents


def strip_costs(scores: str) -> Record:
    """Parse a scores.json without its costs, which differ from run to run."""
    record: Record = json.loads(scores)
    record.pop(COSTS_KEY, None)
    return record


def read_stored_results(benchmark: Benchmark) -> dict[str, Record]:
    """Read the stored records of a benchmark's recipes, by recipe.

    Raises DataError [file-missing], [broken-json], or [wrong-version] for scores on other data, or in an older form.
    """
    manifest = load.read_manifest(benchmark)["sha256"]
    records = {}
    for path in sorted(benchmark.baselines.glob(f"*/{SCORES_FILE}")):
        record = files.read_json(path)
        try:
            versions = {score["manifest"] for score in record["scores"].values()}
            is_complete = all("documents" in score for score in record["scores"].values())
            is_complete &= record["task"] != "ner" or "noise" in record
        except (AttributeError, KeyError, TypeError):
            versions, is_complete = set(), False
        if versions != {manifest} or not is_complete:
            stored = ", ".join(sorted(str(sha)[:8] for sha in versions)) if is_complete else "a record of another form"
            fail(
                "wrong-version",
                files.display_path(path),
                expected=f"scores on the data {manifest[:8]}",
                found=stored,
                fix=f"jinbench run {files.display_path(path.parent)}.py",
            )
        records[path.parent.name] = record
    return records


def run_recipe(
    benchmark: Benchmark,
    recipe: Recipe,
    progress: Step = lambda name, done, of: None,
    splits: Sequence[str] = SPLITS,
    limits: Limits = NO_LIMITS,
) -> RunResult:
    """Fit a recipe, predict and score: on the fixed split and in the cross-validation.

    Args:
        benchmark: The benchmark to run it on.
        recipe: A recipe, as `load_recipe` reads it.
        progress: Called with the name of the recipe, the number of fits done, and of all.
        splits: "test" for the fixed split, "folds" for the cross-validation.
        limits: Limits of each fit.

    Returns:
        Predictions, scores by split, scores under noise (ner, with "test"), coarse scores (ner, with "folds"), costs.

    Raises:
        DataError: [package-missing], [recipe-broken], [declaration-unknown], [unknown-label] and the other checks of
            a submission; [file-missing], [file-changed], [unknown-id] if the benchmark lacks the task or a split.
    """
    experiment = read_experiment(benchmark, recipe, splits, limits)
    has_noise = recipe.task == "ner" and "test" in splits and load.has_config(benchmark, task_config("ner", NOISY))
    n_fits = len(experiment.folds) + has_noise
    predicted: dict[str, dict[str, frozenset[LabelKey]]] = {split: {} for split in splits}
    golds = dict(experiment.gold)
    noise: tuple[NoiseResult, ...] = ()
    fits = []
    with experiment.create_sandbox() as box:
        for done, fold in enumerate(experiment.folds):
            progress(recipe.name, done, n_fits)
            fits.append(box.fit_predict(fold.train, experiment.training_labels(fold.train), fold.held_out))
            predicted[fold.split] |= fits[-1].predictions[0]
        progress(recipe.name, len(experiment.folds), n_fits)
        if has_noise:
            golds[NOISY] = read_task_gold(benchmark, recipe.task, NOISY, recipe.crosswalk)
            predicted[NOISY], noise = _predict_under_noise(experiment, box, predicted["test"])
    progress(recipe.name, n_fits, n_fits)
    return RunResult(
        recipe,
        {split: [(id, predicted[split][id]) for id in gold.ids] for split, gold in golds.items()},
        {split: score_predictions(gold, predicted[split]) for split, gold in golds.items()},
        noise,
        _score_coarse(experiment, predicted),
        _measure_costs(recipe, fits, sum(len(row["text"]) for fold in experiment.folds for row in fold.held_out)),
    )


def _predict_under_noise(
    experiment: Experiment, box: Sandbox, clean: dict[str, frozenset[LabelKey]]
) -> tuple[dict[str, frozenset[LabelKey]], tuple[NoiseResult, ...]]:
    """Fit on train once more and predict noisy sentences alone, so that they are never seen clean.

    The highest level comes first, since what a level leaves alone, lower ones leave alone too.
    """
    tiers = sorted(
        robustness.read_noise_tiers(experiment.benchmark, experiment.recipe.crosswalk), key=lambda tier: -tier.level
    )
    train = experiment.folds[0].train
    fit = box.fit_predict(train, experiment.training_labels(train), *(tier.rows for tier in tiers))
    predicted: dict[str, frozenset[LabelKey]] = {}
    results = []
    for tier, batch in zip(tiers, fit.predictions, strict=True):
        of_tier = dict(zip(tier.gold.ids, batch.values(), strict=True))
        predicted |= of_tier
        results.append(robustness.score_under_noise(tier, of_tier, experiment.gold["test"], clean))
    return predicted, tuple(sorted(results, key=lambda result: (result.kind, result.level)))


def _score_coarse(experiment: Experiment, predicted: dict[str, dict[str, frozenset[LabelKey]]]) -> dict[str, Score]:
    """Score the cross-validation of a recipe for the whole label set through the main crosswalk."""
    crosswalk, recipe = main_crosswalk(experiment.benchmark), experiment.recipe
    if recipe.task != "ner" or recipe.crosswalk or not crosswalk or FOLDS not in experiment.splits:
        return {}
    types = crosswalk_types(experiment.benchmark, crosswalk)
    convert = apply_crosswalk(types)
    coarse = {id: convert(labels) for id, labels in predicted[FOLDS].items()}
    return {FOLDS: score_predictions(coarsen_gold(experiment.gold[FOLDS], crosswalk, types), coarse)}


def _measure_costs(recipe: Recipe, fits: list[FitResult], characters: int) -> Record:
    """Return time, memory and versions. Times are sums over the fits, without reading, scoring and noise.

    `memory_mb` is the resident set of the process of a fit: `before` the rows came, which is Python, the recipe and
    all that it imports; `peak`, the largest of all fits; `growth`, the largest rise of any.
    """
    fit, predict = (
        {"wall": sum(wall for wall, _ in seconds), "cpu": sum(cpu for _, cpu in seconds)}
        for seconds in ([fit.fit_seconds for fit in fits], [fit.predict_seconds for fit in fits])
    )
    memory = [fit.memory_mb for fit in fits]
    return {
        "fits": len(fits),
        "fit_seconds": fit,
        "predict_seconds": predict,
        "characters_per_second": round(characters / max(predict["wall"], 1e-6)),
        "memory_mb": {
            "before": round(min(before for before, _ in memory), 1),
            "peak": round(max(peak for _, peak in memory), 1),
            "growth": round(max(peak - before for before, peak in memory), 1),
        },
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "settings": {name: os.environ.get(name, value) for name, value in sandbox.ENVIRONMENT.items()},
        "versions": {name: metadata.version(name) for name in (*VERSIONS, *recipe.needs)},
    }


def is_stale(benchmark: Benchmark, recipe: Recipe) -> bool:
    """Return whether the stored results are missing, or of another version of the recipe or of the data."""
    path = benchmark.baselines / recipe.name / SCORES_FILE
    if not path.is_file():
        return True
    record = files.read_json(path)
    manifest = load.read_manifest(benchmark)["sha256"]
    try:
        of_data = {score["manifest"] for score in record["scores"].values()}
        return of_data != {manifest} or record["recipe_sha256"] != files.sha256(recipe.path.read_bytes())
    except (AttributeError, KeyError, TypeError):
        return True


def write_result(result: RunResult, folder: Path) -> None:
    for name, text in result.to_files().items():
        files.write_text(folder / name, text)
