"""Command: labels config."""

from typing import Annotated

import typer

from jinbench.cli.common import JSON, emit, say, writable_benchmark

labels_commands = typer.Typer(no_args_is_help=True, help="The label set and the labeling configuration.")


@labels_commands.command("config")
def labels_config(
    ctx: typer.Context,
    check: Annotated[bool, typer.Option(help="Only say whether the file is up to date.")] = False,
    as_json: JSON = False,
) -> None:
    """Write labeling_config.xml, the page that annotators see, from labels.toml."""
    from jinbench.annotation.labels import read_label_set
    from jinbench.core import files
    from jinbench.core.errors import DataError
    from jinbench.labelstudio import labeling_config

    benchmark = writable_benchmark(ctx)
    label_set = read_label_set(benchmark)
    if check:
        labeling_config.check_labeling_config(benchmark, label_set)
    else:
        files.write_text(benchmark.labeling_config, labeling_config.build_labeling_config(label_set))
    file = files.display_path(benchmark.labeling_config)
    types, sectors = len(label_set.entities), len(label_set.sectors)
    try:
        alike = labeling_config.find_similar_colours(label_set)
    except DataError as error:  # the file is written without it
        alike = []
        say(f"The colours were not compared: {error.problems[0].fix}")
    worst = min(alike, default=None)
    if worst is not None and worst.distance < labeling_config.MIN_DISTANCE:
        say(
            f"The colours of {worst.first} and {worst.second} look too much alike ({worst.vision}: CIEDE2000 "
            f"{worst.distance:.1f}, where {labeling_config.MIN_DISTANCE:g} is enough): change one in "
            f"{files.display_path(benchmark.labels)}"
        )
    unexplained = labeling_config.find_unexplained_labels(benchmark, label_set)
    if unexplained:
        guide = files.display_path(benchmark.guidelines)
        say(f"{guide}, the instructions on that page, does not mention {', '.join(unexplained)}: explain them there")
    record = {
        "file": file,
        "entity_types": types,
        "sectors": sectors,
        "alike": [pair._asdict() for pair in alike],
        "unexplained": unexplained,
    }

    def text() -> str:
        line = f"{file}: {types} entity types, {sectors} sectors"
        if not alike:
            return line
        nearest = "; ".join(f"{pair.vision} {pair.distance:.1f}, {pair.first} and {pair.second}" for pair in alike)
        return f"{line}\nThe two colours that look most alike, and how far apart they are (CIEDE2000): {nearest}"

    emit(record, as_json, text)
