"""Counts against vectors in data files, against other scorers on random input, and against their own promises."""

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from nervaluate import Evaluator
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB2, IOBES, Entities

from jinbench.core.errors import DataError, Problem
from jinbench.core.tags import from_bio
from jinbench.scoring import counts, predictions, schemes
from jinbench.scoring.counts import BOUNDARY, CORRECT, EXACT, GOLD, OVERLAP, PREDICTED, TYPE
from jinbench.scoring.schemes import SCHEMES
from tests.helpers.scoring import (
    NAMES,
    Labels,
    Triple,
    alone,
    columns,
    flat,
    labels,
    named,
    of,
    pair,
    tags_of,
    tangled,
    vectors,
)

RULES = (EXACT, BOUNDARY, TYPE, OVERLAP)


def sets(items: Sequence[Sequence[Sequence[Any]]]) -> Labels:
    return [{(start, end, type) for start, end, type in item} for item in items]


# The vectors


@pytest.mark.parametrize("case", **named(vectors("spans")[1]))
def test_spans(case: dict[str, Any]) -> None:
    types, _ = vectors("spans")
    gold, predicted = columns(sets(case["gold"]), types), columns(sets(case["predicted"]), types)
    for rule in (EXACT, TYPE):
        sums = counts.count_labels(gold, predicted, len(types), rule).sum(0)
        assert {name: sums[i].tolist() for i, name in enumerate(types)} | {"micro": sums.sum(0).tolist()} == case[rule]
    for rule in (BOUNDARY, OVERLAP):
        assert counts.count_labels(gold, predicted, len(types), rule).sum((0, 1)).tolist() == case[rule]


@pytest.mark.parametrize("case", **named(case for case in vectors("spans")[1] if "refused" in case or "text" in case))
def test_what_a_file_of_spans_may_say(case: dict[str, Any]) -> None:
    """Offsets count code points; spans of one item do not overlap."""
    types, _ = vectors("spans")
    problems: list[Problem] = []
    for i, spans in enumerate(case["predicted"]):
        text = case["text"][i] if "text" in case else "一" * 30
        surfaces = case["surfaces"][i] if "surfaces" in case else [text[start:end] for start, end, _ in spans]
        values = [
            {"start": start, "end": end, "type": type, "surface": surface}
            for (start, end, type), surface in zip(spans, surfaces, strict=True)
        ]
        predictions.check_labels("ner", values, text, types, f"item {i}", problems)
    codes = {problem.code for problem in problems}
    assert case.get("refused", "") in codes if "refused" in case else not codes


@pytest.mark.parametrize("case", **named(vectors("sectors")[1]))
def test_sectors(case: dict[str, Any]) -> None:
    types, _ = vectors("sectors")
    gold, predicted = ([{(name,) for name in item} for item in case[side]] for side in ("gold", "predicted"))
    sums = counts.count_labels(
        counts.labels_to_table(gold, types), counts.labels_to_table(predicted, types), len(types)
    ).sum(0)
    assert {name: sums[i].tolist() for i, name in enumerate(types)} | {"micro": sums.sum(0).tolist()} == case["counts"]


@pytest.mark.parametrize("case", **named(vectors("tags")[1]))
def test_tags(case: dict[str, Any]) -> None:
    types, _ = vectors("tags")

    def read(repair: str | None) -> Labels | str:
        try:
            return labels(schemes.tags_to_table(case["tags"], types, case["scheme"], repair), types)
        except DataError as error:
            (problem,) = error.problems
            assert problem.expected
            assert problem.fix
            return problem.code

    for repair in (None, *schemes.REPAIRS):
        expected = case.get(repair or "", case.get("error", case.get("spans")))
        assert read(repair) == (expected if isinstance(expected, str) else sets(expected)), repair


def test_an_invalid_sequence_says_where_it_stands() -> None:
    with pytest.raises(DataError, match=r"item 1, tags 2 to 3: wrong-tags") as caught:
        schemes.tags_to_table([["B-X"], ["O", "O", "I-X", "I-X"]], NAMES)
    assert "begins with I-X" in str(caught.value)
    assert "drop: a span that breaks the scheme" in str(caught.value)
    with pytest.raises(DataError, match="item 0, tag 1: wrong-tags"):
        schemes.tags_to_table([["O", "E-X"]], NAMES)
    with pytest.raises(DataError, match="repair: wrong-scheme"):
        schemes.tags_to_table([["O"]], NAMES, repair="guess")
    with pytest.raises(DataError, match="item 0, tag 1: wrong-tags"):
        schemes.codes_to_table(np.array([0, 1]), np.array([2]), ["O", "E-X"], NAMES)
    assert not len(schemes.codes_to_table(np.array([0, 0]), np.array([2]), ["O", "E-X"], NAMES)), (
        "a tag that nobody uses"
    )
    with pytest.raises(DataError, match="item 0, tag 0: wrong-tags"):
        schemes.tags_to_table([[3]], NAMES)  # type: ignore[list-item]


