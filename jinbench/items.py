"""The items that are published: what each config has of a passage, how it is typed, counted and hashed."""

import io
import json
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jinbench import leaks, noise
from jinbench.annotation.annotators import Annotator
from jinbench.annotation.errata import Erratum
from jinbench.annotation.labels import LabelSet, tags_of
from jinbench.core import files
from jinbench.core.tags import to_bio
from jinbench.core.text import split_sentences
from jinbench.core.types import Article, PassageLabels, Span, within
from jinbench.seeds import articles
from jinbench.seeds.articles import Seeds
from jinbench.splitting import FOLD_COLUMNS, SPLITS, SplitAssignment

if TYPE_CHECKING:
    import datasets

# The splits of each config; the first config is the default one.
CONFIGS = {"ner": SPLITS, "sector": SPLITS, "articles": SPLITS, "annotations": SPLITS, "ner_noisy": ("test",)}
Rows = dict[str, dict[str, list[dict[str, Any]]]]  # by config, then by split


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
            for sentence in split_sentences(passage.id, passage.text):
                text = passage.text[sentence.start : sentence.end]
                spans = within(labelled.spans, sentence.start, sentence.end)
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


def dataset_features(label_set: LabelSet) -> dict[str, "datasets.Features"]:
    """The type of every field of every config."""
    return features_of({"ner": label_set.entity_names, "sector": label_set.sector_names})


def features_of(names: Mapping[str, Sequence[str]]) -> dict[str, "datasets.Features"]:
    """The same for the labels of a manifest: entity types under `ner`, sectors under `sector`."""
    from datasets import ClassLabel, Features, List, Value

    string, number = Value("string"), Value("int32")
    folds = dict.fromkeys(FOLD_COLUMNS, number)
    shared = {"article_id": string, "layout": string, **folds}
    span = {"start": number, "end": number, "type": string, "surface": string}
    spans = List(span)
    tagged = {"text": string, "tokens": List(string), "ner_tags": List(ClassLabel(names=list(tags_of(names["ner"]))))}
    return {
        "ner": Features({"id": string, **tagged, "spans": spans, "passage_id": string, **shared}),
        "sector": Features(
            {
                "id": string,
                "title": string,
                "text": string,
                "sectors": List(ClassLabel(names=list(names["sector"]))),
                **shared,
            }
        ),
        "articles": Features(
            {
                "id": string,
                "page_id": string,
                "story": string,
                "title": string,
                "subtitles": List(string),
                "bylines": List(string),
                "captions": List(string),
                "text": string,
                "passages": List({"id": string, "start": number, "end": number}),
                "runs": List({"text_start": number, "page_start": number, "length": number}),
                "changes": List({"text_start": number, "page_text": string}),
                "layout": string,
                **folds,
            }
        ),
        "annotations": Features(
            {
                "id": string,
                "passage_id": string,
                "annotator": string,
                "kind": string,
                "text": string,
                "spans": spans,
                "sectors": List(ClassLabel(names=list(names["sector"]))),
                **shared,
            }
        ),
        "ner_noisy": Features(
            {
                "id": string,
                **tagged,
                "spans": List(span | {"clean_start": number, "clean_end": number}),
                "clean_id": string,
                "kind": string,
                "level": number,
                "hits": number,
                "passage_id": string,
                **shared,
            }
        ),
    }


def without(features: "datasets.Features", names: Container[str]) -> "datasets.Features":
    """The features less the fields of these names, at any depth."""
    from datasets import Features, List

    def bare(feature: Any) -> Any:
        if isinstance(feature, List):
            return List(bare(feature.feature))
        if isinstance(feature, dict):
            return {name: bare(value) for name, value in feature.items() if name not in names}
        return feature

    return Features(bare(dict(features)))


def item_hash(row: dict[str, Any]) -> str:
    """sha256 of an item with all its fields: text, gold, tags, and what scores are read by (article, layout, folds)."""
    return files.sha256(files.dump_jsonl([row]).encode())


def hashes_of(items: dict[str, Any], names: dict[str, list[str]]) -> dict[str, str]:
    """One hash per config, over those of its items and the names of its labels."""
    return {
        config: files.sha256(files.dump_json([splits, names.get(config)]).encode()) for config, splits in items.items()
    }


