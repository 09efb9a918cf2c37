"""Character features against a slow version with plain strings and counters."""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jinbench.models.crf import features
from jinbench.models.crf.features import CLASSES, CONTEXT, WINDOWS, Gazetteer, PairPmi, Vocabulary
from jinbench.models.crf.inference import IntArray

ALPHABET = "天津aB1 ，,Ａ１\u3000😀\ud800"
FOLDED = {"，": ",", "Ａ": "A", "１": "1"}
KINDS = {"天": "letter", "津": "letter", "a": "small", "B": "capital", "A": "capital", "1": "digit"}
KINDS |= {" ": "space", "\u3000": "space", None: "around"}  # every other character is its own class
Spans = list[list[tuple[int, int, int]]]

text_lists = st.lists(st.text(ALPHABET, max_size=12), min_size=1, max_size=6)


def folded(text: str) -> str:
    return "".join(FOLDED.get(char, char) for char in text)


def around(text: str, at: int, template: Sequence[int]) -> tuple[str | None, ...]:
    """Return the characters of a text at offsets from one of them; None outside the text."""
    return tuple(text[at + k] if 0 <= at + k < len(text) else None for k in template)


def assert_same_partition(hashes: IntArray, values: list[Any]) -> None:
    """Assert that two positions have the same hash if and only if they have the same value."""
    assert len(hashes) == len(values)
    pairs = set(zip(hashes.tolist(), values, strict=True))
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)


# ---- windows ----------------------------------------------------------------------------------------------------


@given(text_lists)
def test_windows_are_equal_if_and_only_if_their_characters_are(texts: list[str]) -> None:
    columns = features.hash_windows(texts)
    assert len(columns) == len(WINDOWS) + len(CLASSES)
    plain = [folded(text) for text in texts]
    for column, template in zip(columns, WINDOWS, strict=False):
        assert_same_partition(column, [around(text, i, template) for text in plain for i in range(len(text))])
    for column, template in zip(columns[len(WINDOWS) :], CLASSES, strict=True):
        chars = [around(text, i, template) for text in plain for i in range(len(text))]
        assert_same_partition(column, [tuple(KINDS.get(char, char) for char in one) for one in chars])


@given(text_lists)
def test_context_hashes_the_ngrams_that_begin_at_each_character(texts: list[str]) -> None:
    columns = features.hash_context(texts)
    plain = [folded(text) for text in texts]
    for column, template in zip(columns, CONTEXT, strict=True):
        assert_same_partition(column, [around(text, i, template) for text in plain for i in range(len(text))])


def test_many_windows_do_not_collide() -> None:
    rng = np.random.default_rng(0)
    texts = ["".join(map(chr, rng.integers(0x4E00, 0x5200, 200))) for _ in range(100)]
    columns = features.hash_windows(texts)
    for column, template in zip(columns, WINDOWS, strict=False):
        assert_same_partition(column, [around(text, i, template) for text in texts for i in range(len(text))])
    distinct = [np.unique(column) for column in columns]
    assert len(np.unique(np.concatenate(distinct))) == sum(map(len, distinct))  # nor do templates
    assert all((column != 0).all() for column in columns)


@pytest.mark.parametrize("make", [features.hash_windows, features.hash_context])
@given(texts=text_lists)
def test_features_of_a_text_do_not_depend_on_other_texts(make: Any, texts: list[str]) -> None:
    together = np.stack(make(texts))
    alone = np.concatenate([np.stack(make([text])) for text in texts], axis=1)
    assert together.tolist() == alone.tolist()


def test_full_width_reads_as_half_width() -> None:
    wide = "".join(map(chr, range(0xFF01, 0xFF5F)))
    narrow = "".join(map(chr, range(0x21, 0x7F)))
    for make in (features.hash_windows, features.hash_context):
        assert np.array_equal(make([wide]), make([narrow]))
    assert not np.array_equal(features.hash_windows(["\uff00"]), features.hash_windows([" "]))  # the range has two ends
    assert not np.array_equal(features.hash_windows(["\uff5f"]), features.hash_windows(["\x7f"]))


def test_code_points_are_characters() -> None:
    """Beyond the basic plane, surrogates without a partner, the last code point, zero."""
    text = "😀𠮷\ud83d\udc00\U0010ffff\0"
    assert {len(column) for column in features.hash_windows([text])} == {len(text)}
    assert len(set(features.hash_windows([text])[0].tolist())) == len(text)


@pytest.mark.parametrize("texts", [[], [""], ["", ""]])
def test_no_characters_no_features(texts: list[str]) -> None:
    assert {len(column) for column in features.hash_windows(texts) + features.hash_context(texts)} == {0}
    for learnt in (PairPmi().fit_columns(texts), Gazetteer().fit_columns(texts, [[] for _ in texts])):
        assert {len(column) for column in learnt} == {0}


