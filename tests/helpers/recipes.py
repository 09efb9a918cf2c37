"""Test helpers: recipes."""

from pathlib import Path

from jinbench.baselines import learning_curve
from jinbench.baselines.recipe import Recipe, load_recipe
from jinbench.baselines.run import SPLITS, RunResult, run_recipe, write_result
from jinbench.baselines.sandbox import NO_LIMITS, run_rounds
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.dataset import build

PREDICTING_RECIPE = """
TASK, SEED = "ner", 0
class M:
    def fit(self, X, y): return self
    def predict(self, X): return WHAT
def make(): return M()
"""


# Predicts every surface of training wherever it occurs, as the gazetteer does, but without scikit-learn.
MEMORIZING_RECIPE = """
TASK, SEED = "ner", 0
{more}
class M:
    def fit(self, X, y):
        self.types = {{span.surface: span.type for spans in y for span in spans}}
        return self
    def predict(self, X):
        return [self.find(row["text"]) for row in X]
    def find(self, text):
        spans, offset = [], 0
        while offset < len(text):
            fits = [name for name in self.types if text.startswith(name, offset)]
            if fits:
                name = max(fits, key=len)
                spans.append((offset, offset + len(name), self.types[name]))
                offset += len(name) - 1
            offset += 1
        return spans
def make(): return M()
"""


def add_crosswalk(mini: Benchmark) -> Benchmark:
    """Build the three pages with a crosswalk: places stay, dates become times, quantities have no counterpart."""
    text = mini.labels.read_text()
    for name, coarse in (("PLACE", "LOC"), ("DATE", "TIME"), ("QUANTITY", "")):
        text = text.replace(f'name = "{name}"', f'name = "{name}"\ncrosswalk = {{ msra = "{coarse}", other = "X" }}')
    mini.labels.write_text(text)
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    return mini


def run_and_store(benchmark: Benchmark, name: str, text: str) -> RunResult:
    """Write a recipe into a benchmark, run it, and store its result."""
    path = benchmark.baselines / f"{name}.py"
    files.write_text(path, text)
    result = run_recipe(benchmark, load_recipe(path))
    write_result(result, benchmark.baselines / name)
    return result


def measure_curve(benchmark: Benchmark, result: RunResult) -> learning_curve.LearningCurve:
    fits = run_rounds(benchmark, result.recipe, SPLITS, NO_LIMITS, lambda *_: None, curve=True)
    return learning_curve.measure_curve(benchmark, result, fits)


def write_recipe(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "model.py"
    path.write_text(text)
    return load_recipe(path)
