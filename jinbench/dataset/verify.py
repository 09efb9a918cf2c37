"""Whether a dataset folder is what its manifest says, item by item, and whether its splits are clean of each other."""

import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem
from jinbench.dataset import duplicates, load, manifest
from jinbench.dataset.features import features_from_labels
from jinbench.dataset.splits import FOLD_COLUMNS

STANDOFF = "standoff.json"  # what a folder without texts has
DOCUMENTS = ("manifest.json", "README.md", "LICENSE-DATA.md", "croissant.json")  # beside what the manifest lists, and
PICTURES = "plots/"  # what lies there
HINT = "fetch the dataset again; if you changed pages or labels: jinbench build"
TWO = "in two splits or two folds"
ENOUGH = 5  # problems of one kind in one file; of more only the number is told


@dataclass(frozen=True)
class VerificationReport:
    """A dataset that is what its manifest says. `counts`: its items by config.

    `overlap`: by split other than train and by type (and "all"), how many mentions have a surface that train has too:
    see :func:`leaks.entity_overlap`. `stock`: how many short sentences stand in several splits or folds. `repeats`: by
    config, how many pairs of longer ones do in a corpus that came with its splits, as many as the manifest admits.
    """

    version: str
    sha256: str
    counts: dict[str, int]
    overlap: dict[str, dict[str, dict[str, int]]]
    stock: int
    repeats: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        counts = ", ".join(f"{n} items of {name}" for name, n in self.counts.items())
        lines = [
            f"version {self.version}, sha256 {self.sha256}",
            f"{counts}: each is what manifest.json lists.",
            *(
                f"{name}: {n} pairs of texts of {duplicates.SHORT} characters or more stand, or nearly stand, {TWO}. "
                f"The corpus came so: a score on it is partly of memory."
                for name, n in self.repeats.items()
            ),
            *(
                ()
                if self.repeats
                else (f"No text of {duplicates.SHORT} characters or more stands, or nearly stands, {TWO}.",)
            ),
            f"Shorter ones that do: {self.stock}.",
        ]
        for split, found in self.overlap.items():
            count = found["all"]
            seen = count["same"] / max(count["mentions"], 1)
            lines.append(
                f"{split}: of {count['mentions']} mentions {count['same']} ({seen:.0%}) have a surface seen in train "
                f"with the same type, {count['other']} only with another, {count['both']} with both."
            )
        return "\n".join(lines)


def verify_folder(folder: Path) -> VerificationReport:
    """Hold every item of every config against manifest.json, and every text against the other splits.

    Raises :class:`DataError` with everything that is wrong: item-changed, item-missing, item-unknown, duplicate-id,
    leak, file-changed, wrong-version, file-missing, broken-json, wrong-shape, standoff.
    """
    if (folder / STANDOFF).is_file():
        hint = f"jinbench hydrate {files.display_path(folder)} --pages DIR --out DIR"
        raise DataError(
            Problem(
                "standoff", location=files.display_path(folder), expected="a dataset with its texts", found=STANDOFF, fix=hint
            )
        )
    listing = load.read_manifest_in(folder)
    problems = _itself(listing, files.display_path(folder / "manifest.json"))
    types = features_from_labels(listing["labels"])
    known = load.listed_configs(listing)
    found = {config: _config(folder, listing, config, types[config], problems) for config in known}
    if versions := [problem for problem in problems if problem.code == "wrong-version"]:
        raise DataError(_fewer(versions))
    stock = 0
    repeats: dict[str, int] = {}
    for config in (name for name in ("ner", "sector") if name in found):
        placed = _placed(found[config])
        number, wrong = _leaks(*placed, files.display_path(folder / config))
        if number > listing.get("leaks", {}).get(config, 0):
            problems += wrong
        elif number:
            repeats[config] = number
        stock += _stock(*placed)
    problems += _others(folder, listing)
    if problems:
        raise DataError(problems)
    ner, names = found["ner"], listing["labels"]["ner"]
    overlap = {split: duplicates.count_entity_overlap(ner["train"], ner[split], names) for split in ner if split != "train"}
    counts = {config: sum(map(len, rows.values())) for config, rows in found.items()}
    return VerificationReport(str(listing["version"]), str(listing["sha256"]), counts, overlap, stock, repeats)


def _itself(listing: dict[str, Any], place: str) -> list[Problem]:
    """Whether a manifest fits itself."""
    problems = []
    if listing["configs"] != manifest.hash_configs(listing["items"], listing["labels"]):
        expected, found = "hashes of configs that fit those of their items", "others"
        problems.append(Problem("item-changed", location=place, expected=expected, found=found, fix=HINT))
    if listing["sha256"] != manifest.hash_manifest(listing):
        expected, found = "a sha256 that fits version, errata, gold and configs", "another"
        problems.append(Problem("item-changed", location=place, expected=expected, found=found, fix=HINT))
    return problems


