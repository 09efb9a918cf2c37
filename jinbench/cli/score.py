"""Command: score."""

from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import JSON, benchmark_of, commands, emit, say

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
UNIT = Annotated[
    str, typer.Option(help='What such a tag is for: a character, or a word, of "tokens" or between white space.')
]


@commands.command()
def score(
    ctx: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(
            help='JSON Lines: {"id", "spans": [{"start", "end", "type"}]} or {"id", "sectors"}; or gold and '
            "predictions in any corpus format; or one file of columns: token, gold, prediction."
        ),
    ],
    task: TASK = "ner",
    on: SPLIT = "test",
    crosswalk: CROSSWALK = "",
    scheme: SCHEME = "BIO",
    repair: REPAIR = None,
    unit: UNIT = "character",
    errors: Annotated[
        int, typer.Option(min=0, help="Error analysis: the kinds of errors, and this many of the worst items.")
    ] = 0,
    as_json: JSON = False,
) -> None:
    """Score predictions, with confidence intervals.

    Micro-F1 with its 95 % confidence interval and signature; by label, layout, seen and unseen entities.

    An item without a prediction counts as wrong. What each number means stands in docs/scoring.md.

    \b
    Without a benchmark
      jinbench score gold.conll predictions.conll   gold and predictions on the same texts, or by id
      jinbench score tagged.txt                     columns as conlleval reads them: token, …, gold, prediction
    """
    from jinbench.formats.score_files import has_columns, score_files
    from jinbench.leaderboard.outputs import read_outputs
    from jinbench.leaderboard.systems import Systems
    from jinbench.scoring import error_analysis
    from jinbench.scoring import score as scoring
    from jinbench.scoring.predictions import TagOptions

    paths = list(map(Path, files))
    if len(paths) > 2:
        raise typer.BadParameter("one file, or two: GOLD PREDICTIONS", param_hint="FILES")
    if len(paths) == 2 or has_columns(paths[0]):
        if (task, on, crosswalk, unit, errors) != ("ner", "test", "", "character", 0):
            hint = "--task, --split, --crosswalk, --unit, --errors"
            raise typer.BadParameter("goes with predictions for a benchmark", param_hint=hint)
        report, notes = score_files(paths, scheme, repair)
        emit(report.to_dict(), as_json, lambda: str(report))
        for note in notes:
            say(note)
        return
    systems = Systems(benchmark_of(ctx))
    gold = systems.reader.gold(task, on, crosswalk)
    (predicted,) = read_outputs(systems, gold, files, TagOptions(scheme, repair, unit))
    result = scoring.score_predictions(gold, predicted, scores=predicted.scores)
    wrong = error_analysis.analyze_errors(gold, predicted, errors) if errors else None
    record = result.to_dict() | ({"mistakes": wrong.to_dict()} if wrong else {})
    emit(record, as_json, lambda: "\n\n".join(str(part) for part in (result, wrong) if part))
