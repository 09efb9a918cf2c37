"""The commands for who wants to know how good a system is: scoring, comparing, and the leaderboard."""

from pathlib import Path
from typing import Annotated

import typer

from jinbench.console import JSON, emit, rooms, workshop

commands = typer.Typer()


@commands.command()
def score(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help='JSON Lines: {"id", "spans": [{"start", "end", "type"}]} or {"id", "sectors"}.')
    ],
    task: Annotated[str, typer.Option(help="ner or sector.")] = "ner",
    on: Annotated[str, typer.Option("--split", help="test, validation, train, or folds for all items.")] = "test",
    as_json: JSON = False,
) -> None:
    """Score predictions: micro-F1 with its interval and signature, a row per label and per layout."""
    from jinbench import scoring, submissions

    gold = submissions.gold(rooms(ctx), task, on)
    found = scoring.score(gold, submissions.read_predictions(file, gold))
    emit(found.to_dict(), as_json, lambda: str(found))


@commands.command()
def compare(
    ctx: typer.Context,
    a: Annotated[Path, typer.Argument(help="Predictions of one system.")],
    b: Annotated[Path, typer.Argument(help="Predictions of another on the same items.")],
    task: Annotated[str, typer.Option(help="ner or sector.")] = "ner",
    on: Annotated[str, typer.Option("--split", help="test, validation, train, or folds.")] = "test",
    as_json: JSON = False,
) -> None:
    """Say whether two systems can be told apart: paired, by article."""
    from dataclasses import asdict

    from jinbench import scoring, submissions

    gold = submissions.gold(rooms(ctx), task, on)
    found = scoring.compare(gold, submissions.read_predictions(a, gold), submissions.read_predictions(b, gold))
    verdict = "they can be told apart" if found.told_apart else "they cannot be told apart on this gold"
    if found.articles < scoring.ENOUGH:
        verdict = f"{found.articles} articles are too few to tell systems apart"
    emit(
        asdict(found) | {"told_apart": found.told_apart},
        as_json,
        lambda: (
            f"micro-F1 of {a} minus that of {b}: {found.value:+.3f}, "
            f"95 % interval {found.low:+.3f} to {found.high:+.3f}: {verdict}"
        ),
    )


@commands.command()
def leaderboard(ctx: typer.Context, as_json: JSON = False) -> None:
    """Score all baselines and entries again, print the tables and write them to leaderboard/."""
    from jinbench import files, ranking

    where = workshop(ctx)
    boards, contents = ranking.build(where)
    for name, text in contents.items():
        files.write_text(where.leaderboard / name, text)
    emit([found.to_dict() for found in boards], as_json, lambda: ranking.markdown(boards))


@commands.command()
def rescore(
    ctx: typer.Context,
    first: Annotated[int, typer.Option("--from", min=0, help="The old gold has the first so many errata.")] = 0,
    as_json: JSON = False,
) -> None:
    """Score every stored prediction on the gold without its errata and with them, and say which ranks moved."""
    from jinbench import errata, rescoring

    where = workshop(ctx)
    if first > len(errata.read(where)):
        raise typer.BadParameter(f"there are {len(errata.read(where))} errata", param_hint="--from")
    moves, (old, new) = rescoring.rescore(where, first)
    moved = sum(move.moved for move in moves)

    def text() -> str:
        return "\n".join(
            [f"gold {old} → {new}", *(str(move) for move in moves), f"{moved} of {len(moves)} ranks moved."]
        )

    emit({"old": old, "new": new, "moves": [move.to_dict() for move in moves], "moved": moved}, as_json, text)
