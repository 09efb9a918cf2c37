"""Command: annotate status."""

from typing import TYPE_CHECKING

import typer

from jinbench import annotation
from jinbench.cli.annotate import annotate_commands, select_annotators
from jinbench.cli.common import ANNOTATOR, JSON, benchmark_of, emit, format_table

if TYPE_CHECKING:
    from jinbench.labelstudio.progress import TeamProgress


@annotate_commands.command("status")
def annotate_status(ctx: typer.Context, annotator: ANNOTATOR = None, as_json: JSON = False) -> None:
    """Show progress, speed and agreement so far.

    And the types on which annotators disagree.

    Counts are of assigned passages, as the server has them now. Speed is the median over passages labelled in the
    browser. Agreement is strict: the same characters and the same type.
    """
    from jinbench.labelstudio.progress import measure_progress
    from jinbench.labelstudio.server import client as clients

    benchmark = benchmark_of(ctx)
    workspace = annotation.Workspace(benchmark)
    names = select_annotators(benchmark, annotator, independent=True)
    progress_so_far = measure_progress(clients.connect(), workspace, names)
    emit(progress_so_far.to_dict(), as_json, lambda: progress_text(progress_so_far))


def progress_text(progress: "TeamProgress") -> str:
    def shown(value: float | None) -> str:
        return "–" if value is None else f"{value:.0f}"

    lines = [
        format_table(
            [
                {
                    "annotator": person.annotator,
                    "done": person.submitted,
                    "of": person.passages,
                    "%": round(100 * person.submitted / person.passages) if person.passages else "–",
                    "skipped": person.skipped,
                    "drafts": person.drafts,
                    "left": person.left,
                    "characters/min": shown(person.characters_per_minute),
                    "s/passage": shown(person.seconds_per_passage),
                    "last": (person.last or ("–" if person.url else "no project yet"))[:16],
                }
                for person in progress.people
            ]
        )
    ]
    for person in progress.people:
        if person.problems:
            lines += ["", f"{person.annotator}: {len(person.problems)} to correct before agreement can be measured:"]
            lines += [*person.problems[:3]]
    if progress.pairs:
        lines += ["", "Agreement so far [95 % confidence interval]:"]
    for pair in progress.pairs:
        sectors = f", sectors {pair.sectors.micro.formatted}" if pair.sectors else ""
        lines.append(
            f"  {pair.first} and {pair.second}, {pair.passages} passages: F1 {pair.spans.micro.formatted}{sectors}"
        )
    if progress.type_disagreements:
        lines += ["", "Type disagreements, the worst first:"]
        lines += [
            f"  {person.name:14} F1 {person.f1:.3f}: {person.first} and {person.second}, {person.same} the same"
            + (f"; instead mostly {person.confused_with}" if person.confused_with else "")
            for person in progress.type_disagreements
        ]
    return "\n".join(lines)
