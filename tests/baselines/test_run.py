"""Recipes: ours and a stranger's alike, and the tagger behind one of them."""

import json
import re
import shutil
from pathlib import Path

import pytest

from jinbench.baselines import run, sandbox
from jinbench.baselines.recipe import load_recipe, recipe_paths
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.dataset import load, noise
from jinbench.scoring import gold
from tests.helpers.paths import ROOT
from tests.helpers.recipes import PREDICTS, write_recipe


def test_the_recipes_of_the_room(real: Benchmark) -> None:
    found = [load_recipe(path) for path in recipe_paths(real)]
    assert {r.task for r in found} == set(gold.TASKS)
    assert all(len(r.summary) > 30 for r in found)
    assert all((real.baselines / r.name / "curve.json").is_file() == r.curve for r in found)


@pytest.mark.parametrize("name", ["gazetteer", "majority"])
def test_committed_results_are_what_the_recipe_gives(real: Benchmark, name: str) -> None:
    result = run.run_recipe(real, load_recipe(real.baselines / f"{name}.py"))
    for file, text in result.files().items():
        committed = (real.baselines / name / file).read_text()
        same = run.lasting(committed) == run.lasting(text) if file == "scores.json" else committed == text
        assert same, f"{name}/{file} is stale: jinbench run"


@pytest.mark.parametrize("name", ["char_tagger", "tfidf"])
def test_a_learnt_recipe_gives_the_same_twice(world: Benchmark, name: str) -> None:
    path = ROOT / "baselines" / f"{name}.py"
    first, second = (run.run_recipe(world, load_recipe(path)).files() for _ in range(2))
    records = [run.lasting(found.pop("scores.json")) for found in (first, second)]
    assert first == second
    assert records[0] == records[1]


def test_every_fold_is_predicted_by_a_model_that_did_not_see_it(world: Benchmark, tmp_path: Path) -> None:
    """A recipe that notes what it is given: no labels in the rows, no held-out article in training."""
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
    rounds = [json.loads(line) for line in (tmp_path / "seen.jsonl").read_text().splitlines()]
    assert len(rounds) == 1 + 4 + len(noise.TIERS)
    for trained, predicted, fields in rounds:
        assert not set(trained) & set(predicted)
        assert set(fields) <= set(sandbox.SEEN)
    assert len([id for _, predicted, _ in rounds[1:5] for id in predicted]) == len(load.read_rows(world, "ner"))


def test_tags_and_spans_are_both_taken(world: Benchmark, tmp_path: Path) -> None:
    body = PREDICTS.replace("WHAT", "[{} for row in X]")
    spans = run.run_recipe(world, write_recipe(tmp_path, body.format("[(0, 2, 'PLACE')]")))
    tags = run.run_recipe(
        world, write_recipe(tmp_path, body.format("['B-PLACE', 'I-PLACE'] + ['O'] * (len(row['text']) - 2)"))
    )
    assert spans.predictions == tags.predictions


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("TASK = 'ner'\n", "no SEED, make"),
        ("TASK, SEED = 'translation', 0\ndef make(): ...\n", "wrong-task"),
        ("def make(:\n", "model.py:1"),
        ("TASK, SEED = 'ner', int('0')\ndef make(): ...\n", "model.py:1"),
        ("TASK, SEED = 'ner', True\ndef make(): ...\n", "a whole number"),
        ("TASK, SEED, NEEDS = 'ner', 0, (1,)\ndef make(): ...\n", "names of packages"),
        ("TASK, SEED, CURVE = 'ner', 0, 1\ndef make(): ...\n", "True or False"),
        ("TASK, SEED, GIVEN = 'ner', 0, ('entities',)\ndef make(): ...\n", "declaration-unknown"),
        ("TASK, SEED, GIVEN = 'sector', 0, ('sectors',)\ndef make(): ...\n", "declaration-unknown"),
        ("TASK, SEED, CROSSWALK = 'sector', 0, 'msra'\ndef make(): ...\n", "declaration-unknown"),
        ("TASK = 'ner'\nif TASK:\n    SEED = 0\ndef make(): ...\n", "no SEED"),
    ],
)
def test_what_is_no_recipe_is_refused(tmp_path: Path, text: str, found: str) -> None:
    with pytest.raises(DataError, match=re.escape(found)):
        write_recipe(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "TASK: str = 'ner'\nSEED: int = 0\nfrom sklearn import clone as make\n",
        "(TASK, SEED), NEEDS = ('ner', 0), 'numpy'\nmake = print\n",
        "TASK, SEED, NEEDS, GIVEN = 'sector', 0, ['numpy'], ['entities']\nclass make: ...\n",
    ],
)
def test_declarations_are_read_without_running_the_file(tmp_path: Path, text: str) -> None:
    assert write_recipe(tmp_path, f"{text}\n1 / 0\n").missing == ()


def test_what_fails_in_a_recipe_is_named_by_its_line(world: Benchmark, tmp_path: Path) -> None:
    for text, found in (("import no_such_module\n", "model.py:1"), ("raise SystemExit\n", "SystemExit")):
        with pytest.raises(DataError, match=found):
            run.run_recipe(world, write_recipe(tmp_path, text + PREDICTS))


def test_too_few_predictions_are_refused(world: Benchmark, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found    0"):
        run.run_recipe(world, write_recipe(tmp_path, PREDICTS.replace("WHAT", "[]")))


def test_the_example_of_the_readme_runs_in_an_empty_folder(tmp_path: Path, real: Benchmark) -> None:
    match = re.search(r"<!-- example:my_model.py -->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert match
    result = run.run_recipe(real, write_recipe(tmp_path, match[1]))
    assert (result.scores["folds"].micro.f1 or 0) > 0.02


def test_a_recipe_run_leaves_its_folder_as_the_readme_says(world: Benchmark, tmp_path: Path) -> None:
    shutil.copy(ROOT / "baselines" / "gazetteer.py", tmp_path / "mine.py")
    result = run.run_recipe(world, load_recipe(tmp_path / "mine.py"))
    run.write_result(result, tmp_path / "mine")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "predictions-ner-folds.jsonl", "predictions-ner-noisy.jsonl", "predictions-ner-test.jsonl", "scores.json",
    ]  # fmt: skip
