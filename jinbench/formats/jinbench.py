"""Benchmarks as a format of corpora: reading one, and making one of a corpus that somebody else labelled.

A document of the corpus is an item of `ner`, whole, and where any has classes an item of `sector` too. Splits that the
corpus has stay as they are; where it has none they are drawn. The folds are drawn in any case, and texts that nearly
repeat each other stay together in them.
"""

import csv
import hashlib
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinbench.annotation.labels import LabelDefinition, LabelSet
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem
from jinbench.core.files import toml_string
from jinbench.core.tags import to_bio
from jinbench.core.types import Span
from jinbench.dataset import build, duplicates, features, load, manifest, statistics
from jinbench.dataset.splits import FOLD_COLUMNS, FOLDS, SPLITS, SplitAssignment
from jinbench.formats.base import ConversionLog, Document, flat

VERSION = "1.0.0"
GOLD = "corpus"  # the name of the gold, where no annotator is known
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}  # of a corpus that has no splits
FEW_ENOUGH = 50_000  # texts: of so many every pair is compared; of more only those that are the same are found
_KEYS = "123456789abcdefghijklmnopqrstuvwxyz"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def is_benchmark(folder: Path) -> bool:
    return (folder / "dataset" / "manifest.json").is_file() or (folder / "manifest.json").is_file()


def read_benchmark(path: Path, notes: ConversionLog, passages: bool = False, **_: object) -> Iterator[Document]:
    """The items of `ner`, with the classes of `sector` where that has the same item; with `passages`, whole passages.

    `path` is a benchmark, or its folder `dataset`. What no format has, such as layouts, is not said.
    Raises :class:`DataError` (file-missing, file-changed, wrong-shape).
    """
    folder = path / "dataset" if (path / "dataset" / "manifest.json").is_file() else path
    where = Benchmark(folder.parent) if folder.name == "dataset" else _Folder(folder)
    listing = load.read_manifest(where)
    names = listing["labels"].get("sector", [])
    sectors = {}
    if "sector" in listing["items"]:
        sectors = {row["id"]: row for row in load.read_rows(where, "sector")}
    pending: list[dict[str, Any]] = []
    for row in load.read_rows(where, "ner"):
        if pending and not (passages and pending[0]["passage_id"] == row["passage_id"]):
            yield _document(pending, sectors, names, passages, folder, notes)
            pending = []
        pending.append(row)
    if pending:
        yield _document(pending, sectors, names, passages, folder, notes)


class _Folder(Benchmark):
    """A dataset folder that has another name, or lies by itself."""

    @property
    def dataset(self) -> Path:
        return self.root


def _document(
    rows: Sequence[dict[str, Any]], sectors: Mapping[str, dict[str, Any]], names: Sequence[str], passages: bool,
    folder: Path, notes: ConversionLog,
) -> Document:  # fmt: skip
    first = rows[0]
    text, spans = "", []
    for row in rows:
        spans += [Span(**span).shifted(-len(text)) for span in row["spans"]]
        text += row["text"]
    id = first["passage_id"] if passages else first["id"]
    place = f"{files.shown(folder)} {id}"
    passage, classes = sectors.get(first["passage_id"]), ()
    if passage:
        classes = tuple(names[number] for number in passage["sectors"])
        if passage["text"] != text:
            notes.log_loss("classes", place, f"{', '.join(classes)} of the passage: --passages", len(classes))
            classes = ()
    group = first["article_id"] if first["article_id"] != id else None  # else it is one by itself
    return Document(text, tuple(spans), classes, id, group, first["split"], place)


@dataclass(frozen=True)
class NewBenchmark:
    """A benchmark in memory: its files by name, and what is to be said of it."""

    files: dict[str, bytes]
    said: tuple[str, ...]


