"""Entries of the leaderboard: a folder with predictions of a system and its description in system.toml."""

import difflib
import os
import re
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

from jinbench.annotation.annotators import read_annotators
from jinbench.baselines.learning_curve import CURVE_FILE
from jinbench.baselines.run import SCORES_FILE
from jinbench.core import files, jsonl
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, ErrorList, fail, shorten
from jinbench.dataset.gold import GoldReader
from jinbench.leaderboard.board import SystemInfo
from jinbench.leaderboard.names import find_illegible, fold_name
from jinbench.scoring.gold import FOLDS, LEADERBOARD_SPLITS
from jinbench.scoring.predictions import predictions_file_name

SYSTEM_FILE, PREDICTIONS_FILE = "system.toml", "predictions.jsonl"
REMADE_FILES = (SCORES_FILE, CURVE_FILE)  # what `jinbench run` leaves besides predictions: never copied
MAX_ID_LENGTH = 64  # characters
_ID = re.compile(r"[a-z0-9][a-z0-9._-]*")
_SYSTEM_LIMIT = 100_000  # bytes

BoardKey = tuple[str, str, str]  # task, split, crosswalk; the last is empty for the whole label set


@dataclass(frozen=True)
class SystemDescription:
    """Contents of system.toml.

    Attributes:
        id: Name of the folder.
        saw_test_articles: "no", "yes" or "unknown".
        data: Version of the dataset that was predicted.
        task, split, crosswalk: The leaderboard table of predictions.jsonl.
        model: Pretrained model that it builds on; empty for none.
        parameters: Their number, as "7B".
        date: ISO date of its predictions.
    """

    id: str
    name: str
    who: str
    link: str
    trained_on: str
    saw_test_articles: str
    data: str
    task: str = ""
    split: str = ""
    crosswalk: str = ""
    note: str = ""
    model: str = ""
    parameters: str = ""
    date: str = ""

    @property
    def info(self) -> SystemInfo:
        """Description for a leaderboard table."""
        shared = {field.name: getattr(self, field.name) for field in fields(SystemInfo) if hasattr(self, field.name)}
        return SystemInfo("entry", **shared)


@dataclass(frozen=True)
class Entry:
    """A system and its prediction files by leaderboard table; `ignored` are names of other files in the folder.

    `system_toml`: the bytes that `system` was read from.
    """

    system: SystemDescription
    system_toml: bytes
    folder: Path
    files: dict[BoardKey, Path]
    ignored: tuple[str, ...] = ()


def entries_dir(benchmark: Benchmark) -> Path:
    """Return the folder of all entries."""
    return benchmark.leaderboard / "entries"


def read_entry(benchmark: Benchmark, folder: Path) -> Entry:
    """Read the entry in a folder, without its predictions.

    Args:
        benchmark: The benchmark that the entry is for.
        folder: Folder with system.toml and prediction files; its name is the id of the system.

    Returns:
        The entry, validated but not scored.

    Raises:
        DataError: [file-missing, file-too-big, not-utf8, broken-toml, wrong-shape, wrong-version, wrong-task,
            duplicate-id, unknown-id, declaration-unknown], all problems at once.
    """
    return EntryReader(GoldReader(benchmark)).read(folder)


def read_all_entries(benchmark: Benchmark) -> tuple[Entry, ...]:
    """Read every entry of a benchmark, see :meth:`EntryReader.read_all`."""
    return EntryReader(GoldReader(benchmark)).read_all()


