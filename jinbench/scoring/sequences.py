"""Score plain tag or span sequences; compute_metrics for transformers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jinbench.core.errors import ErrorList, fail, shorten
from jinbench.scoring.compare import Difference, compare_sums
from jinbench.scoring.counts import LabelTable, count_labels, sum_by_group
from jinbench.scoring.inputs import check_same_items, list_articles, read_labels
from jinbench.scoring.schemes import codes_to_table, list_types
from jinbench.scoring.streaming import StreamingReport, StreamingScorer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import EvalPrediction


TagNames = Sequence[str] | Mapping[int, str] | Mapping[str, str]

IGNORED = -100  # the label of a token that does not count, in fine-tuning


def score_sequences(
    predictions: Any, gold: Any, *, articles: Iterable[Any] | None = None, names: Sequence[str] = (),
    scheme: str = "BIO", repair: str | None = None, tag_names: TagNames = (),
) -> StreamingReport:  # fmt: skip
    """Score sequences of tags or spans against gold sequences.

    Args:
        predictions: one entry per item: a list of tags, of class labels, or of spans (start, end, type); or an Arrow
            column of tags or class labels.
        gold: the same for the gold, in the same order.
        articles: the article of each item, in any order, for the intervals; without it each item stands for itself.
        names: the types and their order; by default those of `tag_names`, else all that occur, sorted.
        scheme: scheme of tags: `BIO`, `BIOES`, `BMES` or `BILOU`.
        repair: how to read tags that the scheme forbids: `begin` (as conlleval) or `drop`; None refuses them.
        tag_names: the tags that numbers of class labels stand for, e.g. `features["ner_tags"].feature.names`.

    Returns:
        Micro-F1 and F1 by type, with 95 % confidence intervals.

    Raises:
        DataError: [wrong-shape, wrong-tags, wrong-scheme] with all errors of both.

    Example:
        >>> report = score_sequences([["B-X", "I-X", "O"], ["O"]], [["B-X", "I-X", "O"], ["B-X"]])
        >>> report.micro.precision, report.micro.recall
        (1.0, 0.5)
        >>> score_sequences([[(0, 2, "X")]], [[(0, 2, "Y")]]).micro.f1
        0.0
    """
    sides = {"gold": gold, "predictions": predictions}
    (gold_table, predicted_table), types, groups = _align_sides(sides, articles, names, scheme, repair, tag_names)
    if groups is not None:  # the scorer wants the items of an article one after the other
        order = _order_groups(groups)
        gold_table, predicted_table = gold_table.reorder(order), predicted_table.reorder(order)
        groups = [groups[i] for i in order]
    return StreamingScorer(types).add(gold_table, predicted_table, groups).report()


def compare_sequences(
    a: Any, b: Any, gold: Any, *, articles: Iterable[Any] | None = None, names: Sequence[str] = (),
    scheme: str = "BIO", repair: str | None = None, tag_names: TagNames = (),
) -> Difference:  # fmt: skip
    """Compare two systems on sequences of tags or spans; arguments as in :func:`score_sequences`."""
    sides = {"gold": gold, "a": a, "b": b}
    (gold_table, *tables), types, groups = _align_sides(sides, articles, names, scheme, repair, tag_names)
    if not gold_table.items:
        expected, fix = "an item or more to compare systems on", "give the gold of both systems"
        fail("wrong-shape", "gold", expected=expected, found="no items", fix=fix)
    keys: dict[Any, str] = {}  # equal ids are one article, as in a score; 1 and "1" are two
    ids = [keys.setdefault(group, repr(group)) for group in (range(gold_table.items) if groups is None else groups)]
    first, second = (sum_by_group(count_labels(gold_table, table, len(types)).sum(1), ids) for table in tables)
    return compare_sums(first, second)


def span_to_row(value: Any) -> Any:
    """Convert a span (start, end, type) to a row of a submission; anything else is returned as it is."""
    return dict(zip(("start", "end", "type"), value, strict=False)) if isinstance(value, list | tuple) else value


def _align_sides(
    sides: Mapping[str, Any], articles: Any, names: Iterable[str], scheme: str, repair: str | None, tag_names: TagNames
) -> tuple[list[LabelTable], tuple[str, ...], list[Any] | None]:
    """Return gold and systems as tables, their types, and the article of each item.

    The keys of `sides` are their names in messages; the gold is the first.
    """
    tags = _list_names(tag_names, "tag_names")
    problems = ErrorList()
    labels = [read_labels(side, location, tags, problems) for location, side in sides.items()]
    types = tuple(dict.fromkeys(_list_names(names, "names"))) or tuple(list_types(tags))
    if not types:
        types = tuple(sorted(set().union(*(side.list_types() for side in labels))))
    for side in labels:
        side.check_types(types, problems)
    problems.raise_if_any()
    tables = [side.to_table(types, scheme, repair) for side in labels]
    for location, table in zip(list(sides)[1:], tables[1:], strict=True):
        check_same_items(tables[0], table, location)
    return tables, types, None if articles is None else list_articles(articles, tables[0].items)


def _order_groups(groups: Sequence[Any]) -> "NDArray[np.int64]":
    """Return an order (items,) in which the items of each article are adjacent, otherwise as they were."""
    import numpy as np

    number: dict[Any, int] = {}
    return np.argsort([number.setdefault(group, len(number)) for group in groups], kind="stable")


def _list_names(names: Any, location: str) -> tuple[str, ...]:
    """Return names as a tuple, from a sequence or a mapping such as `id2label`.

    Raises :class:`DataError` (wrong-shape).
    """
    if isinstance(names, Mapping):
        by_number = {str(number): name for number, name in names.items()}  # read from JSON, numbers are strings
        names = [by_number.get(str(i)) for i in range(len(names))]
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        expected, fix = "a list of names, or a mapping from 0, 1, … to names", f"give {location} as a list"
        fail("wrong-shape", location, expected=expected, found=shorten(names), fix=fix)
    problems = ErrorList()
    listed = tuple(names)
    for i, name in enumerate(listed):
        if not isinstance(name, str) or not name:
            found, fix = "nothing" if name is None else shorten(name), "name each number from 0 on"
            problems.add("wrong-shape", f"{location}[{i}]", expected="a name", found=found, fix=fix)
    problems.raise_if_any()
    return listed


def compute_metrics(
    tag_names: TagNames, scheme: str = "BIO", repair: str | None = "begin"
) -> Callable[["EvalPrediction"], dict[str, float]]:
    """Make a function for the `compute_metrics` of `transformers.Trainer`, for token classification.

    Args:
        tag_names: the names of the labels, such as `dataset.features["ner_tags"].feature.names`, or a mapping such as
            `model.config.id2label`.
        scheme: scheme of tags: `BIO`, `BIOES`, `BMES` or `BILOU`.
        repair: how to read tags that the scheme forbids, since a model tags token by token and a window of a long
            text may begin within a span: `begin` (as conlleval) or `drop`; None refuses them.

    Returns:
        A function of predictions and labels, (items, tokens) or logits of them, that returns precision, recall and f1
        (micro, exact), and f1 by type. Tokens with the label -100 are left out. It raises :class:`DataError`
        [wrong-shape] for shapes that differ and [wrong-tags] for numbers without a name.

    Raises:
        DataError: [wrong-shape] for invalid names.

    Example:
        >>> import numpy as np
        >>> metrics = compute_metrics(["O", "B-X", "I-X"])
        >>> metrics((np.array([[1, 2, 0]]), np.array([[1, 2, -100]])))
        {'precision': 1.0, 'recall': 1.0, 'f1': 1.0, 'f1_X': 1.0}
    """
    tags = _list_names(tag_names, "tag_names")
    types = list_types(tags)

    def compute(evaluation: "EvalPrediction") -> dict[str, float]:
        logits, labels = (_to_array(evaluation[i], side) for i, side in enumerate(("predictions", "labels")))
        predicted = logits.argmax(-1) if logits.ndim == labels.ndim + 1 and logits.shape[-1] else logits
        if labels.ndim != 2 or predicted.shape != labels.shape:
            expected, found = (
                "labels (items, tokens), and for each a number or logits",
                f"{logits.shape} and {labels.shape}",
            )
            fail("wrong-shape", "predictions and labels", expected=expected, found=found, fix="pad both alike")
        counted = labels != IGNORED
        for location, side in (("labels", labels), ("predictions", predicted)):
            wrong = side[counted & ((side < 0) | (side >= len(tags)))]
            if side.dtype.kind not in "iu" or wrong.size:
                expected = (
                    f"numbers of tags, 0 to {len(tags) - 1}, or {IGNORED} as a label of a token that does not count"
                )
                found = str(wrong[0] if wrong.size else side.dtype)
                fail("wrong-tags", location, expected=expected, found=found, fix="name all tags, in their order")
        gold_table, predicted_table = (
            codes_to_table(side[counted], counted.sum(1), tags, types, scheme, repair) for side in (labels, predicted)
        )
        report = StreamingScorer(types, intervals=False).add(gold_table, predicted_table).report()
        scores = {"precision": report.micro.precision, "recall": report.micro.recall, "f1": report.micro.f1 or 0.0}
        return scores | {f"f1_{cell.name}": cell.f1 for cell in report.labels if cell.f1 is not None}

    return compute


def _to_array(side: Any, location: str) -> "NDArray[Any]":
    """Return the output of a model as numbers. Raises :class:`DataError` (wrong-shape)."""
    import numpy as np

    try:
        array = np.asarray(side[0] if isinstance(side, tuple) and side else side)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "iufb":
        fail("wrong-shape", location, expected="an array of numbers", found=shorten(side), fix="pad rows to one length")
    return array
