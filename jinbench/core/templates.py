"""Jinja2 environments for the templates of the package."""

from pathlib import Path
from typing import TYPE_CHECKING

from jinbench.core.text import escape_invisible

if TYPE_CHECKING:
    from jinja2 import Environment


def make_environment(folder: Path, *, autoescape: bool) -> "Environment":
    """Return an environment for the templates of a folder, in which an undefined name is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: escape_invisible(value, keep="\n\t") if type(value) is str else value,
    )
