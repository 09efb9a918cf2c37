"""Running recipes: committed results, folds, predictions, errors."""

import json
import re
import shutil
from pathlib import Path

import pytest

from jinbench.baselines import reader, run
from jinbench.baselines.recipe import load_recipe
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.dataset import load, noise
from tests.helpers.paths import ROOT
from tests.helpers.recipes import PREDICTING_RECIPE, write_recipe


@pytest.mark.parametrize("name", ["gazetteer", "majority"])
def test_committed_results_are_reproduced(real: Benchmark, name: str) -> None:
    result = run.run_recipe(real, load_recipe(real.baselines / f"{name}.py"))
    for file, text in result.to_files().items():
        committed = (real.baselines / name / file).read_text()
        same = run.strip_costs(committed) == run.strip_costs(text) if file == "scores.json" else committed == text
        assert same, f"{name}/{file} is stale: jinbench run"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tagger", "tfidf"])
def test_learnt_recipe_is_deterministic(world: Benchmark, name: str) -> None:
    path = ROOT / "baselines" / f"{name}.py"
    first, second = (run.run_recipe(world, load_recipe(path)).to_files() for _ in range(2))
    records = [run.strip_costs(contents.pop("scores.json")) for contents in (first, second)]
    assert first == second
    assert records[0] == records[1]


def test_every_fold_is_predicted_by_a_model_not_trained_on_it(world: Benchmark, tmp_path: Path) -> None:
    """A recipe that logs what it gets: no labels in the rows, no held-out article in training."""
    spy = write_recipe(
        tmp_path,
        f"""
import json
TASK, SEED = "ner", 0
class Spy:
    def fit(self, X, y):
        self.seen = [row["article_id"] for row in X]
        self.fields = sorted({{key for row in X for key in row}})
        return self
    def predict(self, X):
        fields = sorted({{*self.fields, *(key for row in X for key in row)}})
        with open({str(tmp_path / "seen.jsonl")!r}, "a") as file:
            file.write(json.dumps([self.seen, [row["article_id"] for row in X], fields]) + "\\n")
        return [[] for _ in X]
def make():
    return Spy()
""",
    )
    run.run_recipe(world, spy)
    fits = [json.loads(line) for line in (tmp_path / "seen.jsonl").read_text().splitlines()]
    assert len(fits) == 1 + 4 + len(noise.TIERS)
    for trained, predicted, fields in fits:
        assert not set(trained) & set(predicted)
        assert set(fields) <= set(reader.VISIBLE_FIELDS)
    assert len([id for _, predicted, _ in fits[1:5] for id in predicted]) == len(load.read_rows(world, "ner"))


def test_tags_and_spans_are_both_accepted(world: Benchmark, tmp_path: Path) -> None:
    body = PREDICTING_RECIPE.replace("WHAT", "[{} for row in X]")
    spans = run.run_recipe(world, write_recipe(tmp_path, body.format("[(0, 2, 'PLACE')]")))
    tags = run.run_recipe(
        world, write_recipe(tmp_path, body.format("['B-PLACE', 'I-PLACE'] + ['O'] * (len(row['text']) - 2)"))
    )
    assert spans.predictions == tags.predictions


def test_error_in_a_recipe_names_its_line(world: Benchmark, tmp_path: Path) -> None:
    for text, message in (("import no_such_module\n", "model.py:1"), ("raise SystemExit\n", "SystemExit")):
        with pytest.raises(DataError, match=message):
            run.run_recipe(world, write_recipe(tmp_path, text + PREDICTING_RECIPE))


def test_too_few_predictions_are_refused(world: Benchmark, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found    0"):
        run.run_recipe(world, write_recipe(tmp_path, PREDICTING_RECIPE.replace("WHAT", "[]")))


def test_example_of_the_documents_runs_in_an_empty_folder(tmp_path: Path, real: Benchmark) -> None:
    text = (ROOT / "docs" / "submitting.md").read_text()
    match = re.search(r"<!-- example:my_model.py -->\n```python\n(.*?)```", text, re.DOTALL)
    assert match
    result = run.run_recipe(real, write_recipe(tmp_path, match[1]))
    assert (result.scores["folds"].micro.f1 or 0) > 0.02


def test_run_writes_the_files_that_the_documents_name(world: Benchmark, tmp_path: Path) -> None:
    shutil.copy(ROOT / "baselines" / "gazetteer.py", tmp_path / "mine.py")
    result = run.run_recipe(world, load_recipe(tmp_path / "mine.py"))
    run.write_result(result, tmp_path / "mine")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "predictions-ner-folds.jsonl", "predictions-ner-noisy.jsonl", "predictions-ner-test.jsonl", "scores.json",
    ]  # fmt: skip
