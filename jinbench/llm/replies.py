"""Read reply files of language models, and parse replies into predictions.

A reply that cannot be read gives no prediction, so that its item counts as missing; one that says that there are no
labels gives an empty prediction.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from jinbench.annotation.labels import read_label_set
from jinbench.core import files, jsonl
from jinbench.core.benchmark import Benchmark
from jinbench.core.environment import require_packages
from jinbench.core.errors import ErrorList, shorten
from jinbench.llm.entities import NerParser
from jinbench.llm.envelopes import Reply, read_reply
from jinbench.llm.parser import normalize_name
from jinbench.llm.reasoning import cut_reasoning
from jinbench.llm.report import ParseReport
from jinbench.llm.sectors import SectorParser
from jinbench.scoring.gold import Gold, LabelKey

_ID_KEYS = ("custom_id", "id", "key", "recordId")  # a batch of OpenAI has an id of its own beside custom_id
_MAX_LINE_BYTES = 2**24  # far more than a model's longest reply with its prompt


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
        id = next((row[key] for key in _ID_KEYS if key in row), None)
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
        elif (reply := read_reply(row)) is None:
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
    parser_of_task = NerParser if gold.task == "ner" else SectorParser
    for id, text in zip(gold.ids, gold.texts, strict=True):
        if id not in replies:
            report.leave_out("no-reply", id)
            continue
        reply, parser = replies[id], parser_of_task(id, text, gold.names, aliases, report)
        if reply.refused:
            report.leave_out("refused", id, reply.text)
        elif not reply.text.strip():
            report.leave_out("truncated" if reply.truncated else "empty-reply", id)
        elif (answer := cut_reasoning(reply.text, parser.is_label)) is None or not answer.strip():
            report.leave_out("truncated", id, reply.text)
        elif (labels := parser.parse(answer, reply.truncated)) is not None:
            predictions[id] = labels
    report.used = len(predictions)
    return predictions, report
