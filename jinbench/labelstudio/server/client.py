"""Authenticated Label Studio client: connect, retry, stream; never leaks the token."""

import contextlib
import itertools
import json
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jinbench.annotation.annotators import account_email
from jinbench.core.environment import require_packages
from jinbench.core.errors import ServerError
from jinbench.core.types import Step
from jinbench.labelstudio.server import accounts, address, process
from jinbench.labelstudio.server.accounts import ensure_local_member, sign_up, translate_http_errors

if TYPE_CHECKING:
    import httpx
    from label_studio_sdk import LabelStudio

PACKAGES = ("httpx", "label_studio_sdk", "filelock", "ijson")  # that a client needs
_NOT_RUNNING = "No Label Studio is running. Type: jinbench labelstudio start"


def ensure_member(name: str) -> str:
    """Return the login of annotator `name` on the server of :func:`connect`; sign it up if it has none.

    Raises :class:`ServerError`, which says what the owner has to do.
    """
    url = address.remote_url()
    if url is None:
        server = process.find_server()
        if server is None:
            raise ServerError(_NOT_RUNNING)
        return ensure_local_member(server.url, name).email
    from label_studio_sdk.core.api_error import ApiError

    client, login = connect(), account_email(name)
    try:
        with translate_http_errors(url):
            if login.casefold() in {str(user.email).casefold() for user in client.users.list()}:
                return login
            http: Any = client._client_wrapper.httpx_client
            answer = http.request("api/invite", method="GET")
            link = str(answer.json()["invite_url"]) if answer.status_code == 200 else ""
    except ApiError as error:
        if error.status_code == 401:
            raise ServerError(f"{url} refused the access token (HTTP 401). Check {address.TOKEN}.") from None
        raise ServerError(f"{url} does not say who its members are (HTTP {error.status_code}).") from None
    if not link:
        raise ServerError(
            f"{url} has no member {login}, and does not let this token invite one (HTTP {answer.status_code}). Ask its "
            "owner to make that account, then run the same command again."
        )
    if not link.startswith("/") or link.startswith("//"):
        raise ServerError(f"{url} invites people to another server. Ask its owner to invite {login}.")
    account = accounts.accounts_by_name(url).get(name) or accounts.Account(name, secrets.token_urlsafe(12), url=url)
    sign_up(url, link, accounts.save_account(account))
    return login


def connect_or_start(say: Callable[[str], None], step: Step) -> "LabelStudio":
    """Return the client of :func:`connect`, after starting the local server if it is needed and not running."""
    require_packages(*PACKAGES)
    if address.remote_url() is None:
        process.start_server(say=say, step=step)
    return connect()


def connect() -> "LabelStudio":
    """Make a client of the server that the environment names, or of the local one.

    It follows no redirects, so that the token goes to that server only.

    Returns:
        A client of the Label Studio SDK.

    Raises:
        ServerError: If there is no server, or it is no Label Studio, or the token is missing or out of date.
        DataError: If the extra `annotate` is not installed [package-missing].
    """
    require_packages(*PACKAGES)
    import httpx
    from label_studio_sdk import LabelStudio
    from label_studio_sdk.core.api_error import ApiError

    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every address, also that of an invitation
    url = address.remote_url()
    if url is None:
        server = process.find_server()
        if server is None:
            raise ServerError(_NOT_RUNNING)
        url, token, use_proxy = server.url, accounts.find_administrator().token, False
    else:
        # A proxy cannot reach this machine.
        token, use_proxy = address.remote_token(), not address.is_loopback(url)
    hooks: dict[str, list[Callable[..., object]]] = {"response": [_redact_token]}
    http = httpx.Client(timeout=600, follow_redirects=False, trust_env=use_proxy, event_hooks=hooks)
    if address.remote_url() is not None:
        _check_is_label_studio(http, url)
    constructor: Any = LabelStudio  # untyped in the SDK
    try:
        client: LabelStudio = constructor(base_url=url, api_key=token, timeout=600, httpx_client=http)
    except ApiError:  # the constructor checks the date of the token
        raise ServerError(f"The access token for {url} is out of date. Make a new one in Label Studio.") from None
    return client


