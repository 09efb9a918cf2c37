"""Scores of plain sequences with gold of one's own, and of a trainer's arrays."""

import random
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jinbench
from jinbench.core.errors import DataError
from jinbench.scoring.streaming import StreamingReport
from tests.helpers.scoring import GOLD, GUESS


def test_own_gold_is_scored_in_every_form() -> None:
    """Tags, spans and Arrow columns; types are found in what is given."""
    report = jinbench.score(predictions=GUESS, gold=GOLD)
    assert isinstance(report, StreamingReport)
    assert (report.micro.gold, report.micro.predicted, report.micro.correct) == (2, 3, 1)
    assert [cell.name for cell in report.labels] == ["L", "P"]
    assert jinbench.score(predictions=pa.array(GUESS), gold=pa.array(GOLD)) == report
    spans = [[[(0, 2, "P")], [(0, 2, "L")], []], [[(0, 2, "P")], [{"start": 1, "end": 2, "type": "L"}], [(0, 1, "P")]]]
    assert jinbench.score(predictions=spans[1], gold=spans[0]) == report
    assert jinbench.score(predictions=GUESS, gold=spans[0]) == report
    bioes = [["B-P", "E-P", "O"], ["B-L", "E-L"], ["O"]]
    assert jinbench.score(predictions=bioes, gold=bioes, scheme="BIOES").micro.f1 == 1.0
    with pytest.raises(DataError, match="wrong-tags"):
        jinbench.score(predictions=[["I-P", "I-P", "O"], *GUESS[1:]], gold=GOLD)
    assert jinbench.score(predictions=[["I-P", "I-P", "O"], *GUESS[1:]], gold=GOLD, repair="begin") == report
    assert jinbench.score(predictions=[["I-P", "I-P", "O"], *GUESS[1:]], gold=GOLD, repair="drop").micro.correct == 0
    assert jinbench.score(predictions=GUESS, gold=GOLD, articles=[0, 0, 1]).articles == 2
    assert jinbench.score(predictions=[], gold=[]).items == 0


