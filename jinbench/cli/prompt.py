"""Command: prompt."""

from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import JSON, benchmark_of, commands, echo, emit, say


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
    """Write a prompt for every item, for a language model.

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
    echo(files.dump_jsonl(made.rows), nl=False)
    say(json.dumps(made.summary, ensure_ascii=False, indent=1) if as_json else str(made))
