"""Temporary environment variables; environment without secrets."""

import contextlib
import os
from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def temporary_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, and restore the previous ones at the end."""
    before = {key: os.environ.get(key) for key in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


# Variables that no child process may see but the server, which gets those that it needs.
_SECRETS = ("LABEL_STUDIO_", "HEARTEX_", "POSTGRE_", "DJANGO_DB")


def without_secrets() -> dict[str, str]:
    """Return the environment without the variables that only this process or the server needs."""
    return {key: value for key, value in os.environ.items() if not key.startswith(_SECRETS)}
