"""Fit, predict and score a recipe.

Every recipe is fitted on train to predict test, then for each fold on the other folds to predict that fold.
"""

import json
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path

from jinbench.baselines import robustness, sandbox
from jinbench.baselines.recipe import Recipe
from jinbench.baselines.robustness import NoiseResult
from jinbench.baselines.sandbox import NO_LIMITS, FitResult, Limits
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
class Round:
    """Rows to fit on, and batches of rows to predict, to be read once, whose predictions count for `split`."""

    split: str
    train: list[Row]
    batches: Iterable[list[Row]]


@dataclass(frozen=True)
class Experiment:
    """The rows that a recipe is run on, with all their labels: no process has it while the recipe runs."""

    benchmark: Benchmark
    recipe: Recipe
    rows: list[Row]
    splits: tuple[str, ...] = SPLITS

    def training_labels(self, rows: list[Row]) -> list[list[object]]:
        """Return the labels of `rows` as `fit` gets them: spans as lists, or names of sectors."""
        if self.recipe.task == "sector":
            names = self._names
            return [[names[number] for number in row["sectors"]] for row in rows]
        types = self._types
        return [
            [(s["start"], s["end"], types[s["type"]], s["surface"]) for s in row["spans"] if types[s["type"]]]
            for row in rows
        ]

    @cached_property
    def _names(self) -> list[str]:
        return load.read_manifest(self.benchmark)["labels"][self.recipe.task]

    @cached_property
    def _types(self) -> dict[str, str]:
        crosswalk = self.recipe.crosswalk
        return crosswalk_types(self.benchmark, crosswalk) if crosswalk else {name: name for name in self._names}

    @property
    def cross_validation(self) -> Iterator[Round]:
        for fold in sorted({row[FOLD_COLUMN] for row in self.rows}):
            sides = ([row for row in self.rows if (row[FOLD_COLUMN] == fold) is held_out] for held_out in (False, True))
            yield Round(FOLDS, next(sides), [next(sides)])

    @cached_property
    def has_noise(self) -> bool:
        return (
            self.recipe.task == "ner"
            and "test" in self.splits
            and load.has_config(self.benchmark, task_config("ner", NOISY))
        )

    def read_golds(self) -> dict[str, Gold]:
        """Read the gold of each split, and with "test" that under noise."""
        splits = (*self.splits, *((NOISY,) if self.has_noise else ()))
        return {
            split: read_task_gold(self.benchmark, self.recipe.task, split, self.recipe.crosswalk) for split in splits
        }


def read_experiment(benchmark: Benchmark, recipe: Recipe, splits: Sequence[str] = SPLITS) -> Experiment:
    """Read the rows for a recipe.

    Raises DataError [file-missing], [file-changed], [declaration-unknown], or [unknown-id] for a task that the
    benchmark does not have.
    """
    rows = load.read_rows(benchmark, recipe.task)
    if recipe.crosswalk:
        crosswalk_types(benchmark, recipe.crosswalk, f"{files.display_path(recipe.path)} CROSSWALK")
    if "entities" in recipe.oracle_inputs:
        rows = robustness.add_gold_entities(benchmark, rows)
    return Experiment(benchmark, recipe, rows, tuple(splits))


def list_rounds(experiment: Experiment) -> list[Round]:
    """Return the rounds of a run; in the last, fitted on train once more, noisy sentences alone are predicted."""
    rounds = []
    train, test = ([row for row in experiment.rows if row["split"] == split] for split in ("train", "test"))
    if "test" in experiment.splits:
        rounds.append(Round("test", train, [test]))
    if FOLDS in experiment.splits:
        rounds += experiment.cross_validation
    if experiment.has_noise:
        rounds.append(Round(NOISY, train, _read_noisy_rows(experiment)))
    return rounds


def _read_noisy_rows(experiment: Experiment) -> Iterator[list[Row]]:
    """Read the noisy rows batch by batch, and not before: a round is listed more often than it is run."""
    for tier in robustness.read_noise_tiers(experiment.benchmark, experiment.recipe.crosswalk):
        yield tier.rows


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
    return score_fits(benchmark, recipe, splits, sandbox.run_rounds(benchmark, recipe, splits, limits, progress))


