"""Cost of `jinbench process` by number of articles: time, memory, profile, and an estimate for 10^9.

    python benchmarks/scale.py                        # 1,000, 10,000 and 100,000 articles; writes benchmarks/scale.png
    python benchmarks/scale.py --sizes 1000,10000     # less

The articles are made: `SENTENCES` sentences of this benchmark in `PASSAGES` passages, in which digits and every sixth
Han character are replaced by others. Sentences alone, put together anew, would make every passage resemble many others,
and the stage of near duplicates would be measured on what no newspaper has. One article in twenty has a passage of an
earlier one with three characters changed: those are to be found. Every run is a process of its own, with the same seed.
Each way gives the same bytes, which is checked. Peak memory is VmHWM of each process, read until it ends, as the sum of
all and of the largest alone.
"""

import io
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
from measuring import THREADS, pin

from jinbench.core import files
from jinbench.core.benchmark import packaged_benchmark
from jinbench.dataset import load
from jinbench.scale import executors, minhash, outputs, pipeline
from jinbench.scale.stages import Settings

PASSAGES, SENTENCES = 4, 2
SEED = 0
STAGES = ("start", "learning", "blocks", "repeats", "pairs", "merging", "end")
BILLION = 10**9
WAYS = ("one process", "all cores", "dask")


def articles(count: int) -> Iterator[dict[str, Any]]:
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


def run(source: str, out: str, way: str) -> dict[str, float]:
    """One run, in this process and those that it starts. Seconds of each stage."""
    workers = executors.count_cores()
    if way == "one process":
        pin()
    engine = {
        "one process": executors.serial_executor(),
        "all cores": executors.process_executor(workers),
        "dask": executors.dask_executor(workers),
    }[way]
    begin = last = time.perf_counter()
    took, now = dict.fromkeys(STAGES, 0.0), "start"

    def step(what: str, done: int, total: int) -> None:
        nonlocal last, now
        what = "end" if (what, done) == ("merging", total) else what
        if what != now:
            took[now] += time.perf_counter() - last
            last, now = time.perf_counter(), what

    pipeline.process([Path(source)], Path(out), packaged_benchmark(), Settings(select=100), engine, step)
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


def measured(source: Path, out: Path, way: str) -> dict[str, float]:
    """A run in a process of its own, while the memory of all its processes is read."""
    env = {**os.environ, **dict.fromkeys(THREADS, "1")}
    words = [sys.executable, "-W", "ignore", __file__, "--only", f"{source},{out},{way}"]
    done = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True)
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
        raise RuntimeError(f"{way}: exit code {done.returncode}")
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures | {"mb": max(peaks.values(), default=0), "mb_all": sum(peaks.values())}


def inside(source: Path) -> dict[str, float]:
    """Return the share of each step in the time of a shard, in one process, from a profile."""
    import cProfile
    import pstats

    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        profile.enable()
        pipeline.process(
            [source],
            Path(folder) / "out",
            packaged_benchmark(),
            Settings(select=100),
            executors.serial_executor(),
            lambda *_: None,
        )
        profile.disable()
    table: Any = pstats.Stats(profile)
    times = {(Path(file).stem, name): row[3] for (file, _, name), row in table.stats.items()}
    whole = times["stages", "_process_shard"]
    parts = {
        "tagging": times["stages", "tag_batch"],
        "MinHash, and what is labelled": times["stages", "hash_batch"],
        "writing": times.get(("stages", "_to_table"), 0) + times.get(("core", "write_table"), 0),
        "sentences": times["stages", "add"],
        "cleaning": times["clean", "split_paragraphs"],
    }
    return {name: part / whole for name, part in parts.items()} | {"rest": 1 - sum(parts.values()) / whole}


def slope(x: list[float], y: list[float]) -> float:
    """The exponent of a power law: the least-squares slope of the logarithms."""
    a, b = [math.log(value) for value in x], [math.log(value) for value in y]
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    return sum((p - mean_a) * (q - mean_b) for p, q in zip(a, b, strict=True)) / sum((p - mean_a) ** 2 for p in a)


def net(row: dict[str, float]) -> float:
    """Seconds of what grows with the input: without start, learning and end."""
    return sum(row[stage] for stage in STAGES[2:-1])


def bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in files.walk_files(folder))


def for_a_billion(size: int, source: int, written: int, summary: dict[str, Any], took: dict[str, float]) -> list[str]:
    """A sum on paper from the largest run in one process."""
    times = BILLION / size
    block_seconds = (took["blocks"] + took["repeats"] + took["pairs"]) * times
    passages, pairs = summary["passages"] * times, summary["near_duplicates"]["pairs"] * times
    bands = passages * minhash.BANDS * 16
    texts = summary["characters"] * 3 * times
    chance = passages**2 / 2 * minhash.candidate_probability(0.02)
    members = summary["near_duplicates"]["passages"] * times
    lines = [
        f"10^9 articles of {source / size:,.0f} bytes, from the {size:,} measured, if nothing but their number grows:",
        f"  input {source * times / 1e12:.1f} TB; results {written * times / 1e12:.1f} TB",
        f"  until the end besides: band hashes {bands / 1e12:.1f} TB, texts {texts / 1e12:.1f} TB",
    ]
    for cores in (1, 32, 1000):
        hours = block_seconds / cores / 3600
        lines.append(f"  blocks and partitions on {cores:,} cores: {hours:,.0f} hours ({hours / 24:,.1f} days)")
    serial = took["merging"] * times / 3600
    lines.append(
        f"  merging, which one process does: {serial:,.1f} hours; {pairs:,.0f} pairs of {members:,.0f} passages,"
    )
    lines.append(f"  24 bytes of memory for each of these: {members * 24 / 1e9:.1f} GB")
    for block, memory in ((2, 8), (256, 2048)):
        blocks, parts = source * times / (block * 2**20), bands / (memory * 2**20)
        lines.append(
            f"  with --block {block} --memory {memory}: {blocks:,.0f} blocks, {parts:,.0f} partitions, "
            f"{blocks * parts:,.0f} reads of {bands / blocks / parts:,.0f} bytes each; "
            f"some {4 * memory / 1000:.1f} GB of memory for each worker"
        )
    lines.append(f"  candidates by chance, were all pairs of passages to resemble each other by 0.02: {chance:,.0f}")
    return lines


