"""Address and token of the Label Studio server, from options or the environment.

Without them the server of this machine is meant. The address comes from `LABEL_STUDIO_URL`, the token from
`LABEL_STUDIO_API_KEY` or from the file that `LABEL_STUDIO_API_KEY_FILE` names. No message repeats a token, nor an
address that could hold one.
"""

import contextlib
import ipaddress
import os
import re
import stat
from pathlib import Path
from urllib.parse import urlsplit

from jinbench.core import environment
from jinbench.core.errors import ServerError

URL, TOKEN, TOKEN_FILE = "LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY", "LABEL_STUDIO_API_KEY_FILE"
_PORTS = {"http": 80, "https": 443}


def normalize_url(url: str) -> str:
    """Return an address in one fixed form, without a slash at its end. Raises :class:`ServerError` for any other."""
    try:
        parts = urlsplit(url.strip())
        scheme, host, port = parts.scheme.lower(), (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise ServerError("That is not the address of a Label Studio. Write it as https://label.example") from None
    if "@" in url:
        raise ServerError(
            "There is a user or a password in the address, where logs and other users can see it. Take it out; "
            f"the token belongs in {TOKEN}, or in a file for --token-file."
        )
    if "://" not in url:
        raise ServerError("The address has no scheme. Write https://… (or http:// on this machine).")
    if scheme not in _PORTS or not host or re.search(r"[\s\\]", url.strip()):
        raise ServerError("That is not the address of a Label Studio. Write it as https://label.example")
    authority = f"[{host}]" if ":" in host else host
    normalized = f"{scheme}://{authority}" + (f":{port}" if port and port != _PORTS[scheme] else "")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ServerError(
            f"The address goes on after the server's name. Write {normalized} alone. A Label Studio that is served "
            "below a path cannot be used: its SDK does not find the way back there with a personal access token."
        )
    return normalized


def is_loopback(url: str) -> bool:
    """Return whether an address leads to this machine, by a way that no other machine sees."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def security_warning(url: str) -> str | None:
    """Return a warning if the connection to `url` is not encrypted, else None."""
    if url.startswith("https://") or is_loopback(url):
        return None
    return (
        f"{url} is not encrypted: whoever sees the traffic on the way can read the token and all labels. "
        "Ask its owner for an https:// address."
    )


def remote_url() -> str | None:
    """Return the address of the server that the environment names, or None for the one of this machine.

    Raises :class:`ServerError` if only one of address and token is set, and for an invalid address.
    """
    url, token = os.environ.get(URL), os.environ.get(TOKEN) or os.environ.get(TOKEN_FILE)
    if token and not url:
        raise ServerError(f"Set both {URL} and {TOKEN} (or {TOKEN_FILE}), or neither for the server of this machine.")
    return normalize_url(url) if url else None


def remote_token() -> str:
    """Return the token for the server at :func:`remote_url`. Raises :class:`ServerError`."""
    token, file = os.environ.get(TOKEN), os.environ.get(TOKEN_FILE)
    if token and file:
        raise ServerError(f"{TOKEN} and {TOKEN_FILE} are both set. Unset one of them.")
    if not (token or file):
        raise ServerError(
            f"There is no token for {remote_url()}. Set {TOKEN}, or give --token-file FILE. "
            "A personal access token is made in Label Studio under Account & Settings."
        )
    token = (token or read_token_file(Path(str(file)))).strip()
    # A character that a header cannot have would bring an error that shows the whole of it.
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ServerError("The token is not one word of plain characters. Copy it again.")
    return token


def read_token_file(path: Path) -> str:
    """Return the content of a token file. Raises :class:`ServerError` if anybody but its owner may read it."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(100_000)
    except OSError as error:
        raise ServerError(f"{path} cannot be read ({error.strerror or type(error).__name__}).") from None
    if mode & 0o077:
        raise ServerError(f"Others may read {path} (mode {mode:04o}). Type: chmod 600 {path}")
    if not data.strip():
        raise ServerError(f"{path} is empty. Put the token there, in one line.")
    return data.decode("ascii", "replace")


def use_server(url: str | None, token_file: Path | None) -> contextlib.AbstractContextManager[None]:
    """Set the environment as the options --url and --token-file say, while the context lasts.

    Raises :class:`ServerError` if a token of the environment would go to a server that it was not meant for.
    """
    variables = {key: os.environ.get(key, "") for key in (URL, TOKEN, TOKEN_FILE)}
    if (
        url is not None
        and token_file is None
        and variables[URL]
        and normalize_url(variables[URL]) != normalize_url(url)
    ):
        raise ServerError(
            f"{URL} names another server than --url, and the token in the environment is for that server. "
            f"Give --token-file too, or unset {URL}."
        )
    if url is not None:
        variables[URL] = normalize_url(url)
    if token_file is not None:
        variables |= {TOKEN: "", TOKEN_FILE: str(token_file)}
    return environment.temporary_environment(variables)
