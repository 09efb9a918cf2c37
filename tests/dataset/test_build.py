"""The published dataset: counts, first, tenth and last items, types, and the same bytes every time."""

import json
from pathlib import Path
from typing import Any

import pytest

import jinbench
from jinbench.annotation import exports
from jinbench.annotation.labels import read_label_set
from jinbench.annotation.workspace import Workspace
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.core.types import Span
from jinbench.dataset import build, features, load
from jinbench.dataset.gold import read_task_gold
from jinbench.dataset.splits import FOLD_COLUMNS
from jinbench.publish import card
from jinbench.seeds import articles


@pytest.fixture(scope="module")
def built(real: Benchmark) -> build.BuiltDataset:
    return build.build_dataset(real)


def test_what_is_committed_is_what_build_makes(real: Benchmark, built: build.BuiltDataset) -> None:
    for name, data in built.files.items():
        assert (real.dataset / name).read_bytes() == data, f"{name} is stale: jinbench build"


def test_the_dataset_folder_holds_nothing_else(real: Benchmark, built: build.BuiltDataset) -> None:
    names = {str(path.relative_to(real.dataset)) for path in files.walk_files(real.dataset)}
    made = {name.removeprefix("dataset/") for name in card.build_card(real) if name.startswith("dataset/")}
    assert names == {*built.files, *made, "splits.csv"}


def test_the_committed_counts(built: build.BuiltDataset) -> None:
    assert sum(built.statistics["sentences"].values()) == 364
    assert sum(built.statistics["passages"].values()) == 142
    assert sum(built.statistics["articles"].values()) == 23
    assert sum(built.statistics["spans"].values()) == 840


def test_first_tenth_and_last_sentence(built: build.BuiltDataset) -> None:
    train = built.rows["ner"]["train"]
    assert [train[n]["id"] for n in (0, 9, -1)] == ["000-L7-S1", "000-L17-S1", "004-L123-S2"]
    assert train[0]["spans"][0] == {"start": 4, "end": 6, "type": "TITLE", "surface": "记者"}


def test_every_span_of_every_item(built: build.BuiltDataset, real: Benchmark) -> None:
    tags = read_label_set(real).tag_names
    for rows in built.rows["ner"].values():
        for row in rows:
            assert row["tokens"] == list(row["text"])
            assert len(row["ner_tags"]) == len(row["text"])
            for span in row["spans"]:
                assert row["text"][span["start"] : span["end"]] == span["surface"]
                assert tags[row["ner_tags"][span["start"]]] == f"B-{span['type']}"
            assert sum(tags[tag].startswith("B-") for tag in row["ner_tags"]) == len(row["spans"])


def test_articles_are_traceable(built: build.BuiltDataset, real: Benchmark) -> None:
    pages = {page.id: page.text for page in articles.read_seeds(real).pages}
    for rows in built.rows["articles"].values():
        for row in rows:
            changed = {change["text_start"]: change["page_text"] for change in row["changes"]}
            for run in row["runs"]:
                for i in range(run["length"]):
                    at = run["text_start"] + i
                    assert pages[row["page_id"]][run["page_start"] + i] == changed.get(at, row["text"][at])
            assert sum(run["length"] for run in row["runs"]) == len(row["text"].replace("\n", ""))


def test_no_story_is_in_two_splits(built: build.BuiltDataset) -> None:
    sides: dict[str, set[tuple[Any, ...]]] = {}
    for split, rows in built.rows["articles"].items():
        for row in rows:
            sides.setdefault(row["story"], set()).add((split, *(row[column] for column in FOLD_COLUMNS)))
    assert all(len(story_sides) == 1 for story_sides in sides.values())


