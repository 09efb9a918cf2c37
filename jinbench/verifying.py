"""Whether a dataset folder is what its manifest says, item by item, and whether its splits are clean of each other."""

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinbench import dataset, files, items, leaks, rooms
from jinbench.items import CONFIGS
from jinbench.problems import DataError, Problem
from jinbench.splitting import FOLD_COLUMNS

STANDOFF = "standoff.json"  # what a folder without texts has
HINT = "fetch the dataset again; if you changed pages or labels: jinbench build"


@dataclass(frozen=True)
class Verified:
    """A dataset that is what its manifest says. `counts`: its items by config.

    `overlap`: by split other than train and by type (and "all"), how many mentions have a surface that train has too:
    see :func:`leaks.entity_overlap`.
    """

    version: str
    sha256: str
    counts: dict[str, int]
    overlap: dict[str, dict[str, dict[str, int]]]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        counts = ", ".join(f"{n} items of {name}" for name, n in self.counts.items())
        lines = [
            f"version {self.version}, sha256 {self.sha256}",
            f"{counts}: each is what manifest.json lists.",
            "No text stands, or nearly stands, in two splits or two folds.",
        ]
        for split, found in self.overlap.items():
            count = found["all"]
            seen = count["same"] / max(count["mentions"], 1)
            lines.append(
                f"{split}: of {count['mentions']} mentions {count['same']} ({seen:.0%}) have a surface seen in train "
                f"with the same type, {count['other']} only with another, {count['both']} with both."
            )
        return "\n".join(lines)


def verify(folder: Path) -> Verified:
    """Hold every item of every config against manifest.json, and every text against the other splits.

    Raises :class:`DataError` with everything that is wrong: item-changed, item-missing, item-unknown, duplicate-id,
    leak, file-changed, wrong-version, file-missing, broken-json, wrong-shape, standoff.
    """
    path = folder / "manifest.json"
    if (folder / STANDOFF).is_file():
        hint = f"jinbench hydrate {files.shown(folder)} --pages DIR --out DIR"
        raise DataError(Problem("standoff", files.shown(folder), "a dataset with its texts", STANDOFF, hint))
    listing: dict[str, Any] = files.read_json(path, "name a dataset folder, which has a manifest.json")
    files.check_shape(listing, "manifest", files.shown(path))
    problems: list[Problem] = []
    counts: dict[str, int] = {}
    overlap: dict[str, dict[str, dict[str, int]]] = {}
    for config, splits in CONFIGS.items():
        rows = {}
        for split in splits:
            rows[split], wrong = _file(folder / config / f"{split}.parquet", listing, config, split)
            problems += wrong
        counts[config] = sum(map(len, rows.values()))
        if config in ("ner", "sector"):
            problems += _leaks(rows, files.shown(folder / config))
        if config == "ner" and not problems:
            overlap = {split: _overlap(rows, split, listing["labels"][config]) for split in splits if split != "train"}
    if listing["configs"] != items.hashes_of(listing["items"], listing["labels"]):
        expected, found = "hashes of configs that fit those of their items", "others"
        problems.append(Problem("item-changed", files.shown(path), expected, found, HINT))
    if listing["sha256"] != items.whole_hash(listing):
        expected, found = "a sha256 that fits version, errata, gold and configs", "another"
        problems.append(Problem("item-changed", files.shown(path), expected, found, HINT))
    tables = {f"{config}/{split}.parquet" for config, splits in CONFIGS.items() for split in splits}
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
    return Verified(str(listing["version"]), str(listing["sha256"]), counts, overlap)


