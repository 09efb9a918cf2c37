"""Environment variables, temporary and without secrets; installed packages."""

import contextlib
import importlib.util
import os
from collections.abc import Iterator, Mapping

from jinbench.core.errors import fail


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


def require_extra(extra: str, *packages: str) -> None:
    """Raise :class:`DataError` (package-missing) unless the packages that an extra of jinbench brings are installed."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        fail("package-missing", f"jinbench[{extra}]", expected=f"the packages {', '.join(packages)}",
             found=f"no {', '.join(missing)}", fix=f"pip install 'jinbench[{extra}]'")  # fmt: skip


def count_cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
