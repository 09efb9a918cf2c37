"""Scores apart (noise, mentions seen in training, coarse labels) and systems that are given some of the gold."""

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
from jinbench.publish import card
from jinbench.scoring import score
from jinbench.scoring.gold import apply_crosswalk
from tests.helpers.paths import ROOT
from tests.helpers.recipes import MEMORY, result
from tests.helpers.scoring import gold_of, guesses

# ---- mentions seen and unseen ---------------------------------------------------------------------------------


def test_seen_and_unseen_by_hand() -> None:
    """In training 一 was labelled, 二 was not. Of each there are two; what is predicted is right, wrong, or missing."""
    texts = ("一二", "一二")
    gold = replace(gold_of([{(0, 1, "X"), (1, 2, "Y")}, {(0, 1, "X"), (1, 2, "X")}]), texts=texts)
    predicted = guesses({(0, 1, "X"), (1, 2, "Y")}, {(0, 1, "Y")})
    seen, unseen = score.seen_unseen(replace(gold, known=(frozenset("一"),) * 2), predicted)
    assert (seen.name, seen.gold, seen.predicted, seen.correct) == ("seen", 2, 2, 1)
    assert (unseen.name, unseen.gold, unseen.predicted, unseen.correct) == ("unseen", 2, 1, 1)
    assert (unseen.precision, unseen.recall) == (1.0, 0.5)


def test_a_surface_is_known_to_the_rounds_that_had_it_in_training(world: Benchmark) -> None:
    """What is labelled in one fold alone is new there, and known everywhere else."""
    found = result(world, "memory", MEMORY.format(more=""))
    for split in SPLITS:
        seen, unseen = found.scores[split].parts["familiarity"]
        micro = found.scores[split].micro
        for key in ("gold", "predicted", "correct"):
            assert getattr(seen, key) + getattr(unseen, key) == getattr(micro, key)
        assert unseen.predicted == 0, "it can only find what it has seen"
        assert seen.gold > 0
        assert unseen.gold > 0


# ---- noise ----------------------------------------------------------------------------------------------------


def test_noisy_rows_say_neither_which_sentence_they_are_nor_what_was_done(world: Benchmark) -> None:
    clean = {row["id"]: row for row in load.read_rows(world, "ner", "test")}
    tiers = robustness.tiers(world)
    assert {(tier.kind, tier.level) for tier in tiers} == set(noise.TIERS)
    names = {json.dumps([(r["id"], r["passage_id"], r["article_id"]) for r in tier.rows]) for tier in tiers}
    assert len(names) == 1, "the names are the same in every tier"
    for row in tiers[0].rows:
        assert not {row["id"], row["passage_id"]} & {*clean, *(r["passage_id"] for r in clean.values())}
        assert row["article_id"] not in {r["article_id"] for r in clean.values()}
    assert len({row["passage_id"] for row in tiers[0].rows}) == len({row["passage_id"] for row in clean.values()})


def test_a_score_under_noise_is_that_of_the_noisy_gold(world: Benchmark) -> None:
    """Against predictions that are scored by hand: the gold spans of the noisy sentences, and no others."""
    gold = read_task_gold(world, "ner", "test")
    clean = dict(zip(gold.ids, gold.labels, strict=True))
    for tier in robustness.tiers(world):
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


def test_the_record_has_every_tier(world: Benchmark) -> None:
    found = json.loads(result(world, "memory", MEMORY.format(more="")).files()["scores.json"])
    assert {(each["kind"], each["level"]) for each in found["noise"]} == set(noise.TIERS)
    assert "noise" not in json.loads((ROOT / "baselines" / "majority" / "scores.json").read_text())


def test_noise_does_not_reach_the_clean_scores(world: Benchmark) -> None:
    """A recipe that turns bad once it has seen a sentence twice: its test score is that of one who did not."""
    body = MEMORY.format(more="").replace(
        "return [self.find", "self.times = getattr(self, 'times', 0) + 1\n        return [self.find"
    )
    bad = body.replace('self.find(row["text"]) for', 'self.find(row["text"]) if self.times < 2 else [] for')
    good, spoilt = result(world, "good", body), result(world, "spoilt", bad)
    for split in SPLITS:
        assert good.predictions[split] == spoilt.predictions[split]
    assert good.noise != spoilt.noise


# ---- coarse labels --------------------------------------------------------------------------------------------


def test_labels_through_a_crosswalk(world: Benchmark) -> None:
    types = crosswalk_types(world, "msra")
    convert = apply_crosswalk(types)
    assert convert({(0, 2, "PLACE"), (2, 3, "QUANTITY"), (4, 5, "DATE")}) == {(0, 2, "LOC"), (4, 5, "TIME")}
    fine, coarse = (read_task_gold(world, "ner", "folds", name) for name in ("", "msra"))
    assert coarse.names == ("LOC", "TIME")
    assert sum(map(len, coarse.labels)) == sum(s[2] != "QUANTITY" for found in fine.labels for s in found)
    assert score.score_predictions(coarse, {}).signature["crosswalk"] == "msra"
    assert "crosswalk" not in score.score_predictions(fine, {}).signature


