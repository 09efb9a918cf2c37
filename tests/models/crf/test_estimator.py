"""CrfTagger as a scikit-learn estimator, and what it learns."""

import functools
import pickle
import random
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import Pipeline

from jinbench.core.errors import DataError
from jinbench.core.tags import from_bio, to_bio
from jinbench.core.types import Span
from jinbench.models import CrfTagger
from jinbench.models.crf import estimator
from jinbench.models.crf.inference import FloatArray


def crf(**options: Any) -> CrfTagger:
    return CrfTagger(**{"models": 1, "epochs": 2, "min_updates": 120, **options})


def toy(seed: int, count: int) -> tuple[list[str], list[list[Span]]]:
    """Make texts where every name has three characters and follows 记者, and every place has two and follows 在."""
    rng = random.Random(seed)

    def some(first: int, count: int) -> str:
        return "".join(chr(first + rng.randrange(50)) for _ in range(count))

    texts, spans = [], []
    for _ in range(count):
        text, row = some(0x4E00, rng.randint(0, 4)), []
        for cue, type, first, length in (("记者", "PER", 0x5200, 3), ("在", "LOC", 0x5800, 2)):
            if rng.random() < 0.8:
                text += cue + (surface := some(first, length))
                row.append(Span(len(text) - length, len(text), type, surface))
            text += some(0x4E00, rng.randint(1, 4))
        texts.append(text)
        spans.append(row)
    return texts, spans


TEXTS, SPANS = toy(0, 400)
TAGS = [to_bio(len(text), row) for text, row in zip(TEXTS, SPANS, strict=True)]
NEW, NEW_SPANS = toy(1, 60)
ODD = ["", "记", "记者", "", "在😀𠮷", "\ud800记者\udc00\udc01😀", "Ａ1 ，\n", *NEW[:8], ""]


def is_a_digit(text: str) -> list[list[str]]:
    """Return one feature per character, from a function that can be pickled."""
    return [["digit" if character.isdigit() else ""] for character in text]


@functools.cache
def fitted() -> Any:
    """Return a fitted tagger that tests must not fit again."""
    return crf().fit(TEXTS, SPANS)


def weights(tagger: Any) -> list[FloatArray]:
    """Return all learnt weights of a tagger."""
    named = ("weights_", "wide_", "bias_", "transitions_", "edges_")
    return [getattr(tagger, name) for name in named if hasattr(tagger, name)]


def assert_equal_models(one: Any, other: Any) -> None:
    assert len(weights(one)) == len(weights(other)) >= 4
    for mine, theirs in zip(weights(one), weights(other), strict=True):
        assert np.array_equal(mine, theirs)
    assert one.predict_spans(ODD + NEW) == other.predict_spans(ODD + NEW)


# ---- learning ---------------------------------------------------------------------------------------------------


def test_a_toy_language_is_learnt() -> None:
    tagger = fitted()
    assert tagger.classes_.tolist() == ["LOC", "PER"]
    assert tagger.predict_spans(NEW) == NEW_SPANS
    assert tagger.predict(NEW) == [to_bio(len(t), row) for t, row in zip(NEW, NEW_SPANS, strict=True)]
    assert tagger.score(NEW, NEW_SPANS) == 1
    assert tagger.score(TEXTS, TAGS) == 1


def test_score_is_strict_micro_f1() -> None:
    tagger = fitted()
    gold = [list(row) for row in NEW_SPANS]
    right = sum(map(len, gold))
    moved = next(i for i, row in enumerate(gold) if len(row) == 2)
    first, second = gold[moved]
    gold[moved] = [first._replace(end=first.end - 1), second._replace(type="ORG")]
    assert tagger.score(NEW, gold) == pytest.approx((right - 2) / right)
    assert tagger.score(["", "的"], [[], []]) == 1  # no gold, no predictions
    assert tagger.score(["的的"], [[(0, 2, "PER")]]) == 0


