"""Following: the log as it grows, entry by entry, each of them verified before it is shown.

    for found in follow(deployment, start, pause=…):
        ...

What a gateway streams only says that it is time to look: entries come out of the verified copy (`replica`), never out
of the stream. So a keep or gateway that is away for a while costs nothing but time, whatever it streams in between is
worth nothing, and one that shows another log ends the following with `LogTampered`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from strongroom.client.deployment import Deployment
from strongroom.client.https import HttpsConnection, Stream
from strongroom.directory.entries import Entry, parse_entry
from strongroom.terms.errors import StrongroomError, Unavailable

LONGEST_PAUSE_SECONDS = 15.0
POLL_SECONDS = 1.0
_STREAM = "/v1/log/stream"

Pause = Callable[[float], None]
"""Waits for so many seconds, or for as long as it takes until there may be something new, if that is shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A verified entry."""

    index: int
    leaf: bytes
    entry: Entry


def follow(
    deployment: Deployment,
    start: int,
    *,
    pause: Pause,
    tell: Callable[[StrongroomError], None] = lambda error: None,
    once: bool = False,
) -> Iterator[Found]:
    """Yield the entries from `start` on, then each new one, for ever; `once`: only those that there are.

    While nobody can be asked, it tells so once, and asks again, more and more seldom.

    Raises:
        LogTampered, BadSignature, WrongDeployment: what is shown is not the log that was here.
        UnknownSigner: who follows may not read any more.
        Unavailable: with `once`, nobody can be asked.
    """
    wait, is_away = POLL_SECONDS, False
    while True:
        try:
            deployment.sync()
        except Unavailable as error:
            if once:
                raise
            if not is_away:
                tell(error)
            is_away, wait = True, min(2 * wait, LONGEST_PAUSE_SECONDS)
        else:
            is_away, wait = False, POLL_SECONDS
        size = deployment.replica.directory.size if deployment.replica.checkpoint is not None else 0
        for index in range(start, size):
            leaf = deployment.replica.leaf(index)
            yield Found(index=index, leaf=leaf, entry=parse_entry(leaf))
        start = max(start, size)
        if once:
            return
        pause(wait)


class News:
    """Waits for what is new: at a gateway by its stream, at a keep's socket by the clock. A context manager.

    TRUST: nobody's. Whatever is streamed is a reason to look again, and the lack of it only lets the clock decide.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._connection = deployment.connection
        self._came, self._is_over = threading.Event(), threading.Event()
        self._stream: Stream | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> News:
        if isinstance(self._connection, HttpsConnection):
            self._thread = threading.Thread(target=self._listen, args=(self._connection,), daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_over.set()
        if (stream := self._stream) is not None:
            stream.stop()
        if self._thread is not None:
            self._thread.join(POLL_SECONDS)  # one that still tries to connect ends with the process

    def pause(self, seconds: float) -> None:
        """Return after so many seconds, or as soon as the gateway has said that there is something."""
        if self._came.wait(seconds):
            self._came.clear()

    def _listen(self, connection: HttpsConnection) -> None:
        wait = POLL_SECONDS
        while not self._is_over.wait(wait):
            try:
                with connection.stream(_STREAM) as stream:
                    self._stream = stream
                    for _ in stream:
                        if self._is_over.is_set():
                            return
                        self._came.set()
                wait = POLL_SECONDS
            except StrongroomError:
                wait = min(2 * wait, LONGEST_PAUSE_SECONDS)  # until then, the clock decides
