"""The learning curve: order of the articles, averages, verdict."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from jinbench.baselines import learning_curve, recipe
from jinbench.baselines.run import read_experiment, read_stored_results
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.dataset import load
from jinbench.publish import card
from jinbench.scoring.gold import FOLDS
from tests.helpers.commands import run
from tests.helpers.recipes import MEMORIZING_RECIPE, add_crosswalk, measure_curve, run_and_store


@pytest.fixture
def benchmark(mini: Benchmark) -> Benchmark:
    return add_crosswalk(mini)


def measure(benchmark: Benchmark, text: str = MEMORIZING_RECIPE.format(more="")) -> learning_curve.LearningCurve:
    return measure_curve(benchmark, run_and_store(benchmark, "memory", text))


def test_each_step_contains_the_articles_of_the_step_before(real: Benchmark) -> None:
    experiment = read_experiment(real, recipe.load_recipe(real.baselines / "gazetteer.py"))
    orders = set()
    for fold in experiment.cross_validation:
        articles = len({row["article_id"] for row in fold.train})
        for repeat in range(learning_curve.REPEATS):
            steps = [
                {row["article_id"] for row in learning_curve._select_first_articles(fold, step, repeat)}
                for step in learning_curve.FRACTIONS
            ]
            assert [len(step) for step in steps] == [
                max(1, round(step * articles)) for step in learning_curve.FRACTIONS
            ]
            assert steps[0] < steps[1] < steps[2] < steps[3]
            assert not steps[-1] & {row["article_id"] for batch in fold.batches for row in batch}
            orders.add(tuple(sorted(steps[1])))
        whole = learning_curve._select_first_articles(fold, 0.5, 0)
        for id in {row["article_id"] for row in whole}:
            assert [r for r in whole if r["article_id"] == id] == [r for r in fold.train if r["article_id"] == id]
    assert len(orders) > 10, "each repeat and fold has another order"


def test_last_point_is_the_cross_validation(benchmark: Benchmark) -> None:
    result = run_and_store(benchmark, "memory", MEMORIZING_RECIPE.format(more=""))
    curve = measure_curve(benchmark, result)
    micro = result.scores[FOLDS].micro
    assert (curve.points[-1].f1, curve.points[-1].low, curve.points[-1].high) == (micro.f1, micro.low, micro.high)
    assert curve.points[-1].repeats == (micro.f1,)
    assert all(len(point.repeats) == learning_curve.REPEATS for point in curve.points[:-1])
    assert [point.items for point in curve.points] == sorted(point.items for point in curve.points)
    for before, after, gain in zip(curve.points[:-1], curve.points[1:], curve.gains, strict=True):
        assert gain.f1 == pytest.approx(after.f1 - before.f1)
        assert gain.low <= gain.f1 <= gain.high
        assert sum(gain.repeats) / len(gain.repeats) == pytest.approx(gain.f1)
    assert curve == measure_curve(benchmark, result)


def test_system_that_learns_nothing_has_a_flat_curve(benchmark: Benchmark) -> None:
    text = MEMORIZING_RECIPE.format(more="").replace("self.types = {", "self.types = {'天津港': 'PLACE'} or {")
    for gain in measure(benchmark, text).gains:
        assert (gain.f1, gain.low, gain.high) == (0.0, 0.0, 0.0)


def test_verdict_follows_the_last_step(benchmark: Benchmark) -> None:
    curve = measure(benchmark)
    assert "5 articles are too few to say" in curve.verdict
    last = replace(curve.gains[-1], articles=(9.2, 18.4), f1=0.05)
    for low, high, repeats, statement in (
        (0.01, 0.09, (0.02, 0.07), "more pages of this kind would probably help"),
        (0.01, 0.09, (-0.02, 0.07), "has repeats that disagree"),
        (-0.01, 0.11, (0.02, 0.07), "not significantly different from 0"),
        (-0.09, -0.01, (-0.02, -0.07), "falls at its end"),
    ):
        gain = replace(last, low=low, high=high, repeats=repeats)
        verdict = replace(curve, tested=23, gains=(*curve.gains[:-1], gain)).verdict
        assert statement in verdict
        assert f"from 9 to 18 training articles, micro-F1 moved by +0.050 [{low:+.3f}, {high:+.3f}]" in verdict


def test_card_shows_the_stored_curves_and_their_plot(benchmark: Benchmark) -> None:
    assert "No learning curve" in card.render_section(benchmark, "curve")
    curve = measure(benchmark)
    learning_curve.write_curve(curve, benchmark.baselines / "memory")
    assert (
        learning_curve.read_curves(benchmark) == [curve]
        or json.loads(json.dumps(curve.to_dict())) == learning_curve.read_curves(benchmark)[0].to_dict()
    )
    text = card.render_section(benchmark, "curve")
    assert text.startswith("![Micro-F1 over the number of training articles: memory (ner) 0.")
    assert learning_curve.read_curves(benchmark)[0].verdict in text
    assert "| unseen entities |" in card.render_section(benchmark, "conditions")

    files.write_text(benchmark.root / "DATASET_CARD.md", "<!-- generated:curve -->\n<!-- end:curve -->\n")
    path = benchmark.baselines / "memory" / "curve.json"
    files.write_text(path, path.read_text().replace(curve.manifest, "0" * 64))
    with pytest.raises(DataError, match="wrong-version"):
        learning_curve.read_curves(benchmark)
    files.write_text(path, "{}")
    with pytest.raises(DataError, match="wrong-shape"):
        learning_curve.read_curves(benchmark)


@pytest.mark.parametrize("declared", [True, False])
def test_command_measures_the_curve_when_asked(
    benchmark: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str], declared: bool
) -> None:  # fmt: skip
    path = tmp_path / "model.py"
    path.write_text(MEMORIZING_RECIPE.format(more="CURVE = True" if declared else ""))
    assert run(["--root", str(benchmark.root), "run", "--json", str(path), *([] if declared else ["--curve"])]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["curve"] == json.loads((tmp_path / "model" / "curve.json").read_text())
    assert (tmp_path / "model" / "scores.json").is_file()


def test_stored_scores_of_other_data_are_refused(benchmark: Benchmark) -> None:
    run_and_store(benchmark, "memory", MEMORIZING_RECIPE.format(more=""))
    assert set(read_stored_results(benchmark)) == {"memory"}
    path = benchmark.baselines / "memory" / "scores.json"
    record = json.loads(path.read_text())
    for broken in (record | {"noise": None} | {"scores": {}}, [], {"task": "ner", "scores": record["scores"]}):
        path.write_text(json.dumps(broken))
        with pytest.raises(DataError, match="wrong-version"):
            read_stored_results(benchmark)
    load.read_manifest(benchmark)
