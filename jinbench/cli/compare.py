"""Command: compare."""

from os.path import realpath
from typing import Annotated

import typer

from jinbench.cli.common import JSON, benchmark_of, commands, emit
from jinbench.cli.score import CROSSWALK, REPAIR, SCHEME, SPLIT, TASK, UNIT


@commands.command()
def compare(
    ctx: typer.Context,
    systems: Annotated[
        list[str],
        typer.Argument(
            help="Two or more files of predictions on the same items, or names of systems of the leaderboard."
        ),
    ],
    task: TASK = "ner",
    on: SPLIT = "test",
    crosswalk: CROSSWALK = "",
    scheme: SCHEME = "BIO",
    repair: REPAIR = None,
    unit: UNIT = "character",
    as_json: JSON = False,
) -> None:
    """Compare systems: is the difference significant?

    Paired, by article; with more than two systems every pair, at the level of a leaderboard table.

    A difference is significant only if its 95 % confidence interval, a bootstrap over articles, leaves out 0, its
    p-value is below 0.05 (0.005 with more than two systems), and an approximate randomization test agrees. With
    --split folds the corrected resampled t-test over folds says what to expect if both systems were trained again.
    """
    from jinbench.leaderboard.outputs import read_outputs
    from jinbench.leaderboard.systems import Systems
    from jinbench.scoring import score as scoring_score
    from jinbench.scoring.compare import compare_all
    from jinbench.scoring.predictions import TagOptions
    from jinbench.scoring.results import format_signature

    if len(set(map(realpath, systems))) < max(len(systems), 2):
        raise typer.BadParameter("two files or names, or more, each once", param_hint="SYSTEMS")
    stored = Systems(benchmark_of(ctx))
    gold = stored.reader.gold(task, on, crosswalk)
    outputs = read_outputs(stored, gold, systems, TagOptions(scheme, repair, unit))
    differences = compare_all(gold, dict(zip(systems, outputs, strict=True)))
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
