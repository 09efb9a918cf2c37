"""spaCy's documents: a DocBin (.spacy), or JSON as of Doc.to_json.

The JSON is a list (.json) or has one document on each line (.jsonl).

A character is a token in a DocBin, as in `spacy.blank("zh")`: so every span begins and ends with one. `doc.ents`
cannot overlap: where spans do, all of them are in `doc.spans["sc"]` as well, and in `doc.ents` those of
`remove_overlaps`.
"""

import codecs
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinbench.core import files
from jinbench.core.errors import DataError, fail, shorten
from jinbench.core.types import Span
from jinbench.formats.base import (
    OTHER_FORMAT,
    ConversionLog,
    Document,
    Row,
    read_classes,
    read_id_and_group,
    remove_overlaps,
    validate_spans,
    validate_text,
)
from jinbench.formats.jsonl import GROUP_FIELD, read_rows, to_id_fields

SPANS_KEY = "sc"  # of spans that overlap, as in spaCy's own span categorizer
CLASS_THRESHOLD = 0.5  # least score of a class
_FIELDS = ("text", "ents", "spans", "cats", "tokens")
_TOKEN_ANNOTATIONS = ("TAG", "POS", "MORPH", "LEMMA", "DEP", "SENT_START")  # which have no place here


def import_spacy() -> Any:
    """Return the package spacy. Raise :class:`DataError` (package-missing)."""
    try:
        import spacy
    except ImportError:
        fail("package-missing", ".spacy", expected="the package spacy to be installed", found="not installed",
             fix="pip install 'jinbench[spacy]'; the JSON form needs no package: name the file .json")  # fmt: skip
    return spacy


def is_row(row: object) -> bool:
    return isinstance(row, dict) and "text" in row and ("ents" in row or isinstance(row.get("tokens"), list))


def read(path: Path, log: ConversionLog, group: str | None = None, offsets: str | None = None,
         crlf: str | None = None, **_: object) -> Iterator[Document]:  # fmt: skip
    """Read entities, spans of all keys, and classes with a score of a half or more."""
    rows = _read_docbin(path, log) if path.suffix == ".spacy" else _read_json(path, log)
    for location, row in rows:
        text = validate_text(row.get("text"), location, log)
        if text is None:
            continue
        entities, groups, cats = row.get("ents", []), row.get("spans") or {}, row.get("cats") or {}
        are_lists = isinstance(groups, dict) and all(isinstance(value, list) for value in (entities, *groups.values()))
        if not are_lists or not isinstance(cats, dict) or not all(isinstance(n, int | float) for n in cats.values()):
            expected = '"ents": [{"start", "end", "label"}], "spans": {key: […]} and "cats": {name: score}'
            log.log_problem("wrong-shape", location, expected=expected, found=shorten([entities, groups, cats], 80),
                            fix=f"write what Doc.to_json gives, or {OTHER_FORMAT}")  # fmt: skip
            continue
        if "ents" not in row and not groups and not cats:
            log.log_loss("unlabelled", location, "neither ents, spans nor cats")
            continue
        _log_unread(row, group, location, log)
        entries = [*entities, *(entry for group_entries in groups.values() for entry in group_entries)]
        entries = [entry if isinstance(entry, dict) else {} for entry in entries]
        for entry in entries:
            log.log_fields(entry, {"start", "end", "label"}, location, "span ")
        raw_spans = ((entry.get("start"), entry.get("end"), entry.get("label"), None) for entry in entries)
        spans = validate_spans(text, raw_spans, location, log, offsets, crlf)
        log.log_fields({f"score of {name}": n for name, n in cats.items() if n not in (0, 1)}, (), location)
        names = (name for name, score in cats.items() if score >= CLASS_THRESHOLD)
        id, group_id = read_id_and_group(row, group, location, log)
        yield Document(text, spans, read_classes(names, location, log), id, group_id, location=location)


def _log_unread(row: Row, group: str | None, location: str, log: ConversionLog) -> None:
    """Log what a document says beside spans and classes: of tokens, their attributes, not where they begin and end."""
    log.log_fields(row, {*_FIELDS, "id", group}, location)
    tokens = row.get("tokens")
    for token in tokens if isinstance(tokens, list) else ():
        log.log_fields(token if isinstance(token, dict) else {}, {"id", "start", "end"}, location, "token ")


def _read_json(path: Path, log: ConversionLog) -> Iterator[tuple[str, Row]]:
    with files.open_file(path) as file:
        head = file.read(64).removeprefix(codecs.BOM_UTF8).lstrip()
    if not head.startswith(b"["):
        yield from read_rows(path, log)
        return
    try:
        rows = files.read_json(path)
    except DataError as error:
        log.add(*error.problems)
        return
    for number, row in enumerate(rows):
        location = f"{files.display_path(path)} document {number}"
        if isinstance(row, dict):
            yield location, row
        else:
            log.log_problem("wrong-shape", location, expected="an object", found=shorten(row),
                            fix="write what Doc.to_json gives")  # fmt: skip


