"""HTML tables of result records, for notebooks."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape


def html_table(rows: Sequence[Mapping[str, str]], title: str, notes: Iterable[str] = ()) -> str:
    """Return rows of cells by column title as an HTML table, with notes below it."""
    heads = "".join(f"<th>{escape(name)}</th>" for name in (rows[0] if rows else ()))
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row.values()) + "</tr>" for row in rows)
    head = f"<caption>{escape(title)}</caption><thead><tr>{heads}</tr></thead>"
    return f"<table>{head}<tbody>{body}</tbody></table>" + "".join(f"<p>{escape(note)}</p>" for note in notes)


def format_bounds(low: float | None, high: float | None, sign: str = "") -> str:
    """Return an interval as a cell shows it; a dash for none."""
    return "–" if low is None or high is None else f"[{low:{sign}.3f}, {high:{sign}.3f}]"