def _config(
    folder: Path, listing: dict[str, Any], config: str, features: Any, problems: list[Problem]
) -> dict[str, list[dict[str, Any]]]:
    """The rows of a config by split. What is wrong with them is added to `problems`."""
    rows = {}
    for split in load.listed_configs(listing)[config]:
        rows[split], wrong = _file(folder / config / f"{split}.parquet", listing, config, split, features)
        problems += _fewer(wrong)
    return rows


def _fewer(problems: list[Problem]) -> list[Problem]:
    """The first of each kind, the last of them with the number of those that are left out."""
    kept: list[Problem] = []
    for code in dict.fromkeys(problem.code for problem in problems):
        alike = [problem for problem in problems if problem.code == code]
        kept += alike[:ENOUGH]
        if len(alike) > ENOUGH:
            kept[-1] = replace(kept[-1], found=f"{kept[-1].found}; and {len(alike) - ENOUGH} more like this")
    return kept


def _file(
    path: Path, listing: dict[str, Any], config: str, split: str, features: Any
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The rows of a file, and everything that is wrong with it. Its bytes come last: they say least."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = files.display_path(path)
    try:
        data = files.read_bytes(path, HINT)
        table = pq.ParquetFile(io.BytesIO(data)).read()
        rows = list(table.to_pylist())
    except DataError as error:
        return [], list(error.problems)
    except (pa.ArrowException, OSError, ValueError) as error:  # what damaged bytes bring about differs
        cause = str(error).partition("\n")[0]
        if not data.endswith(b"PAR1"):
            cause = f"{len(data)} bytes, and the end of the file is missing: was a download cut off?"
        return [], [Problem("file-changed", location=place, expected="a whole Parquet file", found=cause, fix=HINT)]
    said = manifest.read_stamp(table.schema.metadata).get("version", listing["version"])
    if said != listing["version"]:
        expected = f"version {listing['version']}, as in manifest.json"
        return [], [Problem("wrong-version", location=place, expected=expected, found=f"version {said}", fix=HINT)]
    if table.column_names != list(features):
        expected, columns = f"the columns {', '.join(features)}", ", ".join(table.column_names)
        return [], [Problem("wrong-shape", location=place, expected=expected, found=columns, fix=HINT)]
    problems = _items(rows, listing["items"].get(config, {}), split, place)
    if not problems and b"huggingface" in (table.schema.metadata or {}):
        problems = _types(table.schema, features, place)
    remark = ": the same items, written otherwise"
    return rows, problems or _bytes(path, data, listing["files"].get(f"{config}/{split}.parquet"), remark)


def _types(schema: Any, features: Any, place: str) -> list[Problem]:
    """Whether the types that a file says it has are those of the manifest: names of labels are not in the rows."""
    from datasets import Features

    try:
        found = Features.from_arrow_schema(schema)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        found = f"{type(error).__name__}: {error}"
    if found == features:
        return []
    expected = "the types and the names of labels that manifest.json gives"
    return [
        Problem(
            "file-changed", location=place, expected=expected, found="other names of labels, or other types", fix=HINT
        )
    ]


def _bytes(path: Path, data: bytes, sha: str | None, remark: str = "") -> list[Problem]:
    found = files.sha256(data)
    if found == sha:
        return []
    return [
        Problem(
            "file-changed",
            location=files.display_path(path),
            expected=f"sha256 {str(sha)[:12]}…",
            found=f"{found[:12]}…{remark}",
            fix=HINT,
        )
    ]


def _items(rows: list[dict[str, Any]], listed: dict[str, dict[str, str]], split: str, place: str) -> list[Problem]:
    problems, seen, here = [], set(), listed.get(split, {})
    for row in rows:
        id, sha = str(row["id"]), manifest.hash_item(row)
        home = next((other for other, known in listed.items() if id in known and other != split), None)
        if id in seen:
            problems.append(Problem("duplicate-id", location=place, expected="each id once", found=id, fix=HINT))
        elif id not in here:
            found = f"{id}, which belongs to {home}" if home else id
            problems.append(
                Problem(
                    "item-unknown",
                    location=place,
                    expected=f"items that manifest.json lists in {split}",
                    found=found,
                    fix=HINT,
                )
            )
        elif here[id] != sha:
            expected, found = f"{id} with sha256 {here[id][:12]}…", f"{sha[:12]}…: its text or its labels are others"
            problems.append(Problem("item-changed", location=place, expected=expected, found=found, fix=HINT))
        seen.add(id)
    problems += [
        Problem("item-missing", location=place, expected=f"{id}, as in manifest.json", found="nothing", fix=HINT)
        for id in here
        if id not in seen
    ]
    return problems


def _others(folder: Path, listing: dict[str, Any]) -> list[Problem]:
    """The files that are no items: those that the manifest lists, and those that nobody knows."""
    problems: list[Problem] = []
    tables = {
        f"{config}/{split}.parquet" for config, splits in load.listed_configs(listing).items() for split in splits
    }
    for name in sorted(listing["files"].keys() - tables):
        try:
            problems += _bytes(folder / name, files.read_bytes(folder / name, HINT), listing["files"][name])
        except DataError as error:
            problems += error.problems
    for name, path in files.list_files(folder).items():
        if name in listing["files"] or name in DOCUMENTS or name.startswith(PICTURES):
            continue
        hint = "take it away: it would be published with the dataset"
        problems.append(
            Problem(
                "item-unknown",
                location=files.display_path(path),
                expected="files of a dataset, and no others",
                found=name,
                fix=hint,
            )
        )
    return _fewer(problems)


def _placed(rows: dict[str, list[dict[str, Any]]]) -> tuple[list[str], list[str], list[str]]:
    """For every row of all splits: its split and id, its text, and its split and folds in a word."""
    found = [(split, row) for split, part in rows.items() for row in part]
    names = [f"{split}: {row['id']}" for split, row in found]
    places = [str((split, *(row[column] for column in FOLD_COLUMNS))) for split, row in found]
    return names, [str(row["text"]) for _, row in found], places


def _stock(_: list[str], texts: list[str], places: list[str]) -> int:
    """How many short texts stand in two splits or folds."""
    return len(
        {texts[pair.first] for pair in duplicates.find_repeated_texts(texts, places) if len(texts[pair.first]) < duplicates.SHORT}
    )


def _leaks(names: list[str], texts: list[str], places: list[str], where: str) -> tuple[int, list[Problem]]:
    """Texts that (nearly) repeat each other in two splits, or in two folds: a score there would be of memory.

    Returns how many pairs there are, and what is to be said of them.
    """
    problems = []
    for pair in duplicates.find_near_duplicates(texts, places):
        exact = texts[pair.first] == texts[pair.second]
        what = "the same text" if exact else f"{pair.shared} {duplicates.SHINGLE}-grams of characters in common"
        expected = "a text, and its near duplicates, in one split and one fold"
        said = f"{what}: {names[pair.first]}, {names[pair.second]}"
        hint = "give their articles one story in articles.toml, then: jinbench split --write"
        problems.append(Problem("leak", location=where, expected=expected, found=said, fix=hint))
    return len(problems), _fewer(problems)


def verify_loaded(benchmark: Benchmark, rows: Any) -> int:
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

    listing = load.read_manifest(benchmark)
    parts = dict(rows) if isinstance(rows, dict) else {str(getattr(rows, "split", None) or ""): rows}
    hint = "give it what load_dataset gives, without streaming, before columns are added or dropped"
    if not parts or not all(isinstance(part, Dataset) for part in parts.values()):
        expected, said = "a datasets.Dataset, or a DatasetDict of one config", type(rows).__name__
        raise DataError(Problem("wrong-shape", location="the rows", expected=expected, found=said, fix=hint))
    types = {name: of for name, of in features_from_labels(listing["labels"]).items() if name in listing["items"]}
    problems: list[Problem] = []
    for split, part in parts.items():
        config = next((name for name, features in types.items() if list(features) == part.column_names), None)
        if config is None:
            expected, said = f"the columns of one of {', '.join(types)}", ", ".join(part.column_names)
            raise DataError(
                Problem("wrong-shape", location=f"the rows {split}".strip(), expected=expected, found=said, fix=hint)
            )
        problems += _loaded(part, split, config, listing, types[config], isinstance(rows, dict))
    if problems:
        raise DataError(_fewer(problems))
    return sum(map(len, parts.values()))


def _loaded(
    part: Any, split: str, config: str, listing: dict[str, Any], features: Any, whole: bool
) -> Iterator[Problem]:
    """What is wrong with the rows of a split, or of any if it has no name that is known."""
    splits = listing["items"][config]
    listed = splits.get(split) or {id: sha for known in splits.values() for id, sha in known.items()}
    place = f"the rows {split}".strip()
    version = f"{config} of version {listing['version']}, sha256 {listing['sha256'][:8]}…"
    hint = 'load_dataset(…, revision="v…", download_mode="force_redownload"), or jinbench.load(…)'
    rows = part.with_format("arrow")[:].to_pylist() if len(part) else []
    ids = [str(row["id"]) for row in rows]
    other = [id for id, row in zip(ids, rows, strict=True) if listed.get(id) != manifest.hash_item(row)]
    if other or not rows:
        said = f"{len(other)} of {len(rows)} rows that are not, first {other[0]}" if rows else "no rows"
        yield Problem("wrong-version", location=place, expected=f"those of {version}", found=said, fix=hint)
    elif part.features != features:
        yield Problem(
            "wrong-version", location=place, expected=f"the names of labels of {version}", found="others", fix=hint
        )
    elif len(set(ids)) < len(ids):
        yield Problem(
            "duplicate-id",
            location=place,
            expected="each row once",
            found=f"{len(ids) - len(set(ids))} again",
            fix=hint,
        )
    elif whole and split in splits and len(rows) != len(listed):
        yield Problem(
            "wrong-version",
            location=place,
            expected=f"all {len(listed)} rows of {version}",
            found=str(len(rows)),
            fix=hint,
        )
