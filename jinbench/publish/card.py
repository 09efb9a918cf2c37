"""The documents: what stands in them between `<!-- generated:NAME -->` and `<!-- end:NAME -->`, and what comes of them.

Numbers are never typed by hand into a document; the rest of each document is. From the card come its copy in
`dataset/`, its pictures and croissant.json.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from jinbench.annotation import adjudication, agreement, errata
from jinbench.annotation.annotators import read_annotators
from jinbench.annotation.labels import read_label_set
from jinbench.baselines import learning_curve, run
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem
from jinbench.dataset import features, load, noise
from jinbench.dataset.features import CONFIGS, dataset_features
from jinbench.dataset.splits import SPLITS
from jinbench.leaderboard import ranking
from jinbench.leaderboard.ranking import Board
from jinbench.publish import croissant, plots
from jinbench.scoring import gold, results
from jinbench.seeds.articles import read_seeds

CURVES = "plots/learning_curve.png"
_BLOCK = re.compile(r"(<!-- generated:(?P<name>[a-z-]+) -->\n).*?(<!-- end:(?P=name) -->)", re.DOTALL)


def _table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in row) + " |\n" for row in lines)


def _cell(value: Any) -> str:
    """Text from a data file must not end its cell, its table or the generated part."""
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")


def _per_split(counts: dict[str, int]) -> list[int]:
    return [*(counts[split] for split in SPLITS), sum(counts.values())]


def _counts(benchmark: Benchmark) -> str:
    stats = load.read_statistics(benchmark)
    keys = ("articles", "passages", "sentences", "characters", "spans")
    names = {
        "passages": "passages (items of `sector`)",
        "sentences": "sentences (items of `ner`)",
        "spans": "entity spans",
    }
    largest = stats["largest_article"]
    rows = [[names.get(key, key), *_per_split(stats[key])] for key in keys]
    rows.append(["of these in the largest article", *(largest[split] for split in SPLITS), max(largest.values())])
    even = stats["effective_articles"]
    rows.append(["effective number of articles (1/Σ share²)", *(even[split] for split in SPLITS), "–"])
    return _table(["", *SPLITS, "all"], rows)


def _labels(benchmark: Benchmark, kind: str) -> str:
    stats, label_set = load.read_statistics(benchmark), read_label_set(benchmark)
    entries = label_set.entities if kind == "entities" else label_set.sectors
    rows = []
    for entry in entries:
        counts = stats[kind][entry.name]
        shares = [f"{counts[split]} ({counts[split] / max(sum(counts.values()), 1):.0%})" for split in SPLITS]
        rows.append([f"`{entry.name}` {entry.zh}", entry.definition, *shares, sum(counts.values())])
    return _table(["label", "definition", *SPLITS, "all"], rows)


def _layouts(benchmark: Benchmark) -> str:
    stats = load.read_statistics(benchmark)
    return _table(
        ["layout (articles)", *SPLITS, "all"], [[name, *_per_split(c)] for name, c in stats["layouts"].items()]
    )


def _overlap(benchmark: Benchmark) -> str:
    """Mentions of validation and test that the entities of train give away, by type."""
    found = load.read_statistics(benchmark)["overlap"]
    head = [
        "mentions",
        *(f"{split}: {what}" for split in found for what in ("all", "seen in train", "as another type")),
    ]
    names = ["all", *read_label_set(benchmark).entity_names]
    rows = []
    for name in names:
        row = [f"`{name}`" if name != "all" else name]
        for counts in (found[split][name] for split in found):
            share = f" ({counts['same'] / counts['mentions']:.0%})" if counts["mentions"] else ""
            row += [counts["mentions"], f"{counts['same']}{share}", counts["both"] + counts["other"]]
        rows.append(row)
    return _table(head, rows)


def _noise(benchmark: Benchmark) -> str:
    """The kinds of noise with their levels: what part of what can be hit is, and how many characters that were."""
    stats = load.read_statistics(benchmark)
    hits = {(row["kind"], row["level"]): row for row in stats["noise"]}
    sentences = sum(stats["sentences"][split] for split in CONFIGS["ner_noisy"])
    rows = []
    for kind in noise.KINDS:
        levels = [
            f"{share:.1%}: {found['hits']} in {found['sentences_hit']} of {sentences}"
            for level, share in enumerate(kind.levels, 1)
            for found in [hits[kind.name, level]]
        ]
        rows.append([f"`{kind.name}`", kind.what, *levels])
    levels = [f"level {level}" for level in range(1, len(noise.KINDS[0].levels) + 1)]
    return _table(["kind", "what is done", *levels], rows)


def _scores(boards: list[Board]) -> str:
    """The tables of the leaderboard that a reader should see first."""
    return ranking.markdown(board for board in boards if _is_main(board))


def _is_main(board: Board) -> bool:
    return board.split == gold.FOLDS or (board.split == "test" and not board.crosswalk)


def _gaps(boards: list[Board]) -> str:
    """What each gold can separate."""
    lines = []
    for board in boards:
        if not _is_main(board):
            continue
        name = "cross-validation" if board.split == gold.FOLDS else f"{board.split} split"
        name = f"coarse, {name}" if board.crosswalk else name
        articles = board.articles
        if board.gap is None:
            lines.append(f"- {board.task}, {name}, {articles} articles: nothing, too few articles or systems.")
        else:
            lines.append(f"- {board.task}, {name}, {articles} articles: about {board.gap:.3f} in micro-F1.")
    return "\n".join(lines) + "\n"


def _conditions(benchmark: Benchmark) -> str:
    """Systems for the whole label set side by side: by layout and familiarity across folds, under noise on test."""
    found = {
        name: record
        for name, record in run.stored(benchmark).items()
        if record["task"] == "ner" and not record["crosswalk"]
    }
    if not found:
        return "No system has been run.\n"
    names = sorted(found, key=lambda name: -(found[name]["scores"][gold.FOLDS]["micro"]["f1"] or 0))
    folds = {name: found[name]["scores"][gold.FOLDS] for name in names}
    parts = {
        name: {
            "all": folds[name]["micro"],
            **{f"layout {cell['name']}": cell for cell in folds[name]["parts"]["layout"]},
            **{
                f"words {what} in training": cell
                for what, cell in zip(("labelled", "not labelled"), folds[name]["parts"]["familiarity"], strict=True)
            },
        }
        for name in names
    }
    rows = [
        [part, cell["gold"], *(_enough(parts[name][part]) for name in names)] for part, cell in parts[names[0]].items()
    ]
    text = _table(["cross-validated micro-F1", "mentions", *names], rows)
    tiers = {name: {(each["kind"], each["level"]): each for each in found[name]["noise"]} for name in names}
    rows = [["no noise", *(_f1(found[name]["scores"]["test"]["micro"]) for name in names)]]
    for kind in noise.KINDS:
        level = len(kind.levels)
        rows.append([f"`{kind.name}`", *(_change(tiers[name].get((kind.name, level))) for name in names)])
    return f"{text}\n{_table(['test micro-F1, and how the highest level of noise changes it', *names], rows)}"


def _enough(cell: dict[str, Any]) -> str:
    return f"{cell['correct']} found" if cell["gold"] < results.FEW else _f1(cell)


def _change(tier: dict[str, Any] | None) -> str:
    if not tier or not tier["change"]:
        return "–"
    change = tier["change"]
    return f"{change['value']:+.3f} [{change['low']:+.3f}, {change['high']:+.3f}]"


def _curve(benchmark: Benchmark) -> str:
    """The picture with its words, and what each curve says."""
    found = learning_curve.read_curve(benchmark)
    if not found:
        return "No learning curve has been measured: `jinbench run FILE --curve`.\n"
    said = "; ".join(
        f"{each.recipe} ({each.task}) {', '.join(f'{p.f1:.2f} at {p.articles:.0f}' for p in each.points)}"
        for each in found
    )
    picture = f"![Micro-F1 over the number of training articles: {said}]({CURVES})"
    return "\n".join([picture, "", *(f"- {each.verdict}" for each in found)]) + "\n"


def _fields(benchmark: Benchmark) -> str:
    return features.features_markdown(dataset_features(read_label_set(benchmark)))


def _annotators(benchmark: Benchmark) -> str:
    known = read_annotators(benchmark)
    rows = [
        [
            f"`{entry.name}`{' (the gold)' if entry.name == known.gold else ''}",
            f"**{entry.kind}**",
            entry.description,
            f"{entry.guidelines}, {entry.date}",
        ]
        for entry in known.entries
    ]
    return _table(["annotator", "what it is", "how", "guidelines, date"], rows)


def _agreement(benchmark: Benchmark) -> str:
    """The figures of agreement.json: a table per pair, one of the readers, and how many decisions were taken.

    Where nobody decides between annotators there is no such file.
    """
    known = read_annotators(benchmark)
    if not known.adjudicated:
        return (
            f"The gold is what `{known.gold}` said. Nobody else's labels were held against it, "
            "so how far it can be trusted is not known.\n"
        )
    record = agreement.read_agreement(benchmark)
    seed, label_set = read_seeds(benchmark), read_label_set(benchmark)
    decided = adjudication.check(benchmark, seed, label_set, known.gold)
    said = [{each.readings[name] for name in known.adjudicated if name in each.readings} for each in decided]
    overruled = sum(len(readings) == 1 for readings in said)
    text = ""
    for pair in record["pairs"]:
        strict, overlap = pair["strict"], pair["overlap"]
        rows = [
            [
                f"`{cell['name']}`" if i else "all",
                cell["gold"],
                cell["predicted"],
                cell["correct"],
                _f1(cell),
                _f1(near),
            ]
            for i, (cell, near) in enumerate(
                zip([strict["micro"], *strict["labels"]], [overlap["micro"], *overlap["labels"]], strict=True)
            )
        ]
        head = ["spans", pair["first"], pair["second"], "the same", "strict F1 [95 % interval]", "overlap F1"]
        text += _table(head, rows) + "\n"
        measures = {
            "Cohen's κ over the tags of characters": pair["kappa"],
            "Krippendorff's α over sets of sectors (MASI distance)": pair["alpha"],
            "Krippendorff's α over single sector decisions": pair["alpha_decisions"],
        }
        text += _table(["", "coefficient [95 % interval]"], [[k, _estimate(v)] for k, v in measures.items()]) + "\n"
        lowest = sorted(
            (found for found in pair["sector_alphas"] if found["value"] is not None), key=lambda found: found["value"]
        )[:3]
        hardest = ", ".join(f"`{found['name']}` {found['value']:.3f}" for found in lowest)
        text += f"Sectors least agreed on (α): {hardest}.\n"
    text += (
        f"The adjudicator took {len(decided)} decisions; in {overruled} of them it overruled all annotators. "
        "`jinbench annotate decisions` prints each with the readings and the reason.\n\n"
    )
    described = {reader.name: reader for reader in known.reviewers}
    if described.keys() != {pair["first"] for pair in record["readers"]}:
        place, hint = files.shown(agreement.path_of(benchmark)), "jinbench agreement"
        expected, found = ", ".join(described), ", ".join(pair["first"] for pair in record["readers"])
        raise DataError(
            Problem(
                "wrong-shape",
                location=place,
                expected=f"the readers of annotators.toml: {expected}",
                found=found,
                fix=hint,
            )
        )
    rows = [
        [
            pair["first"],
            f"**{described[pair['first']].kind}**. {described[pair['first']].description}",
            pair["passages"],
            _f1(pair["strict"]["micro"]),
            _estimate(pair["alpha"]),
        ]
        for pair in record["readers"]
    ]
    head = ["reader of a sample", "what it is", "passages", "strict F1 with the gold", "α of sectors (sets)"]
    return text + (_table(head, rows) if rows else "")


def _f1(cell: dict[str, Any]) -> str:
    return "–" if cell["f1"] is None else results.with_interval(cell["f1"], cell["low"], cell["high"])


def _estimate(found: dict[str, Any]) -> str:
    return "–" if found["value"] is None else results.with_interval(found["value"], found["low"], found["high"])


def _errata(benchmark: Benchmark) -> str:
    rows = [
        [
            f"`{each.path.stem}`",
            f"**{each.by}**, {each.date}",
            f"`{each.passage_id}`",
            f"{_side(each.before)} → {_side(each.after)}",
            each.why,
        ]
        for each in errata.read_errata(benchmark)
    ]
    return _table(["erratum", "by, date", "passage", "change", "why"], rows) if rows else "None so far.\n"


def _side(side: str | tuple[str, ...]) -> str:
    return f"`{side if isinstance(side, str) else ', '.join(side)}`"


BLOCKS: dict[str, Callable[[Benchmark], str]] = {
    "counts": _counts,
    "entities": lambda where: _labels(where, "entities"),
    "sectors": lambda where: _labels(where, "sectors"),
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
OF_BOARDS: dict[str, Callable[[list[Board]], str]] = {"scores": _scores, "gaps": _gaps}


def build_card(benchmark: Benchmark) -> dict[str, bytes]:
    """The documents, by path below the root. `dataset/README.md` is the card.

    Raises :class:`DataError` (wrong-shape) for a block that does not exist.
    """
    made: dict[str, str] = {}
    boards = cache(lambda: ranking.build_boards(benchmark))  # scored once, and only if something shows them

    def block(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in BLOCKS | OF_BOARDS:
            expected = f"generated: one of {', '.join(BLOCKS | OF_BOARDS)}"
            raise DataError(
                Problem(
                    "wrong-shape",
                    location="a document",
                    expected=expected,
                    found=name,
                    fix="correct the name of the block",
                )
            )
        if name not in made:
            made[name] = BLOCKS[name](benchmark) if name in BLOCKS else OF_BOARDS[name](boards())
        return f"{match[1]}{made[name]}{match[3]}"

    texts = {
        name: _BLOCK.sub(block, files.read_text(benchmark.root / name))
        for name in ("README.md", "DATASET_CARD.md")
        if (benchmark.root / name).is_file()
    }
    found = {name: text.encode() for name, text in texts.items()}
    if "DATASET_CARD.md" in texts:
        described = croissant.build_croissant(benchmark, card=texts["DATASET_CARD.md"])
        pictures = {
            "labels.png": plots.labels(benchmark),
            "articles.png": plots.articles(benchmark),
            "scores.png": plots.scores(boards()),
        }
        if measured := learning_curve.read_curve(benchmark):
            pictures[CURVES.rpartition("/")[2]] = plots.learning_curves(measured)
        found["dataset/README.md"] = found["DATASET_CARD.md"]
        if (benchmark.root / "LICENSE-DATA.md").is_file():
            found["dataset/LICENSE-DATA.md"] = files.read_bytes(benchmark.root / "LICENSE-DATA.md")
        found["dataset/croissant.json"] = files.dump_json(described).encode()
        # Twice, so that the links of the card lead to them from both of its places.
        found |= {f"{room}plots/{name}": data for room in ("", "dataset/") for name, data in pictures.items()}
    return found


def stale_documents(benchmark: Benchmark) -> dict[str, bytes]:
    """The documents that are not up to date, as they should be."""
    return {
        name: data
        for name, data in build_card(benchmark).items()
        if not (benchmark.root / name).is_file() or (benchmark.root / name).read_bytes() != data
    }


def write_card(benchmark: Benchmark) -> list[str]:
    """Write the documents that changed; returns their names."""
    changed = stale_documents(benchmark)
    for name, data in changed.items():
        files.write_bytes(benchmark.root / name, data)
    return list(changed)
