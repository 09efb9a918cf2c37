"""What a Hub, its client or the network may refuse, each told apart and said as a problem."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from jinbench.core.errors import DataError, JinbenchError, Problem, ServerError, shorten

KIND = "dataset"
LOG_IN = "hf auth login, or set HF_TOKEN; to publish, the token must be one that may write"


def address(repo_id: str) -> str:
    """Where a dataset is to be looked at."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/datasets/{repo_id}"


@contextmanager
def told(repo_id: str, revision: str | None = None) -> Iterator[None]:
    """Turn whatever the client raises into the problem that it is. What is no matter of the Hub goes through."""
    try:
        yield
    except JinbenchError:
        raise
    except Exception as error:
        known = _named(error, repo_id, revision)
        if known is None:
            raise
        raise known from None


def _named(error: Exception, repo_id: str, revision: str | None) -> JinbenchError | None:
    """The client wraps what happened, differently from call to call: the first known cause counts.

    Nothing of a request is repeated, because the token is in its headers.
    """
    from huggingface_hub import errors
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    where = address(repo_id)
    if str(error).startswith("Invalid metadata in README.md"):
        found = " ".join(str(error).split())
        return DataError(
            Problem(
                "wrong-shape",
                location="README.md",
                expected="metadata that the Hub takes",
                found=found,
                fix="mend its head",
            )
        )
    for cause in _causes(error):
        if isinstance(cause, errors.RevisionNotFoundError):
            return DataError(_no_revision(repo_id, str(revision)))
        if isinstance(cause, errors.RepositoryNotFoundError) and not isinstance(cause, errors.GatedRepoError):
            expected, found = "a dataset that is there", "none, or a private one that this token may not see"
            return DataError(
                Problem(
                    "repo-unknown",
                    location=where,
                    expected=expected,
                    found=found,
                    fix=f"correct the name; else {LOG_IN}",
                )
            )
        if isinstance(cause, errors.HfHubHTTPError):
            return _refused(where, cause.response.status_code, cause.server_message)
        if isinstance(
            cause, httpx.LocalProtocolError | UnicodeEncodeError
        ):  # in a header: nothing else comes from a user
            found = "one with characters that no token has"
            return ServerError(
                str(Problem("token-refused", location=where, expected="a token of the Hub", found=found, fix=LOG_IN))
            )
        if isinstance(cause, errors.OfflineModeIsEnabled):
            return unreachable(where, "HF_HUB_OFFLINE, and it is not in the cache", "unset HF_HUB_OFFLINE")
        if isinstance(cause, httpx.HTTPError | httpx.InvalidURL):
            return unreachable(where, f"{type(cause).__name__}: {shorten(str(cause), 100)}")
    if isinstance(error, json.JSONDecodeError | KeyError | TypeError | AttributeError):
        return unreachable(where, "an answer that is not a Hub's")
    if isinstance(error, errors.FileMetadataError | errors.EntryNotFoundError):
        return unreachable(where, "an answer that is not a Hub's")
    if isinstance(error, OSError) and error.errno is None:
        return unreachable(where, f"a download that broke off: {shorten(str(error).partition(chr(10))[0], 100)}")
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _refused(where: str, status: int, said: str | None) -> ServerError:
    answer = f"{status} {shorten(said or '', 100)}"
    if status in (401, 403):
        return ServerError(
            str(Problem("token-refused", location=where, expected="a token that may do this", found=answer, fix=LOG_IN))
        )
    if status == 412:
        return unreachable(where, f"{answer}: somebody else wrote to it at the same time")
    return unreachable(where, answer)


def unreachable(where: str, found: str, remedy: str = "check the network and HF_ENDPOINT") -> ServerError:
    hint = f"{remedy}, then run the same command again; what is there already is not sent again"
    return ServerError(
        str(
            Problem(
                "hub-unreachable", location=where, expected="a Hub that does what it is asked", found=found, fix=hint
            )
        )
    )


def _no_revision(repo_id: str, revision: str) -> Problem:
    from huggingface_hub import HfApi
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    try:
        names = [ref.name for ref in HfApi().list_repo_refs(repo_id, repo_type=KIND).tags]
    except (httpx.HTTPError, OSError):
        names = []
    expected = f"one of {', '.join(sorted(names))}, a branch or a commit" if names else "a tag, a branch or a commit"
    return Problem(
        "revision-unknown",
        location=address(repo_id),
        expected=expected,
        found=shorten(revision),
        fix="correct the revision",
    )
