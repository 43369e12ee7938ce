"""Writes docs/cli.md from the help of every command. A test holds the page against the commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from strongroom.cli import cli

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"


def page() -> str:
    """Return the page."""
    parts = ["# The commands\n\nWritten by `tools/cli_page.py` from the commands' own `--help`.\n"]
    for name, text in _helps(cli, "strongroom", None):
        parts.append(f"## {name}\n\n```\n{text}\n```\n")
    return "\n".join(parts)


def _helps(command: click.Command, name: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    settings = command.context_settings | {"terminal_width": 100, "max_content_width": 100}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    yield context.command_path, "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            found = command.get_command(context, sub)
            if found is not None:
                yield from _helps(found, sub, context)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
