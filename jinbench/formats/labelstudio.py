"""Label Studio's JSON, of any project: regions are spans, choices are classes.

Offsets count code points.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeGuard

from jinbench.annotation.exports import SECTORS, SPANS, TEXT
from jinbench.core import files
from jinbench.core.errors import DataError, shorten
from jinbench.core.spans import RawSpan
from jinbench.formats.base import (
    ConversionLog,
    Document,
    Row,
    read_id_and_group,
    validate_spans,
    validate_text,
)
from jinbench.formats.jsonl import convert_offsets, to_id_fields

_REGIONS = ("labels", "hypertextlabels")  # the types of regions that are spans
_LOST = {"relation": "relations", "textarea": "regions"}
_EXPORT_FIX = "export the project as JSON"


def is_row(row: object) -> TypeGuard[Row]:
    if not isinstance(row, dict):
        return False
    minimal = any(isinstance(value, list) and value and _is_minimal(value[0]) for value in row.values())
    return (isinstance(row.get("data"), dict) and ("annotations" in row or "predictions" in row)) or minimal


def _is_minimal(entry: object) -> bool:
    return isinstance(entry, dict) and {"start", "end"} <= entry.keys() and "labels" in entry


def read(path: Path, log: ConversionLog, group: str | None = None, offsets: str | None = None,
         **_: object) -> Iterator[Document]:  # fmt: skip
    """Read the tasks of an export, JSON or JSON_MIN.

    Each has its first annotation that was not cancelled.
    """
    try:
        tasks = files.read_json(path)
    except DataError as error:
        log.add(*error.problems)
        return
    file_location = files.display_path(path)
    if not isinstance(tasks, list):
        log.log_problem("wrong-shape", file_location, expected="a list of tasks", found=shorten(tasks), fix=_EXPORT_FIX)
        return
    for number, task in enumerate(tasks):
        location = f"{file_location} task {task['id'] if isinstance(task, dict) and 'id' in task else number}"
        if not is_row(task):
            log.log_problem("wrong-shape", location, expected='"data" and "annotations"', found=shorten(task),
                            fix="export the project as JSON, not as another format")  # fmt: skip
            continue
        minimal = not isinstance(task.get("data"), dict)
        data = task if minimal else task["data"]
        results = _minimal_results(task) if minimal else _read_results(task, location, log)
        if results is None:
            log.log_loss("unlabelled", location, "no annotation that was submitted")
            continue
        text = validate_text(_labelled_text(data, results), location, log)
        if text is None:
            continue
        raw_spans: list[RawSpan] = []
        classes: list[str] = []
        for result in results:
            type, value = result.get("type"), result.get("value")
            value = value if isinstance(value, Mapping) else {}
            names = value.get(str(type))
            if type in _REGIONS and isinstance(names, list):
                start, end = value.get("start"), value.get("end")
                if type == "hypertextlabels":
                    offset = value.get("globalOffsets")
                    offset = offset if isinstance(offset, dict) else {}
                    start, end = offset.get("start", start), offset.get("end", end)
                surface = _comparable_surface(value.get("text"), text, start, end)
                raw_spans += [(start, end, name, surface) for name in names]
            elif type == "choices" and isinstance(names, list):
                classes += [str(name) for name in names]
            else:
                log.log_loss(_LOST.get(str(type), "regions"), location, shorten(type))
        id, group_id = read_id_and_group({"id": task.get("id")} | data, group, location, log)
        spans = validate_spans(text, raw_spans, location, log, offsets or "code-points")
        yield Document(text, spans, tuple(dict.fromkeys(filter(str.strip, classes))), id, group_id, location=location)


def _read_results(task: Row, location: str, log: ConversionLog) -> list[Row] | None:
    """Return the results of the first annotation that was not cancelled, or None."""
    annotations = task.get("annotations")
    annotations = annotations if isinstance(annotations, list) else []
    submitted = [entry for entry in annotations if isinstance(entry, dict) and not entry.get("was_cancelled")]
    if not submitted:
        return None
    if len(submitted) > 1:
        log.log_loss("annotations", location, f"{len(submitted)} annotations", len(submitted) - 1)
    results = submitted[0].get("result")
    valid = [result for result in results if isinstance(result, dict)] if isinstance(results, list) else []
    if not isinstance(results, list) or len(valid) < len(results):
        log.log_problem(
            "wrong-shape", location, expected='"result": a list of regions', found=shorten(results), fix=_EXPORT_FIX
        )
    return valid


def _minimal_results(task: Row) -> list[Row]:
    """Return the results of a JSON_MIN task in the form of JSON."""
    results: list[Row] = []
    for value in task.values():
        if isinstance(value, list):
            results += [{"type": "labels", "value": entry} for entry in value if _is_minimal(entry)]
        elif isinstance(value, dict) and isinstance(value.get("choices"), list):
            results.append({"type": "choices", "value": value})
    return results


def _labelled_text(data: Row, results: Iterable[Row]) -> str | None:
    """Return the text that a control names, or the field "text", or the longest."""
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    named = [str(result.get("to_name")) for result in results if str(result.get("to_name")) in texts]
    key = next(iter(named), TEXT if TEXT in texts else max(texts, key=lambda key: len(texts[key]), default=None))
    return None if key is None else texts[key]


def _comparable_surface(surface: object, text: str, start: object, end: object) -> str | None:
    """Return the surface of a region, or None if it cannot be compared with the text.

    Over a line break Label Studio writes a backslash and an n.
    """
    if not isinstance(surface, str) or not isinstance(start, int) or not isinstance(end, int):
        return None
    text_surface = text[start:end]
    return None if "\n" in text_surface or "\r" in text_surface else surface


def write(
    documents: Iterable[Document], log: ConversionLog, offsets: str | None = None, **_: object
) -> Iterator[bytes]:
    """Yield tasks to import, with controls named as in `jinbench labels config`."""
    separator = b"[\n"
    for document in documents:
        data: Row = {TEXT: document.text} | to_id_fields(document)
        values = []
        for span in document.spans:
            start, end = convert_offsets(document.text, span.start, span.end, offsets)
            values.append((SPANS, "labels", {"start": start, "end": end, "text": span.surface, "labels": [span.type]}))
        if document.classes:
            values.append((SECTORS, "choices", {"choices": list(document.classes)}))
        results = [
            {"id": f"s{i}", "from_name": control, "to_name": TEXT, "type": type, "value": value}
            for i, (control, type, value) in enumerate(values)
        ]
        task = {"data": data, "annotations": [{"result": results, "ground_truth": False}]}
        yield separator + json.dumps(task, ensure_ascii=False).encode()
        separator = b",\n"
    yield b"[]\n" if separator == b"[\n" else b"\n]\n"
