"""Kinds of replies, a line for each: reasoning, forms of answers, slips, what cannot be read; envelopes."""

import json
import re
from string import Template
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jinbench.annotation import markup
from jinbench.llm.envelopes import read_reply
from tests.helpers.replies import parse

TEXT = "天津荣程集团在北京投产"
BOTH = "[天津荣程集团|COMPANY]在[北京|LOCATION]投产"
ONE = "[天津荣程集团|COMPANY]在北京投产"
OTHER = "天津荣程集团在[北京|LOCATION]投产"
NOTHING = TEXT
DRAFT = '[{"surface": "投产", "type": "DATE"}]'
A, B = '{"surface": "天津荣程集团", "type": "COMPANY"}', '{"surface": "北京", "type": "LOCATION"}'
PAIR = f"[{A}, {B}]"
T = "[]"

# What stands for “D” is a draft that must not be taken; for “A” the answer.
REASONING = [
    "<think>D</think>A", "<think>D</think>\n\nA", "D</think>A", "<THINK>D</THINK>A", "<thinking>D</thinking>A",
    "<thought>D</thought>A", "<reasoning>D</reasoning>A", "<think >D</think>A",
    "<Thought>D</Thought><Output>A</Output>",
    "[THINK]D[/THINK]A", "D[/THINK]A", "[THINK]D[/THINK]A</s>", "◁think▷D◁/think▷A", "D◁/think▷A",
    "<seed:think>D<seed:cot_budget_reflect>D</seed:cot_budget_reflect>D</seed:think>A",
    "<|begin_of_thought|>D<|end_of_thought|><|begin_of_solution|>A<|end_of_solution|>",
    "<|START_THINKING|>D<|END_THINKING|><|START_RESPONSE|>A<|END_RESPONSE|>",
    "<|channel|>analysis<|message|>D<|end|><|start|>assistant<|channel|>final<|message|>A<|return|>",
    ("<|channel|>analysis<|message|>D<|end|><|start|>assistant<|channel|>commentary<|message|>D<|end|>"
    "<|start|>assistant<|channel|>final <|constrain|>json<|message|>A"),
    ("<|channel|>analysis<|message|>D<|end|><|start|>assistant<|channel|>commentary to=functions.f "
    "<|constrain|>json<|message|>A<|call|>"),
    "analysisWe see D.assistantfinalA", "analysis我们看 D。assistantfinalA", "D<|end|><|channel|>final<|message|>A",
    "<|channel>thought\nD<channel|>A", "<unused94>thought\nD<unused95>A", "<|inner_prefix|>D<|inner_suffix|>A",
    "<|think|>D<|end|><|begin|>assistant<|content|>A<|end|>", "Here is my thought process: D Here is my response: A",
    "Thinking...\nD\n...done thinking.\n\nA", "【思考】D【答案】A", "[思考]D[/思考]A",
    '<details type="reasoning" done="true">\nD\n</details>\nA', "```thinking\nD\n```\nA",
    "<scratchpad>D</scratchpad><answer>A</answer>", "<think>D</think><response>A</response>",
    "<thinking>D<reflection>D</reflection>D</thinking><output>A</output>", "<think>use <think> D</think>A",
    "<think>D</think>D<think>D</think>A", "A<think>D</think>", "<think>D</thinking>A", "<analysis>D</analysis>A",
    "<think>\n\n</think>\n\nA", "<|im_start|>assistant\n<think>D</think>A<|im_end|>", "D\n\nA", "先写 D。再想。\nA",
]  # fmt: skip


def to_labels(marked: str) -> frozenset[tuple[int, int, str]]:
    return frozenset(span[:3] for span in markup.from_markup(marked)[1])


