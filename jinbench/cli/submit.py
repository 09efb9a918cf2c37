"""Commands: submit, format, prompt, parse."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import JSON, benchmark_of, emit, format_table, say, writable_benchmark

commands = typer.Typer()


@commands.command()
def submit(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="system.toml and predictions. Its name is the id.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and score it, and write nothing.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of the entry that has this id.")] = False,
    as_json: JSON = False,
) -> None:
    """Check an entry, say what it scores, and copy it to leaderboard/entries/.

    \b
    DIR holds
      system.toml                                    what the system is: jinbench format system
      predictions.jsonl                              for the task and split that system.toml names, or
      predictions-<task>[-<crosswalk>]-<split>.jsonl one for each board, as jinbench run leaves them

    Every problem of every file is printed at once, with its line. An item without a prediction is no error: it counts
    as wrong. What else lies in DIR is named, and not copied. An entry that lies in leaderboard/entries is only checked.

    With the package alone, outside a benchmark's folder: jinbench submit DIR --dry-run.
    """
    from jinbench.core import files
    from jinbench.core.benchmark import is_installed
    from jinbench.leaderboard import submission
    from jinbench.scoring import score

    benchmark = benchmark_of(ctx) if dry_run else writable_benchmark(ctx)
    done = submission.submit(benchmark, folder, replace, dry_run)
    system, parts = done.checked.entry.system, done.checked.files
    scores = [score.score_predictions(part.gold, part.predictions) for part in parts]
    target = files.display_path(done.folder)
    states = {
        "checked": f"It lies in {target} and is in order.",
        "the same": f"Nothing to do: {target} is the same.",
        "new": f"It would go to {target}; nothing was written." if dry_run else f"Copied to {target}.",
        "replaced": f"It would replace {target}; nothing was written." if dry_run else f"Replaced {target}.",
    }

    alone = is_installed(benchmark)  # nothing can be entered there

    def text() -> str:
        table = [
            {"board": part.title, "items": part.items, "predicted": part.predicted, "missing": part.missing}
            for part in parts
        ]
        lines = [f"{system.id}: {system.name}", "", format_table(table), ""]
        for part, result in zip(parts, scores, strict=True):
            lines.append(result.headline)
            if part.missing:
                labels = "mentions" if part.gold.task == "ner" else "sectors"
                lines.append(
                    f"{part.missing:,} of {part.items:,} items have no prediction: each of their {labels} counts as "
                    f"missed ({part.path.name})"
                )
            if part.narrower_split:
                lines.append(f"All of them are items of the split {part.narrower_split}: is the file for that?")
        lines += ["", *(f"Not read and not copied: {name}" for name in done.checked.entry.ignored)]
        if alone:
            lines.append("It is in order; nothing was written.")
            lines.append(f"Next, to enter it: in a checkout of the benchmark, jinbench submit {folder.absolute()}")
            return "\n".join(lines)
        lines.append(states[done.state])
        again = f"jinbench submit {folder}{' --replace' if done.state == 'replaced' else ''}"
        would = dry_run and done.state in ("new", "replaced")
        lines.append(f"Next: {again if would else 'jinbench rank'}")
        return "\n".join(lines)

    record = {
        "system": asdict(system),
        "files": [
            {
                "file": part.path.name,
                "task": part.board[0],
                "split": part.board[1],
                "crosswalk": part.board[2],
                "items": part.items,
                "predicted": part.predicted,
                "missing": part.missing,
                "all_of_split": part.narrower_split,
                "score": result.to_dict(),
            }
            for part, result in zip(parts, scores, strict=True)
        ],
        "ignored": done.checked.entry.ignored,
        "folder": None if alone else target,
        "state": done.state,
        "written": not dry_run and done.state in ("new", "replaced"),
    }
    emit(record, as_json, text)


@commands.command("format")
def show_format(
    ctx: typer.Context,
    what: Annotated[str | None, typer.Argument(help="ner, sector or system. [default: all of them]")] = None,
    as_json: JSON = False,
) -> None:
    """Print what predictions and system.toml look like; with --json their JSON Schema.

    The example is an item of the dataset at hand, and the schema of a line lists its labels.
    """
    from jinbench.leaderboard import entry_format

    if what not in (None, *entry_format.KINDS):
        raise typer.BadParameter(f"one of {', '.join(entry_format.KINDS)}", param_hint="WHAT")
    benchmark = benchmark_of(ctx)
    chosen = entry_format.KINDS if what is None else (what,)
    schemas = {kind: entry_format.build_schema(benchmark, kind) for kind in chosen}
    text = "\n\n".join(entry_format.describe_format(benchmark, kind) for kind in chosen)
    emit(schemas[what] if what else schemas, as_json, lambda: text)


@commands.command()
def prompt(
    ctx: typer.Context,
    task: Annotated[str, typer.Option(help="ner or sector.")] = "ner",
    on: Annotated[
        str,
        typer.Option("--split", help="What to predict: test, validation, train, folds for all items, or of ner noisy."),
    ] = "test",
    shots: Annotated[int, typer.Option(min=0, help="How many examples with their labels each prompt has.")] = 5,
    seed: Annotated[int, typer.Option(help="Another seed chooses other examples.")] = 0,
    style: Annotated[str, typer.Option(help="What the model is to answer with: json or markup.")] = "json",
    lang: Annotated[str, typer.Option(help="The language of the instructions: zh or en.")] = "zh",
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File for the prompts. [default: standard output]")
    ] = None,
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

    from jinbench.core import files
    from jinbench.llm import prompts

    for name, value, known in (("--style", style, prompts.STYLES), ("--lang", lang, prompts.LANGUAGES)):
        if value not in known:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(known)}", param_hint=name)
    made = prompts.make_prompts(benchmark_of(ctx), task, on, prompts.PromptSettings(shots, seed, style, lang))
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
    on: Annotated[
        str, typer.Option("--split", help="test, validation, train, folds for all items, or of ner noisy.")
    ] = "test",
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File for the predictions. [default: none, only the report]")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File for the report with every label left out, as JSON.")
    ] = None,
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
      ["sector", …] or a line of names with commas   for sectors; a line with anything else in it is left alone
    among chatter, behind <think>…</think>, in fences, with slips against JSON. Of several lists the last one counts;
    of a list that breaks off, what is whole.

    A surface is looked for in the text as it is, then with the width of characters, the shape of quotation marks and
    white space disregarded; never by likeness. If it stands there several times it is taken from the left, the longest
    surfaces first, unless "left" (the characters before it) or correct offsets say which one is meant. Labels are known
    by their name, or their Chinese or English name in labels.toml.

    An item whose reply cannot be used gets no prediction: `jinbench score` counts it as missing. A reply that says
    that there is nothing gets an empty one.
    """
    from jinbench.core import files
    from jinbench.dataset.gold import read_task_gold
    from jinbench.llm import replies
    from jinbench.scoring import predictions

    benchmark = benchmark_of(ctx)
    gold = read_task_gold(benchmark, task, on)
    predicted, parse_report = replies.parse_replies(
        gold, replies.read_replies(file, gold), replies.read_aliases(benchmark, gold)
    )
    if out:
        files.write_text(out, files.dump_jsonl(predictions.to_rows(task, predicted.items())))
    if report:
        files.write_text(report, files.dump_json(parse_report.to_dict()))
    wrote = "".join(f"\nwrote {path}" for path in (out, report) if path)
    emit(parse_report.to_dict(), as_json, lambda: f"{parse_report}{wrote}")
