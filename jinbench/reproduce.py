"""Rebuild everything from the pages in a folder of its own, and compare with what is committed.

Articles, a Label Studio started for the purpose, tasks, labels, exports, dataset, baselines, leaderboard, documents.
Nothing that is committed is touched.
"""

import io
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jinbench.annotation import agreement, exports
from jinbench.annotation.gold import read_gold
from jinbench.annotation.workspace import Workspace
from jinbench.baselines import learning_curve, run
from jinbench.baselines.recipe import Recipe, find_recipes, install_command, load_recipe
from jinbench.core import files, folders
from jinbench.core.benchmark import Benchmark
from jinbench.core.environment import count_cores
from jinbench.core.errors import DataError
from jinbench.core.types import JsonObject, Step
from jinbench.dataset import build, split_search
from jinbench.labelstudio import adjudicate, annotations, labeling_config, projects, transfer
from jinbench.labelstudio.server import accounts, process
from jinbench.labelstudio.server.accounts import ensure_local_member
from jinbench.labelstudio.server.client import connect
from jinbench.leaderboard.page import build_page
from jinbench.leaderboard.ranking import build_boards
from jinbench.publish import card
from jinbench.seeds import articles

TOLERANCE = 0.02  # of a score: another processor may break a tie in a solver the other way
MARK = ".reproduced"  # a folder without it is somebody else's, and never deleted
OK, OKISH, FAIL = "OK", "OKish", "FAIL"


@dataclass(frozen=True)
class Check:
    """Result of one comparison: OK, OKish (differs within a stated tolerance) or FAIL."""

    status: str
    artefact: str
    message: str

    def __str__(self) -> str:
        return f"[{self.status}]".ljust(8) + f"{self.artefact}: {self.message}"


def reproduce(benchmark: Benchmark, folder: Path, step: Step, curves: bool = False) -> Iterator[Check]:
    """Rebuild everything below `folder` and yield a check per file.

    Label Studio is installed, started and worked with beside the rest, which begins with the committed exports: if
    those that come back from it are the same, everything was made from them.

    Args:
        benchmark: The committed files, which are not touched.
        folder: Where everything is made again.
        step: Called with the name of a step, the number done, and of all.
        curves: Measure learning curves again too; they take longer than everything else.

    Raises:
        DataError: `folder` holds something else [folder-taken], or an input is invalid.
        ServerError: Label Studio does not start, or fails.
    """
    articles.read_seeds(benchmark)  # before anything is made
    rebuilt = copy_inputs(benchmark, folder)
    workspace = Workspace(rebuilt)
    yield Check(
        OK,
        "seeds",
        f"{len(workspace.seeds.pages)} pages, {len(workspace.seeds.articles)} articles, "
        f"{sum(1 for _ in workspace.seeds.passages())} passages, every line accounted for",
    )
    files.write_text(rebuilt.labeling_config, labeling_config.build_labeling_config(workspace.label_set))
    yield compare_file(benchmark, rebuilt, "annotation/labeling_config.xml")
    with temporary_home() as scratch, ThreadPoolExecutor() as pool:
        copy = copy_inputs(benchmark, Path(scratch) / "benchmark")
        exported = pool.submit(rebuild_exports, benchmark, copy, step)
        yield from rebuild_dataset(benchmark, rebuilt)
        recipes = sorted(map(load_recipe, find_recipes(rebuilt)), key=partial(fit_seconds, benchmark), reverse=True)
        with ThreadPoolExecutor(count_cores()) as fits:  # each fit is a process of its own
            jobs = [fits.submit(rerun_recipe, benchmark, rebuilt, recipe, step, curves) for recipe in recipes]
            yield from rebuild_agreement(benchmark, workspace, step)
            for done in as_completed(jobs):
                yield from done.result()
        yield from exported.result()
    for path in sorted(copy.exports.glob("*.json")):
        if path.read_bytes() != (rebuilt.exports / path.name).read_bytes():
            yield Check(FAIL, f"annotation/exports/{path.name}", "the dataset was made from the committed one")
    for name, text in build_page(rebuilt, build_boards(rebuilt)).items():
        files.write_text(rebuilt.leaderboard / name, text)
        yield compare_file(benchmark, rebuilt, f"leaderboard/{name}")
    for name, data in card.build_card(rebuilt).items():
        files.write_bytes(rebuilt.root / name, data)
        yield compare_file(benchmark, rebuilt, name)


def rebuild_dataset(benchmark: Benchmark, rebuilt: Benchmark) -> Iterator[Check]:
    """Build the dataset from the exports, with the committed splits."""
    shutil.copyfile(benchmark.splits, rebuilt.splits)
    built = build.build_dataset(rebuilt)
    build.write_dataset(built, rebuilt.dataset)
    for name in built.files:
        yield compare_file(benchmark, rebuilt, f"dataset/{name}")


