"""Corrections of the gold after it was finished: `annotation/errata/NNN.toml`, applied in order.

An erratum says what stands there, what should, and why. The export of the adjudicator stays as it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jinbench.annotation import markup
from jinbench.annotation.labels import LabelSet
from jinbench.annotation.validation import LabelValidator
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import Problem, raise_if_any
from jinbench.core.types import Passage, PassageLabels, Span, slice_spans


@dataclass(frozen=True)
class Erratum:
    """`before` and `after`: a stretch of the passage marked up, or its sectors. `by`: a person, a language model."""

    path: Path
    passage_id: str
    date: str
    by: str
    why: str
    before: str | tuple[str, ...]
    after: str | tuple[str, ...]


def read_errata(benchmark: Benchmark) -> list[Erratum]:
    """All errata in order. Raises :class:`DataError` (broken-toml, wrong-shape)."""
    found, problems = [], []
    for number, path in enumerate(files.walk_files(benchmark.annotation / "errata"), 1):
        place = files.display_path(path)
        if path.name != f"{number:03}.toml":
            hint = "number the errata without gaps, and keep nothing else in this folder"
            problems.append(
                Problem("wrong-shape", location=place, expected=f"{number:03}.toml", found=path.name, fix=hint)
            )
            continue
        table = files.read_toml(path, "erratum")
        before, after = (tuple(side) if isinstance(side, list) else side for side in (table["before"], table["after"]))
        problems += files.date_problems(table["date"], f"{place} date")
        if type(before) is not type(after) or before == after:
            expected = "two stretches of marked-up text, or two lists of sectors, that differ"
            hint = "say what stands there now, and what should"
            problems.append(
                Problem(
                    "wrong-shape",
                    location=f"{place} after",
                    expected=expected,
                    found=f"{before!r} and {after!r}",
                    fix=hint,
                )
            )
        found.append(Erratum(path, table["passage"], str(table["date"]), table["by"], table["why"], before, after))
    raise_if_any(problems)
    return found


def apply_errata(
    gold: Mapping[str, PassageLabels], errata: Sequence[Erratum], passages: Mapping[str, Passage], label_set: LabelSet
) -> dict[str, PassageLabels]:
    """`gold` with the errata applied in order; what they do not touch is the same object.

    Raises :class:`DataError` (erratum-differs, unknown-id, and those of the labels).
    """
    corrected = dict(gold)
    problems: list[Problem] = []
    for erratum in errata:
        checker = LabelValidator(files.display_path(erratum.path), label_set)
        passage = passages.get(erratum.passage_id)
        if passage is None:
            checker.problem("unknown-id", "passage", "the id of a passage", repr(erratum.passage_id), "correct the id")
        else:
            labelled = corrected[passage.id]
            change = _sectors if isinstance(erratum.before, tuple) else _spans
            corrected[passage.id] = change(checker, erratum, passage, labelled)
        problems += checker.problems
    raise_if_any(problems)
    return corrected


def _sectors(checker: LabelValidator, erratum: Erratum, passage: Passage, labelled: PassageLabels) -> PassageLabels:
    if set(erratum.before) != set(labelled.sectors):
        checker.problem(
            "erratum-differs",
            "before",
            ", ".join(labelled.sectors),
            ", ".join(erratum.before),
            "say what stands there now, after the errata before this one",
        )
    return replace(labelled, sectors=checker.sectors(list(erratum.after), "after"))


def _spans(checker: LabelValidator, erratum: Erratum, passage: Passage, labelled: PassageLabels) -> PassageLabels:
    stretch, before = markup.from_markup(str(erratum.before))
    same, after = markup.from_markup(str(erratum.after))
    times = passage.text.count(stretch)
    if stretch != same or times != 1:
        expected = f"the same stretch before and after, once in {passage.id}"
        found = f"{times} times" if stretch == same else f"{stretch!r} and {same!r}"
        checker.problem("erratum-differs", "before", expected, found, "copy a longer stretch and only change its marks")
        return labelled
    start = passage.text.index(stretch)
    end = start + len(stretch)
    inside = [span for span in labelled.spans if span.start < end and start < span.end]
    if inside != [span.relative_to(-start) for span in before]:
        there = markup.to_markup(stretch, slice_spans(inside, start, end))
        checker.problem(
            "erratum-differs",
            "before",
            there,
            str(erratum.before),
            "say what stands there now, after the errata before this one",
        )
        return labelled
    new = [checker.span(passage, *span.relative_to(-start), "after") for span in after]
    kept = [span for span in labelled.spans if span not in inside]
    spans: list[Span] = [*kept, *(span for span in new if span is not None)]
    return replace(labelled, spans=checker.spans(passage, spans, "after"))
