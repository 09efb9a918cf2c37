"""Score plain tag or span sequences; compute_metrics for transformers."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

from jinbench.core.errors import DataError, Problem, raise_if_any, shorten
from jinbench.scoring import counts, schemes, streaming
from jinbench.scoring.counts import LabelTable
from jinbench.scoring.streaming import StreamingScorer

if TYPE_CHECKING:
    import numpy as np
    from transformers import EvalPrediction


TagNames = Sequence[str] | Mapping[int, str] | Mapping[str, str]

IGNORED = -100  # what a model that is fine-tuned has as the label of a token that does not count


def _as_row(value: Any) -> Any:
    """A span as in a submission; what is none stays what it is, to be refused there."""
    return dict(zip(("start", "end", "type"), value, strict=False)) if isinstance(value, list | tuple) else value


def _columns(
    sides: Mapping[str, Any], articles: Any, names: Iterable[str], scheme: str, repair: str | None, tag_names: TagNames
) -> tuple[list[LabelTable], tuple[str, ...], list[Any] | None]:
    """Gold and systems in columns over one list of types, checked against the gold, and the article of each item.

    The keys of `sides` are what a message calls them; the gold is the first.
    """
    numbers = _listed_names(tag_names, "tag_names")
    problems: list[Problem] = []
    found = {place: _side(side, place, numbers, problems) for place, side in sides.items()}
    order = tuple(dict.fromkeys(_listed_names(names, "names"))) or tuple(schemes.types_of(numbers))
    if not order:
        order = tuple(sorted(set().union(*(types for _, _, types in found.values()))))
    for place, (kind, rows, types) in found.items():
        if kind == "spans" and not types <= set(order):
            for i, label in ((i, label) for i, row in enumerate(rows) for label in row if label[2] not in order):
                hint = "name all of your types"
                problems.append(
                    Problem(
                        "wrong-shape",
                        location=f"{place}[{i}]",
                        expected=_one_of(order),
                        found=shorten(label[2]),
                        fix=hint,
                    )
                )
    raise_if_any(problems)
    columns = [_in_columns(place, *found[place][:2], numbers, order, scheme, repair) for place in sides]
    for place, theirs in zip(list(sides)[1:], columns[1:], strict=True):
        streaming.check(columns[0], theirs, place)
    return columns, order, None if articles is None else streaming.groups(articles, columns[0].items)


def _one_of(names: Sequence[str]) -> str:
    return f"a span with a type that is one of {', '.join(names)}" if names else "no span: there are no types"


def _together(groups: Sequence[Any]) -> "np.ndarray[Any, Any]":
    """An order (items,) of items in which those of each article come one after the other, as they were."""
    import numpy as np

    number: dict[Any, int] = {}
    return np.argsort([number.setdefault(group, len(number)) for group in groups], kind="stable")


def _side(side: Any, place: str, numbers: Sequence[str], problems: list[Problem]) -> tuple[str, Any, set[str]]:
    """What a side holds (arrow, tags, numbers, spans), it as lists or an Arrow array, and the types in it.

    What is wrong with spans is added to `problems`.
    """
    if streaming.is_arrow(side):
        if "int" not in str(side.type.value_type):
            tags = {tag for row in side.to_pylist() if row for tag in row if tag}
            return "arrow", side, set(schemes.types_of(tags))
        if not numbers:
            raise _unnamed(place, f"an Arrow column of {side.type}")
        return "arrow", side, set()
    rows = streaming.listed(side, place)
    first, i = next(((row[0], i) for i, row in enumerate(rows) if len(row)), (None, 0))
    if isinstance(first, str):
        tags = {tag for row in rows for tag in row if isinstance(tag, str)}
        return "tags", rows, set(schemes.types_of(tags))
    if _is_whole(first):
        if not numbers:
            raise _unnamed(f"{place}[{i}]", shorten(rows[i]))
        return "numbers", rows, set()
    spans = [[_triple(label, f"{place}[{i}]", problems) for label in row] for i, row in enumerate(rows)]
    kept = [[label for label in row if label is not None] for row in spans]
    return "spans", kept, {label[2] for row in kept for label in row}


def _unnamed(place: str, said: str) -> DataError:
    hint = "give tag_names, what the numbers mean, e.g. features['ner_tags'].feature.names"
    hint += "; or, if these are spans, a list of them for each item"
    return DataError(
        Problem(
            "wrong-shape", location=place, expected="tags, spans, or class labels with tag_names", found=said, fix=hint
        )
    )


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _triple(label: Any, place: str, problems: list[Problem]) -> tuple[int, int, str] | None:
    """A span as (start, end, type). What is wrong with it is added to `problems`."""
    parts: Sequence[Any] = ()
    if isinstance(label, Mapping):
        parts = [label.get(key) for key in ("start", "end", "type")]
    elif isinstance(label, list | tuple) and len(label) in (3, 4):  # a span of the dataset has its surface too
        parts = label[:3]
    if len(parts) == 3 and _is_whole(parts[0]) and _is_whole(parts[1]) and isinstance(parts[2], str) and parts[2]:
        start, end, type = int(parts[0]), int(parts[1]), str(parts[2])
        if 0 <= start < end <= sys.maxsize:
            return start, end, type
    expected = "a span (start, end, type): whole numbers, 0 <= start < end, and the name of a type"
    hint = "write 3, not 3.0 or '3'; offsets count from 0, the end is exclusive"
    problems.append(Problem("wrong-shape", location=place, expected=expected, found=shorten(label), fix=hint))
    return None


def _in_columns(
    place: str, kind: str, rows: Any, numbers: Sequence[str], names: tuple[str, ...], scheme: str, repair: str | None
) -> LabelTable:
    if kind == "spans":
        return counts.of_labels(rows, names)
    try:
        if kind == "arrow":
            return schemes.of_arrow(rows, numbers, names, scheme, repair)
        if kind == "tags":
            return schemes.of_tags(rows, names, scheme, repair)
        return schemes.of_tags(_tags(rows, numbers), names, scheme, repair)
    except DataError as error:
        raise DataError(replace(each, location=_named(each.location, place)) for each in error.problems) from None


def _tags(rows: Sequence[Sequence[Any]], numbers: Sequence[str]) -> list[list[str]]:
    """Class labels as tags."""
    expected, hint = f"numbers of tags, 0 to {len(numbers) - 1}", "name all tags, in their order"
    raise_if_any(
        Problem("wrong-tags", location=f"item {i}, tag {j}", expected=expected, found=shorten(code), fix=hint)
        for i, row in enumerate(rows)
        for j, code in enumerate(row)
        if not _is_whole(code) or not 0 <= code < len(numbers)
    )
    return [[numbers[code] for code in row] for row in rows]


def _named(where: str, place: str) -> str:
    """The place of a problem with tags, with the name of the side that they are on."""
    if where.startswith("item "):
        item, comma, rest = where.removeprefix("item ").partition(",")
        return f"{place}[{item}]{comma}{rest}"
    return place if where == "an Arrow column" else where


def _listed_names(names: Any, place: str) -> tuple[str, ...]:
    """Names as a tuple, from a sequence, or from a mapping with the number of each, such as `id2label`.

    Raises :class:`DataError` (wrong-shape).
    """
    if isinstance(names, Mapping):
        by_number = {str(number): name for number, name in names.items()}  # read from JSON, numbers are strings
        names = [by_number.get(str(i)) for i in range(len(names))]
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        expected, hint = "a list of names, or a mapping from 0, 1, … to names", f"give {place} as a list"
        raise DataError(Problem("wrong-shape", location=place, expected=expected, found=shorten(names), fix=hint))
    found = tuple(names)
    hint = "name each number from 0 on"
    raise_if_any(
        Problem(
            "wrong-shape",
            location=f"{place}[{i}]",
            expected="a name",
            found="nothing" if name is None else shorten(name),
            fix=hint,
        )
        for i, name in enumerate(found)
        if not isinstance(name, str) or not name
    )
    return found


def compute_metrics(
    tag_names: TagNames, scheme: str = "BIO", repair: str | None = "begin"
) -> Callable[["EvalPrediction"], dict[str, float]]:
    """A function for the `compute_metrics` of `transformers.Trainer`, for token classification.

    `tag_names` are the names of the labels, such as `dataset.features["ner_tags"].feature.names`, or a mapping such as
    `model.config.id2label`. Tokens with the label -100 are left out. A model tags token by token and may break the
    scheme, so that by default spans begin where tags do; `repair=None` refuses such tags. Returns precision, recall and
    f1 (micro, exact), and f1 by type.
    Raises :class:`DataError`: wrong-shape for names that are none; the function wrong-shape for predictions and labels
    of different shapes, wrong-tags for numbers without a name.
    """
    tags = _listed_names(tag_names, "tag_names")
    names = schemes.types_of(tags)

    def compute(found: "EvalPrediction") -> dict[str, float]:
        logits, labels = (_array(found[i], place) for i, place in enumerate(("predictions", "labels")))
        predicted = logits.argmax(-1) if logits.ndim == labels.ndim + 1 and logits.shape[-1] else logits
        if labels.ndim != 2 or predicted.shape != labels.shape:
            expected = "labels (items, tokens), and for each a number or logits"
            shapes, hint = f"{logits.shape} and {labels.shape}", "pad both alike"
            raise DataError(
                Problem("wrong-shape", location="predictions and labels", expected=expected, found=shapes, fix=hint)
            )
        counted = labels != IGNORED
        for place, side in (("labels", labels), ("predictions", predicted)):
            wrong = side[counted & ((side < 0) | (side >= len(tags)))]
            if side.dtype.kind not in "iu" or wrong.size:
                expected = f"numbers of tags, 0 to {len(tags) - 1}, or {IGNORED} as a label of what does not count"
                said, hint = str(wrong[0] if wrong.size else side.dtype), "name all tags, in their order"
                raise DataError(Problem("wrong-tags", location=place, expected=expected, found=said, fix=hint))
        true, guess = (
            schemes.of_codes(side[counted], counted.sum(1), tags, names, scheme, rule)
            for side, rule in ((labels, None), (predicted, repair))
        )
        report = StreamingScorer(names, intervals=False).add(true, guess).report()
        scores = {"precision": report.micro.precision, "recall": report.micro.recall, "f1": report.micro.f1 or 0.0}
        return scores | {f"f1_{cell.name}": cell.f1 for cell in report.labels if cell.f1 is not None}

    return compute


def _array(side: Any, place: str) -> "np.ndarray[Any, Any]":
    """What a model gives, as numbers: of several outputs the first. Raises :class:`DataError` (wrong-shape)."""
    import numpy as np

    try:
        found = np.asarray(side[0] if isinstance(side, tuple) and side else side)
    except ValueError:  # rows of different lengths
        found = np.asarray(None)
    if found.dtype.kind not in "iufb":
        raise DataError(
            Problem(
                "wrong-shape",
                location=place,
                expected="an array of numbers",
                found=shorten(side),
                fix="pad rows to one length",
            )
        )
    return found
