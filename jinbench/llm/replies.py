"""Read reply files of language models, and parse replies into predictions.

A reply that cannot be read gives no prediction, so that its item counts as missing; one that says that there are no
labels gives an empty prediction.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jinbench.annotation.labels import read_label_set
from jinbench.core import files, jsonl
from jinbench.core.benchmark import Benchmark
from jinbench.core.environment import require_packages
from jinbench.core.errors import ErrorList, shorten
from jinbench.llm.parser import NerParser, SectorParser, normalize_name, strip_thoughts
from jinbench.llm.report import ParseReport
from jinbench.scoring.gold import Gold, LabelKey

_MAX_LINE_BYTES = 2**24  # far more than a model's longest reply with its prompt


class Reply(NamedTuple):
    """The text of a reply; `refused` if the model, or the service that runs it, refused."""

    text: str
    refused: bool = False


def read_aliases(benchmark: Benchmark, gold: Gold) -> dict[str, str]:
    """Map what a reply may call a label (its name, its Chinese or English one; normalized) to its name."""
    meanings: dict[str, set[str]] = defaultdict(set)
    for name in gold.names:
        meanings[normalize_name(name)].add(name)
    if benchmark.labels.is_file():
        label_set = read_label_set(benchmark)
        for label in label_set.entities if gold.task == "ner" else label_set.sectors:
            if label.name in gold.names:
                meanings[normalize_name(label.zh)].add(label.name)
                meanings[normalize_name(label.en)].add(label.name)
    return {alias: next(iter(names)) for alias, names in meanings.items() if len(names) == 1}


def max_file_bytes(gold: Gold) -> int:
    """Return the size that a file of replies for `gold` may have, with prompts and thoughts."""
    return 2**20 + 2**18 * len(gold.ids)


def read_replies(path: Path, gold: Gold) -> dict[str, Reply]:
    """Read replies by id, from JSON Lines in one of the forms that `jinbench parse` takes.

    Raises DataError [file-missing], [file-too-big], [file-binary], [not-utf8], [broken-json], [wrong-shape],
    [unknown-id], [duplicate-id], with every problem of the file and its line number.
    """
    ids = set(gold.ids)
    problems = ErrorList()
    replies: dict[str, Reply] = {}
    lines: dict[str, int] = {}
    for number, row in jsonl.stream_rows(path, problems, max_file_bytes(gold), _MAX_LINE_BYTES):
        location = f"{files.display_path(path)}:{number}"
        id = row.get("id") if "custom_id" not in row else row["custom_id"]
        if not isinstance(id, str) or id not in ids:
            problems.add(
                "unknown-id",
                location,
                expected=f"the id of an item of {gold.task}/{gold.split}",
                found=shorten(repr(id)),
                fix="give each reply the id of its prompt",
            )
        elif id in lines:
            found = f"{id} also on line {lines[id]}"
            problems.add("duplicate-id", location, expected="each id once", found=found, fix="keep one of the lines")
        elif (reply := _read_reply(row)) is None:
            problems.add(
                "wrong-shape",
                location,
                expected='{"id", "reply"}, {"id", "messages"}, or a line of a batch service',
                found=shorten(", ".join(sorted(row)), 80),
                fix="see: jinbench parse --help",
            )
        else:
            replies[id] = reply
        if isinstance(id, str):
            lines.setdefault(id, number)
    problems.raise_if_any()
    return replies


def _read_reply(row: Mapping[str, Any]) -> Reply | None:
    """Read the reply in a row; None if the row has none of the forms."""
    if "reply" in row:  # a list or mapping is JSON that somebody has read already
        reply = row["reply"]
        text = json.dumps(reply, ensure_ascii=False) if isinstance(reply, list | dict) else _read_content(reply)
        return None if text is None else Reply(text)
    if isinstance(row.get("messages"), list):
        answers = [m for m in row["messages"] if isinstance(m, dict) and m.get("role") == "assistant"]
        return _read_message(answers[-1]) if answers else None
    if isinstance(row.get("result"), dict):  # Anthropic's batches: succeeded, errored, canceled, expired
        has_succeeded = row["result"].get("type") == "succeeded"
        return _read_message(row["result"].get("message")) if has_succeeded else Reply("", True)
    if row.get("error") and not row.get("response"):
        return Reply("", True)
    try:
        choice = row["response"]["body"]["choices"][0]
    except (KeyError, IndexError, TypeError):
        return Reply("", True) if _dig(row, "response", "body", "error") else None
    return _read_message(_dig(choice, "message"), _dig(choice, "finish_reason") == "content_filter")


def _dig(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _read_message(message: object, refused: bool = False) -> Reply | None:
    if not isinstance(message, dict):
        return None
    refused = refused or bool(message.get("refusal")) or message.get("stop_reason") == "refusal"
    text = _read_content(message.get("content"))
    return None if text is None else Reply(text, refused)


def _read_content(value: object) -> str | None:
    """Return a text, or the texts of a list of parts; nothing at all is an empty text."""
    if isinstance(value, list) and all(isinstance(part, dict) and "type" in part for part in value):
        value = "".join(str(part.get("text", "")) for part in value if part["type"] in ("text", "output_text"))
    return "" if value is None else value if isinstance(value, str) else None


def parse_replies(
    gold: Gold, replies: Mapping[str, Reply], aliases: Mapping[str, str]
) -> tuple[dict[str, frozenset[LabelKey]], ParseReport]:
    """Parse replies into predictions. No reply is an error: what cannot be used is in the report.

    Args:
        gold: The items; only their ids and texts and the names of labels are used.
        replies: Replies by id, as `read_replies` returns them.
        aliases: Normalized names of labels, as `read_aliases` returns them.

    Returns:
        Predictions by id, for the items whose reply could be used, and a report of everything left out.

    Raises:
        DataError: If the extra `llm` is not installed [package-missing].
    """
    require_packages("json_repair")
    report = ParseReport(gold.task, gold.split, len(gold.ids), len(replies))
    predictions: dict[str, frozenset[LabelKey]] = {}
    parser = NerParser if gold.task == "ner" else SectorParser
    for id, text in zip(gold.ids, gold.texts, strict=True):
        if id not in replies:
            report.leave_out("no-reply", id)
            continue
        reply = replies[id]
        if reply.refused:
            report.leave_out("refused", id, reply.text)
        elif not reply.text.strip():
            report.leave_out("empty-reply", id)
        elif not (answer := strip_thoughts(reply.text)).strip():
            report.leave_out("truncated", id, reply.text)
        elif (labels := parser(id, text, gold.names, aliases, report).parse(answer)) is not None:
            predictions[id] = labels
    report.used = len(predictions)
    return predictions, report
