"""Text-free release, and rebuilding it.

A standoff folder has the rows of the dataset without their texts (ids, offsets, labels), and in `source/` the files
that lead from the pages to the texts. With the pages, `hydrate` rebuilds the same bytes.
"""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

from jinbench.annotation.annotators import read_annotators
from jinbench.annotation.labels import read_label_set
from jinbench.annotation.workspace import Workspace
from jinbench.core import files, folders, schemas
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, ErrorList, Problem, fail
from jinbench.core.types import Passage, PassageLabels, Span
from jinbench.dataset import features, load, manifest, tables, verify
from jinbench.dataset.build import build_parquet_files, build_rows, to_parquet
from jinbench.dataset.features import CONFIGS, Row
from jinbench.dataset.splits import read_splits
from jinbench.dataset.verify import STANDOFF
from jinbench.publish import croissant
from jinbench.seeds import articles

SOURCE, README = "source", "README.md"
OTHER_FOLDER = "name another folder: --out DIR"
FETCH_AGAIN = "fetch the standoff folder again"
TEXT_FIELDS = frozenset({"text", "tokens", "title", "subtitles", "bylines", "captions", "surface", "page_text"})
NOTICE = """
> **This is the standoff form: labels and offsets, without the text of the pages** but for names and short quotations in
> this card and in the definitions of the labels. The fields that hold text are not there. `jinbench hydrate FOLDER
> --pages DIR --out DIR` puts the dataset together again from the pages; their names and hashes are in `standoff.json`.
"""


class StandoffRecord(TypedDict):
    """standoff.json: sha256 of pages and files by name, and the versions of the libraries that made the Parquet."""

    version: str
    pages: dict[str, str]
    files: dict[str, str]
    made_with: dict[str, str]


def build_standoff(benchmark: Benchmark) -> dict[str, bytes]:
    """Return the files of the standoff form of `dataset/`, by name.

    Raises :class:`DataError` (file-missing, file-changed, errors of pages and labels).
    """
    seeds = articles.read_seeds(benchmark)
    types = features.dataset_features(read_label_set(benchmark))
    listing = load.read_manifest(benchmark)
    contents = {
        f"{SOURCE}/{path.name}": path.read_bytes()
        for path in (benchmark.articles, benchmark.labels, benchmark.annotators)
    }
    for name, path in files.list_files(benchmark.dataset).items():
        data = path.read_bytes()
        if name == README:
            contents[name] = _add_notice(data.decode("utf-8")).encode()
        elif name == croissant.FILE_NAME:  # it describes the files that have texts
            contents[f"{SOURCE}/{name}"] = data
        elif path.suffix != ".parquet":
            contents[name] = data
    for config, splits in CONFIGS.items():
        types_without_text = features.drop_fields(types[config], TEXT_FIELDS)
        for split in splits:
            rows = [_drop_text(row) for row in load.read_rows(benchmark, config, split)]
            contents[f"{config}/{split}.parquet"] = to_parquet(
                rows, types_without_text, manifest.make_stamp(listing, config)
            )
    record: StandoffRecord = {
        "version": listing["version"],
        "pages": {page.file: files.sha256((benchmark.pages / page.file).read_bytes()) for page in seeds.pages},
        "files": {name: files.sha256(data) for name, data in contents.items()},
        "made_with": _library_versions(),
    }
    return contents | {STANDOFF: files.dump_json(record).encode()}


def _library_versions() -> dict[str, str]:
    """Return the versions of the libraries that determine the bytes of a Parquet file and the noise in it."""
    return {name: version(name) for name in ("datasets", "opencc", "pyarrow", "pypinyin")}


def write_standoff(benchmark: Benchmark, folder: Path) -> None:
    """Write the standoff form of `dataset/` into `folder`, replacing an earlier one.

    Raises :class:`DataError` (folder-taken if the folder holds anything that its standoff.json does not list; see also
    :func:`build_standoff`).
    """
    listed = _list_files(folder)

    def is_ours(path: Path) -> bool:
        name = path.relative_to(folder).as_posix()
        is_listed = name in listed and path.is_file() and not path.is_symlink()
        return is_listed and listed[name] in (None, files.sha256(files.read_bytes(path)))

    folders.require_free_folder(folder, OTHER_FOLDER, is_ours)
    contents = build_standoff(benchmark)
    with folders.temporary_folder(folder) as temporary:
        written = temporary / "new"
        for name, data in contents.items():
            files.write_bytes(folders.resolve_inside(written, name), data)
        folders.place_folder(written, folder, OTHER_FOLDER, is_ours)


def _list_files(folder: Path) -> dict[str, str | None]:
    """Return the sha256 of each file that the standoff.json of a folder lists, and None for itself."""
    return {STANDOFF: None, **_read_listing(folder)["files"]} if (folder / STANDOFF).is_file() else {}


