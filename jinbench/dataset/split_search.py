"""The search for the split and the folds: what `jinbench split` does, and anyone can do again with the same answer.

Families move whole: the articles of a story, and stories that share a near-duplicate sentence or passage. What is
minimised (`_Objective.costs`) is how far each part is from its share of everything that matters (entity spans,
articles, each entity type, each sector, each layout), how many labels a part lacks, and how much of validation and test
lies in few articles.
"""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from jinbench.core.errors import DataError, Problem
from jinbench.core.types import Article, PassageLabels, Step
from jinbench.dataset import duplicates
from jinbench.dataset.splits import FOLD_COLUMNS, FOLDS, REPEATS, SPLITS
from jinbench.seeds.articles import Seeds

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class SplitTarget(NamedTuple):
    """What is wanted of a part: its share of everything, and the prices of two faults against a squared deviation.

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
FEW = 100  # families: up to so many, descents start anywhere and swap; more of them come near the optimum greedily
DESCENTS, DESCENTS_OF_MANY = 1000, 2 * REPEATS
ALIKE = 0.5  # how many of the pairs that two partitions keep together may be the same, at most
EMPTY = 1000.0  # the price of a part without any article
TINY = 1e-9  # a gain below this is rounding


def search_splits(
    seed: Seeds, gold: dict[str, PassageLabels], random_state: int = 0, step: Step = lambda what, done, of: None
) -> str:
    """splits.csv for these articles: article_id, story, split, fold_1 to fold_5. The same answer for the same input.

    Raises :class:`DataError` (split-mismatch) if there are fewer families than parts.
    """
    family = find_story_groups(seed)
    if len(set(family.values())) < len(TARGETS):
        expected, found = f"{len(TARGETS)} families or more, one a part", str(len(set(family.values())))
        hint = "more articles; or other stories, if these are about several events"
        raise DataError(
            Problem(
                "split-mismatch", location="the articles of articles.toml", expected=expected, found=found, fix=hint
            )
        )
    table, names = _brought(seed, gold, family)
    members = sorted(set(family.values()))
    split = _optima(table, names, list(TARGETS.values()), random_state, partial(step, "splits"))[0]
    folds = _unlike(_optima(table, names, [FOLD_TARGET] * FOLDS, random_state, partial(step, "folds")))
    place = {name: [SPLITS[split[i]], *(int(fold[i]) for fold in folds)] for i, name in enumerate(members)}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["article_id", "story", "split", *FOLD_COLUMNS])
    writer.writerows([article.id, article.story, *place[family[article.story]]] for article in seed.articles)
    return out.getvalue()


def find_story_groups(seed: Seeds) -> dict[str, str]:
    """For each story the family that it moves with: stories with a near-duplicate item in common are one."""
    pairs = []
    for texts in ([(article.story, text) for article in seed.articles for text in of(article)] for of in _TEXTS):
        stories = [story for story, _ in texts]
        found = duplicates.find_near_duplicates([text for _, text in texts], stories)
        pairs += [(stories[pair.first], stories[pair.second]) for pair in found]
    return duplicates.connect_groups((article.story for article in seed.articles), pairs)


def _sentences(article: Article) -> Iterator[str]:
    for passage in article.passages:
        for sentence in passage.sentences:
            yield passage.text[sentence.start : sentence.end]


def _passages(article: Article) -> Iterator[str]:
    return (passage.text for passage in article.passages)


_TEXTS = (_sentences, _passages)  # the items that systems are fitted on and scored by


def _brought(seed: Seeds, gold: dict[str, PassageLabels], family: dict[str, str]) -> tuple["Array", list[str]]:
    """What each family brings, a row each, and the names of the columns."""
    import numpy as np

    brought: dict[str, Counter[str]] = defaultdict(Counter)
    for article in seed.articles:
        counts = brought[family[article.story]]
        spans = 0
        for passage in article.passages:
            labelled = gold[passage.id]
            counts.update(f"entity {span.type}" for span in labelled.spans)
            counts.update(f"sector {name}" for name in labelled.sectors)
            counts[f"layout {article.layout}"] += len(passage.text)
            spans += len(labelled.spans)
        counts[SPANS] += spans
        counts[SQUARES] += spans**2
        counts[ARTICLES] += 1
    names = sorted({name for counts in brought.values() for name in counts} | {SQUARES, SPANS})
    return np.array([[brought[name][column] for column in names] for name in sorted(brought)], dtype=float), names


@dataclass(frozen=True)
class _Objective:
    """What is minimised: a sum over the parts of a function of what the families of a part bring together."""

    weights: "Array"  # (columns,)
    totals: "Array"  # (columns,)
    wanted: "Array"  # (parts, 3): the fields of a Part
    articles: int  # the numbers of these columns
    spans: int
    squares: int

    def costs(self, sums: "Array", part: "Array | int") -> "Array":
        """The cost of parts that bring `sums` (…, columns), each being the part of that number.

        The squared deviation of a share, relative to it, as a weighted mean over the columns; the price of what is
        absent; and the price of concentration, which is the sum of the squared shares of the articles in the part's
        spans (Simpson 1949): one over the number of articles that would weigh the same if all were of one size.
        """
        import numpy as np

        share, absent, concentrated = np.moveaxis(self.wanted[part], -1, 0)
        deviation = ((sums / self.totals - share[..., None]) / share[..., None]) ** 2 @ self.weights
        missing = (sums == 0) @ (self.weights > 0).astype(float) / np.count_nonzero(self.weights)
        simpson = sums[..., self.squares] / np.maximum(sums[..., self.spans], 1) ** 2
        cost: Array = deviation / self.weights.sum() + absent * missing + concentrated * simpson
        cost += EMPTY * (sums[..., self.articles] == 0)
        return cost / len(self.wanted)


def _optima(
    table: "Array",
    names: list[str],
    parts: Sequence[SplitTarget],
    random_state: int,
    step: Callable[[int, int], None] = lambda done, of: None,
) -> list["Array"]:
    """Steepest descent over moves and swaps of families, from random starts: where each ended, the best first."""
    import numpy as np

    objective = _Objective(
        np.array([WEIGHTS[name.partition(" ")[0]] for name in names]),
        np.maximum(table.sum(axis=0), 1),
        np.array(parts),
        *(names.index(name) for name in (ARTICLES, SPANS, SQUARES)),
    )
    rng = np.random.default_rng(random_state)
    found = []
    starts = DESCENTS if len(table) <= FEW else DESCENTS_OF_MANY
    for start in range(starts):
        assigned = rng.choice(len(parts), size=len(table), p=[part.share for part in parts])
        if len(table) > FEW:
            assigned = _greedy(table, objective, rng.permutation(len(table)))
        cost = _descend(table, objective, assigned)
        found.append((round(cost, 9), start, assigned))
        step(start + 1, starts)
    return [assigned for _, _, assigned in sorted(found, key=lambda each: each[:2])]


def _unlike(partitions: list["Array"]) -> list["Array"]:
    """The best `REPEATS` partitions that differ: of two, at most `ALIKE` of the pairs kept together are the same."""
    import numpy as np

    for limit in (ALIKE, 1.0):  # few families have few partitions
        chosen: list[Array] = []
        together: list[Array] = []
        for partition in partitions:
            pairs = np.equal.outer(partition, partition) & ~np.eye(len(partition), dtype=bool)
            if all((pairs & other).sum() <= limit * (pairs | other).sum() for other in together):
                chosen.append(partition)
                together.append(pairs)
            if len(chosen) == REPEATS:
                return chosen
    return chosen


def _descend(table: "Array", objective: _Objective, assigned: "Array") -> float:
    """Improve `assigned` in place until no move of one family, and no swap of two, is better; returns the cost."""
    import numpy as np

    parts = np.arange(len(objective.wanted))
    sums = np.stack([table[assigned == part].sum(axis=0) for part in parts])
    costs = objective.costs(sums, parts)
    while True:
        without = objective.costs(sums[assigned] - table, assigned) - costs[assigned]
        gain = without[:, None] + objective.costs(sums + table[:, None, :], parts) - costs
        gain[np.arange(len(table)), assigned] = 0
        family, part = divmod(int(np.argmin(np.round(gain, 9))), len(parts))
        moves = [(family, part)]
        if gain[family, part] >= -TINY:
            swap = _swap(table, objective, assigned, sums, costs) if len(table) <= FEW else None
            if swap is None:
                return float(costs.sum())
            one, other = swap
            moves = [(one, int(assigned[other])), (other, int(assigned[one]))]
        for family, part in moves:
            sums[assigned[family]] -= table[family]
            sums[part] += table[family]
            assigned[family] = part
        costs = objective.costs(sums, parts)


def _greedy(table: "Array", objective: _Objective, order: "Array") -> "Array":
    """Each family in turn to the part that it serves best, all other things being as they are."""
    import numpy as np

    parts = np.arange(len(objective.wanted))
    assigned = np.zeros(len(table), dtype=int)
    sums = np.zeros((len(parts), table.shape[1]))
    for family in order:
        gain = objective.costs(sums + table[family], parts) - objective.costs(sums, parts)
        assigned[family] = int(np.argmin(np.round(gain, 9)))
        sums[assigned[family]] += table[family]
    return assigned


def _swap(
    table: "Array", objective: _Objective, assigned: "Array", sums: "Array", costs: "Array"
) -> tuple[int, int] | None:
    """The first swap of two families that improves, or None."""
    import numpy as np

    for one in range(1, len(table)):
        others = np.flatnonzero(assigned[:one] != assigned[one])
        if not len(others):
            continue
        here, there = assigned[one], assigned[others]
        moved = table[others] - table[one]
        gain = objective.costs(sums[here] + moved, here) - costs[here]
        gain += objective.costs(sums[there] - moved, there) - costs[there]
        best = int(np.argmin(np.round(gain, 9)))
        if gain[best] < -TINY:
            return one, int(others[best])
    return None
