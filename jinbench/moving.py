"""Taking the work of one Label Studio along to another: pulled there, pushed here with its labels.

What goes along is what the exports hold: every submitted annotation, in its author's name, with its time. What was
skipped or left as a draft is nobody's answer yet; it stays behind, and is counted when labels are pulled.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinbench import adjudication, annotation, annotators, exchange, exports, projects, shares
from jinbench.labels import LabelSet
from jinbench.projects import Pushed
from jinbench.records import Step
from jinbench.rooms import Rooms
from jinbench.seeds import Seeds

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio


@dataclass(frozen=True)
class Moved:
    """What a push with labels did: the annotations that it entered, and those that were there already."""

    annotator: str
    pushed: Pushed
    entered: int
    there: int


def with_labels(
    client: "LabelStudio", where: Rooms, seed: Seeds, label_set: LabelSet, annotator: str, step: Step
) -> Moved:
    """Push the annotator's passages and the labels of the export in annotation/exports/, if there is one.

    An adjudicator's project shows the readings again. Safe to repeat.
    Raises :class:`ServerError` if the annotator has labelled a passage differently here, :class:`DataError`.
    """
    path = exports.path_of(where, annotator)
    labelled = exports.read(path, seed.passages(), label_set, annotator) if path.is_file() else []
    there = set()
    if annotation.has_project(client, label_set, annotator):
        there = {entry.passage_id for entry in annotation.fetch(client, seed, label_set, annotator)}
    if annotators.read(where).between(annotator):
        # Before anything is accepted: what agreed by itself may be overruled in the export.
        pushed = adjudication.show(client, where, seed, label_set, annotator, step)
        counted = projects.counter(step, f"enter {annotator}", len(labelled))
        annotation.enter(client, seed, label_set, annotator, labelled, counted)
    else:
        share = shares.share_of(where, seed, annotator)
        pushed, _ = annotation.move(client, where, seed, label_set, annotator, labelled, step, share=share)
    entered = sum(entry.passage_id not in there for entry in labelled)
    return Moved(annotator, pushed, entered, len(labelled) - entered)


def left_behind(client: "LabelStudio", label_set: LabelSet, annotator: str) -> tuple[int, int]:
    """How many passages the annotator has skipped on the server, and how many are drafts there."""
    project = exchange.reaching(lambda: projects.find_project(client, projects.project_title(label_set, annotator)))
    if project is None:
        return 0, 0
    found = exchange.reaching(lambda: list(projects.tasks(client, project.id)))
    skipped = sum(bool(task.cancelled_annotations and not task.total_annotations) for task in found)
    return skipped, sum(task.drafts for task in found)
