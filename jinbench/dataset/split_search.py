"""Search for balanced, group-disjoint splits and folds; the same input gives the same answer.

A group moves whole: the articles of a story, and stories that share a near-duplicate sentence or passage. The objective
(`_Objective.costs`) is the deviation of each part from its share of everything that matters (entity spans, articles,
each entity type, each sector, each layout), the labels that a part lacks, and the concentration of validation and test
in few articles.
"""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from jinbench.core.errors import fail
from jinbench.core.types import Article, PassageLabels, Step
from jinbench.dataset import duplicates
from jinbench.dataset.splits import FOLD_COLUMNS, FOLDS, REPEATS, SPLITS
from jinbench.seeds.articles import Seeds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Ints: TypeAlias = NDArray[np.int64]


class SplitTarget(NamedTuple):
    """Target of a part: its share of everything, and the costs of two faults relative to a squared deviation.

    `absent`: of having none of any label. `concentrated`: of lying all in one article; two even ones cost half of it.
    """

    share: float
    absent: float
    concentrated: float


TARGETS = {"train": SplitTarget(0.60, 10, 0), "validation": SplitTarget(0.15, 3, 1), "test": SplitTarget(0.25, 10, 2)}
FOLD_TARGET = SplitTarget(1 / FOLDS, 0.3, 0)
# How much a deviation weighs: of all spans, of articles, of each entity type, sector and layout.
WEIGHTS = {"spans": 160.0, "articles": 10.0, "entity": 3.0, "sector": 1.0, "layout": 1.0, "squares": 0.0}
SPANS, ARTICLES, SQUARES = "spans", "articles", "squares"  # columns; the others are named "entity NAME" and so on
FEW = 100  # groups: up to so many, descents start anywhere and swap; more of them come near the optimum greedily
DESCENTS, DESCENTS_OF_MANY = 1000, 2 * REPEATS
MAX_SIMILARITY = 0.5  # of two partitions: Jaccard similarity of the pairs that they keep together
EMPTY = 1000.0  # the cost of a part without any article
TINY = 1e-9  # a gain below this is rounding


def search_splits(
    seeds: Seeds, gold: Mapping[str, PassageLabels], random_state: int = 0, step: Step = lambda what, done, of: None
) -> str:
    """Return splits.csv for these articles: article_id, story, split, fold_1 to fold_5.

    Raises :class:`DataError` (split-mismatch) if there are fewer groups of stories than parts.
    """
    group_of = find_story_groups(seeds)
    groups = sorted(set(group_of.values()))
    if len(groups) < len(TARGETS):
        expected = f"{len(TARGETS)} groups of stories or more, one a part"
        fix = "add articles; or give articles other stories, if these are about several events"
        fail("split-mismatch", "the articles of articles.toml", expected=expected, found=str(len(groups)), fix=fix)
    table, names = _count_by_group(seeds, gold, group_of)
    split = _optima(table, names, list(TARGETS.values()), random_state, partial(step, "splits"))[0]
    folds = _select_dissimilar(_optima(table, names, [FOLD_TARGET] * FOLDS, random_state, partial(step, "folds")))
    assigned = {group: [SPLITS[split[i]], *(int(fold[i]) for fold in folds)] for i, group in enumerate(groups)}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["article_id", "story", "split", *FOLD_COLUMNS])
    writer.writerows([article.id, article.story, *assigned[group_of[article.story]]] for article in seeds.articles)
    return out.getvalue()


def find_story_groups(seeds: Seeds) -> dict[str, str]:
    """Return for each story its group: stories with a near-duplicate item in common are one group."""
    pairs = []
    for items_of in (_sentences, _passages):  # the items that systems are fitted on and scored by
        items = [(article.story, text) for article in seeds.articles for text in items_of(article)]
        stories = [story for story, _ in items]
        near = duplicates.find_near_duplicates([text for _, text in items], stories)
        pairs += [(stories[pair.first], stories[pair.second]) for pair in near]
    return duplicates.connect_groups((article.story for article in seeds.articles), pairs)


def _sentences(article: Article) -> Iterator[str]:
    for passage in article.passages:
        for sentence in passage.sentences:
            yield passage.text[sentence.start : sentence.end]


def _passages(article: Article) -> Iterator[str]:
    return (passage.text for passage in article.passages)


def _count_by_group(
    seeds: Seeds, gold: Mapping[str, PassageLabels], group_of: Mapping[str, str]
) -> tuple["Floats", list[str]]:
    """Return the counts of each group (groups, columns), groups sorted, and the names of the columns."""
    import numpy as np

    by_group: dict[str, Counter[str]] = defaultdict(Counter)
    for article in seeds.articles:
        counts = by_group[group_of[article.story]]
        spans = 0
        for passage in article.passages:
            labels = gold[passage.id]
            counts.update(f"entity {span.type}" for span in labels.spans)
            counts.update(f"sector {name}" for name in labels.sectors)
            counts[f"layout {article.layout}"] += len(passage.text)
            spans += len(labels.spans)
        counts[SPANS] += spans
        counts[SQUARES] += spans**2
        counts[ARTICLES] += 1
    names = sorted({name for counts in by_group.values() for name in counts} | {SQUARES, SPANS})
    return np.array([[by_group[group][column] for column in names] for group in sorted(by_group)], dtype=float), names


