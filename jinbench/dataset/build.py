"""Build all configs and write dataset/, laid out as a Hub repository.

The same input gives the same bytes. Nothing is written before everything has been checked.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jinbench.annotation.annotators import Annotator
from jinbench.annotation.errata import Erratum, read_errata
from jinbench.annotation.gold import labels_by_annotator, read_gold
from jinbench.annotation.labels import LabelSet
from jinbench.annotation.workspace import Workspace
from jinbench.core import files, folders
from jinbench.core.benchmark import Benchmark
from jinbench.core.tags import to_bio
from jinbench.core.types import Article, Passage, PassageLabels, Span, slice_spans
from jinbench.dataset import noise
from jinbench.dataset.features import CONFIGS, Row, Rows, dataset_features
from jinbench.dataset.front_matter import update_card
from jinbench.dataset.manifest import STAMP, Manifest, build_manifest, make_stamp
from jinbench.dataset.splits import SplitAssignment, read_splits
from jinbench.dataset.statistics import Statistics, compute_statistics

if TYPE_CHECKING:
    import datasets

AnnotatorLabels = Sequence[tuple[Annotator, Mapping[str, PassageLabels]]]  # of each annotator, by passage id


@dataclass(frozen=True)
class BuiltDataset:
    """A dataset in memory.

    Args:
        rows: Items by config and split.
        manifest: Contents of manifest.json.
        statistics: Contents of stats.json.
        files: All files by name relative to dataset/.
    """

    rows: Rows
    manifest: Manifest
    statistics: Statistics
    files: dict[str, bytes]


def build_all_rows(workspace: Workspace, errata: Sequence[Erratum]) -> Rows:
    """Build every item of every config, from the gold with these errata.

    Raises :class:`DataError` with all that is wrong in splits, exports or errata.
    """
    gold = read_gold(workspace, errata)
    splits = read_splits(workspace.benchmark, workspace.seeds.articles)
    return build_rows(workspace, gold, splits, labels_by_annotator(workspace))


def build_dataset(benchmark: Benchmark) -> BuiltDataset:
    """Build everything in dataset/ but splits.csv, which is frozen, and README.md, which belongs to the card.

    Args:
        benchmark: A benchmark with seeds, annotation and splits.csv.

    Returns:
        The dataset in memory; :func:`write_dataset` writes it.

    Raises:
        DataError: With all that is wrong in pages, labels, exports [passage-unlabelled, …], errata
            [erratum-differs, …] or splits [split-mismatch].
    """
    workspace = Workspace(benchmark)
    errata = read_errata(benchmark)
    rows = build_all_rows(workspace, errata)
    manifest = build_manifest(rows, workspace.label_set, errata, workspace.annotators.gold)
    contents = build_parquet_files(rows, workspace.label_set, manifest)
    statistics = compute_statistics(rows, workspace.label_set)
    contents["stats.json"] = files.dump_json(statistics).encode()
    manifest["files"] = {name: files.sha256(data) for name, data in contents.items()}
    manifest["files"]["splits.csv"] = files.sha256(benchmark.splits.read_bytes())
    contents["manifest.json"] = files.dump_json(manifest).encode()
    return BuiltDataset(rows, manifest, statistics, contents)


def build_parquet_files(rows: Rows, label_set: LabelSet, manifest: Manifest) -> dict[str, bytes]:
    """Return the Parquet files of all configs by name."""
    types = dataset_features(label_set)
    return {
        f"{config}/{split}.parquet": to_parquet(split_rows, types[config], make_stamp(manifest, config))
        for config, splits in rows.items()
        for split, split_rows in splits.items()
    }


def write_dataset(built: BuiltDataset, folder: Path) -> list[str]:
    """Write the files that differ, and the configs of README.md; return their names.

    Args:
        built: The dataset in memory.
        folder: The folder dataset/ of a benchmark.

    Returns:
        The names of the files that changed.
    """
    changed = [
        name
        for name, data in sorted(built.files.items())
        if not (folder / name).is_file() or (folder / name).read_bytes() != data
    ]
    for name in changed:
        folders.sweep_leftovers((folder / name).parent)
        files.write_bytes(folders.resolve_inside(folder, name), built.files[name])
    if update_card(folder, built.manifest):
        changed.append("README.md")
    return changed


def build_rows(
    workspace: Workspace,
    gold: Mapping[str, PassageLabels],
    splits: Mapping[str, SplitAssignment],
    annotator_labels: AnnotatorLabels = (),
) -> Rows:
    """Build every item of every config from gold by passage id and splits by article id."""
    tag_ids = {tag: number for number, tag in enumerate(workspace.label_set.tag_names)}
    sector_ids = {name: number for number, name in enumerate(workspace.label_set.sector_names)}
    table: Rows = {config: {split: [] for split in splits} for config, splits in CONFIGS.items()}
    for article in workspace.seeds.articles:
        assignment = splits[article.id]
        rows = {config: by_split.get(assignment.split, []) for config, by_split in table.items()}
        shared: Row = {"article_id": article.id, "layout": article.layout, **assignment.fold_fields}
        rows["articles"].append(_article_row(article, assignment))
        for passage in article.passages:
            labels = gold[passage.id]
            rows["sector"].append(
                {
                    "id": passage.id,
                    "title": article.title,
                    "text": passage.text,
                    "sectors": [sector_ids[name] for name in labels.sectors],
                    **shared,
                }
            )
            rows["annotations"] += [
                _annotation_row(passage, annotator, by_passage[passage.id], sector_ids) | shared
                for annotator, by_passage in annotator_labels
                if passage.id in by_passage
            ]
            for sentence in passage.sentences:
                text = passage.text[sentence.start : sentence.end]
                spans = slice_spans(labels.spans, sentence.start, sentence.end)
                row = {
                    "id": sentence.id,
                    **_tag_fields(text, spans, tag_ids),
                    "spans": [s._asdict() for s in spans],
                    "passage_id": passage.id,
                    **shared,
                }
                rows["ner"].append(row)
                if assignment.split in CONFIGS["ner_noisy"]:
                    rows["ner_noisy"] += _noisy_rows(row, spans, tag_ids)
    for noisy in table["ner_noisy"].values():
        noisy.sort(key=lambda row: noise.TIERS.index((row["kind"], row["level"])))  # stable: tier by tier
    return table


def _annotation_row(
    passage: Passage, annotator: Annotator, labels: PassageLabels, sector_ids: Mapping[str, int]
) -> Row:
    return {
        "id": f"{passage.id}@{annotator.name}",
        "passage_id": passage.id,
        "annotator": annotator.name,
        "kind": annotator.kind,
        "text": passage.text,
        "spans": [s._asdict() for s in labels.spans],
        "sectors": [sector_ids[name] for name in labels.sectors],
    }


def _tag_fields(text: str, spans: Sequence[Span], tag_ids: Mapping[str, int]) -> Row:
    tags = [tag_ids[tag] for tag in to_bio(len(text), spans)]
    return {"text": text, "tokens": list(text), "ner_tags": tags}


def _noisy_rows(clean: Row, spans: list[Span], tag_ids: Mapping[str, int]) -> Iterator[Row]:
    """Yield a sentence under the noise of every tier."""
    for tier in noise.TIERS:
        noisy = noise.apply_noise(clean["id"], clean["text"], spans, tier)
        yield clean | {
            "id": f"{clean['id']}@{tier.kind}-{tier.level}",
            **_tag_fields(noisy.text, noisy.spans, tag_ids),
            "spans": [
                now._asdict() | {"clean_start": before.start, "clean_end": before.end}
                for now, before in zip(noisy.spans, spans, strict=True)
            ],
            "clean_id": clean["id"],
            "kind": tier.kind,
            "level": tier.level,
            "hits": noisy.hits,
        }


def _article_row(article: Article, assignment: SplitAssignment) -> Row:
    """Return the row of an article: passages one to a line, each traceable to the page that it came from."""
    passages, runs, changes = [], [], []
    start = 0
    for passage in article.passages:
        passages.append({"id": passage.id, "start": start, "end": start + len(passage.text)})
        runs += [run._replace(text_start=run.text_start + start)._asdict() for run in passage.runs]
        changes += [c._replace(text_start=c.text_start + start)._asdict() for c in passage.changes]
        start += len(passage.text) + 1
    return {
        "id": article.id,
        "page_id": article.page_id,
        "story": article.story,
        "title": article.title,
        "subtitles": article.texts("subheadline"),
        "bylines": article.texts("byline"),
        "captions": article.texts("caption"),
        "text": "\n".join(passage.text for passage in article.passages),
        "passages": passages,
        "runs": runs,
        "changes": changes,
        "layout": article.layout,
        **assignment.fold_fields,
    }


def to_parquet(rows: list[Row], features: "datasets.Features", stamp: Mapping[str, str] | None = None) -> bytes:
    """Return rows as a Parquet file that holds its features, so that every reader finds the types, and the stamp."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = features.arrow_schema
    if stamp:
        schema = schema.with_metadata({**schema.metadata, STAMP: json.dumps(stamp, sort_keys=True)})
    table = pa.Table.from_pylist(rows, schema=schema)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_index=True)
    return buffer.getvalue()
