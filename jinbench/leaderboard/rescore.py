"""What errata do to the scores: every stored prediction on the old and on the new gold, and which ranks moved."""

from dataclasses import asdict, dataclass
from typing import Any

from jinbench.annotation import errata
from jinbench.annotation.labels import read_label_set
from jinbench.core.benchmark import Benchmark
from jinbench.dataset import build, manifest
from jinbench.dataset.gold import config_of, gold_from_rows
from jinbench.leaderboard import ranking
from jinbench.scoring.gold import BOARD_SPLITS
from jinbench.scoring.results import Score, rounded
from jinbench.seeds import articles


@dataclass(frozen=True)
class Move:
    """A system on one board, before and after. A rank is None where nothing is ranked."""

    task: str
    split: str
    system: str
    old: Score
    new: Score
    old_rank: int | None
    new_rank: int | None

    @property
    def moved(self) -> bool:
        return self.old_rank != self.new_rank

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = rounded(asdict(self))
        return record | {"moved": self.moved}

    def __str__(self) -> str:
        old, new = self.old.micro, self.new.micro
        change = (new.f1 or 0.0) - (old.f1 or 0.0)
        ranks = f"rank {self.old_rank or '–'} → {self.new_rank or '–'}{'  MOVED' if self.moved else ''}"
        return f"{self.task:7}{self.split:11}{self.system:16}{old.formatted} → {new.formatted}  {change:+.4f}  {ranks}"


def rescore(benchmark: Benchmark, first: int) -> tuple[list[Move], tuple[str, str]]:
    """Every system of every board on the gold with the first errata only, and on the gold with all of them.

    Returns the moves and the versions of the two. Raises :class:`DataError`.
    """
    label_set, seed, known = (
        read_label_set(benchmark),
        articles.read_seeds(benchmark),
        errata.read_errata(benchmark),
    )
    tables = [build.table_of(benchmark, seed, label_set, used) for used in (known[:first], known)]
    listings = [
        manifest.build_manifest(table, label_set, used)
        for table, used in zip(tables, (known[:first], known), strict=True)
    ]
    moves = []
    for task, split in ((task, split) for task, splits in BOARD_SPLITS.items() for split in splits):
        boards = []
        for table, listing in zip(tables, listings, strict=True):
            config = config_of(task, split)
            parts = table[config]
            rows = parts[split] if split in parts else [row for part in parts.values() for row in part]
            gold = gold_from_rows(task, split, rows, listing, config)
            boards.append(
                {row.system: row for row in ranking.rank_systems(gold, ranking.predictions(benchmark, gold)).rows}
            )
        old, new = boards
        moves += [
            Move(task, split, name, old[name].score, row.score, old[name].rank, row.rank) for name, row in new.items()
        ]
    return moves, (listings[0]["version"], listings[1]["version"])