@pytest.mark.parametrize("form", REASONING)
def test_reasoning_is_no_answer(form: str) -> None:
    """An A or D that stands in no word of capitals is the answer or the draft."""
    for task, draft, answers in (
        ("ner", DRAFT, ((PAIR, to_labels(BOTH)), ("[]", frozenset()))),
        ("sector", '["automotive"]', (('["equipment"]', {("equipment",)}), ("[]", frozenset()))),
    ):
        for answer, expected in answers:
            put = {"D": draft, "A": answer}
            reply = re.sub(r"(?<![A-Z_])[AD](?![A-Za-z_])", lambda letter, put=put: put[letter[0]], form)  # type: ignore[misc]
            labels, _ = parse(TEXT, reply, task)
            assert labels == expected, reply


# $A and $B are the two labels, $P both in a list, $D a draft.
FORMS = [
    ("天津荣程集团: COMPANY\n北京: LOCATION", BOTH),
    ("- 天津荣程集团：公司\n- 北京：地名", OTHER),
    ("1. **天津荣程集团**: COMPANY\n2. **北京**: LOCATION", BOTH),
    ("COMPANY: 天津荣程集团\nLOCATION: 北京", BOTH),
    ("COMPANY: 天津荣程集团\nLOCATION: 北京\nPERSON: 无", BOTH),
    ("COMPANY: 无\nLOCATION: none", NOTHING),
    ("COMPANY:\n- 天津荣程集团\n\nLOCATION:\n- 北京", BOTH),
    ("### COMPANY\n1. 天津荣程集团\n### LOCATION\n1. 北京\n### DATE\n无", BOTH),
    ("天津荣程集团: COMPANY, 北京: LOCATION", BOTH),
    ("天津荣程集团(COMPANY)、北京(LOCATION)", BOTH),
    ("天津荣程集团 - COMPANY; 北京 - LOCATION", BOTH),
    ("实体如下：\n天津荣程集团 → COMPANY\n北京 → LOCATION\n\n希望有帮助！", BOTH),
    ("(天津荣程集团, COMPANY), (北京, LOCATION)", BOTH),
    ('("天津荣程集团", "COMPANY")\n("北京", "LOCATION")', BOTH),
    ("(COMPANY, 天津荣程集团)\n(LOCATION, 北京)", BOTH),
    ("[('天津荣程集团', 'COMPANY'), ('北京', 'LOCATION')]", BOTH),
    ("（天津荣程集团，COMPANY）\n（北京，LOCATION）", BOTH),
    ("| 实体 | 类型 |\n|---|---|\n| 天津荣程集团 | COMPANY |\n| 北京 | LOCATION |", BOTH),
    ("| 天津荣程集团 | COMPANY |\n| 北京 | LOCATION |", BOTH),
    ("天津荣程集团\tCOMPANY\n北京\tLOCATION", BOTH),
    ("surface,type\n天津荣程集团,COMPANY\n北京,LOCATION", BOTH),
    ("天津荣程集团,COMPANY\n北京,LOCATION", BOTH),
    ("天津荣程集团 COMPANY\n北京 LOCATION", BOTH),
    ("- surface: 天津荣程集团\n  type: COMPANY\n- surface: 北京\n  type: LOCATION", BOTH),
    ("实体：天津荣程集团，类型：COMPANY\n实体：北京，类型：LOCATION", BOTH),
    ("实体：天津荣程集团，类型：COMPANY；实体：北京，类型：LOCATION", BOTH),
    ("| 类型 | 实体 |\n|---|---|\n| COMPANY | 天津荣程集团 |\n| LOCATION | 北京 |", BOTH),
    ("| 类型 | 实体 |\n|---|---|\n", "unreadable"),
    ("COMPANY:\nLOCATION:", "unreadable"),
    ("类型: LOCATION", "unreadable"),
    ("答案: LOCATION", "unreadable"),
    ("北京不是 LOCATION", "unreadable"),
    ("句子里没有实体。", "unreadable"),
    ("天津荣程集团: COMPANY\n改正:\n北京: LOCATION", OTHER),
    ("草稿\n天津荣程集团: COMPANY\n\n答案:[]", NOTHING),
    ("天津荣程集团: COMPANY (企业)\n北京: LOCATION (地名)", "unreadable"),
    ("天津荣程集团 (COMPANY): 一家企业\n北京 (LOCATION): 首都", "unreadable"),
    ('<entity type="COMPANY">天津荣程集团</entity>', ONE),
    ("```csv\n天津荣程集团,COMPANY\n北京,LOCATION\n```", BOTH),
    ("COMPANY：《天津荣程集团》", "unreadable"),
    ("Entities: 天津荣程集团 (COMPANY), 北京 (LOCATION)", BOTH),
    ("实体：天津荣程集团（COMPANY）、北京（LOCATION）。", BOTH),
    ('{"entities": "[]"}', NOTHING),
    ('"[]"', NOTHING),
    ('<tool_call>\n{"name": "extract", "arguments": {"entities": $P}}\n</tool_call>', BOTH),
    ('[TOOL_CALLS][{"name": "extract", "arguments": {"entities": $P}}]', BOTH),
    ('{"name": "extract", "parameters": {"entities": $P}}', BOTH),
    ('{"type": "function", "name": "extract", "arguments": {"entities": $P}}', BOTH),
    ('{"entities":[{"surface" 天津 "COMPANY}],"relations":[]}', "truncated"),
    ('{"entities":["天津荣程集团"],"relations":[]}', "unreadable"),
    ('{"entities":[...],"relations":[]}', "unreadable"),
    ('{"entities":[…]}', "unreadable"),
    ('{"entities": [}', "unreadable"),
    ("[...]", "unreadable"),
    ("[,]", "unreadable"),
    ("[:]", "unreadable"),
    ("{...}", "unreadable"),
    ('{"entities": [{"foo": "北京"}], "relations": []}', "unreadable"),
    ('[{"实体名": "北京", "t": "LOCATION"}]\n[]', "unreadable"),
    ('[]\n[{"实体名": "北京", "t": "LOCATION"}]', "unreadable"),
    ('[]\n["北京"]', "unreadable"),
    ('["北京"]\n[]', NOTHING),
    ("[]\n(注 [1])", NOTHING),
    ('{"entities": []}', NOTHING),
    ('{"entities": [], "relations": []}', NOTHING),
    ("[]", NOTHING),
    ("{}", NOTHING),
    ("```json\n{}\n```", NOTHING),
    ("格式是 {}", "unreadable"),
    ("[[]]", "unreadable"),
    ("[{}]", "unreadable"),
    ("[null]", "unreadable"),
    ('[""]', "unreadable"),
    ("[ // 没有\n]", NOTHING),
    ('{"count": 0}\n[]', NOTHING),
    ('{"entities": [], "count": 0}', NOTHING),
    ('{"entities": null}', "unreadable"),
    ('{"entities": "无"}', "unreadable"),
    ("$P\n(其余:[])", BOTH),
    ('草稿 $P\n最终 [{"surface": "北', "truncated"),
    ('草稿 $D\n最终 [$A, {"surface": "北', ONE),
    ("[$A", ONE),
    ("[$A,", ONE),
    ("[$A, $B\n\n以上就是结果。", BOTH),
    ("草稿 $A。不对。\n最终:$B", OTHER),
    ("1. $A\n2. $B", BOTH),
    ("实体1:$A\n实体2:$B", BOTH),
    ("$A\n$B\n[]", NOTHING),
    ("[$A]\n[$B]", OTHER),
    ('{"COMPANY": ["天津荣程集团"]}\n{"LOCATION": ["北京"]}', BOTH),
    ('{"entities": $P}\n{"relations": []}', BOTH),
    ('{"entities": $P}\n{"entities": []}', NOTHING),
    ('[{"surface" "天津荣程集团", "type": "COMPANY"}, $B]', BOTH),
    ("[$A $B]", BOTH),
    ("[$A$B]", BOTH),
    ('[{"surface": "天津荣程集团" "type": "COMPANY"}, {"surface": "北京" "type": "LOCATION"}]', BOTH),
    ('[{"surface": "天津荣程集团"\n"type": "COMPANY"}, {"surface": "北京"\n"type": "LOCATION"}]', BOTH),
    ("[{'surface': '天津荣程集团', 'type': 'COMPANY'}, {'surface': '北京', 'type': 'LOCATION'}]", BOTH),
    ('[{"surface": "天津荣程集团", "type": "COMPANY",}, {"surface": "北京", "type": "LOCATION",}]', BOTH),
    ("[$A, $B,]", BOTH),
    ("[$A, $B, // 完\n]", BOTH),
    ('[{surface: "天津荣程集团", type: "COMPANY"}, {surface: "北京", type: "LOCATION"}]', BOTH),
    ("[{surface: 天津荣程集团, type: COMPANY}, {surface: 北京, type: LOCATION}]", BOTH),
    ('[{"surface": NaN, "x": "天津荣程集团", "type": "COMPANY"}, $B]', OTHER),
    ("[{“surface“: “天津荣程集团“, “type“: “COMPANY“}, {“surface“: “北京“, “type“: “LOCATION“}]", BOTH),
    ("［｛＂surface＂： ＂北京＂， ＂type＂： ＂LOCATION＂｝］", OTHER),
    ("```\n$P\n```", BOTH),
    ("```python\nentities = $P\n```", BOTH),
    ("~~~yaml\n$P\n~~~", BOTH),
    ("好的。$P以上。", BOTH),
    ('[{"surface": "天津荣程集团", "kind": "COMPANY"}, $B]', OTHER),
    ('[{"surface": "天津荣程集团", "type": COMPANY"}, $B]', BOTH),
    ('[{"surface": "天津荣程集团", "type": "COMPANY}, $B]', OTHER),
    ('[{"surface": "天津荣程集团", "type": "COMPANY", $B]', BOTH),
    ('[{"surface": "天津荣程集团" "COMPANY"}, $B]', OTHER),
    ('[{"天津荣程集团", "COMPANY"}, $B]', BOTH),
    ('[{"surface"}, $B]', OTHER),
    ('[{"surface": "天津荣程集团", type}, $B]', OTHER),
    ('[{"surface":: "天津荣程集团", "type": "COMPANY"}, $B]', BOTH),
    ("[{surface: 天津荣程集团 type: COMPANY}, $B]", OTHER),
    ('{"entities": [$A, $B}', BOTH),
    ('{"entities": $P', BOTH),
    ('"entities": $P', BOTH),
    ("$P]", BOTH),
    ("[$A, $B}", BOTH),
    ("[$A, 7 8, $B]", BOTH),
    ("[天津荣程集团|COMPANY]在[北京|LOCATION]投产\n[]", NOTHING),
    ("[天津荣程集团|COMPANY]在[北京|LOCATION]投产", BOTH),
    ("天津荣程集团在北京投产", NOTHING),
    ('天津荣程集团在北京投产\n{"entities": [', "truncated"),
    ("<think>$D", "truncated"),
    ("$P<think>再想", "truncated"),
    ("<think>…</think>", "truncated"),
    ("[THINK]$D", "truncated"),
    ("<|channel|>analysis<|message|>$D", "truncated"),
    ("analysisWe $D", "truncated"),
    ("◁think▷$D", "truncated"),
    ("<|START_THINKING|>$D", "truncated"),
    ("<|channel|>analysis<|message|>$D<|end|><|start|>assistant<|channel|>final<|message|>", "truncated"),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "expected"), FORMS)
