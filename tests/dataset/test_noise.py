"""Noise: the surface of every span of every tier, the way back, and the same answer always."""

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.core.types import Span
from jinbench.dataset import load, noise
from jinbench.dataset.noise import KINDS, TIERS, NoiseTier
from jinbench.seeds import repairs
from tests.helpers.paths import ROOT


def test_every_sentence_of_test_stands_in_every_tier_once(real: Benchmark) -> None:
    clean = [row["id"] for row in load.read_rows(real, "ner", "test")]
    rows = load.read_rows(real, "ner_noisy", "test")
    assert [row["id"] for row in rows] == [f"{id}@{tier.kind}-{tier.level}" for tier in TIERS for id in clean]
    assert len(TIERS) == 6 * 3


def test_every_span_of_every_tier_leads_back(real: Benchmark) -> None:
    clean = {row["id"]: row for row in load.read_rows(real, "ner", "test")}
    total = 0
    for row in load.read_rows(real, "ner_noisy", "test"):
        before = clean[row["clean_id"]]
        assert row["tokens"] == list(row["text"])
        assert len(row["ner_tags"]) == len(row["text"])
        assert len(row["spans"]) == len(before["spans"])
        for span, old in zip(row["spans"], before["spans"], strict=True):
            assert row["text"][span["start"] : span["end"]] == span["surface"] != ""
            assert before["text"][span["clean_start"] : span["clean_end"]] == old["surface"]
            assert span["type"] == old["type"]
            total += 1
        assert (row["hits"] == 0) == (row["text"] == before["text"])
        assert [row[key] for key in ("article_id", "layout", "fold_1", "fold_5")] == [
            before[key] for key in ("article_id", "layout", "fold_1", "fold_5")
        ]
    assert total == len(TIERS) * sum(len(row["spans"]) for row in clean.values())


def test_a_higher_level_hits_more_and_all_that_a_lower_one_did(real: Benchmark) -> None:
    hits = Counter[tuple[str, int]]()
    rows = {row["id"]: row for row in load.read_rows(real, "ner_noisy", "test")}
    for row in rows.values():
        hits[row["kind"], row["level"]] += row["hits"]
    for kind in KINDS:
        assert 0 < hits[kind.name, 1] < hits[kind.name, 2] < hits[kind.name, 3]
    for row in rows.values():
        if row["kind"] in ("traditional", "width", "lookalike") and row["level"] > 1:
            lower = rows[f"{row['clean_id']}@{row['kind']}-{row['level'] - 1}"]
            clean = rows[f"{row['clean_id']}@column_break-1"]["text"].replace("\n", "")
            for now, less, was in zip(row["text"], lower["text"], clean, strict=True):
                assert less in (was, now)


SENTENCE = "天津（港）发展3.5亿元，联想集团“国产”。"
SPANS = [Span(0, 2, "LOCATION", "天津"), Span(7, 12, "QUANTITY", "3.5亿元"), Span(13, 17, "COMPANY", "联想集团")]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("traditional", "天津（港）發展3.5億元，聯想集團“國產”。"),
        ("pinyin", "天津（港）发(fā)展3.5亿(yì)元，联(lián)想集团(tuán)“国(guó)产(chǎn)”。"),
        ("punctuation", "天津港发展3.5亿元联想集团国产"),
    ],
)
def test_the_highest_level_word_by_word(kind: str, says: str) -> None:
    noisy = noise.apply_noise("x", SENTENCE, SPANS, NoiseTier(kind, 3))
    assert noisy.text == says
    assert [span.type for span in noisy.spans] == [span.type for span in SPANS]
    assert [span.surface.replace("(lián)", "") for span in noisy.spans][-1] in ("聯想集團", "联想集团")


def test_what_the_pages_repair_undoes(real: Benchmark) -> None:
    """Left-over pinyin and traditional script are what the repairs of real pages take away."""
    undo = {"pinyin": "pinyin", "traditional": "script:t2s"}
    for row in load.read_rows(real, "ner", "test")[:40]:
        for kind, name in undo.items():
            noisy = noise.apply_noise(row["id"], row["text"], [], NoiseTier(kind, 2)).text
            repair = repairs.find_repair(name)
            assert repair is not None
            again = repairs.to_text(repair([repairs.Char(char, i) for i, char in enumerate(noisy)]))
            if kind == "pinyin":
                assert again == row["text"]
            else:  # a few traditional characters stand for several simplified ones
                same = sum(a == b for a, b in zip(again, row["text"], strict=True))
                assert same >= 0.97 * len(again)


@settings(max_examples=300)
@given(
    st.text(st.sampled_from("天津港,。!(3A5“”发展\U00020000é "), min_size=1, max_size=30),
    st.lists(st.integers(0, 30), max_size=6),
    st.sampled_from(TIERS),
    st.text(max_size=5),
)
def test_no_text_loses_a_span(text: str, cuts: list[int], tier: NoiseTier, id: str) -> None:
    edges = sorted({min(cut, len(text)) for cut in cuts})
    spans = [Span(a, b, "X", text[a:b]) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    noisy = noise.apply_noise(id, text, spans, tier)
    assert all(noisy.text[span.start : span.end] == span.surface != "" for span in noisy.spans)
    assert all(a.end <= b.start for a, b in zip(noisy.spans, noisy.spans[1:], strict=False))
    assert noisy == noise.apply_noise(id, text, spans, tier)


def test_a_tier_that_does_not_exist() -> None:
    for tier in (NoiseTier("rain", 1), NoiseTier("width", 4), NoiseTier("width", 0)):
        with pytest.raises(DataError, match="unknown-label"):
            noise.apply_noise("x", "津", [], tier)


def test_the_table_of_lookalikes_is_what_its_script_makes() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "make_lookalikes.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_lookalikes_are_other_characters() -> None:
    table = noise.read_lookalikes()
    assert table["未"][0] in "末朱"
    assert all(char not in alike and 1 <= len(alike) <= 3 for char, alike in table.items())
