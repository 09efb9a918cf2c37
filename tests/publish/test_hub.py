"""Publishing and reading back: the unmodified clients against the stand-in of `tests/hub.py`, each in a process."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.dataset import build
from jinbench.dataset.load import read_manifest
from jinbench.publish import card, hub
from tests.helpers.benchmarks import three_pages
from tests.helpers.hub import OWNER, READER, Hub, is_large, running
from tests.helpers.paths import ROOT

REPO = "owner/mini"
OLD, NEW = "v1.0.0", "v1.1.0"
MANY = 10**6
# The client sends by hf-xet whenever that is installed, whatever the server answers, and there is no stand-in for that
# protocol. Without it, it sends by Git LFS. Reading needs no such switch: there the server's answer decides.
BY_LFS = {"HF_HUB_DISABLE_XET": "1", "PYTHONPATH": str(ROOT)}
OFFLINE = {"HF_HUB_OFFLINE": "1"}
COMMAND = "from jinbench.cli.app import main; main()"
# What `jinbench publish` does once the folder and the card are found to be right, which takes it longer than the rest.
PUBLISH = """
import pathlib, sys
from jinbench.cli import app
from jinbench.publish import hub
from jinbench.core.errors import JinbenchError

try:
    print(hub.publish(pathlib.Path(sys.argv[2], "dataset"), sys.argv[-1], step=lambda *_: None))
except JinbenchError as error:
    app._end(error)
"""
IMPATIENT = "import time; time.sleep = lambda seconds: None\n"  # the client tries again at once
# Without the interpreter's clean-up: in one run of twenty a thread of Arrow's, still closing a file of the Hub, aborts
# there on Python 3.11, after the rows have been read.
LEAVE = "\nimport os; sys.stdout.flush(); os._exit(0)"

LOAD = (
    """
import json, sys
from datasets import load_dataset

found = []
for job in json.loads(sys.argv[1]):
    try:
        splits = load_dataset(**job)
        found.append({split: list(rows) for split, rows in splits.items()})
    except Exception as error:
        found.append(f"{type(error).__name__}: {error}")
print(json.dumps(found))
"""
    + LEAVE
)


def make(root: Path, head: str) -> Benchmark:
    """The three-page world, built, with a card that has the configs of the real one."""
    where = three_pages(root)
    where.card.write_text(f"---\n{head}---\n\n# Mini\n")
    build.write_dataset(build.build_dataset(where), where.dataset)
    card.write_card(where)
    return where


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory, real: Benchmark) -> tuple[Benchmark, Benchmark]:
    """The same data in two versions: in the newer one, a label is another."""
    root = tmp_path_factory.mktemp("hub")
    head = real.card.read_text().split("---\n")[1]
    old, new = make(root / "old", head), make(root / "new", head)
    new.labels.write_text(new.labels.read_text().replace('version = "1.0.0"', 'version = "1.1.0"'))
    export = new.exports / "adjudicator.json"
    export.write_text(export.read_text().replace('"PLACE"', '"DATE"', 1))
    build.write_dataset(build.build_dataset(new), new.dataset)
    card.write_card(new)
    return old, new


@pytest.fixture
def old(worlds: tuple[Benchmark, Benchmark]) -> Benchmark:
    return worlds[0]


@pytest.fixture
def new(worlds: tuple[Benchmark, Benchmark]) -> Benchmark:
    return worlds[1]


@pytest.fixture
def copy(old: Benchmark, tmp_path: Path) -> Benchmark:
    """The older version, to be changed."""
    shutil.copytree(old.root, tmp_path / "copy")
    return Benchmark(tmp_path / "copy")


@pytest.fixture
def server() -> Iterator[Hub]:
    with running() as found:
        yield found


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(server: Hub, tmp_path: Path) -> Run:
    """`jinbench --root WHERE ARGUMENTS` against the stand-in; `says` must stand in what it prints."""

    def run(
        benchmark: Benchmark, *arguments: str, exit: int = 0, says: str = "", token: str | None = OWNER,
        code: str = COMMAND,
        **env: str,
    ) -> Any:  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", IMPATIENT + code, "--root", str(benchmark.root), *arguments],
            env=server.environment(tmp_path, token) | BY_LFS | env, capture_output=True, text=True, cwd=tmp_path,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert done.returncode == exit, said
        assert says in said
        assert "Traceback" not in said
        assert token is None or token not in said
        return done

    return run


@pytest.fixture
def publish(run: Run) -> Run:
    """The library's part of `jinbench publish --to REPO`, with the same messages and exit codes."""

    def publish(benchmark: Benchmark, repo_id: str = REPO, **options: Any) -> Any:
        return run(benchmark, repo_id, code=PUBLISH, **options)

    return publish