def test_form_gives_its_labels_or_its_reason(reply: str, expected: str) -> None:
    labels, report = parse(TEXT, Template(reply).safe_substitute(A=A, B=B, P=PAIR, D=DRAFT))
    reason = next(iter(report.to_dict()["unusable"]), None)
    assert (reason if labels is None else labels) == (to_labels(expected) if TEXT[:2] in expected else expected)


def oai(**m: Any) -> dict[str, Any]:
    return {
        "id": "b",
        "custom_id": "x",
        "error": None,
        "response": {"status_code": 200, "request_id": "r", "body": {"object": "chat.completion", "choices": [m]}},
    }


def msg(**m: Any) -> dict[str, Any]:
    return oai(index=0, message={"role": "assistant"} | m, finish_reason="stop")


def resp(**b: Any) -> dict[str, Any]:
    return {
        "id": "b",
        "custom_id": "x",
        "error": None,
        "response": {
            "status_code": 200,
            "body": {
                "object": "response",
                "error": None,
                "status": "completed",
                "incomplete_details": None,
                "reasoning": {"effort": "high"},
                "text": {"format": {"type": "text"}},
            }
            | b,
        },
    }


def ant(**m: Any) -> dict[str, Any]:
    return {
        "custom_id": "x",
        "result": {
            "type": "succeeded",
            "message": {"type": "message", "role": "assistant", "stop_reason": "end_turn"} | m,
        },
    }


