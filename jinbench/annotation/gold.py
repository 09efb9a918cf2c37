"""Gold labels, and those of each annotator."""

from collections.abc import Sequence

from jinbench.annotation.annotators import Annotator
from jinbench.annotation.errata import Erratum, apply_errata, read_errata
from jinbench.annotation.exports import export_path, read_annotator_export
from jinbench.annotation.workspace import Workspace
from jinbench.core import files
from jinbench.core.errors import DataError, Problem
from jinbench.core.types import PassageLabels


def read_gold(workspace: Workspace, errata: Sequence[Erratum] | None = None) -> dict[str, PassageLabels]:
    """Read the gold labels of every passage.

    Args:
        workspace: The benchmark.
        errata: Errata to apply; by default all of annotation/errata/.

    Returns:
        The labels by passage id, in reading order.

    Raises:
        DataError: With every problem in the export [passage-unlabelled, span-text-differs, …] or in an erratum
            [erratum-differs, …].
    """
    labels = read_annotator_export(workspace, workspace.annotators.gold, required=True)
    errata = read_errata(workspace.benchmark) if errata is None else errata
    return apply_errata(labels, errata, workspace.passages, workspace.label_set)


def read_training_labels(workspace: Workspace) -> list[PassageLabels]:
    """Read labels to train a tagger on: the gold where there is one, else all annotators' exports.

    Raises :class:`DataError` with every problem in an export, and (passage-unlabelled) if nothing is labelled yet.
    """
    annotators, benchmark = workspace.annotators, workspace.benchmark
    if export_path(benchmark, annotators.gold).is_file():
        gold = read_annotator_export(workspace, annotators.gold)
        if len(gold) == len(workspace.passages):  # errata are about the whole gold
            gold = apply_errata(gold, read_errata(benchmark), workspace.passages, workspace.label_set)
        labels = list(gold.values())
    else:
        labels = [entry for _, by_passage in labels_by_annotator(workspace) for entry in by_passage.values()]
    if not labels:
        raise no_labels_error(files.display_path(benchmark.exports))
    return labels


def no_labels_error(location: str) -> DataError:
    """Return the error (passage-unlabelled) that there are no labels to train on."""
    expected = "labels of some passages to learn from"
    fix = "submit some passages in Label Studio, then: jinbench annotate pull"
    return DataError(Problem("passage-unlabelled", location=location, expected=expected, found="none", fix=fix))


def labels_by_annotator(workspace: Workspace) -> list[tuple[Annotator, dict[str, PassageLabels]]]:
    """Return the labels by passage id of each annotator who labels independently and has an export."""
    return [
        (annotator, read_annotator_export(workspace, annotator.name))
        for annotator in workspace.annotators.independent
        if export_path(workspace.benchmark, annotator.name).is_file()
    ]
