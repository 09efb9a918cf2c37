"""Exports and marked-up text: labels are read, validated and written back unchanged."""

import dataclasses
import json
from pathlib import Path

import pytest

from jinbench.annotation import exports, markup
from jinbench.annotation.annotators import read_annotators
from jinbench.annotation.check import check_export
from jinbench.annotation.labels import LabelSet, read_label_set
from jinbench.annotation.workspace import Workspace
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.core.types import PassageLabels, Span
from jinbench.seeds import articles


def read_all(benchmark: Benchmark) -> tuple[articles.Seeds, LabelSet, list[PassageLabels]]:
    workspace = Workspace(benchmark)
    labels = exports.read_export(exports.export_path(benchmark, "annotator-a"), workspace, required=True)
    return workspace.seeds, workspace.label_set, labels


def test_the_committed_export_is_whole_and_in_its_fixed_form(real: Benchmark) -> None:
    seeds, _, labels = read_all(real)
    assert len(labels) == 142
    titles = {article.id: article.title for article in seeds.articles}
    again = files.dump_json(exports.to_export(labels, seeds.passages(), titles))
    assert again == exports.export_path(real, "annotator-a").read_text()


def test_every_span_says_what_stands_there(real: Benchmark) -> None:
    seeds, _, labels = read_all(real)
    texts = {passage.id: passage.text for passage in seeds.passages()}
    spans = [(texts[entry.passage_id], span) for entry in labels for span in entry.spans]
    assert len(spans) > 800
    assert all(text[span.start : span.end] == span.surface for text, span in spans)
    assert all(span.surface == span.surface.strip() for _, span in spans)


@pytest.mark.parametrize("id", [None, 5, [], {}, ["a-L5"]])
def test_a_task_that_somebody_else_made(mini: Benchmark, id: object) -> None:
    """Whatever it calls a passage id: it is named, and nothing falls over."""
    seeds, label_set, _ = read_all(mini)
    with pytest.raises(DataError, match="foreign-export"):
        exports.parse_export([{"data": {"passage_id": id}, "annotations": []}], "x", seeds.passages(), label_set)


def test_unchanged_labels_keep_their_times(mini: Benchmark) -> None:
    before = read_all(mini)[2]
    later = [dataclasses.replace(entry, created_at="2030-01-01T00:00:00Z") for entry in before]
    later[0] = dataclasses.replace(later[0], sectors=("water",))
    kept = exports.keep_unchanged(later, {entry.passage_id: entry for entry in before[:-1]})
    assert kept == [later[0], *before[1:-1], later[-1]]


def test_tasks_on_a_former_text_are_left_out_where_that_is_asked(mini: Benchmark) -> None:
    path = exports.export_path(mini, "annotator-a")
    tasks = json.loads(path.read_text())
    tasks[0]["data"]["text"] += "。"
    path.write_text(json.dumps(tasks))
    assert len(exports.read_export(path, Workspace(mini), current=True)) == len(tasks) - 1
    with pytest.raises(DataError, match="export-text-differs"):
        exports.read_export(path, Workspace(mini))


def test_a_region_drawn_by_hand_keeps_its_id(mini: Benchmark) -> None:
    seeds, label_set, _ = read_all(mini)
    tasks = json.loads(exports.export_path(mini, "annotator-a").read_text())
    tasks[0]["annotations"][0]["result"][0]["id"] = "Xy9"
    tasks[0]["annotations"][0]["result"][0]["origin"] = "prediction"
    labels = exports.parse_export(tasks, "x", seeds.passages(), label_set)
    region = exports.to_regions(labels[0])[0]
    assert (region["id"], region["origin"]) == ("Xy9", "prediction")


def test_cancelled_and_other_peoples_annotations_are_left_out(mini: Benchmark) -> None:
    seeds, label_set, _ = read_all(mini)
    tasks = json.loads(exports.export_path(mini, "annotator-a").read_text())
    tasks[0]["annotations"][0]["was_cancelled"] = True
    tasks[1]["annotations"][0]["completed_by"] = {"id": 7, "email": "annotator-b@jinbench.localhost"}
    labels = exports.parse_export(tasks, "x", seeds.passages(), label_set, "annotator-a")
    assert len(labels) == len(tasks) - 2


