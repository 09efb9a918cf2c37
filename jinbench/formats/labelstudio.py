"""Label Studio's JSON, of any project: regions are spans, choices are classes.

Offsets count code points.
"""

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from jinbench.annotation.exports import SECTORS, SPANS, TEXT
from jinbench.core import files
from jinbench.core.errors import DataError, fail, shorten
from jinbench.core.spans import RawSpan, displays_as, to_integer
from jinbench.formats.base import (
    ConversionLog,
    Document,
    Row,
    read_classes,
    read_id_and_group,
    validate_spans,
    validate_text,
)
from jinbench.formats.jsonl import convert_offsets, to_id_fields

_REGIONS = ("labels", "hypertextlabels")  # the types of regions that are spans
# What the server and its page note for themselves, which a remark says is left behind.
_OF_SERVER = frozenset([
    "annotation_id", "annotator", "bulk_created", "cancelled_annotations", "comment_authors", "comment_count",
    "completed_by", "created_at", "created_username", "draft_created_at", "file_upload", "import_id", "inner_id",
    "last_action", "last_comment_updated_at", "last_created_by", "lead_time", "parent_annotation", "parent_prediction",
    "project", "result_count", "task", "total_annotations", "total_predictions", "unique_id",
    "unresolved_comment_count", "updated_at", "updated_by",
])  # fmt: skip
_READ = _OF_SERVER | {"id"}
_READ_OF_REGION = {"id", "from_name", "to_name", "type", "value", "origin", "readonly", "hidden", "locked",
                   "image_rotation", "original_width", "original_height"}  # fmt: skip
_READ_OF_VALUE = {"start", "end", "text", "startOffset", "endOffset", "globalOffsets"}
_IS_NOTE = re.compile(r".{40}|[\n。！？!?]|\.(\s|$)|://")  # of a string that is no name of a class
_EXPORT_FIX = "export the project as JSON"


def is_row(row: object) -> TypeGuard[Row]:
    if not isinstance(row, dict):
        return False
    minimal = "annotation_id" in row or any(
        isinstance(value, list) and value and _is_minimal_span(value[0]) for value in row.values()
    )
    return (isinstance(row.get("data"), dict) and ("annotations" in row or "predictions" in row)) or minimal


def _is_minimal_span(entry: object) -> TypeGuard[Row]:
    return isinstance(entry, dict) and {"start", "end"} <= entry.keys() and any(type in entry for type in _REGIONS)


