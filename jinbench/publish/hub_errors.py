"""Map Hugging Face Hub errors to error codes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from jinbench.core.errors import DataError, JinbenchError, Problem, ServerError, shorten

REPO_TYPE = "dataset"
LOGIN_FIX = "hf auth login, or set HF_TOKEN; to publish, the token needs write access"


def dataset_url(repo_id: str) -> str:
    """Return the web address of a dataset on the Hub."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/datasets/{repo_id}"


@contextmanager
def translate_hub_errors(repo_id: str, revision: str | None = None) -> Iterator[None]:
    """Raise errors of the Hub and its client as :class:`DataError` or :class:`ServerError`; let others through."""
    try:
        yield
    except JinbenchError:
        raise
    except Exception as error:
        translated = _translate(error, repo_id, revision)
        if translated is None:
            raise
        raise translated from None


def _translate(error: Exception, repo_id: str, revision: str | None) -> JinbenchError | None:
    """Translate the first known cause: the client wraps causes differently from call to call.

    Nothing of a request is repeated, because the token is in its headers.
    """
    from huggingface_hub import errors
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    url = dataset_url(repo_id)
    if str(error).startswith("Invalid metadata in README.md"):
        message, fix = " ".join(str(error).split()), "correct the YAML at its top"
        expected = "metadata that the Hub accepts"
        return DataError(Problem("wrong-shape", location="README.md", expected=expected, found=message, fix=fix))
    for cause in _causes(error):
        if isinstance(cause, errors.RevisionNotFoundError):
            return DataError(_unknown_revision(repo_id, str(revision)))
        if isinstance(cause, errors.RepositoryNotFoundError) and not isinstance(cause, errors.GatedRepoError):
            expected, found = "a dataset that exists", "none, or a private one that this token may not see"
            fix = f"correct the name; else {LOGIN_FIX}"
            return DataError(Problem("repo-unknown", location=url, expected=expected, found=found, fix=fix))
        if isinstance(cause, errors.HfHubHTTPError):
            return _http_error(url, cause.response.status_code, cause.server_message)
        # Both concern a header, and the token is the only header that comes from a user.
        if isinstance(cause, httpx.LocalProtocolError | UnicodeEncodeError):
            return token_error(url, "a token of the Hub", "one with characters that no token has")
        if isinstance(cause, errors.OfflineModeIsEnabled):
            return unreachable_error(url, "HF_HUB_OFFLINE, and it is not in the cache", "unset HF_HUB_OFFLINE")
        if isinstance(cause, httpx.HTTPError | httpx.InvalidURL):
            return unreachable_error(url, f"{type(cause).__name__}: {shorten(str(cause), 100)}")
    if isinstance(error, json.JSONDecodeError | KeyError | TypeError | AttributeError):
        return unreachable_error(url, "an answer that is not a Hub's")
    if isinstance(error, errors.FileMetadataError | errors.EntryNotFoundError):
        return unreachable_error(url, "an answer that is not a Hub's")
    if isinstance(error, OSError) and error.errno is None:
        return unreachable_error(url, f"an interrupted download: {shorten(str(error).partition(chr(10))[0], 100)}")
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _http_error(url: str, status: int, message: str | None) -> ServerError:
    answer = f"{status} {shorten(message or '', 100)}"
    if status in (401, 403):
        return token_error(url, "a token with the rights for this", answer)
    if status == 412:
        return unreachable_error(url, f"{answer}: somebody else wrote to it at the same time")
    return unreachable_error(url, answer)


def token_error(url: str, expected: str, found: str) -> ServerError:
    """Return a `token-refused` error."""
    return ServerError(Problem("token-refused", location=url, expected=expected, found=found, fix=LOGIN_FIX))


def unreachable_error(location: str, found: str, fix: str = "check the network and HF_ENDPOINT") -> ServerError:
    """Return a `hub-unreachable` error."""
    fix = f"{fix}, then run the same command again; files that arrived already are not sent again"
    expected = "a Hub that answers as its API says"
    return ServerError(Problem("hub-unreachable", location=location, expected=expected, found=found, fix=fix))


def _unknown_revision(repo_id: str, revision: str) -> Problem:
    from huggingface_hub import HfApi
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    try:
        names = [ref.name for ref in HfApi().list_repo_refs(repo_id, repo_type=REPO_TYPE).tags]
    except (httpx.HTTPError, OSError):
        names = []
    expected = f"one of {', '.join(sorted(names))}, a branch or a commit" if names else "a tag, a branch or a commit"
    found, fix = shorten(revision), "correct the revision"
    return Problem("revision-unknown", location=dataset_url(repo_id), expected=expected, found=found, fix=fix)