# ---- custom features --------------------------------------------------------------------------------------------


def test_custom_strings_are_distinguished_and_an_empty_one_is_no_feature() -> None:
    rows = {"天津": [["地", ""], ["", "😀"]], "": [], "港a": [["地", "\ud800"], ["名", "地"]]}
    first, second = features.hash_custom_features(list(rows), rows.__getitem__)
    assert (first != 0).tolist() == [True, False, True, True]
    assert (second != 0).tolist() == [False, True, True, True]
    assert first[0] == first[2] != first[3]
    assert len({*first.tolist(), *second.tolist()} - {0}) == 5  # the same string in another column is another feature


def test_custom_features_of_a_text_do_not_depend_on_other_texts() -> None:
    def described(text: str) -> list[list[str]]:
        return [[char, char * 2] for char in text]

    together = np.stack(features.hash_custom_features(["天津港", "港"], described))
    assert together[:, 3:].tolist() == np.stack(features.hash_custom_features(["港"], described)).tolist()


@pytest.mark.parametrize("kind", [tuple, list, np.array])
def test_custom_features_may_be_any_sequence(kind: Any) -> None:
    columns = features.hash_custom_features(["天津", "港"], lambda text: kind([(char, "x") for char in text]))
    assert [len(column) for column in columns] == [3, 3]
    assert (columns[1] == columns[1][0]).all()


def test_custom_features_need_one_row_per_character() -> None:
    with pytest.raises(ValueError, match="one row for each of 2 characters, found 3"):
        features.hash_custom_features(["天津"], lambda text: [["x"]] * 3)
    with pytest.raises(ValueError, match=r"as many strings for each character, found \[1, 2\]"):
        features.hash_custom_features(["天津"], lambda text: [["x"], ["x", "y"]])


# ---- gazetteer --------------------------------------------------------------------------------------------------


@st.composite
def labelled_texts(draw: st.DrawFn) -> tuple[list[str], Spans]:
    """Draw texts that repeat each other, of few characters; surfaces of 1 to 14 of them, labelled in some places."""
    texts = [draw(st.text("天津a", min_size=0, max_size=18)) for _ in range(draw(st.integers(1, 5)))]
    texts += [draw(st.sampled_from(texts)) for _ in range(draw(st.integers(0, 2)))]
    spans = []
    for text in texts:
        row, end = [], 0
        while end < len(text):
            start = draw(st.integers(end, len(text) - 1))
            end = min(len(text), start + draw(st.sampled_from([1, 2, 2, 2, 3, 3, 4, 5, 14])))
            row.append((start, end, draw(st.integers(0, 2))))
        spans.append(row)
    return [*texts, "xyz", "zyx"], [*spans, [(0, 3, 2)], [(0, 3, 2)]]  # all types occur without any one text


def cover_slowly(text: str, others: list[str], labels: Spans) -> list[tuple[int, int, str, int] | None]:
    """Return for each character of a text what covers it, by the labels of other texts: type, trust, place, size."""
    labelled: dict[str, Counter[int]] = {}
    for other, row in zip(others, labels, strict=True):
        for start, end, type in row:
            if 2 <= end - start <= 12:
                labelled.setdefault(other[start:end], Counter())[type] += 1
    covered: list[tuple[int, int, str, int] | None] = [None] * len(text)
    for length in range(2, 13):  # longer ones win; of the same length, the one that begins first
        for start in reversed(range(len(text) - length + 1)):
            surface = text[start : start + length]
            if surface not in labelled:
                continue
            times = labelled[surface].total()
            seen = sum(other.startswith(surface, i) for other in others for i in range(len(other)))
            most = max(labelled[surface].values())
            type = min(type for type, count in labelled[surface].items() if count == most)
            share = times / seen
            trust = 3 if share > 0.95 and times > 1 else 2 if share > 0.75 else 1 if share > 0.3 else 0
            for i in range(length):
                place = "first" if i == 0 else "last" if i == length - 1 else "inside"
                covered[start + i] = type, trust, place, min(length, 4)
    return covered


def with_neighbours(covered: list[Any]) -> list[tuple[Any, Any, Any]]:
    """Return what covers the character before, the character, and the one after."""
    padded = [None, *covered, None]
    return list(zip(padded, padded[1:], padded[2:], strict=False))


def without(rows: list[Any], i: int) -> list[Any]:
    return rows[:i] + rows[i + 1 :]


