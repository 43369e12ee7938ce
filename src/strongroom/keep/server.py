"""The keep's socket: one thread, frames of canonical JSON in and out, all requests that wait as one batch.

    turn = read what came -> close who is late -> hand the next batch to the handler -> answer each

A connection waits in one of four states. `idle`: no byte of a next request is here. `frame`: a request is half here.
`turn`: it is whole and waits for a batch. `answer`: its answer is being read. Each but `turn`, which is our own move,
has a limit that is counted from its beginning, whatever trickles in or out. A connection has one request at a time in
the batches; what it sends ahead is left in the kernel. Nothing blocks but the handler; its time counts against nobody.

TRUST: the folder, closed to everybody else, and the kernel's word on who connects. What such a client says is believed
in nothing: it may be the gateway, compromised. Where that has a user of its own, the group of the folder, in which both
are, may pass through it and write to the socket, and nothing else: who could read the folder could lock it. Of all who
get there, the users that are named are heard.
"""

import errno
import math
import os
import selectors
import socket
import stat
import struct
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from strongroom.places import private
from strongroom.terms import canonical, errors, frames
from strongroom.terms.canonical import Json

Handler = Callable[[Sequence[Json]], Sequence[Json]]
"""Takes a batch of requests and returns the answer to each. An error is an answer; whatever it raises ends the keep."""

MOST_CONNECTIONS = 512
MOST_REQUESTS = 256
"""In one batch."""
MOST_BATCH_BYTES = 1 << 20
"""A batch that has so many takes no further request: reading JSON takes time, and others wait."""
MOST_HELD_BYTES = 128 << 20
"""Requests half here and answers not read, of all connections together."""
STOP_SECONDS = 2.0

State = Literal["idle", "frame", "turn", "answer"]
_PATIENCE_SECONDS: dict[State, float] = {"idle": 120, "frame": 10, "turn": math.inf, "answer": 10}
_LONGEST_WAIT_SECONDS = 0.5
_CHUNK_BYTES = 1 << 16
_BACKLOG = MOST_CONNECTIONS
_PEER = struct.Struct("=iII")  # struct ucred: pid, uid, gid
_PASS = 0o010
_NOTHING = memoryview(b"")


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    reader: frames.FrameReader
    deadline: float
    state: State = "idle"
    events: int = selectors.EVENT_READ
    answer: memoryview = _NOTHING
    ends: bool = False
    """Close it once its answer is read."""

    def held_bytes(self) -> int:
        return len(self.reader) + len(self.answer)


