"""`strongroom relay`: end mutual TLS for the keep of this machine, with no key of the deployment."""

from __future__ import annotations

import time
from pathlib import Path

import click

from strongroom.cli.options import PathText
from strongroom.terms.errors import BadRequest


@click.command()
@click.option("--config", required=True, type=PathText(), metavar="FILE", help="Its `[relay]` says where and for whom.")
def relay(config: Path) -> None:
    """Let gateways on other hosts reach the keep's socket, over TLS with certificates on both sides.

    It runs as a user of its own, whom the keep's `allow_users` name. What it carries is signed, or wrapped, end to end.
    """
    from strongroom.service.events import Events
    from strongroom.service.relay import run_relay
    from strongroom.service.settings import read_settings

    if (settings := read_settings(config).relay) is None:
        raise BadRequest(f"`{config}` has no `[relay]`", hint="see `docs/settings.md`")
    run_relay(settings, Events(time.time))
