"""Validate data against the JSON Schemas in schemas/."""

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinbench.core.errors import ErrorList, shorten
from jinbench.core.text import is_file_name
from jinbench.core.types import JsonObject

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, ValidationError

_SCHEMAS = Path(__file__).parent.parent / "schemas"

_NONE = "no field of this name"


def read_schema(name: str) -> JsonObject:
    """Read `jinbench/schemas/<name>.json`."""
    rules: JsonObject = json.loads((_SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    return rules


@cache
def _make_validator(schema: str) -> "Draft202012Validator":
    from jsonschema import Draft202012Validator, FormatChecker

    formats = FormatChecker(())
    formats.checks("file-name")(lambda value: not isinstance(value, str) or is_file_name(value))
    return Draft202012Validator(read_schema(schema), format_checker=formats)


def check_shape(value: object, schema: str, location: str) -> None:
    """Validate `value` against `jinbench/schemas/<schema>.json`.

    Raises :class:`DataError` (wrong-shape) with all errors.
    """
    problems = ErrorList()
    for error in _make_validator(schema).iter_errors(value):
        path = error.json_path.removeprefix("$").removeprefix(".")
        for inside, expected, found in _explain(error):
            field = ".".join(filter(None, (path, inside)))
            what = f"fill in {field}" if found == "nothing" else f"correct {field or 'the file'}"
            what = f"correct its name, or remove {field}" if expected == _NONE else what
            fix = f"{what}; schemas/{schema}.json in the package gives the form"
            problems.add("wrong-shape", f"{location} {field}".strip(), expected=expected, found=found, fix=fix)
    problems.raise_if_any()


def _explain(error: "ValidationError") -> list[tuple[str, str, str]]:
    """Return (field below the place of the error, expected, found) for an error against a JSON Schema."""
    rule, value, fields = error.validator_value, error.instance, error.schema.get("properties", {})
    description = error.schema.get("description")
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
    text = texts.get(error.validator)
    expected = text() if text else description or json.dumps({error.validator: rule}, ensure_ascii=False)
    if error.validator == "maxLength":
        return [("", expected, f"{len(value):,}")]
    blank = isinstance(value, str) and not value.strip()
    return [("", expected, "nothing" if blank else shorten(value, 100))]
