"""What the benchmarks share: every measurement in a process of its own, on one core, and medians of several."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from statistics import median

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
Figures = dict[str, float]


def in_a_process(script: str, arguments: Sequence[str]) -> Figures:
    """Run a script that prints its figures as the last line, one thread each."""
    command = [sys.executable, "-W", "ignore", script, *arguments]
    env = {**os.environ, **dict.fromkeys(THREADS, "1")}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def pin() -> None:
    """Stay on one core: the same for all contestants."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def without(*packages: str) -> None:
    """Make these packages impossible to import, as on a machine that lacks them."""
    for name in packages:
        sys.modules[name] = None  # type: ignore[assignment]


def medians(runs: Sequence[Figures]) -> Figures:
    return {key: median(run[key] for run in runs) for key in runs[0]}


def ratios(ours: Figures, theirs: Figures) -> Figures:
    return {key: ours[key] / theirs[key] for key in ours if theirs[key]}
