"""Parsing replies: every broken kind by example, perfect ones without loss, and arbitrary ones."""

import json
import time
import tomllib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jinbench.annotation import markup
from jinbench.core.benchmark import Benchmark
from jinbench.core.types import Span
from jinbench.dataset.gold import read_task_gold
from jinbench.llm import align, prompts, replies
from jinbench.llm.align import Alignment
from jinbench.llm.envelopes import Reply
from jinbench.llm.report import DROPPED, NOTES, UNUSABLE
from jinbench.scoring import score
from jinbench.scoring.gold import TASKS, LabelKey
from jinbench.scoring.predictions import check_labels, to_rows
from tests.helpers.paths import ROOT
from tests.helpers.replies import LABEL_NAMES, labelled_texts, parse

CASES = [
    pytest.param(path.stem, case, id=f"{path.stem}: {case['name']}")
    for path in sorted((ROOT / "tests" / "replies").glob("*.toml"))
    for case in tomllib.loads(path.read_text())["case"]
]


CHATTER = st.text("好的以下是结果: \n`*!abc", max_size=30)


@pytest.mark.parametrize(("file", "case"), CASES)
def test_replies_of_every_kind_give_the_expected_labels(file: str, case: dict[str, Any]) -> None:
    task = "sector" if file == "sector" else "ner"
    labels, report = parse(case.get("text", "一段文字"), case["reply"], task)
    record = report.to_dict()
    expected: frozenset[LabelKey] | None = None
    if "marked" in case:
        plain, spans = markup.from_markup(case["marked"])
        assert plain == case["text"]
        expected = frozenset(span[:3] for span in spans)
    elif "sectors" in case:
        expected = frozenset((name,) for name in case["sectors"])
    assert labels == expected
    assert [*record["unusable"]] == [reason for reason in (case.get("unusable"),) if reason]
    assert {reason: entry["count"] for reason, entry in record["dropped"].items()} == case.get("dropped", {})
    assert record["notes"] == case.get("notes", {})
    assert [entry["count"] for entry in record["mapped"]] == [1] * case.get("mapped", 0)
    assert record["ambiguous"] == case.get("ambiguous", 0)
    assert record["labels"] == record["kept"] + sum(entry["count"] for entry in record["dropped"].values())


def test_every_reason_and_note_has_an_example() -> None:
    cases = [case for _, case in (param.values for param in CASES)]
    assert {reason for case in cases for reason in case.get("dropped", {})} == set(DROPPED)
    assert {note for case in cases for note in case.get("notes", {})} == set(NOTES)
    unusable = {case["unusable"] for case in cases if "unusable" in case}
    assert unusable == set(UNUSABLE) - {"refused", "no-reply"}  # which replies files have: see test_replies


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece", ["[", "{", '["', '["a', '[{"a": \'', "[/*", "[[],", '[{"a":', "“", "<a>", "[a|", "</think>", ",、", "(["]
)
def test_hostile_replies_take_little_time(piece: str) -> None:
    for task in ("ner", "sector"):
        before = time.process_time()
        parse("天津投产", piece * (60_000 // len(piece)), task)
        assert time.process_time() - before < 5


@given(
    st.text() | st.text("[]{}()\"'“”:,|<>/\\#天津LOCATION 1.…u\n\ud800`-", max_size=60),
    st.text(min_size=1, max_size=20),
    st.sampled_from(["ner", "sector"]),
)
@example('[{"surface": "\\ud800", "type": "\\ud800"}]', "天", "ner")
def test_no_reply_raises(reply: str, text: str, task: str) -> None:
    labels, report = parse(text, reply, task)
    assert (labels is None) == bool(report.to_dict()["unusable"])
    f"{report}{json.dumps(report.to_dict(), ensure_ascii=False)}".encode()
    if labels and task == "ner":
        problems: list[Any] = []
        values = to_rows("ner", [("x", labels)])[0]["spans"]
        assert check_labels("ner", values, text, LABEL_NAMES["ner"], "x", problems) == labels
        assert problems == []


def fold_widths(reply: str) -> str:
    """Write full-width characters as half-width ones, as some models do."""
    return "".join(align.fold_text(char).text or char for char in reply)


@settings(max_examples=400)
@given(labelled_texts(), CHATTER, CHATTER, st.booleans(), st.randoms())
def test_perfect_json_replies_give_all_labels(
    item: tuple[str, list[Span]], before: str, after: str, change: bool, random: Any
) -> None:
    text, spans = item
    quotes = align.make_quotes(text, spans)
    alignments = align.align_quotes(text, quotes)
    assert [alignment[:2] for alignment in alignments if isinstance(alignment, Alignment)] == [
        span[:2] for span in spans
    ]
    records = [{"surface": q.surface, "type": q.type} | ({} if q.left is None else {"left": q.left}) for q in quotes]
    if change:
        records = [{key: fold_widths(part) for key, part in record.items()} for record in records]
    else:
        assert records == json.loads(prompts.format_answer("ner", "json", text, [span[:3] for span in spans]))
    labels, _ = parse(text, f"{before}\n{json.dumps(records, ensure_ascii=False)}\n{after}")
    assert labels == {span[:3] for span in spans}


@given(labelled_texts(), CHATTER, CHATTER, st.booleans())
def test_perfect_markup_replies_give_all_labels(
    item: tuple[str, list[Span]], before: str, after: str, change: bool
) -> None:
    text, spans = item
    if not text.strip():
        return
    reply = prompts.format_answer("ner", "markup", text, [span[:3] for span in spans])
    labels, _ = parse(text, f"{before}\n{fold_widths(reply) if change else reply}\n{after}")
    assert labels == {span[:3] for span in spans}


@pytest.mark.parametrize("style", prompts.STYLES)
@pytest.mark.parametrize("task", TASKS)
def test_gold_written_as_replies_scores_one(real: Benchmark, task: str, style: str) -> None:
    gold = read_task_gold(real, task, "folds")
    answers = {
        id: Reply(prompts.format_answer(task, style, text, labels, gold.names))
        for id, text, labels in zip(gold.ids, gold.texts, gold.labels, strict=True)
    }
    predicted, report = replies.parse_replies(gold, answers, replies.read_aliases(real, gold))
    assert predicted == dict(zip(gold.ids, gold.labels, strict=True))
    assert report.labels == report.accepted == sum(map(len, gold.labels))
    assert not report.left_out
    assert score.score_micro(gold, predicted).f1 == 1
