"""Supervisor: starts processes in order, starts again what dies, and stops all of them the other way round.

    start one -> wait until it is ready -> start the next -> ... -> ready -> (signal, or an end for good) -> stop

- what crashes is started again after a pause: 1 s, doubled to 30 s, and 1 s again once it has run for longer
- what refuses to run will not mend itself, and evidence of tampering is for people to look at: then all stops
- nothing is left behind: each process leads a group of its own, which goes when it ends, and is killed where that takes
  too long; the kernel kills it when the supervisor dies; and orphans are reaped, so that it may be a container's first

One thread, and no other in this process: it forks. It is the only one here that waits for children.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from strongroom.service.events import Events
from strongroom.terms.errors import Tampered, Unavailable

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
LOOK_SECONDS = 0.1
"""How often a process that starts is asked whether it is ready."""

_DONE, _CRASHED = 0, 1
_PR_SET_PDEATHSIG = 1
_CHUNK_BYTES, _LONGEST_LINE_BYTES = 1 << 16, 1 << 16
_NAME = "supervisor"
_libc = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process of the service.

    `command` is asked before each start, `is_ready` again and again after the first; it may ask for more than that
    something listens, such as a deployment. `heard` is told each line that the process says. None of them takes long:
    all else waits. `environment` is all that the process gets.
    """

    name: str
    command: Callable[[], Sequence[str]]
    is_ready: Callable[[], bool]
    environment: Mapping[str, str]
    heard: Callable[[str], object] = len
    stop_seconds: float = 10.0


@dataclass(slots=True, eq=False)
class _Child:
    process: Process
    running: subprocess.Popen[bytes]
    output: int
    ended: asyncio.Future[int]
    held: bytearray = field(default_factory=bytearray)


class Supervisor:
    """Runs `processes`. `on_ready` is called once, when all of them are ready for the first time."""

    def __init__(
        self,
        processes: Sequence[Process],
        events: Events,
        *,
        on_ready: Callable[[], None] = lambda: None,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self._processes, self._events, self._on_ready = processes, events, on_ready
        self._first_pause_seconds = first_pause_seconds
        self._children: dict[int, _Child] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self) -> int:
        """Run until a signal says to stop (0), or one of them ends for good (its exit code); main thread only.

        Raises:
            StrongroomError: what `command`, `is_ready` or `on_ready` raised; all has been stopped.
        """
        return asyncio.run(self._run())

    async def _run(self) -> int:
        loop = asyncio.get_running_loop()
        self._end: asyncio.Future[int] = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._told_to_stop, number)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        try:
            self._begin(self._start_all())
            return await self._end
        finally:
            for task in self._tasks:
                task.cancel()
            notify("STOPPING=1")
            await self._stop_all()

    # --- starting ------------------------------------------------------------------------------

    async def _start_all(self) -> None:
        for process in self._processes:
            self._begin(self._keep_running(process))
            await _until(process.is_ready)
            self._events.tell("info", process.name, "ready")
        notify("READY=1")
        self._on_ready()

    async def _keep_running(self, process: Process) -> None:
        loop, pause = asyncio.get_running_loop(), self._first_pause_seconds
        while True:
            began = loop.time()
            # Shielded: what is stopped gives up the wait, and not what is waited for.
            code = await asyncio.shield(self._start(process).ended)
            if not _comes_again(code):
                self._give_up(process, code)
                return
            if loop.time() - began > LONGEST_PAUSE_SECONDS:
                pause = self._first_pause_seconds
            self._events.tell("error", process.name, "died", how=_how(code), starts_again_in_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _give_up(self, process: Process, code: int) -> None:
        what = "stopped at something tampered with: it stays stopped until people have looked"
        why = what if code == Tampered.exit_code else "refuses to run, and would again"
        self._events.tell("critical", process.name, "ended", how=_how(code), why=why)
        self._end_with(code)

    def _start(self, process: Process) -> _Child:
        output, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(theirs, True)
        try:
            running = subprocess.Popen(
                list(process.command()),
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
                env=process.environment,
                start_new_session=True,  # a Ctrl-C is for the supervisor, which stops the others in order
                preexec_fn=partial(_die_with, os.getpid()),  # noqa: PLW1509 - this process has no other thread
            )
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(theirs)
        loop = asyncio.get_running_loop()
        child = _Child(process, running, output, loop.create_future())
        self._children[running.pid] = child
        loop.add_reader(output, self._read, child)
        self._events.tell("info", process.name, "started", pid=running.pid)
        return child

    # --- what children say and how they end ----------------------------------------------------

    def _read(self, child: _Child) -> bool:
        """Pass on the whole lines that a child has said; return whether there was anything."""
        try:
            data = os.read(child.output, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if not data:
            asyncio.get_running_loop().remove_reader(child.output)
        child.held += data
        *lines, rest = child.held.split(b"\n")
        if len(rest) > _LONGEST_LINE_BYTES or not data:
            lines, rest = [*lines, rest], bytearray()
        child.held = rest
        for line in lines:
            self._events.pass_on(child.process.name, bytes(line))
            child.process.heard(line.decode("utf-8", "backslashreplace"))
        return bool(data)

    def _reap(self) -> None:
        """Take note of every child that ended, whosever it was at first."""
        # It looks first and takes then, so that `Popen` gets to know how its own process ended.
        while found := _ended_child():
            if (child := self._children.pop(found, None)) is None:
                os.waitpid(found, os.WNOHANG)
                continue
            # ORDER: while it is there, dead, nobody else can have its number; and what it left is gone before the next.
            _kill_group(found)
            code = child.running.wait()
            while self._read(child):
                pass
            asyncio.get_running_loop().remove_reader(child.output)
            os.close(child.output)
            child.ended.set_result(code)

    # --- stopping ------------------------------------------------------------------------------

    def _told_to_stop(self, number: int) -> None:
        self._events.tell("info", _NAME, "stopping", why=signal.Signals(number).name)
        self._end_with(0)

    def _end_with(self, code: int) -> None:
        if not self._end.done():
            self._end.set_result(code)

    async def _stop_all(self) -> None:
        for process in reversed(self._processes):
            for child in [child for child in self._children.values() if child.process is process]:
                child.running.terminate()
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(child.ended), process.stop_seconds)
                if not child.ended.done():
                    self._events.tell("warning", process.name, "killed", after_seconds=process.stop_seconds)
                    child.running.kill()
                self._events.tell("info", process.name, "stopped", how=_how(await child.ended))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._end.done():
            self._end.set_exception(error)


async def _until(is_so: Callable[[], bool]) -> None:
    while True:
        if is_so():
            return
        await asyncio.sleep(LOOK_SECONDS)


def notify(state: str) -> None:
    """Tell systemd, where it asked to be told."""
    if not (address := os.environ.get("NOTIFY_SOCKET")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connected:
        connected.sendto(state.encode("ascii"), "\0" + address[1:] if address.startswith("@") else address)


def _comes_again(code: int) -> bool:
    """Tell whether to start again what ended so: crashed, killed, out of something, or stopped by somebody else."""
    return code < 0 or code in {_DONE, _CRASHED, Unavailable.exit_code}


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _die_with(parent: int) -> None:
    """Have the kernel kill this process, between `fork` and `exec`, when the supervisor is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it went before the kernel knew
        os._exit(_CRASHED)


def _ended_child() -> int | None:
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if found is None else found.si_pid


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
