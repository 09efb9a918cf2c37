"""Inter-annotator agreement: of each pair of annotators, and of each annotator with the gold.

Pairwise scores come from the scorer of systems, one annotator standing for the gold. Intervals resample articles.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from jinbench.annotation.coefficients import Estimate, cohen_kappa, krippendorff_alphas
from jinbench.annotation.exports import read_annotator_export, read_labels
from jinbench.annotation.gold import read_gold
from jinbench.annotation.workspace import Workspace
from jinbench.core import files, schemas
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import ErrorList, fail
from jinbench.core.types import JsonObject, PassageLabels, slice_spans
from jinbench.scoring import counts
from jinbench.scoring.gold import TASKS, Gold, LabelKey
from jinbench.scoring.results import Cell, Score, round_floats
from jinbench.scoring.score import score_predictions

Record = JsonObject  # agreement.json, or a part of it

NO_SPAN = "–"  # in the confusion table: the other has no span with these boundaries

Confusion = dict[str, dict[str, int]]  # confusion[type of first][type of second]: spans with the same boundaries


@dataclass(frozen=True)
class PairAgreement:
    """Agreement of two annotators on the passages that both labelled.

    Args:
        first, second: Names of the annotators.
        passages, articles: Number of common passages, and of their articles.
        strict: F1 of the spans of `second` against those of `first`, the same the other way round.
        overlap: The same where a common character is enough.
        kappa: Cohen's kappa over the BIO tags of characters.
        alpha: Krippendorff's alpha over the sets of sectors, with the MASI distance.
        alpha_decisions: Krippendorff's alpha over each passage and sector as a yes or no.
        sector_alphas: The same for each sector.
        confusion: Spans with the same boundaries, by type of first and of second.
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
    confusion: Confusion

    def to_dict(self) -> Record:
        record: Record = round_floats(asdict(self))
        return record

    def __str__(self) -> str:
        lines = [
            f"{self.first} and {self.second}: {self.passages} passages of {self.articles} articles",
            "",
            f"{'spans':14}{'first':>7}{'second':>7}{'same':>6}   strict F1 [95 % interval]   overlap F1",
        ]
        strict, overlap = ((score.micro, *score.labels) for score in (self.strict, self.overlap))
        lines += [_score_line(*cells) for cells in zip(strict, overlap, strict=True)]
        lines += ["", f"Cohen's κ over the tags of characters       {self.kappa}"]
        if self.sector_alphas:
            lines += [
                f"Krippendorff's α, sets of sectors (MASI)    {self.alpha}",
                f"Krippendorff's α, single sector decisions   {self.alpha_decisions}",
                *(f"  {estimate.name:40}  {estimate}" for estimate in self.sector_alphas),
            ]
        lines += ["", f"Another type, or no span with these boundaries ({self.first} → {self.second}):"]
        others = [(number, a, b) for a, row in self.confusion.items() for b, number in row.items() if a != b and number]
        lines += [f"  {number:4}  {a} → {b}" for number, a, b in sorted(others, key=lambda other: (-other[0], other))]
        return "\n".join(lines)

    def summary(self) -> str:
        strict = self.strict.micro.formatted
        return f"  {self.first:17} {self.passages} passages: strict F1 {strict}, sectors α {self.alpha}"


def _score_line(strict: Cell, overlap: Cell) -> str:
    numbers = f"{strict.gold:7}{strict.predicted:7}{strict.correct:6}"
    return f"{strict.name:14}{numbers}   {strict.formatted:26}  {overlap.formatted}"


