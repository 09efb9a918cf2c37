"""A stand-in for a Hugging Face Hub on loopback, for the unmodified clients: their HTTP API, a log, and faults.

It holds dataset repositories in memory: blobs by their sha256, commits with ids of their own, tags that point to
commits. Parquet and images go by Git LFS and come by a redirect to another host name, as from the real Hub's store;
everything else goes inside the commit. It is also the proxy of its clients, so that what they would ask of any other
machine ends here, with 404, and in the log.
"""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

OWNER, READER = "hf_may_write", "hf_may_only_read"  # the tokens that are known; the owner's namespace is "owner"
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

    def find(self, revision: str) -> str | None:
        return (
            self.branches.get(revision) or self.tags.get(revision) or (revision if revision in self.commits else None)
        )

    @property
    def head(self) -> Commit:
        return self.commits[self.branches["main"]]


@dataclass
class Faults:
    """What goes wrong. Numbers count down to nought; a text is the end of a path."""

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


class Refusal(Exception):
    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Hub:
    """The server and what it holds. Use :func:`running`."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.log: list[Request] = []
        self.faults = Faults()
        self.held = threading.Event()  # an upload is half there
        self.release = threading.Event()
        self.lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    def environment(self, home: Path, token: str | None = OWNER) -> dict[str, str]:
        """For a client: this Hub, a home of its own, and this server as the way to any other machine."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "HF_HOME": str(home / "huggingface"),
            "HF_ENDPOINT": self.url,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HTTP_PROXY": self.url,
            "HTTPS_PROXY": self.url,
            "NO_PROXY": "127.0.0.1,localhost",
            "COLUMNS": "120",
        } | ({"HF_TOKEN": token} if token is not None else {})

    def asked(self, method: str = "", part: str = "") -> list[str]:
        """What this Hub was asked and answered since the last :meth:`forget`, by a method and a part of the path."""
        return [
            f"{entry.method} {entry.path}"
            for entry in self.log
            if method in entry.method and part in entry.path and entry.status and not entry.outside
        ]

    def forget(self) -> None:
        self.log.clear()

    def create(self, repo_id: str, private: bool = False) -> Repo:
        repo = self.repos[repo_id] = Repo(private)
        self.commit(repo, {".gitattributes": self.keep(ATTRIBUTES)}, "initial commit")
        return repo

    def keep(self, data: bytes) -> str:
        sha = hashlib.sha256(data).hexdigest()
        self.blobs[sha] = data
        return sha

    def commit(self, repo: Repo, files: dict[str, str], title: str) -> str:
        parent = repo.branches.get("main", "")
        oid = hashlib.sha1(json.dumps([parent, sorted(files.items()), title, len(repo.commits)]).encode()).hexdigest()
        repo.commits[oid] = Commit(files, title)
        repo.branches["main"] = oid
        return oid

    def put(self, repo_id: str, folder: Path, tag: str) -> str:
        """Publish a folder from behind, without a client."""
        repo = self.repos.get(repo_id) or self.create(repo_id)
        names = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
        files = {name: self.keep(path.read_bytes()) for name, path in names.items()}
        repo.tags[tag] = self.commit(repo, {".gitattributes": self.keep(ATTRIBUTES)} | files, tag)
        return repo.tags[tag]


