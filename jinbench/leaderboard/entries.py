"""Entries to the leaderboard: a folder with what a system predicted, and system.toml, which says what it is.

Nothing is taken that has not been checked whole, and an entry is in its place whole or not at all.
"""

import difflib
import errno
import os
import re
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jinbench.annotation.annotators import read_annotators
from jinbench.baselines.learning_curve import NAME as CURVE
from jinbench.baselines.run import SCORES
from jinbench.core import files, jsonl
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem, raise_if_any, shorten
from jinbench.dataset import load
from jinbench.dataset.gold import crosswalk_types, read_crosswalks, read_task_gold
from jinbench.scoring import predictions
from jinbench.scoring.gold import BOARD_SPLITS, FOLDS, Gold
from jinbench.scoring.predictions import Predictions

SYSTEM, PREDICTIONS = "system.toml", "predictions.jsonl"
LEFT_OUT = (SCORES, CURVE)  # what `jinbench run` leaves besides predictions: made again here, so never copied
LONGEST = 64  # characters of an id
_ID = re.compile(r"[a-z0-9][a-z0-9._-]*")
_SYSTEM_LIMIT = 100_000  # bytes
_HINT = "jinbench format system prints one to start from"

Board = tuple[str, str, str]  # task, split, crosswalk; the last is empty for the whole label set


