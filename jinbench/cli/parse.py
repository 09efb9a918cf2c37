"""Command: parse."""

from pathlib import Path
from typing import Annotated

import typer

from jinbench.cli.common import JSON, benchmark_of, commands, emit


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
    """Turn replies of a language model into predictions.

    What could not be used is listed, with the reason.

    \b
    A line of the file is one of
      {"id": …, "reply": "…"}                        the text of the reply, or the JSON that you read from it
      {"id": …, "messages": […]}                     the last message of the role assistant counts
      {"custom_id": …, "response": {"body": …}}      batches of OpenAI (every endpoint), vLLM, Mistral and others
      {"custom_id": …, "result": {"message": …}}     batches of Anthropic
      {"key": …, "response": {"candidates": …}}      batches of Gemini

    \b
    Read are
      [{"surface": "…", "type": "…"}, …]             also under other usual names; "left", "start" and "end" if given
      [["…", "TYPE"], …], {"TYPE": ["…"]}, {"…": "TYPE"}
      the text with [surface|TYPE] or <TYPE>surface</TYPE> in it
      lines with "surface: TYPE", "TYPE: surface; surface" or (surface, TYPE), and tables
      ["sector", …] or a line of names with commas   for sectors; a line with anything else in it is left alone
    among chatter, behind reasoning, in fences and calls of functions, with slips against JSON. Of several answers the
    last one counts; of a list that breaks off or is broken, what is whole. A request that failed counts as refused.

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
