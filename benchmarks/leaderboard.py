"""How long all leaderboard tables take: every prediction file read, scored and ranked, in a process of its own.

    python benchmarks/leaderboard.py                     # the benchmark of this repository
    python benchmarks/leaderboard.py --root DIR          # another benchmark
    python benchmarks/leaderboard.py --against DIR       # in turn with another checkout of the project, and the ratio

Printed are medians of several runs, in seconds of the clock and of the processor. Importing the package is not in any
figure. With `--against` both checkouts work on the same benchmark, and it is checked that they rank the same systems.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from measuring import Figures, in_a_process, medians, pin, ratios

ROOT = Path(__file__).resolve().parent.parent


def find_builder() -> tuple[Callable[[Any], list[Any]], Callable[[Path], Any]]:
    """Return the function that builds all boards, and the class of a benchmark, under their present or older names."""
    try:
        from jinbench.core.benchmark import Benchmark
        from jinbench.leaderboard.ranking import build_boards
    except ImportError:
        from jinbench.ranking import build  # type: ignore[import-not-found]
        from jinbench.rooms import Rooms  # type: ignore[import-not-found]

        return build, Rooms
    return build_boards, Benchmark


def measure(root: Path) -> Figures:
    """Build all boards once."""
    pin()
    build, benchmark = find_builder()
    wall, processor = time.perf_counter(), time.process_time()
    boards = build(benchmark(root))
    figures = {"seconds": time.perf_counter() - wall, "processor seconds": time.process_time() - processor}
    return figures | {"boards": len(boards), "rows": sum(len(board.rows) for board in boards)}


def main(
    root: Annotated[Path, typer.Option(help="Folder of the benchmark.")] = ROOT,
    against: Annotated[Path | None, typer.Option(help="Another checkout of the project.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Processes for each checkout.")] = 5,
    once: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Time `build_boards`."""
    if once:
        print(json.dumps(measure(root.resolve())))
        return
    checkouts = {"this checkout": ROOT} | ({str(against): against.resolve()} if against else {})
    figures: dict[str, list[Figures]] = {name: [] for name in checkouts}
    for _ in range(runs):
        for name, checkout in checkouts.items():
            os.environ["PYTHONPATH"] = str(checkout)
            figures[name].append(in_a_process(__file__, ["--once", "--root", str(root)]))
            print(f"{name}: {figures[name][-1]['seconds']:.1f} s", file=sys.stderr)
    results = {name: medians(values) for name, values in figures.items()}
    for name, result in results.items():
        print(f"{name}: " + ", ".join(f"{value:.4g} {key}" for key, value in result.items()))
    if against:
        ours, theirs = results["this checkout"], results[str(against)]
        if (ours["boards"], ours["rows"]) != (theirs["boards"], theirs["rows"]):
            sys.exit("the two checkouts did not build the same boards")
        ratio = ratios(ours, theirs)
        print(f"ratio: {ratio['seconds']:.2f} seconds, {ratio['processor seconds']:.2f} processor seconds")


if __name__ == "__main__":
    typer.run(main)
