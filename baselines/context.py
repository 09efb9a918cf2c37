"""Context: the passage as in tfidf.py, and beside it the other passages of its article as features of their own.

Shows whether the neighbours of a passage add to what it says itself. They do not: the more they counted, the
lower was the score on the articles outside test, where passages of one article differ in their sectors. They count a
quarter, at which they do no harm.
"""

from collections import defaultdict

from jinbench.models import MultiLabelTextClassifier

TASK = "sector"
SEED = 0


def passages(rows):
    return [row["text"] for row in rows]


def others(rows):
    """For each row the texts of the other rows of its article, as far as they are among `rows`."""
    articles = defaultdict(list)
    for number, row in enumerate(rows):
        articles[row["article_id"]].append(number)
    return ["\n".join(rows[k]["text"] for k in articles[row["article_id"]] if k != n) for n, row in enumerate(rows)]


def make():
    return MultiLabelTextClassifier([passages, others], weights=[1, 0.25], alone="general", random_state=SEED)
