"""Isolation of recipes: what a recipe can find in its process, and how the process may end."""

import gc
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jinbench.baselines import reader, run, sandbox, worker
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.scoring.gold import Gold
from tests.helpers.paths import ROOT
from tests.helpers.recipes import write_recipe

PEEKS = '''
import builtins, gc, json, os, sys

TASK, SEED = {task!r}, 0
FORBIDDEN = {{"spans", "ner_tags", "sectors", "split", "kind", "level", "hits", "clean_id", "fold_1"}}


def reachable():
    """Every container that the collector knows, and what the frames above hold."""
    objects, frame = gc.get_objects(), sys._getframe(1)
    while frame:
        objects += [frame.f_locals, *frame.f_locals.values()]
        frame = frame.f_back
    return objects


class Peeks:
    def fit(self, X, y):
        self.trained = [label for labels in y for label in labels]
        # What an earlier fit left behind; then something for the next one to find.
        self.left = [getattr(builtins, "STASH", None), getattr(sys, "STASH", None), os.environ.get("STASH")]
        builtins.STASH = sys.STASH = list(y)
        os.environ["STASH"] = "x"
        del X, y
        return self

    def predict(self, X):
        objects = reachable()
        rows = [sorted(FORBIDDEN & set(value)) for value in objects
                if isinstance(value, dict) and isinstance(value.get("text"), str) and FORBIDDEN & set(value)]
        labels = [[value[0], value[1], str(value[2]), value[3]] for value in objects
                  if isinstance(value, (list, tuple)) and len(value) == 4 and isinstance(value[0], int)
                  and isinstance(value[1], int) and isinstance(value[2], str) and isinstance(value[3], str)]
        trained = [list(label) for label in self.trained if not isinstance(label, str)]
        ids = [value["id"] for value in objects if isinstance(value, dict) and "@" in str(value.get("id"))]
        with open({log!r}, "a") as file:
            foreign = [label for label in labels if label not in trained]
            fields = sorted({{key for row in X for key in row}})
            record = [len(trained), len(labels), foreign, rows, ids, self.left, sys.argv, fields]
            file.write(json.dumps(record) + "\\n")
        return [[] for _ in X]


def make():
    return Peeks()
'''


@pytest.mark.parametrize("task", ["ner", "sector"])
def test_recipe_finds_no_label_of_what_it_predicts_in_memory(world: Benchmark, tmp_path: Path, task: str) -> None:
    log = tmp_path / "log.jsonl"
    run.run_recipe(world, write_recipe(tmp_path, PEEKS.format(task=task, log=str(log))))
    fits = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(fits) == (1 + 4 + 18 if task == "ner" else 1 + 4)
    for trained, labels, foreign, rows, ids, left, arguments, fields in fits:
        assert (trained > 0) == (labels > 0) == (task == "ner"), "the search finds the labels that it was given"
        assert foreign == [], "labels that are not those it was given"
        assert rows == []
        assert ids == [], "an id that says which noise it is"
        assert left == [None, None, None], "something of an earlier fit"
        assert not any(str(world.root) in argument for argument in arguments[1:] if not argument.endswith("model.py"))
        assert set(fields) <= set(reader.VISIBLE_FIELDS)


ENDS = """
import os, signal
TASK, SEED = "sector", 0
{before}
class M:
    def fit(self, X, y): {fit}
    def predict(self, X): return [["port"] for _ in X]
def make(): return M()
"""


