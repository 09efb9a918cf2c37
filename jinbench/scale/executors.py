"""How jobs are run: in this process, in one for each core, or on the workers of a Dask cluster.

An engine is called with a function, and with what it is to be called with, and yields results as they come. Functions
are found by name, so a worker needs the same version of the package, and nothing else from us. No engine tries
anything twice but Dask, which gives the jobs of a lost worker to others.
"""

import concurrent.futures
import contextlib
import importlib.util
import itertools
import logging
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from importlib import metadata
from typing import Any

from jinbench.core.errors import DataError, JinbenchError, Problem

Executor = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], Iterator[Any]]
AHEAD = 4  # jobs for each worker that are handed out
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
AGAIN = "What is finished is kept: the same command goes on from there."


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def serial_executor() -> Iterator[Executor]:
    """One job after the other, in this process."""
    yield lambda function, jobs: (function(*job) for job in jobs)


@contextlib.contextmanager
def process_executor(workers: int) -> Iterator[Executor]:
    """`workers` processes of this machine.

    Raises :class:`JinbenchError` when one of them is killed. At the end, and at Ctrl-C, they are ended.
    """
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin)

    def run(function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        left = iter(jobs)
        try:
            open_jobs = {pool.submit(function, *job) for job in itertools.islice(left, AHEAD * workers)}
            while open_jobs:
                done, open_jobs = wait(open_jobs, return_when=FIRST_COMPLETED)
                for job in itertools.islice(left, len(done)):
                    open_jobs.add(pool.submit(function, *job))
                yield from (each.result() for each in done)
        except BrokenProcessPool:
            hint = "It may have taken more memory than there is: try fewer --workers."
            raise JinbenchError(f"A worker process was killed, and not by us. {hint} {AGAIN}") from None

    try:
        yield run
    except BaseException:
        for process in multiprocessing.active_children():
            if process not in others:
                process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """What a worker does first: one thread, no Ctrl-C of its own, and an end when the process that made it is gone."""
    os.environ.update(dict.fromkeys(THREADS, "1"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def dask_executor(workers: int, scheduler: str | None = None) -> Iterator[Executor]:
    """The workers of the Dask cluster at an address; without one, `workers` processes of this machine, as a cluster.

    Raises :class:`DataError` (package-missing, wrong-version), and :class:`JinbenchError` if the scheduler is not
    there, or not any more, or a job has cost too many workers their lives.
    """
    if not all(importlib.util.find_spec(name) for name in ("dask", "distributed")):
        hint = "pip install 'jinbench[cluster]'"
        raise DataError(
            Problem(
                "package-missing",
                location="--engine dask",
                expected="dask and distributed",
                found="not installed",
                fix=hint,
            )
        )
    import dask as package
    import distributed as module

    distributed: Any = module  # it has no types

    with contextlib.ExitStack() as stack:
        room = stack.enter_context(tempfile.TemporaryDirectory(prefix="jinbench-dask-"))
        settings = {
            "distributed.admin.tick.limit": "1h",
            "logging.distributed": "critical",
            "temporary-directory": room,
            # Dask has malloc give back memory at every turn, and workers that ask for arrays of the same sizes again
            # and again then take twice the time.
            "distributed.nanny.pre-spawn-environ": dict.fromkeys(THREADS, 1),
        }
        stack.enter_context(package.config.set(settings))
        if scheduler is None:
            try:
                cluster: Any = distributed.LocalCluster(
                    n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1", protocol="tcp",
                    dashboard_address="127.0.0.1:0", local_directory=room, silence_logs=logging.CRITICAL,
                )  # fmt: skip
            except (OSError, RuntimeError, TimeoutError) as error:
                raise JinbenchError(f"Dask's workers do not start on this machine: {error}") from None
            stack.callback(cluster.close, timeout=20)
        else:
            cluster = scheduler
        try:
            client: Any = distributed.Client(cluster, set_as_default=False, timeout="5s")
        except (OSError, ValueError, TimeoutError) as error:
            hint = "Is `dask scheduler` running there?"
            raise JinbenchError(f"No Dask scheduler answers at {scheduler}: {error}. {hint}") from None
        stack.callback(client.close, timeout=20)
        _check_workers(client, scheduler)

        def run(function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
            left = iter(jobs)
            ahead = AHEAD * max(1, sum(client.nthreads().values()))
            first = [client.submit(function, *job, pure=False) for job in itertools.islice(left, ahead)]
            done = distributed.as_completed(first, loop=client.loop)
            del first
            try:
                for future in done:
                    yield _result(future)
                    for job in itertools.islice(left, 1):
                        done.add(client.submit(function, *job, pure=False))
            except concurrent.futures.CancelledError:
                raise JinbenchError(f"The connection to the Dask scheduler is lost. {AGAIN}") from None
            except distributed.KilledWorker as error:
                lost = f"its workers died one after the other ({error.allowed_failures + 1} of them)"
                raise JinbenchError(f"Dask gave up a job: {lost}. They may need more memory. {AGAIN}") from None

        yield run


def _result(future: Any) -> Any:
    result = future.result()
    future.release()
    return result


def _check_workers(client: Any, scheduler: str | None) -> None:
    """Raises :class:`DataError` (package-missing, wrong-version) unless every worker has this version of us."""
    own = metadata.version("jinbench")
    problems = []
    for worker, version in sorted(client.run(_version, on_error="return").items()):
        if isinstance(version, Exception):  # where the package is not, the function cannot be found
            hint = "install it there: pip install 'jinbench[cluster]'"
            problems.append(
                Problem("package-missing", location=worker, expected=f"jinbench {own}", found="no jinbench", fix=hint)
            )
        elif version != own:
            hint = "install the same version on every worker"
            problems.append(
                Problem("wrong-version", location=worker, expected=f"jinbench {own}", found=version, fix=hint)
            )
    if problems:
        raise DataError(problems)
    if scheduler and not client.nthreads():
        raise JinbenchError(f"The Dask scheduler at {scheduler} has no workers. Type: dask worker {scheduler}")


def _version() -> str:
    return metadata.version("jinbench")
