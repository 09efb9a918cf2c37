"""The main job from beginning to end, in a folder of its own, compared with what is committed.

Pages, articles, a Label Studio started for the purpose, tasks, labels, exports, dataset, baselines, leaderboard,
documents: each is made again and held against the room it belongs in. Nothing that is committed is touched.
"""

import io
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinbench.annotation import agreement, exports
from jinbench.annotation.annotators import read_annotators
from jinbench.annotation.gold import read_gold
from jinbench.annotation.workspace import Workspace
from jinbench.baselines import learning_curve, run
from jinbench.baselines.recipe import Recipe, find_recipes, install_command, load_recipe
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.types import Step
from jinbench.dataset import build, split_search
from jinbench.labelstudio import adjudicate, annotations, labeling_config, projects, push
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
    """One artefact, made again. `status` is OK, OKish (differs within a stated tolerance) or FAIL."""

    status: str
    artefact: str
    message: str

    def __str__(self) -> str:
        return f"[{self.status}]".ljust(8) + f"{self.artefact}: {self.message}"


def reproduce(benchmark: Benchmark, folder: Path, step: Step) -> Iterator[Check]:
    """Make everything again below `folder` and compare. Raises what the stages raise, and DataError (folder-taken)."""
    articles.read_seeds(benchmark)  # before anything is made
    again = _copy(benchmark, folder)
    workspace = Workspace(again)
    yield Check(
        OK,
        "seeds",
        f"{len(workspace.seeds.pages)} pages, {len(workspace.seeds.articles)} articles, "
        f"{sum(1 for _ in workspace.seeds.passages())} passages, every line accounted for",
    )
    files.write_text(again.labeling_config, labeling_config.build_labeling_config(workspace.label_set))
    yield _same(benchmark, again, "annotation/labeling_config.xml")
    yield from _through_label_studio(benchmark, workspace, step)
    if read_annotators(again).adjudicated:
        agreement.write_agreement(again, agreement.measure_agreement(workspace))
        yield _same(benchmark, again, "annotation/agreement.json")
    gold = read_gold(workspace, ())  # an erratum moves no article
    files.write_text(again.splits, split_search.search_splits(workspace.seeds, gold, step=step))
    yield _same(benchmark, again, "dataset/splits.csv")
    shutil.copyfile(benchmark.splits, again.splits)
    built = build.build_dataset(again)
    build.write_dataset(built, again.dataset)
    for name in built.files:
        yield _same(benchmark, again, f"dataset/{name}")
    for path in find_recipes(again):
        yield from _run_again(benchmark, again, load_recipe(path), step)
    for name, text in build_page(again, build_boards(again)).items():
        files.write_text(again.leaderboard / name, text)
        yield _same(benchmark, again, f"leaderboard/{name}")
    for name, data in card.build_card(again).items():
        files.write_bytes(again.root / name, data)
        yield _same(benchmark, again, name)


