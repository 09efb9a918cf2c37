"""Check the stored exports: errors, and likely mistakes."""

from collections.abc import Sequence
from dataclasses import dataclass

from jinbench.annotation import adjudication, exports, lint
from jinbench.annotation.gold import read_gold
from jinbench.annotation.lint import Finding
from jinbench.annotation.workspace import Workspace
from jinbench.core import files


@dataclass(frozen=True)
class CheckedExport:
    """An export without errors."""

    annotator: str
    file: str
    passages: int
    spans: int
    others: int  # annotations of other accounts, which were passed over

    def __str__(self) -> str:
        others = f"; {self.others} of other accounts passed over" if self.others else ""
        return f"{self.file}: {self.passages} passages, {self.spans} spans, in order{others}"


def check_export(workspace: Workspace, annotator: str) -> CheckedExport:
    """Check an annotator's export; an adjudicator's decisions too. Raises :class:`DataError` with every error."""
    path = exports.export_path(workspace.benchmark, annotator)
    labels = exports.read_export(path, workspace, annotator)
    if workspace.annotators.adjudicated_by(annotator):
        adjudication.check_decisions(workspace, annotator)
    spans = sum(len(entry.spans) for entry in labels)
    annotations = [entry for task in files.read_json(path) for entry in task.get("annotations", ())]
    names = [exports.annotator_name(entry["completed_by"]) for entry in annotations if not entry.get("was_cancelled")]
    others = len(names) - names.count(annotator)
    return CheckedExport(annotator, files.display_path(path), len(labels), spans, others)


def lint_exports(workspace: Workspace, annotators: Sequence[str] | None = None) -> tuple[list[Finding], int]:
    """Return likely mistakes in the gold, without the accepted ones, and how many kinds are accepted.

    With `annotators` those in their labels, of which none are accepted. Raises :class:`DataError`.
    """
    passages, benchmark = list(workspace.passages.values()), workspace.benchmark
    if annotators:
        by_annotator = [
            exports.read_export(exports.export_path(benchmark, name), workspace, name) for name in annotators
        ]
        return [one for labels in by_annotator for one in lint.lint_labels(passages, labels, workspace.label_set)], 0
    accepted = lint.read_accepted(benchmark)
    findings = lint.lint_labels(passages, list(read_gold(workspace).values()), workspace.label_set)
    location = files.display_path(benchmark.annotation / "accepted.toml")
    return lint.filter_accepted(findings, accepted, location), len(accepted)
