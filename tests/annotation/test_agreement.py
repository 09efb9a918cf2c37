"""Agreement, proven against other implementations and against the formulas."""

import json
from dataclasses import replace
from itertools import pairwise

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import cohen_kappa_score

from jinbench.annotation import agreement, coefficients, exports
from jinbench.annotation.exports import read_labels
from jinbench.annotation.workspace import Workspace
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.core.tags import to_bio
from jinbench.core.types import PassageLabels, Span
from jinbench.scoring import counts, score
from jinbench.scoring.gold import Gold

Two = tuple[Workspace, list[PassageLabels], list[PassageLabels]]


def two(benchmark: Benchmark) -> Two:
    workspace = Workspace(benchmark)
    a, b = (
        exports.read_export(exports.export_path(benchmark, name), workspace) for name in ("annotator-a", "annotator-b")
    )
    return workspace, a, b


def pair(labels: Two) -> agreement.PairAgreement:
    workspace, a, b = labels
    return agreement.measure_pair(workspace, a, b, ("a", "b"))


@pytest.mark.parametrize("world", ["mini", "real"])
def test_kappa_is_that_of_scikit_learn(world: str, request: pytest.FixtureRequest) -> None:
    workspace, a, b = labels = two(request.getfixturevalue(world))
    texts = {passage.id: passage.text for passage in workspace.seeds.passages()}
    tags = [[tag for entry in side for tag in to_bio(len(texts[entry.passage_id]), entry.spans)] for side in (a, b)]
    kappa = pair(labels).kappa
    assert kappa.value is not None
    assert kappa.low is not None
    assert kappa.high is not None
    # sentences leave out the white space between them, which nobody labels
    assert kappa.value == pytest.approx(cohen_kappa_score(*tags), abs=1e-3)
    assert kappa.low <= kappa.value <= kappa.high


def test_alpha_follows_krippendorffs_formula(mini: Benchmark) -> None:
    """1 - observed / expected disagreement, from all pairs of values, written out."""
    labels = two(mini)
    workspace, a, b = labels
    values = [(frozenset(x.sectors), frozenset(y.sectors)) for x, y in zip(a, b, strict=True)]

    def distance(x: frozenset[str], y: frozenset[str]) -> float:
        if x == y:
            return 0
        shape = 2 / 3 if x < y or y < x else 1 / 3 if x & y else 0
        return 1 - len(x & y) / len(x | y) * shape

    everything = [value for pair in values for value in pair]
    observed = np.mean([distance(x, y) for x, y in values])
    expected = np.mean([distance(x, y) for i, x in enumerate(everything) for j, y in enumerate(everything) if i != j])
    assert pair(labels).alpha.value == pytest.approx(1 - observed / expected)
    decisions = [(s in x, s in y) for x, y in values for s in workspace.label_set.sector_names]
    everything = [value for pair in decisions for value in pair]  # type: ignore[misc]
    observed = np.mean([x != y for x, y in decisions])
    expected = np.mean([x != y for i, x in enumerate(everything) for j, y in enumerate(everything) if i != j])
    assert pair(labels).alpha_decisions.value == pytest.approx(1 - observed / expected)


def test_alpha_is_that_of_the_krippendorff_package() -> None:
    rng = np.random.default_rng(0)
    for values in (2, 3, 7):
        counts = np.zeros((30, values))
        for unit, (first, second) in enumerate(rng.integers(0, values, (30, 2))):
            counts[unit, first] += 1
            counts[unit, second] += 1
        table = coefficients._coincidences(counts).sum(0, keepdims=True)
        distances = rng.random((values, values))
        distances = (distances + distances.T) * (1 - np.eye(values))
        (nominal,) = coefficients.krippendorff_alpha(table)
        (by_distance,) = coefficients.krippendorff_alpha(table, distances)
        reference = krippendorff.alpha(value_counts=counts.astype(int), level_of_measurement="nominal")
        assert nominal == pytest.approx(reference)
        metric = lambda v1, v2, i1, i2, n_v, dtype, table=distances: table[i1, i2]  # noqa: E731
        assert by_distance == pytest.approx(
            krippendorff.alpha(value_counts=counts.astype(int), level_of_measurement=metric)
        )


