"""Publishing a dataset folder to a Hugging Face Hub, and getting one back.

The Hub is the one that HF_ENDPOINT names, the token the one that the Hub's own client finds (HF_TOKEN, or what
`hf auth login` left). The data of a version that has a tag is never changed: the same is left alone, other is refused.
The documents beside it (the card, its pictures, croissant.json) may be mended on main; the tag stays where it is.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench.core import files
from jinbench.core.errors import DataError, Problem, ServerError, shorten
from jinbench.core.types import Step
from jinbench.dataset.load import manifest_in
from jinbench.dataset.verify import STANDOFF
from jinbench.publish.hub_errors import KIND, LOG_IN, address, told, unreachable

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile

NEW, CHANGED, SAME, GONE = "new", "changed", "same", "gone"
KEPT = ".gitattributes"  # the Hub makes it, and needs it
TIMEOUT = 30.0


@dataclass(frozen=True)
class FileChange:
    """What publishing does to one file of main. `data`: the manifest lists it, or it is the manifest."""

    path: str
    state: str
    size: int
    data: bool


@dataclass(frozen=True)
class UploadPlan:
    """What publishing a folder does to a repository. `head` is the commit of main, None if there is no repository yet.

    `tagged`: the commit that holds this version already. `taken`: the files of data in which that version differs from
    the folder; if there are any, it cannot be published.
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
        """What goes to main. Nothing, if the version has its tag and main holds other data: that of a newer version."""
        found = tuple(change for change in self.changes if change.state != SAME)
        return () if self.tagged and any(change.data for change in found) else found

    def count(self, *states: str) -> int:
        return sum(change.state in states for change in self.changes)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        if self.taken:
            return f"{self.tag} is there with other data: it cannot be published."
        if self.tagged and not self.to_send:
            return f"{self.tag} is there with the same data: nothing to do."
        if self.tagged:
            names = ", ".join(change.path for change in self.to_send)
            return f"{self.tag} is there with the same data and stays; to main go the documents that changed: {names}."
        counts = ", ".join(f"{self.count(state)} {state}" for state in (NEW, CHANGED, SAME, GONE))
        place = "a repository to be created" if self.head is None else f"{'private' if self.private else 'public'}"
        return f"{self.repo_id} ({place}): {counts}; then the tag {self.tag}."


@dataclass(frozen=True)
class Published:
    """A version on the Hub that came back as it was sent. `sent` is the number of files that this run sent."""

    url: str
    repo_id: str
    commit: str
    tag: str
    sent: int

    @property
    def load(self) -> str:
        """The line that loads it."""
        return f'load_dataset("{self.repo_id}", "ner", revision="{self.tag}")'

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"load": self.load}


