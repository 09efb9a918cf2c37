"""Classify errors: type, boundary, missed, spurious; the items with most of them in full."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

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
    """An error of one of `KINDS`: the gold label, what was predicted, or both."""

    kind: str
    gold: LabelKey | None
    predicted: LabelKey | None


@dataclass(frozen=True)
class Example:
    """An item with its correct labels and errors; `has_prediction`: whether the system predicted it."""

    id: str
    text: str
    correct: tuple[LabelKey, ...]
    mistakes: tuple[Error, ...]
    has_prediction: bool

    def __str__(self) -> str:
        lines = [f"{self.id}: {self.text}" + ("" if self.has_prediction else "   (no prediction)")]
        for error in self.mistakes:
            gold, predicted = (_format_label(self.text, label) for label in (error.gold, error.predicted))
            lines.append(f"  {error.kind:9} gold {gold:32} predicted {predicted}")
        return "\n".join(lines)


def _format_label(text: str, label: LabelKey | None) -> str:
    if label is None:
        return "–"
    return str(label[0]) if len(label) == 1 else f"{label[2]} {text[label[0] : label[1]]} [{label[0]}, {label[1]})"


@dataclass(frozen=True)
class ErrorAnalysis:
    """Number of errors of each kind, confused types, and the items with most errors.

    `confused`: (gold type, predicted type, times) where a span has the wrong type, most frequent first.
    """

    kinds: dict[str, int]
    confused: tuple[tuple[str, str, int], ...]
    examples: tuple[Example, ...]

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{number:6} {kind:9} {KINDS[kind]}" for kind, number in self.kinds.items() if kind in KINDS]
        lines += ["", *(f"{number:6} {gold} taken for {predicted}" for gold, predicted, number in self.confused[:10])]
        return "\n".join([*lines, "", *(str(example) for example in self.examples)])


def classify_errors(gold: Iterable[LabelKey], predicted: Iterable[LabelKey]) -> list[Error]:
    """Classify the errors in one item.

    Spans are paired one to one: same place first, then same type, then overlaps. Between pairs that fit equally well
    the one with most characters in common is taken, then the first.
    """
    missed, spurious = sorted(set(gold) - set(predicted)), sorted(set(predicted) - set(gold))
    errors: list[Error] = []
    if all(len(label) > 1 for label in (*missed, *spurious)):
        overlaps = []
        for a in missed:
            for b in spurious:
                common = min(a[1], b[1]) - max(a[0], b[0])
                if common > 0:
                    kind = TYPE if a[:2] == b[:2] else BOUNDARY if a[2] == b[2] else BOTH
                    overlaps.append(((TYPE, BOUNDARY, BOTH).index(kind), -common, a, b, kind))
        for *_, a, b, kind in sorted(overlaps):
            if a in missed and b in spurious:
                missed.remove(a)
                spurious.remove(b)
                errors.append(Error(kind, a, b))
    errors += [Error(MISSED, label, None) for label in missed]
    errors += [Error(SPURIOUS, None, label) for label in spurious]
    return sorted(errors, key=lambda error: error.gold or error.predicted or ())


def analyze_errors(gold: Gold, predicted: Predicted, examples: int = 10) -> ErrorAnalysis:
    """Classify all errors of a system, and return the `examples` items with most of them."""
    kinds = Counter({CORRECT: 0} | dict.fromkeys(KINDS, 0))
    confused: Counter[tuple[str, str]] = Counter()
    items = []
    for id, text, labels in zip(gold.ids, gold.texts, gold.labels, strict=True):
        predicted_labels = predicted.get(id, frozenset())
        correct = labels & predicted_labels
        kinds[CORRECT] += len(correct)
        if labels == predicted_labels:
            continue
        errors = classify_errors(labels, predicted_labels)
        for error in errors:
            kinds[error.kind] += 1
            if error.kind in (TYPE, BOTH) and error.gold and error.predicted:
                confused[error.gold[-1], error.predicted[-1]] += 1
        items.append((-len(errors), id, text, correct, errors))
    items.sort(key=lambda item: item[:2])
    worst = [
        Example(id, text, tuple(sorted(correct)), tuple(errors), id in predicted)
        for _, id, text, correct, errors in items[:examples]
    ]
    ordered = sorted(confused.items(), key=lambda pair: (-pair[1], pair[0]))
    return ErrorAnalysis(dict(kinds), tuple((*pair, number) for pair, number in ordered), tuple(worst))