@pytest.mark.parametrize("account", [1, {"id": 1}, {"id": 1, "email": ""}, "b@x.invalid"])
def test_an_export_of_another_account_is_no_empty_one(account: object, mini: Benchmark) -> None:
    path = exports.export_path(mini, "annotator-a")
    tasks = json.loads(path.read_text())
    for task in tasks[1:]:
        task["annotations"][0]["completed_by"] = account
    path.write_text(json.dumps(tasks))
    assert str(check_export(Workspace(mini), "annotator-a")).endswith(
        f"; {len(tasks) - 1} of other accounts passed over"
    )
    tasks[0]["annotations"][0]["completed_by"] = account
    path.write_text(json.dumps(tasks))
    with pytest.raises(
        DataError, match=f"foreign-export\n  expected annotations of annotator-a\n  found    {len(tasks)} of"
    ):
        check_export(Workspace(mini), "annotator-a")


def test_markup_gives_spans(mini: Benchmark, tmp_path: Path) -> None:
    seeds, label_set = articles.read_seeds(mini), read_label_set(mini)
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"id": "b-L5", "marked": "[天津港|PLACE]把调度系统搬到网上,船舶等待时间缩短[20%|QUANTITY]。'
        '[𠮷祥轮|PLACE]是第一艘受益的船。", "sectors": ["port"]}\n'
    )
    (entry,) = markup.read_markup(path, seeds.passages(), label_set, "me")
    assert entry.spans == (
        Span(0, 3, "PLACE", "天津港"),
        Span(21, 24, "QUANTITY", "20%"),
        Span(25, 28, "PLACE", "𠮷祥轮"),
    )


def test_a_line_break_in_a_surface_is_label_studios_own_spelling(mini: Benchmark) -> None:
    """Its page collapses white space and writes backslash-n; the offsets decide."""
    seeds, label_set = articles.read_seeds(mini), read_label_set(mini)
    passage = dataclasses.replace(next(seeds.passages()), text="天津  \n港。")
    region = {"from_name": "entities", "value": {"start": 0, "end": 6, "text": "天津 \\n港", "labels": ["PLACE"]}}
    task = {
        "data": {"passage_id": passage.id, "text": passage.text},
        "annotations": [{"completed_by": "a", "result": [region]}],
    }
    (entry,) = exports.parse_export([task], "x", [passage], label_set)
    assert entry.spans == (Span(0, 6, "PLACE", "天津  \n港"),)
    region["value"] |= {"start": 1, "end": 7}
    with pytest.raises(DataError, match="span-text-differs"):
        exports.parse_export([task], "x", [passage], label_set)


@pytest.mark.parametrize("offset", ["start", "end"])
def test_true_is_no_offset(mini: Benchmark, offset: str) -> None:
    path = exports.export_path(mini, "annotator-a")
    tasks = json.loads(path.read_text())
    tasks[0]["annotations"][0]["result"][0]["value"] |= {"start": 0, "end": 1, "text": "天", offset: offset == "end"}
    path.write_text(json.dumps(tasks))
    with pytest.raises(DataError, match="span-outside-text"):
        read_all(mini)


@pytest.mark.parametrize("export", ["{}", '["x"]', '[{"id": 1}]'])
def test_what_is_no_export_is_refused(mini: Benchmark, export: str) -> None:
    path = exports.export_path(mini, "annotator-a")
    path.write_text(export)
    with pytest.raises(DataError, match="wrong-shape"):
        read_all(mini)


def test_the_annotators_are_named_for_what_they_are(real: Benchmark) -> None:
    annotators = read_annotators(real)
    assert annotators.gold in annotators.names
    assert {entry.kind for entry in annotators.entries} == {"language model"}
