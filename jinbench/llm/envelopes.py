"""The text of a reply in what chat services, their batches and local servers write around it."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_BODIES = {"choices", "candidates", "tool_calls", "stop_reason"}  # keys of a whole response
_PARTS = {"text", "output_text", "thinking", "reasoning", "tool_use", "function_call", "message", "refusal"}
_WRAPPERS = (
    "response", "body", "result", "modelOutput", "choices", "candidates", "promptFeedback", "output", "message",
    "content", "text", "parts", "generation", "generated_text", "tool_calls", "function_call", "functionCall",
    "function", "toolUse",
)  # fmt: skip
_TEXTS = {"content", "text", "parts", "generation", "generated_text", "tool_calls"}
_ARGUMENTS = ("arguments", "input", "args")  # of a call of a function
_REASONING = ("reasoning_content", "reasoning", "thinking", "reasoningContent")
_ENDS = (
    "finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason", "stop_type", "status", "type",
    "incomplete_details", "blockReason",
)  # fmt: skip
_REFUSED = re.compile(
    "filter|refus|safety|recitation|block|prohibited|spii|guardrail|error|fail|malformed|cancel|expired", re.IGNORECASE
)
_CUT_OFF = re.compile("length|max_|limit|incomplete|context_window|in_progress", re.IGNORECASE)


class Reply(NamedTuple):
    """The text of a reply; `refused` by the model or the service, or `truncated` by the service."""

    text: str
    refused: bool = False
    truncated: bool = False


def read_reply(row: Mapping[str, Any]) -> Reply | None:
    """Read the reply in a row of a file; None if the row has none of the forms."""
    envelope = _Envelope()
    if "reply" in row:
        ends = {key: row[key] for key in _ENDS if key in row}
        envelope.visit(ends | {"text": _to_text(row["reply"])})
    elif isinstance(row.get("messages"), list):
        messages = [message for message in row["messages"] if isinstance(message, dict)]
        asked = max((number for number, message in enumerate(messages) if message.get("role") == "user"), default=-1)
        envelope.visit([message for message in messages[asked + 1 :] if message.get("role") in ("assistant", "model")])
    elif row.keys() & {*_WRAPPERS, "error", "status"}:
        envelope.visit(row)
    return envelope.to_reply()


def _to_text(reply: object) -> object:
    """Return a reply that is JSON somebody has read as text again, and any other as it is."""
    if isinstance(reply, dict) and not (reply.keys() & _BODIES or reply.get("object") == "response"):
        return json.dumps(reply, ensure_ascii=False)
    if isinstance(reply, list) and not (reply and all(isinstance(p, dict) and p.get("type") in _PARTS for p in reply)):
        return json.dumps(reply, ensure_ascii=False)
    return reply


class _Envelope:
    """Texts, calls and errors met on the way into an envelope."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls: list[str] = []
        self.errors: list[str] = []
        self.end = ""
        self.has_place = self.has_text = self.is_strange = self.has_reasoning = False

    def visit(self, value: object) -> None:
        if isinstance(value, str):
            self.texts.append(value)
        elif isinstance(value, list):
            for part in value:
                self.visit(part)
        elif isinstance(value, dict):
            self.visit_object(value)
        else:
            self.is_strange |= value is not None

    def visit_object(self, value: Mapping[str, Any]) -> None:
        self.read_end(value)
        self.has_reasoning |= any(value.get(key) and not isinstance(value[key], dict) for key in _REASONING)
        keys = [key for key in _WRAPPERS if key in value]
        if value.get("type") in ("thinking", "reasoning", "redacted_thinking") or value.get("thought") is True:
            self.has_reasoning = True
        elif arguments := [value[key] for key in _ARGUMENTS if "name" in value and value.get(key) not in (None, "")]:
            call = arguments[0]
            self.calls.append(call if isinstance(call, str) else json.dumps(call, ensure_ascii=False))
        else:
            self.is_strange |= bool(value) and not keys
            self.has_place |= bool(keys)
            self.has_text |= not _TEXTS.isdisjoint(keys)
            for key in keys:
                self.visit(value[key][:1] if key in ("choices", "candidates") and value[key] else value[key])

    def read_end(self, value: Mapping[str, Any]) -> None:
        """Read why a reply ends, and what failed."""
        self.end += "".join(f" {key} {value[key]}" for key in _ENDS if value.get(key))
        code = value.get("status_code", 200)
        status = value.get("status")
        error = value.get("error") or (status if isinstance(status, dict) else None)
        if any(error.values()) if isinstance(error, dict) else error:
            self.errors.append(json.dumps(error, ensure_ascii=False))
        elif type(code) is int and not 200 <= code < 300:
            self.errors.append(f"status_code {code}")
        if isinstance(value.get("refusal"), str) and value["refusal"]:
            self.errors.append(value["refusal"])

    def to_reply(self) -> Reply | None:
        # Calls side by side add up; one whose arguments are broken is repaired with the rest.
        calls = self.calls if len(self.calls) < 2 else [f"[{', '.join(self.calls)}]"]
        text = "\n".join(["".join(self.texts), *calls]).strip()
        refused = bool(self.errors) or bool(_REFUSED.search(self.end))
        truncated = bool(_CUT_OFF.search(self.end)) or (self.has_reasoning and not text)
        if refused:
            return Reply("; ".join([*self.errors, text]).strip("; "), refused=True)
        if truncated or text:
            return Reply(text, truncated=truncated)
        # A service that failed leaves out the place of the text.
        return None if self.is_strange or not self.has_place else Reply("", refused=not self.has_text)
