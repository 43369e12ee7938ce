"""A server in a thread with a clock that the test moves, and a client that sends bytes as they are."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from strongroom.keep.server import Handler, Server
from strongroom.terms import canonical
from strongroom.terms.canonical import Json
from strongroom.terms.frames import LARGEST_ANSWER_BYTES, LARGEST_REQUEST_BYTES, FrameReader, encode_frame


class Clock:
    """Stands as good as still, but for what the test adds to it: on no machine is anybody late by chance."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.added_seconds = 0.0
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return self._began + self.added_seconds + self.looks * 1e-6  # so that one is after the other


class Client:
    """One connection. Reads time out after a minute, so that no test hangs."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))  # without a time limit: with one, a full queue fails at once
        self.socket.settimeout(60)
        self._reader = FrameReader(LARGEST_ANSWER_BYTES)

    def send(self, *values: Json) -> None:
        self.send_bytes(b"".join(encode_frame(canonical.encode(value), LARGEST_REQUEST_BYTES) for value in values))

    def send_bytes(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> Json:
        """Return the next answer; EOFError if the connection is closed first."""
        while (body := self._reader.take()) is None:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                raise EOFError
            self._reader.feed(data)
        return canonical.parse(body)

    def ask(self, value: Json) -> Json:
        self.send(value)
        return self.receive()

    def receive_all(self) -> list[Json]:
        """Return every answer until the connection is closed."""
        answers: list[Json] = []
        try:
            while True:
                answers.append(self.receive())
        except EOFError:
            return answers

    def is_closed(self) -> bool:
        """Return whether the server closes the connection without another answer, within a minute."""
        try:
            self.receive()
        except EOFError:
            return True
        return False

    def is_open(self) -> bool:
        """Return whether the server has not closed the connection so far."""
        self.socket.setblocking(False)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        finally:
            self.socket.settimeout(60)

    def close(self) -> None:
        self.socket.close()


@dataclass
class Served:
    """A server that runs, and what is known of it."""

    path: Path
    server: Server
    clock: Clock
    stopping: threading.Event = field(default_factory=threading.Event)
    errors: list[BaseException] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)

    def connect(self) -> Client:
        self.clients.append(Client(self.path))
        return self.clients[-1]

    def pass_seconds(self, seconds: float) -> None:
        """Let `seconds` pass, once the server has seen what was sent before, and have it look at the clock."""
        self.settle()
        self.clock.added_seconds += seconds
        self.settle()

    def settle(self) -> None:
        """Wait until the server has gone once around: what was sent before is then read."""
        with_answer = Client(self.path)
        for _ in range(2):
            with_answer.ask("settle")
        with_answer.close()

    def run(self) -> None:
        try:
            self.server.serve_forever(self.stopping.is_set)
        except BaseException as error:  # noqa: BLE001 - handed to the test, which looks at it
            self.errors.append(error)

    def stop(self, thread: threading.Thread) -> None:
        self.stopping.set()
        self.server.wake()
        thread.join(60)


def echo(batch: Sequence[Json]) -> Sequence[Json]:
    return batch


@contextmanager
def serving(folder: Path, handle: Handler = echo, *, allowed_uids: frozenset[int] | None = None) -> Iterator[Served]:
    """Yield a server at work in `folder`, which becomes 0700; every client of it is closed at the end."""
    folder.chmod(0o700)
    clock = Clock()
    path = folder / "keep.sock"
    served = Served(path, Server(path, handle, clock=clock, allowed_uids=allowed_uids), clock)
    thread = threading.Thread(target=served.run)
    thread.start()
    try:
        yield served
    finally:
        for client in served.clients:
            client.close()
        served.stop(thread)
        assert not thread.is_alive()


def until(holds: Callable[[], bool], *, seconds: float = 60) -> None:
    """Wait until `holds()`; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.005)
