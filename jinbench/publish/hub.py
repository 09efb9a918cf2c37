"""Hugging Face Hub: upload, tag, download.

HF_ENDPOINT names the Hub; the token is the one that the Hub's client finds (HF_TOKEN, or that of `hf auth login`).
The data of a tagged version is never changed: publishing the same again sends nothing, other data is refused. Documents
(the card, its plots, croissant.json) may be corrected on main; the tag stays where it is.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from jinbench.core import files
from jinbench.core.errors import fail, shorten
from jinbench.core.types import Step
from jinbench.dataset.load import read_manifest_in
from jinbench.dataset.manifest import Manifest
from jinbench.dataset.verify import STANDOFF
from jinbench.publish.hub_errors import (
    REPO_TYPE,
    dataset_url,
    token_error,
    translate_hub_errors,
    unreachable_error,
)

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile

NEW, CHANGED, SAME, GONE = "new", "changed", "same", "gone"
GIT_ATTRIBUTES = ".gitattributes"  # the Hub makes it, and needs it
TIMEOUT = 30.0  # seconds


@dataclass(frozen=True)
class FileChange:
    """A change of one file on main. `data`: the manifest, or a file that it lists."""

    path: str
    state: str
    size: int
    data: bool


@dataclass(frozen=True)
class UploadPlan:
    """The changes that publishing a folder makes to a repository.

    Attributes:
        repo_id: OWNER/NAME.
        tag: The tag of the version in the folder.
        head: The commit of main; None if the repository does not exist yet.
        private: True if the repository exists and is private.
        tagged: The commit that has the tag already, or None.
        taken: Data files in which the tagged version differs from the folder; if there are any, the folder cannot be
            published.
        changes: The changes to main, by path.
    """

    repo_id: str
    tag: str
    head: str | None
    private: bool
    tagged: str | None
    taken: tuple[str, ...]
    changes: tuple[FileChange, ...]

    @property
    def to_send(self) -> tuple[FileChange, ...]:
        """The changes to make; none if this version is tagged and main holds the data of a newer one."""
        changes = tuple(change for change in self.changes if change.state != SAME)
        return () if self.tagged and any(change.data for change in changes) else changes

    def count(self, *states: str) -> int:
        return sum(change.state in states for change in self.changes)

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    def __str__(self) -> str:
        if self.taken:
            return f"{self.tag} exists with other data: it cannot be published."
        if self.tagged and not self.to_send:
            return f"{self.tag} exists with the same data: nothing to do."
        if self.tagged:
            names = ", ".join(change.path for change in self.to_send)
            return f"{self.tag} exists with the same data and stays; to main go the documents that changed: {names}."
        counts = ", ".join(f"{self.count(state)} {state}" for state in (NEW, CHANGED, SAME, GONE))
        status = "a repository to be created" if self.head is None else "private" if self.private else "public"
        return f"{self.repo_id} ({status}): {counts}; then the tag {self.tag}."


@dataclass(frozen=True)
class PublishedVersion:
    """A version on the Hub, read back and identical to the folder. `sent`: how many files this run sent."""

    url: str
    repo_id: str
    commit: str
    tag: str
    sent: int

    @property
    def load(self) -> str:
        """The line of Python that loads it."""
        return f'load_dataset("{self.repo_id}", "ner", revision="{self.tag}")'

    def to_dict(self) -> dict[str, object]:
        return asdict(self) | {"load": self.load}


def is_repo_id(name: str) -> bool:
    """Return whether `name` is a valid dataset id: OWNER/NAME."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return "/" in name


def check_repo_id(repo_id: str) -> None:
    """Raise :class:`DataError` (repo-id) unless `repo_id` is OWNER/NAME."""
    if not is_repo_id(repo_id):
        expected = "OWNER/NAME: letters, digits, '-', '_' and '.', each at most 96; neither '--' nor '..' nor '.git'"
        fix = "correct the name; the owner is your name on the Hub, or that of an organisation"
        fail("repo-id", "a dataset on the Hub", expected=expected, found=shorten(repo_id), fix=fix)


def _check_endpoint() -> None:
    """Raise :class:`ServerError` (hub-unreachable) for a broken HF_ENDPOINT, which the client parses on import."""
    try:
        from huggingface_hub import constants  # noqa: F401
    except ValueError as error:
        raise unreachable_error("HF_ENDPOINT", f"an invalid address: {error}") from None


