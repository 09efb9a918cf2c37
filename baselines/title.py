"""Title: the same classifier as in tfidf.py, shown the title of the article and nothing of the passage.

Shows how much of the task a headline gives away. All passages of an article get the same sectors, so an article about
many industries is out of its reach.
"""

from jinbench.models import MultiLabelTextClassifier

TASK = "sector"
SEED = 0


def titles(rows):
    return [row["title"] for row in rows]


def make():
    return MultiLabelTextClassifier([titles], alone="general", random_state=SEED)
