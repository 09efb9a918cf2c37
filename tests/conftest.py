"""Benchmarks to test on: the repository itself, read only, and the three-page benchmark made for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from jinbench.core.benchmark import Benchmark, find_benchmark
from jinbench.dataset import build
from jinbench.labelstudio.server import accounts, process
from tests.helpers.benchmarks import create_mini_benchmark
from tests.helpers.labelstudio import AnnotationProject
from tests.helpers.paths import ROOT
from tests.helpers.postgres import postgres  # noqa: F401

# No test fails because the machine is slow, and each run tries the same examples.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
settings.load_profile("repeatable")

# A test that uses one of these fixtures gets the marker, so that `make test-fast` can leave it out.
MARKERS = {
    "server_home": "server",
    "browser": "browser",
    "local_browser": "browser",
    "postgres": "postgres",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the fixtures that they use, and begin with the longest: begun last, it would keep all waiting."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARKERS:
                item.add_marker(MARKERS[fixture])
    items.sort(key=lambda item: item.path.name != "test_reproduce.py")


@pytest.fixture(scope="session")
def real() -> Benchmark:
    """The repository. Tests only read it."""
    return find_benchmark(ROOT)


@pytest.fixture
def mini(tmp_path: Path) -> Benchmark:
    """The three-page world, not yet built."""
    return create_mini_benchmark(tmp_path / "mini")


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
def project(server: process.Server, mini: Benchmark, request: pytest.FixtureRequest) -> AnnotationProject:
    return AnnotationProject(mini, server, request.node.name.removeprefix("test_").replace("_", "-")[:24])


@pytest.fixture
def large_project(server: process.Server, tmp_path: Path, request: pytest.FixtureRequest) -> AnnotationProject:
    """The real pages, in a copy."""
    for room in ("seeds", "annotation"):
        shutil.copytree(ROOT / room, tmp_path / "real" / room)
    return AnnotationProject(
        Benchmark(tmp_path / "real"), server, request.node.name.removeprefix("test_").replace("_", "-")[:24]
    )
