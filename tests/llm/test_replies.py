"""Replies of language models: every broken kind by example, perfect ones without loss, and whatever there may be."""

import json
import os
import resource
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jinbench.annotation import markup
from jinbench.annotation.labels import read_label_set
from jinbench.core.benchmark import Benchmark, find_benchmark
from jinbench.core.errors import DataError
from jinbench.core.types import Span
from jinbench.dataset import load
from jinbench.dataset.gold import read_task_gold
from jinbench.llm import align, lenient_json, prompts, replies
from jinbench.llm.align import Placed, Quoted
from jinbench.llm.lenient_json import Pairs
from jinbench.llm.report import DROPPED, NOTES, UNUSABLE, ParseReport
from jinbench.scoring import score
from jinbench.scoring.gold import TASKS, Gold, LabelKey
from jinbench.scoring.predictions import as_rows, check
from tests.helpers.commands import run
from tests.helpers.paths import ROOT

REAL = find_benchmark(ROOT)
NAMES = {"ner": read_label_set(REAL).entity_names, "sector": read_label_set(REAL).sector_names}
CASES = [
    pytest.param(path.stem, case, id=f"{path.stem}: {case['name']}")
    for path in sorted((ROOT / "tests" / "replies").glob("*.toml"))
    for case in tomllib.loads(path.read_text())["case"]
]


def gold_of(text: str, task: str = "ner") -> Gold:
    """A gold of one item, of which nothing but the text is known."""
    return Gold(task, "test", NAMES[task], ("x",), (text,), (frozenset(),), ("a",), ("clean",), "1", "0", "0")


def parsed(text: str, reply: str, task: str = "ner") -> tuple[frozenset[LabelKey] | None, ParseReport]:
    gold = gold_of(text, task)
    found, report = replies.parse_replies(gold, {"x": (reply, False)}, replies.names(REAL, gold))
    return found.get("x"), report


@pytest.mark.parametrize(("file", "case"), CASES)
def test_replies_of_every_kind(file: str, case: dict[str, Any]) -> None:
    task = "sector" if file == "sector" else "ner"
    found, report = parsed(case.get("text", "一段文字"), case["reply"], task)
    told = report.to_dict()
    expected: frozenset[LabelKey] | None = None
    if "marked" in case:
        plain, spans = markup.parse(case["marked"])
        assert plain == case["text"]
        expected = frozenset(span[:3] for span in spans)
    elif "sectors" in case:
        expected = frozenset((name,) for name in case["sectors"])
    assert found == expected
    assert [*told["unusable"]] == [reason for reason in (case.get("unusable"),) if reason]
    assert {reason: entry["count"] for reason, entry in told["dropped"].items()} == case.get("dropped", {})
    assert told["notes"] == case.get("notes", {})
    assert [entry["count"] for entry in told["mapped"]] == [1] * case.get("mapped", 0)
    assert told["ambiguous"] == case.get("ambiguous", 0)
    assert told["labels"] == told["kept"] + sum(entry["count"] for entry in told["dropped"].values())


def test_every_reason_and_note_has_an_example() -> None:
    cases = [case for _, case in (param.values for param in CASES)]
    assert {reason for case in cases for reason in case.get("dropped", {})} == set(DROPPED)
    assert {note for case in cases for note in case.get("notes", {})} == set(NOTES)
    unusable = {case["unusable"] for case in cases if "unusable" in case}
    assert unusable == set(UNUSABLE) - {"refused", "no-reply"}  # which are of the file, see below


# --- JSON ---

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def plain(value: Any) -> Any:
    if isinstance(value, Pairs):
        return {key: plain(part) for key, part in value}
    return [plain(part) for part in value] if isinstance(value, list) else value


@given(st.lists(JSON) | st.dictionaries(st.text(), JSON), st.booleans(), st.sampled_from([None, 1]))
def test_what_is_json_is_read_as_json(value: Any, ascii: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii, indent=indent)
    found = lenient_json.values(f"Here: {text} !")
    assert len(found) == 1
    assert found[0].whole
    assert plain(found[0].value) == value


@given(st.lists(st.fixed_dictionaries({"a": st.text(), "b": st.integers(0, 99)}), min_size=1), st.data())
def test_of_what_breaks_off_the_whole_elements_are_kept(value: list[dict[str, Any]], data: st.DataObject) -> None:
    text = json.dumps(value)
    cut = data.draw(st.integers(1, len(text) - 1))
    whole = sum(cut >= len(json.dumps(value[: number + 1])) - 1 for number in range(len(value)))
    found = lenient_json.values(text[:cut])
    lists = [each for each in found if each.value and not isinstance(each.value, Pairs)]
    assert [(plain(each.value), each.whole) for each in lists] == [(value[:whole], False)] * (whole > 0)
    assert any(each.truncated for each in found)


