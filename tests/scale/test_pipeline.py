"""The pipeline: outputs, the same bytes however it was run, and errors of broken input."""

import contextlib
import dataclasses
import gzip
import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, JinbenchError, Problem
from jinbench.dataset import load
from jinbench.scale import clean, dedup, executors, minhash, outputs, pipeline, plan, readers
from jinbench.scale.readers import FieldNames, ShardReader
from jinbench.scale.stages import WORK, Settings
from tests.helpers.paths import ROOT
from tests.helpers.scale import (
    ENV,
    PATIENCE,
    PLAIN_SETTINGS,
    command,
    make_articles,
    process,
    quiet,
    read_contents,
    wait_until_gone,
    write_rows,
)
from tests.helpers.scale import sentences as sentences


@pytest.fixture(scope="module")
def articles(sentences: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("articles") / "many.jsonl", make_articles(sentences, 120))


@pytest.fixture(scope="module")
def plain(articles: Path, tmp_path_factory: pytest.TempPathFactory, real: Benchmark) -> Path:
    """The folder of a run without tagging that nothing interrupted."""
    out = tmp_path_factory.mktemp("plain") / "out"
    process([articles], out, real)
    return out


@pytest.fixture(scope="module")
def tagged(articles: Path, tmp_path_factory: pytest.TempPathFactory, real: Benchmark) -> Path:
    out = tmp_path_factory.mktemp("tagged") / "out"
    process([articles], out, real, Settings(select=20, block=20_000, rows=2000))
    return out


def shards(out: Path) -> list[dict[str, Any]]:
    return [row for path in sorted((out / "data").iterdir()) for row in pq.read_table(path).to_pylist()]


def test_every_passage_can_be_traced_to_its_source(tagged: Path, articles: Path) -> None:
    rows, data = shards(tagged), articles.read_bytes()
    assert len(rows) == 360
    assert len({row["id"] for row in rows}) == 360
    assert len({row["article_id"] for row in rows}) == 120
    for row in rows:
        source = json.loads(data[row["at"] : data.index(b"\n", row["at"])])
        assert (source["id"], source["title"]) == (row["given_id"], row["title"])
        assert clean.clean_text(source["text"][row["start"] : row["end"]]) == row["text"]
        ends = [0, *(sentence["end"] for sentence in row["sentences"])]
        assert [sentence["start"] for sentence in row["sentences"]] == ends[:-1]
        assert ends[-1] == len(row["text"])
        for span in row["spans"]:
            assert row["text"][span["start"] : span["end"]] == span["surface"]
            assert 0 <= span["chance"] <= 1
    assert sum(len(row["spans"]) for row in rows) > 500
    assert len(list((tagged / "data").iterdir())) > 5


def test_it_says_what_the_tagger_says(tagged: Path, real: Benchmark) -> None:
    from jinbench.models import active_learning
    from jinbench.models.crf.estimator import CrfTagger

    rows = load.read_rows(real, "ner")
    tagger = CrfTagger(random_state=0).fit([row["text"] for row in rows], [row["spans"] for row in rows])
    for row in shards(tagged)[::40]:
        scored = tagger.predict_with_confidence(
            [row["text"][sentence["start"] : sentence["end"]] for sentence in row["sentences"]]
        )
        assert row["certainty"] == pytest.approx(active_learning.sequence_confidence(scored), abs=1e-5)
        surfaces = [span.surface for sentence in scored for span in sentence.spans]
        assert surfaces == [span["surface"] for span in row["spans"]]


def test_what_is_selected_is_least_certain_new_and_of_different_families(tagged: Path, articles: Path) -> None:
    family = {row[end]: row["family"] for row in pq.read_table(tagged / "duplicates.parquet").to_pylist()
              for end in ("first", "second")}  # fmt: skip
    expected: list[str] = []
    seen: set[str] = set()
    for row in sorted(shards(tagged), key=lambda row: (row["certainty"], row["id"])):
        head = family.get(row["id"], row["id"])
        if row["labelled"] is None and len(row["text"]) >= 10 and head not in seen:
            expected.append(row["id"])
            seen.add(head)
    selected = [json.loads(line) for line in (tagged / "selected.jsonl").read_text().splitlines()]
    assert [row["id"] for row in selected] == expected[:20]
    assert {"id", "title", "text", "certainty"} <= set(selected[0])


