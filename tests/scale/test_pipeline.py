"""The pipeline on a cluster of two processes: outputs, the same bytes however it was run, and what it refuses."""

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import distributed
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, JinbenchError
from jinbench.dataset import load
from jinbench.dataset.duplicates import connect_groups
from jinbench.scale import Settings, batch, dedup, pipeline
from jinbench.scale.dedup import WORK
from tests.helpers import scale
from tests.helpers.scale import ENV, PLAIN, Process, command, held_run, read_contents, read_passages, write_rows
from tests.helpers.scale import articles as articles
from tests.helpers.scale import cluster as cluster
from tests.helpers.scale import plain as plain
from tests.helpers.scale import process as process
from tests.helpers.scale import sentences as sentences
from tests.helpers.scale import tagged as tagged


def test_every_passage_can_be_traced_to_its_source(tagged: Path, articles: Path) -> None:
    rows, data = read_passages(tagged), articles.read_bytes()
    assert len(rows) == len({row["id"] for row in rows}) == 360
    assert len({row["article_id"] for row in rows}) == 120
    for row in rows:
        source = json.loads(data[row["at"] : data.index(b"\n", row["at"])])
        assert (source["id"], source["title"]) == (row["given_id"], row["title"])
        assert batch.clean_text(source["text"][row["start"] : row["end"]]) == row["text"]
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
    for row in read_passages(tagged)[::40]:
        scored = tagger.predict_with_confidence(
            [row["text"][sentence["start"] : sentence["end"]] for sentence in row["sentences"]]
        )
        assert row["certainty"] == pytest.approx(active_learning.sequence_confidence(scored), abs=1e-5)
        surfaces = [span.surface for sentence in scored for span in sentence.spans]
        assert surfaces == [span["surface"] for span in row["spans"]]


def test_what_is_selected_is_least_certain_and_of_different_families(tagged: Path) -> None:
    family = {row[end]: row["family"] for row in pq.read_table(tagged / "duplicates.parquet").to_pylist()
              for end in ("first", "second")}  # fmt: skip
    expected: list[str] = []
    seen: set[str] = set()
    for row in sorted(read_passages(tagged), key=lambda row: (row["certainty"], row["id"])):
        head = family.get(row["id"], row["id"])
        if head.startswith("P") and len(row["text"]) >= 10 and head not in seen:
            expected.append(row["id"])
            seen.add(head)
    selected = [json.loads(line) for line in (tagged / "selected.jsonl").read_text().splitlines()]
    assert [row["id"] for row in selected] == expected[:20]
    assert {"id", "title", "text", "certainty"} <= set(selected[0])


def test_families_are_selected_once_and_labelled_passages_never(
    process: Process, real: Benchmark, tmp_path: Path
) -> None:
    """Ten near copies of one odd passage, and one of a passage that the benchmark has: one of the first is selected."""
    labelled = next(row for row in load.read_rows(real, "sector") if len(row["text"]) > 60)
    rows = [{"text": f"{'某某公司在某地生产某种产品' * 3}{i}"} for i in range(10)] + [{"text": labelled["text"] + "了"}]
    summary = process(write_rows(tmp_path / "in.jsonl", rows), tmp_path / "out", Settings(select=5))
    assert (summary["selected"], summary["like_labelled"]) == (1, 1)
    assert summary["near_duplicates"] | {"pairs": 46} == {"pairs": 46, "families": 2, "passages": 11, "largest": 10}
    pairs = pq.read_table(tmp_path / "out" / "duplicates.parquet").to_pylist()
    assert [pair["first"] for pair in pairs if pair["second"] == "P000000-000010"] == [labelled["id"]]


def test_near_duplicates_are_those_of_comparing_all(plain: Path) -> None:
    rows = read_passages(plain)
    place = {row["id"]: i for i, row in enumerate(rows)}
    pairs = pq.read_table(plain / "duplicates.parquet").to_pylist()
    result = {(place[row["first"]], place[row["second"]]): row["similarity"] for row in pairs}
    everything = scale.brute_force([row["text"] for row in rows], 0.7)
    assert result == {pair: pytest.approx(everything[pair], abs=1e-6) for pair in result}
    sure = {pair for pair, similarity in everything.items() if similarity >= 0.85}
    assert len(sure) > 8
    first: dict[str, int] = {}
    heads = [first.setdefault(row["text"], i) for i, row in enumerate(rows)]  # the first of copies stands for all
    assert sum(i != head for i, head in enumerate(heads)) > 3
    assert {(head, i) for i, head in enumerate(heads) if head != i} <= result.keys()
    assert {(heads[i], heads[j]) for i, j in sure if heads[i] < heads[j]} <= result.keys()
    members = sorted({row[end] for row in pairs for end in ("first", "second")})
    families = connect_groups(members, [(row["first"], row["second"]) for row in pairs])
    assert {row["first"]: row["family"] for row in pairs} == {row["first"]: families[row["first"]] for row in pairs}