def is_id(name: str) -> bool:
    """Whether `name` could be a dataset on a Hub: OWNER/NAME."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return "/" in name


def check_id(repo_id: str) -> None:
    """Raise :class:`DataError` (repo-id) unless `repo_id` is OWNER/NAME."""
    if not is_id(repo_id):
        expected = "OWNER/NAME: letters, digits, '-', '_' and '.', each at most 96; neither '--' nor '..' nor '.git'"
        hint = "correct the name; the owner is your name on the Hub, or that of an organisation"
        raise DataError(
            Problem("repo-id", location="a dataset on the Hub", expected=expected, found=shorten(repo_id), fix=hint)
        )


def _check_endpoint() -> None:
    """The client takes HF_ENDPOINT apart when it is imported. Raises :class:`ServerError` (hub-unreachable)."""
    try:
        from huggingface_hub import constants  # noqa: F401
    except ValueError as error:
        raise unreachable("HF_ENDPOINT", f"an address that is none: {error}") from None


def plan_upload(folder: Path, repo_id: str) -> UploadPlan:
    """Compare a folder with main of a repository, and with the tag of its version. Sends nothing.

    Raises :class:`DataError` (repo-id, and what is wrong with the manifest) and :class:`ServerError` (token-refused,
    hub-unreachable).
    """
    check_id(repo_id)
    _check_endpoint()
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    listing = manifest_in(folder)
    mine, tag, data = _contents(folder), f"v{listing['version']}", _data(listing)
    api = HfApi()
    with told(repo_id):
        try:
            info = api.dataset_info(repo_id, timeout=TIMEOUT)
        except GatedRepoError:
            raise
        except RepositoryNotFoundError:  # or it is private and the token may not see it; then creating it fails
            return UploadPlan(repo_id, tag, None, False, None, (), _compare(mine, {}, data))
        tags = {ref.name: ref.target_commit for ref in api.list_repo_refs(repo_id, repo_type=KIND).tags}
        there_now = _listed(repo_id, str(info.sha))
        if "manifest.json" in there_now and (STANDOFF in there_now) != (STANDOFF in mine):
            raise DataError(_other_form(repo_id, STANDOFF in there_now))
        changes = _compare(mine, there_now, data)
        there = _compare(mine, _listed(repo_id, tag), data) if tag in tags else ()
        taken = [change.path for change in there if change.state != SAME and change.data]
    return UploadPlan(repo_id, tag, info.sha, bool(info.private), tags.get(tag), tuple(taken), changes)


def publish(folder: Path, repo_id: str, *, private: bool = False, step: Step) -> Published:
    """Send a folder as one commit, tag it with its version, and hold what is then at the tag against the folder.

    Verify the folder first. May be repeated and cut off: what is there already is not sent again, and no commit is made
    that changes nothing. Hidden files are not sent. A repository that exists stays as public as it is.

    Raises :class:`DataError` (repo-id, version-taken, arrived-differs, and what is wrong with the manifest) and
    :class:`ServerError` (token-refused, hub-unreachable).
    """
    check_id(repo_id)
    _check_endpoint()
    from huggingface_hub import HfApi

    _check_token(repo_id)
    found = plan_upload(folder, repo_id)
    if found.taken:
        raise DataError(taken(found))
    commit = found.tagged
    sent = sum(change.state != GONE for change in found.to_send)
    if commit is None or found.to_send:
        with told(repo_id), _quiet():
            commit = _commit(folder, found, private, step)
            if found.tagged is None:
                HfApi().create_tag(repo_id, tag=found.tag, revision=commit, repo_type=KIND)
    _check_arrival(folder, repo_id, commit, bool(found.to_send) or found.tagged is None, step)
    return Published(address(repo_id), repo_id, commit, found.tag, sent)


def fetch(repo_id: str, revision: str | None = None) -> Path:
    """Get a dataset from the Hub, into the client's cache; returns the folder that holds it.

    Without a connection it is what the cache holds of that revision, if it holds all of it.
    Raises :class:`DataError` (repo-id, repo-unknown, revision-unknown) and :class:`ServerError` (token-refused,
    hub-unreachable).
    """
    check_id(repo_id)
    _check_endpoint()
    from huggingface_hub import snapshot_download

    with told(repo_id, revision), _quiet():
        return Path(snapshot_download(repo_id, repo_type=KIND, revision=revision))


def find(name: Path, revision: str | None = None) -> Path:
    """The folder `name`; if there is none, the dataset of that name on the Hub.

    Raises :class:`DataError` (file-missing for what is neither, repo-unknown, revision-unknown) and
    :class:`ServerError` (token-refused, hub-unreachable).
    """
    if name.is_dir():
        return name
    if name.exists():
        hint = f"name the folder: {files.shown(name.parent)}"
        raise DataError(
            Problem("file-missing", location=files.shown(name), expected="a dataset folder", found="a file", fix=hint)
        )
    if not is_id(str(name)):
        expected = "a dataset folder, or OWNER/NAME on a Hub"
        raise DataError(
            Problem(
                "file-missing", location=files.shown(name), expected=expected, found="neither", fix="check the path"
            )
        )
    return fetch(str(name), revision)


def taken(found: UploadPlan) -> Problem:
    """That a version is there already, with other contents."""
    names = ", ".join(found.taken[:5]) + (f" and {len(found.taken) - 5} more" if len(found.taken) > 5 else "")
    hint = "a published version is never changed: raise yours, by an erratum or by `release` in labels.toml"
    return Problem(
        "version-taken",
        location=address(found.repo_id),
        expected=f"no {found.tag}, or the same",
        found=f"others: {names}",
        fix=hint,
    )


def _other_form(repo_id: str, bare: bool) -> Problem:
    """One repository has the dataset with its texts or without, not now this and then that."""
    forms = ("with its texts", f"without ({STANDOFF})")
    hint = "publish the two forms under two names"
    return Problem(
        "standoff",
        location=address(repo_id),
        expected=f"a dataset {forms[not bare]}",
        found=f"one {forms[bare]}",
        fix=hint,
    )


def _contents(folder: Path) -> dict[str, bytes]:
    """The files that are published, by name."""
    return {name: path.read_bytes() for name, path in files.visible(folder).items()}


def _data(listing: dict[str, Any]) -> set[str]:
    """The names of what a version never changes; the rest are documents."""
    return {*listing["files"], "manifest.json"}


def _listed(repo_id: str, revision: str) -> dict[str, "RepoFile"]:
    """The files of a revision, by name."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    tree = HfApi().list_repo_tree(repo_id, recursive=True, revision=revision, repo_type=KIND)
    return {entry.path: entry for entry in tree if isinstance(entry, RepoFile) and entry.path != KEPT}


