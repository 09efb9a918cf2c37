"""Run jobs in this process, in local processes, or on a Dask cluster.

An executor is called with a function and the arguments of each job, and yields results as they come. Functions are
found by name, so a worker needs the same version of the package. No executor retries anything but Dask, which gives the
jobs of a lost worker to others.
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

from jinbench.core.errors import ErrorList, JinbenchError, fail

Executor = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], Iterator[Any]]
JOBS_PER_WORKER = 4  # that are submitted ahead
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
RESUME_HINT = "What is finished is kept: the same command goes on from there."


def count_cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def serial_executor() -> Iterator[Executor]:
    """Run one job after the other, in this process."""
    yield lambda function, jobs: (function(*job) for job in jobs)


@contextlib.contextmanager
def process_executor(workers: int) -> Iterator[Executor]:
    """Run jobs in `workers` processes of this machine.

    They end with it, and at Ctrl-C. Raise :class:`JinbenchError` when one of them is killed.
    """
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker)

    def run(function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        remaining = iter(jobs)
        try:
            pending = {pool.submit(function, *job) for job in itertools.islice(remaining, JOBS_PER_WORKER * workers)}
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for job in itertools.islice(remaining, len(done)):
                    pending.add(pool.submit(function, *job))
                yield from (future.result() for future in done)
        except BrokenProcessPool:
            fix = "It may have taken more memory than there is: try fewer --workers."
            raise JinbenchError(f"A worker process was killed, and not by us. {fix} {RESUME_HINT}") from None

    try:
        yield run
    except BaseException:
        for process in multiprocessing.active_children():
            if process not in others:
                process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Limit a worker to one thread, ignore Ctrl-C, and exit when the parent is gone."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def dask_executor(workers: int, scheduler: str | None = None) -> Iterator[Executor]:
    """Run jobs on the Dask cluster at an address, or on a local one of `workers`.

    Raise :class:`DataError` (package-missing, wrong-version), and :class:`JinbenchError` if the scheduler does not
    answer, or a job has killed too many workers.
    """
    if not all(importlib.util.find_spec(name) for name in ("dask", "distributed")):
        fail("package-missing", "--engine dask", expected="dask and distributed", found="not installed",
             fix="pip install 'jinbench[cluster]'")  # fmt: skip
    import dask
    import distributed as module

    distributed: Any = module  # it has no types

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="jinbench-dask-"))
        settings = {
            "distributed.admin.tick.limit": "1h",
            "logging.distributed": "critical",
            "temporary-directory": folder,
            # Dask has malloc give back memory at every turn, and workers that ask for arrays of the same sizes again
            # and again then take twice the time.
            "distributed.nanny.pre-spawn-environ": dict.fromkeys(THREAD_VARIABLES, 1),
        }
        stack.enter_context(dask.config.set(settings))
        if scheduler is None:
            try:
                cluster: Any = distributed.LocalCluster(
                    n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1", protocol="tcp",
                    dashboard_address="127.0.0.1:0", local_directory=folder, silence_logs=logging.CRITICAL,
                )  # fmt: skip
            except (OSError, RuntimeError, TimeoutError) as error:
                raise JinbenchError(f"Dask's workers do not start on this machine: {error}") from None
            stack.callback(cluster.close, timeout=20)
        else:
            cluster = scheduler
        try:
            client: Any = distributed.Client(cluster, set_as_default=False, timeout="5s")
        except (OSError, ValueError, TimeoutError) as error:
            fix = "Is `dask scheduler` running there?"
            raise JinbenchError(f"No Dask scheduler answers at {scheduler}: {error}. {fix}") from None
        stack.callback(client.close, timeout=20)
        _check_workers(client, scheduler)

        def run(function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
            remaining = iter(jobs)
            ahead = JOBS_PER_WORKER * max(1, sum(client.nthreads().values()))
            first = [client.submit(function, *job, pure=False) for job in itertools.islice(remaining, ahead)]
            done = distributed.as_completed(first, loop=client.loop)
            del first
            try:
                for future in done:
                    yield _release_result(future)
                    for job in itertools.islice(remaining, 1):
                        done.add(client.submit(function, *job, pure=False))
            except concurrent.futures.CancelledError:
                raise JinbenchError(f"The connection to the Dask scheduler is lost. {RESUME_HINT}") from None
            except distributed.KilledWorker as error:
                lost = f"its workers died one after the other ({error.allowed_failures + 1} of them)"
                raise JinbenchError(f"Dask gave up a job: {lost}. They may need more memory. {RESUME_HINT}") from None

        yield run


def _release_result(future: Any) -> Any:
    result = future.result()
    future.release()
    return result


def _check_workers(client: Any, scheduler: str | None) -> None:
    """Check that every worker has this version of jinbench.

    Raise :class:`DataError` (package-missing, wrong-version).
    """
    expected = f"jinbench {metadata.version('jinbench')}"
    problems = ErrorList()
    for worker, version in sorted(client.run(_version, on_error="return").items()):
        if isinstance(version, Exception):  # without the package the function cannot be found
            fix = "install it there: pip install 'jinbench[cluster]'"
            problems.add("package-missing", worker, expected=expected, found="no jinbench", fix=fix)
        elif version != _version():
            fix = "install the same version on every worker"
            problems.add("wrong-version", worker, expected=expected, found=version, fix=fix)
    problems.raise_if_any()
    if scheduler and not client.nthreads():
        raise JinbenchError(f"The Dask scheduler at {scheduler} has no workers. Type: dask worker {scheduler}")


def _version() -> str:
    return metadata.version("jinbench")