def test_single_characters_and_neighbours_of_one_type() -> None:
    rng = random.Random(0)
    texts = ["".join(rng.choices("甲乙丙丁", k=rng.randint(1, 6))) for _ in range(150)]
    spans = [[(i, i + 1, "X") for i, one in enumerate(text) if one in "甲乙"] for text in texts]
    predictions = crf(min_count=1).fit(texts, spans).predict_spans(["丙甲乙甲丁", "甲", "丙"])
    assert [[span[:3] for span in row] for row in predictions] == [
        [(1, 2, "X"), (2, 3, "X"), (3, 4, "X")],
        [(0, 1, "X")],
        [],
    ]


def test_without_labels_nothing_is_predicted() -> None:
    tagger = crf().fit(TEXTS[:20], [[]] * 20)
    assert tagger.classes_.tolist() == []
    assert tagger.predict_spans([*ODD, *NEW]) == [[] for _ in [*ODD, *NEW]]
    assert tagger.predict(["天津", ""]) == [["O", "O"], []]


def test_texts_may_be_labelled_throughout() -> None:
    tagger = crf().fit(["天", "津"] * 5, [[(0, 1, "X")]] * 10)
    assert tagger.predict(["天", "津"]) == [["B-X"], ["B-X"]]


def test_empty_texts_between_others_change_nothing() -> None:
    texts, spans = ["", *TEXTS[:25], "", *TEXTS[25:], ""], [[], *SPANS[:25], [], *SPANS[25:], []]
    tagger = crf().fit(texts, spans)
    assert tagger.predict_spans(["", NEW[0], "", "", NEW[1]]) == [[], NEW_SPANS[0], [], [], NEW_SPANS[1]]
    assert tagger.score(["", *NEW], [[], *NEW_SPANS]) == 1
    assert tagger.predict([]) == []
    assert tagger.predict(["", ""]) == [[], []]


def test_a_very_long_text_is_tagged_alike_throughout() -> None:
    """Nothing overflows, and sums do not lose precision with the length."""
    stretch = "".join(NEW)
    times = 20_000 // len(stretch)
    text = stretch * times + "的" * (20_000 - times * len(stretch))
    spans = fitted().predict_spans([NEW[0], text, "", NEW[1]])[1]
    assert fitted().predict_spans([text])[0] == spans
    first = len(stretch)
    expected = [span for span in spans if first <= span.start < 2 * first]
    assert len(expected) >= 60
    for k in range(2, times - 1):
        repeated = [span for span in spans if k * first <= span.start < (k + 1) * first]
        assert [span.relative_to((k - 1) * first) for span in repeated] == expected
    learnt = crf(epochs=1, min_updates=2)
    assert len(learnt.fit([text, NEW[0]], [spans, NEW_SPANS[0]]).predict([text])[0]) == 20_000


def test_every_text_gets_valid_tags() -> None:
    for text, tags, row in zip(ODD, fitted().predict(ODD), fitted().predict_spans(ODD), strict=True):
        assert from_bio(tags, text) == row
        assert all(isinstance(span, Span) and text[span.start : span.end] == span.surface for span in row)


def test_emoji_and_surrogates_are_single_characters() -> None:
    texts = ["看😀𠮷！", "看😀\ud800！", "不看人"] * 10
    spans = [[(1, 3, "X")], [(1, 3, "X")], []] * 10
    assert crf().fit(texts, spans).predict_spans(["也看😀𠮷！"]) == [[Span(2, 4, "X", "😀𠮷")]]


def test_a_prediction_does_not_depend_on_the_other_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    tagger = crf(epochs=1, min_updates=3).fit(TEXTS, SPANS)  # unsure
    texts = [*ODD, *NEW]
    together = tagger.predict_spans(texts)
    assert [tagger.predict_spans([text])[0] for text in texts] == together
    assert tagger.predict_spans(texts[::-1]) == together[::-1]
    monkeypatch.setattr(estimator, "CHUNK", 50)
    assert tagger.predict_spans(texts) == together


# ---- input ------------------------------------------------------------------------------------------------------


