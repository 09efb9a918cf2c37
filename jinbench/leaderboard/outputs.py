"""Read the output of a system in any form: a path, the name of a stored system, rows, or labels by id."""

import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from jinbench.core.errors import DataError, ErrorList, fail, shorten
from jinbench.dataset.load import locate_ids
from jinbench.leaderboard.systems import Systems
from jinbench.scoring.gold import Gold
from jinbench.scoring.predictions import (
    BIO_TAGS,
    LABEL_FIELDS,
    Predictions,
    TagOptions,
    parse_predictions,
    read_predictions,
)
from jinbench.scoring.sequences import span_to_row

_FIX = "pass rows, a path, or labels by id; or gold too"


def read_outputs(
    systems: Systems, gold: Gold, outputs: Iterable[object], options: TagOptions = BIO_TAGS
) -> list[Predictions]:
    """Return what each of `outputs` predicts for the items of `gold`.

    Raises :class:`DataError` with the problems of all of them.
    """
    problems, predictions = ErrorList(), []
    for output in outputs:
        try:
            predictions.append(_read_output(systems, gold, output, options))
        except DataError as error:
            problems.extend(error.problems)
    problems.raise_if_any()
    return predictions


def _read_output(systems: Systems, gold: Gold, output: object, options: TagOptions) -> Predictions:
    locate = partial(locate_ids, systems.benchmark)
    is_name = isinstance(output, str) and os.path.basename(output) == output and not output.endswith(".jsonl")
    if isinstance(output, str) and is_name and not os.path.isfile(output):
        return _read_stored(systems, gold, output)
    if isinstance(output, str | os.PathLike):
        return read_predictions(Path(output), gold, locate, options)
    problems = ErrorList()
    return parse_predictions(_to_rows(output, gold.task, problems), gold, locate, options, problems)


def _read_stored(systems: Systems, gold: Gold, name: str) -> Predictions:
    """Return the stored predictions of a system for the items of `gold`."""
    names = systems.names(gold)
    if name not in names:
        table = "/".join(filter(None, (gold.task, gold.crosswalk, gold.split)))
        expected = f"a file, or a system with predictions for {table}: {', '.join(names) or 'there is none'}"
        fail("unknown-id", shorten(name), expected=expected, found="neither", fix="correct the path or the name")
    return systems.predictions(gold, {name}).labels[name]


def _to_rows(output: object, task: str, problems: ErrorList) -> Iterable[tuple[str, dict[str, object]]]:
    """Yield rows of a prediction file with their locations, from rows or from labels by id."""
    if isinstance(output, Mapping):
        yield from _mapping_to_rows(output, task, problems)
    elif isinstance(output, bytes) or not isinstance(output, Iterable):
        expected = "rows, a path, or labels by id"
        problems.add("wrong-shape", "predictions", expected=expected, found=shorten(output), fix=_FIX)
    else:
        for i, row in enumerate(output):
            if isinstance(row, Mapping) and all(isinstance(name, str) for name in row):
                yield f"predictions[{i}]", dict(row)
            else:
                expected = f"a row: {{'id': …, {LABEL_FIELDS[task]!r}: […]}}"
                problems.add("wrong-shape", f"predictions[{i}]", expected=expected, found=shorten(row), fix=_FIX)


def _mapping_to_rows(
    labels_by_id: Mapping[object, object], task: str, problems: ErrorList
) -> Iterable[tuple[str, dict[str, object]]]:
    for id, labels in labels_by_id.items():
        location = f"predictions[{shorten(id)}]"
        if isinstance(labels, str | bytes | Mapping) or not isinstance(labels, Iterable):
            example = "[]" if task != "ner" else "[(0, 2, '…')]"
            expected = f"a list of labels, such as {example}; an empty one if there are none"
            problems.add("wrong-shape", location, expected=expected, found=shorten(labels), fix=_FIX)
            continue
        values: list[object] = list(labels)
        is_tagged = task == "ner" and bool(values) and isinstance(values[0], str)
        if task == "ner" and not is_tagged:
            values = list(map(span_to_row, values))
        yield location, {"id": id, "tags" if is_tagged else LABEL_FIELDS[task]: values}
