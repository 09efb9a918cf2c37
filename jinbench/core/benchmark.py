"""Paths of a benchmark's directories; find the current one."""

import os
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Benchmark:
    """Paths of one benchmark, below `root`."""

    root: Path

    @property
    def seeds(self) -> Path:
        return self.root / "seeds"

    @property
    def pages(self) -> Path:
        return self.seeds / "pages"

    @property
    def articles(self) -> Path:
        return self.seeds / "articles.toml"

    @property
    def annotation(self) -> Path:
        return self.root / "annotation"

    @property
    def labels(self) -> Path:
        return self.annotation / "labels.toml"

    @property
    def annotators(self) -> Path:
        return self.annotation / "annotators.toml"

    @property
    def assignments(self) -> Path:
        return self.annotation / "shares.csv"

    @property
    def guidelines(self) -> Path:
        return self.annotation / "guidelines.zh.md"

    @property
    def labeling_config(self) -> Path:
        return self.annotation / "labeling_config.xml"

    @property
    def exports(self) -> Path:
        return self.annotation / "exports"

    @property
    def dataset(self) -> Path:
        return self.root / "dataset"

    @property
    def splits(self) -> Path:
        return self.dataset / "splits.csv"

    @property
    def manifest(self) -> Path:
        return self.dataset / "manifest.json"

    @property
    def card(self) -> Path:
        return self.root / "DATASET_CARD.md"

    @property
    def baselines(self) -> Path:
        return self.root / "baselines"

    @property
    def leaderboard(self) -> Path:
        return self.root / "leaderboard"


def find_benchmark(root: str | os.PathLike[str] | None = None) -> Benchmark:
    """Find the benchmark at `root`, else around the current folder, else in the package.

    A folder is a benchmark if it holds `annotation/labels.toml`. The variable `JINBENCH_ROOT` stands in for `root`.
    """
    if root := root or os.environ.get("JINBENCH_ROOT"):
        return Benchmark(Path(root).resolve())
    current = Path.cwd()
    for folder in (current, *current.parents):
        if (folder / "annotation" / "labels.toml").is_file():
            return Benchmark(folder)
    return packaged_benchmark()


def is_installed(benchmark: Benchmark) -> bool:
    """Return whether the benchmark lies inside an installed package: to be read, never written."""
    return benchmark.root == _PACKAGE / "_rooms"


def packaged_benchmark() -> Benchmark:
    """Return the benchmark of the package: beside it in a checkout, inside it when installed."""
    checkout = _PACKAGE.parent
    return Benchmark(checkout if (checkout / "DATASET_CARD.md").is_file() else _PACKAGE / "_rooms")
