"""Strict span F1 for Hugging Face `evaluate`: `evaluate.load("jinbench/metrics/span_f1")`, without a connection.

What each number means: docs/scoring.md.
"""

from typing import Literal

import datasets
import evaluate

import jinbench

_DESCRIPTION = """Strict span F1 of tagged sequences: a span is right if its boundaries and its type are. Counts,
precision, recall and F1 are those of `jinbench score`; the 95 % intervals over articles come from other draws, so that
their last digits can differ. Tags that their scheme forbids are refused unless a repair is named."""
_INPUTS = """
Args:
    predictions: a list of tags for each item.
    references: the same for the gold.
    scheme: BIO (default), BIOES, BMES or BILOU.
    repair: what to do with tags that the scheme forbids: "begin" (what conlleval makes of them) or "drop".
    articles: for each item the article it is from, in whatever order. Without it each item stands for itself; an
        interval that takes items of one article for independent is too narrow.
Returns:
    precision, recall, f1 (micro); low and high, the 95 % interval of f1; and under types, for each type its precision,
    recall, f1, low, high, and number in the gold.
Example:
    >>> metric = evaluate.load("jinbench/metrics/span_f1")
    >>> metric.compute(predictions=[["B-X", "I-X"]], references=[["B-X", "I-X"]])["f1"]
    1.0
"""


class SpanF1(evaluate.Metric):  # type: ignore[misc]
    def _info(self) -> evaluate.MetricInfo:
        tags = datasets.Sequence(datasets.Value("string"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": tags, "references": tags}),
        )

    def _compute(
        self,
        predictions: list[list[str]],
        references: list[list[str]],
        scheme: Literal["BIO", "BIOES", "BMES", "BILOU"] = "BIO",
        repair: Literal["begin", "drop"] | None = None,
        articles: list[str] | list[int] | None = None,
    ) -> dict[str, object]:
        report = jinbench.score(
            predictions=predictions, gold=references, scheme=scheme, repair=repair, articles=articles
        )
        keys = ("precision", "recall", "f1", "low", "high")
        types = {cell.name: {key: getattr(cell, key) for key in keys} | {"number": cell.gold} for cell in report.labels}
        return {key: getattr(report.micro, key) for key in keys} | {"types": types}
