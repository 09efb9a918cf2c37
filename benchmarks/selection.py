"""What it saves to label first what the tagger is least sure of: replayed gold, against random order.

    python benchmarks/selection.py                  # the passages of this benchmark
    python benchmarks/selection.py --corpora DIR    # a part of each corpus in DIR, sentence by sentence

Everything is labelled already; labels are uncovered as if they were being made. A few passages drawn at random are the
start. Then, batch by batch, the tagger learns from what is uncovered, and the next ones are drawn at random or are
those of the pool that it is least sure of, by several measures of doubt. Held out are whole articles (a fold of the
dataset, each in turn); of a corpus its own test file. Printed is how much had to be labelled to reach 95 % of the F1
that all labels of the pool give: passages, characters and spans, as medians over the runs with the quartiles, and the
ratio of the medians to random order. A point of a curve is the median of itself and the two after it, so that one
lucky fit does not end a run. The tagger is CrfTagger with one model and at least 100 updates: four models, as in use,
cost three times the time. What is long costs more to label: read the characters, not the passages.
"""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from corpora import read
from measuring import pin

GOAL, WINDOW = 0.95, 3
CostTriple = tuple[int, int, int]


class Unit(NamedTuple):
    """What is labelled at once: a passage, as its sentences with their spans."""

    texts: list[str]
    spans: list[list[Any]]

    @property
    def cost(self) -> CostTriple:
        return 1, sum(map(len, self.texts)), sum(map(len, self.spans))


def least_span(scored: Sequence[Any]) -> float:
    chances = [chance for entry in scored for chance in entry.chances]
    return 1 - min(chances, default=1.0)


# How much there is to learn from a unit, from what the tagger says of its sentences.
DOUBTS: dict[str, Callable[[Sequence[Any]], float]] = {
    "mean per character": lambda scored: 1 - float(np.concatenate([entry.sure for entry in scored]).mean()),
    "sum over characters": lambda scored: float(sum((1 - entry.sure).sum() for entry in scored)),
    "least sure character": lambda scored: 1 - min(float(entry.sure.min(initial=1)) for entry in scored),
    "least likely span": least_span,
    "best path, mean of sentences": lambda scored: float(np.mean([1 - entry.best for entry in scored])),
    "best path, per character": lambda scored: (
        -sum(np.log(max(entry.best, 1e-300)) for entry in scored) / max(sum(len(entry.sure) for entry in scored), 1)
    ),
}


def learner(seed: int) -> Any:
    from jinbench.models.crf.estimator import CrfTagger

    return CrfTagger(models=1, min_updates=100, random_state=seed)


def fitted(units: Sequence[Unit], seed: int) -> Any:
    return learner(seed).fit([t for unit in units for t in unit.texts], [s for unit in units for s in unit.spans])


def f1(tagger: Any, held: Sequence[Unit]) -> float:
    return float(tagger.score([t for unit in held for t in unit.texts], [s for unit in held for s in unit.spans]))


