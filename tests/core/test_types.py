"""Sentences of a passage."""

from jinbench.core.text import split_sentences
from jinbench.core.types import Passage


def test_sentences_are_split_once() -> None:
    passage = Passage("p", "a", "page", "一。二！三", ())
    assert list(passage.sentences) == split_sentences("p", "一。二！三")
    assert passage.sentences is passage.sentences
