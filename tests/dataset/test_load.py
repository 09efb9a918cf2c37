"""The same rows and types, whatever reads them; and the card's own snippets."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import jinbench
from jinbench.annotation.labels import read_label_set
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.dataset import build, load
from jinbench.dataset.features import CONFIGS, dataset_features
from tests.helpers.paths import ROOT

FILES = [(config, split) for config, splits in CONFIGS.items() for split in splits]


@pytest.fixture(scope="module")
def loaded(real: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from datasets import load_dataset

    cache = str(tmp_path_factory.mktemp("cache"))
    return {config: load_dataset(str(real.dataset), config, cache_dir=cache) for config in CONFIGS}


def plain(value: Any) -> Any:
    """Lists and dicts of plain Python values, whatever a reader made of them."""
    import numpy as np

    if isinstance(value, dict):
        return {key: plain(field) for key, field in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value


@pytest.mark.parametrize(("config", "split"), FILES)
def test_every_reader_gives_the_same(config: str, split: str, real: Benchmark, loaded: dict[str, Any]) -> None:
    import duckdb
    import pandas as pd
    import polars as pl
    from datasets import load_dataset

    path = str(real.dataset / config / f"{split}.parquet")
    rows = [{k: v for k, v in row.items() if k != "split"} for row in load.read_rows(real, config, split)]
    assert list(loaded[config][split]) == rows
    assert list(jinbench.load(config, split)) == rows
    streamed = load_dataset(str(real.dataset), config, split=split, streaming=True)
    assert list(streamed) == rows
    assert plain(pd.read_parquet(path).to_dict("records")) == rows
    assert pl.read_parquet(path).to_dicts() == rows
    names = list(rows[0])
    assert [dict(zip(names, row, strict=True)) for row in duckdb.sql(f"SELECT * FROM '{path}'").fetchall()] == rows


@pytest.mark.parametrize(("config", "split"), FILES)
def test_every_reader_knows_the_types(config: str, split: str, real: Benchmark, loaded: dict[str, Any]) -> None:
    import duckdb
    import polars as pl
    from datasets import load_dataset

    features = dataset_features(read_label_set(real))[config]
    assert loaded[config][split].features == features
    assert jinbench.load(config, split).features == features
    assert load_dataset(str(real.dataset), config, split=split, streaming=True).features == features
    path = str(real.dataset / config / f"{split}.parquet")
    schema = pl.read_parquet_schema(path)
    assert list(schema) == list(features)
    assert schema["fold_1"] == pl.Int32
    described = dict(row[:2] for row in duckdb.sql(f"DESCRIBE SELECT * FROM '{path}'").fetchall())
    assert list(described) == list(features)
    if "spans" in features:
        assert schema["spans"].inner.to_schema()["start"] == pl.Int32
        assert described["spans"].startswith('STRUCT("start" INTEGER, "end" INTEGER, "type" VARCHAR')


def snippets(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "number", "says"),
    [
        ("README.md", 3, "106 sentences"),
        ("DATASET_CARD.md", 2, "B-PERSON"),
        ("docs/dataset.md", 3, "column-broken"),
        ("docs/api.md", 2, "B-PERSON"),
    ],
)
def test_the_snippets_run(name: str, number: int, says: str, tmp_path: Path) -> None:
    """As a reader would paste them, one after the other, beside the folder, without a network."""
    (tmp_path / "dataset").symlink_to(ROOT / "dataset")
    runnable = [snippet for snippet in snippets(name) if not snippet.startswith('"""')]  # that is a recipe
    assert len(runnable) == number
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache"), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(runnable)], cwd=tmp_path, env=offline, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    for output in re.findall(r"```text\n(.*?)```", (ROOT / name).read_text(), re.DOTALL):
        assert output in done.stdout, f"{name} shows another output"
    assert (jinbench.info().sha256 in done.stdout) == ("jinbench.info()" in "".join(runnable))


def test_what_came_with_the_package_is_checked_before_it_is_given(
    real: Benchmark, mini: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    monkeypatch.setattr("jinbench.core.benchmark.packaged_benchmark", lambda: mini)
    monkeypatch.chdir("/")  # in no benchmark: the packaged one is taken
    assert jinbench.load("sector", "test").num_rows == 2
    path = mini.dataset / "sector" / "test.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"2")
    with pytest.raises(DataError, match="file-changed"):
        jinbench.load("sector", "test")


def test_rows_of_another_version_are_told(real: Benchmark, loaded: dict[str, Any]) -> None:
    """A cache may give the rows of another version: what was loaded can be held against what it should be."""
    for config in CONFIGS:
        assert jinbench.verify(loaded[config]) == sum(map(len, loaded[config].values()))
    test = loaded["ner"]["test"]
    assert jinbench.verify(test.select(range(3))) == 3
    other = test.map(lambda row: row | {"ner_tags": [0] * len(row["ner_tags"])})
    with pytest.raises(DataError, match=r"wrong-version\n  expected those of ner of version"):
        jinbench.verify(other)


def test_rows_that_are_not_what_they_seem(loaded: dict[str, Any]) -> None:
    """Each row may be a true one, and the whole still not what was published."""
    from datasets import ClassLabel, Dataset, DatasetDict, List, concatenate_datasets

    ner, sector = loaded["ner"], loaded["sector"]["test"]
    train, test = ner["train"], ner["test"]
    names = sector.features["sectors"].feature.names
    renamed = sector.cast_column("sectors", List(ClassLabel(names=names[::-1])))
    wrong: list[tuple[Any, str]] = [
        (DatasetDict(ner | {"test": test.select(range(3))}), "wrong-version"),
        (
            DatasetDict(ner | {"test": concatenate_datasets([test.select(range(77)), train.select([0])])}),
            "wrong-version",
        ),
        (DatasetDict({"train": train, "test": train}), "wrong-version"),
        (Dataset(train.data, split="test"), "wrong-version"),
        (DatasetDict(ner | {"train": train.select([0] * len(train))}), "duplicate-id"),
        (concatenate_datasets([test, test]), "duplicate-id"),
        (renamed, "wrong-version"),
        (test.select([]), "wrong-version"),
        (test.remove_columns("spans"), "wrong-shape"),
        (test.add_column("mine", [0] * len(test)), "wrong-shape"),
        (None, "wrong-shape"),
        ({}, "wrong-shape"),
        ({"test": None}, "wrong-shape"),
        ([{"id": "x"}], "wrong-shape"),
        (test.to_pandas(), "wrong-shape"),
        (test.to_iterable_dataset(), "wrong-shape"),
    ]
    for rows, code in wrong:
        with pytest.raises(DataError, match=code):
            jinbench.verify(rows)


@pytest.mark.parametrize("name", ["nerr", "", None, 3, ["ner"], {"ner": 1}])
def test_odd_names_are_named(name: Any) -> None:
    with pytest.raises(DataError, match="unknown-id"):
        jinbench.load(name)
    if name is not None:
        with pytest.raises(DataError, match="unknown-id"):
            jinbench.load("ner", name)


def test_info_is_what_the_folder_holds(real: Benchmark, loaded: dict[str, Any]) -> None:
    description = jinbench.info()
    for config, splits in loaded.items():
        assert description.items[config] == {split: len(rows) for split, rows in splits.items()}
    assert description.sha256 in str(description)