class EntryReader:
    """Read entries of one benchmark; what they are held against is read once."""

    def __init__(self, reader: GoldReader) -> None:
        self.reader, self.benchmark = reader, reader.benchmark

    @cached_property
    def boards_by_file(self) -> dict[str, BoardKey]:
        """Leaderboard tables that an entry can be in, by name of the prediction file."""
        boards = [(task, split, "") for task, splits in LEADERBOARD_SPLITS.items() for split in splits]
        boards += [("ner", split, name) for name in self.reader.crosswalks for split in LEADERBOARD_SPLITS["ner"]]
        return {
            predictions_file_name(task, split, crosswalk): (task, split, crosswalk) for task, split, crosswalk in boards
        }

    @cached_property
    def reserved_ids(self) -> dict[str, str]:
        """Ids that an entry cannot have, and of what they are."""
        baselines = self.benchmark.baselines.glob("[!.]*")
        reserved = {path.stem if path.is_file() else path.name: "a baseline" for path in baselines}
        if self.benchmark.annotators.is_file():
            annotators = read_annotators(self.benchmark)
            names = (*annotators.names, *(reviewer.name for reviewer in annotators.reviewers))
            reserved |= dict.fromkeys(names, "an annotator")
        return reserved

    def check_name(self, entry: Entry, problems: ErrorList) -> None:
        """Add a problem if the name of an entry looks like that of a baseline, an annotator or another entry."""
        owners = {fold_name(name): owner for name, owner in self.reserved_ids.items()}
        for folder in sorted(entries_dir(self.benchmark).glob("[!.]*/")):
            data = self._read_bytes(folder, ErrorList()) if folder.name != entry.system.id else None
            if data is not None and (other := self._read_system(folder, data, ErrorList())):
                owners[fold_name(other.name)] = f"the entry {other.id}"
        if owner := owners.get(fold_name(entry.system.name)):
            location, found = f"{files.display_path(entry.folder / SYSTEM_FILE)} name", f"one that looks like {owner}"
            fix = "give it a name that nobody takes for the other"
            problems.add("duplicate-id", location, expected="a name of its own", found=found, fix=fix)

    def read_all(self) -> tuple[Entry, ...]:
        """Read every entry below leaderboard/entries, in order of their ids.

        A hidden folder, such as one that is being copied, is no entry.

        Raises:
            DataError: With the problems of all entries.
        """
        problems = ErrorList()
        entries = []
        _refuse_links(entries_dir(self.benchmark), "[!.]*")
        for folder in sorted(entries_dir(self.benchmark).glob("[!.]*/")):
            try:
                entries.append(self.read(folder))
            except DataError as error:
                problems.extend(error.problems)
        problems.raise_if_any()
        return tuple(entries)

    def read(self, folder: Path) -> Entry:
        """Read one entry, see :func:`read_entry`."""
        folder = Path(os.path.abspath(folder))
        _refuse_links(folder)
        if not folder.is_dir():
            found = "a file" if folder.exists() else "nothing"
            fix = f"put {SYSTEM_FILE} and predictions into a folder, and name that"
            fail("file-missing", files.display_path(folder), expected="a folder", found=found, fix=fix)
        problems = ErrorList()
        self._check_id(folder, problems)
        data = self._read_bytes(folder, problems)
        system = None if data is None else self._read_system(folder, data, problems)
        if data is None or system is None:
            raise DataError(problems)
        paths = self._find_predictions(folder, system, problems)
        problems.raise_if_any()
        used = {SYSTEM_FILE, *(path.name for path in paths.values()), *REMADE_FILES}
        names = (f"{path.name}/" if path.is_dir() else path.name for path in sorted(folder.iterdir()))
        ignored = tuple(name for name in names if name not in used and not name.startswith("."))
        return Entry(system, data, folder, paths, ignored)

    def _check_id(self, folder: Path, problems: ErrorList) -> None:
        """Check the name of the folder, which is the id of the system."""
        id, location = folder.name, files.display_path(folder)
        if not _ID.fullmatch(id) or len(id) > MAX_ID_LENGTH:
            expected = f"a name of a-z, 0-9, -, _ and ., {MAX_ID_LENGTH} characters or fewer, "
            expected += "with a letter or digit first"
            fix = "rename the folder: its name is the id of the system; system.toml has the name that is printed"
            problems.add("wrong-shape", location, expected=expected, found=shorten(id, 80), fix=fix)
        elif owner := self.reserved_ids.get(id):
            problems.add(
                "duplicate-id",
                location,
                expected="a name of its own",
                found=f"that of {owner}",
                fix="rename the folder",
            )

    def _read_bytes(self, folder: Path, problems: ErrorList) -> bytes | None:
        """Read the bytes of system.toml; None if they cannot be read."""
        path = folder / SYSTEM_FILE
        location = files.display_path(path)
        if not path.is_file():
            expected, fix = (
                "a file that describes the system",
                "print one to start from: jinbench submit --template system",
            )
            problems.add("file-missing", location, expected=expected, found="none", fix=fix)
            return None
        if problem := jsonl.size_problem(path, _SYSTEM_LIMIT):
            problems.append(problem)
            return None
        return files.read_bytes(path)

    def _read_system(self, folder: Path, data: bytes, problems: ErrorList) -> SystemDescription | None:
        """Read system.toml; None if it cannot be read."""
        path = folder / SYSTEM_FILE
        location = files.display_path(path)
        try:
            system = SystemDescription(folder.name, **files.read_toml(path, "system", data=data))
        except DataError as error:
            problems.extend(error.problems)
            return None
        for field in ("name", "who", "model"):
            if found := find_illegible(getattr(system, field)):
                expected, fix = "characters that can be seen", f"take {found} out"
                problems.add("wrong-shape", f"{location} {field}", expected=expected, found=found, fix=fix)
        version = str(self.reader.manifest["version"])
        release = version.split(".")[:2]
        if system.data.split(".")[:2] != release:
            expected = f"{'.'.join(release)}.…, as the data at hand ({version}); the third part may differ"
            fix = f'predict the items of this version, then write data = "{version}"'
            problems.add("wrong-version", f"{location} data", expected=expected, found=system.data, fix=fix)
        if system.crosswalk:
            try:
                self.reader.crosswalk_types(system.crosswalk, f"{location} crosswalk")
            except DataError as error:
                problems.extend(error.problems)
        return system

    def _find_predictions(self, folder: Path, system: SystemDescription, problems: ErrorList) -> dict[BoardKey, Path]:
        """Return the prediction files by leaderboard table, in the order of the tables."""
        paths: dict[BoardKey, Path] = {}
        plain = folder / PREDICTIONS_FILE
        if os.path.lexists(plain) and (board := _plain_board(folder, system, problems)):
            paths[board] = plain
        for path in sorted(folder.glob("predictions?*")):
            location, named = files.display_path(path), self.boards_by_file.get(path.name)
            if named is None and path.suffix == ".jsonl" and path != plain:
                near = difflib.get_close_matches(path.name, self.boards_by_file, 1)
                fix = f"rename it{f' to {near[0]}' if near else ''}, or take it out"
                expected = f"one of {', '.join(self.boards_by_file)}"
                problems.add("unknown-id", location, expected=expected, found=path.name, fix=fix)
            elif named in paths:
                twice, fix = "/".join(filter(None, named or ())), f"keep this one or {paths[named].name}"
                problems.add(
                    "duplicate-id",
                    location,
                    expected="one file for each leaderboard table",
                    found=f"two for {twice}",
                    fix=fix,
                )
            elif named:
                paths[named] = path
        for path in paths.values():
            if not path.is_file():
                found = "a folder" if path.is_dir() else "something that cannot be copied"
                fix = "put the file itself there"
                problems.add("file-missing", files.display_path(path), expected="a file", found=found, fix=fix)
        if not paths and not problems:
            expected = f"{PREDICTIONS_FILE}, or files such as {' and '.join(list(self.boards_by_file)[:2])}"
            others = [path.name for path in sorted(folder.iterdir()) if path.name != SYSTEM_FILE]
            found = shorten(", ".join(others), 80) if others else "none"
            fix = "put the predictions there; jinbench submit --template prints what they look like"
            problems.add("file-missing", files.display_path(folder), expected=expected, found=found, fix=fix)
        return {board: paths[board] for board in self.boards_by_file.values() if board in paths}


