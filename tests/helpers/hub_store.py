"""Dataset repositories of the stand-in Hub, in memory, with a log of requests and faults to inject."""

import hashlib
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path

OWNER_TOKEN, READER_TOKEN = "hf_may_write", "hf_may_only_read"  # the valid tokens; the owner's namespace is "owner"
LARGE = (".parquet", ".png")
ATTRIBUTES = b"*.parquet filter=lfs diff=lfs merge=lfs -text\n*.png filter=lfs diff=lfs merge=lfs -text\n"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    status: int
    token: str | None
    host: str
    outside: bool = False


@dataclass
class Commit:
    files: dict[str, str]  # sha256 by path
    title: str


@dataclass
class Repo:
    private: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def find_commit_id(self, revision: str) -> str | None:
        return (
            self.branches.get(revision) or self.tags.get(revision) or (revision if revision in self.commits else None)
        )

    @property
    def head(self) -> Commit:
        return self.commits[self.branches["main"]]


@dataclass
class Faults:
    """Faults to inject. Numbers count down to 0; a text is the end of a path."""

    cut_uploads: int = 0  # so many uploads of large files are cut off in the middle
    uploads_before_cut: int = 0  # after so many that go well
    hold_uploads: bool = False  # an upload that is half there is left waiting, once those before it are done
    uploads_under_way: int = 0
    fail_tags: int = 0
    status: int | None = None  # the answer to everything
    truncated: str | None = None  # a download ends in the middle, and says so by its length
    shortened: str | None = None  # a download ends in the middle, and its length says that this is all
    altered: str | None = None  # a download arrives with another byte in it
    moved_before_commit: bool = False  # somebody else commits between the plan and the commit


class Store:
    """Repositories by id and blobs by sha256."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.log: list[Request] = []
        self.faults = Faults()
        self.upload_held = threading.Event()  # an upload is half there
        self.release_upload = threading.Event()
        self.lock = threading.RLock()

    def requests(self, method: str = "", part: str = "") -> list[str]:
        """Return the requests answered since the last :meth:`clear_log`, filtered by method and part of the path."""
        return [
            f"{entry.method} {entry.path}"
            for entry in self.log
            if method in entry.method and part in entry.path and entry.status and not entry.outside
        ]

    def clear_log(self) -> None:
        self.log.clear()

    def create(self, repo_id: str, private: bool = False) -> Repo:
        repo = self.repos[repo_id] = Repo(private)
        self.commit(repo, {".gitattributes": self.store_blob(ATTRIBUTES)}, "initial commit")
        return repo

    def store_blob(self, data: bytes) -> str:
        sha = hashlib.sha256(data).hexdigest()
        self.blobs[sha] = data
        return sha

    def commit(self, repo: Repo, files: dict[str, str], title: str) -> str:
        parent = repo.branches.get("main", "")
        oid = hashlib.sha1(json.dumps([parent, sorted(files.items()), title, len(repo.commits)]).encode()).hexdigest()
        repo.commits[oid] = Commit(files, title)
        repo.branches["main"] = oid
        return oid

    def publish_folder(self, repo_id: str, folder: Path, tag: str) -> str:
        """Store a folder as a tagged commit, without a client."""
        repo = self.repos.get(repo_id) or self.create(repo_id)
        names = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
        files = {name: self.store_blob(path.read_bytes()) for name, path in names.items()}
        repo.tags[tag] = self.commit(repo, {".gitattributes": self.store_blob(ATTRIBUTES)} | files, tag)
        return repo.tags[tag]


def is_large(path: str) -> bool:
    return path.endswith(LARGE)


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
