"""Locating quotes in a text."""

from hypothesis import given
from hypothesis import strategies as st

from jinbench.core.benchmark import Benchmark
from jinbench.core.types import Span
from jinbench.dataset import load
from jinbench.llm import align
from jinbench.llm.align import Alignment, Quote
from tests.helpers.replies import LETTERS, labelled_texts


@given(labelled_texts(), st.lists(st.tuples(st.text(LETTERS, max_size=4), st.none() | st.text(LETTERS, max_size=3))))
def test_aligned_quotes_match_the_text_and_do_not_overlap(
    item: tuple[str, list[Span]], more: list[tuple[str, str | None]]
) -> None:
    text, spans = item
    quotes = [*(Quote(s.surface, s.type) for s in spans), *(Quote(surface, "DATE", left) for surface, left in more)]
    taken: set[int] = set()
    for quote, alignment in zip(quotes, align.align_quotes(text, quotes), strict=True):
        if isinstance(alignment, Alignment):
            characters = {*range(alignment.start, alignment.end)}
            surface = align.fold_text(text[alignment.start : alignment.end]).text
            assert surface == align.fold_text(quote.surface).text
            assert not taken & characters
            taken |= characters
        elif alignment == align.ABSENT:
            assert align.fold_text(quote.surface).text not in align.fold_text(text).text


def test_surfaces_alone_locate_every_span_of_the_real_gold(real: Benchmark) -> None:
    """Under noise too, where width and spaces change: no span needs `left`, though many are ambiguous."""
    rows = [*load.read_rows(real, "ner"), *load.read_rows(real, "ner_noisy")]
    for row in rows:
        spans = [Span(*(span[key] for key in ("start", "end", "type", "surface"))) for span in row["spans"]]
        assert all(quote.left is None for quote in align.make_quotes(row["text"], spans)), row["id"]


def test_left_is_quoted_where_surfaces_are_ambiguous() -> None:
    text = "天津荣程在天津,说天津"
    spans = [Span(5, 7, "LOCATION", "天津")]
    assert align.make_quotes(text, spans) == [Quote("天津", "LOCATION", "程在")]
    assert align.align_quotes(text, [Quote("天津", "LOCATION")]) == [Alignment(0, 2, "exact", True)]


def test_empty_left_locates_the_beginning_of_the_text() -> None:
    """With an empty `left`: else the quote of a model that folds widths would be located at the later place."""
    text, spans = "\uff22与B", [Span(0, 1, "PRODUCT", "\uff22")]
    assert align.make_quotes(text, spans) == [Quote("\uff22", "PRODUCT", "")]
    assert align.align_quotes(text, [Quote("B", "PRODUCT", "")]) == [Alignment(0, 1, "folded", True)]
    assert align.align_quotes(text, [Quote("B", "PRODUCT")]) == [Alignment(2, 3, "exact", True)]
