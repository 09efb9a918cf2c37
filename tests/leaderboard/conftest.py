"""Fixtures of the leaderboard tests."""

import pytest

from jinbench.core.benchmark import Benchmark
from tests.helpers.benchmarks import create_mini_benchmark
from tests.helpers.recipes import add_crosswalk


@pytest.fixture(scope="session")
def stable(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """The three-page world with crosswalks and its dataset. Tests only read it."""
    return add_crosswalk(create_mini_benchmark(tmp_path_factory.mktemp("stable") / "mini"))