@dataclass(frozen=True)
class Agreement:
    """Agreement of all annotators of a benchmark.

    Args:
        pairs: Every pair of annotators with common passages.
        against_gold: Scores of each annotator against the gold of what it labelled, by name, then by task.
        reviewers: Each reviewer of a sample beside the gold.
    """

    pairs: tuple[PairAgreement, ...]
    against_gold: dict[str, dict[str, Score]]
    reviewers: tuple[PairAgreement, ...] = ()

    def to_dict(self) -> Record:
        """Return the record that agreement.json holds."""
        return {
            "pairs": [pair.to_dict() for pair in self.pairs],
            "against_gold": {
                name: {task: score.to_dict() for task, score in scores.items()}
                for name, scores in self.against_gold.items()
            },
            "readers": [pair.to_dict() for pair in self.reviewers],
        }

    def __str__(self) -> str:
        blocks = [str(pair) for pair in self.pairs]
        if self.against_gold:
            lines = [
                f"  {name:14} {task:7} micro-F1 {score.micro.formatted}"
                for name, scores in self.against_gold.items()
                for task, score in scores.items()
            ]
            blocks.append("\n".join(["Against the gold, scored as a system is:", *lines]))
        if self.reviewers:
            head = "Reviewed afterwards, independently, and compared with the gold:"
            blocks.append("\n".join([head, *(pair.summary() for pair in self.reviewers)]))
        return "\n\n".join(blocks)


def _to_gold(workspace: Workspace, labels: Mapping[str, PassageLabels]) -> dict[str, Gold]:
    """Return labels of an annotator as gold by task; only the passages in `labels`."""
    items: dict[str, list[tuple[str, str, str, frozenset[LabelKey]]]] = {"ner": [], "sector": []}
    layouts: dict[str, list[tuple[str, ...]]] = {"ner": [], "sector": []}
    for article in workspace.seeds.articles:
        for passage in (passage for passage in article.passages if passage.id in labels):
            entry = labels[passage.id]
            sectors = frozenset((name,) for name in entry.sectors)
            items["sector"].append((passage.id, passage.text, article.id, sectors))
            for sentence in passage.sentences:
                spans = frozenset(span[:3] for span in slice_spans(entry.spans, sentence.start, sentence.end))
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


def _to_predictions(gold: Gold) -> dict[str, frozenset[LabelKey]]:
    return dict(zip(gold.ids, gold.labels, strict=True))


def measure_pair(
    workspace: Workspace, first: Iterable[PassageLabels], second: Iterable[PassageLabels], names: Sequence[str]
) -> PairAgreement:
    """Measure the agreement of two annotators, called `names`, on the passages that both labelled.

    Raises :class:`DataError` (nothing-in-common).
    """
    a, b = _common_gold(workspace, first, second, names)
    predictions = _to_predictions(b["ner"])
    alpha, decisions, by_sector = krippendorff_alphas(a["sector"], b["sector"])
    return PairAgreement(
        names[0],
        names[1],
        len(a["sector"].ids),
        len(set(a["sector"].groups)),
        score_predictions(a["ner"], predictions),
        score_predictions(a["ner"], predictions, counts.TYPE),
        cohen_kappa(a["ner"], b["ner"], workspace.label_set.tag_names),
        alpha,
        decisions,
        by_sector,
        _count_confusion(a["ner"], b["ner"]),
    )


@dataclass(frozen=True)
class QuickAgreement:
    """Agreement of two annotators in brief, while they are still labelling.

    `spans` and `sectors` (None where there are none) are strict F1; `confusion` as in :class:`PairAgreement`.
    """

    first: str
    second: str
    passages: int
    spans: Score
    sectors: Score | None
    confusion: Confusion


def measure_quick_agreement(
    workspace: Workspace, first: Iterable[PassageLabels], second: Iterable[PassageLabels], names: Sequence[str]
) -> QuickAgreement:
    """Measure agreement without coefficients, with the arguments and the error of :func:`measure_pair`."""
    a, b = _common_gold(workspace, first, second, names)
    spans, sectors = (score_predictions(a[task], _to_predictions(b[task])) for task in TASKS)
    return QuickAgreement(
        names[0],
        names[1],
        len(a["sector"].ids),
        spans,
        sectors if workspace.label_set.sectors else None,
        _count_confusion(a["ner"], b["ner"]),
    )


