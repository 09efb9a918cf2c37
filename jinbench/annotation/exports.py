"""Label Studio exports: reading them with every label checked, and writing them in one fixed form.

Label Studio itself accepts almost anything (unknown labels, offsets outside the text), so everything is checked here.
"""

import contextlib
import io
import tempfile
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from jinbench.annotation import markup
from jinbench.annotation.annotators import account_email, account_name
from jinbench.annotation.labels import LabelSet
from jinbench.annotation.validation import LabelValidator
from jinbench.core import files, schemas
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import raise_if_any, shorten
from jinbench.core.types import Passage, PassageLabels, Suggestion
from jinbench.seeds.articles import Seeds


def export_path(benchmark: Benchmark, annotator: str) -> Path:
    return benchmark.exports / f"{annotator}.json"


def read_export(
    path: Path,
    passages: Iterable[Passage],
    label_set: LabelSet,
    annotator: str | None = None,
    whole: bool | Collection[str] = False,
) -> list[PassageLabels]:
    """The labels in an export, in the order of `passages`.

    `annotator` keeps those of one account; `whole` demands a submitted annotation for every passage, or for those
    whose ids it has.
    Raises :class:`DataError` with every problem in the file.
    """
    tasks = files.read_json(path, "check the path; jinbench annotate pull writes the exports of a benchmark")
    return parse_export(tasks, files.display_path(path), passages, label_set, annotator, whole)


def parse_export(
    tasks: Any,
    where: str,
    passages: Iterable[Passage],
    label_set: LabelSet,
    annotator: str | None = None,
    whole: bool | Collection[str] = False,
) -> list[PassageLabels]:
    """As :func:`read`, for an export that is already in memory."""
    if not (isinstance(tasks, list) and all(map(_has_export_form, tasks))):
        schemas.check_shape(tasks, "export", where)
    reader = ExportReader(where, passages, label_set, annotator)
    found = {entry.passage_id: entry for entry in map(reader.read, tasks) if entry is not None}
    if whole:
        reader.lacking(found, reader.passages if whole is True else whole)
    reader.end()
    return [found[id] for id in reader.passages if id in found]


class ExportReader:
    """Reads an export one task at a time, every label checked. What is wrong is collected until `end`."""

    def __init__(
        self, where: str, passages: Iterable[Passage], label_set: LabelSet, annotator: str | None = None
    ) -> None:
        self.checker = LabelValidator(where, label_set)
        self.annotator = annotator
        self.passages = {passage.id: passage for passage in passages}
        self.number = 0
        self.seen: set[str] = set()

    def read(self, task: Any) -> PassageLabels | None:
        """The labels in a task; None if there are none. Raises :class:`DataError` (wrong-shape)."""
        self.number += 1
        if not _has_export_form(task):
            schemas.check_shape([task], "export", f"{self.checker.where} task {self.number}")
        id = task["data"].get("passage_id")
        place = f"task {id or self.number}"
        passage = self.passages.get(id) if isinstance(id, str) else None
        if passage is None:
            self.checker.problem(
                "foreign-export",
                place,
                "the passage_id of a passage in seeds/",
                repr(id),
                "export the project that `jinbench annotate push` made from these pages",
            )
            return None
        if task["data"].get("text") != passage.text:
            self.checker.problem(
                "export-text-differs",
                place,
                shorten(passage.text),
                shorten(str(task["data"].get("text"))),
                "the labels belong to another version of the text: label this passage again",
            )
            return None
        found = None
        for annotation in task.get("annotations", ()):
            by = annotator_name(annotation.get("completed_by"))
            if annotation.get("was_cancelled") or (self.annotator is not None and by != self.annotator):
                continue
            if id in self.seen:
                self.checker.problem(
                    "annotated-twice",
                    place,
                    "one annotation of each annotator",
                    f"two of {by}",
                    "delete one of them in Label Studio and pull again",
                )
                continue
            self.seen.add(id)
            found = _labels(self.checker, passage, annotation, by, place)
        return found

    def fits(self, task: Any) -> bool:
        """Whether the text of a task is that of a present passage. What has no form fits: `read` refuses it."""
        data = task.get("data") if isinstance(task, dict) else None
        passage = self.passages.get(str(data.get("passage_id"))) if isinstance(data, dict) else None
        return not isinstance(data, dict) or (passage is not None and data.get("text") == passage.text)

    def lacking(self, found: Mapping[str, PassageLabels], wanted: Collection[str]) -> None:
        """Report which of the `wanted` have no annotation, and labels without a sector where there are sectors."""
        if self.checker.label_set.sectors:
            for id in (id for id, entry in found.items() if not entry.sectors):
                hint = "tick one in Label Studio and pull again"
                self.checker.problem("passage-unlabelled", f"task {id}", "at least one sector", "none", hint)
        for id in set(wanted) - found.keys():
            self.checker.problem(
                "passage-unlabelled",
                f"task {id}",
                f"an annotation{f' of {self.annotator}' if self.annotator else ''}",
                "none",
                "submit it in Label Studio and pull again",
            )

    def end(self) -> None:
        """Raises :class:`DataError` with everything that was wrong."""
        raise_if_any(sorted(self.checker.problems, key=lambda problem: problem.location))