def test_families_are_taken_once_and_labelled_passages_never(real: Benchmark, tmp_path: Path) -> None:
    """Ten near copies of one odd passage, and one that the benchmark has: one of the first is selected."""
    labelled = next(row["text"] for row in load.read_rows(real, "sector") if len(row["text"]) > 60)
    odd = "\u67d0\u67d0\u516c\u53f8\u5728\u67d0\u5730\u751f\u4ea7\u67d0\u79cd\u4ea7\u54c1"
    rows = [{"text": f"{odd * 3}{i}"} for i in range(10)] + [{"text": labelled + "\u4e86"}]
    summary = process([write_rows(tmp_path / "in.jsonl", rows)], tmp_path / "out", real, Settings(select=5))
    assert (summary["selected"], summary["like_labelled"]) == (1, 1)
    assert summary["near_duplicates"]["families"] == 1


def exact(texts: Sequence[str], least: float) -> set[tuple[int, int]]:
    sets = [minhash.split_shingles(text) for text in texts]
    return {
        (i, j)
        for i, j in itertools.combinations(range(len(texts)), 2)
        if min(len(texts[i]), len(texts[j])) >= 10 and minhash.jaccard_index(sets[i], sets[j]) >= least
    }


def test_near_duplicates_are_those_of_comparing_all(plain: Path) -> None:
    rows = shards(plain)
    place = {row["id"]: i for i, row in enumerate(rows)}
    pairs = pq.read_table(plain / "duplicates.parquet").to_pylist()
    pairs_found = {(place[row["first"]], place[row["second"]]) for row in pairs}
    everything = exact([row["text"] for row in rows], 0.7)
    assert pairs_found <= everything
    sure = exact([row["text"] for row in rows], 0.85)
    assert len(sure) > 8
    first: dict[str, int] = {}
    heads = [first.setdefault(row["text"], i) for i, row in enumerate(rows)]  # the first of copies stands for all
    assert sum(i != head for i, head in enumerate(heads)) > 3
    assert {(heads[i], i) for i in place.values() if heads[i] != i} <= pairs_found
    assert {(heads[i], heads[j]) for i, j in sure if heads[i] < heads[j]} <= pairs_found
    for row in pairs:
        a, b = (minhash.split_shingles(rows[place[row[end]]]["text"]) for end in ("first", "second"))
        assert row["similarity"] == pytest.approx(len(a & b) / len(a | b), abs=1e-6)


def test_families_are_what_pairs_lead_to(plain: Path) -> None:
    from jinbench.dataset.duplicates import connect_groups

    pairs = pq.read_table(plain / "duplicates.parquet").to_pylist()
    members = sorted({row[end] for row in pairs for end in ("first", "second")})
    expected = connect_groups(members, [(row["first"], row["second"]) for row in pairs])
    assert {row["first"]: row["family"] for row in pairs} == {row["first"]: expected[row["first"]] for row in pairs}


def test_partitions_change_nothing(plain: Path, articles: Path, real: Benchmark, tmp_path: Path) -> None:
    process([articles], tmp_path / "one", real, Settings(tagging=False, block=20_000))
    one, many = (
        sorted(map(str, pq.read_table(out / "duplicates.parquet").to_pylist())) for out in (tmp_path / "one", plain)
    )
    assert one == many


def test_boilerplate_costs_no_square(real: Benchmark, tmp_path: Path) -> None:
    """Two hundred variants of one text, and two hundred copies of another: two families, pairs linear in both."""
    body = "\u5929\u6d25\u5e02\u6c14\u8c61\u53f0\u4eca\u5929\u53d1\u5e03\u5929\u6c14\u9884\u62a5" * 1
    rng = random.Random(1)
    long = "".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(200))
    rows = [{"text": f"{long}{i:03}"} for i in range(200)] + [{"text": body}] * 200
    near_duplicates = process([write_rows(tmp_path / "in.jsonl", rows)], tmp_path / "out", real)["near_duplicates"]
    assert (near_duplicates["families"], near_duplicates["passages"], near_duplicates["largest"]) == (2, 400, 200)
    assert near_duplicates["dense_bands"] > 0
    copies = 199
    assert copies < near_duplicates["pairs"] <= copies + 1.5 * 200 * dedup.NEIGHBOURS


@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.9])
def test_candidates_come_as_often_as_the_formula_says(similarity: float) -> None:
    """Sets of shingles with a known resemblance: texts with a common beginning, of random characters."""
    rng, hits, trials = random.Random(0), 0, 300
    common = round(2 * 200 * similarity / (1 + similarity))

    def text(length: int) -> str:
        return "".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(length))

    for _ in range(trials):
        begin = text(common + 2)
        both = minhash.hash_bands([begin + text(200 - common), begin + text(200 - common)])
        hits += bool((both[0] == both[1]).any())
    chance = minhash.candidate_probability(similarity)
    assert abs(hits / trials - chance) <= 4 * (chance * (1 - chance) / trials) ** 0.5 + 0.01