CHANNEL = """
import stat, time
CHANNEL = next(number for number in range(3, 99) if os.path.exists(f"/proc/self/fd/{number}")
               and stat.S_ISSOCK(os.fstat(number).st_mode))
def say(text, size=None): os.write(CHANNEL, (size or len(text)).to_bytes(8, "big") + text.encode())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="cases look into /proc")
@pytest.mark.parametrize(
    ("before", "fit", "message"),
    [
        ("", "os._exit(3)", "exit code 3"),
        ("", "os._exit(77)", "exit code 77"),
        ("", "os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("", "os.kill(os.getppid(), signal.SIGKILL); os.kill(os.getpid(), 9)", "PermissionError|no answer came"),
        ("", "os.kill(os.getpid(), signal.SIGSTOP)", "stopped by SIGSTOP"),
        ("", "os.kill(os.getpid(), 40)", "signal 40"),
        ("", "os.execv('/bin/sleep', ['sleep', '600'])", "closed its channel"),
        (CHANNEL, "os.close(CHANNEL); time.sleep(600)", "closed its channel|Bad file descriptor"),
        (CHANNEL, "os.write(CHANNEL, b'junk'); os._exit(4)", "exit code 4"),
        (CHANNEL, "os.write(CHANNEL, b'junkjunk'); time.sleep(600)", "something else than an answer"),
        (CHANNEL, "say('{', 90); os._exit(5)", "exit code 5"),
        (CHANNEL, "say('[' * 200000); time.sleep(600)", "something else than an answer"),
        (CHANNEL, "say('5'); time.sleep(600)", "something else than an answer"),
        (CHANNEL, "say('{}'); time.sleep(600)", "something else than an answer"),
        (CHANNEL, "say('{}{}', 2); time.sleep(600)", "something else than an answer"),
        (CHANNEL, "say('{\"batches\": [[5]]}'); time.sleep(600)", "something else than an answer"),
        (CHANNEL, "say('{\"batches\": 5}'); time.sleep(600)", "something else than an answer"),
        (CHANNEL, 'say(\'{"problems": [{"code": "x"}]}\'); time.sleep(600)', "something else than an answer"),
        (CHANNEL, "say('{\"next\": 1}'); say('{\"next\": 1}'); time.sleep(600)", "something else than an answer"),
        ("os._exit(0)", "pass", "exit code 0"),
        ("", "raise ValueError('no\\nsense')", "model.py:6"),
        ("", "[][1]", "IndexError"),
        ("", "raise KeyboardInterrupt('no')", "model.py:6(.|\\n)*KeyboardInterrupt: no"),
        ("", "os._exit(0)", "exit code 0"),
        ("", "import json; json.loads('{')", r"JSONDecodeError: .* \(in .*json/decoder.py:\d+\)"),
        ("", "import no_such_package", "NEEDS"),
        ("", "raise ValueError('x' * 5000)", "x{300} …"),
    ],
)
def test_every_end_of_a_recipe_is_reported(
    world: Benchmark, tmp_path: Path, before: str, fit: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        run.run_recipe(world, write_recipe(tmp_path, ENDS.format(before=before, fit=fit)))


def test_every_fit_has_the_same_seed_and_order_of_sets(world: Benchmark, tmp_path: Path) -> None:
    text = """
import random
import numpy
TASK, SEED = "sector", -3
class M:
    def fit(self, X, y): return self
    def predict(self, X):
        with open(LOG, "a") as file:
            print(random.random(), numpy.random.random(), list({"a", "b", "c", "d", "e"}), file=file)
        return [["port"] for _ in X]
