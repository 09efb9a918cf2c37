"""Between annotators: a project that shows their readings side by side, and an export that says why.

What they agree on is accepted; what they do not is left to the adjudicator.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinbench import annotation, annotators, disagreements, exports, projects, pushing, shares
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem
from jinbench.core.types import PassageLabels, Step
from jinbench.disagreements import Disagreement
from jinbench.exchange import retry
from jinbench.labels import LabelSet
from jinbench.pushing import Pushed
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


def labels_to_adjudicate(
    benchmark: Benchmark, seed: Seeds, label_set: LabelSet, adjudicator: str
) -> dict[str, dict[str, PassageLabels]]:
    """The labels of the annotators between whom `adjudicator` decides, by name and passage, each of its whole share.

    Raises :class:`DataError` (wrong-shape, file-missing, passage-unlabelled, and those of the exports).
    """
    names = annotators.read_annotators(benchmark).adjudicates(adjudicator)
    if not names:
        place = f"{files.shown(benchmark.annotation / 'annotators.toml')} {adjudicator}"
        hint = "name there the annotators between whom it decides"
        raise DataError(Problem("wrong-shape", place, 'adjudicates = ["…", "…"]', "none", hint))
    dealt = shares.read_assignments(benchmark, seed)
    found = {}
    missing = [name for name in names if not exports.export_path(benchmark, name).is_file()]
    if missing:
        hint = f"jinbench annotate pull; or correct adjudicates = […] in {files.shown(benchmark.annotators)}"
        places = [files.shown(exports.export_path(benchmark, name)) for name in missing]
        raise DataError(
            [Problem("file-missing", place, "an annotator's export", "no such file", hint) for place in places]
        )
    for name in names:
        share = shares.passages_of(dealt, seed, name)
        whole = True if share is None else share
        labelled = exports.read_export(exports.export_path(benchmark, name), seed.passages(), label_set, name, whole)
        found[name] = {entry.passage_id: entry for entry in labelled}
    return found


def agreed(found: dict[str, dict[str, PassageLabels]], adjudicator: str) -> dict[str, PassageLabels]:
    """What all who labelled a passage have in common, by passage."""
    common: dict[str, PassageLabels] = {}
    for reading in found.values():
        for id, entry in reading.items():
            common[id] = disagreements.common_labels(common.get(id, entry), entry, adjudicator)
    return common


def open_questions(benchmark: Benchmark, seed: Seeds, label_set: LabelSet, adjudicator: str) -> list[Disagreement]:
    """Every disagreement of the annotators, before anything is decided."""
    return disagreements.find_disagreements(
        seed.passages(), labels_to_adjudicate(benchmark, seed, label_set, adjudicator), {}
    )


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
    questions = disagreements.find_disagreements(seed.passages(), found, {})
    tasks = retry(client, lambda: projects.tasks_by_passage(client, pushed.project))
    begun = {id for id, (task, *_) in tasks.items() if projects.has_work(task)}
    decided = {entry.passage_id: entry for entry in annotation.fetch(client, seed, label_set, adjudicator)}
    accepted = [entry for id, entry in common.items() if id not in begun | {each.passage_id for each in questions}]
    annotation.submit(
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


def _decisions(
    seed: Seeds, found: dict[str, dict[str, PassageLabels]], adjudicator: str, decided: dict[str, PassageLabels]
) -> list[Disagreement]:
    passages = (passage for passage in seed.passages() if passage.id in decided)
    return disagreements.find_disagreements(passages, {**found, adjudicator: decided}, _reasons(decided))


def _reasons(decided: dict[str, PassageLabels]) -> dict[str, tuple[str, ...]]:
    return {id: entry.reasons for id, entry in decided.items()}


def check(benchmark: Benchmark, seed: Seeds, label_set: LabelSet, adjudicator: str) -> list[Disagreement]:
    """The decisions: every stretch on which annotators and adjudicator are not all of one mind, with the reason.

    Raises :class:`DataError`: passage-unlabelled for a disagreement that is still open, reason-missing, reason-unused,
    and those of the exports.
    """
    found = labels_to_adjudicate(benchmark, seed, label_set, adjudicator)
    path = exports.export_path(benchmark, adjudicator)
    decided = {entry.passage_id: entry for entry in exports.read_export(path, seed.passages(), label_set, adjudicator)}
    taken = _decisions(seed, found, adjudicator, decided)
    waiting = [
        each for each in disagreements.find_disagreements(seed.passages(), found, {}) if each.passage_id not in decided
    ]
    hint = "decide it in Label Studio (jinbench annotate adjudicate says where), and pull again"
    problems = [
        Problem("passage-unlabelled", f"{files.shown(path)} task {id}", f"a decision of {adjudicator}", "none", hint)
        for id in dict.fromkeys(each.passage_id for each in waiting)
    ]
    problems += disagreements.problems(taken, _reasons(decided), files.shown(path))
    if problems:
        raise DataError(problems)
    return taken
