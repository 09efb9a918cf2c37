"""Systems of a benchmark: baselines and entries, with their predictions."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from jinbench.baselines.recipe import load_recipe
from jinbench.baselines.run import SCORES_FILE
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, ErrorList
from jinbench.dataset.gold import GoldReader
from jinbench.dataset.load import locate_ids
from jinbench.leaderboard.board import SystemInfo
from jinbench.leaderboard.entries import Entry, EntryReader
from jinbench.scoring.gold import Gold, LabelKey, apply_crosswalk
from jinbench.scoring.predictions import Predictions, predictions_file_name, read_predictions

Labels = Mapping[str, frozenset[LabelKey]]  # by id of the item


@dataclass
class SystemPredictions:
    """Predictions of several systems for one gold, by system id.

    Attributes:
        labels: By system and item, the predicted labels.
        about: By system, its description; a system without one is ranked like an entry.
        scores: By system, item and sector, the confidence, where a system has any.
    """

    labels: dict[str, Predictions] = field(default_factory=dict)
    about: dict[str, SystemInfo] = field(default_factory=dict)
    scores: dict[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)

    def add(self, system: str, info: SystemInfo, labels: Predictions) -> None:
        """Add a system, in place of one of the same id."""
        self.labels[system], self.about[system], self.scores[system] = labels, info, labels.scores


class Systems:
    """Baselines and entries of a benchmark. Each recipe, entry and prediction file is read once, when first needed."""

    def __init__(self, benchmark: Benchmark, reader: GoldReader | None = None) -> None:
        self.benchmark = benchmark
        self.reader = reader or GoldReader(benchmark)
        self._baselines: dict[Path, SystemInfo] = {}
        self._predictions: dict[tuple[Path, tuple[tuple[str, ...], ...]], Predictions] = {}

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """All entries. Raises :class:`DataError` with the problems of all of them."""
        return EntryReader(self.reader).read_all()

    def files(self, task: str, split: str, crosswalk: str = "") -> dict[str, tuple[SystemInfo, Path]]:
        """Return description and prediction file of every system of a board, by system id."""
        name = predictions_file_name(task, split, crosswalk)
        systems = {
            path.parent.name: (self._baseline(path.parent), path)
            for path in sorted(self.benchmark.baselines.glob(f"*/{name}"))
        }
        for entry in self.entries:
            if path := entry.files.get((task, split, crosswalk)):
                systems[entry.system.id] = entry.system.info, path
        return systems

    def names(self, gold: Gold) -> list[str]:
        """Return the ids of all systems that :meth:`predictions` reads."""
        return sorted({name for part in {gold.crosswalk, ""} for name in self.files(gold.task, gold.split, part)})

    def predictions(self, gold: Gold, names: Collection[str] | None = None) -> SystemPredictions:
        """Return what every system, or those of `names`, predicts for `gold`; on coarse gold also fine ones, mapped.

        Raises:
            DataError: With the problems of all prediction files.
        """
        problems = ErrorList()
        predictions = SystemPredictions()

        def add(gold: Gold, convert: Callable[[frozenset[LabelKey]], frozenset[LabelKey]] | None = None) -> None:
            for system, (info, path) in self.files(gold.task, gold.split, gold.crosswalk).items():
                if names is not None and system not in names:
                    continue
                try:
                    labels = self._read(path, gold)
                except DataError as error:
                    problems.extend(error.problems)
                    continue
                if convert:
                    labels = Predictions({id: convert(item) for id, item in labels.items()})
                predictions.add(system, info, labels)

        if gold.crosswalk:
            types = self.reader.crosswalk_types(gold.crosswalk)
            add(self.reader.gold(gold.task, gold.split), apply_crosswalk(types))
        add(gold)
        problems.raise_if_any()
        return predictions

    def _read(self, path: Path, gold: Gold) -> Predictions:
        key = path, (gold.ids, gold.texts, gold.names)  # all that predictions are validated against
        if key not in self._predictions:
            self._predictions[key] = read_predictions(path, gold, partial(locate_ids, self.benchmark))
        return self._predictions[key]

    def _baseline(self, folder: Path) -> SystemInfo:
        if folder not in self._baselines:
            self._baselines[folder] = _describe_baseline(folder)
        return self._baselines[folder]


def _describe_baseline(folder: Path) -> SystemInfo:
    """Describe a baseline by its recipe, or else by its results."""
    path = folder.with_suffix(".py")
    if path.is_file():
        recipe = load_recipe(path)
        return SystemInfo("baseline", recipe.name, note=recipe.summary, oracle_inputs=recipe.oracle_inputs)
    record = files.read_json(folder / SCORES_FILE) if (folder / SCORES_FILE).is_file() else {}
    names = record.get("given", ()) if isinstance(record, dict) else ()
    return SystemInfo("baseline", folder.name, oracle_inputs=tuple(map(str, names)) if isinstance(names, list) else ())
