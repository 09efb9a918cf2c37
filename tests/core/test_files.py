"""Byte order marks, line ends and encodings of text files."""

from pathlib import Path

import pytest

from jinbench.core import files
from jinbench.core.errors import DataError


@pytest.mark.parametrize("text", ["\ufeff{table}", "{table}"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_byte_order_marks_are_skipped_and_all_line_ends_read(text: str, end: str, tmp_path: Path) -> None:
    labels = "version = '1'|release = '1'|title = 't'|[[entity]]|name = 'A'|zh = 'a'|en = 'a'|hotkey = '1'"
    (tmp_path / "a.toml").write_bytes(
        text.format(table=f"{labels}|definition = 'd'|colour = '#000000'").replace("|", end).encode()
    )
    assert files.read_toml(tmp_path / "a.toml", "labels")["title"] == "t"
    (tmp_path / "a.json").write_bytes(text.format(table="[1,|2]").replace("|", end).encode())
    assert files.read_json(tmp_path / "a.json") == [1, 2]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_named(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes("\ufeffa = 1".encode(encoding))
    with pytest.raises(DataError, match=r"text in UTF-16.*\n.*iconv -f UTF-16 "):
        files.read_toml(tmp_path / "a.toml", "labels")
