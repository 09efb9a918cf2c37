"""Descriptive statistics (stats.json)."""

from collections import Counter
from collections.abc import Iterable

from jinbench.annotation.labels import LabelSet
from jinbench.core.types import JsonObject
from jinbench.dataset import duplicates, noise
from jinbench.dataset.features import Rows
from jinbench.seeds.articles import LAYOUTS

Statistics = JsonObject  # contents of stats.json, see schemas/stats.json


def compute_statistics(table: Rows, label_set: LabelSet) -> Statistics:
    """Return the counts of stats.json, which the card shows and the tests compare with the data."""
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
        "effective_articles": {split: round(_effective_number(counts.values()), 1) for split, counts in sizes.items()},
        "overlap": {
            split: duplicates.count_entity_overlap(ner["train"], rows, label_set.entity_names)
            for split, rows in ner.items()
            if split != "train"
        },
        "entities": {name: {split: entity[split][name] for split in ner} for name in label_set.entity_names},
        "sectors": {name: {split: sector[split][name] for split in sector} for name in names},
        "layouts": {
            layout: {split: sum(row["layout"] == layout for row in rows) for split, rows in table["articles"].items()}
            for layout in LAYOUTS
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


def _effective_number(sizes: Iterable[int]) -> float:
    """Return the effective number of articles: one over the sum of squared shares (Simpson 1949)."""
    sizes = list(sizes)
    return sum(sizes) ** 2 / max(sum(size**2 for size in sizes), 1)
