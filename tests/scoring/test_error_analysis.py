"""Every gold and every predicted label in one class, and in no other."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from jinbench.scoring import error_analysis, score
from jinbench.scoring.error_analysis import BOTH, BOUNDARY, CORRECT, KINDS, MISSED, SPURIOUS, TYPE, Error
from jinbench.scoring.gold import LabelKey
from tests.helpers.scoring import X, Y, flat, gold_of, guesses, pair, tangled

HAND = [
    ("right", {X, Y}, {X, Y}, []),
    ("another type", {(0, 2, "X")}, {(0, 2, "Y")}, [(TYPE, (0, 2, "X"), (0, 2, "Y"))]),
    ("other boundaries", {(0, 2, "X")}, {(1, 3, "X")}, [(BOUNDARY, (0, 2, "X"), (1, 3, "X"))]),
    ("both", {(0, 2, "X")}, {(1, 3, "Y")}, [(BOTH, (0, 2, "X"), (1, 3, "Y"))]),
    ("missed", {X}, set(), [(MISSED, X, None)]),
    ("spurious", set(), {X}, [(SPURIOUS, None, X)]),
    ("only touching", {(0, 2, "X")}, {(2, 4, "X")}, [(MISSED, (0, 2, "X"), None), (SPURIOUS, None, (2, 4, "X"))]),
    (
        "the same place goes before the same type",
        {(0, 4, "X")},
        {(0, 4, "Y"), (0, 3, "X")},
        [(SPURIOUS, None, (0, 3, "X")), (TYPE, (0, 4, "X"), (0, 4, "Y"))],
    ),
    (
        "the same type goes before more in common",
        {(0, 6, "X")},
        {(0, 4, "Y"), (4, 6, "X")},
        [(BOUNDARY, (0, 6, "X"), (4, 6, "X")), (SPURIOUS, None, (0, 4, "Y"))],
    ),
    (
        "of two that fit as well the one with more in common",
        {(0, 6, "X")},
        {(0, 2, "X"), (2, 5, "X")},
        [(BOUNDARY, (0, 6, "X"), (2, 5, "X")), (SPURIOUS, None, (0, 2, "X"))],
    ),
    (
        "of two with as much in common the first",
        {(0, 6, "X")},
        {(4, 6, "X"), (0, 2, "X")},
        [(BOUNDARY, (0, 6, "X"), (0, 2, "X")), (SPURIOUS, None, (4, 6, "X"))],
    ),
    (
        "what is right takes part in nothing else",
        {(0, 2, "X")},
        {(0, 2, "X"), (0, 3, "X")},
        [(SPURIOUS, None, (0, 3, "X"))],
    ),
    ("sectors", {("a",), ("b",)}, {("a",), ("c",)}, [(MISSED, ("b",), None), (SPURIOUS, None, ("c",))]),
]


@pytest.mark.parametrize(("gold", "predicted", "made"), [row[1:] for row in HAND], ids=[row[0] for row in HAND])
def test_by_hand(gold: set[LabelKey], predicted: set[LabelKey], made: list[tuple[Any, ...]]) -> None:
    errors = error_analysis.classify_errors(gold, predicted)
    assert sorted(map(repr, errors)) == sorted(repr(Error(*row)) for row in made)


@pytest.mark.parametrize("make", [flat, tangled])
def test_every_label_is_in_exactly_one_class(make: Callable[[random.Random, int], set[Any]]) -> None:
    rng = random.Random(0)
    for gold, predicted in zip(*pair(rng, make, 3000), strict=True):
        errors = error_analysis.classify_errors(gold, predicted)
        right = gold & predicted
        assert Counter(error.gold for error in errors if error.gold) == Counter(gold - right)
        assert Counter(error.predicted for error in errors if error.predicted) == Counter(predicted - right)
        for kind, a, b in ((error.kind, error.gold, error.predicted) for error in errors):
            if a is None or b is None:
                assert kind == (MISSED if b is None else SPURIOUS)
                continue
            assert a[0] < b[1]
            assert b[0] < a[1]
            kinds = {(True, False): TYPE, (False, True): BOUNDARY, (False, False): BOTH}
            assert kind == kinds[a[:2] == b[:2], a[2] == b[2]]
        # Nothing that meets something of the other side is left over on both sides.
        missed = [error.gold for error in errors if error.kind == MISSED and error.gold]
        spurious = [error.predicted for error in errors if error.kind == SPURIOUS and error.predicted]
        assert not [(a, b) for a in missed for b in spurious if a[0] < b[1] and b[0] < a[1]]
        shuffled = [rng.sample(sorted(side), len(side)) for side in (gold, predicted)]
        assert error_analysis.classify_errors(*shuffled) == errors


@pytest.mark.parametrize("make", [flat, tangled])
def test_the_classes_add_up_to_the_counts(make: Callable[[random.Random, int], set[Any]]) -> None:
    true, guess = pair(random.Random(1), make, 800)
    gold, predicted = gold_of(true, ("X", "Y", "Z")), guesses(*guess[:-100])
    analysis, micro = error_analysis.analyze_errors(gold, predicted), score.score_micro(gold, predicted)
    paired = sum(analysis.kinds[kind] for kind in (TYPE, BOUNDARY, BOTH))
    assert list(analysis.kinds) == [CORRECT, *KINDS]
    assert analysis.kinds[CORRECT] == micro.correct
    assert analysis.kinds[CORRECT] + paired + analysis.kinds[MISSED] == micro.gold
    assert analysis.kinds[CORRECT] + paired + analysis.kinds[SPURIOUS] == micro.predicted
    assert sum(number for *_, number in analysis.confused) == analysis.kinds[TYPE] + analysis.kinds[BOTH]
    assert all(a != b for a, b, _ in analysis.confused)
    assert min(analysis.kinds.values()) > 0


def test_the_worst_items_come_first_and_whole() -> None:
    gold = gold_of([{X}, {X, Y}, {Y}, {X}])
    analysis = error_analysis.analyze_errors(gold, guesses({X}, {(0, 2, "Y"), (6, 7, "X")}, {(3, 4, "Y")}), examples=2)
    assert [(example.id, len(example.mistakes), example.has_prediction) for example in analysis.examples] == [
        ("s1", 3, True),
        ("s2", 1, True),
    ]
    assert analysis.confused == (("X", "Y", 1),)
    assert analysis.kinds == {CORRECT: 1, TYPE: 1, BOUNDARY: 1, BOTH: 0, MISSED: 2, SPURIOUS: 1}
    text = str(error_analysis.analyze_errors(gold, {}))
    assert "(no prediction)" in text
    assert "gold X 一一 [0, 2)" in text
