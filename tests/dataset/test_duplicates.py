"""Near duplicates and names seen before, against definitions written out plainly."""

import random

from hypothesis import given
from hypothesis import strategies as st

from jinbench.core.benchmark import Benchmark
from jinbench.dataset import duplicates, load
from jinbench.dataset.duplicates import TextPair


def shingles(text: str) -> set[str]:
    return {text[i : i + duplicates.SHINGLE] for i in range(len(text) - duplicates.SHINGLE + 1)}


def plainly(texts: list[str], groups: list[int]) -> set[tuple[int, int]]:
    pairs = set()
    for j in range(len(texts)):
        for i in range(j):
            common = len(shingles(texts[i]) & shingles(texts[j]))
            shorter = min(len(shingles(texts[i])), len(shingles(texts[j])))
            near = common >= duplicates.MIN_SHARED and common >= duplicates.MIN_CONTAINMENT * shorter
            if groups[i] != groups[j] and near and texts[i] != texts[j]:
                pairs.add((i, j))
    return pairs


@given(st.integers(0, 10**6))
def test_every_pair_is_found_and_no_other(seed: int) -> None:
    """Texts cut from one another at random, so that many pairs lie on either side of the limits."""
    rng = random.Random(seed)
    source = [rng.choice("一二三四五六七八九十") for _ in range(120)]
    texts = []
    for _ in range(14):
        start, length = rng.randrange(60), rng.randrange(10, 60)
        text = source[start : start + length]
        for _ in range(rng.randrange(6)):
            text[rng.randrange(len(text))] = rng.choice("ABC")
        texts.append("".join(text))
    groups = [rng.randrange(4) for _ in texts]
    pairs = duplicates.find_near_duplicates(texts, groups)
    different = [pair for pair in pairs if texts[pair.first] != texts[pair.second]]
    assert {(pair.first, pair.second) for pair in different} == plainly(texts, groups)
    for pair in different:
        common = shingles(texts[pair.first]) & shingles(texts[pair.second])
        assert pair.shared == len(common)


def test_texts_that_are_the_same_are_found_but_for_stock_phrases() -> None:
    texts = ["天津港吞吐量创新高。", "不。", "天津港吞吐量创新高。", "不。", "天津港吞吐量创新高。"]
    assert duplicates.find_near_duplicates(texts, [0, 0, 1, 1, 1]) == [TextPair(0, 2, 8, 1.0)]
    assert [pair[:2] for pair in duplicates.find_repeated_texts(texts, [0, 0, 1, 1, 1])] == [(0, 2), (1, 3)]
    assert duplicates.find_near_duplicates(texts, [0] * 5) == []
    assert duplicates.find_near_duplicates([], []) == []


def test_families_are_closed_under_sharing() -> None:
    family = duplicates.connect_groups("abcde", [("a", "b"), ("d", "c"), ("b", "c")])
    assert len({family[name] for name in "abcd"}) == 1
    assert family["e"] == "e"


def test_the_pages_have_one_list_of_guests_twice(real: Benchmark) -> None:
    rows = load.read_rows(real, "ner")
    pairs = duplicates.find_near_duplicates([row["text"] for row in rows], [row["article_id"] for row in rows])
    assert {(rows[pair.first]["id"], rows[pair.second]["id"]) for pair in pairs} == {("000-L109-S1", "000-L115-S1")}


def test_overlap_is_counted_by_type() -> None:
    def row(*spans: tuple[str, str]) -> dict[str, list[dict[str, str]]]:
        return {"spans": [{"surface": surface, "type": type} for surface, type in spans]}

    seen = [row(("津", "PLACE"), ("海河", "PLACE")), row(("海河", "COMPANY"))]
    met = [row(("津", "PLACE"), ("津", "COMPANY"), ("海河", "PLACE"), ("港", "PLACE"))]
    counts = duplicates.count_entity_overlap(seen, met, ["PLACE", "COMPANY"])
    assert counts["all"] == {"mentions": 4, "same": 2, "both": 1, "other": 1}
    assert counts["PLACE"] == {"mentions": 3, "same": 2, "both": 1, "other": 0}
    assert counts["COMPANY"] == {"mentions": 1, "same": 0, "both": 0, "other": 1}
