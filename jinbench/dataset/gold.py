"""Read the Gold of a task and split, and the labels of annotators on the same items."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property

from jinbench.annotation.labels import read_label_set
from jinbench.core import files, text
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import fail
from jinbench.core.types import Span, slice_spans
from jinbench.dataset import load
from jinbench.dataset.features import Row
from jinbench.dataset.manifest import Manifest
from jinbench.dataset.splits import FOLD_COLUMNS, SPLITS, normalize_split
from jinbench.scoring.gold import (
    FOLDS,
    LEADERBOARD_SPLITS,
    NOISY,
    TASKS,
    Gold,
    LabelKey,
    apply_crosswalk,
    coarsen_gold,
    collect_surfaces,
)

FOLD_COLUMN = FOLD_COLUMNS[0]  # the repeat of the cross-validation that is scored


class GoldReader:
    """Read gold of one benchmark: its manifest, its label set and each Parquet file once, each gold once."""

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark
        self._rows: dict[tuple[str, str], list[Row]] = {}
        self._gold: dict[tuple[str, str, str], Gold] = {}

    @cached_property
    def manifest(self) -> Manifest:
        """Contents of manifest.json. Raises :class:`DataError` (file-missing, broken-json, wrong-shape)."""
        return load.read_manifest(self.benchmark)

    @cached_property
    def crosswalks(self) -> dict[str, dict[str, str]]:
        """See :func:`read_crosswalks`."""
        return read_crosswalks(self.benchmark)

    @cached_property
    def board_splits(self) -> dict[str, tuple[str, ...]]:
        """For each task that the benchmark has labels for, the splits that systems are ranked on."""
        configs = load.listed_configs(self.manifest)
        return {
            task: tuple(
                split for split in splits if split == FOLDS or "test" in configs.get(task_config(task, split), ())
            )
            for task, splits in LEADERBOARD_SPLITS.items()
            if task in configs and self.manifest["labels"].get(task)
        }

    def rows(self, config: str, split: str | None = None) -> list[Row]:
        """Return the items of a config, see :func:`jinbench.dataset.load.read_rows`."""
        splits = load.select_splits(self.manifest, config, split)
        for name in splits:
            if (config, name) not in self._rows:
                self._rows[config, name] = load.read_rows(self.benchmark, config, name, self.manifest)
        return [row for name in splits for row in self._rows[config, name]]

    def crosswalk_types(self, crosswalk: str, location: str = "crosswalk") -> dict[str, str]:
        """Return the coarse types of a crosswalk by entity type, see :func:`crosswalk_types`."""
        if crosswalk not in self.crosswalks:
            names = ", ".join(self.crosswalks) or "it has none"
            expected = f"a crosswalk of {files.display_path(self.benchmark.labels)}: {names}"
            fail("declaration-unknown", location, expected=expected, found=repr(crosswalk), fix="correct the name")
        return self.crosswalks[crosswalk]

    def gold(self, task: str, split: str, crosswalk: str = "") -> Gold:
        """Return the gold of a task and split, see :func:`read_task_gold`."""
        split = normalize_split(str(split))
        key = str(task), split, str(crosswalk)
        if key not in self._gold:
            if crosswalk and task == "ner":
                fine = self.gold(task, split)
                self._gold[key] = coarsen_gold(fine, crosswalk, self.crosswalk_types(crosswalk))
            else:
                self._gold[key] = self._read(task, split, crosswalk)
        return self._gold[key]

    def _read(self, task: str, split: str, crosswalk: str) -> Gold:
        if task not in TASKS:
            fail("wrong-task", "task", expected=f"one of {', '.join(TASKS)}", found=repr(task), fix="correct the name")
        splits = (*SPLITS, FOLDS, *((NOISY,) if task == "ner" else ()))
        if split not in splits:
            expected = f"one of {', '.join(splits)}; {FOLDS} has all items"
            expected += f", {NOISY} the test sentences under noise" * (task == "ner")
            fail("unknown-id", "split", expected=expected, found=repr(split), fix="correct the name")
        if crosswalk:
            expected = "no crosswalk: sectors have none"
            fail("wrong-task", "crosswalk", expected=expected, found=repr(crosswalk), fix="leave it out")
        if not self.manifest["labels"].get(task):
            expected = f"a task that this dataset has labels for: {', '.join(self.board_splits)}"
            fail("wrong-task", "the label set", expected=expected, found=repr(task), fix="choose another task")
        config = task_config(task, split)
        rows = self.rows(config, None if split in (FOLDS, NOISY) else split)
        gold = gold_from_rows(task, split, rows, self.manifest, config)
        if task != "ner":
            return gold
        facets = dict(gold.facets)
        if "sector" in self.manifest["items"] and (names := self.manifest["labels"]["sector"]):
            sectors = {row["id"]: tuple(names[number] for number in row["sectors"]) for row in self.rows("sector")}
            facets["sector"] = tuple(sectors[row["passage_id"]] for row in rows)
        if split == NOISY:
            facets["noise"] = tuple((f"{row['kind']}-{row['level']}",) for row in rows)
        training_surfaces = _training_surfaces(split, rows, rows if split == FOLDS else self.rows(task, "train"))
        return replace(gold, facets=facets, training_surfaces=training_surfaces, crosswalks=self.crosswalks)

    def annotator_predictions(self, gold: Gold) -> dict[tuple[str, str], dict[str, frozenset[LabelKey]]]:
        """Return labels of each annotator as predictions, see :func:`annotator_predictions`."""
        if gold.split == NOISY or "annotations" not in self.manifest["items"]:
            return {}  # under noise: annotators read the pages, not what noise made of them
        names, items = self.manifest["labels"]["sector"], set(gold.ids)
        labels: dict[tuple[str, str], dict[str, frozenset[LabelKey]]] = {}
        for row in self.rows("annotations", None if gold.split == FOLDS else gold.split):
            if row["annotator"] == self.manifest["gold"]:
                continue
            by_id = labels.setdefault((row["annotator"], row["kind"]), {})
            if gold.task == "sector":
                by_id[row["passage_id"]] = frozenset((names[number],) for number in row["sectors"])
                continue
            spans = [Span(**span) for span in row["spans"]]
            for sentence in text.split_sentences(row["passage_id"], row["text"]):
                by_id[sentence.id] = frozenset(span[:3] for span in slice_spans(spans, sentence.start, sentence.end))
        labels = {annotator: by_id for annotator, by_id in labels.items() if by_id.keys() >= items}
        if gold.crosswalk:
            convert = apply_crosswalk(self.crosswalk_types(gold.crosswalk))
            labels = {
                annotator: {id: convert(spans) for id, spans in by_id.items()} for annotator, by_id in labels.items()
            }
        return labels


def read_task_gold(benchmark: Benchmark, task: str, split: str, crosswalk: str = "") -> Gold:
    """Read the gold of a task on a split.

    Args:
        benchmark: The benchmark.
        task: "ner" or "sector".
        split: train, validation, test, folds for all items, or of ner noisy.
        crosswalk: Name of a crosswalk of labels.toml: the gold then has its coarse labels.

    Returns:
        The gold with its facets, folds and crosswalks.

    Raises:
        DataError: [file-missing, file-changed, wrong-task, unknown-id, declaration-unknown].
    """
    return GoldReader(benchmark).gold(task, split, crosswalk)


def board_splits(benchmark: Benchmark) -> dict[str, tuple[str, ...]]:
    """Return, for each task that the benchmark has labels for, the splits that systems are ranked on.

    Raises :class:`DataError` (file-missing, broken-json, wrong-shape).
    """
    return GoldReader(benchmark).board_splits


def task_config(task: str, split: str) -> str:
    """Return the config that has the items of a split."""
    return f"{task}_noisy" if split == NOISY else task


def _training_surfaces(split: str, rows: Sequence[Row], train: Sequence[Row]) -> tuple[frozenset[str], ...]:
    """Return for each row the surfaces, of any type, in what a system may learn from before it predicts it."""
    if split != FOLDS:
        return (collect_surfaces(train),) * len(rows)
    folds = {row[FOLD_COLUMN] for row in rows}
    by_fold = {fold: collect_surfaces(row for row in train if row[FOLD_COLUMN] != fold) for fold in folds}
    return tuple(by_fold[row[FOLD_COLUMN]] for row in rows)


def gold_from_rows(task: str, split: str, rows: Sequence[Row], manifest: Manifest, config: str | None = None) -> Gold:
    """Return the gold of `rows`, of the config `task` or of another one with its labels."""
    names = tuple(manifest["labels"][task])
    labels: list[Iterable[LabelKey]]
    if task == "ner":
        labels = [[(s["start"], s["end"], s["type"]) for s in row["spans"]] for row in rows]
    else:
        labels = [[(names[number],) for number in row["sectors"]] for row in rows]
    return Gold(
        task,
        split,
        names,
        tuple(row["id"] for row in rows),
        tuple(row["text"] for row in rows),
        tuple(map(frozenset, labels)),
        tuple(row["article_id"] for row in rows),
        tuple(row[FOLD_COLUMN] for row in rows),
        str(manifest["version"]),
        str(manifest["configs"][config or task]),
        str(manifest["sha256"]),
        facets={"layout": tuple((row["layout"],) for row in rows)} if any(row["layout"] for row in rows) else {},
    )


def read_crosswalks(benchmark: Benchmark) -> dict[str, dict[str, str]]:
    """Return for each crosswalk of the label set the coarse type of each entity type; "" where it is left out.

    Empty without labels.toml. Raises :class:`DataError` with what is wrong in labels.toml.
    """
    entities = read_label_set(benchmark).entities if benchmark.labels.is_file() else ()
    names = dict.fromkeys(name for entity in entities for name in entity.crosswalk or ())
    return {name: {entity.name: (entity.crosswalk or {}).get(name, "") for entity in entities} for name in names}


def main_crosswalk(benchmark: Benchmark) -> str:
    """Return the first crosswalk of labels.toml, which ranks fine and coarse systems in one table; or ""."""
    return next(iter(read_crosswalks(benchmark)), "")


def crosswalk_types(benchmark: Benchmark, crosswalk: str, location: str = "crosswalk") -> dict[str, str]:
    """Return the coarse type of each entity type in a crosswalk. Raises :class:`DataError` (declaration-unknown)."""
    return GoldReader(benchmark).crosswalk_types(crosswalk, location)


def annotator_predictions(benchmark: Benchmark, gold: Gold) -> dict[tuple[str, str], dict[str, frozenset[LabelKey]]]:
    """Return labels of each annotator on the items of `gold` as predictions, by name and kind (person, language model).

    The annotator whose labels are the gold is left out, and those who labelled only some of the items: what was not
    assigned is no mistake. Nobody labelled sentences under noise.
    Raises :class:`DataError` (file-missing, file-changed).
    """
    return GoldReader(benchmark).annotator_predictions(gold)