def test_an_unknown_crosswalk_is_refused(world: Benchmark, real: Benchmark) -> None:
    for where, known in ((world, "msra, other"), (real, "msra, cluener, ontonotes")):
        with pytest.raises(DataError, match=known):
            read_task_gold(where, "ner", "test", "conll")
    with pytest.raises(DataError, match="declaration-unknown"):
        result(world, "coarse", MEMORY.format(more='CROSSWALK = "conll"'))


def test_a_coarse_recipe_stands_on_the_coarse_board_alone(world: Benchmark) -> None:
    """It learns and predicts coarse labels; the fine one beside it predicts the same, once it is mapped."""
    fine = result(world, "fine", MEMORY.format(more=""))
    coarse = result(world, "coarse", MEMORY.format(more='CROSSWALK = "msra"'))
    splits = ("test", "folds", "noisy")
    assert set(coarse.files()) == {"scores.json", *(f"predictions-ner-msra-{split}.jsonl" for split in splits)}
    assert {label[-1] for _, found in coarse.predictions["folds"] for label in found} == {"LOC", "TIME"}
    assert json.loads(coarse.files()["scores.json"])["crosswalk"] == "msra"
    assert coarse.coarse == {}
    assert fine.coarse["folds"].labels[0].gold == coarse.scores["folds"].labels[0].gold

    boards = {board.title: board for board in ranking.build_boards(world)}
    systems = {title: {row.system for row in board.rows if not row.about.annotator} for title, board in boards.items()}
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
    scores = {row.system: row.score for row in board.rows}
    assert scores["fine"] == fine.coarse["folds"]
    assert scores["coarse"] == coarse.scores["folds"]
    assert scores["annotator-a"].micro.f1
    assert "coarse (LOC, TIME)" in ranking.markdown([board])


def test_fine_labels_from_a_coarse_recipe_are_refused(world: Benchmark) -> None:
    text = MEMORY.format(more='CROSSWALK = "msra"').replace("self.known[name])", '"PLACE")')
    with pytest.raises(DataError, match="unknown-label"):
        result(world, "coarse", text)


# ---- what is given --------------------------------------------------------------------------------------------

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


def test_who_is_given_the_entities_has_them_where_they_stand_and_has_no_rank(world: Benchmark) -> None:
    result(world, "oracle", ORACLE)
    result(world, "plain", ORACLE.replace('TASK, SEED, GIVEN = "sector", 0, ("entities",)', 'TASK, SEED = "sector", 0')
           .replace('row["entities"]', 'row.get("entities", ())'))  # fmt: skip
    gold = read_task_gold(world, "sector", "folds")
    predicted = ranking.predictions(world, gold)
    assert {name: about.given for name, about in predicted.about.items()} == {"oracle": ("entities",), "plain": ()}
    board = ranking.build_board(world, "sector", "folds")
    (row,) = (row for row in board.rows if row.about.given)
    assert row.shown == "oracle (given the gold entities)"
    assert "| – | oracle (given the gold entities) |" in ranking.markdown([board])


def test_no_rank_counts_who_was_given_the_gold() -> None:
    gold = gold_of([{(0, 2, "X")}] * 30)
    labels = {
        "oracle": guesses(*gold.labels),
        "one": guesses(*gold.labels[:20]),
        "other": guesses(*gold.labels[:5]),
    }
    predicted = ranking.Predicted(labels, {"oracle": ranking.About("baseline", "oracle", given=("entities",))})
    board = ranking.rank_systems(gold, predicted)
    assert [(row.system, row.rank) for row in board.rows] == [("oracle", None), ("one", 1), ("other", 2)]


def test_every_gold_entity_is_given(real: Benchmark) -> None:
    rows = robustness.entities(real, load.read_rows(real, "sector"))
    assert sum(len(row["entities"]) for row in rows) == sum(len(row["spans"]) for row in load.read_rows(real, "ner"))
    for row in rows:
        assert all(row["text"][span.start : span.end] == span.surface for span in row["entities"])


# ---- packages -------------------------------------------------------------------------------------------------


def test_a_recipe_of_the_room_without_its_packages_is_skipped(
    world: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.helpers.commands import run

    files.write_text(
        world.baselines / "a.py", 'NEEDS = ("no-such-package",)\nimport no_such_package' + MEMORY.format(more="")
    )
    files.write_text(world.baselines / "b.py", MEMORY.format(more=""))
    files.write_text(world.baselines / "a" / "scores.json", "kept")
    assert run(["--root", str(world.root), "run"]) == 0
    said = capsys.readouterr()
    assert "a: skipped, it needs no-such-package; type: pip install no-such-package" in said.err
    assert "b               ner:micro-F1" in said.out
    assert (world.baselines / "a" / "scores.json").read_text() == "kept"
    assert run(["--root", str(world.root), "run", str(world.baselines / "a.py")]) == 1
    assert "package-missing" in capsys.readouterr().err


def test_the_card_needs_no_recipe(world: Benchmark) -> None:
    assert "no system" in card.BLOCKS["conditions"](world).lower()
