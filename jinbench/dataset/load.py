"""Load from Parquet, checking hashes."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinbench.core import files, schemas
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import fail
from jinbench.dataset import tables
from jinbench.dataset.features import CONFIGS, Row
from jinbench.dataset.manifest import Manifest
from jinbench.dataset.splits import SPLITS, normalize_split
from jinbench.scoring.gold import FOLDS, TASKS, Gold

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset, DatasetDict

    from jinbench.dataset.statistics import Statistics


def read_manifest(benchmark: Benchmark) -> Manifest:
    """Read manifest.json. Raises :class:`DataError` (file-missing, broken-json, wrong-shape)."""
    return read_manifest_in(benchmark.dataset)


def read_manifest_in(folder: Path) -> Manifest:
    """Read manifest.json of a dataset folder, see :func:`read_manifest`."""
    path = folder / "manifest.json"
    data = files.read_bytes(path, "jinbench build makes it; or name a dataset folder, which has one")
    _check_manifest(path, data)
    manifest: Manifest = files.read_json(path, data=data)
    return manifest


@lru_cache(maxsize=4)  # a command reads it again and again, and to check it takes longer than all the rest
def _check_manifest(path: Path, data: bytes) -> None:
    schemas.check_shape(files.read_json(path, data=data), "manifest", files.display_path(path))


def read_statistics(benchmark: Benchmark) -> "Statistics":
    """Read stats.json. Raises :class:`DataError` (file-missing, broken-json, wrong-shape)."""
    statistics: Statistics = files.read_json(benchmark.dataset / "stats.json")
    schemas.check_shape(statistics, "stats", files.display_path(benchmark.dataset / "stats.json"))
    return statistics


def read_rows(
    benchmark: Benchmark, config: str, split: str | None = None, manifest: Manifest | None = None
) -> list[Row]:
    """Read the items of a config as plain records, `split` among their fields; with pyarrow alone, which is quick.

    `manifest` is that of the benchmark, where it has been read already.

    Raises :class:`DataError` (file-missing, file-changed, unknown-id).
    """
    parsed = _read_tables(benchmark, config, split, manifest)
    return [row | {"split": name} for name, table in parsed.items() for row in table.to_pylist()]


def _read_tables(
    benchmark: Benchmark, config: str, split: str | None, manifest: Manifest | None = None
) -> dict[str, "pa.Table"]:
    """Read the Parquet files by split; their bytes have to be those of the manifest."""
    manifest = manifest or read_manifest(benchmark)
    parsed, fix = {}, "fetch the dataset again; if you changed the labels: jinbench build"
    for name in select_splits(manifest, config, split):
        path = benchmark.dataset / config / f"{name}.parquet"
        data = files.read_bytes(path, "make it with: jinbench build")
        listed, sha256 = manifest["files"].get(f"{config}/{name}.parquet"), files.sha256(data)
        if sha256 != listed:
            expected = f"sha256 {listed}, as in manifest.json"
            fail("file-changed", files.display_path(path), expected=expected, found=sha256, fix=fix)
        items = len(manifest["items"].get(config, {}).get(name, {}))
        parsed[name] = tables.parse_table(path, data, items, tables.COLUMNS[config], fix)
    return parsed


def listed_configs(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Return the configs that a manifest lists, each with its splits, in order. A converted corpus has fewer."""
    items = manifest["items"]
    return {
        config: tuple(split for split in splits if split in items[config])
        for config, splits in CONFIGS.items()
        if config in items
    }


def has_config(benchmark: Benchmark, config: str) -> bool:
    """Return whether the dataset has a config. Raises :class:`DataError` (file-missing, broken-json, wrong-shape)."""
    return config in read_manifest(benchmark)["items"]


def select_splits(manifest: Manifest, config: str, split: str | None) -> tuple[str, ...]:
    """Return the splits of a config, or only `split`. Raises :class:`DataError` (unknown-id) if there is none."""
    configs, split = listed_configs(manifest), split if split is None else normalize_split(split)
    if config not in tuple(configs):  # whatever it is
        fix = "this benchmark was made without it" if config in tuple(CONFIGS) else "correct the name"
        if normalize_split(config) in SPLITS:
            fix = f'name the config first, then the split: load("ner", "{config}")'
        fail("unknown-id", "dataset", expected=f"one of {', '.join(configs)}", found=repr(config), fix=fix)
    if split is None:
        return configs[config]
    if split not in configs[config]:
        expected = f"a split of {config}: {', '.join(configs[config])}"
        fail("unknown-id", "dataset", expected=expected, found=repr(split), fix="correct the name")
    return (split,)


def load_configs(benchmark: Benchmark, config: str, split: str | None = None) -> "Dataset | DatasetDict":
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
    parsed = _read_tables(benchmark, config, split)
    from datasets import Dataset, DatasetDict, NamedSplit

    loaded = DatasetDict({name: Dataset(table, split=NamedSplit(name)) for name, table in parsed.items()})
    return loaded if split is None else loaded[normalize_split(split)]


@dataclass(frozen=True)
class DatasetInfo:
    """Version, hash and counts of a dataset.

    Args:
        version: Version of the data.
        sha256: Hash of the whole dataset.
        root: Folder of the benchmark.
        items: Numbers of items by config and split.
        counts: Numbers of articles, passages, sentences, characters and spans by split.
    """

    version: str
    sha256: str
    root: str
    items: dict[str, dict[str, int]]
    counts: dict[str, dict[str, int]]

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"version     {self.version}", f"sha256      {self.sha256}", f"root        {self.root}"]
        for title, table in (("items", self.items), ("", self.counts)):
            lines += ["", " ".join([title.ljust(11), *(split.rjust(10) for split in SPLITS), "all".rjust(10)])]
            for name, row in table.items():
                cells = [str(row.get(split, "")).rjust(10) for split in SPLITS]
                lines.append(" ".join([name.ljust(11), *cells, str(sum(row.values())).rjust(10)]))
        return "\n".join(lines)


def describe_dataset(benchmark: Benchmark) -> DatasetInfo:
    """Return version, hash and counts of a dataset.

    Args:
        benchmark: A benchmark with a built dataset.

    Raises:
        DataError: [file-missing, broken-json, wrong-shape].
    """
    manifest, statistics = read_manifest(benchmark), read_statistics(benchmark)
    counts = {key: statistics[key] for key in ("articles", "passages", "sentences", "characters", "spans")}
    items = {
        config: {split: len(manifest["items"].get(config, {}).get(split, ())) for split in splits}
        for config, splits in listed_configs(manifest).items()
    }
    return DatasetInfo(str(manifest["version"]), str(manifest["sha256"]), str(benchmark.root), items, counts)


def locate_ids(benchmark: Benchmark) -> dict[str, str]:
    """Return for every id the config and split it belongs to, as `config/split`: the first, tasks before the others."""
    items = read_manifest(benchmark)["items"]
    locations: dict[str, str] = {}
    for config in (*TASKS, *items):
        for split, ids in items.get(config, {}).items():
            for id in ids:
                locations.setdefault(id, f"{config}/{split}")
    return locations


def find_split(ids: Iterable[str], gold: Gold, benchmark: Benchmark) -> str:
    """Return the split that all `ids` belong to, if `gold` is of all splits and has more; else an empty string.

    Such a file may be meant for that split: everything else counts as missing.
    """
    ids = set(ids)
    if gold.split != FOLDS or not ids or len(ids) == len(gold.ids):
        return ""
    items = read_manifest(benchmark)["items"].get(gold.task, {})
    return next((split for split, listed in items.items() if ids <= set(listed)), "")
