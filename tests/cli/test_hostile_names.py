"""Names that point elsewhere, or that no file may have: every command writes where it was told to, or not at all."""

import json
from pathlib import Path

import pytest

from jinbench.core import files
from jinbench.core.text import is_file_name
from tests.core.test_folders import HOSTILE_NAMES, NAMES
from tests.helpers.benchmarks import create_mini_benchmark
from tests.helpers.commands import contents, run, run_and_capture

ON_DISK = [name for name in HOSTILE_NAMES if name.strip("./") and not {*"/\0\ud800"} & {*name} and len(name) < 80]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder deep enough that a name which leads out of it by some steps ends in `tmp_path`."""
    place = tmp_path / "a" / "b" / "c"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    return place


def written(top: Path, before: dict[str, bytes]) -> list[str]:
    """What is in `top` and was not; nothing else may have changed."""
    after = contents(top)
    assert {name: after.get(name) for name in before} == before
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
    made = written(tmp_path, before)
    assert made
    assert all(name.startswith("a/b/c/out") and is_file_name(name) for name in made)
    if format == "brat":
        assert len(made) == 2 * (len(names) - 1)  # no file has half a surrogate pair


def test_seeds_add(place: Path, tmp_path: Path) -> None:
    benchmark = create_mini_benchmark(place / "mini")
    for n, name in enumerate(ON_DISK):
        Path(name).write_text(f"山城第{n}号线通车\n\n山城地铁{n}号线昨天通车。线路全长{n}公里。\n")
    table = benchmark.articles.read_bytes()
    benchmark.articles.unlink()
    before = contents(tmp_path)
    benchmark.articles.write_bytes(table)
    for name in ON_DISK:
        run(["--root", str(benchmark.root), "seeds", "add", "--", f"./{name}"])
    benchmark.articles.unlink()
    made = written(tmp_path, before)
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
        assert written(tmp_path, before) == [], name


@pytest.mark.slow
def test_process(place: Path, tmp_path: Path) -> None:
    (place / "in").mkdir()
    for n, name in enumerate(ON_DISK):
        row = {"id": name, "text": f"山城地铁{n}号线昨天通车。线路全长{n}公里。"}
        (place / "in" / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    before = contents(tmp_path)
    run(["process", *(f"in/{name}.jsonl" for name in ON_DISK), "--out", "out"])
    assert all(name.startswith("a/b/c/out/") and is_file_name(name) for name in written(tmp_path, before))
