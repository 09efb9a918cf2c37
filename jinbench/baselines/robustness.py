"""Under which conditions a recipe is run: with noise in what it reads, or with gold entities given to it."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jinbench.core.benchmark import Benchmark
from jinbench.core.types import Span
from jinbench.dataset import load
from jinbench.dataset.gold import config_of, read_task_gold
from jinbench.scoring import compare, score
from jinbench.scoring.compare import Difference
from jinbench.scoring.gold import NOISY, Gold
from jinbench.scoring.results import Cell
from jinbench.scoring.score import Predicted


@dataclass(frozen=True)
class Noisy:
    """The sentences of a split under noise of one kind and level."""

    kind: str
    level: int
    gold: Gold
    rows: list[dict[str, Any]]  # as a recipe may see them


def tiers(benchmark: Benchmark, crosswalk: str = "") -> list[Noisy]:
    """The noisy sentences tier by tier. Raises :class:`DataError` (file-missing, file-changed, declaration-unknown)."""
    rows = load.read_rows(benchmark, config_of("ner", NOISY))
    gold = read_task_gold(benchmark, "ner", NOISY, crosswalk)
    found = []
    for kind, level in dict.fromkeys((row["kind"], row["level"]) for row in rows):
        kept = [(row["kind"], row["level"]) == (kind, level) for row in rows]
        found.append(Noisy(kind, level, gold.only(kept), [*_masked(itertools.compress(rows, kept))]))
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
class NoiseResult:
    """The score under noise, and how it differs from that of the same sentences as they were: paired, by article."""

    kind: str
    level: int
    cell: Cell
    change: Difference | None

    def to_dict(self) -> dict[str, Any]:
        cell = {key: value for key, value in asdict(self.cell).items() if key in ("f1", "low", "high")}
        change = asdict(self.change) if self.change else None
        return {"kind": self.kind, "level": self.level, **cell, "change": change}


def score_under_noise(noisy: Noisy, predicted: Predicted, gold: Gold, clean: Predicted) -> NoiseResult:
    """`gold` and `clean` are the sentences without noise, and what was predicted for them."""
    cell = score.micro(noisy.gold, predicted)
    known = cell.f1 is not None and score.micro(gold, clean).f1 is not None
    change = compare.change((noisy.gold, predicted), (gold, clean)) if known else None
    return NoiseResult(noisy.kind, noisy.level, cell, change)


def entities(benchmark: Benchmark, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Passages with their gold entities, which an oracle is given: offsets are in the text of the passage."""
    spans: dict[str, list[Span]] = {}
    length: dict[str, int] = {}
    for row in load.read_rows(benchmark, "ner"):  # the sentences of a passage follow each other without gaps
        start = length.get(row["passage_id"], 0)
        spans.setdefault(row["passage_id"], []).extend(Span(**span).shifted(-start) for span in row["spans"])
        length[row["passage_id"]] = start + len(row["text"])
    return [row | {"entities": spans.get(row["id"], [])} for row in rows]
