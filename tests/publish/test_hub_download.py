"""Verifying by name and loading: the unmodified clients, each in a process, against the stand-in Hub."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jinbench.core.benchmark import Benchmark
from jinbench.dataset.load import read_manifest
from tests.helpers.hub import Hub
from tests.helpers.hub_clients import (
    BY_LFS,
    LEAVE,
    NEW,
    OFFLINE,
    OLD,
    REPO,
    Run,
    load,
    read_config_names,
    read_local,
)

# Verifying by name.

pytestmark = pytest.mark.slow


def test_verify_takes_the_name_of_a_dataset(
    server: Hub, old: Benchmark, new: Benchmark, run: Run, tmp_path: Path
) -> None:
    server.publish_folder(REPO, old.dataset, OLD)
    newest = server.publish_folder(REPO, new.dataset, NEW)
    expected = {benchmark: read_manifest(benchmark)["sha256"] for benchmark in (old, new)}
    assert json.loads(run(old, "verify", REPO, "--json").stdout)["sha256"] == expected[new]
    assert json.loads(run(old, "verify", REPO, "--revision", OLD, "--json").stdout)["sha256"] == expected[old]
    run(old, "verify", REPO, "--revision", OLD, says=expected[old], **OFFLINE)  # from the cache, and the right one
    run(old, "verify", REPO, "--revision", "v9", exit=1, says=f"one of {OLD}, {NEW}, a branch")
    server.create("owner/private", private=True)
    run(old, "verify", "owner/private", exit=1, says="repo-unknown", token=None)
    run(old, "verify", "owner/other", exit=1, says="repo-unknown")
    run(old, "verify", "no such folder", exit=1, says="neither")
    run(old, "verify", "--revision", OLD, exit=2)
    server.repos[REPO].commits[newest].files["ner/test.parquet"] = server.store_blob(b"nothing")
    run(old, "verify", REPO, exit=1, says="file-changed", HF_HOME=str(tmp_path / "other"))
    shutil.copytree(old.dataset, tmp_path / REPO)
    server.clear_log()
    run(old, "verify", REPO, says=expected[old])  # a folder that exists wins
    assert server.log == []


# Loading.


def test_load_dataset_reads_every_config(server: Hub, old: Benchmark, tmp_path: Path, publish: Run) -> None:
    publish(old)
    server.clear_log()
    names = read_config_names(old)
    pinned: list[dict[str, Any]] = [{"name": name, "revision": OLD} for name in names]
    jobs = [*pinned, {}, {"name": "ner"}, {"name": "ner", "revision": OLD, "streaming": True}]
    rows = [*(read_local(old, name) for name in names), read_local(old, names[0]), read_local(old), read_local(old)]
    assert load(server, tmp_path, *jobs) == rows
    assert {entry.status for entry in server.log if entry.outside} == {404}  # nothing left this machine
    assert server.requests("GET", ".parquet")

    server.clear_log()
    assert load(server, tmp_path, *jobs[:-1]) == rows[:-1]  # again: from the cache
    assert server.log
    assert server.requests("GET", ".parquet") == []

    server.stop()
    server.clear_log()
    assert load(server, tmp_path, *pinned, {"name": "ner"}, **OFFLINE) == [*rows[: len(names)], read_local(old)]
    assert "multiple" in load(server, tmp_path, {}, **OFFLINE)[0]  # the cache does not know which config is the default


def test_a_pinned_version_does_not_change(
    server: Hub, old: Benchmark, new: Benchmark, tmp_path: Path, publish: Run
) -> None:
    """With a connection. Without one, `load_dataset` takes what was cached last, whatever `revision` says."""
    jobs = [{"name": "ner", "revision": OLD}, {"name": "ner"}, {"name": "ner", "revision": NEW}]
    publish(old)
    assert load(server, tmp_path, *jobs[:2]) == [read_local(old)] * 2
    publish(new)
    assert read_local(old) != read_local(new)
    assert load(server, tmp_path, *jobs) == [read_local(old), read_local(new), read_local(new)]
    unknown = {"name": "ner", "revision": "v9"}
    assert load(server, tmp_path, unknown)[0].startswith("DatasetNotFoundError: Revision 'v9' doesn't exist")
    commit = server.repos[REPO].tags[OLD]

    # Known: huggingface/datasets#7928. If this fails, the library has learned it: say so in the card, drop the guard.
    wrong = [*jobs, unknown, {"name": "ner", "revision": commit}]
    assert load(server, tmp_path, *wrong, **OFFLINE) == [read_local(new)] * len(wrong)
    guard = (
        "import sys, jinbench; from datasets import load_dataset; from jinbench.cli import app\n"
        "from jinbench.core.errors import DataError\n"
        f"rows = load_dataset({REPO!r}, 'ner', revision={OLD!r})\n"
        "print(jinbench.verify(rows, sys.argv[1]))\n"
        "try: jinbench.verify(rows, sys.argv[2])\n"
        "except DataError as error: app.exit_with_error(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", guard, str(new.root), str(old.root)],
        env=server.environment(tmp_path) | BY_LFS | OFFLINE, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == str(sum(map(len, read_local(new).values())))
    assert done.returncode == 1
    assert "wrong-version" in done.stderr
    assert f"version {OLD.removeprefix('v')}" in done.stderr
    server.faults.status = 501  # the same, without being told to stay offline
    assert load(server, tmp_path, *wrong) == [read_local(new)] * len(wrong)
    server.faults.status = None

    # What is right without a connection: the cache of the Hub's client, which knows tags.
    fetch = f"from jinbench.publish import hub; print(hub.download_dataset({REPO!r}, {OLD!r}))"
    for env in ({}, OFFLINE):
        done = subprocess.run(
            [sys.executable, "-c", fetch], env=server.environment(tmp_path) | BY_LFS | env, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip().endswith(commit)
    path = done.stdout.strip()
    assert load(server, tmp_path, {"path": path, "name": "ner"}, **OFFLINE) == [read_local(old)]


def test_a_version_that_is_not_cached_loads_another_one_offline(
    server: Hub, old: Benchmark, new: Benchmark, tmp_path: Path
) -> None:
    """The same, the other way round: the newer one is asked for, and in no cache."""
    server.publish_folder(REPO, old.dataset, OLD)
    server.publish_folder(REPO, new.dataset, NEW)
    assert load(server, tmp_path, {"name": "ner", "revision": OLD}) == [read_local(old)]
    assert load(server, tmp_path, {"name": "ner", "revision": NEW}, **OFFLINE) == [read_local(old)]


@pytest.mark.parametrize("fault", ["truncated", "shortened"])
def test_an_incomplete_download_is_not_cached(server: Hub, old: Benchmark, tmp_path: Path, fault: str) -> None:
    server.publish_folder(REPO, old.dataset, OLD)
    setattr(server.faults, fault, "ner/test.parquet")
    job = {"name": "ner", "revision": OLD}
    result = load(server, tmp_path, job)[0]
    assert isinstance(result, str), "half a file was taken for a whole one"
    setattr(server.faults, fault, None)
    assert load(server, tmp_path, job) == [read_local(old)]


def test_pandas_reads_one_file(server: Hub, old: Benchmark, tmp_path: Path) -> None:
    server.publish_folder(REPO, old.dataset, OLD)
    code = "import sys, pandas; print(pandas.read_parquet(sys.argv[1]).to_json(orient='records'))" + LEAVE
    done = subprocess.run(
        [sys.executable, "-c", code, f"hf://datasets/{REPO}@{OLD}/ner/test.parquet"],
        env=server.environment(tmp_path), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == read_local(old)["test"]