def _drop_text(row: Row) -> Row:
    """Remove the fields that hold text of a page, at any depth."""
    return {key: _drop_text_inside(value) for key, value in row.items() if key not in TEXT_FIELDS}


def _drop_text_inside(value: object) -> object:
    if isinstance(value, list):
        return [_drop_text_inside(entry) for entry in value]
    return _drop_text(value) if isinstance(value, dict) else value


def _add_notice(card: str) -> str:
    """Insert the notice after the YAML block of the card."""
    if card.startswith("---\n") and (end := card.find("\n---\n", 4)) > 0:
        return card[: end + 5] + NOTICE + card[end + 5 :]
    return NOTICE + card


def hydrate(folder: Path, pages_folder: Path, out: Path) -> manifest.Manifest:
    """Rebuild a dataset from its standoff form and the pages, byte for byte.

    `out` is created only after every Parquet file was verified against the manifest.

    Args:
        folder: A standoff folder, as :func:`write_standoff` makes it.
        pages_folder: The folder with the pages; a page with another file name is recognised by its hash.
        out: The folder to create.

    Returns:
        The manifest of the dataset.

    Raises:
        DataError: For standoff files or pages that are missing or differ [file-missing, file-changed, page-changed],
            `out` not empty [folder-taken], labels of unknown passages [unknown-id], and the errors of
            :func:`jinbench.dataset.verify.verify_folder`, such as [item-changed].
    """
    folders.require_free_folder(out, OTHER_FOLDER)
    record = _read_record(folder)
    pages = _read_pages(record["pages"], pages_folder)
    with folders.temporary_folder(out) as temporary:
        benchmark = _write_benchmark(folder, record, pages, temporary)
        try:
            for name, data in _rebuild_parquet(folder, benchmark).items():
                files.write_bytes(benchmark.dataset / name, data)
            verify.verify_folder(benchmark.dataset)
        except DataError as error:
            problems = [_explain(problem, benchmark, out, record["made_with"]) for problem in error.problems]
            raise DataError(problems) from None
        folders.place_folder(benchmark.dataset, out, OTHER_FOLDER)
    return load.read_manifest_in(out)


def _explain(problem: Problem, benchmark: Benchmark, out: Path, made_with: dict[str, str]) -> Problem:
    """Locate a problem in `out` instead of the temporary folder, and name library versions that may be its cause."""
    location = problem.location.replace(files.display_path(benchmark.dataset), files.display_path(out)).replace(
        str(benchmark.dataset), str(out)
    )
    installed = _library_versions()
    required = {name: version for name, version in made_with.items() if installed.get(name) != version}
    if not required:
        return replace(problem, location=location, fix=FETCH_AGAIN)
    versions = ", ".join(f"{name} {installed.get(name, 'missing')}" for name in required)
    requirements = " ".join(f"{name}=={version}" for name, version in required.items())
    return replace(
        problem,
        location=location,
        found=f"{problem.found} (made here with {versions})",
        fix=f"pip install {requirements}; then run the command again",
    )


def _read_listing(folder: Path) -> StandoffRecord:
    path = folder / STANDOFF
    record: StandoffRecord = files.read_json(path, "name a folder made by: jinbench publish --standoff --out DIR")
    schemas.check_shape(record, "standoff", files.display_path(path))
    return record


def _read_record(folder: Path) -> StandoffRecord:
    """Read standoff.json and check the hash of every file that it lists."""
    record = _read_listing(folder)
    problems = ErrorList()
    for name, sha in record["files"].items():
        try:
            actual_sha = files.sha256(files.read_bytes(folder / name, FETCH_AGAIN))
        except DataError as error:
            problems += error.problems
            continue
        if actual_sha != sha:
            expected, found = f"sha256 {sha[:12]}…, as in {STANDOFF}", f"{actual_sha[:12]}…"
            location = files.display_path(folder / name)
            problems.add("file-changed", location, expected=expected, found=found, fix=FETCH_AGAIN)
    problems.raise_if_any()
    return record


def _read_pages(hashes: dict[str, str], folder: Path) -> dict[str, bytes]:
    """Read the pages by name; a page under another file name is recognised by its hash."""
    contents = {path.name: path.read_bytes() for path in sorted(folder.glob("*")) if path.is_file()}
    by_sha = {files.sha256(data): data for data in contents.values()}
    problems = ErrorList()
    for name, sha in hashes.items():
        if sha in by_sha:
            continue
        location, expected = files.display_path(folder / name), f"a page with sha256 {sha[:12]}…"
        if name not in contents:
            found, fix = "no file of that name or contents", "put the original page into this folder"
            problems.add("file-missing", location, expected=expected, found=found, fix=fix)
            continue
        size = len(contents[name].decode("utf-8", "replace"))
        found = f"sha256 {files.sha256(contents[name])[:12]}…, {size} characters"
        fix = "put the original page back: not one character may differ, line ends and spaces included"
        problems.add("page-changed", location, expected=expected, found=found, fix=fix)
    problems.raise_if_any()
    return {name: by_sha[sha] for name, sha in hashes.items()}