def _has_export_form(task: Any) -> bool:
    """Whether a task plainly has the form of schemas/export.json, which can say what is wrong, but takes longer."""
    try:
        annotations = task.get("annotations", [])
        return (
            type(task["data"]) is dict
            and type(annotations) is list
            and all(
                type(each["completed_by"]) in (str, int, dict)
                and type(each.get("was_cancelled", False)) is bool
                and type(each.get("created_at")) in (str, type(None))
                and type(each.get("updated_at")) in (str, type(None))
                and type(each.get("lead_time")) in (int, float, type(None))
                and type(each["result"]) is list
                and all(map(_has_region_form, each["result"]))
                for each in annotations
            )
        )
    except (AttributeError, KeyError, TypeError):
        return False


def _has_region_form(region: Any) -> bool:
    value = region["value"]
    text = value.get("text", "")
    lists = value.get("labels", []), value.get("choices", []), [text] if type(text) is str else text
    return (
        type(region["from_name"]) is str
        and type(region.get("id", "")) is str
        and type(value) is dict
        and all(type(each) is list and all(type(name) is str for name in each) for each in lists)
    )


def annotator_name(completed_by: Any) -> str:
    """The name of an account, however an export gives it."""
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email", completed_by.get("id"))
    return account_name(str(completed_by))


def _labels(
    checker: LabelValidator, passage: Passage, annotation: dict[str, Any], by: str, place: str
) -> PassageLabels:
    spans, sectors, regions = [], [], []
    reasons: list[str] = []
    for region in annotation.get("result", ()):
        value = region.get("value", {})
        if region.get("from_name") == SPANS:
            for type in value.get("labels") or [""]:  # a stretch that was selected and given no label
                surface = (
                    str(value["text"]).replace("\\n", "\n") if "text" in value else None
                )  # its spelling of a line break
                span = checker.span(passage, value.get("start"), value.get("end"), type, surface, place)
                if span is not None:
                    spans.append(span)
                    regions.append(region)
        elif region.get("from_name") == SECTORS:
            sectors += value.get("choices", ())
        elif region.get("from_name") == REASONS:
            text = value.get("text", ())
            reasons += [text] if isinstance(text, str) else text
        else:
            checker.problem(
                "foreign-export",
                place,
                f"results of {SPANS!r}, {SECTORS!r} and {REASONS!r}",
                f"from_name {region.get('from_name')!r}",
                "export the project that `jinbench annotate push` made",
            )
    return PassageLabels(
        passage.id,
        by,
        checker.spans(passage, spans, place),
        checker.sectors(sectors, place),
        tuple(reasons),
        annotation.get("created_at"),
        annotation.get("lead_time"),
        tuple(regions),
        annotation.get("updated_at"),
    )


def to_regions(labelled: PassageLabels) -> list[dict[str, Any]]:
    """Labels as Label Studio results. Region ids follow from the offsets: unique, and the same every time."""
    known = {
        (value["start"], value["end"], tuple(value["labels"])): region
        for region in labelled.regions
        if isinstance(value := region.get("value"), dict)
    }
    results: list[dict[str, Any]] = []
    for span in labelled.spans:
        region = dict(known.get((span.start, span.end, (span.type,)), {}))
        region |= {
            "id": region.get("id", f"{span.start}-{span.end}-{span.type}"),
            "from_name": SPANS,
            "to_name": TEXT,
            "type": "labels",
            "value": {"start": span.start, "end": span.end, "text": span.surface, "labels": [span.type]},
        }
        results.append(region)
    if labelled.sectors:
        results.append(
            {
                "id": SECTORS,
                "from_name": SECTORS,
                "to_name": TEXT,
                "type": "choices",
                "value": {"choices": list(labelled.sectors)},
            }
        )
    if labelled.reasons:
        results.append(
            {
                "id": REASONS,
                "from_name": REASONS,
                "to_name": TEXT,
                "type": "textarea",
                "value": {"text": list(labelled.reasons)},
            }
        )
    return results