def plan_upload(folder: Path, repo_id: str) -> UploadPlan:
    """Compare a folder with main of a repository and with the tag of its version; send nothing.

    Raises :class:`DataError` (repo-id, standoff, errors of the manifest) and :class:`ServerError` (token-refused,
    hub-unreachable).
    """
    check_repo_id(repo_id)
    _check_endpoint()
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    listing = read_manifest_in(folder)
    local, tag, data_names = _read_folder(folder), f"v{listing['version']}", _data_names(listing)
    api = HfApi()
    with translate_hub_errors(repo_id):
        try:
            info = api.dataset_info(repo_id, timeout=TIMEOUT)
        except GatedRepoError:
            raise
        except RepositoryNotFoundError:  # or it is private and the token may not see it; then creating it fails
            return UploadPlan(repo_id, tag, None, False, None, (), _compare(local, {}, data_names))
        tags = {ref.name: ref.target_commit for ref in api.list_repo_refs(repo_id, repo_type=REPO_TYPE).tags}
        remote = _list_files(repo_id, str(info.sha))
        if "manifest.json" in remote and (STANDOFF in remote) != (STANDOFF in local):
            _fail_other_form(repo_id, is_standoff=STANDOFF in remote)
        changes = _compare(local, remote, data_names)
        changes_to_tag = _compare(local, _list_files(repo_id, tag), data_names) if tag in tags else ()
        taken = [change.path for change in changes_to_tag if change.state != SAME and change.data]
    return UploadPlan(repo_id, tag, info.sha, bool(info.private), tags.get(tag), tuple(taken), changes)


def publish_dataset(folder: Path, repo_id: str, *, private: bool = False, step: Step) -> PublishedVersion:
    """Send a folder as one commit, tag it with its version, download the tag and compare it with the folder.

    Safe to repeat and to interrupt: files that arrived already are not sent again, and no empty commit is made. Hidden
    files are not sent. The visibility of an existing repository does not change. Verify the folder first.

    Args:
        folder: A dataset folder, with its texts or in standoff form.
        repo_id: OWNER/NAME.
        private: Create the repository as a private one.
        step: Called with the name of a step, files done and files in all.

    Returns:
        The published version, with its commit and tag.

    Raises:
        DataError: For an invalid name [repo-id], a tag with other data [version-taken], a repository with the other
            form of the dataset [standoff], files that came back changed [arrived-differs], errors of the manifest.
        ServerError: If the Hub refuses the token [token-refused] or does not answer [hub-unreachable].
    """
    check_repo_id(repo_id)
    _check_endpoint()
    from huggingface_hub import HfApi

    _check_token(repo_id)
    plan = plan_upload(folder, repo_id)
    check_version_free(plan)
    commit = plan.tagged
    sent = sum(change.state != GONE for change in plan.to_send)
    if commit is None or plan.to_send:
        with translate_hub_errors(repo_id), _no_progress_bars():
            commit = _commit(folder, plan, private, step)
            if plan.tagged is None:
                HfApi().create_tag(repo_id, tag=plan.tag, revision=commit, repo_type=REPO_TYPE)
    _check_arrival(folder, repo_id, commit, bool(plan.to_send) or plan.tagged is None, step)
    return PublishedVersion(dataset_url(repo_id), repo_id, commit, plan.tag, sent)


def download_dataset(repo_id: str, revision: str | None = None) -> Path:
    """Download a dataset into the client's cache and return its folder.

    Without a connection, return the cached files of that revision, if all of them are cached.
    Raises :class:`DataError` (repo-id, repo-unknown, revision-unknown) and :class:`ServerError` (token-refused,
    hub-unreachable).
    """
    check_repo_id(repo_id)
    _check_endpoint()
    from huggingface_hub import snapshot_download

    with translate_hub_errors(repo_id, revision), _no_progress_bars():
        return Path(snapshot_download(repo_id, repo_type=REPO_TYPE, revision=revision))


def find_dataset(name: Path, revision: str | None = None) -> Path:
    """Return the folder `name`; if there is none, download the dataset of that name from the Hub.

    Raises :class:`DataError` (file-missing for what is neither, repo-unknown, revision-unknown) and
    :class:`ServerError` (token-refused, hub-unreachable).
    """
    if name.is_dir():
        return name
    if name.exists():
        fix = f"name the folder: {files.display_path(name.parent)}"
        fail("file-missing", files.display_path(name), expected="a dataset folder", found="a file", fix=fix)
    if not is_repo_id(str(name)):
        expected = "a dataset folder, or OWNER/NAME on a Hub"
        fail("file-missing", files.display_path(name), expected=expected, found="neither", fix="check the path")
    return download_dataset(str(name), revision)


def check_version_free(plan: UploadPlan) -> None:
    """Raise :class:`DataError` (version-taken) if the tag exists with other data."""
    if not plan.taken:
        return
    names = ", ".join(plan.taken[:5]) + (f" and {len(plan.taken) - 5} more" if len(plan.taken) > 5 else "")
    expected, found = f"no {plan.tag}, or the same data", f"other data: {names}"
    fix = "a published version is never changed: raise yours, by an erratum or by `release` in labels.toml"
    fail("version-taken", dataset_url(plan.repo_id), expected=expected, found=found, fix=fix)