def _redact_token(response: "httpx.Response") -> None:
    """Remove the token of the request from the body of an error, which is printed: a server may echo it."""
    if not response.is_error:
        return
    body = response.read()
    token = response.request.headers.get("authorization", "").rpartition(" ")[2].encode()
    with contextlib.suppress(ValueError, AttributeError, TypeError):
        token = token or json.loads(response.request.content).get("refresh", "").encode()
    if token and token in body:
        response._content = body.replace(token, b"(token)")


def _check_is_label_studio(http: "httpx.Client", url: str) -> None:
    """Raise :class:`ServerError` if what answers at `url` is no Label Studio, before a token is sent there.

    A server that is too busy to answer passes: the command retries.
    """
    import httpx

    try:
        answer = http.get(f"{url}/api/version", timeout=30)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise ServerError(
            f"{url} cannot be reached ({type(error).__name__}). Check {address.URL}, or try again when it is there."
        ) from None
    except httpx.HTTPError:
        return
    if answer.is_redirect:
        target = httpx.URL(url).join(answer.headers.get("location", "/"))
        raise ServerError(
            f"{url} sends on to {target.scheme}://{target.netloc.decode()}. If that is the server that you mean, write "
            "its address; the token was not sent."
        )
    if answer.status_code >= 500:
        return
    try:
        is_label_studio = "label-studio-os-package" in answer.json()
    except ValueError:
        is_label_studio = False
    if not is_label_studio:
        raise ServerError(f"What answers at {url} is no Label Studio. Check {address.URL}; the token was not sent.")


def wait_until_up(client: "LabelStudio", wait: float = 60) -> None:
    """Wait until the server of `client` answers again. Raises :class:`ServerError` after `wait` seconds."""
    import httpx

    url = str(client._client_wrapper.get_base_url())
    http: httpx.Client = client._client_wrapper.httpx_client.httpx_client
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if http.get(f"{url}/health", timeout=5).status_code == 200:
                return
        time.sleep(0.5)
    is_local = address.remote_url() is None
    fix = "Start it again (jinbench labelstudio start)" if is_local else "Wait until it is there again"
    raise ServerError(
        f"Label Studio at {url} does not answer. {fix}, then run the same command again: nothing is entered twice."
    )


JsonObject = dict[str, Any]  # in requests and answers of the REST API
Result = TypeVar("Result")

ATTEMPTS = 5
SETTLE_SECONDS = 1.0  # after a failure: the server may still be working on the request

UNAUTHORIZED, NOT_FOUND = 401, 404  # somebody else removed it meanwhile


def call(client: "LabelStudio", method: str, path: str, **options: Any) -> Any:
    """Send one request, once, and return the JSON of its answer, or None; `options` as of `httpx.Client.request`.

    Raises `ApiError` and `httpx.HTTPError`, for :func:`retry`, and :class:`ServerError` if no Label Studio answers.
    """
    import httpx

    try:
        with _open_response(client, method, path, options) as answer:
            content = answer.read()
            return json.loads(content) if content else None
    except (httpx.InvalidURL, ValueError) as error:
        raise ServerError(_describe_error(error)) from None


def stream_list(client: "LabelStudio", path: str, **options: Any) -> Iterator[JsonObject]:
    """Yield the elements of the list that a GET of `path` answers with, without holding all of them.

    Raises as :func:`call`; `httpx.RemoteProtocolError` if the list does not end.
    """
    with _open_response(client, "GET", path, options) as answer:
        yield from _iterate_answer(answer)


