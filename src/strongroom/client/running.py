"""Running: a program with a private folder of opened files, for as long as it runs and the lease lasts.

The program is forked first and waits, so that it starts from a process without threads. It dies with us, by whatever
we die; what it started itself may live on, and keeps the memory that it has open.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from strongroom.client.lease import Lease
from strongroom.client.private_memory import private_memory
from strongroom.client.version import SealedVersion
from strongroom.terms.errors import BadRequest
from strongroom.terms.outer_errors import LeaseEnded

MODEL_VARIABLE, MODEL_ARGUMENT = "STRONGROOM_MODEL", "{}"
GRACE_SECONDS, LOOK_SECONDS = 10.0, 0.5
STRICT_LABEL = 3
"""From here on a program never outlives its lease."""
FORWARDED = (
    *(signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT),
)
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
_PR_SET_PDEATHSIG = 1


def run(
    command: Sequence[str],
    open_: Callable[[], SealedVersion],
    *,
    mount_point: Path,
    outlives_lease: bool = False,
    tell: Callable[[str], None] = lambda text: None,
    mount: bool = True,
) -> int:
    """Run `command` with the files of the version that `open_` opens; return its exit code, 128 + n after signal n.

    The folder's path is in the environment as `STRONGROOM_MODEL`, and in place of each `{}` in the command. When the
    lease is over and cannot be had anew, `tell` is told, and the program is ended: with SIGTERM, and 10 s later with
    SIGKILL. `outlives_lease` leaves it alone, below label 3. Call it in the main thread of a process without others.

    Raises:
        BadRequest: `outlives_lease` at label 3 or above.
        NotAllowed, Denied, …: as `open_` does. NoSpace, NoMemory: the files do not fit.
    """
    with private_memory(mount_point, mount=mount) as place, _waiting(command) as program:
        version = open_()
        if outlives_lease and version.label >= STRICT_LABEL:
            raise BadRequest(
                f"version {version.name} has label {version.label}: what runs with it ends with its lease",
                hint="leave out `--on-lease-end keep`",
            )
        try:
            path = place.open(version)
            # ORDER: signals are handed on before there is a program that could wait for one.
            with _forwarding(program.kill):
                program.go(path)
                return program.wait(version.lease, outlives_lease=outlives_lease, tell=tell)
        finally:
            version.close()


class _Program:
    """A forked process that becomes the program once it is told where the files are."""

    def __init__(self, pid: int, told: int) -> None:
        self._pid, self._told, self._pidfd = pid, told, os.pidfd_open(pid)
        self._code: int | None = None

    def go(self, path: str) -> None:
        """Let it start."""
        told, self._told = self._told, -1
        with suppress(BrokenPipeError):  # it was killed meanwhile, which `wait` finds
            os.write(told, json.dumps(path).encode())
        os.close(told)

    def wait(self, lease: Lease | None, *, outlives_lease: bool, tell: Callable[[str], None]) -> int:
        """Return its exit code, and see meanwhile to the lease."""
        # In steps, for a lease goes on while the machine sleeps, and what is waited for here does not.
        while (code := self._ended(LOOK_SECONDS)) is None:
            try:
                if lease is not None and lease.left_seconds <= 0:
                    lease.check()
            except LeaseEnded as error:
                tell(error.message)
                lease = None
                if not outlives_lease:
                    self.end()
        return code

    def kill(self, number: int) -> None:
        """Send it a signal, if it still is."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def end(self) -> None:
        """End it, if it has not ended."""
        if self._told >= 0:  # it was never told, and has nothing to put away
            self.kill(signal.SIGKILL)
        elif self._ended(0) is None:
            self.kill(signal.SIGTERM)
            if self._ended(GRACE_SECONDS) is None:
                self.kill(signal.SIGKILL)
        self._ended(None)

    def close(self) -> None:
        """End it, and let go of it."""
        self.end()
        if self._told >= 0:
            os.close(self._told)
        os.close(self._pidfd)

    def _ended(self, seconds: float | None) -> int | None:
        """Wait for its end for so long; return its exit code if that has come."""
        if self._code is None and select.select([self._pidfd], [], [], seconds)[0]:
            code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
            self._code = code if code >= 0 else 128 - code
        return self._code


@contextmanager
def _waiting(command: Sequence[str]) -> Iterator[_Program]:
    parent = os.getpid()
    waits, told = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(told)
        _become(command, waits, parent)
    os.close(waits)
    program = _Program(pid, told)
    try:
        yield program
    finally:
        program.close()


def _become(command: Sequence[str], waits: int, parent: int) -> None:
    """Wait for the path, then be the program. Never returns."""
    code = 126
    try:
        for number in (*FORWARDED, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        # ORDER: whoever dies before this line is not seen to die; hence the look afterwards.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with os.fdopen(waits) as pipe:
            told = pipe.read()
        if told and os.getppid() == parent:
            path = json.loads(told)
            os.environ[MODEL_VARIABLE] = path
            os.execvp(command[0], [one.replace(MODEL_ARGUMENT, path) for one in command])  # noqa: S606 - no shell
    except OSError as error:
        code = 127 if isinstance(error, FileNotFoundError) else 126
        print(f"strongroom: `{command[0]}` cannot be run: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201 - in the name of the program that does not start
    finally:
        os._exit(code)


@contextmanager
def _forwarding(kill: Callable[[int], None]) -> Iterator[None]:
    """Hand signals on while the block runs. What a terminal sends, it sends to the program as well."""

    def forward(number: int, frame: FrameType | None) -> None:
        if number not in _FROM_TERMINAL or not _is_in_foreground():
            kill(number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
