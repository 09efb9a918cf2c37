"""Gold and predictions in files, without a benchmark."""

import json
import re
from pathlib import Path

import pytest

from tests.helpers.commands import run

GOLD = "a B-X\nb I-X\n\nc O\nd B-Y\n"
SPANS = [
    {"id": "1", "text": "ab", "spans": [{"start": 0, "end": 2, "label": "X"}]},
    {"id": "2", "text": "cd", "spans": [{"start": 1, "end": 2, "type": "Y"}]},
]
TAGS = [{"id": "1", "tags": ["B-X", "I-X"]}, {"id": "2", "tags": ["O", "O"]}]
DOCCANO = [{"text": "ab", "label": [[0, 2, "X"]]}, {"text": "cd", "label": []}]


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def score(folder: Path, files: dict[str, str], *options: str) -> int:
    for name, text in files.items():
        (folder / name).write_text(text)
    return run(["score", *(str(folder / name) for name in files), "--json", *options])


@pytest.mark.parametrize(
    ("files", "options", "counts"),
    [
        ({"g.conll": GOLD, "p.conll": GOLD}, (), (2, 2, 2)),
        ({"g.conll": GOLD, "p.conll": GOLD.replace("B-Y", "O")}, (), (2, 1, 1)),
        ({"g.conll": GOLD, "p.conll": "ab B-X\n\nc O\nd B-Y\n"}, (), (2, 2, 2)),  # words on one side
        ({"g.conll": GOLD, "p.conll": GOLD.replace(" ", "\tN\t")}, (), (2, 2, 2)),
        ({"t.txt": "a B-X B-X\nb I-X O\n\nc O O\nd B-Y B-Y\n"}, (), (2, 2, 1)),
        ({"t.txt": "a N B-X I-X\nb N I-X I-X\n"}, ("--repair", "begin"), (1, 1, 1)),
        ({"t.txt": "a N B-X I-X\nb N I-X I-X\n"}, ("--repair", "drop"), (1, 0, 0)),
        ({"t.txt": "a S-X S-X\n"}, ("--scheme", "BIOES"), (1, 1, 1)),
        ({"t.txt": "-DOCSTART- -X- O O\n\na N B-X B-X\n"}, (), (1, 1, 1)),
        ({"g.jsonl": lines(*SPANS), "p.jsonl": lines(*SPANS[::-1])}, (), (2, 2, 2)),  # by id
        ({"g.jsonl": lines(*SPANS), "p.jsonl": lines(SPANS[1])}, (), (2, 1, 1)),  # one is missing
        ({"g.jsonl": lines(*SPANS), "p.jsonl": lines(*TAGS)}, (), (2, 1, 1)),
        ({"g.jsonl": lines(*TAGS), "p.jsonl": lines(TAGS[1])}, (), (1, 0, 0)),
        ({"g.conll": GOLD, "p.jsonl": lines(*DOCCANO)}, (), (2, 1, 1)),
        ({"g.conll": GOLD, "p.jsonl": lines(*TAGS)}, (), (2, 1, 1)),
        ({"g.conll": "a O\n", "p.conll": "a O\n"}, (), (0, 0, 0)),
    ],
)
def test_files_are_scored(
    tmp_path: Path, files: dict[str, str], options: tuple[str, ...], counts: tuple[int, int, int],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert score(tmp_path, files, *options) == 0
    micro = json.loads(capsys.readouterr().out)["micro"]
    assert (micro["gold"], micro["predicted"], micro["correct"]) == counts
    assert micro["low"] is None


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({"g.conll": GOLD}, (), "expected 3 columns.*one file with three columns: token, gold, prediction"),
        ({"g.conll": GOLD, "p.conll": "a B-X\nb I-X\n"}, (), "expected 2 texts, as in the gold"),
        ({"g.conll": GOLD, "p.conll": GOLD.replace("d", "e")}, (), r"p.conll:4: wrong-shape.*g.conll:4: 'cd'"),
        ({"g.conll": GOLD, "p.conll": GOLD.replace("B-Y", "I-Y")}, (), r"p.conll:5: wrong-tags.*--repair"),
        ({"g.conll": GOLD, "p.conll": GOLD.replace("d B-Y", "d")}, (), r"p.conll:5: wrong-shape"),
        ({"g.conll": GOLD, "p.xyz": "nothing"}, (), "format-unknown.*in a format of jinbench convert"),
        ({"g.jsonl": lines(*SPANS), "p.jsonl": lines({**SPANS[0], "id": "9"})}, (), r"p.jsonl:1: unknown-id"),
        ({"g.jsonl": lines(*SPANS), "p.jsonl": lines(*SPANS, SPANS[0])}, (), "p.jsonl:1: duplicate-id.*2 times"),
        ({"g.jsonl": lines(*SPANS, SPANS[0]), "p.jsonl": lines(*SPANS)}, (), "g.jsonl:1: duplicate-id"),
        ({"g.jsonl": lines(*SPANS), "p.jsonl": lines({"id": "1", "spans": [{"start": 0}]})}, (), "p.jsonl:1: wrong-sh"),
        ({"g.jsonl": lines(*SPANS), "p.jsonl": lines({"id": "1"})}, (), "p.jsonl:1.*one list, spans or tags"),
        ({"g.jsonl": lines(*SPANS), "p.jsonl": lines({"id": "1", "tags": ["O", "O", "B-X"]})}, (), "tag for each char"),
        ({"g.jsonl": lines(*SPANS), "p.jsonl": lines(SPANS[0]) + "{\n"}, (), r"p.jsonl:2: broken-json"),
        ({"g.conll": GOLD, "p.conll": GOLD}, ("--split", "train"), "goes with predictions for a benchmark"),
        ({"g.conll": GOLD, "p.conll": GOLD, "q.conll": GOLD}, (), "one file, or two"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    tmp_path: Path, files: dict[str, str], options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(tmp_path, files, *options) in (1, 2)
    printed = capsys.readouterr()
    assert re.search(message, printed.err, re.DOTALL), printed.err


def test_a_score_is_printed_however_few_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.txt").write_text("a B-X B-X\n\nb B-X O\n")
    assert run(["score", str(tmp_path / "t.txt")]) == 0
    output = capsys.readouterr().out
    assert "1.000   0.500    0.667 (no interval: 2 articles of 5 that it takes)" in output
    (tmp_path / "t.txt").write_text("a B-X B-X\n\n" * 6)
    assert run(["score", str(tmp_path / "t.txt")]) == 0
    assert "1.000 (no interval: no variance among the articles" in capsys.readouterr().out