def export_tasks(client: "LabelStudio", project: int, ids: Iterable[int] = ()) -> Iterator[JsonObject]:
    """Yield the tasks of a project, or some of them, with annotations and drafts. Raises as :func:`stream_list`.

    By the plain export. A snapshot takes a quarter less time, but with SQLite nobody can submit while it is made. The
    server keeps a copy of every export; on the local server it is deleted here.
    """
    parameters = {"exportType": "JSON", "download_all_tasks": "true", "ids[]": sorted(ids)}
    with _open_response(client, "GET", f"api/projects/{project}/export", {"params": parameters}) as answer:
        try:
            yield from _iterate_answer(answer)
        finally:
            name = answer.headers.get("filename", "")
            if address.remote_url() is None and name.startswith(f"project-{project}-at-"):
                for copy in (accounts.home() / "data" / "export").glob(f"{Path(name).stem}*.json"):
                    copy.unlink(missing_ok=True)


def _iterate_answer(answer: "httpx.Response") -> Iterator[JsonObject]:
    import httpx

    try:
        yield from iterate_json_array(answer.iter_bytes())
    except ValueError as error:
        raise httpx.RemoteProtocolError(str(error)) from None


def iterate_json_array(chunks: Iterable[bytes]) -> Iterator[JsonObject]:
    """Yield the elements, all objects, of a JSON array that comes in chunks. Raises ValueError if it is broken."""
    import ijson

    try:
        events = ijson.parse(ijson.from_iter(chunks), use_float=True)
        first = next(events)
        if first[1] != "start_array":
            raise ValueError("no JSON array")
        yield from ijson.items(itertools.chain([first], events), "item")
    except ijson.JSONError as error:
        raise ValueError(f"a JSON array that is broken or cut off: {str(error).splitlines()[0]}") from None


@contextlib.contextmanager
def _open_response(client: "LabelStudio", method: str, path: str, options: JsonObject) -> Iterator["httpx.Response"]:
    """Send a request and open its response as a stream."""
    import httpx
    from label_studio_sdk.core.api_error import ApiError

    wrapper: Any = client._client_wrapper
    url = f"{wrapper.get_base_url().rstrip('/')}/{path}"
    try:
        headers = wrapper.get_headers()  # fetches a new token every five minutes
    except ValueError:  # the page of a gateway
        raise httpx.RemoteProtocolError("no token came") from None
    with wrapper.httpx_client.httpx_client.stream(method, url, headers=headers, **options) as answer:
        if answer.is_error:
            body = answer.read().decode(errors="replace")
            raise ApiError(status_code=answer.status_code, headers=dict(answer.headers), body=body)
        yield answer


def retry(client: "LabelStudio", act: Callable[[], Result], wait: float = 60) -> Result:
    """Return `act()`, repeated until it succeeds: it has to read the state of the server and do what is missing.

    A first 401 is repeated too: the access token, which lasts five minutes, may end between its check and the server's.
    Raises :class:`ServerError` if the server refuses, is silent for `wait` seconds, or fails ATTEMPTS times.
    """
    import httpx
    from label_studio_sdk.core.api_error import ApiError

    for attempt in range(1, ATTEMPTS + 1):
        try:
            return act()
        except (httpx.HTTPError, ApiError) as error:
            status = getattr(error, "status_code", None)
            is_expired = status == UNAUTHORIZED and attempt == 1
            is_final = status is not None and status < 500 and status != NOT_FOUND and not is_expired
            if attempt == ATTEMPTS or is_final:
                raise ServerError(_describe_error(error)) from None
            if is_expired:
                client._client_wrapper._tokens_client._access_token = None
            elif status != NOT_FOUND:
                time.sleep(SETTLE_SECONDS)
                wait_until_up(client, wait)
    raise AssertionError("the last attempt returns or raises")


def _describe_error(error: Exception) -> str:
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
                "pull, correct the exports, and begin again in a new project."
            )
        return f"Label Studio answered HTTP {status}: {body[:300]}"
    if isinstance(error, ValueError):
        return f"What answers there is no Label Studio ({type(error).__name__}). Check LABEL_STUDIO_URL."
    return f"Label Studio cannot be reached ({type(error).__name__}). Type: jinbench labelstudio start"


def write_lock() -> contextlib.AbstractContextManager[object]:
    """Return the lock by which one process of this machine writes at a time; it ends with its process."""
    return accounts.lock("writing")