# Random input


def largest(gold: set[Triple], predicted: set[Triple], typed: bool) -> int:
    """How many pairs that overlap can be made: scipy's matching (Hopcroft and Karp)."""
    ours = sorted(gold if typed else {span[:2] for span in gold})
    theirs = sorted(predicted if typed else {span[:2] for span in predicted})
    if not ours or not theirs:
        return 0
    meets = [[a[0] < b[1] and b[0] < a[1] and a[2:] == b[2:] for b in theirs] for a in ours]
    return int((maximum_bipartite_matching(csr_matrix(np.array(meets, dtype=int))) >= 0).sum())


@pytest.mark.parametrize("make", [flat, tangled])
def test_as_many_pairs_as_possible(make: Callable[[random.Random, int], set[Triple]]) -> None:
    gold, predicted = pair(random.Random(0), make, 2000)
    for rule in (TYPE, OVERLAP):
        pairs = of(rule, gold, predicted)[:, :, CORRECT].sum(1)
        assert pairs.tolist() == [largest(a, b, rule == TYPE) for a, b in zip(gold, predicted, strict=True)]
    assert pairs.sum() > 1000


@pytest.mark.parametrize("make", [flat, tangled])
def test_counts_are_those_of_sets(make: Callable[[random.Random, int], set[Triple]]) -> None:
    gold, predicted = pair(random.Random(1), make, 2000)
    exact, boundary = of(EXACT, gold, predicted), of(BOUNDARY, gold, predicted)
    for i, (ours, theirs) in enumerate(zip(gold, predicted, strict=True)):
        for j, name in enumerate(NAMES):
            sides = [{span for span in side if span[2] == name} for side in (ours, theirs, ours & theirs)]
            assert exact[i, j].tolist() == [len(side) for side in sides]
        places = [{span[:2] for span in side} for side in (ours, theirs)]
        assert boundary[i].tolist() == [[len(places[0]), len(places[1]), len(places[0] & places[1])]]


@pytest.mark.parametrize("make", [flat, tangled])
@pytest.mark.parametrize("rule", RULES)
def test_order_batches_and_sides_do_not_matter(rule: str, make: Callable[[random.Random, int], set[Triple]]) -> None:
    rng = random.Random(2)
    gold, predicted = pair(rng, make, 1200)
    whole = of(rule, gold, predicted)
    order = list(range(len(gold)))
    rng.shuffle(order)
    shuffled = of(rule, [gold[i] for i in order], [predicted[i] for i in order])
    assert (shuffled == whole[order]).all()
    cuts = [0, 1, 1, 2, 400, 1199, 1200]
    parts = [of(rule, gold[a:b], predicted[a:b]) for a, b in itertools.pairwise(cuts)]
    assert (np.concatenate(parts) == whole).all()
    lists = [[rng.sample(sorted(item), len(item)) for item in side] for side in (gold, predicted)]
    mixed = counts.count_labels(*(counts.labels_to_table(side, NAMES) for side in lists), len(NAMES), rule)
    assert (mixed == whole).all()
    assert (of(rule, predicted, gold) == whole[..., [PREDICTED, GOLD, CORRECT]]).all()


@pytest.mark.parametrize("rule", RULES)
def test_labels_that_do_not_fit_into_one_number(rule: str) -> None:
    """Offsets so large that item, start, end and type have to be distinguished by their rows."""
    gold, predicted = pair(random.Random(3), tangled, 400)
    far = [[{(a * 10**10, b * 10**10, t) for a, b, t in item} for item in side] for side in (gold, predicted)]
    assert int(columns(far[0]).end.max()) ** 2 > 2**62
    assert (of(rule, *far) == of(rule, gold, predicted)).all()


def test_a_rule_that_asks_for_less_never_takes_less() -> None:
    gold, predicted = pair(random.Random(4), flat, 1000)
    right = {rule: of(rule, gold, predicted)[..., CORRECT].sum(1) for rule in RULES}
    for less, more in ((EXACT, BOUNDARY), (EXACT, TYPE), (BOUNDARY, OVERLAP), (TYPE, OVERLAP)):
        assert (right[less] <= right[more]).all()
        assert (right[less] < right[more]).any()


def test_types_through_a_map() -> None:
    gold, predicted = pair(random.Random(5), tangled, 500)
    coarse = {"X": "A", "Z": "A"}
    seen = [counts.labels_to_table(
        [{(*span[:2], coarse[span[2]]) for span in item if span[2] in coarse} for item in side], ("A",)
    ) for side in (gold, predicted)]  # fmt: skip
    mapped = [columns(side).map_types([0, -1, 0]) for side in (gold, predicted)]
    assert (counts.count_labels(*mapped, 1) == counts.count_labels(*seen, 1)).all()


