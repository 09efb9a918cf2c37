"""Command: annotate check."""

from typing import Annotated

import typer

from jinbench import annotation
from jinbench.cli.annotate import annotate_commands, select_annotators
from jinbench.cli.common import ANNOTATOR, EXIT_DATA, JSON, benchmark_of, emit, to_dicts


@annotate_commands.command("check")
def annotate_check(
    ctx: typer.Context,
    annotator: ANNOTATOR = None,
    lint: Annotated[bool, typer.Option("--lint/--no-lint", help="Look for likely mistakes too.")] = True,
    as_json: JSON = False,
) -> None:
    """Check the exports, and look for likely mistakes.

    No server is needed.

    Errors: texts, labels, offsets, sentences, reasons that do not fit. Likely mistakes: a surface with two types or
    labelled here and not there, odd edges, brackets, and what labels.toml rules out. What is right all the same is
    listed in annotation/accepted.toml with its reason. Exit code 1 if anything is left.

    With --annotator it looks at those labels instead of the gold, and accepts nothing.
    """
    from jinbench.annotation.check import check_export, lint_exports

    workspace = annotation.Workspace(benchmark_of(ctx))
    names = select_annotators(workspace.benchmark, annotator)
    checked = [check_export(workspace, name) for name in names]
    findings, accepted = lint_exports(workspace, annotator) if lint else ([], 0)
    lines = list(map(str, checked))
    if lint:
        source = ", ".join(annotator) if annotator else f"the gold ({workspace.annotators.gold})"
        lines += [*map(str, findings), f"{len(findings)} likely mistakes in {source}; {accepted} kinds accepted."]
    emit({"exports": to_dicts(checked), "findings": to_dicts(findings)}, as_json, lambda: "\n".join(lines))
    if findings:
        raise typer.Exit(EXIT_DATA)
