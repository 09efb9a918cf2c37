"""The leaderboard as one page: a file that opens anywhere, asks the network for nothing and runs nothing it was given.

Everything that is shown is either text, which Jinja2 escapes, or a record in JSON that the page's own script puts into
text nodes. A Content-Security-Policy allows that script and that style by their hashes, and nothing else.
"""

import base64
import hashlib
import re
import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinbench.annotation.annotators import Annotators, read_annotators
from jinbench.annotation.labels import read_label_set
from jinbench.core.benchmark import Benchmark
from jinbench.leaderboard import ranking
from jinbench.leaderboard.ranking import REMARKS, Board, Row
from jinbench.scoring.results import FEW, Cell, rounded

NAME = "index.html"
LANGUAGES = {"en": "en", "zh": "zh-Hans"}  # of strings.toml, and what HTML calls them
_TEMPLATES = Path(__file__).with_name("templates")
_SCRIPTS = ("basics.js", "board.js", "system.js", "compare.js", "main.js")
_LINK = re.compile(r"https?://[^\s\"'<>\\]+", re.IGNORECASE)


def build_page(benchmark: Benchmark, boards: Sequence[Board]) -> dict[str, str]:
    """Everything that is generated in `leaderboard/`, by name of the file: the tables, and the page.

    Raises :class:`DataError` (what is wrong with labels.toml or annotators.toml).
    """
    known = read_annotators(benchmark) if benchmark.annotators.is_file() else None
    page = render_page(boards, read_label_set(benchmark).title, labelled(known) if known else "")
    return ranking.markdown_tables(boards) | {NAME: page}


def render_page(boards: Sequence[Board], title: str, labelled: str = "") -> str:
    """The page. The same boards give the same text. `labelled`: what made the labels, see :func:`labelled`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "ensure_ascii": False, "separators": (",", ":")}
    style = _read("page.css")
    script = '"use strict";\n{\n' + "\n".join(map(_read, _SCRIPTS)) + "}\n"
    said = strings()
    for each in said.values():
        names = each.pop("intro_names")
        if {board.task for board in boards} == {"ner"}:  # without sectors; or a corpus that somebody else made
            each["intro"] = names
    text = environment.get_template("page.html").render(
        title=title,
        boards=[board for board in boards if board.rows],
        data=_data(boards, title, labelled, said),
        said=said,
        languages=LANGUAGES,
        labelled=labelled,
        remarks=ranking.remarks,
        figure=_figure,
        unranked=_unranked,
        few=FEW,
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
    )
    return text.encode("utf-8", "replace").decode()  # half a surrogate pair, which JSON may hold, cannot be written


def strings() -> dict[str, dict[str, str]]:
    """What the page says, by language and key. A key in a table of strings.toml has that table's name before it."""
    tables = tomllib.loads(_read("strings.toml"))
    tables["en"]["remark"] = REMARKS
    return {language: _flat(tables[language]) for language in LANGUAGES}


def labelled(known: Annotators) -> str:
    """What made the labels that the gold is made from: a kind of annotator, or `mixed`."""
    return next(iter(known.kinds)) if len(known.kinds) == 1 else "mixed"


def link(text: str) -> str:
    """An address that may be followed, or nothing."""
    return text if _LINK.fullmatch(text) else ""


def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a Content-Security-Policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _flat(table: dict[str, Any], before: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in table.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return found


def _data(boards: Sequence[Board], title: str, labelled: str, said: dict[str, dict[str, str]]) -> dict[str, Any]:
    """What the script of the page works from: the records of leaderboard.json, with examples and what is said."""
    return {
        "title": title,
        "few": FEW,
        "languages": LANGUAGES,
        "strings": said,
        "labelled": labelled,
        "boards": [_board(board) for board in boards if board.rows],
    }


def _board(board: Board) -> dict[str, Any]:
    record = board.to_dict()
    record |= {"key": board.key, "articles": board.articles, "signature": board.rows[0].score.signed}
    record["remarks"] = [{"kind": remark.kind, "values": remark.values} for remark in ranking.remarks(board)]
    for row, kept in zip(board.rows, record["rows"], strict=True):
        for name in ("task", "manifest", "signature", "articles"):  # the same for all of a board
            del kept["score"][name]
        kept["place"] = row.place
        kept["about"]["url"] = link(row.about.link)
        kept["mistakes"]["examples"] = rounded([asdict(example) for example in row.mistakes.examples])
    return record


def _unranked(row: Row) -> tuple[str, dict[str, str]] | None:
    """Why a row has no rank, or what there is to doubt: a key of strings.toml with its values."""
    if row.about.given:
        return "why.given", {"what": ", ".join(row.about.given)}
    return (f"why.{row.about.saw_test_articles}", {}) if row.about.saw_test_articles in ("yes", "unknown") else None


def _figure(cell: Cell) -> str:
    """A cell as a table shows it."""
    return f"{cell.correct}/{cell.gold}" if cell.gold < FEW else "–" if cell.f1 is None else f"{cell.f1:.3f}"
