"""Temporary environment variables; environment without secrets."""

import contextlib
import os
from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def temporary_environment(own: Mapping[str, str]) -> Iterator[None]:
    """These variables in the environment for a while, and after it what stood there before."""
    before = {key: os.environ.get(key) for key in own}
    os.environ.update(own)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


# Of the environment: what no child may see but the server, which gets of it what it needs.
_SECRETS = ("LABEL_STUDIO_", "HEARTEX_", "POSTGRE_", "DJANGO_DB")


def without_secrets() -> dict[str, str]:
    """The environment without what only this process or the server needs to know."""
    return {key: value for key, value in os.environ.items() if not key.startswith(_SECRETS)}
