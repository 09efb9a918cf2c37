"""Effect of errata on scores and ranks."""

from dataclasses import asdict, dataclass

from jinbench.annotation.errata import read_errata
from jinbench.annotation.workspace import Workspace
from jinbench.core.benchmark import Benchmark
from jinbench.dataset import build, manifest
from jinbench.dataset.gold import gold_from_rows, task_config
from jinbench.leaderboard.ranking import rank_systems
from jinbench.leaderboard.systems import Systems
from jinbench.scoring.gold import LEADERBOARD_SPLITS
from jinbench.scoring.results import Score, round_floats


@dataclass(frozen=True)
class RankChange:
    """A system on one board, before and after errata. A rank is None where nothing is ranked."""

    task: str
    split: str
    system: str
    old: Score
    new: Score
    old_rank: int | None
    new_rank: int | None

    @property
    def moved(self) -> bool:
        """True if the rank changed."""
        return self.old_rank != self.new_rank

    def to_dict(self) -> dict[str, object]:
        """Return the record that `--json` prints."""
        return round_floats(asdict(self)) | {"moved": self.moved}

    def __str__(self) -> str:
        old, new = self.old.micro, self.new.micro
        change = (new.f1 or 0.0) - (old.f1 or 0.0)
        ranks = f"rank {self.old_rank or '–'} → {self.new_rank or '–'}{'  MOVED' if self.moved else ''}"
        return f"{self.task:7}{self.split:11}{self.system:16}{old.formatted} → {new.formatted}  {change:+.4f}  {ranks}"


def rescore_systems(benchmark: Benchmark, n_errata: int) -> tuple[list[RankChange], tuple[str, str]]:
    """Score every system of every board on the gold with some errata, and on the gold with all of them.

    Args:
        benchmark: The benchmark.
        n_errata: The old gold has the first so many errata.

    Returns:
        The changes, and the versions of the old and the new gold.

    Raises:
        DataError: With the problems of pages, labels, or prediction files.
    """
    workspace, systems = Workspace(benchmark), Systems(benchmark)
    errata = read_errata(benchmark)
    versions = []
    for applied in (errata[:n_errata], errata):
        table = build.build_all_rows(workspace, applied)
        versions.append((table, manifest.build_manifest(table, workspace.label_set, applied)))
    changes = []
    for task, split in ((task, split) for task, splits in LEADERBOARD_SPLITS.items() for split in splits):
        config = task_config(task, split)
        boards = []
        for table, listing in versions:
            parts = table[config]
            rows = parts[split] if split in parts else [row for part in parts.values() for row in part]
            gold = gold_from_rows(task, split, rows, listing, config)
            boards.append({row.system: row for row in rank_systems(gold, systems.predictions(gold)).rows})
        old, new = boards
        changes += [
            RankChange(task, split, name, old[name].score, row.score, old[name].rank, row.rank)
            for name, row in new.items()
        ]
    old_version, new_version = (listing["version"] for _, listing in versions)
    return changes, (old_version, new_version)
