"""Type disagreements between two annotators, counted by hand."""

from jinbench.annotation import agreement
from jinbench.annotation.workspace import Workspace
from jinbench.core.benchmark import Benchmark
from jinbench.core.types import Passage, PassageLabels, Span
from jinbench.labelstudio import progress


def make_labels(passage: Passage, name: str, places: int, dates: int) -> PassageLabels:
    """One character each: first places, then dates."""
    types = ["PLACE"] * places + ["DATE"] * dates
    spans = tuple(Span(i, i + 1, type, passage.text[i]) for i, type in enumerate(types))
    return PassageLabels(passage.id, name, spans, ("water",))


def test_type_disagreements_are_counted(mini: Benchmark) -> None:
    workspace = Workspace(mini)
    passage = next(workspace.seeds.passages())
    first, second = [make_labels(passage, "a", 8, 0)], [make_labels(passage, "b", 4, 3)]
    pair = agreement.measure_quick_agreement(workspace, first, second, ("a", "b"))
    assert (pair.passages, pair.spans.micro.correct) == (1, 4)
    (disagreement,) = progress.find_type_disagreements([pair])  # of dates there are too few
    assert disagreement == progress.TypeDisagreement("PLACE", 8, 4, 4, 2 * 4 / 12, "DATE")
    (both,) = progress.find_type_disagreements([pair, pair])[1:]
    assert (both.name, both.first, both.second, both.same, both.confused_with) == ("PLACE", 16, 8, 8, "DATE")
    fewer = agreement.measure_quick_agreement(workspace, first, [make_labels(passage, "b", 5, 0)], ("a", "b"))
    (left_out,) = progress.find_type_disagreements([fewer])
    assert left_out.confused_with == "no span with these boundaries"
    assert (
        progress.find_type_disagreements([agreement.measure_quick_agreement(workspace, first, first, ("a", "b"))]) == ()
    )