def is_large(path: str) -> bool:
    return path.endswith(LARGE)


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def pointer(sha: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha}\nsize {size}\n".encode()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    status = 0  # not answered

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the log is :attr:`Hub.log`."""

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def do(self) -> None:
        self.status = 0
        outside = self.command == "CONNECT" or not self.path.startswith("/")
        try:
            if outside:
                raise Refusal(404, "there is no other machine")
            if self.hub.faults.status:
                raise Refusal(self.hub.faults.status, "out of order")
            url = urlsplit(self.path)
            self.query = parse_qs(url.query)
            for method, pattern, action in ROUTES:
                if method == self.command and (match := re.fullmatch(pattern, url.path)):
                    with self.hub.lock if action not in UNLOCKED else _nothing():
                        action(self, **{key: unquote(value) for key, value in match.groupdict().items() if value})
                    break
            else:
                raise Refusal(404, f"this Hub does not know {self.command} {url.path}")
        except Refusal as refusal:
            self.body()
            headers = {"X-Error-Message": str(refusal)} | ({"X-Error-Code": refusal.code} if refusal.code else {})
            self.answer({"error": str(refusal)}, refusal.status, headers)
        finally:
            entry = Request(self.command, self.path, self.status, self.token, self.headers.get("Host", ""), outside)
            self.hub.log.append(entry)

    do_GET = do_HEAD = do_POST = do_PUT = do_CONNECT = do

    # What a request is.

    @property
    def token(self) -> str | None:
        found = self.headers.get("Authorization")
        return found.removeprefix("Bearer ") if found else None

    def body(self) -> bytes:
        """The whole body, once."""
        if not hasattr(self, "_body") or self._body[0] is not self.headers:
            self._body = (self.headers, b"".join(self.pieces()))
        return self._body[1]

    def pieces(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def repo(self, repo_id: str) -> Repo:
        """The repository, for somebody who may see it."""
        if self.token not in (None, OWNER, READER):
            raise Refusal(401, "Invalid credentials in Authorization header")
        repo = self.hub.repos.get(repo_id)
        if repo is None or (repo.private and self.token != OWNER):
            # To somebody without a token, the Hub does not say whether it is missing or private. Over https the client
            # knows such a 401 by its address; here it needs the code.
            raise Refusal(404 if self.token else 401, "Repository not found", "RepoNotFound")
        return repo

    def at(self, repo_id: str, revision: str) -> tuple[str, Commit]:
        repo = self.repo(repo_id)
        oid = repo.find(revision)
        if oid is None:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return oid, repo.commits[oid]

    def check_right(self) -> None:
        if self.token is None:
            raise Refusal(401, "Invalid username or password.")
        if self.token not in (OWNER, READER):
            raise Refusal(401, "Invalid credentials in Authorization header")
        if self.token != OWNER:
            raise Refusal(403, "Forbidden: this token may not write here")

    # What is answered.

    def answer(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send(json.dumps(value).encode(), status, {"Content-Type": "application/json"} | (headers or {}))

    def send(self, data: bytes, status: int, headers: dict[str, str], length: int | None = None) -> None:
        self.status = status
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        if length is not None and length != len(data):
            self.close_connection = True

    def create(self) -> None:
        asked = json.loads(self.body())
        self.check_right()
        repo_id = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] != "owner":
            raise Refusal(403, f"You don't have the rights to create a dataset under {asked['organization']}")
        if repo_id in self.hub.repos:
            return self.answer({"url": f"{self.hub.url}/datasets/{repo_id}", "error": "it exists"}, 409)
        self.hub.create(repo_id, asked.get("visibility") == "private")
        return self.answer({"url": f"{self.hub.url}/datasets/{repo_id}", "name": repo_id})

    def validate_yaml(self) -> None:
        import yaml

        parts = json.loads(self.body())["content"].split("---\n")
        try:
            head = yaml.safe_load(parts[1]) if len(parts) > 2 else {}
            errors = [] if isinstance(head, dict) else ["the head is not a mapping"]
        except yaml.YAMLError as error:
            errors = [str(error)]
        self.answer({"errors": [{"message": text} for text in errors], "warnings": []}, 400 if errors else 200)

    def info(self, repo_id: str, revision: str = "main") -> None:
        oid, commit = self.at(repo_id, revision)
        siblings = [{"rfilename": path} | self.blob(path, sha, "blobs") for path, sha in sorted(commit.files.items())]
        private = self.hub.repos[repo_id].private
        common = {"author": repo_id.split("/")[0], "gated": False, "disabled": False, "tags": [], "likes": 0}
        self.answer({"id": repo_id, "sha": oid, "private": private, "siblings": siblings, "downloads": 0} | common)

    def blob(self, path: str, sha: str, form: str) -> dict[str, Any]:
        """A file as a tree lists it, or as `blobs=True` wants it."""
        data = self.hub.blobs[sha]
        text = pointer(sha, len(data))
        oid = git_hash(text if is_large(path) else data)
        if form == "blobs":
            if "blobs" not in self.query:
                return {}
            lfs = {"lfs": {"sha256": sha, "size": len(data), "pointerSize": len(text)}} if is_large(path) else {}
            return {"size": len(data), "blobId": oid} | lfs
        lfs = {"lfs": {"oid": sha, "size": len(data), "pointerSize": len(text)}} if is_large(path) else {}
        return {"type": "file", "path": path, "size": len(data), "oid": oid} | lfs

    def refs(self, repo_id: str) -> None:
        repo = self.repo(repo_id)
        self.answer(
            {
                "branches": [
                    {"name": n, "ref": f"refs/heads/{n}", "targetCommit": oid} for n, oid in repo.branches.items()
                ],
                "tags": [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": oid} for n, oid in repo.tags.items()],
                "converts": [],
            }
        )

    def entries(self, commit: Commit) -> dict[str, dict[str, Any]]:
        """Files and folders, by path."""
        found: dict[str, dict[str, Any]] = {}
        for path, sha in commit.files.items():
            for parent in list(Path(path).parents)[:-1]:
                tree = git_hash(str(parent).encode())
                found[str(parent)] = {"type": "directory", "path": str(parent), "size": 0, "oid": tree}
            found[path] = self.blob(path, sha, "tree")
        return dict(sorted(found.items()))

    def tree(self, repo_id: str, revision: str, path: str = "") -> None:
        found = self.entries(self.at(repo_id, revision)[1])
        if path and found.get(path, {}).get("type") != "directory":
            raise Refusal(404, f"{path} does not exist on {revision}", "EntryNotFound")
        deep = self.query.get("recursive", ["false"])[0].lower() == "true"
        below = [entry for name, entry in found.items() if name.startswith(f"{path}/" if path else "")]
        start = len(path) + 1 if path else 0
        self.answer([entry for entry in below if deep or "/" not in entry["path"][start:]])

    def paths_info(self, repo_id: str, revision: str) -> None:
        found = self.entries(self.at(repo_id, revision)[1])
        asked = parse_qs(self.body().decode())["paths"]
        self.answer([found[path] for path in asked if path in found])

    def preupload(self, repo_id: str, revision: str) -> None:
        asked = json.loads(self.body())["files"]
        commit = self.at(repo_id, revision)[1]
        self.check_right()
        answer = []
        for path in (entry["path"] for entry in asked):
            mode = {"path": path, "uploadMode": "lfs" if is_large(path) else "regular", "shouldIgnore": False}
            if sha := commit.files.get(path):
                mode["oid"] = sha if is_large(path) else git_hash(self.hub.blobs[sha])
            answer.append(mode)
        self.answer({"files": answer})

    def batch(self, repo_id: str) -> None:
        asked = json.loads(self.body())
        self.repo(repo_id)
        self.check_right()
        objects = []
        for entry in asked["objects"]:
            upload = {"href": f"{self.hub.url}/lfs/{entry['oid']}", "header": {}}
            verify = {"href": f"{self.hub.url}/lfs/verify"}
            there = entry["oid"] in self.hub.blobs
            objects.append(entry if there else entry | {"actions": {"upload": upload, "verify": verify}})
        self.answer({"transfer": "basic", "objects": objects})

    def upload(self, oid: str) -> None:
        faults = self.hub.faults
        with self.hub.lock:
            faults.uploads_before_cut -= 1
            cut = faults.uploads_before_cut < 0 and (faults.cut_uploads > 0 or faults.hold_uploads)
            faults.cut_uploads -= cut
            faults.uploads_under_way += not cut
        if cut:
            self.rfile.read(100)
            if faults.hold_uploads:
                while faults.uploads_under_way:
                    time.sleep(0.01)
                self.hub.held.set()
                self.hub.release.wait(60)
            self.close_connection = True
            self.connection.close()
            return
        try:
            data = self.body()
            if hashlib.sha256(data).hexdigest() != oid:
                raise Refusal(400, "these bytes have another sha256")
            self.hub.keep(data)
        finally:
            with self.hub.lock:
                faults.uploads_under_way -= 1
        self.answer({})

    def verify(self) -> None:
        asked = json.loads(self.body())
        self.check_right()
        if len(self.hub.blobs.get(asked["oid"], b"")) != asked["size"]:
            raise Refusal(404, "nothing of that size")
        self.answer({})

    def receive_commit(self, repo_id: str, revision: str) -> None:
        lines = [json.loads(line) for line in self.body().splitlines()]
        repo = self.repo(repo_id)
        self.check_right()
        if self.hub.faults.moved_before_commit:
            self.hub.commit(repo, dict(repo.head.files), "somebody else's")
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, repo.branches[revision]):
            raise Refusal(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repo.head.files)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = self.hub.keep(base64.b64decode(value["content"]))
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.blobs:
                    raise Refusal(400, "Your push was rejected because an LFS pointer points to nothing")
                files[value["path"]] = value["oid"]
            elif line["key"] == "deletedFile" and files.pop(value["path"], None) is None:
                raise Refusal(404, "A file with this name doesn't exist", "EntryNotFound")
        oid = self.hub.commit(repo, files, header["summary"])
        self.answer({"success": True, "commitOid": oid, "commitUrl": f"{self.hub.url}/datasets/{repo_id}/commit/{oid}"})

    def tag(self, repo_id: str, revision: str) -> None:
        asked = json.loads(self.body())
        oid, _ = self.at(repo_id, revision)
        self.check_right()
        if self.hub.faults.fail_tags:
            self.hub.faults.fail_tags -= 1
            raise Refusal(500, "no tags today")
        tags = self.hub.repos[repo_id].tags
        if asked["tag"] in tags:
            raise Refusal(409, f"Tag {asked['tag']} exists already")
        tags[asked["tag"]] = oid
        self.answer({})

    def resolve(self, repo_id: str, revision: str, path: str) -> None:
        oid, commit = self.at(repo_id, revision)
        if path not in commit.files:
            headers = {"X-Repo-Commit": oid, "X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
            return self.answer({"error": "Entry not found"}, 404, headers)
        sha = commit.files[path]
        data = self.hub.blobs[sha]
        if not is_large(path):
            return self.content(data, path, {"X-Repo-Commit": oid, "ETag": f'"{git_hash(data)}"'})
        store = f"http://localhost:{self.hub.port}/store/{sha}/{quote(path)}"
        headers = {
            "X-Repo-Commit": oid,
            "X-Linked-Size": str(len(data)),
            "X-Linked-Etag": f'"{sha}"',
            "Location": store,
        }
        return self.send(b"", 302, headers)

    def stored(self, sha: str, path: str) -> None:
        if self.token is not None:
            raise Refusal(400, "a token has no business here")
        self.content(self.hub.blobs[sha], path, {"ETag": f'"{sha}"'})

    def content(self, data: bytes, path: str, headers: dict[str, str]) -> None:
        """A file or the range of it that is asked for, if nothing goes wrong."""
        faults, whole = self.hub.faults, len(data)
        if faults.altered and path.endswith(faults.altered):
            data = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
        start, end, status = 0, whole, 200
        headers = headers | {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end, status = int(match[1]), min(int(match[2] or whole - 1) + 1, whole), 206
            if start >= whole:
                raise Refusal(416, "there is no such range")
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{whole}"
        length = end - start
        if self.command == "GET" and faults.truncated and path.endswith(faults.truncated):
            end = max(start, whole // 2)
        if self.command == "GET" and faults.shortened and path.endswith(faults.shortened):
            end, length = whole // 2, whole // 2
        self.send(data[start:end], status, headers, length)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


ID = r"(?P<repo_id>[^/]+/[^/]+)"
REV = r"(?P<revision>[^/]+)"
ROUTES = [
    ("POST", "/api/repos/create", _Handler.create),
    ("POST", "/api/validate-yaml", _Handler.validate_yaml),
    ("GET", rf"/api/datasets/{ID}", _Handler.info),
    ("GET", rf"/api/datasets/{ID}/revision/{REV}", _Handler.info),
    ("GET", rf"/api/datasets/{ID}/refs", _Handler.refs),
    ("GET", rf"/api/datasets/{ID}/tree/{REV}(/(?P<path>.+))?", _Handler.tree),
    ("POST", rf"/api/datasets/{ID}/paths-info/{REV}", _Handler.paths_info),
    ("POST", rf"/api/datasets/{ID}/preupload/{REV}", _Handler.preupload),
    ("POST", rf"/api/datasets/{ID}/commit/{REV}", _Handler.receive_commit),
    ("POST", rf"/api/datasets/{ID}/tag/{REV}", _Handler.tag),
    ("POST", r"/datasets/(?P<repo_id>[^/]+/[^/]+?)\.git/info/lfs/objects/batch", _Handler.batch),
    ("POST", "/lfs/verify", _Handler.verify),
    ("PUT", "/lfs/(?P<oid>[0-9a-f]{64})", _Handler.upload),
    *(
        (method, pattern, action)
        for method in ("GET", "HEAD")
        for pattern, action in (
            (rf"/datasets/{ID}/resolve/{REV}/(?P<path>.+)", _Handler.resolve),
            (r"/store/(?P<sha>[0-9a-f]{64})/(?P<path>.+)", _Handler.stored),
        )
    ),
]
UNLOCKED = (_Handler.upload,)  # it may be left waiting


@contextmanager
def running() -> Iterator[Hub]:
    """A Hub that ends with the block."""
    hub = Hub()
    try:
        yield hub
    finally:
        hub.stop()


def in_state(hub: Hub, state: str, folder: Path) -> str:
    """Bring about what a case of `tests/bad/` wants of the Hub; returns the token to come with."""
    if state in ("has it", "has others", "alters what it has"):
        oid = hub.put("owner/mini", folder, "v1.0.0")
        if state == "has others":
            hub.repos["owner/mini"].commits[oid].files["stats.json"] = hub.keep(b"{}")
        if state == "alters what it has":
            hub.faults.altered = "ner/test.parquet"
    elif state == "is out of order":
        hub.faults.status = 501
    else:
        assert state in ("is empty", "refuses")
    return READER if state == "refuses" else OWNER
