"""The commands for who wants to know how good a system is: scoring, comparing, and the leaderboard."""

from pathlib import Path
from typing import Annotated

import typer

from jinbench.console import JSON, emit, rooms, say, workshop

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
def prompt(
    ctx: typer.Context,
    task: Annotated[str, typer.Option(help="ner or sector.")] = "ner",
    on: Annotated[
        str, typer.Option("--split", help="What to predict: test, validation, train, or folds for all items.")
    ] = "test",
    shots: Annotated[int, typer.Option(min=0, help="How many examples with their labels each prompt has.")] = 5,
    seed: Annotated[int, typer.Option(help="Another seed chooses other examples.")] = 0,
    style: Annotated[str, typer.Option(help="What the model is to answer with: json or markup.")] = "json",
    lang: Annotated[str, typer.Option(help="The language of the instructions: zh or en.")] = "zh",
    out: Annotated[Path | None, typer.Option(help="File for the prompts. [default: standard output]")] = None,
    as_json: JSON = False,
) -> None:
    """Write a prompt for every item, for a language model that is to be entered.

    \b
    JSON Lines, an item on each line:
      id         give it back with the reply
      prompt     the whole prompt as one text
      messages   the same for a chat: system (task, labels, rules, examples) and user (the item)

    Examples come from train; those for an item of `folds` from the other folds, those for an item of train from
    train without its fold. So all items of a split or fold have the same system message, and never one of their own
    articles in it. The seed puts the candidates into an order; one after the other the one is taken that shows most
    labels not shown before; one example has no labels at all. No label of an item that is to be predicted gets in.

    Definitions of labels are those of labels.toml, which has them in Chinese only.

    A summary goes to standard error (with --out and --json to standard output): sizes, examples, seed, version of the
    data. Then ask your model, and: jinbench parse REPLIES.jsonl --out predictions.jsonl
    """
    import json

    from jinbench import files, prompts

    for name, value, known in (("--style", style, prompts.STYLES), ("--lang", lang, prompts.LANGUAGES)):
        if value not in known:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(known)}", param_hint=name)
    made = prompts.make(rooms(ctx), task, on, shots, seed, style, lang)
    if out:
        files.write_text(out, files.dump_jsonl(made.rows))
        emit(made.summary, as_json, lambda: f"{made}\nwrote {out}")
        return
    typer.echo(files.dump_jsonl(made.rows), nl=False)
    say(json.dumps(made.summary, ensure_ascii=False, indent=1) if as_json else str(made))


@commands.command()
def parse(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help='Replies as JSON Lines: {"id", "reply"}, or as a batch service has them.')
    ],
    task: Annotated[str, typer.Option(help="ner or sector.")] = "ner",
    on: Annotated[str, typer.Option("--split", help="test, validation, train, or folds for all items.")] = "test",
    out: Annotated[Path | None, typer.Option(help="File for the predictions. [default: none, only the report]")] = None,
    report: Annotated[Path | None, typer.Option(help="File for the report with every label left out, as JSON.")] = None,
    as_json: JSON = False,
) -> None:
    """Turn replies of a language model into predictions, and say what could not be used, and why.

    \b
    A line of the file is one of
      {"id": …, "reply": "…"}                        the text of the reply, or the JSON that you read from it
      {"id": …, "messages": […]}                     the last message of the role assistant counts
      {"custom_id": …, "response": {"body": …}}      OpenAI's batches
      {"custom_id": …, "result": {"message": …}}     Anthropic's batches

    \b
    Read are
      [{"surface": "…", "type": "…"}, …]             also under other usual names; "left", "start" and "end" if given
      [["…", "TYPE"], …], {"TYPE": ["…"]}, {"…": "TYPE"}
      the text with [surface|TYPE] or <TYPE>surface</TYPE> in it
      ["sector", …] or a line of names with commas   for sectors
    among chatter, behind <think>…</think>, in fences, with slips against JSON. Of several lists the last one counts;
    of a list that breaks off, what is whole.

    A surface is looked for in the text as it is, then with the width of characters, the shape of quotation marks and
    white space disregarded; never by likeness. If it stands there several times it is taken from the left, the longest
    surfaces first, unless "left" (the characters before it) or correct offsets say which one is meant. Labels are known
    by their name, or their Chinese or English name in labels.toml.

    An item whose reply cannot be used gets no prediction: `jinbench score` counts it as missing. A reply that says
    that there is nothing gets an empty one.
    """
    from jinbench import files, replies, submissions

    where = rooms(ctx)
    gold = submissions.gold(where, task, on)
    predicted, found = replies.parse(gold, replies.read(file, gold), replies.names(where, gold))
    if out:
        files.write_text(out, files.dump_jsonl(submissions.as_rows(task, predicted.items())))
    if report:
        files.write_text(report, files.dump_json(found.to_dict()))
    wrote = "".join(f"\nwrote {path}" for path in (out, report) if path)
    emit(found.to_dict(), as_json, lambda: f"{found}{wrote}")


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