def test_partitions_change_nothing(
    plain: Path, articles: Path, process: Process, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dedup, "PARTITION_ROWS", 2000)
    process(articles, tmp_path / "out")
    assert read_contents(tmp_path / "out") == read_contents(plain)


def test_it_loads_with_datasets(tagged: Path, tmp_path: Path) -> None:
    import datasets

    loaded = datasets.load_dataset(str(tagged), cache_dir=str(tmp_path))["train"]
    assert loaded.num_rows == 360
    assert loaded[359] == read_passages(tagged)[359]
    pairs = datasets.load_dataset(str(tagged), "duplicates", cache_dir=str(tmp_path))["train"]
    assert pairs.num_rows == pq.read_metadata(tagged / "duplicates.parquet").num_rows > 0


def test_what_is_left_out_is_counted_and_listed(process: Process, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"text": "some text"}\nbroken \xff\n{"text": " \\u0007\\u3000\\n "}\n{"\\ud800": 1}\n[]\n')
    summary = process(path, tmp_path / "out")
    assert (summary["articles"], summary["empty"], summary["passages"]) == (2, 1, 1)
    assert summary["skipped"] == {"broken-json": 1, "not-utf8": 1, "wrong-shape": 1}
    listed = [json.loads(line) for line in (tmp_path / "out" / "problems.jsonl").read_text().splitlines()]
    expected = ["in.jsonl:2 not-utf8", "in.jsonl:4 wrong-shape", "in.jsonl:5 broken-json"]
    assert [f"{row['location']} {row['code']}" for row in listed] == expected
    for out in ("out", "strict"):  # a finished run, and a new one
        with pytest.raises(DataError) as raised:
            process(path, tmp_path / out, strict=True)
        assert [f"{problem.location} {problem.code}" for problem in raised.value.problems] == expected
    assert not (tmp_path / "strict").exists()


def test_an_input_without_articles_leaves_what_others_put_there(process: Process, tmp_path: Path) -> None:
    out, path = tmp_path / "out", write_rows(tmp_path / "in.jsonl", [{"body": "x"}])

    def step(what: str, done: int, total: int) -> None:
        (out / "thesis.txt").write_text("years of work")

    with pytest.raises(DataError) as raised:
        process(path, out, progress=step)
    assert [problem.code for problem in raised.value.problems] == ["page-empty", "wrong-shape"]
    assert "body" in raised.value.problems[1].found
    assert set(read_contents(out)) == {"thesis.txt"}
    (out / "thesis.txt").unlink()
    assert process(path, out, Settings("body", tagging=False))["articles"] == 1


def test_a_folder_belongs_to_one_plan(
    plain: Path, articles: Path, process: Process, real: Benchmark, tmp_path: Path
) -> None:
    before = read_contents(plain)
    assert process(articles, plain) == json.loads(before["summary.json"])  # a finished run is told again
    changed = tmp_path / articles.name
    changed.write_bytes(articles.read_bytes().replace(b"x1", b"y1", 1))
    with pytest.raises(DataError) as raised:
        process(changed, plain, Settings(tagging=False, block=20_000, similar=0.8))
    problems = raised.value.problems
    assert [problem.location.split()[-1] for problem in problems] == ["settings.similar", "sources.many.jsonl"]
    assert (problems[0].code, problems[0].expected, problems[0].found) == ("plan-differs", "0.7", "0.8")
    assert read_contents(plain) == before
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="folder-taken"):
        process(articles, tmp_path / "out")
    with pytest.raises(DataError, match="repair-unknown"):
        process(articles, tmp_path / "new", Settings(repairs=("magic",)))


def test_two_runs_do_not_work_in_one_folder(articles: Path, process: Process, tmp_path: Path) -> None:
    (tmp_path / "out" / WORK).mkdir(parents=True)
    with FileLock(tmp_path / "out" / WORK / "lock"), pytest.raises(JinbenchError, match="Another run is at work"):
        process(articles, tmp_path / "out")


def test_stopped_at_any_step_it_goes_on(articles: Path, plain: Path, process: Process, tmp_path: Path) -> None:
    """What stands is not done again, and the bytes are the same; half of a file is no file."""
    out, expected, kept = tmp_path / "out", read_contents(plain), dict[Path, int]()

    def stop_at(what: str, done: int) -> Callable[[str, int, int], None]:
        def step(name: str, number: int, total: int) -> None:
            if (name, number) == (what, done):
                raise KeyboardInterrupt

        return step

    for what, done in (("blocks", 0), ("blocks", 3), ("near duplicates", 0), ("near duplicates", 1)):
        with pytest.raises(KeyboardInterrupt):
            process(articles, out, progress=stop_at(what, done))
        assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
        kept = {path: path.stat().st_mtime_ns for path in (out / "data").glob("*.parquet")}
        (out / "data" / f"{files.UNFINISHED}abcdefgh").write_bytes(b"half")
    assert len(kept) > 5
    with pytest.raises(DataError, match="plan-differs"):
        process(articles, out, Settings(tagging=False, block=30_000))
    process(articles, out)
    assert read_contents(out) == expected


