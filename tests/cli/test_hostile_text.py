"""Text of others (file names, ids, messages, names of systems and labels) acts on no terminal, document or page."""

import json
import shutil
from pathlib import Path

import pytest

from jinbench.core.files import toml_string
from jinbench.core.text import escape_invisible, escape_markdown, is_visible
from jinbench.dataset.build import build_dataset, write_dataset
from tests.helpers.benchmarks import create_mini_benchmark
from tests.helpers.commands import run_and_capture
from tests.helpers.entries import write_entry

HOSTILE = {
    "screen": "a\x1b[2J\x1b]0;title\x07b",
    "line": "a.jsonl\n0 problems.\rdone",
    "c1": "a\x9b31mb\x85c",
    "direction": "a\u202eljnos.b\u2066c\u200f",
    "no width": "a\u200bb\u2060c\ufeff\u00ad",
    "blank": "a\u3164b\u2800c",
    "tag": "a\U000e0041b",
    "separator": "a\u2028b\u2029c",
}
COMMANDS = (
    "verify {}", "seeds add {}", "submit {}", "score {}", "parse {}", "run {}", "compare {} other.jsonl",
    "hydrate {} --pages . --out o", "convert {} --to conll --out x", "convert {} --from brat --to conll --out x",
)  # fmt: skip
TABLE = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    benchmark = create_mini_benchmark(tmp_path_factory.mktemp("world") / "mini")
    write_dataset(build_dataset(benchmark), benchmark.dataset)
    return benchmark.root


def assert_harmless(output: str, text: str) -> None:
    assert any(form[:4] in output for form in (escape_invisible(text), repr(text)[1:])), output  # it is told
    assert all(is_visible(char) or char in "\n\t" for char in output), repr(output)
    assert "Traceback" not in output


@TABLE
@pytest.mark.parametrize("command", COMMANDS)
def test_names_of_files(
    command: str, text: str, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    arguments = [text if word == "{}" else word for word in command.split()]
    for json_option in ([], ["--json"]):
        output = run_and_capture(capsys, "--root", str(world), *arguments, *json_option, code=1)
        assert_harmless(output, text)
    (tmp_path / text).write_text("nothing of the kind\x01\n")
    assert_harmless(run_and_capture(capsys, "--root", str(world), *arguments, code=1), text)


@TABLE
def test_other_files_of_an_entry(text: str, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_entry(tmp_path)
    (folder / text).write_text("")
    output = run_and_capture(capsys, "--root", str(world), "submit", str(folder), "--dry-run")
    assert_harmless(output, text)
    assert len([line for line in output.splitlines() if "Not read" in line]) == 1


@TABLE
def test_exceptions_of_a_recipe(text: str, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "recipe.py"
    recipe.write_text(f'TASK = "ner"\nSEED = 0\n\ndef make():\n    raise ValueError({text!r})\n')
    output = run_and_capture(
        capsys, "--root", str(world), "run", str(recipe), "--on", "test", "--out", str(tmp_path / "out"), code=1
    )
    assert_harmless(output, text)


@TABLE
def test_ids_and_labels_of_a_corpus(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spans = [{"start_offset": 0, "end_offset": 9, "label": text}, {"start_offset": 0, "end_offset": 1, "label": text}]
    rows = [{"id": text, "text": "一二三", "entities": spans}, {"id": text, "text": "四", "entities": [], text: 1}]
    Path("x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = run_and_capture(capsys, "convert", "x.jsonl", "--from", "doccano", "--to", "brat", "--out", "out")
    assert all(is_visible(char) or char in "\n\t" for char in output), repr(output)


@TABLE
def test_names_of_labels_in_documents(
    text: str, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "mini"
    shutil.copytree(world, root)
    labels = root / "annotation" / "labels.toml"
    title = toml_string(f"{text} <script>alert(1)</script>")
    lines = [f"title = {title}" if line.startswith("title") else line for line in labels.read_text().splitlines()]
    labels.write_text("\n".join(lines))
    run_and_capture(capsys, "--root", str(root), "rank", code=0)
    page, table = ((root / "leaderboard" / name).read_text() for name in ("index.html", "leaderboard.md"))
    assert "<script>alert" not in page + table
    assert all(is_visible(char) or char in "\n\t" for char in page + table)


MARKDOWN = {
    "a_b": "a_b",
    "_a_": r"\_a\_",
    "*a* `b` ~~c~~": r"\*a\* \`b\` \~\~c\~\~",
    "![a](http://b.c)": r"\!\[a\](http&#58;//b.c)",
    "Www.evil.example": "Www&#46;evil.example",
    "@somebody #1 $x$": r"&#64;somebody \#1 \$x\$",
    "<b>&amp;|": r"&lt;b\>&amp;amp;\|",
    "- a\n# b": r"\- a \# b",
    "1. a": r"1\. a",
}


@pytest.mark.parametrize(("text", "escaped"), MARKDOWN.items())
def test_markdown_is_escaped(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped
