"""Generated sections of README.md and DATASET_CARD.md.

They stand between `<!-- generated:NAME -->` and `<!-- end:NAME -->` and hold all the numbers; the rest is hand-written.
The card's copy in `dataset/`, its plots and croissant.json are made with it.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from operator import itemgetter

from jinbench.annotation import adjudication, agreement, errata
from jinbench.annotation.annotators import read_annotators
from jinbench.annotation.labels import read_label_set
from jinbench.annotation.workspace import Workspace
from jinbench.baselines.learning_curve import read_curves
from jinbench.baselines.run import read_stored_results
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import fail
from jinbench.core.types import JsonObject
from jinbench.dataset.features import CONFIGS, dataset_features, features_markdown
from jinbench.dataset.load import read_statistics
from jinbench.dataset.noise import KINDS
from jinbench.dataset.splits import SPLITS
from jinbench.leaderboard.board import Board
from jinbench.leaderboard.ranking import build_boards
from jinbench.leaderboard.tables import format_markdown
from jinbench.publish import plots
from jinbench.publish.croissant import build_croissant
from jinbench.scoring.gold import FOLDS
from jinbench.scoring.results import MIN_GOLD_MENTIONS, format_interval

CURVE_PLOT = "plots/learning_curve.png"
_BLOCK = re.compile(r"(<!-- generated:(?P<name>[a-z-]+) -->\n).*?(<!-- end:(?P=name) -->)", re.DOTALL)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Format a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in row) + " |\n" for row in lines)


def _cell(value: object) -> str:
    """Escape a value, so that text from a data file cannot end its cell, its table or the generated section."""
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")


def _split_counts(counts: dict[str, int]) -> list[int]:
    return [*(counts[split] for split in SPLITS), sum(counts.values())]


def _counts(benchmark: Benchmark) -> str:
    stats = read_statistics(benchmark)
    keys = ("articles", "passages", "sentences", "characters", "spans")
    names = {
        "passages": "passages (items of `sector`)",
        "sentences": "sentences (items of `ner`)",
        "spans": "entity spans",
    }
    largest = stats["largest_article"]
    rows = [[names.get(key, key), *_split_counts(stats[key])] for key in keys]
    rows.append(["of these in the largest article", *(largest[split] for split in SPLITS), max(largest.values())])
    effective = stats["effective_articles"]
    rows.append(["effective number of articles (1/Σ share²)", *(effective[split] for split in SPLITS), "–"])
    return _table(["", *SPLITS, "all"], rows)


def _labels(benchmark: Benchmark, kind: str) -> str:
    stats, label_set = read_statistics(benchmark), read_label_set(benchmark)
    entries = label_set.entities if kind == "entities" else label_set.sectors
    rows = []
    for entry in entries:
        counts = stats[kind][entry.name]
        shares = [f"{counts[split]} ({counts[split] / max(sum(counts.values()), 1):.0%})" for split in SPLITS]
        rows.append([f"`{entry.name}` {entry.zh}", entry.definition, *shares, sum(counts.values())])
    return _table(["label", "definition", *SPLITS, "all"], rows)


def _layouts(benchmark: Benchmark) -> str:
    stats = read_statistics(benchmark)
    return _table(
        ["layout (articles)", *SPLITS, "all"], [[name, *_split_counts(c)] for name, c in stats["layouts"].items()]
    )


def _overlap(benchmark: Benchmark) -> str:
    """Count mentions of validation and test whose surface occurs in train, by type."""
    overlap = read_statistics(benchmark)["overlap"]
    head = [
        "mentions",
        *(f"{split}: {column}" for split in overlap for column in ("all", "seen in train", "as another type")),
    ]
    names = ["all", *read_label_set(benchmark).entity_names]
    rows = []
    for name in names:
        row = [f"`{name}`" if name != "all" else name]
        for counts in (overlap[split][name] for split in overlap):
            share = f" ({counts['same'] / counts['mentions']:.0%})" if counts["mentions"] else ""
            row += [counts["mentions"], f"{counts['same']}{share}", counts["both"] + counts["other"]]
        rows.append(row)
    return _table(head, rows)


def _noise(benchmark: Benchmark) -> str:
    """Tabulate the kinds of noise: share of eligible characters at each level, characters and sentences perturbed."""
    stats = read_statistics(benchmark)
    hits = {(row["kind"], row["level"]): row for row in stats["noise"]}
    sentences = sum(stats["sentences"][split] for split in CONFIGS["ner_noisy"])
    rows = []
    for kind in KINDS:
        levels = [
            f"{share:.1%}: {row['hits']} in {row['sentences_hit']} of {sentences}"
            for level, share in enumerate(kind.levels, 1)
            for row in [hits[kind.name, level]]
        ]
        rows.append([f"`{kind.name}`", kind.description, *levels])
    levels = [f"level {level}" for level in range(1, len(KINDS[0].levels) + 1)]
    return _table(["kind", "perturbation", *levels], rows)


def _scores(boards: list[Board]) -> str:
    """Return the main tables of the leaderboard."""
    return format_markdown(board for board in boards if _is_main(board))


def _is_main(board: Board) -> bool:
    return board.split == FOLDS or (board.split == "test" and not board.crosswalk)


def _detectable_differences(boards: list[Board]) -> str:
    """List the minimum detectable difference of each main table."""
    lines = []
    for board in boards:
        if not _is_main(board):
            continue
        name = "cross-validation" if board.split == FOLDS else f"{board.split} split"
        name = f"coarse, {name}" if board.crosswalk else name
        difference = board.minimum_detectable
        text = "none, too few articles or systems" if difference is None else f"about {difference:.3f} in micro-F1"
        lines.append(f"- {board.task}, {name}, {board.articles} articles: {text}.")
    return "\n".join(lines) + "\n"


def _conditions(benchmark: Benchmark) -> str:
    """Compare the systems for the whole label set: by layout and seen entities across folds, under noise on test."""
    stored = {
        name: record
        for name, record in read_stored_results(benchmark).items()
        if record["task"] == "ner" and not record["crosswalk"]
    }
    if not stored:
        return "No system has been run.\n"
    names = sorted(stored, key=lambda name: -(stored[name]["scores"][FOLDS]["micro"]["f1"] or 0))
    folds = {name: stored[name]["scores"][FOLDS] for name in names}
    parts = {
        name: {
            "all": folds[name]["micro"],
            **{f"layout {cell['name']}": cell for cell in folds[name]["parts"]["layout"]},
            **{
                f"{status} entities": cell
                for status, cell in zip(("seen", "unseen"), folds[name]["parts"]["seen_unseen"], strict=True)
            },
        }
        for name in names
    }
    rows = [
        [part, cell["gold"], *(_f1_or_count(parts[name][part]) for name in names)]
        for part, cell in parts[names[0]].items()
    ]
    text = _table(["cross-validated micro-F1", "mentions", *names], rows)
    tiers = {name: {(tier["kind"], tier["level"]): tier for tier in stored[name]["noise"]} for name in names}
    rows = [["no noise", *(_f1(stored[name]["scores"]["test"]["micro"]) for name in names)]]
    for kind in KINDS:
        level = len(kind.levels)
        rows.append([f"`{kind.name}`", *(_change(tiers[name].get((kind.name, level))) for name in names)])
    return f"{text}\n{_table(['test micro-F1, and its change at the highest level of noise', *names], rows)}"


def _f1_or_count(cell: JsonObject) -> str:
    return f"{cell['correct']} correct" if cell["gold"] < MIN_GOLD_MENTIONS else _f1(cell)


def _change(tier: JsonObject | None) -> str:
    if not tier or not tier["change"]:
        return "–"
    change = tier["change"]
    return f"{change['value']:+.3f} [{change['low']:+.3f}, {change['high']:+.3f}]"


def _curve(benchmark: Benchmark) -> str:
    """Return the plot with its alternative text, and the conclusion from each curve."""
    curves = read_curves(benchmark)
    if not curves:
        return "No learning curve has been measured: `jinbench run FILE --curve`.\n"
    values = "; ".join(
        f"{curve.recipe} ({curve.task}) {', '.join(f'{p.f1:.2f} at {p.articles:.0f}' for p in curve.points)}"
        for curve in curves
    )
    plot = f"![Micro-F1 over the number of training articles: {values}]({CURVE_PLOT})"
    return "\n".join([plot, "", *(f"- {curve.verdict}" for curve in curves)]) + "\n"


def _fields(benchmark: Benchmark) -> str:
    return features_markdown(dataset_features(read_label_set(benchmark)))


def _annotators(benchmark: Benchmark) -> str:
    annotators = read_annotators(benchmark)
    rows = [
        [
            f"`{entry.name}`{' (the gold)' if entry.name == annotators.gold else ''}",
            f"**{entry.kind}**",
            entry.description,
            f"{entry.guidelines}, {entry.date}",
        ]
        for entry in annotators.entries
    ]
    return _table(["annotator", "kind", "how", "guidelines, date"], rows)


def _agreement(benchmark: Benchmark) -> str:
    """Tabulate agreement.json by pair of annotators and by reviewer, and count the adjudicator's decisions.

    Without adjudication there is no such file.
    """
    workspace = Workspace(benchmark)
    annotators = workspace.annotators
    if not annotators.adjudicated:
        return (
            f"The gold is the labels of `{annotators.gold}`. No other labels were compared with them, "
            "so their quality has not been measured.\n"
        )
    record = agreement.read_agreement(benchmark)
    text = "".join(_pair_agreement(pair) for pair in record["pairs"])
    decisions = adjudication.check_decisions(workspace, annotators.gold)
    alternatives = [
        {labels for name, labels in decision.readings.items() if name in annotators.adjudicated}
        for decision in decisions
    ]
    overruled = sum(len(labels) == 1 for labels in alternatives)
    text += (
        f"The adjudicator took {len(decisions)} decisions; in {overruled} of them it overruled all annotators. "
        "`jinbench annotate adjudicate --list` prints each with the annotators' labels and the reason.\n\n"
    )
    reviewers, reviews = {reviewer.name: reviewer for reviewer in annotators.reviewers}, record["readers"]
    if reviewers.keys() != {pair["first"] for pair in reviews}:
        expected = f"the reviewers of annotators.toml: {', '.join(reviewers)}"
        found, location = (
            ", ".join(pair["first"] for pair in reviews),
            files.display_path(agreement.agreement_path(benchmark)),
        )
        fail("wrong-shape", location, expected=expected, found=found, fix="jinbench agreement")
    rows = [
        [
            pair["first"],
            f"**{reviewers[pair['first']].kind}**. {reviewers[pair['first']].description}",
            pair["passages"],
            _f1(pair["strict"]["micro"]),
            _estimate(pair["alpha"]),
        ]
        for pair in reviews
    ]
    head = ["reviewer of a sample", "kind", "passages", "strict F1 with the gold", "α of sectors (sets)"]
    return text + (_table(head, rows) if rows else "")


def _pair_agreement(pair: JsonObject) -> str:
    strict, overlap = pair["strict"], pair["overlap"]
    cells = zip([strict["micro"], *strict["labels"]], [overlap["micro"], *overlap["labels"]], strict=True)
    rows = [
        [f"`{cell['name']}`" if i else "all", cell["gold"], cell["predicted"], cell["correct"], _f1(cell), _f1(relaxed)]
        for i, (cell, relaxed) in enumerate(cells)
    ]
    head = ["spans", pair["first"], pair["second"], "in common", "strict F1 [95 % confidence interval]", "overlap F1"]
    coefficients = {
        "Cohen's κ over the tags of characters": pair["kappa"],
        "Krippendorff's α over sets of sectors (MASI distance)": pair["alpha"],
        "Krippendorff's α over single sector decisions": pair["alpha_decisions"],
    }
    estimates = [[name, _estimate(value)] for name, value in coefficients.items()]
    alphas = sorted((alpha for alpha in pair["sector_alphas"] if alpha["value"] is not None), key=itemgetter("value"))
    lowest = ", ".join(f"`{alpha['name']}` {alpha['value']:.3f}" for alpha in alphas[:3])
    return (
        f"{_table(head, rows)}\n{_table(['', 'coefficient [95 % confidence interval]'], estimates)}\n"
        f"Sectors with the lowest agreement (α): {lowest}.\n"
    )


def _f1(cell: JsonObject) -> str:
    return "–" if cell["f1"] is None else format_interval(cell["f1"], cell["low"], cell["high"])


def _estimate(value: JsonObject) -> str:
    return "–" if value["value"] is None else format_interval(value["value"], value["low"], value["high"])


def _errata(benchmark: Benchmark) -> str:
    rows = [
        [
            f"`{erratum.path.stem}`",
            f"**{erratum.by}**, {erratum.date}",
            f"`{erratum.passage_id}`",
            f"{_erratum_side(erratum.before)} → {_erratum_side(erratum.after)}",
            erratum.why,
        ]
        for erratum in errata.read_errata(benchmark)
    ]
    return _table(["erratum", "by, date", "passage", "change", "reason"], rows) if rows else "None so far.\n"


def _erratum_side(side: str | tuple[str, ...]) -> str:
    return f"`{side if isinstance(side, str) else ', '.join(side)}`"


BLOCKS: dict[str, Callable[[Benchmark], str]] = {
    "counts": _counts,
    "entities": lambda benchmark: _labels(benchmark, "entities"),
    "sectors": lambda benchmark: _labels(benchmark, "sectors"),
    "layouts": _layouts,
    "overlap": _overlap,
    "noise": _noise,
    "conditions": _conditions,
    "curve": _curve,
    "fields": _fields,
    "annotators": _annotators,
    "agreement": _agreement,
    "errata": _errata,
}
BOARD_BLOCKS: dict[str, Callable[[list[Board]], str]] = {"scores": _scores, "differences": _detectable_differences}


def build_card(benchmark: Benchmark) -> dict[str, bytes]:
    """Build README.md and DATASET_CARD.md with up-to-date numbers, and the files that belong to the card.

    Args:
        benchmark: The benchmark with its hand-written documents; one that does not exist is left out.

    Returns:
        File contents by path below the root of the benchmark: the two documents, and with a card its copy
        `dataset/README.md`, `dataset/croissant.json`, and the plots in `plots/` and `dataset/plots/`.

    Raises:
        DataError: For a generated section with an unknown name, or agreement.json without all reviewers [wrong-shape];
            for files of the benchmark that are missing or broken.
    """
    boards = cache(lambda: build_boards(benchmark))  # scored once, and only if a document shows them

    @cache
    def render(name: str) -> str:
        if name not in BLOCKS | BOARD_BLOCKS:
            expected = f"generated: one of {', '.join(BLOCKS | BOARD_BLOCKS)}"
            fail("wrong-shape", "a document", expected=expected, found=name, fix="correct the name of the section")
        return BLOCKS[name](benchmark) if name in BLOCKS else BOARD_BLOCKS[name](boards())

    texts = {
        name: _BLOCK.sub(
            lambda match: f"{match[1]}{render(match['name'])}{match[3]}", files.read_text(benchmark.root / name)
        )
        for name in ("README.md", "DATASET_CARD.md")
        if (benchmark.root / name).is_file()
    }
    documents = {name: text.encode() for name, text in texts.items()}
    if "DATASET_CARD.md" in texts:
        images = {
            "labels.png": plots.plot_labels(benchmark),
            "articles.png": plots.plot_articles(benchmark),
            "scores.png": plots.plot_scores(boards()),
        }
        if curves := read_curves(benchmark):
            images[CURVE_PLOT.rpartition("/")[2]] = plots.plot_learning_curves(curves)
        documents["dataset/README.md"] = documents["DATASET_CARD.md"]
        if (benchmark.root / "LICENSE-DATA.md").is_file():
            documents["dataset/LICENSE-DATA.md"] = files.read_bytes(benchmark.root / "LICENSE-DATA.md")
        croissant = build_croissant(benchmark, card=texts["DATASET_CARD.md"])
        documents["dataset/croissant.json"] = files.dump_json(croissant).encode()
        # Twice, because the card links to them from both of its folders.
        documents |= {f"{folder}plots/{name}": data for folder in ("", "dataset/") for name, data in images.items()}
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
