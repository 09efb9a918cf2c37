"""Spans and tags say the same."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jinbench.core.errors import DataError
from jinbench.core.tags import from_bio, to_bio
from jinbench.core.types import Span


@st.composite
def spans_over(draw: st.DrawFn) -> tuple[str, list[Span]]:
    text = draw(st.text(min_size=1, max_size=30))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)))))
    pairs = [pair for pair in itertools.pairwise(cuts) if draw(st.booleans())]
    return text, [Span(a, b, draw(st.sampled_from("XY")), text[a:b]) for a, b in pairs]


@given(spans_over())
def test_there_and_back(case: tuple[str, list[Span]]) -> None:
    text, spans = case
    assert from_bio(to_bio(len(text), spans), text) == spans


@pytest.mark.parametrize(
    "tags", [["I-X", "O"], ["B-X", "I-Y"], ["O", "I-X"], ["B-X", "X"], ["B", "O"], ["S-X", "O"], ["O"]]
)
def test_what_is_not_bio_is_refused(tags: list[str]) -> None:
    with pytest.raises(DataError, match="wrong-shape"):
        from_bio(tags, "天津")
