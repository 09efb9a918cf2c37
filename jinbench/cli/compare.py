"""Command: compare."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import JSON, benchmark_of, commands, emit
from jinbench.cli.score import CROSSWALK, REPAIR, SCHEME, SPLIT, TASK


@commands.command()
def compare(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Predictions of two or more systems on the same items.")],
    task: TASK = "ner",
    on: SPLIT = "test",
    crosswalk: CROSSWALK = "",
    scheme: SCHEME = "BIO",
    repair: REPAIR = None,
    as_json: JSON = False,
) -> None:
    """Compare systems: is the difference significant?

    Paired, by article; with more than two systems every pair, after the Holm correction.

    A difference is significant only if its 95 % confidence interval, a bootstrap over articles, leaves out 0, its
    p-value after the Holm correction is below 0.05, and an approximate randomization test agrees. With --split folds
    the corrected resampled t-test over folds says what to expect if both systems were trained again.
    """
    from jinbench.dataset import gold as golds
    from jinbench.dataset.load import locate_ids
    from jinbench.scoring import score as scoring_score
    from jinbench.scoring.compare import compare_all
    from jinbench.scoring.predictions import read_predictions
    from jinbench.scoring.results import format_signature

    if len({path.resolve() for path in files}) < max(len(files), 2):
        raise typer.BadParameter("two files or more, each once", param_hint="FILES")
    gold = golds.read_task_gold(benchmark_of(ctx), task, on, crosswalk)
    predicted = {
        str(path): read_predictions(path, gold, partial(locate_ids, benchmark_of(ctx)), scheme, repair)
        for path in files
    }
    differences = compare_all(gold, predicted)
    signature = scoring_score.make_signature(gold)
    emit(
        [{"a": a, "b": b, "signature": signature} | difference.to_dict() for (a, b), difference in differences.items()],
        as_json,
        lambda: "\n\n".join(
            [
                format_signature(signature),
                *(f"{a} minus {b}:\n{difference}" for (a, b), difference in differences.items()),
            ]
        ),
    )