def gem(**c: Any) -> dict[str, Any]:
    return {
        "key": "x",
        "response": {
            "candidates": [{"index": 0, "finishReason": "STOP"} | c],
            "usageMetadata": {"x": 1},
            "promptFeedback": {"safetyRatings": [{"category": "HARM", "probability": "LOW"}]},
        },
    }


ENVELOPES: list[tuple[dict[str, Any], str | None]] = [
    (msg(content=T), "ok"),
    (msg(content=T, refusal=None, reasoning_content="x", tool_calls=[]), "ok"),
    (msg(content=None, tool_calls=[{"type": "function", "function": {"name": "f", "arguments": T}}]), "ok"),
    (msg(content="", function_call={"name": "f", "arguments": T}), "ok"),
    (msg(content=None, reasoning_content="hm"), "trunc"),
    (msg(content=None, reasoning="hm"), "trunc"),
    (msg(content=None), "empty"),
    (msg(content=None, refusal="no"), "ref"),
    (msg(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "D"}]}, {"type": "text", "text": T}]),
     "ok"),
    (oai(message={"content": T}, finish_reason="length"), "trunc"),
    (oai(message={"content": T}, finish_reason="content_filter"), "ref"),
    (oai(text=T, finish_reason="stop", logprobs=None), "ok"),
    (oai(text=T, finish_reason="length"), "trunc"),
    (oai(message={"content": T}, finish_reason="model_length"), "trunc"),
    (oai(message={"content": T}, finish_reason="error"), "ref"),
    (resp(output=[{"type": "reasoning", "summary": []}, {"type": "message", "role": "assistant", "status":
     "completed", "content": [{"type": "output_text", "text": T, "annotations": []}]}]), "ok"),
    (resp(output=[{"type": "function_call", "name": "f", "call_id": "c", "arguments": T, "status": "completed"}]),
     "ok"),
    (resp(output=[{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}]), "ref"),
    (resp(status="incomplete", incomplete_details={"reason": "max_output_tokens"}, output=[{"type": "reasoning",
     "summary": []}]), "trunc"),
    (resp(status="incomplete", incomplete_details={"reason": "content_filter"}, output=[]), "ref"),
    (resp(status="failed", error={"code": "server_error", "message": "m"}, output=[]), "ref"),
    (resp(output=[]), None),
    (resp(output=[{"type": "reasoning", "summary": [{"type": "summary_text", "text": "D"}]}]), "trunc"),
    (ant(content=[{"type": "text", "text": T}]), "ok"),
    (ant(content=[{"type": "thinking", "thinking": "D", "signature": "s"}, {"type": "text", "text": T}]), "ok"),
    (ant(content=[{"type": "tool_use", "id": "t", "name": "f", "input": {"entities": []}}], stop_reason="tool_use"),
     "ok"),
    (ant(content=[{"type": "text", "text": T}], stop_reason="max_tokens"), "trunc"),
    (ant(content=[{"type": "text", "text": T}], stop_reason="refusal"), "ref"),
    *[({"custom_id": "x", "result": {"type": t}}, "ref") for t in ("errored", "canceled", "expired")],
    ({"custom_id": "x", "result": {"type": "errored", "error": {"type": "error", "error": {"type":
     "invalid_request_error", "message": "m"}}}}, "ref"),
    ({"id": "b2", "custom_id": "x", "response": {"status_code": 0, "request_id": "", "body": {}}, "error": None},
     "ref"),
    ({"custom_id": "x", "response": {"status_code": 200, "body": None}, "error": None}, "ref"),
    ({"custom_id": "x", "response": {"status_code": 429, "body": {"error": {"message": "m"}}}, "error": None}, "ref"),
    ({"custom_id": "x", "response": None, "error": {"code": "batch_expired", "message": "m"}}, "ref"),
    ({"custom_id": "x", "response": None, "error": None}, "ref"),
    ({"custom_id": "x", "response": {"status_code": 400, "request_id": "r", "body": None}, "error": {"object":
     "error", "message": "m"}}, "ref"),
    ({"custom_id": "x", "error": "boom"}, "ref"),
    ({"custom_id": "x", "response": {"body": {"choices": []}}}, "ref"),
    ({"custom_id": "x", "response": {}}, "ref"),
    ({"custom_id": "x", "response": {"status_code": 500, "body": "oops"}}, "ref"),
    ({"custom_id": "x", "response": {"choices": [{"message": {"content": T}}]}}, "ok"),
    (gem(content={"parts": [{"text": T}], "role": "model"}), "ok"),
    (gem(content={"parts": [{"text": "D", "thought": True}, {"text": T}], "role": "model"}), "ok"),
    (gem(content={"parts": [{"functionCall": {"name": "f", "args": {"entities": []}}}]}), "ok"),
    (gem(content={"role": "model"}, finishReason="MAX_TOKENS"), "trunc"),
    (gem(finishReason="SAFETY"), "ref"),
    ({"key": "x", "response": {"promptFeedback": {"blockReason": "SAFETY"}}}, "ref"),
    ({"key": "x", "error": {"code": 3, "message": "m"}}, "ref"),
    ({"key": "x", "status": {"code": 3, "message": "m"}}, "ref"),
    ({"recordId": "x", "modelInput": {"messages": []}, "modelOutput": {"content": [{"type": "text", "text": T}],
     "stop_reason": "end_turn"}}, "ok"),
    ({"recordId": "x", "modelInput": {}, "error": {"errorCode": 400, "errorMessage": "m"}}, "ref"),
    ({"recordId": "x", "modelOutput": {"output": {"message": {"role": "assistant", "content": [{"text": T}]}},
     "stopReason": "end_turn"}}, "ok"),
    ({"recordId": "x", "modelOutput": {"generation": T, "stop_reason": "stop"}}, "ok"),
    ({"id": "x", "model": "q", "message": {"role": "assistant", "content": T, "thinking": "D"}, "done_reason":
     "stop"}, "ok"),
    ({"id": "x", "response": T, "done": True, "done_reason": "length"}, "trunc"),
    ({"id": "x", "generated_text": T}, "ok"),
    ({"id": "x", "content": T, "stop_type": "limit"}, "trunc"),
    ({"id": "x", "choices": [{"message": {"content": T}, "finish_reason": "stop"}]}, "ok"),
    ({"id": "x", "reply": T}, "ok"),
    ({"id": "x", "reply": None}, "empty"),
    ({"id": "x", "reply": ""}, "empty"),
    ({"id": "x", "reply": []}, "ok"),
    ({"id": "x", "reply": {"entities": []}}, "ok"),
    ({"id": "x", "reply": 3}, None),
    ({"id": "x"}, None),
    ({"id": "x", "messages": []}, None),
    ({"id": "x", "reply": T, "finish_reason": "length"}, "trunc"),
    ({"id": "x", "reply": [{"type": "text", "text": T}]}, "ok"),
    ({"id": "x", "reply": {"choices": [{"message": {"content": T}}]}}, "ok"),
    ({"id": "x", "reply": {"output": []}}, "ok"),
    ({"custom_id": "x", "response": {"status_code": 200, "body": {"foo": 1}}}, None),
    ({"id": "x", "error": None}, None),
]  # fmt: skip


