"""Scores apart: under noise, and for mentions whose words were labelled in training or were not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jinbench import dataset, pages, scoring, submissions
from jinbench.records import Span
from jinbench.rooms import Rooms
from jinbench.scoring import Cell, Difference
from jinbench.submissions import Gold, Label

CONFIG = "ner_noisy"
Predicted = Mapping[str, frozenset[Label]]


@dataclass(frozen=True)
class Noisy:
    """The sentences of a split under noise of one kind and level."""

    kind: str
    level: int
    gold: Gold
    rows: list[dict[str, Any]]  # as a recipe may see them


def tiers(where: Rooms, crosswalk: str = "") -> list[Noisy]:
    """The noisy sentences tier by tier. Raises :class:`DataError` (file-missing, file-changed, declaration-unknown)."""
    listing = dataset.read_manifest(where)
    by_tier: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in dataset.read_rows(where, CONFIG):
        by_tier.setdefault((row["kind"], row["level"]), []).append(row)
    found = []
    for (kind, level), rows in by_tier.items():
        gold = submissions.gold_of("ner", f"{kind}-{level}", rows, listing, CONFIG)
        if crosswalk:
            gold = submissions.coarse(gold, crosswalk, submissions.types(where, crosswalk))
        found.append(Noisy(kind, level, gold, [*_masked(rows)]))
    return found


def _masked(rows: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """The rows under other names. Their own say which sentence it was, and what was done to it and where."""
    passages: dict[str, dict[str, str]] = {}
    sentences: dict[str, int] = {}
    for row in rows:
        within = passages.setdefault(row["article_id"], {})
        article = f"n{list(passages).index(row['article_id'])}"
        passage = within.setdefault(row["passage_id"], f"{article}-L{len(within)}")
        sentences[passage] = sentences.get(passage, 0) + 1
        yield row | {"id": f"{passage}-S{sentences[passage]}", "passage_id": passage, "article_id": article}


@dataclass(frozen=True)
class Under:
    """The score under noise, and how it differs from that of the same sentences as they were: paired, by article."""

    kind: str
    level: int
    cell: Cell
    change: Difference | None

    def to_dict(self) -> dict[str, Any]:
        cell = {key: value for key, value in asdict(self.cell).items() if key in ("f1", "low", "high")}
        change = asdict(self.change) if self.change else None
        return {"kind": self.kind, "level": self.level, **cell, "change": change}


def under(noisy: Noisy, predicted: Predicted, gold: Gold, clean: Predicted) -> Under:
    """`gold` and `clean` are the sentences without noise, and what was predicted for them."""
    cell = scoring.micro(noisy.gold, predicted)
    known = cell.f1 is not None and scoring.micro(gold, clean).f1 is not None
    change = scoring.change((noisy.gold, predicted), (gold, clean)) if known else None
    return Under(noisy.kind, noisy.level, cell, change)


def surfaces(train: Iterable[dict[str, Any]]) -> frozenset[str]:
    """What is labelled anywhere in the rows, as whatever type."""
    return frozenset(span["surface"] for row in train for span in row["spans"])


def familiarity(gold: Gold, predicted: Predicted, known: Mapping[str, frozenset[str]]) -> tuple[Cell, Cell]:
    """The cells of mentions whose surface was labelled in training, and of the others.

    `known` has for each item the surfaces that were labelled in the training rows of its round.
    """
    texts = dict(zip(gold.ids, gold.texts, strict=True))

    def seen(id: str, label: Label) -> bool:
        return texts[id][label[0] : label[1]] in known[id]

    return (
        scoring.part("seen", gold, predicted, seen),
        scoring.part("unseen", gold, predicted, lambda id, label: not seen(id, label)),
    )


def entities(where: Rooms, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Passages with their gold entities, which an oracle is given: offsets are in the text of the passage."""
    spans = {row["id"]: [Span(**span) for span in row["spans"]] for row in dataset.read_rows(where, "ner")}
    return [
        row
        | {
            "entities": [
                span.shifted(-sentence.start)
                for sentence in pages.sentences(row["id"], row["text"])
                for span in spans[sentence.id]
            ]
        }
        for row in rows
    ]
