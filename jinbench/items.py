"""The items that are published: what each config has of a passage, how it is typed, counted and hashed."""

import io
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jinbench import files, pages, seeds, tagging
from jinbench.annotators import Annotator
from jinbench.errata import Erratum
from jinbench.labels import LabelSet
from jinbench.records import Article, Labels, within
from jinbench.seeds import Seeds
from jinbench.splitting import SPLITS, Place

if TYPE_CHECKING:
    import datasets

CONFIGS = ("ner", "sector", "articles", "annotations")
Rows = dict[str, dict[str, list[dict[str, Any]]]]  # by config, then by split


def rows(
    seed: Seeds,
    label_set: LabelSet,
    gold: dict[str, Labels],
    places: dict[str, Place],
    readings: Sequence[tuple[Annotator, dict[str, Labels]]] = (),
) -> Rows:
    """Every item of every config, as plain records."""
    tag_ids = {tag: number for number, tag in enumerate(label_set.tag_names)}
    sector_ids = {name: number for number, name in enumerate(label_set.sector_names)}
    table: Rows = {config: {split: [] for split in SPLITS} for config in CONFIGS}
    for article in seed.articles:
        place = places[article.id]
        shared = {"article_id": article.id, "layout": article.layout, "fold": place.fold}
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
            for sentence in pages.sentences(passage.id, passage.text):
                text = passage.text[sentence.start : sentence.end]
                spans = within(labelled.spans, sentence.start, sentence.end)
                table["ner"][place.split].append(
                    {
                        "id": sentence.id,
                        "text": text,
                        "tokens": list(text),
                        "ner_tags": [tag_ids[tag] for tag in tagging.to_bio(len(text), spans)],
                        "spans": [s._asdict() for s in spans],
                        "passage_id": passage.id,
                        **shared,
                    }
                )
    return table


def _article_row(article: Article, place: Place) -> dict[str, Any]:
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
        "fold": place.fold,
    }


def features(label_set: LabelSet) -> dict[str, "datasets.Features"]:
    """The type of every field of every config."""
    from datasets import ClassLabel, Features, List, Value

    string, number = Value("string"), Value("int32")
    shared = {"article_id": string, "layout": string, "fold": number}
    spans = List({"start": number, "end": number, "type": string, "surface": string})
    return {
        "ner": Features(
            {
                "id": string,
                "text": string,
                "tokens": List(string),
                "ner_tags": List(ClassLabel(names=list(label_set.tag_names))),
                "spans": spans,
                "passage_id": string,
                **shared,
            }
        ),
        "sector": Features(
            {
                "id": string,
                "title": string,
                "text": string,
                "sectors": List(ClassLabel(names=list(label_set.sector_names))),
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
                "fold": number,
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
                "sectors": List(ClassLabel(names=list(label_set.sector_names))),
                **shared,
            }
        ),
    }


def item_hash(row: dict[str, Any]) -> str:
    """sha256 of an item with all its fields: text, gold, tags, and what scores are read by (article, layout, fold)."""
    return files.sha256(files.dump_jsonl([row]).encode())


def hashes_of(items: dict[str, Any], names: dict[str, list[str]]) -> dict[str, str]:
    """One hash per config, over those of its items and the names of its labels."""
    return {
        config: files.sha256(files.dump_json([splits, names.get(config)]).encode()) for config, splits in items.items()
    }


def version_of(label_set: LabelSet, used: Sequence[Erratum]) -> str:
    """The version of the data: that of the label set, its last part the number of errata."""
    return f"{label_set.version.rpartition('.')[0]}.{len(used)}"


def manifest(table: Rows, label_set: LabelSet, used: Sequence[Erratum] = (), gold: str = "") -> dict[str, Any]:
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


def statistics(table: Rows, label_set: LabelSet) -> dict[str, Any]:
    """Counts that the card shows and the tests hold the data to."""
    names = label_set.sector_names
    entity = {split: Counter(s["type"] for row in rows for s in row["spans"]) for split, rows in table["ner"].items()}
    sector = {
        split: Counter(names[n] for row in rows for n in row["sectors"]) for split, rows in table["sector"].items()
    }
    return {
        "articles": {split: len(rows) for split, rows in table["articles"].items()},
        "passages": {split: len(rows) for split, rows in table["sector"].items()},
        "sentences": {split: len(rows) for split, rows in table["ner"].items()},
        "characters": {split: sum(len(row["text"]) for row in rows) for split, rows in table["ner"].items()},
        "spans": {split: sum(counts.values()) for split, counts in entity.items()},
        "largest_article": {
            split: max(Counter(row["article_id"] for row in rows for _ in row["spans"]).values(), default=0)
            for split, rows in table["ner"].items()
        },
        "entities": {name: {split: entity[split][name] for split in SPLITS} for name in label_set.entity_names},
        "sectors": {name: {split: sector[split][name] for split in SPLITS} for name in names},
        "layouts": {
            layout: {split: sum(row["layout"] == layout for row in rows) for split, rows in table["articles"].items()}
            for layout in seeds.LAYOUTS
        },
    }


def parquet(rows: list[dict[str, Any]], features: "datasets.Features") -> bytes:
    """One Parquet file, with the features inside it, so that every reader finds the types."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(rows, schema=features.arrow_schema)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_index=True)
    return buffer.getvalue()
