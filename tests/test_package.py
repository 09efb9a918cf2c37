"""The package: no Python among the data, a light start, a wheel that keeps to itself, nothing of one benchmark."""

import ast
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from jinbench.baselines import recipe
from jinbench.core import files
from jinbench.formats import registry
from tests.helpers.entries import system_with, write_entry
from tests.helpers.paths import ROOT

PACKAGE = ROOT / "jinbench"
TEMPLATE = PACKAGE / "starter"


def test_data_folders_hold_no_python_but_recipes() -> None:
    folders = ("seeds", "annotation", "dataset", "baselines", "leaderboard")
    result = [path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert result
    assert all(path.parent == Path("baselines") for path in result)


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
    output = run(str(environment / "bin" / "python"), "-c", code)
    assert str(site) in output
    assert " 3 " in output
    assert "ClassLabel" in output
    assert "sha256" in run(str(environment / "bin" / "jinbench"), "verify", "--info")
    assert "each is what manifest.json lists" in run(str(environment / "bin" / "jinbench"), "verify")
    command = str(environment / "bin" / "jinbench")
    assert "jinbench" in run(command, "run", "--help")
    assert list(empty.iterdir()) == []
    predictions = ROOT / "baselines" / "rules" / "predictions-ner-test.jsonl"
    mine = re.sub('"spans": \\[{.*', '"spans": []}', predictions.read_text(), count=1)  # not the same as those of rules
    (empty / "mine.jsonl").write_text(mine)
    assert "mine.jsonl minus tagger:" in run(command, "compare", "mine.jsonl", "tagger")
    assert "| mine.jsonl |" in run(command, "rank", "--with", "mine.jsonl", "--out", "page.html")
    assert sorted(path.name for path in empty.iterdir()) == ["mine.jsonl", "page.html"]
    version = json.loads((ROOT / "dataset" / "manifest.json").read_text())["version"]
    made = write_entry(tmp_path, system=system_with("data", f'"{version}"'), predictions__jsonl=mine)
    assert "It would be 1st to 5th of 5, not sign" in run(command, "submit", str(made), "--dry-run")


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
    result = {name for name in done.stdout.split() if not name.startswith("_")}
    assert result - {"cython_runtime"} == {"jinbench", "lazy_loader", "numpy"}  # that one comes with numpy


def package_files() -> list[Path]:
    return [path for path in files.walk_files(PACKAGE) if not {"_rooms", "__pycache__"} & {*path.parts}]


def test_nothing_of_one_city_is_in_the_package() -> None:
    for path in package_files():
        data = path.read_bytes()
        for word in ("天津", "津"):
            assert word.encode() not in data, (path, word)
        assert b"tianjin" not in data.lower(), path


def ours() -> set[str]:
    """What names a label, a crosswalk, a page or an article of the benchmark that lies beside the package."""
    with (ROOT / "annotation" / "labels.toml").open("rb") as file:
        result = tomllib.load(file)
    entries = [*result["entity"], *result["sector"]]
    names = {entry[key] for entry in entries for key in ("name", "zh")}
    names |= {name for entry in entries for name in entry.get("crosswalk", ())}
    with (ROOT / "seeds" / "articles.toml").open("rb") as file:
        listing = tomllib.load(file)
    names |= {entry[key] for entry in listing["page"] for key in ("id", "file")}
    names |= {entry["id"] for entry in listing["article"]} | {entry.get("story", "") for entry in listing["article"]}
    return names - {""}


def literals(path: Path) -> set[str]:
    """The texts in quotation marks in a file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return {node.value for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)}  # fmt: skip
    return {part for mark in "\"'`" for part in re.findall(rf"{mark}([^{mark}\n]*){mark}", text)}


def test_no_code_is_bound_to_our_labels_or_pages() -> None:
    """The template has labels of its own, and some of these are called as anyone would call them."""
    names = ours() - registry.FORMATS.keys()  # a crosswalk and a format may be called after one corpus
    assert {"COMPANY", "general", "msra"} <= names
    for path in package_files():
        if path.is_relative_to(TEMPLATE) or path.suffix in (".lock", ".tsv", ".typed"):
            continue
        assert literals(path) & names <= set(), path
