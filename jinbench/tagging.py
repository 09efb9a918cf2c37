"""Spans to tags and back: one tag per character, scheme BIO (IOB2). And from what callers give to texts and spans."""

import operator
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jinbench.problems import DataError, Problem
from jinbench.records import Span


def to_bio(length: int, spans: Iterable[Span]) -> list[str]:
    """One tag for each of `length` characters. The spans must not overlap."""
    tags = ["O"] * length
    for span in spans:
        tags[span.start : span.end] = [f"B-{span.type}"] + [f"I-{span.type}"] * (span.end - span.start - 1)
    return tags


def from_bio(tags: Sequence[str], text: str, where: str = "tags") -> list[Span]:
    """The spans of a BIO sequence over `text`.

    Raises :class:`DataError` (wrong-shape) if there is not one tag per character, or an I- tag does not go on with
    a span of its own type: conlleval and seqeval would each guess differently.
    """
    if len(tags) != len(text):
        raise DataError(
            Problem(
                "wrong-shape",
                where,
                f"{len(text)} tags, one per character",
                f"{len(tags)}",
                "tag characters, not words or sub-words",
            )
        )
    spans: list[Span] = []
    start, type = 0, ""
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        if prefix == "I" and name == type and type:
            continue
        if prefix == "I" or prefix not in ("B", "O") or (prefix == "B") != bool(name):
            raise DataError(
                Problem(
                    "wrong-shape",
                    f"{where} character {i}",
                    f"O, B-TYPE, or I-{type or 'TYPE'} after a tag of the same type",
                    tag,
                    "write valid BIO (IOB2)",
                )
            )
        if type:
            spans.append(Span(start, i, type, text[start:i]))
        start, type = i, name
    return spans


def texts_of(X: Iterable[str | Mapping[str, Any]]) -> list[str]:
    """Texts, from texts or from rows of the dataset. Raises TypeError if X is one text, or holds something else."""
    if isinstance(X, (str, Mapping)):
        raise TypeError("X: expected a list of texts, found one text; write [text]")
    if hasattr(X, "columns"):  # walking over a table gives the names of its columns
        raise TypeError('X: expected a list of texts, found a table; write X["text"]')
    texts = [x.get("text") if isinstance(x, Mapping) else x for x in X]
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"X[{i}]: expected a text, or a row with a text, found {type(text).__name__}")
    return [str(text) for text in texts]


_KEYS = ("start", "end", "type")
_EXPECTED = "expected a list of (start, end, type), of spans of the dataset, or one BIO tag per character"


def spans_of(texts: Sequence[str], y: Iterable[Any]) -> list[list[Span]]:
    """The spans of each text, from spans (start, end, type, …), from those of the dataset, or from BIO tags.

    Raises TypeError if they are something else, ValueError if there is not one entry per text, if a span lies outside
    its text or overlaps another, :class:`DataError` (wrong-shape) if tags are not BIO.
    """
    labels = list(y)
    if len(labels) != len(texts):
        raise ValueError(
            f"X and y: expected as many labels as texts, found {len(texts)} texts and {len(labels)} labels"
        )
    found = []
    for i, (text, entry) in enumerate(zip(texts, labels, strict=True)):
        try:
            row = list(entry)
            if row and isinstance(row[0], str):
                found.append(from_bio([str(tag) for tag in row], text, f"y[{i}]"))
                continue
            triples = [[span[key] for key in _KEYS] if isinstance(span, Mapping) else list(span)[:3] for span in row]
            spans = sorted((operator.index(start), operator.index(end), str(type)) for start, end, type in triples)
        except (TypeError, KeyError) as error:
            raise TypeError(f"y[{i}]: {_EXPECTED}, found {reprlib.repr(entry)}") from error
        except ValueError as error:  # too few to unpack
            raise ValueError(f"y[{i}]: {_EXPECTED}, found {reprlib.repr(entry)}") from error
        end = 0
        for start, stop, type in spans:
            if not end <= start < stop <= len(text):
                expected = f"spans within 0:{len(text)} that do not overlap"
                raise ValueError(f"y[{i}]: expected {expected}, found {(start, stop, type)} after {end}")
            end = stop
        found.append([Span(a, b, type, text[a:b]) for a, b, type in spans])
    return found
