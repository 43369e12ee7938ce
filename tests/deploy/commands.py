"""What a unit, an image or a manifest starts, held against the command line: parsed, and not run."""

from __future__ import annotations

from collections.abc import Sequence

import click

from strongroom.cli import cli


def check_accepted(arguments: Sequence[str]) -> None:
    """Refuse, as the command line would, what is no command of ours with options that it has."""
    command: click.Command = cli
    context, rest = cli.make_context("strongroom", list(arguments)), list(arguments)
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert name is not None
        assert found is not None
        command, context = found, found.make_context(name, list(rest), parent=context)