def from_corpus(
    documents: Iterable[Document], notes: ConversionLog, title: str = "corpus", command: str = "", source: str = "",
    seed: int = 0,
) -> NewBenchmark:  # fmt: skip
    """Make a benchmark of a corpus. `command` and `source` are what its README says of where it came from.

    Raises :class:`DataError` (wrong-shape if no document has a span, split-mismatch, duplicate-id).
    """
    documents = list(documents)
    kept = [document for document in documents if document.text]
    for document in documents:
        if not document.text:
            notes.log_loss("empty", document.place, "an empty text")
    spans = [flat(document, notes) for document in kept]
    label_set, names = _label_set(kept, spans, title, notes)
    ids = _ids(kept)
    own = all(document.group is None for document in kept)
    groups, torn = _groups(kept, ids)
    texts = [document.text for document in kept]
    places = _places(kept, spans, groups, texts, seed)
    splits = tuple(split for split in SPLITS if any(places[group].split == split for group in groups))
    tag_ids = {tag: number for number, tag in enumerate(label_set.tag_names)}
    table: features.Rows = {"ner": {split: [] for split in splits}}
    if label_set.sectors:
        table["sector"] = {split: [] for split in splits}
    sector_ids = {name: number for number, name in enumerate(label_set.sector_names)}
    for document, found_spans, id, group in zip(kept, spans, ids, groups, strict=True):
        place = places[group]
        shared = {"article_id": group, "layout": "", **place.fold_fields}
        mine = [span._replace(type=names["entity", span.type]) for span in found_spans]
        tags = [tag_ids[tag] for tag in to_bio(len(document.text), mine)]
        table["ner"][place.split].append(
            {"id": id, "text": document.text, "tokens": list(document.text), "ner_tags": tags,
             "spans": [span._asdict() for span in mine], "passage_id": id, **shared}
        )  # fmt: skip
        if label_set.sectors:
            numbers = sorted(sector_ids[names["sector", name]] for name in document.classes)
            table["sector"][place.split].append(
                {"id": id, "title": "", "text": document.text, "sectors": numbers, **shared}
            )
    given = any(document.split for document in kept)
    where = [str((places[group].split, *places[group].folds)) for group in groups]
    repeats = len(duplicates.near_duplicates(texts, where))  # as `verify` counts them
    said = _said(len(kept), len(set(groups)), own, given, repeats, torn)
    contents = _files(table, label_set, places, repeats, splits)
    contents |= _texts(label_set, names, said, title, command, source, splits, "sector" in table)
    return NewBenchmark(contents, said)


def _label_set(
    documents: Sequence[Document], spans: Sequence[Sequence[Span]], title: str, notes: ConversionLog
) -> tuple[LabelSet, dict[tuple[str, str], str]]:
    """The types and classes that were found, the most frequent first, and what each is called here."""
    entities = Counter(span.type for found in spans for span in found)
    sectors = Counter(name for document in documents for name in document.classes)
    if not entities:
        hint = "is it a file of another format, or are its texts labelled as a whole only? A benchmark here has spans"
        raise DataError(Problem("wrong-shape", location=title, expected="a text with a span", found="none", fix=hint))
    names: dict[tuple[str, str], str] = {}
    found: dict[str, list[LabelDefinition]] = {"entity": [], "sector": []}
    keys = iter([*_KEYS, *(f"{held}+{key}" for held in ("shift", "alt", "ctrl", "ctrl+shift") for key in _KEYS)])
    for kind, counts in (("entity", entities), ("sector", sectors)):
        for number, name in enumerate(sorted(counts, key=lambda name: (-counts[name], name))):
            taken = {label.name for label in found[kind]}
            names[kind, name] = called = _identifier(name, taken)
            if called != name:
                notes.log_loss("names", title, f"{name!r} became {called!r}", counts[name])
            colour = _colour(number) if kind == "entity" else ""
            key = next(keys, None) or f"f{len(names)}"
            found[kind].append(LabelDefinition(called, name, name, key, f"As in the corpus: {name}.", (), colour))
    return LabelSet(VERSION, VERSION, title, tuple(found["entity"]), tuple(found["sector"])), names


