"""Predictions held against gold. Counts per item first; every score, interval and table comes from their sums.

What each number means, and where other scorers differ: docs/scoring.md. A missing prediction counts as wrong, an
unknown id is an error.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from jinbench.scoring import significance
from jinbench.scoring.counts import (
    BOUNDARY,
    CORRECT,
    EXACT,
    GOLD,
    OVERLAP,
    PREDICTED,
    TYPE,
    LabelTable,
    by_article,
    count,
    of_labels,
)
from jinbench.scoring.gold import Gold, LabelKey, coarse_names
from jinbench.scoring.results import FEW, Cell, Macro, Mean, Score, shares
from jinbench.scoring.significance import FEWEST, RESAMPLES, SEED, f1

if TYPE_CHECKING:
    import numpy as np

RELAXED = (BOUNDARY, TYPE, OVERLAP)
Predicted = Mapping[str, frozenset[LabelKey]]


def columns(gold: Gold) -> LabelTable:
    """The labels of the gold, side by side."""
    return of_labels(gold.labels, gold.names)


def _columns(gold: Gold, predicted: Predicted) -> LabelTable:
    return of_labels([predicted.get(id, frozenset()) for id in gold.ids], gold.names)


def counts(gold: Gold, predicted: Predicted, match: str = EXACT) -> "np.ndarray[Any, Any]":
    """Integers (items, labels, 3): gold, predicted and correct labels of each name in each item.

    `match` is what makes a predicted span correct: the same boundaries and type (exact), one of the two (boundary,
    type), or any common character (overlap). Where only characters must be in common, spans are paired one to one.
    """
    return count(columns(gold), _columns(gold, predicted), len(gold.names), match)


def articles(gold: Gold, table: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """The sums (articles, …) of counts (items, …), articles in order of their ids."""
    return by_article(table, gold.groups)


def score_predictions(
    gold: Gold, predicted: Predicted, match: str = EXACT, scores: Mapping[str, Mapping[str, float]] | None = None
) -> Score:
    """Score predictions by id against `gold`. Every number has an interval from the same resampled articles.

    `match` as in :func:`counts`; those without types (boundary, overlap) have neither labels nor macro. `scores` are
    those of sectors, by id and name, for the measures that rank.
    """
    ours, theirs = columns(gold), _columns(gold, predicted)
    table = count(ours, theirs, len(gold.names), match)
    sums, whole = articles(gold, table), table.sum(1)
    spans, typed = gold.task == "ner", match in (EXACT, TYPE)
    # Under noise a sentence is there once for each kind and level: thirty of them are not thirty mentions. Hence there
    # are no labels, and no facets but that.
    repeats = len(set(gold.facets["noise"])) if "noise" in gold.facets else 1
    facets = gold.facets if repeats == 1 else {"noise": gold.facets["noise"]}
    return Score(
        gold.task,
        cell("micro", sums.sum(1)),
        _macro(sums, FEW * repeats) if typed else Macro(0, len(gold.names), None, None, None),
        _documents(sums.sum(1)),
        _mean(gold, _exact_match(gold, predicted, whole)),
        _mean(gold, _ranking(gold, scores)) if scores else None,
        tuple(cell(name, sums[:, i]) for i, name in enumerate(gold.names)) if typed and repeats == 1 else (),
        tuple(_relaxed(gold, ours, theirs, rule) for rule in RELAXED) if spans and match == EXACT else (),
        tuple(_coarse(gold, ours, theirs, name) for name in gold.crosswalks) if match == EXACT else (),
        {
            **{facet: _facet(gold, whole, of) for facet, of in facets.items()},
            **({"familiarity": seen_unseen(gold, predicted, match)} if gold.known and repeats == 1 else {}),
        },
        len(gold.ids),
        len(set(gold.ids) - predicted.keys()),
        len(sums),
        gold.manifest,
        signature(gold, match),
    )


def signature(gold: Gold, match: str = EXACT) -> dict[str, str]:
    """Everything that numbers on `gold` depend on, but for the predictions."""
    fields = {
        "task": gold.task,
        "data": gold.version,
        "gold": gold.sha256[:8],
        "split": gold.split,
        "match": match,
        "boot": str(RESAMPLES),
        "seed": str(SEED),
        "jinbench": version("jinbench"),
        "crosswalk": gold.crosswalk,
    }
    return {name: value for name, value in fields.items() if value}


def _exact_match(gold: Gold, predicted: Predicted, whole: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Whether each item is; one without a prediction is not, also if there was nothing to find."""
    import numpy as np

    there = np.array([id in predicted for id in gold.ids], dtype=bool)
    right: np.ndarray[Any, Any] = (whole[:, GOLD] == whole[:, CORRECT]) & (whole[:, PREDICTED] == whole[:, CORRECT])
    found: np.ndarray[Any, Any] = right & there
    return found


def _relaxed(gold: Gold, ours: LabelTable, theirs: LabelTable, rule: str) -> Cell:
    return cell(rule, articles(gold, count(ours, theirs, len(gold.names), rule).sum(1)))


def _coarse(gold: Gold, ours: LabelTable, theirs: LabelTable, crosswalk: str) -> Cell:
    types = gold.crosswalks[crosswalk]
    names = coarse_names(gold.names, types)
    numbers = [names.index(types[name]) if types.get(name) else -1 for name in gold.names]
    table = count(ours.mapped(numbers), theirs.mapped(numbers), len(names))
    return cell(crosswalk, articles(gold, table.sum(1)))


