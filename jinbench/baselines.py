"""Running a recipe: a Python file that says which task it is for and makes an estimator with `fit` and `predict`.

A recipe defines `TASK` ("ner" or "sector"), `SEED`, and `make()`, which returns a new, unfitted estimator.
`fit(X, y)` gets rows without labels and, beside them, what they are labelled with: a list of `Span` for ner, a list
of sector names for sector. `predict(X)` gives the same for new rows; a ner estimator may give BIO tags instead, or
spans by a method `predict_spans`. The labels of what is predicted never reach the recipe.
"""

import importlib.util
import operator
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinbench import dataset, files, scoring, submissions, tagging
from jinbench.problems import DataError, Problem, raise_if_any
from jinbench.records import Span, Step
from jinbench.rooms import Rooms
from jinbench.scoring import Score
from jinbench.splitting import FOLD_COLUMNS
from jinbench.submissions import FOLDS, Label

FOLD = FOLD_COLUMNS[0]  # the repeat of the cross-validation that is scored
SPLITS = ("test", FOLDS)  # what a recipe is run on
SEEN = ("id", "text", "tokens", "title", "passage_id", "article_id", "layout")  # the fields of a row that a recipe gets


@dataclass(frozen=True)
class Recipe:
    name: str
    path: Path
    summary: str
    task: str
    seed: int
    make: Callable[[], Any]


@dataclass(frozen=True)
class Result:
    """What a recipe predicts and scores, by split."""

    recipe: Recipe
    predictions: dict[str, list[tuple[str, frozenset[Label]]]]
    scores: dict[str, Score]

    def files(self) -> dict[str, str]:
        """The contents of `baselines/<name>/`, by file name."""
        contents = {
            f"predictions-{self.recipe.task}-{split}.jsonl": files.dump_jsonl(
                submissions.as_rows(self.recipe.task, found)
            )
            for split, found in self.predictions.items()
        }
        scores = {split: score.to_dict() for split, score in self.scores.items()}
        record = {"recipe": self.recipe.name, "task": self.recipe.task, "seed": self.recipe.seed, "scores": scores}
        contents["scores.json"] = files.dump_json(record)
        return contents


def recipes(where: Rooms) -> list[Path]:
    """The recipes of the room, in order of their names. Raises :class:`DataError` (file-missing) if there are none."""
    found = sorted(where.baselines.glob("*.py"))
    if not found:
        place = files.shown(where.baselines)
        raise DataError(Problem("file-missing", place, "recipes (*.py)", "none", "name one: jinbench run my_model.py"))
    return found