def _copy(benchmark: Benchmark, folder: Path) -> Benchmark:
    """The hand-made parts of the rooms, in a new folder. Exports come along for the times that they keep."""
    files.require_free_folder(folder, "name a folder that does not exist yet, or is empty", MARK)
    shutil.rmtree(folder, ignore_errors=True)
    files.write_text(folder / MARK, "Made again by `jinbench reproduce`, which may delete this folder.\n")
    again = Benchmark(folder)
    for room in (benchmark.seeds, benchmark.annotation):
        shutil.copytree(room, folder / room.name)
    for path in [
        *find_recipes(benchmark),
        *(benchmark.root / name for name in ("README.md", "DATASET_CARD.md", "CITATION.cff", "LICENSE-DATA.md")),
        benchmark.splits,
        *files.walk_files(benchmark.leaderboard / "entries"),
    ]:
        if path.is_file():
            target = folder / path.relative_to(benchmark.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return again


@contextmanager
def _own_server(step: Step) -> Iterator[Any]:
    """A Label Studio with an empty database, in a folder that goes away again."""
    with (
        tempfile.TemporaryDirectory(prefix="jinbench-", ignore_cleanup_errors=True) as folder,
        accounts.use_home(folder),
    ):
        step("Label Studio starts", 0, 1)
        try:
            server = process.start_server(say=lambda text: step(text, 0, 1))
            step("Label Studio starts", 1, 1)
            yield server
        finally:
            process.stop_server()


def _through_label_studio(benchmark: Benchmark, workspace: Workspace, step: Step) -> Iterator[Check]:
    again, passages = workspace.benchmark, list(workspace.seeds.passages())
    with _own_server(step) as server:
        client = connect()
        known = workspace.annotators
        for name in sorted(known.names, key=lambda name: len(known.adjudicated_by(name))):  # adjudicators last
            path = exports.export_path(again, name)
            if not path.is_file():
                continue
            ensure_local_member(server.url, name)
            if known.adjudicated_by(name):
                pushed = adjudicate.push_adjudication(client, workspace, name, step).pushed
            else:
                counted = projects.to_progress(step, f"push {name}", len(passages))
                share = workspace.assigned_passages(name)
                pushed = push.push_passages(client, workspace, name, counted, share=share)
            labelled = exports.read_export(path, passages, workspace.label_set, name)
            overruled = bool(
                known.adjudicated_by(name)
            )  # what was accepted a moment ago, the adjudicator may have overruled
            counted = projects.to_progress(step, f"enter {name}", len(labelled))
            annotations.submit_labels(client, workspace, name, labelled, counted, overruled)
            count, changed = annotations.pull_labels(client, workspace, name)
            same = _same(benchmark, again, f"annotation/exports/{name}.json")
            spans = sum(len(entry.spans) for entry in labelled)
            yield Check(
                same.status,
                same.artefact,
                f"{pushed.created} tasks pushed, {count} passages with {spans} spans "
                f"entered and pulled from Label Studio, {changed} differ; {same.message}",
            )


def _run_again(benchmark: Benchmark, again: Benchmark, recipe: Recipe, step: Step) -> Iterator[Check]:
    """Run a recipe again. Without its packages that cannot be done, and what is committed of it is taken as it is."""
    folder = again.baselines / recipe.name
    if recipe.missing_packages:
        committed = benchmark.baselines / recipe.name
        if not committed.is_dir():
            yield Check(FAIL, f"baselines/{recipe.name}", f"expected {files.display_path(committed)}/ to be committed")
            return
        shutil.copytree(committed, folder)
        reason = f"not made again: it needs {', '.join(recipe.missing_packages)}; type: {install_command(recipe.missing_packages)}"
        yield Check(OKISH, f"baselines/{recipe.name}", f"{reason}. The committed predictions were scored.")
        return
    result = run.run_recipe(again, recipe, step)
    run.write_result(result, folder)
    names = list(result.to_files())
    if recipe.curve:
        learning_curve.write_curve(learning_curve.measure_curve(again, result, step), folder)
        names.append(learning_curve.CURVE_FILE)
    for name in names:
        yield _same(benchmark, again, f"baselines/{recipe.name}/{name}")


def _same(benchmark: Benchmark, again: Benchmark, name: str) -> Check:
    """Compare one file with the committed one: bytes, else what they mean."""
    old, new = benchmark.root / name, again.root / name
    if not old.is_file():
        return Check(FAIL, name, f"expected {files.display_path(old)} to be committed")
    before, after = old.read_bytes(), new.read_bytes()
    if before == after:
        return Check(OK, name, f"sha256 {files.sha256(after)[:12]}")
    if name.endswith(".parquet"):
        return _same_rows(name, before, after)
    if name.endswith("manifest.json"):
        listings = [json.loads(data) | {"files": None} for data in (before, after)]
        if listings[0] == listings[1]:
            return Check(OKISH, name, "the same items; the hashes of the Parquet files differ with their bytes")
    if name.endswith("croissant.json"):
        known = re.compile(rb"\b[0-9a-f]{64}\b")
        if known.sub(b"", before) == known.sub(b"", after):
            return Check(OKISH, name, "the same description; it lists hashes of files whose bytes differ")
    if name.endswith(".png"):
        return _same_picture(name, before, after)
    if name.startswith("baselines/") and not name.endswith(learning_curve.CURVE_FILE):
        if name.endswith(run.SCORES_FILE) and _lasting(before) == _lasting(after):
            return Check(OK, name, "the same but for time and memory")
        return _same_scores(benchmark, again, name)
    if name.startswith(("leaderboard/", "baselines/")) or name.endswith(".md"):
        return _same_but_for_scores(name, before.decode(), after.decode())
    return Check(FAIL, name, f"expected sha256 {files.sha256(before)[:12]}, made {files.sha256(after)[:12]} ({new})")


def _lasting(data: bytes) -> Any:
    try:
        return run.strip_costs(data.decode())
    except (ValueError, AttributeError):
        return None


def _same_but_for_scores(name: str, before: str, after: str) -> Check:
    """Tables of scores: the same text, and no decimal fraction further off than the tolerance."""
    fraction = re.compile(r"[-+]?\d+\.\d+(?:e-\d+)?")
    if fraction.sub("0.0", before) == fraction.sub("0.0", after):
        pairs = zip(fraction.findall(before), fraction.findall(after), strict=True)
        moved = max(abs(float(a) - float(b)) for a, b in pairs)
        if moved <= TOLERANCE:
            return Check(OKISH, name, f"scores moved by at most {moved:.4f}, within {TOLERANCE}")
    return Check(FAIL, name, "expected the committed text, with scores that moved no further than the tolerance")


def _same_rows(name: str, before: bytes, after: bytes) -> Check:
    import pyarrow.parquet as pq

    old, new = (pq.ParquetFile(io.BytesIO(data)).read() for data in (before, after))
    if old.equals(new):
        return Check(OKISH, name, "the same rows in other bytes: another version of pyarrow wrote them")
    return Check(FAIL, name, f"expected {old.num_rows} rows as committed, made {new.num_rows} that differ")


def _same_picture(name: str, before: bytes, after: bytes) -> Check:
    import numpy as np
    from PIL import Image

    old, new = (np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=float) for data in (before, after))
    if old.shape == new.shape:
        moved = float(np.abs(old - new).mean()) / 255
        if moved <= TOLERANCE:
            return Check(OKISH, name, f"pixels differ by {moved:.4f} on average, within {TOLERANCE}")
    return Check(FAIL, name, f"expected the committed picture, {old.shape[1]} × {old.shape[0]}, within {TOLERANCE}")


def _same_scores(benchmark: Benchmark, again: Benchmark, name: str) -> Check:
    """Predictions may differ in a tie; the scores they give may not move by more than the tolerance."""
    folder = str(Path(name).parent / run.SCORES_FILE)
    try:
        old, new = (_f1s(json.loads((rooms.root / folder).read_text())) for rooms in (benchmark, again))
        moved = max(abs(old[key] - new[key]) for key in new)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Check(FAIL, name, f"expected committed scores, found {type(error).__name__}")
    if moved <= TOLERANCE:
        return Check(OKISH, name, f"micro-F1 moved by {moved:.4f}, within {TOLERANCE}: ties in the solver")
    return Check(FAIL, name, f"expected micro-F1 within {TOLERANCE} of the committed, it moved by {moved:.4f}")


def _f1s(record: dict[str, Any]) -> dict[str, float]:
    """Every micro-F1 of a recipe, those under noise too."""
    found = {split: score["micro"]["f1"] or 0.0 for split, score in record["scores"].items()}
    return found | {f"{each['kind']}-{each['level']}": each["f1"] or 0.0 for each in record.get("noise", ())}
