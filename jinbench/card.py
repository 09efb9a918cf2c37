"""The generated parts of the documents: everything between `<!-- generated:NAME -->` and `<!-- end:NAME -->`.

Numbers are never typed by hand into a document. The rest of each document is.
"""

import re
from collections.abc import Callable
from typing import Any

from jinbench import adjudication, agreement, annotators, dataset, errata, files, labels, leaderboard, scoring, seeds
from jinbench.problems import DataError, Problem
from jinbench.rooms import Rooms
from jinbench.splitting import SPLITS

_BLOCK = re.compile(r"(<!-- generated:(?P<name>[a-z-]+) -->\n).*?(<!-- end:(?P=name) -->)", re.DOTALL)


def _table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in row) + " |\n" for row in lines)


def _cell(value: Any) -> str:
    """Text from a data file must not end its cell, its table or the generated part."""
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")


def _per_split(counts: dict[str, int]) -> list[int]:
    return [*(counts[split] for split in SPLITS), sum(counts.values())]


def _counts(where: Rooms) -> str:
    stats = dataset.read_statistics(where)
    keys = ("articles", "passages", "sentences", "characters", "spans")
    names = {
        "passages": "passages (items of `sector`)",
        "sentences": "sentences (items of `ner`)",
        "spans": "entity spans",
    }
    largest = stats["largest_article"]
    rows = [[names.get(key, key), *_per_split(stats[key])] for key in keys]
    rows.append(["of these in the largest article", *(largest[split] for split in SPLITS), max(largest.values())])
    return _table(["", *SPLITS, "all"], rows)


def _labels(where: Rooms, kind: str) -> str:
    stats, label_set = dataset.read_statistics(where), labels.read(where)
    entries = label_set.entities if kind == "entities" else label_set.sectors
    rows = [[f"`{entry.name}` {entry.zh}", entry.definition, *_per_split(stats[kind][entry.name])] for entry in entries]
    return _table(["label", "definition", *SPLITS, "all"], rows)


def _layouts(where: Rooms) -> str:
    stats = dataset.read_statistics(where)
    return _table(
        ["layout (articles)", *SPLITS, "all"], [[name, *_per_split(c)] for name, c in stats["layouts"].items()]
    )


def _annotators(where: Rooms) -> str:
    known = annotators.read(where)
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


def _agreement(where: Rooms) -> str:
    """The figures of agreement.json: a table per pair, one of the readers, and how many decisions were taken."""
    record = agreement.read(where)
    seed, label_set = seeds.read(where), labels.read(where)
    known = annotators.read(where)
    decided = adjudication.check(where, seed, label_set, known.gold)
    names = known.adjudicated
    overruled = sum(len({each.readings[name] for name in names}) == 1 for each in decided)
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
    described = {reader.name: reader for reader in known.readers}
    if described.keys() != {pair["first"] for pair in record["readers"]}:
        place, hint = files.shown(agreement.path_of(where)), "jinbench agreement"
        expected, found = ", ".join(described), ", ".join(pair["first"] for pair in record["readers"])
        raise DataError(Problem("wrong-shape", place, f"the readers of annotators.toml: {expected}", found, hint))
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
    return "–" if cell["f1"] is None else scoring.with_interval(cell["f1"], cell["low"], cell["high"])


def _estimate(found: dict[str, Any]) -> str:
    return "–" if found["value"] is None else scoring.with_interval(found["value"], found["low"], found["high"])


def _errata(where: Rooms) -> str:
    rows = [
        [
            f"`{each.path.stem}`",
            f"**{each.by}**, {each.date}",
            f"`{each.passage_id}`",
            f"{_side(each.before)} → {_side(each.after)}",
            each.why,
        ]
        for each in errata.read(where)
    ]
    return _table(["erratum", "by, date", "passage", "change", "why"], rows) if rows else "None so far.\n"


def _side(side: str | tuple[str, ...]) -> str:
    return f"`{side if isinstance(side, str) else ', '.join(side)}`"


def _scores(where: Rooms) -> str:
    return leaderboard.build(where)[1]["leaderboard.md"]


BLOCKS: dict[str, Callable[[Rooms], str]] = {
    "counts": _counts,
    "entities": lambda where: _labels(where, "entities"),
    "sectors": lambda where: _labels(where, "sectors"),
    "layouts": _layouts,
    "annotators": _annotators,
    "agreement": _agreement,
    "errata": _errata,
    "scores": _scores,
}


def build(where: Rooms) -> dict[str, str]:
    """The documents with their generated parts, by path below the root. `dataset/README.md` is the card.

    Raises :class:`DataError` (wrong-shape) for a block that does not exist.
    """
    made: dict[str, str] = {}

    def block(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in BLOCKS:
            expected = f"generated: one of {', '.join(BLOCKS)}"
            raise DataError(Problem("wrong-shape", "a document", expected, name, "correct the name of the block"))
        if name not in made:
            made[name] = BLOCKS[name](where)
        return f"{match[1]}{made[name]}{match[3]}"

    found = {
        name: _BLOCK.sub(block, files.read_text(where.root / name))
        for name in ("README.md", "DATASET_CARD.md")
        if (where.root / name).is_file()
    }
    if "DATASET_CARD.md" in found:
        found["dataset/README.md"] = found["DATASET_CARD.md"]
    return found


def stale(where: Rooms) -> dict[str, str]:
    """The documents that are not up to date, as they should be."""
    return {
        name: text
        for name, text in build(where).items()
        if not (where.root / name).is_file() or files.read_text(where.root / name) != text
    }


def write(where: Rooms) -> list[str]:
    """Write the documents that changed; returns their names."""
    changed = stale(where)
    for name, text in changed.items():
        files.write_text(where.root / name, text)
    return list(changed)