def to_suggested_regions(suggestion: Suggestion) -> list[dict[str, Any]]:
    """What a model suggests as Label Studio results, each with how likely it is held to be right as its `score`."""
    return [
        region | {"score": round(chance, 4)}
        for region, chance in zip(to_regions(PassageLabels("", "", suggestion.spans, ())), suggestion.probabilities, strict=True)
    ]


def to_export(
    labelled: Iterable[PassageLabels], passages: Iterable[Passage], titles: Mapping[str, str]
) -> list[dict[str, Any]]:
    """An export that Label Studio can import again, without what changes from server to server.

    In the order of `passages`; no ids of tasks, annotations or users; surfaces taken from the text.
    """
    of: dict[str, list[PassageLabels]] = {}
    for entry in labelled:
        of.setdefault(entry.passage_id, []).append(entry)
    return [
        {
            "data": {
                "passage_id": passage.id,
                "article_id": passage.article_id,
                "title": titles[passage.article_id],
                "text": passage.text,
            },
            "annotations": [
                {
                    "completed_by": account_email(entry.annotator),
                    "created_at": entry.created_at,
                    "lead_time": entry.lead_time,
                    "ground_truth": False,
                    "was_cancelled": False,
                    "result": to_regions(entry),
                    **({"updated_at": entry.updated_at} if entry.updated_at else {}),
                }
                for entry in of[passage.id]
            ],
        }
        for passage in passages
        if passage.id in of
    ]


class ExportSpool:
    """An export that is put together on disk: labels come in any order and go out in that of the passages.

    What says the same as was there before keeps its old record, with its times: importing an annotation into another
    server gives it today's date, and what was not changed was made when it was made. In memory are a few words a task.
    """

    def __init__(self, titles: Mapping[str, str]) -> None:
        self.titles = titles
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 (closed on the way out)
        self.before: dict[str, _Record] = {}
        self.found: dict[str, _Record] = {}
        self.changed = 0

    def keep(self, entry: PassageLabels, passage: Passage) -> None:
        """Take a record that the export had before."""
        self.before[entry.passage_id] = self._written(entry, passage)

    def add(self, entry: PassageLabels, passage: Passage) -> None:
        """Take labels as they are now."""
        before = self.before.get(entry.passage_id)
        if before is not None and before.says == _labels_digest(entry):
            self.found[entry.passage_id] = before
        else:
            self.found[entry.passage_id] = self._written(entry, passage)
            self.changed += 1

    def forget(self) -> None:
        """Begin again with what was there before."""
        self.found, self.changed = {}, 0

    def lost(self) -> set[str]:
        """The passages that have no labels any more."""
        return self.before.keys() - self.found.keys()

    def write(self, path: Path, passages: Iterable[Passage]) -> None:
        """Write the export, whole or not at all, byte for byte as `files.dump_json` of :func:`canonical`."""
        files.write_chunks(path, self._pieces([passage.id for passage in passages if passage.id in self.found]))

    def _pieces(self, ids: Sequence[str]) -> Iterator[bytes]:
        for number, id in enumerate(ids):
            self.file.seek(self.found[id].start)
            yield (b",\n" if number else b"[\n") + self.file.read(self.found[id].length)
        yield b"\n]\n" if ids else b"[]\n"

    def _written(self, entry: PassageLabels, passage: Passage) -> "_Place":
        (record,) = to_export([entry], [passage], self.titles)
        text = textwrap.indent(files.dump_json(record).rstrip("\n"), " ").encode()
        start = self.file.seek(0, io.SEEK_END)
        self.file.write(text)
        return _Record(start, len(text), _labels_digest(entry))

    def __enter__(self) -> "ExportSpool":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # what could not be written for want of room is not wanted any more
            self.file.close()


class _Record(NamedTuple):
    start: int
    length: int
    says: str


def _labels_digest(entry: PassageLabels) -> str:
    return files.sha256(repr((entry.spans, entry.sectors, entry.reasons)).encode())


# The names by which an export refers to the parts of the page.
TEXT, SPANS, SECTORS, REASONS = "text", "entities", "sectors", "reasons"


def read_labels(path: Path, seeds: Seeds, label_set: LabelSet, annotator: str) -> list[PassageLabels]:
    """Labels to enter in the name of `annotator`: an export (.json) of anybody, or marked-up text (.jsonl)."""
    if path.suffix == ".jsonl":
        return markup.read_markup(path, seeds.passages(), label_set, annotator)
    found = read_export(path, seeds.passages(), label_set)
    return [replace(entry, annotator=annotator) for entry in found]


VERSION = "1.23.2"
