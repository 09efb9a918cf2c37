"""Who labels which article: annotation/shares.csv. Dealt once; what has been dealt stays dealt.

An article stays whole: whoever labels one of its passages labels all of them. An annotator whom shares.csv does not
name labels everything.
"""

import csv
import io
import itertools
import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from jinbench.annotation.annotators import read_annotators
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import Problem, raise_if_any
from jinbench.core.types import Article
from jinbench.seeds.articles import Seeds

COLUMNS = ("article_id", "annotator")
DEALS = 100  # how many are tried; fewer with more articles, among which the first is even already
Shares = Mapping[str, tuple[str, ...]]  # the annotators of each article


def assign_articles(
    articles: Iterable[Article], names: Sequence[str], overlap: int, given: Shares | None = None, seed: int = 0
) -> Shares:
    """Give each article to `overlap` of the annotators, so that all have about as many characters and articles, and
    every two of them about as much in common.

    What was `given` stays; articles with fewer annotators get more. Of several deals, in orders that `seed` draws, the
    most even one is taken. Raises ValueError unless `overlap` is between 1 and the number of names.
    """
    if not 1 <= overlap <= len(set(names)):
        raise ValueError(f"overlap: expected 1 to {len(set(names))}, the number of annotators, found {overlap}")
    lengths = {article.id: sum(len(passage.text) for passage in article.passages) for article in articles}
    had = {id: tuple((given or {}).get(id, ())) for id, length in lengths.items() if length}
    order = sorted(had, key=lambda id: (-lengths[id], id))  # the long ones first: the short ones fill the gaps
    rng, best = random.Random(seed), (math.inf, had)
    for _ in range(max(1, min(DEALS, 100 * DEALS // max(len(order), 1)))):
        dealt = _Deal(names, overlap, lengths, had)
        for id in order:
            dealt.fill(id)
        best = min(best, (dealt.unevenness(), dealt.having), key=lambda found: found[0])
        rng.shuffle(order)
    return {
        id: tuple(name for name in dict.fromkeys((*names, *having)) if name in having) for id, having in best[1].items()
    }


class _Deal:
    """Articles on their way to annotators."""

    def __init__(self, names: Sequence[str], overlap: int, lengths: Mapping[str, int], had: Shares) -> None:
        self.names, self.overlap, self.lengths = names, overlap, lengths
        self.having: dict[str, tuple[str, ...]] = dict.fromkeys(had, ())
        self.characters = Counter(dict.fromkeys(names, 0))
        self.articles = Counter(dict.fromkeys(names, 0))
        self.common = Counter({frozenset(pair): 0 for pair in itertools.combinations(names, 2)})
        for id, names_before in had.items():
            for name in names_before:
                self.give(id, name)

    def give(self, id: str, name: str) -> None:
        for other in self.having[id]:
            self.common[frozenset((name, other))] += self.lengths[id]
        self.having[id] = (*self.having[id], name)
        self.characters[name] += self.lengths[id]
        self.articles[name] += 1

    def fill(self, id: str) -> None:
        """Give an article to whoever has least so far, and least in common with those who have it."""
        while len(self.having[id]) < self.overlap:
            here = self.having[id]
            self.give(
                id,
                min(
                    (name for name in self.names if name not in here),
                    key=lambda name: (
                        self.characters[name] + sum(self.common[frozenset((name, other))] for other in here),
                        self.articles[name],
                    ),
                ),
            )

    def unevenness(self) -> float:
        """How far the largest is above the smallest, as a share of the mean: of characters, articles, and pairs."""

        def spread(found: Iterable[int]) -> float:
            values = list(found)
            return (max(values) - min(values)) * len(values) / (sum(values) or 1) if values else 0.0

        # Characters are the work, and weigh most.
        return 3 * spread(self.characters.values()) + spread(self.articles.values()) + spread(self.common.values())


def read_assignments(benchmark: Benchmark, seeds: Seeds) -> Shares:
    """shares.csv; empty if there is none. Raises :class:`DataError` (share-unknown) with all that is wrong in it."""
    path = benchmark.shares
    if not path.is_file():
        return {}
    shown, known = files.shown(path), read_annotators(benchmark).names
    articles = {article.id for article in seeds.articles}
    hint = "correct the line, or move the file away and deal anew: jinbench annotate desk"
    problems: list[Problem] = []
    found: dict[str, tuple[str, ...]] = {}
    text = files.read_text(path).removeprefix("\ufeff")  # spreadsheets put it there; in a message nobody would see it
    rows = list(csv.reader(io.StringIO(text, newline="")))
    for number, row in enumerate(rows, 1):
        if number == 1 and tuple(row) == COLUMNS:
            continue
        id, name = row if len(row) == 2 else ("", "")
        if id not in articles or name not in known or name in found.get(id, ()) or number == 1:
            expected = ",".join(COLUMNS) if number == 1 else "an article, and one of annotators.toml, each pair once"
            problems.append(
                Problem(
                    "share-unknown",
                    location=f"{shown}:{number}",
                    expected=expected,
                    found=",".join(row) or "nothing",
                    fix=hint,
                )
            )
        else:
            found[id] = (*found.get(id, ()), name)
    raise_if_any(problems)
    return found


def write_assignments(benchmark: Benchmark, shares: Shares) -> None:
    """shares.csv, a line for each article and annotator."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((id, name) for id, names in shares.items() for name in names)
    files.write_text(benchmark.shares, out.getvalue())


def passages_of(shares: Shares, seeds: Seeds, name: str) -> list[str] | None:
    """The ids of the passages that an annotator labels, in reading order; None for all of them."""
    if name not in set(itertools.chain.from_iterable(shares.values())):
        return None
    return [p.id for article in seeds.articles if name in shares.get(article.id, ()) for p in article.passages]


def share_of(benchmark: Benchmark, seeds: Seeds, name: str) -> list[str] | None:
    """The same as shares.csv has it. Raises :class:`DataError` (share-unknown)."""
    return passages_of(read_assignments(benchmark, seeds), seeds, name)


def summary(shares: Shares, seeds: Seeds, names: Iterable[str]) -> list[dict[str, object]]:
    """For each annotator the articles, passages and characters of its share."""
    rows = []
    for name in names:
        having = [a for a in seeds.articles if a.passages and (name in shares.get(a.id, ()) or not shares)]
        passages = [passage for article in having for passage in article.passages]
        rows.append({"annotator": name, "articles": len(having), "passages": len(passages),
                     "characters": sum(len(passage.text) for passage in passages)})  # fmt: skip
    return rows
