"""Pool: TLS connections to one gateway that have been asked over, and wait for the next question."""

from __future__ import annotations

import ssl
import threading
import time
import weakref
from dataclasses import dataclass

import h11

MOST_KEPT = 8
IDLE_SECONDS = 60.0


@dataclass(slots=True)
class Kept:
    """A connection, the protocol spoken on it, and when it was last used (monotonic)."""

    socket: ssl.SSLSocket
    protocol: h11.Connection
    used_at: float


class Pool:
    """Connections that wait for their next question. They close with the last that could ask over them."""

    def __init__(self) -> None:
        self._kept: list[Kept] = []
        self._lock = threading.Lock()
        # Not `__del__`: in a cycle that would come after the sockets' own, and at the exit perhaps never.
        weakref.finalize(self, _close, self._kept)

    def take(self) -> Kept | None:
        """Return one that is not too old, if there is any: the last that was put back."""
        oldest = time.monotonic() - IDLE_SECONDS
        with self._lock:
            while self._kept:
                kept = self._kept.pop()
                if kept.used_at >= oldest:
                    return kept
                kept.socket.close()
        return None

    def put_back(self, kept: Kept) -> None:
        """Keep one whose exchange is complete, if there is room; close it otherwise."""
        kept.used_at = time.monotonic()
        with self._lock:
            if len(self._kept) < MOST_KEPT and kept.protocol.our_state is kept.protocol.their_state is h11.DONE:
                self._kept.append(kept)
                return
        kept.socket.close()

    def close(self) -> None:
        """Close all that wait."""
        with self._lock:
            _close(self._kept)


def _close(kept: list[Kept]) -> None:
    while kept:
        kept.pop().socket.close()
