"""Which articles train, validate and test, and the folds for cross-validation: splits.csv, frozen."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem, raise_if_any
from jinbench.core.types import Article

SPLITS = ("train", "validation", "test")
FOLDS, REPEATS = 5, 5
FOLD_COLUMNS = tuple(f"fold_{repeat + 1}" for repeat in range(REPEATS))


@dataclass(frozen=True)
class SplitAssignment:
    """Where an article stands: its split, and its fold in each repeat of the cross-validation."""

    split: str
    folds: tuple[int, ...]

    @property
    def fold_fields(self) -> dict[str, int]:
        """The folds as fields of an item: fold_1, fold_2, …"""
        return dict(zip(FOLD_COLUMNS, self.folds, strict=True))


def read_splits(benchmark: Benchmark, articles: Iterable[Article]) -> dict[str, SplitAssignment]:
    """splits.csv, by article. Raises :class:`DataError` (file-missing, split-mismatch)."""
    path = benchmark.splits
    text = files.read_text(path, "make it with: jinbench split --write")
    shown = files.display_path(path)
    try:
        rows = list(csv.DictReader(io.StringIO(text)))
    except csv.Error as error:
        raise DataError(
            Problem(
                "split-mismatch",
                location=shown,
                expected="comma-separated values",
                found=str(error),
                fix="jinbench split --write",
            )
        ) from None
    hint = "jinbench split --write makes a new one; that makes older scores incomparable"
    problems = []
    places: dict[str, SplitAssignment] = {}
    for number, row in enumerate(rows, 2):
        id, split, *folds = (row.get(key) or "" for key in ("article_id", "split", *FOLD_COLUMNS))
        if split not in SPLITS or not {*folds} <= {*map(str, range(FOLDS))} or id in places:
            problems.append(
                Problem(
                    "split-mismatch",
                    location=f"{shown}:{number}",
                    expected=f"article_id, one of {', '.join(SPLITS)}, {REPEATS} folds from 0 to {FOLDS - 1}",
                    found=",".join([id, split, *folds]),
                    fix=hint,
                )
            )
            continue
        places[id] = SplitAssignment(split, tuple(map(int, folds)))
    articles = list(articles)
    ids = {article.id for article in articles}
    for id in sorted(ids ^ places.keys()):
        problems.append(
            Problem(
                "split-mismatch",
                location=shown,
                expected="each article of articles.toml once",
                found=f"{id} {'missing' if id in ids else 'unknown'}",
                fix=hint,
            )
        )
    for split in SPLITS:
        if not any(place.split == split for place in places.values()):
            problems.append(
                Problem("split-mismatch", location=shown, expected=f"an article in {split}", found="none", fix=hint)
            )
    stories: dict[str, set[SplitAssignment]] = defaultdict(set)
    for article in articles:
        if article.id in places:
            stories[article.story].add(places[article.id])
    for story, found in sorted(stories.items()):
        if len(found) > 1:
            problems.append(
                Problem(
                    "split-mismatch",
                    location=shown,
                    expected=f"all articles of the story {story!r} in one split and the same folds",
                    found=", ".join(sorted(f"{p.split}/{'/'.join(map(str, p.folds))}" for p in found)),
                    fix=hint,
                )
            )
    raise_if_any(problems)
    return places
