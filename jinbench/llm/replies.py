"""What language models reply, turned into predictions: labels are found in the reply, words are found in the text.

A reply that cannot be read gives no prediction, so that its item is counted as missing; one that says that there is
nothing gives an empty one.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinbench.annotation.labels import read_label_set
from jinbench.core import files, jsonl
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import Problem, raise_if_any, shorten
from jinbench.llm import parser
from jinbench.llm.report import ParseReport
from jinbench.scoring.gold import Gold, LabelKey

_LONGEST = 2**24  # bytes of a line: far more than a model's longest reply with its prompt


def names(benchmark: Benchmark, gold: Gold) -> dict[str, str]:
    """What a reply may call each label: its name, and its Chinese or English one, in lower case."""
    found: dict[str, set[str]] = defaultdict(set)
    for name in gold.names:
        found[parser.key(name)].add(name)
    if benchmark.labels.is_file():
        label_set = read_label_set(benchmark)
        for label in label_set.entities if gold.task == "ner" else label_set.sectors:
            if label.name in gold.names:
                found[parser.key(label.zh)].add(label.name)
                found[parser.key(label.en)].add(label.name)
    return {key: next(iter(meant)) for key, meant in found.items() if len(meant) == 1}


def size_limit(gold: Gold) -> int:
    """The bytes that replies for `gold` can have, prompts and thoughts with them."""
    return 2**20 + 2**18 * len(gold.ids)


def read_replies(path: Path, gold: Gold) -> dict[str, tuple[str, bool]]:
    """Replies by id, each with whether it was refused, from JSON Lines in one of the forms that `jinbench parse` takes.

    Raises :class:`DataError` (file-missing, file-too-big, file-binary, not-utf8, broken-json, wrong-shape, unknown-id,
    duplicate-id) with every problem of the file and its line number.
    """
    known = set(gold.ids)
    problems: list[Problem] = []
    found: dict[str, tuple[str, bool]] = {}
    first: dict[str, int] = {}
    for number, row in jsonl.stream(path, problems, size_limit(gold), _LONGEST):
        where = f"{files.shown(path)}:{number}"
        id = row.get("id") if "custom_id" not in row else row["custom_id"]
        if not isinstance(id, str) or id not in known:
            hint = "give each reply the id of its prompt"
            expected = f"the id of an item of {gold.task}/{gold.split}"
            problems.append(Problem("unknown-id", location=where, expected=expected, found=shorten(repr(id)), fix=hint))
        elif id in first:
            found_twice, hint = f"{id} also on line {first[id]}", "keep one of the two lines"
            problems.append(
                Problem("duplicate-id", location=where, expected="each id once", found=found_twice, fix=hint)
            )
        elif (said := _said(row)) is None:
            expected = '{"id", "reply"}, {"id", "messages"}, or a line of a batch service'
            hint = "see: jinbench parse --help"
            problems.append(
                Problem(
                    "wrong-shape",
                    location=where,
                    expected=expected,
                    found=shorten(", ".join(sorted(row)), 80),
                    fix=hint,
                )
            )
        else:
            found[id] = said
        if isinstance(id, str):
            first.setdefault(id, number)
    raise_if_any(problems)
    return found


def _said(row: Mapping[str, Any]) -> tuple[str, bool] | None:
    """The text of a reply and whether it was refused; None if the row has none of the forms."""
    if "reply" in row:  # a list or mapping: somebody has read the JSON already
        reply = row["reply"]
        said = json.dumps(reply, ensure_ascii=False) if isinstance(reply, list | dict) else _content(reply)
        return None if said is None else (said, False)
    if isinstance(row.get("messages"), list):
        answers = [m for m in row["messages"] if isinstance(m, dict) and m.get("role") == "assistant"]
        return _message(answers[-1]) if answers else None
    if isinstance(row.get("result"), dict):  # a batch of messages: succeeded, errored, canceled, expired
        return _message(row["result"].get("message")) if row["result"].get("type") == "succeeded" else ("", True)
    if row.get("error") and not row.get("response"):
        return "", True
    try:
        choice = row["response"]["body"]["choices"][0]
    except (KeyError, IndexError, TypeError):
        return ("", True) if _dig(row, "response", "body", "error") else None
    return _message(_dig(choice, "message"), _dig(choice, "finish_reason") == "content_filter")


def _dig(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _message(message: Any, refused: bool = False) -> tuple[str, bool] | None:
    if not isinstance(message, dict):
        return None
    refused = refused or bool(message.get("refusal")) or message.get("stop_reason") == "refusal"
    said = _content(message.get("content"))
    return None if said is None else (said, refused)


def _content(value: Any) -> str | None:
    """A text, or the texts of a list of parts; nothing at all is an empty text."""
    if isinstance(value, list) and all(isinstance(part, dict) and "type" in part for part in value):
        value = "".join(str(part.get("text", "")) for part in value if part["type"] in ("text", "output_text"))
    return "" if value is None else value if isinstance(value, str) else None


def parse_replies(
    gold: Gold, said: Mapping[str, tuple[str, bool]], known: Mapping[str, str]
) -> tuple[dict[str, frozenset[LabelKey]], ParseReport]:
    """Predictions by id, for the items whose reply could be used, and what became of everything.

    `said` is as :func:`read` gives it, `known` as :func:`names`. Of `gold` only ids, texts and names are looked at.
    """
    report = ParseReport(gold.task, gold.split, len(gold.ids), len(said))
    found: dict[str, frozenset[LabelKey]] = {}
    reader = parser.NerParser if gold.task == "ner" else parser.SectorParser
    for id, text in zip(gold.ids, gold.texts, strict=True):
        if id not in said:
            report.leave_out("no-reply", id)
            continue
        reply, refused = said[id]
        if refused:
            report.leave_out("refused", id, reply)
        elif not reply.strip():
            report.leave_out("empty-reply", id)
        elif not (answer := parser.without_thought(reply)).strip():
            report.leave_out("truncated", id, reply)
        elif (predicted := reader(id, text, gold.names, known, report).read(answer)) is not None:
            found[id] = predicted
    report.used = len(found)
    return found, report
