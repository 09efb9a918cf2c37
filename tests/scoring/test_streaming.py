"""A stream gives the numbers of all items at once, whatever the batches; what is kept does not grow."""

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jinbench.core.errors import DataError
from jinbench.core.tags import to_bio
from jinbench.core.types import Span
from jinbench.scoring import schemes
from jinbench.scoring import score as scoring
from jinbench.scoring.streaming import StreamingReport, StreamingScorer
from tests.helpers.scoring import flat, gold_of, guesses

NAMES = ("X", "Y", "Z")
Tags = list[list[str]]


def random_spans(rng: random.Random, length: int) -> list[Span]:
    return [Span(*triple, "") for triple in sorted(flat(rng, length))]


def sentences(number: int, seed: int = 0) -> tuple[list[list[Span]], list[list[Span]], Tags, Tags]:
    rng = random.Random(seed)
    lengths = [rng.randint(1, 30) for _ in range(number)]
    true = [random_spans(rng, n) for n in lengths]
    guess = [spans if rng.random() < 0.5 else random_spans(rng, n) for spans, n in zip(true, lengths, strict=True)]
    tags = [[to_bio(n, spans) for n, spans in zip(lengths, side, strict=True)] for side in (true, guess)]
    return true, guess, tags[0], tags[1]


def test_the_same_as_the_score_of_all_items() -> None:
    """Counts and F1 to the last digit; intervals within what another draw changes."""
    true, guess, gold, predicted = sentences(600)
    articles = [i // 10 for i in range(600)]
    report = StreamingScorer(NAMES).add(gold, predicted, articles).report(4000)
    score = scoring.score_predictions(
        gold_of([{s[:3] for s in spans} for spans in true], NAMES, per_article=10),
        guesses(*({s[:3] for s in spans} for spans in guess)),
    )
    assert (report.items, report.articles) == (score.items, score.articles) == (600, 60)
    assert report.exact / report.items == score.exact.value
    for ours, other in zip((report.micro, *report.labels), (score.micro, *score.labels), strict=True):
        same = ("name", "gold", "predicted", "correct", "precision", "recall", "f1")
        assert [getattr(ours, key) for key in same] == [getattr(other, key) for key in same]
        assert (ours.low, ours.high) == (pytest.approx(other.low, abs=0.01), pytest.approx(other.high, abs=0.01))


@pytest.mark.parametrize("size", [1, 3, 7, 50, 200])
def test_batches_change_nothing(size: int) -> None:
    """Articles go on from one batch to the next."""
    _, _, gold, predicted = sentences(200)
    rng = random.Random(1)
    articles = [0]
    while len(articles) < 200:
        articles.append(articles[-1] + (rng.random() < 0.2))
    whole = StreamingScorer(NAMES).add(gold, predicted, articles).report()
    scorer = StreamingScorer(NAMES)
    for start in range(0, 200, size):
        rows = slice(start, start + size)
        scorer.add(gold[rows], predicted[rows], articles[rows])
    assert scorer.report() == whole
    assert whole.articles == len(set(articles))


def to_arrow(tags: Tags, kind: str) -> Any:
    names = ["O", *(f"{letter}-{name}" for name in NAMES for letter in "BI")]
    if kind == "strings":
        return pa.array(tags)
    column = pa.array([[names.index(tag) for tag in row] for row in tags], pa.list_(pa.int64()))
    if kind == "a slice":
        return pa.concat_arrays([column[:3], column])[3:]
    return pa.chunked_array([column[:7], column[7:7], column[7:]]) if kind == "chunks" else column


@pytest.mark.parametrize("kind", ["numbers", "strings", "chunks", "a slice"])
def test_arrow_columns_are_the_lists(kind: str) -> None:
    _, _, gold, predicted = sentences(50)
    expected = StreamingScorer(NAMES).add(gold, predicted).report()
    assert StreamingScorer(NAMES).add(to_arrow(gold, kind), to_arrow(predicted, kind)).report() == expected
    assert StreamingScorer(NAMES).add(to_arrow(gold, kind), predicted).report() == expected
    assert StreamingScorer(NAMES).add(to_arrow(gold, kind).to_pylist(), predicted).report() == expected


def test_no_items_and_no_labels() -> None:
    empty = StreamingScorer(NAMES).report()
    assert (empty.items, empty.articles, empty.micro.f1) == (0, 0, None)
    assert StreamingScorer(NAMES).add([], []).report() == empty
    assert StreamingScorer(NAMES).add(pa.chunked_array([], pa.list_(pa.int64())), []).report() == empty
    nothing = StreamingScorer(NAMES).add([["O"], []], [["O"], []]).report()
    assert (nothing.items, nothing.exact, nothing.micro.f1, nothing.micro.low) == (2, 2, None, None)


@pytest.mark.parametrize(
    ("gold", "predicted", "articles", "message"),
    [
        ([["O"]], [], None, "expected 1 items"),
        ([["O"], ["O", "O"]], [["O"], ["O"]], None, "predictions[1]: wrong-shape"),
        ([["O"]], [["O"]], [1, 2], "articles: wrong-shape"),
        ([["O"]], [["O"]], 3, "articles: wrong-shape"),
        ([["O"]], [["O"]], "a", "articles: wrong-shape"),
        ([["O"]], [["O"]], [[]], "articles[0]: wrong-shape"),
        ([["O"]], None, None, "predictions: wrong-shape"),
        ("O", [["O"]], None, "gold: wrong-shape"),
        (["O"], [["O"]], None, "gold[0]: wrong-shape"),
        ([["O"]], [["I-X"]], None, "predictions[0], tags 0 to 0: wrong-tags"),
        ([["O"]], [["B-W"]], None, "predictions[0], tag 0: wrong-tags"),
        ([["O", "O"]], [["O", None]], None, "predictions[0], tag 1: wrong-tags"),
        ([["O"]], [[None]], None, "predictions[0]: wrong-shape"),
        ([["O"]], [[["O"]]], None, "predictions[0]: wrong-shape"),
        ([["O"]], [[(0, 1, "W")]], None, "predictions[0]: wrong-shape"),
        ([["O"]], [[7]], None, "predictions[0], tag 0: wrong-tags"),
        ([["O"]], pa.array([[7]]), None, "numbers of tags, 0 to 6"),
        ([["O"]], pa.array([[-1]]), None, "found    -1"),
        ([["O"]], pa.array([None], pa.list_(pa.int64())), None, "a null"),
        ([["O"]], pa.array([[None]], pa.list_(pa.int64())), None, "a null"),
    ],
)
def test_what_is_wrong_is_named(gold: Any, predicted: Any, articles: Any, message: str) -> None:
    with pytest.raises(DataError, match=message.replace("[", r"\[")):
        StreamingScorer(NAMES).add(gold, predicted, articles)


def test_an_article_that_comes_back_is_refused() -> None:
    """Within a batch; in a later one it cannot be seen."""
    tags = [["B-X"]] * 3
    scorer = StreamingScorer(NAMES).add(tags, tags, ["a", "a", "b"])
    with pytest.raises(DataError, match=r"(?s)articles\[2\]: wrong-shape.*adjacent items.*'c' once more"):
        scorer.add(tags, tags, ["c", "b", "c"])
    assert scorer.add(tags[:2], tags[:2], ["b", "a"]).report(0).articles == 3


@pytest.mark.parametrize("articles", [[1], ["a", "b", "a"], [[], 1, 2], 7])
def test_nothing_is_counted_of_a_batch_that_is_refused(articles: Any) -> None:
    scorer, tags = StreamingScorer(NAMES), [["B-X"], ["O"], ["B-Y"]]
    with pytest.raises(DataError):
        scorer.add(tags, tags, articles)
    assert scorer.report() == StreamingScorer(NAMES).report()
    assert scorer.add(tags, tags).report() == StreamingScorer(NAMES).add(tags, tags).report()


def test_what_can_be_gone_through_once_is_counted() -> None:
    _, _, gold, predicted = sentences(50)
    expected = StreamingScorer(NAMES).add(gold, predicted, [i // 5 for i in range(50)]).report()
    report = (
        StreamingScorer(NAMES)
        .add(map(iter, gold), (tuple(row) for row in predicted), (i // 5 for i in range(50)))
        .report()
    )
    assert report == expected


def test_items_in_another_order_keep_their_labels_and_lengths() -> None:
    _, _, gold, _ = sentences(50)
    order = random.Random(2).sample(range(50), 50)
    table, expected = (schemes.tags_to_table(tags, NAMES) for tags in (gold, [gold[i] for i in order]))
    table = table.reorder(np.array(order))
    for name in ("item", "start", "end", "type", "tokens"):
        assert getattr(table, name).tolist() == getattr(expected, name).tolist()


def test_more_tags_than_a_byte_can_hold() -> None:
    names = [f"T{i:03}" for i in range(200)]
    gold = [[f"B-{name}", f"I-{name}"] for name in names]
    assert StreamingScorer(names).add(gold, gold).report().micro.correct == 200


def test_what_is_kept_does_not_grow() -> None:
    """The histogram of what articles look like has an end; nothing else is kept of a batch."""
    _, _, gold, predicted = sentences(2000)
    scorer, sizes = StreamingScorer(NAMES), []
    for _ in range(8):
        scorer.add(gold, predicted, [i // 4 for i in range(2000)])
        sizes.append([len(patterns) for patterns in scorer._patterns])
    assert sizes[0] == sizes[-1]
    assert scorer.report(0).items == 16000


def test_a_report_says_what_it_is() -> None:
    _, _, gold, predicted = sentences(100)
    report = StreamingScorer(NAMES).add(gold, predicted, [i // 5 for i in range(100)]).report()
    assert isinstance(report, StreamingReport)
    assert report.to_dict()["micro"]["f1"] == round(report.micro.f1 or 0, 6)
    assert list(report.to_pandas()["name"]) == ["micro", *NAMES]
    assert str(report).endswith("items are exact matches; 20 articles")
    assert (report.grouped, report.to_dict()["grouped"]) == (True, True)
    assert schemes.list_types(["O", "B-X", "I-X", "E-Y"]) == ["X", "Y"]


def test_a_report_says_when_no_articles_were_given() -> None:
    _, _, gold, predicted = sentences(100)
    alone = StreamingScorer(NAMES).add(gold[:50], predicted[:50]).add(gold[50:], predicted[50:], range(50)).report()
    assert (alone.grouped, alone.to_dict()["grouped"]) == (False, False)
    note = "each item counts as an article of its own: the interval is too narrow where items are alike"
    assert str(alone).endswith(f"100 articles\n{note}")
