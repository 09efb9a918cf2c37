"""A client of Label Studio that is let in, and lets nothing out: the token goes to the server that it was made for."""

import contextlib
import json
import logging
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jinbench import accounts, addresses, annotators, labelstudio, members
from jinbench.core.errors import ServerError

if TYPE_CHECKING:
    import httpx
    from label_studio_sdk import LabelStudio

_NONE_RUNS = "No Label Studio is running. Type: jinbench labelstudio start"


def ensure_member(name: str) -> str:
    """The login of `name` on the server that `connect` leads to; signs it up there if it is missing and may be.

    On a server that somebody else runs, a login that `accounts.map_login` names is theirs to make.
    Raises :class:`ServerError`, with what its owner has to do.
    """
    url = addresses.remote_url()
    if url is None:
        server = labelstudio.find_server()
        if server is None:
            raise ServerError(_NONE_RUNS)
        return members.member(server.url, name).address
    from label_studio_sdk.core.api_error import ApiError

    client, login = connect(), accounts.login_of(name, url)
    map_it = f"jinbench labelstudio accounts --url {url} {name}=LOGIN"
    try:
        with members.reached(url):
            if login.casefold() in {str(user.email).casefold() for user in client.users.list()}:
                return login
            if login != annotators.email(name):
                raise ServerError(
                    f"{url} has no member {login}. Ask its owner to invite that address (Organization, Invite people), "
                    f"or name another login: {map_it}"
                )
            http: Any = client._client_wrapper.httpx_client
            answer = http.request("api/invite", method="GET")
            link = str(answer.json()["invite_url"]) if answer.status_code == 200 else ""
    except ApiError as error:
        if error.status_code == 401:
            raise ServerError(f"{url} refused the access token (HTTP 401). Check {addresses.TOKEN}.") from None
        raise ServerError(f"{url} does not say who its members are (HTTP {error.status_code}).") from None
    if not link:
        raise ServerError(
            f"{url} has no member {login}, and does not let this token invite one (HTTP {answer.status_code}). Ask its "
            f"owner to make that account, or to name one that exists; then: {map_it}"
        )
    if not link.startswith("/") or link.startswith("//"):
        raise ServerError(f"{url} invites people to another server. Ask its owner to invite {login}.")
    account = accounts.known(url).get(name) or accounts.Account(name, secrets.token_urlsafe(12), url=url)
    members.sign_up(url, link, accounts.remember(account))
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
    url = addresses.remote_url()
    if url is None:
        server = labelstudio.find_server()
        if server is None:
            raise ServerError(_NONE_RUNS)
        url, token, through = server.url, accounts.administrator().token, False
    else:
        # A proxy cannot reach this machine.
        token, through = addresses.token(), not addresses.is_loopback(url)
    hooks: dict[str, list[Callable[..., Any]]] = {"response": [_hide]}
    http = httpx.Client(timeout=600, follow_redirects=False, trust_env=through, event_hooks=hooks)
    if addresses.remote_url() is not None:
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
            f"{url} cannot be reached ({type(error).__name__}). Check {addresses.URL}, or try again when it is there."
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
        raise ServerError(f"What answers at {url} is no Label Studio. Check {addresses.URL}; the token was not sent.")


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
    ours = addresses.remote_url() is None
    again = "Start it again (jinbench labelstudio start)" if ours else "Wait until it is there again"
    raise ServerError(
        f"Label Studio at {url} does not answer. {again}, then run the same command again: nothing is entered twice."
    )