def _compare(mine: dict[str, bytes], theirs: dict[str, "RepoFile"], data: set[str]) -> tuple[FileChange, ...]:
    changes = []
    for name in sorted(mine.keys() | theirs.keys()):
        is_data = name in data or name.endswith(".parquet")
        if name not in mine:
            changes.append(FileChange(name, GONE, theirs[name].size, is_data))
            continue
        same = name in theirs and _is_same(mine[name], theirs[name])
        state = NEW if name not in theirs else SAME if same else CHANGED
        changes.append(FileChange(name, state, len(mine[name]), is_data))
    return tuple(changes)


def _is_same(data: bytes, entry: "RepoFile") -> bool:
    """Large files are listed by their sha256, small ones by the hash that git gives them."""
    if entry.lfs:
        return files.sha256(data) == entry.lfs.sha256
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == entry.blob_id


def _commit(folder: Path, found: UploadPlan, private: bool, step: Step) -> str:
    """Bring main to what the folder holds, in one commit or none; returns the commit.

    Not with the client's `upload_folder`: that one may make several commits.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api, head = HfApi(), found.head
    if head is None:
        api.create_repo(found.repo_id, repo_type=KIND, private=private, exist_ok=True)
        head = str(api.dataset_info(found.repo_id, timeout=TIMEOUT).sha)
    operations = [
        CommitOperationDelete(change.path, is_folder=False)
        if change.state == GONE
        else CommitOperationAdd(change.path, folder / change.path)
        for change in found.to_send
    ]
    if not operations:
        return head
    step("sending files", 0, len(operations))
    message = f"{'Documents of version' if found.tagged else 'Version'} {found.tag.removeprefix('v')}"
    made = api.create_commit(
        found.repo_id, operations, commit_message=message, repo_type=KIND, revision="main", parent_commit=head
    )
    step("sending files", len(operations), len(operations))
    return str(made.oid)


def _check_arrival(folder: Path, repo_id: str, commit: str, documents: bool, step: Step) -> None:
    """Get every file of the commit, past any cache, and compare: the data, and the documents if they were sent.

    Raises :class:`DataError` (arrived-differs).
    """
    from huggingface_hub import HfApi

    mine, api = _contents(folder), HfApi()
    data = _data(manifest_in(folder))
    with tempfile.TemporaryDirectory() as cache, told(repo_id, commit), _quiet():
        theirs = sorted(_listed(repo_id, commit))
        if not documents:
            mine = {name: content for name, content in mine.items() if name in data}
            theirs = [name for name in theirs if name in data]
        differs = set(mine.keys() ^ theirs)
        for done, name in enumerate(theirs, 1):
            path = api.hf_hub_download(
                repo_id, name, repo_type=KIND, revision=commit, cache_dir=cache, etag_timeout=TIMEOUT
            )
            if name in mine and files.sha256(Path(path).read_bytes()) != files.sha256(mine[name]):
                differs.add(name)
            step("reading back", done, len(theirs))
    if differs:
        expected, names = f"at commit {commit[:8]} what was sent", f"others: {', '.join(sorted(differs))}"
        hint = "run the same command again; if it stays, what stores or carries those files damages them"
        raise DataError(Problem("arrived-differs", location=address(repo_id), expected=expected, found=names, fix=hint))


def _check_token(repo_id: str) -> None:
    from huggingface_hub import get_token

    with told(repo_id):
        token = get_token()
    if token is None:
        raise ServerError(
            str(
                Problem(
                    "token-refused",
                    location=address(repo_id),
                    expected="a token that may write",
                    found="none",
                    fix=LOG_IN,
                )
            )
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the client's own progress bars, which would run into ours."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
