"""Names that point elsewhere, or that no file may have: every command writes where it was told to, or not at all."""

import json
import re
from pathlib import Path

import pytest

from jinbench.core import files
from jinbench.core.text import is_file_name
from tests.helpers.benchmarks import create_mini_benchmark
from tests.helpers.commands import contents, run, run_and_capture
from tests.helpers.names import HOSTILE_NAMES, NAMES

# Those that a file can have on Linux, and a word of a command.
ON_DISK = [name for name in HOSTILE_NAMES if re.fullmatch(r"[^/\0\ud800]{1,80}", name) and name != ".."]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder deep enough that a name which leads out of it by some steps ends in `tmp_path`."""
    place = tmp_path / "a" / "b" / "c"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    return place


def list_new_files(top: Path, before: dict[str, bytes], but: str = "") -> list[str]:
    """Return the files of `top` that were not there before; of those that were, only `but` may have changed."""
    after = contents(top)
    assert {name: after.get(name) for name in before if name != but} == {n: before[n] for n in before if n != but}
    return sorted(after.keys() - before.keys())


@pytest.mark.parametrize("format", ["brat", "conll", "cluener", "labelstudio", "doccano", "spacy", "jinbench"])
def test_convert(format: str, place: Path, tmp_path: Path) -> None:
    names = [*HOSTILE_NAMES, *NAMES, "a.txt/b", "A.ann/c", "a/B.TXT"]
    rows = [
        {"id": name, "text": f"第{n}篇说的是{chr(0x4E00 + 7 * n) * 9}。", "label": [[5, 8, "X"]]}
        for n, name in enumerate(names)
    ]
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = contents(tmp_path)
    run(["convert", "in.jsonl", "--from", "doccano", "--to", format, "--out", "out"])
    made = list_new_files(tmp_path, before)
    assert made
    assert all(name.startswith("a/b/c/out") and is_file_name(name) for name in made)
    if format == "brat":
        assert len(made) == 2 * (len(names) - 1)  # no file has half a surrogate pair


def test_seeds_add(place: Path, tmp_path: Path) -> None:
    benchmark = create_mini_benchmark(place / "mini")
    for n, name in enumerate(ON_DISK):
        Path(name).write_text(f"山城第{n}号线通车\n\n山城地铁{n}号线昨天通车。线路全长{n}公里。\n")
    before = contents(tmp_path)
    for name in ON_DISK:
        run(["--root", str(benchmark.root), "seeds", "add", "--", f"./{name}"])
    made = list_new_files(tmp_path, before, but="a/b/c/mini/seeds/articles.toml")
    assert made
    assert all(name.startswith("a/b/c/mini/seeds/pages/") and is_file_name(Path(name).name) for name in made)


@pytest.mark.parametrize("path", ["seeds/articles.toml", "annotation/annotators.toml"])
def test_build(path: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a page, and of an annotator, whose labels are in a file of this name."""
    benchmark = create_mini_benchmark(place / "mini")
    table = benchmark.root / path
    text = files.read_text(table)
    old = '"a.txt"' if "seeds" in path else '"annotator-a"'
    assert old in text
    for name in HOSTILE_NAMES:
        if "\ud800" in name:  # no TOML
            continue
        table.write_text(text.replace(old, json.dumps(name)))
        before = contents(tmp_path)
        for command in ("build", "agreement"):
            said = run_and_capture(capsys, "--root", str(benchmark.root), command, code=1)
            assert "Traceback" not in said
        assert list_new_files(tmp_path, before) == [], name


@pytest.mark.slow
def test_process(place: Path, tmp_path: Path) -> None:
    (place / "in").mkdir()
    for n, name in enumerate(ON_DISK):
        row = {"id": name, "text": f"山城地铁{n}号线昨天通车。线路全长{n}公里。"}
        (place / "in" / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    before = contents(tmp_path)
    run(["process", *(f"in/{name}.jsonl" for name in ON_DISK), "--out", "out"])
    made = list_new_files(tmp_path, before)
    assert made
    assert all(name.startswith("a/b/c/out/") and is_file_name(name) for name in made)
