"""Lists are read in chunks."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from jinbench.labelstudio.server import client

STRINGS = some.text(some.sampled_from('ab津𠮷[]{},:"\\\n'), max_size=6)
VALUES = some.recursive(
    STRINGS | some.integers(-(2**62), 2**62) | some.none(), lambda x: some.lists(x) | some.dictionaries(STRINGS, x)
)


def split(text: str, size: int) -> list[bytes]:
    data = text.encode()
    return [data[at : at + size] for at in range(0, len(data), size)]


@settings(max_examples=40)
@given(some.lists(some.dictionaries(STRINGS, VALUES), max_size=5), some.integers(1, 40), some.sampled_from([None, 1]))
def test_a_list_is_read_in_chunks_of_any_size(rows: list[Any], size: int, indent: int | None) -> None:
    text = json.dumps(rows, ensure_ascii=False, indent=indent) + "\n"
    assert list(client.iterate_json_array(split(text, size))) == rows
    for cut in range(0, len(text) - 1, len(text) // 25 + 1):
        with pytest.raises(ValueError, match="JSON array"):
            list(client.iterate_json_array(split(text[:cut], size)))


@pytest.mark.parametrize("text", ["", "{}", "null", '[{"a": 1}', '[{"a": 1}] x', "[{]"])
def test_broken_lists_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="JSON array"):
        list(client.iterate_json_array([text.encode()]))
