"""Label Studio exports: reading them with every label checked, and writing them in one fixed form.

Label Studio itself accepts almost anything (unknown labels, offsets outside the text), so everything is checked here.
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from jinbench import annotators, files, labels
from jinbench.checking import Checker
from jinbench.labels import LabelSet
from jinbench.problems import raise_if_any, shorten
from jinbench.records import Labels, Passage, Suggestion
from jinbench.rooms import Rooms


def path_of(rooms: Rooms, annotator: str) -> Path:
    return rooms.exports / f"{annotator}.json"


def read(
    path: Path,
    passages: Iterable[Passage],
    label_set: LabelSet,
    annotator: str | None = None,
    whole: bool | Collection[str] = False,
) -> list[Labels]:
    """The labels in an export, in the order of `passages`.

    `annotator` keeps those of one account; `whole` demands a submitted annotation for every passage, or for those
    whose ids it has.
    Raises :class:`DataError` with every problem in the file.
    """
    return check(files.read_json(path), files.shown(path), passages, label_set, annotator, whole)


def check(
    tasks: Any,
    where: str,
    passages: Iterable[Passage],
    label_set: LabelSet,
    annotator: str | None = None,
    whole: bool | Collection[str] = False,
) -> list[Labels]:
    """As :func:`read`, for an export that is already in memory."""
    checker = Checker(where, label_set)
    by_id = {passage.id: passage for passage in passages}
    found: dict[str, Labels] = {}
    files.check_shape(tasks, "export", where)
    for number, task in enumerate(tasks, 1):
        id = task["data"].get("passage_id")
        passage = by_id.get(id)
        place = f"task {id or number}"
        if passage is None:
            checker.problem(
                "foreign-export",
                place,
                "the passage_id of a passage in seeds/",
                repr(id),
                "export the project that `jinbench annotate push` made from these pages",
            )
            continue
        if task["data"].get("text") != passage.text:
            checker.problem(
                "export-text-differs",
                place,
                shorten(passage.text),
                shorten(str(task["data"].get("text"))),
                "the labels belong to another version of the text: label this passage again",
            )
            continue
        for annotation in task.get("annotations", ()):
            by = account(annotation.get("completed_by"))
            if annotation.get("was_cancelled") or (annotator is not None and by != annotator):
                continue
            if id in found:
                checker.problem(
                    "annotated-twice",
                    place,
                    "one annotation of each annotator",
                    f"two of {by}",
                    "delete one of them in Label Studio and pull again",
                )
                continue
            found[id] = _labels(checker, passage, annotation, by, place)
    if whole and label_set.sectors:
        for id in (id for id, entry in found.items() if not entry.sectors):
            hint = "tick one in Label Studio and pull again"
            checker.problem("passage-unlabelled", f"task {id}", "at least one sector", "none", hint)
    if whole:
        for id in (by_id.keys() if whole is True else set(whole)) - found.keys():
            checker.problem(
                "passage-unlabelled",
                f"task {id}",
                f"an annotation{f' of {annotator}' if annotator else ''}",
                "none",
                "submit it in Label Studio and pull again",
            )
    raise_if_any(sorted(checker.problems, key=lambda problem: problem.where))
    return [found[id] for id in by_id if id in found]


def fitting(tasks: Any, passages: Iterable[Passage]) -> Any:
    """Of an export, the tasks whose text is that of a present passage."""
    texts = {passage.id: passage.text for passage in passages}
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        return tasks  # for the check to refuse
    data = [task.get("data") or {} for task in tasks]
    return [t for t, d in zip(tasks, data, strict=True) if d.get("text") == texts.get(str(d.get("passage_id")), "")]


def account(completed_by: Any) -> str:
    """The name of an account, however an export gives it."""
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email", completed_by.get("id"))
    return annotators.name_of(str(completed_by))


def _labels(checker: Checker, passage: Passage, annotation: dict[str, Any], by: str, place: str) -> Labels:
    spans, sectors, regions = [], [], []
    reasons: list[str] = []
    for region in annotation.get("result", ()):
        value = region.get("value", {})
        if region.get("from_name") == labels.SPANS:
            for type in value.get("labels") or [""]:  # a stretch that was selected and given no label
                surface = (
                    str(value["text"]).replace("\\n", "\n") if "text" in value else None
                )  # its spelling of a line break
                span = checker.span(passage, value.get("start"), value.get("end"), type, surface, place)
                if span is not None:
                    spans.append(span)
                    regions.append(region)
        elif region.get("from_name") == labels.SECTORS:
            sectors += value.get("choices", ())
        elif region.get("from_name") == labels.REASONS:
            text = value.get("text", ())
            reasons += [text] if isinstance(text, str) else text
        else:
            checker.problem(
                "foreign-export",
                place,
                f"results of {labels.SPANS!r}, {labels.SECTORS!r} and {labels.REASONS!r}",
                f"from_name {region.get('from_name')!r}",
                "export the project that `jinbench annotate push` made",
            )
    return Labels(
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


def regions(labelled: Labels) -> list[dict[str, Any]]:
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
            "from_name": labels.SPANS,
            "to_name": labels.TEXT,
            "type": "labels",
            "value": {"start": span.start, "end": span.end, "text": span.surface, "labels": [span.type]},
        }
        results.append(region)
    if labelled.sectors:
        results.append(
            {
                "id": labels.SECTORS,
                "from_name": labels.SECTORS,
                "to_name": labels.TEXT,
                "type": "choices",
                "value": {"choices": list(labelled.sectors)},
            }
        )
    if labelled.reasons:
        results.append(
            {
                "id": labels.REASONS,
                "from_name": labels.REASONS,
                "to_name": labels.TEXT,
                "type": "textarea",
                "value": {"text": list(labelled.reasons)},
            }
        )
    return results


def suggested_regions(suggestion: Suggestion) -> list[dict[str, Any]]:
    """What a model suggests as Label Studio results, each with how likely it is held to be right as its `score`."""
    return [
        region | {"score": round(chance, 4)}
        for region, chance in zip(regions(Labels("", "", suggestion.spans, ())), suggestion.chances, strict=True)
    ]


def canonical(labelled: Iterable[Labels], passages: Iterable[Passage], titles: dict[str, str]) -> list[dict[str, Any]]:
    """An export that Label Studio can import again, without what changes from server to server.

    In the order of `passages`; no ids of tasks, annotations or users; surfaces taken from the text.
    """
    of: dict[str, list[Labels]] = {}
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
                    "completed_by": annotators.email(entry.annotator),
                    "created_at": entry.created_at,
                    "lead_time": entry.lead_time,
                    "ground_truth": False,
                    "was_cancelled": False,
                    "result": regions(entry),
                    **({"updated_at": entry.updated_at} if entry.updated_at else {}),
                }
                for entry in of[passage.id]
            ],
        }
        for passage in passages
        if passage.id in of
    ]


def keep_times(new: Iterable[Labels], old: Iterable[Labels]) -> list[Labels]:
    """`new`, but whatever says the same as in `old` keeps its old record with its times.

    Importing an annotation into another server gives it today's date; what was not changed was made when it was made.
    """
    known = {(entry.passage_id, entry.annotator): entry for entry in old}

    def same(entry: Labels) -> Labels:
        before = known.get((entry.passage_id, entry.annotator))
        return before if before is not None and entry.says_as(before) else entry

    return [same(entry) for entry in new]
