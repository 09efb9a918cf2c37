"""What is done with an article, and how much memory it takes."""

import random
from pathlib import Path

import pytest

from jinbench.scale import batch
from tests.helpers.scale import measure_memory, write_rows


def test_cleaning() -> None:
    text = "\ufeff天津 \t港\x07\u200b\r\n\u3000\u3000第二行\u3000\n\n \u2028\ud800末"
    lines = list(batch.split_lines(text))
    assert [line for _, _, line in lines] == ["天津 港", "第二行", "末"]
    assert text[lines[1][0] : lines[1][1]].strip() == "第二行"
    assert [line for _, _, line in batch.split_lines('他说"好" A股', ("spacing", "quotes"))] == ["他说“好”A股"]
    assert batch.clean_text("體育", ("script:t2s",)) == "体育"
    hidden = [0xAD, 0x34F, 0x200B, 0x200C, 0x200D, 0x200E, 0x202E, 0x2060, 0x2066, 0x3164, 0xFE00, 0xFEFF, 0xE0100]
    assert batch.clean_text("天" + "".join(map(chr, hidden)) + "津") == "天津"
    seen = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f468\u200d\U0001f469 \u2764\ufe0f"
    assert batch.clean_text(seen) == seen


def test_a_line_without_end_is_cut_where_sentences_end() -> None:
    text = ("天" * 999 + "。”") * 45 + "津" * 50_001 + "\n末"
    lines = list(batch.split_lines(text))
    assert "".join(line for _, _, line in lines) == text.replace("\n", "")
    assert "".join(text[start:end] for start, end, _ in lines) == text.replace("\n", "")
    assert max(len(line) for _, _, line in lines) <= batch.MAX_CHARACTERS
    assert lines[0][2].endswith("。”")


@pytest.mark.slow
def test_memory_grows_neither_with_the_input_nor_with_a_line(tmp_path: Path) -> None:
    rng = random.Random(3)
    rows = [{"text": "".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(60))} for _ in range(15_000)]
    small, large = write_rows(tmp_path / "few", rows[:1500]), write_rows(tmp_path / "many", rows)
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.write(small.read_bytes() + b'{"text": "')
        for _ in range(200):
            file.write(b"x" * 2**20)
    shards, least = measure_memory(small, tmp_path / "1")
    many_shards, most = measure_memory(large, tmp_path / "2")
    assert many_shards > 5 * shards
    assert most - least < 15
    assert measure_memory(huge, tmp_path / "3")[1] - least < 60
