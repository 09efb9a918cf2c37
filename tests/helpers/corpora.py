"""Corpora in small files."""

from pathlib import Path

GOOD = '{"text": "天津港", "label": {"LOC": {"天津": [[0, 1]]}}}'


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
