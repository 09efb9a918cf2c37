"""Commands: score, compare, rank, rescore."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import JSON, benchmark_of, emit, say, writable_benchmark

commands = typer.Typer()

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
    """Score predictions: micro-F1 with 95 % confidence interval and signature; by label, layout, seen entities.

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
    """Compare systems: is the difference significant? Paired, by article; with more than two, every pair after Holm.

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


@commands.command()
def rank(ctx: typer.Context, as_json: JSON = False) -> None:
    """Score and rank all baselines and entries, print the leaderboard and write it to leaderboard/.

    index.html is the page to open: every table to sort and switch, every system's errors in context, any two side by
    side. It needs no server and no network. The same as Markdown and JSON: leaderboard.md and leaderboard.json.
    """
    from jinbench.core import files
    from jinbench.leaderboard.page import PAGE_FILE, build_page
    from jinbench.leaderboard.ranking import build_boards
    from jinbench.leaderboard.tables import format_markdown

    benchmark = writable_benchmark(ctx)
    boards = build_boards(benchmark)
    for name, text in build_page(benchmark, boards).items():
        files.write_text(benchmark.leaderboard / name, text)
    emit([board.to_dict() for board in boards], as_json, lambda: format_markdown(boards))
    if not as_json:
        say(f"Open {files.display_path(benchmark.leaderboard / PAGE_FILE)} in a browser.")


@commands.command()
def rescore(
    ctx: typer.Context,
    first: Annotated[int, typer.Option("--from", min=0, help="The old gold has the first so many errata.")] = 0,
    as_json: JSON = False,
) -> None:
    """Score every stored prediction on the gold without its errata and with them, and say which ranks moved."""
    from jinbench.annotation import errata
    from jinbench.leaderboard.rescore import rescore_systems

    benchmark = writable_benchmark(ctx)
    if first > len(errata.read_errata(benchmark)):
        raise typer.BadParameter(f"there are {len(errata.read_errata(benchmark))} errata", param_hint="--from")
    moves, (old, new) = rescore_systems(benchmark, first)
    moved = sum(move.moved for move in moves)

    def text() -> str:
        return "\n".join(
            [f"gold {old} → {new}", *(str(move) for move in moves), f"{moved} of {len(moves)} ranks moved."]
        )

    emit({"old": old, "new": new, "moves": [move.to_dict() for move in moves], "moved": moved}, as_json, text)