def version_of(label_set: LabelSet, used: Sequence[Erratum]) -> str:
    """The version of the data: `release` of labels.toml, its last part the number of errata."""
    return f"{label_set.release.rpartition('.')[0]}.{len(used)}"


def build_manifest(table: Rows, label_set: LabelSet, used: Sequence[Erratum] = (), gold: str = "") -> dict[str, Any]:
    """A hash per item, one per config over its items and labels, one over all: what scores are tied to."""
    items = {
        config: {split: {row["id"]: item_hash(row) for row in rows} for split, rows in splits.items()}
        for config, splits in table.items()
    }
    names = {"ner": list(label_set.entity_names), "sector": list(label_set.sector_names)}
    listing = {
        "version": version_of(label_set, used),
        "errata": [erratum.path.stem for erratum in used],
        "gold": gold,
        "labels": names,
        "configs": hashes_of(items, names),
        "items": items,
    }
    return listing | {"sha256": whole_hash(listing)}


def whole_hash(listing: dict[str, Any]) -> str:
    """sha256 over a manifest's version, errata, name of the gold, and hashes of configs."""
    return files.sha256(files.dump_json([listing[key] for key in ("version", "errata", "gold", "configs")]).encode())


def compute_statistics(table: Rows, label_set: LabelSet) -> dict[str, Any]:
    """Counts that the card shows and the tests hold the data to."""
    names, ner = label_set.sector_names, table["ner"]
    noisy = [row for rows in table["ner_noisy"].values() for row in rows]
    entity = {split: Counter(s["type"] for row in rows for s in row["spans"]) for split, rows in ner.items()}
    sector = {
        split: Counter(names[n] for row in rows for n in row["sectors"]) for split, rows in table["sector"].items()
    }
    sizes = {split: Counter(row["article_id"] for row in rows for _ in row["spans"]) for split, rows in ner.items()}
    return {
        "articles": {split: len(rows) for split, rows in table["articles"].items()},
        "passages": {split: len(rows) for split, rows in table["sector"].items()},
        "sentences": {split: len(rows) for split, rows in ner.items()},
        "characters": {split: sum(len(row["text"]) for row in rows) for split, rows in ner.items()},
        "spans": {split: sum(counts.values()) for split, counts in entity.items()},
        "largest_article": {split: max(counts.values(), default=0) for split, counts in sizes.items()},
        "effective_articles": {split: round(_effective(counts.values()), 1) for split, counts in sizes.items()},
        "overlap": {
            split: leaks.entity_overlap(ner["train"], rows, label_set.entity_names)
            for split, rows in ner.items()
            if split != "train"
        },
        "entities": {name: {split: entity[split][name] for split in ner} for name in label_set.entity_names},
        "sectors": {name: {split: sector[split][name] for split in sector} for name in names},
        "layouts": {
            layout: {split: sum(row["layout"] == layout for row in rows) for split, rows in table["articles"].items()}
            for layout in articles.LAYOUTS
        },
        "noise": [
            {
                "kind": tier.kind,
                "level": tier.level,
                "hits": sum(row["hits"] for row in rows),
                "sentences_hit": sum(row["hits"] > 0 for row in rows),
            }
            for tier in noise.TIERS
            for rows in [[row for row in noisy if (row["kind"], row["level"]) == tier]]
        ],
    }


def _effective(sizes: Iterable[int]) -> float:
    """How many articles of one size would be as uneven as these: one over the sum of squared shares (Simpson 1949)."""
    sizes = list(sizes)
    return sum(sizes) ** 2 / max(sum(size**2 for size in sizes), 1)


STAMP = b"jinbench"  # the key of a Parquet file's metadata under which it says which version it belongs to


def stamp(listing: dict[str, Any], config: str) -> dict[str, str]:
    """What ties a file to its manifest: the version, and the hash of its config."""
    return {"version": str(listing["version"]), "config": config, "sha256": str(listing["configs"].get(config))}


def read_stamp(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    """The stamp in a file's metadata; empty if there is none, or something else under its key."""
    try:
        found = json.loads((metadata or {}).get(STAMP, b"{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def parquet(rows: list[dict[str, Any]], features: "datasets.Features", stamp: dict[str, str] | None = None) -> bytes:
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
