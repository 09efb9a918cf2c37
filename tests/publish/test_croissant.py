"""dataset/croissant.json: valid by the reference implementation, which loads every record through it."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlcroissant as mlc
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Features, List, Value
from mlcroissant._src.operation_graph.operations import Download

from jinbench.annotation import exports
from jinbench.annotation.annotators import Annotator, Annotators, read_annotators
from jinbench.annotation.labels import read_label_set
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.dataset import build, load
from jinbench.dataset import build as items
from jinbench.dataset import features as fields
from jinbench.dataset.features import dataset_features
from jinbench.publish import croissant, markdown
from jinbench.publish.markdown import Documents

KNOWN = Annotators("one", (Annotator("one", "person", "Labelled everything.", "1.0.0", "2026-01-01"),))


def written(benchmark: Benchmark, folder: Path) -> Path:
    """croissant.json beside the files that it describes, all freshly built."""
    built = build.build_dataset(benchmark)
    build.write_dataset(built, folder)
    (folder / "splits.csv").write_bytes(benchmark.splits.read_bytes())
    path = folder / croissant.NAME
    files.write_text(path, files.dump_json(croissant.build_croissant(benchmark, built.manifest)))
    return path


@pytest.fixture(scope="module")
def path(real: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(real, tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def described(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def plain(value: Any) -> Any:
    """A record of mlcroissant as pyarrow would give it: names without their path, text as text."""
    if isinstance(value, dict):
        return {key.rpartition("/")[2]: plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value.decode() if isinstance(value, bytes) else value


def records(path: Path, config: str, **filters: str) -> list[dict[str, Any]]:
    chosen = {f"{config}/{name}": value for name, value in filters.items()} or None
    return [plain(record) for record in mlc.Dataset(path).records(config, filters=chosen)]


def parquet(folder: Path, config: str, splits: Iterable[str]) -> list[dict[str, Any]]:
    return [
        row | {"split": split}
        for split in splits
        for row in pq.read_table(folder / config / f"{split}.parquet").to_pylist()
    ]


def check_hashes(path: Path) -> None:
    """What mlcroissant does with every file that is no part of a set: hold it to its hash."""
    downloads = [op for op in mlc.Dataset(path).operations.operations if isinstance(op, Download)]
    assert len(downloads) == len(json.loads((path.parent / "manifest.json").read_text())["files"])
    for download in downloads:
        download.call()


def assert_loads(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every record of every config, and every single split."""
    for config, splits in json.loads((path.parent / "manifest.json").read_text())["items"].items():
        expected = {row["id"]: row for row in parquet(path.parent, config, splits)}
        found = records(path, config)
        assert len(found) == len(expected) == sum(len(ids) for ids in splits.values())
        assert {row["id"]: row for row in found} == expected
        for split, ids in splits.items():
            assert {row["id"] for row in records(path, config, split=split)} == set(ids)
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [text for text in said if not text.startswith("Found the following")] == []  # those belong to validation


