"""`strongroom keep serve`: start the process that holds the keys, and start it again when it dies."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from strongroom.cli.options import PathText
from strongroom.cli.output import note
from strongroom.terms.errors import AccessDenied, StoreUnavailable, Tampered

ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}
"""All of the keep's: no proxy, `LD_…` or `PYTHON…` of whoever starts it. It acts on a process before its first line."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
_CRASHED, _UNAVAILABLE = 1, 7


@click.group("keep")
def group() -> None:
    """Run the keep: the one process that holds keys."""


@group.command()
@click.option("--folder", required=True, type=PathText(), metavar="DIR", help="Where the journal rests.")
@click.option(
    "--high-water",
    required=True,
    type=PathText(),
    metavar="FILE",
    help="Remembers how far the log had come: outside DIR, best on another disk.",
)
@click.option("--socket", required=True, type=PathText(), metavar="PATH", help="Where to listen, in a private folder.")
@click.option("--trial", is_flag=True, help="One person's trial: the root key rests in a file beside FILE.")
@click.option("--restart", is_flag=True, help="Start it again, sealed, when it dies; never after a `Tampered` stop.")
def serve(folder: Path, high_water: Path, socket: Path, trial: bool, restart: bool) -> None:
    """Serve until a signal says to stop.

    Says where it listens, and the words of its unseal key: custodians compare them before they give their shares.
    """
    for private in (folder.parent, high_water.parent, socket.parent):
        _make_private(private)
    # -I: no module of the working folder, and nothing of the environment, gets to run in the keep.
    command = [sys.executable, "-I", "-m", "strongroom.keep"]
    for name, place in (("--folder", folder), ("--high-water", high_water), ("--socket", socket)):
        command += [name, str(place.absolute())]
    command += ["--trial"] if trial else []
    if restart:
        click.get_current_context().exit(supervise(command))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, command, ENVIRONMENT)  # noqa: S606 - becomes the keep, by its full path


def supervise(command: Sequence[str], *, first_pause_seconds: float = FIRST_PAUSE_SECONDS) -> int:
    """Run `command`, and again after a crash, each time after a longer pause; return how it ended for good.

    What it refuses to start with will not mend itself, and evidence of tampering is for people to look at.
    """
    pause = first_pause_seconds
    while True:
        began = time.monotonic()
        with subprocess.Popen(command, env=ENVIRONMENT) as process:
            try:
                code = process.wait()
            except KeyboardInterrupt:
                process.terminate()
                return process.wait()
        if code >= 0 and code not in {_CRASHED, _UNAVAILABLE}:
            if code == Tampered.exit_code:
                note("the keep stopped at something tampered with: it stays stopped until people have looked")
            return code
        if time.monotonic() - began > LONGEST_PAUSE_SECONDS:
            pause = first_pause_seconds
        note(f"the keep died ({_how(code)}); it starts again, sealed, in {pause:.0f} s")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except PermissionError as error:
        raise AccessDenied(f"`{folder}` cannot be made: {error.strerror}", hint="choose another folder") from error
    except OSError as error:
        raise StoreUnavailable(f"`{folder}` cannot be made: {error.strerror}", hint="choose another folder") from error
