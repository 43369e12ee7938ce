"""`strongroom keep serve`: start the process that holds the keys, and start it again when it dies."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from strongroom.cli.options import PathText
from strongroom.cli.output import note
from strongroom.terms.errors import BadRequest
from strongroom.terms.outer_errors import KeepUnavailable

if TYPE_CHECKING:
    from strongroom.service.settings import KeepSettings

_ASK_SECONDS = 1.0


@click.group("keep")
def group() -> None:
    """Run the keep: the one process that holds keys."""


@group.command()
@click.option("--config", type=PathText(), default=None, metavar="FILE", help="Its `[keep]` says all that follows.")
@click.option("--folder", type=PathText(), default=None, metavar="DIR", help="Where the journal rests.")
@click.option(
    "--high-water",
    type=PathText(),
    default=None,
    metavar="FILE",
    help="Remembers how far the log had come: outside DIR, best on another disk.",
)
@click.option("--socket", type=PathText(), default=None, metavar="PATH", help="Where to listen, in a private folder.")
@click.option(
    "--allow-user",
    "allow_users",
    multiple=True,
    metavar="USER",
    help="One more user who may connect, such as the gateway's; the group of the socket's folder has to be theirs.",
)
@click.option("--trial", is_flag=True, help="One person's trial: the root key rests in a file beside FILE.")
@click.option("--restart", is_flag=True, help="Start it again, sealed, when it dies; never after a `Tampered` stop.")
def serve(restart: bool, config: Path | None, **given: Any) -> None:
    """Serve until a signal says to stop.

    Says where it listens, and the words of its unseal key: custodians compare them before they give their shares.
    """
    from strongroom.service.programs import KEEP_ENVIRONMENT, keep_command, make_places

    keep = _settings(config, given)
    make_places(keep)
    if restart:
        click.get_current_context().exit(_supervised(keep))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, keep_command(keep), KEEP_ENVIRONMENT)  # noqa: S606 - becomes the keep, by its full path


def _settings(config: Path | None, given: dict[str, Any]) -> KeepSettings:
    from strongroom.service.settings import KeepSettings, read_settings

    if config is None:
        if missing := [name for name in ("folder", "high_water", "socket") if given[name] is None]:
            raise click.UsageError(f"`--{missing[0].replace('_', '-')}` is missing, or `--config`")
        places: dict[str, Any] = {name: str(given.pop(name)) for name in ("folder", "high_water", "socket")}
        return KeepSettings(**places, **given)
    if any(given.values()):
        raise click.UsageError("`--config` says all of it: give nothing else but `--restart`")
    if (keep := read_settings(config).keep) is None:
        raise BadRequest(f"`{config}` has no `[keep]`", hint="see `docs/settings.md`")
    return keep


def _supervised(keep: KeepSettings) -> int:
    """Run the keep under a supervisor, which says in words what happens."""
    from strongroom.client.connection import Connection
    from strongroom.service.events import Events
    from strongroom.service.programs import KEEP_ENVIRONMENT, keep_command
    from strongroom.service.supervisor import Process, Supervisor

    class Words(Events):
        def tell(self, level: Any, process: str, event: str, /, **more: Any) -> None:
            match event:
                case "said":
                    note(str(more.get("text")))
                case "died":
                    seconds = more["starts_again_in_seconds"]
                    note(f"the keep died ({more['how']}); it starts again, sealed, in {seconds:.0f} s")
                case "ended":
                    note(f"the keep {more['why']}")
                case _:
                    pass

    def is_ready() -> bool:
        try:
            return bool(Connection(Path(keep.socket), _ASK_SECONDS).ask("status").ok)
        except KeepUnavailable:
            return False

    process = Process(name="keep", command=lambda: keep_command(keep), is_ready=is_ready, environment=KEEP_ENVIRONMENT)
    return Supervisor([process], Words(time.time)).run()
