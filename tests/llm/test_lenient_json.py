"""Lenient JSON: valid JSON is read as it is; complete elements of truncated JSON are kept."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jinbench.llm import lenient_json
from jinbench.llm.lenient_json import KeyValuePairs

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
    values = lenient_json.find_values(f"Here: {text} !")
    assert len(values) == 1
    assert values[0].whole
    assert to_plain(values[0].value) == value


@given(st.lists(st.fixed_dictionaries({"a": st.text(), "b": st.integers(0, 99)}), min_size=1), st.data())
def test_complete_elements_of_truncated_json_are_kept(elements: list[dict[str, Any]], data: st.DataObject) -> None:
    text = json.dumps(elements)
    cut = data.draw(st.integers(1, len(text) - 1))
    whole = sum(cut >= len(json.dumps(elements[: number + 1])) - 1 for number in range(len(elements)))
    values = lenient_json.find_values(text[:cut])
    lists = [value for value in values if value.value and not isinstance(value.value, KeyValuePairs)]
    assert [(to_plain(value.value), value.whole) for value in lists] == [(elements[:whole], False)] * (whole > 0)
    assert any(value.truncated for value in values)
