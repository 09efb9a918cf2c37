"""Cost of `jinbench process` by number of articles and workers: time of each step, memory, growth.

    python benchmarks/scale.py                           # 1,000 and 10,000 articles; one process, and all cores
    python benchmarks/scale.py --sizes 1000,10000,100000 --workers 2

The articles are made: `SENTENCES` sentences of this benchmark in `PASSAGES` passages, in which digits and every sixth
Han character are replaced by others. Sentences alone, put together anew, would make every passage resemble many others,
and near duplicates would be sought in what no newspaper has. One article in twenty has a passage of an earlier one with
three characters changed: those are to be found. Every run is the command, with its own cluster; the bytes that it
writes must be the same for any number of workers. Peak memory is VmHWM of each process, read until it ends.
"""

import json
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from jinbench.core import files
from jinbench.core.benchmark import packaged_benchmark
from jinbench.dataset import load

PASSAGES, SENTENCES, SEED = 4, 2, 0
STEPS = ("start", "blocks", "near duplicates", "end")


def make_articles(count: int) -> Iterator[dict[str, Any]]:
    rng = random.Random(SEED)
    texts = [row["text"] for row in load.read_rows(packaged_benchmark(), "ner") if len(row["text"]) > 15]
    letters = sorted({char for text in texts for char in text if "\u4e00" <= char <= "\u9fff"})

    def other(match: re.Match[str]) -> str:
        if match[0].isascii():
            return str(rng.randrange(10))
        return rng.choice(letters) if rng.random() < 1 / 6 else match[0]

    old: list[str] = []
    for number in range(count):
        lines = [re.sub("[0-9\u4e00-\u9fff]", other, "".join(rng.sample(texts, SENTENCES))) for _ in range(PASSAGES)]
        if number % 20 == 19:
            again = list(rng.choice(old))
            for _ in range(3):
                again[rng.randrange(len(again))] = rng.choice(letters)
            lines[0] = "".join(again)
        if len(old) < 10_000:
            old.append(lines[1])
        yield {"id": str(number), "title": f"{number}", "text": "\n".join(lines)}


def run(source: str, out: str, workers: str) -> dict[str, float]:
    """One run. Seconds of each step."""
    from jinbench.scale import Settings, process

    begin = last = time.perf_counter()
    took, now = dict.fromkeys(STEPS, 0.0), "start"

    def step(what: str, done: int, total: int) -> None:
        nonlocal last, now
        what = "end" if (what, done) == (STEPS[2], total) else what
        took[now] += time.perf_counter() - last
        last, now = time.perf_counter(), what

    process([Path(source)], Path(out), packaged_benchmark(), Settings(select=100), workers=int(workers), progress=step)
    took[now] += time.perf_counter() - last
    return took | {"seconds": time.perf_counter() - begin}


def list_process_tree(root: int) -> list[int]:
    processes = [root]
    for parent in processes:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                processes += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return processes


def measure(source: Path, out: Path, workers: int) -> dict[str, float]:
    """A run in a process of its own, while the memory of all its processes is read."""
    words = [sys.executable, "-W", "ignore", __file__, "--only", f"{source},{out},{workers}"]
    done = subprocess.Popen(words, env=os.environ, stdout=subprocess.PIPE, text=True)
    peaks: dict[int, float] = {}

    def watch() -> None:
        while done.poll() is None:
            for process in list_process_tree(done.pid):
                try:
                    status = Path(f"/proc/{process}/status").read_text()
                except OSError:
                    continue
                if match := re.search(r"VmHWM:\s+(\d+)", status):
                    peaks[process] = int(match[1]) / 2**10
            time.sleep(0.2)

    threading.Thread(target=watch, daemon=True).start()
    output = done.communicate()[0]
    if done.returncode:
        raise RuntimeError(f"{workers} workers: exit code {done.returncode}")
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures | {"MB, largest": max(peaks.values(), default=0), "MB, all": sum(peaks.values())}


def main(
    sizes: Annotated[str, typer.Option(help="Numbers of articles.")] = "1000,10000",
    workers: Annotated[str, typer.Option(help="Numbers of workers.")] = f"1,{os.cpu_count()}",
    only: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Seconds by step, memory, and growth."""
    if only:
        print(json.dumps(run(*only.split(","))))
        return
    seconds: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="jinbench-scale-") as name:
        for size in map(int, sizes.split(",")):
            source, written = Path(name) / f"{size}.jsonl", set()
            source.write_text(files.dump_jsonl(make_articles(size)), encoding="utf-8")
            for number in workers.split(","):
                out = Path(name) / f"{size}-{number}"
                row = measure(source, out, int(number))
                if not seconds:
                    typer.echo(f"| articles | workers | {' | '.join(row)} |\n|{'---|' * (len(row) + 2)}")
                written.add(files.sha256(b"".join(path.read_bytes() for path in files.walk_files(out))))
                seconds.setdefault(number, []).append((math.log(size), math.log(row["blocks"] + row[STEPS[2]])))
                typer.echo(f"| {size:,} | {number} | {' | '.join(f'{value:.1f}' for value in row.values())} |")
            if len(written) != 1:
                raise RuntimeError("different bytes with another number of workers")
    for number, points in seconds.items():
        if len(points) > 1:
            (a, b), (c, d) = points[0], points[-1]
            typer.echo(f"{number} workers: blocks and near duplicates grow with the power {(d - b) / (c - a):.2f}.")


if __name__ == "__main__":
    typer.run(main)