def _write_benchmark(folder: Path, record: StandoffRecord, pages: dict[str, bytes], root: Path) -> Benchmark:
    """Write a benchmark with the pages, the source files and everything of the dataset but Parquet."""
    benchmark = Benchmark(root)
    for name, data in pages.items():
        files.write_bytes(folders.resolve_inside(benchmark.pages, name), data)
    for path in (benchmark.articles, benchmark.labels, benchmark.annotators):
        files.write_bytes(path, (folder / SOURCE / path.name).read_bytes())
    for name in record["files"]:
        data = (folder / name).read_bytes()
        if name == README:
            data = data.decode("utf-8").replace(NOTICE, "", 1).encode()
        elif name == f"{SOURCE}/{croissant.FILE_NAME}":
            name = croissant.FILE_NAME
        elif name.endswith(".parquet") or name.startswith(f"{SOURCE}/"):
            continue
        files.write_bytes(folders.resolve_inside(benchmark.dataset, name), data)
    return benchmark


def _rebuild_parquet(folder: Path, benchmark: Benchmark) -> dict[str, bytes]:
    """Build the Parquet files from the pages of the benchmark and the labels in the standoff folder."""
    seeds, label_set = articles.read_seeds(benchmark), read_label_set(benchmark)
    passages = {passage.id: passage for passage in seeds.passages()}
    starts = {s.id: s.start for p in passages.values() for s in p.sentences}
    annotators = read_annotators(benchmark).entries
    counts = {"ner": len(starts), "sector": len(passages), "annotations": len(passages) * len(annotators)}
    rows = {config: _read_rows(folder, config, items) for config, items in counts.items()}
    spans: dict[str, list[Span]] = {id: [] for id in passages}
    differing = sorted(
        {row["passage_id"] for row in (*rows["ner"], *rows["annotations"])} - passages.keys()
        | {row["id"] for row in rows["ner"]} ^ starts.keys()
        | {row["id"] for row in rows["sector"]} ^ passages.keys()
    )
    if differing:
        expected, found = "labels of the passages that the pages have, and of all of them", ", ".join(differing[:5])
        fail("unknown-id", files.display_path(folder), expected=expected, found=found, fix=FETCH_AGAIN)
    for row in rows["ner"]:
        spans[row["passage_id"]] += _to_spans(row, passages[row["passage_id"]], starts[row["id"]])
    names = label_set.sector_names
    if foreign := {n for row in (*rows["sector"], *rows["annotations"]) for n in row["sectors"]} - {*range(len(names))}:
        expected, found = f"numbers of sectors, 0 to {len(names) - 1}", ", ".join(map(str, sorted(foreign)[:5]))
        fail("unknown-label", files.display_path(folder), expected=expected, found=found, fix=FETCH_AGAIN)
    gold = {
        row["id"]: PassageLabels(row["id"], "", tuple(spans[row["id"]]), tuple(names[n] for n in row["sectors"]))
        for row in rows["sector"]
    }
    by_annotator: dict[str, dict[str, PassageLabels]] = {}
    for row in rows["annotations"]:
        id, annotator = row["passage_id"], row["annotator"]
        sectors = tuple(names[n] for n in row["sectors"])
        labels = PassageLabels(id, annotator, tuple(_to_spans(row, passages[id], 0)), sectors)
        by_annotator.setdefault(annotator, {})[id] = labels
    annotations = [(entry, by_annotator[entry.name]) for entry in annotators if entry.name in by_annotator]
    workspace = Workspace.from_parts(benchmark, seeds=seeds, label_set=label_set)
    table = build_rows(workspace, gold, read_splits(benchmark, seeds.articles), annotations)
    return build_parquet_files(table, label_set, load.read_manifest(benchmark))


def _read_rows(folder: Path, config: str, items: int) -> list[Row]:
    """Read the rows of all splits, no more than about `items` in each."""
    rows = []
    for split in CONFIGS[config]:
        path = folder / config / f"{split}.parquet"
        columns = tables.STANDOFF_COLUMNS[config]
        rows += tables.parse_table(path, files.read_bytes(path), items, columns, FETCH_AGAIN).to_pylist()
    return rows


def _to_spans(row: Row, passage: Passage, offset: int) -> list[Span]:
    """Convert the spans of a row, whose text begins at `offset` of the passage, to spans of the passage."""
    return [
        Span(start, end, span["type"], passage.text[start:end])
        for span in row["spans"]
        for start, end in [(span["start"] + offset, span["end"] + offset)]
    ]