def test_load_dataset_offline(real: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import ClassLabel, load_dataset

    for config, splits in features.CONFIGS.items():
        loaded = load_dataset(str(real.dataset), config, cache_dir=str(tmp_path))
        assert tuple(loaded) == splits
        assert loaded["test"].features == features.dataset_features(read_label_set(real))[config]
    ner = load_dataset(str(real.dataset), cache_dir=str(tmp_path))  # the default config
    assert isinstance(ner["train"].features["ner_tags"].feature, ClassLabel)
    assert all(
        row["text"][s["start"] : s["end"]] == s["surface"]
        for rows in ner.values()
        for row in rows
        for s in row["spans"]
    )


def test_jinbench_load(real: Benchmark) -> None:
    test: Any = jinbench.load("sector", "test")
    assert test["id"] == [row["id"] for row in load.read_rows(real, "sector", "test")]
    with pytest.raises(DataError, match="unknown-id"):
        jinbench.load("nerr")


def test_a_changed_label_changes_the_hash_of_its_item_alone(mini: Benchmark) -> None:
    before = build.build_dataset(mini).manifest
    path = mini.exports / "adjudicator.json"
    path.write_text(path.read_text().replace('"PLACE"', '"DATE"', 1))
    after = build.build_dataset(mini).manifest
    changed = {
        (config, id)
        for config, splits in before["items"].items()
        for split, items in splits.items()
        for id in items
        if after["items"][config][split][id] != items[id]
    }
    assert changed == {("ner", "a-L5-S1")}
    assert after["configs"]["sector"] == before["configs"]["sector"]
    assert after["configs"]["ner"] != before["configs"]["ner"]
    assert after["sha256"] != before["sha256"]


def test_ids_are_stable_across_versions(mini: Benchmark) -> None:
    """An id is the page and the line where a passage begins: what becomes of others does not rename it."""
    before = build.build_dataset(mini).manifest
    mini.labels.write_text(mini.labels.read_text().replace('version = "1.0.0"', 'version = "2.0.0"'))
    mini.splits.write_text(mini.splits.read_text().replace("routes,routes,validation", "routes,routes,test", 1))
    mini.splits.write_text(mini.splits.read_text().replace("quay,quay,train", "quay,quay,validation", 1))
    after = build.build_dataset(mini).manifest
    assert after["version"] == "2.0.0" != before["version"]
    for config in ("ner", "sector", "articles", "annotations"):
        old, new = ({id for ids in manifest["items"][config].values() for id in ids} for manifest in (before, after))
        assert old == new

    ids = [passage.id for passage in articles.read_seeds(mini).passages()]
    text = mini.articles.read_text().replace('"body 5+7", "body 8"', '"body 5+7+8"')  # a join is mended
    head, first, *others = text.split("[[article]]")
    mini.articles.write_text("[[article]]".join([head, *others, first]))  # and an article stands elsewhere
    assert {passage.id for passage in articles.read_seeds(mini).passages()} == {*ids} - {"a-L8"}


def test_a_moved_fold_changes_the_hash(mini: Benchmark) -> None:
    """Cross-validated scores on other folds are not comparable."""
    before = build.build_dataset(mini).manifest
    mini.splits.write_text(mini.splits.read_text().replace("routes,routes,validation,3", "routes,routes,validation,2"))
    assert build.build_dataset(mini).manifest["configs"]["ner"] != before["configs"]["ner"]


def test_labels_are_read_as_they_were_when_the_dataset_was_built(mini: Benchmark) -> None:
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    gold = read_task_gold(mini, "sector", "train")
    text = mini.labels.read_text()
    mini.labels.write_text(text.replace('"port"', '"x"').replace('"water"', '"port"').replace('"x"', '"water"'))
    assert read_task_gold(mini, "sector", "train") == gold


def test_the_manifest_names_every_file(real: Benchmark) -> None:
    listing = json.loads(real.manifest.read_text())
    for name, sha in listing["files"].items():
        assert files.sha256((real.dataset / name).read_bytes()) == sha
    assert (
        len(listing["files"]) == 3 * 4 + 1 + 2
    )  # splits of four configs, one of the noisy one; splits.csv, stats.json


def test_every_label_can_be_measured(real: Benchmark) -> None:
    counts = load.read_statistics(real)
    for name, splits in counts["entities"].items():
        assert sum(splits.values()) >= 30, name
        assert splits["test"] > 0, name
    for name, splits in counts["sectors"].items():
        assert sum(splits.values()) >= 8, name
        assert splits["test"] > 0, name


def test_annotations_are_what_the_exports_say(real: Benchmark) -> None:
    workspace = Workspace(real)
    names = workspace.label_set.sector_names
    rows = {row["id"]: row for row in load.read_rows(real, "annotations")}
    assert len(rows) == 2 * 142
    for name in ("annotator-a", "annotator-b"):
        for entry in exports.read_annotator_export(workspace, name).values():
            row = rows[f"{entry.passage_id}@{name}"]
            assert (row["annotator"], row["kind"]) == (name, "language model")
            assert tuple(Span(**span) for span in row["spans"]) == entry.spans
            assert tuple(names[n] for n in row["sectors"]) == entry.sectors
            assert all(row["text"][s["start"] : s["end"]] == s["surface"] for s in row["spans"])
