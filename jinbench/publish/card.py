"""Generated sections of README.md, DATASET_CARD.md and docs/dataset.md.

They stand between `<!-- generated:NAME -->` and `<!-- end:NAME -->` and hold all the numbers; the rest is hand-written.
A section is a block of `templates/sections.md.jinja`. The card's copy in `dataset/`, its plots and croissant.json are
made with it.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench.annotation.adjudication import Disagreement, check_decisions
from jinbench.annotation.agreement import agreement_path, read_agreement
from jinbench.annotation.annotators import read_annotators
from jinbench.annotation.errata import read_errata
from jinbench.annotation.labels import read_label_set
from jinbench.annotation.workspace import Workspace
from jinbench.baselines.learning_curve import read_curves
from jinbench.baselines.run import read_stored_results
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import fail
from jinbench.core.templates import make_environment
from jinbench.core.types import JsonObject
from jinbench.dataset.features import CONFIGS, dataset_features, features_markdown
from jinbench.dataset.front_matter import stamp_configs
from jinbench.dataset.load import read_manifest, read_statistics
from jinbench.dataset.noise import KINDS, NoiseKind
from jinbench.dataset.splits import SPLITS
from jinbench.leaderboard.board import Board
from jinbench.leaderboard.ranking import build_boards
from jinbench.publish import plots
from jinbench.publish.croissant import build_croissant
from jinbench.publish.markdown import CARD, DETAILS
from jinbench.scoring.gold import FOLDS
from jinbench.scoring.results import MIN_GOLD_MENTIONS, format_interval

if TYPE_CHECKING:
    from jinja2 import Template

DOCUMENTS = ("README.md", CARD, DETAILS)
CURVE_PLOT = "plots/learning_curve.png"
_TEMPLATES = Path(__file__).with_name("templates")
_SECTION = re.compile(r"(<!-- generated:(?P<name>[a-z-]+) -->\n).*?(<!-- end:(?P=name) -->)", re.DOTALL)


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(_escape, cells))} |"


def _head(cells: Sequence[object]) -> str:
    return f"{_row(cells)}\n{_row(['---'] * len(cells))}"


def _escape(value: object) -> str:
    """Escape a value, so that text from a data file cannot end its cell, its table or the generated section."""
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")


def _f1(cell: JsonObject) -> str:
    return "–" if cell["f1"] is None else format_interval(cell["f1"], cell["low"], cell["high"])


def _f1_or_count(cell: JsonObject) -> str:
    return f"{cell['correct']} correct" if cell["gold"] < MIN_GOLD_MENTIONS else _f1(cell)


def _estimate(value: JsonObject) -> str:
    return "–" if value["value"] is None else format_interval(value["value"], value["low"], value["high"])


def _change(system: JsonObject, kind: NoiseKind) -> str:
    """Show the change of F1 at the highest level of a kind of noise."""
    tiers = {(tier["kind"], tier["level"]): tier["change"] for tier in system["noise"]}
    change = tiers.get((kind.name, len(kind.levels)))
    return f"{change['value']:+.3f} [{change['low']:+.3f}, {change['high']:+.3f}]" if change else "–"


def _seen(counts: Mapping[str, int]) -> str:
    share = f" ({counts['same'] / counts['mentions']:.0%})" if counts["mentions"] else ""
    return f"{counts['same']}{share}"


def _per_split(counts: Mapping[str, float]) -> list[float]:
    return [*(counts[split] for split in SPLITS), sum(counts.values())]


def _noise_levels(kind: NoiseKind, statistics: JsonObject) -> list[str]:
    """Show the share of eligible characters at each level, and how many characters and sentences are perturbed."""
    hits = {row["level"]: row for row in statistics["noise"] if row["kind"] == kind.name}
    sentences = sum(statistics["sentences"][split] for split in CONFIGS["ner_noisy"])
    return [
        f"{share:.1%}: {hits[level]['hits']} in {hits[level]['sentences_hit']} of {sentences}"
        for level, share in enumerate(kind.levels, 1)
    ]


def _overrules(decision: Disagreement, annotators: Sequence[str]) -> bool:
    """Return whether the annotators agreed, and the adjudicator decided otherwise."""
    return len({labels for name, labels in decision.readings.items() if name in annotators}) == 1


def _top_five(board: Board) -> str:
    """Print the table with its first five systems."""
    systems = [row for row in board.rows if not row.about.annotator]
    return str(replace(board, rows=tuple(systems[:5])))


FILTERS = {
    "f1": _f1,
    "f1_or_count": _f1_or_count,
    "estimate": _estimate,
    "change": _change,
    "seen": _seen,
    "suffix": lambda text, suffix: f"{text}{suffix}",
    "title_of": lambda label: f"`{label.name}` {label.zh}",
    "name_of_pair": lambda pair: f"{pair['first']} and {pair['second']}",
    "labels_text": lambda side: side if isinstance(side, str) else ", ".join(side),
}


@cache
def _template() -> "Template":
    environment = make_environment(_TEMPLATES, autoescape=False)
    environment.filters |= FILTERS
    environment.tests["overrules"] = _overrules
    environment.globals |= {"head": _head, "row": _row, "per_split": _per_split, "top_five": _top_five}
    environment.globals |= {"splits": list(SPLITS), "kinds": KINDS, "noise_levels": _noise_levels}
    return environment.get_template("sections.md.jinja")


def section_names() -> set[str]:
    """Return the names of all generated sections."""
    return {name.replace("_", "-") for name in _template().blocks}


def _sources(benchmark: Benchmark) -> dict[str, Callable[[], Any]]:
    """Return what the sections are made from, each read once, when a section first needs it."""
    sources: dict[str, Callable[[], Any]] = {
        "statistics": lambda: read_statistics(benchmark),
        "label_set": lambda: read_label_set(benchmark),
        "boards": lambda: build_boards(benchmark),
        "systems": lambda: _read_systems(benchmark),
        "curves": lambda: read_curves(benchmark),
        "fields": lambda: features_markdown(dataset_features(read_label_set(benchmark))),
        "annotators": lambda: read_annotators(benchmark),
        "agreement": lambda: _read_agreement(benchmark),
        "decisions": lambda: check_decisions(Workspace(benchmark), read_annotators(benchmark).gold),
        "errata": lambda: read_errata(benchmark),
    }
    return {name: cache(read) for name, read in sources.items()}


def _read_systems(benchmark: Benchmark) -> list[JsonObject]:
    """Return the results of the recipes for all entity types, best first."""
    stored = [
        record
        for record in read_stored_results(benchmark).values()
        if record["task"] == "ner" and not record["crosswalk"]
    ]
    return sorted(stored, key=lambda record: -(record["scores"][FOLDS]["micro"]["f1"] or 0))


def _read_agreement(benchmark: Benchmark) -> JsonObject | None:
    """Return agreement.json if the gold is adjudicated, with every reviewer of annotators.toml in it."""
    annotators = read_annotators(benchmark)
    if not annotators.adjudicated:
        return None
    record = read_agreement(benchmark)
    reviewers, compared = (
        {entry.name for entry in annotators.reviewers},
        {pair["first"] for pair in record["readers"]},
    )
    if reviewers != compared:
        fail(
            "wrong-shape",
            files.display_path(agreement_path(benchmark)),
            expected=f"the reviewers of annotators.toml: {', '.join(sorted(reviewers))}",
            found=", ".join(sorted(compared)),
            fix="jinbench agreement",
        )
    return record


def render_section(benchmark: Benchmark, name: str) -> str:
    """Return a generated section as it stands in the card."""
    return _render(name, _sources(benchmark), CURVE_PLOT)


def _render(name: str, sources: Mapping[str, Callable[[], Any]], curve_plot: str) -> str:
    if name not in section_names():
        expected = f"generated: one of {', '.join(sorted(section_names()))}"
        fail("wrong-shape", "a document", expected=expected, found=name, fix="correct the name of the section")
    template = _template()
    context = template.new_context({**sources, "curve_plot": curve_plot})
    return "".join(template.blocks[name.replace("-", "_")](context))


def build_card(benchmark: Benchmark) -> dict[str, bytes]:
    """Build the documents with up-to-date numbers, and the files that belong to the card.

    Args:
        benchmark: The benchmark with its hand-written documents; one that does not exist is left out.

    Returns:
        File contents by path below the root of the benchmark: README.md, DATASET_CARD.md and docs/dataset.md; with a
        card its copy `dataset/README.md`, `dataset/croissant.json`, and the plots in `plots/` and `dataset/plots/`.

    Raises:
        DataError: For a generated section with an unknown name, or agreement.json without all reviewers [wrong-shape];
            for files of the benchmark that are missing or broken.
    """
    sources = _sources(benchmark)

    def fill(name: str) -> str:
        plot = "../" * name.count("/") + CURVE_PLOT
        return _SECTION.sub(
            lambda match: f"{match[1]}{_render(match['name'], sources, plot)}{match[3]}",
            files.read_text(benchmark.root / name),
        )

    texts = {name: fill(name) for name in DOCUMENTS if (benchmark.root / name).is_file()}
    documents = {name: text.encode() for name, text in texts.items()}
    if CARD in texts:
        documents["dataset/README.md"] = stamp_configs(texts[CARD], read_manifest(benchmark)).encode()
        if (benchmark.root / "LICENSE-DATA.md").is_file():
            documents["dataset/LICENSE-DATA.md"] = files.read_bytes(benchmark.root / "LICENSE-DATA.md")
        croissant = build_croissant(benchmark, card=texts[CARD])
        documents["dataset/croissant.json"] = files.dump_json(croissant).encode()
        images = {
            "plots/labels.png": plots.plot_labels(benchmark),
            "plots/articles.png": plots.plot_articles(benchmark),
            "plots/scores.png": plots.plot_scores(sources["boards"]()),
        }
        if curves := sources["curves"]():
            images[CURVE_PLOT] = plots.plot_learning_curves(curves)
        # Those of the card also beside its copy, which links to them from there.
        documents |= images | {f"dataset/{name}": data for name, data in images.items() if name in texts[CARD]}
    return documents


def find_stale_documents(benchmark: Benchmark) -> dict[str, bytes]:
    """Return the up-to-date contents of the documents that are stale, by path."""
    return {
        name: data
        for name, data in build_card(benchmark).items()
        if not (benchmark.root / name).is_file() or (benchmark.root / name).read_bytes() != data
    }


def write_card(benchmark: Benchmark) -> list[str]:
    """Write the stale documents and return their paths."""
    changed = find_stale_documents(benchmark)
    for name, data in changed.items():
        files.write_bytes(benchmark.root / name, data)
    return list(changed)
