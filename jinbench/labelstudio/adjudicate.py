"""The adjudication project: all annotators' labels side by side, and a decision on each disagreement.

Passages on which all agree are accepted; the others are left to the adjudicator.
"""

import html
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinbench.annotation.adjudication import (
    Disagreement,
    begin_decisions,
    find_decisions,
    find_open_disagreements,
    intersect_labels,
    labels_to_adjudicate,
)
from jinbench.annotation.workspace import Workspace
from jinbench.core.types import Step
from jinbench.labelstudio import annotations, projects
from jinbench.labelstudio.contents import TaskContents
from jinbench.labelstudio.push import PushResult, push_passages
from jinbench.labelstudio.server.client import retry

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

AGREED = "agreed"  # the prediction with which an adjudicator begins
_TYPE = re.compile(r"(?<=\|)[A-Za-z]\w*(?=\])")  # in marked-up text


@dataclass(frozen=True)
class Adjudication:
    """State of an adjudication.

    `accepted`: number of passages accepted by this push. `to_decide`: disagreements that are undecided or have no
    reason. `left`: passages that were skipped or have drafts. `urls`: where to open each passage of these two.
    """

    pushed: PushResult
    accepted: int
    to_decide: list[Disagreement]
    left: list[str]
    urls: dict[str, str]


def push_adjudication(client: "LabelStudio", workspace: Workspace, adjudicator: str, step: Step) -> Adjudication:
    """Create or update the adjudicator's project, and accept the passages on which the annotators agree.

    Tasks on which the adjudicator has worked are left alone, also skipped ones.
    Raises :class:`DataError`, :class:`ServerError`.
    """
    pushed = create_adjudication_project(client, workspace, adjudicator, step)
    labels = labels_to_adjudicate(workspace, adjudicator)
    common, disagreements = intersect_labels(labels, adjudicator), find_open_disagreements(workspace, labels)
    tasks = retry(client, lambda: projects.list_tasks_by_passage(client, pushed.project))
    begun = {id for id, (task, *_) in tasks.items() if projects.has_work(task)}
    decided = {entry.passage_id: entry for entry in annotations.fetch_labels(client, workspace, adjudicator)}
    excluded = begun | {disagreement.passage_id for disagreement in disagreements}
    accepted = [entry for id, entry in common.items() if id not in excluded]
    progress = projects.to_progress(step, f"accept {adjudicator}", len(accepted))
    annotations.submit_labels(client, workspace, adjudicator, accepted, progress)
    decisions = find_decisions(workspace, labels, adjudicator, decided)
    to_decide = [disagreement for disagreement in disagreements if disagreement.passage_id not in decided]
    to_decide += [decision for decision in decisions if not decision.reason]
    left = sorted(begun - decided.keys())
    ids = [*(disagreement.passage_id for disagreement in to_decide), *left]
    urls = {id: f"{pushed.url}?task={tasks[id][0].id}" for id in ids}
    return Adjudication(pushed, len(accepted), to_decide, left, urls)


def create_adjudication_project(
    client: "LabelStudio", workspace: Workspace, adjudicator: str, step: Step
) -> PushResult:
    """Create or update the adjudicator's project, and accept nothing. Raises as :func:`push_adjudication`."""
    labels = labels_to_adjudicate(workspace, adjudicator)
    disagreements = find_open_disagreements(workspace, labels)
    begun = begin_decisions(labels, disagreements, adjudicator)
    tables = _render_disagreements(workspace, disagreements)
    contents = TaskContents(labels_by_annotator={**labels, AGREED: begun}, disagreements=tables)
    progress = projects.to_progress(step, f"push {adjudicator}", len(begun))
    return push_passages(client, workspace, adjudicator, progress, contents)


def _render_disagreements(workspace: Workspace, disagreements: Sequence[Disagreement]) -> dict[str, str]:
    """Return by passage a table in HTML: a row per disagreement, a column per annotator with the labels there.

    Labels have their displayed names. An annotator's kind stands below its name.
    """
    types = {label.name: label.zh for label in workspace.label_set.entities}
    sectors = {label.name: label.zh for label in workspace.label_set.sectors}
    kinds = {entry.name: entry.kind for entry in workspace.annotators.entries}

    def to_cells(item: Disagreement) -> list[str]:
        if item.subject == workspace.label_set.sector_title:
            names_of = [labels.split(", ") for labels in item.readings.values()]
            return [item.subject, *(", ".join(sectors.get(name, name) for name in names) for names in names_of)]
        readings = item.readings.values()
        return [item.context, *(_TYPE.sub(lambda match: types.get(match[0], match[0]), text) for text in readings)]

    tables = {}
    for id, group in itertools.groupby(disagreements, key=lambda item: item.passage_id):
        items = list(group)
        heads = "".join(f"<th>{html.escape(name)}<br>{html.escape(kinds[name])}</th>" for name in items[0].readings)
        rows = ["".join(f"<td>{html.escape(cell)}</td>" for cell in to_cells(item)) for item in items]
        tables[id] = "".join(["<table>", *(f"<tr>{row}</tr>" for row in (f"<th></th>{heads}", *rows)), "</table>"])
    return tables
