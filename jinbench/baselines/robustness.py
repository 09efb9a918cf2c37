"""Evaluate a recipe under noise, and with oracle inputs: gold entities in its rows."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from jinbench.baselines.worker import Row
from jinbench.core.benchmark import Benchmark
from jinbench.core.types import Span
from jinbench.dataset import load
from jinbench.dataset.gold import read_task_gold, task_config
from jinbench.scoring import compare, score
from jinbench.scoring.compare import Difference
from jinbench.scoring.gold import NOISY, Gold
from jinbench.scoring.results import Cell
from jinbench.scoring.score import Predicted


@dataclass(frozen=True)
class NoiseTier:
    """The sentences of a split under noise of one kind and level, with the rows that a recipe may see."""

    kind: str
    level: int
    gold: Gold
    rows: list[Row]


def read_noise_tiers(benchmark: Benchmark, crosswalk: str = "") -> list[NoiseTier]:
    """Read the noisy sentences, the highest level first: what a level leaves alone, lower ones leave alone too.

    Raises DataError [file-missing], [file-changed], [declaration-unknown].
    """
    rows = load.read_rows(benchmark, task_config("ner", NOISY))
    gold = read_task_gold(benchmark, "ner", NOISY, crosswalk)
    tiers = []
    for kind, level in dict.fromkeys((row["kind"], row["level"]) for row in rows):
        mask = [(row["kind"], row["level"]) == (kind, level) for row in rows]
        tiers.append(NoiseTier(kind, level, gold.select(mask), [*_mask_ids(itertools.compress(rows, mask))]))
    return sorted(tiers, key=lambda tier: -tier.level)


def _mask_ids(rows: Iterable[Row]) -> Iterator[Row]:
    """Give the rows other ids: their own tell which sentence it was, and what noise it has."""
    articles: dict[str, dict[str, str]] = {}
    sentences: dict[str, int] = {}
    for row in rows:
        passages = articles.setdefault(row["article_id"], {})
        article = f"n{list(articles).index(row['article_id'])}"
        passage = passages.setdefault(row["passage_id"], f"{article}-L{len(passages)}")
        sentences[passage] = sentences.get(passage, 0) + 1
        yield row | {"id": f"{passage}-S{sentences[passage]}", "passage_id": passage, "article_id": article}


@dataclass(frozen=True)
class NoiseResult:
    """The score under noise, and its difference to the clean score of the same sentences, paired by article."""

    kind: str
    level: int
    cell: Cell
    change: Difference | None

    def to_dict(self) -> dict[str, object]:
        cell = {key: value for key, value in asdict(self.cell).items() if key in ("f1", "low", "high")}
        change = asdict(self.change) if self.change else None
        return {"kind": self.kind, "level": self.level, **cell, "change": change}


def score_under_noise(tier: NoiseTier, predicted: Predicted, gold: Gold, clean: Predicted) -> NoiseResult:
    """Score predictions for a tier; `gold` and `clean` are gold and predictions for the sentences without noise."""
    cell = score.score_micro(tier.gold, predicted)
    has_scores = cell.f1 is not None and score.score_micro(gold, clean).f1 is not None
    change = compare.compare_golds((tier.gold, predicted), (gold, clean)) if has_scores else None
    return NoiseResult(tier.kind, tier.level, cell, change)


def add_gold_entities(benchmark: Benchmark, rows: Sequence[Row]) -> list[Row]:
    """Add to each passage its gold entities, `entities`, with offsets in the text of the passage."""
    spans: dict[str, list[Span]] = {}
    length: dict[str, int] = {}
    for row in load.read_rows(benchmark, "ner"):  # the sentences of a passage follow each other without gaps
        start = length.get(row["passage_id"], 0)
        spans.setdefault(row["passage_id"], []).extend(Span(**span).relative_to(-start) for span in row["spans"])
        length[row["passage_id"]] = start + len(row["text"])
    return [row | {"entities": spans.get(row["id"], [])} for row in rows]