@dataclass(frozen=True)
class System:
    """What system.toml says. `id` is the name of its folder, `data` the version of the dataset that was predicted.

    `saw_test_articles`: no, yes or unknown. `task`, `split` and `crosswalk` are those of predictions.jsonl.
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


@dataclass(frozen=True)
class Entry:
    """A system and its files of predictions, by board. `ignored`: the names of other files of the folder."""

    system: System
    folder: Path
    files: dict[Board, Path]
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """One file of predictions, checked: what it says, and the gold to score that on."""

    board: Board
    path: Path
    gold: Gold
    found: Predictions
    narrower: str = ""  # the split that all of the predictions are of, where the board has others too

    @property
    def items(self) -> int:
        return len(self.gold.ids)

    @property
    def predicted(self) -> int:
        return len(self.found)

    @property
    def missing(self) -> int:
        """Items without a prediction. Each of their labels counts as missed."""
        return self.items - self.predicted

    @property
    def title(self) -> str:
        task, split, crosswalk = self.board
        return ", ".join(filter(None, (task, crosswalk and f"coarse ({crosswalk})", split)))


@dataclass(frozen=True)
class Checked:
    entry: Entry
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Submitted:
    """What became of an entry. `state`: checked (it lies there already), new, replaced, or the same as before."""

    checked: Checked
    folder: Path
    state: str


def entries_dir(benchmark: Benchmark) -> Path:
    return benchmark.leaderboard / "entries"


def boards(benchmark: Benchmark) -> dict[str, Board]:
    """Every board that an entry can stand on, by the name of the file for it."""
    found = [(task, split, "") for task, splits in BOARD_SPLITS.items() for split in splits]
    found += [("ner", split, name) for name in read_crosswalks(benchmark) for split in BOARD_SPLITS["ner"]]
    return {predictions.file_name(task, split, crosswalk): (task, split, crosswalk) for task, split, crosswalk in found}


def read_entry(benchmark: Benchmark, folder: Path) -> Entry:
    """The entry in a folder, its predictions not yet read.

    Raises :class:`DataError` with all that is wrong (file-missing, file-too-big, not-utf8, broken-toml, wrong-shape,
    wrong-version, duplicate-id, declaration-unknown).
    """
    folder = Path(os.path.abspath(folder))  # a link keeps the name that it has
    if not folder.is_dir():
        there = "a file" if folder.exists() else "nothing"
        hint = f"put {SYSTEM} and predictions into a folder, and name that"
        raise DataError(
            Problem("file-missing", location=files.shown(folder), expected="a folder", found=there, fix=hint)
        )
    problems = _id_problems(benchmark, folder)
    system = _system(benchmark, folder, problems)
    if system is None:
        raise DataError(problems)
    found = _predictions(benchmark, folder, system, problems)
    raise_if_any(problems)
    known = {SYSTEM, *(path.name for path in found.values()), *LEFT_OUT}
    names = (f"{path.name}/" if path.is_dir() else path.name for path in sorted(folder.iterdir()))
    ignored = tuple(name for name in names if name not in known and not name.startswith("."))
    return Entry(system, folder, found, ignored)


def _id_problems(benchmark: Benchmark, folder: Path) -> list[Problem]:
    """What is wrong with the name of the folder, which is the id of the system."""
    id, place = folder.name, files.shown(folder)
    if not _ID.fullmatch(id) or len(id) > LONGEST:
        expected = f"a name of a-z, 0-9, -, _ and ., {LONGEST} characters or fewer, with a letter or digit first"
        hint = "rename the folder: its name is the id of the system; system.toml has the name that is shown"
        return [Problem("wrong-shape", location=place, expected=expected, found=shorten(id, 80), fix=hint)]
    taken = {path.stem if path.is_file() else path.name: "a baseline" for path in benchmark.baselines.glob("[!.]*")}
    if benchmark.annotators.is_file():
        who = read_annotators(benchmark)
        taken |= dict.fromkeys((*who.names, *(reader.name for reader in who.reviewers)), "an annotator")
    if id not in taken:
        return []
    return [
        Problem(
            "duplicate-id",
            location=place,
            expected="a name of its own",
            found=f"that of {taken[id]}",
            fix="rename the folder",
        )
    ]


def _system(benchmark: Benchmark, folder: Path, problems: list[Problem]) -> System | None:
    """What system.toml says, or None if it cannot be read. What is wrong is added to `problems`."""
    path = folder / SYSTEM
    place = files.shown(path)
    if not path.is_file():
        problems.append(
            Problem(
                "file-missing", location=place, expected="a file that says what the system is", found="none", fix=_HINT
            )
        )
        return None
    if problem := jsonl.too_big(path, _SYSTEM_LIMIT):
        problems.append(problem)
        return None
    try:
        system = System(folder.name, **files.read_toml(path, "system"))
    except DataError as error:
        problems += error.problems
        return None
    version = str(load.read_manifest(benchmark)["version"])
    if system.data.split(".")[:2] != version.split(".")[:2]:
        expected = f"{'.'.join(version.split('.')[:2])}.…, as the data at hand ({version}); the third part may differ"
        hint = f'predict the items of this version, then write data = "{version}"'
        problems.append(
            Problem("wrong-version", location=f"{place} data", expected=expected, found=system.data, fix=hint)
        )
    if system.crosswalk:
        try:
            crosswalk_types(benchmark, system.crosswalk, f"{place} crosswalk")
        except DataError as error:
            problems += error.problems
    return system


def _predictions(benchmark: Benchmark, folder: Path, system: System, problems: list[Problem]) -> dict[Board, Path]:
    """The files of predictions by board. What is wrong is added to `problems`."""
    known = boards(benchmark)
    found: dict[Board, Path] = {}
    plain = folder / PREDICTIONS
    if os.path.lexists(plain):
        board = _board(folder, system, problems)
        if board:
            found[board] = plain
    for path in sorted(folder.glob("predictions?*")):
        place = files.shown(path)
        if path.name not in known and path.suffix == ".jsonl" and path != plain:
            near = difflib.get_close_matches(path.name, known, 1)
            hint = f"rename it{f' to {near[0]}' if near else ''}, or take it out"
            problems.append(
                Problem("unknown-id", location=place, expected=f"one of {', '.join(known)}", found=path.name, fix=hint)
            )
        elif path.name in known and known[path.name] in found:
            expected, hint = "one file for each board", f"keep this one or {found[known[path.name]].name}"
            problems.append(
                Problem(
                    "duplicate-id",
                    location=place,
                    expected=expected,
                    found=f"two for {_shown(known[path.name])}",
                    fix=hint,
                )
            )
        elif path.name in known:
            found[known[path.name]] = path
    for path in found.values():
        if not path.is_file():
            what = "a folder" if path.is_dir() else "something that cannot be copied"
            problems.append(
                Problem(
                    "file-missing",
                    location=files.shown(path),
                    expected="a file",
                    found=what,
                    fix="put the file itself there",
                )
            )
    if not found and not problems:
        expected = f"{PREDICTIONS}, or files such as {' and '.join(list(known)[:2])}"
        others = [path.name for path in sorted(folder.iterdir()) if path.name != SYSTEM]
        hint = "put the predictions there; jinbench format prints what they look like"
        there = shorten(", ".join(others), 80) if others else "none"
        problems.append(Problem("file-missing", location=files.shown(folder), expected=expected, found=there, fix=hint))
    return {board: found[board] for board in known.values() if board in found}


def _board(folder: Path, system: System, problems: list[Problem]) -> Board | None:
    """Which board predictions.jsonl is for. What is wrong is added to `problems`."""
    place, before = f"{files.shown(folder / SYSTEM)}", len(problems)
    for field, value in (("task", system.task), ("split", system.split)):
        if not value:
            choice = tuple(BOARD_SPLITS) if field == "task" else BOARD_SPLITS.get(system.task, ("test", FOLDS))
            expected = f"which {field} {PREDICTIONS} is for: {', '.join(choice)}"
            hint = f'write {field} = "{choice[0]}"'
            problems.append(
                Problem("wrong-shape", location=f"{place} {field}", expected=expected, found="nothing", fix=hint)
            )
    if len(problems) > before:
        return None
    splits = BOARD_SPLITS[system.task]
    if system.split not in splits:
        expected = f"a split that {system.task} has a board for: {', '.join(splits)}"
        problems.append(
            Problem(
                "unknown-id",
                location=f"{place} split",
                expected=expected,
                found=shorten(system.split),
                fix="correct the name",
            )
        )
    if system.crosswalk and system.task != "ner":
        expected, hint = "no crosswalk: sectors have none", "take the line away"
        problems.append(
            Problem(
                "wrong-task",
                location=f"{place} crosswalk",
                expected=expected,
                found=shorten(system.crosswalk),
                fix=hint,
            )
        )
    return None if len(problems) > before else (system.task, system.split, system.crosswalk)


def _shown(board: Board) -> str:
    return "/".join(filter(None, board))


def read_all_entries(benchmark: Benchmark) -> tuple[Entry, ...]:
    """Every entry below leaderboard/entries, in order of their ids, the predictions not yet read.

    Raises :class:`DataError` with all that is wrong in any of them. A folder that is being copied is not one yet.
    """
    problems: list[Problem] = []
    found = []
    for folder in sorted(entries_dir(benchmark).glob("[!.]*/")):
        try:
            found.append(read_entry(benchmark, folder))
        except DataError as error:
            problems += error.problems
    raise_if_any(problems)
    return tuple(found)


def check_entry(benchmark: Benchmark, folder: Path) -> Checked:
    """An entry with every file of it read and held against its gold.

    Raises :class:`DataError` with all that is wrong, over all files at once.
    """
    entry = read_entry(benchmark, folder)
    problems: list[Problem] = []
    parts = []
    for board, path in entry.files.items():
        gold = read_task_gold(benchmark, *board)
        try:
            predicted = predictions.read_predictions(path, gold, partial(load.locate_ids, benchmark))
            parts.append(Part(board, path, gold, predicted, load.split_of(predicted, gold, benchmark)))
        except DataError as error:
            problems += error.problems
    problems += _given(entry)
    raise_if_any(problems)
    return Checked(entry, tuple(parts))


def _given(entry: Entry) -> list[Problem]:
    """A problem if `jinbench run` noted that the recipe was given some of the gold: that is no entry."""
    path = entry.folder / SCORES
    try:
        record = files.read_json(path) if path.is_file() and not jsonl.too_big(path, 2**26) else {}
    except DataError:
        return []  # the file is left out, whatever is in it
    given = record.get("given") if isinstance(record, dict) else None
    if not given:
        return []
    expected, hint = "a system that was given nothing of the gold", "take GIVEN out of the recipe, and run it again"
    return [
        Problem(
            "declaration-unknown",
            location=f"{files.shown(path)} given",
            expected=expected,
            found=shorten(given),
            fix=hint,
        )
    ]


def submit(benchmark: Benchmark, folder: Path, replace: bool = False, dry_run: bool = False) -> Submitted:
    """Check an entry, and copy it to leaderboard/entries/<id>/: system.toml and the predictions, nothing else.

    One that lies there already is only checked. Another of the same id is replaced with `replace` alone.
    Raises :class:`DataError` (folder-taken, and what :func:`check` raises).
    """
    checked = check_entry(benchmark, folder)
    entry = checked.entry
    target = entries_dir(benchmark) / entry.system.id
    if entry.folder.resolve() == target.resolve():
        return Submitted(checked, target, "checked")
    paths = (entry.folder / SYSTEM, *entry.files.values())
    contents = {path.name: files.read_bytes(path) for path in paths}
    there = target.exists()
    if target.is_dir() and contents == {name: path.read_bytes() for name, path in files.visible(target).items()}:
        return Submitted(checked, target, "the same")
    if there and not replace:
        expected, hint = "an id that no entry has yet", "if it is yours and you mean it: --replace; else rename yours"
        raise DataError(
            Problem("folder-taken", location=files.shown(target), expected=expected, found="another entry", fix=hint)
        )
    if not dry_run:
        _put(contents, target, replace)
    return Submitted(checked, target, "replaced" if there else "new")


def _put(contents: dict[str, bytes], target: Path, replace: bool) -> None:
    """Write a folder beside `target` under a hidden name, then move it there.

    A hidden folder is no entry, so an end at any moment leaves the old entry, or none, or the new one whole.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        made, old = Path(scratch) / "new", Path(scratch) / "old"
        made.mkdir(mode=0o755)
        for name, data in contents.items():
            files.write_bytes(made / name, data)
        try:
            if replace and target.exists():
                target.rename(old)
            made.rename(target)  # fails where somebody else has put one in the meantime
        except BaseException as error:
            if old.exists() and not target.exists():
                old.rename(target)
            if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                expected, hint = "an id that no entry has yet", "look at what is there, then try again"
                problem = Problem(
                    "folder-taken",
                    location=files.shown(target),
                    expected=expected,
                    found="one that came just now",
                    fix=hint,
                )
                raise DataError(problem) from None
            raise
