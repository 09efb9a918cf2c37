"""Worlds to test in: the repository itself (read only), and the three-page world that is made for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jinbench.core.benchmark import Benchmark, find_benchmark
from jinbench.dataset import build
from jinbench.labelstudio.server import accounts, process
from tests.helpers.benchmarks import three_pages
from tests.helpers.labelstudio import Desk
from tests.helpers.paths import ROOT
from tests.helpers.postgres import postgres  # noqa: F401


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: begun last, it would keep everybody waiting."""
    items.sort(key=lambda item: item.path.name != "test_reproduce.py")


@pytest.fixture(scope="session")
def real() -> Benchmark:
    """The repository. Tests only read it."""
    return find_benchmark(ROOT)


@pytest.fixture
def mini(tmp_path: Path) -> Benchmark:
    """The three-page world, not yet built."""
    return three_pages(tmp_path / "mini")


@pytest.fixture
def world(mini: Benchmark) -> Benchmark:
    """The same, with its dataset."""
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    return mini


@pytest.fixture(scope="session")
def server_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a real Label Studio server of the tests' own, ended by its process id."""
    home = tmp_path_factory.mktemp("labelstudio")
    with accounts.use_home(home):
        process.start_server(port=0)
        yield home
        process.stop_server()


@pytest.fixture
def server(server_home: Path) -> process.Server:
    """That server, running: started again if a test killed it."""
    return process.start_server()


@pytest.fixture
def desk(server: process.Server, mini: Benchmark, request: pytest.FixtureRequest) -> Desk:
    return Desk(mini, server, request.node.name.removeprefix("test_").replace("_", "-")[:24])


@pytest.fixture
def big_desk(server: process.Server, tmp_path: Path, request: pytest.FixtureRequest) -> Desk:
    """The real pages, in a copy."""
    for room in ("seeds", "annotation"):
        shutil.copytree(ROOT / room, tmp_path / "real" / room)
    return Desk(Benchmark(tmp_path / "real"), server, request.node.name.removeprefix("test_").replace("_", "-")[:24])
