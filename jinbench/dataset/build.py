"""What is published: `dataset/` as a Hub repository stands, built from the pages and the gold export.

The same input gives the same bytes. Nothing is written before everything has been checked.
"""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench.annotation import errata
from jinbench.annotation.annotators import Annotator, read_annotators
from jinbench.annotation.errata import Erratum
from jinbench.annotation.gold import labels_by_annotator, read_gold
from jinbench.annotation.labels import LabelSet
from jinbench.annotation.workspace import Workspace
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.tags import to_bio
from jinbench.core.types import Article, PassageLabels, Span, slice_spans
from jinbench.dataset import features, noise
from jinbench.dataset.features import CONFIGS, Rows
from jinbench.dataset.manifest import STAMP, build_manifest, make_stamp
from jinbench.dataset.splits import SplitAssignment, read_splits
from jinbench.dataset.statistics import compute_statistics
from jinbench.seeds.articles import Seeds

if TYPE_CHECKING:
    import datasets

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class BuiltDataset:
    """A dataset in memory: its items, and its files by name relative to `dataset/`."""

    table: Rows
    manifest: dict[str, Any]
    statistics: dict[str, Any]
    files: dict[str, bytes]


def build_all_rows(workspace: Workspace, used: Sequence[Erratum]) -> Rows:
    """Every item of every config, from the rooms, on the gold with the errata in `used`.

    Raises :class:`DataError` with all that is wrong in splits, exports or errata.
    """
    found = read_gold(workspace, used)
    return build_rows(
        workspace.seeds,
        workspace.label_set,
        found,
        read_splits(workspace.benchmark, workspace.seeds.articles),
        labels_by_annotator(workspace),
    )


def build_dataset(benchmark: Benchmark) -> BuiltDataset:
    """Everything that `dataset/` holds except splits.csv, which is frozen, and README.md, which the card makes.

    Raises :class:`DataError` with all that is wrong in pages, labels, splits or gold.
    """
    workspace = Workspace(benchmark)
    used = errata.read_errata(benchmark)
    table = build_all_rows(workspace, used)
    listing = build_manifest(table, workspace.label_set, used, read_annotators(benchmark).gold)
    contents = build_parquet_files(table, workspace.label_set, listing)
    counts = compute_statistics(table, workspace.label_set)
    contents["stats.json"] = files.dump_json(counts).encode()
    listing["files"] = {name: files.sha256(data) for name, data in contents.items()}
    listing["files"]["splits.csv"] = files.sha256(benchmark.splits.read_bytes())
    contents["manifest.json"] = files.dump_json(listing).encode()
    return BuiltDataset(table, listing, counts, contents)


def build_parquet_files(table: Rows, label_set: LabelSet, listing: dict[str, Any]) -> dict[str, bytes]:
    """The Parquet files of all configs, by name; `listing` is their manifest."""
    types = features.dataset_features(label_set)
    return {
        f"{config}/{split}.parquet": to_parquet(rows, types[config], make_stamp(listing, config))
        for config, splits in table.items()
        for split, rows in splits.items()
    }


def write_dataset(built: BuiltDataset, folder: Path) -> list[str]:
    """Write the files that differ; returns their names."""
    changed = [
        name
        for name, data in sorted(built.files.items())
        if not (folder / name).is_file() or (folder / name).read_bytes() != data
    ]
    for name in changed:
        files.write_bytes(folder / name, built.files[name])
    return changed


def build_rows(
    seed: Seeds,
    label_set: LabelSet,
    gold: dict[str, PassageLabels],
    places: dict[str, SplitAssignment],
    readings: Sequence[tuple[Annotator, dict[str, PassageLabels]]] = (),
) -> Rows:
    """Every item of every config, as plain records."""
    tag_ids = {tag: number for number, tag in enumerate(label_set.tag_names)}
    sector_ids = {name: number for number, name in enumerate(label_set.sector_names)}
    table: Rows = {config: {split: [] for split in splits} for config, splits in CONFIGS.items()}
    for article in seed.articles:
        place = places[article.id]
        shared = {"article_id": article.id, "layout": article.layout, **place.fold_fields}
        table["articles"][place.split].append(_article_row(article, place))
        for passage in article.passages:
            labelled = gold[passage.id]
            table["sector"][place.split].append(
                {
                    "id": passage.id,
                    "title": article.title,
                    "text": passage.text,
                    "sectors": [sector_ids[name] for name in labelled.sectors],
                    **shared,
                }
            )
            table["annotations"][place.split] += [
                {
                    "id": f"{passage.id}@{annotator.name}",
                    "passage_id": passage.id,
                    "annotator": annotator.name,
                    "kind": annotator.kind,
                    "text": passage.text,
                    "spans": [s._asdict() for s in found[passage.id].spans],
                    "sectors": [sector_ids[name] for name in found[passage.id].sectors],
                    **shared,
                }
                for annotator, found in readings
                if passage.id in found
            ]
            for sentence in passage.sentences:
                text = passage.text[sentence.start : sentence.end]
                spans = slice_spans(labelled.spans, sentence.start, sentence.end)
                row = {
                    "id": sentence.id,
                    **_tagged(text, spans, tag_ids),
                    "spans": [s._asdict() for s in spans],
                    "passage_id": passage.id,
                    **shared,
                }
                table["ner"][place.split].append(row)
                if place.split in CONFIGS["ner_noisy"]:
                    table["ner_noisy"][place.split] += _noisy_rows(row, spans, tag_ids)
    for rows in table["ner_noisy"].values():
        rows.sort(key=lambda row: noise.TIERS.index((row["kind"], row["level"])))  # stable: tier by tier
    return table


def _tagged(text: str, spans: Sequence[Span], tag_ids: dict[str, int]) -> dict[str, Any]:
    tags = [tag_ids[tag] for tag in to_bio(len(text), spans)]
    return {"text": text, "tokens": list(text), "ner_tags": tags}


def _noisy_rows(clean: dict[str, Any], spans: list[Span], tag_ids: dict[str, int]) -> Iterator[dict[str, Any]]:
    """A sentence under the noise of every tier."""
    for tier in noise.TIERS:
        found = noise.apply_noise(clean["id"], clean["text"], spans, tier)
        yield clean | {
            "id": f"{clean['id']}@{tier.kind}-{tier.level}",
            **_tagged(found.text, found.spans, tag_ids),
            "spans": [
                now._asdict() | {"clean_start": before.start, "clean_end": before.end}
                for now, before in zip(found.spans, spans, strict=True)
            ],
            "clean_id": clean["id"],
            "kind": tier.kind,
            "level": tier.level,
            "hits": found.hits,
        }


def _article_row(article: Article, place: SplitAssignment) -> dict[str, Any]:
    """The whole text: passages one to a line, each traceable to the page that it came from."""
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
        **place.fold_fields,
    }


def to_parquet(rows: list[dict[str, Any]], features: "datasets.Features", stamp: dict[str, str] | None = None) -> bytes:
    """One Parquet file, with the features inside it, so that every reader finds the types, and the stamp if given."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = features.arrow_schema
    if stamp:
        schema = schema.with_metadata({**schema.metadata, STAMP: json.dumps(stamp, sort_keys=True)})
    table = pa.Table.from_pylist(rows, schema=schema)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_index=True)
    return buffer.getvalue()
