"""Inline markup: labels written into a passage as `[surface|TYPE]`."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from jinbench.annotation.labels import LabelSet
from jinbench.annotation.validation import LabelValidator
from jinbench.core import files, jsonl, schemas
from jinbench.core.types import JsonObject, Passage, PassageLabels, Span

_REASON = re.compile(r".+?[:\uff1a]\s*\S", re.DOTALL)
_MARK = re.compile(r"\[([^\[\]|]+)\|([A-Za-z][A-Za-z0-9_]*)\]")


def to_markup(text: str, spans: Iterable[Span]) -> str:
    """Return `text` with its spans marked up as `[surface|TYPE]`."""
    for span in sorted(spans, reverse=True):
        text = f"{text[: span.start]}[{span.surface}|{span.type}]{text[span.end :]}"
    return text


def from_markup(marked: str) -> tuple[str, list[Span]]:
    """Return the plain text of marked-up text, and its spans."""
    plain, spans, end = "", [], 0
    for match in _MARK.finditer(marked):
        plain += marked[end : match.start()]
        spans.append(Span(len(plain), len(plain) + len(match[1]), match[2], match[1]))
        plain += match[1]
        end = match.end()
    return plain + marked[end:], spans


def read_markup(path: Path, passages: Iterable[Passage], label_set: LabelSet, annotator: str) -> list[PassageLabels]:
    """Read labels from JSON Lines `{"id", "marked", "sectors"}`; an adjudicator's lines have `reasons` too.

    Without its marks, `marked` must be the passage, character for character. A reason is `subject: why`.
    Raises :class:`DataError` (broken-json, unknown-id, duplicate-id, markup-differs, and those of the labels).
    """
    by_id = {passage.id: passage for passage in passages}
    validator = LabelValidator(files.display_path(path), label_set)
    labels: dict[str, PassageLabels] = {}
    rows = jsonl.read_rows(path)
    counts = Counter(str(row.get("id")) for _, row in rows)
    for number, row in rows:
        schemas.check_shape(row, "marked", f"{files.display_path(path)}:{number}")
        fields: JsonObject = row
        id, place = fields["id"], f"line {number} ({row['id']})"
        passage = by_id.get(id)
        if passage is None:
            expected, fix = "the id of a passage", "see: jinbench annotate sheet"
            validator.add("unknown-id", place, expected=expected, found=repr(id), fix=fix)
            continue
        if counts[id] > 1:
            expected, found = "each passage once", f"{counts[id]} times"
            validator.add("duplicate-id", place, expected=expected, found=found, fix="keep one of the lines")
            continue
        plain, spans = from_markup(fields["marked"])
        if plain != passage.text:
            at = next(
                (i for i, (a, b) in enumerate(zip(plain, passage.text, strict=False)) if a != b),
                min(len(plain), len(passage.text)),
            )
            expected, found = repr(passage.text[at : at + 20]), repr(plain[at : at + 20])
            fix = "copy the passage exactly and only add [surface|TYPE]"
            validator.add("markup-differs", f"{place} character {at}", expected=expected, found=found, fix=fix)
            continue
        valid = [span for s in spans if (span := validator.check_span(passage, *s, place)) is not None]
        sectors, reasons = fields["sectors"], tuple(fields.get("reasons", ()))
        if label_set.sectors and not sectors:
            lone = " or ".join(sorted(label_set.lone_sectors))
            fix = f"name one, or several{f'; {lone} if no other holds' if lone else ''}"
            validator.add("passage-unlabelled", place, expected="at least one sector", found="none", fix=fix)
        for reason in reasons:
            if not _REASON.match(reason):
                expected, fix = "“subject: why”", "write the disputed words, a colon, and the reason"
                validator.add("wrong-shape", f"{place} reasons", expected=expected, found=repr(reason), fix=fix)
        labels[id] = PassageLabels(
            id,
            annotator,
            validator.check_spans(passage, valid, place),
            validator.check_sectors(sectors, place),
            reasons,
        )
    validator.problems.raise_if_any()
    return [labels[id] for id in by_id if id in labels]