def _refuse_links(folder: Path, pattern: str = "*") -> None:
    """Raise (file-missing) if a folder or something in it is a link: what it leads to is not the submitter's."""
    problems = ErrorList()
    for path in (folder, *sorted(folder.glob(pattern))) if not folder.is_symlink() else (folder,):
        if path.is_symlink():
            location, fix = files.display_path(path.parent), "put the file or folder itself there"
            problems.add("file-missing", f"{location}/{path.name}", expected="no link", found="a link", fix=fix)
    problems.raise_if_any()


def _plain_board(folder: Path, system: SystemDescription, problems: ErrorList) -> BoardKey | None:
    """Return the leaderboard table of predictions.jsonl, which system.toml names."""
    location, before = files.display_path(folder / SYSTEM_FILE), len(problems)
    for field, value in (("task", system.task), ("split", system.split)):
        if not value:
            choice = (
                tuple(LEADERBOARD_SPLITS) if field == "task" else LEADERBOARD_SPLITS.get(system.task, ("test", FOLDS))
            )
            expected = f"which {field} {PREDICTIONS_FILE} is for: {', '.join(choice)}"
            fix = f'write {field} = "{choice[0]}"'
            problems.add("wrong-shape", f"{location} {field}", expected=expected, found="nothing", fix=fix)
    if len(problems) > before:
        return None
    splits = LEADERBOARD_SPLITS[system.task]
    if system.split not in splits:
        expected = f"a split that {system.task} has a leaderboard table for: {', '.join(splits)}"
        fix = "correct the name"
        problems.add("unknown-id", f"{location} split", expected=expected, found=shorten(system.split), fix=fix)
    if system.crosswalk and system.task != "ner":
        expected, found, fix = "no crosswalk: sectors have none", shorten(system.crosswalk), "take the line away"
        problems.add("wrong-task", f"{location} crosswalk", expected=expected, found=found, fix=fix)
    return None if len(problems) > before else (system.task, system.split, system.crosswalk)
