"""croissant.json: valid for the reference implementation, which loads every record through it."""

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
from jinbench.dataset import build, load
from jinbench.dataset import features as fields
from jinbench.dataset.features import dataset_features
from jinbench.publish import croissant
from jinbench.publish.markdown import Documents
from tests.helpers.cards import CARD

ANNOTATORS = Annotators("one", (Annotator("one", "person", "Labelled everything.", "1.0.0", "2026-01-01"),))


def write_croissant(benchmark: Benchmark, folder: Path) -> Path:
    """Build a dataset into `folder` with its croissant.json; return the path of the latter."""
    built = build.build_dataset(benchmark)
    build.write_dataset(built, folder)
    (folder / "splits.csv").write_bytes(benchmark.splits.read_bytes())
    path = folder / croissant.FILE_NAME
    files.write_text(path, files.dump_json(croissant.build_croissant(benchmark, built.manifest)))
    return path


@pytest.fixture(scope="module")
def path(real: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_croissant(real, tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def described(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def to_plain(value: Any) -> Any:
    """Convert a record of mlcroissant to one of pyarrow: names without their path, text as text."""
    if isinstance(value, dict):
        return {key.rpartition("/")[2]: to_plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [to_plain(part) for part in value]
    return value.decode() if isinstance(value, bytes) else value


def load_records(path: Path, config: str, **filters: str) -> list[dict[str, Any]]:
    chosen = {f"{config}/{name}": value for name, value in filters.items()} or None
    return [to_plain(record) for record in mlc.Dataset(path).records(config, filters=chosen)]


def read_parquet(folder: Path, config: str, splits: Iterable[str]) -> list[dict[str, Any]]:
    return [
        row | {"split": split}
        for split in splits
        for row in pq.read_table(folder / config / f"{split}.parquet").to_pylist()
    ]


def check_hashes(path: Path) -> None:
    """Check the hash of every file that is in no set, as mlcroissant does."""
    downloads = [op for op in mlc.Dataset(path).operations.operations if isinstance(op, Download)]
    assert len(downloads) == len(json.loads((path.parent / "manifest.json").read_text())["files"])
    for download in downloads:
        download.call()


def assert_loads(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Check every record of every config, and every single split."""
    for config, splits in json.loads((path.parent / "manifest.json").read_text())["items"].items():
        expected = {row["id"]: row for row in read_parquet(path.parent, config, splits)}
        records = load_records(path, config)
        assert len(records) == len(expected) == sum(len(ids) for ids in splits.values())
        assert {row["id"]: row for row in records} == expected
        for split, ids in splits.items():
            assert {row["id"] for row in load_records(path, config, split=split)} == set(ids)
    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [text for text in messages if not text.startswith("Found the following")] == []  # those belong to validation


def test_croissant_is_valid_without_a_warning(path: Path) -> None:
    issues = mlc.Dataset(path).metadata.ctx.issues
    assert (issues.errors, issues.warnings) == (set(), set())
    command = [str(Path(sys.executable).with_name("mlcroissant")), "validate", "--jsonld", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


@pytest.mark.slow
def test_every_record_loads(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert_loads(path, caplog)


def test_the_same_input_gives_the_same_bytes(real: Benchmark, path: Path) -> None:
    manifest = json.loads((path.parent / "manifest.json").read_text())  # ordered otherwise than when it was built
    assert files.dump_json(croissant.build_croissant(real, manifest)) == path.read_text()


def test_hashes_are_those_of_the_files(path: Path, described: dict[str, Any]) -> None:
    objects = [entry for entry in described["distribution"] if entry["@type"] == "cr:FileObject"]
    assert {entry["contentUrl"] for entry in objects} >= {
        str(file.relative_to(path.parent)) for file in path.parent.rglob("*.parquet")
    }
    for entry in objects:
        assert entry["sha256"] == files.sha256((path.parent / entry["contentUrl"]).read_bytes())
    check_hashes(path)


def test_a_changed_byte_breaks_a_hash(real: Benchmark, tmp_path: Path) -> None:
    """Only where mlcroissant reads files one by one: it checks no hash when it reads the files of a set."""
    path = write_croissant(real, tmp_path)
    target = tmp_path / "ner" / "test.parquet"
    data = bytearray(target.read_bytes())
    data[-20] ^= 1
    target.write_bytes(data)
    with pytest.raises(ValueError, match="is not identical"):
        check_hashes(path)


def test_a_stray_file_is_not_loaded(real: Benchmark, tmp_path: Path) -> None:
    path = write_croissant(real, tmp_path)
    expected = len(load_records(path, "ner"))
    (tmp_path / "ner" / "more.parquet").write_bytes((tmp_path / "ner" / "test.parquet").read_bytes())
    assert len(load_records(path, "ner")) == expected


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
    metadata = mlc.Dataset(path).metadata
    for name, attribute in {
        "dataCollection": metadata.data_collection,
        "dataCollectionType": metadata.data_collection_type,
        "dataCollectionRawData": metadata.data_collection_raw_data,
        "dataImputationProtocol": metadata.data_imputation_protocol,
        "dataPreprocessingProtocol": metadata.data_preprocessing_protocol,
        "dataAnnotationProtocol": metadata.data_annotation_protocol,
        "dataAnnotationPlatform": metadata.data_annotation_platform,
        "dataAnnotationAnalysis": metadata.data_annotation_analysis,
        "annotationsPerItem": metadata.annotations_per_item,
        "annotatorDemographics": metadata.annotator_demographics,
        "machineAnnotationTools": metadata.machine_annotation_tools,
        "dataBiases": metadata.data_biases,
        "dataUseCases": metadata.data_use_cases,
        "dataLimitations": metadata.data_limitations,
        "personalSensitiveInformation": metadata.personal_sensitive_information,
        "dataReleaseMaintenancePlan": metadata.data_release_maintenance_plan,
    }.items():
        expected = described[f"rai:{name}"]
        assert attribute, name
        assert sorted([attribute] if isinstance(attribute, str) else attribute) == sorted(
            [expected] if isinstance(expected, str) else expected
        )
    assert described["rai:dataManipulationProtocol"]  # mlcroissant 1.1.1 looks for another name than the standard has


def test_rights_and_version_are_described(described: dict[str, Any], real: Benchmark) -> None:
    (license,) = described["license"]  # no address alone: that would promise the texts too
    assert license["url"] == "LICENSE-DATA.md"
    assert "belongs to its publishers" in license["description"]
    assert described["version"] == load.read_manifest(real)["version"]
    assert described["inLanguage"] == ["zh"]
    assert described["isLiveDataset"] is False


@pytest.mark.slow
def test_another_benchmark_has_only_its_own_fields(mini: Benchmark, caplog: pytest.LogCaptureFixture) -> None:
    """Other labels, other annotators, no card, no citation."""
    for document in (mini.card, mini.root / "docs" / "dataset.md", mini.root / "LICENSE-DATA.md"):
        document.unlink()
    path = write_croissant(mini, mini.dataset)
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
    annotators = read_annotators(mini)
    entries = tuple(replace(entry, kind="person") for entry in annotators.entries)
    manifest = build.build_dataset(mini).manifest
    features = dataset_features(read_label_set(mini))
    described = croissant.describe_dataset(manifest, features, Annotators(annotators.gold, entries), Documents("Mini"))
    assert described["rai:dataAnnotationProtocol"][0] == "Made, decided and tested by: person."
    assert "rai:machineAnnotationTools" not in described
    assert "None was made by a person" not in described["rai:annotationsPerItem"]
    assert not any("Not a person" in text for text in described["rai:annotatorDemographics"])


def test_a_config_with_one_split_and_lists_of_fixed_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A config that the package does not have: the code has no names of configs, splits or fields."""
    descriptions = dict.fromkeys(("id", "five", "boxes", "boxes.size", "boxes.label", "share"), "Something")
    monkeypatch.setitem(fields.FIELDS, "made_up", descriptions)
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
    data = build.to_parquet(rows, features)
    manifest = {
        "version": "1.0.0",
        "sha256": "0",
        "labels": {"made_up": ["X"]},
        "items": {"made_up": {"test": {"a": "", "b": ""}}},
        "files": {"made_up/test.parquet": files.sha256(data)},
    }
    files.write_bytes(tmp_path / "made_up" / "test.parquet", data)
    files.write_text(tmp_path / "manifest.json", files.dump_json(manifest))
    path = tmp_path / croissant.FILE_NAME
    files.write_text(
        path,
        files.dump_json(croissant.describe_dataset(manifest, {"made_up": features}, ANNOTATORS, Documents("Made up"))),
    )
    assert_loads(path, caplog)
    check_hashes(path)
    described = {entry["name"]: entry for entry in json.loads(path.read_text())["recordSet"][1]["field"]}
    shapes = {name: entry.get("arrayShape") for name, entry in described.items()}
    assert shapes == {"split": None, "id": None, "five": "5", "boxes": "-1", "share": None}
    assert described["boxes"]["subField"][1]["description"] == "Something. Label ids: 0 = O, 1 = X."


def test_every_field_is_described(real: Benchmark) -> None:
    features = dataset_features(read_label_set(real))
    described = fields.describe_fields(features)
    assert set(described) == set(fields.FIELDS) == set(fields.ITEMS)
    assert set(fields.SHARED_FIELDS) <= {path for descriptions in described.values() for path in descriptions}
    table = fields.features_markdown(features)
    for types in features.values():
        for name in types:
            assert f"| `{name}` |" in table


@pytest.mark.parametrize(("field", "says"), [({"more": Value("string")}, "more"), ({}, "title")])
def test_fields_and_descriptions_must_match(field: dict[str, Any], says: str) -> None:
    types = Features({"id": Value("string"), "text": Value("string"), **field})
    with pytest.raises(KeyError, match=says):
        fields.describe_fields({"sector": types | {"title": Value("string")} if field else types})


def test_fields_come_from_the_card_and_the_citation() -> None:
    manifest = {"version": "1.0.0", "sha256": "0", "labels": {}, "items": {}, "files": {}}
    documents = Documents("B", CARD, citation="title: C\nauthors: [{name: D}]\n")
    described = croissant.describe_dataset(manifest, {}, ANNOTATORS, documents)
    assert described["name"] == "A"
    assert described["rai:dataLimitations"] == ["first, which goes on", "second", "page: 1; publisher: none."]
    assert "rai:dataUseCases" not in described
    assert described["citeAs"] == "@misc{c, title = {{C}}, author = {{D}}, version = {1.0.0}, note = {sha256 0}}"