def test_systems_are_compared_on_own_gold() -> None:
    gold = [["B-P", "I-P", "O"]] * 30
    result = jinbench.compare(gold, [["O"] * 3] * 30, gold=gold)
    assert (result.value, result.articles, result.significant) == (1.0, 30, True)
    assert not jinbench.compare(gold, [["O"] * 3] * 30, gold=gold, articles=[i // 10 for i in range(30)]).significant


def test_order_of_items_does_not_matter() -> None:
    """Items of an article that stand apart are one article, for tags with their lengths and for spans."""
    rng = random.Random(0)
    gold = [[rng.choice(["B-P", "B-L", "O"]) for _ in range(rng.randint(1, 5))] for _ in range(48)]
    guess = [[tag if rng.random() < 0.7 else "O" for tag in row] for row in gold]
    other = [[tag if rng.random() < 0.4 else "O" for tag in row] for row in gold]
    articles = [f"a{i // 12}" for i in range(48)]
    order = list(range(48))
    rng.shuffle(order)
    mixed = [[side[i] for i in order] for side in (guess, other, gold)]
    benchmark = [articles[i] for i in order]
    report = jinbench.score(predictions=guess, gold=gold, articles=articles)
    assert report.articles == 4
    assert jinbench.score(predictions=mixed[0], gold=mixed[2], articles=benchmark) == report
    assert jinbench.score(predictions=mixed[0], gold=mixed[2]) != report
    spans = [[[(i, i + 1, tag[2:]) for i, tag in enumerate(row) if tag != "O"] for row in side] for side in mixed]
    assert jinbench.score(predictions=spans[0], gold=spans[2], articles=np.array(benchmark)) == report
    assert jinbench.score(predictions=mixed[0], gold=spans[2], articles=iter(benchmark)) == report
    result = jinbench.compare(guess, other, gold=gold, articles=articles)
    assert result.articles == 4
    assert jinbench.compare(mixed[0], spans[1], gold=mixed[2], articles=benchmark) == result
    assert jinbench.compare(GUESS, GUESS, gold=GOLD, articles=[1, "1", 1]).articles == 2
    assert jinbench.score(predictions=GUESS, gold=GOLD, articles=[1, "1", 1]).articles == 2


def test_iterators_are_scored() -> None:
    report = jinbench.score(predictions=GUESS, gold=GOLD)
    assert jinbench.score(predictions=iter(GUESS), gold=(iter(row) for row in GOLD)) == report
    assert jinbench.score(predictions=np.array(GUESS, dtype=object), gold=map(tuple, GOLD)) == report
    spans = [[(0, 2, "P")], [(1, 2, "L")], [(0, 1, "P")]]
    assert jinbench.score(predictions=map(iter, spans), gold=iter(GOLD)) == report
    assert jinbench.score(predictions=(set(row) for row in spans), gold=iter(GOLD), names=iter(["L", "P"])) == report
    assert jinbench.compare(iter(GOLD), iter(GUESS), gold=iter(GOLD)) == jinbench.compare(GOLD, GUESS, gold=GOLD)


def test_class_labels_need_tag_names() -> None:
    names = ["O", "B-P", "I-P", "B-L", "I-L", "B-X"]
    guess, gold = ([[names.index(tag) for tag in row] for row in side] for side in (GUESS, GOLD))
    report = jinbench.score(predictions=GUESS, gold=GOLD, names=["L", "P", "X"])
    by_number: Any = {str(i): name for i, name in enumerate(names)}
    for form in (pa.array, np.array, iter, lambda side: pa.chunked_array([side[:1], side[1:]])):
        ours = form(gold) if form is not np.array else [np.array(row) for row in gold]
        theirs = form(guess) if form is not np.array else [np.array(row) for row in guess]
        assert jinbench.score(predictions=theirs, gold=ours, tag_names=by_number if form is iter else names) == report
    assert jinbench.score(predictions=pa.array(guess), gold=GOLD, tag_names=names) == report
    both = pa.array(guess), pa.array(gold)
    assert jinbench.compare(both[1], both[0], gold=both[1], tag_names=names) == jinbench.compare(GOLD, GUESS, gold=GOLD)
    with pytest.raises(DataError, match=r"(?s)predictions: wrong-shape.*give tag_names"):
        jinbench.score(predictions=pa.array(guess), gold=GOLD)
    with pytest.raises(DataError, match=r"(?s)gold: wrong-shape.*give tag_names"):
        jinbench.compare(GOLD, GUESS, gold=pa.array(gold), names=["L", "P"])
    with pytest.raises(DataError, match=r"(?s)predictions\[0\]: wrong-shape.*give tag_names"):
        jinbench.score(predictions=guess, gold=GOLD)
    for wrong in ([[7]], [[-1]], [[True, 1]], [[1, True]], [[0, "O"]]):
        with pytest.raises(DataError, match=r"predictions\[0\]"):
            jinbench.score(predictions=wrong, gold=[["O"] * len(wrong[0])], tag_names=names)
    with pytest.raises(DataError, match=r"(?s)predictions: wrong-tags.*0 to 5"):
        jinbench.score(predictions=pa.array([[7]]), gold=[["O"]], tag_names=names)
    spans = pa.array([[{"start": 0, "end": 2, "type": "P"}], [], []])
    assert jinbench.score(predictions=spans, gold=spans).micro.correct == 1


SPAN = [[(0, 2, "P")]]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Path("gold.jsonl"), "{}: wrong-shape"),
        ({"b-L3-S1": [(0, 2, "P")]}, "{}: wrong-shape"),
        (3, "{}: wrong-shape"),
        ("gold.jsonl", "{}: wrong-shape"),
        ([3], "{}[0]: wrong-shape"),
        ([None], "{}[0]: wrong-shape"),
        (["B-P"], "{}[0]: wrong-shape"),
        ([{"spans": []}], "{}[0]: wrong-shape"),
        ([[], []], "wrong-shape"),
        ([[None]], "{}[0]: wrong-shape"),
        ([[(0, 2)]], "{}[0]: wrong-shape"),
        ([[{}]], "{}[0]: wrong-shape"),
        ([[(0, 3.7, "P")]], "{}[0]: wrong-shape"),
        ([[(0, "3", "P")]], "{}[0]: wrong-shape"),
        ([[(False, 2, "P")]], "{}[0]: wrong-shape"),
        ([[(-1, 2, "P")]], "{}[0]: wrong-shape"),
        ([[(2, 2, "P")]], "{}[0]: wrong-shape"),
        ([[(0, 2**63, "P")]], "{}[0]: wrong-shape"),
        ([[(0, 10**5000, "P")]], "{}[0]: wrong-shape"),
        ([10**5000], "{}[0]: wrong-shape"),
        ([[(0, 2, 5)]], "{}[0]: wrong-shape"),
        ([[(0, 2, ["P"])]], "{}[0]: wrong-shape"),
        ([[(0, 2, "Q")]], "{}[0]: wrong-shape"),
        ([["B-Q"]], "{}[0], tag 0: wrong-tags"),
        ([["B-P", []]], "{}[0], tag 1: wrong-tags"),
    ],
)
def test_invalid_sequences_are_refused_on_every_side(wrong: Any, message: str) -> None:
    """On each side."""
    calls = {
        "gold": lambda: jinbench.score(predictions=SPAN, gold=wrong, names=["P"]),
        "predictions": lambda: jinbench.score(predictions=wrong, gold=SPAN, names=["P"]),
        "a": lambda: jinbench.compare(wrong, SPAN, gold=SPAN, names=["P"]),
        "b": lambda: jinbench.compare(SPAN, wrong, gold=SPAN, names=["P"]),
    }
    for place, call in calls.items():
        with pytest.raises(DataError, match=re.escape(message.format(place))):
            call()


