"""JinBench: an annotated benchmark of newspaper pages, and tools to make, score and publish such benchmarks.

Load the dataset, and verify that rows from elsewhere are those of its version:

    >>> import jinbench
    >>> test = jinbench.load("ner", "test")
    >>> jinbench.verify(test) == len(test)
    True

Score predictions for it by id, compare two systems, print a leaderboard table:

    >>> predictions = {row["id"]: [(s["start"], s["end"], s["type"]) for s in row["spans"]] for row in test}
    >>> jinbench.score(predictions).micro.f1
    1.0
    >>> nothing = {row["id"]: [] for row in test}
    >>> jinbench.compare(predictions, nothing).value
    1.0

and `print(jinbench.rank("ner", "test"))`. Scores of any other tags or spans:

    >>> jinbench.score(predictions=[["B-X", "O"], ["O"]], gold=[["B-X", "O"], ["B-X"]]).micro.recall
    0.5

Every result prints as a table, in a notebook too, and has `to_dict()` and `to_pandas()`. Each function takes `root`,
the folder of a benchmark; without it, it takes the one around the current folder, else the packaged one.
`jinbench.compute_metrics` is for a `transformers.Trainer`, `jinbench.Span` is a labelled stretch of a text.
The same on the command line: `jinbench --help`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
