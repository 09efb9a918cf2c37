"""Test helpers: scoring."""

import itertools
import random
import tomllib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from jinbench.scoring import counts
from jinbench.scoring.counts import LabelTable
from jinbench.scoring.gold import Gold, LabelKey
from tests.helpers.paths import ROOT

VECTORS = ROOT / "tests" / "vectors"

# Tags of three items, and as a system guesses them.
GOLD = [["B-P", "I-P", "O"], ["B-L", "I-L"], ["O"]]
GUESS = [["B-P", "I-P", "O"], ["O", "B-L"], ["B-P"]]

NAMES = ("X", "Y", "Z")

Triple = tuple[int, int, str]

Labels = list[set[Triple]]


def vectors(name: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Read the types and the cases of a file in tests/vectors."""
    document = tomllib.loads((VECTORS / f"{name}.toml").read_text(encoding="utf-8"))
    return document["types"], document["case"]


def named(cases: Iterable[dict[str, Any]]) -> dict[str, Any]:
    cases = list(cases)
    assert len({case["name"] for case in cases}) == len(cases)
    return {"argvalues": cases, "ids": [case["name"] for case in cases]}


def columns(labels: Labels, names: Sequence[str] = NAMES) -> LabelTable:
    return counts.labels_to_table(labels, names)


def labels(table: LabelTable, names: Sequence[str] = NAMES) -> Labels:
    """Back from columns; no label may stand twice."""
    back: Labels = [set() for _ in range(table.items)]
    for item, start, end, type in zip(*map(np.ndarray.tolist, _arrays(table)), strict=True):
        assert (start, end, names[type]) not in back[item]
        back[item].add((start, end, names[type]))
    return back


def _arrays(table: LabelTable) -> tuple[Any, ...]:
    return table.item, table.start, table.end, table.type


def of(rule: str, gold: Labels, predicted: Labels) -> Any:
    return counts.count_labels(columns(gold), columns(predicted), len(NAMES), rule)


def flat(rng: random.Random, length: int) -> set[Triple]:
    """Spans that do not overlap, often adjacent."""
    cuts = sorted(rng.sample(range(length + 1), rng.randint(0, min(8, length))))
    return {(a, b, rng.choice(NAMES)) for a, b in itertools.pairwise(cuts) if rng.random() < 0.6}


def tangled(rng: random.Random, length: int) -> set[Triple]:
    """Any spans: nested, crossing, the same place twice."""
    spans = set()
    for _ in range(rng.randint(0, 7)):
        start = rng.randrange(length)
        spans.add((start, rng.randint(start + 1, length), rng.choice(NAMES[:2])))
    return spans


def pair(rng: random.Random, make: Callable[[random.Random, int], set[Triple]], items: int) -> tuple[Labels, Labels]:
    """Gold, and predictions of which some are right."""
    gold = [make(rng, rng.randint(1, 24)) for _ in range(items)]
    predicted = [
        {span for span in item if rng.random() < 0.7} if rng.random() < 0.3 else make(rng, 20) for item in gold
    ]
    return gold, predicted


def tags_of(length: int, spans: Iterable[Triple], scheme: str) -> list[str]:
    """Valid tags, written as plainly as possible."""
    first, inside, last, alone = {
        "BIO": "BIIB", "BIOES": "BIES", "BMES": "BMES", "BILOU": "BILU"
    }[scheme]  # fmt: skip
    tags = ["O"] * length
    for start, end, type in spans:
        letters = [alone] if end - start == 1 else [first, *[inside] * (end - start - 2), last]
        tags[start:end] = [f"{letter}-{type}" for letter in letters]
    return tags


def alone(gold: set[Triple], predicted: set[Triple]) -> bool:
    """Return whether no span meets two of the other side."""
    met = [(a, b) for a in gold for b in predicted if a[0] < b[1] and b[0] < a[1]]
    return len({a for a, _ in met}) == len(met) == len({b for _, b in met})


Labelled = dict[str, frozenset[LabelKey]]


def gold_of(
    items: list[set[LabelKey]], names: tuple[str, ...] = ("X", "Y"), per_article: int = 1, task: str = "ner"
) -> Gold:
    """A gold of items s0, s1, … so many of which make an article."""
    return Gold(
        task,
        "test",
        names,
        tuple(f"s{i}" for i in range(len(items))),
        ("一" * 30,) * len(items),
        tuple(frozenset(item) for item in items),
        tuple(f"a{i // per_article}" for i in range(len(items))),
        (0,) * len(items),
        "1.0.0",
        "0" * 64,
        "1" * 64,
        facets={"layout": (("clean",),) * len(items)},
    )


def guesses(*items: set[LabelKey]) -> Labelled:
    return {f"s{i}": frozenset(item) for i, item in enumerate(items)}


X, Y = (0, 2, "X"), (3, 5, "Y")
