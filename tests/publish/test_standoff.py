"""The text-free release, and rebuilding it."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.dataset import verify
from jinbench.publish import standoff
from tests.helpers.commands import contents
from tests.helpers.paths import ROOT


@pytest.fixture(scope="module")
def bare(real: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("standoff")
    for name, data in standoff.build_standoff(real).items():
        files.write_bytes(folder / name, data)
    return folder


@pytest.fixture
def copy(bare: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bare, tmp_path / "standoff"))


def test_hydrate_rebuilds_the_same_bytes(bare: Path, real: Benchmark, tmp_path: Path) -> None:
    standoff.hydrate(bare, real.pages, tmp_path / "again")
    rebuilt = {
        str(path.relative_to(tmp_path / "again")): path.read_bytes() for path in files.walk_files(tmp_path / "again")
    }
    assert set(rebuilt) == {str(path.relative_to(real.dataset)) for path in files.walk_files(real.dataset)}
    for name, data in rebuilt.items():
        assert (real.dataset / name).read_bytes() == data, name
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_standoff_has_no_text_of_a_page(bare: Path, real: Benchmark) -> None:
    """No six Han characters in a row of any page, except in names of labels and quotations of the card."""
    pages = "".join(path.read_text() for path in files.walk_files(real.pages))
    runs = {match[1] for match in re.finditer(r"(?=([\u4e00-\u9fff]{6}))", pages)}
    for path in files.walk_files(bare):
        if path.name in ("README.md", "labels.toml", "LICENSE-DATA.md", "croissant.json") or path.suffix == ".png":
            continue
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            assert not standoff.TEXT_FIELDS & {part for name in list_columns(table.schema) for part in name.split(".")}
            text = str(table.to_pylist())
        else:
            text = path.read_text()
        assert not [match[1] for match in re.finditer(r"(?=([\u4e00-\u9fff]{6}))", text) if match[1] in runs], path


def list_columns(schema: "pq.ParquetSchema") -> list[str]:
    return [field.name for field in schema] + re.findall(r"(\w+): ", str(schema.remove_metadata()))


def test_standoff_has_the_labels(bare: Path, real: Benchmark) -> None:
    for name in ("ner/test.parquet", "annotations/train.parquet", "ner_noisy/test.parquet"):
        rows, whole = (pq.ParquetFile(folder / name).read().to_pylist() for folder in (bare, real.dataset))
        for row, full in zip(rows, whole, strict=True):
            assert row["id"] == full["id"]
            assert [(s["start"], s["end"], s["type"]) for s in row["spans"]] == [
                (s["start"], s["end"], s["type"]) for s in full["spans"]
            ]


def test_a_page_under_another_name_is_recognised(bare: Path, real: Benchmark, tmp_path: Path) -> None:
    for number, path in enumerate(files.walk_files(real.pages)):
        files.write_bytes(tmp_path / "pages" / f"{number}.txt", path.read_bytes())
    standoff.hydrate(bare, tmp_path / "pages", tmp_path / "again")
    assert (tmp_path / "again" / "ner" / "test.parquet").read_bytes() == (
        real.dataset / "ner" / "test.parquet"
    ).read_bytes()


def test_a_missing_and_a_different_page_are_named_together(bare: Path, real: Benchmark, tmp_path: Path) -> None:
    shutil.copytree(real.pages, tmp_path / "pages")
    first, second, *_ = sorted((tmp_path / "pages").iterdir())
    first.unlink()
    second.write_text(second.read_text() + "\n")
    with pytest.raises(DataError) as caught:
        standoff.hydrate(bare, tmp_path / "pages", tmp_path / "again")
    assert [(problem.code, Path(problem.location).name) for problem in caught.value.problems] == [
        ("file-missing", first.name),
        ("page-changed", second.name),
    ]
    assert "characters" in caught.value.problems[1].found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pages"]


def test_a_changed_standoff_file_is_noticed(copy: Path, real: Benchmark, tmp_path: Path) -> None:
    path = copy / "source" / "articles.toml"
    path.write_text(path.read_text().replace("story", "storey", 1))
    (copy / "splits.csv").unlink()
    with pytest.raises(DataError) as caught:
        standoff.hydrate(copy, real.pages, tmp_path / "again")
    assert {problem.code for problem in caught.value.problems} == {"file-changed", "file-missing"}


def test_changed_labels_with_a_matching_hash_are_noticed(copy: Path, real: Benchmark, tmp_path: Path) -> None:
    """With a changed label and a standoff.json that fits it, the manifest still has the original hash."""
    path = copy / "sector" / "test.parquet"
    table = pq.ParquetFile(path).read()
    rows = table.to_pylist()
    rows[0]["sectors"] = [(rows[0]["sectors"][0] + 1) % 10]
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)
    record = json.loads((copy / "standoff.json").read_text())
    record["files"]["sector/test.parquet"] = files.sha256(path.read_bytes())
    (copy / "standoff.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match=rf"item-changed\n  expected {rows[0]['id']}"):
        standoff.hydrate(copy, real.pages, tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt", "..", "x\n/../../evil.txt", ".git/config", "a\\b"])
@pytest.mark.parametrize("field", ["pages", "files"])
def test_a_name_cannot_leave_the_folder(copy: Path, real: Benchmark, tmp_path: Path, field: str, name: str) -> None:
    record = json.loads((copy / "standoff.json").read_text())
    record[field][name] = next(iter(record[field].values()))
    (copy / "standoff.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match="wrong-shape"):
        standoff.hydrate(copy, real.pages, tmp_path / "again")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["standoff"]


def test_other_libraries_are_named_when_the_bytes_differ(
    bare: Path, real: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_with = standoff._library_versions()
    monkeypatch.setattr(standoff, "_library_versions", lambda: made_with | {"pyarrow": "99"})
    monkeypatch.setattr("pyarrow.parquet.write_table", partial(pq.write_table, use_dictionary=False))
    with pytest.raises(DataError) as caught:
        standoff.hydrate(bare, real.pages, tmp_path / "again")
    problem = caught.value.problems[0]
    assert problem.location.startswith(str(tmp_path / "again"))
    assert "made here with pyarrow 99" in problem.found
    assert problem.fix.startswith(f"pip install pyarrow=={made_with['pyarrow']}")


def test_existing_files_are_left_alone(bare: Path, real: Benchmark, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="folder-taken"):
        standoff.hydrate(bare, real.pages, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("name", [".git/config", "notes.txt", "README.md", "empty/notes/", "link", ""])
def test_a_standoff_folder_is_replaced_if_all_of_it_is_listed(
    name: str, copy: Path, bare: Path, real: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = contents(bare) | {"stats.json": b"{}"}
    monkeypatch.setattr(standoff, "build_standoff", lambda _: made)
    if name == "link":
        (copy / name).symlink_to(tmp_path)
    elif name.endswith("/"):
        (copy / name).mkdir(parents=True)
    elif name:
        files.write_bytes(copy / name, b"mine")
    before = contents(copy)
    if not name:
        standoff.write_standoff(real, copy)
        assert contents(copy) == made
        return
    (tmp_path / "a-link").symlink_to(copy)
    for folder in (copy, tmp_path / "a-link"):
        with pytest.raises(DataError, match="folder-taken"):
            standoff.write_standoff(real, folder)
        assert contents(copy) == before


def test_a_killed_hydrate_leaves_no_text_behind_the_next(bare: Path, real: Benchmark, tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from jinbench.publish import standoff, hub; "
        "sys.addaudithook(lambda event, of: event == 'os.rename' and str(of[1]).endswith('again') and os._exit(9)); "
        "standoff.hydrate(*map(Path, sys.argv[1:]))"
    )
    arguments = [str(bare), str(real.pages), str(tmp_path / "again")]
    assert subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT).returncode == 9
    assert [path.name.startswith(files.UNFINISHED) for path in tmp_path.iterdir()] == [True]
    standoff.hydrate(*map(Path, arguments))
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda table: table.slice(1), "unknown-id"),
        (
            lambda table: table.set_column(1, "sectors", pa.array([[99]] * len(table), pa.list_(pa.int64()))),
            "unknown-label",
        ),
        (lambda table: table.drop_columns("sectors"), "wrong-shape"),
        (lambda table: table.set_column(0, "id", pa.array([None] * len(table), pa.string())), "wrong-shape"),
        (None, "file-changed"),
    ],
    ids=["missing", "number", "column", "value", "bytes"],
)
def test_a_damaged_file_that_is_listed(
    change: Callable[[pa.Table], pa.Table] | None, code: str, copy: Path, real: Benchmark, tmp_path: Path
) -> None:
    """With the hash that it has, so that it is read."""
    path, listing = copy / "sector" / "test.parquet", copy / "standoff.json"
    old = path.read_bytes()
    if change:
        table = pq.ParquetFile(path).read()
        assert table.column_names[:2] == ["id", "sectors"]
        pq.write_table(change(table), path)
    else:
        path.write_bytes(old[:-9])
    listing.write_text(listing.read_text().replace(files.sha256(old), files.sha256(path.read_bytes())))
    with pytest.raises(DataError, match=code):
        standoff.hydrate(copy, real.pages, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_standoff_folder_asks_to_be_hydrated(bare: Path) -> None:
    with pytest.raises(DataError, match="jinbench hydrate"):
        verify.verify_folder(bare)
    assert "without the text of the pages" in (bare / "README.md").read_text()
    assert (ROOT / "dataset" / "README.md").read_text() == (bare / "README.md").read_text().replace(standoff.NOTICE, "")
