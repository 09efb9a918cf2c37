"""Label Studio's JSON, of any project: labelled regions are spans, choices are classes. Offsets count code points."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jinbench.annotation.exports import SECTORS, SPANS, TEXT
from jinbench.core import files
from jinbench.core.errors import DataError, shorten
from jinbench.formats.base import ConversionLog, Document, identified, spans_in, text_of
from jinbench.formats.jsonl import GROUP, counted

_REGIONS = ("labels", "hypertextlabels")  # the types of regions that are spans
_LOST = {"relation": "relations", "textarea": "regions"}


def is_row(row: Any) -> bool:
    if not isinstance(row, dict):
        return False
    minimal = any(isinstance(value, list) and value and _is_minimal(value[0]) for value in row.values())
    return (isinstance(row.get("data"), dict) and ("annotations" in row or "predictions" in row)) or minimal


def _is_minimal(entry: Any) -> bool:
    return isinstance(entry, dict) and {"start", "end"} <= entry.keys() and "labels" in entry


def read(path: Path, notes: ConversionLog, group: str | None = None, offsets: str | None = None,
         **_: object) -> Iterator[Document]:  # fmt: skip
    """The tasks of an export (JSON or JSON_MIN), each with its first annotation that was not cancelled."""
    try:
        tasks = files.read_json(path)
    except DataError as error:
        for problem in error.problems:
            notes.add(problem)
        return
    shown = files.shown(path)
    if not isinstance(tasks, list):
        expected, hint = "a list of tasks", "export the project as JSON"
        notes.problem("wrong-shape", shown, expected, shorten(tasks), hint)
        return
    for number, task in enumerate(tasks):
        place = f"{shown} task {task['id'] if isinstance(task, dict) and 'id' in task else number}"
        if not is_row(task):
            expected, hint = '"data" and "annotations"', "export the project as JSON, not as another format"
            notes.problem("wrong-shape", place, expected, shorten(task), hint)
            continue
        minimal = not isinstance(task.get("data"), dict)
        data = task if minimal else task["data"]
        results = _minimal(task) if minimal else _results(task, place, notes)
        if results is None:
            notes.log_loss("unlabelled", place, "no annotation that was submitted")
            continue
        text = text_of(_text(data, results), place, notes)
        if text is None:
            continue
        spans, classes = [], []
        for result in results:
            kind, value = result.get("type"), result.get("value")
            value = value if isinstance(value, Mapping) else {}
            names = value.get(str(kind))
            if kind in _REGIONS and isinstance(names, list):
                surface = value.get("text")
                start, end = value.get("start"), value.get("end")
                if kind == "hypertextlabels":
                    offset = value.get("globalOffsets")
                    offset = offset if isinstance(offset, dict) else {}
                    start, end = offset.get("start", start), offset.get("end", end)
                spans += [(start, end, name, _surface(surface, text, start, end)) for name in names]
            elif kind == "choices" and isinstance(names, list):
                classes += [str(name) for name in names]
            else:
                notes.log_loss(_LOST.get(str(kind), "regions"), place, shorten(kind))
        id, of = identified({"id": task.get("id")} | data, group, place, notes)
        found = spans_in(text, spans, place, notes, offsets or "code-points")
        yield Document(text, found, tuple(dict.fromkeys(filter(str.strip, classes))), id, of, place=place)


def _results(task: Mapping[str, Any], place: str, notes: ConversionLog) -> list[dict[str, Any]] | None:
    """What the annotation says that is taken; None if there is none."""
    listed = task.get("annotations")
    listed = listed if isinstance(listed, list) else []
    found = [entry for entry in listed if isinstance(entry, dict) and not entry.get("was_cancelled")]
    if not found:
        return None
    if len(found) > 1:
        notes.log_loss("annotations", place, f"{len(found)} annotations", len(found) - 1)
    results = found[0].get("result")
    if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
        expected, hint = '"result": a list of regions', "export the project as JSON"
        notes.problem("wrong-shape", place, expected, shorten(results), hint)
        results = [result for result in results if isinstance(result, dict)] if isinstance(results, list) else []
    return results


def _minimal(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The results of a task as JSON_MIN has them, in the form of the others."""
    found = []
    for value in task.values():
        if isinstance(value, list):
            found += [{"type": "labels", "value": each} for each in value if _is_minimal(each)]
        elif isinstance(value, dict) and isinstance(value.get("choices"), list):
            found.append({"type": "choices", "value": value})
    return found


def _text(data: Mapping[str, Any], results: Iterable[Mapping[str, Any]]) -> Any:
    """The field of a task that was labelled: the one that a control names, or the only text, or the longest."""
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    named = [str(result.get("to_name")) for result in results if str(result.get("to_name")) in texts]
    key = next(iter(named), TEXT if TEXT in texts else max(texts, key=lambda key: len(texts[key]), default=None))
    return None if key is None else texts[key]


def _surface(surface: Any, text: str, start: Any, end: Any) -> Any:
    """The surface of a region, or None where it is none that can be held against the text: over a line break Label
    Studio writes a backslash and an n.
    """
    if not isinstance(surface, str) or not isinstance(start, int) or not isinstance(end, int):
        return None
    stands = text[start:end]
    return None if "\n" in stands or "\r" in stands else surface


def write(found: Iterable[Document], notes: ConversionLog, offsets: str | None = None, **_: object) -> Iterator[bytes]:
    """Tasks to import, each with one annotation. The names of the controls are those of `jinbench labels config`."""
    separator = b"[\n"
    for document in found:
        data = {TEXT: document.text}
        data |= {} if document.id is None else {"id": document.id}
        data |= {} if document.group is None else {GROUP: document.group}
        results: list[dict[str, Any]] = []
        for span in document.spans:
            start, end = counted(document.text, span.start, span.end, offsets)
            value = {"start": start, "end": end, "text": span.surface, "labels": [span.type]}
            results.append({"id": f"s{len(results)}", "from_name": SPANS, "to_name": TEXT, "type": "labels",
                            "value": value})  # fmt: skip
        if document.classes:
            value = {"choices": list(document.classes)}
            results.append({"id": f"s{len(results)}", "from_name": SECTORS, "to_name": TEXT, "type": "choices",
                            "value": value})  # fmt: skip
        task = {"data": data, "annotations": [{"result": results, "ground_truth": False}]}
        yield separator + json.dumps(task, ensure_ascii=False).encode()
        separator = b",\n"
    yield b"[]\n" if separator == b"[\n" else b"\n]\n"
