"""Read and write Label Studio exports.

Label Studio accepts almost anything (unknown labels, offsets outside the text), so everything is validated here.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinbench.annotation import markup
from jinbench.annotation.annotators import account_email, account_name
from jinbench.annotation.labels import LabelSet
from jinbench.annotation.validation import LabelValidator
from jinbench.annotation.workspace import Workspace
from jinbench.core import files, schemas
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import raise_if_any, shorten
from jinbench.core.types import Passage, PassageLabels, Suggestion

VERSION = "1.23.2"  # of Label Studio
TEXT, SPANS, SECTORS, REASONS = "text", "entities", "sectors", "reasons"  # names of the tags in the labeling config

Task = dict[str, Any]  # a task with its annotations, and
Region = dict[str, Any]  # one result of an annotation, as Label Studio writes them


def export_path(benchmark: Benchmark, annotator: str) -> Path:
    """Return the path of an annotator's export."""
    return benchmark.exports / f"{annotator}.json"


def read_export(
    path: Path,
    workspace: Workspace,
    annotator: str | None = None,
    required: bool | Collection[str] = False,
    current: bool = False,
) -> list[PassageLabels]:
    """Read the labels in an export, in the order of the passages.

    `annotator` selects those of one account. `required` demands a submitted annotation for every passage (True), or
    for those of these ids. Raises :class:`DataError` with every problem in the file.
    """
    tasks = files.read_json(path, "check the path; jinbench annotate pull writes the exports of a benchmark")
    location, passages = files.display_path(path), workspace.seeds.passages()
    return parse_export(tasks, location, passages, workspace.label_set, annotator, required, current)


def read_annotator_export(
    workspace: Workspace, annotator: str, required: bool | Collection[str] = False
) -> dict[str, PassageLabels]:
    """Read the labels in the export of an annotator, by passage id, see :func:`read_export`."""
    labels = read_export(export_path(workspace.benchmark, annotator), workspace, annotator, required)
    return {entry.passage_id: entry for entry in labels}


def read_labels(path: Path, workspace: Workspace, annotator: str) -> list[PassageLabels]:
    """Read labels to submit in the name of `annotator`: an export (.json) of anybody, or marked-up text (.jsonl)."""
    if path.suffix == ".jsonl":
        return markup.read_markup(path, workspace.seeds.passages(), workspace.label_set, annotator)
    return [replace(entry, annotator=annotator) for entry in read_export(path, workspace)]


def parse_export(
    tasks: object,
    location: str,
    passages: Iterable[Passage],
    label_set: LabelSet,
    annotator: str | None = None,
    required: bool | Collection[str] = False,
    current: bool = False,
) -> list[PassageLabels]:
    """Return the labels in an export that is in memory, see :func:`read_export`."""
    schemas.check_shape(tasks, "export", location)
    assert isinstance(tasks, list)  # by the schema
    reader = ExportReader(location, passages, label_set, annotator)
    if current:
        tasks = [task for task in tasks if reader.is_current(task)]
    labels = {entry.passage_id: entry for entry in map(reader.read, tasks) if entry is not None}
    if reader.others and not reader.annotated:
        found = ", ".join(f"{count} of {shorten(name)}" for name, count in reader.others.most_common(3))
        fix = "write it with: jinbench annotate pull; the page of Label Studio names accounts by number"
        reader.validator.add("foreign-export", "accounts", expected=f"annotations of {annotator}", found=found, fix=fix)
    if required:
        reader.check_complete(labels, reader.passages if required is True else required)
    reader.raise_if_any()
    return [labels[id] for id in reader.passages if id in labels]


