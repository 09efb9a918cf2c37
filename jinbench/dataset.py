"""What is published: `dataset/` as a Hub repository stands, built from the pages and the gold export.

The same input gives the same bytes. Nothing is written before everything has been checked.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinbench import annotators, errata, exports, files, items, labels, rooms, seeds
from jinbench.annotators import Annotator
from jinbench.errata import Erratum
from jinbench.items import CONFIGS, Rows
from jinbench.labels import LabelSet
from jinbench.problems import DataError, Problem
from jinbench.records import Labels
from jinbench.rooms import Rooms
from jinbench.seeds import Seeds
from jinbench.splitting import SPLITS, read_splits


def gold(where: Rooms, seed: Seeds, label_set: LabelSet, used: Sequence[Erratum] | None = None) -> dict[str, Labels]:
    """The gold labels of every passage, with all errata or those in `used`.

    Raises :class:`DataError` with everything wrong in the export or in an erratum.
    """
    annotator = annotators.read(where).gold
    found = exports.read(exports.path_of(where, annotator), seed.passages(), label_set, annotator, whole=True)
    passages = {passage.id: passage for passage in seed.passages()}
    by_id = {entry.passage_id: entry for entry in found}
    return errata.apply(by_id, errata.read(where) if used is None else used, passages, label_set)


def readings(where: Rooms, seed: Seeds, label_set: LabelSet) -> list[tuple[Annotator, dict[str, Labels]]]:
    """The labels of each annotator who labelled alone, by passage; of those that have an export."""
    return [
        (entry, {labels.passage_id: labels for labels in exports.read(path, seed.passages(), label_set, entry.name)})
        for entry in annotators.read(where).blind
        if (path := exports.path_of(where, entry.name)).is_file()
    ]


@dataclass(frozen=True)
class Built:
    """A dataset in memory: its items, and its files by name relative to `dataset/`."""

    table: Rows
    manifest: dict[str, Any]
    statistics: dict[str, Any]
    files: dict[str, bytes]


def table_of(where: Rooms, seed: Seeds, label_set: LabelSet, used: Sequence[Erratum]) -> Rows:
    """Every item of every config, from the rooms, on the gold with the errata in `used`.

    Raises :class:`DataError` with all that is wrong in splits, exports or errata.
    """
    found = gold(where, seed, label_set, used)
    return items.rows(seed, label_set, found, read_splits(where, seed.articles), readings(where, seed, label_set))


def build(where: Rooms) -> Built:
    """Everything that `dataset/` holds except splits.csv, which is frozen, and README.md, which the card makes.

    Raises :class:`DataError` with all that is wrong in pages, labels, splits or gold.
    """
    label_set = labels.read(where)
    seed = seeds.read(where)
    used = errata.read(where)
    table = table_of(where, seed, label_set, used)
    types = items.features(label_set)
    contents = {
        f"{config}/{split}.parquet": items.parquet(rows, types[config])
        for config, splits in table.items()
        for split, rows in splits.items()
    }
    counts = items.statistics(table, label_set)
    contents["stats.json"] = files.dump_json(counts).encode()
    listing = items.manifest(table, label_set, used, annotators.read(where).gold)
    listing["files"] = {name: files.sha256(data) for name, data in contents.items()}
    listing["files"]["splits.csv"] = files.sha256(where.splits.read_bytes())
    contents["manifest.json"] = files.dump_json(listing).encode()
    return Built(table, listing, counts, contents)


def write(built: Built, folder: Path) -> list[str]:
    """Write the files that differ; returns their names."""
    changed = [
        name
        for name, data in sorted(built.files.items())
        if not (folder / name).is_file() or (folder / name).read_bytes() != data
    ]
    for name in changed:
        files.write_bytes(folder / name, built.files[name])
    return changed


def read_manifest(where: Rooms) -> dict[str, Any]:
    """manifest.json. Raises :class:`DataError` (file-missing, broken-json, wrong-shape)."""
    listing: dict[str, Any] = files.read_json(where.manifest)
    files.check_shape(listing, "manifest", files.shown(where.manifest))
    return listing


def read_statistics(where: Rooms) -> dict[str, Any]:
    """stats.json. Raises :class:`DataError` (file-missing, broken-json, wrong-shape)."""
    counts: dict[str, Any] = files.read_json(where.dataset / "stats.json")
    files.check_shape(counts, "stats", files.shown(where.dataset / "stats.json"))
    return counts


def read_rows(where: Rooms, config: str, split: str | None = None) -> list[dict[str, Any]]:
    """The items of a config as plain records, `split` among their fields. Reads with pyarrow alone, which is quick.

    Raises :class:`DataError` (file-missing, file-changed, unknown-id).
    """
    import pyarrow.parquet as pq

    _check_names(config, split)
    hashes = read_manifest(where)["files"]
    found = []
    for name in SPLITS if split is None else (split,):
        path = where.dataset / config / f"{name}.parquet"
        data = files.read_bytes(path, "make it with: jinbench build")
        expected, sha = hashes.get(f"{config}/{name}.parquet"), files.sha256(data)
        if sha != expected:
            hint = "fetch the dataset again; if you changed the labels: jinbench build"
            raise DataError(
                Problem("file-changed", files.shown(path), f"sha256 {expected}, as in manifest.json", sha, hint)
            )
        found += [row | {"split": name} for row in pq.ParquetFile(io.BytesIO(data)).read().to_pylist()]
    return found


def _check_names(config: str, split: str | None) -> None:
    if config not in CONFIGS or split not in (None, *SPLITS):
        expected = f"a config of {', '.join(CONFIGS)}, a split of {', '.join(SPLITS)}"
        raise DataError(Problem("unknown-id", "dataset", expected, f"{config!r}, {split!r}", "correct the name"))


def load(config: str = "ner", split: str | None = None) -> Any:
    """The dataset that came with the package, as `datasets` gives it. Needs no network.

    Parameters: `config` one of ner, sector, articles, annotations; `split` one of train, validation, test, or None.
    Returns a `datasets.DatasetDict`, or a `datasets.Dataset` if `split` is given.
    Raises :class:`DataError` for an unknown config or split.
    """
    _check_names(config, split)
    where = rooms.own()
    from datasets import Dataset, DatasetDict

    found = DatasetDict(
        {
            name: Dataset.from_parquet(str(where.dataset / config / f"{name}.parquet"))
            for name in (SPLITS if split is None else (split,))
        }
    )
    return found if split is None else found[split]
