"""Format of an entry: its description, JSON Schema and template, with an item of the dataset as example."""

import json

from jinbench.core import schemas
from jinbench.core.benchmark import Benchmark, packaged_benchmark
from jinbench.core.types import JsonObject
from jinbench.dataset.gold import GoldReader
from jinbench.dataset.load import read_manifest
from jinbench.leaderboard.entries import PREDICTIONS_FILE, EntryReader
from jinbench.scoring.gold import FOLDS, LEADERBOARD_SPLITS
from jinbench.scoring.predictions import LABEL_FIELDS, predictions_file_name, to_rows

KINDS = (*LEADERBOARD_SPLITS, "system")


def build_schema(benchmark: Benchmark, kind: str) -> JsonObject:
    """Return the JSON Schema of system.toml ("system"), or of a line of predictions for a task with its labels."""
    if kind == "system":
        return schemas.read_schema("system")
    schema = schemas.read_schema("prediction")
    line: JsonObject = schema["$defs"][kind]
    names = {"enum": list(read_manifest(benchmark)["labels"][kind])}
    if kind == "ner":
        line["properties"]["spans"]["items"]["properties"]["type"] |= names
    else:
        line["properties"]["sectors"]["items"] |= names
        line["properties"]["scores"]["propertyNames"] = names
    return {"$schema": schema["$schema"], "title": f"a line of predictions for {kind}", **line}


def describe_format(benchmark: Benchmark, kind: str) -> str:
    """Return a description of predictions for a task with an example, or the template of system.toml ("system")."""
    if kind == "system":
        return system_template(benchmark)
    reader = GoldReader(benchmark)
    boards = reader.board_splits.get(kind, LEADERBOARD_SPLITS[kind])
    names, split = reader.manifest["labels"][kind], boards[0]
    gold = reader.gold(kind, split)
    # The example is the shortest item that has a label, with its gold.
    labelled = [i for i, labels in enumerate(gold.labels) if labels] or list(range(len(gold.ids)))
    best = min(labelled, key=lambda i: len(gold.texts[i]))
    (row,) = to_rows(kind, [(gold.ids[best], gold.labels[best])])
    spans = row.get("spans")
    for span in spans if isinstance(spans, list) else ():
        span["surface"] = gold.texts[best][span["start"] : span["end"]]
    field = LABEL_FIELDS[kind]
    remark = {
        "ner": "Offsets count Unicode code points of `text` from 0, the end is exclusive; spans do not overlap. "
        "`surface` is optional;\nif present it is checked.",
        "sector": 'Optional `scores` are the confidence of the system: {"'
        + (names[0] if names else "…")
        + '": 0.9, …}, finite numbers.',
    }[kind]
    if benchmark.root == packaged_benchmark().root:
        load = f'jinbench.load("{kind}")' if split == FOLDS else f'jinbench.load("{kind}", "{split}")'
    else:
        load = f'load_dataset("{benchmark.dataset}", "{kind}")' + ("" if split == FOLDS else f'["{split}"]')
    splits = ", ".join(boards)
    if FOLDS in boards:
        splits += f" ({FOLDS}: all items, each predicted by a model that saw nothing of its fold_1)"
    file_names = ", ".join(predictions_file_name(kind, split) for split in boards)
    keys = EntryReader(reader).boards_by_file.values()
    if coarse := {crosswalk for task, _, crosswalk in keys if task == kind and crosswalk}:
        file_names += f"\n         for coarse labels {predictions_file_name(kind, split, '<crosswalk>')}, …"
        file_names += f" with {', '.join(sorted(coarse))}"
    return "\n".join(
        [
            f"{kind}: JSON Lines in UTF-8, a line for each item, in any order",
            "",
            json.dumps(row, ensure_ascii=False),
            "",
            f"That is the gold of the item whose text is: {gold.texts[best]}",
            remark,
            f"An empty list means none. An item without a line counts as wrong, and so does each of its {field}.",
            "",
            f"labels   {', '.join(names)}",
            f"items    {load}: {len(gold.ids)} of them; ids {gold.ids[0]} … {gold.ids[-1]}",
            f"splits   {splits}",
            f"files    {file_names}",
            f"schema   jinbench submit --schema {kind}",
        ]
    )


def system_template(benchmark: Benchmark) -> str:
    """Return a system.toml to start from, with the version of the dataset and a comment for each field.

    What only its author can say is empty, so that it is refused until it is filled in.
    """
    values = {
        "name": '""',
        "who": '""',
        "link": '""',
        "trained_on": '""',
        "saw_test_articles": '"unknown"',
        "data": f'"{read_manifest(benchmark)["version"]}"',
        "task": '"ner"',
        "split": f'"{LEADERBOARD_SPLITS["ner"][0]}"',
    }
    lines = [
        "# The name of the folder that this file lies in is the id of the system.",
        "# Fill in name, who and trained_on: as it stands, this file is refused.",
    ]
    for name, rule in schemas.read_schema("system")["properties"].items():
        if name == "task":
            lines += [
                "",
                f"# These are of {PREDICTIONS_FILE}. A file called predictions-<task>-<split>.jsonl says it.",
            ]
        choice = f": {', '.join(rule['enum'])}" if "enum" in rule else ""
        lines.append(f"# {rule['description']}{choice}")
        lines.append(f"{name} = {values[name]}" if name in values else f'# {name} = "…"')
    return "\n".join(lines)
