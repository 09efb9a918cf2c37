"""spaCy's documents: a DocBin (.spacy), or what Doc.to_json gives, in a list (.json) or one on a line (.jsonl).

A character is a token in a DocBin, as in `spacy.blank("zh")`: so every span begins and ends with one. `doc.ents`
cannot overlap: where spans do, all of them stand in `doc.spans["sc"]` as well, and what `flat` keeps in `doc.ents`.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinbench.core import files
from jinbench.core.errors import DataError, Problem, shorten
from jinbench.formats.base import ConversionLog, Document, flat, identified, spans_in, text_of
from jinbench.formats.jsonl import GROUP, rows_of

KEY = "sc"  # of the spans that overlap, as spaCy's own span categorizer has it
SURE = 0.5  # a class is one whose score is at least this


def spacy() -> Any:
    """The package. Raises :class:`DataError` (package-missing)."""
    try:
        import spacy as package
    except ImportError:
        hint = "pip install 'jinbench[spacy]'; the JSON form needs no package: name the file .json"
        expected = "the package spacy to be installed"
        raise DataError(
            Problem("package-missing", location=".spacy", expected=expected, found="it is not", fix=hint)
        ) from None
    return package


def is_row(row: Any) -> bool:
    return isinstance(row, dict) and "text" in row and "ents" in row


def read(path: Path, notes: ConversionLog, group: str | None = None, offsets: str | None = None,
         **_: object) -> Iterator[Document]:  # fmt: skip
    """The documents of a file: entities and spans of all keys, and classes with a score of a half or more."""
    rows = _of_bin(path, notes) if path.suffix == ".spacy" else _of_json(path, notes)
    for place, row in rows:
        text = text_of(row.get("text"), place, notes)
        if text is None:
            continue
        if not isinstance(row.get("ents"), list):
            expected, hint = '"ents": [{"start", "end", "label"}], as Doc.to_json gives', "is it of another format?"
            notes.problem("wrong-shape", place, expected, shorten(row.get("ents")), hint)
            continue
        groups, cats = row.get("spans") or {}, row.get("cats") or {}
        listed = isinstance(groups, dict) and all(isinstance(found, list) for found in groups.values())
        if not listed or not isinstance(cats, dict) or not all(isinstance(n, int | float) for n in cats.values()):
            expected, hint = '"spans": {key: […]} and "cats": {name: score}', "write what Doc.to_json gives"
            notes.problem("wrong-shape", place, expected, shorten([groups, cats], 80), hint)
            continue
        entries = [*row["ents"], *(entry for found in groups.values() for entry in found)]
        entries = [entry if isinstance(entry, dict) else {} for entry in entries]
        found = ((entry.get("start"), entry.get("end"), entry.get("label"), None) for entry in entries)
        classes = tuple(name for name, score in cats.items() if score >= SURE and name.strip())
        id, of = identified(row, group, place, notes)
        yield Document(text, spans_in(text, found, place, notes, offsets or "code-points"), classes, id, of,
                       place=place)  # fmt: skip


def _of_json(path: Path, notes: ConversionLog) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as file:
        first = file.read(1)
    if first != b"[":
        yield from rows_of(path, notes)
        return
    try:
        found = files.read_json(path)
    except DataError as error:
        for problem in error.problems:
            notes.add(problem)
        return
    for number, row in enumerate(found):
        place = f"{files.shown(path)} document {number}"
        if isinstance(row, dict):
            yield place, row
        else:
            notes.problem("wrong-shape", place, "an object", shorten(row), "write what Doc.to_json gives")


def _of_bin(path: Path, notes: ConversionLog) -> Iterator[tuple[str, dict[str, Any]]]:
    package = spacy()
    data = files.read_bytes(path)
    try:
        docs = package.tokens.DocBin().from_bytes(data)
        for number, doc in enumerate(docs.get_docs(package.Vocab())):
            row = {"text": doc.text, "cats": doc.cats, "ents": list(map(_entry, doc.ents))}
            row["spans"] = {key: list(map(_entry, found)) for key, found in doc.spans.items()}
            about = {key: value for key, value in doc.user_data.items() if isinstance(key, str)}
            yield f"{files.shown(path)} document {number}", about | row
    except Exception as error:  # what damaged bytes bring about differs
        expected, found = "a DocBin, as spaCy writes it", f"{type(error).__name__}: {str(error)[:80]}"
        notes.problem("file-binary", files.shown(path), expected, found, "write it again with DocBin.to_disk")


def _entry(span: Any) -> dict[str, Any]:
    return {"start": span.start_char, "end": span.end_char, "label": span.label_}


def write(found: Iterable[Document], notes: ConversionLog, suffix: str = ".spacy", **_: object) -> Iterator[bytes]:
    """A DocBin, or JSON if the name of the file ends so."""
    if suffix == ".spacy":
        yield _bin(found, notes)
        return
    separator = b"[\n"
    for document in found:
        tokens = tokens_of(document.text)
        starts, ends = {a for a, _ in tokens}, {b for _, b in tokens}
        spans = tuple(span for span in document.spans if span.start in starts and span.end in ends)
        for span in document.spans:
            if span not in spans:
                notes.log_loss("alignment", document.place, f"[{span.start}, {span.end}) {span.type}")
        kept = flat(replace(document, spans=spans), ConversionLog())
        row: dict[str, Any] = {} if document.id is None else {"id": document.id}
        row |= {} if document.group is None else {GROUP: document.group}
        row |= {"text": document.text, "ents": [_plain(span) for span in kept]}
        if len(kept) < len(spans):
            row["spans"] = {KEY: [_plain(span) | {"kb_id": ""} for span in spans]}
        if document.classes:
            row["cats"] = dict.fromkeys(document.classes, 1.0)
        row["tokens"] = [{"id": i, "start": a, "end": b} for i, (a, b) in enumerate(tokens)]
        data = json.dumps(row, ensure_ascii=False).encode()
        yield data + b"\n" if suffix == ".jsonl" else separator + data
        separator = b",\n"
    if suffix != ".jsonl":
        yield b"[]\n" if separator == b"[\n" else b"\n]\n"


def tokens_of(text: str) -> list[tuple[int, int]]:
    """The tokens that Doc.from_json can load: a character each, but a space behind one belongs to it, and of
    other white space a whole run is one.
    """
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(text):
        end = at + 1
        if text[at].isspace():
            while end < len(text) and text[end].isspace():
                end += 1
        found.append((at, end))
        at = end + (not text[at].isspace() and text[end : end + 1] == " ")
    return found


def _plain(span: Any) -> dict[str, Any]:
    return {"start": span.start, "end": span.end, "label": span.type}


def _bin(found: Iterable[Document], notes: ConversionLog) -> bytes:
    package = spacy()
    vocab, docs = package.Vocab(), package.tokens.DocBin(store_user_data=True)
    for document in found:
        doc = package.tokens.Doc(vocab, words=list(document.text), spaces=[False] * len(document.text))
        kept = flat(document, ConversionLog())
        made = {span: package.tokens.Span(doc, span.start, span.end, label=span.type) for span in document.spans}
        doc.ents = [made[span] for span in kept]
        if len(kept) < len(document.spans):
            doc.spans[KEY] = [made[span] for span in document.spans]
        doc.cats = dict.fromkeys(document.classes, 1.0)
        if document.id is not None:
            doc.user_data["id"] = document.id
        if document.group is not None:
            doc.user_data[GROUP] = document.group
        docs.add(doc)
    data: bytes = docs.to_bytes()
    return data
