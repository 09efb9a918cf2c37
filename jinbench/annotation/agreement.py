"""How far annotators agree with each other, and with the gold. Nothing is left out because it looks bad.

The pairwise scores come from the scorer of models, one annotator standing for the gold. Intervals resample articles.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench.annotation import exports
from jinbench.annotation.annotators import read_annotators
from jinbench.annotation.exports import read_labels
from jinbench.annotation.gold import read_gold
from jinbench.annotation.labels import LabelSet
from jinbench.annotation.workspace import Workspace
from jinbench.core import files, schemas
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem
from jinbench.core.tags import to_bio
from jinbench.core.types import PassageLabels, Span, slice_spans
from jinbench.scoring import counts, significance
from jinbench.scoring import score as scoring
from jinbench.scoring.gold import TASKS, Gold, LabelKey
from jinbench.scoring.results import Cell, Score, round_floats, format_interval

if TYPE_CHECKING:
    import numpy as np

NO_SPAN = "–"  # in the confusion table: the other has no span with these boundaries


@dataclass(frozen=True)
class Estimate:
    """A coefficient of agreement with its 95 % interval: 1 is perfect, 0 what chance gives, below 0 worse than chance.

    `value` is None where it is not defined: both annotators used one label throughout.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.value is None:
            return "– (one value throughout)"
        return format_interval(self.value, self.low, self.high)


@dataclass(frozen=True)
class PairAgreement:
    """Two annotators on the passages that both labelled.

    `strict` and `overlap` score the spans of `second` against those of `first`; F1 is the same the other way round.
    `kappa` is Cohen's over the BIO tags of characters. `alpha` is Krippendorff's over the sets of sectors with the
    MASI distance; `alpha_decisions` over each passage and sector as a yes or no; `sector_alphas` the same per sector.
    `confusion[type of first][type of second]` counts spans with the same boundaries.
    """

    first: str
    second: str
    passages: int
    articles: int
    strict: Score
    overlap: Score
    kappa: Estimate
    alpha: Estimate
    alpha_decisions: Estimate
    sector_alphas: tuple[Estimate, ...]
    confusion: dict[str, dict[str, int]]

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = round_floats(asdict(self))
        return record

    def __str__(self) -> str:
        lines = [
            f"{self.first} and {self.second}: {self.passages} passages of {self.articles} articles",
            "",
            f"{'spans':14}{'first':>7}{'second':>7}{'same':>6}   strict F1 [95 % interval]   overlap F1",
        ]
        same = (self.strict.micro, *self.strict.labels)
        near = (self.overlap.micro, *self.overlap.labels)
        lines += [_line(a, b) for a, b in zip(same, near, strict=True)]
        lines += ["", f"Cohen's κ over the tags of characters       {self.kappa}"]
        if self.sector_alphas:
            lines += [
                f"Krippendorff's α, sets of sectors (MASI)    {self.alpha}",
                f"Krippendorff's α, single sector decisions   {self.alpha_decisions}",
                *(f"  {found.name:40}  {found}" for found in self.sector_alphas),
            ]
        lines += ["", f"Another type, or no span with these boundaries ({self.first} → {self.second}):"]
        others = [(number, a, b) for a, row in self.confusion.items() for b, number in row.items() if a != b and number]
        lines += [f"  {number:4}  {a} → {b}" for number, a, b in sorted(others, key=lambda other: (-other[0], other))]
        return "\n".join(lines)


def _brief(pair: PairAgreement) -> str:
    return (
        f"  {pair.first:17} {pair.passages} passages: strict F1 {pair.strict.micro.formatted}, sectors α {pair.alpha}"
    )


def _line(strict: Cell, overlap: Cell) -> str:
    counts = f"{strict.gold:7}{strict.predicted:7}{strict.correct:6}"
    return f"{strict.name:14}{counts}   {strict.formatted:26}  {overlap.formatted}"


