"""Conversion of texts, rows, spans and tags for the estimators."""

import operator
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jinbench.core.tags import from_bio
from jinbench.core.types import Span

TextInput = Iterable[str | Mapping[str, object]]  # texts, or rows of the dataset
LabelInput = Iterable[Iterable[Any]]  # for each text its spans, or its BIO tags

_KEYS = ("start", "end", "type")

_EXPECTED = "expected a list of (start, end, type), of spans of the dataset, or one BIO tag per character"


def to_texts(X: TextInput) -> list[str]:
    """Convert texts, or rows with a `text`, to texts; raise TypeError for anything else, and for a single text."""
    if isinstance(X, (str, Mapping)):
        raise TypeError("X: expected a list of texts, found one text; write [text]")
    if hasattr(X, "columns"):  # iterating over a table gives the names of its columns
        raise TypeError('X: expected a list of texts, found a table; write X["text"]')
    texts = [x.get("text") if isinstance(x, Mapping) else x for x in X]
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"X[{i}]: expected a text, or a row with a text, found {type(text).__name__}")
    return [str(text) for text in texts]


def to_spans(texts: Sequence[str], y: LabelInput) -> list[list[Span]]:
    """Convert labels to the spans of each text, from (start, end, type, …), spans of the dataset, or BIO tags.

    Raises TypeError if they are something else, ValueError if there is not one entry per text, if a span lies outside
    its text or overlaps another, :class:`DataError` [wrong-shape] if tags are not BIO.
    """
    labels = list(y)
    if len(labels) != len(texts):
        raise ValueError(
            f"X and y: expected as many labels as texts, found {len(texts)} texts and {len(labels)} labels"
        )
    spans_by_text = []
    for i, (text, entry) in enumerate(zip(texts, labels, strict=True)):
        try:
            row = list(entry)
            if row and isinstance(row[0], str):
                spans_by_text.append(from_bio([str(tag) for tag in row], text, f"y[{i}]"))
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
        spans_by_text.append([Span(a, b, type, text[a:b]) for a, b, type in spans])
    return spans_by_text
