"""Test helpers: recipes."""

from pathlib import Path

import pytest

from jinbench.baselines import recipe
from jinbench.baselines.recipe import Recipe, load_recipe
from jinbench.baselines.run import Result, run_recipe, write_result
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.dataset import build

PREDICTS = """
TASK, SEED = "ner", 0
class M:
    def fit(self, X, y): return self
    def predict(self, X): return WHAT
def make(): return M()
"""


# Predicts every mention of training wherever it stands, as the gazetteer does, without bringing scikit-learn along.
MEMORY = """
TASK, SEED = "ner", 0
{more}
class M:
    def fit(self, X, y):
        self.known = {{span.surface: span.type for spans in y for span in spans}}
        return self
    def predict(self, X):
        return [self.find(row["text"]) for row in X]
    def find(self, text):
        found, at = [], 0
        while at < len(text):
            fits = [name for name in self.known if text.startswith(name, at)]
            if fits:
                name = max(fits, key=len)
                found.append((at, at + len(name), self.known[name]))
                at += len(name) - 1
            at += 1
        return found
def make(): return M()
"""


def crossed(mini: Benchmark) -> Benchmark:
    """The three pages with a crosswalk: places stay, dates become times, quantities have no counterpart."""
    text = mini.labels.read_text()
    for name, coarse in (("PLACE", "LOC"), ("DATE", "TIME"), ("QUANTITY", "")):
        text = text.replace(f'name = "{name}"', f'name = "{name}"\ncrosswalk = {{ msra = "{coarse}", other = "X" }}')
    mini.labels.write_text(text)
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    return mini


@pytest.fixture
def world(mini: Benchmark) -> Benchmark:
    return crossed(mini)


def result(world: Benchmark, name: str, text: str) -> Result:
    """The recipe is put into the room, run, and what it gives stored."""
    path = world.baselines / f"{name}.py"
    files.write_text(path, text)
    found = run_recipe(world, recipe.load_recipe(path))
    write_result(found, world.baselines / name)
    return found


def write_recipe(tmp_path: Path, text: str) -> Recipe:
    """A recipe in a file."""
    path = tmp_path / "model.py"
    path.write_text(text)
    return load_recipe(path)