def test_problems_of_both_sides_are_raised_at_once() -> None:
    good = [[(0, 1, "P")]] * 3
    with pytest.raises(DataError) as caught:
        jinbench.score(predictions=[*good, [(1, 0, "P")]], gold=[*good, [(0, 1)]])
    assert [problem.location for problem in caught.value.problems] == ["gold[3]", "predictions[3]"]


@pytest.mark.parametrize(
    ("a", "articles", "message"),
    [
        (GUESS[:2], None, "a: wrong-shape\n  expected 3 items"),
        ([*GUESS, ["O"]], None, "a: wrong-shape\n  expected 3 items"),
        ([*GUESS[:2], ["O", "O"]], None, "a[2]: wrong-shape\n  expected 1 tags"),
        (GUESS, [1, 2], "articles: wrong-shape"),
        (GUESS, 5, "articles: wrong-shape"),
        (GUESS, [1, 2, {}], "articles[2]: wrong-shape"),
    ],
)
def test_compare_validates_like_score(a: Any, articles: Any, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        jinbench.compare(a, GOLD, gold=GOLD, articles=articles)
    of_b, of_score = (re.sub(r"^a(?=[:\[])", place, message) for place in ("b", "predictions"))
    with pytest.raises(DataError, match=re.escape(of_b)):
        jinbench.compare(GOLD, a, gold=GOLD, articles=articles)
    with pytest.raises(DataError, match=re.escape(of_score)):
        jinbench.score(predictions=a, gold=GOLD, articles=articles)


def test_compare_refuses_empty_gold() -> None:
    with pytest.raises(DataError, match=r"(?s)gold: wrong-shape.*no items"):
        jinbench.compare([], [], gold=[])


leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["O", "B-P", "I-P"])
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
spans = st.tuples(st.integers(-1, 3) | leaves, st.integers(0, 4) | leaves, st.sampled_from(["P", "L"]) | leaves)
by_name = st.fixed_dictionaries({}, optional={"start": leaves, "end": leaves, "type": leaves, "surface": leaves})
labels = st.lists(st.sampled_from(["O", "B-P", "I-P"]) | st.integers(-1, 3) | spans | by_name | values, max_size=2)
sides = values | st.lists(labels | values, max_size=2)


