"""Scores under noise, on seen and unseen entities and on coarse labels; recipes with oracle inputs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from jinbench.baselines import robustness
from jinbench.baselines.run import SPLITS
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.dataset import load, noise
from jinbench.dataset.gold import crosswalk_types, read_task_gold
from jinbench.leaderboard import ranking
from jinbench.leaderboard.board import SystemInfo
from jinbench.leaderboard.systems import SystemPredictions, Systems
from jinbench.leaderboard.tables import format_markdown
from jinbench.publish import card
from jinbench.scoring import score
from jinbench.scoring.gold import apply_crosswalk
from tests.helpers.paths import ROOT
from tests.helpers.recipes import MEMORIZING_RECIPE, add_crosswalk, run_and_store
from tests.helpers.scoring import gold_of, guesses


@pytest.fixture
def benchmark(mini: Benchmark) -> Benchmark:
    return add_crosswalk(mini)


# ---- seen and unseen entities ---------------------------------------------------------------------------------


def test_seen_and_unseen_by_hand() -> None:
    """In training 一 was labelled, 二 was not. There are two of each; predictions are right, wrong, or missing."""
    texts = ("一二", "一二")
    gold = replace(gold_of([{(0, 1, "X"), (1, 2, "Y")}, {(0, 1, "X"), (1, 2, "X")}]), texts=texts)
    predicted = guesses({(0, 1, "X"), (1, 2, "Y")}, {(0, 1, "Y")})
    scores = score.score_predictions(replace(gold, training_surfaces=(frozenset("一"),) * 2), predicted)
    seen, unseen = scores.parts["seen_unseen"]
    assert (seen.name, seen.gold, seen.predicted, seen.correct) == ("seen", 2, 2, 1)
    assert (unseen.name, unseen.gold, unseen.predicted, unseen.correct) == ("unseen", 2, 1, 1)
    assert (unseen.precision, unseen.recall) == (1.0, 0.5)


def test_surface_is_seen_in_the_folds_that_had_it_in_training(benchmark: Benchmark) -> None:
    """A surface labelled in one fold alone is unseen in that fold, and seen in all others."""
    result = run_and_store(benchmark, "memory", MEMORIZING_RECIPE.format(more=""))
    for split in SPLITS:
        seen, unseen = result.scores[split].parts["seen_unseen"]
        micro = result.scores[split].micro
        for key in ("gold", "predicted", "correct"):
            assert getattr(seen, key) + getattr(unseen, key) == getattr(micro, key)
        assert unseen.predicted == 0, "it can only find what it has seen"
        assert seen.gold > 0
        assert unseen.gold > 0


# ---- noise ----------------------------------------------------------------------------------------------------


def test_ids_of_noisy_rows_reveal_neither_sentence_nor_noise(benchmark: Benchmark) -> None:
    clean = {row["id"]: row for row in load.read_rows(benchmark, "ner", "test")}
    tiers = robustness.read_noise_tiers(benchmark)
    assert {(tier.kind, tier.level) for tier in tiers} == set(noise.TIERS)
    names = {json.dumps([(r["id"], r["passage_id"], r["article_id"]) for r in tier.rows]) for tier in tiers}
    assert len(names) == 1, "the names are the same in every tier"
    for row in tiers[0].rows:
        assert not {row["id"], row["passage_id"]} & {*clean, *(r["passage_id"] for r in clean.values())}
        assert row["article_id"] not in {r["article_id"] for r in clean.values()}
    assert len({row["passage_id"] for row in tiers[0].rows}) == len({row["passage_id"] for row in clean.values()})


def test_score_under_noise_is_that_of_the_noisy_gold(benchmark: Benchmark) -> None:
    """Perfect predictions score 1 and none score 0, with the change that follows."""
    gold = read_task_gold(benchmark, "ner", "test")
    clean = dict(zip(gold.ids, gold.labels, strict=True))
    for tier in robustness.read_noise_tiers(benchmark):
        perfect = robustness.score_under_noise(
            tier, dict(zip(tier.gold.ids, tier.gold.labels, strict=True)), gold, clean
        )
        assert perfect.cell.f1 == 1.0
        assert perfect.change
        assert perfect.change.value == 0.0
        assert robustness.score_under_noise(tier, {}, gold, {}).cell.f1 == 0.0
        nothing = robustness.score_under_noise(tier, {}, gold, clean)
        assert nothing.change
        assert (nothing.change.value, nothing.change.low, nothing.change.high) == (-1.0, -1.0, -1.0)


def test_record_has_every_noise_tier(benchmark: Benchmark) -> None:
    record = json.loads(run_and_store(benchmark, "memory", MEMORIZING_RECIPE.format(more="")).to_files()["scores.json"])
    assert {(tier["kind"], tier["level"]) for tier in record["noise"]} == set(noise.TIERS)
    assert "noise" not in json.loads((ROOT / "baselines" / "majority" / "scores.json").read_text())


def test_noise_does_not_change_the_clean_scores(benchmark: Benchmark) -> None:
    """A recipe that turns bad on its second prediction has the test score of one that does not."""
    body = MEMORIZING_RECIPE.format(more="").replace(
        "return [self.find", "self.times = getattr(self, 'times', 0) + 1\n        return [self.find"
    )
    bad = body.replace('self.find(row["text"]) for', 'self.find(row["text"]) if self.times < 2 else [] for')
    good, spoilt = run_and_store(benchmark, "good", body), run_and_store(benchmark, "spoilt", bad)
    for split in SPLITS:
        assert good.predictions[split] == spoilt.predictions[split]
    assert good.noise != spoilt.noise


# ---- coarse labels --------------------------------------------------------------------------------------------


def test_crosswalk_maps_and_drops_labels(benchmark: Benchmark) -> None:
    types = crosswalk_types(benchmark, "msra")
    convert = apply_crosswalk(types)
    assert convert({(0, 2, "PLACE"), (2, 3, "QUANTITY"), (4, 5, "DATE")}) == {(0, 2, "LOC"), (4, 5, "TIME")}
    fine, coarse = (read_task_gold(benchmark, "ner", "folds", name) for name in ("", "msra"))
    assert coarse.names == ("LOC", "TIME")
    assert sum(map(len, coarse.labels)) == sum(s[2] != "QUANTITY" for spans in fine.labels for s in spans)
    assert score.score_predictions(coarse, {}).signature["crosswalk"] == "msra"
    assert "crosswalk" not in score.score_predictions(fine, {}).signature


def test_unknown_crosswalk_is_refused(benchmark: Benchmark, real: Benchmark) -> None:
    for root, crosswalks in ((benchmark, "msra, other"), (real, "msra, cluener, ontonotes")):
        with pytest.raises(DataError, match=crosswalks):
            read_task_gold(root, "ner", "test", "conll")
    with pytest.raises(DataError, match="declaration-unknown"):
        run_and_store(benchmark, "coarse", MEMORIZING_RECIPE.format(more='CROSSWALK = "conll"'))


def test_coarse_recipe_is_ranked_on_the_coarse_board_alone(benchmark: Benchmark) -> None:
    """It learns and predicts coarse labels; the fine recipe beside it predicts the same, once mapped."""
    fine = run_and_store(benchmark, "fine", MEMORIZING_RECIPE.format(more=""))
    coarse = run_and_store(benchmark, "coarse", MEMORIZING_RECIPE.format(more='CROSSWALK = "msra"'))
    splits = ("test", "folds", "noisy")
    assert set(coarse.to_files()) == {"scores.json", *(f"predictions-ner-msra-{split}.jsonl" for split in splits)}
    assert {label[-1] for _, labels in coarse.predictions["folds"] for label in labels} == {"LOC", "TIME"}
    assert json.loads(coarse.to_files()["scores.json"])["crosswalk"] == "msra"
    assert coarse.coarse == {}
    assert fine.coarse["folds"].labels[0].gold == coarse.scores["folds"].labels[0].gold

    boards = {board.title: board for board in ranking.build_boards(benchmark)}
    systems = {
        title: {name for row in board.rows if not row.about.annotator for name in (row.system, *row.copies)}
        for title, board in boards.items()
    }
    assert systems == {
        "ner, cross-validation over all articles": {"fine"},
        "ner, test split": {"fine"},
        "ner, test split under noise": {"fine"},
        "ner, coarse (LOC, TIME), cross-validation over all articles": {"fine", "coarse"},
        "ner, coarse (LOC, TIME), test split": {"fine", "coarse"},
        "ner, coarse (LOC, TIME), test split under noise": {"fine", "coarse"},
        "sector, cross-validation over all articles": set(),
        "sector, test split": set(),
    }
    board = boards["ner, coarse (LOC, TIME), cross-validation over all articles"]
    scores = {name: row.score for row in board.rows for name in (row.system, *row.copies)}
    assert scores["fine"] == fine.coarse["folds"]
    assert scores["coarse"] == coarse.scores["folds"]
    assert scores["annotator-a"].micro.f1
    assert "coarse (LOC, TIME)" in format_markdown([board])


def test_fine_labels_from_a_coarse_recipe_are_refused(benchmark: Benchmark) -> None:
    text = MEMORIZING_RECIPE.format(more='CROSSWALK = "msra"').replace("self.types[name])", '"PLACE")')
    with pytest.raises(DataError, match="unknown-label"):
        run_and_store(benchmark, "coarse", text)


# ---- oracle inputs --------------------------------------------------------------------------------------------

ORACLE = """
TASK, SEED, GIVEN = "sector", 0, ("entities",)
class M:
    def fit(self, X, y):
        self.check(X)
        return self
    def predict(self, X):
        self.check(X)
        return [["port"] if row["entities"] else ["general"] for row in X]
    def check(self, X):
        for row in X:
            assert "sectors" not in row
            for span in row["entities"]:
                assert row["text"][span.start:span.end] == span.surface, (row, span)
