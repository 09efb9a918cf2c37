"""Plain text of the hand-written Markdown documents."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from jinbench.core.errors import fail, shorten
from jinbench.core.types import JsonObject

CARD, DETAILS = "DATASET_CARD.md", "docs/dataset.md"  # what the Hub shows, and what it has no room for

_HEADING = re.compile(r"^#+ +(.*?)\s*$", re.MULTILINE)
_GENERATED_OR_CODE = re.compile(
    r"\A---\n.*?\n---\n|<!-- generated:.*?<!-- end:[a-z-]+ -->|^```.*?^```$|<!--.*?-->", re.DOTALL | re.M
)


Sections = Mapping[str, list[str]]  # paragraphs by heading


@dataclass(frozen=True)
class Documents:
    """Texts of the hand-written documents, empty if absent. `title`: the name if no document has one."""

    title: str
    card: str = ""
    details: str = ""
    citation: str = ""
    rights: str = ""


def parse_front_matter(text: str, name: str) -> JsonObject:
    """Parse YAML as the Hub reads it at the top of a card.

    Raises :class:`DataError` (wrong-shape), naming the file `name`.
    """
    if not text.strip():
        return {}
    import yaml
    from huggingface_hub import RepoCard

    try:
        front_matter: JsonObject = RepoCard(f"---\n{text}\n---\n").data.to_dict()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, yaml.YAMLError) as error:
        message = shorten(" ".join(str(error).split()), 100)
        fail("wrong-shape", name, expected="YAML: names with values", found=message, fix="correct the YAML")
    return front_matter


def split_sections(text: str) -> dict[str, list[str]]:
    """Return the paragraphs under each heading, up to the next heading of any level, as plain text.

    Generated sections, code and the YAML block are left out. Of a repeated heading, the first counts.
    """
    pieces = _HEADING.split(_GENERATED_OR_CODE.sub("", text))
    sections: dict[str, list[str]] = {}
    for heading, body in zip(pieces[1::2], pieces[2::2], strict=True):
        sections.setdefault(_to_plain_text(heading), _split_paragraphs(body))
    return sections


def introduction(sections: Sections) -> list[str]:
    """Return the paragraphs between the title and the first section."""
    return next(iter(sections.values()), [])


def _split_paragraphs(body: str) -> list[str]:
    """Return paragraphs, list items, and table rows with the head of each column.

    A paragraph that ends in a colon only introduces the next one, and is left out.
    """
    paragraphs: list[str] = []
    for block in re.split(r"\n\s*\n|\n(?=[-*] )", body.strip()):
        if block.startswith("|"):
            paragraphs += _table_rows(block)
        elif block.strip() and not block.endswith(":"):
            paragraphs.append(_to_plain_text(re.sub(r"^[-*] ", "", block)))
    return paragraphs


def _table_rows(table: str) -> list[str]:
    head, _, *rows = [
        [_to_plain_text(cell) for cell in line.strip().strip("|").split("|")] for line in table.strip().split("\n")
    ]
    return ["; ".join(f"{name}: {cell}" for name, cell in zip(head, row, strict=False) if cell) + "." for row in rows]


def _to_plain_text(text: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(\*\*?)(\S.*?)\1", r"\2", text, flags=re.DOTALL)
    return " ".join(text.replace("`", "").split())
