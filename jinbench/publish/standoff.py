"""The dataset without the text of its pages, for whoever may not pass that on; and putting it together again.

A standoff folder has the rows of the dataset without their texts (ids, offsets, labels, where they stand), and in
`source/` what leads from the pages to the texts. With the pages, the same bytes come out.
"""

import shutil
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinbench.annotation.annotators import Annotator, read_annotators
from jinbench.annotation.labels import read_label_set
from jinbench.core import files, schemas, text
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem, raise_if_any
from jinbench.core.types import Passage, PassageLabels, Span
from jinbench.dataset import features, load, manifest, verify
from jinbench.dataset.build import build_rows, parquet, parquets
from jinbench.dataset.features import CONFIGS
from jinbench.dataset.splits import read_splits
from jinbench.dataset.verify import STANDOFF
from jinbench.publish import croissant
from jinbench.seeds import articles

SOURCE, README = "source", "README.md"
ANOTHER = "name another one: --out DIR"
TEXTS = frozenset({"text", "tokens", "title", "subtitles", "bylines", "captions", "surface", "page_text"})
NOTICE = """
> **This is the standoff form: labels and offsets, without the text of the pages** but for names and short quotations in
> this card and in the definitions of the labels. The fields that hold text are not there. `jinbench hydrate FOLDER
> --pages DIR --out DIR` puts the dataset together again from the pages; their names and hashes are in `standoff.json`.
"""


def build_standoff(benchmark: Benchmark) -> dict[str, bytes]:
    """The files of the standoff form of `dataset/`, by name.

    Raises :class:`DataError` (file-missing, file-changed, and what is wrong in pages or labels).
    """
    seed = articles.read_seeds(benchmark)
    types = features.dataset_features(read_label_set(benchmark))
    listing = load.read_manifest(benchmark)
    contents = {
        f"{SOURCE}/{path.name}": path.read_bytes()
        for path in (benchmark.articles, benchmark.labels, benchmark.annotators)
    }
    for name, path in files.visible(benchmark.dataset).items():
        data = path.read_bytes()
        if name == README:
            contents[name] = _noticed(data.decode("utf-8")).encode()
        elif name == croissant.NAME:  # it describes the files that have texts
            contents[f"{SOURCE}/{name}"] = data
        elif path.suffix != ".parquet":
            contents[name] = data
    for config, splits in CONFIGS.items():
        bare = features.without(types[config], TEXTS)
        for split in splits:
            rows = [_bare(row) for row in load.read_rows(benchmark, config, split)]
            contents[f"{config}/{split}.parquet"] = parquet(rows, bare, manifest.stamp(listing, config))
    record = {
        "version": listing["version"],
        "pages": {page.file: files.sha256((benchmark.pages / page.file).read_bytes()) for page in seed.pages},
        "files": {name: files.sha256(data) for name, data in contents.items()},
        "made_with": _libraries(),
    }
    return contents | {STANDOFF: files.dump_json(record).encode()}


def _libraries() -> dict[str, str]:
    """The versions of what decides the bytes of a Parquet file, and the noise in it."""
    return {name: version(name) for name in ("datasets", "opencc", "pyarrow", "pypinyin")}


def write_standoff(benchmark: Benchmark, folder: Path) -> None:
    """Write the standoff form of `dataset/` into `folder`, in place of an earlier one.

    Raises :class:`DataError` (folder-taken if the folder holds anything else, and what :func:`build` raises).
    """
    files.check_free(folder, ANOTHER, STANDOFF)
    contents = build_standoff(benchmark)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        made = Path(scratch) / folder.name
        for name, data in contents.items():
            files.write_bytes(made / name, data)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(made, folder)


def _bare(value: Any) -> Any:
    """Without the fields that hold text of a page, at any depth."""
    if isinstance(value, dict):
        return {key: _bare(field) for key, field in value.items() if key not in TEXTS}
    return [_bare(entry) for entry in value] if isinstance(value, list) else value


def _noticed(card: str) -> str:
    """The card with the notice right after its head."""
    if card.startswith("---\n") and (end := card.find("\n---\n", 4)) > 0:
        return card[: end + 5] + NOTICE + card[end + 5 :]
    return NOTICE + card