def make(): return M()
"""
    log = tmp_path / "log"
    for _ in range(2):
        run.run_recipe(world, write_recipe(tmp_path, text.replace("LOG", repr(str(log)))))
    lines = log.read_text().splitlines()
    assert len(lines) == 2 * 5
    assert len(set(lines)) == 1


def test_peak_memory_excludes_the_parent_process() -> None:
    ours = b"x" * (300 << 20)
    command = [sys.executable, "-c", "from jinbench.baselines.worker import peak_memory_mb; print(peak_memory_mb())"]
    peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert 5 < peak < 100 < len(ours) >> 20
    assert worker.peak_memory_mb() > 300


def test_memory_is_that_of_the_recipe_alone(world: Benchmark, tmp_path: Path) -> None:
    """What fit allocates shows; what this process has does not."""
    ours = b"x" * (300 << 20)
    recipe = write_recipe(tmp_path, ENDS.format(before="", fit="self.big = b'x' * (100 << 20)"))
    memory = run.run_recipe(world, recipe).costs["memory_mb"]
    assert 100 < memory["growth"] < 150
    assert memory["peak"] < len(ours) >> 20


FORGES = """
import resource, time
sleep = time.sleep
time.sleep = time.time = time.monotonic = time.perf_counter = time.process_time = lambda *_: 0.0
resource.getrusage = resource.setrlimit = lambda *_: None
"""


def test_costs_are_measured_from_outside(world: Benchmark, tmp_path: Path) -> None:
    text = 'NEEDS = ("numpy",)\n' + ENDS.format(before=FORGES, fit="sleep(0.05); self.big = b'x' * (100 << 20)")
    result = run.run_recipe(world, write_recipe(tmp_path, text))
    record = json.loads(result.to_files()["scores.json"])
    assert record["run"]["fit_seconds"]["wall"] >= 5 * 0.05
    assert record["run"]["cpu_seconds"] > 0
    assert record["run"]["memory_mb"]["peak"] > 100 + record["run"]["memory_mb"]["before"] - 1
    assert record["run"]["fits"] == 5
    assert record["run"]["characters_per_second"] > 0
    assert {"python", "machine", "settings", "versions"} <= record["run"].keys()
    assert set(record["run"]["versions"]) == {"jinbench", "numpy", "scipy", "scikit-learn"}
    assert record["needs"] == ["numpy"]
    assert "run" not in run.strip_costs(result.to_files()["scores.json"])


def test_output_of_a_recipe_goes_to_stderr(world: Benchmark, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(ENDS.format(before="print('loading')", fit="print('fitting')"))
    done = subprocess.run(
        [sys.executable, "-m", "jinbench", "--root", str(world.root), "run", "--json", str(tmp_path / "model.py")],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    (record,) = json.loads(done.stdout)
    assert record["recipe"] == "model"
    assert done.stderr.count("loading") == 5
    assert done.stderr.count("fitting") == 5


def start_long_fit(world: Benchmark, tmp_path: Path) -> tuple["subprocess.Popen[str]", Path]:
    """Start the command with a long fit; return it with a file that grows as long as the fit goes on."""
    pulse = tmp_path / "pulse"
    beat = f"import time; [(open({str(pulse)!r}, 'a').write('x'), time.sleep(0.05)) for _ in range(2000)]"
    (tmp_path / "model.py").write_text(ENDS.format(before="", fit=beat))
    process = subprocess.Popen(
        [sys.executable, "-m", "jinbench", "--root", str(world.root), "run", str(tmp_path / "model.py")],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not pulse.is_file():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process, pulse


def is_growing(pulse: Path) -> bool:
    beats = pulse.stat().st_size
    time.sleep(0.5)
    return pulse.stat().st_size != beats


def test_recipe_ends_with_the_command(world: Benchmark, tmp_path: Path) -> None:
    """Ctrl-C in the middle of a fit: the command ends, the recipe with it, and no traceback is shown."""
    process, pulse = start_long_fit(world, tmp_path)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode not in (0, None)
    assert "Traceback" not in stderr
    time.sleep(0.3)
    assert not is_growing(pulse)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_recipe_outlives_the_command(world: Benchmark, tmp_path: Path, number: int) -> None:
    """However the command ends, a long fit ends with it."""
    process, pulse = start_long_fit(world, tmp_path)
    process.send_signal(number)
    process.communicate(timeout=20)
    time.sleep(1.5)
    assert not is_growing(pulse)


# Each remembers the labels that `fit` is given, where a later fit may find them; one that finds any answers with them.
STORES = {
    "shared memory": """
import mmap
SHARED = mmap.mmap(-1, 1 << 16)
def read(): return SHARED[:].rstrip(b"\\0").decode()
def write(text): SHARED[: len(text)] = text.encode()
""",
    "pipe": """
import os
READ, WRITE = os.pipe()
os.set_blocking(READ, False)
def read():
    try: return os.read(READ, 1 << 16).decode()
    except BlockingIOError: return ""
def write(text): os.write(WRITE, text.encode())
""",
    "working folder": """
from pathlib import Path
def read(): return Path("kept").read_text() if Path("kept").exists() else ""
def write(text): Path("kept").write_text(text)
""",
    "home": """
from pathlib import Path
PLACE = Path.home() / "kept"
def read(): return PLACE.read_text() if PLACE.exists() else ""
def write(text): PLACE.write_text(text)
""",
    "temporary folder": """
