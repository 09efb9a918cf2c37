"""`make run` on the committed pages: everything is made again, through a real server, and nothing is touched."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jinbench import reproduce
from jinbench.baselines import learning_curve
from jinbench.baselines.recipe import load_recipe
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from tests.helpers.paths import ROOT
from tests.helpers.recipes import MEMORIZING_RECIPE, add_crosswalk, measure_curve, run_and_store


@pytest.mark.server
def test_the_main_job(tmp_path: Path) -> None:
    before = {str(path): path.read_bytes() for room in ROOMS for path in files.walk_files(ROOT / room)}
    done = subprocess.run(
        [sys.executable, "-m", "jinbench", "reproduce", "--json", "--folder", str(tmp_path / "again")],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    checks = json.loads(done.stdout)
    assert {check["status"] for check in checks} <= {"OK", "OKish"}
    assert not [
        check for check in checks if check["status"] == "OKish" and not check["artefact"].endswith("curve.json")
    ]
    exact = {check["artefact"] for check in checks if check["status"] == "OK"}
    assert {"seeds", "annotation/exports/annotator-a.json", "dataset/ner/test.parquet", "dataset/splits.csv"} <= exact
    assert {str(path): path.read_bytes() for room in ROOMS for path in files.walk_files(ROOT / room)} == before


ROOMS = ("seeds", "annotation", "dataset", "baselines", "leaderboard")


def two_worlds(real: Benchmark, tmp_path: Path, name: str, data: bytes) -> reproduce.Check:
    again = Benchmark(tmp_path)
    files.write_bytes(tmp_path / name, data)
    return reproduce.compare_file(real, again, name)


def test_a_difference_is_a_failure(real: Benchmark, tmp_path: Path) -> None:
    text = real.splits.read_bytes().replace(b"train", b"test", 1)
    check = two_worlds(real, tmp_path, "dataset/splits.csv", text)
    assert (check.status, "expected sha256" in check.message) == ("FAIL", True)


def test_a_changed_row_is_a_failure_and_other_bytes_are_not(real: Benchmark, tmp_path: Path) -> None:
    import io

    import pyarrow.parquet as pq

    name = "dataset/sector/test.parquet"
    table = pq.ParquetFile(real.root / name).read()
    for part, status in ((table, "OKish"), (table.slice(1), "FAIL")):
        buffer = io.BytesIO()
        pq.write_table(part, buffer, compression="gzip")
        assert two_worlds(real, tmp_path, name, buffer.getvalue()).status == status


@pytest.mark.parametrize("name", ["leaderboard/leaderboard.json", "leaderboard/leaderboard.md", "DATASET_CARD.md"])
def test_documents_follow_the_scores(real: Benchmark, tmp_path: Path, name: str) -> None:
    text = (real.root / name).read_text()
    score = re.findall(r"0\.[1-8]\d+", text)[0]
    for new, status in ((f"{float(score) + 0.003:.6f}", "OKish"), (f"{float(score) + 0.1:.6f}", "FAIL")):
        assert two_worlds(real, tmp_path, name, text.replace(score, new, 1).encode()).status == status
    assert two_worlds(real, tmp_path, name, text.replace("a", "b", 1).encode()).status == "FAIL"


def test_a_picture_may_differ_by_a_shade(real: Benchmark, tmp_path: Path) -> None:
    import io

    from PIL import Image

    name = "plots/scores.png"
    picture = Image.open(real.root / name).convert("RGB")
    shade = picture.point(lambda value: max(value - 1, 0))
    for other, status in ((shade, "OKish"), (picture.rotate(180), "FAIL"), (picture.crop((0, 0, 9, 9)), "FAIL")):
        buffer = io.BytesIO()
        other.save(buffer, "png")
        assert two_worlds(real, tmp_path, name, buffer.getvalue()).status == status


def test_the_description_may_list_other_hashes_and_no_other_words(real: Benchmark, tmp_path: Path) -> None:
    name = "dataset/croissant.json"
    text = (real.root / name).read_text()
    sha = json.loads(real.manifest.read_text())["files"]["ner/test.parquet"]
    for old, new, status in ((sha, "0" * 64, "OKish"), ("language model", "person", "FAIL")):
        assert old in text
        assert two_worlds(real, tmp_path, name, text.replace(old, new, 1).encode()).status == status


def test_a_folder_of_somebody_elses_is_not_emptied(real: Benchmark, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="folder-taken"):
        next(reproduce.reproduce(real, tmp_path, lambda what, done, of: None))
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(("shift", "status"), [(0.001, "OKish"), (0.5, "FAIL")])
def test_scores_may_move_a_little(real: Benchmark, tmp_path: Path, shift: float, status: str) -> None:
    name = "baselines/tfidf/scores.json"
    scores = json.loads((real.root / name).read_text())
    scores["scores"]["folds"]["micro"]["f1"] += shift
    assert two_worlds(real, tmp_path, name, json.dumps(scores).encode()).status == status


def test_time_and_memory_are_not_compared(real: Benchmark, tmp_path: Path) -> None:
    name = "baselines/majority/scores.json"
    record = json.loads((real.root / name).read_text())
    record["run"] = {"fit_seconds": {"wall": 99.0}}
    check = two_worlds(real, tmp_path, name, json.dumps(record).encode())
    assert (check.status, check.message) == ("OK", "the same but for time and memory")


def test_a_score_under_noise_may_not_move_far(real: Benchmark, tmp_path: Path) -> None:
    name = "baselines/gazetteer/scores.json"
    for shift, status in ((0.001, "OKish"), (0.5, "FAIL")):
        record = json.loads((real.root / name).read_text())
        record["noise"][3]["f1"] += shift
        assert two_worlds(real, tmp_path, name, json.dumps(record).encode()).status == status


def silent(what: str, done: int, of: int) -> None:
    """No progress is shown."""


def test_a_recipe_is_run_again_with_its_curve(mini: Benchmark, tmp_path: Path) -> None:
    benchmark = add_crosswalk(mini)
    result = run_and_store(benchmark, "memory", MEMORIZING_RECIPE.format(more="CURVE = True"))
    learning_curve.write_curve(measure_curve(benchmark, result), benchmark.baselines / "memory")
    again = Benchmark(tmp_path / "again")
    shutil.copytree(benchmark.root, again.root)
    shutil.rmtree(again.baselines / "memory")
    recipe = load_recipe(again.baselines / "memory.py")
    checks = {check.artefact: check for check in reproduce.rerun_recipe(benchmark, again, recipe, silent)}
    assert {name.rpartition("/")[2]: check.status for name, check in checks.items()} == dict.fromkeys(
        (*(f"predictions-ner-{split}.jsonl" for split in ("test", "folds", "noisy")), "scores.json", "curve.json"), "OK"
    )
    path = benchmark.baselines / "memory" / "curve.json"
    for shift, status in ((0.001, "OKish"), (0.5, "FAIL")):
        record = json.loads(path.read_text())
        record["points"][0]["f1"] += shift
        data = json.dumps(record, indent=1, sort_keys=True).encode() + b"\n"
        files.write_bytes(again.root / "baselines/memory/curve.json", data)
        assert reproduce.compare_file(benchmark, again, "baselines/memory/curve.json").status == status


def test_a_recipe_without_its_packages_is_taken_as_committed(mini: Benchmark, tmp_path: Path) -> None:
    benchmark, again = add_crosswalk(mini), Benchmark(tmp_path / "again")
    path = benchmark.baselines / "memory.py"
    files.write_text(path, MEMORIZING_RECIPE.format(more='NEEDS = ("no-such-package",)'))
    (check,) = reproduce.rerun_recipe(benchmark, again, load_recipe(path), silent)
    assert check.status == "FAIL"
    files.write_text(benchmark.baselines / "memory" / "scores.json", "kept")
    (check,) = reproduce.rerun_recipe(benchmark, again, load_recipe(path), silent)
    assert check.status == "OKish"
    assert "needs no-such-package" in check.message
    assert (again.baselines / "memory" / "scores.json").read_text() == "kept"