def read(path: Path, log: ConversionLog, group: str | None = None, offsets: str | None = None, crlf: str | None = None,
         text: str | None = None, **_: object) -> Iterator[Document]:  # fmt: skip
    """Read the tasks of an export, JSON or JSON_MIN, each with its first annotation that was not cancelled.

    `text` names the field with the text; see :func:`_find_text_field`.
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
    labelled: list[tuple[str, Row, list[Row]]] = []  # location, task, results
    for number, task in enumerate(_expand_minimal(tasks, text or TEXT, file_location, log)):
        location = f"{file_location} task {task['id'] if isinstance(task, dict) and 'id' in task else number}"
        if not is_row(task):
            log.log_problem("wrong-shape", location, expected='"data" and "annotations"', found=shorten(task),
                            fix="export the project as JSON, not as another format")  # fmt: skip
        elif (results := _read_results(task, location, log)) is None:
            log.log_loss("unlabelled", location, "no annotation that was submitted")
        else:
            log.log_fields(task, _READ | {"data", "annotations"}, location)
            labelled.append((location, task, results))
    field = _find_text_field([(task["data"], results) for _, task, results in labelled], text, file_location)
    for location, task, results in labelled:
        data = task["data"]
        value = validate_text(data.get(field), location, log)
        if value is None:
            continue
        raw_spans, classes = _read_labels(results, location, log)
        id, group_id = read_id_and_group({"id": task.get("id")} | data, group, location, log)
        log.log_fields(data, {field, "id", group}, location)
        spans = validate_spans(value, raw_spans, location, log, offsets, crlf)
        yield Document(value, spans, read_classes(classes, location, log), id, group_id, location=location)


def _expand_minimal(tasks: Sequence[Any], text_field: str, location: str, log: ConversionLog) -> list[Any]:
    """Return the tasks of JSON_MIN, which has each once for each annotator, in the form of JSON; others as they are.

    A single choice is a string there, and so is a note, and the data of a task. The fields of controls stand behind
    the id: of these, those are classes that have choices elsewhere in the file, or nothing but a few short strings.
    """
    are_minimal = [is_row(task) and not isinstance(task.get("data"), dict) for task in tasks]
    values: dict[str, list[object]] = {}
    for task in itertools.compress(tasks, are_minimal):
        names = list(task)
        for name in names[names.index("id") + 1 if "id" in names else len(names) :]:
            if name not in _READ and name != text_field:
                values.setdefault(name, []).append(task[name])
    class_fields = {name for name, of_name in values.items() if _are_classes(of_name)}
    for name in sorted(class_fields):
        log.log_remark(f"the strings of its field {name!r} were taken for classes", location)
    expanded: dict[object, Any] = {}
    for number, (task, is_minimal) in enumerate(zip(tasks, are_minimal, strict=True)):
        if not is_minimal:
            expanded[number] = task
            continue
        results, data, annotation = list[Row](), dict[str, object](), dict[str, object]()
        for name, value in task.items():
            if isinstance(value, list) and value and all(map(_is_minimal_span, value)):
                results += [{"type": next(type for type in _REGIONS if type in v), "value": v} for v in value]
            elif _has_choices(value) or (name in class_fields and isinstance(value, str)):
                value = {"choices": [value]} if isinstance(value, str) else value
                results.append({"type": "choices", "value": value})
            else:
                (annotation if name in _OF_SERVER else data)[name] = value
        key = str(task.get("id", number))
        id = {"id": task["id"]} if "id" in task else {}
        expanded.setdefault(key, {**id, "data": data, "annotations": []})
        expanded[key]["annotations"].append(annotation | {"result": results})
    return list(expanded.values())


def _has_choices(value: object) -> bool:
    return isinstance(value, dict) and "start" not in value and isinstance(value.get("choices"), list)


def _are_classes(values: Sequence[object]) -> bool:
    strings = [value for value in values if isinstance(value, str)]
    are_names = len(set(strings)) <= max(3, len(values) // 2) and not any(map(_IS_NOTE.search, strings))
    return bool(strings) and (any(map(_has_choices, values)) or (are_names and len(strings) == len(values)))


def _read_results(task: Row, location: str, log: ConversionLog) -> list[Row] | None:
    """Return the results of the first annotation that was not cancelled, or None."""
    annotations = task.get("annotations")
    annotations = annotations if isinstance(annotations, list) else []
    entries = [entry for entry in annotations if isinstance(entry, dict)]
    submitted = [entry for entry in entries if not entry.get("was_cancelled")]
    if not submitted:
        return None
    others = len(submitted) - 1 + sum(bool(entry.get("was_cancelled") and entry.get("result")) for entry in entries)
    if others:
        log.log_loss("annotations", location, f"{others + 1} annotations", others)
    if _OF_SERVER & (task.keys() | submitted[0].keys()):
        log.log_remark("dates, accounts, counts and ids that the server notes for itself are left behind", location)
    log.log_fields(submitted[0], _READ | {"result", "was_cancelled"}, location, "annotation ")
    results = submitted[0].get("result")
    valid = [result for result in results if isinstance(result, dict)] if isinstance(results, list) else []
    if not isinstance(results, list) or len(valid) < len(results):
        log.log_problem("wrong-shape", location, expected='"result": a list of regions', found=shorten(results),
                        fix=_EXPORT_FIX)  # fmt: skip
    return valid


def _read_labels(results: Sequence[Row], location: str, log: ConversionLog) -> tuple[list[RawSpan], list[object]]:
    """Return spans and classes; log what is neither."""
    raw_spans: list[RawSpan] = []
    classes: list[object] = []
    regions = {str(result["id"]) for result in results if result.get("type") in _REGIONS and "id" in result}
    for result in results:
        type, value = str(result.get("type")), _value(result)
        names = value.get(type)
        if type in _REGIONS and isinstance(names, list):
            if not names:
                log.log_loss("empty-types", location, f"[{shorten(value.get('start'))}, {shorten(value.get('end'))})")
            raw_spans += [(*_offsets(result), name, value.get("text")) for name in names]
        elif "start" in value or str(result.get("id")) in regions:
            log.log_loss("attributes", location, f"{type} of a region: {shorten(value, 60)}")
            continue
        elif type == "choices" and isinstance(names, list):
            classes += names
        else:
            log.log_loss("relations" if type == "relation" else "regions", location, f"{type} {shorten(value, 60)}")
            continue
        log.log_fields(result, _READ_OF_REGION, location, "region ")
        log.log_fields(value, _READ_OF_VALUE | {type}, location, "region ")
    return raw_spans, classes


def _value(result: Row) -> Row:
    value = result.get("value")
    return value if isinstance(value, dict) else {}


def _offsets(result: Row) -> tuple[object, object]:
    value = _value(result)
    inside = value.get("globalOffsets") if result.get("type") == "hypertextlabels" else None
    inside = inside if isinstance(inside, dict) else {}
    return inside.get("start", value.get("start")), inside.get("end", value.get("end"))


def _find_text_field(labelled: Sequence[tuple[Row, Sequence[Row]]], named: str | None, location: str) -> str:
    """Return the field that has the text in all tasks.

    It is the one that is named, or that has most of the surfaces at their offsets; of several that have as many, the
    one that a control names, or "text", or the only one. Raise :class:`DataError` (wrong-shape) if it is undecided.
    """
    if named:
        return named
    surfaces = {name: 0 for data, _ in labelled for name, value in data.items()
                if isinstance(value, str) and name not in _READ}  # fmt: skip
    controls = {str(result.get("to_name")) for _, results in labelled for result in results}
    for data, results in labelled:
        for result in results:
            start, end, surface = *map(to_integer, _offsets(result)), _value(result).get("text")
            for name in surfaces if surface and start is not None and end is not None else ():
                value = data.get(name)
                surfaces[name] += isinstance(value, str) and displays_as(value[start:end], surface)
    best = [name for name, count in surfaces.items() if count == max(surfaces.values())]
    best = [name for name in best if name in controls] or [name for name in best if name == TEXT] or best
    if len(best) > 1:
        fail("wrong-shape", location, expected="one field that has the text of the tasks", found=", ".join(best),
             fix="name it: --text FIELD")  # fmt: skip
    return best[0] if best else TEXT


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
