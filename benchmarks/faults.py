"""Faults in every command that talks to Label Studio: is anything lost or doubled?

    python benchmarks/faults.py                      # 200 faults and some, against a real server of its own
    python benchmarks/faults.py --faults 1000 --seed 7
    python benchmarks/faults.py --faults 200 --only pull        # one kind: request, client, server, race, disk, pull

Each fault befalls a push, an enter, a pull or an adjudicate of the mini benchmark of the tests, in a project of its
own: most of them through a proxy that breaks one request, chosen at random; others kill the client or the server with
-9 at a request, let two clients loose at once, fill the disk, or submit, correct and skip while a pull runs. After each
the same command is run again if it did not get through, and then must hold: one project, one task per passage, every
annotation and every prediction once, and the export whole, or before that as it was. Anything else is counted as a
violation, and the script ends with 1. So does an error that is not one sentence for the user.
"""

import itertools
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parent.parent))

from jinbench.labelstudio.server import accounts, client
from jinbench.labelstudio.server.client import call, retry
from jinbench.labelstudio.server.process import Server, start_server, stop_server
from tests.helpers.faults import COMMANDS, People, Trial
from tests.helpers.proxy import KINDS, Proxy, proxy_to

THROUGH, TOLD, BROKEN = 0, 3, 4  # how a process of its own ends
TIMES = {"client": 24, "server": 5, "race": 12, "disk": 10, "pull": 6}  # the rest are broken requests


def run_in_process(trial: Trial, url: str, home: str, room: int | None, barrier: Any) -> None:
    """Run a command in a process of its own; `room`: bytes that a file may have before the disk is full."""
    if room is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    if barrier is not None:
        barrier.wait()
    try:
        sys.exit(TOLD if trial.run_through(url, home) else THROUGH)
    except OSError:
        sys.exit(BROKEN)


class Bench:
    """The server, the proxy to it, and the results so far."""

    def __init__(self, folder: Path, server: Server, proxy: Proxy, seed: int) -> None:
        self.folder, self.server, self.proxy = folder, server, proxy
        self.random, self.races = random.Random(seed), itertools.count()
        self.people = People(server)
        self.processes = multiprocessing.get_context("forkserver")
        self.processes.set_forkserver_preload(["tests.helpers.faults", "label_studio_sdk", "httpx", "markdown_it"])
        self.lengths = {command: self.length(command) for command in COMMANDS}
        self.table: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])  # faults, run again, violations

    def length(self, command: str) -> int:
        """Count the requests of a command without faults."""
        trial = Trial(self.folder, self.people, command)
        self.proxy.reset()
        assert trial.run_through(self.proxy.url) is None
        trial.check()
        return self.proxy.number

    def count(self, kind: str, trial: Trial, again: bool, problem: str | None) -> None:
        row = self.table[kind]
        row[0] += 1
        row[1] += again
        row[2] += problem is not None
        if problem:
            typer.echo(f"VIOLATION after {kind!r} in {trial.command}: {problem}", err=True)
        shutil.rmtree(trial.benchmark.root, ignore_errors=True)

    def settle(
        self, kind: str, trial: Trial, again: bool, problem: str | None = None, present: Sequence[int] = (0, 8)
    ) -> None:
        """Run the command again if need be, and check the invariants; `present`: numbers an export may have before."""
        self.proxy.reset()
        try:
            if trial.command == "pull" and again:
                trial.check_export(*present)
            message = trial.run_through(self.proxy.url) if again else None
            if message:
                problem = problem or f"the same command again fails: {message}"
            else:
                retry(trial.client, trial.check)  # as an access token may end under way
        except Exception as error:  # whatever it is, it must not happen
            problem = problem or f"{type(error).__name__}: {error}"
        self.count(kind, trial, again, problem)

    def start(self, trial: Trial, home: str = "home", room: int | None = None, barrier: Any = None) -> BaseProcess:
        process = self.processes.Process(target=run_in_process, args=(trial, self.proxy.url, home, room, barrier))
        process.start()
        return process

    @staticmethod
    def ended(process: BaseProcess) -> str | None:
        """Return a problem if a process did not end as a command may."""
        process.join(300)
        return None if process.exitcode in (THROUGH, TOLD, BROKEN) else f"a process ended with {process.exitcode}"

    # ---- the faults -------------------------------------------------------------------------------------------------

    def break_request(self) -> None:
        command, kind = self.random.choice(COMMANDS), self.random.choice(list(KINDS))
        at = self.random.randint(1, self.lengths[command])
        trial = Trial(self.folder, self.people, command)
        self.proxy.reset(lambda n: kind if n == at else None)
        try:
            message, problem = trial.run_through(self.proxy.url), None
        except Exception as error:
            message, problem = "", f"{type(error).__name__}: {error}"
        self.settle(kind, trial, message is not None, problem)

    def kill_client(self) -> None:
        command = self.random.choice(COMMANDS)
        at, when = self.random.randint(1, self.lengths[command]), self.random.choice(("before", "after"))
        trial = Trial(self.folder, self.people, command)
        killed = threading.Event()

        def kill(n: int) -> None:
            if n == at and process.pid:
                os.kill(process.pid, signal.SIGKILL)
                killed.set()

        hooks: dict[str, Callable[[int], None]] = {when: kill}
        self.proxy.reset(**hooks)
        process = self.start(trial)
        process.join(300)
        self.settle("client killed", trial, True, None if killed.is_set() else "it was not killed")

    def kill_server(self) -> None:
        command = self.random.choice(COMMANDS)
        at, when = self.random.randint(2, self.lengths[command]), self.random.choice(("before", "after"))
        trial = Trial(self.folder, self.people, command)
        killed = threading.Event()

        def kill(n: int) -> None:
            if n == at:
                os.kill(self.server.pid, signal.SIGKILL)
                killed.set()

        hooks: dict[str, Callable[[int], None]] = {when: kill}
        self.proxy.reset(**hooks)
        process = self.start(trial)
        killed.wait(120)
        self.server = start_server(say=lambda text: None)
        self.settle("server killed", trial, self.ended(process) is not None or process.exitcode != THROUGH)

    def race(self) -> None:
        number = next(self.races)
        command = ("push", "enter", "adjudicate")[number % 3]
        machines = 1 + number % 2
        trial = Trial(self.folder, self.people, command)
        self.proxy.reset()
        barrier = self.processes.Barrier(2)
        both = [self.start(trial, home, barrier=barrier) for home in ("home", "home" if machines == 1 else "other")]
        problems = [self.ended(process) for process in both]
        again = any(process.exitcode != THROUGH for process in both)
        kind = "two at once, one machine" if machines == 1 else "two at once, two machines"
        self.settle(kind, trial, again, next(filter(None, problems), None))

    def fill_disk(self) -> None:
        trial = Trial(self.folder, self.people, "pull")
        self.proxy.reset()
        trial.run_through(self.proxy.url)
        old, size = trial.path.read_bytes(), trial.path.stat().st_size
        trial.path.write_bytes(old.replace(b'"lead_time": ', b'"lead_time":  '))  # as it was, and not as it will be
        old = trial.path.read_bytes()
        process = self.start(trial, room=self.random.randint(0, size - 1))
        problem = self.ended(process)
        if process.exitcode == THROUGH:
            problem = "the disk was not full"
        elif trial.path.read_bytes() != old:
            problem = "the export is not as it was"
        self.settle("disk full", trial, True, problem)

    def busy(self) -> None:
        """An annotator corrects, skips, takes back and submits while pulls run."""
        trial = Trial(self.folder, self.people, "pull")
        tasks = trial.tasks
        stop = threading.Event()
        problem = None

        def work() -> None:
            while not stop.is_set():
                annotation = tasks[self.random.randrange(len(tasks))]["annotations"][0]
                path = f"api/annotations/{annotation['id']}/"
                skipped = self.random.random() < 0.5
                for is_skip in (skipped, False):
                    body = {"was_cancelled": is_skip, "result": annotation["result"]}
                    retry(trial.client, lambda path=path, body=body: call(trial.client, "PATCH", path, json=body))

        self.proxy.reset(lambda n: "late")
        worker = threading.Thread(target=work)
        worker.start()
        for _ in range(3):
            message = trial.run_through(self.proxy.url)
            if message and "have no annotation" not in message:  # a passage that is skipped just now
                problem = message
            trial.check_export(*range(9))
        stop.set()
        worker.join()
        self.settle("submitting during a pull", trial, True, problem, range(9))  # some were skipped at every pull


