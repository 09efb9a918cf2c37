"""Verification of a dataset folder: every kind of damage has its code, and an intact folder passes."""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jinbench.annotation.labels import read_label_set
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import IN_EXCEPTION, DataError
from jinbench.dataset import build, features, verify
from jinbench.dataset.build import to_parquet


def test_verify_names_the_item(mini: Benchmark) -> None:
    """One label flipped in the Parquet file itself."""
    built = build.build_dataset(mini)
    build.write_dataset(built, mini.dataset)
    report = verify.verify_folder(mini.dataset)
    assert (report.sha256, report.version) == (built.manifest["sha256"], "1.0.0")
    assert report.counts["ner"] == sum(len(rows) for rows in built.rows["ner"].values())
    rows = built.rows["sector"]["train"]
    rows[0]["sectors"] = [2]
    types = features.dataset_features(read_label_set(mini))["sector"]
    Path(mini.dataset / "sector" / "train.parquet").write_bytes(to_parquet(rows, types))
    with pytest.raises(DataError) as caught:
        verify.verify_folder(mini.dataset)
    assert [problem.code for problem in caught.value.problems] == ["item-changed"]
    assert rows[0]["id"] in str(caught.value)


@pytest.mark.parametrize(
    ("config", "change", "code"),
    [
        ("ner", lambda row: row["ner_tags"].__setitem__(0, 3), "item-changed"),
        ("ner", lambda row: row.update(fold_5=2), "item-changed"),
        ("ner", lambda row: row["spans"][0].update(end=2), "item-changed"),
        ("annotations", lambda row: row.update(annotator="somebody"), "item-changed"),
        ("articles", lambda row: row["runs"][0].update(page_start=9), "item-changed"),
        ("sector", lambda row: row.update(id="new"), "item-unknown"),
    ],
)
def test_verify_sees_every_field(mini: Benchmark, config: str, change: Any, code: str) -> None:
    built = build.build_dataset(mini)
    build.write_dataset(built, mini.dataset)
    rows = built.rows[config]["train"]
    change(rows[0])
    types = features.dataset_features(read_label_set(mini))[config]
    Path(mini.dataset / config / "train.parquet").write_bytes(to_parquet(rows, types))
    with pytest.raises(DataError, match=code):
        verify.verify_folder(mini.dataset)


def test_verify_sees_other_names_of_labels(mini: Benchmark) -> None:
    """The numbers stay, and would mean something else."""
    built = build.build_dataset(mini)
    build.write_dataset(built, mini.dataset)
    path = mini.dataset / "sector" / "train.parquet"
    data = path.read_bytes()
    mini.labels.write_text(mini.labels.read_text().replace('"port"', '"x"').replace('"water"', '"port"'))
    types = features.dataset_features(read_label_set(mini))["sector"]
    path.write_bytes(to_parquet(built.rows["sector"]["train"], types))
    assert path.read_bytes() != data
    with pytest.raises(DataError, match=r"item-changed|names of labels"):
        verify.verify_folder(mini.dataset)


@pytest.mark.parametrize("seed", range(30))
def test_damaged_bytes_are_said_to_be_damaged(mini: Benchmark, seed: int) -> None:
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    path = mini.dataset / "articles" / "train.parquet"
    data = bytearray(path.read_bytes())
    rng = random.Random(seed)
    for _ in range(3):
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
    path.write_bytes(bytes(data))
    with pytest.raises(DataError) as caught:
        verify.verify_folder(mini.dataset)
    assert "articles/train.parquet" in str(caught.value)


@pytest.mark.parametrize("name", ["splits.csv", "stats.json", "ner/more.parquet"])
def test_verify_looks_at_every_file(mini: Benchmark, name: str) -> None:
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    files.write_text(mini.dataset / name, "x")
    with pytest.raises(DataError, match=name.split("/")[-1]):
        verify.verify_folder(mini.dataset)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("gold", "Prof. Li", "a sha256 that fits version, errata, gold and configs"),
        ("version", "9.0.0", "wrong-version\n  expected version 9.0.0"),
        ("errata", ["007"], "a sha256 that fits version, errata, gold and configs"),
        ("configs", {}, "hashes of configs that fit"),
        ("items", {"ner": []}, "wrong-shape"),
        ("items", {"ner": {"test": None}}, "wrong-shape"),
    ],
)
def test_a_manifest_that_does_not_fit_itself(mini: Benchmark, key: str, value: object, says: str) -> None:
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    listing = files.read_json(mini.manifest)
    files.write_text(mini.manifest, files.dump_json(listing | {key: value}))
    with pytest.raises(DataError, match=says):
        verify.verify_folder(mini.dataset)