@pytest.mark.parametrize("step", [("blocks", 3), ("near duplicates", 0)])
def test_a_worker_that_is_killed_costs_nothing(
    step: tuple[str, int], cluster: Any, articles: Path, plain: Path, process: Process, tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill(what: str, done: int, total: int) -> None:
        if (what, done) == step:
            killed.append(next(iter(cluster.workers.values())).pid)
            os.kill(killed[0], signal.SIGKILL)

    process(articles, tmp_path / "out", progress=kill)
    assert len(killed) == 1
    assert read_contents(tmp_path / "out") == read_contents(plain)


def die(*_: Any, **options: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_kills_every_worker_is_given_up(
    articles: Path, process: Process, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(batch, "process_shard", die)
    with pytest.raises(JinbenchError, match=r"Dask gave up: .* workers.* the same command goes on"):
        process(articles, tmp_path / "out")


def test_clusters_that_are_not_there_or_not_ours_are_refused(
    articles: Path, cluster: Any, process: Process, real: Benchmark, tmp_path: Path
) -> None:
    for address in ("tcp://127.0.0.1:9", "nonsense"):
        with pytest.raises(JinbenchError, match=f"No Dask scheduler with workers at {address}"):
            pipeline.process([articles], tmp_path / "out", real, PLAIN, scheduler=address)
    with distributed.Client(cluster, set_as_default=False) as client:
        client.run(setattr, metadata, "version", lambda name: "9.9.9")
        with pytest.raises(DataError, match="wrong-version"):
            process(articles, tmp_path / "out")
        client.run(importlib.reload, metadata)


def test_without_dask_the_package_is_named(articles: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['distributed'] = None; from jinbench.cli.app import main; main()"
    words = [sys.executable, "-c", code, *command(articles, "--out", tmp_path / "out")[3:]]
    done = subprocess.run(words, env=ENV, capture_output=True, text=True)
    assert done.returncode == 1
    assert "package-missing" in done.stderr
    assert "pip install 'jinbench[scale]'" in done.stderr


@pytest.mark.slow
def test_the_command_goes_on_without_a_worker_and_leaves_nothing(articles: Path, tagged: Path, tmp_path: Path) -> None:
    out, temporary = tmp_path / "out", tmp_path / "tmp"
    temporary.mkdir()
    words = command(articles, "--out", out, "--workers", 2, "--select", 20, "--block", 20_000 / 2**20, "--json")
    with held_run(words, out, temporary) as (run, started):
        workers = [pid for pid in started if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        (temporary / "released").touch()
        output, message = run.communicate(timeout=scale.PATIENCE)
        assert run.returncode == 0, message
    assert json.loads(output)["selected"] == 20
    assert not any(word in message for word in ("Traceback", "distributed"))
    assert read_contents(out) == read_contents(tagged)
    assert {path.name for path in temporary.iterdir()} <= {"sitecustomize.py", "released", "__pycache__"}
    assert scale.wait_until_gone(started)
    alone = subprocess.run([*words, "--out", tmp_path / "one", "--workers", "1"], env=ENV, capture_output=True)
    assert alone.returncode == 0
    assert read_contents(tmp_path / "one") == read_contents(tagged)


@pytest.mark.slow
def test_ctrl_c_ends_it_cleanly_and_a_kill_leaves_no_workers(articles: Path, plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = command(articles, "--out", out, "--workers", 2, "--no-tagging", "--select", 0, "--block", 20_000 / 2**20)
    with held_run(words, out, tmp_path) as (run, started):
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does: everybody in the group
        message = run.communicate(timeout=scale.PATIENCE)[1]
        assert run.returncode == 130, message
        assert message.strip().endswith("Stopped. What is finished is kept: the same command goes on from there.")
        assert "Traceback" not in message
        assert len(started) >= 2
        assert scale.wait_until_gone(started)
    (tmp_path / "released").unlink()
    with held_run(words, out, tmp_path) as (run, started):
        run.kill()
        run.wait()
        assert scale.wait_until_gone(started)
    done = subprocess.run(  # no file may grow beyond some kilobytes, which is what a full disk comes to
        words, env=ENV, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, 6_000)),
    )  # fmt: skip
    assert done.returncode == 1
    assert "too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert subprocess.run(words, env=ENV, capture_output=True).returncode == 0  # it goes on
    assert read_contents(out) == read_contents(plain)