def test_sums_by_article() -> None:
    table = np.arange(24).reshape(4, 2, 3)
    sums = counts.sum_by_group(table, ("b", "a", "b", "c"))
    assert (sums == np.stack([table[1], table[0] + table[2], table[3]])).all()
    assert counts.sum_by_group(table[:0], ()).shape == (0, 2, 3)
    assert counts.sum_by_group(np.array([0.5, 0.25, 1.0]), ("a", "b", "a")).tolist() == [1.5, 0.25]
    assert counts.sum_by_group(np.array([True, True]), ("a", "a")).tolist() == [2]


# Tags against other readers


def any_tags(rng: random.Random, scheme: str, items: int) -> list[list[str]]:
    """Valid sequences, some with a few tags exchanged, and some of tags at random."""
    choices = ["O", *(f"{letter}-{name}" for letter in SCHEMES[scheme] for name in NAMES[:2])]
    sequences = []
    for _ in range(items):
        length = rng.randint(0, 20)
        tags = tags_of(length, flat(rng, length) if length else (), scheme)
        change = rng.choice((0.0, 0.1, 1.0))
        sequences.append([rng.choice(choices) if rng.random() < change else tag for tag in tags])
    return sequences


def runs(tags: Sequence[str]) -> list[tuple[int, int, str, str]]:
    """Start, end, type and letters of each run of tags: a reader of one tag after the other."""
    spans: list[tuple[int, int, str, str]] = []
    for i, tag in enumerate(tags):
        if tag == "O":
            continue
        letter, _, name = tag.partition("-")
        before = spans[-1] if spans and spans[-1][1] == i else None
        if before and before[2] == name and letter in "IMEL" and before[3][-1] in "BIM":
            spans[-1] = (before[0], i + 1, name, before[3] + letter)
        else:
            spans.append((i, i + 1, name, letter))
    return spans


def well_tagged(letters: str, scheme: str) -> bool:
    first, inside, last, alone = {"BIO": "BIIB", "BIOES": "BIES", "BMES": "BMES", "BILOU": "BILU"}[scheme]
    return letters == (alone if len(letters) == 1 else first + inside * (len(letters) - 2) + last)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tags_as_a_plain_reader_reads_them(scheme: str) -> None:
    tags = any_tags(random.Random(6), scheme, 3000)
    plain = [runs(item) for item in tags]
    begin = [{run[:3] for run in item} for item in plain]
    drop = [{run[:3] for run in item if well_tagged(run[3], scheme)} for item in plain]
    assert labels(schemes.tags_to_table(tags, NAMES, scheme, "begin")) == begin
    assert labels(schemes.tags_to_table(tags, NAMES, scheme, "drop")) == drop
    valid = [i for i in range(len(tags)) if begin[i] == drop[i]]
    assert 500 < len(valid) < 2500
    assert labels(schemes.tags_to_table([tags[i] for i in valid], NAMES, scheme)) == [begin[i] for i in valid]
    for i in set(range(300)) - set(valid):
        with pytest.raises(DataError, match="wrong-tags"):
            schemes.tags_to_table([tags[i]], NAMES, scheme)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("types", [2, 32, 33, 90])
def test_integers_mean_what_their_names_say(scheme: str, types: int) -> None:
    """As few types as fit into a byte and more, in any order of names."""
    rng = random.Random(7)
    names = [f"T{i}" for i in range(types)]
    tag_names = ["O", *(f"{letter}-{name}" for letter in SCHEMES[scheme] for name in names)]
    rng.shuffle(tag_names)
    lengths = [rng.randint(0, 30) for _ in range(600)]
    codes = np.array([rng.randrange(len(tag_names)) for _ in range(sum(lengths))])
    codes[1::2] = codes[: len(codes) - 1 : 2]  # else hardly two tags of one type follow each other
    ends = list(itertools.accumulate(lengths, initial=0))
    tags = [[tag_names[code] for code in codes[a:b]] for a, b in itertools.pairwise(ends)]
    plain = [{run[:3] for run in runs(item)} for item in tags]
    for repair in schemes.REPAIRS:
        table = schemes.codes_to_table(codes, np.array(lengths), tag_names, names, scheme, repair)
        assert labels(table, names) == labels(schemes.tags_to_table(tags, names, scheme, repair), names)
        if repair == "begin":
            assert labels(table, names) == plain


