"""A JinBench benchmark as a corpus format: read one, or build one from a corpus.

A document of the corpus is an item of `ner`, whole, and where any has classes an item of `sector` too. Splits that the
corpus has stay as they are; where it has none they are drawn. The folds are drawn in any case, and texts that nearly
repeat each other stay together in them.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from jinbench.annotation.labels import LabelDefinition, LabelSet
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.environment import require_packages
from jinbench.core.errors import fail
from jinbench.core.files import toml_string
from jinbench.core.tags import to_bio
from jinbench.core.types import Span
from jinbench.dataset import build, duplicates, features, front_matter, load, manifest, statistics
from jinbench.dataset.splits import FOLD_COLUMNS, SPLITS, SplitAssignment
from jinbench.formats.base import OTHER_FORMAT, ConversionLog, Document, Row, remove_overlaps
from jinbench.formats.corpus_splits import PAIRWISE_LIMIT, assign_groups, assign_ids, assign_splits

VERSION = "1.0.0"
GOLD = "corpus"  # the name of the gold, as no annotator is known
_KEYS = "123456789abcdefghijklmnopqrstuvwxyz"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def is_benchmark(folder: Path) -> bool:
    return (folder / "dataset" / "manifest.json").is_file() or (folder / "manifest.json").is_file()


def read_benchmark(path: Path, log: ConversionLog, passages: bool = False, **_: object) -> Iterator[Document]:
    """Read the items of `ner`, or whole passages, with the classes of `sector` where that has the same item.

    `path` is a benchmark, or its folder `dataset`.
    """
    folder = path / "dataset" if (path / "dataset" / "manifest.json").is_file() else path
    benchmark = Benchmark(folder.parent) if folder.name == "dataset" else _DatasetFolder(folder)
    listing = load.read_manifest(benchmark)
    sectors = {}
    if "sector" in listing["items"]:
        names = listing["labels"].get("sector", [])
        for row in load.read_rows(benchmark, "sector"):
            sectors[row["id"]] = row["text"], tuple(names[number] for number in row["sectors"])
    pending: list[Row] = []
    for row in load.read_rows(benchmark, "ner"):
        if pending and not (passages and pending[0]["passage_id"] == row["passage_id"]):
            yield _to_document(pending, sectors, passages, folder, log)
            pending = []
        pending.append(row)
    if pending:
        yield _to_document(pending, sectors, passages, folder, log)


class _DatasetFolder(Benchmark):
    """A dataset folder that has another name, or lies by itself."""

    @property
    def dataset(self) -> Path:
        return self.root


def _to_document(
    rows: Sequence[Row], sectors: Mapping[str, tuple[str, tuple[str, ...]]], passages: bool, folder: Path,
    log: ConversionLog,
) -> Document:  # fmt: skip
    """Join rows of `ner`; `sectors` has text and classes of each passage."""
    first = rows[0]
    text, spans = "", []
    for row in rows:
        spans += [Span(**span).relative_to(-len(text)) for span in row["spans"]]
        text += row["text"]
    id = first["passage_id"] if passages else first["id"]
    location = f"{files.display_path(folder)} {id}"
    passage_text, classes = sectors.get(first["passage_id"], (text, ()))
    if passage_text != text:
        log.log_loss("classes", location, f"{', '.join(classes)} of the passage: --passages", len(classes))
        classes = ()
    log.log_fields({"layout": first["layout"]}, (), location)
    group = first["article_id"] if first["article_id"] != id else None  # else it is a group of its own
    return Document(text, tuple(spans), classes, id, group, first["split"], location)


def write_benchmark(
    documents: Iterable[Document], log: ConversionLog, title: str = "corpus", command: str = "", source: str = "",
    seed: int = 0, keep_splits: bool = False, **_: object,
) -> Iterator[tuple[str, bytes]]:  # fmt: skip
    """Yield (name, contents) of every file of a benchmark.

    `command` and `source` are shown in its README; `seed`: of the splits and folds; `keep_splits`: take a corpus with
    splits as it is, though too much of it repeats itself for folds without leaks. Raise :class:`DataError`
    (wrong-shape) if no document has a span, (split-mismatch, duplicate-id).
    """
    all_documents = list(documents)
    documents = [document for document in all_documents if document.text]
    for document in all_documents:
        if not document.text:
            log.log_loss("empty", document.location, "an empty text")
    spans = [remove_overlaps(document, log) for document in documents]
    label_set, names = _make_label_set(documents, spans, title, log)
    ids = assign_ids(documents)
    groups, n_divided = assign_groups(documents, ids)
    assignments = assign_splits(documents, spans, groups, seed, keep_splits)
    splits = tuple(split for split in SPLITS if any(assignments[group].split == split for group in groups))
    tag_ids = {tag: number for number, tag in enumerate(label_set.tag_names)}
    table: features.Rows = {"ner": {split: [] for split in splits}}
    if label_set.sectors:
        table["sector"] = {split: [] for split in splits}
    sector_ids = {name: number for number, name in enumerate(label_set.sector_names)}
    for document, document_spans, id, group in zip(documents, spans, ids, groups, strict=True):
        assignment = assignments[group]
        shared = {"article_id": group, "layout": "", **assignment.fold_fields}
        renamed = [span._replace(type=names["entity", span.type]) for span in document_spans]
        tags = [tag_ids[tag] for tag in to_bio(len(document.text), renamed)]
        table["ner"][assignment.split].append(
            {"id": id, "text": document.text, "tokens": list(document.text), "ner_tags": tags,
             "spans": [span._asdict() for span in renamed], "passage_id": id, **shared}
        )  # fmt: skip
        if label_set.sectors:
            numbers = sorted(sector_ids[names["sector", name]] for name in document.classes)
            table["sector"][assignment.split].append(
                {"id": id, "title": "", "text": document.text, "sectors": numbers, **shared}
            )
    parts = [str((assignments[group].split, *assignments[group].folds)) for group in groups]
    texts = [document.text for document in documents]
    repeats = len(duplicates.find_near_duplicates(texts, parts))  # as `verify` counts
    remarks = _make_remarks(documents, len(set(groups)), repeats, n_divided, keep_splits)
    contents = _dataset_files(table, label_set, assignments, repeats)
    configs = contents["dataset/README.md"]
    contents |= _text_files(label_set, remarks, command, source)
    contents["dataset/README.md"] = configs + contents["dataset/README.md"]
    for remark in remarks:
        log.log_remark(remark)
    yield from contents.items()


def _make_label_set(
    documents: Sequence[Document], spans: Sequence[Sequence[Span]], title: str, log: ConversionLog
) -> tuple[LabelSet, dict[tuple[str, str], str]]:
    """Return the label set, by frequency, and the new name of each (kind, name)."""
    counts = {
        "entity": Counter(span.type for document_spans in spans for span in document_spans),
        "sector": Counter(name for document in documents for name in document.classes),
    }
    if not counts["entity"]:
        fix = f"label spans, as texts labelled as a whole are not enough; or {OTHER_FORMAT}"
        fail("wrong-shape", title, expected="a text with a span", found="none", fix=fix)
    names: dict[tuple[str, str], str] = {}
    labels: dict[str, list[LabelDefinition]] = {"entity": [], "sector": []}
    keys = iter([*_KEYS, *(f"{held}+{key}" for held in ("shift", "alt", "ctrl", "ctrl+shift") for key in _KEYS)])
    for kind, kind_counts in counts.items():
        for number, name in enumerate(sorted(kind_counts, key=lambda name: (-kind_counts[name], name))):
            names[kind, name] = new_name = _to_identifier(name, {label.name for label in labels[kind]})
            if new_name != name:
                log.log_loss("names", title, f"{name!r} became {new_name!r}", kind_counts[name])
            colour = _to_colour(number) if kind == "entity" else ""
            key = next(keys, None) or f"f{len(names)}"
            definition = f"As in the corpus: {name}."
            labels[kind].append(LabelDefinition(new_name, name, name, key, definition, (), colour))
    return LabelSet(VERSION, VERSION, title, tuple(labels["entity"]), tuple(labels["sector"])), names


def _to_identifier(name: str, taken: set[str]) -> str:
    """Return a name for labels.toml: Chinese as pinyin, other characters as "_"."""
    if not _NAME.fullmatch(name):
        if any("\u3400" <= c <= "\u9fff" for c in name):
            require_packages("pypinyin")
            from pypinyin import lazy_pinyin

            name = "_".join(lazy_pinyin(name))
        name = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")
        name = name if re.match(r"[A-Za-z]", name) else f"T_{name}".rstrip("_")
    candidates = (name, *(f"{name}_{n}" for n in range(2, len(taken) + 2)))
    return next(candidate for candidate in candidates if candidate not in taken)


def _to_colour(number: int) -> str:
    """Return a dark colour, each a golden angle from the one before."""
    import colorsys

    rgb = colorsys.hsv_to_rgb(number * 0.6180339887 % 1, 0.9, (0.65, 0.45, 0.55)[number % 3])
    return "#" + "".join(f"{round(255 * channel):02X}" for channel in rgb)


def _make_remarks(
    documents: Sequence[Document], n_groups: int, repeats: int, n_divided: int, keep_splits: bool
) -> tuple[str, ...]:
    count = len(documents)
    if any(document.group is not None for document in documents):
        groups = f"{count} texts of {n_groups} documents: a document is what is resampled, and moves whole."
    else:
        groups = (
            f"The corpus does not say which document a text is from: each of its {count} texts is an article of "
            "its own. Intervals are too narrow if several are from one document; --group names the field that says it."
        )
    has_splits = any(document.split for document in documents)
    splits = "The splits are those of the corpus." if has_splits else "The splits were drawn, as the corpus has none."
    together = "together" if not keep_splits else "together if enough texts are left"
    folds = f"The folds were drawn, each with its share of every type, near repetitions {together}."
    remarks = [groups, f"{splits} {folds}"]
    if n_divided:
        remarks.append(
            f"{n_divided} documents stand in several splits of the corpus: each is one in every split that it is in."
        )
    if count > PAIRWISE_LIMIT:
        remarks.append(f"Of more than {PAIRWISE_LIMIT:,} texts only those that are the same were kept together.")
    if repeats:
        remarks.append(
            f"{repeats} pairs of texts stand, or nearly stand, in two of its splits: a score on it is partly of memory."
        )
    return tuple(remarks)


def _dataset_files(
    table: features.Rows, label_set: LabelSet, assignments: Mapping[str, SplitAssignment], repeats: int
) -> dict[str, bytes]:
    """Return the files of dataset/."""
    listing = manifest.build_manifest(table, label_set, (), GOLD)
    if repeats:
        listing["leaks"] = dict.fromkeys(table, repeats)
    types = features.dataset_features(label_set)
    contents = {
        f"{config}/{split}.parquet": build.to_parquet(rows, types[config], manifest.make_stamp(listing, config))
        for config, parts in table.items()
        for split, rows in parts.items()
    }
    contents["stats.json"] = files.dump_json(_compute_statistics(table, label_set, assignments)).encode()
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["article_id", "story", "split", *FOLD_COLUMNS])
    writer.writerows([group, group, place.split, *place.folds] for group, place in assignments.items())
    contents["splits.csv"] = out.getvalue().encode()
    listing["files"] = {name: files.sha256(data) for name, data in contents.items()}
    contents["manifest.json"] = files.dump_json(listing).encode()
    contents["README.md"] = front_matter.make_card(listing).encode()
    return {f"dataset/{name}": data for name, data in contents.items()}


def _compute_statistics(
    table: features.Rows, label_set: LabelSet, assignments: Mapping[str, SplitAssignment]
) -> statistics.Statistics:
    """Count as for a benchmark from pages; layouts and noise are empty."""
    ner = table["ner"]
    articles = {split: [{"layout": ""} for place in assignments.values() if place.split == split] for split in ner}
    whole = {"sector": {split: [{"sectors": ()} for _ in rows] for split, rows in ner.items()}} | table
    counts = statistics.compute_statistics(whole | {"articles": articles, "ner_noisy": {}}, label_set)
    return counts | {"layouts": {}, "noise": []}


def _text_files(label_set: LabelSet, remarks: Sequence[str], command: str, source: str) -> dict[str, bytes]:
    """Return labels.toml and the READMEs."""
    title = label_set.title
    toml = ["# Made by jinbench convert from what was found in the corpus. The order is that of frequency."]
    toml += [f"version = {toml_string(VERSION)}", f"title = {toml_string(title)}"]
    for kind, labels in (("entity", label_set.entities), ("sector", label_set.sectors)):
        for label in labels:
            toml += ["", f"[[{kind}]]", f"name = {toml_string(label.name)}", f"zh = {toml_string(label.zh)}",
                     f"en = {toml_string(label.en)}", f"hotkey = {toml_string(label.hotkey)}"]  # fmt: skip
            toml += [f"colour = {toml_string(label.colour)}"] if kind == "entity" else []
            toml += [f"definition = {toml_string(label.definition)}"]
    about = [
        f"# {title}",
        "",
        f"A corpus as a benchmark: made from {source} with",
        "",
        "```sh",
        command,
        "```",
        "",
        *(f"- {remark}" for remark in remarks),
        "",
        "The texts and labels are those of the corpus, and so is their licence: look there before you pass them on.",
        "",
    ]
    usage = [
        "```sh",
        "jinbench --root . verify --info                        # counts, version, hash",
        "jinbench --root . verify                               # every item is what the manifest lists",
        "jinbench --root . run RECIPE.py --on test --out baselines   # fit on train, predict test, score",
        "jinbench --root . submit --template ner                # what predictions look like",
        "jinbench --root . score predictions.jsonl",
        "jinbench --root . rank                                 # tables and a page, in leaderboard/",
        "```",
        "",
    ]
    return {
        "annotation/labels.toml": ("\n".join(toml) + "\n").encode(),
        "dataset/README.md": "\n".join(["", *about]).encode(),
        "README.md": "\n".join([*about, *usage]).encode(),
    }