class Server:
    """Serves `handle` at the socket `path`. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        path: Path,
        handle: Handler,
        *,
        clock: Callable[[], float],
        allowed_uids: frozenset[int] | None = None,
    ) -> None:
        """Begin to listen; `serve_forever` begins to answer. By default our own user alone may connect.

        For other users too, the folder's group may pass through the folder (mode 0710, at most).

        Raises:
            UnsafePlace: the folder is not ours, is open to others or is a symlink, or `path` is no socket.
            KeepRunning: somebody listens there, or has the folder.
            BadRequest: the path is too long for a socket.
        """
        self._handle, self._clock = handle, clock
        own = frozenset({os.geteuid()})
        self._allowed_uids = own if allowed_uids is None else allowed_uids
        is_shared = self._allowed_uids != own
        self._connections: set[_Connection] = set()
        self._queue: deque[tuple[_Connection, bytes]] = deque()
        self._handling_seconds = 0.0
        with ExitStack() as stack:
            folder = _take_folder(path.parent, others=_PASS if is_shared else 0)
            stack.callback(os.close, folder)
            self._selector = stack.enter_context(selectors.DefaultSelector())
            self._door = stack.enter_context(ExitStack())
            self._listener = self._door.enter_context(_listen(path, os.fstat(folder).st_gid if is_shared else None))
            self._door.callback(path.unlink, missing_ok=True)
            self._door.callback(self._selector.unregister, self._listener)
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
            woken, self._waker = (stack.enter_context(end) for end in socket.socketpair())
            self._waker.setblocking(False)
            self._selector.register(woken, selectors.EVENT_READ, partial(woken.recv, _CHUNK_BYTES))
            stack.callback(self._close_all)
            self._open = stack.pop_all()

    def wake(self) -> None:
        """Have `serve_forever` look at `stop` at once; from a signal handler too."""
        with suppress(OSError):  # full, so that it wakes anyway; or closed
            self._waker.send(b"\0")

    def serve_forever(self, stop: Callable[[], bool]) -> None:
        """Answer until `stop()`, then let whoever reads an answer read it to its end, and remove the socket."""
        try:
            while not stop():
                self._turn()
            self._drain()
        finally:
            self.close()

    def close(self) -> None:
        """Remove the socket and close every connection, as they are."""
        self._open.close()

    # --- one turn ------------------------------------------------------------------------------

    def _turn(self) -> None:
        self._serve_ready(0 if self._queue else _LONGEST_WAIT_SECONDS)
        # ORDER: after reading, so that nobody is late whose bytes have come while the handler was at work.
        self._close_late()
        self._answer_batch()

    def _serve_ready(self, wait_seconds: float) -> None:
        for key, _ in self._selector.select(wait_seconds):
            key.data()

    def _accept(self) -> None:
        for _ in range(_BACKLOG):
            try:
                accepted, _ = self._listener.accept()
            except OSError:  # nobody waits, or there is no descriptor left: the next turn tries again
                return
            if self._is_allowed(accepted) and self._has_room():
                accepted.setblocking(False)
                connection = _Connection(
                    accepted, frames.FrameReader(frames.LARGEST_REQUEST_BYTES), self._now() + _PATIENCE_SECONDS["idle"]
                )
                self._connections.add(connection)
                self._selector.register(accepted, connection.events, partial(self._serve, connection))
            else:
                accepted.close()

    def _is_allowed(self, accepted: socket.socket) -> bool:
        _, uid, _ = _PEER.unpack(accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        return uid in self._allowed_uids

    def _has_room(self) -> bool:
        """Make room for one more if need be: whoever has been idle for longest goes."""
        if len(self._connections) < MOST_CONNECTIONS:
            return True
        idle = [connection for connection in self._connections if connection.state == "idle"]
        if idle:
            self._close(min(idle, key=lambda connection: connection.deadline))
        return bool(idle)

    def _serve(self, connection: _Connection) -> None:
        match connection.state:
            case _ if connection not in self._connections:
                return  # closed earlier in this turn
            case "answer":
                self._send(connection)
            case "idle" | "frame":
                self._receive(connection)
            case "turn":
                return

    def _receive(self, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            connection.reader.feed(data)
            self._next(connection)
        else:
            self._close(connection)

    def _next(self, connection: _Connection) -> None:
        """Take the connection's next request, if it is here."""
        try:
            request = connection.reader.take()
        except errors.BadFrame as error:
            self._refuse(connection, error)
            return
        if request is not None:
            self._enter(connection, "turn")
            self._queue.append((connection, request))
        else:
            self._enter(connection, "frame" if len(connection.reader) else "idle")

    def _close_late(self) -> None:
        now = self._now()
        for connection in [late for late in self._connections if late.deadline <= now]:
            self._close(connection)
        held_bytes = sum(connection.held_bytes() for connection in self._connections)
        # INVARIANT: it is never one in `turn`: each of those holds less than a chunk, the largest more than the mean.
        while held_bytes > MOST_HELD_BYTES:
            largest = max(self._connections, key=_Connection.held_bytes)
            held_bytes -= largest.held_bytes()
            self._close(largest)

    def _answer_batch(self) -> None:
        batch: list[tuple[_Connection, Json]] = []
        size_bytes = 0
        while self._queue and len(batch) < MOST_REQUESTS and size_bytes < MOST_BATCH_BYTES:
            connection, body = self._queue.popleft()
            size_bytes += len(body)
            try:
                batch.append((connection, canonical.parse(body)))
            except errors.NotCanonical as error:
                self._refuse(connection, error)
        if not batch:
            return
        began = self._clock()
        answers = self._handle([request for _, request in batch])
        self._handling_seconds += self._clock() - began
        # All matched before the first is sent: of answers that are one too few or too many, none is known to be right.
        for (connection, _), answer in list(zip(batch, answers, strict=True)):
            self._answer(connection, answer)

    # --- answers -------------------------------------------------------------------------------

    def _refuse(self, connection: _Connection, error: errors.StrongroomError) -> None:
        """Say what is wrong with what the connection sent, and end it: nothing after it can be trusted to be meant."""
        connection.ends = True
        self._answer(connection, frames.error_answer(error))

    def _answer(self, connection: _Connection, answer: Json) -> None:
        try:
            frame = frames.encode_frame(canonical.encode(answer), frames.LARGEST_ANSWER_BYTES)
        except errors.StrongroomError as error:  # too long, say: one answer's fault must not end the keep
            frame = frames.encode_frame(canonical.encode(frames.error_answer(error)), frames.LARGEST_ANSWER_BYTES)
        connection.answer = memoryview(frame)
        self._enter(connection, "answer")
        self._send(connection)

    def _send(self, connection: _Connection) -> None:
        try:
            sent = connection.socket.send(connection.answer)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(connection)
            return
        connection.answer = connection.answer[sent:]
        if len(connection.answer):
            self._watch(connection, selectors.EVENT_WRITE)
        elif connection.ends:
            self._close(connection)
        else:
            self._watch(connection, selectors.EVENT_READ)
            self._next(connection)

    # --- states --------------------------------------------------------------------------------

    def _enter(self, connection: _Connection, state: State) -> None:
        if connection.state != state:
            connection.state = state
            connection.deadline = self._now() + _PATIENCE_SECONDS[state]

    def _now(self) -> float:
        """Return the time without what the handler took: while it is at work, nobody can be late."""
        return self._clock() - self._handling_seconds

    def _watch(self, connection: _Connection, events: int) -> None:
        if connection.events != events:
            connection.events = events
            self._selector.modify(connection.socket, events, partial(self._serve, connection))

    def _close(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        self._selector.unregister(connection.socket)
        connection.socket.close()

    def _close_all(self) -> None:
        for connection in list(self._connections):
            self._close(connection)

    def _drain(self) -> None:
        """Take no further request; wait, not for long, until the answers that are out are read."""
        self._door.close()
        until = self._now() + STOP_SECONDS
        for connection in list(self._connections):
            connection.ends = True
            if connection.state != "answer":
                self._close(connection)
        while self._connections and self._now() < until:
            self._serve_ready(_LONGEST_WAIT_SECONDS / 10)


def _take_folder(folder: Path, *, others: int) -> int:
    """Return the folder, open and locked, once it is known to be closed to everybody else."""
    try:
        descriptor = private.open_folder(folder, others=others)
    except OSError as error:
        raise errors.UnsafePlace(f"`{folder}` is not a folder of our own: {error.strerror}") from error
    try:
        # ORDER: before looking for a stale socket, so that of two keeps that start at once one removes it.
        private.lock(folder, descriptor)
    except errors.JournalBusy:
        os.close(descriptor)
        raise errors.KeepRunning(f"another keep has `{folder}`") from None
    return descriptor


def _listen(path: Path, group: int | None) -> socket.socket:
    """Return the socket, bound; of `group`, if that may connect as well."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        try:
            _remove_stale(path)
            listener.bind(str(path))
            if group is not None:
                os.chown(path, -1, group)
            path.chmod(0o600 if group is None else 0o620)
            listener.listen(_BACKLOG)
        except OSError as error:
            hint = "choose another path, of less than 108 bytes"
            raise errors.BadRequest(f"`{path}` cannot be a socket: {error}", hint=hint) from error
        listener.setblocking(False)
        stack.pop_all()
    return listener


def _remove_stale(path: Path) -> None:
    """Remove the socket that a keep which died has left."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise errors.UnsafePlace(f"`{path}` is in the way: it is not a socket", hint="move it away")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # a listener whose queue is full is one as well
        if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
            raise errors.KeepRunning(f"somebody listens at `{path}`")
    path.unlink()
