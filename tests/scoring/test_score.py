"""The scorer against the vectors, against seqeval and scikit-learn on random input, and against its own promises."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seqeval.metrics import classification_report, f1_score
from seqeval.scheme import IOB2
from sklearn.metrics import accuracy_score, label_ranking_average_precision_score
from sklearn.metrics import f1_score as sector_f1

from jinbench.core.benchmark import Benchmark
from jinbench.dataset.gold import read_task_gold
from jinbench.scoring import compare, predictions
from jinbench.scoring import gold as scoring_gold
from jinbench.scoring import score as scoring
from jinbench.scoring.counts import BOUNDARY, EXACT, OVERLAP, TYPE
from jinbench.scoring.gold import LabelKey
from jinbench.scoring.results import MIN_GOLD_MENTIONS, Cell
from jinbench.scoring.significance import MIN_ARTICLES_INTERVAL, MIN_ARTICLES_TEST
from tests.helpers.scoring import Labelled, X, Y, flat, gold_of, guesses, named, tags_of, vectors


def counts(cell: Cell) -> list[int]:
    return [cell.gold, cell.predicted, cell.correct]


def check_cell(cell: Cell, expected: list[int]) -> None:
    """The counts, and what follows from them: 0 where there is nothing to divide by, no F1 where there is nothing."""
    gold, predicted, correct = expected
    assert counts(cell) == expected
    assert cell.precision == (correct / predicted if predicted else 0.0)
    assert cell.recall == (correct / gold if gold else 0.0)
    assert cell.f1 == (pytest.approx(2 * correct / (gold + predicted)) if gold + predicted else None)


def answers(case: dict[str, Any]) -> Labelled:
    """The predictions of a vector, without those items that have none."""
    missing = case.get("missing", ())
    return {f"s{i}": frozenset(map(tuple, item)) for i, item in enumerate(case["predicted"]) if i not in missing}


@pytest.mark.parametrize("case", **named(vectors("spans")[1]))
def test_spans(case: dict[str, Any]) -> None:
    types, _ = vectors("spans")
    gold = gold_of([set(map(tuple, item)) for item in case["gold"]], tuple(types))
    score = scoring.score_predictions(gold, answers(case))
    assert (score.micro.f1 if score.micro.f1 is not None else "undefined") == case["f1"]
    assert (score.items, score.missing) == (len(case["gold"]), len(case.get("missing", ())))
    check_cell(score.micro, case[EXACT]["micro"])
    for cell in score.labels:
        check_cell(cell, case[EXACT][cell.name])
    relaxed = {cell.name: cell for cell in score.relaxed}
    check_cell(relaxed[TYPE], case[TYPE]["micro"])
    check_cell(relaxed[BOUNDARY], case[BOUNDARY])
    check_cell(relaxed[OVERLAP], case[OVERLAP])
    for rule in (TYPE, BOUNDARY, OVERLAP):
        alone = scoring.score_predictions(gold, answers(case), rule)
        assert counts(alone.micro) == counts(relaxed[rule])
        assert alone.signature["match"] == rule
        assert [cell.name for cell in alone.labels] == (types if rule == TYPE else [])
        assert str(alone)
        if rule == TYPE:
            for cell in alone.labels:
                check_cell(cell, case[TYPE][cell.name])


@pytest.mark.parametrize("case", **named(vectors("sectors")[1]))
def test_sectors(case: dict[str, Any]) -> None:
    types, _ = vectors("sectors")
    gold = gold_of([{(name,) for name in item} for item in case["gold"]], tuple(types), task="sector")
    missing = case.get("missing", ())
    predicted = {
        f"s{i}": frozenset((name,) for name in item) for i, item in enumerate(case["predicted"]) if i not in missing
    }
    scores = {f"s{i}": values for i, values in enumerate(case.get("scores", ()))}
    score = scoring.score_predictions(gold, predicted, scores=scores)
    assert (score.micro.f1 if score.micro.f1 is not None else "undefined") == case["f1"]
    check_cell(score.micro, case["counts"]["micro"])
    for cell in score.labels:
        check_cell(cell, case["counts"][cell.name])
    assert score.exact.value == pytest.approx(case["subset"] / len(case["gold"]))
    assert score.missing == len(missing)
    assert score.relaxed == ()
    if "ranking" in case:
        assert score.ranking is not None
        assert score.ranking.value == pytest.approx(np.mean(case["ranking"]))
    else:
        assert score.ranking is None


@pytest.mark.parametrize("seed", range(40))
def test_the_same_as_seqeval_strict(seed: int) -> None:
    rng = random.Random(seed)
    lengths = [rng.randint(1, 30) for _ in range(100)]
    true: list[set[LabelKey]] = [flat(rng, n) for n in lengths]
    guess = [spans if rng.random() < 0.4 else flat(rng, n) for spans, n in zip(true, lengths, strict=True)]
    tags = [[tags_of(n, spans, "BIO") for n, spans in zip(lengths, side, strict=True)] for side in (true, guess)]
    ours = scoring.score_predictions(gold_of(true, ("X", "Y", "Z")), guesses(*guess))
    assert ours.micro.f1 == pytest.approx(f1_score(*tags, mode="strict", scheme=IOB2, zero_division=0))
    report = classification_report(*tags, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
    for cell in ours.labels:
        theirs = report[cell.name]
        assert (cell.f1, cell.precision, cell.recall) == pytest.approx(
            (theirs["f1-score"], theirs["precision"], theirs["recall"])
        )
    measured = [
        theirs["f1-score"] for cell in ours.labels if (theirs := report[cell.name])["support"] >= MIN_GOLD_MENTIONS
    ]
    assert measured
    assert ours.macro.labels == len(measured)
    assert ours.macro.f1 == pytest.approx(np.mean(measured))


def sectors(rng: random.Random, items: int) -> tuple[list[set[LabelKey]], list[set[LabelKey]], tuple[str, ...]]:
    names = ("a", "b", "c", "d", "e")
    sides = [[{(name,) for name in names if rng.random() < 0.35} for _ in range(items)] for _ in range(2)]
    return sides[0], sides[1], names


def matrix(items: list[set[LabelKey]], names: tuple[str, ...]) -> Any:
    return np.array([[(name,) in item for name in names] for item in items])


@pytest.mark.parametrize("seed", range(20))
def test_sectors_as_scikit_learn_scores_them(seed: int) -> None:
    rng = random.Random(seed)
    true, guess, names = sectors(rng, 200)
    score = scoring.score_predictions(gold_of(true, names, task="sector"), guesses(*guess))
    table = matrix(true, names), matrix(guess, names)
    assert score.micro.f1 == pytest.approx(sector_f1(*table, average="micro"))
    assert score.macro.labels == len(names)
    assert score.macro.f1 == pytest.approx(sector_f1(*table, average="macro"))
    assert [cell.f1 for cell in score.labels] == pytest.approx(sector_f1(*table, average=None))
    assert score.exact.value == pytest.approx(accuracy_score(*table))


@pytest.mark.parametrize("seed", range(20))
def test_ranking_as_scikit_learn_scores_it(seed: int) -> None:
    """With scores that are often the same."""
    rng = random.Random(seed)
    true, _, names = sectors(rng, 200)
    table = np.array([[rng.randint(0, 4) / 4 for _ in names] for _ in true])
    gold = gold_of(true, names, task="sector")
    scores = {id: dict(zip(names, row, strict=True)) for id, row in zip(gold.ids, table.tolist(), strict=True)}
    score = scoring.score_predictions(gold, {}, scores=scores)
    assert score.ranking is not None
    assert score.ranking.value == pytest.approx(label_ranking_average_precision_score(matrix(true, names), table))


def test_the_mean_over_articles_gives_each_the_same_weight() -> None:
    """F1 of the articles: 1, 0, and one with neither gold nor prediction, which has none; micro is that of three."""
    score = scoring.score_predictions(gold_of([{X, Y}, {X}, set()]), guesses({X, Y}, set(), set()))
    assert (score.documents.value, score.documents.of) == (0.5, 2)
    assert score.micro.f1 == pytest.approx(2 * 2 / (3 + 2))


def test_an_item_is_an_exact_match_or_not() -> None:
    score = scoring.score_predictions(gold_of([{X, Y}, {X}, set(), {X}]), guesses({X, Y}, {X, Y}, set()))
    assert (score.exact.value, score.exact.of) == (0.5, 4)


def test_facets_divide_the_items() -> None:
    gold = replace(
        gold_of([{X}, {X, Y}, {Y}]),
        facets={"layout": (("torn",), ("clean",), ("torn",)), "sector": (("a", "b"), (), ("b",))},
    )
    parts = scoring.score_predictions(gold, guesses({X}, {X}, {X})).parts
    assert {cell.name: counts(cell) for cell in parts["layout"]} == {"clean": [2, 1, 1], "torn": [2, 2, 1]}
    assert {cell.name: counts(cell) for cell in parts["sector"]} == {"a": [1, 1, 1], "b": [2, 2, 1]}


def test_seen_and_unseen_go_by_the_surface_of_each_side() -> None:
    """Known from training: 天津, as whatever type. What is predicted counts with its own words."""
    gold = replace(
        gold_of([{(0, 2, "X"), (3, 5, "Y")}]),
        texts=("天津在北京港",),
        training_surfaces=(frozenset({"天津", "北京港"}),),
    )
    seen, unseen = scoring.score_predictions(gold, guesses({(0, 2, "X"), (3, 6, "Y")})).parts["seen_unseen"]
    assert (seen.name, counts(seen)) == ("seen", [1, 2, 1])  # 北京港 is predicted, and known
    assert (unseen.name, counts(unseen)) == ("unseen", [1, 0, 0])  # 北京 is gold, and is not known
    wider = scoring.score_predictions(gold, guesses({(0, 1, "X"), (3, 6, "Y")}), TYPE).parts["seen_unseen"]
    assert [counts(cell) for cell in wider] == [[1, 1, 0], [1, 1, 0]]  # each half is paired alone
    assert "seen_unseen" not in scoring.score_predictions(replace(gold, training_surfaces=()), {}).parts


def test_parts_follow_the_rule_that_is_asked_for() -> None:
    gold = replace(gold_of([{X}, {Y}]), training_surfaces=(frozenset({"一一", "一"}),) * 2)
    predicted = guesses({(0, 1, "X")}, {(3, 5, "Y")})
    for rule, right in ((EXACT, 1), (TYPE, 2), (OVERLAP, 2)):
        score = scoring.score_predictions(gold, predicted, rule)
        assert counts(score.parts["seen_unseen"][0]) == counts(score.parts["layout"][0]) == [2, 2, right]


def test_coarse_labels_are_those_of_the_crosswalk() -> None:
    """X and Y become one; Z has no counterpart and is left out on both sides."""
    gold = replace(
        gold_of([{(0, 2, "X"), (3, 5, "Y"), (6, 8, "Z")}], ("X", "Y", "Z")),
        crosswalks={"wide": {"X": "A", "Y": "A", "Z": ""}},
    )
    predicted = guesses({(0, 2, "Y"), (3, 5, "X"), (6, 8, "Z"), (9, 10, "X")})
    (cell,) = scoring.score_predictions(gold, predicted).coarse
    assert (cell.name, counts(cell)) == ("wide", [2, 3, 2])
    wide = scoring_gold.coarsen_gold(gold, "wide", gold.crosswalks["wide"])
    through = scoring_gold.apply_crosswalk(gold.crosswalks["wide"])
    score = scoring.score_predictions(wide, {id: through(labels) for id, labels in predicted.items()})
    assert counts(score.micro) == counts(cell)
    assert score.signature["crosswalk"] == "wide"


def test_gold_against_itself_and_against_nothing(real: Benchmark) -> None:
    for task in scoring_gold.TASKS:
        for split in ("train", "validation", "test", scoring_gold.FOLDS):
            gold = read_task_gold(real, task, split)
            perfect = scoring.score_predictions(gold, dict(zip(gold.ids, gold.labels, strict=True)))
            assert (perfect.micro.f1, perfect.micro.low, perfect.micro.high) == (1.0, None, None), "nothing varies"
            assert perfect.exact.value == perfect.documents.value == 1.0
            assert perfect.macro.f1 in (1.0, None)
            assert {cell.f1 for cells in perfect.cells.values() for cell in cells} <= {1.0, None}
            assert perfect.missing == 0
            empty = scoring.score_predictions(gold, {})
            assert (empty.micro.f1, empty.documents.value) == (0.0, 0.0)
            assert empty.exact.value == 0.0, "nothing was predicted, also where there is nothing to find"
            assert empty.macro.f1 in (0.0, None)
            assert {cell.f1 for cells in empty.cells.values() for cell in cells} <= {0.0, None}
            assert empty.missing == len(gold.ids)


def test_an_interval_comes_from_articles_not_sentences() -> None:
    """Ten sentences of one article that are all right or all wrong are worth one observation, not ten."""
    rng = random.Random(0)
    right = [rng.random() < 0.6 for _ in range(20)]
    items: list[set[LabelKey]] = [{X}] * 200
    predicted = guesses(*({X} if right[i // 10] else {Y} for i in range(200)))
    by_article = scoring.score_predictions(gold_of(items, per_article=10), predicted).micro
    by_sentence = scoring.score_predictions(gold_of(items), predicted).micro
    assert by_article.f1 == by_sentence.f1
    assert by_article.high is not None
    assert by_article.low is not None
    assert by_sentence.high is not None
    assert by_sentence.low is not None
    assert by_article.high - by_article.low > 2 * (by_sentence.high - by_sentence.low)


@pytest.mark.parametrize("articles", [1, MIN_ARTICLES_INTERVAL - 1, MIN_ARTICLES_INTERVAL])
def test_few_articles_have_no_interval(articles: int) -> None:
    """Those that have nothing do not count."""
    items: list[set[LabelKey]] = [*([{X}] * articles), set(), set()]
    score = scoring.score_predictions(gold_of(items), guesses({X}))
    assert score.micro.articles == articles
    assert ("no interval" in score.micro.formatted) == (score.micro.low is None) == (articles < MIN_ARTICLES_INTERVAL)
    assert ("no interval" in str(score.macro)) or score.macro.f1 is None


def test_a_macro_f1_needs_articles_for_each_label() -> None:
    """X is in every article, Y with all its mentions in one."""
    x, y = {(i, i + 1, "X") for i in range(6)}, {(i, i + 1, "Y") for i in range(6, 46)}
    gold = gold_of([x | y, *([x] * 9)])
    score = scoring.score_predictions(gold, guesses(*([{(0, 1, "X")}] * 5), *([x] * 5)))
    assert (score.macro.labels, score.macro.low, score.labels[1].low) == (2, None, None)
    assert score.labels[0].low is not None


def test_a_score_never_travels_alone(real: Benchmark) -> None:
    score = scoring.score_predictions(read_task_gold(real, "ner", "test"), {})
    assert score.headline.startswith("ner:micro-F1 = 0.000 (no interval) [task:ner|data:")
    assert set(score.signature) == {"task", "data", "gold", "split", "match", "boot", "seed", "jinbench"}
    assert score.to_dict()["signature"] == score.signature


def test_the_same_predictions_give_the_same_numbers(real: Benchmark) -> None:
    gold = read_task_gold(real, "ner", "test")
    path = real.baselines / "gazetteer" / "predictions-ner-test.jsonl"
    predicted = predictions.read_predictions(path, gold)
    first = scoring.score_predictions(gold, predicted)
    assert first.to_dict() == scoring.score_predictions(gold, dict(reversed(predicted.items()))).to_dict()
    assert first.micro == scoring.score_micro(gold, predicted)


def test_macro_f1_takes_only_what_can_be_measured() -> None:
    """X has 40 mentions, all right; Y has 5, all missed."""
    gold = gold_of([{X, Y}] * 5 + [{X}] * 35)
    score = scoring.score_predictions(gold, guesses(*[{X}] * 40))
    assert (score.macro.labels, score.macro.of, score.macro.f1) == (1, 2, 1.0)
    assert (score.macro.low, score.macro.high) == (None, None), "nothing varies"
    assert scoring.score_predictions(gold_of([{X}, {X}]), {}).macro.f1 is None
    for mentions in (MIN_GOLD_MENTIONS - 1, MIN_GOLD_MENTIONS):
        assert scoring.score_predictions(gold_of([{X}] * mentions), {}).macro.labels == (mentions == MIN_GOLD_MENTIONS)


def test_the_interval_of_macro_f1_goes_by_the_label_that_fewest_articles_have() -> None:
    """With one label it is that label's; a second that is always right halves it, but for what its few articles add."""
    names = [{(i, i + 1, "X") for i in range(6)} for _ in range(20)]
    predicted = guesses(*({(i, i + 1, "X") for i in range(n % 7)} for n in range(20)))
    one = scoring.score_predictions(gold_of(list(names)), predicted)
    assert (one.macro.low, one.macro.high) == (one.labels[0].low, one.labels[0].high)
    more: set[LabelKey] = {(i, i + 1, "Y") for i in range(6, 22)}
    two = scoring.score_predictions(
        gold_of([item | more if i < 6 else item for i, item in enumerate(names)]),
        {id: labels | more if int(id[1:]) < 6 else labels for id, labels in predicted.items()},
    )
    assert two.macro.labels == 2
    widths = [one.macro.high - one.macro.low for one in (one, two)]  # type: ignore[operator]
    assert widths[1] > 1.2 * widths[0] / 2


