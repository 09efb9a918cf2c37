"""`load_dataset` gives the rows of the folder that it is given, whatever its cache holds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jinbench.core.benchmark import Benchmark
from jinbench.dataset import build
from jinbench.dataset.front_matter import make_card, stamp_configs, update_card
from jinbench.dataset.load import read_manifest
from tests.helpers.paths import ROOT

LOAD = """
from datasets import load_dataset
print(sum(len(row["spans"]) for rows in load_dataset("dataset", "ner").values() for row in rows))
"""


def count_spans(folder: Path, cache: Path) -> int:
    """Return how many spans `load_dataset("dataset", "ner")` gives in a folder, with a cache."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=folder, capture_output=True, text=True, check=True,
        env={"HF_HOME": str(cache), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    return int(done.stdout)


@pytest.mark.slow
def test_one_cache_for_two_benchmarks_and_for_a_rebuilt_one(mini: Benchmark, tmp_path: Path) -> None:
    """Built without a card: it can be loaded at once."""
    (mini.dataset / "README.md").unlink(missing_ok=True)
    (mini.root / "DATASET_CARD.md").unlink(missing_ok=True)
    assert "README.md" in build.write_dataset(build.build_dataset(mini), mini.dataset)
    assert [count_spans(folder, tmp_path / "cache") for folder in (mini.root, ROOT)] == [22, 840]
    path = mini.exports / "adjudicator.json"
    entries = json.loads(path.read_text())
    del entries[6]["annotations"][0]["result"][2]
    path.write_text(json.dumps(entries))
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    assert count_spans(mini.root, tmp_path / "cache") == 21


def test_each_config_has_the_hash_of_its_files(real: Benchmark) -> None:
    manifest = read_manifest(real)
    card = (ROOT / "DATASET_CARD.md").read_text()
    stamped = stamp_configs(card, manifest)
    assert stamped == (real.dataset / "README.md").read_text()
    assert stamped.count('description: "sha256 ') == 5
    assert stamp_configs(stamped, manifest) == stamped
    changed = manifest | {"files": manifest["files"] | {"ner/test.parquet": "0" * 64}}
    other = stamp_configs(stamped, changed)  # type: ignore[arg-type]
    assert sum(a != b for a, b in zip(stamped.splitlines(), other.splitlines(), strict=True)) == 1
    assert stamp_configs("# No YAML\n", manifest) == "# No YAML\n"
    assert make_card(manifest).count("config_name") == 5


def test_a_second_build_changes_nothing(mini: Benchmark) -> None:
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    assert 'description: "sha256 ' in (mini.dataset / "README.md").read_text()
    assert not update_card(mini.dataset, read_manifest(mini))
    assert build.write_dataset(build.build_dataset(mini), mini.dataset) == []
