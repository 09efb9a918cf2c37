"""Shards of any input: every article once, every problem with its place."""

import gzip
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jinbench.core.errors import DataError, Problem
from jinbench.scale import Settings, readers


def read_all(path: Path, block: int) -> tuple[list[readers.Row], list[str], int]:
    """Articles, problems (location and code) and the number of shards."""
    shards = readers.plan_shards(Settings(block=block), [path])[1]
    rows = [row for shard in shards for row in readers.read_articles("text", shard)]
    problems = [f"{row.location} {row.code}" for row in rows if isinstance(row, Problem)]
    return [row for row in rows if not isinstance(row, Problem)], problems, len(shards)


@pytest.mark.parametrize("block", [1, 7, 50, 10_000])
def test_lines_are_read_once_wherever_shards_end(block: int, tmp_path: Path) -> None:
    lines = [json.dumps({"text": "x" * (i % 23), "id": i}) for i in range(40)]
    path = tmp_path / "a.jsonl"
    path.write_text("\ufeff" + "\n".join(lines[:20]) + "\n\n\r\n" + "\r\n".join(lines[20:]) + "\nbroken", "utf-8")
    articles, problems, _ = read_all(path, block)
    assert [article["given_id"] for article in articles] == [str(i) for i in range(40)]
    assert problems == ["a.jsonl:43 broken-json"]
    for article in articles:
        line = path.read_bytes()[article["at"] :].splitlines()[0].decode("utf-8-sig")
        assert str(json.loads(line)["id"]) == article["given_id"]


def test_broken_lines_are_named_by_their_number_in_the_file(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"第{i}篇文章", "id": str(i)}, ensure_ascii=False).encode() for i in range(1, 1001)]
    lines[99] = b'{"text": "cut off'
    lines[499] = '{"text": "天津"}'.encode("gb18030")
    lines[699] = b"[1, 2]"
    lines[799] = b'{"title": "no text"}'
    lines[899] = b'{"text": null}'
    lines[949] = b'{"text": "' + b"x" * (40 * 2**20) + b'"}'
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))
    articles, problems, shards = read_all(tmp_path / "in.jsonl", 3000)
    assert [problem.removeprefix("in.jsonl:") for problem in problems] == [
        "100 broken-json", "500 not-utf8", "700 broken-json", "800 wrong-shape", "900 wrong-shape", "950 file-too-big",
    ]  # fmt: skip
    assert (len(articles), shards > 10) == (994, True)


@pytest.mark.parametrize("block", [1, 500, 10**6])
def test_tables_are_read_in_parts_of_row_groups(block: int, tmp_path: Path) -> None:
    rng = random.Random(0)
    texts = ["".join(rng.choices("天津市工业", k=40)) if i != 41 else None for i in range(60)]
    table = pa.table({"id": range(60), "text": texts, "other": [0] * 60})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=25)
    articles, problems, shards = read_all(tmp_path / "in.parquet", block)
    assert [(article["at"], article["given_id"], article["text"]) for article in articles] == [
        (i, str(i), text) for i, text in enumerate(texts) if text
    ]
    assert problems == ["in.parquet row 41 wrong-shape"]
    assert shards == (60 if block == 1 else 1 if block == 10**6 else shards)


def test_a_table_that_is_broken_inside_is_reported(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [f"文章{i}" for i in range(60)]}), tmp_path / "in.parquet", row_group_size=20)
    data = bytearray((tmp_path / "in.parquet").read_bytes())
    place = pq.read_metadata(tmp_path / "in.parquet").row_group(1).column(0).data_page_offset
    data[place : place + 40] = b"\xff" * 40
    (tmp_path / "in.parquet").write_bytes(data)
    articles, problems, _ = read_all(tmp_path / "in.parquet", 10**6)
    assert len(articles) >= 40
    assert problems == ["in.parquet row group 1 broken-parquet"]


def test_a_folder_of_texts(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    for i in range(9):
        (tmp_path / f"{i}.txt").write_text(f"第{i}篇\n\n正文{i}。", encoding="utf-8")
    (tmp_path / "3.txt").write_bytes("天津".encode("gb18030"))
    (tmp_path / "deeper" / "x.txt").write_text("天津。", encoding="utf-8")
    (tmp_path / "notes.md").write_text("not for us")
    with (tmp_path / "large.txt").open("wb") as file:
        file.truncate(readers.MAX_BYTES + 1)
    articles, problems, shards = read_all(tmp_path, 60)
    assert sorted(problems) == ["3.txt:1 not-utf8", "large.txt file-too-big"]
    assert {article["source"] for article in articles} == {*(f"{i}.txt" for i in range(9) if i != 3), "deeper/x.txt"}
    assert 2 < shards < 10


def test_what_utf8_does_not_have_is_replaced(tmp_path: Path) -> None:
    """Half a surrogate pair as a field's name and in an id, and a file whose name is no text."""
    path = Path(f"{tmp_path}/\udcff.jsonl")
    path.write_text('{"\\ud800": 1}\n{"id": "\\ud800", "text": "some text"}\n')
    articles, problems, _ = read_all(path, 10)
    assert readers.plan_shards(Settings(), [path, tmp_path, path]) == readers.plan_shards(Settings(), [path])  # once
    assert problems == ["?.jsonl:1 wrong-shape"]
    assert [(article["source"], article["given_id"]) for article in articles] == [("?.jsonl", "?")]


def test_files_that_cannot_be_read_are_refused_together(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(gzip.compress(b'{"text": "x"}\n'))
    (tmp_path / "array.json").write_text('[{"text": "x"}]')
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "body.parquet")
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "numbers.parquet")
    names = ("empty", "a.jsonl", "array.json", "nowhere.jsonl", "bad.parquet", "body.parquet", "numbers.parquet")
    with pytest.raises(DataError) as raised:
        readers.plan_shards(Settings(), [tmp_path / name for name in names])
    problems = raised.value.problems
    assert [problem.code for problem in problems] == ["file-missing", "file-binary", "broken-json", "file-missing",
                                                      "broken-parquet", "wrong-shape", "wrong-shape"]  # fmt: skip
    assert "gunzip a.jsonl" in problems[1].fix
    assert "columns body" in problems[5].found
