"""Process one shard: clean, segment, tag and hash its articles, and write its passages."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jinbench.core import files
from jinbench.core.errors import Problem
from jinbench.core.text import INVISIBLE, split_sentences
from jinbench.core.types import Passage
from jinbench.labelstudio.suggester import Suggester
from jinbench.scale.dedup import DIGITS, format_passage_id, write_work
from jinbench.scale.readers import Piece, Row, Settings, read_articles
from jinbench.seeds.repairs import Char, apply_repairs, strip_chars, to_text

MAX_CHARACTERS = 20_000  # of a passage
# A line; of one that is too long, as much as ends with a sentence, or else as much as goes.
_CHAR = r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]"
_LINE = re.compile(
    rf"{_CHAR}{{1,{MAX_CHARACTERS}}}(?!{_CHAR})|{_CHAR}{{1,{MAX_CHARACTERS - 9}}}[。！？!?…][”’」』）)》]{{0,8}}"
    rf"|{_CHAR}{{1,{MAX_CHARACTERS}}}"
)
# What no file should hold; half a surrogate pair cannot even be written.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_TEXT, _NUMBER, _OFFSET = pa.string(), pa.int64(), pa.int32()
_SENTENCE = pa.struct({"start": _OFFSET, "end": _OFFSET})
_SPAN = pa.struct({"start": _OFFSET, "end": _OFFSET, "type": _TEXT, "surface": _TEXT, "chance": pa.float64()})
PASSAGE = pa.schema({
    "id": _TEXT, "article_id": _TEXT, "given_id": _TEXT, "title": _TEXT, "text": _TEXT,
    "sentences": pa.list_(_SENTENCE), "spans": pa.list_(_SPAN), "certainty": pa.float64(),
    "source": _TEXT, "at": _NUMBER, "start": _NUMBER, "end": _NUMBER,
})  # fmt: skip


def clean_text(text: str, repairs: Sequence[str] = ()) -> str:
    """Return a text on one line, without control and invisible characters, then repaired by `repairs`."""
    text = " ".join(INVISIBLE.sub("", _CONTROL.sub("", text)).split())
    if not repairs:
        return text
    return to_text(strip_chars(apply_repairs([Char(char, i) for i, char in enumerate(text)], repairs)))


def split_lines(text: str, repairs: Sequence[str] = ()) -> Iterator[tuple[int, int, str]]:
    """Yield the range and the clean text of each line, none of more than `MAX_CHARACTERS`."""
    for match in _LINE.finditer(text):
        if line := clean_text(match[0], repairs):
            yield *match.span(), line


def shard_path(folder: Path, number: int) -> Path:
    return folder / "data" / f"passages-{number:06}.parquet"


def process_shard(number: int, shard: Sequence[Piece], *, folder: Path, settings: Settings, tagger: Any) -> None:
    """Run all steps on a shard and write two files, the second of which says that it is done. Raise OSError."""
    rows, problems = list[Row](), list[Problem]()
    counts = Counter(articles=0, empty=0, passages=0, sentences=0, characters=0)
    for article in read_articles(settings.field, shard):
        if isinstance(article, Problem):
            problems.append(article)
            continue
        before, text, title = len(rows), article.pop("text"), clean_text(article.pop("title"))
        for start, end, line in split_lines(text, settings.repairs):
            sentences = [{"start": sentence.start, "end": sentence.end} for sentence in split_sentences("", line)]
            rows.append(article | {
                "id": format_passage_id((number << 32) + len(rows)), "title": title, "text": line, "start": start,
                "article_id": f"A{number:06}-{counts['articles']:06}", "sentences": sentences, "spans": [], "end": end,
            })  # fmt: skip
            counts.update(passages=1, sentences=len(sentences), characters=len(line))
        counts.update(articles=1, empty=len(rows) == before)
    if tagger is not None:
        _tag_passages(rows, tagger)
    counts.update(spans=sum(len(row["spans"]) for row in rows), **Counter(problem.code for problem in problems))
    table, sink = pa.Table.from_pylist(rows, PASSAGE), pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    files.write_bytes(shard_path(folder, number), sink.getvalue())
    # Half a surrogate pair, which a problem may quote, becomes an escape, as JSON has it.
    lines = files.dump_jsonl(map(asdict, problems)).encode("utf-8", "backslashreplace")
    write_work(folder, number, table, counts=json.dumps(counts).encode(), problems=lines)


def _tag_passages(rows: list[Row], tagger: Any) -> None:
    """Fill in the spans and the confidence of each passage."""
    passages = [Passage(row["id"], row["article_id"], "", row["text"], ()) for row in rows]
    for row, suggestion in zip(rows, Suggester("", (), tagger).suggest(passages).values(), strict=True):
        chances = ({"chance": round(chance, DIGITS)} for chance in suggestion.probabilities)
        row["spans"] = [span._asdict() | chance for span, chance in zip(suggestion.spans, chances, strict=True)]
        row["certainty"] = round(suggestion.confidence, DIGITS)
