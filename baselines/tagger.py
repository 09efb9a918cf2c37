"""Tagger: a linear-chain CRF over characters, their neighbours and the surfaces labelled in training.

Shows how far a well-made model gets on a machine without a GPU, with no text but the training sentences.
"""

from jinbench.models import CrfTagger

TASK = "ner"
SEED = 0
CURVE = True


def make():
    return CrfTagger(random_state=SEED)