@dataclass(frozen=True)
class Agreement:
    """Every pair of annotators; each annotator scored against the gold of what it labelled, as a model is; and each
    reader of a sample beside the gold.
    """

    pairs: tuple[PairAgreement, ...]
    against_gold: dict[str, dict[str, Score]]  # by annotator, then by task
    readers: tuple[PairAgreement, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        against = {
            name: {task: score.to_dict() for task, score in found.items()} for name, found in self.against_gold.items()
        }
        return {
            "pairs": [pair.to_dict() for pair in self.pairs],
            "against_gold": against,
            "readers": [pair.to_dict() for pair in self.readers],
        }

    def __str__(self) -> str:
        lines = [str(pair) for pair in self.pairs]
        if self.against_gold:
            against = [
                f"  {name:14} {task:7} micro-F1 {score.micro.formatted}"
                for name, found in self.against_gold.items()
                for task, score in found.items()
            ]
            lines.append("\n".join(["Against the gold, scored as a model is:", *against]))
        if self.readers:
            head = "Read afterwards, blind, and held against the gold:"
            lines.append("\n".join([head, *(_brief(pair) for pair in self.readers)]))
        return "\n\n".join(lines)


def _golds(workspace: Workspace, labelled: Mapping[str, PassageLabels]) -> dict[str, Gold]:
    """What an annotator says, by task, in the form that gold has. Only the passages in `labelled`."""
    items: dict[str, list[tuple[str, str, str, frozenset[LabelKey]]]] = {"ner": [], "sector": []}
    layouts: dict[str, list[tuple[str, ...]]] = {"ner": [], "sector": []}
    for article in workspace.seeds.articles:
        for passage in (passage for passage in article.passages if passage.id in labelled):
            labels = labelled[passage.id]
            sectors = frozenset((name,) for name in labels.sectors)
            items["sector"].append((passage.id, passage.text, article.id, sectors))
            for sentence in passage.sentences:
                spans = frozenset(span[:3] for span in slice_spans(labels.spans, sentence.start, sentence.end))
                items["ner"].append((sentence.id, passage.text[sentence.start : sentence.end], article.id, spans))
        for task in items:
            layouts[task] += [(article.layout,)] * (len(items[task]) - len(layouts[task]))
    names = {"ner": workspace.label_set.entity_names, "sector": workspace.label_set.sector_names}
    return {
        task: Gold.from_labels(
            task, names[task], rows, {"layout": tuple(layouts[task])} if any(a for (a,) in layouts[task]) else None
        )
        for task, rows in items.items()
    }


def _as_predictions(gold: Gold) -> dict[str, frozenset[LabelKey]]:
    return dict(zip(gold.ids, gold.labels, strict=True))


def measure_pair(
    workspace: Workspace,
    first: Sequence[PassageLabels],
    second: Sequence[PassageLabels],
    names: Sequence[str],
) -> PairAgreement:
    """The agreement of two annotators on the passages that both labelled.

    Raises :class:`DataError` (nothing-in-common).
    """
    a, b = _both(workspace, first, second, names)
    guess = _as_predictions(b["ner"])
    alpha, decisions, single = _alphas(a["sector"], b["sector"])
    return PairAgreement(
        names[0],
        names[1],
        len(a["sector"].ids),
        len(set(a["sector"].groups)),
        scoring.score_predictions(a["ner"], guess),
        scoring.score_predictions(a["ner"], guess, counts.TYPE),
        _kappa(a["ner"], b["ner"], workspace.label_set),
        alpha,
        decisions,
        single,
        _confusion(a["ner"], b["ner"]),
    )


@dataclass(frozen=True)
class QuickAgreement:
    """The agreement of two annotators in brief, while they are still labelling: strict F1 of spans, F1 of sectors
    (None where there are none), and `confusion` as :class:`Pair` has it.
    """

    first: str
    second: str
    passages: int
    spans: Score
    sectors: Score | None
    confusion: dict[str, dict[str, int]]


def measure_quick_agreement(
    workspace: Workspace,
    first: Sequence[PassageLabels],
    second: Sequence[PassageLabels],
    names: Sequence[str],
) -> QuickAgreement:
    """What is quickly said of the passages that both labelled. Raises :class:`DataError` (nothing-in-common)."""
    a, b = _both(workspace, first, second, names)
    spans, sectors = (scoring.score_predictions(a[task], _as_predictions(b[task])) for task in TASKS)
    passages, confusion = len(a["sector"].ids), _confusion(a["ner"], b["ner"])
    return QuickAgreement(names[0], names[1], passages, spans, sectors if workspace.label_set.sectors else None, confusion)


def _both(
    workspace: Workspace,
    first: Sequence[PassageLabels],
    second: Sequence[PassageLabels],
    names: Sequence[str],
) -> tuple[dict[str, Gold], dict[str, Gold]]:
    sides = [_by_passage(side) for side in (first, second)]
    both = sides[0].keys() & sides[1].keys()
    if not both:
        expected = "passages that both labelled"
        raise DataError(
            Problem(
                "nothing-in-common",
                location=" and ".join(names),
                expected=expected,
                found="none",
                fix="name two others",
            )
        )
    a, b = (_golds(workspace, {id: entry for id, entry in side.items() if id in both}) for side in sides)
    return a, b


def _confusion(a: Gold, b: Gold) -> dict[str, dict[str, int]]:
    table = {name: dict.fromkeys((*a.names, NO_SPAN), 0) for name in (*a.names, NO_SPAN)}
    for ours, theirs in zip(a.labels, b.labels, strict=True):
        first, second = ({label[:2]: label[2] for label in side} for side in (ours, theirs))
        for place in first.keys() | second.keys():
            table[first.get(place, NO_SPAN)][second.get(place, NO_SPAN)] += 1
    return table


def _resampled(name: str, gold: Gold, units: "np.ndarray[Any, Any]", coefficient: Callable[[Any], float]) -> Estimate:
    """The coefficient of `units` (items, …), and its interval over resampled articles."""
    import numpy as np

    value = coefficient(units)
    if np.isnan(value):
        return Estimate(name, None, None, None)
    order = sorted(set(gold.groups))
    rows = {group: np.flatnonzero([found == group for found in gold.groups]) for group in order}
    sizes = np.array([len(rows[group]) for group in order])
    drawn = []
    for draw in significance.draw_articles(len(order)):
        chosen = np.concatenate([np.tile(rows[group], times) for group, times in zip(order, draw, strict=True)])
        drawn.append(coefficient(units[chosen]))
    return Estimate(name, *round_floats((float(value), *significance.reliable_interval(np.array(drawn), sizes))))


def _kappa(a: Gold, b: Gold, label_set: LabelSet) -> Estimate:
    """Cohen (1960): (observed - expected) / (1 - expected) agreement over BIO tags, one per character."""
    import numpy as np

    number = {tag: i for i, tag in enumerate(label_set.tag_names)}
    tables = np.zeros((len(a.ids), len(number), len(number)))
    for i, text in enumerate(a.texts):
        tags = [
            to_bio(len(text), [Span(start, end, type, text[start:end]) for start, end, type in side.labels[i]])
            for side in (a, b)
        ]
        for ours, theirs in zip(*tags, strict=True):
            tables[i, number[ours], number[theirs]] += 1

    def kappa(units: "np.ndarray[Any, Any]") -> float:
        share = units.sum(0) / units.sum()
        expected = share.sum(0) @ share.sum(1)
        return float((np.trace(share) - expected) / (1 - expected)) if expected < 1 else float("nan")

    return _resampled("kappa", a, tables, kappa)


def _masi(first: frozenset[Any], second: frozenset[Any]) -> float:
    """The distance of two sets by Passonneau (2006): 1 - Jaccard × (1 equal, 2/3 nested, 1/3 crossing, 0 disjoint)."""
    if first == second:
        return 0.0
    if not first & second:
        return 1.0
    nested = first <= second or second <= first
    return 1 - len(first & second) / len(first | second) * (2 / 3 if nested else 1 / 3)


def _alphas(a: Gold, b: Gold) -> tuple[Estimate, Estimate, tuple[Estimate, ...]]:
    import krippendorff
    import numpy as np

    sets = sorted({*a.labels, *b.labels}, key=sorted)
    index = {found: i for i, found in enumerate(sets)}
    distances = np.array([[_masi(one, other) for other in sets] for one in sets])

    def by_set(units: "np.ndarray[Any, Any]") -> float:
        return _alpha(units, lambda v1, v2, i1, i2, n_v, dtype: distances[i1, i2])

    def nominal(units: "np.ndarray[Any, Any]") -> float:
        return _alpha(units.reshape(-1, units.shape[-1]), "nominal")

    def _alpha(units: "np.ndarray[Any, Any]", level: Any) -> float:
        """`units` (units, values): how many annotators gave each value."""
        if (units.sum(0) > 0).sum() < 2:
            return float("nan")
        return float(krippendorff.alpha(value_counts=units, level_of_measurement=level))

    chosen = np.zeros((len(a.ids), len(sets)), dtype=int)
    for side in (a, b):
        for i, found in enumerate(side.labels):
            chosen[i, index[found]] += 1
    ticked = np.array(
        [[sum((name,) in side.labels[i] for side in (a, b)) for name in a.names] for i in range(len(a.ids))]
    )
    decisions = np.stack([2 - ticked, ticked], axis=-1)  # (passages, sectors, no or yes)
    return (
        _resampled("alpha", a, chosen, by_set),
        _resampled("alpha of decisions", a, decisions, nominal),
        tuple(_resampled(name, a, decisions[:, i], nominal) for i, name in enumerate(a.names)),
    )


def measure_agreement(workspace: Workspace) -> Agreement:
    """Every pair of the annotators whose labels were adjudicated, and each of them against the gold with its errata.

    Raises :class:`DataError` (file-missing, nothing-in-common, and those of the exports).
    """
    known = read_annotators(workspace.benchmark)
    found = {
        name: exports.read_export(
            exports.export_path(workspace.benchmark, name), workspace.seeds.passages(), workspace.label_set, name
        )
        for name in known.adjudicated
    }
    if not known.adjudicated:
        place = files.display_path(workspace.benchmark.annotation / "annotators.toml")
        hint = "have a second one label: jinbench annotate desk --annotators a,b; then let `gold` name who adjudicates"
        raise DataError(
            Problem(
                "nothing-in-common",
                location=place,
                expected="adjudicates = [two annotators or more]",
                found="none",
                fix=hint,
            )
        )
    sides = {name: _by_passage(entries) for name, entries in found.items()}
    pairs = tuple(
        measure_pair(workspace, found[a], found[b], (a, b))
        for a, b in itertools.combinations(known.adjudicated, 2)
        if sides[a].keys() & sides[b].keys()  # with shares, some two may have no article in common
    )
    gold = read_gold(workspace)
    against = {}
    for name, side in sides.items():
        said = _golds(workspace, side)
        of_gold = _golds(workspace, {id: entry for id, entry in gold.items() if id in side})
        against[name] = {
            task: scoring.score_predictions(true, _as_predictions(said[task]))
            for task, true in of_gold.items()
            if true.names
        }
    place = files.display_path(workspace.benchmark.annotation / "annotators.toml")
    missing = [reader for reader in known.reviewers if not reader.file.is_file()]
    if missing:
        expected, hint = "a file of labels", "correct the name of the file there"
        raise DataError(
            [
                Problem(
                    "file-missing",
                    location=f"{place} {reader.name}",
                    expected=expected,
                    found=f"no {reader.file}",
                    fix=hint,
                )
                for reader in missing
            ]
        )
    readers = tuple(
        measure_pair(
            workspace,
            read_labels(reader.file, workspace.seeds, workspace.label_set, reader.name),
            list(gold.values()),
            (reader.name, "gold"),
        )
        for reader in known.reviewers
    )
    return Agreement(pairs, against, readers)


def _by_passage(found: Iterable[PassageLabels]) -> dict[str, PassageLabels]:
    return {entry.passage_id: entry for entry in found}


def agreement_path(benchmark: Benchmark) -> Path:
    return benchmark.annotation / "agreement.json"


def read_agreement(benchmark: Benchmark) -> dict[str, Any]:
    """agreement.json. Raises :class:`DataError` (file-missing, broken-json, wrong-shape)."""
    record: dict[str, Any] = files.read_json(agreement_path(benchmark), "make it with: jinbench agreement")
    schemas.check_shape(record, "agreement", files.display_path(agreement_path(benchmark)))
    return record


def write_agreement(benchmark: Benchmark, found: Agreement) -> None:
    """agreement.json, from which the card is made."""
    files.write_text(agreement_path(benchmark), files.dump_json(found.to_dict()))
