"""Command: score."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import JSON, benchmark_of, commands, emit

TASK = Annotated[str, typer.Option(help="ner or sector.")]
SPLIT = Annotated[
    str, typer.Option("--split", help="test, validation, train, folds for all items, or (ner) noisy: test under noise.")
]
CROSSWALK = Annotated[
    str, typer.Option(help="Coarse labels: the name of a crosswalk of labels.toml, whose types the predictions have.")
]


SCHEME = Annotated[
    str,
    typer.Option(help='Of predictions with "tags" in place of "spans", one per character: BIO, BIOES, BMES, BILOU.'),
]
REPAIR = Annotated[
    str | None,
    typer.Option(help="What to do with tags that the scheme forbids: begin (a span begins there) or drop. [refused]"),
]


@commands.command()
def score(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help='JSON Lines: {"id", "spans": [{"start", "end", "type"}]} or {"id", "sectors"}.')
    ],
    task: TASK = "ner",
    on: SPLIT = "test",
    crosswalk: CROSSWALK = "",
    scheme: SCHEME = "BIO",
    repair: REPAIR = None,
    errors: Annotated[
        int, typer.Option(min=0, help="Error analysis: the kinds of errors, and this many of the worst items.")
    ] = 0,
    as_json: JSON = False,
) -> None:
    """Score predictions, with confidence intervals.

    Micro-F1 with its 95 % confidence interval and signature; by label, layout, seen and unseen entities.

    An item without a prediction counts as wrong. What each number means stands in docs/scoring.md.
    """
    from jinbench.dataset import load
    from jinbench.dataset.gold import read_task_gold
    from jinbench.scoring import error_analysis, predictions
    from jinbench.scoring import score as scoring

    gold = read_task_gold(benchmark_of(ctx), task, on, crosswalk)
    predicted = predictions.read_predictions(file, gold, partial(load.locate_ids, benchmark_of(ctx)), scheme, repair)
    result = scoring.score_predictions(gold, predicted, scores=predicted.scores)
    wrong = error_analysis.analyze_errors(gold, predicted, errors) if errors else None
    record = result.to_dict() | ({"mistakes": wrong.to_dict()} if wrong else {})
    emit(record, as_json, lambda: "\n\n".join(str(part) for part in (result, wrong) if part))