def make(): return M()
"""


def test_recipe_with_oracle_entities_gets_correct_spans_and_no_rank(benchmark: Benchmark) -> None:
    run_and_store(benchmark, "oracle", ORACLE)
    plain = ORACLE.replace('TASK, SEED, GIVEN = "sector", 0, ("entities",)', 'TASK, SEED = "sector", 0')
    run_and_store(benchmark, "plain", plain.replace('row["entities"]', 'row.get("entities", ())'))
    gold = read_task_gold(benchmark, "sector", "folds")
    predicted = Systems(benchmark).predictions(gold)
    inputs = {name: about.oracle_inputs for name, about in predicted.about.items()}
    assert inputs == {"oracle": ("entities",), "plain": ()}
    board = ranking.build_board(benchmark, "sector", "folds")
    (row,) = (row for row in board.rows if row.about.oracle_inputs)
    assert row.display_name == "oracle (oracle input: gold entities)"
    assert "| – | oracle (oracle input: gold entities) |" in format_markdown([board])


def test_ranks_do_not_count_systems_with_oracle_inputs() -> None:
    gold = gold_of([{(0, 2, "X")}] * 30)
    labels = {
        "oracle": guesses(*gold.labels),
        "one": guesses(*gold.labels[:20]),
        "other": guesses(*gold.labels[:5]),
    }
    predicted = SystemPredictions(labels, {"oracle": SystemInfo("baseline", "oracle", oracle_inputs=("entities",))})
    board = ranking.rank_systems(gold, predicted)
    assert [(row.system, row.rank) for row in board.rows] == [("oracle", None), ("one", 1), ("other", 2)]


def test_every_gold_entity_is_added(real: Benchmark) -> None:
    rows = robustness.add_gold_entities(real, load.read_rows(real, "sector"))
    assert sum(len(row["entities"]) for row in rows) == sum(len(row["spans"]) for row in load.read_rows(real, "ner"))
    for row in rows:
        assert all(row["text"][span.start : span.end] == span.surface for span in row["entities"])


# ---- packages -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_recipe_without_its_packages_is_skipped(
    benchmark: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.helpers.commands import run

    recipe = MEMORIZING_RECIPE.format(more="")
    for path in benchmark.baselines.glob("*.py"):
        path.unlink()
    files.write_text(benchmark.baselines / "a.py", f'NEEDS = ("no-such-package",)\nimport no_such_package{recipe}')
    files.write_text(benchmark.baselines / "b.py", recipe)
    files.write_text(benchmark.baselines / "a" / "scores.json", "kept")
    assert run(["--root", str(benchmark.root), "run"]) == 0
    output = capsys.readouterr()
    assert "a: skipped, it needs no-such-package; type: pip install no-such-package" in output.err
    assert "b               ner:micro-F1" in output.out
    assert (benchmark.baselines / "a" / "scores.json").read_text() == "kept"
    assert run(["--root", str(benchmark.root), "run", str(benchmark.baselines / "a.py")]) == 1
    assert "package-missing" in capsys.readouterr().err


def test_card_needs_no_recipe(benchmark: Benchmark) -> None:
    assert "no system" in card.render_section(benchmark, "conditions").lower()
