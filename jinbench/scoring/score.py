"""Micro and macro F1, facets and relaxed matching, each with an interval.

Counts per item come first; every score, interval and table is made from their sums. The meaning of each number, and
where other scorers differ: docs/scoring.md. A missing prediction counts as wrong, an unknown id is an error.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from jinbench.scoring.counts import (
    BOUNDARY,
    CORRECT,
    EXACT,
    GOLD,
    OVERLAP,
    PREDICTED,
    TYPE,
    LabelTable,
    count_labels,
    labels_to_table,
    sum_by_index,
)
from jinbench.scoring.gold import Gold, LabelKey, coarsen_names
from jinbench.scoring.results import MIN_GOLD_MENTIONS, Cell, Macro, Mean, Score, precision_recall
from jinbench.scoring.significance import (
    MIN_ARTICLES_INTERVAL,
    SEED,
    count_resamples,
    effective_size,
    f1,
    reliable_interval,
    resample,
    resample_weights,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from jinbench.scoring.counts import Number
    from jinbench.scoring.significance import Floats

RELAXED = (BOUNDARY, TYPE, OVERLAP)
Predicted = Mapping[str, frozenset[LabelKey]]


def _predicted_columns(gold: Gold, predicted: Predicted) -> LabelTable:
    return labels_to_table([predicted.get(id, frozenset()) for id in gold.ids], gold.names)


def count_predictions(gold: Gold, predicted: Predicted, match: str = EXACT) -> "NDArray[np.int64]":
    """Count gold, predicted and correct labels of each name in each item: (items, names, 3) int64.

    `match` is what makes a predicted span correct: the same boundaries and type (exact), one of the two (boundary,
    type), or any common character (overlap). Where only characters must be in common, spans are paired one to one.
    """
    return count_labels(gold.columns, _predicted_columns(gold, predicted), len(gold.names), match)


def sum_by_article(gold: Gold, values: "NDArray[Number]") -> "NDArray[Number]":
    """Sum counts or shares (items, …) by article: (articles, …), articles in order of their ids."""
    return sum_by_index(values, gold.article_index)


def score_predictions(
    gold: Gold, predicted: Predicted, match: str = EXACT, scores: Mapping[str, Mapping[str, float]] | None = None
) -> Score:
    """Score predictions by id against `gold`. All intervals come from the same resampled articles.

    Args:
        gold: the items.
        predicted: labels by id; an id of `gold` that is missing counts as no labels, but is no exact match.
        match: what makes a predicted span correct: `exact` (boundaries and type), `type` (type and any common
            character), `boundary` or `overlap`. The last two have neither scores of labels nor macro-F1.
        scores: of sectors, by id and name, for the label-ranking average precision.

    Returns:
        The score with its facets, relaxed and coarse variants.

    References:
        Cluster bootstrap over articles with the expanded percentile interval (Hesterberg 2015, The American
        Statistician 69:371).

    Example:
        >>> items = [(f"s{i}", "上海下雨", f"a{i}", frozenset({(0, 2, "PLACE")})) for i in range(4)]
        >>> gold = Gold.from_labels("ner", ["PLACE"], items)
        >>> score = score_predictions(gold, {"s0": frozenset({(0, 2, "PLACE")})})
        >>> score.micro.recall, score.missing
        (0.25, 3)
    """
    return score_with_sums(gold, predicted, match, scores)[0]


def score_with_sums(
    gold: Gold, predicted: Predicted, match: str = EXACT, scores: Mapping[str, Mapping[str, float]] | None = None
) -> tuple[Score, "NDArray[np.int64]"]:
    """Return the score and the counts behind its micro-F1: (articles, 3) int64 gold, predicted, correct."""
    gold_table, predicted_table = gold.columns, _predicted_columns(gold, predicted)
    counts = count_labels(gold_table, predicted_table, len(gold.names), match)
    sums, totals = sum_by_article(gold, counts), counts.sum(1)
    typed = match in (EXACT, TYPE)
    # Under noise a sentence is there once for each kind and level: thirty of them are not thirty mentions. Hence there
    # are no labels, and no facets but that.
    repeats = len(set(gold.facets["noise"])) if "noise" in gold.facets else 1
    facets = gold.facets if repeats == 1 else ("noise",)
    parts = {facet: _score_facet(gold, totals, facet) for facet in facets}
    if gold.training_surfaces and repeats == 1:
        parts["seen_unseen"] = score_seen_unseen(gold, predicted_table, match)
    relaxed = RELAXED if gold.task == "ner" and match == EXACT else ()
    score = Score(
        gold.task,
        make_cell("micro", sums.sum(1)),
        _macro(sums, MIN_GOLD_MENTIONS * repeats) if typed else Macro(0, len(gold.names), None, None, None),
        _document_mean(sums.sum(1)),
        _item_mean(gold, _exact_match(gold, predicted, totals)),
        _item_mean(gold, _ranking_precision(gold, scores)) if scores else None,
        tuple(make_cell(name, sums[:, i]) for i, name in enumerate(gold.names)) if typed and repeats == 1 else (),
        tuple(_score_subset(rule, gold, gold_table, predicted_table, rule) for rule in relaxed),
        tuple(_score_coarse(gold, predicted_table, name) for name in gold.crosswalks) if match == EXACT else (),
        parts,
        len(gold.ids),
        len(set(gold.ids) - predicted.keys()),
        len(sums),
        gold.manifest,
        make_signature(gold, match),
    )
    return score, sums.sum(1)


def make_signature(gold: Gold, match: str = EXACT) -> dict[str, str]:
    """Return everything that scores on `gold` depend on, except the predictions."""
    fields = {
        "task": gold.task,
        "data": gold.version,
        "gold": gold.sha256[:8],
        "split": gold.split,
        "match": match,
        "boot": str(count_resamples(len(set(gold.groups)))),
        "seed": str(SEED),
        "jinbench": version("jinbench"),
        "crosswalk": gold.crosswalk,
    }
    return {name: value for name, value in fields.items() if value}


def _exact_match(gold: Gold, predicted: Predicted, totals: "NDArray[np.int64]") -> "NDArray[np.bool_]":
    """Return which items are exact matches; one without a prediction never is."""
    import numpy as np

    has_prediction = np.array([id in predicted for id in gold.ids], dtype=bool)
    exact: NDArray[np.bool_] = has_prediction & (totals[:, [GOLD, PREDICTED]] == totals[:, [CORRECT]]).all(1)
    return exact


def _score_subset(name: str, gold: Gold, labels: LabelTable, predicted: LabelTable, match: str) -> Cell:
    """Return the cell of some of the labels of `gold` and of the predictions."""
    return make_cell(name, sum_by_article(gold, count_labels(labels, predicted, len(gold.names), match).sum(1)))


def _score_coarse(gold: Gold, predicted: LabelTable, crosswalk: str) -> Cell:
    types = gold.crosswalks[crosswalk]
    names = coarsen_names(gold.names, types)
    numbers = [names.index(types[name]) if types.get(name) else -1 for name in gold.names]
    counts = count_labels(gold.columns.map_types(numbers), predicted.map_types(numbers), len(names))
    return make_cell(crosswalk, sum_by_article(gold, counts.sum(1)))


def _score_facet(gold: Gold, totals: "NDArray[np.int64]", facet: str) -> tuple[Cell, ...]:
    """Return a cell for each value of a facet; an item counts in each that it has."""
    masks = gold.facet_masks[facet]
    return tuple(make_cell(value, sum_by_article(gold, totals * mask[:, None])) for value, mask in masks.items())


def score_seen_unseen(gold: Gold, predicted: LabelTable, match: str = EXACT) -> tuple[Cell, Cell]:
    """Return the cells of entities whose surface was labelled in training, and of others."""
    seen, predicted_seen = gold.seen, gold.is_seen(predicted)
    return (
        _score_subset("seen", gold, gold.columns.select(seen), predicted.select(predicted_seen), match),
        _score_subset("unseen", gold, gold.columns.select(~seen), predicted.select(~predicted_seen), match),
    )


def score_micro(gold: Gold, predicted: Predicted) -> Cell:
    """Return the micro-F1 alone."""
    return make_cell("micro", sum_by_article(gold, count_predictions(gold, predicted).sum(1)))


def make_cell(name: str, sums: "NDArray[np.int64]") -> Cell:
    """Return the cell of counts (articles, 3)."""
    gold, predicted, correct = (int(sums[:, kind].sum()) for kind in (GOLD, PREDICTED, CORRECT))
    sizes = article_sizes(sums)
    low, high = _interval(sums, f1, sizes) if len(sums) else (None, None)
    value = float(f1(sums.sum(0))) if gold + predicted else None
    precision, recall = precision_recall(gold, predicted, correct)
    return Cell(name, gold, predicted, correct, precision, recall, value, low, high, int((sizes > 0).sum()))


def _interval(
    sums: "NDArray[np.int64] | NDArray[np.float64]", statistic: "Callable[[Floats], Floats]",
    sizes: "NDArray[np.int64] | NDArray[np.float64]",
) -> tuple[float, float] | tuple[None, None]:  # fmt: skip
    """Return the interval of a statistic of sums over articles of these sizes."""
    return reliable_interval(resample(sums, statistic), sizes, resample_weights(len(sums)))


def article_sizes(sums: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """Return the gold and predicted labels of each article, from sums (articles, …, 3)."""
    sizes: NDArray[np.int64] = sums[..., GOLD] + sums[..., PREDICTED]
    return sizes


def _macro(sums: "NDArray[np.int64]", min_mentions: int) -> Macro:
    """Return macro-F1 of sums (articles, labels, 3) over labels with enough mentions."""
    import numpy as np

    of = sums.shape[1]
    sums = sums[:, sums[..., GOLD].sum(0) >= min_mentions]
    labels = sums.shape[1]
    if not labels:
        return Macro(0, of, None, None, None)
    value = float(np.mean(f1(sums.sum(0))))
    sizes = article_sizes(sums)
    # The label that fewest articles have decides whether there is an interval, and how wide it is.
    rarest = min(sizes.T, key=lambda label_sizes: float(effective_size(label_sizes)))
    if (sizes > 0).sum(0).min() < MIN_ARTICLES_INTERVAL:
        return Macro(labels, of, value, None, None)

    def mean(sums: "Floats") -> "Floats":
        scores = f1(sums)  # a label that a resample does not have is in no mean
        present = ~np.isnan(scores)
        return np.where(present.any(1), np.nansum(scores, axis=1) / np.maximum(present.sum(1), 1), np.nan)

    return Macro(labels, of, value, *_interval(sums, mean, rarest))


def _document_mean(sums: "NDArray[np.int64]") -> Mean:
    """Return the mean F1 of the articles that have gold or predicted labels, of sums (articles, 3)."""
    import numpy as np

    scores = f1(sums[article_sizes(sums) > 0])
    return _article_mean(scores, np.ones(len(scores)))


def _item_mean(gold: Gold, values: "NDArray[np.bool_] | NDArray[np.float64]") -> Mean:
    """Return the mean of a value per item, resampled by article."""
    import numpy as np

    sums = sum_by_article(gold, np.stack([values.astype(float), np.ones(len(values))], axis=1))
    return replace(_article_mean(sums[:, 0], sums[:, 1]), of=len(values))


def _article_mean(sums: "NDArray[np.float64]", sizes: "NDArray[np.float64]") -> Mean:
    """Return the mean of values from their sum and their number in each article."""
    import numpy as np

    if not len(sums):
        return Mean(None, None, None, 0)
    low, high = _interval(np.stack([sums, sizes], axis=1), lambda drawn: drawn[:, 0] / drawn[:, 1], sizes)
    return Mean(float(sums.sum() / sizes.sum()), low, high, len(sums))


def _ranking_precision(gold: Gold, scores: Mapping[str, Mapping[str, float]]) -> "NDArray[np.float64]":
    """Return the label-ranking average precision of each item; 0 without scores (Schapire and Singer 2000).

    For each true label: of the labels scored at least as high, which share is true; then the mean over the true ones.
    A label without a score ranks below those that have one.
    """
    import numpy as np

    precision = np.zeros(len(gold.ids))
    for i, (id, labels) in enumerate(zip(gold.ids, gold.labels, strict=True)):
        item_scores = scores.get(id)
        if item_scores is None:
            continue
        values = np.array([item_scores.get(name, -np.inf) for name in gold.names])
        right = np.array([(name,) in labels for name in gold.names])
        if right.all() or not right.any():
            precision[i] = 1.0  # nothing to rank
            continue
        at_least = values[right][:, None] <= values[None]
        precision[i] = float(np.mean((at_least & right).sum(1) / at_least.sum(1)))
    return precision
