"""Marked-up text: labels written into a passage with `[surface|TYPE]`, by a person or a model, without a server."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from jinbench.annotation.labels import LabelSet
from jinbench.annotation.validation import LabelValidator
from jinbench.core import files, jsonl, schemas
from jinbench.core.errors import raise_if_any
from jinbench.core.types import Passage, PassageLabels, Span

_REASON = re.compile(r".+?[:\uff1a]\s*\S", re.DOTALL)
_MARK = re.compile(r"\[([^\[\]|]+)\|([A-Za-z][A-Za-z0-9_]*)\]")


def mark(text: str, spans: Iterable[Span]) -> str:
    """`text` with its spans marked up as `[surface|TYPE]`."""
    for span in sorted(spans, reverse=True):
        text = f"{text[: span.start]}[{span.surface}|{span.type}]{text[span.end :]}"
    return text


def parse(marked: str) -> tuple[str, list[Span]]:
    """Marked-up text without its marks, and the spans that they made."""
    plain, spans, end = "", [], 0
    for match in _MARK.finditer(marked):
        plain += marked[end : match.start()]
        spans.append(Span(len(plain), len(plain) + len(match[1]), match[2], match[1]))
        plain += match[1]
        end = match.end()
    return plain + marked[end:], spans


def read_markup(path: Path, passages: Iterable[Passage], label_set: LabelSet, annotator: str) -> list[PassageLabels]:
    """Labels from JSON Lines `{"id", "marked", "sectors"}`, where `marked` is the passage with `[surface|TYPE]` marks.

    An adjudicator's lines have `reasons` too, each as `subject: why`.

    Without its marks the text must be the passage, character for character.
    Raises :class:`DataError` (broken-json, unknown-id, duplicate-id, markup-differs, and those of the labels).
    """
    by_id = {passage.id: passage for passage in passages}
    checker = LabelValidator(files.shown(path), label_set)
    found: dict[str, PassageLabels] = {}
    rows = jsonl.read(path)
    times = Counter(str(row.get("id")) for _, row in rows)
    for number, row in rows:
        schemas.check_shape(row, "marked", f"{files.shown(path)}:{number}")
        id, marked = row["id"], row["marked"]
        place = f"line {number} ({id})"
        passage = by_id.get(id)
        if passage is None:
            checker.problem("unknown-id", place, "the id of a passage", repr(id), "see: jinbench annotate sheet")
            continue
        if times[id] > 1:
            checker.problem("duplicate-id", place, "each passage once", f"{times[id]} times", "keep one of the lines")
            continue
        plain, spans = parse(marked)
        if plain != passage.text:
            at = next(
                (i for i, (a, b) in enumerate(zip(plain, passage.text, strict=False)) if a != b),
                min(len(plain), len(passage.text)),
            )
            checker.problem(
                "markup-differs",
                f"{place} character {at}",
                repr(passage.text[at : at + 20]),
                repr(plain[at : at + 20]),
                "copy the passage exactly and only add [surface|TYPE]",
            )
            continue
        checked = [span for s in spans if (span := checker.span(passage, *s, place)) is not None]
        sectors = row["sectors"]
        if label_set.sectors and not sectors:
            lone = " or ".join(sorted(label_set.lone_sectors))
            hint = f"name one, or several{f'; {lone} if no other holds' if lone else ''}"
            checker.problem("passage-unlabelled", place, "at least one sector", "none", hint)
        for reason in row.get("reasons", ()):
            if not _REASON.match(reason):
                hint = "write the words in dispute, a colon, and the reason"
                checker.problem("wrong-shape", f"{place} reasons", "“subject: why”", repr(reason), hint)
        found[id] = PassageLabels(
            id,
            annotator,
            checker.spans(passage, checked, place),
            checker.sectors(sectors, place),
            tuple(row.get("reasons", ())),
        )
    raise_if_any(checker.problems)
    return [found[id] for id in by_id if id in found]
