from .agreement import Agreement, measure_agreement
from .annotators import Annotators, read_annotators
from .gold import read_gold
from .labels import LabelDefinition, LabelSet, read_label_set
from .lint import Finding, lint_labels
from .workspace import Workspace

__all__ = [
    "Agreement",
    "Annotators",
    "Finding",
    "LabelDefinition",
    "LabelSet",
    "Workspace",
    "lint_labels",
    "measure_agreement",
    "read_annotators",
    "read_gold",
    "read_label_set",
]
