"""The documents: commands, generated sections, links and required statements."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
import yaml

from jinbench.cli.app import app
from jinbench.core.benchmark import Benchmark
from jinbench.dataset import features, load
from jinbench.publish import card
from tests.helpers.paths import ROOT


def list_commands() -> list[tuple[str, Any]]:
    """Return every command with its full name."""
    group: Any = typer.main.get_command(app)
    commands = []
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            commands += [(f"{name} {sub}", entry) for sub, entry in command.commands.items()]
        else:
            commands.append((name, command))
    return commands


@pytest.mark.parametrize(("name", "command"), list_commands(), ids=[name for name, _ in list_commands()])
def test_every_command_is_explained_and_in_the_readme(name: str, command: Any) -> None:
    assert len(command.help or "") > 30
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name}: {parameter.name} has no help"
    assert any("--json" in parameter.opts for parameter in command.params), f"{name} has no --json"
    readme = (ROOT / "README.md").read_text()
    group, _, sub = name.rpartition(" ")
    row = next(line for line in readme.splitlines() if line.startswith("| `") and f"`jinbench {group or sub}" in line)
    assert f"`{sub}`" in row or f" {name}" in readme, f"jinbench {name} is not in the README"


def test_generated_sections_are_up_to_date(real: Benchmark) -> None:
    assert list(card.find_stale_documents(real)) == []


def test_the_card_of_the_dataset_is_a_byte_copy(real: Benchmark) -> None:
    assert (real.dataset / "README.md").read_bytes() == real.card.read_bytes()


def test_the_card_lists_configs_and_files(real: Benchmark) -> None:
    head = yaml.safe_load(real.card.read_text().split("---\n")[1])
    assert head["annotations_creators"] == ["machine-generated"]
    assert [config["config_name"] for config in head["configs"]] == list(features.CONFIGS)
    assert [config.get("default", False) for config in head["configs"]] == [True, *(False for _ in head["configs"][1:])]
    for config in head["configs"]:
        assert tuple(file["split"] for file in config["data_files"]) == features.CONFIGS[config["config_name"]]
        for file in config["data_files"]:
            assert (real.dataset / file["path"]).is_file()


def test_the_citation_names_the_version_of_the_data(real: Benchmark) -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == load.read_manifest(real)["version"]


@pytest.mark.parametrize("name", ["README.md", "DATASET_CARD.md", "annotation/README.md", "annotation/annotators.toml"])
def test_documents_state_that_a_language_model_labelled(name: str) -> None:
    text = re.sub(r"\s+", " ", (ROOT / name).read_text())
    assert re.search(r"((labels (here )?were|label was) made by a language model|kind = \"language model\")", text)


def test_the_first_screen_of_the_readme_has_the_two_commands() -> None:
    first = "\n".join((ROOT / "README.md").read_text().splitlines()[:20])
    assert "make run" in first
    assert "make test" in first


def test_links_between_the_documents_work() -> None:
    folders = ("seeds", "annotation", "baselines", "leaderboard", "benchmarks")
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / folder / "README.md" for folder in folders),
    ]:
        prose = re.sub(r"`[^`\n]*`", "", path.read_text())
        for link in re.findall(r"\]\(([^)#:]+)\)", prose):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_every_target_of_the_makefile_is_explained() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split()
    assert set(phony) == set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))


@pytest.mark.slow
def test_the_snippets_pass_type_checkers(tmp_path: Path) -> None:
    """As a user's own files, beside an installed package."""
    for document in (ROOT / "README.md", ROOT / "DATASET_CARD.md", *(ROOT / "docs").glob("*.md")):
        for n, snippet in enumerate(re.findall(r"^```py(?:thon)?\n(.*?)^```$", document.read_text(), re.S | re.M)):
            (tmp_path / f"{document.stem.lower()}_{n}.py").write_text(snippet)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) >= 10
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "basic"}))
    mypy = ["mypy", "--strict", "--allow-untyped-defs", "--ignore-missing-imports", "--cache-dir", ".cache", *names]
    for command in (mypy, ["basedpyright", "--pythonpath", sys.executable]):
        done = subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
