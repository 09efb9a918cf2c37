"""The shape of the house: reading order, rooms without code, a light start, a wheel that keeps to itself."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from jinbench.baselines import recipe
from tests.helpers.paths import ROOT

PACKAGE = ROOT / "jinbench"


def test_rooms_hold_no_python_but_recipes() -> None:
    rooms = ("seeds", "annotation", "dataset", "baselines", "leaderboard")
    found = [path.relative_to(ROOT) for room in rooms for path in (ROOT / room).rglob("*.py")]
    assert found
    assert all(path.parent == Path("baselines") for path in found)


@pytest.mark.parametrize("path", sorted((ROOT / "baselines").glob("*.py")), ids=lambda path: path.stem)
def test_a_recipe_uses_only_what_it_may_count_on(path: Path) -> None:
    """scikit-learn, the public API with its estimators, and the packages that the recipe declares."""
    needed = {re.sub(r"[-_.]+", "_", name).lower() for name in recipe.load_recipe(path).needs}
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            top = name.split(".")[0]
            ours = name in ("jinbench", "jinbench.models")
            assert ours or top == "sklearn" or top.lower() in needed or top in sys.stdlib_module_names, name


HEAVY = ("numpy", "pandas", "datasets", "sklearn", "scipy", "pyarrow", "label_studio_sdk", "opencc", "httpx")


@pytest.mark.parametrize("statement", ["import jinbench", "import jinbench.cli.app", "import jinbench.seeds.articles"])
def test_a_start_is_light(statement: str) -> None:
    code = f"import sys; {statement}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_puts_one_name_into_site_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"jinbench"}
    assert "jinbench/_rooms/dataset/ner/test.parquet" in names
    assert "jinbench/labelstudio/server/labelstudio.lock" in names
    assert not [name for name in names if "_rooms/seeds/" in name or "/exports/" in name]
    assert "jinbench/starter/example/seeds/pages/example.txt" in names
    assert "jinbench/starter/gitignore" in names


def test_the_wheel_works_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """Installed into an environment that sees the dependencies, but not the checkout."""
    environment, empty = tmp_path / "env", tmp_path / "empty"
    empty.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    site = next(environment.glob("lib/python*/site-packages"))
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(environment), "install", "--quiet", "--no-deps", str(wheel)],
        check=True, capture_output=True,
    )  # fmt: skip
    (site / "dependencies.pth").write_text(str(Path(pytest.__file__).parent.parent) + "\n")

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=empty, capture_output=True, text=True, env={"HOME": str(tmp_path)})
        assert done.returncode == 0, done.stderr
        return done.stdout

    code = "import jinbench; d = jinbench.load('ner'); print(jinbench.__file__, len(d), d['test'].features['ner_tags'])"
    said = run(str(environment / "bin" / "python"), "-c", code)
    assert str(site) in said
    assert " 3 " in said
    assert "ClassLabel" in said
    assert "sha256" in run(str(environment / "bin" / "jinbench"), "verify", "--info")
    assert "each is what manifest.json lists" in run(str(environment / "bin" / "jinbench"), "verify")
    assert "jinbench" in run(str(environment / "bin" / "jinbench"), "run", "--help")
    assert list(empty.iterdir()) == []


def test_nothing_committed_names_a_registry() -> None:
    """Lock files hold hashes, no addresses."""
    for path in (ROOT / "requirements.lock", PACKAGE / "labelstudio" / "server" / "labelstudio.lock"):
        text = path.read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text
        assert "index-url" not in text


def test_the_scorer_needs_nothing_but_numpy() -> None:
    """Of a stream of tags, with intervals and all; pandas only where somebody asks for a table of it."""
    program = """
import sys
from jinbench.scoring.streaming import StreamingScorer
report = StreamingScorer(["X"]).add([["B-X"]] * 9, [["B-X"]] * 8 + [["O"]], range(9)).report()
assert report.micro.low is not None
print(*{name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names))
"""
    done = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    found = {name for name in done.stdout.split() if not name.startswith("_")}
    assert found - {"cython_runtime"} == {"jinbench", "lazy_loader", "numpy"}  # that one comes with numpy