def _fail_other_form(repo_id: str, *, is_standoff: bool) -> NoReturn:
    """Refuse to publish with texts where the standoff form is, or the other way round."""
    forms = ("with its texts", f"without its texts ({STANDOFF})")
    expected, found = f"a dataset {forms[not is_standoff]}", f"one {forms[is_standoff]}"
    fix = "publish the two forms under two names"
    fail("standoff", dataset_url(repo_id), expected=expected, found=found, fix=fix)


def _read_folder(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files.list_files(folder).items()}


def _data_names(listing: Manifest) -> set[str]:
    """Return the names of the files that a version never changes; the others are documents."""
    return {*listing["files"], "manifest.json"}


def _list_files(repo_id: str, revision: str) -> dict[str, "RepoFile"]:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    tree = HfApi().list_repo_tree(repo_id, recursive=True, revision=revision, repo_type=REPO_TYPE)
    return {entry.path: entry for entry in tree if isinstance(entry, RepoFile) and entry.path != GIT_ATTRIBUTES}


def _compare(local: dict[str, bytes], remote: dict[str, "RepoFile"], data_names: set[str]) -> tuple[FileChange, ...]:
    changes = []
    for name in sorted(local.keys() | remote.keys()):
        is_data = name in data_names or name.endswith(".parquet")
        if name not in local:
            changes.append(FileChange(name, GONE, remote[name].size, is_data))
            continue
        same = name in remote and _is_same(local[name], remote[name])
        state = NEW if name not in remote else SAME if same else CHANGED
        changes.append(FileChange(name, state, len(local[name]), is_data))
    return tuple(changes)


def _is_same(data: bytes, entry: "RepoFile") -> bool:
    """Compare hashes: the Hub lists large files by their sha256, small ones by their git blob hash."""
    if entry.lfs:
        return files.sha256(data) == entry.lfs.sha256
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == entry.blob_id


def _commit(folder: Path, plan: UploadPlan, private: bool, step: Step) -> str:
    """Bring main to the state of the folder, in at most one commit; return the commit of main.

    The client's `upload_folder` may make several commits.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api, head = HfApi(), plan.head
    if head is None:
        api.create_repo(plan.repo_id, repo_type=REPO_TYPE, private=private, exist_ok=True)
        head = str(api.dataset_info(plan.repo_id, timeout=TIMEOUT).sha)
    operations = [
        CommitOperationDelete(change.path, is_folder=False)
        if change.state == GONE
        else CommitOperationAdd(change.path, folder / change.path)
        for change in plan.to_send
    ]
    if not operations:
        return head
    step("sending files", 0, len(operations))
    message = f"{'Documents of version' if plan.tagged else 'Version'} {plan.tag.removeprefix('v')}"
    commit = api.create_commit(
        plan.repo_id, operations, commit_message=message, repo_type=REPO_TYPE, revision="main", parent_commit=head
    )
    step("sending files", len(operations), len(operations))
    return str(commit.oid)


def _check_arrival(folder: Path, repo_id: str, commit: str, documents: bool, step: Step) -> None:
    """Download the files of the commit, bypassing the cache, and compare them: data, with `documents` these too.

    Raises :class:`DataError` (arrived-differs).
    """
    from huggingface_hub import HfApi

    local, api = _read_folder(folder), HfApi()
    data_names = _data_names(read_manifest_in(folder))
    with tempfile.TemporaryDirectory() as cache, translate_hub_errors(repo_id, commit), _no_progress_bars():
        remote = sorted(_list_files(repo_id, commit))
        if not documents:
            local = {name: content for name, content in local.items() if name in data_names}
            remote = [name for name in remote if name in data_names]
        differing = set(local.keys() ^ remote)
        for done, name in enumerate(remote, 1):
            path = api.hf_hub_download(
                repo_id, name, repo_type=REPO_TYPE, revision=commit, cache_dir=cache, etag_timeout=TIMEOUT
            )
            if name in local and files.sha256(Path(path).read_bytes()) != files.sha256(local[name]):
                differing.add(name)
            step("reading back", done, len(remote))
    if differing:
        expected, found = f"the files as sent, at commit {commit[:8]}", f"others: {', '.join(sorted(differing))}"
        fix = "run the same command again; if it fails again, the storage or the connection damages those files"
        fail("arrived-differs", dataset_url(repo_id), expected=expected, found=found, fix=fix)


def _check_token(repo_id: str) -> None:
    from huggingface_hub import get_token

    with translate_hub_errors(repo_id):
        token = get_token()
    if token is None:
        raise token_error(dataset_url(repo_id), "a token with write access", "none")


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Disable the client's progress bars, which would mix with ours."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
