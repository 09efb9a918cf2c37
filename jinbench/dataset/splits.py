"""Frozen splits and folds (splits.csv)."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import ErrorList, fail
from jinbench.core.types import Article

SPLITS = ("train", "validation", "test")
SPLIT_NAMES = {name: name for name in SPLITS} | dict.fromkeys(("dev", "valid", "val"), "validation")
FOLDS, REPEATS = 5, 5
FOLD_COLUMNS = tuple(f"fold_{repeat + 1}" for repeat in range(REPEATS))


@dataclass(frozen=True)
class SplitAssignment:
    """The split of an article, and its fold in each repeat of the cross-validation."""

    split: str
    folds: tuple[int, ...]

    @property
    def fold_fields(self) -> dict[str, int]:
        """Folds as fields of an item: fold_1 to fold_5."""
        return dict(zip(FOLD_COLUMNS, self.folds, strict=True))


def normalize_split(name: str) -> str:
    """Return the split that a name such as "dev" means; a name that means none is returned as it is."""
    return SPLIT_NAMES.get(name, name) if isinstance(name, str) else name


def read_splits(benchmark: Benchmark, articles: Iterable[Article]) -> dict[str, SplitAssignment]:
    """Read splits.csv, by article id. Raises :class:`DataError` (file-missing, split-mismatch)."""
    path = benchmark.splits
    location = files.display_path(path)
    text = files.read_text(path, "make it with: jinbench build --search-splits --write")
    try:
        rows = list(csv.DictReader(io.StringIO(text)))
    except csv.Error as error:
        expected, fix = "comma-separated values", "jinbench build --search-splits --write"
        fail("split-mismatch", location, expected=expected, found=str(error), fix=fix)
    fix = "jinbench build --search-splits --write makes a new one; that makes older scores incomparable"
    problems = ErrorList()
    assignments: dict[str, SplitAssignment] = {}
    for number, row in enumerate(rows, 2):
        id, split, *folds = (row.get(key) or "" for key in ("article_id", "split", *FOLD_COLUMNS))
        if split not in SPLITS or not {*folds} <= {*map(str, range(FOLDS))} or id in assignments:
            expected = f"article_id, one of {', '.join(SPLITS)}, {REPEATS} folds from 0 to {FOLDS - 1}"
            found = ",".join([id, split, *folds])
            problems.add("split-mismatch", f"{location}:{number}", expected=expected, found=found, fix=fix)
            continue
        assignments[id] = SplitAssignment(split, tuple(map(int, folds)))
    articles = list(articles)
    ids = {article.id for article in articles}
    for id in sorted(ids ^ assignments.keys()):
        expected, found = "each article of articles.toml once", f"{id} {'missing' if id in ids else 'unknown'}"
        problems.add("split-mismatch", location, expected=expected, found=found, fix=fix)
    for split in SPLITS:
        if not any(assignment.split == split for assignment in assignments.values()):
            problems.add("split-mismatch", location, expected=f"an article in {split}", found="none", fix=fix)
    stories: dict[str, set[SplitAssignment]] = defaultdict(set)
    for article in articles:
        if article.id in assignments:
            stories[article.story].add(assignments[article.id])
    for story, sides in sorted(stories.items()):
        if len(sides) > 1:
            expected = f"all articles of the story {story!r} in one split and the same folds"
            found = ", ".join(sorted(f"{side.split}/{'/'.join(map(str, side.folds))}" for side in sides))
            problems.add("split-mismatch", location, expected=expected, found=found, fix=fix)
    problems.raise_if_any()
    return assignments