import tempfile
from pathlib import Path
PLACE = Path(tempfile.gettempdir()) / "kept"
def read(): return PLACE.read_text() if PLACE.exists() else ""
def write(text): PLACE.write_text(text)
""",
    "cache folder": """
import os
from pathlib import Path
PLACE = Path(os.environ["XDG_CACHE_HOME"]) / "kept"
def read(): return PLACE.read_text() if PLACE.exists() else ""
def write(text): PLACE.write_text(text)
""",
    "beside the recipe": """
from pathlib import Path
PLACE = Path(__file__).with_name("kept")
def read(): return PLACE.read_text() if PLACE.exists() else ""
def write(text): PLACE.write_text(text)
""",
    "its own text": """
from pathlib import Path
def read(): return "port" if "# " + "kept" in Path(__file__).read_text() else ""
def write(text): Path(__file__).write_text(Path(__file__).read_text() + "# " + "kept")
""",
    "descriptor": """
import fcntl, os
def read():
    flags = [fcntl.fcntl(number, fcntl.F_GETFL) & os.O_APPEND for number in (0, 1, 2)]
    return "port" if any(flags) else ""
def write(text):
    for number in (0, 1, 2): fcntl.fcntl(number, fcntl.F_SETFL, fcntl.fcntl(number, fcntl.F_GETFL) | os.O_APPEND)
""",
    "memory of its parent": """
