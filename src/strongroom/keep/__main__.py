"""The keep's process: `python -m strongroom.keep --folder DIR --high-water FILE --socket PATH [--trial]
[--allow-user NAME]…`.

Harden first, then open the journal, then listen. Says where it listens on standard error, and why it ends.
"""

import argparse
import os
import pwd
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from strongroom.acts.fold import deployment_name, genesis
from strongroom.journal.sqlite import create_journal, open_journal
from strongroom.keep.clock import Clocks
from strongroom.keep.hardening import harden
from strongroom.keep.keep import Keep
from strongroom.keep.server import Server
from strongroom.keyring.provider import PlainFile
from strongroom.terms.errors import StrongroomError
from strongroom.tlog.notes import ED25519, VerifierKey


def main() -> None:
    """Run until a signal says to stop, or something happens that only a new start can mend."""
    parser = argparse.ArgumentParser(prog="strongroom-keep", description="The process that holds the keys.")
    parser.add_argument("--folder", type=Path, required=True, help="where the journal rests; made if it is not there")
    parser.add_argument("--high-water", type=Path, required=True, help="a file outside it that remembers its end")
    parser.add_argument("--socket", type=Path, required=True, help="where to listen, in a folder of mode 0700")
    parser.add_argument(
        "--allow-user",
        type=_uid,
        action="append",
        default=[],
        help="who may connect too, through a folder of mode 0710",
    )
    parser.add_argument("--trial", action="store_true", help="one person's trial: the root key rests in a file")
    arguments = parser.parse_args()
    try:
        harden()
        allowed = frozenset({os.geteuid(), *arguments.allow_user})
        _serve(arguments.folder, arguments.high_water, arguments.socket, allowed, trial=arguments.trial)
    except StrongroomError as error:
        sys.stderr.write(f"keep: {error.family.lower()}: {error.message}\n  hint: {error.hint}\n")
        sys.exit(error.exit_code)


def _uid(user: str) -> int:
    try:
        return int(user) if user.isascii() and user.isdigit() else pwd.getpwnam(user).pw_uid
    except KeyError:
        raise argparse.ArgumentTypeError(f"no user is called `{user}`") from None


def _serve(folder: Path, high_water: Path, socket: Path, allowed: frozenset[int], *, trial: bool) -> None:
    if not folder.exists():
        create_journal(folder, high_water=high_water)
    journal = open_journal(folder, high_water=high_water, log_key_of=log_key_of)
    keep = Keep(
        journal,
        clocks=Clocks(wall=time.time, monotonic=lambda: time.clock_gettime(time.CLOCK_BOOTTIME)),
        random=os.urandom,
        plain_file=PlainFile(high_water.parent / "root.key") if trial else None,
    )
    server = Server(socket, keep.handle, clock=time.monotonic, allowed_uids=allowed)
    stopping = False

    def stop(signal_number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        server.wake()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    sys.stderr.write(f"keep: listening on {socket}; unseal key: {keep.unseal_words()}\n")
    sys.stderr.flush()
    server.serve_forever(lambda: stopping)
    journal.close()


def log_key_of(leaf: bytes) -> VerifierKey:
    """Return the log key that a genesis names, under the name of its log's origin."""
    return VerifierKey(name=f"{deployment_name(leaf)}/1", kind=ED25519, public_key=genesis(leaf).keys.log)


if __name__ == "__main__":
    main()