def test_agreement_does_not_depend_on_who_comes_first(mini: Benchmark) -> None:
    workspace, a, b = two(mini)
    one, other = pair((workspace, a, b)), pair((workspace, b, a))
    assert (one.strict.micro.f1, one.overlap.micro.f1) == (other.strict.micro.f1, other.overlap.micro.f1)
    assert (one.kappa, one.alpha, one.sector_alphas) == (other.kappa, other.alpha, other.sector_alphas)
    assert one.strict.micro.correct == 20
    assert (one.strict.micro.gold, one.strict.micro.predicted) == (22, 21)
    assert one.overlap.micro.correct == 21  # 3万 lies in 3万平方米
    assert one.confusion["PLACE"][agreement.NO_SPAN] == 1
    assert sum(n for row in one.confusion.values() for n in row.values()) == 23


def test_an_annotator_agrees_with_itself(mini: Benchmark) -> None:
    workspace, a, _ = two(mini)
    result = pair((workspace, a, a))
    assert result.strict.micro.f1 == result.overlap.micro.f1 == result.kappa.value == result.alpha.value == 1.0


def test_one_value_throughout_has_no_alpha(mini: Benchmark) -> None:
    workspace, a, b = two(mini)
    a, b = ([replace(entry, sectors=("port",)) for entry in side] for side in (a, b))
    result = pair((workspace, a, b))
    assert result.alpha.value is None
    assert "one value throughout" in str(result)


def test_only_what_both_labelled_counts(mini: Benchmark) -> None:
    workspace, a, b = two(mini)
    result = pair((workspace, a[:3], b[1:]))
    assert (result.passages, result.articles) == (2, 2)
    with pytest.raises(DataError, match="nothing-in-common"):
        pair((workspace, a[:1], b[1:]))


SIDES = st.lists(st.integers(0, 12), min_size=0, max_size=8, unique=True).map(
    lambda cuts: [Span(s, e, "T", "") for s, e in list(pairwise(sorted(cuts)))[::2]]
)


@given(SIDES, SIDES)
@settings(max_examples=500)
def test_overlap_matches_as_many_as_can_be_matched(ours: list[Span], theirs: list[Span]) -> None:
    """Against the assignment of scipy, which tries everything."""
    meets = np.array([[a.start < b.end and b.start < a.end for b in theirs] for a in ours], dtype=int)
    best = int(meets[linear_sum_assignment(-meets)].sum()) if meets.size else 0
    label = [frozenset((s.start, s.end, s.type) for s in side) for side in (ours, theirs)]
    gold = Gold("ner", "test", ("T",), ("i",), ("x" * 12,), (label[0],), ("g",), ("l",), "1", "0" * 64, "1" * 64)
    table = score.count_predictions(gold, {"i": label[1]}, counts.TYPE)
    assert table[0, 0, counts.CORRECT] == best


def test_the_committed_figures_are_what_is_measured(real: Benchmark) -> None:
    measured = agreement.measure_agreement(Workspace(real))
    committed = json.loads(agreement.agreement_path(real).read_text())
    assert json.loads(json.dumps(measured.to_dict())) == committed
    assert set(measured.against_gold) == {"annotator-a", "annotator-b"}


def test_the_pilots_figures_are_what_its_labels_give(real: Benchmark) -> None:
    workspace = Workspace(real)
    folder = real.annotation / "pilot"
    a, b = (read_labels(folder / f"annotator-{x}.jsonl", workspace, x) for x in "ab")
    measured = agreement.measure_pair(workspace, a, b, ("annotator-a", "annotator-b")).to_dict()
    committed = json.loads((folder / "agreement.json").read_text())
    assert measured["passages"] == committed["passages"] == 40
    for key in ("strict", "overlap"):
        assert measured[key]["micro"] == committed[key]["micro"]
    for key in ("kappa", "alpha", "alpha_decisions"):
        assert measured[key] == committed[key]