def _identifier(name: str, taken: set[str]) -> str:
    """A name that labels.toml can have: Chinese as pinyin, all else that is no letter, digit or "_" as "_"."""
    if not _NAME.fullmatch(name):
        if any("\u3400" <= c <= "\u9fff" for c in name):
            from pypinyin import lazy_pinyin

            name = "_".join(lazy_pinyin(name))
        name = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")
        name = name if re.match(r"[A-Za-z]", name) else f"T_{name}".rstrip("_")
    return next(each for n in range(1, len(taken) + 2) if (each := name if n == 1 else f"{name}_{n}") not in taken)


def _colour(number: int) -> str:
    """A dark colour, each far from the one before: steps of the golden angle round the wheel."""
    import colorsys

    parts = colorsys.hsv_to_rgb(number * 0.6180339887 % 1, 0.9, (0.65, 0.45, 0.55)[number % 3])
    return "#" + "".join(f"{round(255 * part):02X}" for part in parts)


def _ids(documents: Sequence[Document]) -> list[str]:
    """The ids of the documents, or their split and number where the corpus has none.

    Raises :class:`DataError` (duplicate-id).
    """
    counts: Counter[str] = Counter()
    found: dict[str, str] = {}
    problems = []
    splits_own = len({d.split for d in documents}) > 1 and _repeated_ids(documents)
    for document in documents:
        counts[document.split or "item"] += 1
        id = f"{document.split or 'item'}-{counts[document.split or 'item']}"
        if document.id is not None:
            id = f"{document.split}-{document.id}" if splits_own else document.id
        if id in found:
            hint = "give each text an id of its own, or take the ids out"
            problems.append(
                Problem(
                    "duplicate-id",
                    location=document.place,
                    expected="each id once",
                    found=f"{id} also at {found[id]}",
                    fix=hint,
                )
            )
        found[id] = document.place
    if problems:
        raise DataError(problems)
    return list(found)


def _repeated_ids(documents: Sequence[Document]) -> bool:
    """Whether ids repeat, as they do where each file numbers its own lines."""
    ids = [document.id for document in documents if document.id is not None]
    return len(set(ids)) < len(ids)


def _groups(documents: Sequence[Document], ids: Sequence[str]) -> tuple[list[str], int]:
    """The group of each document, which is its own where the corpus says nothing; and how many stand in several splits.

    Such a group is one in each of them, as a group moves whole.
    """
    splits: dict[str, set[str]] = defaultdict(set)
    for document in documents:
        if document.group is not None:
            splits[document.group].add(document.split or "")
    groups = [
        id if d.group is None else f"{d.group}@{d.split}" if len(splits[d.group]) > 1 else d.group
        for d, id in zip(documents, ids, strict=True)
    ]
    return groups, sum(len(found) > 1 for found in splits.values())


