"""Version and hashes of every item (manifest.json)."""

import json
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

from jinbench.annotation.errata import Erratum
from jinbench.annotation.labels import LabelSet
from jinbench.core import files
from jinbench.dataset.features import Row, Rows

ItemHashes = dict[str, dict[str, dict[str, str]]]  # by config, split and id


class Manifest(TypedDict):
    """Contents of manifest.json, see schemas/manifest.json."""

    version: str
    errata: list[str]
    gold: str
    labels: dict[str, list[str]]
    configs: dict[str, str]
    items: ItemHashes
    sha256: NotRequired[str]
    files: NotRequired[dict[str, str]]
    leaks: NotRequired[dict[str, int]]


STAMP = b"jinbench"  # key of a Parquet file's metadata for its version


def hash_item(row: Row) -> str:
    """Return the sha256 of an item with all its fields: text, gold, tags, and what scores are read by."""
    return files.sha256(files.dump_jsonl([row]).encode())


def hash_configs(items: ItemHashes, names: Mapping[str, list[str]]) -> dict[str, str]:
    """Return one hash per config, over those of its items and the names of its labels."""
    return {
        config: files.sha256(files.dump_json([splits, names.get(config)]).encode()) for config, splits in items.items()
    }


def dataset_version(label_set: LabelSet, errata: Sequence[Erratum]) -> str:
    """Return the version of the data: `release` of labels.toml, with the number of errata as its last part."""
    return f"{label_set.release.rpartition('.')[0]}.{len(errata)}"


def build_manifest(rows: Rows, label_set: LabelSet, errata: Sequence[Erratum] = (), gold: str = "") -> Manifest:
    """Return the manifest without its files: a hash per item, one per config over items and labels, one over all."""
    items = {
        config: {split: {row["id"]: hash_item(row) for row in split_rows} for split, split_rows in splits.items()}
        for config, splits in rows.items()
    }
    names = {"ner": list(label_set.entity_names), "sector": list(label_set.sector_names)}
    manifest: Manifest = {
        "version": dataset_version(label_set, errata),
        "errata": [erratum.path.stem for erratum in errata],
        "gold": gold,
        "labels": names,
        "configs": hash_configs(items, names),
        "items": items,
    }
    return manifest | {"sha256": hash_manifest(manifest)}


def hash_manifest(manifest: Manifest) -> str:
    """Return the sha256 over a manifest's version, errata, name of the gold, and hashes of configs."""
    return files.sha256(files.dump_json([manifest[key] for key in ("version", "errata", "gold", "configs")]).encode())


def make_stamp(manifest: Manifest, config: str) -> dict[str, str]:
    """Return what ties a Parquet file to its manifest: the version, and the hash of its config."""
    return {"version": str(manifest["version"]), "config": config, "sha256": str(manifest["configs"].get(config))}


def read_stamp(metadata: Mapping[bytes, bytes] | None) -> dict[str, object]:
    """Return the stamp in a file's metadata; empty if there is none, or something else under its key."""
    try:
        stamp = json.loads((metadata or {}).get(STAMP, b"{}"))
    except ValueError:
        return {}
    return stamp if isinstance(stamp, dict) else {}