@settings(max_examples=150)
@given(labelled_texts())
def test_gazetteer_uses_only_the_labels_of_other_texts(case: tuple[list[str], Spans]) -> None:
    texts, spans = case
    gazetteer = Gazetteer()
    learnt = gazetteer.fit_columns(texts, spans)
    expected = [
        value
        for i, text in enumerate(texts)
        for value in with_neighbours(cover_slowly(text, without(texts, i), without(spans, i)))
    ]
    later = gazetteer.columns(texts)
    expected += [value for text in texts for value in with_neighbours(cover_slowly(text, texts, spans))]
    columns = [np.concatenate(pair) for pair in zip(learnt, later, strict=True)]
    for column, parts in zip(columns, (slice(1, 2), slice(0, 2), slice(1, 3)), strict=True):
        assert_same_partition(column, [value[parts] for value in expected])
        assert (column == 0).tolist() == [not any(value[parts]) for value in expected]


@given(labelled_texts())
def test_columns_from_fitting_equal_those_of_a_fit_without_the_text(case: tuple[list[str], Spans]) -> None:
    texts, spans = case
    learnt = np.stack(Gazetteer().fit_columns(texts, spans))
    start = 0
    for i, text in enumerate(texts):
        held_out = Gazetteer()
        held_out.fit_columns(without(texts, i), without(spans, i))
        assert learnt[:, start : start + len(text)].tolist() == np.stack(held_out.columns([text])).tolist()
        start += len(text)


def test_a_type_of_one_text_alone_changes_hashes_only() -> None:
    """Hashes of pairs depend on the number of types; the partition does not."""
    texts, spans = ["天津港口", "去天津港", "天津人口"], [[(0, 2, 0), (2, 4, 5)], [(1, 3, 0)], [(0, 2, 0)]]
    learnt = np.stack(Gazetteer().fit_columns(texts, spans))[:, :4]
    held_out = Gazetteer()
    held_out.fit_columns(texts[1:], spans[1:])
    alone = np.stack(held_out.columns(texts[:1]))
    assert learnt[0].tolist() == alone[0].tolist() != [0, 0, 0, 0]
    for with_it, without_it in zip(learnt, alone, strict=True):
        assert_same_partition(with_it, without_it.tolist())
        assert ((with_it == 0) == (without_it == 0)).all()


def test_a_surface_of_the_same_text_is_not_used_in_fitting() -> None:
    texts, spans = ["天津和天津", "别处"], [[(0, 2, 0), (3, 5, 0)], []]
    gazetteer = Gazetteer()
    assert not np.any(gazetteer.fit_columns(texts, spans))
    assert (gazetteer.columns(["在天津"])[0] != 0).tolist() == [False, True, True]


def test_surfaces_have_2_to_12_characters() -> None:
    long = "".join(map(chr, range(0x4E00, 0x4E0D)))
    for length in (1, 2, 12, 13):
        gazetteer = Gazetteer()
        gazetteer.fit_columns([long, "x"], [[(0, length, 0)], []])
        covered = (gazetteer.columns([f"前{long}"])[0] != 0).tolist()
        assert covered == [False] + [2 <= length <= 12] * length + [False] * (13 - length)


def test_surfaces_match_full_width_and_end_with_the_text() -> None:
    gazetteer = Gazetteer()
    gazetteer.fit_columns(["看Ａ1😀吧", "x"], [[(1, 4, 0)], []])
    assert (gazetteer.columns(["a\uff211😀", "A1", "😀"])[0] != 0).tolist() == [False, True, True, True] + [False] * 3


# ---- pointwise mutual information -------------------------------------------------------------------------------


def pmi_slowly(texts: list[str], training: list[str], own: int) -> list[tuple[Any, Any, Any]]:
    """Return (PMI with the next and the previous, the first and the pair's frequency, the character's frequency)."""
    chars = Counter(char for text in training for char in text)
    pairs = Counter(text[i : i + 2] for text in training for i in range(len(text) - 1))
    values: list[tuple[Any, Any, Any]] = []
    for text in texts:
        pmi: list[int] = []
        often: list[int] = []
        for first, second in itertools.pairwise(text):
            together, left, right = (
                max(count - own, 0) for count in (pairs[first + second], chars[first], chars[second])
            )
            information = np.log((together + 0.1) * chars.total() / ((left + 1.0) * (right + 1.0)))
            pmi.append(int(np.clip(np.floor(information), -4, 9)))
            often.append(min((together + 1).bit_length() - 1, 6))
        alone = [min(max(chars[char] - own + 1, 1).bit_length() - 1, 9) for char in text]
        after, before = [*pmi, None][: len(text)], [None, *pmi][: len(text)]
        # Where nothing follows, the pair that is counted is with the end of the text.
        ends = Counter(text[-1] for text in training if text)
        if text:
            often.append(min((max(ends[text[-1]] - own, 0) + 1).bit_length() - 1, 6))
        values += zip(zip(after, before, strict=True), zip(after, often, strict=True), alone, strict=True)
    return values


