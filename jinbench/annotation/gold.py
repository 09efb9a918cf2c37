"""Gold labels, and those of each annotator."""

from collections.abc import Sequence

from jinbench.annotation import errata, exports
from jinbench.annotation.annotators import Annotator, read_annotators
from jinbench.annotation.errata import Erratum
from jinbench.annotation.labels import LabelSet
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem
from jinbench.core.types import PassageLabels
from jinbench.seeds.articles import Seeds


def labelled_passages(benchmark: Benchmark, seed: Seeds, label_set: LabelSet) -> list[PassageLabels]:
    """What there is to learn from: the gold where there is one, else all annotators' exports.

    Raises :class:`DataError` with every problem in an export, and (passage-unlabelled) if nothing is labelled yet.
    """
    listed = read_annotators(benchmark)
    paths = {name: exports.export_path(benchmark, name) for name in listed.names}
    names = [listed.gold] if paths[listed.gold].is_file() else [entry.name for entry in listed.independent]
    found = [
        entry
        for name in names
        if paths[name].is_file()
        for entry in exports.read_export(paths[name], seed.passages(), label_set, name)
    ]
    by_id, passages = {entry.passage_id: entry for entry in found}, {p.id: p for p in seed.passages()}
    if names == [listed.gold] and len(by_id) == len(passages):  # errata are about the whole gold
        found = list(errata.apply_errata(by_id, errata.read_errata(benchmark), passages, label_set).values())
    if not found:
        raise nothing_labelled(files.shown(benchmark.exports))
    return found


def nothing_labelled(where: str) -> DataError:
    """The error (passage-unlabelled) that there is nothing to learn from."""
    hint = "submit some passages in Label Studio, then: jinbench annotate pull"
    return DataError(
        Problem(
            "passage-unlabelled",
            location=where,
            expected="labels of some passages to learn from",
            found="none",
            fix=hint,
        )
    )


def read_gold(
    benchmark: Benchmark, seed: Seeds, label_set: LabelSet, used: Sequence[Erratum] | None = None
) -> dict[str, PassageLabels]:
    """The gold labels of every passage, with all errata or those in `used`.

    Raises :class:`DataError` with everything wrong in the export or in an erratum.
    """
    annotator = read_annotators(benchmark).gold
    found = exports.read_export(
        exports.export_path(benchmark, annotator), seed.passages(), label_set, annotator, whole=True
    )
    passages = {passage.id: passage for passage in seed.passages()}
    by_id = {entry.passage_id: entry for entry in found}
    return errata.apply_errata(by_id, errata.read_errata(benchmark) if used is None else used, passages, label_set)


def labels_by_annotator(
    benchmark: Benchmark, seed: Seeds, label_set: LabelSet
) -> list[tuple[Annotator, dict[str, PassageLabels]]]:
    """The labels of each annotator who labelled alone, by passage; of those that have an export."""
    return [
        (
            entry,
            {labels.passage_id: labels for labels in exports.read_export(path, seed.passages(), label_set, entry.name)},
        )
        for entry in read_annotators(benchmark).independent
        if (path := exports.export_path(benchmark, entry.name)).is_file()
    ]
