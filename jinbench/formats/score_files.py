"""Score predictions in a file against gold in a file, without a benchmark."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from jinbench.core.errors import DataError, ErrorList, Problem, raise_if_any, shorten
from jinbench.formats.base import LOSSES, ConversionLog
from jinbench.formats.jsonl import GROUP_FIELD, read_rows
from jinbench.formats.registry import FORMATS, detect_format, match_formats
from jinbench.scoring.sequences import score_sequences
from jinbench.scoring.streaming import StreamingReport

_SIDES = ("gold", "predictions")
_MISSING = "no prediction"


class Item(NamedTuple):
    """A text with its labels: tags, or spans; what the file does not say is None."""

    location: str
    id: str | None
    text: str | None
    group: str | None
    labels: Sequence[Any]

    @property
    def has_tags(self) -> bool:
        return bool(self.labels) and isinstance(self.labels[0], str)


def has_columns(path: Path) -> bool:
    """Return whether a file is columns of tokens and tags."""
    return path.is_file() and match_formats(path) == ["conll"]


def score_files(
    paths: Sequence[Path], scheme: str = "BIO", repair: str | None = None
) -> tuple[StreamingReport, list[str]]:
    """Score predictions against gold, by id if all items have one, else in order; return notes too.

    `paths` are gold and predictions in any corpus format, or JSON Lines with `spans` or `tags`; or one file of columns
    with both at the end, as conlleval reads them. Raises :class:`DataError` with the problems of both.
    """
    log = ConversionLog()
    sides: dict[str, list[Item]] = {}
    one = len(paths) == 1
    try:
        for side, path, column in zip(_SIDES, (paths[0], paths[-1]), (-2 if one else -1, -1), strict=True):
            sides[side] = list(_read_items(path, log, scheme=scheme, repair=repair, column=column))
        raise_if_any(dict.fromkeys([*log.fatal, *log.problems]))
        gold = sides["gold"]
        predicted = sides["predictions"] = _align_items(gold, sides["predictions"], str(paths[-1]))
        articles = None if any(item.group is None for item in gold) else [item.group for item in gold]
        report = score_sequences(
            [item.labels for item in predicted], [item.labels for item in gold], articles=articles, scheme=scheme,
            repair=repair,
        )  # fmt: skip
    except DataError as error:
        raise DataError(_explain(problem, sides) for problem in error.problems) from None
    losses = {code: loss for code, loss in log.losses.items() if code != "fields"}  # which no score needs
    notes = [f"{loss.count:,}, first at {loss.examples[0][0]}: {LOSSES[code]}" for code, loss in losses.items()]
    if missing := sum(item.location == _MISSING for item in predicted):
        notes.append(f"{missing} items have no prediction: all of their labels count as missed")
    return report, notes


def _explain(problem: Problem, sides: Mapping[str, Sequence[Item]]) -> Problem:
    """Return a problem with the line of a location such as gold[3], and a fix that goes with a score."""
    if match := re.match(r"(gold|predictions)\[(\d+)\]", problem.location):
        location = sides[match[1]][int(match[2])].location
        problem = replace(problem, location=f"{location}{problem.location[match.end() :]}")
    if "--from" in problem.fix:  # which goes with a conversion
        fix = "name gold and predictions, both in a format of jinbench convert, or in JSON Lines with spans or tags"
        problem = replace(problem, fix=f"{fix}; or one file with three columns: token, gold, prediction")
    return problem


def _read_items(path: Path, log: ConversionLog, **options: Any) -> Iterator[Item]:
    """Yield the items of a file or folder in any format; of columns, those of the one named."""
    if path.suffix == ".jsonl" and not match_formats(path):
        yield from _read_plain(path, log)
        return
    is_broken = path.suffix in (".conll", ".bio", ".bmes") and not match_formats(path)  # the reader says in which line
    format = FORMATS["conll"] if is_broken else detect_format(path)
    for document in format.read(path, log, **options):
        spans = [span[:3] for span in document.spans]
        yield Item(document.location, document.id, document.text, document.group, spans)


def _read_plain(path: Path, log: ConversionLog) -> Iterator[Item]:
    """Yield the items of JSON Lines with spans or tags."""
    for location, row in read_rows(path, log):
        labels = [row[field] for field in ("spans", "tags") if isinstance(row.get(field), list)]
        id, text, group = (None if row.get(name) is None else str(row[name]) for name in ("id", "text", GROUP_FIELD))
        if len(labels) == 1:
            yield Item(location, id, text, group, labels[0])
        else:
            found, fix = f"fields {shorten(', '.join(row), 100)}", "write the labels under one of the two"
            log.log_problem("wrong-shape", location, expected="one list, spans or tags", found=found, fix=fix)


def _align_items(gold: Sequence[Item], predicted: Sequence[Item], name: str) -> list[Item]:
    """Return the prediction of each item of the gold. Raises :class:`DataError` for what does not fit."""
    problems = ErrorList()
    by_id = all(item.id is not None for item in (*gold, *predicted))
    if not by_id and len(gold) != len(predicted):
        expected, fix = f"{len(gold):,} texts, as in the gold", "predict each, in their order; or give all of them ids"
        problems.add("wrong-shape", name, expected=expected, found=f"{len(predicted):,}", fix=fix)
    keyed = [{str(item.id) if by_id else str(i): item for i, item in enumerate(side)} for side in (gold, predicted)]
    for items, side in zip((gold, predicted), keyed, strict=True):
        for id, times in Counter(item.id for item in items).items() if len(side) < len(items) else ():
            if times > 1:
                location = next(item.location for item in items if item.id == id)
                problems.add("duplicate-id", location, expected="each id once", found=f"{shorten(id)} {times} times",
                             fix="keep one of them")  # fmt: skip
    references, predictions = keyed
    for key, item in predictions.items() if by_id else ():
        if key not in references:
            fix = "predict the texts of the gold"
            problems.add(
                "unknown-id", item.location, expected="the id of a text of the gold", found=shorten(key), fix=fix
            )
    aligned = []
    for key, reference in references.items():
        nothing = ["O"] * len(reference.labels) if reference.has_tags else []
        item = predictions.get(key, reference._replace(location=_MISSING, labels=nothing))
        aligned.append(item)
        if None not in (item.text, reference.text) and item.text != reference.text:
            expected = f"the text at {reference.location}: {shorten(reference.text)}"
            fix = "predict the texts of the gold, in their order"
            problems.add("wrong-shape", item.location, expected=expected, found=shorten(item.text), fix=fix)
        for tags, other in ((item, reference), (reference, item)):
            if tags.has_tags and not other.has_tags and len(tags.labels) != len(other.text or tags.text or ""):
                expected = "a tag for each character, where the other side has offsets in a text"
                fix = "write spans, or tags, on both sides"
                problems.add("wrong-shape", tags.location, expected=expected, found=f"{len(tags.labels)} tags", fix=fix)
    problems.raise_if_any()
    return aligned
