"""Write docs/cli.md, the help of every command, from the application: python tools/make_cli_docs.py."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
import typer.main

from jinbench.cli.app import PANELS, app

PATH = Path(__file__).parents[1] / "docs" / "cli.md"
HEAD = """# Commands

All commands with their help, as `jinbench COMMAND --help` prints it.
Made from the application by `python tools/make_cli_docs.py`.
"""


def list_commands(name: str, command: Any, parent: Any = None) -> Iterator[tuple[Any, Any]]:
    """Yield a command and those below it, each with its context, which knows its full name."""
    context = typer.Context(command, info_name=name, parent=parent, terminal_width=100, max_content_width=100)
    yield command, context
    for sub, below in getattr(command, "commands", {}).items():
        yield from list_commands(sub, below, context)


def build_cli_docs() -> str:
    """Return the document: a table of contents in panels, then the help of every command."""
    root, *commands = list_commands("jinbench", typer.main.get_command(app))
    text = HEAD
    for title, names in PANELS.items():
        text += f"\n**{title}**\n\n| command | what it does |\n|---|---|\n"
        for name in names:
            for command, context in commands:
                path = context.command_path
                if path.split()[1] == name:
                    summary = " ".join(command.help.split("\n\n")[0].split()).replace("<", "&lt;").replace("|", "\\|")
                    text += f"| [`{path}`](#{path.replace(' ', '-')}) | {summary} |\n"
    for command, context in [root, *commands]:
        text += f"\n## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    return text


if __name__ == "__main__":
    PATH.write_text(build_cli_docs(), encoding="utf-8")
