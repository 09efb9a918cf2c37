"""The search for balanced, group-disjoint splits and folds."""

import csv
import itertools
import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from jinbench.annotation.gold import read_gold
from jinbench.annotation.workspace import Workspace
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.dataset import load, split_search, splits
from jinbench.dataset.split_search import FOLD_TARGET, TARGETS
from jinbench.dataset.splits import FOLD_COLUMNS, SPLITS
from jinbench.seeds import articles


def read_assignment_rows(real: Benchmark) -> dict[str, dict[str, str]]:
    return {row["article_id"]: row for row in csv.DictReader(real.splits.open())}


def count_spans(real: Benchmark) -> Counter[str]:
    return Counter(row["article_id"] for row in load.read_rows(real, "ner") for _ in row["spans"])


def test_shares_are_near_what_was_asked(real: Benchmark) -> None:
    sizes, rows = count_spans(real), read_assignment_rows(real)
    for split, part in TARGETS.items():
        share = sum(n for id, n in sizes.items() if rows[id]["split"] == split) / sizes.total()
        assert abs(share - part.share) < 0.04, split
    for column in FOLD_COLUMNS:
        folds = Counter[str]()
        for id, n in sizes.items():
            folds[rows[id][column]] += n
        assert len(folds) == splits.FOLDS
        assert max(folds.values()) < 1.2 * sizes.total() / splits.FOLDS


def test_no_single_article_decides_a_test_score(real: Benchmark) -> None:
    counts = load.read_statistics(real)
    for split in ("validation", "test"):
        assert counts["largest_article"][split] < counts["spans"][split] / 3
        assert counts["effective_articles"][split] > 4


def test_every_label_is_in_every_split(real: Benchmark) -> None:
    counts = load.read_statistics(real)
    for name, per_split in (counts["entities"] | counts["sectors"]).items():
        assert all(per_split.values()), name


def test_story_groups_stay_together(real: Benchmark) -> None:
    """Stories, and the two reports that share a long list of guests."""
    seeds, rows = articles.read_seeds(real), read_assignment_rows(real)
    group_of = split_search.find_story_groups(seeds)
    assert group_of["talent-conference"] == group_of["expo-opening"]
    sides = defaultdict(set)
    for article in seeds.articles:
        row = rows[article.id]
        sides[group_of[article.story]].add(tuple(row[column] for column in ("split", *FOLD_COLUMNS)))
    assert all(len(group_sides) == 1 for group_sides in sides.values())
    assert len(sides) < len({article.story for article in seeds.articles})


def test_the_five_partitions_differ(real: Benchmark) -> None:
    rows = read_assignment_rows(real)
    for one, other in itertools.combinations(FOLD_COLUMNS, 2):
        pairs = [
            {frozenset((a, b)) for a in rows for b in rows if a < b and rows[a][column] == rows[b][column]}
            for column in (one, other)
        ]
        assert len(pairs[0] & pairs[1]) < 0.6 * len(pairs[0] | pairs[1])


@pytest.mark.slow
@pytest.mark.parametrize("parts", [list(TARGETS.values()), [FOLD_TARGET] * splits.FOLDS])
def test_what_the_descent_thinks_it_gains_is_what_it_gains(parts: list[split_search.SplitTarget]) -> None:
    """The sums are updated move by move; from scratch they must give the same cost, and no single move a lower one."""
    rng = np.random.default_rng(3)
    table = rng.integers(0, 9, (14, 6)).astype(float)
    objective = split_search._Objective(
        np.array([40, 0, 40, 1, 1, 1.0]), np.maximum(table.sum(axis=0), 1), np.array(parts), 2, 0, 1
    )

    def cost(assigned: np.ndarray) -> float:
        sums = np.stack([table[assigned == part].sum(axis=0) for part in range(len(parts))])
        return float(sum(objective.costs(sums[part], np.int64(part)) for part in range(len(parts))))

    assigned = rng.integers(0, len(parts), 14)
    best_cost = split_search._descend(table, objective, assigned)
    assert best_cost == pytest.approx(cost(assigned))
    for family, part in itertools.product(range(14), range(len(parts))):
        moved = assigned.copy()
        moved[family] = part
        assert cost(moved) > best_cost - 1e-6


def test_too_few_stories_are_named(mini: Benchmark) -> None:
    mini.articles.write_text(re.sub(r'story = ".*"', 'story = "one"', mini.articles.read_text()))
    workspace = Workspace(mini)
    with pytest.raises(DataError, match="3 groups of stories or more"):
        split_search.search_splits(workspace.seeds, read_gold(workspace, ()))


def test_a_small_world_has_a_split(mini: Benchmark) -> None:
    workspace = Workspace(mini)
    mini.splits.write_text(split_search.search_splits(workspace.seeds, read_gold(workspace, ())))
    assignments = splits.read_splits(mini, workspace.seeds.articles)
    assert {place.split for place in assignments.values()} == set(SPLITS)
    assert len(assignments) == 5