@pytest.mark.parametrize(
    "piece", ["[", "{", '["', '["a', '[{"a": \'', "[/*", "[[],", '[{"a":', "“", "<a>", "[a|", "</think>", ",、", "(["]
)
def test_hostile_replies_cost_little(piece: str) -> None:
    import time

    for task in ("ner", "sector"):
        before = time.process_time()
        parsed("天津投产", piece * (60_000 // len(piece)), task)
        assert time.process_time() - before < 5


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.text() | st.text("[]{}()\"'“”:,|<>/\\#天津LOCATION 1.…u\n\ud800`-", max_size=60),
    st.text(min_size=1, max_size=20),
    st.sampled_from(["ner", "sector"]),
)
@example('[{"surface": "\\ud800", "type": "\\ud800"}]', "天", "ner")
def test_no_reply_brings_an_error(reply: str, text: str, task: str) -> None:
    found, report = parsed(text, reply, task)
    assert (found is None) == bool(report.to_dict()["unusable"])
    f"{report}{json.dumps(report.to_dict(), ensure_ascii=False)}".encode()
    if found and task == "ner":
        problems: list[Any] = []
        values = as_rows("ner", [("x", found)])[0]["spans"]
        assert check("ner", values, text, NAMES["ner"], "x", problems) == found
        assert problems == []


# --- perfect replies ---

LETTERS = '天津港AＡ1１ ,，“"(（\n'
CHATTER = st.text("好的以下是结果: \n`*!abc", max_size=30)


@st.composite
def labelled(draw: st.DrawFn, letters: str = LETTERS) -> tuple[str, list[Span]]:
    """A text and spans in it, none with white space at its ends."""
    text = draw(st.text(letters, min_size=1, max_size=24))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=10)))
    spans = []
    for start, end in zip(cuts[::2], cuts[1::2], strict=False):
        if text[start:end] == text[start:end].strip():
            spans.append(Span(start, end, draw(st.sampled_from(NAMES["ner"])), text[start:end]))
    return text, spans


def folded(reply: str) -> str:
    """The reply of a model that writes full-width characters as half-width ones."""
    return "".join(align.fold(char).text or char for char in reply)


@settings(max_examples=400)
@given(labelled(), CHATTER, CHATTER, st.booleans(), st.randoms())
def test_perfect_replies_in_json_lose_nothing(
    item: tuple[str, list[Span]], before: str, after: str, change: bool, random: Any
) -> None:
    text, spans = item
    quoted = align.quote(text, spans)
    places = align.align_quotes(text, quoted)
    assert [place[:2] for place in places if isinstance(place, Placed)] == [span[:2] for span in spans]
    records = [{"surface": q.surface, "type": q.type} | ({} if q.left is None else {"left": q.left}) for q in quoted]
    if change:
        records = [{key: folded(part) for key, part in record.items()} for record in records]
    else:
        assert records == json.loads(prompts.answer("ner", "json", text, [span[:3] for span in spans]))
    found, _ = parsed(text, f"{before}\n{json.dumps(records, ensure_ascii=False)}\n{after}")
    assert found == {span[:3] for span in spans}


@given(labelled(), CHATTER, CHATTER, st.booleans())
def test_perfect_replies_in_markup_lose_nothing(
    item: tuple[str, list[Span]], before: str, after: str, change: bool
) -> None:
    text, spans = item
    if not text.strip():
        return
    said = prompts.answer("ner", "markup", text, [span[:3] for span in spans])
    found, _ = parsed(text, f"{before}\n{folded(said) if change else said}\n{after}")
    assert found == {span[:3] for span in spans}


@given(labelled(), st.lists(st.tuples(st.text(LETTERS, max_size=4), st.none() | st.text(LETTERS, max_size=3))))
def test_what_is_aligned_stands_there_and_nothing_overlaps(
    item: tuple[str, list[Span]], more: list[tuple[str, str | None]]
) -> None:
    text, spans = item
    quoted = [*(Quoted(s.surface, s.type) for s in spans), *(Quoted(surface, "DATE", left) for surface, left in more)]
    taken: set[int] = set()
    for entry, place in zip(quoted, align.align_quotes(text, quoted), strict=True):
        if isinstance(place, Placed):
            words = align.fold(text[place.start : place.end]).text
            assert words == align.fold(entry.surface).text
            assert not taken & {*range(place.start, place.end)}
            taken |= {*range(place.start, place.end)}
        elif place == align.ABSENT:
            assert align.fold(entry.surface).text not in align.fold(text).text


@pytest.mark.parametrize("style", prompts.STYLES)
@pytest.mark.parametrize("task", TASKS)
def test_the_gold_in_the_form_of_the_prompts_scores_one(real: Benchmark, task: str, style: str) -> None:
    gold = read_task_gold(real, task, "folds")
    said = {
        id: (prompts.answer(task, style, text, found, gold.names), False)
        for id, text, found in zip(gold.ids, gold.texts, gold.labels, strict=True)
    }
    predicted, report = replies.parse_replies(gold, said, replies.names(real, gold))
    assert predicted == dict(zip(gold.ids, gold.labels, strict=True))
    assert report.labels == report.kept == sum(map(len, gold.labels))
    assert not report.where
    assert score.micro(gold, predicted).f1 == 1


