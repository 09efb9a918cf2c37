"""Sentence segmentation; control characters; text that UTF-8 can encode."""

import re
from typing import NamedTuple

CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"  # characters that no text has


def replace_unencodable(text: str) -> str:
    """Replace what UTF-8 cannot encode, such as half a surrogate pair, with "?"."""
    return text.encode("utf-8", "replace").decode("utf-8")


class Sentence(NamedTuple):
    """A slice `[start, end)` of a passage: the unit of entity recognition."""

    id: str
    start: int
    end: int


_SENTENCE_END = re.compile(r"(?:[。！？!?]+|…+)[”’」』）)》]*")


def split_sentences(passage_id: str, text: str) -> list[Sentence]:
    """Split a passage into sentences without gaps; closing quotation marks stay with their sentence."""
    sentences: list[Sentence] = []
    start = 0
    for end in (*(match.end() for match in _SENTENCE_END.finditer(text)), len(text)):
        if end > start:
            sentences.append(Sentence(f"{passage_id}-S{len(sentences) + 1}", start, end))
            start = end
    return sentences
