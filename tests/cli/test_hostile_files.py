"""What is no regular file, or is far larger than it looks, ends a command with a message: nothing hangs."""

import os
import re
import shutil
import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.helpers.benchmarks import create_mini_benchmark
from tests.helpers.commands import run, run_and_capture
from tests.helpers.entries import write_entry

COMMANDS = ("verify {}", "seeds add {}", "submit {}", "score {}", "convert {} --to conll --out {}.out", "parse {}")
FILES = {"verify {}": "ner/test.parquet", "submit {}": "predictions.jsonl"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = tmp_path_factory.mktemp("world") / "mini"
    create_mini_benchmark(world)
    assert run(["--root", str(world), "build"]) == 0
    return world


def make(path: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            os.chdir(path.parent)  # the path of a socket must be short
            listener.bind(path.name)
    else:
        path.symlink_to({"device": "/dev/zero", "loop": path}[kind])


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "loop"])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_regular_file(
    command: str, kind: str, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "target.jsonl"
    if command == "verify {}":
        shutil.copytree(world / "dataset", target)
    elif command == "submit {}":
        target = write_entry(tmp_path)
    path = target / FILES[command] if command in FILES else target
    path.unlink(missing_ok=True)
    make(path, kind)
    arguments = command.format(target, target).split()
    said = run_and_capture(capsys, "--root", str(world), *arguments, code=1)
    assert path.name in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (pa.array(["x"] * 3_000_000).dictionary_encode(), "test.parquet: file-too-big"),
        (pa.array(["x" * 200_000_000]), "test.parquet: file-too-big"),
        (pa.array([b"\xff"]), "test.parquet id: wrong-shape"),
        (pa.array([1], pa.timestamp("ns")), "test.parquet id: wrong-shape"),
        (pa.array([[1]], pa.list_(pa.duration("s"))), "test.parquet id: wrong-shape"),
    ],
    ids=["rows", "text", "bytes", "timestamp", "duration"],
)
def test_a_table_that_is_none(
    column: pa.Array, says: str, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = tmp_path / "dataset"
    shutil.copytree(world / "dataset", dataset)
    path = dataset / "ner" / "test.parquet"
    table = pq.ParquetFile(path).read()
    others = [pa.nulls(len(column), field.type) for field in list(table.schema)[1:]]
    pq.write_table(pa.table([column, *others], names=table.column_names), path, compression="zstd")
    assert says in run_and_capture(capsys, "verify", str(dataset), code=1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    if os.system(f"mount -t tmpfs -o size=16k tmpfs {tmp_path} 2> /dev/null"):
        pytest.skip("mount is not allowed here")
    request.addfinalizer(lambda: os.system(f"umount {tmp_path}"))
    said = run_and_capture(capsys, "init", f"{tmp_path}/paper", code=1)
    assert re.search(rf"^{tmp_path}/\S+: no space left on device$", said, re.MULTILINE)
    assert os.listdir(tmp_path) == []
