"""A page of two articles with a broken column, pieces of lines to make random pages of, and `jinbench seeds add`."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from jinbench.core.benchmark import Benchmark
from tests.helpers.commands import contents, run

PAGE = (
    "新码头昨天正式开工建设",
    "本报讯(记者 王明)新码头昨天开工。码头占地3万平方米,工期2年,建成以后每年可以多装卸货物五万多吨。",
    "工程负责人表示,码头采用全自动化的装卸设备,船舶等待的时间将会缩短两成。码头的岸线长达一千多米,可以同时停靠三艘货船",
    "和五艘驳船。码头还将使用岸电,船舶靠岸以后可以关闭发动机,码头的排放因此减少三成,附近居民多年来的担心也就没有了。",
    "记者 王明",
    "图书馆从下个月起延长开放时间",
    "本报讯(记者 李红)从3月1日起,市图书馆每天开放到晚上9点。读者可以在网上预约座位,也可以在网上续借图书,不必再跑一趟。",
    "图书馆今年还要新增5000册图书,其中一半是孩子们的读物。馆长说,图书馆希望让更多的孩子爱上读书,成为图书馆的常客。",
    "记者 李红",
)

BITS = ("新码头开工", "。", ",", "“", "”", "(上接第1版)", "(下转第2版)", "记者 王明 摄", "图为码头", " ", "3万平方米",
        "本报讯(记者 王明)", "首页>", "……", "abc", "12", "电话:022-12345678", "的码头工程")  # fmt: skip

TEXT = "\n\n".join(PAGE) + "\n"


def add(benchmark: Benchmark, *arguments: object) -> int:
    return run(["--root", str(benchmark.root), "seeds", "add", *map(str, arguments)])


def put(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def entries(benchmark: Benchmark) -> dict[str, Any]:
    """Return articles.toml as it is."""
    return tomllib.loads(benchmark.articles.read_text())


def refused(benchmark: Benchmark, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return the error output of a command that must not add anything."""
    before = contents(benchmark.root)
    assert add(benchmark, *arguments) == 1
    error = capsys.readouterr().err
    assert contents(benchmark.root) == before
    assert "Traceback" not in error
    return error
