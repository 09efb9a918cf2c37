"""Submission of entries: validate every file, then copy to leaderboard/entries/, whole or not at all."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jinbench.baselines.run import SCORES_FILE
from jinbench.core import files, folders, jsonl
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, ErrorList, shorten
from jinbench.dataset.gold import GoldReader
from jinbench.dataset.load import find_split, locate_ids
from jinbench.leaderboard.board import Board
from jinbench.leaderboard.entries import SYSTEM_FILE, BoardKey, Entry, EntryReader, entries_dir
from jinbench.leaderboard.ranking import rank_systems
from jinbench.leaderboard.systems import Systems
from jinbench.scoring.gold import Gold
from jinbench.scoring.predictions import BIO_TAGS, Predictions, TagOptions, read_predictions, size_limit, to_rows


@dataclass(frozen=True)
class PredictionFile:
    """A validated prediction file, and the gold to score it on.

    Attributes:
        data: The bytes that were validated.
        narrower_split: The split that all predictions are of, where the table has items of others too.
    """

    board: BoardKey
    path: Path
    data: bytes
    gold: Gold
    predictions: Predictions
    narrower_split: str = ""

    @property
    def items(self) -> int:
        """Number of items of the table."""
        return len(self.gold.ids)

    @property
    def predicted(self) -> int:
        """Number of items with a prediction."""
        return len(self.predictions)

    @property
    def missing(self) -> int:
        """Number of items without a prediction. Each of their labels counts as missed."""
        return self.items - self.predicted

    @property
    def title(self) -> str:
        """Task, labels and split for a table."""
        task, split, crosswalk = self.board
        return ", ".join(filter(None, (task, crosswalk and f"coarse ({crosswalk})", split)))


@dataclass(frozen=True)
class CheckedEntry:
    """An entry with all of its files validated."""

    entry: Entry
    files: tuple[PredictionFile, ...]


@dataclass(frozen=True)
class Submission:
    """Result of a submission. `state`: "checked" (it lies there already), "new", "replaced" or "the same"."""

    checked: CheckedEntry
    folder: Path
    state: str


def check_entry(benchmark: Benchmark, folder: Path, options: TagOptions = BIO_TAGS) -> CheckedEntry:
    """Read an entry and validate every prediction file against its gold; `options` say how to read tags.

    Raises:
        DataError: As :func:`jinbench.leaderboard.entries.read_entry`, and with the problems of all files at once.
    """
    reader = GoldReader(benchmark)
    entries = EntryReader(reader)
    entry = entries.read(folder)
    problems = ErrorList()
    entries.check_name(entry, problems)
    checked = []
    for board, path in entry.files.items():
        gold = reader.gold(*board)
        if problem := jsonl.size_problem(path, size_limit(gold)):
            problems.append(problem)
            continue
        try:
            data = files.read_bytes(path)
            predictions = read_predictions(path, gold, partial(locate_ids, benchmark), options, data)
            split = find_split(predictions, gold, benchmark)
            checked.append(PredictionFile(board, path, data, gold, predictions, split))
        except DataError as error:
            problems.extend(error.problems)
    _check_oracle_inputs(entry, problems)
    problems.raise_if_any()
    return CheckedEntry(entry, tuple(checked))


def _check_oracle_inputs(entry: Entry, problems: ErrorList) -> None:
    """Add a problem if `jinbench run` noted that the recipe has gold labels as input."""
    path = entry.folder / SCORES_FILE
    try:
        record = files.read_json(path) if path.is_file() and not jsonl.size_problem(path, 2**26) else {}
    except DataError:
        return  # the file is not copied, whatever is in it
    inputs = record.get("given") if isinstance(record, dict) else None
    if inputs:
        location, fix = f"{files.display_path(path)} given", "take GIVEN out of the recipe, and run it again"
        expected = "a system without gold labels as input"
        problems.add("declaration-unknown", location, expected=expected, found=shorten(inputs), fix=fix)


def rank_entry(benchmark: Benchmark, checked: CheckedEntry) -> list[Board]:
    """Return the leaderboard tables, one per prediction file, as they would be with the entry in them."""
    systems, system = Systems(benchmark), checked.entry.system
    boards = []
    for part in checked.files:
        predictions = systems.predictions(part.gold)
        predictions.add(system.id, system.info, part.predictions)
        boards.append(rank_systems(part.gold, predictions))
    return boards


def submit(
    benchmark: Benchmark, folder: Path, replace: bool = False, dry_run: bool = False, options: TagOptions = BIO_TAGS
) -> Submission:
    """Validate an entry and copy it to leaderboard/entries/<id>/: system.toml and the predictions, nothing else.

    An entry that lies there already is only validated, as it is. Where `options` are not the usual ones, predictions
    that are tags are stored as the spans that they mean.

    Args:
        benchmark: The benchmark.
        folder: Folder of the entry.
        replace: Replace another entry of the same id.
        dry_run: Copy nothing.
        options: How to read tags.

    Returns:
        The checked entry, its folder, and what was done.

    Raises:
        DataError: [folder-taken], and as :func:`check_entry`.
    """
    target = entries_dir(benchmark) / folder.absolute().name
    if folder.resolve() == target.resolve():
        return Submission(check_entry(benchmark, folder), target, "checked")
    checked = check_entry(benchmark, folder, options)
    entry = checked.entry
    contents = {SYSTEM_FILE: entry.system_toml, **{part.path.name: part.data for part in checked.files}}
    for part in checked.files:
        if part.predictions.tagged and options != BIO_TAGS:
            contents[part.path.name] = files.dump_jsonl(to_rows("ner", part.predictions.items())).encode()
    exists = target.exists()
    if target.is_dir() and contents == {name: path.read_bytes() for name, path in files.list_files(target).items()}:
        return Submission(checked, target, "the same")

    def is_ours(path: Path) -> bool:
        is_of_entry = path.name == SYSTEM_FILE or path.match("predictions*.jsonl")
        return replace and path.parent == target and is_of_entry and path.is_file() and not path.is_symlink()

    fix = "look at what is there" if replace else "if it is yours and you mean it: --replace; else rename yours"
    folders.require_free_folder(target, fix, is_ours)
    if not dry_run:
        with folders.temporary_folder(target) as temporary:
            for name, data in contents.items():
                files.write_bytes(temporary / "new" / name, data)
            folders.place_folder(temporary / "new", target, fix, is_ours)
    return Submission(checked, target, "replaced" if exists else "new")
