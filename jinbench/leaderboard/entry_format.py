"""What an entry must look like, with an item of the dataset at hand for an example: what `jinbench format` prints."""

import json
from typing import Any

from jinbench.core import schemas
from jinbench.core.benchmark import Benchmark, packaged_benchmark
from jinbench.dataset.gold import board_splits, read_task_gold
from jinbench.dataset.load import read_manifest
from jinbench.leaderboard import entries
from jinbench.scoring import predictions
from jinbench.scoring.gold import BOARD_SPLITS, FOLDS

KINDS = (*BOARD_SPLITS, "system")


def schema(benchmark: Benchmark, kind: str) -> dict[str, Any]:
    """The JSON Schema of a line of predictions for a task, with the labels of the dataset, or of system.toml."""
    if kind == "system":
        return schemas.read_schema("system")
    whole = schemas.read_schema("prediction")
    line: dict[str, Any] = whole["$defs"][kind]
    names = {"enum": list(read_manifest(benchmark)["labels"][kind])}
    if kind == "ner":
        line["properties"]["spans"]["items"]["properties"]["type"] |= names
    else:
        line["properties"]["sectors"]["items"] |= names
        line["properties"]["scores"]["propertyNames"] = names
    return {"$schema": whole["$schema"], "title": f"a line of predictions for {kind}", **line}


def explained(benchmark: Benchmark, kind: str) -> str:
    """What an entry must look like: the predictions for a task, or system.toml."""
    if kind == "system":
        return template(benchmark)
    listing = read_manifest(benchmark)
    boards = board_splits(benchmark).get(kind, BOARD_SPLITS[kind])
    names, split = listing["labels"][kind], boards[0]
    gold = read_task_gold(benchmark, kind, split)
    # Among the items whose labels say something, the one that is quickest read; what is shown is its gold.
    labelled = [i for i, found in enumerate(gold.labels) if found] or list(range(len(gold.ids)))
    best = min(labelled, key=lambda i: len(gold.texts[i]))
    (row,) = predictions.as_rows(kind, [(gold.ids[best], gold.labels[best])])
    for span in row.get("spans", ()):
        span["surface"] = gold.texts[best][span["start"] : span["end"]]
    field = predictions.KEYS[kind]
    more = {
        "ner": "Offsets count Unicode code points of `text` from 0, the end is exclusive; spans do not overlap. "
        "`surface` may be left out;\nwhere it is given it is checked.",
        "sector": 'Beside them `scores` may say how sure the system is: {"'
        + (names[0] if names else "…")
        + '": 0.9, …}, finite numbers.',
    }[kind]
    own = benchmark.root == packaged_benchmark().root
    if own:
        load = f'jinbench.load("{kind}")' if split == FOLDS else f'jinbench.load("{kind}", "{split}")'
    else:
        load = f'load_dataset("{benchmark.dataset}", "{kind}")' + ("" if split == FOLDS else f'["{split}"]')
    splits = ", ".join(boards)
    if FOLDS in boards:
        splits += f" ({FOLDS}: all items, each predicted by a model that saw nothing of its fold_1)"
    names_of_files = ", ".join(predictions.file_name(kind, split) for split in boards)
    coarse = {crosswalk for task, _, crosswalk in entries.boards(benchmark).values() if task == kind and crosswalk}
    if coarse:
        names_of_files += f"\n         for coarse labels {predictions.file_name(kind, split, '<crosswalk>')}, …"
        names_of_files += f" with {', '.join(sorted(coarse))}"
    return "\n".join(
        [
            f"{kind}: JSON Lines in UTF-8, a line for each item, in any order",
            "",
            json.dumps(row, ensure_ascii=False),
            "",
            f"That is the gold of the item whose text is: {gold.texts[best]}",
            f"{more}",
            f"An empty list says: none. An item without a line counts as wrong, and so does each of its {field}.",
            "",
            f"labels   {', '.join(names)}",
            f"items    {load}: {len(gold.ids)} of them; ids {gold.ids[0]} … {gold.ids[-1]}",
            f"splits   {splits}",
            f"files    {names_of_files}",
            f"schema   jinbench format {kind} --json",
        ]
    )


def template(benchmark: Benchmark) -> str:
    """A system.toml to start from, with the version of the data at hand and a comment for each field.

    What only its author knows is left empty, so that it is no entry until it is filled in.
    """
    values = {
        "name": '""',
        "who": '""',
        "link": '""',
        "trained_on": '""',
        "saw_test_articles": '"unknown"',
        "data": f'"{read_manifest(benchmark)["version"]}"',
        "task": '"ner"',
        "split": f'"{BOARD_SPLITS["ner"][0]}"',
    }
    lines = [
        "# The name of the folder that this file lies in is the id of the system.",
        "# Fill in name, who and trained_on: as it stands, this file is refused.",
    ]
    for name, rule in schemas.read_schema("system")["properties"].items():
        if name == "task":
            lines += [
                "",
                f"# These are of {entries.PREDICTIONS}. A file called predictions-<task>-<split>.jsonl says it.",
            ]
        choice = f": {', '.join(rule['enum'])}" if "enum" in rule else ""
        lines.append(f"# {rule['description']}{choice}")
        lines.append(f"{name} = {values[name]}" if name in values else f'# {name} = "…"')
    return "\n".join(lines)