def test_spans_tags_and_rows_give_the_same_model() -> None:
    first = fitted()
    assert_equal_models(first, crf().fit(TEXTS, TAGS))
    assert_equal_models(first, crf().fit([{"text": text, "id": i} for i, text in enumerate(TEXTS)], SPANS))
    assert_equal_models(first, crf().fit(np.array(TEXTS), [[tuple(s[:3]) for s in reversed(row)] for row in SPANS]))
    assert_equal_models(first, crf().fit(iter(TEXTS), (np.array(tags) for tags in TAGS)))
    assert first.predict([{"text": text} for text in NEW]) == first.predict(NEW)
    assert first.score(({"text": text} for text in NEW), iter(NEW_SPANS)) == 1


@pytest.mark.parametrize("X", ["天津", {"text": "天津"}, [b"x"], [None], [["天津"]], [float("nan")], [{"id": "x"}]])
def test_anything_but_a_list_of_texts_is_a_type_error(X: Any) -> None:
    with pytest.raises(TypeError, match="X"):
        crf().fit(X, [[]])
    for method in (fitted().predict, fitted().predict_spans):
        with pytest.raises(TypeError, match="X"):
            method(X)
    with pytest.raises(TypeError, match="X"):
        fitted().score(X, [[]])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([[]], "as many labels as texts, found 2 texts and 1 labels"),
        ([[], [], []], "as many labels as texts, found 2 texts and 3 labels"),
        ([[(0, 2, "X"), (1, 2, "X")], []], r"y\[0\]: .* do not overlap"),
        ([[], [(0, 2, "X")]], r"y\[1\]: .* within 0:1"),
        ([[(1, 1, "X")], []], r"y\[0\]"),
        ([[(-1, 1, "X")], []], r"y\[0\]"),
        (None, "requires y"),
    ],
)
def test_labels_that_do_not_match_the_texts_are_refused(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        crf().fit(["天津", "港"], y)
    if y is not None:
        with pytest.raises(ValueError, match=message):
            fitted().score(["天津", "港"], y)


@pytest.mark.parametrize("tags", [["B-X"], ["O", "I-X"], ["B-X", "I-Y"], ["B-X", "X"], ["S-X", "O"]])
def test_tags_that_are_not_bio_are_refused(tags: list[str]) -> None:
    with pytest.raises(DataError, match="wrong-shape") as caught:
        crf().fit(["港", "天津"], [["O"], tags])
    assert "y[1]" in str(caught.value)


@pytest.mark.parametrize("X", [[], [""], ["", ""]])
def test_fitting_needs_a_character(X: list[str]) -> None:
    with pytest.raises(ValueError, match="at least one text"):
        crf().fit(X, [[] for _ in X])


@pytest.mark.parametrize(
    "options",
    [
        {"models": 0}, {"models": 1.5}, {"epochs": 0}, {"batch_size": 0}, {"min_count": 0},
        {"dropout": 1}, {"dropout": 1.5}, {"rate": -1}, {"decay": 2},
    ],
)  # fmt: skip
def test_parameters_out_of_range_are_refused(options: dict[str, Any]) -> None:
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name}: expected .*, found {value}"):
        crf(**options).fit(TEXTS[:9], SPANS[:9])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_too_large_a_rate_is_an_error() -> None:
    with pytest.raises(ValueError, match="lower rate"):
        crf(rate=1e4, wide_rate=1e4).fit(TEXTS, SPANS)
    assert crf(rate=1, wide_rate=1).fit(TEXTS, SPANS).score(NEW, NEW_SPANS) == 1


def test_prediction_needs_a_fitted_tagger() -> None:
    for call in (lambda: crf().predict(NEW), lambda: crf().predict_spans([]), lambda: crf().score(NEW, NEW_SPANS)):
        with pytest.raises(NotFittedError):
            call()


def test_arguments_are_not_changed() -> None:
    texts, spans = list(TEXTS), [list(row) for row in SPANS]
    tagger = crf().fit(texts, spans)
    before = pickle.dumps(tagger.__dict__)
    tagger.predict(texts)
    tagger.score(texts, spans)
    assert (texts, spans) == (TEXTS, SPANS)
    assert pickle.dumps(tagger.__dict__) == before


