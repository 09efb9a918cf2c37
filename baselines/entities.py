"""Entities: the names in the passage, as the gold has them, and nothing else of its text.

Shows whether knowing the companies, bodies, sites, products and plans tells the sector. It is an oracle, as no system
is given true names; what it lacks to tfidf.py is what the words between the names say.
"""

from jinbench.models import MultiLabelTextClassifier

TASK = "sector"
SEED = 0
GIVEN = ("entities",)  # every row has its `entities`, a list of Span
NAMES = ("COMPANY", "GOVERNMENT", "INSTITUTION", "FACILITY", "PRODUCT", "INITIATIVE")


def names(kind):
    """A function from rows to the names of one kind in each."""
    return lambda rows: ["\n".join(span.surface for span in row["entities"] if span.type == kind) for row in rows]


def make():
    return MultiLabelTextClassifier([names(kind) for kind in NAMES], alone="general", random_state=SEED)
