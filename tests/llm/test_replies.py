"""Files of replies, aliases of labels, and the commands."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.llm import replies
from tests.helpers.commands import run
from tests.helpers.paths import ROOT
from tests.helpers.replies import REAL, gold_of


def test_alias_of_two_labels_is_dropped(mini: Benchmark) -> None:
    gold = replace(gold_of("x"), names=("PLACE", "DATE", "QUANTITY"))
    assert replies.read_aliases(mini, gold)["地点"] == "PLACE"
    mini.labels.write_text(mini.labels.read_text().replace('en = "place"', 'en = "date"'))
    aliases = replies.read_aliases(mini, gold)
    assert "date" not in aliases
    assert (aliases["地点"], aliases["时间"]) == ("PLACE", "DATE")


LINES = {
    "reply": {"id": "x", "reply": '[["天津", "LOCATION"]]'},
    "read already": {"id": "x", "reply": [{"surface": "天津", "type": "LOCATION"}]},
    "messages": {"id": "x", "messages": [
        {"role": "user", "content": "?"}, {"role": "assistant", "content": "[天津|LOCATION]"}]},
    "openai": {"id": "batch_1", "custom_id": "x", "error": None, "response": {"status_code": 200, "body": {"choices": [
        {"message": {"role": "assistant", "content": '[["天津", "LOCATION"]]', "refusal": None}}]}}},
    "anthropic": {"custom_id": "x", "result": {"type": "succeeded", "message": {"content": [
        {"type": "thinking", "thinking": "[]"}, {"type": "text", "text": '[["天津", "LOCATION"]]'}]}}},
}  # fmt: skip


@pytest.mark.parametrize("form", LINES)
def test_every_form_of_a_line_is_read(form: str, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(json.dumps(LINES[form]) + "\n")
    gold = gold_of("天津")
    predictions, report = replies.parse_replies(
        gold, replies.read_replies(tmp_path / "r.jsonl", gold), replies.read_aliases(REAL, gold)
    )
    assert predictions == {"x": {(0, 2, "LOCATION")}}
    assert (report.replies, report.used) == (1, 1)


REFUSED = [
    {"custom_id": "x", "response": None, "error": {"code": "batch_expired"}},
    {"custom_id": "x", "response": {"status_code": 400, "body": {"error": {"message": "no"}}}},
    {"custom_id": "x", "response": {"body": {"choices": [{"message": {"content": None, "refusal": "I cannot."}}]}}},
    {"custom_id": "x", "response": {"body": {"choices": [
        {"message": {"content": ""}, "finish_reason": "content_filter"}]}}},
    {"custom_id": "x", "result": {"type": "errored", "error": {}}},
    {"custom_id": "x", "result": {"type": "succeeded", "message": {"content": [], "stop_reason": "refusal"}}},
]  # fmt: skip


@pytest.mark.parametrize("row", REFUSED)
def test_refusals_are_distinguished_from_other_replies(row: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(json.dumps(row) + "\n")
    gold = gold_of("天津")
    predictions, report = replies.parse_replies(gold, replies.read_replies(tmp_path / "r.jsonl", gold), {})
    assert predictions == {}
    assert [*report.to_dict()["unusable"]] == ["refused"]


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "json_repair", None)
    with pytest.raises(DataError, match=r"(?s)package-missing.*pip install 'jinbench\[llm\]'"):
        replies.parse_replies(gold_of("天津"), {}, {})


def test_file_of_ten_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(LINES["reply"]) + "\n")
    os.truncate(path, 10 * 2**30)
    with pytest.raises(DataError) as caught:
        replies.read_replies(path, gold_of("天津"))
    (problem,) = caught.value.problems
    assert (problem.code, problem.found) == ("file-too-big", "10,737,418,240 bytes")


@pytest.mark.parametrize("option", ["--out", "--report"])
def test_output_options_refuse_a_folder(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.jsonl").write_text("")
    assert run(["--root", str(ROOT), "parse", str(tmp_path / "r.jsonl"), option, str(tmp_path)]) == 2
    assert "is a directory" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]


def test_all_problems_of_a_file_are_reported_at_once(tmp_path: Path) -> None:
    rows: list[Any] = [
        {"id": "y", "reply": ""}, {"id": 3, "reply": ""}, {"reply": ""}, {"id": "x"}, {"id": "x", "reply": ""},
        {"custom_id": "x", "response": {"body": {"choices": []}}}, {"id": "x", "messages": []},
    ]  # fmt: skip
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError) as caught:
        replies.read_replies(tmp_path / "r.jsonl", gold_of("天津"))
    assert [(problem.code, problem.location[-1]) for problem in caught.value.problems] == [
        ("unknown-id", "1"), ("unknown-id", "2"), ("unknown-id", "3"), ("wrong-shape", "4"),
        ("duplicate-id", "5"), ("duplicate-id", "6"), ("duplicate-id", "7"),
    ]  # fmt: skip
    (tmp_path / "r.jsonl").write_text('{"id": "x", "reply": 3}\n')
    with pytest.raises(DataError, match="wrong-shape"):
        replies.read_replies(tmp_path / "r.jsonl", gold_of("天津"))


def test_prompt_parse_and_score_work_in_a_row(
    world: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The three commands in a row; an item without a usable reply is missing, one with an empty list is not."""
    root = ["--root", str(world.root)]
    prompts_path, replies_path, predictions_path, report_path = (
        tmp_path / name for name in ("p.jsonl", "r.jsonl", "o.jsonl", "t.json")
    )
    assert run([*root, "prompt", "--split", "folds", "--out", str(prompts_path), "--json"]) == 0
    ids = [json.loads(line)["id"] for line in prompts_path.read_text().splitlines()]
    assert json.loads(capsys.readouterr().out)["prompts"] == len(ids) > 3
    answers = ["抱歉", "[]", '[["滦河", "PLACE"], ["x", "PLACE"]]']
    replies_path.write_text(
        "".join(json.dumps({"id": id, "reply": a}) + "\n" for id, a in zip(ids, answers, strict=False))
    )
    assert (
        run(
            [
                *root,
                "parse",
                str(replies_path),
                "--split",
                "folds",
                "--out",
                str(predictions_path),
                "--report",
                str(report_path),
            ]
        )
        == 0
    )
    text = capsys.readouterr().out
    assert f"ner/folds: {len(ids)} items, 3 replies, 2 could be used" in text
    assert f"{len(ids) - 3}  the item has no reply" in text
    assert json.loads(report_path.read_text())["unusable"]["unreadable"]["where"] == [{"id": ids[0], "what": "'抱歉'"}]
    assert [json.loads(line)["id"] for line in predictions_path.read_text().splitlines()] == ids[1:3]
    assert run([*root, "score", str(predictions_path), "--split", "folds", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["missing"] == len(ids) - 2
