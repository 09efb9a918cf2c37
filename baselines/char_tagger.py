"""Character tagger: logistic regression over neighbouring characters, decoded to valid BIO.

Shows what the characters around a name say about it, without a dictionary or a language model.
"""

from jinbench.models import CharTagger

TASK = "ner"
SEED = 0


def make():
    return CharTagger(random_state=SEED)
