"""Where other scorers differ: every number of that table is measured again, and stands in docs/scoring.md."""

import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from nervaluate import Evaluator
from seqeval.metrics import f1_score
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, IOBES

from jinbench.core.errors import DataError
from jinbench.scoring import schemes, score
from jinbench.scoring.counts import BOUNDARY, EXACT, OVERLAP, TYPE
from jinbench.scoring.gold import LabelKey
from jinbench.scoring.schemes import REPAIRS
from tests.helpers.paths import ROOT
from tests.helpers.scoring import gold_of, guesses, labels, named, vectors

DOCUMENT = ROOT / "docs" / "scoring.md"
TYPES, ROWS = vectors("differences")
RULES = {"jinbench": EXACT, "boundary": BOUNDARY, "type": TYPE, "overlap": OVERLAP}
STRATEGIES = ("strict", "exact", "ent_type", "partial")
NOTHING = "–"  # what a scorer cannot be asked

Value = float | str


def measure_or_error(measure: Callable[[], Any]) -> Value:
    """Return the number, or the name of the error that is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = measure()
        except DataError as error:
            return error.problems[0].code
        except (ValueError, KeyError) as error:
            return type(error).__name__
    return "undefined" if value is None else round(float(value), 6)


def sides(row: dict[str, Any], repair: str | None = None) -> list[list[set[LabelKey]]]:
    """Gold and predicted spans of each item. Only predictions are repaired: gold is valid."""
    if row.get("spans"):
        return [[set(map(tuple, item)) for item in row[side]] for side in ("gold", "predicted")]
    scheme = row.get("scheme", "BIO")
    return [
        labels(schemes.tags_to_table(row[side], TYPES, scheme, how), TYPES)  # type: ignore[misc]
        for side, how in (("gold", None), ("predicted", repair))
    ]


def by_jinbench(row: dict[str, Any], rule: str, repair: str | None = None) -> float | None:
    gold, predicted = sides(row, repair)
    times = row.get("repeat", 1)
    scores = score.score_predictions(gold_of(gold * times, tuple(TYPES)), guesses(*predicted * times), rule)
    return scores.macro.f1 if row.get("macro") else scores.micro.f1


def by_conlleval(row: dict[str, Any]) -> float:
    """From the rules of Tjong Kim Sang and Buchholz (2000): B begins, and I after O or after another type."""

    def chunks(tags: list[str]) -> set[tuple[int, int, str]]:
        spans: list[list[Any]] = []
        for i, tag in enumerate(tags):
            continues = tag[0] == "I" and i > 0 and tags[i - 1] != "O" and tags[i - 1][2:] == tag[2:]
            if continues:
                spans[-1][1] = i + 1
            elif tag != "O":
                spans.append([i, i + 1, tag[2:]])
        return {(start, end, type) for start, end, type in spans}

    gold, predicted = ([chunks(item) for item in row[side]] for side in ("gold", "predicted"))
    right = sum(len(a & b) for a, b in zip(gold, predicted, strict=True))
    total = sum(map(len, gold)) + sum(map(len, predicted))
    return 2 * right / total if right else 0.0


def by_seqeval(row: dict[str, Any], strict: bool) -> float:
    times = row.get("repeat", 1)
    more = {"mode": "strict", "scheme": {"BIO": IOB2, "BIOES": IOBES}[row.get("scheme", "BIO")]} if strict else {}
    average = "macro" if row.get("macro") else "micro"
    return float(f1_score(row["gold"] * times, row["predicted"] * times, average=average, zero_division=0, **more))


def by_nervaluate(row: dict[str, Any], strategy: str) -> float:
    true, predicted = row["gold"], row["predicted"]
    if row.get("spans"):
        true, predicted = (
            [[{"start": a, "end": b - 1, "label": type} for a, b, type in item] for item in row[side]]
            for side in ("gold", "predicted")
        )
    results = Evaluator(true, predicted, tags=TYPES, loader="dict" if row.get("spans") else "list").evaluate()
    return float(results["overall"][strategy].f1)


def measure_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return the result of each scorer for a row."""
    tagged, plain = not row.get("spans"), not row.get("spans") and row.get("scheme", "BIO") == "BIO"
    letters = {tag[0] for side in ("gold", "predicted") for item in row[side] for tag in item} if tagged else set()
    as_long = len(row["gold"]) == len(row["predicted"])
    readable = plain and letters <= set("BIO") and as_long and not row.get("macro")
    results: dict[str, Any] = {
        key: measure_or_error(lambda rule=rule: by_jinbench(row, rule)) for key, rule in RULES.items()
    }
    if results["jinbench"] == "wrong-tags":
        results = {"jinbench": "wrong-tags"}
        results |= {
            repair: measure_or_error(lambda repair=repair: by_jinbench(row, EXACT, repair)) for repair in REPAIRS
        }
    if row.get("macro"):
        results = {"jinbench": results["jinbench"]}
    results["conlleval"] = measure_or_error(lambda: by_conlleval(row)) if readable else NOTHING
    results["seqeval_default"] = measure_or_error(lambda: by_seqeval(row, False)) if tagged else NOTHING
    results["seqeval_strict"] = measure_or_error(lambda: by_seqeval(row, True)) if tagged else NOTHING
    for strategy in STRATEGIES:
        has_micro = not row.get("macro")
        results[f"nervaluate_{strategy}"] = (
            measure_or_error(lambda strategy=strategy: by_nervaluate(row, strategy)) if has_micro else NOTHING
        )
    return results


