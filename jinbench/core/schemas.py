"""Validate data against the JSON Schemas in schemas/."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinbench.core.errors import Problem, raise_if_any, shorten

_SCHEMAS = Path(__file__).parent.parent / "schemas"

_NONE = "no field of this name"


def read_schema(name: str) -> dict[str, Any]:
    """`jinbench/schemas/<name>.json`."""
    rules: dict[str, Any] = json.loads((_SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    return rules


def check_shape(value: Any, schema: str, where: str) -> None:
    """Hold `value` against `jinbench/schemas/<schema>.json`. Raises :class:`DataError` (wrong-shape), all at once."""
    from jsonschema import Draft202012Validator

    problems = []
    for error in Draft202012Validator(read_schema(schema)).iter_errors(value):
        place = error.json_path.removeprefix("$").removeprefix(".")
        for inside, expected, found in _in_words(error):
            at = ".".join(filter(None, (place, inside)))
            what = f"fill in {at}" if found == "nothing" else f"correct {at or 'the file'}"
            what = f"correct its name, or take {at} out" if expected == _NONE else what
            hint = f"{what}; schemas/{schema}.json in the package gives the form"
            problems.append(
                Problem("wrong-shape", location=f"{where} {at}".strip(), expected=expected, found=found, fix=hint)
            )
    raise_if_any(problems)


def _in_words(error: Any) -> list[tuple[str, str, str]]:
    """Of an error against a JSON Schema: at which field below its place, what was expected, and what was found."""
    rule, value, fields = error.validator_value, error.instance, error.schema.get("properties", {})
    said = error.schema.get("description")
    if error.validator == "required":  # an error for each field, which its message alone names
        missing = next((name for name in rule if repr(name) in error.message), "")
        return [(missing, fields.get(missing, {}).get("description", "a field of this name"), "nothing")]
    if error.validator == "additionalProperties" and rule is False:
        patterns = error.schema.get("patternProperties", ())
        unknown = [name for name in value if name not in fields and not any(re.search(p, name) for p in patterns)]
        return [(str(name), _NONE, shorten(value[name], 100)) for name in unknown]
    if error.validator == "type":
        return [("", rule if isinstance(rule, str) else " or ".join(rule), shorten(error.message, 100))]
    texts: dict[str, Callable[[], str]] = {
        "enum": lambda: f"one of {', '.join(map(str, rule))}",
        "const": lambda: str(rule),
        "maxLength": lambda: f"{rule:,} characters or fewer",
        "minLength": lambda: f"{rule:,} characters or more",
        "minItems": lambda: f"{rule:,} of them or more",
        "maxItems": lambda: f"{rule:,} of them or fewer",
        "minProperties": lambda: f"{rule:,} fields or more",
        "minimum": lambda: f"{rule} or more",
        "maximum": lambda: f"{rule} or less",
        "exclusiveMinimum": lambda: f"more than {rule}",
        "uniqueItems": lambda: "each of them once",
    }
    plain = texts.get(error.validator)
    expected = plain() if plain else said or json.dumps({error.validator: rule}, ensure_ascii=False)
    if error.validator == "maxLength":
        return [("", expected, f"{len(value):,}")]
    blank = isinstance(value, str) and not value.strip()
    return [("", expected, "nothing" if blank else shorten(value, 100))]