def hydrate(folder: Path, pages_folder: Path, out: Path) -> dict[str, Any]:
    """Put the dataset together from a standoff folder and the pages; returns its manifest.

    Every Parquet file is held against the manifest before `out` comes into being.
    Raises :class:`DataError` (file-missing, file-changed, page-changed, folder-taken, item-changed and the other
    problems of :func:`verifying.verify`).
    """
    files.check_free(out, ANOTHER)
    out = out.resolve()
    record = _read(folder)
    texts = _pages(record["pages"], pages_folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
        where = _rooms(folder, record, texts, Path(scratch))
        try:
            for name, data in _hydrated(folder, where).items():
                files.write_bytes(where.dataset / name, data)
            verify.verify_folder(where.dataset)
        except DataError as error:
            raise DataError([_told(problem, where, out, record["made_with"]) for problem in error.problems]) from None
        files.settle(where.dataset, out, ANOTHER)
    listing: dict[str, Any] = files.read_json(out / "manifest.json")
    return listing


def _told(problem: Problem, benchmark: Benchmark, out: Path, made_with: dict[str, str]) -> Problem:
    """A problem with what was put together: named by where it would have been, and with what may be the cause."""
    place = problem.location.replace(files.shown(benchmark.dataset), files.shown(out)).replace(
        str(benchmark.dataset), str(out)
    )
    here = _libraries()
    others = {name: found for name, found in made_with.items() if here.get(name) != found}
    if not others:
        return replace(problem, location=place, fix="fetch the standoff folder again")
    found = ", ".join(f"{name} {here.get(name, 'missing')}" for name in others)
    wanted = " ".join(f"{name}=={found}" for name, found in others.items())
    return replace(
        problem,
        location=place,
        found=f"{problem.found} (made here with {found})",
        fix=f"pip install {wanted}; then again",
    )


def _read(folder: Path) -> dict[str, Any]:
    """standoff.json, once every file that it lists was found to be what it says."""
    path = folder / STANDOFF
    record: dict[str, Any] = files.read_json(path, "name a folder made by: jinbench publish --standoff --out DIR")
    schemas.check_shape(record, "standoff", files.shown(path))
    problems: list[Problem] = []
    for name, sha in record["files"].items():
        try:
            found = files.sha256(files.read_bytes(folder / name, "fetch the standoff folder again"))
        except DataError as error:
            problems += error.problems
            continue
        if found != sha:
            expected, hint = f"sha256 {sha[:12]}…, as in {STANDOFF}", "fetch the standoff folder again"
            problems.append(
                Problem(
                    "file-changed",
                    location=files.shown(folder / name),
                    expected=expected,
                    found=f"{found[:12]}…",
                    fix=hint,
                )
            )
    raise_if_any(problems)
    return record


def _pages(wanted: dict[str, str], folder: Path) -> dict[str, bytes]:
    """The pages by name. One that goes by another name there is known by its hash."""
    there = {path.name: path.read_bytes() for path in sorted(folder.glob("*")) if path.is_file()}
    by_sha = {files.sha256(data): data for data in there.values()}
    problems = []
    for name, sha in wanted.items():
        if sha in by_sha:
            continue
        place = files.shown(folder / name)
        if name not in there:
            found, hint = "no file of that name or contents", "put the page there, as it was found"
            problems.append(
                Problem(
                    "file-missing", location=place, expected=f"a page with sha256 {sha[:12]}…", found=found, fix=hint
                )
            )
            continue
        size, found_sha = len(there[name].decode("utf-8", "replace")), files.sha256(there[name])
        found = f"sha256 {found_sha[:12]}…, {size} characters"
        hint = "put the original page back: not one character may differ, line ends and spaces included"
        problems.append(Problem("page-changed", location=place, expected=f"sha256 {sha[:12]}…", found=found, fix=hint))
    raise_if_any(problems)
    return {name: by_sha[sha] for name, sha in wanted.items()}


def _rooms(folder: Path, record: dict[str, Any], texts: dict[str, bytes], root: Path) -> Benchmark:
    """Rooms with the pages and what leads from them to the texts."""
    where = Benchmark(root)
    for name, data in texts.items():
        files.write_bytes(where.pages / name, data)
    for path in (where.articles, where.labels, where.annotators):
        files.write_bytes(path, (folder / SOURCE / path.name).read_bytes())
    for name in record["files"]:
        data = (folder / name).read_bytes()
        if name == README:
            data = data.decode("utf-8").replace(NOTICE, "", 1).encode()
        elif name == f"{SOURCE}/{croissant.NAME}":
            name = croissant.NAME
        elif name.endswith(".parquet") or name.startswith(f"{SOURCE}/"):
            continue
        files.write_bytes(where.dataset / name, data)
    return where


def _hydrated(folder: Path, benchmark: Benchmark) -> dict[str, bytes]:
    """The Parquet files, from the pages in `where` and the labels in `folder`."""
    seed, label_set = articles.read_seeds(benchmark), read_label_set(benchmark)
    passages = {passage.id: passage for passage in seed.passages()}
    rows = {config: _rows(folder, config) for config in ("ner", "sector", "annotations")}
    spans: dict[str, list[Span]] = {id: [] for id in passages}
    starts = {s.id: s.start for p in passages.values() for s in text.split_sentences(p.id, p.text)}
    unknown = sorted(
        {row["passage_id"] for row in (*rows["ner"], *rows["annotations"])} - passages.keys()
        | {row["id"] for row in rows["ner"]} - starts.keys()
    )
    if unknown:
        expected, hint = "labels of passages that the pages have", "fetch the standoff folder again"
        raise DataError(
            Problem(
                "unknown-id", location=files.shown(folder), expected=expected, found=", ".join(unknown[:5]), fix=hint
            )
        )
    for row in rows["ner"]:
        spans[row["passage_id"]] += _spans(row, passages[row["passage_id"]], starts[row["id"]])
    names = label_set.sector_names
    gold = {
        row["id"]: PassageLabels(row["id"], "", tuple(spans[row["id"]]), tuple(names[n] for n in row["sectors"]))
        for row in rows["sector"]
    }
    read: dict[str, dict[str, PassageLabels]] = {}
    for row in rows["annotations"]:
        id = row["passage_id"]
        said = _spans(row, passages[id], 0), (names[n] for n in row["sectors"])
        read.setdefault(row["annotator"], {})[id] = PassageLabels(id, row["annotator"], tuple(said[0]), tuple(said[1]))
    readings: list[tuple[Annotator, dict[str, PassageLabels]]] = [
        (entry, read[entry.name]) for entry in read_annotators(benchmark).entries if entry.name in read
    ]
    table = build_rows(seed, label_set, gold, read_splits(benchmark, seed.articles), readings)
    return parquets(table, label_set, load.read_manifest(benchmark))


def _rows(folder: Path, config: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return [
        row
        for split in CONFIGS[config]
        for row in pq.ParquetFile(folder / config / f"{split}.parquet").read().to_pylist()
    ]


def _spans(row: dict[str, Any], passage: Passage, start: int) -> list[Span]:
    """The spans of a row whose text begins at `start` of the passage, as spans of the passage."""
    found = []
    for span in row["spans"]:
        begin, end = span["start"] + start, span["end"] + start
        found.append(Span(begin, end, span["type"], passage.text[begin:end]))
    return found