def _facet(gold: Gold, whole: "np.ndarray[Any, Any]", belongs: Sequence[Sequence[str]]) -> tuple[Cell, ...]:
    """A cell for each value of a facet; an item counts in each that it has."""
    import numpy as np

    found = []
    for value in sorted({value for values in belongs for value in values}):
        here = np.array([value in values for values in belongs])
        found.append(cell(value, articles(gold, whole * here[:, None])))
    return tuple(found)


def seen_unseen(gold: Gold, predicted: Predicted, match: str = EXACT) -> tuple[Cell, Cell]:
    """The cells of mentions whose surface was labelled in training, as whatever type, and of the others."""
    seen = {id: (text, known) for id, text, known in zip(gold.ids, gold.texts, gold.known, strict=True)}

    def is_seen(id: str, label: LabelKey) -> bool:
        text, known = seen[id]
        return text[label[0] : label[1]] in known

    return (
        part("seen", gold, predicted, is_seen, match),
        part("unseen", gold, predicted, lambda id, label: not is_seen(id, label), match),
    )


def part(
    name: str, gold: Gold, predicted: Predicted, belongs: Callable[[str, LabelKey], bool], match: str = EXACT
) -> Cell:
    """The cell of some of the mentions: those of gold and predictions of which `belongs(id, label)` is true."""
    known = set(gold.ids)
    ours = {id: frozenset(x for x in found if belongs(id, x)) for id, found in predicted.items() if id in known}
    pairs = zip(gold.ids, gold.labels, strict=True)
    true = tuple(frozenset(label for label in found if belongs(id, label)) for id, found in pairs)
    return cell(name, articles(gold, counts(replace(gold, labels=true), ours, match).sum(1)))


def micro(gold: Gold, predicted: Predicted) -> Cell:
    """The micro-F1 alone."""
    return cell("micro", articles(gold, counts(gold, predicted).sum(1)))


def cell(name: str, sums: "np.ndarray[Any, Any]") -> Cell:
    """The cell of counts (articles, 3)."""
    total = sums.sum(0)
    right, guessed, true = int(total[CORRECT]), int(total[PREDICTED]), int(total[GOLD])
    low, high = significance.bounds(f1(significance.resample(sums)), sizes(sums)) if len(sums) else (None, None)
    value = float(f1(total)) if true + guessed else None
    articles = int((sizes(sums) > 0).sum())
    return Cell(name, true, guessed, right, *shares(true, guessed, right), value, low, high, articles)


def sizes(sums: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """How much each article weighs in an F1: its gold and predicted labels."""
    found: np.ndarray[Any, Any] = sums[..., GOLD] + sums[..., PREDICTED]
    return found


def _macro(sums: "np.ndarray[Any, Any]", few: int) -> Macro:
    """Of sums (articles, labels, 3), over the labels with `few` gold mentions or more."""
    import numpy as np

    of = sums.shape[1]
    sums = sums[:, sums[..., GOLD].sum(0) >= few]
    number = sums.shape[1]
    if not number:
        return Macro(0, of, None, None, None)
    value = float(np.mean(f1(sums.sum(0))))
    # The label that fewest articles have decides whether there is an interval, and how wide it is.
    rarest = min((sizes(sums[:, i]) for i in range(number)), key=lambda each: float(significance.effective(each)))
    if (sizes(sums) > 0).sum(0).min() < FEWEST:
        return Macro(number, of, value, None, None)
    drawn = f1(significance.resample(sums))  # a label that a resample has not stands in no mean
    there = ~np.isnan(drawn)
    means = np.nansum(drawn, axis=1) / np.maximum(there.sum(1), 1)
    return Macro(number, of, value, *significance.bounds(np.where(there.any(1), means, np.nan), rarest))


def _documents(sums: "np.ndarray[Any, Any]") -> Mean:
    """The mean F1 of the articles that have gold or predicted labels, of sums (articles, 3)."""
    import numpy as np

    single = f1(sums[sizes(sums) > 0])
    return _of_articles(single, np.ones(len(single)))


def _mean(gold: Gold, values: "np.ndarray[Any, Any]") -> Mean:
    """The mean of a value per item, resampled by article."""
    import numpy as np

    pairs = articles(gold, np.stack([values.astype(float), np.ones(len(values))], axis=1))
    return replace(_of_articles(pairs[:, 0], pairs[:, 1]), of=len(values))


def _of_articles(sums: "np.ndarray[Any, Any]", sizes: "np.ndarray[Any, Any]") -> Mean:
    import numpy as np

    if not len(sums):
        return Mean(None, None, None, 0)
    drawn = significance.resample(np.stack([sums, sizes], axis=1))
    low, high = significance.bounds(drawn[:, 0] / drawn[:, 1], sizes)
    return Mean(float(sums.sum() / sizes.sum()), low, high, len(sums))


def _ranking(gold: Gold, scores: Mapping[str, Mapping[str, float]]) -> "np.ndarray[Any, Any]":
    """Label-ranking average precision of each item (Schapire and Singer 2000); 0 where there are no scores.

    For each true label: of the labels scored at least as high, which share is true; then the mean over the true ones.
    A label without a score ranks below those that have one.
    """
    import numpy as np

    found = np.zeros(len(gold.ids))
    for i, (id, true) in enumerate(zip(gold.ids, gold.labels, strict=True)):
        given = scores.get(id)
        if given is None:
            continue
        values = np.array([given.get(name, -np.inf) for name in gold.names])
        right = np.array([(name,) in true for name in gold.names])
        if right.all() or not right.any():
            found[i] = 1.0  # nothing to rank
            continue
        at_least = values[right][:, None] <= values[None]
        found[i] = float(np.mean((at_least & right).sum(1) / at_least.sum(1)))
    return found