@pytest.mark.parametrize(("row", "expected"), ENVELOPES)
def test_envelope_gives_text_or_why_there_is_none(row: dict[str, Any], expected: str | None) -> None:
    reply = read_reply(row)
    kinds = {"ref": reply and reply.refused, "trunc": reply and reply.truncated, "ok": reply and reply.text}
    assert (None if reply is None else next((kind for kind, holds in kinds.items() if holds), "empty")) == expected


PROSE = st.text("好的以下是结果,。 \nabc", max_size=12)
ANSWERS = st.sampled_from([(PAIR, BOTH), (f"[{A}]", ONE), (f"[{B}]", OTHER), ("[]", NOTHING)])


@given(st.lists(st.one_of(PROSE, ANSWERS, ANSWERS.map(lambda answer: f"<think>{answer[0]}</think>")), max_size=6))
def test_last_answer_outside_of_reasoning_counts(parts: list[str | tuple[str, str]]) -> None:
    answers = [part for part in parts if isinstance(part, tuple)]
    labels, report = parse(TEXT, "\n".join(part if isinstance(part, str) else part[0] for part in parts))
    if labels is None:
        assert not answers
    else:
        assert labels == to_labels(answers[-1][1])
    assert report.notes["several"] <= 1


@given(st.text("[{}:,.|()<>\\天津LOCATION 1…\n`-\"'", max_size=40), st.sampled_from(["ner", "sector"]))
def test_garbage_is_never_an_answer_nothing(garbage: str, task: str) -> None:
    assume(not re.search(r"\[\s*\]|\{\s*\}", garbage))
    labels, report = parse(TEXT, garbage, task)
    assert labels or labels is None or report.left_out