def load(server: Hub, home: Path, *jobs: dict[str, Any], **env: str) -> list[Any]:
    """What `load_dataset` gives for each job, all in one process; the text of the error if it gives none."""
    done = subprocess.run(
        [sys.executable, "-c", IMPATIENT + LOAD, json.dumps([{"path": REPO} | job for job in jobs])],
        env=server.environment(home) | env, capture_output=True, text=True, cwd=home,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def local(benchmark: Benchmark, config: str = "ner") -> dict[str, list[dict[str, Any]]]:
    return {path.stem: pq.read_table(path).to_pylist() for path in (benchmark.dataset / config).glob("*.parquet")}


def configs(benchmark: Benchmark) -> list[str]:
    head = yaml.safe_load(benchmark.card.read_text().split("---\n")[1])
    return [config["config_name"] for config in head["configs"]]


def large(benchmark: Benchmark) -> list[Path]:
    """The files that go by Git LFS."""
    return [path for path in benchmark.dataset.rglob("*") if is_large(path.name)]


def sent(server: Hub) -> list[str]:
    return server.asked("POST") + server.asked("PUT")


# Publishing.


def test_a_dry_run_sends_nothing(server: Hub, old: Benchmark, new: Benchmark, run: Run) -> None:
    assert f"then the tag {OLD}" in run(old, "publish", "--to", REPO, "--dry-run").stdout
    server.put(REPO, old.dataset, OLD)
    found = json.loads(run(new, "publish", "--to", REPO, "--dry-run", "--json").stdout)
    states = {change["path"]: change["state"] for change in found["changes"]}
    assert states["ner/train.parquet"] == states["manifest.json"] == "changed"
    assert states["splits.csv"] == "same"
    assert (found["tag"], found["tagged"], found["taken"]) == (NEW, None, [])
    assert server.log
    assert sent(server) == []


def test_publish(server: Hub, old: Benchmark, run: Run) -> None:
    said = run(old, "publish", "--to", REPO, "--private").stdout
    repo = server.repos[REPO]
    assert repo.private
    names = {str(path.relative_to(old.dataset)) for path in old.dataset.rglob("*") if path.is_file()}
    assert set(repo.head.files) == {*names, ".gitattributes"}
    assert list(repo.tags) == [OLD]
    assert [commit.title for commit in repo.commits.values()] == ["initial commit", "Version 1.0.0"]
    for part in (repo.tags[OLD], f"tag {OLD}", f"{len(names)} files sent", f'("{REPO}", "ner", revision="{OLD}")'):
        assert part in said
    assert len(server.asked("PUT", "/lfs/")) == len(large(old))
    assert not [entry for entry in server.log if "/store/" in entry.path and entry.token]


def test_publish_twice_changes_nothing(server: Hub, old: Benchmark, publish: Run) -> None:
    publish(old)
    before = dict(server.repos[REPO].commits)
    server.forget()
    publish(old, says="sent=0")
    assert server.repos[REPO].commits == before
    assert sent(server) == []


def test_a_newer_version_takes_files_away_and_an_older_one_does_not_come_back(
    server: Hub, old: Benchmark, copy: Benchmark, new: Benchmark, publish: Run
) -> None:
    (copy.dataset / "NOTES.md").write_text("to go\n")
    (copy.dataset / ".notes.swp").write_text("hidden\n")
    publish(copy)
    repo = server.repos[REPO]
    assert {"NOTES.md", ".gitattributes"} < set(repo.head.files)
    assert ".notes.swp" not in repo.head.files
    server.forget()
    publish(new)
    assert "NOTES.md" not in repo.head.files
    assert ".gitattributes" in repo.head.files
    changed = [
        path for path in large(new) if path.read_bytes() != (old.dataset / path.relative_to(new.dataset)).read_bytes()
    ]
    assert 0 < len(server.asked("PUT", "/lfs/")) == len(changed)
    newest = repo.branches["main"]
    publish(copy)
    assert repo.branches["main"] == newest


def test_a_version_is_never_changed(server: Hub, old: Benchmark, copy: Benchmark, run: Run, publish: Run) -> None:
    server.put(REPO, old.dataset, OLD)
    export = copy.exports / "adjudicator.json"
    export.write_text(export.read_text().replace('"PLACE"', '"DATE"', 1))
    build.write_dataset(build.build_dataset(copy), copy.dataset)
    card.write_card(copy)
    publish(copy, exit=1, says="version-taken")
    run(copy, "publish", "--to", REPO, "--dry-run", exit=1, says="version-taken")
    assert sent(server) == []


def test_a_word_in_the_card_is_mended_without_a_new_version(
    server: Hub, old: Benchmark, copy: Benchmark, new: Benchmark, run: Run, publish: Run
) -> None:
    tagged = server.put(REPO, old.dataset, OLD)
    copy.card.write_text(copy.card.read_text() + "\nMore.\n")
    card.write_card(copy)
    run(copy, "publish", "--to", REPO, "--dry-run", says="to main go the documents that changed: README.md")
    publish(copy)
    repo = server.repos[REPO]
    assert repo.tags == {OLD: tagged}
    assert repo.head.title == "Documents of version 1.0.0"
    assert (copy.dataset / "README.md").read_bytes() == server.blobs[repo.head.files["README.md"]]
    publish(new)
    server.forget()
    publish(copy, says="sent=0")  # main belongs to a newer version by now
    assert sent(server) == []


def test_a_stale_card_is_not_published(server: Hub, copy: Benchmark, run: Run) -> None:
    copy.card.write_text(copy.card.read_text() + "\nMore.\n")
    run(copy, "publish", "--to", REPO, exit=1, says="stale dataset/README.md")
    assert server.log == []


def test_what_is_public_does_not_become_private(server: Hub, old: Benchmark, run: Run) -> None:
    server.put(REPO, old.dataset, OLD)
    run(old, "publish", "--to", REPO, "--private", exit=2, says="is public")


# Cut off.


def test_a_client_that_is_killed_in_an_upload(server: Hub, old: Benchmark, publish: Run, tmp_path: Path) -> None:
    server.faults.uploads_before_cut, server.faults.hold_uploads = 3, True
    process = subprocess.Popen(
        [sys.executable, "-m", "jinbench", "--root", str(old.root), "publish", "--to", REPO],
        env=server.environment(tmp_path) | BY_LFS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert server.held.wait(60)
    finally:
        process.kill()
        process.wait()
    server.faults.hold_uploads = False
    server.release.set()
    assert set(server.repos[REPO].head.files) == {".gitattributes"}
    done = len(server.blobs) - 1
    assert done >= 3
    server.forget()
    publish(old)
    assert list(server.repos[REPO].tags) == [OLD]
    assert len(server.asked("PUT", "/lfs/")) == len(large(old)) - done


def test_a_connection_that_is_cut(server: Hub, old: Benchmark, publish: Run) -> None:
    """Once: the client tries again by itself. Always: it gives up, and nothing is half there."""
    server.faults.uploads_before_cut, server.faults.cut_uploads = 3, MANY
    publish(old, exit=3, says="hub-unreachable")
    assert set(server.repos[REPO].head.files) == {".gitattributes"}
    server.faults.uploads_before_cut, server.faults.cut_uploads = 0, 1
    publish(old)
    assert list(server.repos[REPO].tags) == [OLD]


def test_cut_off_between_commit_and_tag(server: Hub, old: Benchmark, publish: Run) -> None:
    server.faults.fail_tags = 1
    publish(old, exit=3, says="hub-unreachable")
    repo = server.repos[REPO]
    commit = repo.branches["main"]
    assert repo.tags == {}
    server.forget()
    publish(old)
    assert repo.tags == {OLD: commit}
    assert [entry.partition("/tag/")[1] for entry in sent(server)] == ["/tag/"]


def test_somebody_else_commits_in_between(server: Hub, old: Benchmark, publish: Run) -> None:
    server.create(REPO)
    server.faults.moved_before_commit = True
    publish(old, exit=3, says="somebody else wrote to it")
    assert set(server.repos[REPO].head.files) == {".gitattributes"}


@pytest.mark.parametrize(
    ("fault", "exit", "says"),
    [("altered", 1, "arrived-differs"), ("truncated", 3, "hub-unreachable"), ("shortened", 3, "hub-unreachable")],
)
def test_what_comes_back_damaged(server: Hub, old: Benchmark, publish: Run, fault: str, exit: int, says: str) -> None:
    server.put(REPO, old.dataset, OLD)
    setattr(server.faults, fault, "ner/test.parquet")
    publish(old, exit=exit, says=says)


def test_standoff_by_way_of_the_hub(server: Hub, old: Benchmark, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "bare"
    run(old, "publish", "--standoff", "--out", str(out), "--to", REPO, "--dry-run", says="Nothing was sent")
    assert sent(server) == []
    run(old, "publish", "--standoff", "--out", str(out), "--to", REPO, says=f"tag {OLD}")
    run(old, "verify", REPO, exit=1, says="jinbench hydrate")
    assert "text" not in pq.ParquetFile(out / "ner" / "train.parquet").schema_arrow.names
    again = tmp_path / "again"
    run(old, "hydrate", REPO, "--revision", OLD, "--pages", str(old.pages), "--out", str(again), says="is what")
    names = sorted(str(path.relative_to(old.dataset)) for path in old.dataset.rglob("*.parquet"))
    assert names
    assert all((again / name).read_bytes() == (old.dataset / name).read_bytes() for name in names)
    run(old, "publish", "--to", REPO, exit=1, says="publish the two forms under two names")


# Refused.


@pytest.mark.parametrize("token", [None, READER, "hf_wrong", "hf_\x01bell", "hf_津"])
def test_tokens_that_are_refused(server: Hub, old: Benchmark, publish: Run, token: str | None) -> None:
    publish(old, exit=3, token=token, says="token-refused")
    server.put(REPO, old.dataset, "v0.9.0")
    server.repos[REPO].head.files.pop("stats.json")
    publish(old, exit=3, token=token, says="token-refused")
    assert list(server.repos[REPO].tags) == ["v0.9.0"]


def test_a_namespace_of_somebody_else(old: Benchmark, publish: Run) -> None:
    publish(old, "elsewhere/mini", exit=3, says="token-refused")


@pytest.mark.parametrize("status", [200, 418, 429, 503])
def test_a_hub_that_is_out_of_order(server: Hub, old: Benchmark, run: Run, publish: Run, status: int) -> None:
    server.faults.status = status
    publish(old, exit=3, says="hub-unreachable")
    run(old, "verify", REPO, exit=3, says="hub-unreachable")


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "nonsense", "http://[", ""])
def test_an_endpoint_that_is_none(old: Benchmark, run: Run, endpoint: str) -> None:
    """Without HF_ENDPOINT it is the real Hub: here the proxy, which is the stand-in, says that there is none."""
    run(old, "verify", REPO, exit=3, says="hub-unreachable", HF_ENDPOINT=endpoint)


@pytest.mark.parametrize("name", ["mini", "a/b/c", "owner/mini.git", "owner/-", "津/mini", "/mini", "owner/", ""])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(DataError, match="repo-id"):
        hub.check_id(name)

    heavy = ("huggingface_hub", "httpx2")
    code = f"import sys, jinbench.publish.hub; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


# Verifying by name.


def test_verify_by_name(server: Hub, old: Benchmark, new: Benchmark, run: Run, tmp_path: Path) -> None:
    server.put(REPO, old.dataset, OLD)
    newest = server.put(REPO, new.dataset, NEW)
    expected = {where: read_manifest(where)["sha256"] for where in (old, new)}
    assert json.loads(run(old, "verify", REPO, "--json").stdout)["sha256"] == expected[new]
    assert json.loads(run(old, "verify", REPO, "--revision", OLD, "--json").stdout)["sha256"] == expected[old]
    run(old, "verify", REPO, "--revision", OLD, says=expected[old], **OFFLINE)  # from the cache, and the right one
    run(old, "verify", REPO, "--revision", "v9", exit=1, says=f"one of {OLD}, {NEW}, a branch")
    server.create("owner/private", private=True)
    run(old, "verify", "owner/private", exit=1, says="repo-unknown", token=None)
    run(old, "verify", "owner/other", exit=1, says="repo-unknown")
    run(old, "verify", "no such folder", exit=1, says="neither")
    run(old, "verify", "--revision", OLD, exit=2)
    server.repos[REPO].commits[newest].files["ner/test.parquet"] = server.keep(b"nothing")
    run(old, "verify", REPO, exit=1, says="file-changed", HF_HOME=str(tmp_path / "other"))
    shutil.copytree(old.dataset, tmp_path / REPO)
    server.forget()
    run(old, "verify", REPO, says=expected[old])  # a folder that exists wins
    assert server.log == []


# Loading.


def test_load_dataset(server: Hub, old: Benchmark, tmp_path: Path, publish: Run) -> None:
    publish(old)
    server.forget()
    names = configs(old)
    pinned: list[dict[str, Any]] = [{"name": name, "revision": OLD} for name in names]
    jobs = [*pinned, {}, {"name": "ner"}, {"name": "ner", "revision": OLD, "streaming": True}]
    rows = [*(local(old, name) for name in names), local(old, names[0]), local(old), local(old)]
    assert load(server, tmp_path, *jobs) == rows
    assert {entry.status for entry in server.log if entry.outside} == {404}  # nothing left this machine
    assert server.asked("GET", ".parquet")

    server.forget()
    assert load(server, tmp_path, *jobs[:-1]) == rows[:-1]  # again: from the cache
    assert server.log
    assert server.asked("GET", ".parquet") == []

    server.stop()
    server.forget()
    assert load(server, tmp_path, *pinned, {"name": "ner"}, **OFFLINE) == [*rows[: len(names)], local(old)]
    assert "multiple" in load(server, tmp_path, {}, **OFFLINE)[0]  # the cache does not know which config is the default


def test_a_pinned_version_stays_what_it_is(
    server: Hub, old: Benchmark, new: Benchmark, tmp_path: Path, publish: Run
) -> None:
    """With a connection. Without one, `load_dataset` takes what was cached last, whatever `revision` says."""
    jobs = [{"name": "ner", "revision": OLD}, {"name": "ner"}, {"name": "ner", "revision": NEW}]
    publish(old)
    assert load(server, tmp_path, *jobs[:2]) == [local(old)] * 2
    publish(new)
    assert local(old) != local(new)
    assert load(server, tmp_path, *jobs) == [local(old), local(new), local(new)]
    unknown = {"name": "ner", "revision": "v9"}
    assert load(server, tmp_path, unknown)[0].startswith("DatasetNotFoundError: Revision 'v9' doesn't exist")
    commit = server.repos[REPO].tags[OLD]

    # Known: huggingface/datasets#7928. If this fails, the library has learned it: say so in the card, drop the guard.
    wrong = [*jobs, unknown, {"name": "ner", "revision": commit}]
    assert load(server, tmp_path, *wrong, **OFFLINE) == [local(new)] * len(wrong)
    guard = (
        "import sys, jinbench; from datasets import load_dataset; from jinbench.cli import app\n"
        "from jinbench.core.errors import DataError\n"
        f"rows = load_dataset({REPO!r}, 'ner', revision={OLD!r})\n"
        "print(jinbench.verify(rows, sys.argv[1]))\n"
        "try: jinbench.verify(rows, sys.argv[2])\n"
        "except DataError as error: app._end(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", guard, str(new.root), str(old.root)],
        env=server.environment(tmp_path) | BY_LFS | OFFLINE, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == str(sum(map(len, local(new).values())))
    assert done.returncode == 1
    assert "wrong-version" in done.stderr
    assert f"version {OLD.removeprefix('v')}" in done.stderr
    server.faults.status = 501  # the same, without being told to stay offline
    assert load(server, tmp_path, *wrong) == [local(new)] * len(wrong)
    server.faults.status = None

    # What is right without a connection: the cache of the Hub's client, which knows tags.
    fetch = f"from jinbench.publish import hub; print(hub.fetch({REPO!r}, {OLD!r}))"
    for env in ({}, OFFLINE):
        done = subprocess.run(
            [sys.executable, "-c", fetch], env=server.environment(tmp_path) | BY_LFS | env, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip().endswith(commit)
    path = done.stdout.strip()
    assert load(server, tmp_path, {"path": path, "name": "ner"}, **OFFLINE) == [local(old)]


def test_a_version_that_was_never_loaded_offline_is_another_one(
    server: Hub, old: Benchmark, new: Benchmark, tmp_path: Path
) -> None:
    """The same, the other way round: the newer one is asked for, and in no cache."""
    server.put(REPO, old.dataset, OLD)
    server.put(REPO, new.dataset, NEW)
    assert load(server, tmp_path, {"name": "ner", "revision": OLD}) == [local(old)]
    assert load(server, tmp_path, {"name": "ner", "revision": NEW}, **OFFLINE) == [local(old)]


@pytest.mark.parametrize("fault", ["truncated", "shortened"])
def test_a_download_that_ends_too_early_is_not_kept(server: Hub, old: Benchmark, tmp_path: Path, fault: str) -> None:
    server.put(REPO, old.dataset, OLD)
    setattr(server.faults, fault, "ner/test.parquet")
    job = {"name": "ner", "revision": OLD}
    said = load(server, tmp_path, job)[0]
    assert isinstance(said, str), "half a file was taken for a whole one"
    setattr(server.faults, fault, None)
    assert load(server, tmp_path, job) == [local(old)]


def test_one_file_with_pandas(server: Hub, old: Benchmark, tmp_path: Path) -> None:
    server.put(REPO, old.dataset, OLD)
    code = "import sys, pandas; print(pandas.read_parquet(sys.argv[1]).to_json(orient='records'))" + LEAVE
    done = subprocess.run(
        [sys.executable, "-c", code, f"hf://datasets/{REPO}@{OLD}/ner/test.parquet"],
        env=server.environment(tmp_path), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == local(old)["test"]
