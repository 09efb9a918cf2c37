"""The leaderboard as one self-contained HTML page: it loads nothing and runs nothing that a submitter wrote.

All text is either escaped by Jinja2, or in a JSON record that the page's own script puts into text nodes. A
Content-Security-Policy allows that script and that style by their hashes, and nothing else.
"""

import base64
import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from jinbench.annotation.annotators import read_annotators
from jinbench.annotation.errata import read_errata
from jinbench.annotation.labels import LabelDefinition, read_label_set
from jinbench.core.benchmark import Benchmark
from jinbench.core.templates import make_environment
from jinbench.core.text import escape_invisible, replace_unencodable
from jinbench.core.types import JsonObject
from jinbench.core.version import __version__
from jinbench.dataset.load import read_manifest
from jinbench.leaderboard.board import ANNOTATORS, REMARKS, WHO, Board, BoardRow, combine_kinds, safe_link
from jinbench.leaderboard.tables import format_board_files
from jinbench.scoring.results import MIN_GOLD_MENTIONS, Cell, round_floats

PAGE_FILE = "index.html"
LANGUAGES = {"en": "en", "zh": "zh-Hans"}  # of strings.toml, and what HTML calls them
_TEMPLATES = Path(__file__).with_name("templates")
_SCRIPTS = ("basics.js", "board.js", "system.js", "compare.js", "main.js")


def build_page(benchmark: Benchmark, boards: Sequence[Board]) -> dict[str, str]:
    """Return all generated files of `leaderboard/` by name: the tables, and the page.

    Raises:
        DataError: With the problems of labels.toml, annotators.toml, the errata, or the manifest.
    """
    label_set, dates, kind = read_label_set(benchmark), [erratum.date for erratum in read_errata(benchmark)], ""
    if benchmark.annotators.is_file():
        annotators = read_annotators(benchmark)
        kind, dates = combine_kinds(annotators.kinds), dates + [entry.date for entry in annotators.entries]
    facts = [
        ("dataset", ", ".join([read_manifest(benchmark)["version"], *sorted(dates)[-1:]])),
        ("package", __version__),
        *([("card", benchmark.card.name)] if benchmark.card.is_file() else []),
    ]
    text = render_page(boards, label_set.title, kind, (*label_set.entities, *label_set.sectors), facts)
    return format_board_files(boards) | {PAGE_FILE: text}


def render_page(
    boards: Sequence[Board],
    title: str,
    labelled_by: str = "",
    labels: Sequence[LabelDefinition] = (),
    facts: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the HTML of the page; the same tables give the same text.

    Args:
        boards: The leaderboard tables; those without rows are left out.
        title: Heading of the page.
        labelled_by: Kind of the annotators, or "mixed"; empty if there are none.
        labels: Labels, for their names in both languages.
        facts: What the head says: keys of the table "fact" in strings.toml, with values.
    """
    environment = make_environment(_TEMPLATES, autoescape=True)
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "ensure_ascii": False, "separators": (",", ":")}
    style = _read("page.css")
    script = '"use strict";\n{\n' + "\n".join(map(_read, _SCRIPTS)) + "}\n"
    strings = read_strings()
    for language, texts in strings.items():
        texts |= {f"label.{label.name}": getattr(label, language) for label in labels}
        names_only = texts.pop("intro_names")
        if {board.task for board in boards} == {"ner"}:  # without sectors; or a corpus that somebody else made
            texts["intro"] = names_only
    text = environment.get_template("page.html").render(
        title=title,
        boards=[board for board in boards if board.rows],
        data={
            "title": title,
            "few": MIN_GOLD_MENTIONS,
            "languages": LANGUAGES,
            "strings": strings,
            "labelled_by": labelled_by,
            "facts": facts,
            "boards": [_board(board) for board in boards if board.rows],
        },
        strings=strings,
        facts=facts,
        languages=LANGUAGES,
        labelled_by=labelled_by,
        figure=_figure,
        safe_link=safe_link,
        unranked=_unranked,
        few=MIN_GOLD_MENTIONS,
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
    )
    # Half a surrogate pair cannot stand in an address; the other escapes are those of JSON inside the data.
    return escape_invisible(replace_unencodable(text), keep="\n\t")


def read_strings() -> dict[str, dict[str, str]]:
    """Return the texts of the page by language and key; a key in a table of strings.toml is "table.key"."""
    tables = tomllib.loads(_read("strings.toml"))
    tables["en"] |= {"annotators": ANNOTATORS, "remark": REMARKS, "who": WHO}
    return {language: _flatten(tables[language]) for language in LANGUAGES}


def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Hash as a Content-Security-Policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _flatten(table: JsonObject, prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in table.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _board(board: Board) -> JsonObject:
    """Return the record of leaderboard.json with what the page's script needs besides."""
    record = board.to_dict()
    record |= {"key": board.key, "articles": board.articles, "signature": board.rows[0].score.signature_text}
    record |= {"annotators": board.annotator_kind, "optional": board.optional_columns}
    record["remarks"] = [{"kind": remark.kind, "values": remark.values} for remark in board.remarks]
    for row, stored in zip(board.rows, record["rows"], strict=True):
        for name in ("task", "manifest", "signature", "articles"):  # the same for all rows of a table
            del stored["score"][name]
        stored["rank_range"] = row.rank_range
        stored["about"]["url"] = safe_link(row.about.link)
        stored["mistakes"]["examples"] = [round_floats(asdict(example)) for example in row.mistakes.examples]
    return record


def _unranked(row: BoardRow) -> tuple[str, dict[str, str]] | None:
    """Return why a row has no rank, or what there is to doubt: a key of strings.toml with its values."""
    if row.about.oracle_inputs:
        return "why.oracle", {"what": ", ".join(row.about.oracle_inputs)}
    return (f"why.{row.about.saw_test_articles}", {}) if row.about.saw_test_articles in ("yes", "unknown") else None


def _figure(cell: Cell) -> str:
    """Return a cell as a table prints it."""
    if cell.gold < MIN_GOLD_MENTIONS:
        return f"{cell.correct}/{cell.gold}"
    return "–" if cell.f1 is None else f"{cell.f1:.3f}"
