"""Plain text of Markdown documents."""

import pytest

from jinbench.core.errors import DataError
from jinbench.publish import markdown
from tests.helpers.cards import CARD


def test_sections_are_plain_text_without_generated_parts_and_code() -> None:
    assert markdown.split_sections(CARD) == {
        "Title": ["One two three four."],
        "Known weaknesses": ["first, which goes on", "second", "page: 1; publisher: none."],
        "Uses": [],
    }


@pytest.mark.parametrize("text", ["a: [", "- a\n- b", "a: b: c", "just words"])
def test_broken_front_matter_is_located(text: str) -> None:
    for name in ("DATASET_CARD.md", "CITATION.cff"):
        with pytest.raises(DataError, match=f"{name}: wrong-shape"):
            markdown.parse_front_matter(text, name)