def _places(
    documents: Sequence[Document], spans: Sequence[Sequence[Span]], groups: Sequence[str], texts: Sequence[str],
    seed: int,
) -> dict[str, SplitAssignment]:  # fmt: skip
    """The split and the folds of each group. Raises :class:`DataError` (split-mismatch)."""
    hint = "name each file with its split: train=FILE test=FILE, and validation=FILE if there is one"
    given: dict[str, str | None] = {}
    for document, group in zip(documents, groups, strict=True):
        given[group] = document.split
    known = {split for split in given.values() if split}
    if known and (None in given.values() or not {"train", "test"} <= known):
        without = ", and texts without a split" if None in given.values() else ""
        raise DataError(
            Problem(
                "split-mismatch",
                location="the corpus",
                expected="train and test",
                found=f"{', '.join(known)}{without}",
                fix=hint,
            )
        )
    pairs = (
        duplicates.near_duplicates(texts, groups)
        if len(texts) <= FEW_ENOUGH
        else list(duplicates.repeated(texts, groups))
    )
    same: dict[str, str] = {}  # the first group of each document that stands in several splits
    linked = [(same.setdefault(d.group, g), g) for d, g in zip(documents, groups, strict=True) if d.group is not None]
    linked += [(groups[pair.first], groups[pair.second]) for pair in pairs]
    family = duplicates.united(dict.fromkeys(groups), linked)
    brought: dict[str, Counter[str]] = defaultdict(Counter)
    for document, found, group in zip(documents, spans, groups, strict=True):
        brought[family[group]].update(["texts", *(f"entity {s.type}" for s in found),
                                       *(f"class {name}" for name in document.classes)])  # fmt: skip
    if len(brought) < FOLDS:
        expected, said = f"{FOLDS} documents or more that do not repeat each other, one a fold", str(len(brought))
        raise DataError(
            Problem(
                "split-mismatch",
                location="the corpus",
                expected=expected,
                found=said,
                fix="more texts; or a finer --group",
            )
        )
    folds = [draw(brought, [1 / FOLDS] * FOLDS, f"{seed}:fold:{n}") for n in range(len(FOLD_COLUMNS))]
    drawn = {} if known else draw(brought, list(SHARES.values()), f"{seed}:split")
    return {
        group: SplitAssignment(
            given[group] or list(SHARES)[drawn[family[group]]], tuple(fold[family[group]] for fold in folds)
        )
        for group in dict.fromkeys(groups)
    }


def draw(brought: Mapping[str, Counter[str]], shares: Sequence[float], salt: str) -> dict[str, int]:
    """The part of each family, so that each part gets its share of every label.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011): the rarest label first, its families to the part
    that wants it most. The order is drawn by a hash, so it is the same everywhere.
    """
    total: Counter[str] = Counter()
    has: dict[str, list[str]] = defaultdict(list)
    for name in sorted(brought, key=lambda name: hashlib.sha256(f"{salt}:{name}".encode()).digest()):
        total.update(brought[name])
        for label in brought[name]:
            has[label].append(name)
    wanted = [{label: share * count for label, count in total.items()} for share in shares]
    found: dict[str, int] = {}
    for label in sorted(total, key=lambda label: (label == "texts", total[label], label)):
        mine = [name for name in has[label] if name not in found]
        for name in sorted(mine, key=lambda name: -brought[name][label]):  # stable: within it the order of the hash
            part = max(range(len(shares)), key=lambda n: (wanted[n][label], wanted[n]["texts"], -n))
            found[name] = part
            for each, count in brought[name].items():
                wanted[part][each] -= count
    return found


def _said(count: int, groups: int, own: bool, given: bool, repeats: int, torn: int) -> tuple[str, ...]:
    """What whoever uses the benchmark must know."""
    said = []
    if own:
        said.append(
            f"The corpus does not say which document a text is from: each of its {count} texts is an article of "
            "its own. Intervals are too narrow if several are from one document; --group names the field that says it."
        )
    else:
        said.append(f"{count} texts of {groups} documents: a document is what is resampled, and moves whole.")
    drawn = "The splits are those of the corpus." if given else "The splits were drawn, as the corpus has none."
    said.append(f"{drawn} The folds were drawn, each with its share of every type, near repetitions together.")
    if torn:
        said.append(
            f"{torn} documents stand in several splits of the corpus: each is one in every split that it is in."
        )
    if count > FEW_ENOUGH:
        said.append(f"Of more than {FEW_ENOUGH:,} texts only those that are the same were kept together.")
    if repeats:
        said.append(
            f"{repeats} pairs of texts stand, or nearly stand, in two of its splits: a score on it is partly of memory."
        )
    return tuple(said)


