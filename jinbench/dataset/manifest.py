"""Version and hashes of every item."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jinbench.annotation.errata import Erratum
from jinbench.annotation.labels import LabelSet
from jinbench.core import files
from jinbench.dataset.features import Rows


def hash_item(row: dict[str, Any]) -> str:
    """sha256 of an item with all its fields: text, gold, tags, and what scores are read by (article, layout, folds)."""
    return files.sha256(files.dump_jsonl([row]).encode())


def hash_configs(items: dict[str, Any], names: dict[str, list[str]]) -> dict[str, str]:
    """One hash per config, over those of its items and the names of its labels."""
    return {
        config: files.sha256(files.dump_json([splits, names.get(config)]).encode()) for config, splits in items.items()
    }


def dataset_version(label_set: LabelSet, used: Sequence[Erratum]) -> str:
    """The version of the data: `release` of labels.toml, its last part the number of errata."""
    return f"{label_set.release.rpartition('.')[0]}.{len(used)}"


def build_manifest(table: Rows, label_set: LabelSet, used: Sequence[Erratum] = (), gold: str = "") -> dict[str, Any]:
    """A hash per item, one per config over its items and labels, one over all: what scores are tied to."""
    items = {
        config: {split: {row["id"]: hash_item(row) for row in rows} for split, rows in splits.items()}
        for config, splits in table.items()
    }
    names = {"ner": list(label_set.entity_names), "sector": list(label_set.sector_names)}
    listing = {
        "version": dataset_version(label_set, used),
        "errata": [erratum.path.stem for erratum in used],
        "gold": gold,
        "labels": names,
        "configs": hash_configs(items, names),
        "items": items,
    }
    return listing | {"sha256": hash_manifest(listing)}


def hash_manifest(listing: dict[str, Any]) -> str:
    """sha256 over a manifest's version, errata, name of the gold, and hashes of configs."""
    return files.sha256(files.dump_json([listing[key] for key in ("version", "errata", "gold", "configs")]).encode())


STAMP = b"jinbench"  # the key of a Parquet file's metadata under which it says which version it belongs to


def make_stamp(listing: dict[str, Any], config: str) -> dict[str, str]:
    """What ties a file to its manifest: the version, and the hash of its config."""
    return {"version": str(listing["version"]), "config": config, "sha256": str(listing["configs"].get(config))}


def read_stamp(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    """The stamp in a file's metadata; empty if there is none, or something else under its key."""
    try:
        found = json.loads((metadata or {}).get(STAMP, b"{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