@dataclass(frozen=True)
class _Objective:
    """The objective to minimise: a sum over the parts of a function of the summed counts of their groups."""

    weights: "Floats"  # (columns,)
    totals: "Floats"  # (columns,)
    targets: "Floats"  # (parts, 3): the fields of a SplitTarget
    articles: int  # the numbers of these columns
    spans: int
    squares: int

    def costs(self, sums: "Floats", part: "Ints | int") -> "Floats":
        """Return the cost of the parts numbered `part` whose counts are `sums` (…, columns).

        The squared deviation of a share, relative to it, as a weighted mean over the columns; the cost of what is
        absent; and the cost of concentration, which is the sum of the squared shares of the articles in the part's
        spans (Simpson 1949): one over the number of articles that would weigh the same if all were of one size.
        """
        import numpy as np

        share, absent, concentrated = np.moveaxis(self.targets[part], -1, 0)
        deviation = ((sums / self.totals - share[..., None]) / share[..., None]) ** 2 @ self.weights
        missing = (sums == 0) @ (self.weights > 0).astype(float) / np.count_nonzero(self.weights)
        simpson = sums[..., self.squares] / np.maximum(sums[..., self.spans], 1) ** 2
        cost: Floats = deviation / self.weights.sum() + absent * missing + concentrated * simpson
        cost += EMPTY * (sums[..., self.articles] == 0)
        return cost / len(self.targets)


def _optima(
    table: "Floats",
    names: list[str],
    targets: Sequence[SplitTarget],
    random_state: int,
    step: Callable[[int, int], None] = lambda done, of: None,
) -> list["Ints"]:
    """Return the partitions that steepest descent over moves and swaps of groups ends in, the best first."""
    import numpy as np

    objective = _Objective(
        np.array([WEIGHTS[name.partition(" ")[0]] for name in names]),
        np.maximum(table.sum(axis=0), 1),
        np.array(targets),
        *(names.index(name) for name in (ARTICLES, SPANS, SQUARES)),
    )
    rng = np.random.default_rng(random_state)
    optima = []
    starts = DESCENTS if len(table) <= FEW else DESCENTS_OF_MANY
    for start in range(starts):
        assigned = rng.choice(len(targets), size=len(table), p=[target.share for target in targets])
        if len(table) > FEW:
            assigned = _assign_greedily(table, objective, rng.permutation(len(table)))
        cost = _descend(table, objective, assigned)
        optima.append((round(cost, 9), start, assigned))
        step(start + 1, starts)
    return [assigned for _, _, assigned in sorted(optima, key=lambda optimum: optimum[:2])]


def _select_dissimilar(partitions: list["Ints"]) -> list["Ints"]:
    """Return the best `REPEATS` partitions of at most `MAX_SIMILARITY` to each other."""
    import numpy as np

    for limit in (MAX_SIMILARITY, 1.0):  # few groups have few partitions
        chosen: list[Ints] = []
        together: list[NDArray[np.bool_]] = []
        for partition in partitions:
            pairs = np.equal.outer(partition, partition) & ~np.eye(len(partition), dtype=bool)
            if all((pairs & other).sum() <= limit * (pairs | other).sum() for other in together):
                chosen.append(partition)
                together.append(pairs)
            if len(chosen) == REPEATS:
                return chosen
    return chosen


def _descend(table: "Floats", objective: _Objective, assigned: "Ints") -> float:
    """Improve `assigned` in place until no move of one group, and no swap of two, is better; return the cost."""
    import numpy as np

    parts = np.arange(len(objective.targets))
    sums = np.stack([table[assigned == part].sum(axis=0) for part in parts])
    costs = objective.costs(sums, parts)
    while True:
        without = objective.costs(sums[assigned] - table, assigned) - costs[assigned]
        gain = without[:, None] + objective.costs(sums + table[:, None, :], parts) - costs
        gain[np.arange(len(table)), assigned] = 0
        group, part = divmod(int(np.argmin(np.round(gain, 9))), len(parts))
        moves = [(group, part)]
        if gain[group, part] >= -TINY:
            swap = _find_swap(table, objective, assigned, sums, costs) if len(table) <= FEW else None
            if swap is None:
                return float(costs.sum())
            one, other = swap
            moves = [(one, int(assigned[other])), (other, int(assigned[one]))]
        for group, part in moves:
            sums[assigned[group]] -= table[group]
            sums[part] += table[group]
            assigned[group] = part
        costs = objective.costs(sums, parts)


def _assign_greedily(table: "Floats", objective: _Objective, order: "Ints") -> "Ints":
    """Assign each group in turn to the part that lowers the cost most."""
    import numpy as np

    parts = np.arange(len(objective.targets))
    assigned = np.zeros(len(table), dtype=int)
    sums = np.zeros((len(parts), table.shape[1]))
    for group in order:
        gain = objective.costs(sums + table[group], parts) - objective.costs(sums, parts)
        assigned[group] = int(np.argmin(np.round(gain, 9)))
        sums[assigned[group]] += table[group]
    return assigned


def _find_swap(
    table: "Floats", objective: _Objective, assigned: "Ints", sums: "Floats", costs: "Floats"
) -> tuple[int, int] | None:
    """Return the first swap of two groups that lowers the cost, or None."""
    import numpy as np

    for one in range(1, len(table)):
        others = np.flatnonzero(assigned[:one] != assigned[one])
        if not len(others):
            continue
        part, other_parts = assigned[one], assigned[others]
        moved = table[others] - table[one]
        gain = objective.costs(sums[part] + moved, part) - costs[part]
        gain += objective.costs(sums[other_parts] - moved, other_parts) - costs[other_parts]
        best = int(np.argmin(np.round(gain, 9)))
        if gain[best] < -TINY:
            return one, int(others[best])
    return None
