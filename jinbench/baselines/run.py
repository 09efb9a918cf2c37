"""What `jinbench run` does: a recipe on its rounds, what that scores, and what it took.

The rounds are those of everyone: fit on train and predict test; then, for each fold, fit on the others and predict it.
"""

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from jinbench.baselines import robustness, sandbox
from jinbench.baselines.recipe import Recipe
from jinbench.baselines.robustness import NoiseResult
from jinbench.baselines.sandbox import Reply, Running
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem
from jinbench.core.types import Step
from jinbench.dataset import load
from jinbench.dataset.gold import FOLD, config_of, crosswalk_types, main_crosswalk, read_task_gold
from jinbench.scoring import gold as scoring_gold
from jinbench.scoring import score as scoring
from jinbench.scoring.gold import FOLDS, NOISY, Gold, LabelKey
from jinbench.scoring.predictions import as_rows, file_name
from jinbench.scoring.results import Score, rounded

SPLITS = ("test", FOLDS)  # what a recipe is run on, unless less is asked for
SCORES, RUN = "scores.json", "run"  # the record, and the part of it that is another one each time
VERSIONS = ("jinbench", "numpy", "scipy", "scikit-learn")

Row = dict[str, Any]


@dataclass(frozen=True)
class Fold:
    """Rows to fit on, and rows to predict. `split` is what the predictions count for."""

    split: str
    train: list[Row]
    held_out: list[Row]


@dataclass(frozen=True)
class Experiment:
    """What a recipe is run on: the rows of its task, and the gold on this side of the wall."""

    benchmark: Benchmark
    recipe: Recipe
    rows: list[Row]
    held_against: dict[str, Gold]
    names: tuple[str, ...]  # of the labels that it may predict
    sectors: tuple[str, ...]
    on: tuple[str, ...] = SPLITS

    def labels(self, rows: list[Row]) -> list[Any]:
        """What `fit` gets beside these rows."""
        if self.recipe.task == "sector":
            return [[self.sectors[number] for number in row["sectors"]] for row in rows]
        types = self._types
        return [
            [(s["start"], s["end"], types[s["type"]], s["surface"]) for s in row["spans"] if types[s["type"]]]
            for row in rows
        ]

    @cached_property
    def _types(self) -> dict[str, str]:
        crosswalk = self.recipe.crosswalk
        return crosswalk_types(self.benchmark, crosswalk) if crosswalk else {name: name for name in self.names}

    @cached_property
    def rounds(self) -> list[Fold]:
        fixed = ([row for row in self.rows if row["split"] == split] for split in ("train", "test"))
        return [*([Fold("test", *fixed)] if "test" in self.on else ()), *(self.folds if FOLDS in self.on else ())]

    @property
    def folds(self) -> Iterator[Fold]:
        for fold in sorted({row[FOLD] for row in self.rows}):
            parts = ([r for r in self.rows if (r[FOLD] == fold) is held_out] for held_out in (False, True))
            yield Fold(FOLDS, *parts)

    def running(self) -> Running:
        return Running(self.recipe, self.names)


def read_experiment(benchmark: Benchmark, recipe: Recipe, on: Sequence[str] = SPLITS) -> Experiment:
    """Raises :class:`DataError` (file-missing, file-changed, declaration-unknown, unknown-id for a task or a split that
    the benchmark does not have).
    """
    rows = load.read_rows(benchmark, recipe.task)
    if recipe.crosswalk:
        crosswalk_types(benchmark, recipe.crosswalk, f"{files.shown(recipe.path)} CROSSWALK")
    true = {split: read_task_gold(benchmark, recipe.task, split, recipe.crosswalk) for split in on}
    sectors = tuple(load.read_manifest(benchmark)["labels"]["sector"])
    if "entities" in recipe.given:
        rows = robustness.entities(benchmark, rows)
    return Experiment(benchmark, recipe, rows, true, next(iter(true.values())).names, sectors, tuple(on))


@dataclass(frozen=True)
class Result:
    """What a recipe predicts and scores, by split; for ner also coarse, and under noise held against no noise."""

    recipe: Recipe
    predictions: dict[str, list[tuple[str, frozenset[LabelKey]]]]
    scores: dict[str, Score]
    noise: tuple[NoiseResult, ...]
    coarse: dict[str, Score]
    run: dict[str, Any]

    def record(self) -> dict[str, Any]:
        """What scores.json says."""
        recipe = self.recipe
        record = {
            "recipe": recipe.name,
            "task": recipe.task,
            "seed": recipe.seed,
            "needs": recipe.needs,
            "given": recipe.given,
            "crosswalk": recipe.crosswalk,
            "scores": {split: score.to_dict() for split, score in self.scores.items()},
            RUN: self.run,
        }
        if recipe.task == "ner":
            record["noise"] = [each.to_dict() for each in self.noise]
            record["coarse"] = {split: score.to_dict() for split, score in self.coarse.items()}
        found: dict[str, Any] = rounded(record)
        return found

    def files(self) -> dict[str, str]:
        """The contents of `baselines/<name>/`, by file name."""
        task, crosswalk = self.recipe.task, self.recipe.crosswalk
        contents = {
            file_name(task, split, crosswalk): files.dump_jsonl(as_rows(task, found))
            for split, found in self.predictions.items()
        }
        contents[SCORES] = files.dump_json(self.record())
        return contents


def lasting(scores: str) -> Any:
    """The record of a scores.json without what it took, which is another time on each run."""
    record = json.loads(scores)
    record.pop(RUN, None)
    return record


