"""What a system gets wrong: every gold and every predicted span in exactly one class, and the worst items in full."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from jinbench.scoring.gold import Gold, LabelKey
from jinbench.scoring.score import Predicted

CORRECT, TYPE, BOUNDARY, BOTH, MISSED, SPURIOUS = "correct", "type", "boundary", "both", "missed", "spurious"
KINDS = {
    TYPE: "the right boundaries, another type",
    BOUNDARY: "the right type, other boundaries",
    BOTH: "another type and other boundaries",
    MISSED: "nothing predicted there",
    SPURIOUS: "predicted where there is nothing, or more often than there is",
}


@dataclass(frozen=True)
class Error:
    """One that was made: the gold label, what was predicted, or both."""

    kind: str
    gold: LabelKey | None
    predicted: LabelKey | None


@dataclass(frozen=True)
class Example:
    """An item with everything that is right and wrong in it. `known` says whether there was a prediction at all."""

    id: str
    text: str
    correct: tuple[LabelKey, ...]
    mistakes: tuple[Error, ...]
    known: bool

    def __str__(self) -> str:
        lines = [f"{self.id}: {self.text}" + ("" if self.known else "   (no prediction)")]
        for each in self.mistakes:
            sides = [_said(self.text, label) for label in (each.gold, each.predicted)]
            lines.append(f"  {each.kind:9} gold {sides[0]:32} predicted {sides[1]}")
        return "\n".join(lines)


def _said(text: str, label: LabelKey | None) -> str:
    if label is None:
        return "–"
    return str(label[0]) if len(label) == 1 else f"{label[2]} {text[label[0] : label[1]]} [{label[0]}, {label[1]})"


@dataclass(frozen=True)
class ErrorAnalysis:
    """How many of each kind, which types are taken for which, and the items with most of them.

    `confused`: (gold type, predicted type, times) where a span has the wrong type, most frequent first.
    """

    kinds: dict[str, int]
    confused: tuple[tuple[str, str, int], ...]
    examples: tuple[Example, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{number:6} {kind:9} {KINDS[kind]}" for kind, number in self.kinds.items() if kind in KINDS]
        lines += ["", *(f"{number:6} {gold} taken for {guess}" for gold, guess, number in self.confused[:10])]
        return "\n".join([*lines, "", *(str(example) for example in self.examples)])


def classify_errors(gold: Iterable[LabelKey], predicted: Iterable[LabelKey]) -> list[Error]:
    """The mistakes in one item. Spans are paired one to one: same place first, then same type, then whatever meets.

    Between pairs that fit equally well the one with most characters in common is taken, then the first.
    """
    ours, theirs = sorted(set(gold) - set(predicted)), sorted(set(predicted) - set(gold))
    found: list[Error] = []
    if all(len(label) > 1 for label in (*ours, *theirs)):
        meets = []
        for a in ours:
            for b in theirs:
                common = min(a[1], b[1]) - max(a[0], b[0])
                if common > 0:
                    kind = TYPE if a[:2] == b[:2] else BOUNDARY if a[2] == b[2] else BOTH
                    meets.append(((TYPE, BOUNDARY, BOTH).index(kind), -common, a, b, kind))
        for *_, a, b, kind in sorted(meets):
            if a in ours and b in theirs:
                ours.remove(a)
                theirs.remove(b)
                found.append(Error(kind, a, b))
    found += [Error(MISSED, a, None) for a in ours]
    found += [Error(SPURIOUS, None, b) for b in theirs]
    return sorted(found, key=lambda each: each.gold or each.predicted or ())


def analyze_errors(gold: Gold, predicted: Predicted, examples: int = 10) -> ErrorAnalysis:
    """The mistakes of a system, and the `examples` items with most of them."""
    kinds = Counter({CORRECT: 0} | dict.fromkeys(KINDS, 0))
    confused: Counter[tuple[str, str]] = Counter()
    items = []
    for id, text, true in zip(gold.ids, gold.texts, gold.labels, strict=True):
        guess = predicted.get(id, frozenset())
        made = classify_errors(true, guess)
        kinds[CORRECT] += len(true & guess)
        kinds.update(each.kind for each in made)
        confused.update(
            (each.gold[-1], each.predicted[-1])
            for each in made
            if each.kind in (TYPE, BOTH) and each.gold and each.predicted
        )
        if made:
            items.append(Example(id, text, tuple(sorted(true & guess)), tuple(made), id in predicted))
    items.sort(key=lambda item: (-len(item.mistakes), item.id))
    ordered = sorted(confused.items(), key=lambda pair: (-pair[1], pair[0]))
    return ErrorAnalysis(dict(kinds), tuple((*pair, number) for pair, number in ordered), tuple(items[:examples]))
