"""Publishing: the unmodified clients, each in a process, against the stand-in Hub."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.dataset import build
from jinbench.publish import card, hub
from tests.helpers.hub import Hub
from tests.helpers.hub_clients import (
    BY_LFS,
    MANY,
    NEW,
    OLD,
    REPO,
    Run,
    list_large_files,
    list_writes,
)
from tests.helpers.hub_store import READER_TOKEN
from tests.helpers.paths import ROOT

# Publishing.

pytestmark = pytest.mark.slow


def test_a_dry_run_sends_nothing(server: Hub, old: Benchmark, new: Benchmark, run: Run) -> None:
    assert f"then the tag {OLD}" in run(old, "publish", "--to", REPO, "--dry-run").stdout
    server.publish_folder(REPO, old.dataset, OLD)
    plan = json.loads(run(new, "publish", "--to", REPO, "--dry-run", "--json").stdout)
    states = {change["path"]: change["state"] for change in plan["changes"]}
    assert states["ner/train.parquet"] == states["manifest.json"] == "changed"
    assert states["splits.csv"] == "same"
    assert (plan["tag"], plan["tagged"], plan["taken"]) == (NEW, None, [])
    assert server.log
    assert list_writes(server) == []


def test_publish_sends_commits_and_tags(server: Hub, old: Benchmark, run: Run) -> None:
    output = run(old, "publish", "--to", REPO, "--private").stdout
    repo = server.repos[REPO]
    assert repo.private
    names = {str(path.relative_to(old.dataset)) for path in old.dataset.rglob("*") if path.is_file()}
    assert set(repo.head.files) == {*names, ".gitattributes"}
    assert list(repo.tags) == [OLD]
    assert [commit.title for commit in repo.commits.values()] == ["initial commit", "Version 1.0.0"]
    for part in (repo.tags[OLD], f"tag {OLD}", f"{len(names)} files sent", f'("{REPO}", "ner", revision="{OLD}")'):
        assert part in output
    assert len(server.requests("PUT", "/lfs/")) == len(list_large_files(old))
    assert not [entry for entry in server.log if "/store/" in entry.path and entry.token]


def test_publish_twice_changes_nothing(server: Hub, old: Benchmark, publish: Run) -> None:
    publish(old)
    before = dict(server.repos[REPO].commits)
    server.clear_log()
    publish(old, says="sent=0")
    assert server.repos[REPO].commits == before
    assert list_writes(server) == []


def test_a_newer_version_takes_files_away_and_an_older_one_does_not_come_back(
    server: Hub, old: Benchmark, copy: Benchmark, new: Benchmark, publish: Run
) -> None:
    (copy.dataset / "NOTES.md").write_text("to go\n")
    (copy.dataset / ".notes.swp").write_text("hidden\n")
    publish(copy)
    repo = server.repos[REPO]
    assert {"NOTES.md", ".gitattributes"} < set(repo.head.files)
    assert ".notes.swp" not in repo.head.files
    server.clear_log()
    publish(new)
    assert "NOTES.md" not in repo.head.files
    assert ".gitattributes" in repo.head.files
    changed = [
        path
        for path in list_large_files(new)
        if path.read_bytes() != (old.dataset / path.relative_to(new.dataset)).read_bytes()
    ]
    assert 0 < len(server.requests("PUT", "/lfs/")) == len(changed)
    newest = repo.branches["main"]
    publish(copy)
    assert repo.branches["main"] == newest


def test_a_version_is_never_changed(server: Hub, old: Benchmark, copy: Benchmark, run: Run, publish: Run) -> None:
    server.publish_folder(REPO, old.dataset, OLD)
    export = copy.exports / "adjudicator.json"
    export.write_text(export.read_text().replace('"PLACE"', '"DATE"', 1))
    build.write_dataset(build.build_dataset(copy), copy.dataset)
    card.write_card(copy)
    publish(copy, exit=1, says="version-taken")
    run(copy, "publish", "--to", REPO, "--dry-run", exit=1, says="version-taken")
    assert list_writes(server) == []


def test_a_corrected_card_needs_no_new_version(
    server: Hub, old: Benchmark, copy: Benchmark, new: Benchmark, run: Run, publish: Run
) -> None:
    tagged = server.publish_folder(REPO, old.dataset, OLD)
    copy.card.write_text(copy.card.read_text() + "\nMore.\n")
    card.write_card(copy)
    run(copy, "publish", "--to", REPO, "--dry-run", says="to main go the documents that changed: README.md")
    publish(copy)
    repo = server.repos[REPO]
    assert repo.tags == {OLD: tagged}
    assert repo.head.title == "Documents of version 1.0.0"
    assert (copy.dataset / "README.md").read_bytes() == server.blobs[repo.head.files["README.md"]]
    publish(new)
    server.clear_log()
    publish(copy, says="sent=0")  # main belongs to a newer version by now
    assert list_writes(server) == []


def test_a_stale_card_is_not_published(server: Hub, copy: Benchmark, run: Run) -> None:
    copy.card.write_text(copy.card.read_text() + "\nMore.\n")
    run(copy, "publish", "--to", REPO, exit=1, says="stale dataset/README.md")
    assert server.log == []


def test_a_public_repository_does_not_become_private(server: Hub, old: Benchmark, run: Run) -> None:
    server.publish_folder(REPO, old.dataset, OLD)
    run(old, "publish", "--to", REPO, "--private", exit=2, says="is public")


# Interrupted.


def test_killed_during_an_upload_goes_on(server: Hub, old: Benchmark, publish: Run, tmp_path: Path) -> None:
    server.faults.uploads_before_cut, server.faults.hold_uploads = 3, True
    process = subprocess.Popen(
        [sys.executable, "-m", "jinbench", "--root", str(old.root), "publish", "--to", REPO],
        env=server.environment(tmp_path) | BY_LFS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert server.upload_held.wait(60)
    finally:
        process.kill()
        process.wait()
    server.faults.hold_uploads = False
    server.release_upload.set()
    assert set(server.repos[REPO].head.files) == {".gitattributes"}
    done = len(server.blobs) - 1
    assert done >= 3
    server.clear_log()
    publish(old)
    assert list(server.repos[REPO].tags) == [OLD]
    assert len(server.requests("PUT", "/lfs/")) == len(list_large_files(old)) - done


def test_a_lost_connection_leaves_nothing_half_published(server: Hub, old: Benchmark, publish: Run) -> None:
    """Once: the client tries again by itself. Always: it gives up, and nothing is half there."""
    server.faults.uploads_before_cut, server.faults.cut_uploads = 3, MANY
    publish(old, exit=3, says="hub-unreachable")
    assert set(server.repos[REPO].head.files) == {".gitattributes"}
    server.faults.uploads_before_cut, server.faults.cut_uploads = 0, 1
    publish(old)
    assert list(server.repos[REPO].tags) == [OLD]


def test_interrupted_between_commit_and_tag_goes_on(server: Hub, old: Benchmark, publish: Run) -> None:
    server.faults.fail_tags = 1
    publish(old, exit=3, says="hub-unreachable")
    repo = server.repos[REPO]
    commit = repo.branches["main"]
    assert repo.tags == {}
    server.clear_log()
    publish(old)
    assert repo.tags == {OLD: commit}
    assert [entry.partition("/tag/")[1] for entry in list_writes(server)] == ["/tag/"]


def test_a_concurrent_commit_is_an_error(server: Hub, old: Benchmark, publish: Run) -> None:
    server.create(REPO)
    server.faults.moved_before_commit = True
    publish(old, exit=3, says="somebody else wrote to it")
    assert set(server.repos[REPO].head.files) == {".gitattributes"}


@pytest.mark.parametrize(
    ("fault", "exit", "says"),
    [("altered", 1, "arrived-differs"), ("truncated", 3, "hub-unreachable"), ("shortened", 3, "hub-unreachable")],
)
def test_damaged_download_is_an_error(
    server: Hub, old: Benchmark, publish: Run, fault: str, exit: int, says: str
) -> None:
    server.publish_folder(REPO, old.dataset, OLD)
    setattr(server.faults, fault, "ner/test.parquet")
    publish(old, exit=exit, says=says)


def test_standoff_form_goes_through_the_hub(server: Hub, old: Benchmark, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "bare"
    run(old, "publish", "--standoff", "--out", str(out), "--to", REPO, "--dry-run", says="Nothing was sent")
    assert list_writes(server) == []
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


@pytest.mark.parametrize("token", [None, READER_TOKEN, "hf_wrong", "hf_\x01bell", "hf_津"])
def test_invalid_tokens_are_refused(server: Hub, old: Benchmark, publish: Run, token: str | None) -> None:
    publish(old, exit=3, token=token, says="token-refused")
    server.publish_folder(REPO, old.dataset, "v0.9.0")
    server.repos[REPO].head.files.pop("stats.json")
    publish(old, exit=3, token=token, says="token-refused")
    assert list(server.repos[REPO].tags) == ["v0.9.0"]


def test_a_namespace_of_somebody_else_is_refused(old: Benchmark, publish: Run) -> None:
    publish(old, "elsewhere/mini", exit=3, says="token-refused")


@pytest.mark.parametrize("status", [200, 418, 429, 503])
def test_a_broken_hub_is_unreachable(server: Hub, old: Benchmark, run: Run, publish: Run, status: int) -> None:
    server.faults.status = status
    publish(old, exit=3, says="hub-unreachable")
    run(old, "verify", REPO, exit=3, says="hub-unreachable")


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "nonsense", "http://[", ""])
def test_an_invalid_endpoint_is_unreachable(old: Benchmark, run: Run, endpoint: str) -> None:
    """Without HF_ENDPOINT it is the real Hub: here the proxy, which is the stand-in, says that there is none."""
    run(old, "verify", REPO, exit=3, says="hub-unreachable", HF_ENDPOINT=endpoint)


@pytest.mark.parametrize("name", ["mini", "a/b/c", "owner/mini.git", "owner/-", "津/mini", "/mini", "owner/", ""])
def test_invalid_names_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="repo-id"):
        hub.check_repo_id(name)

    heavy = ("huggingface_hub", "httpx2")
    code = f"import sys, jinbench.publish.hub; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