def main(
    faults: Annotated[int, typer.Option(min=1, help="How many faults, at least.")] = 210,
    seed: Annotated[int, typer.Option(help="Random seed of the faults.")] = 0,
    only: Annotated[str | None, typer.Option(help=f"One kind of fault alone: request, {', '.join(TIMES)}.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The table as one line of JSON.")] = False,
) -> None:
    """Faults in push, enter, pull and adjudicate against a real Label Studio."""
    begun = time.monotonic()
    client.SETTLE_SECONDS = 0.1
    with tempfile.TemporaryDirectory(prefix="jinbench-faults-") as name, accounts.use_home(Path(name) / "home"):
        server = start_server(port=0, say=lambda text: typer.echo(text, err=True))
        try:
            with proxy_to(server.url) as proxy:
                bench = Bench(Path(name), server, proxy, seed)
                befall = {
                    "request": bench.break_request, "client": bench.kill_client, "server": bench.kill_server,
                    "race": bench.race, "disk": bench.fill_disk, "pull": bench.busy,
                }  # fmt: skip
                times = {only: faults} if only else TIMES | {"request": max(faults - sum(TIMES.values()), 1)}
                todo = [befall[kind] for kind, number in times.items() for _ in range(number)]
                bench.random.shuffle(todo)
                for number, fault in enumerate(todo, 1):
                    fault()
                    if number % 20 == 0:
                        took = time.monotonic() - begun
                        typer.echo(f"{number} of {len(todo)} faults, {took:.0f} s", err=True)
        finally:
            stop_server()
    totals = [sum(column) for column in zip(*bench.table.values(), strict=True)]
    if as_json:
        typer.echo(json.dumps({"table": bench.table, "total": totals, "seed": seed}))
    else:
        typer.echo("| fault | times | run again to finish | violations |\n|---|---|---|---|")
        for kind, row in [*sorted(bench.table.items()), ("total", totals)]:
            typer.echo(f"| {kind} | {row[0]} | {row[1]} | {row[2]} |")
    if totals[2]:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
