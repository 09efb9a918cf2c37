"""A new benchmark from the template: whole or not at all, with any label set, and every step of it works."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from jinbench import scaffold
from jinbench.annotation import exports, labels
from jinbench.annotation.annotators import ADJUDICATOR, add_annotators
from jinbench.annotation.workspace import Workspace
from jinbench.baselines.recipe import load_recipe
from jinbench.cli import app
from jinbench.core import files, schemas
from jinbench.core.benchmark import Benchmark, packaged_benchmark
from jinbench.core.errors import DataError
from jinbench.labelstudio import labeling_config
from jinbench.labelstudio.server import process
from jinbench.publish import card
from jinbench.seeds import articles
from tests.helpers import hub
from tests.helpers.benchmarks import add_pages, label_by_rules, write_export, write_pages
from tests.helpers.commands import contents, run_and_capture
from tests.helpers.labelstudio import run_command
from tests.helpers.paths import ROOT

PACKAGE = ROOT / "jinbench"
TEMPLATE = PACKAGE / "starter"


# What is there


def test_what_a_new_benchmark_has(tmp_path: Path) -> None:
    benchmark = scaffold.create_benchmark(tmp_path / "paper", "The Paper")
    label_set = labels.read_label_set(benchmark)
    assert label_set.title == "The Paper"
    labeling_config.check_labeling_config(benchmark, label_set)
    assert benchmark.pages.is_dir()
    with pytest.raises(DataError) as caught:
        articles.read_seeds(benchmark)
    (problem,) = caught.value.problems
    assert (problem.code, problem.found) == ("pages-missing", "0 pages, 0 articles")
    assert "jinbench seeds add" in problem.fix
    sections = set()
    for document in card.DOCUMENTS:
        text = files.read_text(benchmark.root / document)
        assert re.search(r"^# The Paper(: the dataset in detail)?$", text, re.MULTILINE)
        assert "{{" not in text
        sections |= set(re.findall(r"<!-- generated:([a-z-]+) -->", text))
    assert sections == card.section_names()  # the documents leave none out
    assert 'pretty_name: "The Paper"\n' in files.read_text(benchmark.card)
    assert scaffold.count_todos(benchmark).keys() == {"DATASET_CARD.md", "LICENSE-DATA.md"}


def test_recipes_are_the_package_s_own(tmp_path: Path) -> None:
    benchmark = scaffold.create_benchmark(tmp_path / "paper")
    made = sorted(path.name for path in benchmark.baselines.glob("*.py"))
    assert made == sorted(f"{name}.py" for name in scaffold.RECIPES)
    for name in made:
        assert (benchmark.baselines / name).read_bytes() == (packaged_benchmark().baselines / name).read_bytes()
        recipe = load_recipe(benchmark.baselines / name)
        assert not recipe.needs
        assert not recipe.crosswalk
    assert {load_recipe(benchmark.baselines / name).task for name in made} == {"ner", "sector"}


def test_every_field_of_a_label_is_explained() -> None:
    text = files.read_text(TEMPLATE / "annotation" / "labels.toml")
    schema = schemas.read_schema("labels")["properties"]
    for name in schema.keys() - {"entity", "sector"}:
        assert re.search(rf"^{name} = .+  # ", text, re.MULTILINE), name
    before, after = text.split("# [[sector]]: ")
    for name in schema["entity"]["items"]["properties"]:
        assert re.search(rf"^#   {name} ", before, re.MULTILINE), name
    for name in schema["sector"]["items"]["properties"]:
        assert re.search(rf"^#   {name} |^# .*\b{name}\b", after, re.MULTILINE), name


@pytest.mark.parametrize(
    "document", ["README.md", "Makefile", "annotation/README.md", "DATASET_CARD.md", "docs/dataset.md"]
)
def test_every_command_that_it_names_exists(document: str) -> None:
    text = files.read_text(TEMPLATE / document)
    named = re.findall(r"(?:jinbench|\$\(JINBENCH\)) ([a-z]+)(?: ([a-z]+))?", text)
    assert named
    group = typer.main.get_command(app.app)
    for first, second in named:
        command = group.commands[first]  # type: ignore[attr-defined]
        assert not hasattr(command, "commands") or second in command.commands, (first, second)


def test_the_same_in_two_places(tmp_path: Path) -> None:
    first, second = (
        scaffold.create_benchmark(tmp_path / name / "paper", "The Paper", example=True) for name in ("a", "b")
    )
    assert contents(first.root) == contents(second.root)
    assert len(contents(first.root)) == 19
    assert (first.root / ".gitignore").is_file()
    for name, data in contents(first.root).items():
        assert str(tmp_path).encode() not in data, name


def test_an_example_is_there_if_asked_for(tmp_path: Path) -> None:
    benchmark = scaffold.create_benchmark(tmp_path / "paper", example=True)
    assert [article.id for article in articles.read_seeds(benchmark).articles] == ["bridge", "library"]
    assert files.read_text(benchmark.articles).startswith("# How each page falls into articles")
    assert labels.read_label_set(benchmark).title == "paper"


@pytest.mark.parametrize("title", ['A "b" \\ c', "# heading: x", "{{title}}", "'", "津\u3000门", "- [x](y)"])
def test_any_title(title: str, tmp_path: Path) -> None:
    from huggingface_hub import RepoCard

    benchmark = scaffold.create_benchmark(tmp_path / "paper", title)
    assert labels.read_label_set(benchmark).title == title
    assert RepoCard(files.read_text(benchmark.card)).data.pretty_name == title
    assert f"\n# {title}\n" in files.read_text(benchmark.card)


@pytest.mark.parametrize("title", ["two\nlines", "  ", "\x00", "\udce4"])
def test_a_title_that_is_none(title: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--title"):
        scaffold.create_benchmark(tmp_path / "paper", title)
    assert list(tmp_path.iterdir()) == []


# Whole or not at all


@pytest.mark.parametrize("name", ["thesis.txt", ".hidden"])
def test_a_folder_that_holds_something(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_text("years of work")
    assert ": folder-taken\n" in run_and_capture(capsys, "init", str(tmp_path), code=1)
    assert contents(tmp_path) == {name: b"years of work"}
    assert ": folder-taken\n" in run_and_capture(capsys, "init", str(tmp_path / name), code=1)
    assert contents(tmp_path) == {name: b"years of work"}


@pytest.mark.parametrize("exists", [True, False])
def test_nothing_is_half_there(exists: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off while it is put together, or while it is moved: nothing is left of it, hidden or not."""
    folder = tmp_path / "paper"
    if exists:
        folder.mkdir()

    def broken(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(scaffold.labeling_config, "build_labeling_config", broken)
    with pytest.raises(KeyboardInterrupt):
        scaffold.create_benchmark(folder)
    monkeypatch.undo()
    assert [*tmp_path.rglob("*")] == [folder][: int(exists)]
    real: Callable[..., None] = os.rename
    moved: list[object] = []

    def fails(source: Path, target: Path) -> None:
        moved.append(source)
        if len(moved) == (4 if exists else 1):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(OSError, match="No space left"):
        scaffold.create_benchmark(folder)
    assert [*tmp_path.rglob("*")] == [folder][: int(exists)]


def test_the_folder_that_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays the same folder, and what is in it is readable for others as any other file."""
    before = tmp_path.stat().st_ino
    monkeypatch.chdir(tmp_path)
    benchmark = scaffold.create_benchmark(Path("."))
    assert tmp_path.stat().st_ino == before
    assert labels.read_label_set(benchmark).title == tmp_path.name
    mask = os.umask(0)
    os.umask(mask)
    for path in tmp_path.rglob("*"):
        wanted = 0o777 if path.is_dir() else 0o666
        assert path.stat().st_mode & 0o777 in (wanted & ~mask, 0o644), path


def test_what_the_command_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output = run_and_capture(capsys, "init", "my paper", "--title", "The Paper")
    for number, part in enumerate(("cd 'my paper'", "jinbench seeds add", "jinbench annotate push"), 1):
        assert re.search(rf"^  {number}\. .*{re.escape(part)}", output, re.MULTILINE)
    record = json.loads(run_and_capture(capsys, "init", "other", "--example", "--json"))
    assert sorted(contents(tmp_path / "other")) == record["files"]
    assert len(record["next"]) == 3
    monkeypatch.chdir(tmp_path / "my paper")
    assert ": pages-missing\n" in run_and_capture(capsys, "annotate", "push", "--dry-run", code=1)


def test_each_step_names_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever types a step too early is told which one is missing."""
    benchmark = scaffold.create_benchmark(tmp_path / "paper")
    monkeypatch.chdir(benchmark.root)
    steps = ["annotate push", "annotate pull", "build --search-splits --write", "build", "run"]
    missing = ["jinbench seeds add", "annotate push --annotators", "jinbench annotate pull",
               "make it with: jinbench build --search-splits --write", "jinbench build makes it"]  # fmt: skip
    after: list[Callable[[], object]] = [
        lambda: add_pages(benchmark),
        lambda: add_annotators(benchmark, labels.read_label_set(benchmark), ["ann"], "test data"),
        lambda: write_export(benchmark, "ann"),
        lambda: run_and_capture(capsys, "build", "--search-splits", "--write"),
    ]
    for step, says, done in zip(steps, missing, [*after, lambda: None], strict=True):
        assert says in run_and_capture(capsys, *step.split(), code=1), step
        done()
    run_and_capture(capsys, "build")


def test_two_articles_are_too_few_to_split(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = scaffold.create_benchmark(tmp_path / "paper", example=True)
    add_annotators(benchmark, labels.read_label_set(benchmark), ["ann"], "test data")
    write_export(benchmark, "ann")
    monkeypatch.chdir(benchmark.root)
    output = run_and_capture(capsys, "build", "--search-splits", code=1)
    assert ": split-mismatch\n" in output
    assert "3 groups of stories or more" in output


# Any label set


def without(kind: str, benchmark: Benchmark) -> None:
    """Take all labels of a kind away."""
    text = files.read_text(benchmark.labels)
    kept = [block for block in re.split(r"(?=^\[\[)", text, flags=re.MULTILINE) if not block.startswith(f"[[{kind}]]")]
    benchmark.labels.write_text("".join(kept), encoding="utf-8")


def leave_out_curves(benchmark: Benchmark) -> None:
    """A learning curve takes its time, and one in all tests is enough."""
    for path in benchmark.baselines.glob("*.py"):
        path.write_text(files.read_text(path).replace("CURVE = True\n", ""), encoding="utf-8")


STEPS = [
    "seeds check", "labels config", "labels config --check", "annotate check", "build --search-splits --write",
    "build", "verify --info", "verify", "run", "rank", "card", "card --check", "rank --errata-impact", "check",
    "publish --standoff --out OUT/bare", "hydrate OUT/bare --pages seeds/pages --out OUT/again", "verify OUT/again",
]  # fmt: skip
OF_TASKS = {
    "ner": ["submit --template ner", "prompt --task ner --shots 1 --out OUT/ner",
            "score baselines/tagger/predictions-ner-test.jsonl"],
    "sector": ["submit --schema sector", "prompt --task sector --shots 1 --lang en --out OUT/sector",
               "score baselines/majority/predictions-sector-folds.jsonl --task sector --split folds"],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["", "entity", "sector"])
def test_every_step_with_any_label_set(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three articles, one annotator, and the labels of the template: all of them, only sectors, only entities."""
    benchmark = scaffold.create_benchmark(tmp_path / "paper", "The Paper")
    if kind:
        without(kind, benchmark)
        leave_out_curves(benchmark)
    else:  # whose coarse labels have a name of their own
        text = files.read_text(benchmark.labels)
        benchmark.labels.write_text(text.replace('name = "PLACE"', 'name = "PLACE"\ncrosswalk = { coarse = "LOC" }'))
    add_pages(benchmark)
    add_annotators(benchmark, labels.read_label_set(benchmark), ["ann"], "test data")
    write_export(benchmark, "ann")
    monkeypatch.chdir(benchmark.root)
    out = str(tmp_path / "out")
    gone = {"entity": "ner", "sector": "sector"}.get(kind)
    for step in [*STEPS, *(step for task, steps in OF_TASKS.items() if task != gone for step in steps)]:
        output = run_and_capture(capsys, *step.replace("OUT", out).split())
        if step == "run":
            assert ("skipped, it is for" in output) == bool(kind)
        if step == "rank":
            assert f"**{gone}" not in output
            assert ("coarse (LOC)" in output) == (not kind)
    if gone:
        assert ": wrong-task\n" in run_and_capture(capsys, "submit", "--template", gone, code=1)
    stored = {path.parent.name for path in benchmark.baselines.glob("*/scores.json")}
    assert len(stored) == (2 if kind else 4)
    page = files.read_text(benchmark.leaderboard / "index.html")
    assert "<title>The Paper</title>" in page
    assert files.read_json(benchmark.dataset / "croissant.json")["name"] == "The Paper"
    again = {path.name: path.read_bytes() for path in files.walk_files(tmp_path / "out" / "again" / "sector")}
    assert again == {path.name: path.read_bytes() for path in files.walk_files(benchmark.dataset / "sector")}
    for name, data in contents(benchmark.root).items():
        assert b"JinBench" not in data, name


# With a real Label Studio


def outside(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of every file of the checkout, and of what lies beside the benchmark."""
    skipped = {".git", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", folder.name}
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns)
        for top in (ROOT, folder.parent)
        for path in files.walk_files(top)
        if not skipped & {*path.parts}
    }


@pytest.mark.server
def test_from_an_empty_folder_to_a_leaderboard(
    server: process.Server, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two annotators and an adjudicator, all through the server; each command as it is typed."""
    run_command(tmp_path, "init", "demo", "--title", "Demo")
    benchmark = Benchmark(tmp_path / "demo")
    first, second = (f"init-{name}" for name in "ab")
    leave_out_curves(benchmark)
    run_command(benchmark.root, "seeds", "add", *write_pages(tmp_path / "from"))
    files.write_text(benchmark.guidelines, files.read_text(benchmark.guidelines).replace("TODO: ", ""))
    expected = label_by_rules(benchmark, first)
    differing = replace(expected[0], spans=expected[0].spans[1:], sectors=("culture",))
    passages = list(articles.read_seeds(benchmark).passages())
    titles = {article.id: article.title for article in articles.read_seeds(benchmark).articles}

    def labelled(name: str, *more: object) -> str:
        path = tmp_path / "from" / f"{name}.json"
        entries = [*([differing] if name == second else [expected[0]]), *expected[1:]]
        if name == ADJUDICATOR:
            entries = [replace(expected[0], reasons=("山城: a place", "产业: of trains"))]
        mine = [replace(entry, annotator=name) for entry in entries]
        path.write_text(files.dump_json(exports.to_export(mine, passages, titles)), encoding="utf-8")
        return str(path)

    sources = {name: labelled(name) for name in (first, second, ADJUDICATOR)}
    before = outside(benchmark.root)
    labelling = [
        ["labels", "config"],
        ["seeds", "check"],
        ["annotate", "push", "--annotators", f"{first},{second}", "--kind", "test data"],
        *(["annotate", "import", sources[name], "-a", name] for name in (first, second)),
        ["annotate", "status"],
        ["annotate", "pull", "-a", first, "-a", second],
        ["annotate", "adjudicate"],
        ["annotate", "import", sources[ADJUDICATOR], "-a", ADJUDICATOR, "--replace"],
        ["annotate", "pull"],
        ["annotate", "check"],
        ["annotate", "adjudicate", "--list"],
        ["agreement"],
    ]
    scoring = [
        ["build", "--search-splits", "--write"],
        ["build"],
        ["run"],
        ["score", "baselines/tagger/predictions-ner-test.jsonl"],
        ["rank"],
        ["card"],
        ["verify"],
    ]
    for command in [*labelling, *scoring]:
        run_command(benchmark.root, *command)
    gold = exports.read_export(exports.export_path(benchmark, ADJUDICATOR), Workspace(benchmark))
    assert [(entry.spans, entry.sectors) for entry in gold] == [(entry.spans, entry.sectors) for entry in expected]
    with hub.run_hub() as server:
        home = tmp_path_factory.mktemp("home")
        done = subprocess.run(
            [sys.executable, "-m", "jinbench", "publish", "--to", "owner/demo", "--dry-run"],
            cwd=benchmark.root, env=server.environment(home) | {"PYTHONPATH": str(ROOT)},
            capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "a repository to be created" in done.stdout
    assert outside(benchmark.root) == before
