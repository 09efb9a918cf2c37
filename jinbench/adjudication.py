"""Between annotators: a project that shows their readings side by side, and an export that says why.

What they agree on is accepted; what they do not is left to the adjudicator.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinbench import annotation, annotators, disagreements, exports, files, projects
from jinbench.disagreements import Disagreement
from jinbench.labels import LabelSet
from jinbench.problems import DataError, Problem
from jinbench.projects import Pushed
from jinbench.records import Labels, Step
from jinbench.rooms import Rooms
from jinbench.seeds import Seeds

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

AGREED = "agreed"  # the prediction that an adjudicator starts from


@dataclass(frozen=True)
class Adjudication:
    """What an adjudicator has before him: the project, what needs no decision, and what does."""

    pushed: Pushed
    accepted: int
    to_decide: list[Disagreement]


def readings(where: Rooms, seed: Seeds, label_set: LabelSet, adjudicator: str) -> dict[str, dict[str, Labels]]:
    """The labels of the annotators between whom `adjudicator` decides, by name and passage.

    Raises :class:`DataError` (wrong-shape, file-missing, passage-unlabelled, and those of the exports).
    """
    names = annotators.read(where).between(adjudicator)
    if not names:
        place = f"{files.shown(where.annotation / 'annotators.toml')} {adjudicator}"
        hint = "name there the annotators between whom it decides"
        raise DataError(Problem("wrong-shape", place, 'adjudicates = ["…", "…"]', "none", hint))
    return {
        name: {
            entry.passage_id: entry
            for entry in exports.read(exports.path_of(where, name), seed.passages(), label_set, name, whole=True)
        }
        for name in names
    }


def agreed(found: dict[str, dict[str, Labels]], adjudicator: str) -> dict[str, Labels]:
    """What all readings have in common, by passage."""
    first, *others = found.values()
    common = {id: disagreements.agreed(entry, entry, adjudicator) for id, entry in first.items()}
    for other in others:
        common = {id: disagreements.agreed(entry, other[id], adjudicator) for id, entry in common.items()}
    return common


def open_questions(where: Rooms, seed: Seeds, label_set: LabelSet, adjudicator: str) -> list[Disagreement]:
    """Every disagreement of the annotators, before anything is decided."""
    return disagreements.find(seed.passages(), readings(where, seed, label_set, adjudicator), {})


def decisions(where: Rooms, seed: Seeds, label_set: LabelSet, adjudicator: str) -> list[Disagreement]:
    """Every stretch on which annotators and adjudicator are not all of one mind, with the adjudicator's reason."""
    found = readings(where, seed, label_set, adjudicator)
    path = exports.path_of(where, adjudicator)
    decided = {entry.passage_id: entry for entry in exports.read(path, seed.passages(), label_set, adjudicator)}
    reasons = {id: entry.reasons for id, entry in decided.items()}
    return disagreements.find(seed.passages(), {**found, adjudicator: decided}, reasons)


def push(
    client: "LabelStudio", where: Rooms, seed: Seeds, label_set: LabelSet, adjudicator: str, step: Step
) -> Adjudication:
    """Make the adjudicator's project or bring it up to date, and accept for him what the annotators agree on.

    Raises :class:`DataError`, :class:`ServerError`.
    """
    found = readings(where, seed, label_set, adjudicator)
    common = agreed(found, adjudicator)
    total = len(common)
    pushed = projects.push(
        client,
        where,
        seed,
        label_set,
        adjudicator,
        projects.counter(step, f"push {adjudicator}", total),
        {**found, AGREED: common},
    )
    to_decide = disagreements.find(seed.passages(), found, {})
    open_ids = {each.passage_id for each in to_decide}
    done = {entry.passage_id for entry in annotation.fetch(client, seed, label_set, adjudicator)}
    accepted = [entry for id, entry in common.items() if id not in open_ids | done]
    annotation.enter(
        client, seed, label_set, adjudicator, accepted, projects.counter(step, f"accept {adjudicator}", len(accepted))
    )
    return Adjudication(pushed, len(accepted), to_decide)


def check(where: Rooms, seed: Seeds, label_set: LabelSet, adjudicator: str) -> list[Disagreement]:
    """The decisions, each with its reason. Raises :class:`DataError` (reason-missing) if one has none."""
    found = decisions(where, seed, label_set, adjudicator)
    problems = disagreements.undecided(found, files.shown(exports.path_of(where, adjudicator)))
    if problems:
        raise DataError(problems)
    return found
