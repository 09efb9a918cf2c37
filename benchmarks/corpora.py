"""Reading corpora for `taggers.py`: lines of JSON as in CLUENER, or lines "character tag" in BIO, BMES or BIOES."""

import json
import re
from pathlib import Path
from typing import NamedTuple

Spans = list[tuple[int, int, str]]

TAGGED = re.compile(r"\S[ \t]+(O|[BIMES]-\S+)", re.MULTILINE)


class Corpus(NamedTuple):
    name: str
    train: tuple[list[str], list[Spans]]
    test: tuple[list[str], list[Spans]]
    tested_on: str


def read(folder: Path, only: str = "") -> list[Corpus]:
    """The corpora below `folder`, or `only` one: each sub-folder with a file train… and one to test on, test… or dev….

    A test file without labels is passed over. Raises ValueError if there is none.
    """
    found = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir() and only in ("", path.name)):
        parts = {}
        for part in ("train", "test", "dev", "valid"):
            for path in sorted(place.glob(f"*{part}*")):
                texts, labels = read_file(path)
                if any(labels):
                    parts[part] = texts, labels
                    break
        tested_on = next((part for part in ("test", "dev", "valid") if part in parts), None)
        if "train" in parts and tested_on:
            found.append(Corpus(place.name, parts["train"], parts[tested_on], tested_on))
    if not found:
        raise ValueError(f"{folder}: expected folders such as cluener/ with train… and dev… or test…, found none")
    return found


def read_file(path: Path) -> tuple[list[str], list[Spans]]:
    """The texts of a file and their spans; of spans that overlap, the one that begins first, then the longer one."""
    content = path.read_text(encoding="utf-8-sig").replace("\r", "")
    rows = _of_lines(content) if content.lstrip().startswith("{") else _of_columns(content)
    texts, labels = [], []
    for text, spans in rows:
        kept: Spans = []
        for span in sorted(spans, key=lambda s: (s[0], -s[1])):
            if span[0] >= (kept[-1][1] if kept else 0) and span[1] <= len(text):
                kept.append(span)
        texts.append(text)
        labels.append(kept)
    return texts, labels


def _of_lines(content: str) -> list[tuple[str, Spans]]:
    """CLUENER: {"text": …, "label": {type: {surface: [[start, end inclusive], …]}}}."""
    found = []
    for line in filter(str.strip, content.split("\n")):
        row = json.loads(line)
        spans = [
            (start, end + 1, type)
            for type, mentions in row.get("label", {}).items()
            for places in mentions.values()
            for start, end in places
        ]
        found.append((row["text"], spans))
    return found


def _of_columns(content: str) -> list[tuple[str, Spans]]:
    """A character and its tag on each line, an empty line between sentences. B and S begin a span, M, I and E go on."""
    blocks = [block for block in re.split(r"\n[ \t]*\n", content) if TAGGED.search(block)]
    pairs = [[line.split() for line in block.split("\n") if len(line.split()) >= 2] for block in blocks]
    # Weibo NER writes the place in the word behind each character: 科0 技1.
    numbered = all(re.fullmatch(r".\d+", line[0], re.DOTALL) for block in pairs for line in block)
    found = []
    for block in pairs:
        text, spans = "", []
        for line in block:
            char, tag = line[0][:1] if numbered else line[0], line[-1]
            prefix, _, type = tag.partition("-")
            start = len(text)
            text += char
            if prefix in ("M", "I", "E") and spans and spans[-1][1:] == (start, type):
                spans[-1] = spans[-1][0], len(text), type
            elif type:
                spans.append((start, len(text), type))
        found.append((text, spans))
    return found
