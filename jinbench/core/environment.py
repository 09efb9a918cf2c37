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


# The extra of jinbench that brings a package which not every installation has.
EXTRAS = {
    "opencc": "build", "pypinyin": "build", "scipy": "models", "sklearn": "models", "httpx": "annotate",
    "label_studio_sdk": "annotate", "filelock": "annotate", "ijson": "annotate", "markdown_it": "annotate",
    "coloraide": "annotate", "matplotlib": "publish", "trafilatura": "pages", "charset_normalizer": "pages",
    "json_repair": "llm", "spacy": "spacy", "dask": "scale", "distributed": "scale",
}  # fmt: skip


def require_packages(*packages: str) -> None:
    """Raise :class:`DataError` (package-missing), which names all extras to install, unless these packages are."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        extras = ",".join(dict.fromkeys(EXTRAS[name] for name in missing))
        fail("package-missing", f"jinbench[{extras}]", expected=f"the packages {', '.join(packages)}",
             found=f"no {', '.join(missing)}", fix=extra_install_command(extras))  # fmt: skip


def extra_install_command(extra: str) -> str:
    """Return the command that installs an extra of jinbench."""
    return f"pip install 'jinbench[{extra}]'"


def count_cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