def test_compare_is_paired() -> None:
    """A system that is a little better everywhere is significantly different, however much the articles differ."""
    items: list[set[LabelKey]] = [{(i, i + 1, "X") for i in range(20)} for _ in range(12)]
    gold = gold_of(items)
    rng = random.Random(0)
    share = [rng.randint(2, 18) for _ in items]
    worse = guesses(*({(i, i + 1, "X") for i in range(n)} for n in share))
    better = guesses(*({(i, i + 1, "X") for i in range(n + 1)} for n in share))
    difference, back = compare.compare_systems(gold, better, worse), compare.compare_systems(gold, worse, better)
    assert difference.significant
    assert difference.value > 0
    assert (back.value, back.low, back.high, back.p) == pytest.approx(
        (-difference.value, -difference.high, -difference.low, difference.p)
    )
    assert not compare.compare_systems(gold, better, better).significant


def test_few_articles_are_never_significantly_different() -> None:
    """The same rule as on the leaderboard: all right against all wrong, but on five articles."""
    items: list[set[LabelKey]] = [{X}] * (MIN_ARTICLES_TEST - 1)
    few = compare.compare_systems(gold_of(items), guesses(*items), {})
    assert not few.significant
    assert few.verdict == "5 articles: too few for an interval or a significance test"
    assert compare.compare_systems(gold_of([*items, {X}]), guesses(*items, {X}), {}).significant


def test_an_empty_file_is_an_empty_submission(real: Benchmark, tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_text("\n")
    gold = read_task_gold(real, "ner", "test")
    score = scoring.score_predictions(gold, predictions.read_predictions(tmp_path / "none.jsonl", gold))
    assert score.missing == len(gold.ids)
    assert "have no prediction" in str(score)
