"""Convert between spans and per-character BIO (IOB2) tags."""

from collections.abc import Iterable, Sequence

from jinbench.core.errors import fail
from jinbench.core.types import Span


def to_bio(length: int, spans: Iterable[Span]) -> list[str]:
    """Return one tag for each of `length` characters. The spans must not overlap."""
    tags = ["O"] * length
    for span in spans:
        tags[span.start : span.end] = [f"B-{span.type}"] + [f"I-{span.type}"] * (span.end - span.start - 1)
    return tags


def from_bio(tags: Sequence[str], text: str, location: str = "tags") -> list[Span]:
    """Return the spans of a BIO sequence over `text`.

    Raises :class:`DataError` (wrong-shape) if there is not one tag per character, or an I- tag does not continue a
    span of its own type: conlleval and seqeval would each guess differently.
    """
    if len(tags) != len(text):
        expected, fix = f"{len(text)} tags, one per character", "tag characters, not words or sub-words"
        fail("wrong-shape", location, expected=expected, found=f"{len(tags)}", fix=fix)
    spans: list[Span] = []
    start, type = 0, ""
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        if prefix == "I" and name == type and type:
            continue
        if prefix == "I" or prefix not in ("B", "O") or (prefix == "B") != bool(name):
            expected = f"O, B-TYPE, or I-{type or 'TYPE'} after a tag of the same type"
            fail("wrong-shape", f"{location} character {i}", expected=expected, found=tag, fix="write valid BIO (IOB2)")
        if type:
            spans.append(Span(start, i, type, text[start:i]))
        start, type = i, name
    return spans