def plot(runs_by_way: dict[str, dict[int, dict[str, float]]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (way, runs), colour in zip(runs_by_way.items(), ("#4477AA", "#EE6677", "#228833"), strict=False):
        sizes = list(runs)
        left.plot(sizes, [runs[size]["seconds"] for size in sizes], "o-", color=colour, label=way, markersize=5)
        right.plot(sizes, [runs[size]["mb"] for size in sizes], "o-", color=colour, label=way, markersize=5)
    for axes, label in ((left, "seconds"), (right, "peak memory of the largest process, MB")):
        axes.set_xscale("log")
        axes.set_xlabel("articles")
        axes.set_ylabel(label)
        axes.grid(linewidth=0.4)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    left.set_yscale("log")
    right.set_ylim(bottom=0)
    left.legend(frameon=False, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, facecolor="white", metadata={"Software": None})
    files.write_bytes(path, buffer.getvalue())


def main(
    sizes: Annotated[str, typer.Option(help="Numbers of articles.")] = "1000,10000,100000",
    ways: Annotated[str, typer.Option(help="Ways to run them.")] = ",".join(WAYS),
    out: Annotated[Path, typer.Option(help="The plot.")] = Path("benchmarks/scale.png"),
    as_json: Annotated[bool, typer.Option("--json", help="All figures as one line of JSON.")] = False,
    only: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Articles per second, memory, growth, and what a billion articles would take."""
    if only:
        print(json.dumps(run(*only.split(","))))
        return
    numbers, chosen = [int(size_text) for size_text in sizes.split(",")], ways.split(",")
    runs_by_way: dict[str, dict[int, dict[str, float]]] = {way: {} for way in chosen}
    last: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="jinbench-scale-") as name:
        folder = Path(name)
        for size in numbers:
            source = folder / f"{size}.jsonl"
            with source.open("w", encoding="utf-8") as file:
                for row in articles(size):
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
            seen = set()
            for way in chosen:
                typer.echo(f"{size:,} articles, {way}", err=True)
                to = folder / "out"
                runs_by_way[way][size] = measured(source, to, way)
                seen.add(files.sha256(b"".join(path.read_bytes() for path in files.walk_files(to))))
                summary = json.loads((to / outputs.SUMMARY).read_text())
                last = {"size": size, "source": source.stat().st_size, "written": bytes_below(to), "summary": summary}
                for path in sorted(files.walk_files(to), reverse=True):
                    path.unlink()
                (to / "data").rmdir()
            if len(seen) != 1:
                raise RuntimeError("two ways of running it came to different bytes")
            if size == numbers[0]:
                shares = inside(source)
    plot(runs_by_way, out)
    if as_json:
        typer.echo(json.dumps({"runs": runs_by_way, "shares": shares, "last": last}))
        return
    summary, size = last["summary"], last["size"]
    near = summary["near_duplicates"]
    typer.echo(f"An article has {summary['characters'] / size:.0f} characters, {last['source'] / size:,.0f} bytes.")
    duplicates = f"{near['passages']:,} stand in {near['pairs']:,} pairs, of {near['candidates']:,} candidates"
    typer.echo(f"Of {summary['passages']:,} passages {duplicates}.\n")
    typer.echo(f"| articles | way | speed, {chosen[0]} = 1 | articles/s | seconds: start | learning | blocks "
               "| candidates | comparing | merging | end | MB, largest process | MB, all |")  # fmt: skip
    typer.echo("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for number in numbers:
        for way in chosen:
            row = runs_by_way[way][number]
            stages = " | ".join(f"{row[stage]:.1f}" for stage in STAGES)
            speed, ratio = number / row["seconds"], net(runs_by_way[chosen[0]][number]) / net(row)
            cells = [f"{ratio:.2f}", f"{speed:.0f}", stages, f"{row['mb']:.0f}", f"{row['mb_all']:.0f}"]
            typer.echo(f"| {number:,} | {way} | {' | '.join(cells)} |")
    if len(numbers) > 1:
        typer.echo("\nSeconds without start, learning and end grow with the number of articles to the power of:")
        for way in chosen:
            took = [net(runs_by_way[way][number]) for number in numbers]
            typer.echo(f"  {way}: {slope([float(number) for number in numbers], took):.2f}")
    typer.echo(
        "\nOf the time for a block: " + ", ".join(f"{name} {share:.0%}" for name, share in shares.items()) + "\n"
    )
    typer.echo("\n".join(for_a_billion(size, last["source"], last["written"], summary, runs_by_way[chosen[0]][size])))


if __name__ == "__main__":
    typer.run(main)