# ---- as estimators ----------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_model() -> None:
    tagger = crf(random_state=3).fit(TEXTS[:60], SPANS[:60])
    first = [table.copy() for table in weights(tagger)]
    tagger.fit(TEXTS, SPANS).fit(TEXTS[:60], SPANS[:60])  # earlier fits leave no trace
    assert all(map(np.array_equal, first, weights(tagger)))
    assert_equal_models(tagger, clone(tagger).fit(TEXTS[:60], SPANS[:60]))
    assert_equal_models(tagger, crf(random_state=np.random.RandomState(3)).fit(TEXTS[:60], SPANS[:60]))
    other = crf(random_state=4).fit(TEXTS[:60], SPANS[:60])
    assert not all(map(np.array_equal, first, weights(other)))


def test_the_global_random_state_is_used_only_if_asked() -> None:
    state = np.random.get_state()[1].tolist()  # type: ignore[union-attr,index]
    crf().fit(TEXTS[:10], SPANS[:10])
    assert np.random.get_state()[1].tolist() == state  # type: ignore[union-attr,index]
    crf(random_state=None).fit(TEXTS[:10], SPANS[:10])
    assert np.random.get_state()[1].tolist() != state  # type: ignore[union-attr,index]


def test_a_pickle_predicts_the_same() -> None:
    tagger = crf(features=is_a_digit).fit(TEXTS, SPANS)
    assert_equal_models(tagger, pickle.loads(pickle.dumps(tagger)))


def test_parameters_can_be_read_set_and_cloned() -> None:
    tagger = crf(random_state=7, min_count=3)
    assert tagger.get_params()["random_state"] == 7
    copy = clone(fitted().__class__(**tagger.get_params()))
    assert copy.get_params() == tagger.get_params()
    assert copy.set_params(epochs=9) is copy
    assert copy.epochs == 9
    assert tagger.epochs != 9
    assert not hasattr(clone(fitted()), "classes_")
    with pytest.raises(ValueError, match="Invalid parameter"):
        tagger.set_params(no_such=1)


def test_tagger_works_in_pipeline_grid_search_and_cross_validation() -> None:
    pipeline = Pipeline([("tagger", crf())]).fit(TEXTS, SPANS)
    assert pipeline.predict(NEW) == fitted().predict(NEW)
    assert pipeline.score(NEW, NEW_SPANS) == 1
    groups = [i % 3 for i in range(len(TEXTS))]
    scores = cross_val_score(crf(), TEXTS, TAGS, groups=groups, cv=GroupKFold(3), error_score="raise")
    assert scores.shape == (3,)
    assert scores.min() > 0.9
    rows = [{"text": text} for text in TEXTS]
    grid = GridSearchCV(pipeline, {"tagger__min_count": [1, 10**6]}, cv=2, error_score="raise").fit(rows, SPANS)
    assert grid.best_params_ == {"tagger__min_count": 1}
    assert grid.predict(NEW) == grid.best_estimator_.predict(NEW)
    assert grid.score(NEW, NEW_SPANS) == 1


def test_custom_features_are_learnt_from() -> None:
    """Only the function can tell which of the random characters are marked."""
    rng = random.Random(0)
    texts = ["".join(chr(rng.randrange(0x4E00, 0x9000)) for _ in range(6)) for _ in range(160)]

    def marked(text: str) -> list[list[str]]:
        return [["yes" if ord(character) % 3 == 0 else "no"] for character in text]

    spans = [[(i, i + 1, "X") for i, one in enumerate(text) if ord(one) % 3 == 0] for text in texts]
    with_features = crf(features=marked).fit(texts[:80], spans[:80])
    without_features = crf().fit(texts[:80], spans[:80])
    assert with_features.score(texts[80:], spans[80:]) > 0.95
    assert without_features.score(texts[80:], spans[80:]) < 0.5


def test_custom_features_with_too_few_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="one row for each of"):
        crf(features=lambda text: [["x"]]).fit(TEXTS, SPANS)


