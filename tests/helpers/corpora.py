"""Corpora in small files."""

from pathlib import Path

from hypothesis import HealthCheck, settings

PROPERTY = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
GOOD = '{"text": "天津港", "label": {"LOC": {"天津": [[0, 1]]}}}'


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
