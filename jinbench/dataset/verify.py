"""Verify a dataset against its manifest, item by item; check its splits for leaks."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, ErrorList, Problem, fail, raise_if_any
from jinbench.dataset import duplicates, tables
from jinbench.dataset.features import Row, features_from_labels
from jinbench.dataset.load import listed_configs, read_manifest, read_manifest_in
from jinbench.dataset.manifest import Manifest, hash_configs, hash_item, hash_manifest, read_stamp
from jinbench.dataset.splits import FOLD_COLUMNS

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

STANDOFF = "standoff.json"  # marks a folder without texts
DOCUMENTS = ("manifest.json", "README.md", "LICENSE-DATA.md", "croissant.json")  # beside what the manifest lists
PICTURES = "plots/"  # the folder beside them
_FIX = "fetch the dataset again; if you changed pages or labels: jinbench build"
_TWO = "in two splits or two folds"


@dataclass(frozen=True)
class VerificationReport:
    """Report on a dataset that is what its manifest says.

    Args:
        version: Version of the data.
        sha256: Hash of the whole dataset.
        counts: Number of items by config.
        overlap: Entity overlap with train, by other split and by type (and "all"), see
            :func:`jinbench.dataset.duplicates.count_entity_overlap`.
        short_repeats: Number of short sentences that occur in several splits or folds.
        repeats: By config the number of pairs of longer, nearly identical texts in two splits or folds: not more than
            the manifest admits, of a corpus that came with its splits.
    """

    version: str
    sha256: str
    counts: dict[str, int]
    overlap: dict[str, dict[str, dict[str, int]]]
    short_repeats: int
    repeats: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    def __str__(self) -> str:
        counts = ", ".join(f"{n} items of {name}" for name, n in self.counts.items())
        lines = [f"version {self.version}, sha256 {self.sha256}", f"{counts}: each is what manifest.json lists."]
        for name, n in self.repeats.items():
            lines.append(
                f"{name}: {n} pairs of texts of {duplicates.SHORT} characters or more occur, or nearly occur, {_TWO}. "
                f"The corpus came so: a score on it is partly of memory."
            )
        if not self.repeats:
            lines.append(f"No text of {duplicates.SHORT} characters or more occurs, or nearly occurs, {_TWO}.")
        lines.append(f"Shorter ones that do: {self.short_repeats}.")
        for split, by_type in self.overlap.items():
            count = by_type["all"]
            seen = count["same"] / max(count["mentions"], 1)
            lines.append(
                f"{split}: of {count['mentions']} mentions {count['same']} ({seen:.0%}) have a surface seen in train "
                f"with the same type, {count['other']} only with another, {count['both']} with both."
            )
        return "\n".join(lines)


def verify_folder(folder: Path) -> VerificationReport:
    """Verify every item of every config against manifest.json, and every text against the other splits.

    Args:
        folder: A dataset folder.

    Returns:
        Counts and entity overlap.

    Raises:
        DataError: With everything that is wrong [item-changed, item-missing, item-unknown, duplicate-id, leak,
            file-changed, wrong-version, file-missing, broken-json, wrong-shape, standoff].
    """
    if (folder / STANDOFF).is_file():
        location = files.display_path(folder)
        fix = f"jinbench hydrate {location} --pages DIR --out DIR"
        fail("standoff", location, expected="a dataset with its texts", found=STANDOFF, fix=fix)
    manifest = read_manifest_in(folder)
    problems = ErrorList(_check_manifest(manifest, files.display_path(folder / "manifest.json")))
    types = features_from_labels(manifest["labels"])
    rows: dict[str, dict[str, list[Row]]] = {}
    for config, splits in listed_configs(manifest).items():
        rows[config] = {}
        for split in splits:
            file = _ItemFile(folder, config, split, manifest)
            rows[config][split] = file.read(types[config])
            problems += file.problems
    raise_if_any(problem for problem in problems if problem.code == "wrong-version")
    short_repeats = 0
    repeats: dict[str, int] = {}
    for config in (name for name in ("ner", "sector") if name in rows):
        names, texts, groups = _flatten(rows[config])
        leaks = _find_leaks(names, texts, groups, files.display_path(folder / config))
        if len(leaks) > manifest.get("leaks", {}).get(config, 0):
            problems += leaks
        elif leaks:
            repeats[config] = len(leaks)
        repeated = {texts[pair.first] for pair in duplicates.find_repeated_texts(texts, groups)}
        short_repeats += sum(len(text) < duplicates.SHORT for text in repeated)
    problems += _check_other_files(folder, manifest)
    problems.raise_if_any()
    ner, names = rows["ner"], manifest["labels"]["ner"]
    return VerificationReport(
        str(manifest["version"]),
        str(manifest["sha256"]),
        {config: sum(map(len, splits.values())) for config, splits in rows.items()},
        {split: duplicates.count_entity_overlap(ner["train"], ner[split], names) for split in ner if split != "train"},
        short_repeats,
        repeats,
    )


def _check_manifest(manifest: Manifest, location: str) -> list[Problem]:
    """Return the problems of a manifest whose hashes do not fit each other."""
    problems = ErrorList()
    if manifest["configs"] != hash_configs(manifest["items"], manifest["labels"]):
        expected = "hashes of configs that fit those of their items"
        problems.add("item-changed", location, expected=expected, found="others", fix=_FIX)
    if manifest["sha256"] != hash_manifest(manifest):
        expected = "a sha256 that fits version, errata, gold and configs"
        problems.add("item-changed", location, expected=expected, found="another", fix=_FIX)
    return problems


class _ItemFile:
    """A Parquet file of items; reading it collects the problems."""

    def __init__(self, folder: Path, config: str, split: str, manifest: Manifest) -> None:
        self.path = folder / config / f"{split}.parquet"
        self.config, self.split, self.manifest = config, split, manifest
        self.problems = ErrorList()

    def _add(self, code: str, expected: str, found: str) -> None:
        self.problems.add(code, files.display_path(self.path), expected=expected, found=found, fix=_FIX)

    def read(self, features: "datasets.Features") -> list[Row]:
        """Return the rows, none if they cannot be read. The bytes are checked last: they say least."""
        try:
            data = files.read_bytes(self.path, _FIX)
            items = len(self.manifest["items"].get(self.config, {}).get(self.split, {}))
            table = tables.parse_table(self.path, data, items, tables.COLUMNS[self.config], _FIX)
            rows = list(table.to_pylist())
        except DataError as error:
            self.problems += error.problems
            return []
        listed = self.manifest["version"]
        version = read_stamp(table.schema.metadata).get("version", listed)
        if version != listed:
            self._add("wrong-version", f"version {listed}, as in manifest.json", f"version {version}")
            return []
        if table.column_names != list(features):
            self._add("wrong-shape", f"the columns {', '.join(features)}", ", ".join(table.column_names))
            return []
        self._check_items(rows)
        if not self.problems and b"huggingface" in (table.schema.metadata or {}):
            self._check_types(table.schema, features)
        if not self.problems:
            sha256 = self.manifest["files"].get(f"{self.config}/{self.split}.parquet")
            self.problems += _check_bytes(self.path, data, sha256, ": the same items, written otherwise")
        return rows

    def _check_types(self, schema: "pa.Schema", features: "datasets.Features") -> None:
        """Compare the types that a file declares with those of the manifest: names of labels are not in the rows."""
        from datasets import Features

        try:
            same = Features.from_arrow_schema(schema) == features
        except (ValueError, KeyError, TypeError, AttributeError):
            same = False
        if not same:
            expected = "the types and the names of labels that manifest.json gives"
            self._add("file-changed", expected, "other names of labels, or other types")

    def _check_items(self, rows: Sequence[Row]) -> None:
        by_split = self.manifest["items"].get(self.config, {})
        listed, seen = by_split.get(self.split, {}), set()
        for row in rows:
            id, sha256 = str(row["id"]), hash_item(row)
            other = next((name for name, ids in by_split.items() if id in ids and name != self.split), None)
            if id in seen:
                self._add("duplicate-id", "each id once", id)
            elif id not in listed:
                found = f"{id}, which belongs to {other}" if other else id
                self._add("item-unknown", f"items that manifest.json lists in {self.split}", found)
            elif listed[id] != sha256:
                found = f"{sha256[:12]}…: its text or its labels are others"
                self._add("item-changed", f"{id} with sha256 {listed[id][:12]}…", found)
            seen.add(id)
        for id in listed:
            if id not in seen:
                self._add("item-missing", f"{id}, as in manifest.json", "nothing")


def _check_bytes(path: Path, data: bytes, listed: str | None, remark: str = "") -> list[Problem]:
    problems, sha256 = ErrorList(), files.sha256(data)
    if sha256 != listed:
        expected, found = f"sha256 {str(listed)[:12]}…", f"{sha256[:12]}…{remark}"
        problems.add("file-changed", files.display_path(path), expected=expected, found=found, fix=_FIX)
    return problems


def _check_other_files(folder: Path, manifest: Manifest) -> list[Problem]:
    """Return the problems of files without items: changed ones, and those that the manifest does not list."""
    problems = ErrorList()
    tables = {f"{config}/{split}.parquet" for config, splits in listed_configs(manifest).items() for split in splits}
    for name in sorted(manifest["files"].keys() - tables):
        try:
            problems += _check_bytes(folder / name, files.read_bytes(folder / name, _FIX), manifest["files"][name])
        except DataError as error:
            problems += error.problems
    for name, path in files.list_files(folder).items():
        if name not in manifest["files"] and name not in DOCUMENTS and not name.startswith(PICTURES):
            expected, fix = "files of a dataset, and no others", "remove it: it would be published with the dataset"
            problems.add("item-unknown", files.display_path(path), expected=expected, found=name, fix=fix)
    return problems


def _flatten(rows: Mapping[str, Sequence[Row]]) -> tuple[list[str], list[str], list[str]]:
    """Return for every row of all splits its split and id, its text, and its split and folds as one string."""
    pairs = [(split, row) for split, split_rows in rows.items() for row in split_rows]
    names = [f"{split}: {row['id']}" for split, row in pairs]
    groups = [str((split, *(row[column] for column in FOLD_COLUMNS))) for split, row in pairs]
    return names, [str(row["text"]) for _, row in pairs], groups


def _find_leaks(names: Sequence[str], texts: Sequence[str], groups: Sequence[str], location: str) -> ErrorList:
    """Return a problem for each pair of near-duplicates in two splits or folds: a score there would be of memory."""
    problems = ErrorList()
    for pair in duplicates.find_near_duplicates(texts, groups):
        identical = texts[pair.first] == texts[pair.second]
        what = "the same text" if identical else f"{pair.shared} {duplicates.SHINGLE}-grams of characters in common"
        expected = "a text, and its near duplicates, in one split and one fold"
        found = f"{what}: {names[pair.first]}, {names[pair.second]}"
        fix = "give their articles one story in articles.toml, then: jinbench build --search-splits --write"
        problems.add("leak", location, expected=expected, found=found, fix=fix)
    return problems


def verify_loaded(benchmark: Benchmark, rows: object) -> int:
    """Verify loaded rows against the manifest, see :func:`jinbench.api.verify`.

    Args:
        benchmark: The benchmark whose manifest they should be in.
        rows: A whole `datasets.DatasetDict` of one config, or a `datasets.Dataset`, whole or in part.

    Returns:
        The number of rows.

    Raises:
        DataError: [wrong-version, duplicate-id, wrong-shape].
    """
    from datasets import Dataset

    manifest = read_manifest(benchmark)
    by_split = dict(rows) if isinstance(rows, dict) else {str(getattr(rows, "split", None) or ""): rows}
    parts = {split: part for split, part in by_split.items() if isinstance(part, Dataset)}
    fix = "give it what load_dataset gives, without streaming, before columns are added or dropped"
    if not parts or len(parts) < len(by_split):
        expected, found = "a datasets.Dataset, or a DatasetDict of one config", type(rows).__name__
        fail("wrong-shape", "the rows", expected=expected, found=found, fix=fix)
    types = {name: of for name, of in features_from_labels(manifest["labels"]).items() if name in manifest["items"]}
    problems: list[Problem] = []
    for split, part in parts.items():
        config = next((name for name, features in types.items() if list(features) == part.column_names), None)
        if config is None:
            expected, found = f"the columns of one of {', '.join(types)}", ", ".join(part.column_names)
            fail("wrong-shape", f"the rows {split}".strip(), expected=expected, found=found, fix=fix)
        splits = manifest["items"][config]
        hashes = splits.get(split) or {id: sha256 for ids in splits.values() for id, sha256 in ids.items()}
        size = len(hashes) if isinstance(rows, dict) and split in splits else None
        name = f"{config} of version {manifest['version']}, sha256 {manifest['sha256'][:8]}…"
        location = f"the rows {split}".strip()
        problems += _check_loaded(part, types[config], hashes, size, name, location)
    raise_if_any(problems)
    return sum(map(len, parts.values()))


def _check_loaded(
    part: "datasets.Dataset",
    features: "datasets.Features",
    hashes: Mapping[str, str],
    size: int | None,
    name: str,
    location: str,
) -> list[Problem]:
    """Return the problem, if any, of loaded rows: `hashes` of the items by id, `size` the number of rows if known."""
    rows = part.with_format("arrow")[:].to_pylist() if len(part) else []
    ids = [str(row["id"]) for row in rows]
    others = [id for id, row in zip(ids, rows, strict=True) if hashes.get(id) != hash_item(row)]
    code = "wrong-version"
    if others or not rows:
        found = f"{len(others)} of {len(rows)} rows that are not, first {others[0]}" if rows else "no rows"
        expected = f"those of {name}"
    elif part.features != features:
        expected, found = f"the names of labels of {name}", "others"
    elif len(set(ids)) < len(ids):
        code, expected, found = "duplicate-id", "each row once", f"{len(ids) - len(set(ids))} again"
    elif size is not None and len(rows) != size:
        expected, found = f"all {size} rows of {name}", str(len(rows))
    else:
        return []
    fix = 'load_dataset(…, revision="v…", download_mode="force_redownload"), or jinbench.load(…)'
    return [Problem(code, location=location, expected=expected, found=found, fix=fix)]
