"""Sentence segmentation; text that UTF-8 can encode."""

import re

from jinbench.core.types import Sentence


def storable(text: str) -> str:
    """`text` with "?" for what no file in UTF-8 can hold: half a surrogate pair, or a byte of a file's name that is
    no text."""
    return text.encode("utf-8", "replace").decode("utf-8")


_SENTENCE_END = re.compile(r"(?:[。！？!?]+|…+)[”’」』）)》]*")


def split_sentences(passage_id: str, text: str) -> list[Sentence]:
    """The sentences of a passage: they cover it without gaps, and closing quotation marks stay with their sentence."""
    found: list[Sentence] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        end = match.end()
        if end > start:
            found.append(Sentence(f"{passage_id}-S{len(found) + 1}", start, end))
            start = end
    if start < len(text):
        found.append(Sentence(f"{passage_id}-S{len(found) + 1}", start, len(text)))
    return found
