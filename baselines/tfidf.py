"""TF-IDF: characters and pairs of characters of the passage, one linear classifier and one threshold per sector.

Shows what the words of a passage say about its sector. The thresholds are chosen by cross-validation within the
training articles; with the likeliest sector alone for every passage the score is much lower.
"""

from jinbench.models import MultiLabelTextClassifier

TASK = "sector"
SEED = 0
CURVE = True


def passages(rows):
    return [row["text"] for row in rows]


def make():
    return MultiLabelTextClassifier([passages], alone="general", random_state=SEED)
