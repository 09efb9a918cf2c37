"""Assignment of articles to annotators (shares.csv).

An article stays whole: whoever labels one of its passages labels all of them. What has been assigned stays assigned.
An annotator whom shares.csv does not name labels everything.
"""

import csv
import io
import itertools
import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from jinbench.annotation.annotators import ADJUDICATOR, Annotators, find_login_clash, read_annotators
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import ErrorList, UsageError
from jinbench.core.types import Article
from jinbench.seeds.articles import Seeds

COLUMNS = ("article_id", "annotator")
TRIALS = 100  # orders that are tried; fewer with more articles, among which the first is even already
Assignments = Mapping[str, tuple[str, ...]]  # the annotators of each article


def assign_articles(
    articles: Iterable[Article], names: Sequence[str], overlap: int, existing: Assignments | None = None, seed: int = 0
) -> Assignments:
    """Assign each article to `overlap` annotators, balancing characters, articles and pairwise overlap.

    Of several assignments, in orders that `seed` draws, the most even one is returned.

    Args:
        articles: Articles; those without text are left out.
        names: Annotators.
        overlap: Number of annotators of each article.
        existing: Assignments that stay; articles with fewer annotators than `overlap` get more.
        seed: Random seed.

    Raises:
        ValueError: Unless `overlap` is between 1 and the number of names.
    """
    if not 1 <= overlap <= len(set(names)):
        raise ValueError(f"overlap: expected 1 to {len(set(names))}, the number of annotators, found {overlap}")
    lengths = {article.id: sum(len(passage.text) for passage in article.passages) for article in articles}
    initial = {id: tuple((existing or {}).get(id, ())) for id, length in lengths.items() if length}
    order = sorted(initial, key=lambda id: (-lengths[id], id))  # the long ones first: the short ones fill the gaps
    rng, best = random.Random(seed), (math.inf, initial)
    for _ in range(max(1, min(TRIALS, 100 * TRIALS // max(len(order), 1)))):
        assignment = _Assignment(names, overlap, lengths, initial)
        for id in order:
            assignment.complete(id)
        best = min(best, (assignment.imbalance(), assignment.annotators), key=lambda trial: trial[0])
        rng.shuffle(order)
    return {
        id: tuple(name for name in dict.fromkeys((*names, *assigned)) if name in assigned)
        for id, assigned in best[1].items()
    }


class _Assignment:
    """Assignment in progress, with running totals of each annotator and pair."""

    def __init__(self, names: Sequence[str], overlap: int, lengths: Mapping[str, int], initial: Assignments) -> None:
        self.names, self.overlap, self.lengths = names, overlap, lengths
        self.annotators: dict[str, tuple[str, ...]] = dict.fromkeys(initial, ())
        self.characters = Counter(dict.fromkeys(names, 0))
        self.articles = Counter(dict.fromkeys(names, 0))
        self.common = Counter({frozenset(pair): 0 for pair in itertools.combinations(names, 2)})
        for id, assigned in initial.items():
            for name in assigned:
                self.add(id, name)

    def add(self, id: str, name: str) -> None:
        for other in self.annotators[id]:
            self.common[frozenset((name, other))] += self.lengths[id]
        self.annotators[id] = (*self.annotators[id], name)
        self.characters[name] += self.lengths[id]
        self.articles[name] += 1

    def complete(self, id: str) -> None:
        """Assign an article to those with the fewest characters, and the fewest in common with its annotators."""
        while len(self.annotators[id]) < self.overlap:
            free = [name for name in self.names if name not in self.annotators[id]]
            self.add(id, min(free, key=partial(self._workload, id)))

    def _workload(self, id: str, name: str) -> tuple[int, int]:
        common = sum(self.common[frozenset((name, other))] for other in self.annotators[id])
        return self.characters[name] + common, self.articles[name]

    def imbalance(self) -> float:
        """Return the range of characters, articles and pairwise overlaps, each relative to its mean, as a sum."""

        def relative_range(counts: Iterable[int]) -> float:
            values = list(counts)
            return (max(values) - min(values)) * len(values) / (sum(values) or 1) if values else 0.0

        # Characters are the work, and weigh most.
        characters, articles, common = self.characters.values(), self.articles.values(), self.common.values()
        return 3 * relative_range(characters) + relative_range(articles) + relative_range(common)


def read_assignments(benchmark: Benchmark, seeds: Seeds) -> Assignments:
    """Read shares.csv; empty if there is none. Raises :class:`DataError` (assignment-unknown)."""
    path = benchmark.assignments
    if not path.is_file():
        return {}
    names = read_annotators(benchmark).names
    articles = {article.id for article in seeds.articles}
    problems = ErrorList()
    assignments: dict[str, tuple[str, ...]] = {}
    text = files.read_text(path)
    for number, row in enumerate(csv.reader(io.StringIO(text, newline="")), 1):
        if number == 1 and tuple(row) == COLUMNS:
            continue
        id, name = row if len(row) == 2 else ("", "")
        if id not in articles or name not in names or name in assignments.get(id, ()) or number == 1:
            problems.add(
                "assignment-unknown",
                f"{files.display_path(path)}:{number}",
                expected=",".join(COLUMNS) if number == 1 else "an article, and one of annotators.toml, each pair once",
                found=",".join(row) or "nothing",
                fix="correct the line, or move the file away and assign anew: jinbench annotate push",
            )
        else:
            assignments[id] = (*assignments.get(id, ()), name)
    problems.raise_if_any()
    return assignments


def write_assignments(benchmark: Benchmark, assignments: Assignments) -> None:
    """Write shares.csv, a line for each article and annotator."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((id, name) for id, names in assignments.items() for name in names)
    files.write_text(benchmark.assignments, out.getvalue())


def assigned_passages(assignments: Assignments, seeds: Seeds, name: str) -> list[str] | None:
    """Return the ids of the passages assigned to an annotator, in reading order; None for all of them."""
    if name not in set(itertools.chain.from_iterable(assignments.values())):
        return None
    return [p.id for article in seeds.articles if name in assignments.get(article.id, ()) for p in article.passages]


def summarize_assignments(assignments: Assignments, seeds: Seeds, names: Iterable[str]) -> list[dict[str, object]]:
    """Return for each annotator the numbers of articles, passages and characters assigned to it."""
    rows = []
    for name in names:
        articles = [a for a in seeds.articles if a.passages and (name in assignments.get(a.id, ()) or not assignments)]
        passages = [passage for article in articles for passage in article.passages]
        characters = sum(len(passage.text) for passage in passages)
        rows.append({"annotator": name, "articles": len(articles), "passages": len(passages), "characters": characters})
    return rows


@dataclass(frozen=True)
class AssignmentPlan:
    """Assignments as they are (`current`) and as they will be (`planned`), with a table row for each annotator."""

    names: list[str]
    overlap: int
    current: Assignments
    planned: Assignments
    rows: list[dict[str, object]]


def plan_assignments(
    benchmark: Benchmark, seeds: Seeds, chosen: Sequence[str] = (), overlap: int | None = None
) -> AssignmentPlan:
    """Plan who labels what; nothing is written.

    Args:
        benchmark: Its annotators.toml and shares.csv count, where there are any.
        seeds: The articles.
        chosen: Annotators; by default those of shares.csv, else of annotators.toml, else annotator-a.
        overlap: Number of annotators of each article; by default as assigned, else 2, or 1 for a single annotator.

    Returns:
        The plan. Without assignments everybody labels everything.

    Raises:
        UsageError: Two names are one login, the adjudicator would label too, `overlap` is too large, or nothing is
            left for an annotator.
        DataError: annotators.toml or shares.csv is invalid.
    """
    listed: Annotators | None = read_annotators(benchmark) if benchmark.annotators.is_file() else None
    current = read_assignments(benchmark, seeds) if listed else {}
    names = list(dict.fromkeys(chosen))
    if not names:
        independent = [entry.name for entry in listed.independent] if listed else ["annotator-a"]
        assigned = {name for names in current.values() for name in names}
        names = [name for name in independent if name in assigned] or independent
    if clash := find_login_clash((*(listed.names if listed else ()), *names)):
        raise UsageError(f"{' and '.join(clash)} would be one login")
    adjudicators = [name for name in names if (listed.adjudicated_by(name) if listed else name == ADJUDICATOR)]
    if adjudicators and (listed or len(names) > 1):
        raise UsageError(f"{adjudicators[0]} decides between the others. Its project: jinbench annotate adjudicate")
    number = overlap or max(map(len, current.values()), default=0) or min(2, len(names))
    if number > len(names):
        raise UsageError(f"--overlap: {number} of {len(names)} annotators")
    planned = current
    if current or chosen or overlap or not listed:
        planned = assign_articles(seeds.articles, names, number, current)
    rows = summarize_assignments(planned, seeds, names)
    if idle := [str(row["annotator"]) for row in rows if not row["articles"]]:
        raise UsageError(
            f"Nothing is left for {', '.join(idle)}: every passage has {number} annotators. Raise --overlap; or, "
            f"before anybody has begun, move {files.display_path(benchmark.assignments)} away to assign anew."
        )
    return AssignmentPlan(names, number, current, planned, rows)
