"""Active learning replayed on gold: labelling the least confident passages first, against random order.

    python benchmarks/selection.py                  # the passages of this benchmark
    python benchmarks/selection.py --corpora DIR    # a part of each corpus in DIR, sentence by sentence

Everything is labelled already; labels are revealed as if they were being made. A few passages drawn at random are the
start. Then, batch by batch, the tagger learns from what is revealed, and the next passages are drawn at random or are
those of the pool that it is least confident of, by several measures of uncertainty. Whole articles are held out (each
fold of the dataset in turn); of a corpus its own test file. Printed is how much had to be labelled to reach 95 % of the
F1 that all labels of the pool give: passages, characters and spans, as medians over the runs with the quartiles, and
the ratio of the medians to random order. A point of a curve is the median of itself and the two after it, so that one
lucky fit does not end a run. The tagger is CrfTagger with one model and at least 100 updates: four models, as in use,
cost three times the time. Long passages cost more to label: read the characters, not the passages.
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

from jinbench.annotation.workspace import Workspace

GOAL, WINDOW = 0.95, 3
CostTriple = tuple[int, int, int]


class Unit(NamedTuple):
    """A passage to be labelled, as its sentences with their spans."""

    texts: list[str]
    spans: list[list[Any]]

    @property
    def cost(self) -> CostTriple:
        return 1, sum(map(len, self.texts)), sum(map(len, self.spans))


def least_likely_span(tagged: Sequence[Any]) -> float:
    return 1 - min((p for entry in tagged for p in entry.probabilities), default=1.0)


# Measures of uncertainty about a unit, from the tagged sentences of it.
UNCERTAINTY: dict[str, Callable[[Sequence[Any]], float]] = {
    "mean per character": lambda tagged: (
        1 - float(np.concatenate([entry.character_confidence for entry in tagged]).mean())
    ),
    "sum over characters": lambda tagged: float(sum((1 - entry.character_confidence).sum() for entry in tagged)),
    "least confident character": lambda tagged: (
        1 - min(float(entry.character_confidence.min(initial=1)) for entry in tagged)
    ),
    "least likely span": least_likely_span,
    "best path, mean of sentences": lambda tagged: float(np.mean([1 - entry.path_probability for entry in tagged])),
    "best path, per character": lambda tagged: (
        -sum(np.log(max(entry.path_probability, 1e-300)) for entry in tagged)
        / max(sum(len(entry.character_confidence) for entry in tagged), 1)
    ),
}


def make_tagger(seed: int) -> Any:
    from jinbench.models import CrfTagger

    return CrfTagger(models=1, min_updates=100, random_state=seed)


def fit_tagger(units: Sequence[Unit], seed: int) -> Any:
    return make_tagger(seed).fit([t for unit in units for t in unit.texts], [s for unit in units for s in unit.spans])


def score_f1(tagger: Any, held_out: Sequence[Unit]) -> float:
    return float(
        tagger.score([t for unit in held_out for t in unit.texts], [s for unit in held_out for s in unit.spans])
    )


def replay(pool: list[Unit], held_out: list[Unit], strategy: str, seed: int, start: int, goal: float) -> CostTriple:
    """Return what was labelled when `goal` was reached. The start is the same for every strategy."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pool)).tolist()
    labelled, left = order[:start], order[start:]
    curve: list[tuple[CostTriple, float]] = []
    while True:
        tagger = fit_tagger([pool[i] for i in labelled], seed)
        costs = [pool[i].cost for i in labelled]
        spent = tuple(map(sum, zip(*costs, strict=True)))
        curve.append((spent, score_f1(tagger, held_out)))
        reached = [i for i in range(len(curve) - WINDOW + 1) if median(f for _, f in curve[i : i + WINDOW]) >= goal]
        if reached:
            return curve[reached[0]][0]
        if not left:
            return curve[-1][0]
        batch = max(5, len(labelled) // 6)
        if strategy != "random":
            sentences = [t for i in left for t in pool[i].texts]
            tagged = iter(tagger.predict_with_confidence(sentences))
            uncertainty = {i: UNCERTAINTY[strategy]([next(tagged) for _ in pool[i].texts]) for i in left}
            left = sorted(left, key=lambda i: (-uncertainty[i], i))
            chosen, left = left[:batch], left[batch:]
        else:
            chosen, left = left[:batch], left[batch:]
        labelled = labelled + chosen


def read_benchmark(runs: int) -> list[tuple[list[Unit], list[Unit], int]]:
    """Return for each run the pool, the passages of one fold held out, and the random seed."""
    from jinbench.annotation.gold import read_gold
    from jinbench.core import text
    from jinbench.core.benchmark import find_benchmark
    from jinbench.core.types import slice_spans
    from jinbench.dataset import splits

    benchmark = find_benchmark(Path(__file__).resolve().parent.parent)
    workspace = Workspace(benchmark)
    gold, places = read_gold(workspace), splits.read_splits(benchmark, workspace.seeds.articles)

    def unit(passage: Any) -> Unit:
        cut = [(s.start, s.end) for s in text.split_sentences(passage.id, passage.text)]
        return Unit([passage.text[a:b] for a, b in cut], [slice_spans(gold[passage.id].spans, a, b) for a, b in cut])

    experiments = []
    for run in range(runs):
        repeat, fold = divmod(run, splits.FOLDS)
        parts: tuple[list[Unit], list[Unit]] = [], []
        for article in workspace.seeds.articles:
            held_out = places[article.id].folds[repeat] == fold
            parts[held_out].extend(unit(passage) for passage in article.passages)
        experiments.append((*parts, run))
    return experiments


def main(
    corpora: Annotated[Path | None, typer.Option(help="A folder of corpora, as for taggers.py.")] = None,
    runs: Annotated[int, typer.Option(min=1, max=25, help="Runs of each strategy.")] = 10,
    pool: Annotated[int, typer.Option(help="Of a corpus, so many sentences of its training file.")] = 2000,
    only: Annotated[list[str] | None, typer.Option("--strategy", help="Only these. [default: all]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All figures as one line of JSON.")] = False,
) -> None:
    """Measure what labelling the least confident passages first saves."""
    pin()
    experiments: dict[str, list[tuple[list[Unit], list[Unit], int]]] = {}
    if corpora is None:
        experiments["this benchmark"] = read_benchmark(runs)
    else:
        for corpus in read(corpora):
            train, test = ([Unit([t], [s]) for t, s in zip(*part, strict=True)] for part in (corpus.train, corpus.test))
            experiments[corpus.name] = []
            for run in range(runs):
                chosen = np.random.default_rng(1000 + run).permutation(len(train))[:pool]
                experiments[corpus.name].append(([train[i] for i in chosen], test, run))
    results: dict[str, Any] = {}
    for name, folds in experiments.items():
        began = time.monotonic()
        costs_by_strategy: dict[str, list[CostTriple]] = {strategy: [] for strategy in only or ("random", *UNCERTAINTY)}
        totals, full = [], []
        for units, held_out, seed in folds:
            best = score_f1(fit_tagger(units, seed), held_out)
            full.append(best)
            totals.append(tuple(map(sum, zip(*(unit.cost for unit in units), strict=True))))
            for strategy in costs_by_strategy:
                start = 10 if corpora is None else 50
                costs_by_strategy[strategy].append(replay(units, held_out, strategy, seed, start, GOAL * best))
                typer.echo(
                    f"{name} run {seed + 1} of {len(folds)}: {strategy} {costs_by_strategy[strategy][-1]}",
                    err=True,
                )
        results[name] = {"f1": full, "pool": totals, "labelled": costs_by_strategy}
        if as_json:
            continue
        passages, characters, spans = (median(total[k] for total in totals) for k in range(3))
        typer.echo(
            f"{name}: {len(folds)} runs in {time.monotonic() - began:.0f} s, F1 of all labels {100 * median(full):.1f};"
            f" all labels are {passages:,.0f} passages, {characters:,.0f} characters, {spans:,.0f} spans"
        )
        typer.echo(f"  {'labelled to reach 95 % of it':30}{'passages':>30}{'characters':>30}{'spans':>30}")
        for strategy, costs in costs_by_strategy.items():
            cells = ""
            for k in range(3):
                values = [float(cost[k]) for cost in costs]
                low, _, high = quantiles(values, n=4) if len(values) > 1 else values * 3
                against = (
                    median(cost[k] for cost in costs_by_strategy["random"])
                    if "random" in costs_by_strategy
                    else float("nan")
                )
                cells += f"  {f'{median(values):,.0f} ({low:,.0f}-{high:,.0f}) {median(values) / against:.2f}':>28}"
            typer.echo(f"  {strategy:30}{cells}")
    if as_json:
        typer.echo(json.dumps(results))


if __name__ == "__main__":
    typer.run(main)