def replay(pool: list[Unit], held: list[Unit], strategy: str, seed: int, start: int, goal: float) -> CostTriple:
    """What was labelled when `goal` was reached. The start is the same for every strategy."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pool)).tolist()
    known, left = order[:start], order[start:]
    curve: list[tuple[CostTriple, float]] = []
    while True:
        tagger = fitted([pool[i] for i in known], seed)
        costs = [pool[i].cost for i in known]
        spent = tuple(map(sum, zip(*costs, strict=True)))
        curve.append((spent, f1(tagger, held)))
        reached = [i for i in range(len(curve) - WINDOW + 1) if median(f for _, f in curve[i : i + WINDOW]) >= goal]
        if reached:
            return curve[reached[0]][0]
        if not left:
            return curve[-1][0]
        batch = max(5, len(known) // 6)
        if strategy != "random":
            sentences = [t for i in left for t in pool[i].texts]
            scored = iter(tagger.predict_scored(sentences))
            doubts = {i: DOUBTS[strategy]([next(scored) for _ in pool[i].texts]) for i in left}
            left = sorted(left, key=lambda i: (-doubts[i], i))
            chosen, left = left[:batch], left[batch:]
        else:
            chosen, left = left[:batch], left[batch:]
        known = known + chosen


def own(runs: int) -> list[tuple[list[Unit], list[Unit], int]]:
    """Of the dataset: for each run the pool, the articles of one fold held out, and the seed."""
    from jinbench.annotation.gold import read_gold
    from jinbench.annotation.labels import read_label_set
    from jinbench.core import text
    from jinbench.core.benchmark import find_benchmark
    from jinbench.core.types import within
    from jinbench.dataset import splits
    from jinbench.seeds import articles

    where = find_benchmark(Path(__file__).resolve().parent.parent)
    seed, label_set = articles.read_seeds(where), read_label_set(where)
    gold, places = read_gold(where, seed, label_set), splits.read_splits(where, seed.articles)

    def unit(passage: Any) -> Unit:
        cut = [(s.start, s.end) for s in text.split_sentences(passage.id, passage.text)]
        return Unit([passage.text[a:b] for a, b in cut], [within(gold[passage.id].spans, a, b) for a, b in cut])

    found = []
    for run in range(runs):
        repeat, fold = divmod(run, splits.FOLDS)
        parts: tuple[list[Unit], list[Unit]] = [], []
        for article in seed.articles:
            held = places[article.id].folds[repeat] == fold
            parts[held].extend(unit(passage) for passage in article.passages)
        found.append((*parts, run))
    return found


def main(
    corpora: Annotated[Path | None, typer.Option(help="A folder of corpora, as for taggers.py.")] = None,
    runs: Annotated[int, typer.Option(min=1, max=25, help="Runs of each strategy.")] = 10,
    pool: Annotated[int, typer.Option(help="Of a corpus, so many sentences of its training file.")] = 2000,
    only: Annotated[list[str] | None, typer.Option("--strategy", help="Only these. [default: all]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All figures as one line of JSON.")] = False,
) -> None:
    """What it saves to label first what the tagger is least sure of."""
    pin()
    worlds: dict[str, list[tuple[list[Unit], list[Unit], int]]] = {}
    if corpora is None:
        worlds["this benchmark"] = own(runs)
    else:
        for corpus in read(corpora):
            train, test = ([Unit([t], [s]) for t, s in zip(*part, strict=True)] for part in (corpus.train, corpus.test))
            worlds[corpus.name] = []
            for run in range(runs):
                chosen = np.random.default_rng(1000 + run).permutation(len(train))[:pool]
                worlds[corpus.name].append(([train[i] for i in chosen], test, run))
    results: dict[str, Any] = {}
    for name, world in worlds.items():
        began = time.monotonic()
        found: dict[str, list[CostTriple]] = {strategy: [] for strategy in only or ("random", *DOUBTS)}
        totals, full = [], []
        for units, held, seed in world:
            best = f1(fitted(units, seed), held)
            full.append(best)
            totals.append(tuple(map(sum, zip(*(unit.cost for unit in units), strict=True))))
            for strategy in found:
                start = 10 if corpora is None else 50
                found[strategy].append(replay(units, held, strategy, seed, start, GOAL * best))
                typer.echo(f"{name} run {seed + 1} of {len(world)}: {strategy} {found[strategy][-1]}", err=True)
        results[name] = {"f1": full, "pool": totals, "labelled": found}
        if as_json:
            continue
        passages, characters, spans = (median(total[k] for total in totals) for k in range(3))
        typer.echo(
            f"{name}: {len(world)} runs in {time.monotonic() - began:.0f} s, F1 of all labels {100 * median(full):.1f};"
            f" all labels are {passages:,.0f} passages, {characters:,.0f} characters, {spans:,.0f} spans"
        )
        typer.echo(f"  {'labelled to reach 95 % of it':30}{'passages':>30}{'characters':>30}{'spans':>30}")
        for strategy, costs in found.items():
            cells = ""
            for k in range(3):
                values = [float(cost[k]) for cost in costs]
                low, _, high = quantiles(values, n=4) if len(values) > 1 else values * 3
                against = median(cost[k] for cost in found["random"]) if "random" in found else float("nan")
                cells += f"  {f'{median(values):,.0f} ({low:,.0f}-{high:,.0f}) {median(values) / against:.2f}':>28}"
            typer.echo(f"  {strategy:30}{cells}")
    if as_json:
        typer.echo(json.dumps(results))


if __name__ == "__main__":
    typer.run(main)
