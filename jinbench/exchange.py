"""Exchanges with Label Studio: each request is sent once, and what comes back as a long list is read as it comes.

The SDK sends a request again by itself after a dropped connection, and doubles what it imports. Here repeating means
reading back what is there and sending what is missing, which only the caller can do: see `patiently`.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench import accounts, addresses, clients
from jinbench.core.errors import ServerError

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

ATTEMPTS = 5
SETTLE = 1.0  # seconds after a failure: what was sent before it may still be under way in the server
PIECE = 1 << 16  # characters of a list that are read at a time

ONCE: Any = {"max_retries": 0}  # for calls of the SDK
_GONE = 404  # somebody else removed it meanwhile


def call(client: "LabelStudio", method: str, path: str, **options: Any) -> Any:
    """One request, sent once; the JSON of its answer, or None. `options` are those of `httpx.Client.request`.

    Raises `ApiError` and `httpx.HTTPError`, for `patiently`, and :class:`ServerError` if no Label Studio answers.
    """
    import httpx

    try:
        with _sent(client, method, path, options) as answer:
            content = answer.read()
            return json.loads(content) if content else None
    except (httpx.InvalidURL, ValueError) as error:
        raise ServerError(_explain(error)) from None


def list_all(client: "LabelStudio", path: str, **options: Any) -> Iterator[Any]:
    """The elements of the list that a GET of `path` answers with, one at a time, however long it is.

    Raises as :func:`call`; `httpx.RemoteProtocolError` if the list does not end.
    """
    with _sent(client, "GET", path, options) as answer:
        yield from _elements(answer)


def export_tasks(client: "LabelStudio", project: int, ids: Iterable[int] = ()) -> Iterator[dict[str, Any]]:
    """The tasks of a project, or some of them, with all that anybody has done to them. Raises as :func:`listed`.

    By the plain export. A snapshot takes a quarter less time, but with SQLite nobody can submit while it is made. The
    server keeps a copy of every export, which is removed here if the server is this home's.
    """
    parameters = {"exportType": "JSON", "download_all_tasks": "true", "ids[]": sorted(ids)}
    with _sent(client, "GET", f"api/projects/{project}/export", {"params": parameters}) as answer:
        try:
            yield from _elements(answer)
        finally:
            name = answer.headers.get("filename", "")
            if addresses.remote_url() is None and name.startswith(f"project-{project}-at-"):
                for copy in (accounts.home() / "data" / "export").glob(f"{Path(name).stem}*.json"):
                    copy.unlink(missing_ok=True)


def _elements(answer: Any) -> Iterator[Any]:
    import httpx

    answer.encoding = "utf-8"
    try:
        yield from elements(answer.iter_text(PIECE))
    except ValueError as error:
        raise httpx.RemoteProtocolError(str(error)) from None


def elements(pieces: Iterable[str]) -> Iterator[Any]:
    """The elements, objects each of them, of a JSON array that comes in pieces. Raises ValueError if it is none."""
    decoder = json.JSONDecoder()
    text, opened = "", False
    for piece in pieces:
        text += piece
        at = 0
        while True:
            while at < len(text) and text[at] in " \t\r\n," + "[" * (not opened):
                opened = opened or text[at] == "["
                at += 1
            if not opened or at == len(text) or text[at] == "]":
                break
            try:
                element, at = decoder.raw_decode(text, at)
            except json.JSONDecodeError:  # cut off here; the rest is in the next piece
                break
            yield element
        text = text[at:]
    if not opened or text.strip() != "]":
        raise ValueError(f"a JSON array that is broken or cut off at {text[:40]!r}")


@contextlib.contextmanager
def _sent(client: "LabelStudio", method: str, path: str, options: dict[str, Any]) -> Iterator[Any]:
    import httpx
    from label_studio_sdk.core.api_error import ApiError

    wrapper: Any = client._client_wrapper
    url = f"{wrapper.get_base_url().rstrip('/')}/{path}"
    try:
        headers = wrapper.get_headers()  # which fetches a new token every five minutes
    except ValueError:  # a gateway's page
        raise httpx.RemoteProtocolError("no token came") from None
    with wrapper.httpx_client.httpx_client.stream(method, url, headers=headers, **options) as answer:
        if answer.is_error:
            body = answer.read().decode(errors="replace")
            raise ApiError(status_code=answer.status_code, headers=dict(answer.headers), body=body)
        yield answer


def retry(client: "LabelStudio", act: Callable[[], Any], wait: float = 60) -> Any:
    """`act()`, which reads back what is there and does what is missing, until it gets through.

    Raises :class:`ServerError` if the server refuses, is silent for `wait` seconds, or fails again and again.
    """
    import httpx
    from label_studio_sdk.core.api_error import ApiError

    for attempt in range(1, ATTEMPTS + 1):
        try:
            return act()
        except (httpx.HTTPError, ApiError) as error:
            status = getattr(error, "status_code", None)
            if attempt == ATTEMPTS or (status is not None and status < 500 and status != _GONE):
                raise ServerError(_explain(error)) from None
            if status != _GONE:
                time.sleep(SETTLE)
                clients.wait_until_up(client, wait)
    return None


def _explain(error: Exception) -> str:
    status = getattr(error, "status_code", None)
    if status == 401:
        return (
            "Label Studio refused the access token (HTTP 401). Check LABEL_STUDIO_API_KEY, or start the server again."
        )
    if status is not None:
        body = str(getattr(error, "body", ""))
        if status == 400 and "incompatible with provided labeling schema" in body:
            return (
                "Labels on the server use a type or a sector that labels.toml does not have any more. Put it back; or "
                "pull, mend the exports, and begin again in a new project."
            )
        return f"Label Studio answered HTTP {status}: {body[:300]}"
    if isinstance(error, ValueError):
        return f"What answers there is no Label Studio ({type(error).__name__}). Check LABEL_STUDIO_URL."
    return f"Label Studio cannot be reached ({type(error).__name__}). Type: jinbench labelstudio start"


def as_server_error(act: Callable[[], Any]) -> Any:
    """`act()`, once, with what it raises turned into :class:`ServerError`."""
    import httpx
    from label_studio_sdk.core.api_error import ApiError

    try:
        return act()
    except (httpx.HTTPError, ApiError, httpx.InvalidURL, ValueError) as error:
        raise ServerError(_explain(error)) from None


def write_lock() -> contextlib.AbstractContextManager[Any]:
    """One writer at a time on this machine; the others wait. The lock goes when its process does, however it ends."""
    return accounts.lock("writing")