@given(
    training=st.lists(st.text("天津a😀", max_size=15), min_size=1, max_size=8).filter(any),
    new=st.lists(st.text("天津港\U0010ffff", max_size=6), min_size=1, max_size=4),
)
def test_pmi_equals_a_slow_count(training: list[str], new: list[str]) -> None:
    pmi = PairPmi()
    learnt = pmi.fit_columns(training)
    later = pmi.columns([*training, *new])
    expected = pmi_slowly(training, training, own=1) + pmi_slowly([*training, *new], training, own=0)
    for i, pair in enumerate(zip(learnt, later, strict=True)):
        assert_same_partition(np.concatenate(pair), [value[i] for value in expected])


def test_a_pair_seen_once_looks_like_a_new_one_in_fitting() -> None:
    training = ["天津", "港口港口港口"]
    learnt = np.stack(PairPmi().fit_columns(training))
    pmi = PairPmi()
    pmi.fit_columns(training)
    assert learnt[:, 0].tolist() == np.stack(pmi.columns(["新闻"]))[:, 0].tolist()
    assert learnt[:, 0].tolist() != np.stack(pmi.columns(["天津"]))[:, 0].tolist()


# ---- rows of a table --------------------------------------------------------------------------------------------


def hashes(seed: int, count: int) -> IntArray:
    """Return distinct numbers of 64 bits, none of them 0."""
    return np.unique(np.random.default_rng(seed).integers(1, 2**63, count, dtype=np.uint64)) << np.uint64(1)


@pytest.mark.parametrize("count", [1, 3, 128, 129, 4096])
def test_trained_features_have_rows_and_new_ones_mostly_none(count: int) -> None:
    trained, new = hashes(0, count), hashes(1, 20_000)
    vocabulary = Vocabulary([trained], min_count=1)
    rows = vocabulary.to_rows([trained])[:, 0]
    assert rows.min() >= 1
    assert set(rows.tolist()) == set(range(1, vocabulary.size))  # no row of the table is idle
    assert vocabulary.size - 1 >= count * (1 - 1 / 8)  # few of them share one
    taken = np.count_nonzero(vocabulary.to_rows([new]))
    assert taken <= len(new) / 8 + 2 * np.sqrt(len(new))


def test_features_of_texts_spread_over_the_slots_as_random_numbers_do() -> None:
    rng = np.random.default_rng(2)
    train, new = (["".join(map(chr, rng.integers(0x4E00, 0x5200, 100))) for _ in range(30)] for _ in range(2))
    columns = features.hash_windows(train)
    vocabulary = Vocabulary(columns, min_count=1)
    distinct = sum(len(np.unique(column)) for column in columns)
    assert vocabulary.size - 1 >= distinct * (1 - 1 / 8)
    unseen = [
        new_ones[~np.isin(new_ones, old)] for new_ones, old in zip(features.hash_windows(new), columns, strict=True)
    ]
    taken = sum(np.count_nonzero(vocabulary.to_rows([column])) for column in unseen)
    assert taken <= sum(map(len, unseen)) * 1.1 / 8


@pytest.mark.parametrize("min_count", [1, 2, 3])
def test_features_below_min_count_have_no_row(min_count: int) -> None:
    trained = hashes(0, 30)
    column = np.repeat(trained, np.arange(len(trained)) % 4 + 1)
    vocabulary = Vocabulary([column], min_count)
    often = np.arange(len(trained)) % 4 + 1 >= min_count
    rows = vocabulary.to_rows([trained])[:, 0]
    assert (rows > 0)[often].all()
    assert vocabulary.size - 1 == len(set(rows[often].tolist()))


def test_no_feature_is_row_0() -> None:
    trained = hashes(0, 5)
    nothing = np.zeros(7, dtype=np.uint64)
    vocabulary = Vocabulary([trained, nothing], min_count=1)
    assert vocabulary.size == Vocabulary([trained], min_count=1).size
    rows = vocabulary.to_rows([nothing, np.resize(trained, 7)])
    assert rows.dtype == np.int32
    assert rows.shape == (7, 2)
    assert not rows[:, 0].any()
    assert rows[:, 1].all()
    assert Vocabulary([nothing], min_count=1).size == 1
    many = hashes(0, 100_000)
    for beside in many[vocabulary._slots(many) == 0][:3]:  # features in the slot where 0 would be
        one = Vocabulary([beside[None]], min_count=1)
        assert one.to_rows([beside[None]]).item() == 1
        assert one.to_rows([nothing[:1]]).item() == 0


def test_rows_do_not_depend_on_the_order_of_features() -> None:
    trained = hashes(0, 400)
    shuffled = np.random.default_rng(3).permutation(trained)
    one, other = Vocabulary([trained, trained[:9]], 1), Vocabulary([shuffled, trained[:9]], 1)
    assert one.to_rows([trained]).tolist() == other.to_rows([trained]).tolist()