def _common_gold(
    workspace: Workspace, first: Iterable[PassageLabels], second: Iterable[PassageLabels], names: Sequence[str]
) -> tuple[dict[str, Gold], dict[str, Gold]]:
    sides = [{entry.passage_id: entry for entry in side} for side in (first, second)]
    common = sides[0].keys() & sides[1].keys()
    if not common:
        expected, fix = "passages that both labelled", "name two others"
        fail("nothing-in-common", " and ".join(names), expected=expected, found="none", fix=fix)
    a, b = (_to_gold(workspace, {id: entry for id, entry in side.items() if id in common}) for side in sides)
    return a, b


def _count_confusion(a: Gold, b: Gold) -> Confusion:
    table = {name: dict.fromkeys((*a.names, NO_SPAN), 0) for name in (*a.names, NO_SPAN)}
    for sides in zip(a.labels, b.labels, strict=True):
        first, second = ({label[:2]: label[2] for label in labels} for labels in sides)
        for boundaries in first.keys() | second.keys():
            table[first.get(boundaries, NO_SPAN)][second.get(boundaries, NO_SPAN)] += 1
    return table


def measure_agreement(workspace: Workspace) -> Agreement:
    """Measure inter-annotator agreement of a benchmark.

    Args:
        workspace: A benchmark whose gold adjudicates between two annotators or more.

    Returns:
        Every pair of these annotators, each of them against the gold with its errata, and the reviewers of samples.

    Raises:
        DataError: [file-missing, nothing-in-common, and those of the exports].
    """
    annotators, location = workspace.annotators, files.display_path(workspace.benchmark.annotators)
    labels = {name: read_annotator_export(workspace, name) for name in annotators.adjudicated}
    if not labels:
        expected = "adjudicates = [two annotators or more]"
        fix = "have a second one label: jinbench annotate push --annotators a,b; then let `gold` name who adjudicates"
        fail("nothing-in-common", location, expected=expected, found="none", fix=fix)
    pairs = tuple(
        measure_pair(workspace, labels[a].values(), labels[b].values(), (a, b))
        for a, b in itertools.combinations(labels, 2)
        if labels[a].keys() & labels[b].keys()  # with assignments, some two may have no article in common
    )
    gold = read_gold(workspace)
    against_gold = {name: _score_against_gold(workspace, gold, by_passage) for name, by_passage in labels.items()}
    problems = ErrorList()
    for reviewer in annotators.reviewers:
        if not reviewer.file.is_file():
            place, found = f"{location} {reviewer.name}", f"no {reviewer.file}"
            fix = "correct the name of the file there"
            problems.add("file-missing", place, expected="a file of labels", found=found, fix=fix)
    problems.raise_if_any()
    reviewers = tuple(
        measure_pair(
            workspace, read_labels(reviewer.file, workspace, reviewer.name), gold.values(), (reviewer.name, "gold")
        )
        for reviewer in annotators.reviewers
    )
    return Agreement(pairs, against_gold, reviewers)


def _score_against_gold(
    workspace: Workspace, gold: Mapping[str, PassageLabels], labels: Mapping[str, PassageLabels]
) -> dict[str, Score]:
    predictions = _to_gold(workspace, labels)
    gold_by_task = _to_gold(workspace, {id: entry for id, entry in gold.items() if id in labels})
    return {
        task: score_predictions(task_gold, _to_predictions(predictions[task]))
        for task, task_gold in gold_by_task.items()
        if task_gold.names
    }


def agreement_path(benchmark: Benchmark) -> Path:
    """Return the path of agreement.json."""
    return benchmark.annotation / "agreement.json"


def read_agreement(benchmark: Benchmark) -> Record:
    """Read agreement.json. Raises :class:`DataError` (file-missing, broken-json, wrong-shape)."""
    record: Record = files.read_json(agreement_path(benchmark), "make it with: jinbench agreement")
    schemas.check_shape(record, "agreement", files.display_path(agreement_path(benchmark)))
    return record


def write_agreement(benchmark: Benchmark, agreement: Agreement) -> None:
    """Write agreement.json, which the card is made from."""
    files.write_text(agreement_path(benchmark), files.dump_json(agreement.to_dict()))
