"""Lists are read in chunks; the quick check of an export agrees with the schema."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from jinbench.annotation import exports
from jinbench.core import schemas
from jinbench.core.errors import DataError
from jinbench.labelstudio.server import client
from tests.helpers.benchmarks import MINI

TASKS = json.loads((MINI / "annotation" / "exports" / "annotator-a.json").read_text())
STRINGS = some.text(some.sampled_from('ab津𠮷[]{},:"\\\n'), max_size=6)
VALUES = some.recursive(
    STRINGS | some.integers() | some.none(), lambda x: some.lists(x) | some.dictionaries(STRINGS, x)
)


def split(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@settings(deadline=None, max_examples=40)
@given(some.lists(some.dictionaries(STRINGS, VALUES), max_size=5), some.integers(1, 40), some.sampled_from([None, 1]))
def test_a_list_is_read_in_chunks_of_any_size(rows: list[Any], size: int, indent: int | None) -> None:
    text = json.dumps(rows, ensure_ascii=False, indent=indent) + "\n"
    assert list(client.iterate_json_array(split(text, size))) == rows
    for cut in range(0, len(text) - 1, len(text) // 25 + 1):
        with pytest.raises(ValueError, match="cut off"):
            list(client.iterate_json_array(split(text[:cut], size)))


@pytest.mark.parametrize("text", ["", "{}", "null", '[{"a": 1}', '[{"a": 1}] x', "[{]"])
def test_broken_lists_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cut off"):
        list(client.iterate_json_array([text]))


@settings(deadline=None)
@given(some.data())
def test_what_is_plain_has_the_form_of_the_schema(data: some.DataObject) -> None:
    """One value anywhere in an export is put in the place of another."""
    tasks = copy.deepcopy(TASKS[:2])
    place: Any = tasks
    for _ in range(data.draw(some.integers(1, 7))):
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = data.draw(some.sampled_from(keys))
        if not isinstance(place[key], dict | list) or data.draw(some.integers(0, 3)) == 0:
            place[key] = data.draw(VALUES | some.booleans() | some.floats(0, 1))
            break
        place = place[key]
    try:
        schemas.check_shape(tasks, "export", "x")
    except DataError:
        assert not all(map(exports._has_export_form, tasks))


def test_exports_as_they_are_written_are_plain() -> None:
    assert all(map(exports._has_export_form, TASKS))
