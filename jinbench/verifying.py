"""Whether a dataset folder is what its manifest says, item by item, and whether its splits are clean of each other."""

import io
from collections import defaultdict
from pathlib import Path
from typing import Any

from jinbench import files, items
from jinbench.items import CONFIGS
from jinbench.problems import DataError, Problem
from jinbench.splitting import SPLITS

HINT = "fetch the dataset again; if you changed pages or labels: jinbench build"


def verify(folder: Path) -> tuple[str, dict[str, int]]:
    """Hold every item of every config against manifest.json, and every text against the other splits.

    Returns the sha256 of the whole, and the numbers of items by config. Raises :class:`DataError` with everything that
    is wrong: item-changed, item-missing, item-unknown, duplicate-id, leak, file-changed, file-missing, broken-json,
    wrong-shape.
    """
    path = folder / "manifest.json"
    listing: dict[str, Any] = files.read_json(path, "name a dataset folder, which has a manifest.json")
    files.check_shape(listing, "manifest", files.shown(path))
    problems: list[Problem] = []
    counts: dict[str, int] = {}
    for config in CONFIGS:
        rows = {}
        for split in SPLITS:
            name = f"{config}/{split}.parquet"
            rows[split], wrong = _file(folder / name, listing["files"].get(name), listing["items"], config, split)
            problems += wrong
        counts[config] = sum(map(len, rows.values()))
        if config in ("ner", "sector"):
            problems += _leaks(rows, files.shown(folder / config))
    if listing["configs"] != items.hashes_of(listing["items"], listing["labels"]):
        expected, found = "hashes of configs that fit those of their items", "others"
        problems.append(Problem("item-changed", files.shown(path), expected, found, HINT))
    if listing["sha256"] != items.whole_hash(listing):
        expected, found = "a sha256 that fits version, errata, gold and configs", "another"
        problems.append(Problem("item-changed", files.shown(path), expected, found, HINT))
    tables = {f"{config}/{split}.parquet" for config in CONFIGS for split in SPLITS}
    for name in sorted(listing["files"].keys() - tables):
        try:
            problems += _bytes(folder / name, files.read_bytes(folder / name, HINT), listing["files"][name])
        except DataError as error:
            problems += error.problems
    for extra in sorted(folder.rglob("*.parquet")):
        if str(extra.relative_to(folder)) not in listing["files"]:
            problems.append(Problem("item-unknown", files.shown(extra), "a file of manifest.json", "another", HINT))
    if problems:
        raise DataError(problems)
    return str(listing["sha256"]), counts


def _file(
    path: Path, sha: str | None, listed: dict[str, Any], config: str, split: str
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The rows of a file, and everything that is wrong with it. Its bytes come last: they say least."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = files.shown(path)
    try:
        data = files.read_bytes(path, HINT)
        rows = list(pq.ParquetFile(io.BytesIO(data)).read().to_pylist())
    except DataError as error:
        return [], list(error.problems)
    except (pa.ArrowException, OSError, ValueError) as error:  # what damaged bytes bring about differs
        cause = str(error).partition("\n")[0]
        return [], [Problem("file-changed", place, "a whole Parquet file", cause, HINT)]
    problems = _items(config, rows, listed.get(config, {}).get(split, {}), place)
    return rows, problems or _bytes(
        path, data, sha, ": the same items, written otherwise or with other names of labels"
    )


def _bytes(path: Path, data: bytes, sha: str | None, remark: str = "") -> list[Problem]:
    found = files.sha256(data)
    if found == sha:
        return []
    return [Problem("file-changed", files.shown(path), f"sha256 {str(sha)[:12]}…", f"{found[:12]}…{remark}", HINT)]


def _items(config: str, rows: list[dict[str, Any]], listed: dict[str, str], place: str) -> list[Problem]:
    problems, seen = [], set()
    for row in rows:
        try:
            id, sha, _ = str(row["id"]), items.item_hash(row), row["text"]
        except (KeyError, TypeError) as error:
            cause = f"{type(error).__name__}: {error}"
            return [Problem("wrong-shape", place, f"the fields of {config}", cause, HINT)]
        if id in seen:
            problems.append(Problem("duplicate-id", place, "each id once", id, HINT))
        elif id not in listed:
            problems.append(Problem("item-unknown", place, "an item of manifest.json", id, HINT))
        elif listed[id] != sha:
            expected, found = f"{id} with sha256 {listed[id][:12]}…", f"{sha[:12]}…: its text or its labels are others"
            problems.append(Problem("item-changed", place, expected, found, HINT))
        seen.add(id)
    problems += [
        Problem("item-missing", place, f"{id}, as in manifest.json", "nothing", HINT) for id in listed if id not in seen
    ]
    return problems


def _leaks(rows: dict[str, list[dict[str, Any]]], place: str) -> list[Problem]:
    """The same text in two splits: a score there would be of memory."""
    where: dict[str, dict[str, str]] = defaultdict(dict)
    for split, found in rows.items():
        for row in found:
            where[row.get("text", "")][split] = row.get("id", "")
    hint = "give their articles one story in articles.toml, then: jinbench split --write"
    return [
        Problem("leak", place, "a text in one split only", ", ".join(f"{s}: {id}" for s, id in ids.items()), hint)
        for ids in where.values()
        if len(ids) > 1
    ]