def _files(
    table: features.Rows,
    label_set: LabelSet,
    places: Mapping[str, SplitAssignment],
    repeats: int,
    splits: Sequence[str],
) -> dict[str, bytes]:
    """What lies in dataset/."""
    listing = manifest.build_manifest(table, label_set, (), GOLD)
    if repeats:
        listing["leaks"] = dict.fromkeys(table, repeats)
    types = features.dataset_features(label_set)
    contents = {
        f"{config}/{split}.parquet": build.parquet(rows, types[config], manifest.stamp(listing, config))
        for config, parts in table.items()
        for split, rows in parts.items()
    }
    contents["stats.json"] = files.dump_json(_statistics(table, label_set, places)).encode()
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["article_id", "story", "split", *FOLD_COLUMNS])
    writer.writerows([group, group, place.split, *place.folds] for group, place in places.items())
    contents["splits.csv"] = out.getvalue().encode()
    listing["files"] = {name: files.sha256(data) for name, data in contents.items()}
    contents["manifest.json"] = files.dump_json(listing).encode()
    return {f"dataset/{name}": data for name, data in contents.items()}


def _statistics(table: features.Rows, label_set: LabelSet, places: Mapping[str, SplitAssignment]) -> dict[str, Any]:
    """Counts in the form of ours; what the corpus has not, such as layouts, is empty."""
    ner = table["ner"]
    articles = {split: [{"layout": ""} for place in places.values() if place.split == split] for split in ner}
    whole = {"sector": {split: [{"sectors": ()} for _ in rows] for split, rows in ner.items()}} | table
    found = statistics.compute_statistics(whole | {"articles": articles, "ner_noisy": {}}, label_set)
    return found | {"layouts": {}, "noise": []}


def _texts(
    label_set: LabelSet, names: Mapping[tuple[str, str], str], said: Sequence[str], title: str, command: str,
    source: str, splits: Sequence[str], classes: bool,
) -> dict[str, bytes]:  # fmt: skip
    """What is read by people, and labels.toml."""
    toml = ["# Made by jinbench convert from what was found in the corpus. The order is that of frequency."]
    toml += [f"version = {toml_string(VERSION)}", f"title = {toml_string(title)}"]
    for kind, found in (("entity", label_set.entities), ("sector", label_set.sectors)):
        for label in found:
            toml += ["", f"[[{kind}]]", f"name = {toml_string(label.name)}", f"zh = {toml_string(label.zh)}",
                     f"en = {toml_string(label.en)}", f"hotkey = {toml_string(label.hotkey)}"]  # fmt: skip
            toml += [f"colour = {toml_string(label.colour)}"] if kind == "entity" else []
            toml += [f"definition = {toml_string(label.definition)}"]
    configs = ["ner", *(["sector"] if classes else [])]
    head = ["---", "configs:"]
    for config in configs:
        head += [f"- config_name: {config}", *(["  default: true"] if config == "ner" else []), "  data_files:"]
        head += [line for split in splits for line in (f"  - split: {split}", f"    path: {config}/{split}.parquet")]
    about = [
        f"# {title}",
        "",
        f"A corpus as a benchmark: made from {source} with",
        "",
        "```sh",
        command,
        "```",
        "",
        *(f"- {line}" for line in said),
        "",
        "The texts and labels are those of the corpus, and so is their licence: look there before you pass them on.",
        "",
    ]
    use = [
        "```sh",
        "jinbench --root . info                                 # counts, version, hash",
        "jinbench --root . verify                               # every item is what the manifest lists",
        "jinbench --root . run RECIPE.py --on test --out baselines   # fit on train, predict test, score",
        "jinbench --root . score predictions.jsonl              # JSON Lines; jinbench --root . format ner says how",
        "jinbench --root . leaderboard                          # tables and a page, in leaderboard/",
        "```",
        "",
    ]
    return {
        "annotation/labels.toml": ("\n".join(toml) + "\n").encode(),
        "dataset/README.md": "\n".join([*head, "---", "", *about]).encode(),
        "README.md": "\n".join([*about, *use]).encode(),
    }


def write_benchmark(documents: Iterable[Document], notes: ConversionLog, **options: Any) -> Iterator[tuple[str, bytes]]:
    """(name, contents) of every file of a benchmark."""
    known = ("title", "command", "source", "seed")
    founded = from_corpus(documents, notes, **{key: options[key] for key in known if key in options})
    notes.remarks += founded.said
    yield from founded.files.items()