def stored(benchmark: Benchmark) -> dict[str, dict[str, Any]]:
    """The records of the room's results, by recipe.

    Raises :class:`DataError` (file-missing, broken-json; wrong-version if one is of other data than the dataset's, or
    older than its form).
    """
    manifest = load.read_manifest(benchmark)["sha256"]
    found = {}
    for path in sorted(benchmark.baselines.glob(f"*/{SCORES}")):
        record = files.read_json(path)
        try:
            known = {score["manifest"] for score in record["scores"].values()}
            complete = all("documents" in score for score in record["scores"].values())
            complete &= record["task"] != "ner" or "noise" in record
        except (AttributeError, KeyError, TypeError):
            known, complete = set(), False
        if known != {manifest} or not complete:
            said = ", ".join(sorted(str(sha)[:8] for sha in known)) if complete else "a record of another form"
            hint = f"jinbench run {files.shown(path.parent)}.py"
            raise DataError(
                Problem(
                    "wrong-version",
                    location=files.shown(path),
                    expected=f"scores on the data {manifest[:8]}",
                    found=said,
                    fix=hint,
                )
            )
        found[path.parent.name] = record
    return found


def run_recipe(
    benchmark: Benchmark, recipe: Recipe, progress: Step = lambda name, done, of: None, on: Sequence[str] = SPLITS
) -> Result:
    """Run a recipe on all its rounds, or on those of the splits `on` (test, folds), and score it.

    Raises :class:`DataError` (package-missing, recipe-broken, declaration-unknown, unknown-label and the other checks
    of a submission).
    """
    at = read_experiment(benchmark, recipe, on)
    noisy = recipe.task == "ner" and "test" in on and load.has_config(benchmark, config_of("ner", NOISY))
    steps = len(at.rounds) + noisy
    predicted: dict[str, dict[str, frozenset[LabelKey]]] = {split: {} for split in on}
    true = dict(at.held_against)
    noise: tuple[NoiseResult, ...] = ()
    replies = []
    with at.running() as process:
        for done, each in enumerate(at.rounds):
            progress(recipe.name, done, steps)
            replies.append(process.round(each.train, at.labels(each.train), each.held_out))
            predicted[each.split] |= replies[-1].batches[0]
        progress(recipe.name, len(at.rounds), steps)
        if noisy:
            true[NOISY] = read_task_gold(benchmark, recipe.task, NOISY, recipe.crosswalk)
            predicted[NOISY], noise = _under_noise(at, process, predicted["test"])
    progress(recipe.name, steps, steps)
    return Result(
        recipe,
        {split: [(id, predicted[split][id]) for id in gold.ids] for split, gold in true.items()},
        {split: scoring.score_predictions(gold, predicted[split]) for split, gold in true.items()},
        noise,
        _coarse(at, predicted),
        _took(recipe, replies, sum(len(row["text"]) for each in at.rounds for row in each.held_out)),
    )


def _under_noise(
    on: Experiment, process: Running, clean: dict[str, frozenset[LabelKey]]
) -> tuple[dict[str, frozenset[LabelKey]], tuple[NoiseResult, ...]]:
    """The test round once more, on noisy sentences alone: the process that predicts them never sees them clean.

    The highest level comes first, since what a level leaves alone, lower ones leave alone too.
    """
    tiers = sorted(robustness.tiers(on.benchmark, on.recipe.crosswalk), key=lambda tier: -tier.level)
    train = on.rounds[0].train
    reply = process.round(train, on.labels(train), *(tier.rows for tier in tiers))
    predicted: dict[str, frozenset[LabelKey]] = {}
    found = []
    for tier, batch in zip(tiers, reply.batches, strict=True):
        here = dict(zip(tier.gold.ids, batch.values(), strict=True))
        predicted |= here
        found.append(robustness.score_under_noise(tier, here, on.held_against["test"], clean))
    return predicted, tuple(sorted(found, key=lambda each: (each.kind, each.level)))


def _coarse(on: Experiment, predicted: dict[str, dict[str, frozenset[LabelKey]]]) -> dict[str, Score]:
    """The cross-validated score through the crosswalk, of a recipe for the whole label set."""
    main = main_crosswalk(on.benchmark)
    if on.recipe.task != "ner" or on.recipe.crosswalk or not main or FOLDS not in on.on:
        return {}
    types = crosswalk_types(on.benchmark, main)
    convert, gold = scoring_gold.apply_crosswalk(types), scoring_gold.coarse_gold(on.held_against[FOLDS], main, types)
    return {FOLDS: scoring.score_predictions(gold, {id: convert(found) for id, found in predicted[FOLDS].items()})}


def _took(recipe: Recipe, replies: list[Reply], characters: int) -> dict[str, Any]:
    """Time, memory and versions. Times are sums over the rounds; reading, scoring and noise are not in them.

    `memory_mb` is the resident set of the process of a round: `before` the rows came, which is Python, the recipe and
    all that it imports; `peak`, the largest of all rounds; `growth`, the largest rise of any.
    """
    fit, predict = (
        {"wall": sum(pair[0] for pair in pairs), "cpu": sum(pair[1] for pair in pairs)}
        for pairs in ([reply.fit for reply in replies], [reply.predict for reply in replies])
    )
    memory = [reply.memory for reply in replies]
    return {
        "rounds": len(replies),
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
        "settings": {name: os.environ.get(name, value) for name, value in sandbox.SETTINGS.items()},
        "versions": {name: metadata.version(name) for name in (*VERSIONS, *recipe.needs)},
    }


def write_result(result: Result, folder: Path) -> None:
    for name, text in result.files().items():
        files.write_text(folder / name, text)
