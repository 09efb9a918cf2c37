"""What systems hand in: predictions in a file or as rows, checked, and everything that is wrong said at once."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinbench.core import files, jsonl
from jinbench.core.errors import DataError, Problem, raise_if_any, shorten
from jinbench.core.spans import check_overlaps, validate_sectors, validate_span
from jinbench.core.types import Span
from jinbench.scoring import schemes
from jinbench.scoring.gold import FOLDS, TASKS, Gold, LabelKey

Locate = Callable[[], Mapping[str, str]]  # for every id of a benchmark the config and split that it is of
KEYS = {"ner": "spans", "sector": "sectors"}  # the field of a submission that holds the labels


def file_name(task: str, split: str, crosswalk: str = "") -> str:
    """Where the predictions of a system lie in its folder. Those for coarse labels have a name of their own."""
    return f"predictions-{'-'.join(filter(None, (task, crosswalk, split)))}.jsonl"


class Predictions(dict[str, frozenset[LabelKey]]):
    """What a system says, by id. `scores`, where it gives any: how sure it is of a sector, by id and sector."""

    def __init__(self) -> None:
        super().__init__()
        self.scores: dict[str, dict[str, float]] = {}


def size_limit(gold: Gold) -> int:
    """The bytes that predictions for `gold` can have: some hundred times what labels and their surfaces take."""
    return 2**20 + 4096 * len(gold.ids) + 512 * sum(map(len, gold.texts))


def read_predictions(
    path: Path, gold: Gold, locate: Locate | None = None, scheme: str = "BIO", repair: str | None = None
) -> Predictions:
    """Predictions by id, from JSON Lines: `{"id", "spans": [{"start", "end", "type"}]}` or `{"id", "sectors": […]}`.

    In place of spans, `tags` has one tag per character, of a scheme of `jinbench.scoring.schemes`; invalid ones are
    refused unless a repair is named. A row has one of the two. With `locate`, it is said of an unknown id to which
    split or task it belongs.
    Raises :class:`DataError` with every problem in the file and its line number (file-missing, file-too-big,
    file-binary, not-utf8, broken-json, and those of :func:`take`).
    """
    problems: list[Problem] = []
    rows = jsonl.stream(path, problems, size_limit(gold))
    return parse_predictions(
        ((f"{files.shown(path)}:{n}", row) for n, row in rows), gold, locate, scheme, repair, problems
    )


def parse_predictions(
    rows: Iterable[tuple[str, dict[str, Any]]], gold: Gold, locate: Locate | None = None, scheme: str = "BIO",
    repair: str | None = None, problems: list[Problem] | None = None,
) -> Predictions:  # fmt: skip
    """The same from rows, each with the place that a message names. `problems` is what is wrong with them already.

    Raises :class:`DataError` with everything that is wrong (wrong-task, wrong-shape, wrong-tags, wrong-scheme,
    unknown-id, duplicate-id, and those of the labels).
    """
    key = KEYS[gold.task]
    texts = dict(zip(gold.ids, gold.texts, strict=True))
    places: Mapping[str, str] | None = None
    problems = [] if problems is None else problems
    schemes.check(scheme, repair)
    found = Predictions()
    first: dict[str, str] = {}
    checked: list[tuple[str, list[Any]]] = []
    for place, row in rows:
        id, values = row.get("id"), row.get(key)
        tagged = gold.task == "ner" and "tags" in row
        others = [other for task, other in KEYS.items() if task != gold.task and other in row]
        if tagged and key in row:
            said, hint = f"'tags' and {key!r}", "leave out the one that you do not mean"
            problems.append(Problem("wrong-shape", location=place, expected="one of the two", found=said, fix=hint))
        elif others or not (tagged or isinstance(values, list)):
            missing = others or key not in row
            said = f"fields {shorten(', '.join(sorted(row)), 100)}" if missing else f"{key!r}: {shorten(values)}"
            hint = f"a submission for {gold.task} has {key!r} on each line"
            hint += f", and no {others[0]!r}; is this the file for the other task?" if others else ""
            problems.append(Problem("wrong-task", location=place, expected=f"a list {key!r}", found=said, fix=hint))
        elif not isinstance(id, str) or id not in texts:
            if places is None:
                places = locate() if locate else {}
            problems.append(_unknown(id, gold, places, place))
        elif id in first:
            also, hint = f"{id} also at {first[id]}", "keep one of the two"
            problems.append(Problem("duplicate-id", location=place, expected="each id once", found=also, fix=hint))
        else:
            first[id] = place
            if tagged:
                values = _untagged(row["tags"], texts[id], gold.names, scheme, repair, place, problems)
            assert isinstance(values, list)
            checked.append((texts[id], values))
            found[id] = check(gold.task, values, texts[id], gold.names, place, problems)
            if gold.task == "sector" and "scores" in row:
                found.scores[id] = _scores(row["scores"], gold.names, place, problems)
    if gold.task == "ner":
        problems = _recounted(checked, problems)
    raise_if_any(problems)
    return found


def _untagged(
    tags: Any, text: str, names: Sequence[str], scheme: str, repair: str | None, place: str, problems: list[Problem]
) -> list[dict[str, Any]]:
    """The spans that tags mean. What is wrong with them is added to `problems`."""
    if not isinstance(tags, list) or len(tags) != len(text):
        said = f"{len(tags)} tags" if isinstance(tags, list) else shorten(tags)
        hint = "tag characters, not words or sub-words"
        problems.append(
            Problem(
                "wrong-shape", location=place, expected=f"{len(text)} tags, one per character", found=said, fix=hint
            )
        )
        return []
    try:
        found = schemes.of_tags([tags], names, scheme, repair)
    except DataError as error:
        problems += [
            replace(each, location=f"{place} {each.location.partition(', ')[2]}".strip()) for each in error.problems
        ]
        return []
    columns = (found.start.tolist(), found.end.tolist(), found.type.tolist())
    return [{"start": a, "end": b, "type": names[type]} for a, b, type in zip(*columns, strict=True)]


def _unknown(id: Any, gold: Gold, places: Mapping[str, str], place: str) -> Problem:
    """The problem of an id that `gold` does not have."""
    found = shorten(id) if id is not None else "no id"
    hint = f"predict the items of {gold.task}/{gold.split}, each under its id"
    other = places.get(id) if isinstance(id, str) else None
    if other:
        found = f"{found}, an item of {other}"
        config, split = other.split("/")
        meant = f"the split {split}, or {FOLDS}, which is all items" if config == gold.task else f"the task {config}"
        hint += f"; or is the file for {meant}?" if config in TASKS else ""
    return Problem(
        "unknown-id", location=place, expected=f"the id of an item of {gold.task}/{gold.split}", found=found, fix=hint
    )


def _scores(value: Any, names: Sequence[str], where: str, problems: list[Problem]) -> dict[str, float]:
    """How sure a system is of the sectors of an item. What is wrong with it is added to `problems`."""
    if not isinstance(value, dict) or len(value) > len(names):
        expected = f'"scores": {{"{names[0] if names else "…"}": 0.5, …}}, each sector once'
        hint = "give a number for each sector, or leave scores out"
        problems.append(Problem("wrong-shape", location=where, expected=expected, found=shorten(value), fix=hint))
        return {}
    unknown: list[Problem] = []
    validate_sectors(list(value), names, where, unknown)
    problems += map(_own_label, unknown)
    found = {}
    for name, score in value.items():
        try:
            number = float(score) if isinstance(score, int | float) and not isinstance(score, bool) else math.nan
        except OverflowError:  # a whole number of hundreds of digits
            number = math.inf
        if not math.isfinite(number):
            hint = "write a finite number, or leave the sector out of scores"
            problems.append(
                Problem(
                    "wrong-shape",
                    location=where,
                    expected=f"a finite number for {shorten(name)}",
                    found=shorten(score),
                    fix=hint,
                )
            )
        found[name] = number
    return found


# What a program may have counted in place of code points, and how that leads back to them: (text, start, end) to
# code points, or None where it does not lead to any.
Ends = tuple[int, int] | None


def _units(size: Callable[[str], int]) -> Callable[[str], Callable[[int, int], Ends]]:
    def of(text: str) -> Callable[[int, int], Ends]:
        points = {unit: point for point, unit in enumerate(itertools.accumulate(map(size, text), initial=0))}
        return lambda start, end: (points[start], points[end]) if start in points and end in points else None

    return of


_COUNTS: dict[str, Callable[[str], Callable[[int, int], Ends]]] = {
    "bytes of UTF-8": _units(lambda character: len(character.encode("utf-8", "surrogatepass"))),
    "UTF-16 units": _units(lambda character: 1 + (ord(character) > 0xFFFF)),
    "code points with the end inclusive": lambda text: lambda start, end: (start, end + 1),
    "code points from 1": lambda text: lambda start, end: (start - 1, end - 1),
    "code points from 1 with the end inclusive": lambda text: lambda start, end: (start - 1, end),
}


def _recounted(checked: Sequence[tuple[str, list[Any]]], problems: list[Problem]) -> list[Problem]:
    """`problems`; those of offsets say what the program seems to count, if one thing explains every span of the file.

    Where a span has no surface, only bytes and UTF-16 units are thought of: anything could begin at 1.
    """
    shifted = ("span-outside-text", "span-text-differs")
    if not any(problem.code in shifted for problem in problems):
        return problems
    spans = [(text, [value for value in values if isinstance(value, dict)]) for text, values in checked]
    bare = any("surface" not in value for _, values in spans for value in values)
    for name, of in itertools.islice(_COUNTS.items(), 2 if bare else None):
        if all(_fits(text, of(text), value) for text, values in spans for value in values):
            hint = f"every span of the file fits if offsets count {name}: "
            hint += "count Unicode code points from 0, the end exclusive, as Python does"
            return [replace(problem, fix=hint) if problem.code in shifted else problem for problem in problems]
    return problems


def _fits(text: str, count: Callable[[int, int], Ends], value: dict[str, Any]) -> bool:
    start, end = value.get("start"), value.get("end")
    ends = count(start, end) if type(start) is int and type(end) is int else None
    if ends is None or not 0 <= ends[0] < ends[1] <= len(text):
        return False
    return value.get("surface") in (None, text[slice(*ends)])


def check(
    task: str, values: list[Any], text: str, names: Sequence[str], where: str, problems: list[Problem]
) -> frozenset[LabelKey]:
    """The labels of one item, from the values of a submission. What is wrong with them is added to `problems`."""
    new: list[Problem] = []
    found = (_check_spans if task == "ner" else _check_sectors)(values, text, names, where, new)
    problems += map(_own_label, new)
    return found


def _own_label(problem: Problem) -> Problem:
    """The problem as it is said to whoever predicts: the labels are not theirs to add to."""
    return replace(problem, fix="use one of these labels") if problem.code == "unknown-label" else problem


def _check_spans(
    values: list[Any], text: str, names: Sequence[str], where: str, problems: list[Problem]
) -> frozenset[LabelKey]:
    if len(values) > len(text):
        hint = "send spans that do not overlap, each once"
        expected, found = f"{len(text)} spans or fewer: the text has no more characters", f"{len(values):,} spans"
        problems.append(Problem("spans-overlap", location=where, expected=expected, found=found, fix=hint))
        return frozenset()
    spans: list[Span] = []
    for value in values:
        if not isinstance(value, dict) or not {"start", "end", "type"} <= value.keys():
            problems.append(
                Problem(
                    "wrong-shape",
                    location=where,
                    expected='{"start": 0, "end": 2, "type": "…"}',
                    found=shorten(value),
                    fix="give each span its start, end and type",
                )
            )
            continue
        parts = (value["start"], value["end"], value["type"], value.get("surface"))
        span = validate_span(text, names, *parts, where, problems)
        if span is not None:
            spans.append(span)
    spans.sort()
    for span in (span for span, times in Counter(spans).items() if times > 1):
        hint = "keep one of them"
        problems.append(
            Problem(
                "spans-overlap",
                location=where,
                expected="each span once",
                found=f"{tuple(span)} more than once",
                fix=hint,
            )
        )
    check_overlaps(sorted(set(spans)), where, problems)
    return frozenset(span[:3] for span in spans)


def _check_sectors(
    values: list[Any], text: str, names: Sequence[str], where: str, problems: list[Problem]
) -> frozenset[LabelKey]:
    if len(values) > len(names):
        expected, found = f"{len(names)} sectors or fewer: there are no more", f"{len(values):,}"
        problems.append(
            Problem("wrong-shape", location=where, expected=expected, found=found, fix="name each sector once")
        )
        return frozenset()
    validate_sectors(values, names, where, problems)
    known = Counter(value for value in values if value in names)
    for name in (name for name, times in known.items() if times > 1):
        problems.append(
            Problem(
                "wrong-shape",
                location=where,
                expected="each sector once",
                found=f"{name} twice or more",
                fix="keep one of them",
            )
        )
    return frozenset((name,) for name in known)


def as_rows(task: str, predicted: Iterable[tuple[str, Iterable[LabelKey]]]) -> list[dict[str, Any]]:
    """Predictions as the records of a submission, in the given order."""
    if task == "ner":
        return [
            {"id": id, "spans": [{"start": s[0], "end": s[1], "type": s[2]} for s in sorted(found)]}
            for id, found in predicted
        ]
    return [{"id": id, "sectors": sorted(s[0] for s in found)} for id, found in predicted]
