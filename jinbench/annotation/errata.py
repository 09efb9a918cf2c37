"""Numbered corrections of the gold (annotation/errata/NNN.toml), applied in order.

An erratum names the present labels, the correct ones, and the reason. The adjudicator's export stays as it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jinbench.annotation.labels import LabelSet
from jinbench.annotation.markup import from_markup, to_markup
from jinbench.annotation.validation import LabelValidator
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import ErrorList
from jinbench.core.types import Passage, PassageLabels, slice_spans

_FIX = "write the present labels, after all earlier errata"


@dataclass(frozen=True)
class Erratum:
    """A correction of the labels of one passage.

    `before` and `after` are a stretch of the passage marked up, or its sectors; `by` is a person or a language model.
    """

    path: Path
    passage_id: str
    date: str
    by: str
    why: str
    before: str | tuple[str, ...]
    after: str | tuple[str, ...]


def read_errata(benchmark: Benchmark) -> list[Erratum]:
    """Read all errata in order. Raises :class:`DataError` (broken-toml, wrong-shape)."""
    errata, problems = [], ErrorList()
    for number, path in enumerate(files.walk_files(benchmark.annotation / "errata"), 1):
        location = files.display_path(path)
        if path.name != f"{number:03}.toml":
            fix = "number the errata without gaps, and keep nothing else in this folder"
            problems.add("wrong-shape", location, expected=f"{number:03}.toml", found=path.name, fix=fix)
            continue
        table = files.read_toml(path, "erratum")
        before, after = (tuple(side) if isinstance(side, list) else side for side in (table["before"], table["after"]))
        problems += files.date_problems(table["date"], f"{location} date")
        if type(before) is not type(after) or before == after:
            expected = "two stretches of marked-up text, or two lists of sectors, that differ"
            found, fix = f"{before!r} and {after!r}", "write the present labels as before, the correct ones as after"
            problems.add("wrong-shape", f"{location} after", expected=expected, found=found, fix=fix)
        errata.append(Erratum(path, table["passage"], str(table["date"]), table["by"], table["why"], before, after))
    problems.raise_if_any()
    return errata


def apply_errata(
    gold: Mapping[str, PassageLabels], errata: Sequence[Erratum], passages: Mapping[str, Passage], label_set: LabelSet
) -> dict[str, PassageLabels]:
    """Return `gold` with the errata applied in order; unaffected labels are the same objects.

    Raises :class:`DataError` (erratum-differs, unknown-id, and those of the labels).
    """
    corrected = dict(gold)
    problems = ErrorList()
    for erratum in errata:
        validator = LabelValidator(files.display_path(erratum.path), label_set)
        passage = passages.get(erratum.passage_id)
        if passage is None:
            found = repr(erratum.passage_id)
            validator.add("unknown-id", "passage", expected="the id of a passage", found=found, fix="correct the id")
        else:
            correct = _correct_sectors if isinstance(erratum.before, tuple) else _correct_spans
            corrected[passage.id] = correct(validator, erratum, passage, corrected[passage.id])
        problems += validator.problems
    problems.raise_if_any()
    return corrected


def _correct_sectors(
    validator: LabelValidator, erratum: Erratum, passage: Passage, labels: PassageLabels
) -> PassageLabels:
    if set(erratum.before) != set(labels.sectors):
        expected, found = ", ".join(labels.sectors), ", ".join(erratum.before)
        validator.add("erratum-differs", "before", expected=expected, found=found, fix=_FIX)
    return replace(labels, sectors=validator.check_sectors(list(erratum.after), "after"))


def _correct_spans(
    validator: LabelValidator, erratum: Erratum, passage: Passage, labels: PassageLabels
) -> PassageLabels:
    stretch, before = from_markup(str(erratum.before))
    same, after = from_markup(str(erratum.after))
    times = passage.text.count(stretch)
    if stretch != same or times != 1:
        expected = f"the same stretch before and after, once in {passage.id}"
        found = f"{times} times" if stretch == same else f"{stretch!r} and {same!r}"
        fix = "copy a longer stretch and only change its marks"
        validator.add("erratum-differs", "before", expected=expected, found=found, fix=fix)
        return labels
    start = passage.text.index(stretch)
    end = start + len(stretch)
    inside = [span for span in labels.spans if span.start < end and start < span.end]
    if inside != [span.relative_to(-start) for span in before]:
        present = to_markup(stretch, slice_spans(inside, start, end))
        validator.add("erratum-differs", "before", expected=present, found=str(erratum.before), fix=_FIX)
        return labels
    corrected = [validator.check_span(passage, *span.relative_to(-start), "after") for span in after]
    outside = [span for span in labels.spans if span not in inside]
    spans = [*outside, *(span for span in corrected if span is not None)]
    return replace(labels, spans=validator.check_spans(passage, spans, "after"))