def load(path: Path) -> Recipe:
    """Raises :class:`DataError` (file-missing, recipe-broken, wrong-task)."""
    files.read_text(path)
    spec = importlib.util.spec_from_file_location(f"recipe_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise DataError(Problem("recipe-broken", files.shown(path), "a Python file", path.name, "name it something.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _broken(path, error) from None
    missing = [name for name in ("TASK", "SEED", "make") if not hasattr(module, name)]
    if missing:
        raise DataError(
            Problem(
                "recipe-broken",
                files.shown(path),
                "TASK, SEED and make()",
                f"no {', '.join(missing)}",
                "copy baselines/gazetteer.py and change it",
            )
        )
    if module.TASK not in submissions.TASKS:
        raise DataError(
            Problem(
                "wrong-task",
                f"{files.shown(path)} TASK",
                f"one of {', '.join(submissions.TASKS)}",
                repr(module.TASK),
                "say which task the recipe is for",
            )
        )
    if not isinstance(module.SEED, int) or not callable(module.make):
        found = f"SEED = {module.SEED!r}, make = {module.make!r}"
        raise DataError(
            Problem(
                "recipe-broken", files.shown(path), "a whole number SEED and a function make()", found, "correct them"
            )
        )
    summary = (module.__doc__ or "").strip().split("\n")[0]
    return Recipe(path.stem, path, summary, module.TASK, module.SEED, module.make)


def _broken(path: Path, error: BaseException) -> DataError:
    """The line of the recipe that failed, without a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    if isinstance(error, SyntaxError) and error.lineno:
        lines = [error.lineno]
    where = f"{files.shown(path)}:{lines[-1]}" if lines else files.shown(path)
    return DataError(
        Problem(
            "recipe-broken",
            where,
            "a recipe that runs",
            f"{type(error).__name__}: {error}",
            "mend the recipe, or run it on its own to see more",
        )
    )


def run(where: Rooms, recipe: Recipe, progress: Step = lambda name, done, of: None) -> Result:
    """Fit on train and predict test; then, for each fold, fit on the others and predict it.

    Raises :class:`DataError` (recipe-broken, unknown-label and the other checks of a submission).
    """
    rows = dataset.read_rows(where, recipe.task)
    names = dataset.read_manifest(where)["labels"][recipe.task]
    rounds = list(_rounds(rows))
    predictions: dict[str, dict[str, frozenset[Label]]] = {split: {} for split in SPLITS}
    for done, (split, train, held_out) in enumerate(rounds):
        progress(recipe.name, done, len(rounds))
        predictions[split] |= _predict(recipe, names, train, held_out)
    progress(recipe.name, len(rounds), len(rounds))
    golds = {split: submissions.gold(where, recipe.task, split) for split in SPLITS}
    ordered = {split: [(id, predictions[split][id]) for id in golds[split].ids] for split in SPLITS}
    scores = {split: scoring.score(golds[split], predictions[split]) for split in SPLITS}
    return Result(recipe, ordered, scores)


def _rounds(rows: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]]:
    """(split, rows to fit on, rows to predict)."""
    yield "test", [r for r in rows if r["split"] == "train"], [r for r in rows if r["split"] == "test"]
    for fold in sorted({row[FOLD] for row in rows}):
        yield FOLDS, [r for r in rows if r[FOLD] != fold], [r for r in rows if r[FOLD] == fold]


def _predict(
    recipe: Recipe, names: Sequence[str], train: list[dict[str, Any]], held_out: list[dict[str, Any]]
) -> dict[str, frozenset[Label]]:
    import warnings

    y: list[Any]
    if recipe.task == "ner":
        y = [[Span(**span) for span in row["spans"]] for row in train]
    else:
        y = [[names[number] for number in row["sectors"]] for row in train]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator = recipe.make()
            estimator.fit([_seen(row) for row in train], y)
            predict = getattr(estimator, "predict_spans", estimator.predict)
            found = list(predict([_seen(row) for row in held_out]))
    except DataError:
        raise
    except (Exception, SystemExit) as error:
        raise _broken(recipe.path, error) from None
    where = files.shown(recipe.path)
    if len(found) != len(held_out):
        hint = "return one list for each row, empty if there is nothing"
        expected = f"{len(held_out)} predictions, one per row"
        raise DataError(Problem("recipe-broken", where, expected, str(len(found)), hint))
    predicted = {}
    problems: list[Problem] = []
    for row, values in zip(held_out, found, strict=True):
        try:
            given = _values(recipe, row, values)
        except (TypeError, IndexError, KeyError):
            hint = "for ner (start, end, type) or one BIO tag per character, for sector names"
            problems.append(
                Problem("recipe-broken", f"{where} {row['id']}", "a list of labels", repr(values)[:80], hint)
            )
            continue
        predicted[row["id"]] = submissions.check(
            recipe.task, given, row["text"], names, f"{where} {row['id']}", problems
        )
    raise_if_any(problems)
    return predicted


def _seen(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in SEEN if key in row}


def _values(recipe: Recipe, row: dict[str, Any], found: Any) -> list[Any]:
    """What a recipe gave for a row, as the values of a submission."""
    found = list(found)
    if recipe.task == "sector":
        return [str(name) for name in found]
    if len(found) == len(row["text"]) and all(isinstance(tag, str) for tag in found):
        found = tagging.from_bio(found, row["text"], f"{files.shown(recipe.path)} {row['id']}")
    return [{"start": operator.index(span[0]), "end": operator.index(span[1]), "type": str(span[2])} for span in found]


def write(result: Result, folder: Path) -> None:
    for name, text in result.files().items():
        files.write_text(folder / name, text)
