"""Load from Parquet, checking hashes."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench.core import files, schemas
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem
from jinbench.dataset.features import CONFIGS
from jinbench.dataset.splits import SPLITS
from jinbench.scoring.gold import FOLDS, TASKS, Gold

if TYPE_CHECKING:
    import pyarrow as pa


CORRECT = "correct the name"


def read_manifest(benchmark: Benchmark) -> dict[str, Any]:
    """manifest.json. Raises :class:`DataError` (file-missing, broken-json, wrong-shape)."""
    return read_manifest_in(benchmark.dataset)


def read_manifest_in(folder: Path) -> dict[str, Any]:
    """The same of any dataset folder."""
    path = folder / "manifest.json"
    listing: dict[str, Any] = files.read_json(path, "jinbench build makes it; or name a dataset folder, which has one")
    schemas.check_shape(listing, "manifest", files.display_path(path))
    return listing


def read_statistics(benchmark: Benchmark) -> dict[str, Any]:
    """stats.json. Raises :class:`DataError` (file-missing, broken-json, wrong-shape)."""
    counts: dict[str, Any] = files.read_json(benchmark.dataset / "stats.json")
    schemas.check_shape(counts, "stats", files.display_path(benchmark.dataset / "stats.json"))
    return counts


def read_rows(
    benchmark: Benchmark, config: str, split: str | None = None, manifest: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The items of a config as plain records, `split` among their fields. Reads with pyarrow alone, which is quick.

    `manifest` is that of the benchmark, where it has been read already.

    Raises :class:`DataError` (file-missing, file-changed, unknown-id).
    """
    tables = _tables(benchmark, config, split, manifest)
    return [row | {"split": name} for name, table in tables.items() for row in table.to_pylist()]


def _tables(
    benchmark: Benchmark, config: str, split: str | None, manifest: dict[str, Any] | None = None
) -> dict[str, "pa.Table"]:
    """The Parquet files by split, each once its bytes were found to be those of the manifest."""
    import pyarrow.parquet as pq

    manifest = manifest or read_manifest(benchmark)
    hashes = manifest["files"]
    found = {}
    for name in select_splits(manifest, config, split):
        path = benchmark.dataset / config / f"{name}.parquet"
        data = files.read_bytes(path, "make it with: jinbench build")
        expected, sha = hashes.get(f"{config}/{name}.parquet"), files.sha256(data)
        if sha != expected:
            hint = "fetch the dataset again; if you changed the labels: jinbench build"
            raise DataError(
                Problem(
                    "file-changed",
                    location=files.display_path(path),
                    expected=f"sha256 {expected}, as in manifest.json",
                    found=sha,
                    fix=hint,
                )
            )
        found[name] = pq.ParquetFile(io.BytesIO(data)).read()
    return found


def listed_configs(listing: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The configs that a manifest lists, each with its splits, in the order of ours. A corpus of others has fewer."""
    items = listing["items"]
    return {
        config: tuple(split for split in splits if split in items[config])
        for config, splits in CONFIGS.items()
        if config in items
    }


def has_config(benchmark: Benchmark, config: str) -> bool:
    """Whether the dataset has a config. Raises :class:`DataError` (file-missing, broken-json, wrong-shape)."""
    return config in read_manifest(benchmark)["items"]


def select_splits(manifest: Mapping[str, Any], config: str, split: str | None) -> tuple[str, ...]:
    """The splits of a config, or only `split`. Raises :class:`DataError` (unknown-id) if there is no such thing."""
    known = listed_configs(manifest)
    if config not in tuple(known):  # whatever it is
        hint = "this benchmark was made without it" if config in tuple(CONFIGS) else CORRECT
        raise DataError(
            Problem(
                "unknown-id", location="dataset", expected=f"one of {', '.join(known)}", found=repr(config), fix=hint
            )
        )
    if split not in (None, *known[config]):
        expected = f"a split of {config}: {', '.join(known[config])}"
        raise DataError(Problem("unknown-id", location="dataset", expected=expected, found=repr(split), fix=CORRECT))
    return known[config] if split is None else (split,)


def load_configs(benchmark: Benchmark, config: str, split: str | None = None) -> Any:
    """Load a config into memory, see :func:`jinbench.api.load`.

    Args:
        benchmark: The benchmark.
        config: Name of the config.
        split: One split; without it, all.

    Returns:
        A `datasets.DatasetDict`, or with `split` a `datasets.Dataset`.

    Raises:
        DataError: [unknown-id, file-missing, file-changed].
    """
    tables = _tables(benchmark, config, split)
    from datasets import Dataset, DatasetDict, NamedSplit

    loaded = DatasetDict({name: Dataset(table, split=NamedSplit(name)) for name, table in tables.items()})
    return loaded if split is None else loaded[split]


@dataclass(frozen=True)
class DatasetInfo:
    """Version, hash and counts of a dataset. `items` are numbers of items by config and split."""

    version: str
    sha256: str
    root: str
    items: dict[str, dict[str, int]]
    counts: dict[str, dict[str, int]]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"version     {self.version}", f"sha256      {self.sha256}", f"root        {self.root}"]
        for what, table in (("items", self.items), ("", self.counts)):
            lines += ["", " ".join([what.ljust(11), *(split.rjust(10) for split in SPLITS), "all".rjust(10)])]
            for name, row in table.items():
                cells = [str(row.get(split, "")).rjust(10) for split in SPLITS]
                lines.append(" ".join([name.ljust(11), *cells, str(sum(row.values())).rjust(10)]))
        return "\n".join(lines)


def describe_dataset(benchmark: Benchmark) -> DatasetInfo:
    """Return version, hash and counts. Raises :class:`DataError` (file-missing, broken-json, wrong-shape)."""
    manifest, statistics = read_manifest(benchmark), read_statistics(benchmark)
    counts = {key: statistics[key] for key in ("articles", "passages", "sentences", "characters", "spans")}
    items = {
        config: {split: len(manifest["items"].get(config, {}).get(split, ())) for split in splits}
        for config, splits in listed_configs(manifest).items()
    }
    return DatasetInfo(str(manifest["version"]), str(manifest["sha256"]), str(benchmark.root), items, counts)


def locate_ids(benchmark: Benchmark) -> dict[str, str]:
    """For every id of the dataset, the config and split it belongs to: the first, in the order of the configs."""
    listed = read_manifest(benchmark)["items"]
    found: dict[str, str] = {}
    for config in (*TASKS, *listed):
        for split, ids in listed.get(config, {}).items():
            for id in ids:
                found.setdefault(id, f"{config}/{split}")
    return found


def find_split(found: Iterable[str], gold: Gold, benchmark: Benchmark) -> str:
    """The split that all ids of `found` belong to, if `gold` is of all splits and has more; else an empty text.

    Such a file may be meant for that split: everything else counts as missing.
    """
    ids = set(found)
    if gold.split != FOLDS or not ids or len(ids) == len(gold.ids):
        return ""
    listed = read_manifest(benchmark)["items"].get(gold.task, {})
    return next((split for split, known in listed.items() if ids <= set(known)), "")