def _read_docbin(path: Path, log: ConversionLog) -> Iterator[tuple[str, Row]]:
    spacy = import_spacy()
    data = files.read_bytes(path)
    try:
        docs = spacy.tokens.DocBin().from_bytes(data)
        for number, doc in enumerate(docs.get_docs(spacy.Vocab())):
            location = f"{files.display_path(path)} document {number}"
            extensions = {f"_.{key[1]}": value for key, value in doc.user_data.items() if isinstance(key, tuple)}
            fields = {key: value for key, value in doc.user_data.items() if isinstance(key, str)} | extensions
            fields = {f"user_data {key}" if key in _FIELDS else key: value for key, value in fields.items()}
            row: Row = {key: value if isinstance(value, str | int) else shorten(value) for key, value in fields.items()}
            row |= {"text": doc.text, "cats": doc.cats}
            row["spans"] = {key: list(map(_from_spacy_span, spans)) for key, spans in doc.spans.items()}
            missing = [token.idx for token in doc if not token.ent_iob]
            if not missing:
                row["ents"] = list(map(_from_spacy_span, doc.ents))
            elif len(missing) < len(doc):
                log.log_loss("unlabelled", location, f"{len(missing)} of {len(doc)} tokens, first at {missing[0]}")
                continue
            row |= {name: "set" for name in _TOKEN_ANNOTATIONS if len(doc) > 1 and doc.has_annotation(name)}
            yield location, row
    except Exception as error:  # damaged bytes raise many kinds
        log.log_problem("file-binary", files.display_path(path), expected="a DocBin, as spaCy writes it",
                        found=f"{type(error).__name__}: {str(error)[:80]}",
                        fix="write it again with DocBin.to_disk")  # fmt: skip


def _from_spacy_span(span: Any) -> Row:
    return {"start": span.start_char, "end": span.end_char, "label": span.label_, "kb_id": span.kb_id_,
            "id": span.id_}  # fmt: skip


def write(documents: Iterable[Document], log: ConversionLog, suffix: str = ".spacy", **_: object) -> Iterator[bytes]:
    """Yield a DocBin, or JSON by the `suffix` of the file."""
    if suffix == ".spacy":
        yield _to_docbin(documents)
        return
    separator = b"[\n"
    for document in documents:
        tokens = tokenize(document.text)
        starts, ends = {a for a, _ in tokens}, {b for _, b in tokens}
        spans = tuple(span for span in document.spans if span.start in starts and span.end in ends)
        for span in document.spans:
            if span not in spans:
                log.log_loss("alignment", document.location, f"[{span.start}, {span.end}) {span.type}")
        flat_spans = remove_overlaps(replace(document, spans=spans), ConversionLog())
        row = to_id_fields(document) | {"text": document.text, "ents": [_to_entry(span) for span in flat_spans]}
        if len(flat_spans) < len(spans):
            row["spans"] = {SPANS_KEY: [_to_entry(span) | {"kb_id": ""} for span in spans]}
        if document.classes:
            row["cats"] = dict.fromkeys(document.classes, 1.0)
        row["tokens"] = [{"id": i, "start": a, "end": b} for i, (a, b) in enumerate(tokens)]
        data = json.dumps(row, ensure_ascii=False).encode()
        yield data + b"\n" if suffix == ".jsonl" else separator + data
        separator = b",\n"
    if suffix != ".jsonl":
        yield b"[]\n" if separator == b"[\n" else b"\n]\n"


def tokenize(text: str) -> list[tuple[int, int]]:
    """Return the offsets of the tokens that Doc.from_json can load.

    Each character is one, with a space behind it; of other white space a whole run is one.
    """
    tokens: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        end = start + 1
        if text[start].isspace():
            while end < len(text) and text[end].isspace():
                end += 1
        tokens.append((start, end))
        start = end + (not text[start].isspace() and text[end : end + 1] == " ")
    return tokens


def _to_entry(span: Span) -> Row:
    return {"start": span.start, "end": span.end, "label": span.type}


def _to_docbin(documents: Iterable[Document]) -> bytes:
    spacy = import_spacy()
    vocab, docs = spacy.Vocab(), spacy.tokens.DocBin(store_user_data=True)
    for document in documents:
        doc = spacy.tokens.Doc(vocab, words=list(document.text), spaces=[False] * len(document.text))
        spans = {span: spacy.tokens.Span(doc, span.start, span.end, label=span.type) for span in document.spans}
        flat_spans = remove_overlaps(document, ConversionLog())
        doc.ents = [spans[span] for span in flat_spans]
        if len(flat_spans) < len(document.spans):
            doc.spans[SPANS_KEY] = [spans[span] for span in document.spans]
        doc.cats = dict.fromkeys(document.classes, 1.0)
        if document.id is not None:
            doc.user_data["id"] = document.id
        if document.group is not None:
            doc.user_data[GROUP_FIELD] = document.group
        docs.add(doc)
    data: bytes = docs.to_bytes()
    return data
