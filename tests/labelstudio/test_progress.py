"""Where two annotators drift apart, counted by hand."""

from jinbench.annotation import agreement
from jinbench.annotation.labels import read_label_set
from jinbench.core.benchmark import Benchmark
from jinbench.core.types import Passage, PassageLabels, Span
from jinbench.labelstudio import progress
from jinbench.seeds import articles


def said(passage: Passage, name: str, places: int, dates: int) -> PassageLabels:
    """One character each: first places, then dates."""
    types = ["PLACE"] * places + ["DATE"] * dates
    spans = tuple(Span(i, i + 1, type, passage.text[i]) for i, type in enumerate(types))
    return PassageLabels(passage.id, name, spans, ("water",))


def test_what_one_calls_otherwise_and_what_one_leaves_out(mini: Benchmark) -> None:
    seed, label_set = articles.read_seeds(mini), read_label_set(mini)
    passage = next(seed.passages())
    first, second = [said(passage, "a", 8, 0)], [said(passage, "b", 4, 3)]
    pair = agreement.glance(seed, label_set, first, second, ("a", "b"))
    assert (pair.passages, pair.spans.micro.correct) == (1, 4)
    (drift,) = progress.drifts([pair])  # of dates there are too few
    assert drift == progress.TypeDisagreement("PLACE", 8, 4, 4, 2 * 4 / 12, "DATE")
    (both,) = progress.drifts([pair, pair])[1:]
    assert (both.name, both.first, both.second, both.same, both.mostly) == ("PLACE", 16, 8, 8, "DATE")
    fewer = agreement.glance(seed, label_set, first, [said(passage, "b", 5, 0)], ("a", "b"))
    (left_out,) = progress.drifts([fewer])
    assert left_out.mostly == "no span with these borders"
    assert progress.drifts([agreement.glance(seed, label_set, first, first, ("a", "b"))]) == ()
