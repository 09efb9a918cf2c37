"""Which articles train, validate and test, and the folds for cross-validation: splits.csv, and the search for it.

Stories move whole. What is minimised is how far each part is from its share of everything that matters: entity spans
in all, articles (the unit of every interval), each entity type, each sector, each layout.
"""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinbench import files
from jinbench.problems import DataError, Problem, raise_if_any
from jinbench.records import Article, Labels
from jinbench.rooms import Rooms
from jinbench.seeds import Seeds

if TYPE_CHECKING:
    import numpy as np

SHARES = {"train": 0.60, "validation": 0.15, "test": 0.25}
FOLDS = 5
SPLITS = tuple(SHARES)
RESTARTS = 20
SIZES = {"size articles": 10.0, "size spans": 10.0}  # what weighs more than a single label, and by how much
ABSENT = 1.0  # the price of a label that a part has none of, against the squared deviation of a share


@dataclass(frozen=True)
class Place:
    """Where an article stands: its split and its fold."""

    split: str
    fold: int


def read_splits(where: Rooms, articles: Iterable[Article]) -> dict[str, Place]:
    """splits.csv, by article. Raises :class:`DataError` (file-missing, split-mismatch)."""
    path = where.splits
    text = files.read_text(path, "make it with: jinbench split")
    shown = files.shown(path)
    try:
        rows = list(csv.DictReader(io.StringIO(text)))
    except csv.Error as error:
        raise DataError(
            Problem("split-mismatch", shown, "comma-separated values", str(error), "jinbench split --write")
        ) from None
    hint = "jinbench split --write makes a new one; that makes older scores incomparable"
    problems = []
    places: dict[str, Place] = {}
    for number, row in enumerate(rows, 2):
        id, split, fold = (row.get(key) or "" for key in ("article_id", "split", "fold"))
        if split not in SPLITS or fold not in map(str, range(FOLDS)) or id in places:
            problems.append(
                Problem(
                    "split-mismatch",
                    f"{shown}:{number}",
                    f"article_id, one of {', '.join(SPLITS)}, a fold from 0 to {FOLDS - 1}",
                    f"{id},{split},{fold}",
                    hint,
                )
            )
            continue
        places[id] = Place(split, int(fold))
    articles = list(articles)
    ids = {article.id for article in articles}
    for id in sorted(ids ^ places.keys()):
        problems.append(
            Problem(
                "split-mismatch",
                shown,
                "each article of articles.toml once",
                f"{id} {'missing' if id in ids else 'unknown'}",
                hint,
            )
        )
    for split in SPLITS:
        if not any(place.split == split for place in places.values()):
            problems.append(Problem("split-mismatch", shown, f"an article in {split}", "none", hint))
    stories: dict[str, set[Place]] = defaultdict(set)
    for article in articles:
        if article.id in places:
            stories[article.story].add(places[article.id])
    for story, found in sorted(stories.items()):
        if len(found) > 1:
            problems.append(
                Problem(
                    "split-mismatch",
                    shown,
                    f"all articles of the story {story!r} in one split and fold",
                    ", ".join(sorted(f"{p.split}/{p.fold}" for p in found)),
                    hint,
                )
            )
    raise_if_any(problems)
    return places


def search(seed: Seeds, gold: dict[str, Labels], random_state: int = 0) -> str:
    """splits.csv for these articles: article_id, story, split, fold. The same answer for the same input."""
    import numpy as np

    weights = _weights(seed, gold)
    stories = sorted(weights)
    names = sorted({name for counts in weights.values() for name in counts})
    table = np.array([[weights[story][name] for name in names] for story in stories], dtype=float)
    weight = np.array([SIZES.get(name, 1.0) for name in names])
    split = _assign(table, weight, list(SHARES.values()), random_state)
    fold = _assign(table, weight, [1 / FOLDS] * FOLDS, random_state)
    part = {story: (list(SHARES)[split[i]], int(fold[i])) for i, story in enumerate(stories)}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["article_id", "story", "split", "fold"])
    writer.writerows([article.id, article.story, *part[article.story]] for article in seed.articles)
    return out.getvalue()


def _weights(seed: Seeds, gold: dict[str, Labels]) -> dict[str, Counter[str]]:
    """What each story brings, by name."""
    weights: dict[str, Counter[str]] = defaultdict(Counter)
    for article in seed.articles:
        counts = weights[article.story]
        for passage in article.passages:
            labelled = gold[passage.id]
            counts.update(f"entity {span.type}" for span in labelled.spans)
            counts.update(f"sector {name}" for name in labelled.sectors)
            counts[f"layout {article.layout}"] += len(passage.text)
            counts["size spans"] += len(labelled.spans)
        counts["size articles"] += 1
    return weights


def _cost(
    table: "np.ndarray[Any, Any]",
    weight: "np.ndarray[Any, Any]",
    assigned: "np.ndarray[Any, Any]",
    shares: Sequence[float],
) -> float:
    """Mean squared deviation of each part's share of each column, in units of the share."""
    import numpy as np

    parts = np.stack([table[assigned == part].sum(axis=0) for part in range(len(shares))])
    wanted = np.array(shares)[:, None]
    deviation = ((parts / np.maximum(table.sum(axis=0), 1) - wanted) / wanted) ** 2
    return float((deviation * weight).sum(axis=1).mean() / weight.sum() + ABSENT * (parts == 0).mean())


def _assign(
    table: "np.ndarray[Any, Any]", weight: "np.ndarray[Any, Any]", shares: Sequence[float], random_state: int
) -> "np.ndarray[Any, Any]":
    """Hill climbing over moves and swaps of stories, from several random starts; the best of them."""
    import numpy as np

    rng = np.random.default_rng(random_state)
    best, best_cost = rng.choice(len(shares), size=len(table)), np.inf
    for _ in range(RESTARTS):
        assigned = rng.choice(len(shares), size=len(table), p=np.array(shares) / sum(shares))
        cost = _cost(table, weight, assigned, shares)
        improved = True
        while improved:
            improved = False
            for neighbour in _neighbours(assigned, len(shares)):
                new = _cost(table, weight, neighbour, shares)
                if new < cost - 1e-12:
                    assigned, cost, improved = neighbour, new, True
                    break
        if cost < best_cost - 1e-12:
            best, best_cost = assigned, cost
    return best


def _neighbours(assigned: "np.ndarray[Any, Any]", parts: int) -> Iterable["np.ndarray[Any, Any]"]:
    for i in range(len(assigned)):
        for part in range(parts):
            if part != assigned[i]:
                moved = assigned.copy()
                moved[i] = part
                yield moved
        for j in range(i):
            if assigned[i] != assigned[j]:
                swapped = assigned.copy()
                swapped[[i, j]] = assigned[[j, i]]
                yield swapped