@pytest.mark.parametrize("entities", [PAIR, json.dumps(json.loads(PAIR))])
def test_json_in_strings_of_json_is_read(entities: str) -> None:
    for reply in (json.dumps(entities), json.dumps(json.dumps(entities)), json.dumps({"entities": entities}),
                  json.dumps([A, B]), f"结果:{json.dumps(entities)}。", entities.replace('"', '\\"'),
                  entities.replace('"', "&quot;")):  # fmt: skip
        assert parse(TEXT, reply)[0] == to_labels(BOTH), reply


@settings(max_examples=150)
@given(st.sampled_from([PAIR, f'{{"entities": {PAIR}, "relations": []}}']), st.data())
def test_one_wrong_character_loses_no_label_in_silence(reply: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(reply) - 1))
    written = data.draw(st.sampled_from(["", *'"{}[],:x“\n']))
    labels, report = parse(TEXT, reply[:place] + written + reply[place + 1 :])
    assert labels is None or labels
    assert len(labels or "12") == 2 or report.left_out or report.notes["salvaged"] or report.notes["several"]


def test_row_of_a_table_that_breaks_off_is_reported() -> None:
    labels, report = parse(TEXT, "| 实体 | 类型 |\n|---|---|\n| 北京 | LOCATION |\n| 天津荣程")
    assert labels == to_labels(OTHER)
    assert [*report.left_out] == ["unknown-type"]