def format_value(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:.3f}"


def format_code(value: Value) -> str:
    """Errors and codes as code."""
    return f"`{value}`" if isinstance(value, str) and value not in (NOTHING, "undefined") else format_value(value)


def sequence(row: dict[str, Any], side: str) -> str:
    """The example: items are parted by a stroke, a span is written X[0,2)."""
    items = [
        " ".join(f"{type}[{a},{b})" for a, b, type in item) if row.get("spans") else " ".join(item)
        for item in row[side]
    ]
    return f"`{' / '.join(items)}`" + (f" × {row['repeat']}" if row.get("repeat") else "")


def join_values(values: list[Value]) -> str:
    return format_code(values[0]) if len(set(values)) == 1 else " / ".join(map(format_code, values))


def render_row(row: dict[str, Any]) -> str:
    """The row of the table in the document."""
    if "begin" in row:
        repaired = f"begin {format_code(row['begin'])}, drop {format_code(row['drop'])}"
        helps = {row[repair] for repair in REPAIRS} != {row["jinbench"]}
        ours = f"{format_code(row['jinbench'])}; {repaired if helps else 'no repair helps'}"
    else:
        ours = join_values([row[key] for key in RULES if key in row])
    cells = [
        row["name"] + (" (macro-F1)" if row.get("macro") else ""),
        f"{sequence(row, 'gold')}<br>{sequence(row, 'predicted')}",
        ours,
        *(format_code(row[key]) for key in ("conlleval", "seqeval_default", "seqeval_strict")),
        join_values([row[f"nervaluate_{strategy}"] for strategy in STRATEGIES]),
        row["why"],
    ]
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("row", **named(ROWS))
def test_each_scorer_says_what_the_table_says(row: dict[str, Any]) -> None:
    results = measure_row(row)
    assert {key: row.get(key) for key in results} == results
    assert render_row(row) in DOCUMENT.read_text(encoding="utf-8").splitlines()


def test_the_document_has_no_other_rows() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    table = text[text.index("<!-- differences -->") : text.index("<!-- end:differences -->")]
    assert len(re.findall(r"^\|", table, re.MULTILINE)) == len(ROWS) + 2


def test_every_row_is_a_difference() -> None:
    """Else it would have no place in the table."""
    for row in ROWS:
        keys = [key for key in row if key in RULES or key.startswith(("conlleval", "seqeval", "nervaluate"))]
        assert len({row[key] for key in keys if row[key] != NOTHING}) > 1, row["name"]


def test_conlleval_here_is_seqeval_default() -> None:
    """On B, I and O both follow the same rules."""
    for row in ROWS:
        if row["conlleval"] != NOTHING:
            assert row["conlleval"] == row["seqeval_default"]
    assert get_entities(["I-X", "I-X", "O", "I-Y"]) == [("X", 0, 1), ("Y", 3, 3)]
