"""A few mutated inputs for every reader; `python -m tests.fuzz` tries as many as one likes."""

from pathlib import Path

import pytest

from tests import fuzz


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = tmp_path_factory.mktemp("fuzz") / "world"
    fuzz.make_world(world)
    return world


@pytest.mark.slow
@pytest.mark.parametrize("name", fuzz.READERS)
def test_mutated_inputs_are_read_or_refused(name: str, made: Path) -> None:
    counts, faults, _ = fuzz.fuzz(made, name, 6, seed=0)
    assert not faults
    assert counts["read"] + counts["refused"] == 6
