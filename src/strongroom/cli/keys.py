"""`strongroom keygen`."""

from __future__ import annotations

from pathlib import Path

import click

from strongroom.cli.options import PathText, json_option
from strongroom.cli.output import note, show


@click.command()
@click.option(
    "-o",
    "--output",
    required=True,
    type=PathText(),
    metavar="FILE",
    help="Where the identity goes (mode 0600).",
)
@json_option
def keygen(output: Path) -> None:
    """Make a key pair: the secret identity into FILE, the public half onto standard output.

    Who has the public half can seal and open nothing. Whoever has the identity can open all that was sealed
    to it: keep it off the machines that only seal, and keep a copy where a fire cannot reach both.
    """
    from strongroom.client.identity import create_identity

    public_key = create_identity(output).public_key()
    note(f"identity written to {output}; keep it secret. Public key:")
    show(
        {"identity": str(output), "public_key": str(public_key), "digest": public_key.digest()},
        [str(public_key)],
    )


commands = (keygen,)