def test_several_models_are_averaged() -> None:
    one, three = crf(models=1).fit(TEXTS, SPANS), crf(models=3).fit(TEXTS, SPANS)
    assert [table.shape for table in weights(one)] == [table.shape for table in weights(three)]
    assert not np.array_equal(one.weights_, three.weights_)
    assert three.score(NEW, NEW_SPANS) == 1


def test_the_second_half_of_the_epochs_is_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting(estimator.ModelEnsemble):
        def update(self, batch: Any, rng: Any) -> None:
            for table in self.tables:
                table[:] += 1

    monkeypatch.setattr(estimator, "ModelEnsemble", Counting)
    for options, mean in (({"epochs": 4, "min_updates": 1}, 3.5), ({"epochs": 1, "min_updates": 6}, 5)):
        tagger = crf(models=2, batch_size=1000, **options).fit(TEXTS, SPANS)
        assert np.unique(tagger.weights_).tolist() == np.unique(tagger.wide_).tolist() == [mean]


def test_no_span_is_predicted_between_contending_borders() -> None:
    """Seven of fifteen labels span the first two; the others begin at the second and disagree on the end."""
    readings = [(0, 2)] * 7 + [(1, 3)] * 4 + [(1, 4)] * 4
    texts, spans = ["甲乙丙丁"] * 150, [[(*reading, "X")] for reading in readings * 10]
    tagger = crf(epochs=200, dropout=0, miss_cost=0, batch_size=150).fit(texts, spans)
    assert tagger.predict_spans(texts[:1]) == [[]]
    agreed = crf(epochs=200, dropout=0, miss_cost=0, batch_size=150).fit(texts[:60], [spans[0]] * 60)
    assert agreed.predict(texts[:1]) == [["B-X", "I-X", "O", "O"]]


def test_best_path_is_taken_for_scores_too_far_apart_for_exponentials() -> None:
    tagger = crf().fit(TEXTS, SPANS)
    expected = tagger.predict(NEW)
    for table in weights(tagger):
        table *= 1000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tagger.predict(NEW) == expected


def test_spans_of_one_character_have_types_that_had_one_in_training() -> None:
    texts = ["甲乙", "丙丁", "甲丙", "丁乙"] * 20
    spans = [[(0, 1, "X")], [(0, 2, "Y")], [(0, 1, "X")], [(0, 2, "Y")]] * 20
    tagger = crf().fit(texts, spans)
    assert tagger.single_ == [0]
    assert {span.type for row in tagger.predict_spans([*"甲乙丙丁"]) for span in row} <= {"X"}
    assert tagger.score(texts, spans) == 1


def test_an_unseen_feature_has_no_weight() -> None:
    tagger = crf(min_count=2).fit(TEXTS, SPANS)
    assert tagger.weights_.any()
    assert not tagger.weights_[0].any()


@pytest.mark.parametrize("X", [np.ones((2, 3)), sparse.csr_matrix(np.ones((2, 3)))], ids=["dense", "sparse"])
def test_matrices_are_refused(X: Any) -> None:
    with pytest.raises(TypeError, match=r"X\[0\]: expected a text"):
        crf().fit(X, [[], []])
    with pytest.raises(TypeError, match=r"X\[0\]: expected a text"):
        fitted().predict(X)


def test_spans_of_the_dataset_are_accepted() -> None:
    rows = [[{"start": s.start, "end": s.end, "type": s.type, "surface": s.surface} for s in row] for row in SPANS]
    assert crf().fit(TEXTS, rows).predict_spans(NEW) == crf().fit(TEXTS, SPANS).predict_spans(NEW)


@pytest.mark.parametrize("labels", [[(0, 2)], [0, 1], 3, [(0.0, 2.0, "A")], [{"start": 0}]])
def test_invalid_labels_are_named(labels: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"y\[1\]: expected a list of"):
        crf().fit(["ab", "cd"], [[], labels])


def test_a_table_is_refused() -> None:
    class Table:
        columns = ("text",)

    with pytest.raises(TypeError, match=r"X\[\"text\"\]"):
        crf().predict(Table())
