"""Label Studio exports and marked-up text: reading them with every label checked, and writing them in one fixed form.

Label Studio itself accepts almost anything (unknown labels, offsets outside the text), so everything is checked here.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinbench import files, labels, seeds
from jinbench.labels import LabelSet
from jinbench.problems import Problem, raise_if_any, shorten
from jinbench.records import Labels, Passage, Span
from jinbench.rooms import Rooms


@dataclass(frozen=True)
class Annotator:
    """An entry of annotators.toml. `kind` says what labelled: a person, a language model."""

    name: str
    kind: str
    description: str
    guidelines: str
    date: str


@dataclass(frozen=True)
class Annotators:
    gold: str
    entries: tuple[Annotator, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self.entries)


def annotators(rooms: Rooms) -> Annotators:
    """Raises :class:`DataError` (file-missing, broken-toml, wrong-shape)."""
    path = rooms.annotation / "annotators.toml"
    table = files.read_toml(path)
    keys = ("name", "kind", "description", "guidelines", "date")
    entries = table.get("annotator", [])
    problems = [
        Problem(
            "wrong-shape",
            f"{files.shown(path)} [[annotator]] {entry.get('name', number)}",
            f"a value for {', '.join(keys)}",
            f"none for {', '.join(key for key in keys if not entry.get(key))}",
            "say who or what labelled",
        )
        for number, entry in enumerate(entries, 1)
        if not all(entry.get(key) for key in keys)
    ]
    names = [entry.get("name") for entry in entries]
    if table.get("gold") not in names:
        problems.append(
            Problem(
                "wrong-shape",
                f"{files.shown(path)} gold",
                f"one of {', '.join(map(str, names))}",
                repr(table.get("gold")),
                "name the annotator whose export is the gold",
            )
        )
    raise_if_any(problems)
    return Annotators(table["gold"], tuple(Annotator(*(str(entry[key]) for key in keys)) for entry in entries))


def path_of(rooms: Rooms, annotator: str) -> Path:
    return rooms.exports / f"{annotator}.json"


class _Checker:
    """Turns what an annotator left into :class:`Labels`, collecting every problem on the way."""

    def __init__(self, where: str, label_set: LabelSet) -> None:
        self.where = where
        self.label_set = label_set
        self.problems: list[Problem] = []

    def problem(self, code: str, place: str, expected: str, found: str, hint: str) -> None:
        self.problems.append(Problem(code, f"{self.where} {place}", expected, found, hint))

    def span(self, passage: Passage, start: Any, end: Any, type: str, surface: str | None, place: str) -> Span | None:
        """A span that lies in the text, has a known type and, if a surface was given, the right one."""
        if type not in self.label_set.entity_names:
            self.problem(
                "unknown-label",
                place,
                f"one of {', '.join(self.label_set.entity_names)}",
                repr(type),
                "correct the label, or add it to labels.toml",
            )
            return None
        if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(passage.text)):
            self.problem(
                "span-outside-text",
                place,
                f"0 <= start < end <= {len(passage.text)}",
                f"[{start}, {end})",
                "offsets count Unicode code points from 0, the end is exclusive",
            )
            return None
        text = passage.text[start:end]
        # Label Studio writes a line break inside a surface as backslash-n.
        if surface is not None and surface.replace("\\n", "\n") != text:
            self.problem(
                "span-text-differs",
                f"{place} [{start}, {end})",
                repr(text),
                repr(surface),
                "the offsets and the text of the span must come from the same text",
            )
            return None
        return Span(start, end, type, text)

    def spans(self, passage: Passage, found: Iterable[Span], place: str) -> tuple[Span, ...]:
        """In order, without overlap, none across a sentence boundary."""
        spans = sorted(found)
        for before, after in itertools.pairwise(spans):
            if after.start < before.end:
                self.problem(
                    "spans-overlap", place, "spans that do not overlap", f"{before} and {after}", "keep the longer one"
                )
        sentences = seeds.sentences(passage.id, passage.text)
        for span in spans:
            if not any(s.start <= span.start and span.end <= s.end for s in sentences):
                self.problem(
                    "span-crosses-sentence",
                    place,
                    "a span inside one sentence",
                    str(tuple(span)),
                    "shorten it, or split it in two",
                )
        return tuple(spans)

    def sectors(self, found: Sequence[str], place: str) -> tuple[str, ...]:
        known = self.label_set.sector_names
        for name in found:
            if name not in known:
                self.problem(
                    "unknown-label",
                    place,
                    f"one of {', '.join(known)}",
                    repr(name),
                    "correct the sector, or add it to labels.toml",
                )
        lone = self.label_set.lone_sectors.intersection(found)
        if lone and len(set(found)) > 1:
            self.problem(
                "general-not-alone",
                place,
                f"{', '.join(lone)} alone",
                ", ".join(sorted(found)),
                "take one of them away",
            )
        return tuple(name for name in known if name in found)


def read(
    path: Path, passages: Iterable[Passage], label_set: LabelSet, annotator: str | None = None, whole: bool = False
) -> list[Labels]:
    """The labels in an export, in the order of `passages`.

    `annotator` keeps those of one account; `whole` demands a submitted annotation for every passage.
    Raises :class:`DataError` with every problem in the file.
    """
    return check(files.read_json(path), files.shown(path), passages, label_set, annotator, whole)


def check(
    tasks: Any,
    where: str,
    passages: Iterable[Passage],
    label_set: LabelSet,
    annotator: str | None = None,
    whole: bool = False,
) -> list[Labels]:
    """As :func:`read`, for an export that is already in memory."""
    checker = _Checker(where, label_set)
    by_id = {passage.id: passage for passage in passages}
    found: dict[str, Labels] = {}
    if not isinstance(tasks, list) or not all(
        isinstance(task, dict) and isinstance(task.get("data"), dict) for task in tasks
    ):
        checker.problem(
            "foreign-export",
            "",
            "a list of Label Studio tasks, each with `data`",
            type(tasks).__name__,
            "export as JSON (not JSON-MIN, CSV or CoNLL)",
        )
        raise_if_any(checker.problems)
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
    if whole:
        for id in by_id.keys() - found.keys():
            checker.problem(
                "passage-unlabelled",
                f"task {id}",
                f"an annotation{f' of {annotator}' if annotator else ''}",
                "none",
                "submit it in Label Studio and pull again",
            )
    raise_if_any(sorted(checker.problems, key=lambda problem: problem.where))
    return [found[id] for id in by_id if id in found]


def account(completed_by: Any) -> str:
    """The name of an account, however an export gives it."""
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email", completed_by.get("id"))
    return str(completed_by).removesuffix("@jinbench.localhost")


def _labels(checker: _Checker, passage: Passage, annotation: dict[str, Any], by: str, place: str) -> Labels:
    spans, sectors, regions = [], [], []
    for region in annotation.get("result", ()):
        value = region.get("value", {})
        if region.get("from_name") == labels.SPANS:
            for type in value.get("labels", ()):
                span = checker.span(passage, value.get("start"), value.get("end"), type, value.get("text"), place)
                if span is not None:
                    spans.append(span)
                    regions.append(region)
        elif region.get("from_name") == labels.SECTORS:
            sectors += value.get("choices", ())
        else:
            checker.problem(
                "foreign-export",
                place,
                f"results of {labels.SPANS!r} and {labels.SECTORS!r}",
                f"from_name {region.get('from_name')!r}",
                "export the project that `jinbench annotate push` made",
            )
    return Labels(
        passage.id,
        by,
        checker.spans(passage, spans, place),
        checker.sectors(sectors, place),
        annotation.get("created_at"),
        annotation.get("lead_time"),
        tuple(regions),
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
    return results


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
                    "completed_by": f"{entry.annotator}@jinbench.localhost",
                    "created_at": entry.created_at,
                    "lead_time": entry.lead_time,
                    "ground_truth": False,
                    "was_cancelled": False,
                    "result": regions(entry),
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
        unchanged = before and (before.spans, before.sectors) == (entry.spans, entry.sectors)
        return before if before is not None and unchanged else entry

    return [same(entry) for entry in new]


_MARK = re.compile(r"\[([^\[\]|]+)\|([A-Za-z_]+)\]")


def read_markup(path: Path, passages: Iterable[Passage], label_set: LabelSet, annotator: str) -> list[Labels]:
    """Labels from JSON Lines `{"id", "marked", "sectors"}`, where `marked` is the passage with `[surface|TYPE]` marks.

    Without its marks the text must be the passage, character for character.
    Raises :class:`DataError` (broken-json, unknown-id, duplicate-id, markup-differs, and those of the labels).
    """
    by_id = {passage.id: passage for passage in passages}
    checker = _Checker(files.shown(path), label_set)
    found: dict[str, Labels] = {}
    rows = files.read_jsonl(path)
    times = Counter(str(row.get("id")) for _, row in rows)
    for number, row in rows:
        id, marked = str(row.get("id")), str(row.get("marked", ""))
        place = f"line {number} ({id})"
        passage = by_id.get(id)
        if passage is None:
            checker.problem("unknown-id", place, "the id of a passage", repr(id), "see: jinbench annotate sheet")
            continue
        if times[id] > 1:
            checker.problem("duplicate-id", place, "each passage once", f"{times[id]} times", "keep one of the lines")
            continue
        plain, spans, end = "", [], 0
        for match in _MARK.finditer(marked):
            plain += marked[end : match.start()]
            spans.append((len(plain), len(plain) + len(match[1]), match[2], match[1]))
            plain += match[1]
            end = match.end()
        plain += marked[end:]
        if plain != passage.text:
            at = next(
                (i for i, (a, b) in enumerate(zip(plain, passage.text, strict=False)) if a != b),
                min(len(plain), len(passage.text)),
            )
            checker.problem(
                "markup-differs",
                f"{place} character {at}",
                repr(passage.text[at : at + 20]),
                repr(plain[at : at + 20]),
                "copy the passage exactly and only add [surface|TYPE]",
            )
            continue
        checked = [span for s in spans if (span := checker.span(passage, *s, place)) is not None]
        sectors = row.get("sectors", [])
        found[id] = Labels(id, annotator, checker.spans(passage, checked, place), checker.sectors(sectors, place))
    raise_if_any(checker.problems)
    return [found[id] for id in by_id if id in found]