def test_surfaces_alone_are_enough_on_the_real_gold(real: Benchmark) -> None:
    """Under noise too, where width and spaces change: no span needs `left`, though places are often open."""
    rows = [*load.read_rows(real, "ner"), *load.read_rows(real, "ner_noisy")]
    for row in rows:
        spans = [Span(*(span[key] for key in ("start", "end", "type", "surface"))) for span in row["spans"]]
        assert all(entry.left is None for entry in align.quote(row["text"], spans)), row["id"]


def test_left_is_given_where_surfaces_are_not_enough() -> None:
    text = "天津荣程在天津,说天津"
    spans = [Span(5, 7, "LOCATION", "天津")]
    assert align.quote(text, spans) == [Quoted("天津", "LOCATION", "程在")]
    assert align.align_quotes(text, [Quoted("天津", "LOCATION")]) == [Placed(0, 2, "exact", True)]


def test_the_beginning_of_the_text_is_a_place_too() -> None:
    """An empty `left`: else a model that folds widths would be led to the later place, where its words stand."""
    text, spans = "\uff22与B", [Span(0, 1, "PRODUCT", "\uff22")]
    assert align.quote(text, spans) == [Quoted("\uff22", "PRODUCT", "")]
    assert align.align_quotes(text, [Quoted("B", "PRODUCT", "")]) == [Placed(0, 1, "folded", True)]
    assert align.align_quotes(text, [Quoted("B", "PRODUCT")]) == [Placed(2, 3, "exact", True)]


def test_a_name_that_two_labels_share_is_none(mini: Benchmark) -> None:
    gold = replace(gold_of("x"), names=("PLACE", "DATE", "QUANTITY"))
    assert replies.names(mini, gold)["地点"] == "PLACE"
    mini.labels.write_text(mini.labels.read_text().replace('en = "place"', 'en = "date"'))
    known = replies.names(mini, gold)
    assert "date" not in known
    assert (known["地点"], known["时间"]) == ("PLACE", "DATE")


# --- the file ---

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
def test_every_form_of_a_line(form: str, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(json.dumps(LINES[form]) + "\n")
    gold = gold_of("天津")
    found, report = replies.parse_replies(
        gold, replies.read_replies(tmp_path / "r.jsonl", gold), replies.names(REAL, gold)
    )
    assert found == {"x": {(0, 2, "LOCATION")}}
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
def test_refusals_are_told_from_other_replies(row: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(json.dumps(row) + "\n")
    gold = gold_of("天津")
    found, report = replies.parse_replies(gold, replies.read_replies(tmp_path / "r.jsonl", gold), {})
    assert found == {}
    assert [*report.to_dict()["unusable"]] == ["refused"]


def test_ten_gigabytes_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(LINES["reply"]) + "\n")
    os.truncate(path, 10 * 2**30)
    with pytest.raises(DataError) as caught:
        replies.read_replies(path, gold_of("天津"))
    (found,) = caught.value.problems
    assert (found.code, found.found) == ("file-too-big", "10,737,418,240 bytes")


def test_a_line_without_end_is_read_up_to_the_limit(tmp_path: Path) -> None:
    """However many items there are: what has no size could else fill the memory with one line."""
    gold = replace(gold_of("天津"), ids=("x",) * 10_000)
    assert replies.size_limit(gold) > 2**31
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError) as caught:
        replies.read_replies(Path("/dev/zero"), gold)
    assert [problem.code for problem in caught.value.problems] == ["file-too-big"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**17  # kB


@pytest.mark.parametrize("option", ["--out", "--report"])
def test_a_folder_is_no_file_to_write(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.jsonl").write_text("")
    assert run(["--root", str(ROOT), "parse", str(tmp_path / "r.jsonl"), option, str(tmp_path)]) == 2
    assert "is a directory" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]


def test_all_that_is_wrong_with_a_file_is_said_at_once(tmp_path: Path) -> None:
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


def test_from_prompts_to_a_score(world: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The three commands in a row; an item without a usable reply is missing, one with an empty list is not."""
    root = ["--root", str(world.root)]
    asked, said, predictions, told = (tmp_path / name for name in ("p.jsonl", "r.jsonl", "o.jsonl", "t.json"))
    assert run([*root, "prompt", "--split", "folds", "--out", str(asked), "--json"]) == 0
    ids = [json.loads(line)["id"] for line in asked.read_text().splitlines()]
    assert json.loads(capsys.readouterr().out)["prompts"] == len(ids) > 3
    answers = ["抱歉", "[]", '[["滦河", "PLACE"], ["x", "PLACE"]]']
    said.write_text("".join(json.dumps({"id": id, "reply": a}) + "\n" for id, a in zip(ids, answers, strict=False)))
    assert run([*root, "parse", str(said), "--split", "folds", "--out", str(predictions), "--report", str(told)]) == 0
    text = capsys.readouterr().out
    assert f"ner/folds: {len(ids)} items, 3 replies, 2 could be used" in text
    assert f"{len(ids) - 3}  the item has no reply" in text
    assert json.loads(told.read_text())["unusable"]["unreadable"]["where"] == [{"id": ids[0], "what": "'抱歉'"}]
    assert [json.loads(line)["id"] for line in predictions.read_text().splitlines()] == ids[1:3]
    assert run([*root, "score", str(predictions), "--split", "folds", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["missing"] == len(ids) - 2
