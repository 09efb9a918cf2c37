"""Gold labels, and those of each annotator."""

from collections.abc import Sequence

from jinbench.annotation import errata, exports
from jinbench.annotation.annotators import Annotator, read_annotators
from jinbench.annotation.errata import Erratum
from jinbench.annotation.workspace import Workspace
from jinbench.core import files
from jinbench.core.errors import DataError, Problem
from jinbench.core.types import PassageLabels


def read_training_labels(workspace: Workspace) -> list[PassageLabels]:
    """What there is to learn from: the gold where there is one, else all annotators' exports.

    Raises :class:`DataError` with every problem in an export, and (passage-unlabelled) if nothing is labelled yet.
    """
    listed = read_annotators(workspace.benchmark)
    paths = {name: exports.export_path(workspace.benchmark, name) for name in listed.names}
    names = [listed.gold] if paths[listed.gold].is_file() else [entry.name for entry in listed.independent]
    found = [
        entry
        for name in names
        if paths[name].is_file()
        for entry in exports.read_export(paths[name], workspace.seeds.passages(), workspace.label_set, name)
    ]
    by_id, passages = {entry.passage_id: entry for entry in found}, {p.id: p for p in workspace.seeds.passages()}
    if names == [listed.gold] and len(by_id) == len(passages):  # errata are about the whole gold
        found = list(
            errata.apply_errata(by_id, errata.read_errata(workspace.benchmark), passages, workspace.label_set).values()
        )
    if not found:
        raise no_labels_error(files.display_path(workspace.benchmark.exports))
    return found


def no_labels_error(where: str) -> DataError:
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


def read_gold(workspace: Workspace, used: Sequence[Erratum] | None = None) -> dict[str, PassageLabels]:
    """The gold labels of every passage, with all errata or those in `used`.

    Raises :class:`DataError` with everything wrong in the export or in an erratum.
    """
    annotator = read_annotators(workspace.benchmark).gold
    found = exports.read_export(
        exports.export_path(workspace.benchmark, annotator),
        workspace.seeds.passages(),
        workspace.label_set,
        annotator,
        whole=True,
    )
    passages = {passage.id: passage for passage in workspace.seeds.passages()}
    by_id = {entry.passage_id: entry for entry in found}
    return errata.apply_errata(
        by_id, errata.read_errata(workspace.benchmark) if used is None else used, passages, workspace.label_set
    )


def labels_by_annotator(workspace: Workspace) -> list[tuple[Annotator, dict[str, PassageLabels]]]:
    """The labels of each annotator who labelled alone, by passage; of those that have an export."""
    return [
        (
            entry,
            {
                labels.passage_id: labels
                for labels in exports.read_export(path, workspace.seeds.passages(), workspace.label_set, entry.name)
            },
        )
        for entry in read_annotators(workspace.benchmark).independent
        if (path := exports.export_path(workspace.benchmark, entry.name)).is_file()
    ]