def test_valid_without_a_warning(path: Path) -> None:
    issues = mlc.Dataset(path).metadata.ctx.issues
    assert (issues.errors, issues.warnings) == (set(), set())
    command = [str(Path(sys.executable).with_name("mlcroissant")), "validate", "--jsonld", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def test_every_record_loads(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert_loads(path, caplog)


def test_the_same_input_gives_the_same_bytes(real: Benchmark, path: Path) -> None:
    listing = json.loads((path.parent / "manifest.json").read_text())  # its order is another than when it was built
    assert files.dump_json(croissant.build_croissant(real, listing)) == path.read_text()


def test_hashes_are_those_of_the_files(path: Path, described: dict[str, Any]) -> None:
    objects = [entry for entry in described["distribution"] if entry["@type"] == "cr:FileObject"]
    assert {entry["contentUrl"] for entry in objects} >= {
        str(file.relative_to(path.parent)) for file in path.parent.rglob("*.parquet")
    }
    for entry in objects:
        assert entry["sha256"] == files.sha256((path.parent / entry["contentUrl"]).read_bytes())
    check_hashes(path)


def test_a_changed_byte_breaks_a_hash(real: Benchmark, tmp_path: Path) -> None:
    """Seen where mlcroissant reads files one by one. It checks no hash when it reads the files of a set."""
    path = written(real, tmp_path)
    target = tmp_path / "ner" / "test.parquet"
    data = bytearray(target.read_bytes())
    data[-20] ^= 1
    target.write_bytes(data)
    with pytest.raises(ValueError, match="is not identical"):
        check_hashes(path)


def test_a_stray_file_is_not_loaded(real: Benchmark, tmp_path: Path) -> None:
    path = written(real, tmp_path)
    expected = len(records(path, "ner"))
    (tmp_path / "ner" / "more.parquet").write_bytes((tmp_path / "ner" / "test.parquet").read_bytes())
    assert len(records(path, "ner")) == expected


def test_rai_fields_say_that_a_language_model_labelled(described: dict[str, Any]) -> None:
    for name in ("dataAnnotationProtocol", "annotatorDemographics", "machineAnnotationTools"):
        assert "language model" in " ".join(described[f"rai:{name}"]), name
    assert described["rai:dataAnnotationProtocol"][0] == (
        "Every label was made by a language model following written guidelines. No person has made or checked one."
    )
    assert "None was made by a person." in described["rai:annotationsPerItem"]
    assert exports.VERSION in described["rai:dataAnnotationPlatform"][0]
    assert "strict F1 of spans" in described["rai:dataAnnotationAnalysis"][0]


def test_rai_fields_are_those_that_mlcroissant_reads(path: Path, described: dict[str, Any]) -> None:
    found = mlc.Dataset(path).metadata
    for name, attribute in {
        "dataCollection": found.data_collection,
        "dataCollectionType": found.data_collection_type,
        "dataCollectionRawData": found.data_collection_raw_data,
        "dataImputationProtocol": found.data_imputation_protocol,
        "dataPreprocessingProtocol": found.data_preprocessing_protocol,
        "dataAnnotationProtocol": found.data_annotation_protocol,
        "dataAnnotationPlatform": found.data_annotation_platform,
        "dataAnnotationAnalysis": found.data_annotation_analysis,
        "annotationsPerItem": found.annotations_per_item,
        "annotatorDemographics": found.annotator_demographics,
        "machineAnnotationTools": found.machine_annotation_tools,
        "dataBiases": found.data_biases,
        "dataUseCases": found.data_use_cases,
        "dataLimitations": found.data_limitations,
        "personalSensitiveInformation": found.personal_sensitive_information,
        "dataReleaseMaintenancePlan": found.data_release_maintenance_plan,
    }.items():
        expected = described[f"rai:{name}"]
        assert attribute, name
        assert sorted([attribute] if isinstance(attribute, str) else attribute) == sorted(
            [expected] if isinstance(expected, str) else expected
        )
    assert described["rai:dataManipulationProtocol"]  # mlcroissant 1.1.1 looks for another name than the standard has


def test_rights_and_version(described: dict[str, Any], real: Benchmark) -> None:
    (license,) = described["license"]  # no address alone: that would promise the texts too
    assert license["url"] == "LICENSE-DATA.md"
    assert "belongs to its publishers" in license["description"]
    assert described["version"] == load.read_manifest(real)["version"]
    assert described["inLanguage"] == ["zh"]
    assert described["isLiveDataset"] is False


@pytest.mark.parametrize("text", ["a: [", "- a\n- b", "a: b: c", "just words"])
def test_a_broken_head_is_named(text: str) -> None:
    for name in ("DATASET_CARD.md", "CITATION.cff"):
        with pytest.raises(DataError, match=f"{name}: wrong-shape"):
            markdown.head(text, name)


def test_another_world(mini: Benchmark, caplog: pytest.LogCaptureFixture) -> None:
    """Other labels, other annotators, no card, no citation: what nobody said is not there."""
    for document in (mini.card, mini.root / "LICENSE-DATA.md"):
        document.unlink()
    path = written(mini, mini.dataset)
    text = path.read_text()
    described = json.loads(text)
    assert described["name"] == "Mini"
    assert "license" not in described
    assert "rai:dataUseCases" not in described
    assert "rai:machineAnnotationTools" not in described
    assert "test data" in described["rai:dataAnnotationProtocol"][0]
    assert "B-PLACE" in text
    for word in ("Tianjin", "language model following", "PERSON", "creativecommons"):
        assert word not in text
    issues = mlc.Dataset(path).metadata.ctx.issues
    assert issues.errors == set()
    assert all("is recommended, but does not exist" in warning for warning in issues.warnings)
    caplog.clear()
    assert_loads(path, caplog)


def test_persons_are_called_persons(mini: Benchmark) -> None:
    known = read_annotators(mini)
    entries = tuple(replace(entry, kind="person") for entry in known.entries)
    built = build.build_dataset(mini).manifest
    features = dataset_features(read_label_set(mini))
    found = croissant.describe(built, features, Annotators(known.gold, entries), "Mini")
    assert found["rai:dataAnnotationProtocol"][0] == "Made, decided and tested by: person."
    assert "rai:machineAnnotationTools" not in found
    assert "None was made by a person" not in found["rai:annotationsPerItem"]
    assert not any("Not a person" in text for text in found["rai:annotatorDemographics"])


def test_a_config_with_one_split_and_lists_of_fixed_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A config that the package does not have: nothing about configs, splits or fields stands in the code."""
    words = dict.fromkeys(("id", "five", "boxes", "boxes.size", "boxes.label", "share"), "Something")
    monkeypatch.setitem(fields.FIELDS, "made_up", words)
    monkeypatch.setitem(fields.ITEMS, "made_up", "a thing")
    label = ClassLabel(names=["O", "X"])
    features = Features(
        {
            "id": Value("string"),
            "five": List(Value("int32"), length=5),
            "boxes": List({"size": Value("int64"), "label": label}),
            "share": Value("float64"),
        }
    )
    rows = [
        {"id": "a", "five": [0, 1, 2, 3, 4], "boxes": [{"size": 3, "label": 1}, {"size": 4, "label": 0}], "share": 0.5},
        {"id": "b", "five": [4, 3, 2, 1, 0], "boxes": [], "share": 1.0},
    ]
    data = items.parquet(rows, features)
    listing = {
        "version": "1.0.0",
        "sha256": "0",
        "labels": {"made_up": ["X"]},
        "items": {"made_up": {"test": {"a": "", "b": ""}}},
        "files": {"made_up/test.parquet": files.sha256(data)},
    }
    files.write_bytes(tmp_path / "made_up" / "test.parquet", data)
    files.write_text(tmp_path / "manifest.json", files.dump_json(listing))
    path = tmp_path / croissant.NAME
    files.write_text(path, files.dump_json(croissant.describe(listing, {"made_up": features}, KNOWN, "Made up")))
    assert_loads(path, caplog)
    check_hashes(path)
    described = {entry["name"]: entry for entry in json.loads(path.read_text())["recordSet"][1]["field"]}
    shapes = {name: entry.get("arrayShape") for name, entry in described.items()}
    assert shapes == {"split": None, "id": None, "five": "5", "boxes": "-1", "share": None}
    assert described["boxes"]["subField"][1]["description"] == "Something. Label ids: 0 = O, 1 = X."


def test_every_field_is_described(real: Benchmark) -> None:
    features = dataset_features(read_label_set(real))
    described = fields.described(features)
    assert set(described) == set(fields.FIELDS) == set(fields.ITEMS)
    assert set(fields.SHARED) <= {path for known in described.values() for path in known}
    table = fields.features_markdown(features)
    for types in features.values():
        for name in types:
            assert f"| `{name}` |" in table


@pytest.mark.parametrize(("field", "says"), [({"more": Value("string")}, "more"), ({}, "title")])
def test_a_field_without_words_and_words_without_a_field(field: dict[str, Any], says: str) -> None:
    types = Features({"id": Value("string"), "text": Value("string"), **field})
    with pytest.raises(KeyError, match=says):
        fields.described({"sector": types | {"title": Value("string")} if field else types})


def test_plain_text_out_of_a_card() -> None:
    card = """---
pretty_name: A
---

# Title

One *two*
**three** `four`.

## Known weaknesses

<!-- generated:counts -->
| a | b |
<!-- end:counts -->

- [first](x.md), which
  goes on
- second

What follows:

| page | publisher |
|---|---|
| `1` | none |

```sh
# not a heading
```

## Uses
"""
    assert markdown.sections(card) == {
        "Title": ["One two three four."],
        "Known weaknesses": ["first, which goes on", "second", "page: 1; publisher: none."],
        "Uses": [],
    }
    listing = {"version": "1.0.0", "sha256": "0", "labels": {}, "items": {}, "files": {}}
    found = croissant.describe(listing, {}, KNOWN, "B", Documents(card, "title: C\nauthors: [{name: D}]\n"))
    assert found["name"] == "A"
    assert found["rai:dataLimitations"] == ["first, which goes on", "second", "page: 1; publisher: none."]
    assert "rai:dataUseCases" not in found
    assert found["citeAs"] == "@misc{c, title = {{C}}, author = {{D}}, version = {1.0.0}, note = {sha256 0}}"
