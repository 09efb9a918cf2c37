"""What predictions are held against: the gold of a task on a split, and what annotators say of the same items."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from jinbench.annotation.labels import read_label_set
from jinbench.core import files, text
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem
from jinbench.core.types import Span, within
from jinbench.dataset import load
from jinbench.dataset.splits import FOLD_COLUMNS, SPLITS
from jinbench.scoring.gold import (
    BOARD_SPLITS,
    FOLDS,
    NOISY,
    TASKS,
    Gold,
    LabelKey,
    apply_crosswalk,
    coarse_gold,
    surfaces,
)

FOLD = FOLD_COLUMNS[0]  # the repeat of the cross-validation that is scored


def read_task_gold(benchmark: Benchmark, task: str, split: str, crosswalk: str = "") -> Gold:
    """The gold of a task: `split` is train, validation, test, folds for all items, or of ner noisy; or a coarse one.

    Raises :class:`DataError` (file-missing, file-changed, wrong-task, unknown-id, declaration-unknown).
    """
    if task not in TASKS:
        raise DataError(
            Problem(
                "wrong-task",
                location="--task",
                expected=f"one of {', '.join(TASKS)}",
                found=repr(task),
                fix="correct the name",
            )
        )
    splits = (*SPLITS, FOLDS, *((NOISY,) if task == "ner" else ()))
    if split not in splits:
        expected = (
            f"one of {', '.join(splits)}; {FOLDS} has all items"
            + f", {NOISY} the test sentences under noise" * (task == "ner")
        )
        raise DataError(
            Problem("unknown-id", location="--split", expected=expected, found=repr(split), fix="correct the name")
        )
    if crosswalk and task != "ner":
        expected, hint = "no crosswalk: sectors have none", "leave it out"
        raise DataError(Problem("wrong-task", location="CROSSWALK", expected=expected, found=repr(crosswalk), fix=hint))
    listing = load.read_manifest(benchmark)
    if not listing["labels"].get(task):
        expected = f"a task that this dataset has labels for: {', '.join(board_splits(benchmark))}"
        raise DataError(
            Problem(
                "wrong-task", location="the label set", expected=expected, found=repr(task), fix="choose another task"
            )
        )
    config = config_of(task, split)
    rows = load.read_rows(benchmark, config, None if split in (FOLDS, NOISY) else split)
    found = gold_from_rows(task, split, rows, listing, config)
    if task == "ner":
        known_sectors = listing["labels"]["sector"] if "sector" in listing["items"] else ()
        facets = {"sector": _sectors(benchmark, rows, known_sectors)} if known_sectors else {}
        if split == NOISY:
            facets["noise"] = tuple((f"{row['kind']}-{row['level']}",) for row in rows)
        known = _known(split, rows, rows if split == FOLDS else load.read_rows(benchmark, task, "train"))
        found = replace(found, facets={**found.facets, **facets}, known=known, crosswalks=read_crosswalks(benchmark))
    return coarse_gold(found, crosswalk, crosswalk_types(benchmark, crosswalk)) if crosswalk else found


def board_splits(benchmark: Benchmark) -> dict[str, tuple[str, ...]]:
    """What systems can be held against in this benchmark: for each task that it has labels for, the splits.

    Raises :class:`DataError` (file-missing, broken-json, wrong-shape).
    """
    listing = load.read_manifest(benchmark)
    known = load.listed_configs(listing)
    return {
        task: tuple(split for split in splits if split == FOLDS or "test" in known.get(config_of(task, split), ()))
        for task, splits in BOARD_SPLITS.items()
        if task in known and listing["labels"].get(task)
    }


def config_of(task: str, split: str) -> str:
    """The config of the dataset that has the items of a split."""
    return f"{task}_noisy" if split == NOISY else task


def _sectors(benchmark: Benchmark, rows: Sequence[dict[str, Any]], names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The sectors of the passages that sentences are from."""
    of = {row["id"]: tuple(names[number] for number in row["sectors"]) for row in load.read_rows(benchmark, "sector")}
    return tuple(of[row["passage_id"]] for row in rows)


def _known(split: str, rows: Sequence[dict[str, Any]], train: Sequence[dict[str, Any]]) -> tuple[frozenset[str], ...]:
    """The surfaces that are labelled, as whatever type, in what a system may learn from before it predicts each row."""
    if split != FOLDS:
        return (surfaces(train),) * len(rows)
    of = {fold: surfaces(row for row in train if row[FOLD] != fold) for fold in {row[FOLD] for row in rows}}
    return tuple(of[row[FOLD]] for row in rows)


