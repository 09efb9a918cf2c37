"""The HTTP API of the stand-in Hub."""

import base64
import hashlib
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.helpers.hub_store import OWNER_TOKEN, READER_TOKEN, Commit, Repo, Request, git_hash, is_large

if TYPE_CHECKING:
    from tests.helpers.hub import Hub


class HubError(Exception):
    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def pointer(sha: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha}\nsize {size}\n".encode()


class Handler(BaseHTTPRequestHandler):
    hub: "Hub"
    protocol_version = "HTTP/1.1"
    status = 0  # not answered

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the log is :attr:`Hub.log`."""

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def handle_any(self) -> None:
        self.status = 0
        outside = self.command == "CONNECT" or not self.path.startswith("/")
        try:
            if outside:
                raise HubError(404, "there is no other machine")
            if self.hub.faults.status:
                raise HubError(self.hub.faults.status, "out of order")
            url = urlsplit(self.path)
            self.query = parse_qs(url.query)
            for method, pattern, action in ROUTES:
                if method == self.command and (match := re.fullmatch(pattern, url.path)):
                    with self.hub.lock if action not in WITHOUT_LOCK else _no_lock():
                        action(self, **{key: unquote(value) for key, value in match.groupdict().items() if value})
                    break
            else:
                raise HubError(404, f"this Hub does not know {self.command} {url.path}")
        except HubError as error:
            self.read_body()
            headers = {"X-Error-Message": str(error)} | ({"X-Error-Code": error.code} if error.code else {})
            self.send_json({"error": str(error)}, error.status, headers)
        finally:
            entry = Request(self.command, self.path, self.status, self.token, self.headers.get("Host", ""), outside)
            self.hub.log.append(entry)

    do_GET = do_HEAD = do_POST = do_PUT = do_CONNECT = handle_any

    # Requests

    @property
    def token(self) -> str | None:
        authorization = self.headers.get("Authorization")
        return authorization.removeprefix("Bearer ") if authorization else None

    def read_body(self) -> bytes:
        """Return the whole body; reads it once."""
        if not hasattr(self, "_body") or self._body[0] is not self.headers:
            self._body = (self.headers, b"".join(self.read_pieces()))
        return self._body[1]

    def read_pieces(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def find_repo(self, repo_id: str) -> Repo:
        """Return the repository if the token may see it."""
        if self.token not in (None, OWNER_TOKEN, READER_TOKEN):
            raise HubError(401, "Invalid credentials in Authorization header")
        repo = self.hub.repos.get(repo_id)
        if repo is None or (repo.private and self.token != OWNER_TOKEN):
            # To somebody without a token, the Hub does not say whether it is missing or private. Over https the client
            # knows such a 401 by its address; here it needs the code.
            raise HubError(404 if self.token else 401, "Repository not found", "RepoNotFound")
        return repo

    def find_commit(self, repo_id: str, revision: str) -> tuple[str, Commit]:
        repo = self.find_repo(repo_id)
        oid = repo.find_commit_id(revision)
        if oid is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return oid, repo.commits[oid]

    def check_write_access(self) -> None:
        if self.token is None:
            raise HubError(401, "Invalid username or password.")
        if self.token not in (OWNER_TOKEN, READER_TOKEN):
            raise HubError(401, "Invalid credentials in Authorization header")
        if self.token != OWNER_TOKEN:
            raise HubError(403, "Forbidden: this token may not write here")

    # Responses

    def send_json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
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
        payload = json.loads(self.read_body())
        self.check_write_access()
        repo_id = f"{payload['organization']}/{payload['name']}"
        if payload["organization"] != "owner":
            raise HubError(403, f"You don't have the rights to create a dataset under {payload['organization']}")
        if repo_id in self.hub.repos:
            return self.send_json({"url": f"{self.hub.url}/datasets/{repo_id}", "error": "it exists"}, 409)
        self.hub.create(repo_id, payload.get("visibility") == "private")
        return self.send_json({"url": f"{self.hub.url}/datasets/{repo_id}", "name": repo_id})

    def validate_yaml(self) -> None:
        import yaml

        parts = json.loads(self.read_body())["content"].split("---\n")
        try:
            head = yaml.safe_load(parts[1]) if len(parts) > 2 else {}
            errors = [] if isinstance(head, dict) else ["the head is not a mapping"]
        except yaml.YAMLError as error:
            errors = [str(error)]
        self.send_json({"errors": [{"message": text} for text in errors], "warnings": []}, 400 if errors else 200)

    def info(self, repo_id: str, revision: str = "main") -> None:
        oid, commit = self.find_commit(repo_id, revision)
        siblings = [
            {"rfilename": path} | self.describe_file(path, sha, "blobs") for path, sha in sorted(commit.files.items())
        ]
        private = self.hub.repos[repo_id].private
        common = {"author": repo_id.split("/")[0], "gated": False, "disabled": False, "tags": [], "likes": 0}
        self.send_json({"id": repo_id, "sha": oid, "private": private, "siblings": siblings, "downloads": 0} | common)

    def describe_file(self, path: str, sha: str, form: str) -> dict[str, Any]:
        """Describe a file as a tree lists it, or as `blobs=True` requires it."""
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
        repo = self.find_repo(repo_id)
        self.send_json(
            {
                "branches": [
                    {"name": n, "ref": f"refs/heads/{n}", "targetCommit": oid} for n, oid in repo.branches.items()
                ],
                "tags": [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": oid} for n, oid in repo.tags.items()],
                "converts": [],
            }
        )

    def list_entries(self, commit: Commit) -> dict[str, dict[str, Any]]:
        """Return files and folders, by path."""
        entries: dict[str, dict[str, Any]] = {}
        for path, sha in commit.files.items():
            for parent in list(Path(path).parents)[:-1]:
                tree = git_hash(str(parent).encode())
                entries[str(parent)] = {"type": "directory", "path": str(parent), "size": 0, "oid": tree}
            entries[path] = self.describe_file(path, sha, "tree")
        return dict(sorted(entries.items()))

    def tree(self, repo_id: str, revision: str, path: str = "") -> None:
        entries = self.list_entries(self.find_commit(repo_id, revision)[1])
        if path and entries.get(path, {}).get("type") != "directory":
            raise HubError(404, f"{path} does not exist on {revision}", "EntryNotFound")
        deep = self.query.get("recursive", ["false"])[0].lower() == "true"
        below = [entry for name, entry in entries.items() if name.startswith(f"{path}/" if path else "")]
        start = len(path) + 1 if path else 0
        self.send_json([entry for entry in below if deep or "/" not in entry["path"][start:]])

    def paths_info(self, repo_id: str, revision: str) -> None:
        entries = self.list_entries(self.find_commit(repo_id, revision)[1])
        payload = parse_qs(self.read_body().decode())["paths"]
        self.send_json([entries[path] for path in payload if path in entries])

    def preupload(self, repo_id: str, revision: str) -> None:
        payload = json.loads(self.read_body())["files"]
        commit = self.find_commit(repo_id, revision)[1]
        self.check_write_access()
        answer = []
        for path in (entry["path"] for entry in payload):
            mode = {"path": path, "uploadMode": "lfs" if is_large(path) else "regular", "shouldIgnore": False}
            if sha := commit.files.get(path):
                mode["oid"] = sha if is_large(path) else git_hash(self.hub.blobs[sha])
            answer.append(mode)
        self.send_json({"files": answer})

    def batch(self, repo_id: str) -> None:
        payload = json.loads(self.read_body())
        self.find_repo(repo_id)
        self.check_write_access()
        objects = []
        for entry in payload["objects"]:
            upload = {"href": f"{self.hub.url}/lfs/{entry['oid']}", "header": {}}
            verify = {"href": f"{self.hub.url}/lfs/verify"}
            stored = entry["oid"] in self.hub.blobs
            objects.append(entry if stored else entry | {"actions": {"upload": upload, "verify": verify}})
        self.send_json({"transfer": "basic", "objects": objects})

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
                self.hub.upload_held.set()
                self.hub.release_upload.wait(60)
            self.close_connection = True
            self.connection.close()
            return
        try:
            data = self.read_body()
            if hashlib.sha256(data).hexdigest() != oid:
                raise HubError(400, "these bytes have another sha256")
            self.hub.store_blob(data)
        finally:
            with self.hub.lock:
                faults.uploads_under_way -= 1
        self.send_json({})

    def verify(self) -> None:
        payload = json.loads(self.read_body())
        self.check_write_access()
        if len(self.hub.blobs.get(payload["oid"], b"")) != payload["size"]:
            raise HubError(404, "nothing of that size")
        self.send_json({})

    def receive_commit(self, repo_id: str, revision: str) -> None:
        lines = [json.loads(line) for line in self.read_body().splitlines()]
        repo = self.find_repo(repo_id)
        self.check_write_access()
        if self.hub.faults.moved_before_commit:
            self.hub.commit(repo, dict(repo.head.files), "somebody else's")
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, repo.branches[revision]):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repo.head.files)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = self.hub.store_blob(base64.b64decode(value["content"]))
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.blobs:
                    raise HubError(400, "Your push was rejected because an LFS pointer points to nothing")
                files[value["path"]] = value["oid"]
            elif line["key"] == "deletedFile" and files.pop(value["path"], None) is None:
                raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
        oid = self.hub.commit(repo, files, header["summary"])
        self.send_json(
            {"success": True, "commitOid": oid, "commitUrl": f"{self.hub.url}/datasets/{repo_id}/commit/{oid}"}
        )

    def tag(self, repo_id: str, revision: str) -> None:
        payload = json.loads(self.read_body())
        oid, _ = self.find_commit(repo_id, revision)
        self.check_write_access()
        if self.hub.faults.fail_tags:
            self.hub.faults.fail_tags -= 1
            raise HubError(500, "no tags today")
        tags = self.hub.repos[repo_id].tags
        if payload["tag"] in tags:
            raise HubError(409, f"Tag {payload['tag']} exists already")
        tags[payload["tag"]] = oid
        self.send_json({})

    def resolve(self, repo_id: str, revision: str, path: str) -> None:
        oid, commit = self.find_commit(repo_id, revision)
        if path not in commit.files:
            headers = {"X-Repo-Commit": oid, "X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
            return self.send_json({"error": "Entry not found"}, 404, headers)
        sha = commit.files[path]
        data = self.hub.blobs[sha]
        if not is_large(path):
            return self.send_content(data, path, {"X-Repo-Commit": oid, "ETag": f'"{git_hash(data)}"'})
        store = f"http://localhost:{self.hub.port}/store/{sha}/{quote(path)}"
        headers = {
            "X-Repo-Commit": oid,
            "X-Linked-Size": str(len(data)),
            "X-Linked-Etag": f'"{sha}"',
            "Location": store,
        }
        return self.send(b"", 302, headers)

    def serve_blob(self, sha: str, path: str) -> None:
        if self.token is not None:
            raise HubError(400, "a token has no business here")
        self.send_content(self.hub.blobs[sha], path, {"ETag": f'"{sha}"'})

    def send_content(self, data: bytes, path: str, headers: dict[str, str]) -> None:
        """Send a file or the requested range of it, with the faults that are set."""
        faults, whole = self.hub.faults, len(data)
        if faults.altered and path.endswith(faults.altered):
            data = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
        start, end, status = 0, whole, 200
        headers = headers | {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end, status = int(match[1]), min(int(match[2] or whole - 1) + 1, whole), 206
            if start >= whole:
                raise HubError(416, "there is no such range")
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{whole}"
        length = end - start
        if self.command == "GET" and faults.truncated and path.endswith(faults.truncated):
            end = max(start, whole // 2)
        if self.command == "GET" and faults.shortened and path.endswith(faults.shortened):
            end, length = whole // 2, whole // 2
        self.send(data[start:end], status, headers, length)


@contextmanager
def _no_lock() -> Iterator[None]:
    yield


ID = r"(?P<repo_id>[^/]+/[^/]+)"
REV = r"(?P<revision>[^/]+)"
ROUTES = [
    ("POST", "/api/repos/create", Handler.create),
    ("POST", "/api/validate-yaml", Handler.validate_yaml),
    ("GET", rf"/api/datasets/{ID}", Handler.info),
    ("GET", rf"/api/datasets/{ID}/revision/{REV}", Handler.info),
    ("GET", rf"/api/datasets/{ID}/refs", Handler.refs),
    ("GET", rf"/api/datasets/{ID}/tree/{REV}(/(?P<path>.+))?", Handler.tree),
    ("POST", rf"/api/datasets/{ID}/paths-info/{REV}", Handler.paths_info),
    ("POST", rf"/api/datasets/{ID}/preupload/{REV}", Handler.preupload),
    ("POST", rf"/api/datasets/{ID}/commit/{REV}", Handler.receive_commit),
    ("POST", rf"/api/datasets/{ID}/tag/{REV}", Handler.tag),
    ("POST", r"/datasets/(?P<repo_id>[^/]+/[^/]+?)\.git/info/lfs/objects/batch", Handler.batch),
    ("POST", "/lfs/verify", Handler.verify),
    ("PUT", "/lfs/(?P<oid>[0-9a-f]{64})", Handler.upload),
    *(
        (method, pattern, action)
        for method in ("GET", "HEAD")
        for pattern, action in (
            (rf"/datasets/{ID}/resolve/{REV}/(?P<path>.+)", Handler.resolve),
            (r"/store/(?P<sha>[0-9a-f]{64})/(?P<path>.+)", Handler.serve_blob),
        )
    ),
]
WITHOUT_LOCK = (Handler.upload,)  # it may be left waiting
