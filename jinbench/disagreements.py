"""Where readings of a passage differ, what was decided there, and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jinbench import markup
from jinbench.core.errors import Problem
from jinbench.core.types import PassageLabels, Passage, Span, within

SECTORS = "产业"  # stands for the stretch of text where the sectors differ
Readings = Mapping[str, Mapping[str, PassageLabels]]  # by name, then by passage


@dataclass(frozen=True)
class Disagreement:
    """A stretch of a passage that readings label differently, or (`subject` is 产业) its sectors.

    `readings` has what each of them says there, marked up; `reason` why it was decided as it was.
    """

    passage_id: str
    subject: str
    context: str
    readings: dict[str, str]
    reason: str | None = None

    def __str__(self) -> str:
        width = max(map(len, self.readings))
        lines = [f"{self.passage_id}  {self.context}"]
        lines += [f"  {name:{width}}  {found}" for name, found in self.readings.items()]
        return "\n".join([*lines, f"  {'reason':{width}}  {self.reason or '(none yet)'}"])


def find_disagreements(
    passages: Iterable[Passage], readings: Readings, reasons: Mapping[str, Sequence[str]]
) -> list[Disagreement]:
    """Every stretch and every set of sectors on which the readings are not all the same, in reading order.

    A passage is compared between those who have it. `reasons` are by passage, each as `subject: why`.
    """
    found = []
    for passage in passages:
        entries = {name: labelled[passage.id] for name, labelled in readings.items() if passage.id in labelled}
        if len(entries) < 2:
            continue
        because = _Reasons(reasons.get(passage.id, ()))
        for start, end in _stretches([entry.spans for entry in entries.values()]):
            subject = passage.text[start:end]
            shown = {name: _marked(passage.text, entry.spans, start, end) for name, entry in entries.items()}
            context = f"{passage.text[max(0, start - 20) : start]}»{subject}«{passage.text[end : end + 20]}"
            found.append(Disagreement(passage.id, subject, context, shown, because.give(subject, shown)))
        if len({entry.sectors for entry in entries.values()}) > 1:
            shown = {name: ", ".join(entry.sectors) or "–" for name, entry in entries.items()}
            context = f"{passage.text[:40]}…"
            found.append(Disagreement(passage.id, SECTORS, context, shown, because.give(SECTORS, shown)))
    return found


class _Reasons:
    """Hands out the reasons of a passage: each once, in order; again only where everything said is the same again."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.left = list(reasons)
        self.given: dict[tuple[str, ...], str | None] = {}

    def give(self, subject: str, shown: Mapping[str, str]) -> str | None:
        key = (subject, *shown.values())
        if key not in self.given:
            fitting = next((reason for reason in self.left if _why(subject, reason)), None)
            if fitting is not None:
                self.left.remove(fitting)
            self.given[key] = _why(subject, fitting or "")
        return self.given[key]


def _why(subject: str, reason: str) -> str | None:
    """What follows the subject and a colon, of either width; None if the reason does not begin so."""
    rest = reason.strip().removeprefix(subject).lstrip()
    if not reason.strip().startswith(subject) or rest[:1] not in (":", "\uff1a"):
        return None
    return rest[1:].strip() or None


def _stretches(sides: Sequence[Sequence[Span]]) -> list[tuple[int, int]]:
    """The stretches that spans cover which not every side has, joined where they overlap."""
    same = set(sides[0]).intersection(*sides[1:])
    stretches: list[tuple[int, int]] = []
    for span in sorted({span for side in sides for span in side} - same):
        if stretches and span.start < stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], max(stretches[-1][1], span.end))
        else:
            stretches.append((span.start, span.end))
    return stretches


def _marked(text: str, spans: Iterable[Span], start: int, end: int) -> str:
    """The stretch as one side marks it up: with the spans that lie in it."""
    return markup.mark(text[start:end], within(spans, start, end))


def common_labels(a: PassageLabels, b: PassageLabels, annotator: str) -> PassageLabels:
    """What two readings have in common, as labels of `annotator`."""
    sectors = tuple(name for name in a.sectors if name in b.sectors)
    return PassageLabels(a.passage_id, annotator, tuple(span for span in a.spans if span in b.spans), sectors)


def problems(found: Sequence[Disagreement], reasons: Mapping[str, Sequence[str]], where: str) -> list[Problem]:
    """A problem for each disagreement without a reason, and for each reason that belongs to none."""
    hint = "write it under the passage in Label Studio, submit, and pull again"
    missing = [
        Problem("reason-missing", f"{where} task {each.passage_id}", f"a reason “{each.subject}: …”", "none", hint)
        for each in found
        if not each.reason
    ]
    of: dict[str, list[Disagreement]] = {}
    for each in found:
        of.setdefault(each.passage_id, []).append(each)
    unused = [
        Problem(
            "reason-unused",
            f"{where} task {id}",
            f"one of {', '.join(f'“{each.subject}: …”' for each in of.get(id, ())) or 'no reasons: all agree'}",
            text,
            "begin it with the words in dispute and a colon, or take it away",
        )
        for id, given in reasons.items()
        for text in given
        if not any(each.reason and _why(each.subject, text) == each.reason for each in of.get(id, ()))
    ]
    return missing + unused