def gold_from_rows(
    task: str, split: str, rows: Sequence[dict[str, Any]], listing: dict[str, Any], config: str | None = None
) -> Gold:
    """The gold that `rows` hold, of the config `task` or another with its labels; `listing` is their manifest."""
    names = tuple(listing["labels"][task])
    found: list[Iterable[LabelKey]]
    if task == "ner":
        found = [[(s["start"], s["end"], s["type"]) for s in row["spans"]] for row in rows]
    else:
        found = [[(names[number],) for number in row["sectors"]] for row in rows]
    return Gold(
        task,
        split,
        names,
        tuple(row["id"] for row in rows),
        tuple(row["text"] for row in rows),
        tuple(frozenset(labels) for labels in found),
        tuple(row["article_id"] for row in rows),
        tuple(row[FOLD] for row in rows),
        str(listing["version"]),
        str(listing["configs"][config or task]),
        str(listing["sha256"]),
        facets={"layout": tuple((row["layout"],) for row in rows)} if any(row["layout"] for row in rows) else {},
    )


def read_crosswalks(benchmark: Benchmark) -> dict[str, dict[str, str]]:
    """For each crosswalk of the label set, what the entity types become in it; "" is left out.

    Raises :class:`DataError` (what is wrong with labels.toml). None where there is no labels.toml.
    """
    entities = read_label_set(benchmark).entities if benchmark.labels.is_file() else ()
    names = dict.fromkeys(name for entity in entities for name in entity.crosswalk or ())
    return {name: {entity.name: (entity.crosswalk or {}).get(name, "") for entity in entities} for name in names}


def main_crosswalk(benchmark: Benchmark) -> str:
    """The first crosswalk of labels.toml: on it fine and coarse systems stand in one table. Empty if there is none."""
    return next(iter(read_crosswalks(benchmark)), "")


def crosswalk_types(benchmark: Benchmark, crosswalk: str, place: str = "CROSSWALK") -> dict[str, str]:
    """What the entity types become in a crosswalk. Raises :class:`DataError` (declaration-unknown)."""
    known = read_crosswalks(benchmark)
    if crosswalk not in known:
        expected = f"a crosswalk of {files.shown(benchmark.labels)}: {', '.join(known) or 'it has none'}"
        raise DataError(
            Problem(
                "declaration-unknown", location=place, expected=expected, found=repr(crosswalk), fix="correct the name"
            )
        )
    return known[crosswalk]


def annotator_predictions(benchmark: Benchmark, gold: Gold) -> dict[tuple[str, str], dict[str, frozenset[LabelKey]]]:
    """What each annotator says of the items of `gold`, as predictions, by name and kind (person, language model).

    One whose labels are the gold is left out, and one who was given only some of the items: what somebody was not
    asked is no mistake. None has labelled sentences under noise.
    Raises :class:`DataError` (file-missing, file-changed).
    """
    if gold.split == NOISY:
        return {}  # they read the pages, not what noise made of them
    listing = load.read_manifest(benchmark)
    if "annotations" not in listing["items"]:
        return {}
    rows = load.read_rows(benchmark, "annotations", None if gold.split == FOLDS else gold.split)
    names = listing["labels"]["sector"]
    found: dict[tuple[str, str], dict[str, frozenset[LabelKey]]] = {}
    for row in rows:
        if row["annotator"] == listing["gold"]:
            continue
        said = found.setdefault((row["annotator"], row["kind"]), {})
        if gold.task == "sector":
            said[row["passage_id"]] = frozenset((names[number],) for number in row["sectors"])
            continue
        spans = [Span(**span) for span in row["spans"]]
        for sentence in text.split_sentences(row["passage_id"], row["text"]):
            said[sentence.id] = frozenset(span[:3] for span in within(spans, sentence.start, sentence.end))
    found = {who: said for who, said in found.items() if said.keys() >= set(gold.ids)}
    if gold.crosswalk:
        convert = apply_crosswalk(crosswalk_types(benchmark, gold.crosswalk))
        found = {who: {id: convert(spans) for id, spans in said.items()} for who, said in found.items()}
    return found