class ExportReader:
    """Reads an export task by task; validates every label and collects the problems until `raise_if_any`."""

    def __init__(
        self, location: str, passages: Iterable[Passage], label_set: LabelSet, annotator: str | None = None
    ) -> None:
        self.validator = LabelValidator(location, label_set)
        self.annotator = annotator
        self.passages = {passage.id: passage for passage in passages}
        self.tasks = 0
        self.annotated: set[str] = set()
        self.others: Counter[str] = Counter()  # annotations of other accounts than `annotator`

    def read(self, task: Task) -> PassageLabels | None:
        """Return the labels in a task that has the form of schemas/export.json; None if there are none."""
        self.tasks += 1
        id, text = task["data"].get("passage_id"), task["data"].get("text")
        place = f"task {id or self.tasks}"
        passage = self.passages.get(id) if isinstance(id, str) else None
        if passage is None:
            expected = "the passage_id of a passage in seeds/"
            fix = "export the project that `jinbench annotate push` made from these pages"
            self.validator.add("foreign-export", place, expected=expected, found=repr(id), fix=fix)
            return None
        if text != passage.text:
            expected, found = shorten(passage.text), shorten(str(text))
            fix = "the labels belong to another version of the text: label this passage again"
            self.validator.add("export-text-differs", place, expected=expected, found=found, fix=fix)
            return None
        labels = None
        for annotation in task.get("annotations", ()):
            name = annotator_name(annotation.get("completed_by"))
            if annotation.get("was_cancelled"):
                continue
            if self.annotator is not None and name != self.annotator:
                self.others[name] += 1
                continue
            if id in self.annotated:
                expected, found = "one annotation of each annotator", f"two of {name}"
                fix = "delete one of them in Label Studio and pull again"
                self.validator.add("annotated-twice", place, expected=expected, found=found, fix=fix)
                continue
            self.annotated.add(id)
            labels = self._to_labels(passage, annotation, name, place)
        return labels

    def _to_labels(self, passage: Passage, annotation: Mapping[str, Any], name: str, place: str) -> PassageLabels:
        spans, sectors, regions = [], [], []
        reasons: list[str] = []
        for region in annotation.get("result", ()):
            value = region.get("value", {})
            if region.get("from_name") == SPANS:
                start, end, surface = (value.get(key) for key in ("start", "end", "text"))
                for type in value.get("labels") or [""]:  # a stretch that was selected and given no label
                    span = self.validator.check_span(passage, start, end, type, surface, place)
                    if span is not None:
                        spans.append(span)
                        regions.append(region)
            elif region.get("from_name") == SECTORS:
                sectors += value.get("choices", ())
            elif region.get("from_name") == REASONS:
                texts = value.get("text", ())
                texts = [texts] if isinstance(texts, str) else texts
                reasons += [text for text in texts if not text.rstrip().endswith((":", "\uff1a"))]  # begun: no reason
            else:
                expected, found = f"results of {SPANS!r}, {SECTORS!r} and {REASONS!r}", region.get("from_name")
                fix = "export the project that `jinbench annotate push` made"
                self.validator.add("foreign-export", place, expected=expected, found=f"from_name {found!r}", fix=fix)
        return PassageLabels(
            passage.id,
            name,
            self.validator.check_spans(passage, spans, place),
            self.validator.check_sectors(sectors, place),
            tuple(reasons),
            annotation.get("created_at"),
            annotation.get("lead_time"),
            tuple(regions),
            annotation.get("updated_at"),
        )

    def is_current(self, task: Task) -> bool:
        """Return whether a task has the text of a present passage."""
        passage = self.passages.get(str(task["data"].get("passage_id")))
        return passage is not None and task["data"].get("text") == passage.text

    def check_complete(self, labels: Mapping[str, PassageLabels], required: Collection[str]) -> None:
        """Report `required` passages without an annotation, and labels without a sector where there are sectors."""
        if self.validator.label_set.sectors:
            for id in (id for id, entry in labels.items() if not entry.sectors):
                expected, fix = "at least one sector", "select one in Label Studio and pull again"
                self.validator.add("passage-unlabelled", f"task {id}", expected=expected, found="none", fix=fix)
        for id in set(required) - labels.keys():
            expected = f"an annotation{f' of {self.annotator}' if self.annotator else ''}"
            fix = "submit it in Label Studio and pull again"
            self.validator.add("passage-unlabelled", f"task {id}", expected=expected, found="none", fix=fix)

    def raise_if_any(self) -> None:
        """Raise :class:`DataError` with all problems, by location."""
        raise_if_any(sorted(self.validator.problems, key=lambda problem: problem.location))


def annotator_name(completed_by: object) -> str:
    """Return the name of an account, whichever way an export gives it."""
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email", completed_by.get("id"))
    return account_name(str(completed_by))


def to_regions(labels: PassageLabels) -> list[Region]:
    """Convert labels to Label Studio results. Region ids follow from the offsets: unique, and the same every time."""
    previous = {
        (value["start"], value["end"], tuple(value["labels"])): region
        for region in labels.regions
        if isinstance(value := region.get("value"), dict)
    }
    regions: list[Region] = []
    for span in labels.spans:
        region = dict(previous.get((span.start, span.end, (span.type,)), {}))
        region |= {
            "id": region.get("id", f"{span.start}-{span.end}-{span.type}"),
            "from_name": SPANS,
            "to_name": TEXT,
            "type": "labels",
            "value": {"start": span.start, "end": span.end, "text": span.surface, "labels": [span.type]},
        }
        regions.append(region)
    if labels.sectors:
        value = {"choices": list(labels.sectors)}
        regions.append({"id": SECTORS, "from_name": SECTORS, "to_name": TEXT, "type": "choices", "value": value})
    if labels.reasons:
        value = {"text": list(labels.reasons)}
        regions.append({"id": REASONS, "from_name": REASONS, "to_name": TEXT, "type": "textarea", "value": value})
    return regions


def to_suggested_regions(suggestion: Suggestion) -> list[Region]:
    """Convert a suggestion to Label Studio results, with the probability of each span as its `score`."""
    regions = to_regions(PassageLabels("", "", suggestion.spans, ()))
    return [
        region | {"score": round(probability, 4)}
        for region, probability in zip(regions, suggestion.probabilities, strict=True)
    ]


def to_export(labels: Iterable[PassageLabels], passages: Iterable[Passage], titles: Mapping[str, str]) -> list[Task]:
    """Convert labels to an export that Label Studio can import again, without what changes from server to server.

    In the order of `passages`; no ids of tasks, annotations or users; surfaces taken from the text.
    """
    by_passage: dict[str, list[PassageLabels]] = {}
    for entry in labels:
        by_passage.setdefault(entry.passage_id, []).append(entry)
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
                for entry in by_passage[passage.id]
            ],
        }
        for passage in passages
        if passage.id in by_passage
    ]


def keep_unchanged(labels: Iterable[PassageLabels], previous: Mapping[str, PassageLabels]) -> list[PassageLabels]:
    """Return `labels` with the previous record, by passage id, of those that are the same.

    Importing into another server gives an annotation today's date; what was not changed was made when it was made.
    """
    return [kept if (kept := previous.get(entry.passage_id)) and entry.same_labels(kept) else entry for entry in labels]
