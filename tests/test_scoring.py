"""The scorer against a table worked by hand, against seqeval, and against its own promises."""

import itertools
import random
from pathlib import Path

import pytest
from seqeval.metrics import classification_report, f1_score
from seqeval.scheme import IOB2

from jinbench import scoring, submissions, tagging
from jinbench.records import Span
from jinbench.rooms import Rooms
from jinbench.submissions import Gold, Label

Labelled = dict[str, frozenset[Label]]


def gold_of(items: list[set[Label]], names: tuple[str, ...] = ("X", "Y"), per_article: int = 1) -> Gold:
    return Gold(
        "ner",
        "test",
        names,
        tuple(f"s{i}" for i in range(len(items))),
        ("一" * 30,) * len(items),
        tuple(frozenset(item) for item in items),
        tuple(f"a{i // per_article}" for i in range(len(items))),
        ("clean",) * len(items),
        "1.0.0",
        "0" * 64,
        "1" * 64,
    )


def guesses(*items: set[Label]) -> Labelled:
    return {f"s{i}": frozenset(item) for i, item in enumerate(items)}


X, Y = (0, 2, "X"), (3, 5, "Y")


@pytest.mark.parametrize(
    ("gold", "predicted", "counts", "f1"),
    [
        ([{X, Y}], guesses({X, Y}), (2, 2, 2), 1.0),
        ([{X, Y}], guesses({X}), (2, 1, 1), 2 / 3),
        ([{X}], guesses({(0, 2, "Y")}), (1, 1, 0), 0.0),  # wrong type
        ([{X}], guesses({(0, 3, "X")}), (1, 1, 0), 0.0),  # wrong boundary
        ([{X}], guesses(set()), (1, 0, 0), 0.0),
        ([set()], guesses({X}), (0, 1, 0), 0.0),
        ([set()], guesses(set()), (0, 0, 0), None),  # nothing to find and nothing found: undefined
        ([{X}, {X, Y}], guesses({X}), (3, 1, 1), 0.5),  # the second item has no prediction
        ([{(0, 1, "X"), (1, 2, "X")}], guesses({(0, 2, "X")}), (2, 1, 0), 0.0),  # adjacent spans are two
    ],
)
def test_counts_and_f1_by_hand(
    gold: list[set[Label]], predicted: Labelled, counts: tuple[int, int, int], f1: float | None
) -> None:
    cell = scoring.score(gold_of(gold), predicted).micro
    assert (cell.gold, cell.predicted, cell.correct) == counts
    assert cell.f1 == (None if f1 is None else pytest.approx(f1))


def random_spans(rng: random.Random, length: int) -> list[Span]:
    cuts = sorted(rng.sample(range(length + 1), rng.randint(0, min(8, length))))
    return [Span(a, b, rng.choice("XYZ"), "一" * (b - a)) for a, b in itertools.pairwise(cuts) if rng.random() < 0.5]