def verify_loaded(found: Any, root: Path | None = None) -> int:
    """Hold rows that were loaded somehow, from a Hub, a cache or a file, against the version that this package has.

    Parameters: `found` a `datasets.Dataset` or `DatasetDict` of one config, whole or filtered, with its fields as
    published; `root` the folder of another benchmark.
    Returns the number of rows, each of which is what manifest.json lists. Raises :class:`DataError` (wrong-version,
    wrong-shape): a cache may hold rows of another version than the one that was asked for.
    """
    listing = dataset.read_manifest(rooms.find(root) if root else rooms.own())
    parts = found if isinstance(found, dict) else {"": found}
    rows = [row for part in parts.values() for row in part.with_format("arrow")[:].to_pylist()]
    ids = {str(row.get("id")) for row in rows}
    shared = {config: ids & set().union(*splits.values()) for config, splits in listing["items"].items()}
    config = max(shared, key=lambda name: len(shared[name]))
    known = {id: sha for splits in listing["items"][config].values() for id, sha in splits.items()}
    hint = 'load_dataset(…, revision="v…", download_mode="force_redownload"), or jinbench.load(…)'
    version = f"{config} of version {listing['version']}, sha256 {listing['sha256'][:8]}…"
    other = [str(row.get("id")) for row in rows if known.get(str(row.get("id"))) != items.item_hash(row)]
    if other or not rows:
        said = f"{len(other)} of {len(rows)} rows that are not, first {other[0]}" if rows else "no rows"
        raise DataError(Problem("wrong-version", "the rows", f"those of {version}", said, hint))
    for split, part in parts.items():
        listed = listing["items"][config].get(split)
        if listed is not None and len(part) != len(listed):
            expected, said = f"{len(listed)} rows in {split} of {version}", str(len(part))
            raise DataError(Problem("wrong-version", "the rows", expected, said, hint))
    return len(rows)


def _file(path: Path, listing: dict[str, Any], config: str, split: str) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The rows of a file, and everything that is wrong with it. Its bytes come last: they say least."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = files.shown(path)
    try:
        data = files.read_bytes(path, HINT)
        table = pq.ParquetFile(io.BytesIO(data)).read()
        stamp = json.loads((table.schema.metadata or {}).get(items.STAMP, "{}"))
        rows = list(table.to_pylist())
    except DataError as error:
        return [], list(error.problems)
    except (pa.ArrowException, OSError, ValueError) as error:  # what damaged bytes bring about differs
        cause = str(error).partition("\n")[0]
        if not data.endswith(b"PAR1"):
            cause = f"{len(data)} bytes, and the end of the file is missing: was a download cut off?"
        return [], [Problem("file-changed", place, "a whole Parquet file", cause, HINT)]
    if stamp.get("version", listing["version"]) != listing["version"]:
        expected = f"version {listing['version']}, as in manifest.json"
        return [], [Problem("wrong-version", place, expected, f"version {stamp['version']}", HINT)]
    problems = _items(config, rows, listing["items"].get(config, {}).get(split, {}), place)
    remark = ": the same items, written otherwise or with other names of labels"
    return rows, problems or _bytes(path, data, listing["files"].get(f"{config}/{split}.parquet"), remark)


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
    """Texts that (nearly) repeat each other in two splits, or in two folds: a score there would be of memory."""
    items = [(split, row) for split, found in rows.items() for row in found]
    texts = [str(row.get("text", "")) for _, row in items]
    problems = []
    for pair in leaks.near_duplicates(texts, [_place(split, row) for split, row in items]):
        (one, first), (other, second) = items[pair.first], items[pair.second]
        exact = texts[pair.first] == texts[pair.second]
        what = "the same text" if exact else f"{pair.shared} {leaks.SHINGLE}-grams of characters in common"
        expected = "a text, and its near duplicates, in one split and one fold"
        found = f"{what}: {one}: {first.get('id')}, {other}: {second.get('id')}"
        hint = "give their articles one story in articles.toml, then: jinbench split --write"
        problems.append(Problem("leak", place, expected, found, hint))
    return problems


def _overlap(rows: dict[str, list[dict[str, Any]]], split: str, names: list[str]) -> dict[str, dict[str, int]]:
    return leaks.entity_overlap(rows["train"], rows[split], names)


def _place(split: str, row: dict[str, Any]) -> tuple[Any, ...]:
    return split, *(row.get(column) for column in FOLD_COLUMNS)
