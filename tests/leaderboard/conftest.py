"""Fixtures of the leaderboard tests."""

import json
from typing import Any

import pytest

from jinbench.core.benchmark import Benchmark
from jinbench.leaderboard import ranking
from jinbench.leaderboard.board import Board
from jinbench.leaderboard.systems import SystemPredictions
from tests.helpers.benchmarks import create_mini_benchmark
from tests.helpers.recipes import add_crosswalk
from tests.helpers.scoring import X, Y, gold_of, guesses


@pytest.fixture(scope="session")
def stable(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """The three-page benchmark with crosswalks and its dataset. Tests only read it."""
    return add_crosswalk(create_mini_benchmark(tmp_path_factory.mktemp("stable") / "mini"))


@pytest.fixture(scope="module")
def boards(real: Benchmark) -> dict[str, Any]:
    """The records of leaderboard.json, by key of the board."""
    records = json.loads((real.leaderboard / "leaderboard.json").read_text())
    return {"-".join(filter(None, (board["task"], board["crosswalk"], board["split"]))): board for board in records}


@pytest.fixture(scope="module")
def small() -> Board:
    """Thirty articles of one entity each: `all` finds them, `half` and `most` differ by chance, `none` is wrong."""
    gold = gold_of([{X}] * 30)
    predictions = {
        "all": guesses(*[{X}] * 30),
        "half": guesses(*({X} if place % 2 else set() for place in range(30))),
        "most": guesses(*({X} if place % 2 == 0 or place < 3 else set() for place in range(30))),
        "none": guesses(*[{Y}] * 30),
    }
    return ranking.rank_systems(gold, SystemPredictions(predictions, {}))
