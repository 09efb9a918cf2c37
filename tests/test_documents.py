"""The documents: commands, generated sections, links and required statements."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
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
from tools import make_cli_docs


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
def test_every_command_is_explained_and_in_the_documents(name: str, command: Any) -> None:
    assert len(command.help or "") > 30
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name}: {parameter.name} has no help"
    assert any("--json" in parameter.opts for parameter in command.params), f"{name} has no --json"
    assert f"\n## jinbench {name}\n" in (ROOT / "docs" / "cli.md").read_text()


def test_the_help_of_all_commands_is_up_to_date() -> None:
    assert make_cli_docs.PATH.read_text() == make_cli_docs.build_cli_docs(), "type: python tools/make_cli_docs.py"


def list_documents() -> list[Path]:
    folders = ("seeds", "annotation", "baselines", "leaderboard", "benchmarks")
    readmes = (ROOT / folder / "README.md" for folder in folders)
    return [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *readmes]


def list_typed_commands(text: str) -> Iterator[str]:
    """Yield what stands behind `jinbench` in shell code and in code within a sentence."""
    for code in re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        yield from re.findall(r"^jinbench (\S.*)$", re.sub(r" *(#|&&).*", "", code), re.MULTILINE)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"`jinbench\s([a-z][^`]*)`", prose)


@pytest.mark.parametrize("path", list_documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_a_document_types_exists(path: Path) -> None:
    """With its options."""
    names = {name for name, _ in list_commands()}
    for line in list_typed_commands(path.read_text()):
        words = re.sub(r"--(root|url|token-file)\s\S+", "", line).split()
        if words[0] in {"labelstudio", "annotate", "seeds", "labels"} and len(words) == 1:
            continue
        name = next((name for name in (" ".join(words[:2]), words[0]) if name in names), None)
        assert name, f"jinbench {line}"
        options = {option for parameter in dict(list_commands())[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options | {"--help"}, f"jinbench {line}"


def test_the_readme_lists_every_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    table = (ROOT / "README.md").read_text().split("## Extras\n")[1].split("\n## ")[0]
    assert {*re.findall(r"`([a-z]+)`(?=[^|]* \|.* \|$)", table, re.MULTILINE)} == {*project["optional-dependencies"]}


@pytest.mark.parametrize(("name", "most"), [("README.md", 9), ("DATASET_CARD.md", 14)])
def test_a_document_stays_short(name: str, most: int) -> None:
    assert (ROOT / name).stat().st_size <= most * 1000, "there is room in docs/"


def test_generated_sections_are_up_to_date(real: Benchmark) -> None:
    assert list(card.find_stale_documents(real)) == []


def test_the_card_of_the_dataset_is_a_copy_with_the_hashes_of_its_configs() -> None:
    lines = (ROOT / "dataset" / "README.md").read_text().splitlines()
    hashes = [line for line in lines if line.startswith('    description: "sha256 ')]
    assert len(hashes) == 5
    assert [line for line in lines if line not in hashes] == (ROOT / "DATASET_CARD.md").read_text().splitlines()


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
    for path in list_documents():
        prose = re.sub(r"`[^`\n]*`", "", path.read_text())
        for link, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", prose):
            target = path.parent / link if link else path
            assert target.exists(), f"{path.name}: {link}"
            assert not anchor or anchor in list_anchors(target), f"{path.name}: {link}#{anchor}"


def list_anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub makes of headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_target_of_the_makefile_is_explained() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split()
    assert set(phony) == set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))


@pytest.mark.slow
def test_the_snippets_pass_type_checkers(tmp_path: Path) -> None:
    """As a user's own files, beside an installed package."""
    for document in (ROOT / "README.md", ROOT / "DATASET_CARD.md", *(ROOT / "docs").glob("*.md")):
        for n, snippet in enumerate(re.findall(r"^```py\n(.*?)^```$", document.read_text(), re.S | re.M)):
            (tmp_path / f"{document.stem.lower()}_{n}.py").write_text(snippet)
        if program := re.findall(r"^```python\n(.*?)^```$", document.read_text(), re.S | re.M):  # one after the other
            (tmp_path / f"{document.stem.lower()}.py").write_text("\n".join(program))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) >= 7
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "basic"}))
    mypy = ["mypy", "--strict", "--allow-untyped-defs", "--ignore-missing-imports", "--cache-dir", ".cache", *names]
    for command in (mypy, ["basedpyright", "--pythonpath", sys.executable]):
        done = subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