@pytest.mark.parametrize("config", ["ner", "sector"])
def test_the_same_text_in_two_splits(mini: Benchmark, config: str) -> None:
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    shutil.copyfile(mini.dataset / config / "train.parquet", mini.dataset / config / "test.parquet")
    with pytest.raises(DataError) as caught:
        verify.verify_folder(mini.dataset)
    assert any(p.code == "leak" and p.location.endswith(f"dataset/{config}") for p in caught.value.problems)


def rewritten(path: Path, change: Callable[[Any], Any]) -> None:
    table = change(pq.ParquetFile(path).read())
    pq.write_table(table, path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda table: table.drop_columns("spans"), r"spans: wrong-shape\n  expected a column: list of spans"),
        (lambda table: table.append_column("more", table["id"]), "wrong-shape"),
        (lambda table: table.set_column(8, "fold_1", pa.array([[0]] * len(table))), "wrong-shape"),
        (lambda table: table.set_column(8, "fold_1", pa.array([9] * len(table), pa.int32())), "item-changed"),
        (lambda table: table.set_column(1, "text", pa.array([None] * len(table), pa.string())), "missing"),
        (lambda table: table.replace_schema_metadata(table.schema.metadata | {b"jinbench": b"[]"}), "file-changed"),
        (lambda table: table.replace_schema_metadata(table.schema.metadata | {b"jinbench": b"{"}), "file-changed"),
        (
            lambda table: table.replace_schema_metadata(table.schema.metadata | {b"huggingface": b"{}"}),
            "names of labels",
        ),
        (lambda table: table.replace_schema_metadata({}), "written otherwise"),
    ],
)
def test_a_file_of_another_kind(mini: Benchmark, change: Callable[[Any], Any], says: str) -> None:
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    rewritten(mini.dataset / "ner" / "train.parquet", change)
    with pytest.raises(DataError, match=says):
        verify.verify_folder(mini.dataset)


def test_names_of_labels_are_held_against_the_manifest_even_if_the_hash_of_the_file_fits(mini: Benchmark) -> None:
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    path = mini.dataset / "sector" / "train.parquet"

    def renamed(table: Any) -> Any:
        old = table.schema.metadata[b"huggingface"]
        new = old.replace(b'"port"', b'"x"').replace(b'"water"', b'"port"').replace(b'"x"', b'"water"')
        assert new != old
        return table.replace_schema_metadata(table.schema.metadata | {b"huggingface": new})

    rewritten(path, renamed)
    listing = files.read_json(mini.manifest)
    listing["files"]["sector/train.parquet"] = files.sha256(path.read_bytes())
    files.write_text(mini.manifest, files.dump_json(listing))
    with pytest.raises(DataError, match="names of labels"):
        verify.verify_folder(mini.dataset)


def test_an_item_in_another_split_is_told_and_many_are_told_shortly(real: Benchmark, tmp_path: Path) -> None:
    shutil.copytree(real.dataset, tmp_path / "d")
    one, other = (tmp_path / "d" / "ner" / f"{split}.parquet" for split in ("train", "test"))
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)
    with pytest.raises(DataError) as caught:
        verify.verify_folder(tmp_path / "d")
    problems = caught.value.problems
    assert any("which belongs to train" in problem.found for problem in problems)
    listed = files.read_json(tmp_path / "d" / "manifest.json")["items"]["ner"]
    moved = len(listed["train"]) + len(listed["test"])
    counts = Counter(problem.code for problem in problems)
    assert counts["item-unknown"] == counts["item-missing"] == moved
    assert f"item-unknown, {moved - IN_EXCEPTION:,} more" in str(caught.value)


def test_a_stray_file_is_named(mini: Benchmark) -> None:
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    (mini.dataset / ".DS_Store").write_text("a tool's")
    assert verify.verify_folder(mini.dataset).short_repeats == 0
    (mini.dataset / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"notes.txt: item-unknown"):
        verify.verify_folder(mini.dataset)


@pytest.mark.parametrize("name", ["../x", "/etc/hostname", "ner/../../x", "a/./b", "a\\b", ""])
def test_a_manifest_names_no_file_outside_its_folder(mini: Benchmark, name: str) -> None:
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    listing = files.read_json(mini.manifest)
    listing["files"][name] = "0" * 64
    files.write_text(mini.manifest, files.dump_json(listing))
    with pytest.raises(DataError, match="wrong-shape"):
        verify.verify_folder(mini.dataset)


def test_verify_says_a_cut_off_file_is_cut_off(mini: Benchmark) -> None:
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    path = mini.dataset / "ner" / "train.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="file-changed"):
        verify.verify_folder(mini.dataset)


def test_the_committed_dataset_is_in_order(real: Benchmark) -> None:
    assert set(verify.verify_folder(real.dataset).counts) == set(features.CONFIGS)
