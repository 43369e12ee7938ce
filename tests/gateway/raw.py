"""Raw: bytes to the gateway over TLS as nobody's library would send them, and whatever comes back until it closes."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.gateway.world import RealGateway

PATIENCE_SECONDS = 30.0
"""Longer than any limit that a test sets: what takes so long does not come."""


@dataclass
class Raw:
    """One connection."""

    connection: ssl.SSLSocket

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def read(self) -> bytes:
        """Return what comes until the other side closes."""
        found = b""
        try:
            while data := self.connection.recv(65536):
                found += data
        except (ConnectionResetError, ssl.SSLEOFError):
            pass
        return found

    def answer(self) -> tuple[int, bytes]:
        """Return one answer with a length: its status and its body."""
        found = b""
        while b"\r\n\r\n" not in found:
            found += self._more()
        header, _, body = found.partition(b"\r\n\r\n")
        length = int(next(line for line in header.lower().split(b"\r\n") if line.startswith(b"content-length"))[15:])
        while len(body) < length:
            body += self._more()
        assert len(body) == length, body
        return int(header.split()[1]), body

    def is_closed_within(self, seconds: float) -> bool:
        """Whether the other side closes, by itself, in so many seconds; whatever it says before is dropped."""
        self.connection.settimeout(seconds)
        began = time.monotonic()
        try:
            self.read()
        except TimeoutError:
            return False
        return time.monotonic() - began < seconds

    def _more(self) -> bytes:
        if not (data := self.connection.recv(65536)):
            raise EOFError("closed before its answer was whole")
        return data


@contextmanager
def raw(real: RealGateway) -> Iterator[Raw]:
    """Give a connection to the gateway."""
    with plain(real) as connected, real.context().wrap_socket(connected, server_hostname="127.0.0.1") as connection:
        yield Raw(connection)


@contextmanager
def plain(real: RealGateway) -> Iterator[socket.socket]:
    """Give a connection on which nobody has said anything, not even in TLS."""
    with socket.create_connection(("127.0.0.1", real.port), timeout=PATIENCE_SECONDS) as connected:
        yield connected


def sent(real: RealGateway, data: bytes) -> bytes:
    """Return all that comes back for `data`, until the gateway closes."""
    with raw(real) as connection:
        connection.send(data)
        return connection.read()


def statuses(answers: bytes) -> list[int]:
    """Return the statuses of the answers in what came back."""
    return [int(status) for status in re.findall(rb"HTTP/1[.]1 ([0-9]{3}) ", answers)]
