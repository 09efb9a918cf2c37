"""Offsets of all libraries, and surfaces as a page displays them."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jinbench.core.errors import Problem
from jinbench.core.spans import displays_as, to_integer, validate_span


class Tensor:
    """A tensor of one element, as PyTorch has it."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def __index__(self) -> int:
        return 3


WHOLE = [3, np.int64(3), np.uint8(3), np.array(3), pa.scalar(3), Tensor("torch.int64")]
OTHERS = [3.0, "3", None, True, np.bool_(True), np.array(True), np.float32(3), np.array([3, 4]), pa.scalar(3.0),
          pa.scalar(True), Tensor("torch.bool"), [3]]  # fmt: skip


@pytest.mark.parametrize("value", [*WHOLE, *OTHERS], ids=lambda value: type(value).__name__)
@pytest.mark.filterwarnings("error")
def test_whole_numbers_of_other_libraries_are_offsets(value: Any) -> None:
    is_whole = any(value is one for one in WHOLE)
    assert to_integer(value) == (3 if is_whole else None)
    problems: list[Problem] = []
    span = validate_span("abcd", ["X"], (0, value, "X", None), "x", problems)
    assert (span is not None and type(span.end) is int, len(problems)) == (is_whole, not is_whole)


@pytest.mark.parametrize(
    ("text", "surface", "same"),
    [
        ("a  b", "a b", True), ("a\nb", "a\\nb", True), ("a\r\n b", "a b", True), ("a\\nb", "a\\nb", True),
        ("a\u3000b", "a b", True), ("ab", "a b", False), ("a b", "ab", False), (" a", "a", False), ("a", 3, False),
    ],
)  # fmt: skip
def test_surfaces_as_a_page_displays_them(text: str, surface: object, same: bool) -> None:
    assert displays_as(text, surface) == same