import ctypes, os
WORD = ctypes.create_string_buffer(b"empty")
class Vector(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
import jinbench.core.tags as module
PLACE = id(module.__doc__) + 60  # in the parent at the same address, which a fork shares
def call(name, text):
    ours = Vector(ctypes.cast(text, ctypes.c_void_p).value, 4)
    return getattr(ctypes.CDLL(None), name)(os.getppid(), ctypes.byref(ours), 1, ctypes.byref(Vector(PLACE, 4)), 1, 0)
def read(): return "port" if ctypes.string_at(PLACE, 4) == b"kept" else ""
def write(text): call("process_vm_writev", ctypes.create_string_buffer(b"kept"))
""",
    "module": """
import json
def read(): return getattr(json, "KEPT", "")
def write(text): json.KEPT = text
""",
    "process of its own": """
import os, socket, tempfile, time
ADDRESS = "\\0jinbench-test-" + str(os.getppid())
def read():
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(ADDRESS)
            return client.recv(1 << 16).decode()
    except OSError: return ""
def write(text):
    server = socket.socket(socket.AF_UNIX)
    try: server.bind(ADDRESS)
    except OSError: return
    server.listen()
    if os.fork() == 0:
        os.setsid()
        while True:
            server.accept()[0].sendall(text.encode())
""",
}
REMEMBERS = """
TASK, SEED = "sector", 0
class M:
    def fit(self, X, y):
        self.found = read()
        write("port")
    def predict(self, X): return [["port"] if self.found else [] for _ in X]
def make(): return M()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans to the process that started the fit")
@pytest.mark.parametrize("store", STORES)
def test_nothing_of_an_earlier_fit_is_left(world: Benchmark, tmp_path: Path, store: str) -> None:
    result = run.run_recipe(world, write_recipe(tmp_path, STORES[store] + REMEMBERS))
    assert not any(labels for rows in result.predictions.values() for _, labels in rows)


# Places that cannot be emptied: what is new in them is named.
@pytest.mark.skipif(sys.platform != "linux", reason="/dev/shm, /proc")
@pytest.mark.parametrize(
    ("fit", "name"),
    [
        ("open('/tmp/jinbench-test-kept', 'w').close()", "/tmp/jinbench-test-kept"),
        ("open('/dev/shm/jinbench-test-kept', 'w').close()", "/dev/shm/jinbench-test-kept"),
        ("open(FOLDER + '/model.pkl', 'w').close()", "model.pkl"),
        ("from multiprocessing.shared_memory import SharedMemory as S; S('jinbench-test', 1, 9)", "jinbench-test"),
        ("import ctypes; ctypes.CDLL(None).shmget(4711, 99, 0o1600)", "/proc/sysvipc/shm"),
    ],
)
def test_what_a_fit_leaves_elsewhere_is_named(world: Benchmark, tmp_path: Path, fit: str, name: str) -> None:
    recipe = write_recipe(tmp_path, ENDS.format(before=f"FOLDER = {str(tmp_path)!r}", fit=fit))
    try:
        left = run.run_recipe(world, recipe, splits=("test",)).costs["left"]
        assert any(name in place for place in left)
    finally:
        for path in (*Path("/tmp").glob("jinbench-test*"), *Path("/dev/shm").glob("jinbench-test*")):
            path.unlink()
        subprocess.run(["ipcrm", "-M", "4711"], capture_output=True, check=False)


def test_no_process_has_the_gold_while_a_recipe_runs(world: Benchmark, tmp_path: Path) -> None:
    def check(name: str, done: int, total: int) -> None:
        rounds.append(done)
        objects = gc.get_objects()
        assert not [value for value in objects if isinstance(value, Gold)]
        assert not [value for value in objects if isinstance(value, dict) and {"text", "sectors"} <= value.keys()]

    rounds: list[int] = []
    gc.collect()
    recipe = write_recipe(tmp_path, ENDS.format(before="", fit="pass"))
    assert run.run_recipe(world, recipe, check).scores
    assert rounds == [0, 1, 2, 3, 4, 5]


OPENS = """
import os
TASK, SEED = "sector", 0
def parent(pid): return int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
class M:
    def fit(self, X, y):
        pid = parent(os.getpid())
        while pid > 1:
            try: open(f"/proc/{pid}/mem", "rb")
            except PermissionError: print("refused")
            else: print("opened memory", pid)
            pid = parent(pid)
    def predict(self, X): return [["port"] for _ in X]
def make(): return M()
"""


@pytest.mark.skipif(not worker.has_landlock(), reason="a kernel without Landlock")
def test_ancestors_cannot_be_read(world: Benchmark, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run.run_recipe(world, write_recipe(tmp_path, OPENS), splits=("test",))
    output = capfd.readouterr().err
    assert "refused" in output
    assert "opened memory" not in output


LEAVES = """
import os, threading, time
TASK, SEED = "sector", 0
class M:
    def fit(self, X, y):
        threading.Thread(target=time.sleep, args=(600,)).start()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                print("pid", os.getpid(), flush=True)
                time.sleep(600)
            os._exit(0)
    def predict(self, X): return [["port"] for _ in X]
def make(): return M()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans to the process that started the fit")
def test_no_process_outlives_its_fit(world: Benchmark, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run.run_recipe(world, write_recipe(tmp_path, LEAVES)).predictions["test"]
    output = capfd.readouterr().err
    pids = [line.split()[1] for line in output.splitlines() if line.startswith("pid ")]
    assert not [pid for pid in pids if Path("/proc", pid).exists()]


def test_limits_of_time_and_memory(world: Benchmark, tmp_path: Path) -> None:
    endless = write_recipe(tmp_path, ENDS.format(before="import time", fit="time.sleep(600)"))
    with pytest.raises(DataError, match=r"no answer in 0.5 s \(--timeout\)"):
        run.run_recipe(world, endless, limits=sandbox.Limits(timeout=0.5))
    large = write_recipe(tmp_path, ENDS.format(before="", fit="self.big = b'x' * (4 << 30)"))
    with pytest.raises(DataError, match="MemoryError"):
        run.run_recipe(world, large, limits=sandbox.Limits(memory=2000))


def test_fork_of_a_recipe_does_not_answer(world: Benchmark, tmp_path: Path) -> None:
    alone, forked = (
        run.run_recipe(world, write_recipe(tmp_path, ENDS.format(before="", fit=fit))) for fit in ("pass", "os.fork()")
    )
    assert alone.predictions == forked.predictions


def test_recipe_may_change_its_rows(world: Benchmark, tmp_path: Path) -> None:
    """Changing them changes nothing of what predictions are scored on."""
    text = ENDS.format(before="", fit="pass").replace("for _ in X]", "for row in X if row.clear() is None]")
    assert "row.clear()" in text
    assert run.run_recipe(world, write_recipe(tmp_path, text)).predictions["test"]
