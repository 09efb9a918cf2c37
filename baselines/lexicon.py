"""Lexicon: the tagger, with what the dictionary of jieba says of each character.

Shows what general knowledge of Chinese words adds to so few training sentences: where words begin and end, and their
parts of speech, among which are names of people, places and organisations.
"""

import logging

import jieba.posseg

from jinbench.models import CrfTagger

TASK = "ner"
SEED = 0
NEEDS = ("jieba",)

jieba.setLogLevel(logging.WARNING)


def words(text):
    """For each character: its place in its word; that with the part of speech; those of the words before and after."""
    cut = [(word, flag) for word, flag in jieba.posseg.cut(text)]
    flags = ["", *(flag for _, flag in cut), ""]
    found = []
    for i, (word, flag) in enumerate(cut):
        places = "S" if len(word) == 1 else "B" + "I" * (len(word) - 2) + "E"
        around = f"{flags[i]} {flag} {flags[i + 2]}"
        found += [(place, f"{place} {flag}", f"{place} {around}", f"{place} {len(word)}") for place in places]
    return found


def make():
    return CrfTagger(features=words, random_state=SEED)
