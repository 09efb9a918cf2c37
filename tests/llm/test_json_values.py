"""JSON in replies: valid JSON is read as it is; of what breaks off, the complete elements; no repeated key is lost."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jinbench.llm.json_values import MAX_DEPTH, KeyValuePairs, find_values

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def to_plain(value: Any) -> Any:
    if isinstance(value, KeyValuePairs):
        return {key: to_plain(part) for key, part in value}
    return [to_plain(part) for part in value] if isinstance(value, list) else value


@given(st.lists(JSON) | st.dictionaries(st.text(), JSON), st.booleans(), st.sampled_from([None, 1]))
def test_valid_json_is_read_as_json(value: Any, ascii: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii, indent=indent)
    values = find_values(f"Here: {text} !")
    assert len(values) == 1
    assert not values[0].truncated
    assert to_plain(values[0].value) == value


QUOTED = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\\"))


@given(st.lists(st.fixed_dictionaries({"a": QUOTED, "b": st.integers(0, 99)}), min_size=1), st.data())
def test_complete_elements_of_truncated_json_are_kept(elements: list[dict[str, Any]], data: st.DataObject) -> None:
    text = json.dumps(elements)
    cut = data.draw(st.integers(1, len(text) - 1))
    whole = sum(cut >= len(json.dumps(elements[: number + 1])) - 1 for number in range(len(elements)))
    values = find_values(text[:cut])
    lists = [value for value in values if value.value and not isinstance(value.value, KeyValuePairs)]
    assert [(to_plain(value.value), value.truncated) for value in lists] == [(elements[:whole], True)] * (whole > 0)
    assert any(value.truncated for value in values)


@pytest.mark.parametrize(
    "text",
    [
        "{'a': '1', 'a': '2', b: 3}",
        '{"a": "1", "a": "2", "b": 3, "c": "',
        "{“a”\uff1a“1”\uff0c“a”\uff1a“2”\uff0c“b”\uff1a3}",
    ],
)
def test_repeated_keys_of_broken_json_are_kept(text: str) -> None:
    assert [value.value for value in find_values(text)] == [[("a", "1"), ("a", "2"), ("b", 3)]]


def test_value_nested_too_deeply_is_left_out() -> None:
    for depth, count in ((MAX_DEPTH, 1), (MAX_DEPTH + 1, 0), (400, 0)):
        assert len(find_values("[[], " * (depth - 1) + "[]" + "]" * (depth - 1))) == count


def test_broken_json_beyond_the_limit_counts_as_truncated() -> None:
    (value,) = find_values("[" + "{'a': '天津'}, " * 5000 + "]")
    assert value.truncated
    assert {*map(tuple, value.value)} == {(("a", "天津"),)}