@pytest.mark.parametrize("seed", range(40))
def test_the_same_as_seqeval_strict(seed: int) -> None:
    rng = random.Random(seed)
    lengths = [rng.randint(1, 30) for _ in range(25)]
    true = [random_spans(rng, n) for n in lengths]
    guess = [spans if rng.random() < 0.4 else random_spans(rng, n) for spans, n in zip(true, lengths, strict=True)]
    tags = [[tagging.to_bio(n, spans) for n, spans in zip(lengths, side, strict=True)] for side in (true, guess)]
    ours = scoring.score(
        gold_of([{s[:3] for s in spans} for spans in true], ("X", "Y", "Z")),
        guesses(*({s[:3] for s in g} for g in guess)),
    )
    assert ours.micro.f1 == pytest.approx(f1_score(*tags, mode="strict", scheme=IOB2, zero_division=0))
    report = classification_report(*tags, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
    for cell in ours.labels:
        if cell.gold:
            assert cell.f1 == pytest.approx(report[cell.name]["f1-score"])
            assert cell.precision == pytest.approx(report[cell.name]["precision"])
            assert cell.recall == pytest.approx(report[cell.name]["recall"])


def test_gold_against_itself_and_against_nothing(real: Rooms) -> None:
    for task in submissions.TASKS:
        for split in ("train", "validation", "test", submissions.FOLDS):
            gold = submissions.gold(real, task, split)
            perfect = scoring.score(gold, dict(zip(gold.ids, gold.labels, strict=True)))
            assert perfect.micro.f1 == perfect.exact == 1.0
            assert perfect.macro.f1 in (1.0, None)
            assert {cell.f1 for cell in perfect.labels} <= {1.0, None}
            empty = scoring.score(gold, {})
            assert empty.micro.f1 == 0.0
            assert empty.macro.f1 in (0.0, None)
            assert empty.missing == len(gold.ids)


def test_an_interval_comes_from_articles_not_sentences() -> None:
    """Ten sentences of one article that are all right or all wrong are worth one observation, not ten."""
    rng = random.Random(0)
    right = [rng.random() < 0.6 for _ in range(20)]
    items: list[set[Label]] = [{X}] * 200
    predicted = guesses(*({X} if right[i // 10] else {Y} for i in range(200)))
    by_article = scoring.score(gold_of(items, per_article=10), predicted).micro
    by_sentence = scoring.score(gold_of(items), predicted).micro
    assert by_article.f1 == by_sentence.f1
    assert by_article.high is not None
    assert by_article.low is not None
    assert by_sentence.high is not None
    assert by_sentence.low is not None
    assert by_article.high - by_article.low > 2 * (by_sentence.high - by_sentence.low)


def test_one_article_has_no_interval() -> None:
    cell = scoring.score(gold_of([{X}, {Y}], per_article=2), guesses({X}, set())).micro
    assert (cell.low, cell.high) == (None, None)
    assert "no interval" in cell.shown


def test_a_score_never_travels_alone(real: Rooms) -> None:
    score = scoring.score(submissions.gold(real, "ner", "test"), {})
    assert score.headline.startswith("ner:micro-F1 = 0.000 [0.000, 0.000] [task:ner|data:")
    assert set(score.signature) == {"task", "data", "gold", "split", "match", "boot", "seed", "jinbench"}
    assert score.to_dict()["signature"] == score.signature


def test_the_same_predictions_give_the_same_numbers(real: Rooms) -> None:
    gold = submissions.gold(real, "ner", "folds")
    path = real.baselines / "gazetteer" / "predictions-ner-folds.jsonl"
    first, second = (scoring.score(gold, submissions.read_predictions(path, gold)) for _ in range(2))
    assert first.to_dict() == second.to_dict()


def test_macro_f1_takes_only_what_can_be_measured() -> None:
    """X has 40 mentions, all right; Y has 5, all missed."""
    gold = gold_of([{X, Y}] * 5 + [{X}] * 35)
    score = scoring.score(gold, guesses(*[{X}] * 40))
    assert (score.macro.labels, score.macro.of, score.macro.f1) == (1, 2, 1.0)
    assert (score.macro.low, score.macro.high) == (1.0, 1.0)
    assert scoring.score(gold_of([{X}, {X}]), {}).macro.f1 is None


def test_compare_is_paired() -> None:
    """A system that is a little better everywhere is told apart, however much the articles differ."""
    items: list[set[Label]] = [{(i, i + 1, "X") for i in range(20)} for _ in range(scoring.ENOUGH)]
    gold = gold_of(items)
    rng = random.Random(0)
    share = [rng.randint(2, 18) for _ in items]
    worse = guesses(*({(i, i + 1, "X") for i in range(n)} for n in share))
    better = guesses(*({(i, i + 1, "X") for i in range(n + 1)} for n in share))
    assert scoring.compare(gold, better, worse).told_apart
    assert not scoring.compare(gold, better, better).told_apart


def test_few_articles_tell_nothing_apart() -> None:
    """The same rule as on the board: all right against all wrong, but on nine articles."""
    items: list[set[Label]] = [{X}] * (scoring.ENOUGH - 1)
    assert not scoring.compare(gold_of(items), guesses(*items), {}).told_apart
    assert scoring.compare(gold_of([*items, {X}]), guesses(*items, {X}), {}).told_apart


def test_an_empty_file_is_an_empty_submission(real: Rooms, tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_text("\n")
    gold = submissions.gold(real, "ner", "test")
    score = scoring.score(gold, submissions.read_predictions(tmp_path / "none.jsonl", gold))
    assert score.missing == len(gold.ids)
    assert "have no prediction" in str(score)
