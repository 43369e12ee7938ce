"""The `strongroom` command: a thin shell over the client. What it decides is how things look, nothing else."""

from __future__ import annotations

import io
import logging
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

import click

from strongroom import __version__
from strongroom.cli import (
    aliases,
    closing,
    completion,
    copying,
    deciding,
    deployment,
    devices,
    doctor,
    keep,
    keys,
    log,
    policies,
    proposing,
    relay,
    running,
    sessions,
    showing,
    store,
    stored,
    up,
    versions,
    watching,
)
from strongroom.cli.here import Notes
from strongroom.cli.options import PathText
from strongroom.cli.output import show_error
from strongroom.terms.errors import StoreUnavailable, StrongroomError, families

_EXIT_CODES = ", ".join(f"{family.exit_code} {family.family}" for family in families())


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=f"Exit codes: 0 done, 2 wrong usage, {_EXIT_CODES}, 130 interrupted. "
    "`--home`, `--store` and `--identity` may also be given as STRONGROOM_HOME, STRONGROOM_STORE and "
    "STRONGROOM_IDENTITY.",
)
@click.option(
    "--home",
    type=PathText(),
    default=None,
    metavar="DIR",
    help="The profile: who you are, your keys, your copy of the log. [default: ~/.strongroom]",
)
@click.version_option(__version__, prog_name="strongroom")
def cli(home: Path | None) -> None:
    """Custody for model weights: seal them, store them anywhere, open them only with the key.

    \b
      strongroom request acme/atlas@7 --for 4h --purpose "evaluation"
      strongroom approve statement-… --role approver
      strongroom open acme/atlas@7 --store file:///srv/models --to ./opened

    Without a keep, to a key in a file:

    \b
      strongroom keygen -o identity.key
      strongroom seal ./my-model --as acme/atlas@1 --to identity.pub --store file:///srv/models
      strongroom open acme/atlas@1 --identity identity.key --store file:///srv/models --to ./opened
    """  # noqa: D301 - click takes a backspace for "leave these lines as they are"


for command in (
    *keys.commands,
    *versions.commands,
    *stored.commands,
    *running.commands,
    store.group,
    up.up,
    relay.relay,
    keep.group,
    deployment.group,
    *devices.commands,
    sessions.share,
    *sessions.commands,
    *proposing.commands,
    *deciding.commands,
    *closing.commands,
    *showing.commands,
    *watching.commands,
    *aliases.commands,
    *copying.commands,
    log.group,
    policies.group,
    doctor.doctor,
    *completion.commands,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line; every failure ends in one line, a hint and the exit code of its family."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminated)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name may hold what the terminal cannot show
    logging.getLogger("strongroom").handlers = [Notes()]
    try:
        code = _run()
    except SystemExit as ended:
        if not ended.code:
            raise  # a shell that asked for completions has them
        code = _gone()
    except BrokenPipeError:
        code = _gone()
    sys.exit(code)


def _gone() -> int:
    # Whoever read our output has gone, which click ends by itself: nothing is left to say, now or at the end.
    sys.stdout = sys.stderr
    return 141


def _run() -> int:
    try:
        return cli.main(prog_name="strongroom", standalone_mode=False) or 0
    except StrongroomError as error:
        show_error(error)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        raise
    except OSError as error:
        # All that the rooms below meet is turned into errors of ours there: this is our own output.
        sys.stdout = sys.stderr  # or the interpreter would try again at its end, and fail in its own words
        cause = StoreUnavailable(f"the result cannot be written: {error.strerror}", hint="check where it goes to")
        with suppress(OSError):
            show_error(cause)
        return cause.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("strongroom: interrupted", err=True)
        click.echo("  hint: nothing half-made is left to use; `strongroom ls` shows what was made", err=True)
        return 130


def _terminated(number: int, frame: FrameType | None) -> None:
    # As an interrupt, so that what a termination leaves half-done is taken away.
    raise KeyboardInterrupt
