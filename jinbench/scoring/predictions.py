"""Read and validate predictions; report all errors at once."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jinbench.core import files, jsonl
from jinbench.core.errors import DataError, ErrorList, Problem, fail, shorten
from jinbench.core.spans import check_overlaps, validate_sectors, validate_span
from jinbench.core.types import Span
from jinbench.scoring.gold import FOLDS, TASKS, Gold, LabelKey
from jinbench.scoring.schemes import check_scheme, tags_to_table

LocateIds = Callable[[], Mapping[str, str]]  # returns for every id of a benchmark its "config/split"
LABEL_FIELDS = {"ner": "spans", "sector": "sectors"}  # the field of a submission that holds the labels
UNITS = ("character", "word")


@dataclass(frozen=True)
class TagOptions:
    """The reading of `tags` in place of `spans`.

    Args:
        scheme: `BIO`, `BIOES`, `BMES` or `BILOU`.
        repair: how to read tags that the scheme forbids: `begin` (as conlleval) or `drop`; None refuses them.
        unit: what a tag is for: a `character`, or a `word`, of `tokens` in the row or between white space.
    """

    scheme: str = "BIO"
    repair: str | None = None
    unit: str = "character"

    def check(self) -> None:
        """Raise :class:`DataError` (wrong-scheme) for a name that does not exist."""
        check_scheme(self.scheme, self.repair)
        if self.unit not in UNITS:
            expected = f"one of {', '.join(UNITS)}"
            fail("wrong-scheme", "unit", expected=expected, found=repr(self.unit), fix="correct the name")


BIO_TAGS = TagOptions()


def predictions_file_name(task: str, split: str, crosswalk: str = "") -> str:
    """Return the name of a file of predictions in the folder of a system."""
    return f"predictions-{'-'.join(filter(None, (task, crosswalk, split)))}.jsonl"


class Predictions(dict[str, frozenset[LabelKey]]):
    """Labels by id that a system predicts; `scores`: confidence by id and sector; `tagged`: whether any were tags."""

    def __init__(self, labels: Mapping[str, frozenset[LabelKey]] | None = None) -> None:
        super().__init__(labels or {})
        self.scores: dict[str, dict[str, float]] = {}
        self.tagged = False


def size_limit(gold: Gold) -> int:
    """Return the maximum size of predictions in bytes, some hundred times the usual."""
    return 2**20 + 4096 * len(gold.ids) + 512 * sum(map(len, gold.texts))


def read_predictions(
    path: Path, gold: Gold, locate: LocateIds | None = None, options: TagOptions = BIO_TAGS, data: bytes | None = None
) -> Predictions:
    """Read predictions by id from JSON Lines.

    A row is `{"id", "spans": [{"start", "end", "type"}]}` or `{"id", "sectors": […]}`. In place of `spans`, `tags` may
    have one tag per character, or per word.

    Args:
        path: the file.
        gold: the items that may be predicted.
        locate: returns for every id of a benchmark its "config/split", to explain unknown ids.
        options: how to read tags.
        data: the bytes of the file, if they have been read already.

    Returns:
        Labels by id, and the scores of sectors if there are any.

    Raises:
        DataError: with all errors in the file and their line numbers [file-missing, file-too-big, file-binary,
            not-utf8, broken-json, and those of :func:`parse_predictions`].

    Example:
        >>> import tempfile
        >>> gold = Gold.from_labels("ner", ["PLACE"], [("s1", "上海下雨", "a1", frozenset())])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "predictions.jsonl"
        ...     _ = path.write_text('{"id": "s1", "spans": [{"start": 0, "end": 2, "type": "PLACE"}]}')
        ...     read_predictions(path, gold)
        {'s1': frozenset({(0, 2, 'PLACE')})}
    """
    problems = ErrorList()
    rows = jsonl.stream_rows(path, problems, size_limit(gold), data=data)
    name = files.display_path(path)
    return parse_predictions(((f"{name}:{n}", row) for n, row in rows), gold, locate, options, problems)


def parse_predictions(
    rows: Iterable[tuple[str, Mapping[str, object]]], gold: Gold, locate: LocateIds | None = None,
    options: TagOptions = BIO_TAGS, problems: ErrorList | None = None,
) -> Predictions:  # fmt: skip
    """Parse rows, each with its location; `problems` are errors that they already have.

    Raises :class:`DataError` with all errors (wrong-task, wrong-shape, wrong-tags, wrong-scheme, unknown-id,
    duplicate-id, wrong-version, and those of the labels).
    """
    key = LABEL_FIELDS[gold.task]
    texts = dict(zip(gold.ids, gold.texts, strict=True))
    places: Mapping[str, str] | None = None
    problems = ErrorList() if problems is None else problems
    options.check()
    predictions = Predictions()
    first: dict[str, str] = {}
    checked: list[tuple[str, list[object]]] = []
    for location, row in rows:
        id, values = row.get("id"), row.get(key)
        tagged = gold.task == "ner" and "tags" in row
        others = [other for task, other in LABEL_FIELDS.items() if task != gold.task and other in row]
        if tagged and key in row:
            found, fix = f"'tags' and {key!r}", "leave out the one that you do not mean"
            problems.add("wrong-shape", location, expected="one of the two", found=found, fix=fix)
        elif others or not (tagged or isinstance(values, list)):
            missing = others or key not in row
            found = f"fields {shorten(', '.join(sorted(row)), 100)}" if missing else f"{key!r}: {shorten(values)}"
            fix = f"a submission for {gold.task} has {key!r} on each line"
            fix += f", and no {others[0]!r}; is this the file for the other task?" if others else ""
            problems.add("wrong-task", location, expected=f"a list {key!r}", found=found, fix=fix)
        elif not isinstance(id, str) or id not in texts:
            if places is None:
                places = locate() if locate else {}
            problems.append(_unknown_id(id, gold, places, location))
        elif id in first:
            found, fix = f"{id} also at {first[id]}", "keep one of the two"
            problems.add("duplicate-id", location, expected="each id once", found=found, fix=fix)
        else:
            first[id] = location
            if row.get("text") not in (None, texts[id]):
                expected, fix = (
                    f"the text of {id}: {shorten(texts[id])}",
                    "name the benchmark that the rows are from: root",
                )
                problems.add("wrong-version", location, expected=expected, found=shorten(row["text"]), fix=fix)
                continue
            if tagged:
                predictions.tagged = True
                values = _decode_tags(row, texts[id], gold.names, options, location, problems)
            assert isinstance(values, list)
            checked.append((texts[id], values))
            predictions[id] = check_labels(gold.task, values, texts[id], gold.names, location, problems)
            if gold.task == "sector" and "scores" in row:
                predictions.scores[id] = _check_scores(row["scores"], gold.names, location, problems)
    if gold.task == "ner":
        problems = _explain_offsets(checked, problems)
    problems.raise_if_any()
    return predictions


def _decode_tags(
    row: Mapping[str, object], text: str, names: Sequence[str], options: TagOptions, location: str, problems: ErrorList
) -> list[dict[str, object]]:
    """Return the spans of tags, or add to `problems`."""
    tags: object = row["tags"]
    units = [(i, i + 1) for i in range(len(text))]
    if options.unit == "word":
        words = row.get("tokens", text.split())
        if (places := _place_words(words, text)) is None:
            expected, fix = "tokens that make up the text, in its order", "tokenize the text of the item as it is"
            problems.add("wrong-shape", location, expected=expected, found=shorten(words), fix=fix)
            return []
        units = places
    if not isinstance(tags, list) or len(tags) != len(units):
        expected = f"{len(units)} tags, one per {options.unit}"
        found = f"{len(tags)} tags" if isinstance(tags, list) else shorten(tags)
        fix = "tag characters, not sub-words; words: --unit word, with the words under tokens"
        problems.add("wrong-shape", location, expected=expected, found=found, fix=fix)
        return []
    try:
        table = tags_to_table([tags], names, options.scheme, options.repair)
    except DataError as error:
        problems += [
            replace(problem, location=f"{location} {problem.location.partition(', ')[2]}".strip())
            for problem in error.problems
        ]
        return []
    columns = (table.start.tolist(), table.end.tolist(), table.type.tolist())
    return [
        {"start": units[first][0], "end": units[end - 1][1], "type": names[type]}
        for first, end, type in zip(*columns, strict=True)
    ]


def _place_words(words: object, text: str) -> list[tuple[int, int]] | None:
    """Return start and end of each word in the text, which has white space between them at most; None if it differs."""
    places, end = [], 0
    for word in words if isinstance(words, list) else [""]:
        start = text.find(word, end) if isinstance(word, str) and word else -1
        if start < 0 or text[end:start].strip():
            return None
        end = start + len(word)
        places.append((start, end))
    return None if text[end:].strip() else places


def _unknown_id(id: object, gold: Gold, places: Mapping[str, str], location: str) -> Problem:
    """Return the problem of an id that `gold` does not have."""
    found = shorten(id) if id is not None else "no id"
    fix = f"predict the items of {gold.task}/{gold.split}, each under its id; or name their benchmark: root"
    place = places.get(id) if isinstance(id, str) else None
    if place:
        found = f"{found}, an item of {place}"
        config, split = place.split("/")
        meant = f"the split {split}, or {FOLDS}, which is all items" if config == gold.task else f"the task {config}"
        fix += f"; or is the file for {meant}?" if config in TASKS else ""
    expected = f"the id of an item of {gold.task}/{gold.split}"
    return Problem("unknown-id", location=location, expected=expected, found=found, fix=fix)


def _check_scores(value: object, names: Sequence[str], location: str, problems: ErrorList) -> dict[str, float]:
    """Return the scores of the sectors of an item, or add to `problems`."""
    if not isinstance(value, dict) or len(value) > len(names):
        expected = f'"scores": {{"{names[0] if names else "…"}": 0.5, …}}, each sector once'
        fix = "give a number for each sector, or leave scores out"
        problems.add("wrong-shape", location, expected=expected, found=shorten(value), fix=fix)
        return {}
    unknown = ErrorList()
    validate_sectors(list(value), names, location, unknown)
    problems += map(_replace_fix, unknown)
    scores = {}
    for name, score in value.items():
        try:
            number = float(score) if isinstance(score, int | float) and not isinstance(score, bool) else math.nan
        except OverflowError:  # a whole number of hundreds of digits
            number = math.inf
        if not math.isfinite(number):
            expected = f"a finite number for {shorten(name)}"
            fix = "write a finite number, or leave the sector out of scores"
            problems.add("wrong-shape", location, expected=expected, found=shorten(score), fix=fix)
        scores[name] = number
    return scores


# What a program may have counted in place of code points, and how to convert that to them: of a text a function from
# (start, end) to code points, or None where there are none.
Offsets = tuple[int, int] | None
Converter = Callable[[str], Callable[[int, int], Offsets]]


def _convert_units(size: Callable[[str], int]) -> Converter:
    def convert(text: str) -> Callable[[int, int], Offsets]:
        points = {unit: point for point, unit in enumerate(itertools.accumulate(map(size, text), initial=0))}
        return lambda start, end: (points[start], points[end]) if start in points and end in points else None

    return convert


_UNITS: dict[str, Converter] = {
    "bytes of UTF-8": _convert_units(lambda character: len(character.encode("utf-8", "surrogatepass"))),
    "UTF-16 units": _convert_units(lambda character: 1 + (ord(character) > 0xFFFF)),
    "code points with the end inclusive": lambda text: lambda start, end: (start, end + 1),
    "code points from 1": lambda text: lambda start, end: (start - 1, end - 1),
    "code points from 1 with the end inclusive": lambda text: lambda start, end: (start - 1, end),
}


def _explain_offsets(checked: Sequence[tuple[str, list[object]]], problems: ErrorList) -> ErrorList:
    """Name the unit in problems of offsets, if one explains every span of the file.

    Where a span has no surface, only bytes and UTF-16 units are tried: anything could begin at 1.
    """
    codes = ("span-outside-text", "span-text-differs")
    if not any(problem.code in codes for problem in problems):
        return problems
    spans = [(text, [value for value in values if isinstance(value, dict)]) for text, values in checked]
    bare = any("surface" not in value for _, values in spans for value in values)
    for name, convert in itertools.islice(_UNITS.items(), 2 if bare else None):
        if all(_fits(text, convert(text), value) for text, values in spans for value in values):
            fix = f"every span of the file fits if offsets count {name}: "
            fix += "count Unicode code points from 0, the end exclusive, as Python does"
            return ErrorList(replace(problem, fix=fix) if problem.code in codes else problem for problem in problems)
    return problems


def _fits(text: str, convert: Callable[[int, int], Offsets], value: Mapping[str, object]) -> bool:
    start, end = value.get("start"), value.get("end")
    offsets = convert(start, end) if type(start) is int and type(end) is int else None
    if offsets is None or not 0 <= offsets[0] < offsets[1] <= len(text):
        return False
    return value.get("surface") in (None, text[slice(*offsets)])


def check_labels(
    task: str, values: Sequence[object], text: str, names: Sequence[str], location: str, problems: list[Problem]
) -> frozenset[LabelKey]:
    """Return the labels of one item from the values of a submission; errors are added to `problems`."""
    new = ErrorList()
    labels = (_check_spans if task == "ner" else _check_sectors)(values, text, names, location, new)
    problems += map(_replace_fix, new)
    return labels


def _replace_fix(problem: Problem) -> Problem:
    """Return the problem with a fix for systems, which cannot add labels to the label set."""
    return replace(problem, fix="use one of these labels") if problem.code == "unknown-label" else problem


def _check_spans(
    values: Sequence[object], text: str, names: Sequence[str], location: str, problems: ErrorList
) -> frozenset[LabelKey]:
    if len(values) > len(text):
        expected, found = f"{len(text)} spans or fewer: the text has no more characters", f"{len(values):,} spans"
        fix = "send spans that do not overlap, each once"
        problems.add("spans-overlap", location, expected=expected, found=found, fix=fix)
        return frozenset()
    spans: list[Span] = []
    for value in values:
        if isinstance(value, dict) and "label" in value and "type" not in value:
            value = value | {"type": value["label"]}
        if not isinstance(value, dict) or not {"start", "end", "type"} <= value.keys():
            expected, fix = '{"start": 0, "end": 2, "type": "…"}', "give each span its start, end and type"
            problems.add("wrong-shape", location, expected=expected, found=shorten(value), fix=fix)
            continue
        fields = (value["start"], value["end"], value["type"], value.get("surface"))
        if span := validate_span(text, names, fields, location, problems):
            spans.append(span)
    spans.sort()
    for span, times in Counter(spans).items() if len(set(spans)) < len(spans) else ():
        if times > 1:
            found = f"{tuple(span)} more than once"
            problems.add("spans-overlap", location, expected="each span once", found=found, fix="keep one of them")
    check_overlaps(sorted(set(spans)), location, problems)
    return frozenset(span[:3] for span in spans)


def _check_sectors(
    values: Sequence[object], text: str, names: Sequence[str], location: str, problems: ErrorList
) -> frozenset[LabelKey]:
    if len(values) > len(names):
        expected = f"{len(names)} sectors or fewer: there are no more"
        problems.add("wrong-shape", location, expected=expected, found=f"{len(values):,}", fix="name each sector once")
        return frozenset()
    validate_sectors(values, names, location, problems)
    sectors = Counter(value for value in values if value in names)
    for name, times in sectors.items():
        if times > 1:
            found = f"{name} twice or more"
            problems.add("wrong-shape", location, expected="each sector once", found=found, fix="keep one of them")
    return frozenset((name,) for name in sectors)


def to_rows(task: str, predicted: Iterable[tuple[str, Iterable[LabelKey]]]) -> list[dict[str, object]]:
    """Convert predictions to the records of a submission, in the same order."""
    if task == "ner":
        return [
            {"id": id, "spans": [{"start": start, "end": end, "type": type} for start, end, type in sorted(labels)]}
            for id, labels in predicted
        ]
    return [{"id": id, "sectors": sorted(label[0] for label in labels)} for id, labels in predicted]