@pytest.mark.parametrize("scheme", SCHEMES)
def test_spans_to_tags_and_back(scheme: str) -> None:
    rng = random.Random(8)
    lengths = [rng.randint(1, 30) for _ in range(2000)]
    spans = [flat(rng, length) for length in lengths]
    tags = [tags_of(length, item, scheme) for length, item in zip(lengths, spans, strict=True)]
    assert labels(schemes.tags_to_table(tags, NAMES, scheme)) == spans
    if scheme == "BIO":
        assert [{s[:3] for s in from_bio(item, "一" * len(item))} for item in tags] == spans


@pytest.mark.parametrize(("scheme", "theirs"), [("BIO", IOB2), ("BIOES", IOBES), ("BILOU", BILOU)])
def test_the_same_spans_as_seqeval_strict(scheme: str, theirs: Any) -> None:
    tags = any_tags(random.Random(9), scheme, 3000)
    expected = [{(e.start, e.end, e.tag) for e in item} for item in Entities(tags, theirs).entities]
    assert labels(schemes.tags_to_table(tags, NAMES, scheme, "drop")) == expected


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_the_same_spans_as_seqeval_default(scheme: str) -> None:
    tags = any_tags(random.Random(10), scheme, 3000)
    expected = [{(start, end + 1, type) for type, start, end in get_entities(item)} for item in tags]
    assert labels(schemes.tags_to_table(tags, NAMES, scheme, "begin")) == expected


# Spans against nervaluate

OF_NERVALUATE = {EXACT: "strict", BOUNDARY: "exact", TYPE: "ent_type", OVERLAP: "partial"}


def by_nervaluate(gold: Labels, predicted: Labels) -> dict[str, Any]:
    """Its results, overall and by type. Its ends are inclusive."""
    sides = [
        [[{"start": a, "end": b - 1, "label": type} for a, b, type in sorted(item)] for item in side]
        for side in (gold, predicted)
    ]
    return Evaluator(*sides, tags=list(NAMES), loader="dict").evaluate()


def test_the_same_counts_as_nervaluate_on_spans_that_do_not_overlap() -> None:
    """Strict and exact are our exact and boundary. By type, each type alone, so are all its rules but ent_type."""
    gold, predicted = pair(random.Random(11), flat, 1500)
    results = by_nervaluate(gold, predicted)
    for rule in (EXACT, BOUNDARY, OVERLAP):
        total, theirs = of(rule, gold, predicted).sum((0, 1)), results["overall"][OF_NERVALUATE[rule]]
        assert (theirs.possible, theirs.actual, theirs.correct + theirs.partial) == tuple(total), rule
    exact, boundary, overlap = (of(rule, gold, predicted).sum(0) for rule in (EXACT, BOUNDARY, OVERLAP))
    for i, name in enumerate(NAMES):
        theirs = results["entities"][name]["strict"]
        assert (theirs.possible, theirs.actual, theirs.correct) == tuple(exact[i])
    partial = results["overall"]["partial"]
    half = (partial.correct + partial.partial / 2) / partial.actual
    assert partial.correct == boundary[0, CORRECT]
    assert partial.precision == pytest.approx(half)  # a half for each that only overlaps
    assert partial.precision < overlap[0, CORRECT] / overlap[0, PREDICTED]


def test_the_same_counts_as_nervaluate_by_type_where_no_span_meets_two() -> None:
    """Where spans meet two, nervaluate pairs them in order, and one of the wrong type takes a gold span away."""
    gold, predicted = pair(random.Random(12), flat, 4000)
    items = [i for i in range(len(gold)) if alone(gold[i], predicted[i])]
    assert 1000 < len(items) < 3500
    results = by_nervaluate([gold[i] for i in items], [predicted[i] for i in items])
    ours = of(TYPE, [gold[i] for i in items], [predicted[i] for i in items]).sum(0)
    theirs = results["overall"]["ent_type"]
    assert (theirs.possible, theirs.actual, theirs.correct) == tuple(ours.sum(0))
    for i, name in enumerate(NAMES):
        of_type = results["entities"][name]["ent_type"]
        assert (of_type.possible, of_type.actual, of_type.correct) == tuple(ours[i])
    assert ours[:, CORRECT].sum() > of(EXACT, gold, predicted)[items].sum((0, 1))[CORRECT]


def test_nervaluate_never_pairs_more() -> None:
    """Our pairing is the largest: where spans meet several, nervaluate's is at most as large, and sometimes smaller."""
    gold, predicted = pair(random.Random(13), flat, 300)
    ours = of(TYPE, gold, predicted)[:, :, CORRECT].sum(1)
    theirs = [
        by_nervaluate([a], [b])["overall"]["ent_type"].correct if a or b else 0
        for a, b in zip(gold, predicted, strict=True)
    ]
    assert (np.array(theirs) <= ours).all()
    assert (np.array(theirs) < ours).any()
