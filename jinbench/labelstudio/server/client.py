"""A client of Label Studio that is let in, and lets nothing out: the token goes to the server that it was made for."""

import contextlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench.annotation.annotators import email
from jinbench.core.errors import ServerError
from jinbench.labelstudio.server import accounts, address, process
from jinbench.labelstudio.server.accounts import member, reached, sign_up

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

if TYPE_CHECKING:
    import httpx
    from label_studio_sdk import LabelStudio

_NONE_RUNS = "No Label Studio is running. Type: jinbench labelstudio start"


def ensure_member(name: str) -> str:
    """The login of `name` on the server that `connect` leads to; signs it up there if it is missing and may be.

    On a server that somebody else runs, a login that `accounts.map_login` names is theirs to make.
    Raises :class:`ServerError`, with what its owner has to do.
    """
    url = address.remote_url()
    if url is None:
        server = process.find_server()
        if server is None:
            raise ServerError(_NONE_RUNS)
        return member(server.url, name).address
    from label_studio_sdk.core.api_error import ApiError

    client, login = connect(), accounts.login_of(name, url)
    map_it = f"jinbench labelstudio accounts --url {url} {name}=LOGIN"
    try:
        with reached(url):
            if login.casefold() in {str(user.email).casefold() for user in client.users.list()}:
                return login
            if login != email(name):
                raise ServerError(
                    f"{url} has no member {login}. Ask its owner to invite that address (Organization, Invite people), "
                    f"or name another login: {map_it}"
                )
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
            f"owner to make that account, or to name one that exists; then: {map_it}"
        )
    if not link.startswith("/") or link.startswith("//"):
        raise ServerError(f"{url} invites people to another server. Ask its owner to invite {login}.")
    account = accounts.accounts_of_server(url).get(name) or accounts.Account(name, secrets.token_urlsafe(12), url=url)
    sign_up(url, link, accounts.remember(account))
    return login


def connect() -> "LabelStudio":
    """A client of the server that :func:`addresses.named` gives, or of the one started here.

    It follows no redirect: the token goes to the named server alone. Raises :class:`ServerError` if there is none.
    """
    try:
        import httpx
        from label_studio_sdk import LabelStudio
        from label_studio_sdk.core.api_error import ApiError
    except ImportError:
        raise ServerError("Label Studio's SDK is not installed. Type: pip install 'jinbench[annotate]'") from None
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it notes every address, that of an invitation too
    url = address.remote_url()
    if url is None:
        server = process.find_server()
        if server is None:
            raise ServerError(_NONE_RUNS)
        url, token, through = server.url, accounts.administrator().token, False
    else:
        # A proxy cannot reach this machine.
        token, through = address.token(), not address.is_loopback(url)
    hooks: dict[str, list[Callable[..., Any]]] = {"response": [_hide]}
    http = httpx.Client(timeout=600, follow_redirects=False, trust_env=through, event_hooks=hooks)
    if address.remote_url() is not None:
        _connect(http, url)
    make: Any = LabelStudio  # the SDK's constructor is untyped
    try:
        client: LabelStudio = make(base_url=url, api_key=token, timeout=600, httpx_client=http)
    except ApiError:  # it looks at the token's date
        raise ServerError(f"The access token for {url} is out of date. Make a new one in Label Studio.") from None
    return client


def _hide(response: "httpx.Response") -> None:
    """Take out of the body of an error what the request was let in by: a server may say it back, and it is printed."""
    if not response.is_error:
        return
    body = response.read()
    given = response.request.headers.get("authorization", "").rpartition(" ")[2].encode()
    with contextlib.suppress(ValueError, AttributeError, TypeError):
        given = given or json.loads(response.request.content).get("refresh", "").encode()
    if given and given in body:
        response._content = body.replace(given, b"(token)")


def _connect(http: "httpx.Client", url: str) -> None:
    """Raises :class:`ServerError` if what answers at `url` is no Label Studio, before a token is sent there.

    One that is there and does not answer is left to the command, which waits and tries again.
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
        there = httpx.URL(url).join(answer.headers.get("location", "/"))
        raise ServerError(
            f"{url} sends on to {there.scheme}://{there.netloc.decode()}. If that is the server that you mean, write "
            "its address; the token was not sent."
        )
    if answer.status_code >= 500:
        return
    try:
        found = "label-studio-os-package" in answer.json()
    except ValueError:
        found = False
    if not found:
        raise ServerError(f"What answers at {url} is no Label Studio. Check {address.URL}; the token was not sent.")


def wait_until_up(client: Any, wait: float = 60) -> None:
    """Until the server that `client` talks to answers again. Raises :class:`ServerError` after `wait` seconds."""
    import httpx

    url = str(client._client_wrapper.get_base_url())
    http: httpx.Client = client._client_wrapper.httpx_client.httpx_client
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if http.get(f"{url}/health", timeout=5).status_code == 200:
                return
        time.sleep(0.5)
    ours = address.remote_url() is None
    again = "Start it again (jinbench labelstudio start)" if ours else "Wait until it is there again"
    raise ServerError(
        f"Label Studio at {url} does not answer. {again}, then run the same command again: nothing is entered twice."
    )


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
            if address.remote_url() is None and name.startswith(f"project-{project}-at-"):
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
                wait_until_up(client, wait)
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
