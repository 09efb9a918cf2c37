"""Command: convert."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jinbench.cli.common import JSON, commands, emit

if TYPE_CHECKING:
    from jinbench.formats.convert import ConversionReport


@commands.command()
def convert(
    sources: Annotated[list[str], typer.Argument(metavar="IN", help="Files or folders, or SPLIT=FILE for each.")],
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help="What to write.")],
    out: Annotated[Path, typer.Option(help="A file; a folder for brat, for a benchmark, and for several splits.")],
    origin: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help="What IN is. [default: what it looks like]")
    ] = None,
    scheme: Annotated[
        str | None, typer.Option(help="conll: BIO, BIOES, BMES or BILOU, of what is read. [default: BIO]")
    ] = None,
    out_scheme: Annotated[str | None, typer.Option(help="The same of what is written. [default: BIO]")] = None,
    repair: Annotated[
        str | None,
        typer.Option(help="conll: what to do with tags that the scheme forbids: begin or drop. [default: refused]"),
    ] = None,
    join: Annotated[
        str | None, typer.Option(help='conll: what stands between two tokens, " " for words. [default: nothing]')
    ] = None,
    group: Annotated[
        str | None, typer.Option(metavar="FIELD", help="JSON: the field that says which document a text is from.")
    ] = None,
    offsets: Annotated[
        str | None,
        typer.Option(help="What offsets count: code-points or utf-16. [default: utf-16 in doccano, else code-points]"),
    ] = None,
    crlf: Annotated[
        str | None,
        typer.Option(help="What a line break of CR and LF counts as in offsets: one or two. [default: as spans show]"),
    ] = None,
    text: Annotated[
        str | None, typer.Option(metavar="FIELD", help="labelstudio: the field with the text. [default: as spans show]")
    ] = None,
    passages: Annotated[
        bool, typer.Option("--passages", help="jinbench: whole passages with their sectors, in place of sentences.")
    ] = False,
    title: Annotated[str | None, typer.Option(help="Of a benchmark. [default: the name of --out]")] = None,
    seed: Annotated[int, typer.Option(help="From which splits and folds of a benchmark are drawn.")] = 0,
    keep_splits: Annotated[
        bool,
        typer.Option(
            "--keep-splits",
            help="Of a benchmark: go on with the splits that a corpus came with, though too "
            "few of its texts do not repeat each other.",
        ),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Write nothing if anything is lost or left out; exit code 1.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Convert a corpus to another format, or to a benchmark.

    What is lost on the way is listed.

    \b
    FORMAT is one of
      conll         a token and its tag on each line, an empty line between sentences
      cluener       JSON Lines: {"text", "label": {type: {surface: [[start, end], …]}}}, the end inclusive
      labelstudio   an export of any project as JSON or JSON_MIN; written, tasks to import
      doccano       JSON Lines: {"text", "label": [[start, end, type], …]}, or "entities" and "cats"
      brat          a folder of .txt and .ann
      spacy         a DocBin (.spacy), or what Doc.to_json gives (.json, .jsonl)
      jinbench      a benchmark: a folder with dataset/, labels, splits and manifest

    \b
    For example
      jinbench convert train.char.bmes --scheme BMES --to doccano --out train.jsonl
      jinbench convert train=train.jsonl test=dev.jsonl --from cluener --to jinbench --out mycorpus
      jinbench --root mycorpus run baselines/tagger.py --on test --out mycorpus/baselines
      jinbench --root mycorpus score mycorpus/baselines/tagger/predictions-ner-test.jsonl
      jinbench --root mycorpus rank

    SPLIT is train, validation (or dev, valid) or test. A benchmark keeps the splits that are given, and draws some
    where none are; it draws the folds in any case. Without --group each text is an article of its own.

    What a format cannot say is counted and told with the first places: docs/formats.md lists it. A line or span that is
    broken is left out and told; a file that cannot be trusted (not UTF-8, tags that the scheme forbids) ends it all.
    """
    from jinbench.formats.convert import convert_corpus, parse_source

    if offsets not in (None, "code-points", "utf-16"):
        raise typer.BadParameter("code-points or utf-16", param_hint="--offsets")
    if crlf not in (None, "one", "two"):
        raise typer.BadParameter("one or two", param_hint="--crlf")
    if out_scheme and to != "conll":
        raise typer.BadParameter("goes with --to conll", param_hint="--out-scheme")
    corpora = [parse_source(source) for source in sources]
    reading: dict[str, str | int | None] = {
        "scheme": scheme,
        "repair": repair,
        "join": join,
        "group": group,
        "offsets": offsets,
        "crlf": crlf,
        "text": text,
        "passages": passages,
    }
    names = [f"{source.split}={source.path.name}" if source.split else source.path.name for source in corpora]
    command_options = {
        name: value for name, value in (reading | {"seed": seed, "keep-splits": keep_splits}).items() if value
    }
    command = ["jinbench", "convert", *names, *(["--from", origin] if origin else []), "--to", to, "--out", out.name]
    for name, value in command_options.items():
        command += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    writing: dict[str, str | int | None] = {
        "scheme": out_scheme or "BIO",
        "title": title or out.resolve().name,
        "command": shlex.join(command),
        "source": ", ".join(names),
        "seed": seed,
        "keep_splits": keep_splits,
    }
    report = convert_corpus(corpora, to, out, origin, strict, reading, writing)
    emit(report.to_dict(), as_json, lambda: f"{report}{_next(report) if to == 'jinbench' else ''}")


def _next(report: "ConversionReport") -> str:
    """Return the next steps for a new benchmark."""
    folder = shlex.quote(report.out)
    return (
        f"\nNext: jinbench --root {folder} verify"
        f"\n      jinbench --root {folder} run RECIPE.py --on test --out {shlex.quote(f'{report.out}/baselines')}"
        f"\n      jinbench --root {folder} rank"
        "\nRecipes to begin with: those of jinbench init, in baselines/. More: README.md there."
    )
