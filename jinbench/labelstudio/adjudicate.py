"""Between annotators: a project that shows their readings side by side, and an export that says why.

What they agree on is accepted; what they do not is left to the adjudicator.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinbench.annotation import adjudication
from jinbench.annotation.adjudication import Disagreement, _decisions, agreed, labels_to_adjudicate
from jinbench.annotation.labels import LabelSet
from jinbench.core.benchmark import Benchmark
from jinbench.core.types import PassageLabels, Step
from jinbench.labelstudio import annotations, projects
from jinbench.labelstudio import push as pushing
from jinbench.labelstudio.push import Pushed
from jinbench.labelstudio.server.client import retry
from jinbench.seeds.articles import Seeds

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

AGREED = "agreed"  # the prediction that an adjudicator starts from


@dataclass(frozen=True)
class Adjudication:
    """What lies before an adjudicator: the project, how many passages were accepted now, what is still to decide or
    lacks a reason, the passages that were skipped or left as drafts, and where each passage with any of that is opened.
    """

    pushed: Pushed
    accepted: int
    to_decide: list[Disagreement]
    left: list[str]
    urls: dict[str, str]


def push(
    client: "LabelStudio", benchmark: Benchmark, seed: Seeds, label_set: LabelSet, adjudicator: str, step: Step
) -> Adjudication:
    """Make the adjudicator's project or bring it up to date, and accept there what the annotators agree on.

    A task that the adjudicator has touched, even to skip it, is left alone.
    Raises :class:`DataError`, :class:`ServerError`.
    """
    found = labels_to_adjudicate(benchmark, seed, label_set, adjudicator)
    common = agreed(found, adjudicator)
    pushed = _show(client, benchmark, seed, label_set, adjudicator, found, common, step)
    questions = adjudication.find_disagreements(seed.passages(), found, {})
    tasks = retry(client, lambda: projects.tasks_by_passage(client, pushed.project))
    begun = {id for id, (task, *_) in tasks.items() if projects.has_work(task)}
    decided = {entry.passage_id: entry for entry in annotations.fetch(client, seed, label_set, adjudicator)}
    accepted = [entry for id, entry in common.items() if id not in begun | {each.passage_id for each in questions}]
    annotations.submit(
        client, seed, label_set, adjudicator, accepted, projects.counter(step, f"accept {adjudicator}", len(accepted))
    )
    to_decide = [each for each in questions if each.passage_id not in decided]
    to_decide += [each for each in _decisions(seed, found, adjudicator, decided) if not each.reason]
    left = sorted(begun - decided.keys())
    urls = {id: f"{pushed.url}?task={tasks[id][0].id}" for id in (*(each.passage_id for each in to_decide), *left)}
    return Adjudication(pushed, len(accepted), to_decide, left, urls)


def show(
    client: "LabelStudio", benchmark: Benchmark, seed: Seeds, label_set: LabelSet, adjudicator: str, step: Step
) -> Pushed:
    """The adjudicator's project with all readings in it, and nothing accepted yet. Raises as :func:`push`."""
    found = labels_to_adjudicate(benchmark, seed, label_set, adjudicator)
    return _show(client, benchmark, seed, label_set, adjudicator, found, agreed(found, adjudicator), step)


def _show(
    client: "LabelStudio",
    benchmark: Benchmark,
    seed: Seeds,
    label_set: LabelSet,
    adjudicator: str,
    found: dict[str, dict[str, PassageLabels]],
    common: dict[str, PassageLabels],
    step: Step,
) -> Pushed:
    counted = projects.counter(step, f"push {adjudicator}", len(common))
    return pushing.push(client, benchmark, seed, label_set, adjudicator, counted, {**found, AGREED: common})