def test_a_text_has_the_same_bands_in_any_company(sentences: list[str]) -> None:
    alone = [minhash.hash_bands([text])[0].tolist() for text in sentences[:50]]
    assert minhash.hash_bands(sentences)[:50].tolist() == alone


def test_it_loads_with_datasets(tagged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    loaded = datasets.load_dataset(str(tagged), cache_dir=str(tmp_path))["train"]
    assert loaded.num_rows == 360
    assert loaded[359] == shards(tagged)[359]
    pairs = datasets.load_dataset(str(tagged), "duplicates", cache_dir=str(tmp_path))["train"]
    assert pairs.num_rows == pq.read_metadata(tagged / "duplicates.parquet").num_rows > 0


def test_any_number_of_workers_writes_the_same_bytes(tagged: Path, articles: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    size = 20_000 / 2**20
    done = subprocess.run(
        command(articles, "--out", out, "--workers", 3, "--select", 20, "--block", size, "--json"),
        env=ENV, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ours, theirs = read_contents(out), read_contents(tagged)
    del ours["plan.json"], theirs["plan.json"], ours["summary.json"], theirs["summary.json"]  # they name the settings
    ours.pop("duplicates.parquet"), theirs.pop("duplicates.parquet")  # so many rows to a partition
    assert ours == theirs
    assert json.loads(done.stdout)["selected"] == 20


def killed_at(number: int, paths: Sequence[Path], out: Path, benchmark: Benchmark) -> str:
    """A run in a fork that is killed when it is about to give its file number `number` the name that it gets.

    Returns that name, or nothing if the run ended before.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status, moves, replace = 1, itertools.count(1), os.replace

        def counted(a: Any, b: Any) -> None:
            if next(moves) == number:
                os.write(writing, str(Path(b).relative_to(out)).encode())
                os.kill(os.getpid(), signal.SIGKILL)
            replace(a, b)

        try:
            os.replace = counted  # type: ignore[assignment]
            process(paths, out, benchmark)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        name = pipe.read()
    assert os.waitpid(child, 0)[1] == (signal.SIGKILL if name else 0)
    return name


def test_killed_before_any_kind_of_file_it_goes_on(
    plain: Path, articles: Path, real: Benchmark, tmp_path: Path
) -> None:
    expected, out, before = read_contents(plain), tmp_path / "out", list[str]()
    for number in itertools.chain([1, 2, 3, 4, 4, 5, 6, 7, 8, 9], [15] * 7, [4, 2] * 8, [3, 5]):
        name = killed_at(number, [articles], out, real)
        if not name:
            break
        before.append(name)
    kinds = {re.sub(r"^[.]work/|/.*", "", name) for name in before}
    assert kinds == {"data", "texts", "bands", "ids", "ends", "certain", "blocks", "candidates", "repeats", "pairs",
                     "model.pickle", "model.sha256", plan.PLAN, outputs.SUMMARY, outputs.PAIRS, outputs.PROBLEMS,
                     "README.md"}  # fmt: skip
    process([articles], out, real)
    assert read_contents(out) == expected


def test_no_run_goes_on_with_another_model(articles: Path, real: Benchmark, tmp_path: Path) -> None:
    """As on a processor that rounds otherwise: what is learnt from the same labels is not the same."""
    out = tmp_path / "out"
    assert killed_at(7, [articles], out, real)
    noted = out / WORK / "model.sha256"
    before = noted.read_text()
    noted.write_text("0" * 64)
    with pytest.raises(DataError, match="expected a model 00000000\n"):
        process([articles], out, real)
    noted.write_text(before)
    process([articles], out, real)


def test_killed_at_random_moments_it_goes_on(sentences: list[str], tmp_path: Path) -> None:
    """Real commands with two workers, killed by their id once they are at work, six times."""
    rng, out, source = random.Random(0), tmp_path / "out", slow(tmp_path, sentences)
    options = ("--workers", 2, "--no-tagging", "--block", 0.02, "--memory", 1)
    begun = []
    for _ in range(6):
        run = at_work(command(source, "--out", out, *options), out)
        time.sleep(rng.uniform(0, 0.05))
        run.kill()
        assert run.wait() == -signal.SIGKILL
        run.communicate()
        begun.append(len(list((out / WORK / "blocks").glob("*"))))
    assert 0 < begun[0] < begun[-1]
    for folder in (out, tmp_path / "at once"):
        subprocess.run(command(source, "--out", folder, *options), env=ENV, check=True, capture_output=True)
    assert read_contents(out) == read_contents(tmp_path / "at once")


def test_a_full_disk_is_said_and_the_run_goes_on(articles: Path, real: Benchmark, tmp_path: Path) -> None:
    """No file may grow beyond some kilobytes, which is what a full disk comes to."""
    out, words = tmp_path / "out", command(articles, "--out", tmp_path / "out", "--no-tagging", "--block", 0.02)
    room = 6_000
    done = subprocess.run(
        [*words, "--workers", "1"], env=ENV, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "too large" in done.stderr
    subprocess.run([*words, "--workers", "1"], env=ENV, check=True, capture_output=True)
    process([articles], tmp_path / "again", real, Settings(tagging=False, block=int(0.02 * 2**20)))
    assert read_contents(out) == read_contents(tmp_path / "again")


def list_children(process: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{process}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def at_work(words: list[str], out: Path, env: dict[str, str] = ENV) -> "subprocess.Popen[str]":
    """A run whose workers have written something."""
    before = len(list((out / WORK / "blocks").glob("*.json")))
    run = subprocess.Popen(
        words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while run.poll() is None and len(list((out / WORK / "blocks").glob("*.json"))) == before:
        time.sleep(0.01)
    return run


def slow(tmp_path: Path, sentences: Sequence[str], count: int = 700) -> Path:
    return write_rows(tmp_path / "slow.jsonl", make_articles(sentences, count))


HOLD = """
import os, sys, time

def wait_at_the_third_block(event, arguments):
    if event == "os.rename" and "/blocks/" in str(arguments[1]) and int(os.path.basename(arguments[1])[:-5]) > 1:
        while True:
            time.sleep(0.05)

sys.addaudithook(wait_at_the_third_block)
"""


@pytest.fixture
def held(tmp_path: Path) -> dict[str, str]:
    """An environment in which workers wait before they store a third block: no run is over before it is ended."""
    (tmp_path / "hold").mkdir()
    (tmp_path / "hold" / "sitecustomize.py").write_text(HOLD)
    return {**ENV, "PYTHONPATH": f"{tmp_path / 'hold'}{os.pathsep}{ROOT}"}


def test_a_worker_that_is_killed_ends_the_run_and_the_next_goes_on(
    sentences: list[str], held: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = command(slow(tmp_path, sentences), "--out", out, "--no-tagging", "--workers", 2, "--block", 0.02)
    run = at_work(words, out, held)
    workers = [
        child for child in list_children(run.pid) if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    os.kill(workers[0], signal.SIGKILL)
    message = run.communicate(timeout=PATIENCE)[1]
    assert run.returncode == 1
    assert "A worker process was killed" in message
    assert "the same command goes on" in message
    assert "Traceback" not in message
    assert wait_until_gone(workers)
    done = subprocess.run(words, env=ENV, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "summary.json").read_text())["articles"] == 700


def test_ctrl_c_ends_it_cleanly(sentences: list[str], held: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = command(slow(tmp_path, sentences), "--out", out, "--no-tagging", "--workers", 2, "--block", 0.02)
    run = at_work(words, out, held)
    started = list_children(run.pid)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: everybody in the group
    message = run.communicate(timeout=PATIENCE)[1]
    assert run.returncode == 130, message
    assert message.strip().endswith("Stopped. What is finished is kept: the same command goes on from there.")
    assert "Traceback" not in message
    assert len(started) >= 2
    assert wait_until_gone(started)
    assert {path.name for path in (out / WORK / "blocks").glob("*.json")} <= {"000000.json", "000001.json"}
    assert subprocess.run(words, env=ENV, capture_output=True).returncode == 0  # it goes on


def test_a_killed_run_leaves_no_workers(sentences: list[str], held: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = at_work(
        command(slow(tmp_path, sentences), "--out", out, "--no-tagging", "--workers", 2, "--block", 0.02), out, held
    )
    started = list_children(run.pid)
    run.kill()
    run.wait()
    assert len(started) >= 2
    assert wait_until_gone(started)


def test_two_runs_do_not_work_in_one_folder(articles: Path, real: Benchmark, tmp_path: Path) -> None:
    with plan.lock_folder(tmp_path / "out"), pytest.raises(JinbenchError, match="Another run is at work"):
        process([articles], tmp_path / "out", real)


def test_a_folder_belongs_to_one_plan(plain: Path, articles: Path, real: Benchmark, tmp_path: Path) -> None:
    before = read_contents(plain)
    with pytest.raises(DataError) as raised:
        process([articles], plain, real, Settings(tagging=False, block=20_000, rows=2000, similar=0.8))
    (problem,) = raised.value.problems
    assert (problem.code, problem.expected, problem.found) == ("plan-differs", "0.7", "0.8")
    assert "--similar 0.7, as that run had" in problem.fix
    with pytest.raises(DataError) as raised:
        process([articles], plain, real, Settings(tagging=False, block=40_000, rows=2000))
    (problem,) = raised.value.problems  # without the number of blocks, which follows from it
    assert (problem.location.split()[-1], problem.expected) == ("settings.block", "20000")
    block = float(re.search(r"--block ([\d.]+), as that run had", problem.fix)[1])  # type: ignore[index]
    assert abs(block * 2**20 - 20_000) < 100
    changed = tmp_path / articles.name
    changed.write_bytes(articles.read_bytes().replace(b"x1", b"y1", 1))
    with pytest.raises(DataError) as raised:
        process([changed], plain, real)
    assert [problem.location.split()[-1] for problem in raised.value.problems] == ["sources.0.sha256"]
    assert read_contents(plain) == before
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="folder-taken"):
        process([articles], tmp_path / "out", real)


def test_a_finished_run_is_told_again(plain: Path, articles: Path, real: Benchmark) -> None:
    before = read_contents(plain)
    assert process([articles], plain, real) == json.loads(before["summary.json"])
    assert read_contents(plain) == before


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
def test_lines_are_read_once_wherever_blocks_end(size: int, tmp_path: Path) -> None:
    lines = [json.dumps({"text": "x" * (i % 23), "id": i}) for i in range(40)]
    (tmp_path / "a.jsonl").write_text(
        "\ufeff" + "\n".join(lines[:20]) + "\n\n\r\n" + "\r\n".join(lines[20:]), encoding="utf-8"
    )
    _, cut = readers.plan_shards([tmp_path / "a.jsonl"], FieldNames(), size)
    readings = [ShardReader(block, FieldNames()) for block in cut]
    assert [article.given_id for reading in readings for article in reading.read_articles()] == [
        str(i) for i in range(40)
    ]
    assert sum(reading.lines for reading in readings) == 42
    assert not any(reading.faults for reading in readings)


def read_faults(out: Path) -> list[str]:
    rows = [json.loads(line) for line in (out / "problems.jsonl").read_text().splitlines()]
    return [f"{row['location']} {row['code']}" for row in rows]


def test_broken_lines_are_counted_and_named(real: Benchmark, tmp_path: Path) -> None:
    """Their lines are those of the file, in whatever block they stand."""
    lines = [
        json.dumps({"text": f"\u7b2c{i}\u7bc7\u6587\u7ae0", "id": str(i)}, ensure_ascii=False).encode()
        for i in range(1, 1001)
    ]
    lines[99] = b'{"text": "cut off'
    lines[499] = '{"text": "\u5929\u6d25"}'.encode("gb18030")
    lines[699] = b"[1, 2]"
    lines[799] = b'{"title": "no text"}'
    lines[899] = b'{"text": null}'
    lines[949] = b'{"text": " \\u0007\\u3000\\n "}'
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))
    summary = process([tmp_path / "in.jsonl"], tmp_path / "out", real, Settings(tagging=False, block=3000))
    assert read_faults(tmp_path / "out") == [
        "in.jsonl:100 broken-json", "in.jsonl:500 not-utf8", "in.jsonl:700 broken-json", "in.jsonl:800 wrong-shape",
        "in.jsonl:900 wrong-shape",
    ]  # fmt: skip
    assert summary["skipped"] == {"broken-json": 2, "not-utf8": 1, "wrong-shape": 2}
    assert (summary["articles"], summary["empty"], summary["blocks"] > 10) == (995, 1, True)
    assert len(summary["first_problems"]) == 5
    with pytest.raises(DataError) as raised:
        process([tmp_path / "in.jsonl"], tmp_path / "strict", real, Settings(tagging=False, block=3000), strict=True)
    assert [f"{problem.location} {problem.code}" for problem in raised.value.problems] == read_faults(tmp_path / "out")
    assert not (tmp_path / "strict").exists()


MEASURED = """
import sys
from pathlib import Path
from jinbench.core.benchmark import find_benchmark
from jinbench.scale import executors, pipeline
from jinbench.scale.stages import Settings
from jinbench.baselines.worker import peak_memory_mb
tagging, block, source, out, root = sys.argv[1:]
settings = Settings(tagging=tagging == "yes", block=int(block), select=10, rows=2**16)
executor = executors.serial_executor()
pipeline.process([Path(source)], Path(out), find_benchmark(root), settings, executor, lambda *_: None)
print(peak_memory_mb())
"""


def peak(source: Path, out: Path, tagging: str, block: int) -> float:
    """MB of the process that does everything."""
    words = [sys.executable, "-c", MEASURED, tagging, str(block), str(source), str(out), str(ROOT)]
    return float(subprocess.run(words, env=ENV, check=True, capture_output=True, text=True).stdout)


def test_a_line_of_200_megabytes_is_left_out(real: Benchmark, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    with path.open("wb") as file:
        file.write(b'{"text": "one, and some more"}\n{"text": "')
        for _ in range(200):
            file.write(b"x" * 2**20)
        file.write(b'"}\n{"text": "two, and some more"}\nbroken\n')
    small = write_rows(tmp_path / "small.jsonl", [{"text": "one, and some more"}])
    grown = peak(path, tmp_path / "out", "no", 2**22) - peak(small, tmp_path / "small", "no", 2**22)
    assert read_faults(tmp_path / "out") == ["in.jsonl:2 file-too-big", "in.jsonl:4 broken-json"]
    problem = json.loads((tmp_path / "out" / "problems.jsonl").read_text().splitlines()[0])
    assert problem["found"] == f"{200 * 2**20 + 13:,} bytes"
    assert [row["text"] for row in shards(tmp_path / "out")] == ["one, and some more", "two, and some more"]
    assert grown < 60


def test_memory_does_not_grow_with_the_input(sentences: list[str], tmp_path: Path) -> None:
    """1,500 articles and 15,000, of sixty characters each, in blocks of some 1,200: less than 15 MB more.
    What was kept of every block would come on top."""
    rng = random.Random(3)
    letters = "".join(sentences)
    rows = [{"id": i, "text": "".join(rng.choices(letters, k=60))} for i in range(13_500)]
    rows += [row | {"id": -row["id"] - 1} for row in rows[:1500]]
    few, many = write_rows(tmp_path / "few.jsonl", rows[:1500]), write_rows(tmp_path / "many.jsonl", rows)
    small, large = (peak(path, tmp_path / path.stem, "yes", 2**18) for path in (few, many))
    summary = json.loads((tmp_path / "many" / "summary.json").read_text())
    assert (summary["articles"], summary["blocks"] > 10) == (15_000, True)
    assert large - small < 15, (small, large)


def test_ids_that_occur_again_are_kept_apart_and_counted(real: Benchmark, tmp_path: Path) -> None:
    rows = [{"id": id, "text": f"\u6587\u7ae0 {i}"} for i, id in enumerate(["a", "b", "a", 7, "7", None, None, "a"])]
    path = write_rows(tmp_path / "in.jsonl", rows)
    summary = process([path], tmp_path / "out", real, Settings(tagging=False, block=30))
    assert summary["ids_again"] == 3
    listed = shards(tmp_path / "out")
    assert [row["given_id"] for row in listed] == ["a", "b", "a", "7", "7", None, None, "a"]
    assert len({row["article_id"] for row in listed}) == len({row["id"] for row in listed}) == 8
    data = path.read_bytes()
    again = [json.loads(data[example["at"] :].splitlines()[0])["text"] for example in summary["ids_again_at"]]
    assert again == ["\u6587\u7ae0 2", "\u6587\u7ae0 4", "\u6587\u7ae0 7"]


def refused(paths: Sequence[Path], out: Path, real: Benchmark, field: str = "text") -> list[Problem]:
    with pytest.raises(DataError) as raised:
        process(paths, out, real, Settings(fields=FieldNames(field), tagging=False))
    assert not read_contents(out) if out.exists() else True
    return list(raised.value.problems)


def test_files_that_cannot_be_read_are_refused_at_once(real: Benchmark, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(gzip.compress(b'{"text": "x"}\n'))
    (tmp_path / "array.json").write_text('[{"text": "x"}]')
    (tmp_path / "empty").mkdir()
    paths = [tmp_path / name for name in ("a.jsonl", "array.json", "empty", "nowhere.jsonl")]
    problems = refused(paths, tmp_path / "out", real)
    assert [problem.code for problem in problems] == ["file-binary", "broken-json", "file-missing", "file-missing"]
    assert "gunzip a.jsonl" in problems[0].fix
    (tmp_path / "none.jsonl").touch()
    assert [problem.code for problem in refused([tmp_path / "none.jsonl"], tmp_path / "out", real)] == ["page-empty"]
    one = write_rows(tmp_path / "one.jsonl", [{"body": "x"}])
    assert [problem.code for problem in refused([one, one], tmp_path / "out", real)] == ["duplicate-id"]
    nothing = refused([one], tmp_path / "out", real)
    assert [problem.code for problem in nothing] == ["page-empty", "wrong-shape"]
    assert "body" in nothing[1].found
    assert process([one], tmp_path / "out", real, Settings(fields=FieldNames("body"), tagging=False))["articles"] == 1
    with pytest.raises(DataError, match="repair-unknown"):
        process([one], tmp_path / "other", real, Settings(repairs=("magic",), tagging=False))


def test_tables_are_read_by_row_groups(sentences: list[str], real: Benchmark, tmp_path: Path) -> None:
    rows = make_articles(sentences, 60)
    rows[41]["text"] = None
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=25)
    summary = process([tmp_path / "in.parquet"], tmp_path / "out", real, Settings(tagging=False, block=4000))
    assert summary["blocks"] > 3
    assert (summary["articles"], summary["skipped"]) == (59, {"wrong-shape": 1})
    assert read_faults(tmp_path / "out") == ["in.parquet row 41 wrong-shape"]
    for row in shards(tmp_path / "out"):
        assert rows[row["at"]]["id"] == row["given_id"]
    others = [row for row in rows if row["text"]]
    process([write_rows(tmp_path / "in.jsonl", others)], tmp_path / "lines", real)
    texts = [[row["text"] for row in shards(tmp_path / name)] for name in ("out", "lines")]
    assert texts[0] == texts[1]
    problems = refused([tmp_path / "in.parquet"], tmp_path / "no", real, "body")
    assert "columns id, title, text" in problems[0].found
    numbers = pa.table({"text": [1, 2]})
    pq.write_table(numbers, tmp_path / "numbers.parquet")
    assert [problem.code for problem in refused([tmp_path / "numbers.parquet"], tmp_path / "no", real)] == [
        "wrong-shape"
    ]


def test_a_table_that_is_broken_inside_is_reported(sentences: list[str], real: Benchmark, tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(make_articles(sentences, 60)), tmp_path / "in.parquet", row_group_size=20)
    data = bytearray((tmp_path / "in.parquet").read_bytes())
    place = pq.read_metadata(tmp_path / "in.parquet").row_group(1).column(2).data_page_offset
    data[place : place + 40] = b"\xff" * 40
    (tmp_path / "in.parquet").write_bytes(data)
    summary = process([tmp_path / "in.parquet"], tmp_path / "out", real)
    assert summary["articles"] >= 40
    assert set(summary["skipped"]) == {"broken-parquet"}


def test_a_folder_of_texts(real: Benchmark, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "deeper").mkdir(parents=True)
    for i in range(9):
        (folder / f"{i}.txt").write_text(f"\u7b2c{i}\u7bc7\n\n\u6b63\u6587{i}\u3002", encoding="utf-8")
    (folder / "3.txt").write_bytes("\u5929\u6d25".encode("gb18030"))
    (folder / "deeper" / "x.txt").write_text("\u5929\u6d25\u3002")
    (folder / "notes.md").write_text("not for us")
    with (folder / "large.txt").open("wb") as file:
        file.truncate(readers.MAX_BYTES + 1)
    summary = process([folder], tmp_path / "out", real, Settings(tagging=False, block=40))
    assert read_faults(tmp_path / "out") == ["3.txt not-utf8", "large.txt file-too-big"]
    assert (summary["articles"], summary["passages"]) == (9, 17)
    assert {row["source"] for row in shards(tmp_path / "out")} == {
        *(f"{i}.txt" for i in range(9) if i != 3),
        "deeper/x.txt",
    }


def test_cleaning() -> None:
    text = "\ufeff\u5929\u6d25 \t\u6e2f\x07\u200b\r\n\u3000\u3000\u7b2c\u4e8c\u884c\u3000\n\n \u2028\ud800\u672b"
    paragraphs = list(clean.split_paragraphs(text))
    assert [paragraph.text for paragraph in paragraphs] == ["\u5929\u6d25 \u6e2f", "\u7b2c\u4e8c\u884c", "\u672b"]
    assert [text[paragraph.start : paragraph.end].strip() for paragraph in paragraphs][1] == "\u7b2c\u4e8c\u884c"
    assert [
        paragraph.text for paragraph in clean.split_paragraphs('\u4ed6\u8bf4"\u597d" A\u80a1', ("spacing", "quotes"))
    ] == ["\u4ed6\u8bf4\u201c\u597d\u201dA\u80a1"]
    assert clean.clean_text("\u9ad4\u80b2", ("script:t2s",)) == "\u4f53\u80b2"


def test_a_line_without_end_is_cut_where_sentences_end() -> None:
    text = ("\u5929" * 999 + "\u3002") * 45 + "\u6d25" * 50_001
    paragraphs = list(clean.split_paragraphs(text))
    assert "".join(paragraph.text for paragraph in paragraphs) == text
    assert max(len(paragraph.text) for paragraph in paragraphs) <= clean.MAX_CHARACTERS
    assert [paragraph.cut for paragraph in paragraphs] == [True] * (len(paragraphs) - 1) + [False]
    assert paragraphs[0].text.endswith("\u3002")


def test_a_file_is_recognised_by_what_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    path = tmp_path / "a"
    path.write_bytes(b"x" * 5000)
    assert readers.fingerprint_file(path) == hashlib.sha256(b"x" * 5000).hexdigest()
    monkeypatch.setattr(readers, "FULL_HASH_LIMIT", 1000)
    monkeypatch.setattr(readers, "SAMPLE_BYTES", 10)
    before = readers.fingerprint_file(path)
    assert "64 pieces" in before
    path.write_bytes(b"x" * 4999 + b"y")
    assert readers.fingerprint_file(path) != before


def test_what_another_run_left_is_not_taken_over(articles: Path, real: Benchmark, tmp_path: Path) -> None:
    """`rm -r out/*` leaves the hidden folder, with finished blocks of a plan that is no longer there."""
    out, other = tmp_path / "out", write_rows(tmp_path / "other.jsonl", [{"text": f"some text {i}"} for i in range(20)])
    assert killed_at(41, [articles], out, real).startswith(".work/")
    assert list((out / WORK / "blocks").iterdir())
    shutil.rmtree(out / "data")
    (out / "plan.json").unlink()
    assert process([other], out, real)["articles"] == 20
    process([other], tmp_path / "elsewhere", real)
    assert read_contents(out) == read_contents(tmp_path / "elsewhere")


def test_a_run_that_came_in_between_is_noticed(articles: Path, real: Benchmark, tmp_path: Path) -> None:
    """Between the look at the folder and the work in it, another one may have begun and been cut off."""
    out = tmp_path / "out"

    @contextlib.contextmanager
    def slowly() -> Iterator[executors.Executor]:
        assert killed_at(30, [articles], out, real)
        with executors.serial_executor() as run:
            yield run

    with pytest.raises(DataError, match="plan-differs"):
        pipeline.process([articles], out, real, dataclasses.replace(PLAIN_SETTINGS, similar=0.8), slowly(), quiet)


def test_strict_is_strict_with_a_finished_run(real: Benchmark, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "some text"}\nbroken\n')
    process([path], tmp_path / "out", real)
    with pytest.raises(DataError) as raised:
        process([path], tmp_path / "out", real, strict=True)
    assert [f"{problem.location} {problem.code}" for problem in raised.value.problems] == ["in.jsonl:2 broken-json"]


def test_an_input_without_articles_leaves_what_others_put_there(real: Benchmark, tmp_path: Path) -> None:
    """The plan lies there, so the folder is ours; what else lies there is not."""
    out = tmp_path / "out"
    path = write_rows(tmp_path / "in.jsonl", [{"body": "x"}])
    assert killed_at(3, [path], out, real)
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="page-empty"):
        process([path], out, real)
    assert set(read_contents(out)) == {"thesis.txt"}


def test_what_utf8_does_not_have_is_told_all_the_same(real: Benchmark, tmp_path: Path) -> None:
    """Half a surrogate pair as the name of a field, and a file whose name is no text."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jsonl"))
    path.write_text('{"\\ud800": 1}\n{"text": "some text"}\n')
    summary = process([path], tmp_path / "out", real)
    assert (summary["skipped"], summary["sources"][0]["name"]) == ({"wrong-shape": 1}, "?.jsonl")
    assert read_faults(tmp_path / "out") == ["?.jsonl:1 wrong-shape"]
    assert [row["source"] for row in shards(tmp_path / "out")] == ["?.jsonl"]
    assert process([path], tmp_path / "out", real) == summary
