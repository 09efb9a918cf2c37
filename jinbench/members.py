"""People on a Label Studio: logging in as the browser does, signing up, and the administrator's token."""

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from jinbench import accounts, addresses
from jinbench.core.errors import ServerError

if TYPE_CHECKING:
    import httpx


@contextlib.contextmanager
def session(url: str) -> Iterator["httpx.Client"]:
    """A browser-like session: cookies, and the header that Django's forgery check wants."""
    import httpx

    with (
        reached(url),
        httpx.Client(
            base_url=url, timeout=60, trust_env=not addresses.is_loopback(url), headers={"Referer": url}
        ) as http,
    ):
        yield http


@contextlib.contextmanager
def reached(url: str) -> Iterator[None]:
    """Turns what goes wrong on the way to `url` into :class:`ServerError`."""
    import httpx

    try:
        yield
    except (httpx.HTTPError, ValueError) as error:
        raise ServerError(f"Label Studio at {url} does not answer as it should ({type(error).__name__}).") from None


def _post(http: "httpx.Client", path: str, **data: str) -> "httpx.Response":
    token = http.cookies.get("csrftoken") or ""
    return http.post(path, data={"csrfmiddlewaretoken": token, **data}, headers={"X-CSRFToken": token})


def log_in(http: "httpx.Client", account: accounts.Account) -> None:
    http.get("/user/login/")
    answer = _post(http, "/user/login/", email=account.address, password=account.password)
    if answer.status_code != 302:
        raise ServerError(
            f"Label Studio refused the login of {account.address} (HTTP {answer.status_code}).\n"
            f"Its password is kept in {accounts.accounts_file()}; if it was changed in the browser, write it there too."
        )


def login_administrator(url: str) -> accounts.Account:
    """The administrator of the server of this home, at `url`, with its one personal access token."""
    admin = accounts.administrator()
    if admin.token:
        return admin
    with session(url) as http:
        log_in(http, admin)
        answer = _post(http, "/api/token/")
        if answer.status_code == 409:  # the account has one that was not written down
            raise ServerError(
                f"{admin.address} has an access token that {accounts.accounts_file()} does not hold.\n"
                f"Open {url}/user/account/personal-access-token, revoke it, and run the same command again."
            )
        if answer.status_code != 201:
            raise ServerError(f"Label Studio gave no access token (HTTP {answer.status_code}).")
        return accounts.remember(replace(admin, token=answer.json()["token"]))


def member(url: str, name: str) -> accounts.Account:
    """The account called `name` on the server of this home, at `url`; over the invitation link if it is new."""
    with accounts.lock("members"):  # nobody may renew the link between another's reading and using it
        known = accounts.known().get(name)
        account = known or accounts.remember(accounts.Account(name, secrets.token_urlsafe(12)))
        if known:
            with contextlib.suppress(ServerError), session(url) as http:
                log_in(http, account)
                return account
        # New, or written down and then cut off before it was signed up.
        with session(url) as http:
            log_in(http, accounts.administrator())
            try:
                sign_up(url, http.get("/api/invite").json()["invite_url"], account)
            finally:  # the server's log holds the link: let it open nothing any more
                http.post("/api/invite/reset-token", json={}, headers={"X-CSRFToken": http.cookies["csrftoken"]})
    return account


def sign_up(url: str, link: str, account: accounts.Account) -> None:
    with session(url) as http:
        http.get(link)
        answer = _post(http, link, email=account.address, password=account.password, allow_newsletters="false")
        if answer.status_code != 302:
            raise ServerError(
                f"Label Studio did not sign up {account.address} (HTTP {answer.status_code}).\n"
                f"If it exists with another password, write that into {accounts.accounts_file()}."
            )