def score_fits(benchmark: Benchmark, recipe: Recipe, splits: Sequence[str], fits: Sequence[FitResult]) -> RunResult:
    """Read the gold and score the fits of a run, when all have ended."""
    experiment = read_experiment(benchmark, recipe, splits)
    golds = experiment.read_golds()
    predicted: dict[str, dict[str, frozenset[LabelKey]]] = {split: {} for split in golds}
    noise: tuple[NoiseResult, ...] = ()
    for fit in fits:
        if fit.split == NOISY:
            predicted[NOISY], noise = _score_noise(experiment, fit, golds["test"], predicted["test"])
        else:
            predicted[fit.split] |= fit.predictions[0]
    return RunResult(
        recipe,
        {split: [(id, predicted[split][id]) for id in gold.ids] for split, gold in golds.items()},
        {split: score_predictions(gold, predicted[split]) for split, gold in golds.items()},
        noise,
        _score_coarse(experiment, golds, predicted),
        _measure_costs(recipe, fits),
    )


def _score_noise(
    experiment: Experiment, fit: FitResult, gold: Gold, clean: dict[str, frozenset[LabelKey]]
) -> tuple[dict[str, frozenset[LabelKey]], tuple[NoiseResult, ...]]:
    """Return predictions of noisy sentences by their own ids, and the scores of their tiers."""
    predicted: dict[str, frozenset[LabelKey]] = {}
    results = []
    tiers = robustness.read_noise_tiers(experiment.benchmark, experiment.recipe.crosswalk)
    for tier, batch in zip(tiers, fit.predictions, strict=True):
        of_tier = dict(zip(tier.gold.ids, batch.values(), strict=True))
        predicted |= of_tier
        results.append(robustness.score_under_noise(tier, of_tier, gold, clean))
    return predicted, tuple(sorted(results, key=lambda result: (result.kind, result.level)))


def _score_coarse(
    experiment: Experiment, golds: dict[str, Gold], predicted: dict[str, dict[str, frozenset[LabelKey]]]
) -> dict[str, Score]:
    """Score the cross-validation of a recipe for the whole label set through the main crosswalk."""
    crosswalk, recipe = main_crosswalk(experiment.benchmark), experiment.recipe
    if recipe.task != "ner" or recipe.crosswalk or not crosswalk or FOLDS not in experiment.splits:
        return {}
    types = crosswalk_types(experiment.benchmark, crosswalk)
    convert = apply_crosswalk(types)
    coarse = {id: convert(labels) for id, labels in predicted[FOLDS].items()}
    return {FOLDS: score_predictions(coarsen_gold(golds[FOLDS], crosswalk, types), coarse)}


def _measure_costs(recipe: Recipe, fits: Sequence[FitResult]) -> Record:
    """Return time, memory and versions. Times are sums over the fits, without reading, scoring and noise.

    `memory_mb` is the resident set of the process of a fit: `before`, which is Python and the packages of the recipe;
    `peak`, the largest of all fits; `growth`, the largest rise of any. `left` is what fits left.
    """
    clean = [fit for fit in fits if fit.split != NOISY]
    predict_seconds = sum(fit.predict_seconds for fit in clean)
    memory = [fit.memory_mb for fit in clean]
    return {
        "fits": len(clean),
        "fit_seconds": {"wall": sum(fit.fit_seconds for fit in clean)},
        "predict_seconds": {"wall": predict_seconds},
        "cpu_seconds": sum(fit.cpu_seconds for fit in clean),
        "characters_per_second": round(sum(fit.characters for fit in clean) / max(predict_seconds, 1e-6)),
        "memory_mb": {
            "before": round(min(before for before, _ in memory), 1),
            "peak": round(max(peak for _, peak in memory), 1),
            "growth": round(max(peak - before for before, peak in memory), 1),
        },
        "left": sorted({name for fit in fits for name in fit.left}),
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