@given(sides, sides, st.none() | values, st.sampled_from([(), ["P"]]), st.sampled_from([(), ["O", "B-P", "I-P"]]))
@settings(max_examples=300)
def test_arbitrary_input_gives_a_result_or_data_error(
    a: Any, b: Any, articles: Any, names: Any, tag_names: Any
) -> None:
    for call in (
        lambda: jinbench.score(
            predictions=a, gold=b if b is not None else [], articles=articles, names=names, tag_names=tag_names
        ),
        lambda: jinbench.compare(
            a, b, gold=b if b is not None else [], articles=articles, names=names, tag_names=tag_names
        ),
    ):
        with suppress(DataError):
            assert str(call())


def test_compute_metrics_takes_predictions_of_a_trainer() -> None:
    """With the record that `transformers` gives; padding and special tokens have the label -100."""
    from seqeval.metrics import f1_score
    from transformers import EvalPrediction

    names = ["O", "B-P", "I-P", "B-L", "I-L"]
    labels = np.array([[-100, 1, 2, 0, -100], [-100, 3, 4, -100, -100]])
    predicted = np.array([[4, 1, 2, 0, 1], [0, 0, 4, 3, 3]])  # the second: an I that goes on with nothing
    logits = np.eye(len(names))[predicted]
    compute = jinbench.compute_metrics(names)
    result = compute(EvalPrediction(predictions=logits, label_ids=labels))
    assert result == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "f1_L": 0.0, "f1_P": 1.0}
    assert compute(EvalPrediction(predictions=predicted, label_ids=labels)) == result
    assert compute(EvalPrediction(predictions=(logits, None), label_ids=labels)) == result
    with pytest.raises(DataError, match="wrong-tags"):
        jinbench.compute_metrics(names, repair=None)(EvalPrediction(predictions=logits, label_ids=labels))
    window = np.array([[-100, 2, 2, 0, 1]])  # of a long text: its first span began in the window before
    for repair, f1 in (("begin", f1_score([["I-P", "I-P", "O", "B-P"]], [["I-P", "I-P", "O", "B-P"]])), ("drop", 1.0)):
        assert jinbench.compute_metrics(names, repair=repair)((window.clip(0), window))["f1"] == f1
    for mapping in (dict(enumerate(names)), {str(i): name for i, name in reversed(list(enumerate(names)))}):
        assert jinbench.compute_metrics(mapping)(EvalPrediction(predictions=logits, label_ids=labels)) == result


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["O", None], "tag_names[1]: wrong-shape"),
        ({0: "O", 1: None}, "tag_names[1]: wrong-shape"),
        ({0: "O", 2: "B-P"}, "tag_names[1]: wrong-shape"),
        (None, "tag_names: wrong-shape"),
        ("O", "tag_names: wrong-shape"),
    ],
)
def test_invalid_tag_names_are_refused(names: Any, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        jinbench.compute_metrics(names)
    with pytest.raises(DataError, match=re.escape(message)):
        jinbench.score(predictions=GUESS, gold=GOLD, tag_names=names)


@pytest.mark.parametrize(
    ("predicted", "labels", "message"),
    [
        (np.zeros((2, 3, 3)), np.zeros((2, 4), int), "predictions and labels: wrong-shape"),
        (np.zeros((2, 3), int), np.zeros((2, 4), int), "(2, 3) and (2, 4)"),
        (np.zeros(3, int), np.zeros(3, int), "predictions and labels: wrong-shape"),
        (np.zeros((1, 1), int), np.ones((1, 1), int) * 9, "labels: wrong-tags"),
        (np.zeros((1, 1), int), -np.ones((1, 1), int), "labels: wrong-tags"),
        (np.eye(4)[[[3]]], np.zeros((1, 1), int), "predictions: wrong-tags"),
        (np.zeros((1, 1)), np.zeros((1, 1), int), "predictions: wrong-tags"),
        ([[1], [1, 2]], np.zeros((1, 1), int), "predictions: wrong-shape"),
        (None, np.zeros((1, 1), int), "predictions: wrong-shape"),
    ],
)
def test_invalid_arrays_of_a_trainer_are_refused(predicted: Any, labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        jinbench.compute_metrics(["O", "B-P", "I-P"])((predicted, labels))  # type: ignore[arg-type]
