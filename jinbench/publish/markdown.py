"""Plain text out of the hand-written documents, for those that are made of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinbench.core.errors import DataError, Problem, shorten

_HEADING = re.compile(r"^#+ +(.*?)\s*$", re.MULTILINE)
_APART = re.compile(
    r"\A---\n.*?\n---\n|<!-- generated:.*?<!-- end:[a-z-]+ -->|^```.*?^```$|<!--.*?-->", re.DOTALL | re.M
)


@dataclass(frozen=True)
class Documents:
    """The hand-written texts to draw on: the card, CITATION.cff, and what is known of rights. Empty if absent."""

    card: str = ""
    citation: str = ""
    rights: str = ""


NONE = Documents()


def head(text: str, name: str) -> dict[str, Any]:
    """YAML, read as the Hub reads the head of a card.

    Raises :class:`DataError` (wrong-shape), naming the file `name`.
    """
    if not text.strip():
        return {}
    import yaml
    from huggingface_hub import RepoCard

    try:
        found: dict[str, Any] = RepoCard(f"---\n{text}\n---\n").data.to_dict()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, yaml.YAMLError) as error:
        said = shorten(" ".join(str(error).split()), 100)
        raise DataError(
            Problem("wrong-shape", location=name, expected="YAML: names with values", found=said, fix="mend that place")
        ) from None
    return found


def sections(text: str) -> dict[str, list[str]]:
    """The paragraphs below each heading of a document, up to the next heading of any rank, as plain text.

    Generated parts, code and the YAML head are left out. Of headings that stand twice, the first counts.
    """
    bits = _HEADING.split(_APART.sub("", text))
    found: dict[str, list[str]] = {}
    for heading, body in zip(bits[1::2], bits[2::2], strict=True):
        found.setdefault(_plain(heading), _paragraphs(body))
    return found


def intro(parts: Mapping[str, list[str]]) -> list[str]:
    """What stands below the title, before the first section."""
    return next(iter(parts.values()), [])


def _paragraphs(body: str) -> list[str]:
    """Paragraphs, items of lists, and rows of tables with the head of each column.

    A paragraph that ends in a colon only leads to what follows, and is left out.
    """
    found: list[str] = []
    for block in re.split(r"\n\s*\n|\n(?=[-*] )", body.strip()):
        if block.startswith("|"):
            found += _rows(block)
        elif block.strip() and not block.endswith(":"):
            found.append(_plain(re.sub(r"^[-*] ", "", block)))
    return found


def _rows(table: str) -> list[str]:
    head, _, *rows = [
        [_plain(cell) for cell in line.strip().strip("|").split("|")] for line in table.strip().split("\n")
    ]
    return ["; ".join(f"{name}: {cell}" for name, cell in zip(head, row, strict=False) if cell) + "." for row in rows]


def _plain(text: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(\*\*?)(\S.*?)\1", r"\2", text, flags=re.DOTALL)
    return " ".join(text.replace("`", "").split())