def rebuild_agreement(benchmark: Benchmark, workspace: Workspace, step: Step) -> list[Check]:
    """Measure agreement, and search for the splits once more."""
    rebuilt, checks = workspace.benchmark, []
    if workspace.annotators.adjudicated:
        agreement.write_agreement(rebuilt, agreement.measure_agreement(workspace))
        checks.append(compare_file(benchmark, rebuilt, "annotation/agreement.json"))
    gold = read_gold(workspace, ())  # an erratum moves no article
    with tempfile.TemporaryDirectory() as scratch:
        searched = Benchmark(Path(scratch))
        files.write_text(searched.splits, split_search.search_splits(workspace.seeds, gold, step=step))
        return [*checks, compare_file(benchmark, searched, "dataset/splits.csv")]


def fit_seconds(benchmark: Benchmark, recipe: Recipe) -> float:
    """Return how long the recipe took when its results were stored: the longest are started first."""
    path = benchmark.baselines / recipe.name / run.SCORES_FILE
    try:
        return float(files.read_json(path)[run.COSTS_KEY]["fit_seconds"]["wall"]) * (5 if recipe.curve else 1)
    except (DataError, KeyError, TypeError, ValueError):
        return 0.0


def copy_inputs(benchmark: Benchmark, folder: Path) -> Benchmark:
    """Copy the hand-made files to a new folder, with the exports for the times that they keep."""
    fix = "name a folder that does not exist yet, or is empty"
    was_made = (folder / MARK).is_file()
    with folders.temporary_folder(folder) as temporary:
        empty = temporary / "new"
        files.write_text(empty / MARK, "Made again by `jinbench reproduce`, which may delete this folder.\n")
        folders.place_folder(
            empty, folder, fix, lambda path: was_made and not path.is_symlink() and ".git" not in path.parts
        )
    rebuilt = Benchmark(folder)
    for source in (benchmark.seeds, benchmark.annotation):
        shutil.copytree(source, folder / source.name)
    for path in [
        *find_recipes(benchmark),
        *(benchmark.root / name for name in (*card.DOCUMENTS, "CITATION.cff", "LICENSE-DATA.md")),
        benchmark.splits,
        *files.walk_files(benchmark.leaderboard / "entries"),
    ]:
        if path.is_file():
            target = folder / path.relative_to(benchmark.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return rebuilt


@contextmanager
def temporary_home() -> Iterator[str]:
    """Use a home for Label Studio in a temporary folder, and end its server."""
    with (
        tempfile.TemporaryDirectory(prefix="jinbench-", ignore_cleanup_errors=True) as folder,
        accounts.use_home(Path(folder) / "home"),
    ):
        try:
            yield folder
        finally:
            process.stop_server()


def rebuild_exports(benchmark: Benchmark, rebuilt: Benchmark, step: Step) -> list[Check]:
    """Start Label Studio with an empty database, submit the labels of the exports there, and pull them again."""
    step("Label Studio", 0, 1)
    server = process.start_server(say=lambda text: step(text, 0, 1), step=step)
    step("Label Studio", 1, 1)
    client, workspace, checks = connect(), Workspace(rebuilt), []
    annotators = workspace.annotators
    for name in sorted(annotators.names, key=lambda name: len(annotators.adjudicated_by(name))):  # adjudicators last
        path = exports.export_path(rebuilt, name)
        if not path.is_file():
            continue
        ensure_local_member(server.url, name)
        if annotators.adjudicated_by(name):
            pushed = adjudicate.push_adjudication(client, workspace, name, step).pushed
            labels = exports.read_export(path, workspace, name)
            report = projects.to_progress(step, f"submit {name}", len(labels))
            # What was accepted a moment ago, the adjudicator may have overruled.
            annotations.submit_labels(client, workspace, name, labels, report, True)
        else:
            pushed, _ = transfer.transfer_labels(client, workspace, name, step)
        count, changed = annotations.pull_labels(client, workspace, name)
        comparison = compare_file(benchmark, rebuilt, f"annotation/exports/{name}.json")
        message = f"{pushed.created} tasks pushed, {count} labelled passages pulled, {changed} differ"
        checks.append(Check(comparison.status, comparison.artefact, f"{message}; {comparison.message}"))
    return checks


def rerun_recipe(
    benchmark: Benchmark, rebuilt: Benchmark, recipe: Recipe, step: Step, curves: bool = True
) -> list[Check]:
    """Run a recipe again; where its packages are missing, take its committed results."""
    place = f"baselines/{recipe.name}"
    committed, folder = benchmark.root / place, rebuilt.root / place
    if recipe.missing_packages:
        if not committed.is_dir():
            return [Check(FAIL, place, f"expected {files.display_path(committed)}/ to be committed")]
        shutil.copytree(committed, folder)
        needed = ", ".join(recipe.missing_packages)
        reason = f"not made again: it needs {needed}; type: {install_command(recipe.missing_packages)}"
        return [Check(OKISH, place, f"{reason}. The committed predictions were scored.")]
    result, measured = learning_curve.run_and_store(rebuilt, recipe, folder, step, curve=recipe.curve and curves)
    names, skipped = list(result.to_files()), []
    curve = learning_curve.CURVE_FILE
    if measured:
        names.append(curve)
    elif recipe.curve and (committed / curve).is_file():
        shutil.copyfile(committed / curve, folder / curve)
        skipped = [Check(OKISH, f"{place}/{curve}", "as committed; to measure it again: jinbench reproduce --curves")]
    return [*(compare_file(benchmark, rebuilt, f"{place}/{name}") for name in names), *skipped]


def compare_file(benchmark: Benchmark, rebuilt: Benchmark, name: str) -> Check:
    """Compare one file with the committed one: bytes, else what they mean."""
    old, new = benchmark.root / name, rebuilt.root / name
    if not old.is_file():
        return Check(FAIL, name, f"expected {files.display_path(old)} to be committed")
    before, after = old.read_bytes(), new.read_bytes()
    if before == after:
        return Check(OK, name, f"sha256 {files.sha256(after)[:12]}")
    if name.endswith(".parquet"):
        return compare_rows(name, before, after)
    if name.endswith("manifest.json"):
        listings = [json.loads(data) | {"files": None} for data in (before, after)]
        if listings[0] == listings[1]:
            return Check(OKISH, name, "the same items; the hashes of the Parquet files differ with their bytes")
    if name.endswith("croissant.json"):
        known = re.compile(rb"\b[0-9a-f]{64}\b")
        if known.sub(b"", before) == known.sub(b"", after):
            return Check(OKISH, name, "the same description; it lists hashes of files whose bytes differ")
    if name.endswith(".png"):
        return compare_pictures(name, before, after)
    if name.startswith("baselines/") and not name.endswith(learning_curve.CURVE_FILE):
        if name.endswith(run.SCORES_FILE) and strip_run(before) == strip_run(after):
            return Check(OK, name, "the same but for time and memory")
        return compare_scores(benchmark, rebuilt, name)
    if name.startswith(("leaderboard/", "baselines/")) or name.endswith(".md"):
        return compare_text(name, before.decode(), after.decode())
    return Check(FAIL, name, f"expected sha256 {files.sha256(before)[:12]}, made {files.sha256(after)[:12]} ({new})")


def strip_run(data: bytes) -> JsonObject | None:
    try:
        return run.strip_costs(data.decode())
    except (ValueError, AttributeError):
        return None


def compare_text(name: str, before: str, after: str) -> Check:
    """Tables of scores: the same text, and no decimal fraction further off than the tolerance."""
    fraction = re.compile(r"[-+]?\d+\.\d+(?:e-\d+)?")
    if fraction.sub("0.0", before) == fraction.sub("0.0", after):
        pairs = zip(fraction.findall(before), fraction.findall(after), strict=True)
        moved = max(abs(float(a) - float(b)) for a, b in pairs)
        if moved <= TOLERANCE:
            return Check(OKISH, name, f"scores moved by at most {moved:.4f}, within {TOLERANCE}")
    return Check(FAIL, name, "expected the committed text, with scores that moved no further than the tolerance")


def compare_rows(name: str, before: bytes, after: bytes) -> Check:
    import pyarrow.parquet as pq

    old, new = (pq.ParquetFile(io.BytesIO(data)).read() for data in (before, after))
    if old.equals(new):
        return Check(OKISH, name, "the same rows in other bytes: another version of pyarrow wrote them")
    return Check(FAIL, name, f"expected {old.num_rows} rows as committed, made {new.num_rows} that differ")


def compare_pictures(name: str, before: bytes, after: bytes) -> Check:
    import numpy as np
    from PIL import Image

    old, new = (np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=float) for data in (before, after))
    if old.shape == new.shape:
        moved = float(np.abs(old - new).mean()) / 255
        if moved <= TOLERANCE:
            return Check(OKISH, name, f"pixels differ by {moved:.4f} on average, within {TOLERANCE}")
    return Check(FAIL, name, f"expected the committed picture, {old.shape[1]} × {old.shape[0]}, within {TOLERANCE}")


def compare_scores(benchmark: Benchmark, rebuilt: Benchmark, name: str) -> Check:
    """Predictions may differ in a tie; the scores they give may not move by more than the tolerance."""
    folder = str(Path(name).parent / run.SCORES_FILE)
    try:
        old, new = (micro_f1_scores(json.loads((side.root / folder).read_text())) for side in (benchmark, rebuilt))
        moved = max(abs(old[key] - new[key]) for key in new)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Check(FAIL, name, f"expected committed scores, found {type(error).__name__}")
    if moved <= TOLERANCE:
        return Check(OKISH, name, f"micro-F1 moved by {moved:.4f}, within {TOLERANCE}: ties in the solver")
    return Check(FAIL, name, f"expected micro-F1 within {TOLERANCE} of the committed, it moved by {moved:.4f}")


def micro_f1_scores(record: JsonObject) -> dict[str, float]:
    """Every micro-F1 of a recipe, those under noise too."""
    scores = {split: score["micro"]["f1"] or 0.0 for split, score in record["scores"].items()}
    return scores | {
        f"{condition['kind']}-{condition['level']}": condition["f1"] or 0.0 for condition in record.get("noise", ())
    }
