"""Fixtures: a benchmark to add pages to."""

import shutil
from pathlib import Path

import pytest

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from tests.helpers.paths import ROOT


@pytest.fixture
def bare(tmp_path: Path) -> Benchmark:
    """Return a benchmark without a page, as `jinbench init` leaves it: comments alone."""
    shutil.copytree(ROOT / "tests" / "mini" / "annotation", tmp_path / "bare" / "annotation")
    files.write_text(tmp_path / "bare" / "seeds" / "articles.toml", "# How each page falls into articles.\n")
    return Benchmark(tmp_path / "bare")
